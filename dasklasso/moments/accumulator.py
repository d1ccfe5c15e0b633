"""The kernel of the Gram scan: rows of ``[X, y]`` become second moments, fold by fold.

Rows are gathered fold by fold into a buffer of about a thousand, which stays in the cache. A full
one is shifted, multiplied with itself, and added in float64. The shift is the mean of the buffer
before, near enough to the buffer's own; where it is not, that buffer is shifted anew. So each
buffer is centred near its own mean, and what lies between buffers is added at the end, in float64,
from their means: the sums of Chan, Golub and LeVeque (1983, Algorithms for computing the sample
variance, eq. 1.5) over all buffers at once. Nothing cancels where mean >> std, whatever the order
of the rows.

Products of features with each other may be in float32; their squares and sums, and all that has to
do with targets, are in float64. Columns of whole numbers are shifted by whole numbers, so that
their products are exact in float32 too (:mod:`dasklasso.moments.rounding`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from dasklasso.backend import Array, Backend, dtype_of, namespace, to_numpy
from dasklasso.moments.buffer_frames import BufferFrame, buffer_frame_of, held_exactly, unit_of
from dasklasso.moments.cross_moments import CrossMoments, Precision, merge_all, not_ones
from dasklasso.moments.rounding import BUFFER_ROWS, LARGEST_EXACT
from dasklasso.objective.square_units import unit_for
from dasklasso.scan.queries.row_terms import beyond_numbers
from dasklasso.scan.rows import Rows

STRIP_ROWS = 128  # of a buffer, as float64, stay in the cache for several sums
MOST_BUFFERS = 1024  # of which means are held, so that memory does not grow with the rows
FAR_SPREADS = 8.0  # standard deviations from shift to mean beyond which a buffer is shifted anew
LOST_SHARE = 1e-2  # of a column's squares: rounding of a buffer is far less


@dataclass(eq=False)
class _Sums:
    """Products of shifted and scaled rows, over one buffer or several.

    Attributes
    ----------
    features : (n_features, n_features), of features with each other
    mixed : (n_features, n_targets + 1) float64, of features with targets and with 1
    targets : (n_targets + 1, n_targets + 1) float64, of targets and 1 with each other
    squares : (n_features,) float64, the diagonal of ``features``
    precision : of ``features``
    """

    features: Array
    mixed: np.ndarray
    targets: np.ndarray
    squares: np.ndarray
    precision: Precision


@dataclass(eq=False)
class _Fold:
    """Rows of one fold: those waiting, and sums over those that were multiplied."""

    x: np.ndarray  # (BUFFER_ROWS, n_features) as stored
    y: np.ndarray  # (BUFFER_ROWS, n_targets) float64
    weight: np.ndarray | None  # (BUFFER_ROWS,)
    unit: float = 1.0  # of the weights in the sums
    filled: int = 0
    without_weight: int = 0  # rows
    frame: BufferFrame | None = None
    count: int = 0
    sums: _Sums | None = None  # over all buffers, ``features`` in float64
    within: np.ndarray | None = None  # (D,): squares about the means of their buffers
    totals: list[float] = field(default_factory=list)  # weight of each buffer
    shifts: list[np.ndarray] = field(default_factory=list)  # of each
    rests: list[np.ndarray] = field(default_factory=list)  # mean of each, shifted and scaled
    finished: list[CrossMoments] = field(default_factory=list)


class GramAccumulator:
    """Adds up rows into :class:`~dasklasso.moments.cross_moments.CrossMoments`, one for each fold.

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
        # float64 takes all products at once, float32 those of features only
        width = n_features + (n_targets + 1 if dtype == np.float64 else 0)
        self._z = np.empty((BUFFER_ROWS, width), dtype)
        self._squared = np.empty((width, width), dtype)
        self._strip = np.empty((STRIP_ROWS, n_features))

    def add(self, rows: Rows, fold_of: np.ndarray | None) -> None:
        """Add some rows.

        Parameters
        ----------
        fold_of : (n_rows,) int or None
            The fold of each row; None puts all of them into fold 0.
        """
        weight = None if rows.weight is None else rows.weight[:, 0]
        if fold_of is None and (weight is None or weight.all()):
            self._take(0, rows, None)
            return
        fold_of = np.zeros(rows.n_rows, dtype=np.int64) if fold_of is None else fold_of
        order = np.argsort(fold_of, kind="stable")
        names, starts = np.unique(fold_of[order], return_index=True)
        edges = [*starts.tolist(), len(order)]
        for name, (a, b) in zip(names.tolist(), itertools.pairwise(edges), strict=True):
            of_fold = order[a:b]
            matter = of_fold if weight is None else of_fold[weight[of_fold] > 0]
            # what has no weight is counted and not looked at: it is not what shifts are taken from
            self._take(name, rows, matter).without_weight += len(of_fold) - len(matter)

    def moments(self) -> dict[int, CrossMoments]:
        """Return the moments of each fold that rows were added to. Ends the accumulation."""
        found = {}
        for name, fold in sorted(self._folds.items()):
            if fold.filled:
                self._multiply(fold)
            self._finish(fold)
            nothing = CrossMoments.nothing(*self._shape)
            found[name] = merge_all([*fold.finished, replace(nothing, count=fold.without_weight)])
        self._folds.clear()
        return found

    def _take(self, name: int, rows: Rows, index: np.ndarray | None) -> _Fold:
        """Put rows into a fold's buffer, all of them or those of ``index``."""
        if name not in self._folds:
            d, k = self._shape
            weight = np.empty(BUFFER_ROWS) if self._weighted else None
            self._folds[name] = _Fold(
                np.empty((BUFFER_ROWS, d), self._stored), np.empty((BUFFER_ROWS, k)), weight
            )
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
                block.write_rows(which, fold.x[here, left : left + block.width])
                left += block.width
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
        n = fold.filled
        if fold.weight is not None:
            unit = unit_of(fold.weight[:n])
            if unit != fold.unit:
                self._finish(fold)
                fold.unit = unit
            fold.weight[:n] /= unit
        total = float(n if fold.weight is None else fold.weight[:n].sum())
        frame = fold.frame or self._frame_of(fold)
        found = self._products_of(fold, frame)
        rest, spread = _rest_and_spread(found, total)
        if _far(fold, rest, spread) or _lost(found):
            frame = self._frame_of(fold)
            found = self._products_of(fold, frame)
            rest, spread = _rest_and_spread(found, total)
        if fold.frame is not None and not _same(fold.frame.scale, frame.scale):
            self._finish(fold)  # sums in other units
        fold.filled = 0
        fold.count += n
        if fold.sums is None or fold.within is None:
            fold.sums = replace(found, features=self._in_float64(found.features))
            fold.within = spread * total
        else:
            self._add(fold.sums, found)
            fold.within += spread * total
        fold.totals.append(total)
        fold.shifts.append(frame.shift)
        fold.rests.append(rest)
        shift = frame.shift + (rest if frame.scale is None else rest / frame.scale)
        fold.frame = replace(frame, shift=held_exactly(shift, frame.whole, self._dtype))
        if len(fold.totals) >= MOST_BUFFERS:
            self._finish(fold)

    def _add(self, sums: _Sums, more: _Sums) -> None:
        if self._backend.on_host:
            sums.features += more.features
        else:
            sums.features = sums.features + self._in_float64(more.features)
        sums.mixed += more.mixed
        sums.targets += more.targets
        sums.squares += more.squares
        sums.precision = max(sums.precision, more.precision)

    def _products_of(self, fold: _Fold, frame: BufferFrame) -> _Sums:
        """Products over the rows in the buffer."""
        d, n = self._shape[0], fold.filled
        z = self._z[:n]
        shift = frame.shift[:d].astype(self._dtype)
        np.subtract(fold.x[:n], shift, out=z[:, :d], casting="unsafe")
        y = np.ones((n, self._shape[1] + 1))
        np.subtract(fold.y[:n], frame.shift[d:], out=y[:, :-1])
        root = None if fold.weight is None else np.sqrt(fold.weight[:n])[:, None]
        if frame.scale is not None:
            z[:, :d] *= frame.scale[:d]
            y[:, :-1] *= frame.scale[d:]
        if root is not None:
            z *= root.astype(self._dtype)
            y *= root
        if self._dtype == np.float64:
            z[:, d:] = y
            product = self._product(z)
            edge = to_numpy(product[:, d:]).copy()  # the product is overwritten by the next one
            squares = to_numpy(self._backend.xp.linalg.diagonal(product))[:d].copy()
            return _Sums(product[:d, :d], edge[:d], edge[d:], squares, Precision.FLOAT64)
        mixed, squares = self._in_strips(fold, frame, y, root)
        return _Sums(
            self._product(z), mixed, y.T @ y, squares, self._precision(frame, z, squares, root)
        )

    def _precision(
        self, frame: BufferFrame, z: np.ndarray, squares: np.ndarray, root: np.ndarray | None
    ) -> Precision:
        """Tell the precision of a float32 product of z with itself."""
        plain = frame.scale is None and root is None and frame.whole.all()
        exact = plain and (squares <= LARGEST_EXACT).all()
        # stored as integers they stay whole; as other numbers the next rows may not be
        if exact and (self._stored.kind in "iub" or (np.rint(z) == z).all()):
            return Precision.FLOAT64
        return Precision.FLOAT32_FEW_VALUES if frame.few_values else Precision.FLOAT32

    def _in_strips(
        self, fold: _Fold, frame: BufferFrame, y: np.ndarray, root: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """In float64: products of features with targets and 1, and their squares."""
        d, n = self._shape[0], fold.filled
        mixed, squares = np.zeros((d, y.shape[1])), np.zeros(d)
        for start in range(0, n, STRIP_ROWS):
            here = slice(start, min(start + STRIP_ROWS, n))
            strip = self._strip[: here.stop - start]
            np.subtract(fold.x[here], frame.shift[:d], out=strip)
            if frame.scale is not None:
                strip *= frame.scale[:d]
            if root is not None:
                strip *= root[here]
            mixed += strip.T @ y[here]
            squares += np.einsum("ij,ij->j", strip, strip)
        return mixed, squares

    def _product(self, z: np.ndarray) -> Array:
        if self._backend.on_host:
            return np.matmul(z.T, z, out=self._squared)
        moved = self._backend.asarray(z)
        return moved.T @ moved

    def _in_float64(self, product: Array) -> Array:
        if self._backend.on_host:
            return product.astype(np.float64)
        xp = self._backend.xp
        return xp.astype(product, dtype_of(xp, np.float64))

    def _frame_of(self, fold: _Fold) -> BufferFrame:
        """Return a frame for the rows in the buffer, from themselves."""
        return buffer_frame_of(fold.x[: fold.filled], fold.y[: fold.filled], self._dtype)

    @beyond_numbers
    def _finish(self, fold: _Fold) -> None:
        """Turn the sums over buffers into moments."""
        if fold.sums is None:
            return
        assert fold.frame is not None
        weights = np.array(fold.totals)
        total = float(weights.sum())
        shifts, rests, scale = np.stack(fold.shifts), np.stack(fold.rests), fold.frame.scale
        scale = np.ones(len(shifts[0])) if scale is None else scale
        products = _whole_matrix(fold.sums, to_numpy(fold.sums.features))
        products -= (rests * weights[:, None]).T @ rests
        # means as distances from the first shift: far from zero they would lose their last digits
        apart = (shifts - shifts[0]) * scale + rests
        middle = weights @ apart / total
        apart -= middle
        products += (apart * weights[:, None]).T @ apart
        spread = np.sqrt(np.maximum(np.diagonal(products), 0.0) / total) / scale
        unit = not_ones(unit_for(spread))
        factor = 1.0 / (scale if unit is None else scale * unit)
        if (factor != 1.0).any():
            products *= factor[:, None]
            products *= factor
        if fold.unit != 1.0:
            total, products = total * fold.unit, products * fold.unit
        mean, n_targets = shifts[0] + middle / scale, self._shape[1]
        precision = fold.sums.precision
        more = CrossMoments(total, fold.count, mean, products, n_targets, unit, precision)
        fold.finished = [merge_all([*fold.finished, more])]
        fold.sums, fold.within, fold.count = None, None, 0
        fold.totals, fold.shifts, fold.rests = [], [], []


def _whole_matrix(sums: _Sums, features: np.ndarray) -> np.ndarray:
    """(D, D) products of all columns, those of features scaled to their squares."""
    d, k = len(sums.squares), len(sums.targets) - 1
    products = np.empty((d + k, d + k))
    products[:d, :d] = features
    diagonal = np.diagonal(features)
    if not np.array_equal(diagonal, sums.squares):
        # a congruence: what is no direction of negative curvature does not become one
        known = (diagonal > 0) & (sums.squares > 0)
        ratio = np.where(known, sums.squares, 1.0) / np.where(known, diagonal, 1.0)
        products[:d, :d] *= np.sqrt(ratio)[:, None]
        products[:d, :d] *= np.sqrt(ratio)
    products[:d, d:] = sums.mixed[:, :k]
    products[d:, :d] = sums.mixed[:, :k].T
    products[d:, d:] = sums.targets[:k, :k]
    return products


def _rest_and_spread(sums: _Sums, total: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each shifted and scaled column, over a buffer of that weight."""
    rest = np.concatenate([sums.mixed[:, -1], sums.targets[:-1, -1]]) / total
    squares = np.concatenate([sums.squares, np.diagonal(sums.targets)[:-1]])
    return rest, np.maximum(squares / total - rest**2, 0.0)


def _far(fold: _Fold, rest: np.ndarray, spread: np.ndarray) -> bool:
    """Tell whether the shift is so far from some column's mean that its products lost digits.

    Far is measured by the column's spread within this buffer and those before: a column that
    rarely varies does not do so within every buffer.
    """
    if fold.within is not None:
        spread = np.maximum(spread, fold.within / sum(fold.totals))
    return bool(np.any(rest**2 > FAR_SPREADS**2 * spread))


def _lost(found: _Sums) -> bool:
    """Tell whether squares in float32 are far from those in float64: too small or large for it."""
    diagonal = to_numpy(namespace(found.features).linalg.diagonal(found.features))
    off = np.abs(diagonal.astype(np.float64) - found.squares)
    return not bool(np.all(off <= LOST_SHARE * found.squares))


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))
