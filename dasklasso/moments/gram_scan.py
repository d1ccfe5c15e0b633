"""The Gram scan: one read of X takes the moments of every fold and block of rows.

A task takes one block of rows, from its first to its last, on any worker: the bits depend on the
data and the scheme only. How many blocks there are is decided by the memory that their moments
take, never by workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from dasklasso.backend import backend_for
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme, contiguous_edges
from dasklasso.moments.accumulator import GramAccumulator
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.moments.tiles import scan_tiles
from dasklasso.scan.bad_values import bad_value
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.graph import GraphBuilder, Task
from dasklasso.scan.reader import Caching, Reader, Table

GROUPED_BYTES = 256 << 20  # of the moments of all folds and blocks together
MOST_BLOCKS = 32
FEWEST_BLOCKS = 4  # where not even so many blocks fit, moments are taken by tiles
BLOCK_ROWS = 256  # fewer rows in a block are not worth a task
EXACT_FLOPS = 2e10  # up to so many, float64 products cost less than a second
FEWEST_FAST = 128  # features: for fewer, what is in float64 anyway costs as much as all products


@dataclass(frozen=True)
class BlockMoments:
    """The result of a task: moments of the rows of one block by fold, and bytes read."""

    moments: dict[int, CrossMoments]
    bytes_read: int


def default_blocks(n_rows: int, n_columns: int, scheme: FoldScheme, n_folds: int) -> int:
    """Return how many blocks of rows have moments of their own, where no number is asked for.

    Parameters
    ----------
    n_columns : of [X, y]
    scheme : its ``n_blocks`` is not used
    n_folds : number of folds
    """
    contiguous = scheme.folds == "contiguous"
    if in_tiles(n_columns, scheme, n_folds):
        return n_folds if contiguous else 1
    fit = _blocks_that_fit(n_columns, scheme, n_folds)
    most = min(MOST_BLOCKS, fit, n_rows // BLOCK_ROWS)
    if contiguous:  # whole folds
        return max(1, most // n_folds) * n_folds
    return 1 << max(0, most.bit_length() - 1)  # so that a few threads share them evenly


def block_edges(
    n_rows: int, scheme: FoldScheme, pieces: tuple[int, ...] | None = None
) -> list[int]:
    """First row of every block, and the number of rows.

    Contiguous folds have as many rows as scikit-learn's ``KFold`` gives them.

    Parameters
    ----------
    pieces : edges of what can only be decoded whole, or None where any row can be read alone
    """
    if scheme.folds == "contiguous":
        k, blocks = scheme.n_folds, -(-scheme.n_blocks // scheme.n_folds)
        folds = contiguous_edges(n_rows, k)
        edges = [a + (b - a) * j // blocks for a, b in pairwise(folds) for j in range(blocks)] + [
            n_rows
        ]
    else:
        edges = [n_rows * k // scheme.n_blocks for k in range(scheme.n_blocks + 1)]
    if pieces is not None:
        bounds = np.asarray(pieces)
        nearest = bounds[np.abs(bounds[None, :] - np.asarray(edges)[:, None]).argmin(axis=1)]
        least = scheme.n_folds if scheme.folds == "contiguous" else 1
        if len(np.unique(nearest)) > least:
            edges = nearest.tolist()
    return sorted(set(edges))


def scan_moments(
    data: Dataset,
    engine: ScanEngine,
    assignment: FoldAssignment,
    device: str = "cpu",
    *,
    in_float64: bool = False,
) -> tuple[GroupedMoments, int]:
    """Read X once: the moments of every (fold, block).

    Parameters
    ----------
    assignment : FoldAssignment
        Of these data; their scheme has the number of blocks wanted (:func:`default_blocks`).
    in_float64 : whether products are in float64 where float32 would be faster too

    Returns
    -------
    grouped : GroupedMoments
        With the scheme's blocks, or fewer where the rows do not suffice.
    bytes_read : int

    Raises
    ------
    ValueFound
        When X has a NaN or an infinity: the message names the row and the column.
    """
    scheme, table = assignment.scheme, engine.table
    whole = replace(table.layout, parts=((0, len(table.layout.column_bounds) - 1),))
    table = replace(table, layout=whole)
    n_columns = data.n_features + data.n_targets
    dtype = np.dtype(np.float64 if in_float64 or exact_products(data) else np.float32)
    asked_for = scheme.n_blocks > (scheme.n_folds if scheme.folds == "contiguous" else 1)
    if in_tiles(n_columns, scheme, assignment.n_folds) and not asked_for:
        grouped, nbytes = _by_tiles(engine, table, assignment, dtype, device)
    else:
        grouped, nbytes = _by_blocks(engine, table, assignment, dtype, device)
    if not all(np.isfinite(part.products.diagonal()).all() for part in grouped.moments):
        raise bad_value(data, engine)
    return grouped, nbytes


def in_tiles(n_columns: int, scheme: FoldScheme, n_folds: int) -> bool:
    """Tell whether moments are too large for each task to have its own."""
    return _blocks_that_fit(n_columns, scheme, n_folds) < FEWEST_BLOCKS


def _blocks_that_fit(n_columns: int, scheme: FoldScheme, n_folds: int) -> int:
    """Return how many blocks have moments, fold by fold, that fit the memory for them."""
    folds = 1 if scheme.folds == "contiguous" else n_folds  # a block lies in one fold
    return GROUPED_BYTES // (folds * n_columns**2 * 8)


def _by_blocks(
    engine: ScanEngine, table: Table, assignment: FoldAssignment, dtype: np.dtype, device: str
) -> tuple[GroupedMoments, int]:
    """Return a task for each block of rows."""
    scheme, n = assignment.scheme, table.layout.n_rows
    edges = block_edges(n, scheme, None if table.X.mapped else table.layout.row_bounds)
    budget = engine.runner.cache_bytes(engine.layout.block_bytes())
    row_bytes = table.layout.n_features * table.X.dtype.itemsize
    builder = GraphBuilder()
    keys = []
    homes = engine.workers_of_rows(edges[:-1])
    for number, (start, stop) in enumerate(pairwise(edges)):
        # cache the same decoded bands as the scans that follow: as many as fit
        caching = Caching(budget, pin=not table.X.mapped and start * row_bytes < budget)
        function = partial(gram_block, table, assignment, start, stop, dtype.name, device, caching)
        keys.append(builder.add("scan-gram", (number,), function, workers=homes[number]))
    engine.turn()
    found = engine.runner.compute(*[Task(builder, key) for key in keys])
    places = sorted((fold, b) for b, block in enumerate(found) for fold in block.moments)
    grouped = GroupedMoments(
        replace(scheme, n_blocks=len(edges) - 1),
        np.array([fold for fold, _ in places]),
        np.array([block for _, block in places]),
        tuple(found[b].moments[fold] for fold, b in places),
    )
    return grouped, sum(block.bytes_read for block in found)


def _by_tiles(
    engine: ScanEngine, table: Table, assignment: FoldAssignment, dtype: np.dtype, device: str
) -> tuple[GroupedMoments, int]:
    """Tasks for each band and each tile of the moments; rows are in as few blocks as will do."""
    scheme, n = assignment.scheme, table.layout.n_rows
    contiguous = scheme.folds == "contiguous"
    n_blocks = scheme.n_folds if contiguous else 1
    scheme = replace(scheme, n_blocks=n_blocks)
    edges = block_edges(n, scheme) if contiguous else None
    found, nbytes = scan_tiles(engine, table, assignment, edges, dtype, device)
    names = np.array(sorted(found))
    nothing = np.zeros_like(names)
    fold, block = (nothing, names) if contiguous else (names, nothing)
    return GroupedMoments(
        scheme, fold, block, tuple(found[name] for name in names.tolist())
    ), nbytes


def exact_products(data: Dataset) -> bool:
    """Tell whether products are in float64: where float32 does not hold X, or they are few."""
    few = 2.0 * data.n_rows * (data.n_features + data.n_targets) ** 2 <= EXACT_FLOPS
    few = few or data.n_features < FEWEST_FAST
    return few or np.result_type(data.X.dtype, np.float32) == np.float64


def gram_block(
    table: Table,
    assignment: FoldAssignment,
    start: int,
    stop: int,
    dtype: str,
    device: str,
    caching: Caching,
) -> BlockMoments:
    """Return the moments of rows ``start`` to ``stop − 1``, by fold."""
    assert table.y is not None
    accumulator = GramAccumulator(
        table.X.shape[1],
        table.y.shape[1],
        np.dtype(table.X.dtype),
        np.dtype(dtype),
        weighted=table.weight is not None,
        backend=backend_for(device),
    )
    reader = Reader(table, 0, caching)
    for rows in reader.rows_between(start, stop):
        accumulator.add(rows, assignment.of_rows(rows.start, rows.start + rows.n_rows))
    return BlockMoments(accumulator.moments(), reader.bytes_read)
