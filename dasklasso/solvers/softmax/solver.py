"""Proximal Newton for softmax: the path on rows held in memory, then scans of all rows.

All classes of an alpha are one problem, whose Hessian couples them. On the rows in memory, alphas
are solved one after the other, each from the one before: a step minimises a quadratic model
(:mod:`~dasklasso.solvers.softmax.step`) with a Hessian that is taken anew where the last no longer
serves (:mod:`~dasklasso.solvers.softmax.hessian`). Where these are all rows there are, one scan in
float64 then certifies the path. Where they are a sample, its path is where scans begin: each
evaluates all alphas that are not done, and their next steps take the exact gradient from the scan
and the Hessian from the sample.

With folds, the problems of an alpha that each leave one out begin where that of all rows has
arrived: in memory one after the other, else on the scans that all share.

A sample is not tilted by the gradient of all rows at the model without features, as
:mod:`dasklasso.solvers.newton.beginning` tilts one: where a column is rare in the sample, a softmax
loss so tilted is unbounded below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.problem.folds import weights_by_class
from dasklasso.scan.engine import Request
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.queries.sample import SampleRows
from dasklasso.solvers.base import Jobs, Setup
from dasklasso.solvers.newton.iterate import Iterate
from dasklasso.solvers.newton.shared import (
    FLOAT64_FROM_GAP,
    SCANS_WITHOUT_GAIN,
    IterateSolver,
    IterateState,
    Start,
)
from dasklasso.solvers.newton.step import Point
from dasklasso.solvers.softmax.cost import held_step, softmax_coordinates
from dasklasso.solvers.softmax.dtype import in_double
from dasklasso.solvers.softmax.folds import Training, trainings
from dasklasso.solvers.softmax.hessian import SoftmaxHessian, softmax_hessian
from dasklasso.solvers.softmax.models import (
    LastStep,
    Models,
    most_coordinates,
    needed_coordinates,
    serves,
)
from dasklasso.solvers.softmax.rows import HeldRows, Pass, Seen
from dasklasso.solvers.softmax.settle import settle
from dasklasso.solvers.softmax.stacked import is_small, solve_stacked
from dasklasso.solvers.softmax.step import Terms, softmax_step, terms_at

STEP_CANDIDATE_SHARE = 0.85  # of λ: gradient from which a coordinate is in a step
HESSIAN_CANDIDATE_SHARE = 0.75  # of λ: in a Hessian, which serves several steps
SLOW_GAP_SHARE = 0.2  # of the gap before: above it the Hessian is taken anew
MEMORY_TOL_SHARE = 0.8  # of tol: gaps in memory, so that the scan in float64 finds less
SAMPLE_TOL = 1e-3  # relative gap on a sample: it differs from all rows by more
MOST_STEPS = 60  # in memory, for one alpha


@dataclass(frozen=True)
class SoftmaxState(IterateState):
    """The state of proximal Newton for softmax.

    Attributes
    ----------
    models : Models
    """

    models: Models


def zero_requests(setup: Setup) -> list[Request]:
    """Return what the scan at zero is asked: rows to hold."""
    return [Request(SampleRows(held_step(setup.data)))]


class SoftmaxNewton(IterateSolver[SoftmaxState]):
    """Proximal Newton for losses of several outputs, on bands that hold all columns.

    Iterates are one for each alpha, then those of each fold; their points have u (n_features, C), b
    and slope (C,).

    Parameters
    ----------
    setup : Setup
        With the rows that the scan at zero gathered.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        # the scan at zero evaluated the models without features, but not where a checkpoint is
        self.least_scans = int(setup.resumed)
        first, problem, data = setup.zero, setup.problem, setup.data
        assert first is not None
        sample = next(one.query for one in setup.zero_requests if isinstance(one.query, SampleRows))
        c = problem.n_targets
        self.rows = HeldRows(first.answers[sample], problem, whole=held_step(data) == 1)
        self.most = softmax_coordinates(data, setup.options)
        self.null = Seen(to_numpy(first.gradient)[:, :c], first.sums, 0)
        self.without = None
        if self.folds is not None:
            totals = weights_by_class(data, self.folds.assignment, c)
            self.without = trainings(problem, self.rows, self.folds, totals)
        double = in_double(self.engine.table.X.dtype, self.settings.tol)
        self._dtypes = ("float64",) if double else ("float32", "float64")

    # -- beginning ----------------------------------------------------------------------------

    def init(self, jobs: Jobs, scans: float, bytes_read: int) -> SoftmaxState:
        """Return the state after the path of the rows held."""
        return self._begun(jobs, scans, bytes_read, None)

    def begin(self, jobs: Jobs, scans: float, bytes_read: int, start: Start) -> SoftmaxState:
        """Return the state of problems that begin at a start."""
        return self._begun(jobs, scans, bytes_read, start)

    def _begun(
        self, jobs: Jobs, scans: float, bytes_read: int, start: Start | None
    ) -> SoftmaxState:
        state = SoftmaxState(
            jobs=jobs,
            scans=scans,
            bytes_read=bytes_read,
            iterates=self._first(jobs, range(len(jobs.alphas))),
            dtype=self._dtypes[0],
            start=start,
            most_scans=self.most_scans(scans),
            models=Models(),
        )
        if start is not None:
            for i, iterate in enumerate(state.iterates):
                iterate.trial = start.at(i, self.problem.n_targets)
        if self.rows.whole:
            self._in_memory(state, MEMORY_TOL_SHARE * self.settings.tol)
        elif start is None and not self.rows.lacks_a_class:
            self._in_memory(state, max(SAMPLE_TOL, self.settings.tol))
            solved = [(iterate.point.u, iterate.point.b) for iterate in state.iterates]
            state.iterates[:] = self._first(jobs, range(len(solved)))  # those were of the sample
            for iterate, trial in zip(state.iterates, solved, strict=True):
                iterate.trial = trial
        for iterate in state.iterates:
            if self.rows.whole:
                iterate.hold()
            else:
                iterate.stalled = 0
        self._join(state, [iterate.trial for iterate in state.iterates])
        double = self.rows.whole or state.is_last
        return replace(state, dtype="float64" if double else state.dtype)

    def _first(self, jobs: Jobs, indices: Sequence[int]) -> list[Iterate]:
        """Return problems at the model without features, as the scan at zero has it."""
        problem, c, n = self.problem, self.problem.n_targets, len(indices)
        zero = np.zeros((problem.n_features, c))
        b = problem.null_intercept if problem.steps_intercept else np.zeros(c)
        here = Point(zero, b, math.inf, self.null.gradient, self.null.sums.slope)
        found = [Iterate(index, 0, ALL, (zero, b), here, math.inf) for index in indices]
        sums = self.null.sums.map(lambda one: np.tile(one, n))
        seen = Seen(np.tile(self.null.gradient, n), sums, 0)
        settle(problem, jobs.alphas, found, seen, "float64", exact=True)
        for iterate in found:
            iterate.stalled, iterate.gaps = 0, []  # nothing was tried yet
        return found

    # -- the solver's protocol ----------------------------------------------------------------

    def in_flight(self, state: SoftmaxState) -> list[int]:
        """Numbers of the iterates that the next scan evaluates."""
        return [k for k, iterate in enumerate(state.iterates) if not iterate.certified]

    def ask(self, state: SoftmaxState) -> Pass:
        """Every trial that is not certified."""
        evaluated = [state.iterates[k] for k in self.in_flight(state)]
        return Pass(
            self.problem,
            self.frame,
            np.concatenate([iterate.trial[0] for iterate in evaluated], axis=1),
            np.concatenate([iterate.trial[1] for iterate in evaluated]),
            state.dtype,
            self.settings.device,
            self.folds,
            tuple(iterate.fold for iterate in evaluated),
        )

    def tell(self, state: SoftmaxState, answer: Seen) -> SoftmaxState:
        """Settle what was tried, and aim every problem at its next trial."""
        in_flight, dtype = self.in_flight(state), state.dtype
        state = replace(state, iterates=state.copies(), models=state.models.copied())
        evaluated = [state.iterates[k] for k in in_flight]
        exact, start = dtype == "float64", 0
        for fold, run in groupby(evaluated, lambda iterate: iterate.fold):
            some = list(run)
            part = answer.between(start, start + len(some), self.problem.n_targets)
            settle(self._trained(fold).problem, state.jobs.alphas, some, part, dtype, exact=exact)
            start += len(some)
        if exact:
            for iterate in evaluated:
                stalled = iterate.stalled >= SCANS_WITHOUT_GAIN[dtype]
                iterate.certified = iterate.exact and (iterate.gap <= self.settings.tol or stalled)
        evaluated = [iterate for iterate in evaluated if not iterate.certified]
        near = all(iterate.gap <= FLOAT64_FROM_GAP * self.settings.tol for iterate in evaluated)
        slow = any(iterate.stalled >= SCANS_WITHOUT_GAIN["float32"] for iterate in evaluated)
        if near or slow or state.is_last:
            state = replace(state, dtype="float64")
        self._join(state, [(iterate.point.u, iterate.point.b) for iterate in state.iterates])
        for iterate in evaluated:
            if state.is_last and not iterate.exact:
                iterate.hold()
            elif self.rows.whole:  # no scan for what memory can tell
                self._solve(state, iterate, MEMORY_TOL_SHARE * self.settings.tol, ("float64",))
                iterate.hold()
            else:
                self._aim(state, iterate, "float64" if near or slow else dtype)
        return self._told(state, state.iterates[state.n_whole - 1])

    def _told(self, state: SoftmaxState, shown: Iterate) -> SoftmaxState:
        done = sum(iterate.certified for iterate in state.iterates)
        return replace(state, standing=self.standing(state.iterates, shown, n_done=done))

    # -- in memory ----------------------------------------------------------------------------

    def _in_memory(self, state: SoftmaxState, goal: float) -> None:
        """Solve the path of the rows held."""
        coordinates = (self.problem.n_features + 1) * self.problem.n_targets
        small = is_small(self.problem, self.rows.n_rows) and coordinates <= self.most
        if self.rows.whole and small:
            self._stacked(state, goal)
            return
        before: Iterate | None = None
        of_folds: list[Iterate] = []
        for iterate in state.iterates:
            if not self.rows.whole:
                iterate.objective = iterate.gap = math.inf  # null models are of all rows
            if before is not None and not iterate.trial[0].any():
                iterate.trial = before.point.u, before.point.b
            self._solve(state, iterate, goal, self._dtypes)
            if self.setup.watch is not None:
                self.setup.watch(self, self._told(state, iterate))
            before = iterate
            if self.rows.whole:
                for other in self._without_folds(
                    state, iterate, (iterate.point.u, iterate.point.b)
                ):
                    self._solve(state, other, goal, self._dtypes)
                    of_folds.append(other)
        # fold by fold
        state.iterates.extend(sorted(of_folds, key=lambda iterate: iterate.fold))

    def _stacked(self, state: SoftmaxState, goal: float) -> None:
        """Solve small problems of all alphas side by side, then those of each fold."""

        def report() -> None:
            if self.setup.watch is not None:
                self.setup.watch(self, self._told(state, state.iterates[state.n_whole - 1]))

        def solve(iterates: list[Iterate], fold: int) -> None:
            known, tol = (self._trained(fold), iterates, state.jobs.alphas), self.settings.tol
            solve_stacked(*known, goal, tol, report)
            for iterate in iterates:
                if iterate.gap > goal:  # with shorter steps, one at a time
                    self._solve(state, iterate, goal, ("float64",))
                    report()

        solve(state.iterates, ALL)
        of_folds: list[list[Iterate]] = [[] for _ in range(self.n_folds)]
        for iterate in state.iterates:
            for other in self._without_folds(state, iterate, (iterate.point.u, iterate.point.b)):
                of_folds[other.fold].append(other)
        for fold, iterates in enumerate(of_folds):
            solve(iterates, fold)
        state.iterates.extend(chain.from_iterable(of_folds))

    def _solve(
        self, state: SoftmaxState, iterate: Iterate, goal: float, dtypes: tuple[str, ...]
    ) -> None:
        """Make steps until the gap is within ``goal``, or as small as it gets; then it stalls."""
        rows = self._trained(iterate.fold).rows
        for dtype in dtypes:
            iterate.stalled = 0
            for _ in range(MOST_STEPS):
                u, b = iterate.trial
                seen = rows.see(u, b, dtype)
                settle(rows.problem, state.jobs.alphas, [iterate], seen, dtype, exact=False)
                if iterate.gap <= goal:
                    return
                if iterate.stalled >= SCANS_WITHOUT_GAIN[dtype]:
                    break
                self._aim(state, iterate, dtype)
            iterate.hold()

    # -- folds --------------------------------------------------------------------------------

    def _trained(self, fold: int) -> Training:
        """Return what problems without a fold are trained on."""
        if fold == ALL:
            return Training(self.problem, self.rows)
        assert self.without is not None
        return self.without.without[fold]

    def _join(self, state: SoftmaxState, begins: list[tuple[np.ndarray, Any]]) -> None:
        """Start the problems of folds, once those of all rows are near enough to start from."""
        if state.folds_joined or not self.folds_may_join(state):
            return
        of_folds = [
            other
            for iterate, at in zip(list(state.iterates), begins, strict=True)
            for other in self._without_folds(state, iterate, at)
        ]
        state.iterates.extend(sorted(of_folds, key=lambda iterate: iterate.fold))

    def _without_folds(
        self, state: SoftmaxState, iterate: Iterate, at: tuple[np.ndarray, Any]
    ) -> list[Iterate]:
        """Problems of one alpha, each on the rows outside a fold, to begin at one point."""
        begun, found = self.has_folds(state.start, state.jobs), []
        for fold in range(self.n_folds):
            u, b = at
            if begun:
                assert state.start is not None
                number = state.n_whole * (1 + fold) + iterate.index
                u, b = state.start.at(number, self.problem.n_targets)
            useful = self._trained(fold).problem.frame.matters[:, None]
            point = replace(iterate.point, u=np.where(useful, iterate.point.u, 0.0))
            # anything is better than what was never evaluated on these rows
            trial = np.where(useful, u, 0.0), b
            found.append(Iterate(iterate.index, 0, fold, trial, point, math.inf))
        return found

    # -- steps --------------------------------------------------------------------------------

    def _aim(self, state: SoftmaxState, iterate: Iterate, dtype: str) -> None:
        """The next trial: the minimum of a model, or a shorter step where the last failed."""
        key, problem = (iterate.fold, iterate.index), self._trained(iterate.fold).problem
        alpha, models = float(state.jobs.alphas[iterate.index]), state.models
        terms, work = terms_at(problem, alpha), models.work.get(key)
        if work is None or work.origin is not iterate.point:
            hessian = self._serving(models, iterate, alpha, terms, dtype)
            wanted = terms.matter(iterate.point, STEP_CANDIDATE_SHARE, self.most)
            coordinates = np.intersect1d(wanted, hessian.coordinates, assume_unique=True)
            step = softmax_step(
                iterate.point, terms, coordinates, hessian.on(coordinates), self.settings.tol
            )
            work = models.work[key] = LastStep(iterate.point, step)
        iterate.aim(work.step)

    def _serving(
        self, models: Models, iterate: Iterate, alpha: float, terms: Terms, dtype: str
    ) -> SoftmaxHessian:
        """Return a Hessian for a step of an iterate: the last one taken, or a new one.

        In float64 where gaps are, and others have not served: directions that are all but flat are
        beyond float32.
        """
        point, known = iterate.point, models.hessian
        slow = len(iterate.gaps) > 1 and iterate.gaps[-1] > SLOW_GAP_SHARE * iterate.gaps[-2]
        needed = needed_coordinates(point, terms)
        most = most_coordinates(needed, point, self.most)
        if known is None or slow or not serves(known, alpha, needed, most):
            models.draws += 1
            kind = dtype if slow else self._dtypes[0]
            if kind != self._dtypes[0]:
                most = min(most, int(self.most / math.sqrt(2)))  # it takes no more memory
            coordinates = terms.matter(point, HESSIAN_CANDIDATE_SHARE, most)
            rows = self._trained(iterate.fold).rows
            known = softmax_hessian(rows, point, alpha, coordinates, kind, models.draws)
            models.hessian = known
        return known
