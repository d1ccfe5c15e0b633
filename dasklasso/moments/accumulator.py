"""The kernel of the Gram scan: rows of ``[X, y]`` become second moments, kept apart by fold.

Rows are gathered fold by fold into a buffer of about a thousand, which stays in the cache. A full
one is shifted, multiplied with itself in the precision of the data, and added in float64. The
shift is the mean of the buffer before, near enough to the buffer's own; where it is not, that
buffer is shifted anew. So each buffer is centred at its own mean, and what lies between buffers is
added at the end, in float64, from their means: the sums of Chan, Golub and LeVeque (1983,
Algorithms for computing the sample variance, eq. 1.5) over all buffers at once. Nothing cancels
where mean >> std, whatever the order of the rows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from dasklasso.backend import Array, Backend, dtype_of, to_numpy
from dasklasso.moments.cross_moments import CrossMoments, merge_all
from dasklasso.scan.queries.kernels import beyond_numbers
from dasklasso.scan.rows import Rows

BUFFER_ROWS = 1024
MOST_BUFFERS = 1024  # of which means are held, so that memory does not grow with the rows
FAR = 8.0  # standard deviations from shift to mean beyond which a buffer is shifted anew
MODEST = 2.0**20  # spreads within this of 1 need no scale: products neither over- nor underflow
MOST_EXPONENT = 1020  # of powers of two that are scales
WEIGHT_EXPONENTS = 60  # weights are written down in units of 2 to a multiple of this: mostly of 1


@dataclass(frozen=True)
class _Frame:
    """How a buffer is written down: ``(value − shift) * scale``.

    Attributes
    ----------
    shift : (D,) float64, exact in the precision of products for X
    scale : (D,) float64 powers of two, or None for ones
    """

    shift: np.ndarray
    scale: np.ndarray | None


@dataclass(eq=False)
class _Fold:
    """Rows of one fold: those waiting, and sums over those that were multiplied."""

    x: np.ndarray  # (BUFFER_ROWS, n_features) as stored
    y: np.ndarray  # (BUFFER_ROWS, n_targets) float64
    weight: np.ndarray | None  # (BUFFER_ROWS,)
    unit: float = 1.0  # of the weights in the sums
    filled: int = 0
    without_weight: int = 0  # rows
    frame: _Frame | None = None
    count: int = 0
    sums: Array | None = None  # (D + 1, D + 1) float64: products of [z, 1] over all buffers
    squares: np.ndarray | None = None  # (D,): what of their diagonal is spread within buffers
    totals: list[float] = field(default_factory=list)  # weight of each buffer
    shifts: list[np.ndarray] = field(default_factory=list)  # of each
    rests: list[np.ndarray] = field(default_factory=list)  # mean of each, as written down
    aside: list[CrossMoments] = field(default_factory=list)


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
        width = n_features + n_targets + 1
        self._z = np.empty((BUFFER_ROWS, width), dtype)
        self._product = np.empty((width, width), dtype)

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
        n = fold.filled
        if fold.weight is not None:
            unit = unit_of(fold.weight[:n])
            if unit != fold.unit:
                self._put_aside(fold)
                fold.unit = unit
            fold.weight[:n] /= unit
        total = float(n if fold.weight is None else fold.weight[:n].sum())
        frame = fold.frame or self._frame_of(fold)
        product = self._product_of(fold, frame)
        rest, spread = self._rest_and_spread(product, total)
        if _far(fold, rest, spread, total):
            frame = self._frame_of(fold)
            product = self._product_of(fold, frame)
            rest, spread = self._rest_and_spread(product, total)
        if fold.frame is not None and not _same(fold.frame.scale, frame.scale):
            self._put_aside(fold)  # sums in other units
        fold.filled = 0
        fold.count += n
        if fold.sums is None or fold.squares is None:
            fold.sums, fold.squares = self._in_float64(product), spread * total
        elif self._backend.on_host:
            fold.sums += product
            fold.squares += spread * total
        else:
            fold.sums = fold.sums + self._in_float64(product)
            fold.squares += spread * total
        fold.totals.append(total)
        fold.shifts.append(frame.shift)
        fold.rests.append(rest)
        shift = frame.shift + (rest if frame.scale is None else rest / frame.scale)
        d = self._shape[0]
        shift[:d] = shift[:d].astype(self._dtype)
        fold.frame = _Frame(shift, frame.scale)
        if len(fold.totals) >= MOST_BUFFERS:
            self._put_aside(fold)

    def _product_of(self, fold: _Fold, frame: _Frame) -> Array:
        """(D + 1, D + 1) products of [z, 1] over the rows in the buffer."""
        d, n = self._shape[0], fold.filled
        z = self._z[:n]
        np.subtract(fold.x[:n], frame.shift[:d].astype(self._dtype), out=z[:, :d], casting="unsafe")
        y = fold.y[:n] - frame.shift[d:]
        if frame.scale is not None:
            z[:, :d] *= frame.scale[:d]
            y *= frame.scale[d:]
        z[:, d:-1] = y
        z[:, -1] = 1.0
        if fold.weight is not None:
            z *= np.sqrt(fold.weight[:n])[:, None].astype(self._dtype)
        if self._backend.on_host:
            return np.matmul(z.T, z, out=self._product)
        moved = self._backend.asarray(z)
        return moved.T @ moved

    def _rest_and_spread(self, product: Array, total: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each column as it is written down, over a buffer of that weight."""
        squares = self._backend.xp.linalg.diagonal(product)
        rest = to_numpy(product[:-1, -1]).astype(np.float64) / total
        spread = to_numpy(squares)[:-1].astype(np.float64) / total - rest**2
        return rest, np.maximum(spread, 0.0)

    def _in_float64(self, product: Array) -> Array:
        if self._backend.on_host:
            return product.astype(np.float64)
        xp = self._backend.xp
        return xp.astype(product, dtype_of(xp, np.float64))

    def _frame_of(self, fold: _Fold) -> _Frame:
        """A frame for the rows in the buffer, from themselves."""
        return _frame_of(fold.x[: fold.filled], fold.y[: fold.filled], self._dtype)

    @beyond_numbers
    def _put_aside(self, fold: _Fold) -> None:
        """Turn the sums over buffers into moments."""
        if fold.sums is None:
            return
        assert fold.frame is not None
        weights = np.array(fold.totals)
        total = float(weights.sum())
        shifts, rests, scale = np.stack(fold.shifts), np.stack(fold.rests), fold.frame.scale
        products = np.ascontiguousarray(to_numpy(fold.sums)[:-1, :-1])
        products -= (rests * weights[:, None]).T @ rests
        if scale is not None:
            products /= scale[:, None]
            products /= scale
            rests = rests / scale
        # means as distances from the first shift: far from zero they would lose their last digits
        apart = (shifts - shifts[0]) + rests
        middle = weights @ apart / total
        apart -= middle
        products += (apart * weights[:, None]).T @ apart
        mean = shifts[0] + middle
        if fold.unit != 1.0:
            total, products = total * fold.unit, products * fold.unit
        more = CrossMoments(total, fold.count, mean, products, self._shape[1])
        fold.aside = [merge_all([*fold.aside, more])]
        fold.sums, fold.squares, fold.count = None, None, 0
        fold.totals, fold.shifts, fold.rests = [], [], []


