"""Which solver fits the data, the options and the memory. Arithmetic on shapes and chunks only.

What a solver requires and needs is in the registry; it is compared with what a fit asks and may
have, so that a fit that cannot be done is refused before anything of X is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import MemoryLimitError, OptionError
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import Memory, memory_limit
from dasklasso.solvers.entry import Case, ScanCost, SolverEntry, case_of
from dasklasso.solvers.registry import refusal, solver_entries, solver_entry
from dasklasso.units import format_size

READ_RATE = 1e9  # bytes a second, of a disk
FLOP_BYTES_RATE = 1.6e11  # flops a second times bytes of a number: 20 GFLOP/s in float64


@dataclass(frozen=True)
class Choice:
    """A solver.

    Attributes
    ----------
    entry : SolverEntry
    why : half a sentence
    memory : bytes that it needs in all processes together
    memory_per_worker : bytes that one process that computes needs
    """

    entry: SolverEntry
    why: str
    memory: int
    memory_per_worker: int

    @property
    def solver(self) -> str:
        """Its name."""
        return self.entry.name


def choose_solver(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    n_folds: int = 1,
    *,
    statistics_kept: bool = False,
) -> Choice:
    """Choose among solvers by what they need and cost. Nothing is read and nothing is measured.

    Parameters
    ----------
    n_folds : int
        Of a cross-validation; 1 for a fit without one.
    statistics_kept : bool
        Whether an earlier fit left its statistics, so that the Gram scan is not needed.

    Raises
    ------
    MemoryLimitError
        When ``solver="gram"`` or a cross-validation needs more than the limit: ``run.memory``, or
        half of what is available now.
    OptionError
        When the solver asked for cannot do it, or none can.
    """
    case = case_of(data, options, run, n_folds)
    if options.solver != "auto":
        return _asked_for(data, options, run, case)
    able = [
        entry
        for entry in solver_entries()
        if entry.is_automatic(case.loss) and not refusal(entry, case)
    ]
    if not able:
        raise OptionError(_none_can(case))
    limit, doubts, fitting = memory_limit(run), [], []
    for entry in able:
        need = entry.memory(data, options, run, n_folds)
        figures = f"{format_size(need.total)} needed, {format_size(limit)} allowed"
        doubt = entry.doubt(data, options)
        if not doubt and need.total > limit and entry.too_large:
            doubt = f"{entry.too_large} ({figures})"
        # the last resort is taken whatever it needs
        if doubt and (entry is not able[-1] or entry.comparable):
            doubts.append(doubt)
            continue
        fitting.append((entry, _choice(entry, _why(entry, case, figures, doubts), need)))
    if not fitting:
        first = able[0]
        need = first.memory(data, options, run, n_folds)
        if need.total > limit:
            raise _too_much(data, first.name, need, limit, case)
        why = _why(first, case, doubts[0], []) if len(able) > 1 else "no other solver can"
        return _choice(first, why, need)
    if n_folds > 1 and fitting[0][1].memory > limit:
        first = fitting[0][0]
        need = first.memory(data, options, run, n_folds)
        raise _too_much(data, first.name, need, limit, case)
    return _cheapest(
        [
            (_seconds(data, entry.scans(data, options, run, n_folds, statistics_kept)), choice)
            for entry, choice in fitting
            if entry.comparable or entry is fitting[0][0]
        ]
    )


def _cheapest(choices: Sequence[tuple[float, Choice]]) -> Choice:
    """Return the choice that takes the fewest seconds; among equal ones the first."""
    return min(choices, key=lambda one: one[0])[1]


def _seconds(data: Dataset, scans: Sequence[ScanCost]) -> float:
    """Return about how long scans take on any machine: reading and computing, one by one."""
    nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
    return sum(
        scan.times * (nbytes / READ_RATE + scan.flops * scan.dtype.itemsize / FLOP_BYTES_RATE)
        for scan in scans
    )


def _asked_for(data: Dataset, options: FitOptions, run: RunOptions, case: Case) -> Choice:
    entry = solver_entry(options.solver)
    refused = refusal(entry, case)
    if refused:
        raise OptionError(refused)
    need, limit = entry.memory(data, options, run, case.n_folds), memory_limit(run)
    if entry.too_large and need.total > limit:
        raise _too_much(data, entry.name, need, limit, case)
    return _choice(entry, "asked for", need)


def _choice(entry: SolverEntry, why: str, need: Memory) -> Choice:
    return Choice(entry, why, need.total, need.per_worker)


def _why(entry: SolverEntry, case: Case, figures: str, doubts: list[str]) -> str:
    loss = case.loss
    if case.n_folds > 1 and loss.quadratic and entry.make is None:
        return f"{case.n_folds} folds from one scan ({figures})"
    if case.n_folds > 1 and not loss.quadratic and not entry.comparable:
        return "; ".join([f"loss {loss.name}, and fista has no folds of it", *doubts])
    if doubts and not entry.comparable:
        return "; ".join(doubts if loss.quadratic else [f"loss {loss.name}", *doubts])
    because = entry.because.format(loss=loss.name) or f"loss {loss.name}"
    return f"{because} ({figures})" if loss.quadratic or entry.comparable else because


def _none_can(case: Case) -> str:
    """Return what stands in the way of the solver that would be taken."""
    of_loss = [
        entry
        for entry in solver_entries()
        if entry.is_automatic(case.loss) and entry.requires.has_folds_of(case.loss)
    ]
    return refusal(of_loss[0], case)


def _too_much(data: Dataset, name: str, need: Memory, limit: int, case: Case) -> MemoryLimitError:
    folds, ways = "", []
    if case.n_folds > 1:
        folds, ways = f" and {case.n_folds} folds", ["ask for fewer folds"]
    elif not refusal(solver_entry("fista"), case):
        ways = ["use solver fista"]
    fits = ""
    if name == "gram":  # which needs memory in proportion to the square of the features
        features = int(data.n_features * (limit / need.total) ** 0.5 // 100 * 100)
        fits = f" (about {features:,} features{folds} fit)" if features else ""
    return MemoryLimitError(
        f"memory: {limit:,} bytes, but {name} needs {format_size(need.total)} for "
        f"{data.n_features:,} features{folds}; {', or '.join([*ways, 'give more memory'])}{fits}"
    )
