"""``dasklasso plan``: say what a fit will read, compute and need, before it starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dasklasso.cli import options
from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.fit.machine import Machine
    from dasklasso.fit.plan import Plan
    from dasklasso.jobs.fit_stage import SolveStage


@click.command(
    "plan",
    short_help="Say what a fit will cost, before it starts.",
    epilog=options.example("dasklasso plan diabetes.zarr --folds 5 --memory 1.5GiB"),
)
@click.argument("store")
@options.alphas("Plan a fit at this alpha; may be repeated [default: a grid].")
@options.grid
@options.stop_saturated
@options.folds("Plan a cross-validation.", "Of random folds, and of solver prox_sgd.", default=None)
@options.criterion
@options.l1_ratios
@options.model
@options.steps
@options.cluster
@options.statistics
@options.as_json
@click.pass_context
def plan_command(context: click.Context, as_json: bool, **values: Any) -> None:
    """Show which solver fits STORE and why, how often it reads the data, and what it needs.

    Takes the options of fit, path and cv: a cross-validation is planned where one of cv's is
    given. Reads a few chunks, to measure how fast they come, and fits nothing. Exit code 2 where
    the memory does not suffice.
    """
    from dasklasso.cli.tables import print_pairs

    plan, machine = _plan(_stage(context, values))
    if as_json:
        from dataclasses import asdict

        measured = None if machine is None else asdict(machine)
        echo(json.dumps({**plan.to_json(), "machine": measured}))
    else:
        print_pairs(_lines(plan, machine))


_OF_CV = ("folds", "fold_kind", "rule", "criterion", "l1_ratios")


def _stage(context: click.Context, values: dict[str, Any]) -> SolveStage:
    """Make the fit that is asked for: at chosen alphas, along a grid, or cross-validated."""
    from dasklasso.jobs.fit_stage import CvStage, FitStage, PathStage

    def given(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    on_grid = next((name for name in ("n_alphas", "eps") if given(name)), None)
    if values["alpha"] and on_grid is not None:
        option = on_grid.replace("_", "-")
        raise click.UsageError(f"--alpha and --{option}: give one of them.")
    if any(given(name) for name in _OF_CV):
        folds = CvStage.folds if values["folds"] is None else values["folds"]
        return CvStage(out="", **values | {"folds": folds})
    values = {name: value for name, value in values.items() if name not in _OF_CV}
    if not values["alpha"]:
        return PathStage(out="", **_without(values, "alpha"))
    return FitStage(out="", **_without(values, "n_alphas", "eps", "stop_saturated"))


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _plan(stage: SolveStage) -> tuple[Plan, Machine | None]:
    from functools import partial

    from dasklasso.dataset.labels.offsets import less_offset
    from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme
    from dasklasso.fit.fit import check_folds
    from dasklasso.fit.history import case_of_run, with_history
    from dasklasso.fit.machine import machine_for
    from dasklasso.fit.plan import plan_fit
    from dasklasso.fit.statistics import are_stored
    from dasklasso.fit.targets import labelled, with_classes, with_free_covariates
    from dasklasso.jobs.fit_stage import CvStage

    data = stage.open_data()
    run = stage._solve_options()
    assignment, n_ratios = FoldAssignment(FoldScheme()), 1
    if isinstance(stage, CvStage):
        assignment, n_ratios = stage._cv_options().assignment(data), max(1, len(stage.l1_ratios))
    asked = stage._fit_options(data)
    coded = labelled(data, asked)
    asked = with_free_covariates(with_classes(asked, coded), data)
    if isinstance(stage, CvStage):
        check_folds(coded, asked, stage._cv_options(), assignment)
    kept = are_stored(less_offset(data), assignment.scheme, run)
    plan = partial(
        plan_fit,
        data,
        asked,
        run,
        n_folds=assignment.n_folds,
        n_ratios=n_ratios,
        statistics_kept=kept,
    )
    found = plan()  # what cannot fit is refused before anything is read
    machine = machine_for(data, run)
    if machine is not None:
        found = plan(machine=machine)
    case = case_of_run(found, asked, run, statistics_kept=kept, n_ratios=n_ratios)
    return with_history(found, data, run, case), machine


def _lines(plan: Plan, machine: Machine | None) -> Iterator[tuple[str, str]]:
    from dasklasso.units import format_size

    yield "solver", f"{plan.solver}: {plan.why}"
    targets = f", {plan.n_targets:,} targets" if plan.n_targets > 1 else ""
    yield "data", f"{plan.n_rows:,} rows x {plan.n_features:,} features{targets}"
    folds = f", {plan.n_folds} folds" if plan.n_folds > 1 else ""
    yield "alphas", f"{plan.n_alphas:,}{folds}"
    yield "scans", f"{plan.scans:.4g}{_range(plan)}"
    yield "read", format_size(plan.bytes_to_read)
    yield "compute", f"{_figure(plan.flops / 1e9)} GFLOP"
    yield (
        "memory",
        f"{format_size(plan.memory_bytes)} needed, {format_size(plan.memory_limit)} allowed",
    )
    where = f"workers: {plan.workers}, each with" if plan.workers else "in this process,"
    yield (
        "a worker",
        f"{format_size(plan.memory_per_worker)}; {where} {plan.threads} thread"
        + ("s" if plan.threads > 1 else ""),
    )
    if plan.seconds is not None and machine is not None:
        yield (
            "time",
            f"about {_figure(plan.seconds)} s: reads {machine.bytes_per_second / 1e9:.2g} GB/s, "
            f"computes {machine.flops_float32 / 1e9:.3g} GFLOP/s in float32, "
            f"{machine.flops_float64 / 1e9:.3g} in float64",
        )
    if plan.note:
        yield "note", plan.note


def _range(plan: Plan) -> str:
    """Format the fewest and the most scans; "" where the number is certain."""
    if plan.scans_least == plan.scans_most:
        return ""
    return f" ({plan.scans_least:,} to {plan.scans_most:,})"


def _figure(number: float) -> str:
    """Format two digits, or all those before the point: 0.43, 8.1, 12,700."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
