"""The driver: the one loop of all solvers.

It asks the scans that a solver wants, counts them, tells who watches, keeps checkpoints, and has
every solution certified that the solver did not certify itself. A solver owns its mathematics only
(:class:`~dasklasso.solvers.base.Solver`).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.errors import CheckpointError, ClusterError, DataWarning, StoreError
from dasklasso.problem.problem import Problem
from dasklasso.problem.unpenalised import Unpenalised
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.solvers.base import (
    Frozen,
    Jobs,
    Question,
    ScanEvent,
    Settings,
    Solver,
    State,
    StateT,
)
from dasklasso.solvers.certificate_scan import CertificateQuestion, Certified, points_at_once
from dasklasso.solvers.checkpoint import read_checkpoint, write_checkpoint
from dasklasso.solvers.solution import dense_columns

LINEAGE_SCANS = 20  # arrays left on workers are anchored in a checkpoint at least this often


@dataclass(frozen=True)
class Checkpoints:
    """Where states are kept, and how often.

    Attributes
    ----------
    folder : Path
    key : str
        Names the problem: a state is only resumed under the same key.
    seconds : float
        Least time between two of them; 0 for every scan, inf where they only anchor what is left
        on workers.
    of : str
        Names the data, for who meets a state later.
    before_saving : callable
        Raises where a state is not to be kept: of a store that was replaced meanwhile.
    """

    folder: Path
    key: str
    seconds: float = 30.0
    of: str = ""
    before_saving: Callable[[], None] = field(default=lambda: None)


class Driver:
    """The loop around one engine and one problem.

    Parameters
    ----------
    engine : ScanEngine
    problem : Problem
    frame : as the engine placed it
    free : Unpenalised or None
        What certificates need where columns have no penalty.
    settings : Settings
    progress : called after every scan, and when a solver reports from memory
    checkpoints : Checkpoints or None
    began : when the fit did, as ``time.monotonic()`` has it
    """

    def __init__(
        self,
        engine: ScanEngine,
        problem: Problem,
        frame: PlacedFrame,
        free: Unpenalised | None,
        settings: Settings,
        *,
        progress: Callable[[ScanEvent], None] | None = None,
        checkpoints: Checkpoints | None = None,
        began: float | None = None,
    ) -> None:
        self.engine, self.problem, self.frame, self.free = engine, problem, frame, free
        self.settings, self.progress, self.checkpoints = settings, progress, checkpoints
        self._saved = time.monotonic()
        self._began = self._saved if began is None else began
        self._unanchored = 0
        self._unsaved: tuple[Solver[Any], Any] | None = None  # the last state, once it is whole
        self._warned = False

    def run(self, solver: Solver[StateT], state: StateT) -> StateT:
        """Scan until every job has a certified solution, or ``max_scans`` have been made.

        What is left open by then is certified as it is: its gap is true, if above ``tol``.

        Whatever ends a run early (too few scans, an error, Ctrl-C), the last state that is whole
        is in the checkpoint.
        """
        try:
            return self._run(solver, state)
        except ClusterError:
            if self._unsaved is not None and self._unsaved[1].on_workers:
                self._unsaved = None  # its arrays are out there
            raise
        finally:
            self._save_last()

    def _run(self, solver: Solver[StateT], state: StateT) -> StateT:
        most_scans = max(self.settings.max_scans, state.scans + solver.least_scans)
        while True:
            state = self._iterate(solver, state, most_scans)
            waiting = self._uncertified(solver, state)
            if not waiting or state.scans >= most_scans:
                break
            state = self.watch(solver, self._certify(solver, state, waiting[: self._at_once]))
        # no checkpoint of these: a fit that is resumed goes on from before it was stopped
        if not solver.certifies_when_stopped:
            return state
        for start in range(0, len(waiting), self._at_once):
            state = self._certify(solver, state, waiting[start : start + self._at_once])
            self._tell(state)
        return state

    def resume(self, solver: Solver[StateT]) -> StateT:
        """Return the state of the checkpoint.

        Raises
        ------
        CheckpointError
            When there is none, it cannot be read, it is of another problem or another solver.
        """
        assert self.checkpoints is not None
        folder = self.checkpoints.folder
        numbers, arrays = read_checkpoint(folder, self.checkpoints.key)
        found = numbers.pop("solver", None)
        if found != solver.name:
            raise CheckpointError(
                f"{folder}: a checkpoint of solver {found} found, expected one of {solver.name}"
            )
        n_targets, n_outputs = self.problem.n_targets, self.problem.loss.n_outputs
        try:
            jobs = Jobs(np.asarray(numbers.pop("alphas"), dtype=float), n_targets, n_outputs)
            scans, bytes_read = numbers.pop("scans"), int(numbers.pop("bytes_read"))
            scans = scans if isinstance(scans, int) else float(scans)  # a share, of partial reads
            return solver.thaw(jobs, scans, bytes_read, Frozen(numbers, arrays))
        except CheckpointError as error:
            raise CheckpointError(f"{folder}: {error}") from None
        except (LookupError, ValueError, TypeError, ArithmeticError, OSError) as error:
            raise CheckpointError(f"{folder}: the state cannot be read ({error})") from None

    def watch(self, solver: Solver[StateT], state: StateT) -> StateT:
        """Tell who watches how far a state is, and keep it where a checkpoint is due.

        Returns
        -------
        state : the same, or what the checkpoint holds where arrays were left on workers
        """
        self._unsaved = (solver, state)
        self._tell(state)
        return self._save_if_due(solver, state)

    def stage(self, stage: str, n_done: int, n_problems: int) -> None:
        """Tell who watches how far work in memory is, which takes no scan."""
        if self.progress is not None:
            seconds = time.monotonic() - self._began
            scans = self.engine.scans
            self.progress(
                ScanEvent(scans, n_done, n_problems, float("inf"), 0, 0, seconds, stage=stage)
            )

    # -- scans --------------------------------------------------------------------------------

    def _iterate(self, solver: Solver[StateT], state: StateT, most_scans: float) -> StateT:
        while not solver.done(state):
            if state.scans >= most_scans:
                self._unsaved = (solver, state)
                self._save_last()
                return solver.stop(state)
            state, answer = self._ask(solver.ask(state), state)
            state = self.watch(solver, solver.tell(state, answer))
            del answer  # a solver may want its memory for what it asks next
        return state

    def _ask(self, question: Question, state: StateT) -> tuple[StateT, Any]:
        """Run one scan: the state with it counted, and its answer."""
        before = self.engine.scans
        answer = question.ask(self.engine)
        scans = state.scans + self.engine.scans - before
        return replace(state, scans=scans, bytes_read=state.bytes_read + answer.bytes_read), answer

    def _certify(self, solver: Solver[StateT], state: StateT, some: Sequence[int]) -> StateT:
        solutions, jobs = solver.solutions(state), state.jobs
        found = [solutions[job] for job in some]
        intercepts = np.array([one.intercept for one in found])
        question = CertificateQuestion(
            self.problem,
            self.frame,
            self.free,
            dense_columns([one.nonzeros for one in found], self.engine),
            jobs.target(np.asarray(some)),
            jobs.alpha(np.asarray(some)),
            self.settings.device,
            intercepts if self.problem.steps_intercept else None,
        )
        answer: Certified
        state, answer = self._ask(question, state)
        return solver.certified(state, some, answer)

    @staticmethod
    def _uncertified(solver: Solver[StateT], state: StateT) -> list[int]:
        found = sorted(solver.solutions(state).items())
        return [job for job, one in found if not one.certified]

    @property
    def _at_once(self) -> int:
        return points_at_once(self.problem.n_features, self.problem.loss.n_outputs)

    # -- watching and surviving ---------------------------------------------------------------

    def _tell(self, state: State) -> None:
        if self.progress is None:
            return
        standing = state.standing
        self.progress(
            ScanEvent(
                scan=state.scans,
                n_done=standing.n_done,
                n_alphas=standing.n_problems,
                worst_gap=standing.worst_gap,
                n_nonzero=standing.n_nonzero,
                bytes_read=state.bytes_read,
                seconds=time.monotonic() - self._began,
            )
        )

    def _save_if_due(self, solver: Solver[StateT], state: StateT) -> StateT:
        if self.checkpoints is None:
            return state
        self._unanchored += 1
        due = time.monotonic() - self._saved >= self.checkpoints.seconds
        # arrays on workers hang on all tasks that ever led to them: reading them back from the
        # checkpoint cuts that chain, and is where a lost worker's blocks come from
        anchor = state.on_workers and self._unanchored >= LINEAGE_SCANS
        if not (due or anchor):
            return state
        saved = self._save(solver, state)
        return self.resume(solver) if saved and state.on_workers else state

    def _save_last(self) -> None:
        """Write the last state, where that is asked for and it is not written yet."""
        if self._unsaved is None or self.checkpoints is None:
            return
        last, self._unsaved = self._unsaved, None
        if not np.isfinite(self.checkpoints.seconds):
            return
        try:
            self._save(*last)
        except Exception as error:  # what ended the run is what matters
            warnings.warn(f"no checkpoint was written: {error}", DataWarning, stacklevel=2)

    def _save(self, solver: Solver[StateT], state: StateT) -> bool:
        """Write a checkpoint: whether that went well. If not, a warning says so, once."""
        assert self.checkpoints is not None
        self.checkpoints.before_saving()
        self._saved, self._unanchored, self._unsaved = time.monotonic(), 0, None
        try:
            self._write(self.checkpoints, solver, state)
        except (StoreError, OSError) as error:
            if not self._warned:
                warnings.warn(
                    f"no checkpoint was written: {error} The fit goes on; what was kept before "
                    "stays.",
                    DataWarning,
                    stacklevel=2,
                )
            self._warned = True
            return False
        return True

    def _write(self, checkpoints: Checkpoints, solver: Solver[StateT], state: StateT) -> None:
        frozen = solver.freeze(state)
        numbers = {
            "solver": solver.name,
            "alphas": state.jobs.alphas.tolist(),
            "scans": state.scans,
            "bytes_read": state.bytes_read,
            **frozen.numbers,
        }
        write_checkpoint(
            checkpoints.folder,
            checkpoints.key,
            numbers,
            frozen.arrays,
            self.engine.runner,
            checkpoints.of,
        )
