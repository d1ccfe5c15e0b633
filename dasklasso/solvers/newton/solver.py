"""Proximal Newton for all problems at once: each scan returns their exact gradients.

Between scans each problem minimises a quadratic model of its own
(:mod:`~dasklasso.solvers.newton.step`), with a Hessian that it shares with its neighbours along the
path (:mod:`~dasklasso.solvers.newton.hessian_model`); the next scan says whether the step was good
(:mod:`~dasklasso.solvers.newton.iterate`) and takes what Hessians are wanted, over the columns that
matter: those in use, and those whose gradient is so large that they may come into use. Columns
beyond are seen in every gradient, so none that violates the optimality conditions is missed.

Products run in float32 while gaps are far from the tolerance; the scan that certifies is one in
float64, and what it does not certify goes on in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Protocol

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.folds import scores_of
from dasklasso.problem.problem import gradient_query
from dasklasso.scan.engine import Request
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.solvers.base import Jobs, Setup
from dasklasso.solvers.certificate_scan import certificate_here
from dasklasso.solvers.newton.hessian_schedule import Limits, Nodes, Wanted
from dasklasso.solvers.newton.iterate import Iterate, share
from dasklasso.solvers.newton.shared import (
    FLOAT64_FROM_GAP,
    SCANS_WITHOUT_GAIN,
    IterateSolver,
    IterateState,
    Start,
)
from dasklasso.solvers.newton.side_by_side import side_by_side
from dasklasso.solvers.newton.step import NULL_LOSSES_ADDED, Point, newton_step
from dasklasso.solvers.newton.trials import Tilt, Trials, Tried, trial_arrays

MODEL_TOL = 1e-3  # of a problem's gap: how exactly its model is minimised
LEAST_MODEL_TOL = 1e-12  # of the null loss
OBJECTIVE_ROUNDING = {"float32": 1e-6, "float64": 1e-13}  # of an objective
SLOW_SCANS_BEFORE_FLOAT64 = 8  # without a gain worth a scan: rounding may hold a problem
SCANS_OF_LITTLE_GAIN = 60  # until a problem is given up


class Beginning(Protocol):
    """How the first trials of a fit are found: see :mod:`dasklasso.solvers.newton.beginning`."""

    def start(self, jobs: Jobs) -> Start | None:
        """Return the first trials; None where they need a scan."""

    def question(self) -> Trials:
        """Ask the scan of the null models, with their Hessians."""

    def start_after(self, jobs: Jobs, matrices: Sequence[np.ndarray]) -> Start:
        """Return the first trials, once that scan has taken the Hessians."""


@dataclass(frozen=True)
class NewtonState(IterateState):
    """The state of proximal Newton for losses of one prediction a row.

    Attributes
    ----------
    nodes : Nodes
    wanted : Hessians that the next scan takes
    """

    nodes: Nodes
    wanted: list[Wanted]


class Newton(IterateSolver[NewtonState]):
    """Proximal Newton for losses of one prediction a row, on bands that hold all columns.

    Parameters
    ----------
    setup : Setup
    limits : Limits
    null : for each target its model without features: what is better than a bad start
    beginning : Beginning or None
        How the first trials are found.
    tilt : Tilt or None
    """

    def __init__(
        self,
        setup: Setup,
        limits: Limits,
        null: Sequence[Point],
        beginning: Beginning | None = None,
        *,
        tilt: Tilt | None = None,
    ) -> None:
        super().__init__(setup)
        self.limits, self.null, self.beginning, self.tilt = limits, null, beginning, tilt
        outside = {fold: self.outside(fold) for fold in range(self.n_folds)}
        self.problems = {ALL: self.problem, **outside}
        self._stage = setup.stage
        self._double = self.engine.table.X.dtype == np.float64

    def init(self, jobs: Jobs, scans: float, bytes_read: int) -> NewtonState:
        """Return the state at the first trials, or one whose first scan returns what they need."""
        assert self.beginning is not None
        start = self.beginning.start(jobs)
        if start is not None:
            return self.begin(jobs, scans, bytes_read, start)
        return self._state(jobs, scans, bytes_read, None)

    def _state(self, jobs: Jobs, scans: float, bytes_read: int, start: Start | None) -> NewtonState:
        """Return the state before problems begin."""
        outside = {fold: self.problems[fold] for fold in range(self.n_folds)}
        noise = 0.0 if start is None else start.noise
        return NewtonState(
            jobs=jobs,
            scans=scans,
            bytes_read=bytes_read,
            iterates=[],
            dtype="float64",
            start=start,
            most_scans=self.most_scans(scans),
            nodes=Nodes(self.problem, jobs, self.limits, noise, outside),
            wanted=[],
        )

    def begin(self, jobs: Jobs, scans: float, bytes_read: int, start: Start) -> NewtonState:
        """Return the state of problems that begin at a start."""
        n_targets = jobs.n_targets
        iterates = [
            Iterate(
                index=job // n_targets,
                target=job % n_targets,
                fold=ALL,
                trial=(start.points[:, job], float(start.intercepts[job])),
                point=self.null[job % n_targets],
                objective=self.null[job % n_targets].loss,
                damping=self.problem.loss.damping,
            )
            for job in range(len(jobs))
        ]
        state = replace(self._state(jobs, scans, bytes_read, start), iterates=iterates)
        nodes = state.nodes
        double = self._double or state.is_last or start.solved
        state = replace(state, dtype="float64" if double else "float32")
        matters = [nodes.matters(t, start.gradients[:, job]) for job, t in enumerate(iterates)]
        if state.is_last or self.has_folds(start, jobs):
            matters = self._join(state, matters)
        return self._prepared(state, matters)

    # -- the solver's protocol ----------------------------------------------------------------

    def ask(self, state: NewtonState) -> Trials:
        """Every trial in flight, and the Hessians that are wanted."""
        if not state.iterates:
            assert self.beginning is not None
            return self.beginning.question()
        evaluated = [state.iterates[k] for k in self.in_flight(state)]
        targets, points, intercepts = trial_arrays(evaluated)
        query = gradient_query(
            self.problem,
            targets.tolist(),
            state.dtype,
            self.settings.device,
            intercepts if self.problem.steps_intercept else None,
        )
        chunked = self.engine.by_columns(points)
        hessians, held_out = None, None
        if state.wanted:
            asked, at = self._hessians(state)
            nodes = self.engine.by_columns(np.stack([u for u, _ in at], axis=1))
            hessians = Request(asked, (nodes, self.frame))
        if self.folds is not None and any(iterate.fold != ALL for iterate in evaluated):
            groups = self.folds.groups([t.fold for t in evaluated], self.problem.total_weight)
            query = self.folds.gradient(query, groups)
            if state.dtype == "float64":
                asks = self.folds.held_out(query, points, self.problem.frame)
                held_out = Request(asks, (chunked, self.frame))
        return Trials(query, chunked, self.frame, hessians, held_out)

    def tell(self, state: NewtonState, answer: Tried) -> NewtonState:
        """Settle what was tried, and aim every problem at its next trial."""
        if not state.iterates:
            assert self.beginning is not None
            assert answer.matrices is not None
            start = self.beginning.start_after(state.jobs, answer.matrices)
            return self.begin(state.jobs, state.scans, state.bytes_read, start)
        in_flight, dtype, before = self.in_flight(state), state.dtype, state
        state = replace(state, iterates=state.copies(), nodes=state.nodes.copied())
        evaluated = [state.iterates[k] for k in in_flight]
        self._settle(state, evaluated, answer)
        if answer.matrices is not None:
            query, at = self._hessians(before)
            state.nodes.keep(state.wanted, query, at, state.iterates, answer.matrices)
        state.nodes.noise = 0.0  # from now on gradients are those of the rows themselves
        if state.scans_left:
            exact_only = dtype == "float64"
            share(state.iterates, self.problems, state.jobs.alphas, exact_only=exact_only)
        for iterate in evaluated:
            self._judge(iterate, dtype)
        matters = [state.nodes.matters(iterate) for iterate in state.iterates]
        state = replace(state, dtype=self._next_dtype(state))
        if state.dtype != dtype and state.is_last:
            for iterate in state.iterates:  # no untested step before the last scan
                iterate.hold()
        else:
            self._aim(state, matters, dtype)
        return self._prepared(state, self._join(state, matters))

    def in_flight(self, state: NewtonState) -> list[int]:
        """Numbers of the iterates that the next scan evaluates."""
        waits = state.dtype == "float32"
        return [
            k
            for k, iterate in enumerate(state.iterates)
            if not iterate.certified and not (waits and iterate.resting)
        ]

    # -- parts --------------------------------------------------------------------------------

    def _prepared(self, state: NewtonState, matters: Sequence[np.ndarray]) -> NewtonState:
        """Return the state with the Hessians that its next scan takes."""
        assert state.start is not None
        certifies = state.start.solved and not any(iterate.known for iterate in state.iterates)
        takes = not certifies and state.scans_left > 0 and bool(self.in_flight(state))
        wanted = state.nodes.wanted(state.iterates, matters) if takes else []
        done = sum(iterate.gap <= self.settings.tol for iterate in state.iterates)
        standing = self.standing(state.iterates, state.iterates[-1], n_done=done)
        return replace(state, wanted=wanted, standing=standing)

    def _hessians(self, state: NewtonState) -> tuple[WeightedGrams, list[tuple[np.ndarray, float]]]:
        """Return the query for the Hessians that are wanted, and where they are taken."""
        kind = "float64" if self._double else state.dtype
        query, at = state.nodes.query(state.wanted, state.iterates, kind, self.settings.device)
        left_out = [state.iterates[one.iterate].fold for one in state.wanted]
        if self.folds is not None and any(fold != ALL for fold in left_out):
            query = self.folds.hessians(query, left_out)
        return query, at

    def _join(self, state: NewtonState, matters: list[np.ndarray]) -> list[np.ndarray]:
        """Start the problems of folds, once those of all rows are near enough to start from."""
        begun = self.has_folds(state.start, state.jobs)
        if not self.n_folds or state.folds_joined or not (begun or self.folds_may_join(state)):
            return matters
        for fold in range(self.n_folds):
            useful = self.problems[fold].frame.matters
            for job in range(len(state.jobs)):
                whole = state.iterates[job]
                u, b = (whole.point.u, whole.point.b) if whole.known else whole.trial
                if begun:
                    assert state.start is not None
                    own = len(state.jobs) * (1 + fold) + job
                    u, b = state.start.points[:, own], float(state.start.intercepts[own])
                state.iterates.append(
                    Iterate(
                        whole.index,
                        whole.target,
                        fold,
                        (np.where(useful, u, 0.0), b),
                        replace(whole.point, u=np.where(useful, whole.point.u, 0.0)),
                        np.inf,  # anything is better than what was never evaluated
                    )
                )
        return matters + matters[: len(state.jobs)] * self.n_folds

    def _judge(self, iterate: Iterate, dtype: str) -> None:
        """Decide whether an evaluated iterate is done with this precision."""
        done = iterate.gap <= self.settings.tol or _given_up(iterate, dtype)
        if dtype == "float64":
            iterate.certified, iterate.resting = done and iterate.exact, False
        else:
            iterate.resting = done

    def _next_dtype(self, state: NewtonState) -> str:
        """Choose float64 once all problems in flight are about to arrive."""
        evaluated = [t for t in state.iterates if not t.certified and not t.resting]
        near = all(t.gap <= FLOAT64_FROM_GAP * self.settings.tol for t in evaluated)
        # where float32 gains no more, no problem needs to wait for the others
        exhausted = any(t.resting and t.gap > self.settings.tol for t in state.iterates)
        exhausted |= any(t.idle >= SLOW_SCANS_BEFORE_FLOAT64 for t in evaluated)
        double = state.dtype == "float64" or near or exhausted or state.is_last
        return "float64" if double else "float32"

    def _settle(self, state: NewtonState, evaluated: Sequence[Iterate], answer: Tried) -> None:
        """Take what a scan showed of every trial."""
        found, dtype = answer.found, state.dtype
        targets, points, intercepts = trial_arrays(evaluated)
        gradient, sums = to_numpy(found.gradient), found.sums
        if self.tilt is not None:
            gradient = gradient + self.tilt.gradient[:, targets]
            loss = sums.loss + np.sum(self.tilt.gradient[:, targets] * points, axis=0)
            sums = replace(
                sums,
                loss=loss + self.tilt.slope[targets] * intercepts,
                slope=sums.slope + self.tilt.slope[targets],
            )
        alphas = state.jobs.alphas[[t.index for t in evaluated]]
        useful = {t.fold: self.problems[t.fold].frame.matters for t in evaluated}
        if any(np.any(one != self.problem.frame.matters) for one in useful.values()):
            # a column that is constant outside a fold is zero there once it is standardised
            gradient = np.where(
                np.stack([useful[t.fold] for t in evaluated], axis=1), gradient, 0.0
            )
        primals, gaps = np.zeros(len(evaluated)), np.zeros(len(evaluated))
        for fold, run in groupby(range(len(evaluated)), key=lambda k: evaluated[k].fold):
            own = np.array(list(run))
            with np.errstate(over="ignore", invalid="ignore"):  # of trials that are refused below
                certificate = certificate_here(
                    self.problems[fold],
                    points[:, own],
                    gradient[:, own],
                    sums[own],
                    targets[own],
                    alphas[own],
                    intercepts[own] if self.problem.steps_intercept else None,
                )
            primals[own], gaps[own] = certificate.primal, certificate.gap
        relative = gaps / self.problem.null_loss[targets]
        # a step too far may have a loss beyond all numbers; X itself was looked at before
        finite = np.all(np.isfinite(gradient), axis=0)
        for one in (sums.loss, sums.slope, sums.slope_squares):
            finite &= np.isfinite(one)
        for k, iterate in enumerate(evaluated):
            if not finite[k]:
                iterate.refuse()
                continue
            here = Point(
                points[:, k],
                float(intercepts[k]),
                float(sums.loss[k]),
                gradient[:, k],
                float(sums.slope[k]),
            )
            primal = float(primals[k])
            noise = OBJECTIVE_ROUNDING[dtype] * abs(primal)
            exact = dtype == "float64"
            if not iterate.known and not state.scans_left:
                iterate.objective = np.inf  # rather a point whose gap is known than a better one
            iterate.take(
                here, primal, float(relative[k]), noise, scores_of(answer.scores, k), exact=exact
            )

    def _aim(self, state: NewtonState, matters: Sequence[np.ndarray], dtype: str) -> None:
        """Choose the next trial point of every problem, after a scan of a ``dtype``."""

        def one(k: int) -> None:
            iterate = state.iterates[k]
            if _holds(iterate, dtype, is_last=state.is_last):
                iterate.hold()
                return
            quadric = state.nodes.quadric(k, iterate, matters[k])
            if quadric is None:  # no Hessian yet that is finite: there is one where it is
                iterate.hold()
                return
            null = float(self.problem.null_loss[iterate.target])
            # a gap that is far too large must not keep a problem where it is
            model_tol = MODEL_TOL * min(iterate.gap, 1.0)
            step = newton_step(
                iterate.point,
                quadric,
                self._own_penalty(state, iterate),
                fit_intercept=self.problem.steps_intercept,
                tol=max(model_tol * 0.1**iterate.stalled, LEAST_MODEL_TOL) * null,
                added=NULL_LOSSES_ADDED * null,
            )
            iterate.aim(step)

        def report(done: int) -> None:
            if self._stage is not None:
                self._stage("between scans", done, len(state.iterates))

        side_by_side([partial(one, k) for k in range(len(state.iterates))], report)

    def _own_penalty(self, state: NewtonState, iterate: Iterate) -> Penalty:
        alpha, frame = float(state.jobs.alphas[iterate.index]), self.problems[iterate.fold].frame
        return self.problem.objective.penalty.at(alpha, frame.l1_factor, frame.l2_factor)


def _given_up(iterate: Iterate, dtype: str) -> bool:
    return iterate.stalled >= SCANS_WITHOUT_GAIN[dtype] or iterate.idle >= SCANS_OF_LITTLE_GAIN


def _holds(iterate: Iterate, dtype: str, *, is_last: bool) -> bool:
    """Tell whether an iterate is to be evaluated where it is, after a scan of a ``dtype``."""
    if iterate.certified or iterate.resting:
        return True
    if not iterate.known:  # nothing that is reported is without a gap
        return is_last or _given_up(iterate, dtype)
    return dtype == "float64" and not iterate.exact
