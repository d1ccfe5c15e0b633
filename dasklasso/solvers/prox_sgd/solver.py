"""Drives proximal stochastic gradient: epochs, each one scan, and scans that certify.

A certificate is of two points of every problem, the last iterate and the average, in one scan; the
better of all that were certified is what is returned, with its true gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dasklasso.problem.problem import Problem, gradient_query
from dasklasso.problem.zero_scan import FirstLook
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.gather import as_dask
from dasklasso.scan.sequential import scan_chain
from dasklasso.solvers.base import Jobs, ScanEvent, Settings, Solution, nonzeros_of
from dasklasso.solvers.certificate_scan import certify_points
from dasklasso.solvers.prox_sgd.step import Epoch, Iterate, n_batches, start

CERTIFY_EVERY = 5  # epochs: a certificate costs a scan


@dataclass(frozen=True)
class Schedule:
    """How often rows are seen, and how.

    Attributes
    ----------
    epochs : most
    batch_size : rows of a step
    seed : of the order of rows
    certify_every : epochs between two certificates; there is always one at the end
    """

    epochs: int = 20
    batch_size: int = 256
    seed: int = 0
    certify_every: int = CERTIFY_EVERY


class Epochs:
    """One fit: a problem, its jobs, an engine whose bands hold all columns.

    Parameters
    ----------
    frame : as the engine placed it, in one part
    first : FirstLook
    settings : Settings
        No checkpoint is kept.
    progress : called after every scan
    """

    def __init__(
        self,
        engine: ScanEngine,
        problem: Problem,
        frame: PlacedFrame,
        jobs: Jobs,
        first: FirstLook,
        settings: Settings,
        schedule: Schedule,
        progress: Callable[[ScanEvent], None] | None = None,
    ) -> None:
        self.engine, self.problem, self.frame = engine, problem, frame
        self.jobs, self.first, self.settings = jobs, first, settings
        self.schedule, self.progress = schedule, progress
        self.solutions: dict[int, Solution] = {}
        self.bytes_read = first.bytes_read
        self._targets = jobs.target(np.arange(len(jobs)))
        self._alphas = jobs.alpha(np.arange(len(jobs)))
        self._began = time.monotonic()

    def run(self) -> dict[int, Solution]:
        """Epochs until every gap is within ``tol``, or they or ``max_scans`` have run out.

        Returns
        -------
        solutions : of every job, certified by a scan in float64; its gap may be above ``tol``
        """
        iterate = start(
            np.asarray(self.first.gradient[:, -1]), self.problem.null_intercept[self._targets]
        )
        for number in range(self.schedule.epochs):
            # an epoch takes a scan, and so does the certificate that has to follow
            if self.engine.scans + 2 > self.settings.max_scans:
                break
            iterate = self._epoch(number, iterate)
            done = number + 1
            more = done < self.schedule.epochs and self.engine.scans + 3 <= self.settings.max_scans
            if more and done % self.schedule.certify_every == 0:
                self._certify(iterate)
                if self._worst_gap() <= self.settings.tol:
                    return self.solutions
        self._certify(iterate)
        return self.solutions

    def _epoch(self, number: int, iterate: Iterate) -> Iterate:
        """One scan of steps."""
        layout, schedule = self.engine.layout, self.schedule
        dtype = np.result_type(self.engine.table.X.dtype, np.float32).name
        batch_size = min(schedule.batch_size, layout.n_rows)
        bands = [layout.rows(band) for band in range(len(layout.bands))]
        epoch = Epoch(
            query=gradient_query(self.problem, self._targets.tolist(), dtype, self.settings.device),
            alphas=self._alphas,
            penalty=self.problem.objective.penalty,
            steps_intercept=self.problem.steps_intercept,
            n_rows=layout.n_rows,
            batch_size=batch_size,
            batches=sum(n_batches(band.stop - band.start, batch_size) for band in bands),
            seed=schedule.seed,
            number=number,
        )
        order = epoch.order(len(bands))
        iterate, nbytes = scan_chain(self.engine, "epoch", epoch, iterate, order, self.frame)
        self.bytes_read += nbytes
        self._tell(int(np.count_nonzero(iterate.points[:, len(self.jobs) - 1])))
        return iterate

    def _certify(self, iterate: Iterate) -> None:
        """One scan in float64 at the last iterates and the averages; the better ones are kept."""
        k = len(self.jobs)
        points = np.concatenate([iterate.points[:, :k], iterate.average], axis=1)
        intercepts = np.concatenate([iterate.intercepts, iterate.average_intercepts])
        certified = certify_points(
            self.engine,
            self.problem,
            self.frame,
            self.first.free,
            as_dask(self.engine, points),
            np.tile(self._targets, 2),
            np.tile(self._alphas, 2),
            self.settings.device,
            intercepts if self.problem.steps_intercept else None,
        )
        self.bytes_read += certified.found.bytes_read
        for column, gap in enumerate(certified.relative_gap.tolist()):
            job = column % k
            if job in self.solutions and self.solutions[job].gap <= gap:
                continue
            self.solutions[job] = Solution(
                nonzeros_of(points[:, column]),
                objective=float(certified.certificate.primal[column]),
                gap=gap,
                residual_mean=float(certified.found.sums.slope[column]),
                certified=True,
                intercept=float(intercepts[column]) if self.problem.steps_intercept else 0.0,
            )
        self._tell(len(self.solutions[k - 1].nonzeros[0]))

    def _worst_gap(self) -> float:
        return max((one.gap for one in self.solutions.values()), default=float("inf"))

    def _tell(self, n_nonzero: int) -> None:
        if self.progress is None:
            return
        tol = self.settings.tol
        self.progress(
            ScanEvent(
                scan=self.engine.scans,
                n_done=sum(one.gap <= tol for one in self.solutions.values()),
                n_alphas=len(self.jobs),
                worst_gap=self._worst_gap(),
                n_nonzero=n_nonzero,
                bytes_read=self.bytes_read,
                seconds=time.monotonic() - self._began,
            )
        )
