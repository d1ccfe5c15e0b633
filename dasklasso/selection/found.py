"""What a selection hands over: features, how they were chosen, and what that cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.model.path import FittedPath


@dataclass(frozen=True)
class Found:
    """The features that a method selects, before the cost is known.

    Attributes
    ----------
    path : FittedPath or None
        Its ``seconds`` and ``peak_memory_bytes`` are not known yet.
    features, chosen, table :
        As :class:`Selected` has them.
    bytes_read : int
    """

    path: FittedPath | None
    features: tuple[dict[str, Any], ...]
    chosen: dict[str, Any]
    table: list[dict[str, Any]]
    bytes_read: int


@dataclass(frozen=True)
class Selected:
    """Selected features.

    Attributes
    ----------
    by : str
        The method, as in :class:`~dasklasso.selection.options.SelectOptions`.
    path : FittedPath or None
        Models at every alpha, ``alpha_selected`` among them; None for "stability", which judges
        features and fits no model.
    features : tuple of dict
        The selected ones, ``feature`` and its ``coef`` or selection ``probability``, the largest
        first.
    chosen : dict
        What was chosen and how: ``alpha``, the criterion's value, ``gamma``, ``expected_false``.
    table : list of dict
        In plain numbers: a row for each alpha (and gamma), or for each feature where path is None.
    scans : int
        Reads of X.
    bytes_read, peak_memory_bytes : int
    seconds : float
    solver : str
    """

    by: str
    path: FittedPath | None
    features: tuple[dict[str, Any], ...]
    chosen: dict[str, Any]
    table: list[dict[str, Any]]
    scans: float
    bytes_read: int
    seconds: float
    peak_memory_bytes: int
    solver: str = "gram"

    @property
    def converged(self) -> bool:
        """Whether every gap is at most the tolerance; probabilities have none and need none."""
        return self.path is None or self.path.converged

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints, in plain JSON types; None for what is not a finite number."""
        of_path = {} if self.path is None else self.path.summary()
        return {
            "by": self.by,
            **of_path,
            "solver": self.solver,
            "scans": float(self.scans),
            "bytes_read": self.bytes_read,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "n_selected": len(self.features),
            "features": [dict(row) for row in self.features],
            "chosen": {name: _finite(value) for name, value in self.chosen.items()},
        }


def features_at(path: FittedPath) -> tuple[dict[str, Any], ...]:
    """Return the features of a path's selected alpha and their coefficients, the largest first."""
    coef, _ = path.coefficients_at()
    row = coef.toarray()[0]
    order = np.argsort(-np.abs(row), kind="stable")[: np.count_nonzero(row)]
    return tuple({"feature": path.feature_names[j], "coef": float(row[j])} for j in order)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
