"""What every solver shares: jobs, solutions, states, and the protocol that the driver drives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.problem.unpenalised import Unpenalised
from dasklasso.problem.zero_scan import FirstLook, Look
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.graph import BlockArray
from dasklasso.solvers.solution import Solution

if TYPE_CHECKING:
    from dasklasso.problem.folds import Folds
    from dasklasso.solvers.certificate_scan import Certified


@dataclass(frozen=True)
class Jobs:
    """All (alpha, target) pairs, numbered ``i_alpha * n_targets + target``.

    Where a loss has several outputs, they are the targets: the jobs of an alpha are then one
    problem. They are always in flight together, in neighbouring columns: every decision
    about them is taken from numbers that are the same in all of them.

    Attributes
    ----------
    alphas : (n_alphas,) float64, decreasing
    n_targets : int
    n_outputs : jobs that are one problem: ``n_targets``, or 1
    """

    alphas: np.ndarray
    n_targets: int
    n_outputs: int = 1

    def __len__(self) -> int:
        return len(self.alphas) * self.n_targets

    @property
    def targets(self) -> np.ndarray:
        """(n_jobs,) int: of each job."""
        return np.tile(np.arange(self.n_targets), len(self.alphas))

    def alpha(self, job: np.ndarray) -> np.ndarray:
        return self.alphas[np.asarray(job, dtype=int) // self.n_targets]

    def target(self, job: np.ndarray) -> np.ndarray:
        return np.asarray(job, dtype=int) % self.n_targets


@dataclass(frozen=True)
class Settings:
    """How exactly a fit is solved, and where.

    Attributes
    ----------
    tol : relative dual gap
    max_scans : most reads of X
    device : as in :func:`dasklasso.backend.backend_for`
    """

    tol: float = 1e-6
    max_scans: int = 10_000
    device: str = "cpu"

    @classmethod
    def of(cls, options: FitOptions, run: RunOptions) -> Settings:
        """Return those of a fit's options."""
        return cls(options.tol, options.max_scans, run.device)


@dataclass(frozen=True)
class ScanEvent:
    """The state of a fit after a scan, or after a step in memory. Figures are cumulative.

    Attributes
    ----------
    scan : number of scans so far
    n_done, n_alphas : problems certified, and in all (one for each alpha and target)
    worst_gap : largest relative dual gap among the problems now in flight
    n_nonzero : nonzero coefficients of the last problem in flight
    bytes_read : bytes of X read so far
    seconds : since the fit began
    stage : what goes on between scans, or "" after a scan
    """

    scan: float
    n_done: int
    n_alphas: int
    worst_gap: float
    n_nonzero: int
    bytes_read: int
    seconds: float
    stage: str = ""


@dataclass(frozen=True)
class Standing:
    """How far a state is: what a progress line says.

    Attributes
    ----------
    n_done, n_problems : problems within the tolerance, and in all
    worst_gap : largest relative dual gap of the problems in flight
    n_nonzero : nonzero coefficients of the last problem in flight
    """

    n_done: int
    n_problems: int
    worst_gap: float
    n_nonzero: int


@dataclass(frozen=True)
class State:
    """What the states of all solvers have. A solver's own state adds arrays and numbers.

    Attributes
    ----------
    jobs : Jobs
    scans, bytes_read : reads of X, and the bytes read, of all that led here
    standing : Standing
    """

    jobs: Jobs
    scans: float
    bytes_read: int
    standing: Standing = field(default=Standing(0, 0, float("inf"), 0), kw_only=True)

    @property
    def on_workers(self) -> bool:
        """Whether arrays are left on the workers, where they hang on all that led to them."""
        return False


@dataclass(frozen=True)
class Frozen:
    """A state as a checkpoint holds it: the solver's own part.

    Attributes
    ----------
    numbers : plain JSON types
    arrays : "points" and "gradient", (n_features, any), in blocks of the layout's parts
    """

    numbers: dict[str, Any]
    arrays: dict[str, BlockArray]


class LeftOut(Protocol):
    """A problem that was solved without a fold.

    Attributes
    ----------
    fold, target : which
    gap : relative
    scores : on the rows left out, by name
    """

    @property
    def fold(self) -> int: ...
    @property
    def target(self) -> int: ...
    @property
    def gap(self) -> float: ...
    @property
    def scores(self) -> dict[str, float]: ...


