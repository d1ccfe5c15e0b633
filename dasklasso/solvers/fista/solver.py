"""FISTA as a solver: scans at the iterates and the extrapolated points of many problems at once.

Products run in the precision of the data until gaps look closed; then one scan in float64
certifies what is returned, and whatever it does not certify goes on in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dasklasso.objective.duality import (
    COLUMN_SUMS,
    Certificate,
    combine_column_sums,
    together,
)
from dasklasso.problem.problem import gradient_query
from dasklasso.scan.gather import Coefficients, in_parts
from dasklasso.scan.graph import map_blocks
from dasklasso.solvers.base import Frozen, Jobs, Setup, Solver, Standing
from dasklasso.solvers.certificate_scan import Certified, certificate_of
from dasklasso.solvers.fista import backtracking
from dasklasso.solvers.fista.cost import jobs_at_once
from dasklasso.solvers.fista.in_flight import (
    STALL_SCANS,
    advance,
    first_in_flight,
    judge,
    unpack,
)
from dasklasso.solvers.fista.intercepts import Evaluated
from dasklasso.solvers.fista.question import Stepped, Steps
from dasklasso.solvers.fista.state import FistaState, freeze_state, thaw_state
from dasklasso.solvers.fista.step import ZERO, Lipschitz, prox_step
from dasklasso.solvers.solution import Nonzeros, Solution, sparse_columns

FLOAT32_LEAST_TOL = 1e-7  # tolerances below this are worked on in float64 from the start
FLOAT32_GAP_SHARE = 0.3  # of tol: a gap in float32 must be below it before it is certified
FLOAT32_LEAST_GAP = 5e-5  # of a loss that is no quadratic: below it a gap is rounding
GRADIENT_ROUNDINGS = 64.0  # roundings in a difference of gradients, each of the size of all slopes


class Fista(Solver[FistaState]):
    """FISTA for one problem on one engine.

    Parameters
    ----------
    setup : Setup
    """

    name = "fista"

    def __init__(self, setup: Setup) -> None:
        self.engine, self.problem, self.frame = setup.engine, setup.problem, setup.frame
        self.first, self.free, self.settings = setup.zero, setup.free, setup.settings

    # -- beginning ----------------------------------------------------------------------------

    def init(self, jobs: Jobs, scans: float, bytes_read: int) -> FistaState:
        """Return the state after the first look: every job may start at zero."""
        first, dtype = self.first, self._first_dtype
        assert first is not None
        held = backtracking.begin(self.problem, jobs.targets, dtype, first.slope)
        curvature = 1.0 if held is not None else self.problem.loss.max_curvature
        bound = curvature * max(1.0, self.problem.trace)
        lipschitz = Lipschitz(curvature, 0.0, 0, False, bound, curvature)
        lipschitz = lipschitz.after_product(first.power_norm)
        in_flight = first_in_flight(
            jobs,
            list(range(len(jobs))),
            self._n_in_flight(jobs),
            lipschitz,
            base=jobs.targets,
            power=first.power_norm or None,
            evaluated=self._evaluated(self.problem.null_intercept, first.slope),
            backtracking=held,
        )
        return FistaState(
            jobs=jobs,
            scans=scans,
            bytes_read=bytes_read,
            in_flight=in_flight,
            points=first.points,
            gradient=first.gradient,
            solved={},
            dtype=dtype,
        )

    def go_on(
        self, jobs: Jobs, solved: dict[int, Solution], scans: float, bytes_read: int
    ) -> FistaState:
        """The state of a fit that another solver left: what is not certified goes on from there.

        Parameters
        ----------
        solved : of every job
        """
        return replace(self.stop(self.init(jobs, scans, bytes_read)), solved=solved)

    def after(self, state: FistaState, jobs: Jobs) -> FistaState:
        """Go on from the solutions of another loss."""
        solved = {job: replace(one, certified=False) for job, one in state.solved.items()}
        return self.go_on(jobs, solved, state.scans, state.bytes_read)

    @property
    def _first_dtype(self) -> str:
        """Precision that products begin in."""
        double = self.engine.table.X.dtype == np.float64
        return "float64" if double or self.settings.tol < FLOAT32_LEAST_TOL else "float32"

    def _n_in_flight(self, jobs: Jobs) -> int:
        """Return how many jobs are in flight at once."""
        layout = self.engine.layout
        return jobs_at_once(layout.n_rows, layout.n_features, len(jobs), jobs.n_outputs)

    # -- the solver's protocol ----------------------------------------------------------------

    def done(self, state: FistaState) -> bool:
        """Tell whether nothing is in flight."""
        return not state.in_flight.jobs.size

    def solutions(self, state: FistaState) -> dict[int, Solution]:
        """Return the solutions of the jobs that have left."""
        return state.solved

    def ask(self, state: FistaState) -> Steps:
        """The gradient at the points of the next steps, which are made in the scan's own graph."""
        in_flight, options = state.in_flight, self._options
        points = map_blocks(
            "prox",
            partial(prox_step, plan=in_flight.plan, **options),
            in_parts(self.engine, state.points),
            in_parts(self.engine, state.gradient),
            self.frame,
            width=in_flight.plan.n_points,
        )
        k, b = in_flight.jobs.size, in_flight.intercepts
        query = gradient_query(
            self.problem,
            np.tile(state.jobs.target(in_flight.jobs), in_flight.plan.n_iterates // k).tolist(),
            state.dtype,
            self.settings.device,
            None if b is None else b.points,
        )
        options = {**options, "frequency": self.problem.frequency}
        return Steps(
            query, points, self.frame, in_flight.plan, options, self.free, self.settings.device
        )

    def tell(self, state: FistaState, answer: Stepped) -> FistaState:
        """Judge every problem in flight, and decide what the next step of each is."""
        in_flight, found = state.in_flight, answer.found
        k, b = in_flight.jobs.size, in_flight.intercepts
        stepwise, power = unpack(answer.summary, k)
        columns = combine_column_sums(stepwise)
        targets = state.jobs.target(in_flight.jobs)
        certificate = certificate_of(
            self.problem,
            found.sums[:k],
            columns[:COLUMN_SUMS],
            self.free,
            answer.projected,
            targets,
            None if b is None else b.u,
        )
        double = state.dtype == "float64"
        goal = self.settings.tol * (1.0 if double else FLOAT32_GAP_SHARE)
        if not double and not self.problem.loss.quadratic:
            goal = max(goal, FLOAT32_LEAST_GAP)
        stall_scans = self.settings.max_scans if double else STALL_SCANS
        outcome = judge(in_flight, certificate, self.problem.null_loss[targets], goal, stall_scans)
        leaving = np.flatnonzero(outcome.leaving)
        solved = dict(state.solved)
        if leaving.size:
            nonzeros = self._nonzeros(found.points, leaving.tolist())
            for place, column in zip(leaving, nonzeros, strict=True):
                solved[int(in_flight.jobs[place])] = Solution(
                    column,
                    float(certificate.primal[place]),
                    float(outcome.relative_gap[place]),
                    float(found.sums.slope[place]),
                    certified=double,
                    intercept=0.0 if b is None else float(b.u[place]),
                )
        evaluated = (
            None if b is None else self._evaluated(b.points, found.sums.slope[: b.points.size])
        )
        noise = self._noise(found.sums.slope_squares[:k], state)
        following = advance(in_flight, state.jobs, outcome, columns, power, evaluated, noise)
        return replace(
            state,
            in_flight=following,
            points=found.points,
            gradient=found.gradient,
            solved=solved,
            standing=self._standing(state.jobs, solved, outcome.relative_gap, certificate),
        )

    def certified(self, state: FistaState, jobs: Sequence[int], found: Certified) -> FistaState:
        """Go on in float64 with the jobs whose gap the scan in float64 did not confirm."""
        numbers, answers = np.asarray(jobs, dtype=int), found.found
        gaps, objective = found.relative_gap, found.certificate.primal
        solved = dict(state.solved)
        intercepts = np.array([solved[job].intercept for job in jobs])
        for k, job in enumerate(jobs):
            solved[job] = replace(
                solved[job],
                objective=float(objective[k]),
                gap=float(gaps[k]),
                residual_mean=float(answers.sums.slope[k]),
                certified=bool(gaps[k] <= self.settings.tol),
            )
            before = state.earlier.get(job)
            if before is not None and before.gap < gaps[k]:
                solved[job] = before
        n_in_flight = self._n_in_flight(state.jobs)
        again = [k for k in range(numbers.size) if gaps[k] > self.settings.tol][:n_in_flight]
        base = np.full(len(state.jobs), ZERO)
        base[numbers] = np.arange(numbers.size)
        objectives = dict(zip(jobs, objective, strict=True))
        in_flight = first_in_flight(
            state.jobs,
            numbers[again].tolist(),
            n_in_flight,
            state.in_flight.lipschitz,
            base,
            None,
            self._evaluated(intercepts, answers.sums.slope),
            backtracking.begin(self.problem, state.jobs.targets, "float64", objective=objectives),
        )
        return replace(
            state,
            in_flight=in_flight,
            points=answers.points,
            gradient=answers.gradient,
            solved=solved,
            dtype="float64",
            standing=self._standing(state.jobs, solved, gaps, found.certificate),
        )

    def stop(self, state: FistaState) -> FistaState:
        """Leave the jobs in flight as they were last evaluated, without a certificate.

        Those that left before in float32, and whose gap a scan in float64 did not confirm, have
        come on since: what they had is kept beside, should it be the better.
        """
        in_flight, solved = state.in_flight, dict(state.solved)
        begun = [k for k, column in enumerate(in_flight.plan.previous) if column != ZERO]
        columns = [int(in_flight.plan.previous[k]) for k in begun]
        found = dict(zip(begun, self._nonzeros(state.points, columns), strict=True))
        empty = (np.zeros(0, dtype=np.int64), np.zeros(0))
        for k, job in enumerate([*in_flight.jobs.tolist(), *in_flight.waiting]):
            if job not in solved or k in found:
                b = self.problem.null_intercept[state.jobs.target(job)]
                if in_flight.intercepts is not None and k < in_flight.jobs.size:
                    b = in_flight.intercepts.previous[k]
                solved[job] = Solution(
                    found.get(k, empty), np.inf, np.inf, 0.0, certified=False, intercept=float(b)
                )
        earlier = {job: one for job, one in state.solved.items() if solved[job] is not one}
        return replace(
            state,
            in_flight=replace(in_flight, jobs=in_flight.jobs[:0], waiting=()),
            solved=solved,
            earlier=earlier,
        )

    def freeze(self, state: FistaState) -> Frozen:
        """The state for a checkpoint: one that is read back takes the same steps, bit for bit."""
        return freeze_state(state, self.engine)

    def thaw(self, jobs: Jobs, scans: float, bytes_read: int, frozen: Frozen) -> FistaState:
        """Return the state that :meth:`freeze` wrote."""
        return thaw_state(jobs, scans, bytes_read, frozen, self.engine)

    # -- parts --------------------------------------------------------------------------------

    def _nonzeros(self, points: Coefficients, columns: list[int]) -> list[Nonzeros]:
        return sparse_columns(in_parts(self.engine, points), columns, self.engine.runner)

    @property
    def _options(self) -> dict[str, Any]:
        return {"penalty": self.problem.objective.penalty, "device": self.settings.device}

    def _evaluated(self, at: np.ndarray, slope: np.ndarray) -> Evaluated | None:
        """What is known of intercepts at some points, where the intercept is a coordinate."""
        if not self.problem.steps_intercept:
            return None
        return Evaluated(at, slope, self.problem.null_intercept)

    def _noise(self, slope_squares: np.ndarray, state: FistaState) -> np.ndarray | float:
        """Tell how far rounding may move a difference of gradients, ‖·‖ of it.

        A loss that is no quadratic is mostly less curved than its bound, so that only noise exceeds
        it, and would shorten every step from then on.
        """
        if self.problem.loss.quadratic:
            return 0.0
        of_problems = together(slope_squares[None], state.jobs.n_outputs)[0]
        size = np.sqrt(of_problems * self.problem.n_features)
        return GRADIENT_ROUNDINGS * float(np.finfo(state.dtype).eps) * size

    def _standing(
        self,
        jobs: Jobs,
        solved: dict[int, Solution],
        gaps: np.ndarray,
        certificate: Certificate,
    ) -> Standing:
        tol, together = self.settings.tol, jobs.n_outputs  # jobs of one problem are done at once
        done = sum(one.certified or one.gap <= tol for one in solved.values())
        n_nonzero = certificate.n_nonzero
        return Standing(
            n_done=done // together,
            n_problems=len(jobs) // together,
            worst_gap=float(np.max(gaps, initial=0.0)),
            n_nonzero=int(n_nonzero[-1]) if n_nonzero.size else 0,
        )
