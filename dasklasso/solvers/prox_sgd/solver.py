"""Proximal stochastic gradient as a solver: epochs, each one scan, and scans that certify.

A certificate is of two points of every problem, the last iterate and the average, in one scan; the
better of all that were certified is what is returned, with its true gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.problem.problem import gradient_query
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.gather import in_parts
from dasklasso.scan.sequential import scan_chain
from dasklasso.solvers.base import Jobs, Setup, Solver, Standing, State
from dasklasso.solvers.certificate_scan import CertificateQuestion, Certified
from dasklasso.solvers.prox_sgd.step import Epoch, Iterate, n_batches, start
from dasklasso.solvers.solution import Solution, confirmed, nonzeros_of, uncertified

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


@dataclass(frozen=True)
class EpochScan:
    """One scan of steps: bands one after the other, in the epoch's order."""

    epoch: Epoch
    iterate: Iterate
    frame: PlacedFrame

    def ask(self, engine: ScanEngine) -> EpochDone:
        """Run the scan."""
        order = self.epoch.order(len(engine.layout.bands))
        found = scan_chain(engine, "epoch", self.epoch, self.iterate, order, self.frame)
        return EpochDone(*found)


@dataclass(frozen=True)
class EpochDone:
    """Where an epoch led."""

    iterate: Iterate
    bytes_read: int


@dataclass(frozen=True)
class SgdState(State):
    """The state of proximal stochastic gradient.

    Attributes
    ----------
    iterate : Iterate
    n_epochs : epochs so far
    solved : of every job the better of what scans have certified
    certifies : whether the next scan certifies; else it is an epoch
    ended : whether there is no next scan
    """

    iterate: Iterate
    n_epochs: int
    solved: dict[int, Solution]
    certifies: bool
    ended: bool = False


