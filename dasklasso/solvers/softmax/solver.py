"""Proximal Newton for softmax: the path on rows held in memory, then scans of all rows.

All classes of an alpha are one problem, whose Hessian couples them. On the rows in memory, alphas
are solved one after the other, each from the one before: a step minimises a quadratic model
(:mod:`softmax_step`) with a Hessian that is taken anew where the last no longer serves
(:mod:`softmax_hessian`). Where these are all rows there are, one scan in float64 then certifies the
path. Where they are a sample, its path is where scans begin: each evaluates all alphas that are not
done, and their next steps take the exact gradient from the scan and the Hessian from the sample.

With folds, the problems of an alpha that each leave one out begin where that of all rows has
arrived: in memory one after the other, else on the scans that all share.

A sample is not tilted by the gradient of all rows at the model without features, as
:mod:`newton` tilts one: where a column is rare in the sample, a softmax loss so tilted is unbounded
below.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.problem.folds import scores_of
from dasklasso.problem.problem import Problem
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.queries.folds import ALL
from dasklasso.solvers.base import Jobs, ScanEvent, Settings
from dasklasso.solvers.certificate_scan import certificate_here
from dasklasso.solvers.newton.iterate import Track
from dasklasso.solvers.newton.solver import JOIN, NEAR, PATIENCE, Start
from dasklasso.solvers.newton.step import Point, Step
from dasklasso.solvers.softmax.folds import Training, Trainings
from dasklasso.solvers.softmax.hessian import SoftmaxHessian, softmax_hessian
from dasklasso.solvers.softmax.rows import HeldRows, Seen, see
from dasklasso.solvers.softmax.step import Terms, softmax_step, terms_at

JOINS, STAYS = 0.85, 0.75  # of λ: coordinates of a step, and of a Hessian that serves several
SERVES = 1.2  # ratio of alphas up to which one Hessian serves both
SLOW = 0.2  # of the gap before: more, and the Hessian is taken anew
FEW = 1000  # coordinates of a Hessian, whatever is in use yet
NOISE = {"float32": 2e-7, "float64": 1e-13}  # of an objective
SINGLE = 1e-6  # tolerances below this are worked on in float64 from the start
MARGIN = 0.8  # of tol: where the scan in float64 will be content
SAMPLE_TOL = 1e-3  # relative gap on a sample: it differs from all rows by more
MOST_STEPS = 60  # in memory, for one alpha


@dataclass
class _Work:
    """The last step of one problem, and where it began: a shorter one may be tried."""

    origin: Point
    step: Step


class SoftmaxNewton:
    """All problems of a fit.

    Parameters
    ----------
    engine : ScanEngine
        Whose bands hold all columns.
    problem : Problem
    frame : as the engine placed it
    jobs : Jobs
    settings : Settings
    rows : HeldRows
    most : int
        Coordinates of a Hessian.
    without : Trainings or None
        Of folds, where each alpha is solved without each of them too.
    progress : called after every scan, and every alpha that is solved in memory
    bytes_read : before this
    save : called where a checkpoint is due, every ``checkpoint_seconds``

    Attributes
    ----------
    tracks : one for each alpha, then those of each fold; points have u (n_features, C), b and
        slope (C,)
    """

    def __init__(
        self,
        engine: ScanEngine,
        problem: Problem,
        frame: PlacedFrame,
        jobs: Jobs,
        settings: Settings,
        rows: HeldRows,
        most: int,
        progress: Callable[[ScanEvent], None] | None = None,
        *,
        without: Trainings | None = None,
        bytes_read: int = 0,
        save: Callable[[SoftmaxNewton], None] | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        self.engine, self.problem, self.frame, self.jobs = engine, problem, frame, jobs
        self.settings, self.rows, self.most, self.without = settings, rows, most, without
        self.progress, self.bytes_read, self._save = progress, bytes_read, save
        self.checkpoint_seconds = checkpoint_seconds
        double = in_double(engine.table.X.dtype, settings.tol)
        self._dtypes = ("float64",) if double else ("float32", "float64")
        self.tracks: list[Track] = []
        self._work: dict[tuple[int, int], _Work] = {}
        self._hessian: SoftmaxHessian | None = None
        self._draws = 0
        self._began = self._saved = time.monotonic()

    def run(self, null: Seen, start: Start | None) -> None:
        """Solve every alpha; what is found is in ``tracks``.

        Parameters
        ----------
        null : of the model without features, on all rows
        start : points and intercepts of a checkpoint, alpha by alpha and within it class by
            class, those of folds behind them, fold by fold; or None
        """
        c, self._start = self.problem.n_targets, start
        self.tracks = [self._begin(i, null) for i in range(len(self.jobs.alphas))]
        if start is not None:
            for i, track in enumerate(self.tracks):
                own = slice(i * c, (i + 1) * c)
                track.trial = np.ascontiguousarray(start.points[:, own]), start.intercepts[own]
        if self.rows.whole:
            self._in_memory(MARGIN * self.settings.tol)
        elif start is None and not self.rows.lacks_a_class:
            self._in_memory(max(SAMPLE_TOL, self.settings.tol))
            for i, track in enumerate(self.tracks):  # what was true of the sample
                self.tracks[i] = self._begin(i, null)
                self.tracks[i].trial = track.point.u, track.point.b
        self._by_scans()

    def _trained(self, fold: int) -> Training:
        """What problems without a fold are trained on."""
        if fold == ALL:
            return Training(self.problem, self.rows)
        assert self.without is not None
        return self.without.without[fold]

    def _begin(self, index: int, null: Seen) -> Track:
        """At the model without features, whose numbers come from a scan as all others do."""
        problem = self.problem
        zero = np.zeros((problem.n_features, problem.n_targets))
        b = problem.null_intercept if problem.steps_intercept else np.zeros(problem.n_targets)
        here = Point(zero, b, math.inf, null.gradient, null.sums.slope)
        track = Track(index, 0, ALL, (zero, b), here, math.inf)
        self._settle(problem, track, null, "float64", exact=True)
        track.stalled, track.gaps = 0, []  # nothing was tried yet
        return track

    # -- in memory ----------------------------------------------------------------------------

    def _in_memory(self, goal: float) -> None:
        """The path of the rows held."""
        before: Track | None = None
        beside: list[Track] = []
        for track in self.tracks:
            if not self.rows.whole:
                track.objective = track.gap = math.inf  # null models are of all rows
            if before is not None and not track.trial[0].any():
                track.trial = before.point.u, before.point.b
            self._solve(track, goal, self._dtypes)
            self._tell(track)
            self._save_if_due()
            before = track
            if self.rows.whole:
                for other in self._without_folds(track, (track.point.u, track.point.b)):
                    self._solve(other, goal, self._dtypes)
                    beside.append(other)
        # fold by fold
        self.tracks += sorted(beside, key=lambda track: track.fold)

    def _without_folds(self, track: Track, at: tuple[np.ndarray, Any]) -> list[Track]:
        """Problems of a track's alpha, each on the rows outside a fold, to begin at one point."""
        n_folds = 0 if self.without is None else len(self.without.without)
        start, n_alphas, c = self._start, len(self.jobs.alphas), self.problem.n_targets
        trials = [at] * n_folds
        if start is not None and len(start.intercepts) == n_alphas * c * (1 + n_folds):
            for fold in range(n_folds):
                first = (n_alphas * (1 + fold) + track.index) * c
                own = slice(first, first + c)
                trials[fold] = np.ascontiguousarray(start.points[:, own]), start.intercepts[own]
        found = []
        for fold, (u, b) in enumerate(trials):
            useful = self._trained(fold).problem.frame.matters[:, None]
            point = replace(track.point, u=np.where(useful, track.point.u, 0.0))
            # anything is better than what was never evaluated on these rows
            trial = np.where(useful, u, 0.0), b
            found.append(Track(track.index, 0, fold, trial, point, math.inf))
        return found

    def _solve(self, track: Track, goal: float, dtypes: tuple[str, ...]) -> None:
        """Steps until the gap is within ``goal``, or as small as it gets; it then is stalled."""
        rows = self._trained(track.fold).rows
        for dtype in dtypes:
            track.stalled = 0
            for _ in range(MOST_STEPS):
                u, b = track.trial
                seen = rows.see(u, b, dtype)
                self._settle(rows.problem, track, seen, dtype, exact=False)
                if track.gap <= goal:
                    return
                if track.stalled >= PATIENCE[dtype]:
                    break
                self._aim(track, dtype)
            track.stay()

    # -- by scans -----------------------------------------------------------------------------

    def _by_scans(self) -> None:
        """All rows at once for all alphas, until each is certified."""
        dtype = "float64" if self.rows.whole else self._dtypes[0]
        for track in self.tracks:
            if self.rows.whole:
                track.stay()
            else:
                track.stalled = 0
        last = self.settings.max_scans - self.engine.scans <= 1
        self._join([t.trial for t in self.tracks], last=last)
        while self.engine.scans < self.settings.max_scans:
            flying = [t for t in self.tracks if not t.certified]
            if not flying:
                return
            if self.settings.max_scans - self.engine.scans <= 1:
                dtype = "float64"
            self._scan(flying, dtype)
            flying = [t for t in flying if not t.certified]
            last = self.settings.max_scans - self.engine.scans <= 1
            near = all(t.gap <= NEAR * self.settings.tol for t in flying)
            if near or any(t.stalled >= PATIENCE["float32"] for t in flying):
                dtype = "float64"
            self._join([(t.point.u, t.point.b) for t in self.tracks], last=last)
            for track in flying:
                if last and not track.exact:
                    track.stay()
                elif self.rows.whole:  # no scan for what memory can tell
                    self._solve(track, MARGIN * self.settings.tol, ("float64",))
                    track.stay()
                else:
                    self._aim(track, dtype)
            self._tell(self.tracks[len(self.jobs.alphas) - 1])
            self._save_if_due()

    def _join(self, begins: list[tuple[np.ndarray, Any]], *, last: bool) -> None:
        """Let problems of folds begin, once those of all rows are where folds may start from."""
        joined = len(self.tracks) > len(self.jobs.alphas)
        if not joined and (last or all(t.certified or t.gap <= JOIN for t in self.tracks)):
            beside = [
                other
                for track, at in zip(self.tracks, begins, strict=True)
                for other in self._without_folds(track, at)
            ]
            self.tracks += sorted(beside, key=lambda track: track.fold)

    def _scan(self, flying: list[Track], dtype: str) -> None:
        """Evaluate trials on all rows."""
        seen = see(
            self.engine,
            self.problem,
            self.frame,
            np.concatenate([t.trial[0] for t in flying], axis=1),
            np.concatenate([t.trial[1] for t in flying]),
            dtype,
            self.settings.device,
            None if self.without is None else self.without.folds,
            [t.fold for t in flying],
        )
        self.bytes_read += seen.bytes_read
        for k, track in enumerate(flying):
            problem, part = self._trained(track.fold).problem, seen.of(k, self.problem.n_targets)
            scores = scores_of(seen.scores, k)
            self._settle(problem, track, part, dtype, exact=dtype == "float64", scores=scores)
            if dtype == "float64":
                done = track.gap <= self.settings.tol or track.stalled >= PATIENCE[dtype]
                track.certified = track.exact and done

    # -- both ---------------------------------------------------------------------------------

    def _settle(
        self,
        problem: Problem,
        track: Track,
        seen: Seen,
        dtype: str,
        *,
        exact: bool,
        scores: dict[str, float] | None = None,
    ) -> None:
        """What a trial came to.

        Parameters
        ----------
        exact : whether it was evaluated on all rows by a scan in float64
        scores : of the rows left out
        """
        (u, b), c = track.trial, problem.n_targets
        gradient = np.where(problem.frame.matters[:, None], seen.gradient, 0.0)
        certificate = certificate_here(
            problem,
            u,
            gradient,
            seen.sums,
            np.arange(c),
            np.full(c, self.jobs.alphas[track.index]),
            b if problem.steps_intercept else None,
        )
        found = Point(u, b, float(seen.sums.loss[0]), gradient, seen.sums.slope)
        primal, gap = float(certificate.primal[0]), float(certificate.gap[0])
        relative = gap / float(problem.null_loss[0])
        track.take(found, primal, relative, NOISE[dtype] * abs(primal), scores, exact=exact)
        track.secants = []  # Hessians are taken anew instead of being corrected

    def _aim(self, track: Track, dtype: str) -> None:
        """The next trial: the minimum of a model, or a shorter step where the last failed."""
        key, problem = (track.fold, track.index), self._trained(track.fold).problem
        terms = terms_at(problem, float(self.jobs.alphas[track.index]))
        work = self._work.get(key)
        if work is None or work.origin is not track.point:
            hessian = self._serving(track, terms, dtype)
            wanted = terms.matter(track.point, JOINS, self.most)
            coordinates = np.intersect1d(wanted, hessian.coordinates, assume_unique=True)
            step = softmax_step(
                track.point, terms, coordinates, hessian.on(coordinates), self.settings.tol
            )
            work = self._work[key] = _Work(track.point, step)
        track.aim(work.step)

    def _serving(self, track: Track, terms: Terms, dtype: str) -> SoftmaxHessian:
        """A Hessian for a step of a track: the last one taken, or a new one.

        In float64 where gaps are, and others have not served: directions that are all but flat are
        beyond float32.
        """
        alpha, point, known = float(self.jobs.alphas[track.index]), track.point, self._hessian
        slow = len(track.gaps) > 1 and track.gaps[-1] > SLOW * track.gaps[-2]
        needed = _needed(point, terms)
        most = _room(needed, point, self.most)
        if known is None or slow or not _serves(known, alpha, needed, most):
            self._draws += 1
            kind = dtype if slow else self._dtypes[0]
            if kind != self._dtypes[0]:
                most = min(most, int(self.most / math.sqrt(2)))  # it takes no more memory
            coordinates = terms.matter(point, STAYS, most)
            rows = self._trained(track.fold).rows
            known = softmax_hessian(rows, point, alpha, coordinates, kind, self._draws)
            self._hessian = known
        return known

    def _save_if_due(self) -> None:
        due = time.monotonic() - self._saved >= self.checkpoint_seconds
        if self._save is not None and due:
            self._save(self)
            self._saved = time.monotonic()

    def _tell(self, last: Track) -> None:
        if self.progress is None:
            return
        gaps = [t.gap for t in self.tracks if np.isfinite(t.gap)]
        self.progress(
            ScanEvent(
                scan=self.engine.scans,
                n_done=sum(t.certified for t in self.tracks),
                n_alphas=len(self.tracks),
                worst_gap=max(gaps, default=math.inf),
                n_nonzero=int(np.count_nonzero(last.point.u)),
                bytes_read=self.bytes_read,
                seconds=time.monotonic() - self._began,
            )
        )


