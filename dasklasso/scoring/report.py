"""What scoring hands over: metrics of models on rows, as arrays, as a table and as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scored:
    """Metrics of one model or of a whole path on the rows of a data set.

    Attributes
    ----------
    loss : str
    alphas : (n_alphas,) float64
    n_nonzero : (n_alphas,) int64, features that the models use
    target_names : sequence of str
    y_is_vector : bool
    metrics : dict of name to (n_alphas, n_targets) float64
        NaN where undefined.
    undefined : dict of name to a list, for each target the reason or None
    calibration : for each target its table, or None
        Of one model that gives probabilities; where those are of several classes, of the most
        probable one.
    by_class : a row for each class, or None
        Of one model of several classes: ``class``, ``share`` of the rows' weight, ``recall``,
        ``precision`` and ``auc`` against the rest, NaN where undefined.
    n_rows : int
        Those whose weight is above 0.
    weight : float
        Sum of the rows' weights.
    scans : reads of X
    seconds : float
    peak_memory_bytes : int
    notes : sequence of str
        What in the data deserves to be said.
    """

    loss: str
    alphas: np.ndarray
    n_nonzero: np.ndarray
    target_names: Sequence[str]
    y_is_vector: bool
    metrics: dict[str, np.ndarray]
    undefined: dict[str, list[str | None]]
    calibration: list[list[dict[str, Any]]] | None
    by_class: list[dict[str, Any]] | None
    n_rows: int
    weight: float
    scans: float
    seconds: float
    peak_memory_bytes: int
    notes: Sequence[str] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each alpha and target, in plain numbers, None where undefined."""
        return [
            {
                "alpha": float(alpha),
                "n_nonzero": int(self.n_nonzero[a]),
                **({} if self.y_is_vector else {"target": name}),
                **{key: _plain(float(values[a, k])) for key, values in self.metrics.items()},
            }
            for a, alpha in enumerate(self.alphas)
            for k, name in enumerate(self.target_names)
        ]

    def calibration_rows(self) -> list[dict[str, Any]]:
        """Return the bins of all targets."""
        return [
            {**({} if self.y_is_vector else {"target": name}), **row}
            for name, table in zip(self.target_names, self.calibration or (), strict=False)
            for row in table
        ]

    def table(self) -> list[dict[str, Any]]:
        """Return the calibration where there is one, else the metrics of every alpha and target."""
        return self.rows() if self.calibration is None else self.calibration_rows()

    def reasons(self) -> dict[str, str]:
        """Why metrics are undefined, by name; with several targets the first one and its name."""
        found = {}
        for name, reasons in self.undefined.items():
            for target, reason in zip(self.target_names, reasons, strict=True):
                if reason is not None:
                    found[name] = reason if self.y_is_vector else f"{target}: {reason}"
                    break
        return found

    def summary(self, *, one_alpha: bool) -> dict[str, Any]:
        """Return what ``--json`` prints, in plain JSON types, None where undefined.

        Parameters
        ----------
        one_alpha : bool
            Whether metrics are those of the only alpha, not lists over alphas.
        """
        targets = 0 if self.y_is_vector else slice(None)
        metrics = {
            name: _plain(values[0 if one_alpha else slice(None), targets].tolist())
            for name, values in self.metrics.items()
        }
        return {
            "loss": self.loss,
            **({"alpha": float(self.alphas[0])} if one_alpha else {"alphas": self.alphas.tolist()}),
            "n_nonzero": int(self.n_nonzero[0]) if one_alpha else self.n_nonzero.tolist(),
            **({} if self.y_is_vector else {"target_names": list(self.target_names)}),
            "n_rows": self.n_rows,
            "weight": self.weight,
            "metrics": metrics,
            "undefined": self.reasons(),
            "calibration": None if self.calibration is None else self.calibration_rows(),
            "by_class": _plain(self.by_class),
            "scans": float(self.scans),
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def _plain(value: Any) -> Any:
    """Numbers, also in lists and dicts, with None for what is not finite; all else as it is."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
