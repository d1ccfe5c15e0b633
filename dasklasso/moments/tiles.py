"""The Gram scan where second moments are too large for every task to have its own: by tiles.

``[X, y]`` is cut into groups of columns, and its second moments into the tiles that two groups
make. One task reads a band and writes its rows down, centred; one for each tile multiplies two
groups of them and adds the tile of the bands before. So X is read once, a band is let go when its
last tile has it, and the tiles, which stay with the workers, are a chunked array until the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from dasklasso.backend import backend_for, to_numpy
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.moments.accumulator import unit_of
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.graph import GraphBuilder, delayed_of
from dasklasso.scan.reader import Caching, Reader, Table
from dasklasso.scan.rows import Rows

TILE = 1024  # columns of a group: a tile is 8 MiB
UNIT_PLACES, UNIT_ROWS = 16, 64  # where units of columns are taken from
SLAB_ROWS = 1024  # as in the kernel: float32 products of more lose digits


@dataclass(frozen=True)
class Written:
    """Rows of a band in one fold, centred at their means and multiplied by √(weight / unit).

    Attributes
    ----------
    z : (n_rows, D), in the precision of products, and in units of ``scale``
    mean : (D,) float64, in the units of the data
    weight : float
    count : int
        Of rows, those without weight too.
    unit : float
        A power of two, from which weights are not far.
    """

    z: np.ndarray
    mean: np.ndarray
    weight: float
    count: int
    unit: float = 1.0


@dataclass(frozen=True)
class Band:
    """Rows of a band by fold, and bytes read for them."""

    written: dict[int, Written]
    bytes_read: int


def scan_tiles(
    engine: ScanEngine,
    table: Table,
    assignment: FoldAssignment,
    edges: Sequence[int] | None,
    dtype: np.dtype,
    device: str,
) -> tuple[dict[int, CrossMoments], int]:
    """One read of X: the moments of the rows of each fold.

    Parameters
    ----------
    table : Table
        Whose layout has all columns in one part.
    edges : first row of each run of rows, then the number of rows; or None
        Where given, the fold of a row is the number of the run that it is in.
    dtype : float32 or float64, the precision of products

    Returns
    -------
    moments : for each fold
    bytes_read : int
    """
    assert table.y is not None
    width = table.X.shape[1] + table.y.shape[1]
    groups = [slice(a, b) for a, b in pairwise([*range(0, width, TILE), width])]
    builder = GraphBuilder()
    unit = builder.add("gram-units", (0,), partial(units_of, table))
    heads = []
    tiles: dict[tuple[int, int], Any] = {}  # the last task of each
    ahead = 1 + sum(threads for _, threads in engine.runner.shares())
    gates: list[Any] = []
    for band in range(len(table.layout.bands)):
        write = partial(write_band, table, assignment, edges, band, dtype.name)
        # rows are held until all tiles have them: a band's tiles come before the next band's
        # rows, and none is read before one some bands back is done with
        gate = gates[band - ahead : band - ahead + 1] if band >= ahead else []
        rows = builder.add("scan-gram", (band,), write, unit, *gate, priority=-2 * band)
        heads.append(builder.add("gram-means", (band,), without_rows, rows, priority=-2 * band))
        for i, left in enumerate(groups):
            for j, right in enumerate(groups[: i + 1]):
                add = partial(add_tile, left, right, device)
                before = tiles.get((i, j))
                keys = [rows] if before is None else [rows, before]
                tiles[i, j] = builder.add(
                    "gram-tile", (i, j, band), add, *keys, priority=1 - 2 * band
                )
        gates.append(tiles[len(groups) - 1, len(groups) - 1])
    engine.turn()
    lazy = [delayed_of(builder, key) for key in (unit, *heads, *tiles.values())]
    placed = list(engine.runner.persist(*lazy))
    scale, *bands = engine.runner.compute(*placed[: 1 + len(heads)])
    moments = _without_products(bands, table.y.shape[1])
    rest = placed[1 + len(heads) :]
    del placed, lazy, builder
    for i, j in tiles:
        # one at a time, and let go: all of them are half of what is put together here
        [tile] = engine.runner.compute(rest.pop(0))
        for fold, found in moments.items():
            _fill(found.products, tile[fold], groups[i], groups[j], scale)
    for fold, found in moments.items():
        _between(found, [band.written[fold] for band in bands if fold in band.written])
    return moments, sum(band.bytes_read for band in bands)


def units_of(table: Table) -> np.ndarray:
    """(D,) powers of two that bring columns near unit spread, from rows spread over the data."""
    assert table.y is not None
    n, reader = table.X.shape[0], Reader(table)
    starts = np.unique(np.linspace(0, max(0, n - UNIT_ROWS), UNIT_PLACES).astype(int)).tolist()
    first, spread = None, np.zeros(table.layout.n_features + table.y.shape[1])
    for start in starts:
        for rows in reader.rows_between(start, min(start + UNIT_ROWS, n)):
            assert rows.y is not None
            z = np.concatenate([block.astype(np.float64) for block in (*rows.blocks, rows.y)], 1)
            first = z[0] if first is None else first
            with np.errstate(invalid="ignore", over="ignore"):
                spread = np.maximum(spread, np.abs(z - first).max(axis=0))
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    return np.ldexp(1.0, -np.frexp(spread)[1])


def write_band(
    table: Table,
    assignment: FoldAssignment,
    edges: Sequence[int] | None,
    band: int,
    dtype: str,
    scale: np.ndarray,
    gate: object = None,
) -> Band:
    """Read a band, and write its rows down by fold.

    Parameters
    ----------
    gate : not used; its being there says that it is time to read
    """
    reader = Reader(table, 0, Caching())
    pieces = list(reader.rows(band))
    start, stop = pieces[0].start, pieces[-1].start + pieces[-1].n_rows
    if edges is None:
        fold = assignment.of_rows(start, stop)
    else:
        fold = np.searchsorted(np.asarray(edges), np.arange(start, stop), side="right") - 1
    if fold is None:
        fold = np.zeros(stop - start, dtype=np.int64)
    return Band(
        {
            name: _write(pieces, fold == name, np.dtype(dtype), scale)
            for name in np.unique(fold).tolist()
        },
        reader.bytes_read,
    )


def _write(pieces: Sequence[Rows], own: np.ndarray, dtype: np.dtype, scale: np.ndarray) -> Written:
    """The rows of a band that are marked in ``own``."""
    count, first = int(own.sum()), pieces[0].start
    weight = None
    if pieces[0].weight is not None:
        weight = np.concatenate([rows.weight[:, 0] for rows in pieces if rows.weight is not None])
        own = own & (weight > 0)
        weight = weight[own]
    parts = [own[rows.start - first : rows.start - first + rows.n_rows] for rows in pieces]
    blocks = [(rows, part) for rows, part in zip(pieces, parts, strict=True) if part.any()]
    z = np.empty((int(own.sum()), len(scale)), dtype)
    mean = np.zeros(len(scale))
    if not len(z):
        return Written(z, mean, 0.0, count)
    left = 0
    for j in range(len(blocks[0][0].blocks) + 1):
        # targets last: what is taken off any value is its column's first, in float64
        chunks = [_columns(rows, j) for rows, _ in blocks]
        here = slice(left, left + chunks[0].shape[1])
        origin = chunks[0][np.argmax(blocks[0][1])].astype(np.float64)
        top = 0
        for chunk, (_, part) in zip(chunks, blocks, strict=True):
            some = chunk[part] - origin.astype(np.result_type(chunk, dtype))
            some *= scale[here]  # before it is narrowed
            z[top : top + len(some), here] = some
            top += len(some)
        mean[here] = origin
        left = here.stop
    if weight is None:
        total, unit, offset = float(len(z)), 1.0, z.sum(axis=0, dtype=np.float64) / len(z)
    else:
        total, unit = float(weight.sum()), unit_of(weight)
        weight = weight / unit
        offset = (z * weight[:, None].astype(dtype)).sum(axis=0, dtype=np.float64) / weight.sum()
    z -= offset.astype(dtype)
    if weight is not None:
        z *= np.sqrt(weight)[:, None].astype(dtype)
    return Written(z, mean + offset / scale, total, count, unit)


def _columns(rows: Rows, j: int) -> np.ndarray:
    """Block j of some rows; after the last one their targets."""
    if j < len(rows.blocks):
        return rows.blocks[j]
    assert rows.y is not None
    return rows.y


def without_rows(band: Band) -> Band:
    """What of a band is small."""
    return Band(
        # not a slice, which would hold on to all of them
        {fold: replace(some, z=np.empty((0, 0))) for fold, some in band.written.items()},
        band.bytes_read,
    )


def add_tile(
    left: slice, right: slice, device: str, band: Band, before: dict[int, np.ndarray] | None = None
) -> dict[int, np.ndarray]:
    """One tile of the products of a band's rows, by fold, added to that of the bands before."""
    found = dict(before or {})
    backend = backend_for(device)
    for fold, some in band.written.items():
        total: Any = None
        for start in range(0, len(some.z), SLAB_ROWS):
            slab = some.z[start : start + SLAB_ROWS]
            a = backend.asarray(np.ascontiguousarray(slab[:, left]))
            # the same array on both sides: half of the products are the other half
            b = a if left == right else backend.asarray(np.ascontiguousarray(slab[:, right]))
            product = a.T @ b
            if backend.on_host:
                total = (
                    product.astype(np.float64) if total is None else np.add(total, product, total)
                )
            else:
                product = backend.xp.astype(product, backend.xp.float64)
                total = product if total is None else total + product
        if total is None:
            total = np.zeros((left.stop - left.start, right.stop - right.start))
        total = to_numpy(total)
        if some.unit != 1.0:
            total = total * some.unit
        if fold in found:
            total += found[fold]  # ours, and not of the task before
        found[fold] = total
    return found


