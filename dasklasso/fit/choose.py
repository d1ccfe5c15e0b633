"""Which solver fits the data, the options and the memory. Arithmetic on shapes and chunks only.

What a solver needs is compared with what it may have, so that a fit that cannot be done is
refused before anything of X is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import MemoryLimitError, OptionError
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import (
    Memory,
    memory_limit,
)
from dasklasso.solvers.fista.cost import fista_memory
from dasklasso.solvers.gram.cost import gram_memory
from dasklasso.solvers.newton.cost import newton_memory, newton_refuses
from dasklasso.solvers.prox_sgd.cost import sgd_memory
from dasklasso.solvers.softmax.cost import softmax_unfit
from dasklasso.units import format_size


@dataclass(frozen=True)
class Choice:
    """A solver.

    Attributes
    ----------
    solver : {"gram", "newton", "fista", "prox_sgd"}
    why : half a sentence
    memory : bytes that it needs in all processes together
    memory_per_worker : bytes that one process that computes needs
    """

    solver: str
    why: str
    memory: int
    memory_per_worker: int


def choose_solver(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Choice:
    """Choose among solvers by what they need. Nothing is read and nothing is measured.

    Parameters
    ----------
    n_folds : int
        Of a cross-validation; 1 for a fit without one.

    Raises
    ------
    MemoryLimitError
        When ``solver="gram"`` or a cross-validation needs more than the limit: ``run.memory``, or
        half of what is available now.
    OptionError
        When the solver asked for cannot do it: gram needs squared loss, folds need gram or, for
        other losses, newton; prox_sgd and newton need bands that hold all columns.
    """
    squared = options.loss == "squared"
    why = "asked for"
    if n_folds > 1 and options.solver == "auto" and not squared:
        options = replace(options, solver="newton")
        why = f"loss {options.loss}, and no other solver has folds of it"
    if options.solver not in ("auto", "gram"):
        if n_folds > 1 and (squared or options.solver != "newton"):
            able = "gram" if squared else "newton"
            raise OptionError(f"solver: {options.solver} cannot cross-validate, {able} can")
        if options.solver == "newton":
            refused = newton_refuses(data, options, run)
            if refused:
                instead = "; fista can" if n_folds == 1 else ", and no other solver has folds"
                raise OptionError(f"solver: newton {refused}{instead}")
            need = newton_memory(data, options, run, n_folds)
        else:
            need = _NEEDS[options.solver](data, options, run)
        return Choice(options.solver, why, need.total, need.per_worker)
    must = options.solver == "gram" or n_folds > 1
    if must and not squared:
        raise OptionError(f"loss: {options.loss} found, but gram needs squared")
    penalty = options.penalty_type
    if must and not penalty.separable:
        raise OptionError(f"penalty: {penalty.name} found, but gram needs elastic_net")
    gram, limit = gram_memory(data, options, run, n_folds), memory_limit(run)
    fits = gram.total <= limit
    if must and not fits:
        raise _too_much(data, gram, limit, n_folds)
    figures = f"{format_size(gram.total)} needed, {format_size(limit)} allowed"
    if must or (squared and penalty.separable and fits and options.max_scans > 1):
        why = f"squared loss, and the Gram matrix fits in memory ({figures})"
        if must:
            why = "asked for" if n_folds == 1 else f"{n_folds} folds from one scan ({figures})"
        return Choice("gram", why, gram.total, gram.per_worker)
    why = f"the Gram matrix does not fit in memory ({figures})"
    if not squared or options.max_scans < 2:
        why = f"loss {options.loss}" if not squared else "gram needs two scans"
    refused = newton_refuses(data, options, run)
    if options.loss_value.n_outputs > 1 and not refused:
        unfit = softmax_unfit(data, options)
        if unfit:
            why, refused = f"{why}; {unfit}", unfit
    need = newton_memory(data, options, run)
    if not squared and not refused and need.total <= limit:
        return Choice("newton", why, need.total, need.per_worker)
    need = fista_memory(data, options, run)
    return Choice("fista", why, need.total, need.per_worker)


def _too_much(data: Dataset, need: Memory, limit: int, n_folds: int) -> MemoryLimitError:
    folds, instead = "", "use solver fista"
    if n_folds > 1:
        folds, instead = f" and {n_folds} folds", "ask for fewer folds"
    return MemoryLimitError(
        f"memory: {limit:,} bytes, but gram needs {format_size(need.total)} for "
        f"{data.n_features:,} features{folds}; {instead}, or give more memory"
    )


# -- memory -------------------------------------------------------------------------------------


_NEEDS = {"fista": fista_memory, "prox_sgd": sgd_memory}
