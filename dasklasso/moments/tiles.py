"""The Gram scan where second moments are too large for every task to have its own: by tiles.

``[X, y]`` is cut into groups of columns, and its second moments into the tiles that two groups
make. One task reads a band and centres its rows; one for each tile multiplies two groups of them
and adds the tile of the bands before. So X is read once, a band is let go when its last tile has
it, and the tiles, which stay with the workers, are a chunked array until the end.

As in :mod:`dasklasso.moments.accumulator`, only products of features with each other may be in
float32, and columns of whole numbers are centred at whole numbers.
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
from dasklasso.moments.centring import CentredRows, centre_rows
from dasklasso.moments.cross_moments import CrossMoments, not_ones
from dasklasso.moments.rounding import BUFFER_ROWS
from dasklasso.objective.square_units import unit_for
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.graph import GraphBuilder, Task
from dasklasso.scan.reader import Caching, Reader, Table

TILE = 1024  # columns of a group: a tile is 8 MiB
UNIT_PLACES, UNIT_ROWS = 16, 64  # where units of columns are taken from


@dataclass(frozen=True)
class Band:
    """Rows of a band by fold, and bytes read for them."""

    rows: dict[int, CentredRows]
    bytes_read: int


def scan_tiles(
    engine: ScanEngine,
    table: Table,
    assignment: FoldAssignment,
    edges: Sequence[int] | None,
    dtype: np.dtype,
    device: str,
) -> tuple[dict[int, CrossMoments], int]:
    """Read X once: the moments of the rows of each fold.

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
        centre = partial(centre_band, table, assignment, edges, band, dtype.name)
        # rows are held until all tiles have them: a band's tiles come before the next band's
        # rows, and none is read before one some bands back is done with
        gate = gates[band - ahead : band - ahead + 1] if band >= ahead else []
        rows = builder.add("scan-gram", (band,), centre, unit, *gate, priority=-2 * band)
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
    lazy = [Task(builder, key) for key in (unit, *heads, *tiles.values())]
    placed = list(engine.runner.persist(*lazy))
    scale, *bands = engine.runner.compute(*placed[: 1 + len(heads)])
    moments = _without_products(bands, table.y.shape[1])
    rest = placed[1 + len(heads) :]
    del placed, lazy, builder
    for i, j in tiles:
        # one at a time, and let go: all of them are half of what is put together here
        [tile] = engine.runner.compute(rest.pop(0))
        for fold, found in moments.items():
            found.products[groups[i], groups[j]] = tile[fold]
            found.products[groups[j], groups[i]] = tile[fold].T
    finished = {}
    for fold in list(moments):
        some = [band.rows[fold] for band in bands if fold in band.rows]
        finished[fold] = _finished(moments.pop(fold), some, scale)
    return finished, sum(band.bytes_read for band in bands)


def units_of(table: Table) -> np.ndarray:
    """(D,) powers of two that scale columns to near unit spread, from rows spread over the data."""
    assert table.y is not None
    n, reader = table.X.shape[0], Reader(table)
    starts = np.unique(np.linspace(0, max(0, n - UNIT_ROWS), UNIT_PLACES).astype(int)).tolist()
    first, spread = None, np.zeros(table.layout.n_features + table.y.shape[1])
    for start in starts:
        for rows in reader.rows_between(start, min(start + UNIT_ROWS, n)):
            assert rows.y is not None
            x = [to_numpy(block.dense()).astype(np.float64) for block in rows.blocks]
            z = np.concatenate([*x, rows.y], axis=1)
            first = z[0] if first is None else first
            with np.errstate(invalid="ignore", over="ignore"):
                spread = np.maximum(spread, np.abs(z - first).max(axis=0))
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    return np.ldexp(1.0, -np.frexp(spread)[1])


def centre_band(
    table: Table,
    assignment: FoldAssignment,
    edges: Sequence[int] | None,
    band: int,
    dtype: str,
    scale: np.ndarray,
    gate: object = None,
) -> Band:
    """Read a band, and centre the rows of each fold.

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
            name: centre_rows(pieces, fold == name, np.dtype(dtype), scale)
            for name in np.unique(fold).tolist()
        },
        reader.bytes_read,
    )


def without_rows(band: Band) -> Band:
    """Return what of a band is small."""
    return Band(
        # not a slice, which would hold on to all of them
        {fold: replace(some, z=np.empty((0, 0))) for fold, some in band.rows.items()},
        band.bytes_read,
    )


def add_tile(
    left: slice, right: slice, device: str, band: Band, before: dict[int, np.ndarray] | None = None
) -> dict[int, np.ndarray]:
    """One tile of the products of a band's rows, by fold, added to that of the bands before."""
    found = dict(before or {})
    backend = backend_for(device)
    for fold, some in band.rows.items():
        total: Any = None
        for start in range(0, len(some.z), BUFFER_ROWS):
            slab = some.z[start : start + BUFFER_ROWS]
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
    for fold in sorted({fold for band in bands for fold in band.rows}):
        some = [band.rows[fold] for band in bands if fold in band.rows]
        total, count = sum(part.weight for part in some), sum(part.count for part in some)
        origin = some[0].mean
        share = [part.weight / total if total > 0 else 0.0 for part in some]
        mean = origin + sum(s * (part.mean - origin) for s, part in zip(share, some, strict=True))
        width = len(origin)
        moments[fold] = CrossMoments(total, count, mean, np.zeros((width, width)), n_targets)
    return moments


def _finished(found: CrossMoments, some: Sequence[CentredRows], scale: np.ndarray) -> CrossMoments:
    """Moments of one label from the sums of its rows' products, which are overwritten.

    Squares and products with targets come from float64; then what lies between the means of bands
    is added (Chan, Golub and LeVeque, 1983, eq. 1.5).
    """
    products, d = found.products, found.n_features
    weights = np.array([part.weight for part in some])
    rests = np.stack([part.rest for part in some])
    apart = (np.stack([part.mean for part in some]) - found.mean) * scale
    squares = np.sum([part.squares * part.unit for part in some], axis=0)
    mixed = np.sum([part.mixed * part.unit for part in some], axis=0)
    products[:, d:], products[d:] = mixed, mixed.T
    diagonal = np.diagonal(products).copy()
    known = (diagonal > 0) & (squares > 0)
    ratio = np.sqrt(np.where(known, squares, 1.0) / np.where(known, diagonal, 1.0))
    ratio[d:] = 1.0
    total = squares - weights @ rests**2 + weights @ apart**2
    spread = np.sqrt(np.maximum(total, 0.0) / max(found.weight, 1e-300)) / scale
    unit = not_ones(unit_for(spread))
    factor = 1.0 / (scale if unit is None else scale * unit)
    of_rests, of_means = rests * weights[:, None], apart * weights[:, None]
    for a in range(0, len(scale), TILE):
        rows = slice(a, a + TILE)
        part = products[rows]
        part *= ratio[rows, None]
        part *= ratio
        part -= of_rests[:, rows].T @ rests
        part += of_means[:, rows].T @ apart
        part *= factor[rows, None]
        part *= factor
    return replace(found, unit=unit, precision=max(part.precision for part in some))