def _without_products(bands: Sequence[Band], n_targets: int) -> dict[int, CrossMoments]:
    """Weight, count and mean of every fold; products are zeros, to be filled."""
    moments = {}
    for fold in sorted({fold for band in bands for fold in band.written}):
        some = [band.written[fold] for band in bands if fold in band.written]
        total, count = sum(part.weight for part in some), sum(part.count for part in some)
        origin = some[0].mean
        share = [part.weight / total if total > 0 else 0.0 for part in some]
        mean = origin + sum(s * (part.mean - origin) for s, part in zip(share, some, strict=True))
        width = len(origin)
        moments[fold] = CrossMoments(total, count, mean, np.zeros((width, width)), n_targets)
    return moments


def _fill(
    products: np.ndarray, tile: np.ndarray, left: slice, right: slice, scale: np.ndarray
) -> None:
    tile = tile / scale[left, None] / scale[right]
    products[left, right] = tile
    if left != right:
        products[right, left] = tile.T


def _between(found: CrossMoments, some: Sequence[Written]) -> None:
    """Add what lies between the means of bands (Chan, Golub and LeVeque, 1983, eq. 1.5)."""
    weights = np.array([part.weight for part in some])
    apart = np.stack([part.mean for part in some]) - found.mean
    weighted = apart * weights[:, None]
    for a in range(0, len(found.mean), TILE):
        found.products[a : a + TILE] += weighted[:, a : a + TILE].T @ apart
