"""Drives FISTA: scans until every problem is certified; checkpoints, progress, precision.

Products run in the precision of the data until gaps look closed; then one scan in float64
certifies what is returned, and whatever it does not certify goes on in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.objective.duality import (
    COLUMN_SUMS,
    combine_column_sums,
    together,
)
from dasklasso.problem.problem import Problem, gradient_query
from dasklasso.problem.unpenalised import Unpenalised
from dasklasso.problem.zero_scan import FirstLook
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import Frame, PlacedFrame
from dasklasso.scan.gather import (
    Answers,
    Coefficients,
    as_dask,
    for_map_blocks,
    gather,
    stays_on_workers,
)
from dasklasso.scan.tasks import PartAnswer
from dasklasso.solvers.base import (
    Jobs,
    Nonzeros,
    ScanEvent,
    Settings,
    Solution,
    dense_columns,
    sparse_columns,
)
from dasklasso.solvers.certificate_scan import certificate_of, certify_points, check_finite
from dasklasso.solvers.fista import backtracking
from dasklasso.solvers.fista.intercepts import Evaluated
from dasklasso.solvers.fista.slots import (
    STALL_SCANS,
    Slots,
    advance,
    first_slots,
    judge,
    slots_for,
    unpack,
)
from dasklasso.solvers.fista.state import State, load_state, save_state
from dasklasso.solvers.fista.step import ZERO, Lipschitz, Plan, prox_step, summarise

FLOAT32_FLOOR = 1e-7  # tolerances below this are worked on in float64 from the start
MARGIN = 0.3  # in float32 a gap must look this much better than tol before it is certified
FLOAT32_SHOWS = 5e-5  # of a loss that is no quadratic: below it a gap is rounding
LINEAGE_SCANS = 20  # arrays left on workers are anchored in a checkpoint at least this often
NOISE = 64.0  # roundings in a difference of gradients, each of the size of all slopes


class Drive:
    """One fit: a problem, its jobs, an engine.

    Parameters
    ----------
    engine : ScanEngine
    problem : Problem
    frame : as the engine placed it
    jobs : Jobs
    free : Unpenalised or None
    settings : Settings
    progress : called after every scan
    """

    def __init__(
        self,
        engine: ScanEngine,
        problem: Problem,
        frame: PlacedFrame,
        jobs: Jobs,
        free: Unpenalised | None,
        settings: Settings,
        progress: Callable[[ScanEvent], None] | None = None,
    ) -> None:
        self.engine, self.problem, self.frame = engine, problem, frame
        self.jobs, self.free, self.settings = jobs, free, settings
        self.progress = progress
        self._began = self._saved = time.monotonic()
        self._unanchored = 0

    # -- beginning ----------------------------------------------------------------------------

    def begin(self, first: FirstLook, scans: int, bytes_read: int) -> State:
        """The state after the first look: every job may start at zero."""
        held = backtracking.begin(self.problem, self.jobs.targets, self.dtype, first.slope)
        curvature = 1.0 if held is not None else self.problem.loss.max_curvature
        bound = curvature * max(1.0, self.problem.trace)
        lipschitz = Lipschitz(curvature, 0.0, 0, False, bound, curvature)
        lipschitz = lipschitz.after_product(first.power_norm)
        slots = first_slots(
            self.jobs,
            list(range(len(self.jobs))),
            self.n_slots,
            lipschitz,
            base=self.jobs.targets,
            power=first.power_norm or None,
            evaluated=self._evaluated(self.problem.null_intercept, first.slope),
            backtracking=held,
        )
        dtype = self.dtype
        return State(slots, first.points, first.gradient, {}, dtype, scans, bytes_read)

    @property
    def dtype(self) -> str:
        """Precision that products begin in."""
        double = self.engine.table.X.dtype == np.float64
        return "float64" if double or self.settings.tol < FLOAT32_FLOOR else "float32"

    @property
    def n_slots(self) -> int:
        """Problems in flight."""
        layout = self.engine.layout
        n_outputs = self.jobs.n_outputs
        return slots_for(layout.n_rows, layout.n_features, len(self.jobs), n_outputs)

    # -- running ------------------------------------------------------------------------------

    def run(self, state: State) -> State:
        """Scan until every job has a certified solution, or ``max_scans`` have been made.

        What is left open by then is certified as it is: its gap is true, if above ``tol``.
        """
        state = self._iterate(state)
        batch = 4 * self.n_slots
        while (waiting := self._open(state)) and state.scans < self.settings.max_scans:
            state = self._iterate(self._certify(state, waiting[:batch]))
        for start in range(0, len(waiting), batch):
            state = self._certify(state, waiting[start : start + batch])
        return state

    @staticmethod
    def _open(state: State) -> list[int]:
        return [job for job, one in sorted(state.solutions.items()) if not one.certified]

    def _iterate(self, state: State) -> State:
        while state.slots.jobs.size:
            if state.scans >= self.settings.max_scans:
                return self._give_up(state)
            state = self._save_if_due(self._step(state))
        return state

    def _step(self, state: State) -> State:
        slots = state.slots
        plan, options = slots.plan, self._options
        points = da.map_blocks(
            prox_step,
            for_map_blocks(self.engine, state.points),
            for_map_blocks(self.engine, state.gradient),
            self.frame,
            plan=plan,
            **options,
            dtype=np.float64,
            meta=np.empty((0, 0)),
            name=f"prox-{state.scans}-{id(state)}",
            chunks=(self.engine.column_chunks, (plan.n_points,)),
        )
        found, summary, c = self._evaluate(points, slots, state.dtype)
        k, b = slots.jobs.size, slots.intercepts
        stepwise, power = unpack(summary, k)
        columns = combine_column_sums(stepwise)
        certificate = certificate_of(
            self.problem,
            found.sums[:k],
            columns[:COLUMN_SUMS],
            self.free,
            c,
            self.jobs.target(slots.jobs),
            None if b is None else b.u,
        )
        double = state.dtype == "float64"
        goal = self.settings.tol * (1.0 if double else MARGIN)
        if not double and not self.problem.loss.quadratic:
            goal = max(goal, FLOAT32_SHOWS)
        null = self.problem.null_loss[self.jobs.target(slots.jobs)]
        patience = self.settings.max_scans if double else STALL_SCANS
        outcome = judge(slots, certificate, null, goal, patience)
        leaving = np.flatnonzero(outcome.leaving)
        solutions = dict(state.solutions)
        if leaving.size:
            nonzeros = self._nonzeros(found.points, leaving.tolist())
            for slot, column in zip(leaving, nonzeros, strict=True):
                solutions[int(slots.jobs[slot])] = Solution(
                    column,
                    float(certificate.primal[slot]),
                    float(outcome.relative_gap[slot]),
                    float(found.sums.slope[slot]),
                    certified=double,
                    intercept=0.0 if b is None else float(b.u[slot]),
                )
        evaluated = (
            None if b is None else self._evaluated(b.points, found.sums.slope[: b.points.size])
        )
        noise = self._noise(found.sums.slope_squares[:k], state.dtype)
        following = advance(slots, self.jobs, outcome, columns, power, evaluated, noise)
        state = State(
            following,
            found.points,
            found.gradient,
            solutions,
            state.dtype,
            state.scans + 1,
            state.bytes_read + found.bytes_read,
        )
        self._tell(state, outcome.relative_gap, certificate.n_nonzero)
        return state

    def _certify(self, state: State, jobs: list[int]) -> State:
        """One scan in float64 at solutions; those it does not certify are in flight again."""
        flying = np.asarray(jobs, dtype=int)
        points = dense_columns([state.solutions[job].nonzeros for job in jobs], self.engine)
        targets, alphas = self.jobs.target(flying), self.jobs.alpha(flying)
        intercepts = np.array([state.solutions[job].intercept for job in jobs])
        certified = certify_points(
            self.engine,
            self.problem,
            self.frame,
            self.free,
            points,
            targets,
            alphas,
            self.settings.device,
            intercepts if self.problem.steps_intercept else None,
        )
        found, certificate, gaps = certified.found, certified.certificate, certified.relative_gap
        solutions = dict(state.solutions)
        for k, job in enumerate(jobs):
            solutions[job] = replace(
                solutions[job],
                objective=float(certificate.primal[k]),
                gap=float(gaps[k]),
                residual_mean=float(found.sums.slope[k]),
                certified=bool(gaps[k] <= self.settings.tol),
            )
        again = [k for k in range(flying.size) if gaps[k] > self.settings.tol][: self.n_slots]
        base = np.full(len(self.jobs), ZERO)
        base[flying] = np.arange(flying.size)
        objectives = dict(zip(jobs, certificate.primal, strict=True))
        slots = first_slots(
            self.jobs,
            flying[again].tolist(),
            self.n_slots,
            state.slots.lipschitz,
            base,
            None,
            self._evaluated(intercepts, found.sums.slope),
            backtracking.begin(self.problem, self.jobs.targets, "float64", objective=objectives),
        )
        state = State(
            slots,
            found.points,
            found.gradient,
            solutions,
            "float64",
            state.scans + 1,
            state.bytes_read + found.bytes_read,
        )
        self._tell(state, gaps, certificate.n_nonzero)
        return state

    def _evaluate(
        self, points: da.Array, slots: Slots, dtype: str
    ) -> tuple[Answers, np.ndarray, list[np.ndarray]]:
        """One scan, one graph: the gradient at new points, the summary of each part, and what
        projecting on unpenalised columns needs."""
        k, b = slots.jobs.size, slots.intercepts
        query = gradient_query(
            self.problem,
            np.tile(self.jobs.target(slots.jobs), slots.plan.n_iterates // k).tolist(),
            dtype,
            self.settings.device,
            None if b is None else b.points,
        )
        scan = self.engine.gradient(query, points, self.frame)
        extra: list[Any] = []
        arrays = [points, self.frame]
        if self.free is not None:
            gradient = scan.gradient
            c = self.free.coefficients(points, gradient, k, self.problem.objective.penalty)
            arrays.append(self.free.projection(c, self.settings.device))
            extra = [c, self.free.rows(gradient[:, :k])]
        options = {**self._options, "frequency": self.problem.frequency}
        summarised = partial(_summarise, slots.plan, options, b is not None)
        summary = scan.map_parts("summary", summarised, *arrays)
        found = gather(self.engine, points, scan, [*summary, *extra])
        # from where a step went too far for numbers, a problem can go back if it holds a point
        held = slice(2 * k, 3 * k) if slots.plan.holds else slice(None)
        check_finite(found.sums[held].finite)
        n_parts = len(summary)
        return found, np.concatenate(found.extra[:n_parts]), found.extra[n_parts:]

    def _nonzeros(self, points: Coefficients, columns: list[int]) -> list[Nonzeros]:
        return sparse_columns(as_dask(self.engine, points), columns, self.engine.runner)

    @property
    def _options(self) -> dict[str, Any]:
        return {"penalty": self.problem.objective.penalty, "device": self.settings.device}

    def _give_up(self, state: State) -> State:
        """Out of scans: what is in flight stays as it was last evaluated, without a certificate."""
        slots = state.slots
        solutions = dict(state.solutions)
        begun = [k for k, column in enumerate(slots.plan.previous) if column != ZERO]
        columns = [int(slots.plan.previous[k]) for k in begun]
        found = dict(zip(begun, self._nonzeros(state.points, columns), strict=True))
        empty = (np.zeros(0, dtype=np.int64), np.zeros(0))
        for k, job in enumerate([*slots.jobs.tolist(), *slots.waiting]):
            if job not in solutions:
                b = self.problem.null_intercept[self.jobs.target(job)]
                if slots.intercepts is not None and k < slots.jobs.size:
                    b = slots.intercepts.previous[k]
                solutions[job] = Solution(
                    found.get(k, empty), np.inf, np.inf, 0.0, certified=False, intercept=float(b)
                )
        nobody = replace(slots, jobs=slots.jobs[:0], waiting=())
        return replace(state, slots=nobody, solutions=solutions)

    def _evaluated(self, at: np.ndarray, slope: np.ndarray) -> Evaluated | None:
        """What is known of intercepts at some points, where the intercept is a coordinate."""
        if not self.problem.steps_intercept:
            return None
        return Evaluated(at, slope, self.problem.null_intercept)

    def _noise(self, slope_squares: np.ndarray, dtype: str) -> np.ndarray | float:
        """How far rounding may move a difference of gradients, ‖·‖ of it.

        A loss that is no quadratic is mostly less curved than its bound, so that only noise exceeds
        it, and would shorten every step from then on.
        """
        if self.problem.loss.quadratic:
            return 0.0
        of_problems = together(slope_squares[None], self.jobs.n_outputs)[0]
        size = np.sqrt(of_problems * self.problem.n_features)
        return NOISE * float(np.finfo(dtype).eps) * size

    # -- watching and surviving ---------------------------------------------------------------

    def _tell(self, state: State, gaps: np.ndarray, n_nonzero: np.ndarray) -> None:
        if self.progress is None:
            return
        tol = self.settings.tol
        done = sum(one.certified or one.gap <= tol for one in state.solutions.values())
        together = self.jobs.n_outputs  # jobs of one problem, done at once
        self.progress(
            ScanEvent(
                scan=state.scans,
                n_done=done // together,
                n_alphas=len(self.jobs) // together,
                worst_gap=float(np.max(gaps, initial=0.0)),
                n_nonzero=int(n_nonzero[-1]) if n_nonzero.size else 0,
                bytes_read=state.bytes_read,
                seconds=time.monotonic() - self._began,
            )
        )

    def _save_if_due(self, state: State) -> State:
        folder = self.settings.checkpoint
        self._unanchored += 1
        due = time.monotonic() - self._saved >= self.settings.checkpoint_seconds
        # arrays out on workers hang on all tasks that ever led to them: reading them back from
        # the checkpoint cuts that chain, and is where a lost worker's blocks come from
        out_there = stays_on_workers(self.engine, state.points.shape[1])
        anchor = out_there and self._unanchored >= LINEAGE_SCANS
        if folder is None or not (due or anchor):
            return state
        self.save(state, folder)
        return self.resume(folder) if out_there else state

    def resume(self, folder: Path) -> State:
        """The state of the checkpoint in ``folder``; errors as in :func:`load_state`."""
        return load_state(folder, self.settings.key, self.engine)

    def save(self, state: State, folder: Path) -> None:
        """Write a checkpoint of ``state``."""
        save_state(folder, self.settings.key, state, self.jobs.alphas, self.engine)
        self._saved, self._unanchored = time.monotonic(), 0


def _summarise(
    plan: Plan,
    options: dict[str, Any],
    with_intercept: bool,
    answer: PartAnswer,
    points: np.ndarray,
    frame: Frame,
    projection: np.ndarray | None = None,
) -> np.ndarray:
    at = answer.values[0]
    options = {**options, "sums": at.sums if with_intercept else None}
    return to_numpy(summarise(points, at.gradient, frame, projection, plan, **options))
