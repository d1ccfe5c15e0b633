"""Second moments of X under the curvature of a loss: what Newton's method asks of a scan.

The Hessian of a mean loss at a point is ``X̃ᵀΠF X̃``, F the diagonal of the loss's curvature at each
row's prediction. Only the columns that matter at a point are multiplied, and rows are standardised
before they are, slab by slab, so that nothing cancels where mean >> std.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, dtype_of, to_numpy
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.kernels import Weights
from dasklasso.scan.rows import Rows


@dataclass(frozen=True)
class _Prepared:
    """What a task knows of the points.

    Attributes
    ----------
    weights : Weights
    union : (n_union,) int64, columns that any point asks for
    places : for each point its columns' places in ``union``
    centre, inverse : (n_union,) what standardises a slab, in the precision of products
    """

    weights: Weights
    union: np.ndarray
    places: list[np.ndarray]
    centre: Array
    inverse: Array


@dataclass(frozen=True, eq=False)
class WeightedGrams(Query[list[np.ndarray]]):
    """Hessians of the mean loss at M points, each over columns of its own and the intercept.

    Inputs: points (n_features, M) float64 and the frame. Answer: for each point a NumPy array
    (c + 1, c + 1) float64, its last row and column those of the intercept.

    Attributes
    ----------
    targets : target of each point
    y_shift : (n_targets,) taken off y
    total_weight : sum of the rows' weights
    intercepts : of each point
    columns : for each point the ascending columns that its Hessian is wanted of
    loss : Loss
    dtype : float32 or float64, the precision of products
    device : as in :func:`dasklasso.backend.backend_for`
    cautions : of each point, from 0 for the loss's curvature to 1 for that of its model, which is
        larger; none for those of the loss
    """

    targets: tuple[int, ...]
    y_shift: tuple[float, ...]
    total_weight: float
    intercepts: tuple[float, ...]
    columns: tuple[np.ndarray, ...]
    loss: Loss
    dtype: str = "float32"
    device: str = "cpu"
    cautions: tuple[float, ...] = ()
    name = "hessian"

    @property
    def backend(self) -> Backend:
        return backend_for(self.device)

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> _Prepared:
        points, frame = inputs
        weights = kernels.weights_at(points, frame, widths, self.dtype, self.backend)
        union = reduce(np.union1d, self.columns).astype(np.int64)
        known = frame.map(to_numpy)[union]
        kind = dtype_of(self.backend.xp, self.dtype)
        # slabs are shifted already where any column is
        shift = known.shift if weights.shifts is not None else 0.0
        return _Prepared(
            weights,
            union,
            [np.searchsorted(union, own) for own in self.columns],
            self.backend.xp.astype(self.backend.asarray(known.centre - shift), kind),
            self.backend.xp.astype(self.backend.asarray(known.inverse_scale), kind),
        )

    @kernels.beyond_numbers
    def on_rows(self, rows: Rows, prepared: _Prepared) -> list[Array]:
        backend, xp, dtype = self.backend, self.backend.xp, np.dtype(self.dtype)
        y, weight = kernels.row_arrays(rows, np.asarray(self.y_shift), dtype, backend)
        y, offset = kernels.targets_of(y, self.targets), kernels.row_offsets(rows, dtype, backend)
        constant = prepared.weights.constant + backend.asarray(np.asarray(self.intercepts))
        constant = xp.astype(constant, dtype_of(xp, dtype))
        totals: list[Array] = []
        room, kept = _Room(self, prepared, rows), self._kept(rows)
        for start, stop, blocks in kernels.slabs(rows, prepared.weights.shifts, dtype, backend):
            prediction = kernels.predict(blocks, prepared.weights.columns, prepared.weights.used)
            prediction = prediction + constant
            if offset is not None:
                prediction = prediction + offset[start:stop, :]
            curvature = self._curvature(prediction, y[start:stop, :])
            if weight is not None:
                curvature = curvature * weight[start:stop, :]
            if kept is not None:
                curvature = curvature * kept[start:stop, :]
            root = xp.sqrt(curvature)
            z = room.standardised(blocks, prepared)
            products = [
                room.product(z, place, root[:, k : k + 1])
                for k, place in enumerate(prepared.places)
            ]
            if not totals:
                totals = [xp.astype(product, xp.float64) for product in products]
            else:
                for total, product in zip(totals, products, strict=True):
                    total += product if backend.on_host else xp.astype(product, xp.float64)
        return totals

    def _curvature(self, prediction: Array, y: Array) -> Array:
        share = set(self.cautions or (self.loss.caution,))
        if share == {1.0}:
            return self.loss.model_curvature(prediction, y)
        exact = self.loss.curvature(prediction, y)
        if share == {0.0}:
            return exact
        more = self.loss.model_curvature(prediction, y) - exact
        each = self.backend.asarray(np.asarray(self.cautions or (self.loss.caution,)))
        return exact + more * self.backend.xp.astype(each, exact.dtype)

    def _kept(self, rows: Rows) -> Array | None:
        """(n_rows, M): 1 where a row counts for a point, else 0; None where all do."""
        return None

    def combine(self, a: list[Array], b: list[Array]) -> list[Array]:
        return [x + y for x, y in zip(a, b, strict=True)]

    def finish(self, value: list[Array], inputs: Sequence[Any]) -> list[np.ndarray]:
        return [to_numpy(gram) / self.total_weight for gram in value]


class _Room:
    """Arrays that slabs are written to: on the host the same ones again for every slab."""

    def __init__(self, query: WeightedGrams, prepared: _Prepared, rows: Rows) -> None:
        self._backend, self._xp = query.backend, query.backend.xp
        self._z = self._weighted = np.empty(0, np.dtype(query.dtype))
        if self._backend.on_host:
            widths = [block.shape[1] for block in rows.blocks]
            height = min(rows.n_rows, kernels.slab_rows(widths, np.dtype(query.dtype)))
            widest = max(place.size for place in prepared.places)
            self._z = np.empty(height * prepared.union.size, np.dtype(query.dtype))
            self._weighted = np.empty(height * (widest + 1), np.dtype(query.dtype))

    def standardised(self, blocks: Sequence[Array], prepared: _Prepared) -> Array:
        """The union's columns of a slab, standardised: (n_rows, n_union)."""
        whole = blocks[0] if len(blocks) == 1 else self._xp.concat(list(blocks), axis=1)
        if prepared.union.size < whole.shape[1]:
            whole = self._xp.take(whole, self._backend.asarray(prepared.union), axis=1)
        if not self._backend.on_host:
            return (whole - prepared.centre) * prepared.inverse
        z = self._z[: whole.size].reshape(whole.shape)
        np.subtract(whole, prepared.centre, out=z)
        z *= prepared.inverse
        return z

    def product(self, z: Array, place: np.ndarray, root: Array) -> Array:
        """``[z 1]ᵀ F [z 1]`` of one slab over some columns of z; root is that of F."""
        if place.size < z.shape[1]:
            z = self._xp.take(z, self._backend.asarray(place), axis=1)
        if not self._backend.on_host:
            weighted = self._xp.concat([z * root, root], axis=1)
            return weighted.T @ weighted
        shape = (z.shape[0], place.size + 1)
        weighted = self._weighted[: shape[0] * shape[1]].reshape(shape)
        np.multiply(z, root, out=weighted[:, :-1])
        weighted[:, -1:] = root
        return weighted.T @ weighted