def _far(fold: _Fold, rest: np.ndarray, spread: np.ndarray, total: float) -> bool:
    """Whether the shift is so far from some column's mean that its products lost digits.

    Far is measured by the column's spread within this buffer and those before: a column that
    rarely varies does not do so within every buffer.
    """
    if fold.squares is not None:
        spread = np.maximum(spread, fold.squares / sum(fold.totals))
    return bool(np.any(rest**2 > FAR**2 * spread))


def unit_of(weight: np.ndarray) -> float:
    """A power of two, with a root that is one too, from which the largest weight is not far."""
    _, exponent = np.frexp(weight.max())
    units = round(int(exponent) / WEIGHT_EXPONENTS) * WEIGHT_EXPONENTS
    return float(np.ldexp(1.0, int(np.clip(units, -MOST_EXPONENT, MOST_EXPONENT))))


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _copy_rows(block: np.ndarray, which: slice | np.ndarray, out: np.ndarray) -> None:
    if isinstance(which, slice):
        out[...] = block[which]
    elif block.dtype == out.dtype and block.flags.c_contiguous:
        np.take(block, which, axis=0, out=out, mode="clip")  # "raise" would go by way of a copy
    else:
        out[...] = block[which]


def _frame_of(x: np.ndarray, y: np.ndarray, dtype: np.dtype) -> _Frame:
    """Shifts at the means of some rows, exact in ``dtype`` for X, and scales if they matter.

    A column that is constant is shifted by its value, so that it becomes exactly zero.
    """
    z = np.concatenate([x.astype(np.float64), y], axis=1)
    mean = z[0] + (z - z[0]).mean(axis=0)
    constant = (z == z[0]).all(axis=0)
    shift = np.where(constant, z[0], mean)
    shift[: x.shape[1]] = shift[: x.shape[1]].astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.abs(z - shift).max(axis=0)
    odd = (spread > MODEST) | ((spread < 1.0 / MODEST) & (spread > 0.0))
    if not odd.any() or not np.isfinite(spread).all():
        return _Frame(shift, None)
    _, exponent = np.frexp(np.where(odd, spread, 0.5))
    return _Frame(shift, np.ldexp(1.0, np.minimum(-exponent, MOST_EXPONENT)))
