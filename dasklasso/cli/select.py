"""``dasklasso select``: choose features and an alpha, and report them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.parameter_types import Finite
from dasklasso.cli.text import echo
from dasklasso.jobs.select_stage import Bound, By, Initial

if TYPE_CHECKING:
    from dasklasso.jobs.select_stage import SelectStage
    from dasklasso.selection.found import Selected

SHOWN = 12  # features, where more are in a model or a table

_criteria = options.stacked(
    click.option(
        "--noise-variance",
        metavar="NUMBER|estimated",
        help="Of aic, bic, ebic: known, or of least squares on all features [default: each "
        "model's own].",
    ),
    click.option(
        "--ebic-gamma",
        type=Finite(0, 1),
        default=1.0,
        show_default=True,
        help="Of ebic: 0 is bic.",
    ),
)

_refits = options.stacked(
    click.option(
        "--gammas",
        type=Finite(0, 1),
        multiple=True,
        default=(0.0, 0.25, 0.5, 0.75, 1.0),
        show_default=True,
        help="Of relaxed: shares of the lasso to choose from; may be repeated.",
    ),
    click.option(
        "--initial",
        type=options.choice(Initial),
        default="least_squares",
        show_default=True,
        help="Of adaptive: the first estimate.",
    ),
    click.option(
        "--initial-alpha",
        type=Finite(min=0, min_open=True),
        help="Of the first estimate by ridge or lasso.",
    ),
    click.option(
        "--power",
        type=Finite(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Of adaptive: factors are 1/|first estimate|^power.",
    ),
)

_stability = options.stacked(
    click.option(
        "--threshold",
        type=Finite(0.5, 1),
        default=0.75,
        show_default=True,
        help="Of stability: share of half-samples that must select a feature.",
    ),
    click.option(
        "--false",
        type=Finite(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Of stability: most noise features to expect among those selected.",
    ),
    click.option(
        "--bound",
        type=options.choice(Bound),
        default="unimodal",
        show_default=True,
        help="Of stability: what that number is bounded by.",
    ),
    click.option(
        "--half-samples",
        type=click.IntRange(min=2),
        default=100,
        show_default=True,
        help="Of stability: an even number, drawn in pairs.",
    ),
)


@click.command(
    "select",
    short_help="Choose features by a criterion, a refit or stability.",
    epilog=options.example(
        "dasklasso select diabetes.zarr --by bic --out model\n"
        "dasklasso select diabetes.zarr --by stability --false 0.5 --table features.csv"
    ),
)
@click.argument("store")
@click.option(
    "--by",
    type=options.choice(By),
    required=True,
    help="An information criterion; relaxed or adaptive lasso, by folds; stability selection.",
)
@click.option("--out", metavar="MODEL", help="Folder the model is saved to; not of stability.")
@options.table
@options.grid
@_criteria
@options.folds("Of relaxed and adaptive.", "Of random folds and half-samples.")
@_refits
@_stability
@options.model
@options.cluster
@options.statistics
@options.overwrite
@options.quiet
@options.as_json
def select_command(as_json: bool, out: str | None, **values: Any) -> None:
    """Choose features of STORE, and an alpha, from second moments.

    They cost one read of the data, or none where statistics are kept; certifying a whole path
    costs one more. Criteria on data wider than long ask for no more than the path itself.
    Stability selection has no model to certify: its features come with a bound on how many of
    them are noise.
    """
    from dasklasso.jobs.select_stage import SelectStage

    run_select(SelectStage(out=out or "", **values), as_json=as_json)


def run_select(stage: SelectStage, *, as_json: bool = False) -> None:
    """Run a stage with progress on standard error, and print what it selected."""
    from dasklasso.cli.fit import require_convergence
    from dasklasso.cli.progress import ScanProgress

    with ScanProgress(tol=stage.tol, quiet=options.is_quiet()) as progress:
        found = stage.run(progress=progress, announce=progress.announce)
    if as_json:
        out = stage.out or None
        echo(json.dumps({**found.summary(), "model": out, "table": stage.table}))
    else:
        report(found, stage)
    if found.path is not None:
        require_convergence(found.path, stage)


def report(found: Selected, stage: SelectStage) -> None:
    """Print a few lines about the selection to standard output, then the features."""
    from dasklasso.cli.tables import print_pairs
    from dasklasso.units import counted, format_size

    path = found.path
    if path is None:
        gap, n_features = "none: a probability needs no certificate", len(found.table)
    else:
        gap = f"{path.dual_gap.max():.2g} at worst, asked for {path.tol:.2g}"
        n_features = path.n_features
    print_pairs(
        [
            *_choice(found),
            ("selected", f"{len(found.features):,} of {n_features:,} features"),
            ("gap", gap),
            (
                "cost",
                f"{counted(found.scans, 'scan')}, {format_size(found.bytes_read)} read, "
                f"{found.seconds:.3g} s, peak memory {format_size(found.peak_memory_bytes)} "
                f"({found.solver})",
            ),
            *([("model", stage.out)] if path is not None else []),
            *([("table", stage.table)] if stage.table is not None else []),
        ]
    )
    _print_features(found, stage)


def _choice(found: Selected) -> list[tuple[str, str]]:
    """Name the rule that chose, and what it chose, as pairs."""
    chosen = found.chosen
    if found.path is None:
        share = f"{chosen['threshold']:.4g} of {chosen['half_samples']} half-samples"
        grid = f"alphas from {chosen['smallest_alpha']:.6g}"
        most = f"{chosen['expected_false']:.3g} features expected at most"
        return [
            ("by", f"stability: selected by at least {share}, {grid}"),
            ("noise", f"{most} ({chosen['bound']})"),
        ]
    alpha = f"{chosen['alpha']:.6g}"
    if "mean_mse" not in chosen:
        return [("by", found.by), ("alpha", f"{alpha}: {found.by} {chosen[found.by]:.6g}")]
    gamma = f", gamma {chosen['gamma']:.4g}" if "gamma" in chosen else ""
    error = f"mean squared error {chosen['mean_mse']:.6g} +- {chosen['standard_error']:.2g}"
    return [("by", found.by), ("alpha", f"{alpha}{gamma}: {error}")]


def _print_features(found: Selected, stage: SelectStage) -> None:
    from dasklasso.cli.tables import print_table

    saved = found.path is not None or stage.table is not None
    shown = found.features[:SHOWN] if saved else found.features
    if not shown:
        return
    heading = "probability" if found.path is None else "coef"
    rows = [(str(row["feature"]), f"{row[heading]:.6g}") for row in shown]
    print_table(None, ("feature", heading), rows, left=("feature",))
    if len(found.features) > len(shown):
        where = f"dasklasso show {stage.out}" if found.path is not None else str(stage.table)
        echo(f"{len(found.features) - len(shown):,} more: {where}")
