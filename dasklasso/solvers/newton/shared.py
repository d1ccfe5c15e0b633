"""What proximal Newton of one prediction a row and of several classes share: iterates, and folds.

An iterate is one problem: where it is, and what it tries next. Those of all rows come first, alpha
by alpha; those that each leave a fold of rows out follow, fold by fold, once problems of all rows
are where folds may start from. A checkpoint holds their points, and what gradients were like there;
Hessians are taken anew by the first scan of a fit that goes on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from dasklasso.problem.problem import Problem
from dasklasso.scan.queries.folds import ALL
from dasklasso.solvers.base import Frozen, Jobs, LeftOut, Setup, Solver, Standing, State
from dasklasso.solvers.certificate_scan import Certified
from dasklasso.solvers.newton.iterate import Iterate
from dasklasso.solvers.solution import Solution, nonzeros_of

FOLDS_JOIN_GAP = 1e-3  # gap of problems of all rows from which those of folds begin where they are
FLOAT64_FROM_GAP = 30.0  # times tol: the next step is likely to arrive, and needs float64
SCANS_WITHOUT_GAIN = {"float32": 2, "float64": 20}  # until a problem is given up

LARGEST_STARTED = 1e150  # of numbers in a checkpoint: their squares are numbers too


@dataclass(frozen=True)
class Start:
    """Where the problems of a fit begin: arrays (n_features, n_jobs) and (n_jobs,).

    From a checkpoint those of folds may follow, fold by fold: n_jobs · (1 + n_folds) columns.

    Attributes
    ----------
    points, intercepts : of the first trials
    gradients : there, more or less: which columns the first Hessians are wanted of
    solved : whether these are solutions already, so that a scan in float64 may certify them
    noise : by how much entries of the gradients may be off, where they are those of a sample
    """

    points: np.ndarray
    intercepts: np.ndarray
    gradients: np.ndarray
    solved: bool = False
    noise: float = 0.0

    def at(self, number: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """Point and intercepts of one problem of several outputs."""
        own = slice(number * n_outputs, (number + 1) * n_outputs)
        return np.ascontiguousarray(self.points[:, own]), self.intercepts[own]


def start_at(iterates: Sequence[Iterate]) -> Start:
    """Find where iterates are, each of one column, or of one for each class."""
    points = [iterate.point for iterate in iterates]
    return Start(
        np.column_stack([point.u for point in points]),
        np.hstack([point.b for point in points]),
        np.column_stack([point.gradient for point in points]),
    )


@dataclass(frozen=True)
class IterateState(State):
    """The state of proximal Newton.

    Attributes
    ----------
    iterates : of all problems; a new state has copies
    dtype : precision of the next scan's products
    start : where it began, or None
    most_scans : reads of X that there may be in all
    """

    iterates: list[Iterate]
    dtype: str
    start: Start | None
    most_scans: int

    @property
    def scans_left(self) -> int:
        return int(max(self.most_scans - self.scans, 0))

    @property
    def is_last(self) -> bool:
        """Whether one more scan is all there is."""
        return self.scans_left <= 1

    @property
    def n_whole(self) -> int:
        """Problems of all rows."""
        return len(self.jobs) // self.jobs.n_outputs

    @property
    def folds_joined(self) -> bool:
        """Whether problems of folds have begun."""
        return len(self.iterates) > self.n_whole

    def copies(self) -> list[Iterate]:
        """Return the iterates, for the next state to change."""
        return [copy(iterate) for iterate in self.iterates]


IterateStateT = TypeVar("IterateStateT", bound=IterateState)


class IterateSolver(Solver[IterateStateT], Generic[IterateStateT]):
    """Proximal Newton, as far as it does not depend on the number of outputs.

    Parameters
    ----------
    setup : Setup
    """

    name = "newton"
    certifies_when_stopped = False  # its last scan is one in float64
    least_scans = 1  # what was never evaluated has no gap

    def __init__(self, setup: Setup) -> None:
        self.setup, self.engine, self.problem = setup, setup.engine, setup.problem
        self.frame, self.settings, self.folds = setup.frame, setup.settings, setup.folds
        self.n_folds = 0 if self.folds is None else len(self.folds.weights)

    # -- the solver's protocol ----------------------------------------------------------------

    def done(self, state: IterateStateT) -> bool:
        """Tell whether all problems are certified, or given up."""
        return bool(state.iterates) and not self.in_flight(state)

    def solutions(self, state: IterateStateT) -> dict[int, Solution]:
        """Find where problems of all rows are."""
        outputs, found = state.jobs.n_outputs, {}
        for number, iterate in enumerate(state.iterates[: state.n_whole]):
            point = iterate.point
            columns = point.u.reshape(self.problem.n_features, outputs)
            slopes, intercepts = np.atleast_1d(point.slope), np.atleast_1d(point.b)
            for k in range(outputs):
                found[number * outputs + k] = Solution(
                    nonzeros_of(columns[:, k]),
                    iterate.objective,
                    iterate.gap,
                    float(slopes[k]),
                    certified=iterate.exact,
                    intercept=float(intercepts[k]),
                )
        return found

    def certified(
        self, state: IterateStateT, jobs: Sequence[int], found: Certified
    ) -> IterateStateT:
        """Return the state as it is: the solver's own scans certify."""
        return state

    def left_out(self, state: IterateStateT) -> Sequence[LeftOut]:
        """Return the problems of folds."""
        return [iterate for iterate in state.iterates if iterate.fold != ALL]

    def freeze(self, state: IterateStateT) -> Frozen:
        """Find where all problems are."""
        at = start_at(state.iterates)
        arrays = {"points": at.points, "gradient": at.gradients}
        return Frozen(
            {"intercepts": at.intercepts.tolist()},
            {name: self.engine.by_columns(array) for name, array in arrays.items()},
        )

    def thaw(self, jobs: Jobs, scans: float, bytes_read: int, frozen: Frozen) -> IterateStateT:
        """Return the state of problems that begin where :meth:`freeze` found them.

        Raises
        ------
        ValueError
            There is no number, or no column, for each problem.
        """
        intercepts = np.asarray(frozen.numbers["intercepts"], dtype=float)
        n_columns = {len(jobs), len(jobs) * (1 + self.n_folds)}
        if intercepts.ndim != 1 or intercepts.size not in n_columns:
            raise ValueError(f"{intercepts.size} intercepts, expected {max(n_columns)}")
        for name, array in frozen.arrays.items():
            if array.shape != (self.problem.n_features, intercepts.size):
                raise ValueError(f"{name} are {array.shape}, with {intercepts.size} intercepts")
        points = frozen.arrays["points"].compute()
        for name, found in (("points", points), ("intercepts", intercepts)):
            if not (np.abs(found) <= LARGEST_STARTED).all():
                raise ValueError(f"{name} have numbers beyond {LARGEST_STARTED:g}, or none")
        start = Start(points, intercepts, frozen.arrays["gradient"].compute())
        return self.begin(jobs, scans, bytes_read, start)

    # -- parts --------------------------------------------------------------------------------

    @abstractmethod
    def begin(self, jobs: Jobs, scans: float, bytes_read: int, start: Start) -> IterateStateT:
        """Return the state of problems that begin at a start."""

    @abstractmethod
    def in_flight(self, state: IterateStateT) -> list[int]:
        """Numbers of the iterates that the next scan evaluates."""

    def most_scans(self, scans: float) -> int:
        """Reads of X that there may be, after so many."""
        return int(max(self.settings.max_scans, scans + self.least_scans))

    def has_folds(self, start: Start | None, jobs: Jobs) -> bool:
        """Tell whether a start has problems of these folds too."""
        if start is None or not self.n_folds:
            return False
        return len(start.intercepts) == len(jobs) * (1 + self.n_folds)

    def folds_may_join(self, state: IterateState) -> bool:
        """Tell whether problems of all rows are where folds may start from."""
        near = all(iterate.certified or iterate.gap <= FOLDS_JOIN_GAP for iterate in state.iterates)
        return state.is_last or near

    def outside(self, fold: int) -> Problem:
        """Return the problem of the rows outside a fold, or of ALL rows."""
        return (
            self.problem if self.folds is None else self.folds.problem_outside(self.problem, fold)
        )

    def standing(self, iterates: Sequence[Iterate], shown: Iterate, *, n_done: int) -> Standing:
        """Tell how far problems are; ``shown`` is the one whose coefficients are counted."""
        gaps = [iterate.gap for iterate in iterates if iterate.known]
        worst = max(gaps, default=float("inf"))
        return Standing(n_done, len(iterates), worst, int(np.count_nonzero(shown.point.u)))
