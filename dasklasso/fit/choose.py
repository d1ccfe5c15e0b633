"""Which solver fits the data, the options and the memory. Arithmetic on shapes and chunks only.

What a solver needs is compared with what it may have, so that a fit that cannot be done is
refused before anything of X is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import psutil

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import MemoryLimitError, OptionError
from dasklasso.moments.cells import Labelling
from dasklasso.moments.gram_scan import default_blocks, in_tiles
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.layout import Layout, layout_of
from dasklasso.scan.queries.folds import SCORE_SUMS
from dasklasso.scan.queries.kernels import slab_rows
from dasklasso.scan.runners import PROCESS_BYTES, threads_each
from dasklasso.solvers.fista.slots import slots_for
from dasklasso.solvers.gram.solver import POINT_BYTES, points_at_once
from dasklasso.solvers.newton.hessian_model import node_places
from dasklasso.solvers.newton.hessian_schedule import Limits
from dasklasso.solvers.softmax.solver import in_double
from dasklasso.units import format_size

NEWTON_COLUMNS = 4096  # of a Hessian
HESSIAN_BYTES = 512 << 20  # of all Hessians, and of their sums in every thread
SAMPLE_BYTES = 128 << 20
SAMPLE_ROWS = 64  # for each column: then its Hessian is within a quarter of that of all rows
HELD_BYTES = 256 << 20  # of rows held in memory for a softmax loss
HELD_ROWS = 20  # of a sample, for each column and class: fewer, and steps would go astray
SOFTMAX_COORDINATES = 8192  # of a softmax loss's Hessian; in float64 fewer, of as many bytes
SOFTMAX_CLASSES = 30  # each pair of classes is a Gram matrix of its own
SAMPLED_VALUES = 20_000_000  # of X: with fewer a scan costs no more than the sample's would
BANDS_IN_FLIGHT = 4  # of a thread that takes moments by tiles: rows read, and written down


@dataclass(frozen=True)
class Memory:
    """Bytes that a fit needs, in all processes together.

    Attributes
    ----------
    once : what the process that drives the fit holds
    per_thread : what every thread that computes holds
    workers : worker processes, or 0 for threads in the process that drives
    threads : of each worker
    """

    once: int
    per_thread: int
    workers: int
    threads: int

    @property
    def total(self) -> int:
        """Of all processes."""
        at_work = max(1, self.workers) * self.threads * self.per_thread
        return PROCESS_BYTES * (self.workers + 1) + self.once + at_work

    @property
    def per_worker(self) -> int:
        """Of one process that computes."""
        if not self.workers:
            return self.total
        return PROCESS_BYTES + self.threads * self.per_thread


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
    gram, limit = gram_memory(data, options, run, n_folds), memory_limit(run)
    fits = gram.total <= limit
    if must and not fits:
        raise _too_much(data, gram, limit, n_folds)
    figures = f"{format_size(gram.total)} needed, {format_size(limit)} allowed"
    if must or (squared and fits and options.max_scans > 1):
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


def memory_limit(run: RunOptions) -> int:
    """Bytes that a fit may take: what it was given, or half of what is available now."""
    return psutil.virtual_memory().available // 2 if run.memory is None else run.memory


def workers_and_threads(run: RunOptions) -> tuple[int, int]:
    """Worker processes (0: threads in this process), and threads of each, on this machine."""
    return run.workers or 0, threads_each(run.workers)


# -- memory -------------------------------------------------------------------------------------


def gram_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Memory:
    """What ``solver="gram"`` needs."""
    workers, threads = workers_and_threads(run)
    width = data.n_features + data.n_targets + 1  # of [X, y, 1]
    cell = 8 * width**2  # the second moments of some rows, float64
    folds = Labelling("random" if n_folds > 1 else "none", n_folds)
    # a path's coefficients, and what certifies them
    once = _path_bytes(data, options)
    once += certified_at_once(data, options) * POINT_BYTES * data.n_features
    if in_tiles(width - 1, folds, n_folds):
        # one for each fold, the tiles of one half that it is put together from, and the
        # standardised one; then the total of the folds, and one that is being added
        once += n_folds * cell * 3 // 2 + cell + (2 * cell if n_folds > 1 else 0)
        per_thread = BANDS_IN_FLIGHT * run.band_bytes
        if n_folds > 1:
            per_thread = max(per_thread, 2 * cell)  # all rows but one fold's, standardised
    else:
        n_blocks = default_blocks(data.n_rows, width - 1, folds, n_folds)
        # kept apart by fold and block of rows; their total, its standardised copy, one on its way
        once += n_folds * n_blocks * cell + 3 * cell
        # sums of each fold, a product to add, and a copy that leaves; in a cross-validation the
        # last two are then all rows but one fold's, and their standardised copy
        per_thread = (n_folds + 2) * cell + _reading_bytes(data, run)
    if n_folds > 1:
        once += math.ceil(math.log2(n_folds)) * cell  # unions of folds, by halves
    return Memory(once, per_thread, workers, threads)


def newton_refuses(data: Dataset, options: FitOptions, run: RunOptions) -> str:
    """Why ``solver="newton"`` cannot do it; "" where it can."""
    factor = options.penalty_factor
    if factor is not None and np.any(np.asarray(factor) == 0):
        return "has no unpenalised features"
    n_outputs = options.loss_value.n_outputs
    if options.grouped:
        return "has no penalty on groups"
    if n_outputs > SOFTMAX_CLASSES:
        return f"has at most {SOFTMAX_CLASSES} classes, and there are {n_outputs:,}"
    return "needs bands that hold all columns" if len(_layout(data, run).parts) > 1 else ""


def newton_limits(data: Dataset, options: FitOptions, run: RunOptions) -> Limits:
    """How many Hessians ``solver="newton"`` holds, and of how many columns."""
    columns = min(data.n_features, NEWTON_COLUMNS)
    _, threads = workers_and_threads(run)
    # held, and in every thread a sum of each that is taken, and one to add to it
    share = HESSIAN_BYTES // (8 * (columns + 1) ** 2 * (1 + 2 * threads))
    # wherever alpha_max will be, there are as many nodes below it
    wanted = node_places(options.grid(data, np.ones(1), 1.0), n_alphas_of(options)).size
    return Limits(min(max(2, share // max(1, data.n_targets)), wanted), columns)


def sample_step(data: Dataset) -> int:
    """One of how many rows ``solver="newton"`` holds in memory as a sample; 0 for none."""
    n, d = data.X.shape
    most = SAMPLE_BYTES // max(1, d * data.X.dtype.itemsize)
    rows = min(SAMPLE_ROWS * d, most, n // 4)
    worth_it = rows >= 8 * d and n * d >= SAMPLED_VALUES
    return max(4, n // rows) if worth_it else 0


def held_step(data: Dataset) -> int:
    """One of how many rows ``solver="newton"`` holds in memory for a softmax loss; 1 for all."""
    nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
    return max(1, math.ceil(nbytes / HELD_BYTES))


def softmax_coordinates(data: Dataset, options: FitOptions) -> int:
    """Most coordinates of a Hessian of a softmax loss."""
    double = in_double(data.X.dtype, options.tol)
    most = int(SOFTMAX_COORDINATES / math.sqrt(2)) if double else SOFTMAX_COORDINATES
    return min(most, (data.n_features + 1) * options.loss_value.n_outputs)


def softmax_unfit(data: Dataset, options: FitOptions) -> str:
    """Why ``solver="newton"`` would be a poor choice for a softmax loss; "" where it is a good one.

    It works whatever the data are, but by more scans than fista where a Hessian has few of the
    coordinates in use, or comes from too few rows.
    """
    d, n_outputs = data.n_features, options.loss_value.n_outputs
    most = softmax_coordinates(data, options)
    if (d + 1) * n_outputs > 2 * most:
        return f"{d:,} features in {n_outputs} classes are too many for a Hessian of {most:,}"
    every = held_step(data)
    rows, wanted = data.n_rows // every, HELD_ROWS * d * n_outputs
    if every > 1 and rows < wanted:
        return f"{rows:,} rows fit in memory, and a sample should have {wanted:,}"
    return ""


def _softmax_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int) -> Memory:
    """What ``solver="newton"`` needs for a softmax loss."""
    workers, threads = workers_and_threads(run)
    problems, n_outputs = n_problems_of(data, options), options.loss_value.n_outputs
    size = 8 if in_double(data.X.dtype, options.tol) else 4
    rows = data.n_rows // held_step(data)
    # folds' problems beside those of all rows
    array = 8 * data.n_features * problems * (n_folds + 1 if n_folds > 1 else 1)
    hessian = size * softmax_coordinates(data, options) ** 2
    grams = 3 * size * (data.n_features + 1) ** 2  # a thread's sum, a product, and one that waits
    # rows as they are put together, and probabilities; points, gradients and trials; a Hessian,
    # the part of it that a step takes, and that step's factor
    once = 2 * rows * data.n_features * data.X.dtype.itemsize + 2 * size * rows * n_outputs
    once += _path_bytes(data, options) + 4 * array + 3 * hessian + threads * grams
    return Memory(once, 2 * array + _reading_bytes(data, run), workers, threads)


def newton_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Memory:
    """What ``solver="newton"`` needs."""
    if options.loss_value.n_outputs > 1:
        return _softmax_memory(data, options, run, n_folds)
    workers, threads = workers_and_threads(run)
    limits, problems = newton_limits(data, options, run), n_problems_of(data, options)
    hessians = 8 * (limits.columns + 1) ** 2 * limits.nodes * max(1, data.n_targets)
    # folds' problems beside those of all rows, and what rows left out are scored by
    trained = problems * (n_folds + 1 if n_folds > 1 else 1)
    array, scores = 8 * data.n_features * trained, 8 * SCORE_SUMS * (trained if n_folds > 1 else 0)
    every = sample_step(data)
    sample = data.n_rows // every * data.n_features * data.X.dtype.itemsize if every else 0
    # points, gradients and what secants remember; models being minimised
    once = _path_bytes(data, options) + 8 * array + sample + 2 * hessians
    once += 3 * threads * 8 * (limits.columns + 1) ** 2
    # what a thread adds up, and what waits to be added to another's
    per_thread = 2 * (array + hessians + scores) + _reading_bytes(data, run)
    return Memory(once, per_thread, workers, threads)


def fista_memory(data: Dataset, options: FitOptions, run: RunOptions) -> Memory:
    """What ``solver="fista"`` needs, without the blocks it keeps decoded where there is room."""
    workers, threads = workers_and_threads(run)
    slots, problems = slots_in_flight(data, options), n_problems_of(data, options)
    # two columns for each problem in flight, its iterate and its extrapolated point, or one for
    # each of those that are certified together
    array = 8 * data.n_features * max(2 * slots, min(4 * slots, problems))
    once = 4 * array  # points and gradients, the last and the next; what is found is sparse
    # a thread's sum of gradients, and one to add to it
    return Memory(once, 2 * array + _reading_bytes(data, run), workers, threads)


def sgd_memory(data: Dataset, options: FitOptions, run: RunOptions) -> Memory:
    """What ``solver="prox_sgd"`` needs.

    Raises
    ------
    OptionError
        When X is too wide for a band to hold all of its columns.
    """
    workers, threads = workers_and_threads(run)
    n_parts = len(_layout(data, run).parts)
    if n_parts > 1:
        raise OptionError(
            f"solver: prox_sgd needs rows whole, and {data.n_features:,} features are read in "
            f"{n_parts} parts: use solver fista, or ingest with smaller chunks"
        )
    # iterates and averages of all problems, which are certified together
    array = 8 * data.n_features * 2 * n_problems_of(data, options)
    # those, before and after a step, and what it makes on its way; only one thread takes steps
    once = 6 * array + 2 * run.band_bytes
    return Memory(once, 2 * array + _reading_bytes(data, run), workers, threads)


def certified_at_once(data: Dataset, options: FitOptions) -> int:
    """Problems that gram certifies in one scan, as its solver decides."""
    return min(points_at_once(data.n_features), n_problems_of(data, options))


def _reading_bytes(data: Dataset, run: RunOptions) -> int:
    """Of a thread: a slab in float64; where blocks are decoded, one, one computed on, and slack."""
    X, layout = data.X, _layout(data, run)
    widest = int(np.diff(X.column_bounds).max())
    rows = min(slab_rows([widest], np.dtype(np.float64)), int(np.diff(layout.row_bounds).max()))
    slab = 8 * rows * max(layout.part_widths)
    return slab if X.mapped else slab + 3 * layout.block_bytes()


def _layout(data: Dataset, run: RunOptions) -> Layout:
    """How X is cut, as the engine cuts it."""
    X = data.X
    return layout_of(
        X.row_bounds, X.column_bounds, X.dtype.itemsize, run.band_bytes, divisible=X.mapped
    )


def _path_bytes(data: Dataset, options: FitOptions) -> int:
    """Of a path's coefficients: as they are found, in the units of the data, and in the model."""
    return 3 * 8 * n_problems_of(data, options) * data.n_features


def n_alphas_of(options: FitOptions) -> int:
    """Alphas that a fit has, given or of its grid."""
    return max(1, options.n_alphas if options.alphas is None else len(options.alphas))


def n_problems_of(data: Dataset, options: FitOptions) -> int:
    """Problems that a fit solves: one for each alpha and target, and each output of the loss."""
    return n_alphas_of(options) * max(1, data.n_targets) * max(1, options.loss_value.n_outputs)


def slots_in_flight(data: Dataset, options: FitOptions) -> int:
    """Problems that share each scan of fista, as its ``Drive`` decides."""
    n_problems, n_outputs = n_problems_of(data, options), max(1, options.loss_value.n_outputs)
    return slots_for(data.n_rows, data.n_features, n_problems, n_outputs)


_NEEDS = {"fista": fista_memory, "prox_sgd": sgd_memory}
