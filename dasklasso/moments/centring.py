"""Rows of a band, centred and scaled for products: the first half of the Gram scan by tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.moments.buffer_frames import unit_of
from dasklasso.moments.cross_moments import Precision
from dasklasso.moments.rounding import BUFFER_ROWS, LARGEST_EXACT, have_few_values
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.rows import Rows

STRIP_VALUES = 1 << 18  # of a block at a time in float64: 2 MiB


@dataclass(frozen=True)
class CentredRows:
    """Rows of a band with one label, shifted near their means, times √(weight / unit).

    Attributes
    ----------
    z : (n_rows, D), in the precision of products, and in units of 1/scale
    mean : (D,) float64, in the units of the data
    rest : (D,) float64
        From shifts to means, in units of 1/scale.
    mixed : (D, n_targets) float64
        Products of z with targets.
    squares : (D,) float64, of z
    weight : float
    count : int
        Of rows, those without weight too.
    unit : float
        A power of two, from which weights are not far.
    precision : Precision
        Of products of z's features with each other.
    """

    z: np.ndarray
    mean: np.ndarray
    rest: np.ndarray
    mixed: np.ndarray
    squares: np.ndarray
    weight: float
    count: int
    unit: float = 1.0
    precision: Precision = Precision.FLOAT64


@dataclass(frozen=True)
class _Share:
    """Weights of rows: ``of_mean`` sums to one, ``root`` is √(weight / unit), None for ones."""

    of_mean: np.ndarray
    root: np.ndarray | None


def centre_rows(
    pieces: Sequence[Rows], own: np.ndarray, dtype: np.dtype, scale: np.ndarray
) -> CentredRows:
    """Centre some rows of a band at their means, columns of whole numbers at whole numbers.

    Parameters
    ----------
    pieces : the rows of a band
    own : (n_rows,) bool, those of them that are wanted
    dtype : float32 or float64, the precision of products
    scale : (D,) powers of two
    """
    count, first = int(own.sum()), pieces[0].start
    targets = pieces[0].y
    assert targets is not None
    k, width = targets.shape[1], len(scale)
    total, unit, root = 0.0, 1.0, None
    if pieces[0].weight is not None:
        weight = np.concatenate([rows.weight[:, 0] for rows in pieces if rows.weight is not None])
        own = own & (weight > 0)
        weight = weight[own]
    n = int(own.sum())
    found = CentredRows(
        z=np.empty((n, width), dtype),
        mean=np.zeros(width),
        rest=np.zeros(width),
        mixed=np.zeros((width, k)),
        squares=np.zeros(width),
        weight=0.0,
        count=count,
    )
    if not n:
        return found
    total, of_mean = float(n), np.full(n, 1.0 / n)
    if pieces[0].weight is not None:
        total, unit = float(weight.sum()), unit_of(weight)
        of_mean = weight / unit / (weight / unit).sum()
        root = np.sqrt(weight / unit)[:, None]
    share = _Share(of_mean, root)
    parts = [own[rows.start - first : rows.start - first + rows.n_rows] for rows in pieces]
    chosen = [(rows, part) for rows, part in zip(pieces, parts, strict=True) if part.any()]

    y = np.zeros((n, k))  # targets come first: products with them are in float64
    of_targets = [(_targets(rows), part) for rows, part in chosen]
    _centre(of_targets, slice(width - k, width), found, scale, share, y, y)
    precision, left = Precision.FLOAT64, 0
    for j in range(len(pieces[0].blocks)):
        blocks = [(rows.blocks[j], part) for rows, part in chosen]
        here = slice(left, left + blocks[0][0].width)
        precision = max(precision, _centre(blocks, here, found, scale, share, y))
        left = here.stop
    return replace(found, weight=total, unit=unit, precision=precision)


def _centre(
    blocks: Sequence[tuple[ColumnBlock, np.ndarray]],
    here: slice,
    found: CentredRows,
    scale: np.ndarray,
    share: _Share,
    y: np.ndarray,
    out: np.ndarray | None = None,
) -> Precision:
    """Centre the columns ``here``, and take their products with targets.

    Parameters
    ----------
    blocks : of values, and which rows of them are wanted
    y : (n_rows, n_targets) centred targets, times the roots of weights
    out : where centred values are written too, in float64
    """
    scale = scale[here]
    # what is taken off any value is its column's first, in float64
    first_row = blocks[0][0].take_rows(np.array([np.argmax(blocks[0][1])]))
    origin = to_numpy(first_row.dense())[0].astype(np.float64)
    middle, whole = np.zeros(len(scale)), np.ones(len(scale), bool)
    for rows, values in _strips(blocks):
        # of values that are no numbers too, which are named later
        with np.errstate(invalid="ignore", over="ignore"):
            whole &= (np.rint(values) == values).all(axis=0)
            middle += share.of_mean[rows] @ ((values - origin) * scale)
    shift = np.where(whole, np.rint(middle / scale) * scale, middle)
    found.mean[here], found.rest[here] = origin + middle / scale, middle - shift
    largest = np.zeros(len(scale))
    for rows, values in _strips(blocks):
        with np.errstate(invalid="ignore", over="ignore"):
            values = (values - origin) * scale - shift
            largest = np.maximum(largest, np.abs(values).max(axis=0))
            if share.root is not None:
                values *= share.root[rows]
            found.z[rows, here] = values
            if out is not None:
                out[rows] = values
            found.mixed[here] += values.T @ y[rows]
            found.squares[here] += np.einsum("ij,ij->j", values, values)
    if found.z.dtype == np.float64:
        return Precision.FLOAT64
    exact = whole & (BUFFER_ROWS * (largest / scale) ** 2 <= LARGEST_EXACT)
    if exact.all() and share.root is None:
        return Precision.FLOAT64
    some = next(_strips(blocks))[1]
    few = have_few_values(some) & ~whole & (largest > 0)
    return Precision.FLOAT32_FEW_VALUES if few.any() else Precision.FLOAT32


def _strips(
    blocks: Sequence[tuple[ColumnBlock, np.ndarray]],
) -> Iterator[tuple[slice, np.ndarray]]:
    """The wanted rows of some blocks in float64, a few at a time, and where they are to go."""
    top = 0
    for block, wanted in blocks:
        rows = max(1, STRIP_VALUES // block.width)
        index = np.flatnonzero(wanted)
        for start in range(0, len(index), rows):
            strip = block.take_rows(index[start : start + rows])
            some = to_numpy(strip.dense()).astype(np.float64)
            yield slice(top, top + len(some)), some
            top += len(some)


def _targets(rows: Rows) -> ColumnBlock:
    assert rows.y is not None
    return DenseBlock(rows.y)
