"""``dasklasso score``: measure how well a model predicts a store or a table."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.messages import say
from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.jobs.score_stage import ScoreStage
    from dasklasso.scoring.report import Scored

MOST_CLASSES = 50  # printed; --json has all


@click.command(
    "score",
    short_help="Measure how well a model predicts a store or a table.",
    epilog=options.example(
        "dasklasso score model diabetes.zarr --alpha 0.1\n"
        "dasklasso score model month.parquet --target default\n"
        "dasklasso score model diabetes.zarr --all-alphas --table metrics.csv"
    ),
)
@click.argument("model")
@click.argument("store", metavar="STORE|TABLE")
@options.model_alpha
@click.option("--all-alphas", is_flag=True, help="Every alpha of the model, from one read.")
@click.option(
    "--bins",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Of the calibration of one alpha (loss logistic or softmax).",
)
@click.option(
    "--target", multiple=True, metavar="NAME", help="Of a table [default: as trained]; repeatable."
)
@click.option(
    "--weight", metavar="NAME", help="Of a table: the column of weights [default: as trained]."
)
@options.encoding
@options.covariates_of_model
@options.table
@options.cluster
@options.overwrite
@options.quiet
@options.as_json
def score_command(as_json: bool, **values: Any) -> None:
    """Score MODEL on the rows of a store or a table, in bounded memory.

    A store is read once. A TABLE, which is what ingest takes, is first encoded by the model, to a
    folder among the temporary files. Weights count. What --table writes is the calibration where
    there is one, else the metrics.
    """
    from dasklasso.jobs.score_stage import ScoreStage

    run_score(ScoreStage(**values), as_json=as_json)


def run_score(stage: ScoreStage, *, as_json: bool = False) -> None:
    """Run a stage, and print the metrics."""
    found = stage.run()
    say(notes=found.notes)
    if as_json:
        summary = found.summary(one_alpha=not stage.all_alphas)
        echo(json.dumps({**summary, "model": stage.model, "table": stage.table}))
    else:
        _report(found, stage)


def _report(found: Scored, stage: ScoreStage) -> None:
    from dasklasso.cli.tables import print_pairs
    from dasklasso.units import counted, format_size

    weight = "" if found.weight == found.n_rows else f" of weight {found.weight:.6g}"
    pairs = [("rows", f"{found.n_rows:,}{weight}")]
    flat = not stage.all_alphas and found.y_is_vector
    if not stage.all_alphas:
        pairs.append(("alpha", f"{found.alphas[0]:.8g}"))
        pairs.append(("features", f"{found.n_nonzero[0]:,}"))
    reasons = found.reasons()
    if flat:
        for name, value in found.metrics.items():
            shown = f"undefined: {reasons[name]}" if name in reasons else _number(value[0, 0])
            pairs.append((_words(name), shown))
    cost = f"{counted(found.scans, 'scan')}, {found.seconds:.3g} s, peak memory "
    pairs.append(("cost", cost + format_size(found.peak_memory_bytes)))
    if stage.table is not None:
        pairs.append(("table", stage.table))
    print_pairs(pairs)
    if not flat:
        _print_metrics(found, all_alphas=stage.all_alphas)
        for name, reason in reasons.items():
            echo(f"{_words(name)} is undefined: {reason}")
    if found.by_class is not None:
        _print_classes(found.by_class)
    if found.calibration is not None:
        _print_calibration(found)


def _print_metrics(found: Scored, *, all_alphas: bool) -> None:
    """A row for each alpha and target."""
    from dasklasso.cli.tables import print_table

    leading = ["alpha", "features"] if all_alphas else []
    leading += [] if found.y_is_vector else ["target"]
    rows = []
    for row in found.rows():
        head = {**row, "alpha": f"{row['alpha']:.8g}", "features": f"{row['n_nonzero']:,}"}
        first = [str(head[name]) for name in leading]
        rows.append((*first, *(_number(row[name]) for name in found.metrics)))
    columns = (*leading, *(_words(name) for name in found.metrics))
    print_table(None, columns, rows, left=("target",))


def _print_calibration(found: Scored) -> None:
    from dasklasso.cli.tables import print_table

    leading = [] if found.y_is_vector else ["target"]
    if found.by_class is None:
        names = ("probability", "rows", "mean prediction", "observed rate")
    else:
        names = ("confidence", "rows", "mean confidence", "accuracy")
    rows = [
        (
            *(row[name] for name in leading),
            f"{row['lowest']:.4g} to {row['highest']:.4g}",
            f"{row['rows']:,}",
            f"{row['mean_prediction']:.4g}",
            f"{row['observed_rate']:.4g}",
        )
        for row in found.calibration_rows()
    ]
    print_table(None, (*leading, *names), rows, left=("target",))


def _print_classes(by_class: list[dict[str, Any]]) -> None:
    """A row for each class, or for those that are recognised worst."""
    from dasklasso.cli.tables import print_table

    shown = by_class
    if len(by_class) > MOST_CLASSES:
        there = (row for row in by_class if row["share"] > 0)  # the others have no recall
        shown = sorted(there, key=lambda row: row["recall"])[:MOST_CLASSES]
        echo(f"classes of least recall, {MOST_CLASSES} of {len(by_class)}:")
    rows = [
        tuple(str(v) if name == "class" else _share(v) for name, v in row.items()) for row in shown
    ]
    print_table(None, list(by_class[0]), rows, left=("class",))


def _share(value: float | None) -> str:
    """Format four digits; "-" for what is not defined, such as the recall of no rows."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _words(name: str) -> str:
    return name.replace("_", " ")
