"""``dasklasso predict``: a saved model is applied to a store or a table."""

from __future__ import annotations

from typing import Any

import click

from dasklasso.cli import options
from dasklasso.cli.messages import say
from dasklasso.cli.text import echo


@click.command(
    "predict",
    short_help="Apply a model to a store or a table.",
    epilog=options.example(
        "dasklasso predict model diabetes.zarr --alpha 0.1 --out predictions.parquet\n"
        "dasklasso predict model month.parquet --id loan_id --out scores.parquet"
    ),
)
@click.argument("model")
@click.argument("store", metavar="STORE|TABLE")
@click.option("--out", required=True, metavar="FILE", help="Ends in .zarr, .parquet or .csv.")
@options.model_alpha
@click.option(
    "--proba", is_flag=True, help="Probabilities: of the greater label, or of each class."
)
@click.option(
    "--id", multiple=True, metavar="NAME", help="Column of a table to copy to FILE; repeatable."
)
@options.encoding
@options.covariates_of_model
@options.cluster
@options.overwrite
@options.quiet
def predict_command(**values: Any) -> None:
    """Predict for every row with MODEL, in the order of the rows, in bounded memory.

    A store has the features of the model. A TABLE (what ingest takes; it needs no target) is
    encoded by the model: its columns are found by name in any order, others are ignored, missing
    values get the means of the training rows where training filled them.
    """
    from dasklasso.jobs.predict_stage import PredictStage

    stage = PredictStage(**values)
    predicted = stage.run()
    say(notes=predicted.notes)
    echo(f"{predicted.n_rows:,} predictions in {stage.out}")
