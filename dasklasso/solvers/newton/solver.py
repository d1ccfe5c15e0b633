"""Proximal Newton for all problems at once: a scan brings everybody's exact gradient.

Between scans each problem minimises a quadratic model of its own (:mod:`newton_step`), with a
Hessian that it shares with its neighbours along the path (:mod:`hessians`); the next scan says
whether the step was good (:mod:`tracks`) and takes what Hessians are wanted, over the columns that
matter: those in use, and those whose gradient is so large that they may come into use. Columns
beyond are seen in every gradient, so none that violates the optimality conditions is missed.

Products run in float32 while gaps are far from the tolerance; the scan that certifies is one in
float64, and what it does not certify goes on in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.problem.folds import Folds, scores_of
from dasklasso.problem.problem import Problem, gradient_query
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.gather import Answers, gather
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.queries.held_out import Scores
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.runners import threads_each
from dasklasso.scan.threads import blas_threads
from dasklasso.solvers.base import Jobs, ScanEvent, Settings
from dasklasso.solvers.certificate_scan import certificate_here
from dasklasso.solvers.newton.hessian_schedule import Limits, Nodes, Wanted
from dasklasso.solvers.newton.iterate import Track, share
from dasklasso.solvers.newton.step import Charge, Point, newton_step

JOIN = 1e-3  # gap of problems of all rows from which those of folds begin where they are
NEAR = 30.0  # times tol: from there a step is likely to arrive, so it is evaluated in float64
INNER = 1e-3  # of a problem's gap: how far its model is minimised
LEAST_INNER = 1e-12  # of the null loss
NOISE = {"float32": 1e-6, "float64": 1e-13}  # of an objective
PATIENCE = {"float32": 2, "float64": 20}  # scans without a gain
CREEPS = 8  # scans without one that was worth it: rounding may be what holds a problem
IDLE = 60  # scans without one that was worth it
NULL_LOSSES_ADDED = 2.0  # to models, so that they are nowhere below zero


@dataclass(frozen=True)
class Tilt:
    """What is added to the mean loss of some rows so that it has the gradient of all rows.

    Attributes
    ----------
    gradient : (n_features, n_targets)
    slope : (n_targets,), in the intercept
    """

    gradient: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class Start:
    """Where the problems of a fit begin: arrays (n_features, n_jobs) and (n_jobs,).

    From a checkpoint those of folds may follow, fold by fold: n_jobs · (1 + n_folds) columns.

    Attributes
    ----------
    points, intercepts : of the first trials
    gradients : there, more or less: which columns the first Hessians are wanted of
    solved : whether these are solutions already, so that a scan in float64 may certify them
    """

    points: np.ndarray
    intercepts: np.ndarray
    gradients: np.ndarray
    solved: bool = False


class Newton:
    """All problems of a fit, and their scans.

    Parameters
    ----------
    engine : ScanEngine
        Whose bands hold all columns.
    problem : Problem
    frame : as the engine placed it
    jobs : Jobs
    settings : Settings
    limits : Limits
    progress : called after every scan
    tilt : Tilt or None
    noise : float
        By how much entries of a first gradient may be off, where it comes from a sample of rows.
    bytes_read : before this
    save : called where a checkpoint is due, every ``checkpoint_seconds``
    folds : Folds or None
        Of rows, where each job is solved without each of them too.
    """

    def __init__(
        self,
        engine: ScanEngine,
        problem: Problem,
        frame: PlacedFrame,
        jobs: Jobs,
        settings: Settings,
        limits: Limits,
        progress: Callable[[ScanEvent], None] | None = None,
        *,
        tilt: Tilt | None = None,
        noise: float = 0.0,
        bytes_read: int = 0,
        save: Callable[[Newton], None] | None = None,
        checkpoint_seconds: float = 30.0,
        folds: Folds | None = None,
    ) -> None:
        self.engine, self.problem, self.frame, self.jobs = engine, problem, frame, jobs
        self.settings, self.progress = settings, progress
        self.tilt, self.bytes_read = tilt, bytes_read
        n_folds = 0 if folds is None else len(folds.weights)
        outside = {k: folds.problem_outside(problem, k) for k in range(n_folds)} if folds else {}
        self.problems = {ALL: problem, **outside}
        self.nodes = Nodes(problem, jobs, limits, noise, outside)
        self.tracks: list[Track] = []
        self._double = engine.table.X.dtype == np.float64
        self._began = self._saved = time.monotonic()
        self._save, self.folds, self.checkpoint_seconds = save, folds, checkpoint_seconds
        # one scan there is always: what was never evaluated has no gap
        self._most_scans = max(settings.max_scans, engine.scans + 1)

    def run(self, start: Start, null: Sequence[Point]) -> None:
        """Solve every job; what is found is in ``tracks``, in the order of jobs.

        Parameters
        ----------
        start : Start
        null : for each target its model without features: what is better than a bad start
        """
        n_targets, self._start = self.jobs.n_targets, start
        self.tracks = [
            Track(
                index=job // n_targets,
                target=job % n_targets,
                fold=ALL,
                trial=(start.points[:, job], float(start.intercepts[job])),
                point=null[job % n_targets],
                objective=null[job % n_targets].loss,
                caution=self.problem.loss.caution,
            )
            for job in range(len(self.jobs))
        ]
        matters = [
            self.nodes.matters(t, start.gradients[:, job]) for job, t in enumerate(self.tracks)
        ]
        dtype = "float64" if self._double or self._is_last() or start.solved else "float32"
        if self._is_last() or self._folds_begun():
            matters = self._join(matters)
        while flying := self._flying(dtype):
            certifies = start.solved and not any(t.known for t in self.tracks)
            wanted = [] if certifies else self.nodes.wanted(self.tracks, matters)
            self._scan(flying, wanted, dtype)
            self.nodes.noise = 0.0  # from now on gradients are those of the rows themselves
            if self._scans_left():
                double = dtype == "float64"
                share(self.tracks, self.problems, self.jobs.alphas, exact_only=double)
            for track in flying:
                self._judge(track, dtype)
            matters = [self.nodes.matters(t) for t in self.tracks]
            before, dtype = dtype, self._next_dtype(dtype)
            if dtype != before and self._is_last():
                for track in self.tracks:  # no step that nobody could come back from
                    track.stay()
            else:
                self._aim(matters, before)
            matters = self._join(matters)
            self._tell()
            self._save_if_due()

    def _join(self, matters: list[np.ndarray]) -> list[np.ndarray]:
        """Let problems of folds begin, once those of all rows are where folds may start from."""
        if self.folds is None or len(self.tracks) > len(self.jobs):
            return matters
        start, n_folds, begun = self._start, len(self.folds.weights), self._folds_begun()
        waits = any(not track.gap <= JOIN for track in self.tracks)
        if waits and not begun and not self._is_last():
            return matters
        for fold in range(n_folds):
            useful = self.problems[fold].frame.matters
            for job in range(len(self.jobs)):
                whole = self.tracks[job]
                trial = (whole.point.u, whole.point.b) if whole.known else whole.trial
                if begun:
                    own = len(self.jobs) * (1 + fold) + job
                    trial = start.points[:, own], float(start.intercepts[own])
                self.tracks.append(
                    Track(
                        whole.index,
                        whole.target,
                        fold,
                        (np.where(useful, trial[0], 0.0), trial[1]),
                        replace(whole.point, u=np.where(useful, whole.point.u, 0.0)),
                        np.inf,  # anything is better than what was never evaluated
                    )
                )
        return matters + matters[: len(self.jobs)] * n_folds

    def _folds_begun(self) -> bool:
        """Whether a checkpoint has problems of these folds."""
        n_folds = 0 if self.folds is None else len(self.folds.weights)
        return n_folds > 0 and len(self._start.intercepts) == len(self.jobs) * (1 + n_folds)

    # -- who flies, and how -------------------------------------------------------------------

    def _flying(self, dtype: str) -> list[Track]:
        """Those that the next scan evaluates; nobody where all is done or scans have run out."""
        if not self._scans_left():
            return []
        open_ones = [t for t in self.tracks if not t.certified]
        if dtype == "float32":
            return [t for t in open_ones if not t.resting]
        return open_ones

    def _scans_left(self) -> int:
        return max(self._most_scans - self.engine.scans, 0)

    def _is_last(self) -> bool:
        """Whether one more scan is all there is."""
        return self._scans_left() <= 1

    def _judge(self, track: Track, dtype: str) -> None:
        """Whether a track that was evaluated is done with this precision."""
        done = track.gap <= self.settings.tol or self._given_up(track, dtype)
        if dtype == "float64":
            track.certified, track.resting = done and track.exact, False
        else:
            track.resting = done

    def _given_up(self, track: Track, dtype: str) -> bool:
        return track.stalled >= PATIENCE[dtype] or track.idle >= IDLE

    def _stays(self, track: Track, dtype: str) -> bool:
        """Whether a track is to be evaluated where it is, after a scan of a ``dtype``."""
        if track.certified or track.resting:
            return True
        if not track.known:  # nothing that is reported is without a gap
            return self._is_last() or self._given_up(track, dtype)
        return dtype == "float64" and not track.exact

    def _next_dtype(self, dtype: str) -> str:
        """float64 from when all that fly are about to arrive."""
        flying = [t for t in self.tracks if not t.certified and not t.resting]
        near = all(t.gap <= NEAR * self.settings.tol for t in flying)
        # where float32 no longer gets on, nobody needs to wait for the others
        exhausted = any(t.resting and t.gap > self.settings.tol for t in self.tracks)
        exhausted |= any(t.idle >= CREEPS for t in flying)
        return (
            "float64" if dtype == "float64" or near or exhausted or self._is_last() else "float32"
        )

    # -- scans --------------------------------------------------------------------------------

    def _scan(self, flying: Sequence[Track], wanted: Sequence[Wanted], dtype: str) -> None:
        """Evaluate trials, and take Hessians."""
        targets = np.array([t.target for t in flying])
        points = np.stack([t.trial[0] for t in flying], axis=1)
        intercepts = np.array([t.trial[1] for t in flying])
        query = gradient_query(
            self.problem,
            targets.tolist(),
            dtype,
            self.settings.device,
            intercepts if self.problem.steps_intercept else None,
        )
        chunked = self.engine.by_columns(points)
        also: list[Request] = []
        hessians: WeightedGrams | None = None
        held_out: Query[Scores] | None = None
        at: list[tuple[np.ndarray, float]] = []
        if wanted:
            kind = "float64" if self._double else dtype
            hessians, at = self.nodes.query(wanted, self.tracks, kind, self.settings.device)
            left_out = [self.tracks[one.track].fold for one in wanted]
            if self.folds is not None and any(fold != ALL for fold in left_out):
                hessians = self.folds.hessians(hessians, left_out)
            nodes = np.stack([u for u, _ in at], axis=1)
            also = [Request(hessians, (self.engine.by_columns(nodes), self.frame))]
        if self.folds is not None and any(t.fold != ALL for t in flying):
            groups = self.folds.groups([t.fold for t in flying], self.problem.total_weight)
            query = self.folds.gradient(query, groups)
            if dtype == "float64":
                held_out = self.folds.held_out(query, points, self.problem.frame)
                also.append(Request(held_out, (chunked, self.frame)))
        found = gather(self.engine, chunked, self.engine.gradient(query, chunked, self.frame, also))
        self.bytes_read += found.bytes_read
        scores = None if held_out is None else found[held_out]
        self._settle(flying, found, scores, points, intercepts, targets, dtype)
        if hessians is not None:
            self.nodes.keep(wanted, hessians, at, self.tracks, found[hessians])

    def _settle(
        self,
        flying: Sequence[Track],
        found: Answers,
        scores: Scores | None,
        points: np.ndarray,
        intercepts: np.ndarray,
        targets: np.ndarray,
        dtype: str,
    ) -> None:
        gradient, sums = to_numpy(found.gradient), found.sums
        if self.tilt is not None:
            gradient = gradient + self.tilt.gradient[:, targets]
            loss = sums.loss + np.sum(self.tilt.gradient[:, targets] * points, axis=0)
            sums = replace(
                sums,
                loss=loss + self.tilt.slope[targets] * intercepts,
                slope=sums.slope + self.tilt.slope[targets],
            )
        alphas = self.jobs.alphas[[t.index for t in flying]]
        useful = {t.fold: self.problems[t.fold].frame.matters for t in flying}
        if any(np.any(one != self.problem.frame.matters) for one in useful.values()):
            # a column that is constant outside a fold is zero there once it is standardised
            gradient = np.where(np.stack([useful[t.fold] for t in flying], axis=1), gradient, 0.0)
        primals, gaps = np.zeros(len(flying)), np.zeros(len(flying))
        for fold, run in groupby(range(len(flying)), key=lambda k: flying[k].fold):
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
        for k, track in enumerate(flying):
            if not finite[k]:
                track.refuse()
                continue
            here = Point(
                points[:, k],
                float(intercepts[k]),
                float(sums.loss[k]),
                gradient[:, k],
                float(sums.slope[k]),
            )
            primal = float(primals[k])
            noise = NOISE[dtype] * abs(primal)
            exact = dtype == "float64"
            if not track.known and not self._scans_left():
                track.objective = np.inf  # rather a point whose gap is known than a better one
            track.take(here, primal, float(relative[k]), noise, scores_of(scores, k), exact=exact)

    # -- in memory ----------------------------------------------------------------------------

    def _aim(self, matters: Sequence[np.ndarray], dtype: str) -> None:
        """Everybody's next trial, after a scan of a ``dtype``."""

        def one(k: int) -> None:
            track = self.tracks[k]
            if self._stays(track, dtype):
                track.stay()
                return
            quadric = self.nodes.quadric(k, track, matters[k])
            if quadric is None:  # no Hessian yet that is finite: there is one where it is
                track.stay()
                return
            null = float(self.problem.null_loss[track.target])
            step = newton_step(
                track.point,
                quadric,
                self._charge(track),
                fit_intercept=self.problem.steps_intercept,
                # a gap that is far too large must not keep a problem where it is
                tol=max(INNER * min(track.gap, 1.0) * 0.1**track.stalled, LEAST_INNER) * null,
                added=NULL_LOSSES_ADDED * null,
            )
            track.aim(step)

        with blas_threads(), ThreadPoolExecutor(threads_each(None)) as pool:
            for done in [pool.submit(one, k) for k in range(len(self.tracks))]:
                done.result()

    def _charge(self, track: Track) -> Charge:
        alpha, frame = float(self.jobs.alphas[track.index]), self.problems[track.fold].frame
        return Charge(alpha, self.problem.objective.penalty, frame.l1_factor, frame.l2_factor)

    def _save_if_due(self) -> None:
        due = time.monotonic() - self._saved >= self.checkpoint_seconds
        if self._save is not None and due:
            self._save(self)
            self._saved = time.monotonic()

    def _tell(self) -> None:
        if self.progress is None:
            return
        tol = self.settings.tol
        self.progress(
            ScanEvent(
                scan=self.engine.scans,
                n_done=sum(t.gap <= tol for t in self.tracks),
                n_alphas=len(self.tracks),
                worst_gap=max(t.gap for t in self.tracks),
                n_nonzero=int(np.count_nonzero(self.tracks[-1].trial[0])),
                bytes_read=self.bytes_read,
                seconds=time.monotonic() - self._began,
            )
        )
