"""Queries: what a scan can be asked.

A query says what to do with some rows (``on_rows``), how to add the answers of two disjoint sets
of rows (``combine``) and what to make of the sum over all rows (``finish``). Where X is too wide
for one band to hold all its columns, a query that couples columns also says how (``Gradient``).
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, to_numpy
from dasklasso.objective.losses.base import SQUARED, Loss
from dasklasso.scan.queries import column_moments as moments
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.kernels import Rows, Weights


class Query(ABC):
    """One question to all rows. Instances are small values that travel to the workers."""

    name: str
    reads_targets = True

    def prepare(self, inputs: Sequence[Array], widths: Sequence[int]) -> Any:
        """What ``on_rows`` needs, made once for each task from the query's input arrays."""
        return None

    @abstractmethod
    def on_rows(self, rows: Rows, prepared: Any) -> Any:
        """The answer for some rows."""

    @abstractmethod
    def combine(self, a: Any, b: Any) -> Any:
        """The answer for two disjoint sets of rows. Must not change either."""

    def finish(self, value: Any, inputs: Sequence[Array]) -> Any:
        """What the asker gets, from the answer for all rows."""
        return value


@dataclass(frozen=True)
class Gradient(Query):
    """Loss and gradient of the mean loss at K points, in standardised coordinates.

    Inputs: points (n_features, K) float64, the first ``len(targets)`` of them coefficients, the
    others directions whose curvature product ``X̃ᵀ P X̃ v`` is asked for; and the frame
    (n_features, 5). Answer: gradient (n_features, K) and sums (3, 4 or 7, K), both divided by the
    sum of the weights. Points of a loss of several outputs have these next to each other.

    Attributes
    ----------
    targets : target of each problem
    y_shift : (n_targets,) taken off y, in float64, before anything else
    total_weight : sum of the rows' weights
    dtype : float32 or float64, the precision of products
    device : as in :func:`dasklasso.backend.backend_for`
    loss : Loss
    intercepts : of each problem, added to its predictions; empty for zeros
    """

    targets: tuple[int, ...]
    y_shift: tuple[float, ...]
    total_weight: float
    dtype: str = "float64"
    device: str = "cpu"
    loss: Loss = SQUARED
    intercepts: tuple[float, ...] = ()
    name = "gradient"

    @property
    def backend(self) -> Backend:
        return backend_for(self.device)

    def prepare(self, inputs: Sequence[Array], widths: Sequence[int]) -> Weights:
        points, frame = inputs
        return kernels.weights_at(points, frame, widths, self.dtype, self.backend)

    def with_intercepts(self, prediction: Array) -> Array:
        """(..., K) plus the intercepts of the problems; directions have none."""
        if not self.intercepts:
            return prediction
        added = np.zeros(prediction.shape[-1])
        added[: len(self.intercepts)] = self.intercepts
        return prediction + self.backend.asarray(added)

    def on_rows(self, rows: Rows, prepared: Weights) -> tuple[Array, Array]:
        return kernels.gradient_rows(
            rows,
            replace(prepared, constant=self.with_intercepts(prepared.constant)),
            self.loss,
            self.targets,
            np.asarray(self.y_shift),
            np.dtype(self.dtype),
            self.backend,
        )

    def combine(self, a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(x + y for x, y in zip(a, b, strict=True))

    def finish(self, value: tuple[Array, Array], inputs: Sequence[Array]) -> tuple[Array, Array]:
        gradient, sums = value
        frame = self.backend.asarray(inputs[1])
        return (
            kernels.standardised_gradient(gradient, sums, frame, self.total_weight),
            sums / self.total_weight,
        )

    # Where columns are split into parts: predictions, their sum, then each part's gradient.

    def predict_part(self, rows: Rows, prepared: Weights) -> Array:
        """This part's share of the prediction of some rows, (n_rows, K) float64."""
        xp = self.backend.xp
        n_points = prepared.constant.shape[0]
        dtype = np.dtype(self.dtype)
        slabs = kernels.slabs(rows, prepared.shifts, dtype, self.backend, n_points)
        shares = [
            xp.astype(kernels.predict(blocks, prepared.columns, prepared.used), xp.float64)
            + prepared.constant
            for _, _, blocks in slabs
        ]
        return shares[0] if len(shares) == 1 else xp.concat(shares, axis=0)

    def residual(self, rows: Rows, shares: Sequence[Array]) -> tuple[Array, Array]:
        """Residuals (n_rows, K) and sums (3, 4 or 7, K) of rows from all parts' predictions."""
        prediction = shares[0]
        for share in shares[1:]:
            prediction = prediction + share
        prediction = self.with_intercepts(prediction)
        y, weight = kernels.row_arrays(rows, np.asarray(self.y_shift), np.float64, self.backend)
        offset = kernels.row_offsets(rows, np.float64, self.backend)
        y = kernels.targets_of(y, self.targets)
        known = (y, weight, self.loss, len(self.targets), offset)
        return kernels.residuals(prediction, *known), kernels.loss_sums(prediction, *known)

    def gradient_part(self, rows: Rows, residual: Array, prepared: Weights) -> Array:
        """This part's gradient over some rows, (width, K) float64."""
        xp, dtype = self.backend.xp, np.dtype(self.dtype)
        residual = xp.astype(residual, kernels.dtype_of(xp, dtype))
        totals: list[Array] = []
        n_points = residual.shape[1]
        slabs = kernels.slabs(rows, prepared.shifts, dtype, self.backend, n_points)
        for start, stop, blocks in slabs:
            products = [
                xp.astype(kernels.back_project(block, residual[start:stop, :]), xp.float64)
                for block in blocks
            ]
            totals = [a + b for a, b in zip(totals, products, strict=True)] if totals else products
        return (totals[0] if len(totals) == 1 else xp.concat(totals, axis=1)).T


@dataclass(frozen=True)
class ColumnMoments(Query):
    """Moments of X's columns, in float64. Answer: :class:`~dasklasso.scan.queries.column_moments.Moments`."""

    device: str = "cpu"
    name = "statistics"

    def on_rows(self, rows: Rows, prepared: Any) -> moments.Moments:
        return moments.column_moments(rows, backend_for(self.device))

    def combine(self, a: moments.Moments, b: moments.Moments) -> moments.Moments:
        return moments.merge_moments(a, b)


@dataclass(frozen=True)
class FirstBadValue(Query):
    """Where the first NaN or infinity of X is: (row, column within the part, value), or None."""

    name = "find-bad-value"
    reads_targets = False

    def on_rows(self, rows: Rows, prepared: Any) -> tuple[int, int, float] | None:
        offset = 0
        found: list[tuple[int, int, float]] = []
        for block in rows.blocks:
            bad = ~np.isfinite(block)
            if bad.any():
                row, column = (int(i) for i in np.argwhere(bad)[0])
                found.append((rows.start + row, offset + column, float(block[row, column])))
            offset += block.shape[1]
        return min(found, default=None)

    def combine(self, a: Any, b: Any) -> Any:
        return min((found for found in (a, b) if found is not None), default=None)


@dataclass(frozen=True)
class Prediction:
    """Predictions of every row: not a sum over rows, so they are streamed, band by band.

    Attributes
    ----------
    intercepts : (n_targets,) added to every row
    device : as in :func:`dasklasso.backend.backend_for`
    """

    intercepts: tuple[float, ...]
    device: str = "cpu"

    def of_rows(self, rows: Rows, coef: np.ndarray) -> np.ndarray:
        """``X w`` of some rows for coef (width, n_targets): (n_rows, n_targets) float64."""
        backend = backend_for(self.device)
        edges = np.cumsum([0, *(block.shape[1] for block in rows.blocks)]).tolist()
        columns = [backend.asarray(coef[a:b]) for a, b in itertools.pairwise(edges)]
        shares = [
            to_numpy(kernels.predict(blocks, columns))
            for _, _, blocks in kernels.slabs(rows, None, np.float64, backend)
        ]
        return np.concatenate(shares)
