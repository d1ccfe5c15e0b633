"""Working sets for data wider than long: reads that certify, and a path solved in memory between.

A read multiplies the residuals of many problems (alphas × targets × folds) by every column. That
is the exact gradient of all features, which certifies what is certified, and shows which columns
violate the optimality conditions of the other problems; these are copied from the same read.
Between reads the path is solved ahead on the columns held (Massias, Gramfort and Salmon, 2018,
Celer: a fast solver for the lasso with dual extrapolation, section 3), as far as the last read
makes it credible. Nothing is predicted by a read, for all columns in use are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dasklasso.errors import MemoryLimitError
from dasklasso.free_memory import return_free_memory
from dasklasso.objective.alpha_grid import SMALLEST_L1_RATIO
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.strips import ask_strips, strips_of
from dasklasso.solvers.base import Frozen, Jobs, LeftOut, Setup, Solver, Standing
from dasklasso.solvers.certificate_scan import Certified, check_finite
from dasklasso.solvers.newton.side_by_side import side_by_side
from dasklasso.solvers.solution import Solution
from dasklasso.solvers.working_set.calls import Batch, Calls, StripAnswer
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.judge import called_in, combined, judge
from dasklasso.solvers.working_set.look import WideLook
from dasklasso.solvers.working_set.problems import (
    Evaluated,
    Problems,
    evaluate,
    given_up,
    left_as_tried,
)
from dasklasso.solvers.working_set.room import with_room
from dasklasso.solvers.working_set.series import EMPTY, Point, Series, at_l1_ratio
from dasklasso.solvers.working_set.state import WorkingSetState, freeze_state, thaw_state
from dasklasso.solvers.working_set.windows import solve_window
from dasklasso.units import format_size

MOST_IDLE = 2  # reads after which nothing was better, until problems are given up


@dataclass(frozen=True)
class WindowQuestion:
    """One read: certificates of the problems in the windows of all series.

    Attributes
    ----------
    query : Calls
    batches : of each series that has a window
    evaluated : what memory knows of each of them
    held : (n_features,) bool
    problems : of all series, with their windows and the points that are put to the test
    """

    query: Calls
    batches: Sequence[Batch]
    evaluated: Sequence[Evaluated]
    held: np.ndarray
    problems: tuple[Problems, ...]

    def ask(self, engine: ScanEngine) -> WindowAnswer:
        """Run the scan.

        Raises
        ------
        ValueFound
            When X holds values that are not finite.
        """
        strips = strips_of(engine.table.X)
        shared = (list(self.batches), self.held)
        answers, nbytes = ask_strips(engine, self.query, shared, strips)
        check_finite(np.array([one.finite for one in answers]))
        return WindowAnswer(answers, self.evaluated, self.problems, nbytes)


@dataclass(frozen=True)
class WindowAnswer:
    """What a read showed, strip by strip, with what memory knew before.

    Attributes
    ----------
    strips : answers of all strips
    evaluated : of each series that has a window
    problems : of all series, as the question had them
    bytes_read : int
    """

    strips: Sequence[StripAnswer]
    evaluated: Sequence[Evaluated]
    problems: tuple[Problems, ...]
    bytes_read: int


@dataclass(frozen=True)
class OutsideFold:
    """A problem that was solved without a fold: see :class:`~dasklasso.solvers.base.LeftOut`."""

    fold: int
    target: int
    gap: float
    scores: dict[str, float]


class WorkingSet(Solver[WorkingSetState]):
    """Working sets for one problem on one engine.

    Parameters
    ----------
    setup : Setup
        After :func:`~dasklasso.solvers.working_set.look.wide_look`.
    """

    name = "working_set"

    def __init__(self, setup: Setup) -> None:
        first = setup.first
        assert isinstance(first, WideLook)
        self.problem, self.settings, self.stage = setup.problem, setup.settings, setup.stage
        self.first, self.limits = first, first.limits
        self.series = at_l1_ratio(first.series, setup.problem.objective.l1_ratio)
        # the driver's certificate does not know these columns
        self.certifies_when_stopped = not setup.problem.unpenalised.size

    # -- the solver's protocol ----------------------------------------------------------------

    def init(self, jobs: Jobs, scans: float, bytes_read: int) -> WorkingSetState:
        """Return the state after the first read."""
        share = max(self.problem.objective.l1_ratio, SMALLEST_L1_RATIO)
        problems = tuple(
            Problems.begin(
                jobs.alphas,
                float(self.first.alpha_max[one.target]) / share,
                len(one.score_names),
            )
            for one in self.series
        )
        held = self.first.held
        return self._standing(WorkingSetState(jobs, scans, bytes_read, held, problems, 0))

    def done(self, state: WorkingSetState) -> bool:
        """Tell whether no problem waits."""
        return not any(one.waiting.size for one in state.problems)

    def ask(self, state: WorkingSetState) -> WindowQuestion:
        """Solve the next windows, and ask for their certificates and the columns they call in."""
        state = self._solved_ahead(state)
        n_features = self.problem.n_features
        batches, evaluated = [], []
        for series, problems in self._with_windows(state):
            found = evaluate(series, state.held, problems)
            calls, early = problems.calls
            alphas = problems.alphas[problems.window]
            batches.append(Batch(series.frame, alphas, found.rows.directions, calls, early))
            evaluated.append(replace(found, rows=found.rows.without_directions()))
        held = np.zeros(n_features, bool)
        held[state.held.index] = True
        query = Calls(self.problem.objective.penalty, self.limits.wanted, n_features)
        return WindowQuestion(query, batches, evaluated, held, state.problems)

    def tell(self, state: WorkingSetState, answer: WindowAnswer) -> WorkingSetState:
        """Certify, and hold what was called in."""
        sums, violations = combined(answer.strips)
        problems, calls, start, gained = [], [], 0, False
        evaluated = iter(answer.evaluated)
        for series, one in zip(self.series, answer.problems, strict=True):
            if not one.window.size:
                problems.append(one)
                continue
            own = slice(start, start + one.window.size)
            verdict = judge(
                series, one, next(evaluated), sums[:, own], violations[own], self.settings.tol
            )
            problems.append(verdict.problems)
            calls.append(verdict.calls)
            gained, start = gained or verdict.gained, own.stop
        offered = [strip.offered for strip in answer.strips]
        calling = np.concatenate(calls)
        held = state.held
        if calling.any():
            scores = np.empty(len(held), np.float32)
            scores[np.argsort(held.index)] = np.concatenate([one.held for one in answer.strips])
            held, room = with_room(held, self.series, problems, scores, self.limits)
            held = called_in(held, offered, calling, self.limits.wanted, room)
        idle = 0 if gained or len(held) > len(state.held) else state.idle + 1
        if idle >= MOST_IDLE:
            problems, idle = [given_up(one) for one in problems], 0
        return self._standing(replace(state, held=held, problems=tuple(problems), idle=idle))

    def stop(self, state: WorkingSetState) -> WorkingSetState:
        """Leave problems where they were last evaluated, or where they would be tried next."""
        state = self._solved_ahead(state)
        return replace(state, problems=tuple(left_as_tried(one) for one in state.problems))

    def solutions(self, state: WorkingSetState) -> dict[int, Solution]:
        """Return where problems of all rows are."""
        found = {}
        for series, problems in self._of_all_rows(state):
            for i, number in enumerate(problems.numbers.tolist()):
                point = problems.points[number]
                found[i * state.jobs.n_targets + series.target] = Solution(
                    (point.index, point.values),
                    float(problems.objective[number]),
                    float(problems.gap[number]),
                    float(problems.slope[number]),
                    certified=bool(np.isfinite(problems.gap[number])),
                    intercept=point.intercept,
                )
        return found

    def certified(
        self, state: WorkingSetState, jobs: Sequence[int], found: Certified
    ) -> WorkingSetState:
        """Return the state with what a certificate scan showed of problems that were left."""
        problems = list(state.problems)
        for k, job in enumerate(jobs):
            i, target = divmod(int(job), state.jobs.n_targets)
            where = next(
                place
                for place, one in enumerate(self.series)
                if one.fold == ALL and one.target == target
            )
            one = problems[where]
            gap, objective, slope = one.gap.copy(), one.objective.copy(), one.slope.copy()
            number = one.numbers[i]
            gap[number] = found.relative_gap[k]
            objective[number] = found.certificate.primal[k]
            slope[number] = found.found.sums.slope[k]
            problems[where] = replace(one, gap=gap, objective=objective, slope=slope)
        return self._standing(replace(state, problems=tuple(problems)))

    def left_out(self, state: WorkingSetState) -> Sequence[LeftOut]:
        """Tell the errors of problems of folds on the rows that they left out."""
        return [
            OutsideFold(
                series.fold,
                series.target,
                float(problems.gap[number]),
                dict(zip(series.score_names, problems.scores[:, number].tolist(), strict=True)),
            )
            for series, problems in zip(self.series, state.problems, strict=True)
            if series.fold != ALL
            for number in problems.numbers.tolist()
        ]

    def freeze(self, state: WorkingSetState) -> Frozen:
        """Return the state for a checkpoint, with the columns held."""
        return freeze_state(state)

    def thaw(self, jobs: Jobs, scans: float, bytes_read: int, frozen: Frozen) -> WorkingSetState:
        """Return the state that :meth:`freeze` wrote.

        Raises
        ------
        ValueError
            There are other series, or other scores, than the problem has.
        """
        state = thaw_state(jobs, scans, bytes_read, frozen)
        found = [len(one.scores) for one in state.problems]
        expected = [len(one.score_names) for one in self.series]
        if found != expected:
            raise ValueError(f"scores of {found} kinds in each series, expected {expected}")
        return replace(state, held=state.held.with_dense(self.first.held.dense))

    # -- parts --------------------------------------------------------------------------------

    def _of_all_rows(self, state: WorkingSetState) -> list[tuple[Series, Problems]]:
        pairs = zip(self.series, state.problems, strict=True)
        return [(series, problems) for series, problems in pairs if series.fold == ALL]

    def _with_windows(self, state: WorkingSetState) -> list[tuple[Series, Problems]]:
        pairs = zip(self.series, state.problems, strict=True)
        return [(series, problems) for series, problems in pairs if problems.window.size]

    def _solved_ahead(self, state: WorkingSetState) -> WorkingSetState:
        """Solve the next window of every series on the columns held."""
        n_waiting = sum(bool(one.waiting.size) for one in state.problems)
        most = max(1, self.limits.problems // max(1, n_waiting))
        windows = [one.next_window(most) for one in state.problems]
        tasks = [
            partial(self._solve, series, state.held, problems, window)
            for series, problems, window in zip(self.series, state.problems, windows, strict=True)
            if window.size
        ]
        report = None
        if self.stage is not None:
            stage, n_done, n = self.stage, _n_done(state.problems), _n_problems(state.problems)

            def report(_: int) -> None:
                stage("solving ahead", n_done, n)

        return_free_memory()  # of the answer to the last question
        trials = iter(side_by_side(tasks, report))
        return_free_memory()
        solved = [next(trials) if window.size else [] for window in windows]
        problems = tuple(
            one.with_window(window[: len(tried)], tried)
            for one, window, tried in zip(state.problems, windows, solved, strict=True)
        )
        return replace(state, problems=problems)

    def _solve(
        self, series: Series, held: HeldColumns, problems: Problems, window: np.ndarray
    ) -> list[Point]:
        behind = []
        for alpha, (index, values, intercept) in problems.behind(int(window[0])):
            there = np.isin(index, held.index)
            behind.append((alpha, Point(index[there], values[there], intercept)))
        likely = np.concatenate(
            [
                EMPTY.index,
                *(point.index for _, point in behind),
                *(one.index for one in problems.trials),
            ]
        )
        alphas, in_use = problems.alphas[window], self.limits.in_use
        trials = solve_window(series, held, alphas, behind, likely, self.settings.tol, in_use)
        if not trials:
            raise MemoryLimitError(
                f"memory: at alpha {alphas[0]:.6g} more than {in_use:,} features are in use, whose "
                f"Gram matrix takes {format_size(8 * in_use**2)}; working_set may have no more: "
                "give more memory, or end the path at a larger alpha"
            )
        return trials

    def _standing(self, state: WorkingSetState) -> WorkingSetState:
        gaps = np.concatenate([one.gap[one.asked & ~one.done] for one in state.problems])
        known = gaps[np.isfinite(gaps)]
        used = [
            len(point.index) for one in state.problems[:1] for point in one.trials or one.points
        ]
        standing = Standing(
            _n_done(state.problems),
            _n_problems(state.problems),
            float(known.max(initial=0.0)) if len(known) == len(gaps) else float("inf"),
            used[-1] if used else 0,
        )
        return replace(state, standing=standing)


def _n_done(problems: Sequence[Problems]) -> int:
    return sum(int(np.count_nonzero(one.done & one.asked)) for one in problems)


def _n_problems(problems: Sequence[Problems]) -> int:
    return sum(int(np.count_nonzero(one.asked)) for one in problems)
