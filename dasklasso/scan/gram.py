"""The kernel of the Gram scan: rows of ``[X, y]`` become second moments, kept apart by fold.

Rows are gathered fold by fold into a buffer of about a thousand, which stays in the cache; a full
one is shifted, multiplied with itself in the precision of the data, and added in float64. The
shift is a provisional mean, of the first rows that were met. Where it turns out to be far from
what follows, what was added so far is put aside, and a new one is taken: so nothing cancels where
mean >> std, whatever the order of the rows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from dasklasso.backend import Array, Backend, dtype_of, to_numpy
from dasklasso.scan.cross_moments import CrossMoments, merge_all
from dasklasso.scan.kernels import Rows

BUFFER_ROWS = 1024
FAR = 3.0  # standard deviations between shift and mean: squares then lose a digit, not more
MODEST = (
    2.0**20
)  # spreads within this of 1 are not scaled: their products neither over- nor underflow


@dataclass(eq=False)
class _Fold:
    """Rows of one fold: those waiting, and the moments of those that were multiplied."""

    x: np.ndarray  # (BUFFER_ROWS, n_features) as stored
    y: np.ndarray  # (BUFFER_ROWS, n_targets) float64
    weight: np.ndarray | None  # (BUFFER_ROWS,)
    filled: int = 0
    count: int = 0
    without_weight: int = 0  # rows
    total: float = 0.0  # weight
    shift: np.ndarray | None = None  # (n_features + n_targets,)
    scale: np.ndarray | None = None  # powers of two, or None for ones
    sums: Array | None = None  # (D + 1, D + 1): products of [z, 1], in float64
    aside: list[CrossMoments] = field(default_factory=list)


class GramAccumulator:
    """Adds up rows into :class:`~dasklasso.scan.cross_moments.CrossMoments`, one for each fold.

    Parameters
    ----------
    n_features, n_targets : int
    stored : numpy.dtype
        Of X.
    dtype : numpy.dtype
        Float32 or float64: the precision of products.
    weighted : bool
        Whether rows have weights.
    backend : Backend
        Where products are computed.
    """

    def __init__(
        self,
        n_features: int,
        n_targets: int,
        stored: np.dtype,
        dtype: np.dtype,
        *,
        weighted: bool,
        backend: Backend,
    ) -> None:
        self._shape = (n_features, n_targets)
        self._stored, self._dtype = stored.newbyteorder("="), dtype
        self._weighted, self._backend = weighted, backend
        self._folds: dict[int, _Fold] = {}
        width = n_features + n_targets + 1
        self._z = np.empty((BUFFER_ROWS, width), dtype)
        self._product = np.empty((width, width), dtype)

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:
        """Add some rows.

        Parameters
        ----------
        labels : (n_rows,) int or None
            The fold of each row; None puts all of them into fold 0.
        """
        weight = None if rows.weight is None else rows.weight[:, 0]
        if labels is None and (weight is None or weight.all()):
            self._take(0, rows, None)
            return
        labels = np.zeros(rows.n_rows, dtype=np.int64) if labels is None else labels
        order = np.argsort(labels, kind="stable")
        names, starts = np.unique(labels[order], return_index=True)
        edges = [*starts.tolist(), len(order)]
        for name, (a, b) in zip(names.tolist(), itertools.pairwise(edges), strict=True):
            of_fold = order[a:b]
            matter = of_fold if weight is None else of_fold[weight[of_fold] > 0]
            # what has no weight is counted and not looked at: it is not what shifts are taken from
            self._take(name, rows, matter).without_weight += len(of_fold) - len(matter)

    def moments(self) -> dict[int, CrossMoments]:
        """The moments of each fold that rows were added to. Ends the accumulation."""
        found = {}
        for name, fold in sorted(self._folds.items()):
            if fold.filled:
                self._multiply(fold)
            self._put_aside(fold)
            nothing = CrossMoments.nothing(*self._shape)
            found[name] = merge_all([*fold.aside, replace(nothing, count=fold.without_weight)])
        self._folds.clear()
        return found

    def _new(self) -> _Fold:
        d, k = self._shape
        weight = np.empty(BUFFER_ROWS) if self._weighted else None
        return _Fold(np.empty((BUFFER_ROWS, d), self._stored), np.empty((BUFFER_ROWS, k)), weight)

    def _take(self, name: int, rows: Rows, index: np.ndarray | None) -> _Fold:
        """Put rows into a fold's buffer, all of them or those of ``index``."""
        if name not in self._folds:
            self._folds[name] = self._new()
        fold = self._folds[name]
        assert rows.y is not None
        n = rows.n_rows if index is None else len(index)
        start = 0
        while start < n:
            more = min(n - start, BUFFER_ROWS - fold.filled)
            here = slice(fold.filled, fold.filled + more)
            which = slice(start, start + more) if index is None else index[start : start + more]
            left = 0
            for block in rows.blocks:
                _copy_rows(block, which, fold.x[here, left : left + block.shape[1]])
                left += block.shape[1]
            fold.y[here] = rows.y[which]
            if fold.weight is not None and rows.weight is not None:
                fold.weight[here] = rows.weight[which, 0]
            fold.filled += more
            start += more
            if fold.filled == BUFFER_ROWS:
                self._multiply(fold)
        return fold

    def _multiply(self, fold: _Fold) -> None:
        """Add the products of the rows in the buffer, and empty it."""
        d = self._shape[0]
        n, fold.filled = fold.filled, 0
        x, y = fold.x[:n], fold.y[:n]
        if fold.sums is None:
            fold.shift, fold.scale = _provisional(x, y, self._dtype)
            fold.count, fold.total = 0, 0.0
        assert fold.shift is not None
        z = self._z[:n]
        np.subtract(x, fold.shift[:d].astype(self._dtype), out=z[:, :d], casting="unsafe")
        z[:, d:-1] = y - fold.shift[d:]
        z[:, -1] = 1.0
        if fold.scale is not None:
            z[:, :-1] *= fold.scale
        fold.count += n
        if fold.weight is None:
            fold.total += n
        else:
            weight = fold.weight[:n]
            fold.total += float(weight.sum())
            z *= np.sqrt(weight)[:, None].astype(self._dtype)
        if self._backend.on_host:
            np.matmul(z.T, z, out=self._product)
            if fold.sums is None:
                fold.sums = self._product.astype(np.float64)
            else:
                fold.sums += self._product
        else:
            xp = self._backend.xp
            moved = self._backend.asarray(z)
            product = xp.astype(moved.T @ moved, dtype_of(xp, np.dtype(np.float64)))
            fold.sums = product if fold.sums is None else fold.sums + product
        if self._far(fold):
            self._put_aside(fold)

    def _far(self, fold: _Fold) -> bool:
        """Whether some column's mean is far from its shift, as far as rows have shown."""
        assert fold.sums is not None
        squares = self._backend.xp.linalg.diagonal(fold.sums)
        mean = to_numpy(fold.sums[:-1, -1]) / fold.total
        spread = to_numpy(squares)[:-1] / fold.total - mean**2
        return bool(np.any(mean**2 > FAR**2 * np.maximum(spread, 0.0)))

    def _put_aside(self, fold: _Fold) -> None:
        """Turn what was added since the last shift into moments."""
        if fold.sums is None:
            return
        k = self._shape[1]
        sums, fold.sums = to_numpy(fold.sums), None
        assert fold.shift is not None
        mean = sums[:-1, -1] / fold.total
        products = np.ascontiguousarray(sums[:-1, :-1])
        for row, value in zip(products, fold.total * mean, strict=True):
            row -= value * mean
        if fold.scale is not None:
            mean = mean / fold.scale
            products /= fold.scale[:, None]
            products /= fold.scale
        fold.aside.append(CrossMoments(fold.total, fold.count, fold.shift + mean, products, k))


def _copy_rows(block: np.ndarray, which: slice | np.ndarray, out: np.ndarray) -> None:
    if isinstance(which, slice):
        out[...] = block[which]
    elif block.dtype == out.dtype and block.flags.c_contiguous:
        np.take(block, which, axis=0, out=out, mode="clip")  # "raise" would go by way of a copy
    else:
        out[...] = block[which]


def _provisional(
    x: np.ndarray, y: np.ndarray, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray | None]:
    """Shifts near the means of some rows, exact in ``dtype`` for X, and scales if they matter.

    A column that is constant is shifted by its value, so that it becomes exactly zero.
    """
    z = np.concatenate([x.astype(np.float64), y], axis=1)
    mean = z.mean(axis=0)
    constant = (z == z[0]).all(axis=0)
    shift = np.where(constant, z[0], mean)
    shift[: x.shape[1]] = shift[: x.shape[1]].astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.abs(z - shift).max(axis=0)
    odd = (spread > MODEST) | ((spread < 1.0 / MODEST) & (spread > 0.0))
    if not odd.any() or not np.isfinite(spread).all():
        return shift, None
    _, exponent = np.frexp(np.where(odd, spread, 0.5))
    return shift, np.ldexp(1.0, -exponent).astype(dtype)
