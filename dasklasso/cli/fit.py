"""``dasklasso fit``, ``path`` and ``cv``: fit models to a store, with progress and a report."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.commands import Failure
from dasklasso.cli.text import echo
from dasklasso.errors import CheckpointError, OptionError, StoreError, WriteFailed

if TYPE_CHECKING:
    from dasklasso.cross_validation.error_curve import CrossValidation
    from dasklasso.cross_validation.record import CvRecord
    from dasklasso.jobs.fit_stage import SolveStage
    from dasklasso.model.path import FittedPath


@click.command(
    "fit",
    short_help="Fit a model at chosen alphas.",
    epilog=options.example("dasklasso fit diabetes.zarr --alpha 0.1 --out model"),
)
@click.argument("store")
@options.alphas("Strength of the penalty; may be repeated.", required=True)
@options.out
@options.model
@options.stochastic
@options.cluster
@options.checkpoint
@options.statistics
@options.overwrite
@options.quiet
@options.as_json
def fit_command(as_json: bool, **values: Any) -> None:
    """Fit a model to STORE at one alpha, or at several.

    Minimises (1/2n) |y - Xw - b|² + alpha (l1_ratio |w|₁ + (1 - l1_ratio)/2 |w|²), and
    certifies the result with a duality gap.
    """
    from dasklasso.jobs.fit_stage import FitStage

    _solve(FitStage(**values), as_json=as_json)


@click.command(
    "path",
    short_help="Fit a model along a grid of alphas.",
    epilog=options.example("dasklasso path diabetes.zarr --n-alphas 100 --out model --json"),
)
@click.argument("store")
@options.grid
@options.stop_saturated
@options.out
@options.table
@options.model
@options.stochastic
@options.cluster
@options.checkpoint
@options.statistics
@options.overwrite
@options.quiet
@options.as_json
def path_command(as_json: bool, **values: Any) -> None:
    """Fit models to STORE along a grid of alphas.

    The grid is geometric, from the smallest alpha that makes every penalised coefficient zero
    down to eps times that.
    """
    from dasklasso.jobs.fit_stage import PathStage

    _solve(PathStage(**values), as_json=as_json)


@click.command(
    "cv",
    short_help="Choose alpha by cross-validation.",
    epilog=options.example("dasklasso cv diabetes.zarr --folds 5 --out model --table curve.csv"),
)
@click.argument("store")
@options.folds("Number of folds.", "Of random folds.")
@options.criterion
@options.alphas("Instead of a grid; may be repeated.")
@options.l1_ratios
@options.grid
@options.stop_saturated
@options.out
@options.table
@options.model
@options.cluster
@options.checkpoint
@options.statistics
@options.overwrite
@options.quiet
@options.as_json
def cv_command(as_json: bool, **values: Any) -> None:
    """Choose alpha for STORE by cross-validation, and certify the whole path on all rows.

    Of squared loss the folds share one read of the data, and the path is certified in a second:
    two reads in all, or one where statistics of these folds are kept. Problems of other losses
    share all reads, a dozen or so.
    """
    from dasklasso.jobs.fit_stage import CvStage

    _solve(CvStage(**values), as_json=as_json)


def _solve(stage: SolveStage, *, as_json: bool) -> None:
    path = run_with_progress(stage)
    if as_json:
        summary = {**path.summary(), "model": str(Path(stage.out))}
        echo(json.dumps(summary))
    else:
        report(path, stage.out)
    require_convergence(path, stage)


def run_with_progress(stage: SolveStage) -> FittedPath:
    """Run a stage with progress on standard error; if it ends early, say what was kept."""
    from dasklasso.cli.progress import ScanProgress

    before = _standing(stage)
    try:
        with ScanProgress(
            tol=stage.tol, resumed=stage.resume, quiet=options.is_quiet()
        ) as progress:
            return stage.run(progress=progress, announce=progress.announce)
    except KeyboardInterrupt as error:
        cause = str(error) or "interrupted."
        kept = what_was_kept(stage, before) or "Nothing was kept" + (
            f" yet in {stage.checkpoint}." if stage.checkpoint else ": there was no --checkpoint."
        )
        raise Failure(f"{cause} {kept}") from error
    except Exception as error:
        # a command that was refused is refused again
        again = not isinstance(error, OptionError | CheckpointError)
        if again and (kept := what_was_kept(stage, before, damaged=_is_of_store(error))):
            error.add_note(kept)  # which ends the line that says what went wrong
        raise


def _is_of_store(error: Exception) -> bool:
    """Tell whether what is stored is at fault: the same command fails until that is mended."""
    return isinstance(error, StoreError) and not isinstance(error, WriteFailed)


def what_was_kept(stage: SolveStage, before: Collection[object], *, damaged: bool = False) -> str:
    """Say what of a fit that ended early is on the disk, and how to go on from there.

    Parameters
    ----------
    before : what there was when the fit began, as :func:`_standing` gave it: that is of other fits
    damaged : whether the fit ended for a damaged store, which moments are then no help to read
    """
    new = {file for file, when in _standing(stage) if (file, when) not in before}
    states = _states(stage)
    if any(state in new for state in states):
        return (
            f"The checkpoint is in {stage.checkpoint}: the same command with --resume goes on "
            "from there."
        )
    moments = next((file.parent.parent for file in sorted(new)), None)
    if moments is not None and not damaged:
        return f"Second moments of the data are kept in {moments}: the same command reads them."
    if stage.resume and any(state.exists() for state in states):
        return f"The checkpoint in {stage.checkpoint} is as it was."
    return ""


def _standing(stage: SolveStage) -> set[tuple[Path, tuple[int, int]]]:
    """Return the documents of checkpoints and of moments that there are, and since when."""
    found = set()
    for file in (*_states(stage), *stage.kept_statistics()):
        with suppress(OSError):
            status = file.stat()
            found.add((file, (status.st_ino, status.st_mtime_ns)))
    return found


def _states(stage: SolveStage) -> list[Path]:
    """Return where the states of a checkpoint say what they are."""
    from dasklasso.solvers.checkpoint import FALLBACK, STATE

    if stage.checkpoint is None:
        return []
    folder = Path(stage.checkpoint)
    return [place / STATE / "zarr.json" for place in (folder / FALLBACK, folder)]


def report(path: FittedPath, model: str) -> None:
    """Print a few lines about the fitted path to standard output."""
    from dasklasso.units import counted, format_size

    used = path.n_nonzero
    span = f"{path.alphas[0]:.6g}"
    features = f"{used[0]:,} of {path.n_features:,} features"
    if path.n_alphas > 1:
        span = f"{path.n_alphas} alphas, {path.alphas[0]:.6g} to {path.alphas[-1]:.6g}"
        features = f"{used[0]:,} to {used[-1]:,} of {path.n_features:,} features"
    echo(f"alpha     {span}")
    if "huber_delta" in path.penalty_options:
        echo(f"delta     {path.penalty_options['huber_delta']:.6g}")
    if path.cross_validation is not None:
        _report_choice(path, path.cross_validation)
    echo(f"selected  {features}")
    echo(f"gap       {path.dual_gap.max():.2g} at worst, asked for {path.tol:.2g}")
    echo(
        f"cost      {counted(path.scans, 'scan')}, {format_size(path.bytes_read)} read, "
        f"{path.seconds:.3g} s, peak memory {format_size(path.peak_memory_bytes)} ({path.solver})"
    )
    if path.plan is not None:
        echo(f"planned   {_planned(path.plan)}")
    echo(f"model     {model}")


_CRITERIA = {
    "mse": "mean squared error",
    "loss": "mean loss",
    "auc": "area under the curve",
    "accuracy": "share predicted",
}


def _report_choice(path: FittedPath, record: CvRecord) -> None:
    best, at = record.best, path.grid_index(record.alpha)
    assert at is not None
    ratio = f", l1_ratio {record.l1_ratio:.4g}" if len(record.by_ratio) > 1 else ""
    echo(
        f"chosen    {record.alpha:.6g}{ratio}: {path.n_nonzero[at]:,} features, "
        f"{_CRITERIA[best.criterion]} {best.mean_score[at]:.6g} +- {best.standard_error[at]:.2g}"
    )
    named = [name for name in best.scores if not name.endswith("_bound")]
    if named:
        known = [_shown(best, name, at) for name in named]
        echo(f"scores    {', '.join(one for one in known if one)}, on rows left out")
    echo(
        f"folds     {record.n_folds} {record.folds}; alpha_min {best.alpha_min:.6g}, "
        f"alpha_1se {best.alpha_1se:.6g}"
    )


def _shown(curve: CrossValidation, name: str, at: int) -> str:
    """Format a mean score, its error bound and the folds that have it; "" where none has."""
    from dasklasso.cross_validation.error_curve import folds_with

    mean, bound = curve.mean_scores[name][at], curve.mean_scores.get("auc_bound")
    if not math.isfinite(mean):
        return ""
    within = f" within {bound[at]:.1g}" if name == "auc" and bound is not None else ""
    has = folds_with(curve.scores[name])
    some = "" if has.all() else f" of {has.sum()} folds (the others have one class)"
    return f"{name} {mean:.4g}{within}{some}"


def _planned(plan: dict[str, Any]) -> str:
    """Format a plan in the order of the cost line above it."""
    from dasklasso.units import counted, format_size

    about = "" if plan["seconds"] is None else f"about {plan['seconds']:.2g} s, "
    return (
        f"{counted(plan['scans'], 'scan')}, {format_size(plan['bytes_to_read'])} to read, {about}"
        f"memory {format_size(plan['memory_bytes'])}"
    )


def require_convergence(path: FittedPath, stage: SolveStage) -> None:
    """Exit with code 1 where a gap is above the tolerance. The model is saved all the same."""
    if path.converged:
        return
    from dasklasso.units import counted

    worst = int(path.dual_gap.argmax())
    n_above = int((path.dual_gap > path.tol).sum())
    more = "--epochs" if path.solver == "prox_sgd" else "--max-scans"
    on = f"--overwrite and more {more} may help"
    if stage.checkpoint:
        on = (
            f"the checkpoint is in {stage.checkpoint}: --resume, --overwrite and more {more} go "
            "on from there"
        )
    if path.solver != "prox_sgd" and path.scans < stage.max_scans:  # they did not run out
        on = (
            "it got no further, so that more scans do not help: --overwrite and a larger --tol or "
            "--eps may"
        )
        if stage.checkpoint:
            on += f". The checkpoint stays in {stage.checkpoint}"
    raise Failure(
        f"not converged: {n_above} of {path.n_alphas} alphas have a gap above {path.tol:.2g} "
        f"(worst {path.dual_gap[worst]:.2g} at alpha {path.alphas[worst]:.6g}) after "
        f"{counted(path.scans, 'scan')}. The model is saved in {stage.out}; {on}."
    )
