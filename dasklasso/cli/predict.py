"""``dasklasso predict`` and ``dasklasso show``: what a saved model is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options

if TYPE_CHECKING:
    from dasklasso.model.path import FittedPath


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
@click.option(
    "--alpha",
    type=click.FloatRange(min=0),
    help="Within the model's alphas [default: the selected or only one].",
)
@click.option(
    "--proba", is_flag=True, help="Probabilities: of the greater label, or of each class."
)
@click.option(
    "--id", multiple=True, metavar="NAME", help="Column of a table to copy to FILE; repeatable."
)
@options.encoding
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
    say_notes(predicted.notes)
    click.echo(f"{predicted.n_rows:,} predictions in {stage.out}")


def say_notes(notes: Sequence[str]) -> None:
    """Print notes on a table to standard error; ``--quiet`` prints none."""
    for note in () if options.is_quiet() else notes:
        click.echo(f"Note: {note}", err=True)


@click.command(
    "show",
    short_help="Print a model's features.",
    epilog=options.example("dasklasso show model --alpha 0.1 --top 10"),
)
@click.argument("model")
@click.option("--alpha", type=click.FloatRange(min=0), help="Print the features at this alpha.")
@click.option("--top", type=click.IntRange(min=1), help="Only so many, the largest first.")
@click.option("--alphas", is_flag=True, help="The table of all alphas, whichever is selected.")
@click.option("--schema", is_flag=True, help="The columns that a table to predict for must have.")
@options.table
@options.overwrite
@options.as_json
def show_command(
    model: str,
    alpha: float | None,
    top: int | None,
    alphas: bool,
    schema: bool,
    table: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Print the alphas of MODEL, and the features selected at one, by the size of their weight.

    Without --alpha: at the selected or only alpha, else the table of all alphas.
    """
    from dasklasso.files.tables import check_table_file, write_table
    from dasklasso.model.path import load_model

    if sum((alphas, alpha is not None, schema)) > 1:
        raise click.UsageError("--alpha, --alphas and --schema: give one of them.")
    if table is not None:
        check_table_file(table, overwrite=overwrite)
    path = load_model(model)
    if schema:
        _show_schema(path, model, top, table, overwrite=overwrite, as_json=as_json)
        return
    one = alpha is not None or path.alpha_selected is not None or path.n_alphas == 1
    single = one and not alphas
    if table is not None:
        rows = _feature_rows(path, alpha, top) if single else path.table()
        write_table(rows, table, overwrite=overwrite)
    if as_json:
        summary = {**path.summary(), "model": model}
        if single:
            summary["features"] = _features(path, alpha, top)
        click.echo(json.dumps(summary))
    elif single:
        _print_features(path, alpha, top)
    else:
        _print_alphas(path)


def _show_schema(
    path: FittedPath,
    model: str,
    top: int | None,
    table: str | None,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    from dasklasso.cli.schema import print_schema, schema_json, schema_rows
    from dasklasso.files.tables import write_table
    from dasklasso.scoring.predict_table import schema_of

    schema = schema_of(path, model)
    if table is not None:
        write_table(schema_rows(schema), table, overwrite=overwrite)
    if as_json:
        click.echo(json.dumps({"model": model, "schema": schema_json(schema)}))
    else:
        print_schema(schema, top)


def _features(path: FittedPath, alpha: float | None, top: int | None) -> list[dict[str, Any]]:
    """Selected features and their coefficients, one for each target, the largest first."""
    import numpy as np

    coef, _ = path.coefficients_at(alpha)
    used = np.unique(coef.indices[coef.data != 0])
    weights = coef[:, used].toarray().T
    order = np.argsort(-np.abs(weights).max(axis=1, initial=0), kind="stable")[:top]
    return [{"feature": path.feature_names[used[i]], "coef": weights[i].tolist()} for i in order]


def _feature_rows(path: FittedPath, alpha: float | None, top: int | None) -> list[dict[str, Any]]:
    """One row for each selected feature, a column for each target."""
    names = ["coef"] if path.y_is_vector else [f"coef_{name}" for name in path.target_names]
    return [
        {"feature": row["feature"], **dict(zip(names, row["coef"], strict=True))}
        for row in _features(path, alpha, top)
    ]


def _print_features(path: FittedPath, alpha: float | None, top: int | None) -> None:
    from dasklasso.cli.tables import print_pairs, print_table

    at = path.resolve_alpha(alpha)
    i = path.grid_index(at)
    features = _features(path, alpha, None)
    _, intercept = path.coefficients_at(alpha)
    gap = "none: interpolated between two alphas" if i is None else f"{path.dual_gap[i]:.2g}"
    pairs = [
        ("alpha", f"{at:.8g}"),
        ("dual gap", gap),
        ("intercept", ", ".join(f"{value:.8g}" for value in intercept)),
        ("selected", f"{len(features):,} of {path.n_features:,} features"),
    ]
    for name, classes in zip(path.target_names, path.classes or (), strict=False):
        if classes is not None:
            of = "" if path.y_is_vector or path.predicts_classes else f" of {name}"
            pairs.append((f"classes{of}", ", ".join(str(label) for label in classes)))
    print_pairs(pairs)
    headings = ["coef"] if path.y_is_vector else [f"coef {name}" for name in path.target_names]
    rows = [
        (feature["feature"], *(f"{value:.8g}" for value in feature["coef"]))
        for feature in features[:top]
    ]
    if rows:
        print_table(None, ("feature", *headings), rows, left=("feature",))
    if top is not None and len(features) > top:
        click.echo(f"{len(features) - top:,} more features, smaller.")


def _print_alphas(path: FittedPath) -> None:
    from dasklasso.cli.tables import print_table

    columns = zip(path.alphas, path.n_nonzero, path.dual_gap, path.objective, strict=True)
    rows = [(f"{a:.8g}", f"{n:,}", f"{gap:.2g}", f"{value:.8g}") for a, n, gap, value in columns]
    print_table(None, ("alpha", "features", "dual gap", "objective"), rows)
    click.echo("The features at one alpha: dasklasso show MODEL --alpha A")
