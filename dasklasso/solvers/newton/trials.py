"""A scan at trial points: what a proximal Newton fit asks of it, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.gather import Answers, gather
from dasklasso.scan.graph import BlockArray
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.queries.held_out import Scores
from dasklasso.solvers.newton.iterate import Iterate


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
class Trials:
    """One scan at trials: loss and gradient of each, and the Hessians that are wanted.

    Attributes
    ----------
    query : Gradient
    points : (n_features, K), in the chunks of the layout's parts
    frame : as the engine placed it
    hessians : Request or None
    held_out : Request or None
        How well trials predict the rows that they leave out.
    """

    query: Gradient
    points: BlockArray
    frame: PlacedFrame
    hessians: Request | None = None
    held_out: Request | None = None

    def ask(self, engine: ScanEngine) -> Tried:
        """Run the scan."""
        also = [one for one in (self.hessians, self.held_out) if one is not None]
        scan = engine.gradient(self.query, self.points, self.frame, also)
        found = gather(engine, self.points, scan)
        return Tried(
            found,
            None if self.hessians is None else found[self.hessians.query],
            None if self.held_out is None else found[self.held_out.query],
        )


@dataclass(frozen=True)
class Tried:
    """What a scan showed of trials.

    Attributes
    ----------
    found : Answers
    matrices : the Hessians, or None
    scores : of the rows left out, or None
    """

    found: Answers
    matrices: list[np.ndarray] | None
    scores: Scores | None

    @property
    def bytes_read(self) -> int:
        return self.found.bytes_read


def trial_arrays(iterates: Sequence[Iterate]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the targets (K,), points (n_features, K) and intercepts (K,) of trials."""
    return (
        np.array([iterate.target for iterate in iterates]),
        np.stack([iterate.trial[0] for iterate in iterates], axis=1),
        np.array([iterate.trial[1] for iterate in iterates]),
    )
