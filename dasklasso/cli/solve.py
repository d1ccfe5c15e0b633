"""``dasklasso fit`` and ``dasklasso path``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.commands import Failure

if TYPE_CHECKING:
    from dasklasso.result import FittedPath
    from dasklasso.stages import SolveStage


@click.command(
    "fit",
    short_help="Fit a model at chosen alphas.",
    epilog=options.example("dasklasso fit diabetes.zarr --alpha 0.1 --out model"),
)
@click.argument("store")
@click.option(
    "--alpha",
    type=click.FloatRange(min=0),
    multiple=True,
    required=True,
    help="Strength of the penalty; may be repeated.",
)
@click.option("--out", required=True, metavar="MODEL", help="Folder the model is saved to.")
@options.model
@options.cluster
@options.checkpoint
@options.overwrite
@options.as_json
def fit_command(as_json: bool, **values: Any) -> None:
    """Fit a model to STORE at one alpha, or at several.

    Minimises (1/2n) |y - Xw - b|² + alpha (l1_ratio |w|₁ + (1 - l1_ratio)/2 |w|²), and
    certifies the result with a duality gap.
    """
    from dasklasso.stages import FitStage

    _solve(FitStage(**values), as_json=as_json)


@click.command(
    "path",
    short_help="Fit a model along a grid of alphas.",
    epilog=options.example("dasklasso path diabetes.zarr --n-alphas 100 --out model --json"),
)
@click.argument("store")
@click.option("--n-alphas", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--eps",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Smallest alpha over the largest [default: 1e-3, or 1e-2 where features outnumber rows].",
)
@click.option("--out", required=True, metavar="MODEL", help="Folder the model is saved to.")
@options.model
@options.cluster
@options.checkpoint
@options.overwrite
@options.as_json
def path_command(as_json: bool, **values: Any) -> None:
    """Fit models to STORE along a grid of alphas.

    The grid is geometric, from the smallest alpha that makes every penalised coefficient zero
    down to eps times that.
    """
    from dasklasso.stages import PathStage

    _solve(PathStage(**values), as_json=as_json)


def _solve(stage: SolveStage, *, as_json: bool) -> None:
    path = run_with_progress(stage)
    if as_json:
        summary = {**path.summary(), "model": str(Path(stage.out))}
        click.echo(json.dumps(summary))
    else:
        report(path, stage.out)
    require_convergence(path, stage)


def run_with_progress(stage: SolveStage) -> FittedPath:
    """Run a stage with progress on standard error; interrupted, say what was kept."""
    from dasklasso.cli.progress import ScanProgress

    try:
        with ScanProgress(tol=stage.tol) as progress:
            return stage.run(progress=progress, announce=progress.announce)
    except KeyboardInterrupt as error:
        cause = str(error) or "interrupted."
        if stage.checkpoint is None:
            raise Failure(f"{cause} Nothing was kept: there was no --checkpoint.") from error
        raise Failure(
            f"{cause} The checkpoint is in {stage.checkpoint}: "
            "the same command with --resume goes on from there."
        ) from error


def report(path: FittedPath, model: str) -> None:
    """A few lines on standard output about what was fitted."""
    from dasklasso.sizes import format_size

    used = path.n_nonzero
    span = f"{path.alphas[0]:.6g}"
    features = f"{used[0]:,} of {path.n_features:,} features"
    if path.n_alphas > 1:
        span = f"{path.n_alphas} alphas, {path.alphas[0]:.6g} to {path.alphas[-1]:.6g}"
        features = f"{used[0]:,} to {used[-1]:,} of {path.n_features:,} features"
    click.echo(f"alpha     {span}")
    click.echo(f"selected  {features}")
    click.echo(f"gap       {path.dual_gap.max():.2g} at worst, asked for {path.tol:.2g}")
    click.echo(
        f"cost      {path.scans:.4g} scans, {format_size(path.bytes_read)} read, "
        f"{path.seconds:.3g} s, peak memory {format_size(path.peak_memory_bytes)} ({path.solver})"
    )
    click.echo(f"model     {model}")


def require_convergence(path: FittedPath, stage: SolveStage) -> None:
    """Exit 1, saying so, where a gap is above the tolerance. The model is saved all the same."""
    if path.converged:
        return
    worst = int(path.dual_gap.argmax())
    n_above = int((path.dual_gap > path.tol).sum())
    on = "--resume and more --max-scans go on" if stage.checkpoint else "more --max-scans may help"
    raise Failure(
        f"not converged: {n_above} of {path.n_alphas} alphas have a gap above {path.tol:.2g} "
        f"(worst {path.dual_gap[worst]:.2g} at alpha {path.alphas[worst]:.6g}) after "
        f"{path.scans:.4g} scans. The model is saved in {stage.out}; {on}."
    )