class ProxSgd(Solver[SgdState]):
    """Proximal stochastic gradient for one problem, on an engine whose bands hold all columns.

    Parameters
    ----------
    setup : Setup
    """

    name = "prox_sgd"

    def __init__(self, setup: Setup) -> None:
        self.engine, self.problem, self.frame = setup.engine, setup.problem, setup.frame
        self.first, self.free, self.settings = setup.zero, setup.free, setup.settings
        options = setup.options
        self.schedule = Schedule(options.epochs, options.batch_size, options.seed)

    def init(self, jobs: Jobs, scans: float, bytes_read: int) -> SgdState:
        """Return the state at the null model."""
        assert self.first is not None
        gradient = self.first.gradient
        assert isinstance(gradient, np.ndarray)  # bands hold all columns
        iterate = start(gradient[:, -1], self.problem.null_intercept[jobs.targets])
        begins = self.schedule.epochs > 0 and scans + 2 <= self.settings.max_scans
        return SgdState(
            jobs=jobs,
            scans=scans,
            bytes_read=bytes_read,
            iterate=iterate,
            n_epochs=0,
            solved={},
            certifies=not begins,
        )

    def done(self, state: SgdState) -> bool:
        """Tell whether epochs or scans have run out, or every gap is within ``tol``."""
        return state.ended

    def solutions(self, state: SgdState) -> dict[int, Solution]:
        """Return the better of what was certified."""
        return state.solved

    def ask(self, state: SgdState) -> EpochScan | CertificateQuestion:
        """Return an epoch, or a certificate of the last iterates and the averages."""
        if not state.certifies:
            return EpochScan(self._epoch(state), state.iterate, self.frame)
        points, intercepts = self._candidates(state)
        numbers = np.arange(len(state.jobs))
        return CertificateQuestion(
            self.problem,
            self.frame,
            self.free,
            in_parts(self.engine, points),
            np.tile(state.jobs.target(numbers), 2),
            np.tile(state.jobs.alpha(numbers), 2),
            self.settings.device,
            intercepts if self.problem.steps_intercept else None,
        )

    def tell(self, state: SgdState, answer: EpochDone | Certified) -> SgdState:
        """Take an epoch's iterate, or the better of what a scan certified."""
        if isinstance(answer, Certified):
            return self._judged(state, answer)
        last = answer.iterate.points[:, len(state.jobs) - 1]
        state = replace(state, iterate=answer.iterate, n_epochs=state.n_epochs + 1)
        more = state.n_epochs < self.schedule.epochs
        # an epoch takes a scan, and so does the certificate that has to follow
        spare = self.settings.max_scans - state.scans
        due = more and spare >= 3 and state.n_epochs % self.schedule.certify_every == 0
        certifies = due or not (more and spare >= 2)
        standing = self._standing(state, int(np.count_nonzero(last)))
        return replace(state, certifies=certifies, standing=standing)

    def stop(self, state: SgdState) -> SgdState:
        """Return the last iterates, where nothing was certified yet."""
        points, intercepts = self._candidates(state)
        found = {
            job: uncertified(points[:, job], self._intercept(intercepts, job))
            for job in range(len(state.jobs))
        }
        return replace(state, solved={**found, **state.solved}, ended=True)

    def certified(self, state: SgdState, jobs: Sequence[int], found: Certified) -> SgdState:
        """Return what the driver certified, at the end."""
        return replace(state, solved=confirmed(state.solved, jobs, found))

    # -- parts --------------------------------------------------------------------------------

    def _epoch(self, state: SgdState) -> Epoch:
        layout, schedule, problem = self.engine.layout, self.schedule, self.problem
        dtype = np.result_type(self.engine.table.X.dtype, np.float32).name
        batch_size = min(schedule.batch_size, layout.n_rows)
        bands = [layout.rows(band) for band in range(len(layout.bands))]
        targets = state.jobs.targets
        return Epoch(
            query=gradient_query(problem, targets.tolist(), dtype, self.settings.device),
            alphas=state.jobs.alpha(np.arange(len(state.jobs))),
            penalty=problem.objective.penalty,
            steps_intercept=problem.steps_intercept,
            n_rows=layout.n_rows,
            batch_size=batch_size,
            batches=sum(n_batches(band.stop - band.start, batch_size) for band in bands),
            seed=schedule.seed,
            number=state.n_epochs,
        )

    def _candidates(self, state: SgdState) -> tuple[np.ndarray, np.ndarray]:
        """(n_features, 2 n_jobs) last iterates and averages, and their intercepts."""
        iterate, k = state.iterate, len(state.jobs)
        points = np.concatenate([iterate.points[:, :k], iterate.average], axis=1)
        return points, np.concatenate([iterate.intercepts, iterate.average_intercepts])

    def _judged(self, state: SgdState, answer: Certified) -> SgdState:
        points, intercepts = self._candidates(state)
        solved, k = dict(state.solved), len(state.jobs)
        for column, gap in enumerate(answer.relative_gap.tolist()):
            job = column % k
            if job in solved and solved[job].gap <= gap:
                continue
            solved[job] = Solution(
                nonzeros_of(points[:, column]),
                objective=float(answer.certificate.primal[column]),
                gap=gap,
                residual_mean=float(answer.found.sums.slope[column]),
                certified=True,
                intercept=self._intercept(intercepts, column),
            )
        state = replace(state, solved=solved, certifies=False)
        left = state.n_epochs < self.schedule.epochs
        left = left and state.scans + 2 <= self.settings.max_scans
        ended = not left or _worst_gap(solved) <= self.settings.tol
        standing = self._standing(state, len(solved[k - 1].nonzeros[0]))
        return replace(state, ended=ended, standing=standing)

    def _intercept(self, intercepts: np.ndarray, column: int) -> float:
        return float(intercepts[column]) if self.problem.steps_intercept else 0.0

    def _standing(self, state: SgdState, n_nonzero: int) -> Standing:
        done = sum(one.gap <= self.settings.tol for one in state.solved.values())
        return Standing(done, len(state.jobs), _worst_gap(state.solved), n_nonzero)


def _worst_gap(solved: dict[int, Solution]) -> float:
    return max((one.gap for one in solved.values()), default=float("inf"))
