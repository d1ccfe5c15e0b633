"""Loss and gradient at many points, over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, dtype_of
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.squared import SQUARED
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries import kernels, row_terms
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.kernels import StoredPoints
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs


@dataclass(frozen=True, eq=False)
class LossGradient:
    """Loss and gradient at K points.

    Attributes
    ----------
    gradient : (n_columns, K) float64
    sums : LossSums of the points
    """

    gradient: Array
    sums: LossSums

    def __add__(self, other: LossGradient) -> LossGradient:
        return LossGradient(self.gradient + other.gradient, self.sums + other.sums)


@dataclass(frozen=True)
class Gradient(Query[LossGradient]):
    """Loss and gradient of the mean loss at K points, in standardised coordinates.

    Inputs: points (n_features, K) float64, the first ``len(targets)`` of them coefficients, the
    others directions whose curvature product ``X̃ᵀ P X̃ v`` is asked for; and the frame. Answer:
    :class:`LossGradient`, divided by the sum of the weights. Points of a loss of several outputs
    have these next to each other.

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

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> StoredPoints:
        points, frame = inputs
        return kernels.stored_points(points, frame, widths, self.dtype, self.backend)

    def with_intercepts(self, prediction: Array) -> Array:
        """(..., K) plus the intercepts of the problems; directions have none."""
        if not self.intercepts:
            return prediction
        added = np.zeros(prediction.shape[-1])
        added[: len(self.intercepts)] = self.intercepts
        return prediction + self.backend.asarray(added)

    def on_rows(self, rows: Rows, prepared: StoredPoints) -> LossGradient:
        found = kernels.gradient_rows(
            rows,
            replace(prepared, constant=self.with_intercepts(prepared.constant)),
            self.loss,
            self.targets,
            np.asarray(self.y_shift),
            np.dtype(self.dtype),
            self.backend,
        )
        return LossGradient(*found)

    def combine(self, a: LossGradient, b: LossGradient) -> LossGradient:
        return a + b

    def finish(self, value: LossGradient, inputs: Sequence[Any]) -> LossGradient:
        return self._mean(value, inputs[1], self.total_weight)

    def _mean(self, value: LossGradient, frame: Frame, total: Array | float) -> LossGradient:
        """Gradient of the mean loss in standardised columns, from sums over rows of stored ones."""
        gradient = kernels.standardised_gradient(
            value.gradient, value.sums, frame.on(self.backend), total
        )
        return LossGradient(gradient, value.sums / total)

    # Where columns are split into parts: predictions, their sum, then each part's gradient.

    def predict_part(self, rows: Rows, prepared: StoredPoints) -> Array:
        """This part's share of the prediction of some rows, (n_rows, K) float64."""
        xp = self.backend.xp
        n_points = prepared.constant.shape[0]
        dtype = np.dtype(self.dtype)
        walk = slabs(rows, prepared.shifts, dtype, self.backend, n_points)
        shares = [
            xp.astype(kernels.predict(blocks, prepared), xp.float64) + prepared.constant
            for _, _, blocks in walk
        ]
        return shares[0] if len(shares) == 1 else xp.concat(shares, axis=0)

    def residual(self, rows: Rows, shares: Sequence[Array]) -> tuple[Array, LossSums]:
        """Residuals (n_rows, K) and sums of rows from all parts' predictions."""
        prediction = shares[0]
        for share in shares[1:]:
            prediction = prediction + share
        prediction = self.with_intercepts(prediction)
        y, weight = row_terms.row_arrays(rows, np.asarray(self.y_shift), np.float64, self.backend)
        offset = row_terms.row_offsets(rows, np.float64, self.backend)
        y = row_terms.targets_of(y, self.targets)
        known = (y, weight, self.loss, len(self.targets), offset)
        return row_terms.residuals(prediction, *known), row_terms.loss_sums(prediction, *known)

    def gradient_part(self, rows: Rows, residual: Array, prepared: StoredPoints) -> Array:
        """This part's gradient over some rows, (width, K) float64."""
        xp, dtype = self.backend.xp, np.dtype(self.dtype)
        residual = xp.astype(residual, dtype_of(xp, dtype))
        totals: list[Array] = []
        n_points = residual.shape[1]
        walk = slabs(rows, prepared.shifts, dtype, self.backend, n_points)
        for start, stop, blocks in walk:
            products = [
                xp.astype(block.transposed_times(residual[start:stop, :]), xp.float64)
                for block in blocks
            ]
            totals = [a + b for a, b in zip(totals, products, strict=True)] if totals else products
        return totals[0] if len(totals) == 1 else xp.concat(totals, axis=0)
