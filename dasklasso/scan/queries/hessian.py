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
from dasklasso.scan.columns.base import ColumnBlock, weighted_gram
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.queries import kernels, row_terms
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.kernels import StoredPoints
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs


@dataclass(frozen=True)
class _Part:
    """What Hessians need of one block of columns.

    Attributes
    ----------
    block : number of the block
    union : columns of it that any point asks for, or None for all
    centre, inverse : (n_union,) what standardises them, in the precision of products
    places : for each point where its columns are in the union, or None for all
    """

    block: int
    union: np.ndarray | None
    centre: Array
    inverse: Array
    places: list[np.ndarray | None]

    def standardised(self, blocks: Sequence[ColumnBlock]) -> ColumnBlock:
        """Return the union's columns of a slab, standardised."""
        block = blocks[self.block]
        some = block if self.union is None else block.take_columns(self.union)
        return some.standardised(self.centre, self.inverse)


@dataclass(frozen=True)
class _Prepared:
    """What a task knows of the points: they themselves, and blocks that have columns of theirs."""

    points: StoredPoints
    parts: list[_Part]


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
    dampings : of each point, from 0 for the loss's curvature to 1 for that of its model, which is
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
    dampings: tuple[float, ...] = ()
    name = "hessian"

    @property
    def backend(self) -> Backend:
        return backend_for(self.device)

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> _Prepared:
        coef, frame = inputs[0], inputs[1].map(to_numpy)
        points = kernels.stored_points(coef, frame, widths, self.dtype, self.backend)
        union = reduce(np.union1d, self.columns).astype(np.int64)
        # slabs are shifted already where any column is
        shift = 0.0 if points.shifts is None else frame.shift
        centre, inverse = (
            to_numpy(array).astype(self.dtype)
            for array in (frame.centre - shift, frame.inverse_scale)
        )
        parts, start = [], 0
        for number, width in enumerate(widths):
            own = _within(union, start, start + width)
            if own.size:
                parts.append(
                    _Part(
                        number,
                        own if own.size < width else None,
                        self.backend.asarray(centre[start + own]),
                        self.backend.asarray(inverse[start + own]),
                        [_places(own, _within(one, start, start + width)) for one in self.columns],
                    )
                )
            start += width
        return _Prepared(points, parts)

    @row_terms.beyond_numbers
    def on_rows(self, rows: Rows, prepared: _Prepared) -> list[Array]:
        backend, xp, dtype = self.backend, self.backend.xp, np.dtype(self.dtype)
        y, weight = row_terms.row_arrays(rows, np.asarray(self.y_shift), dtype, backend)
        y, offset = (
            row_terms.targets_of(y, self.targets),
            row_terms.row_offsets(rows, dtype, backend),
        )
        constant = prepared.points.constant + backend.asarray(np.asarray(self.intercepts))
        constant = xp.astype(constant, dtype_of(xp, dtype))
        totals: list[Array] = []
        counted, parts = self._counted(rows), prepared.parts
        for start, stop, blocks in slabs(rows, prepared.points.shifts, dtype, backend):
            prediction = kernels.predict(blocks, prepared.points) + constant
            if offset is not None:
                prediction = prediction + offset[start:stop, :]
            curvature = self._curvature(prediction, y[start:stop, :])
            if weight is not None:
                curvature = curvature * weight[start:stop, :]
            if counted is not None:
                curvature = curvature * counted[start:stop, :]
            root = xp.sqrt(curvature)
            z = [part.standardised(blocks) for part in parts]
            ones = DenseBlock(xp.ones_like(root[:, :1]))  # the intercept's column
            products = [
                weighted_gram([*_of_point(k, parts, z), ones], root[:, k : k + 1])
                for k in range(len(self.columns))
            ]
            if not totals:
                totals = [xp.astype(product, xp.float64) for product in products]
            else:
                for total, product in zip(totals, products, strict=True):
                    total += product if backend.on_host else xp.astype(product, xp.float64)
        return totals

    def _curvature(self, prediction: Array, y: Array) -> Array:
        share = set(self.dampings or (self.loss.damping,))
        if share == {1.0}:
            return self.loss.model_curvature(prediction, y)
        exact = self.loss.curvature(prediction, y)
        if share == {0.0}:
            return exact
        more = self.loss.model_curvature(prediction, y) - exact
        each = self.backend.asarray(np.asarray(self.dampings or (self.loss.damping,)))
        return exact + more * self.backend.xp.astype(each, exact.dtype)

    def _counted(self, rows: Rows) -> Array | None:
        """(n_rows, M): 1 where a row counts for a point, else 0; None where all do."""
        return None

    def combine(self, a: list[Array], b: list[Array]) -> list[Array]:
        return [x + y for x, y in zip(a, b, strict=True)]

    def finish(self, value: list[Array], inputs: Sequence[Any]) -> list[np.ndarray]:
        return [to_numpy(gram) / self.total_weight for gram in value]


def _within(columns: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Those of some ascending columns that a block has, counted from its first."""
    a, b = np.searchsorted(columns, [start, stop])
    return columns[a:b] - start


def _places(union: np.ndarray, own: np.ndarray) -> np.ndarray | None:
    return None if own.size == union.size else np.searchsorted(union, own)


def _of_point(k: int, parts: Sequence[_Part], z: Sequence[ColumnBlock]) -> list[ColumnBlock]:
    """Point k's columns of a slab whose unions are ``z``."""
    found: list[ColumnBlock] = []
    for part, block in zip(parts, z, strict=True):
        place = part.places[k]
        if place is None:
            found.append(block)
        elif place.size:
            found.append(block.take_columns(place))
    return found