class Question(Protocol):
    """One read of X: what a scan is asked, and how its answer comes back."""

    def ask(self, engine: ScanEngine) -> Any:
        """Run the scan. The answer has ``bytes_read``."""


@dataclass(frozen=True)
class Setup:
    """What a solver is made for.

    Attributes
    ----------
    data, options, run : of the fit
    engine : ScanEngine
        Where arrays are placed; the driver runs its scans.
    problem : Problem
    frame : as the engine placed it
    first : Look or None
        What the first scan showed; None for a fit that is resumed and needs none.
    folds : Folds or None
        Of rows, where each job is solved without each of them too.
    zero_requests : what the scan at zero was asked besides the gradient
    resumed : whether the fit goes on from a checkpoint
    watch : called with the solver and a state in the middle of work in memory
    stage : called with the name of a stage of work in memory, problems done, and in all
    """

    data: Dataset
    options: FitOptions
    run: RunOptions
    engine: ScanEngine
    problem: Problem
    frame: PlacedFrame
    first: Look | None = None
    folds: Folds | None = None
    zero_requests: Sequence[Request] = ()
    resumed: bool = False
    watch: Callable[[Any, Any], Any] | None = None
    stage: Callable[[str, int, int], None] | None = None

    @property
    def settings(self) -> Settings:
        return Settings.of(self.options, self.run)

    @property
    def zero(self) -> FirstLook | None:
        """What the scan at zero showed, where the first scan was that one."""
        return self.first if isinstance(self.first, FirstLook) else None

    @property
    def free(self) -> Unpenalised | None:
        """What certificates need where columns have no penalty."""
        return None if self.first is None else self.first.free


StateT = TypeVar("StateT", bound=State)


class Solver(ABC, Generic[StateT]):
    """A method of minimisation. It owns its mathematics; the driver owns the loop.

    ``ask`` and ``tell`` are pure: they change neither the state nor the solver, so that a state
    can be saved, resumed and compared. A solver never reads X itself.
    """

    name: str
    problem: Problem
    certifies_when_stopped = True  # whether what is left open by max_scans gets one more scan
    least_scans = 0  # of its own, whatever max_scans is

    def init(self, jobs: Jobs, scans: float, bytes_read: int) -> StateT:
        """Return the state from which scans begin.

        Parameters
        ----------
        scans, bytes_read : reads of X before, and their bytes
        """
        raise NotImplementedError(f"{self.name} begins elsewhere")

    def after(self, state: StateT, jobs: Jobs) -> StateT:
        """Return the state of the same problems with this loss, begun where another's ended.

        Parameters
        ----------
        state : of a solver of the same kind, with another loss
        jobs : as many, at alphas of this loss
        """
        raise NotImplementedError(f"{self.name} begins by itself")

    def done(self, state: StateT) -> bool:
        """Tell whether another scan of its own gains nothing; by default it asks none."""
        return True

    def ask(self, state: StateT) -> Question:
        """Return what the next scan should answer."""
        raise NotImplementedError(f"{self.name} asks nothing of its own")

    def tell(self, state: StateT, answer: Any) -> StateT:
        """Return the state after that scan; the driver has counted the scan and its bytes in it."""
        raise NotImplementedError(f"{self.name} asks nothing of its own")

    def stop(self, state: StateT) -> StateT:
        """Leave what is in flight as it is, where scans have run out."""
        return state

    @abstractmethod
    def solutions(self, state: StateT) -> dict[int, Solution]:
        """Return the solution of every job that is done. The driver certifies what is not."""

    @abstractmethod
    def certified(self, state: StateT, jobs: Sequence[int], found: Certified) -> StateT:
        """Return the state after the driver certified some solutions; they may go on from there."""

    def left_out(self, state: StateT) -> Sequence[LeftOut]:
        """Tell how each problem of a fold did on the rows that it left out, fold by fold."""
        return ()

    def freeze(self, state: StateT) -> Frozen:
        """Return the state for a checkpoint."""
        raise NotImplementedError(f"{self.name} keeps no checkpoints")

    def thaw(self, jobs: Jobs, scans: float, bytes_read: int, frozen: Frozen) -> StateT:
        """Return the state that :meth:`freeze` wrote."""
        raise NotImplementedError(f"{self.name} keeps no checkpoints")