def in_double(dtype: np.dtype, tol: float) -> bool:
    """Whether all products are in float64, for X of a ``dtype``."""
    return dtype == np.float64 or tol < SINGLE


def _needed(point: Point, terms: Terms) -> np.ndarray:
    """Coordinates that are in use, or whose conditions are violated."""
    violates = terms.excess(point) > 0
    return np.flatnonzero(violates | (terms.useful & terms.in_use(point)))


def _room(needed: np.ndarray, point: Point, most: int) -> int:
    """Coordinates of a Hessian: few where most of those that are needed are not in use yet.

    Far from the solution next to all violate their conditions, and few will be in use: they are let
    in by degrees, as into the working sets of Celer (Massias, Gramfort and Salmon, 2018), which are
    twice as large as what is in use.
    """
    few = max(FEW, 2 * int(np.count_nonzero(point.u)))
    return min(most, few) if len(needed) > few else most


def _serves(hessian: SoftmaxHessian, alpha: float, needed: np.ndarray, most: int) -> bool:
    """Whether a Hessian taken elsewhere has all that a step needs."""
    ratio = hessian.alpha / alpha if alpha > 0 and hessian.alpha > 0 else math.inf
    if hessian.alpha != alpha and not 1.0 / SERVES <= ratio <= SERVES:
        return False
    if len(needed) > most:
        return False
    return bool(np.isin(needed, hessian.coordinates, assume_unique=True).all())
