"""The functions that run inside Dask tasks: read bands, apply queries, add up, finish.

They hold no state but the worker's block cache, so a task that is run again, elsewhere, gives the
same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import Array
from dasklasso.objective.loss_sums import LossSums
from dasklasso.scan import summation_tree
from dasklasso.scan.block_cache import CACHE
from dasklasso.scan.layout import Layout
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.gradient import Gradient, LossGradient
from dasklasso.scan.queries.prediction import Prediction
from dasklasso.scan.reader import Caching, Reader, Table, targets_only
from dasklasso.scan.rows import Rows
from dasklasso.storage.mapped_files import Identity, maps

Forest = dict[tuple[int, int], Any]


@dataclass(frozen=True)
class Run:
    """Consecutive bands, first to stop − 1, read in one task."""

    first: int
    stop: int
    forward: bool
    caching: Caching

    def order(self) -> range:
        if self.forward:
            return range(self.first, self.stop)
        return range(self.stop - 1, self.first - 1, -1)


@dataclass(frozen=True)
class Partial:
    """What a run hands over: for each query the partials of the summation tree, and bytes read."""

    forests: tuple[Forest, ...]
    bytes_read: int


@dataclass(frozen=True)
class PartAnswer:
    """What a scan found in one part: for each query the finished answer, and bytes read."""

    values: list[Any]
    bytes_read: int


def widths(layout: Layout, part: int) -> list[int]:
    """Widths of the blocks of one part."""
    first, stop = layout.parts[part]
    bounds = layout.column_bounds
    return [bounds[j + 1] - bounds[j] for j in range(first, stop)]


def scan_run(
    table: Table, queries: Sequence[Query[Any]], run: Run, part: int, *inputs: Sequence[Array]
) -> Partial:
    """Answer all queries for the bands of a run; each block is read once.

    Parameters
    ----------
    inputs : for each query, the chunks of its input arrays for this part
    """
    layout = table.layout
    n_bands = len(layout.bands)
    with_targets = any(query.reads_targets for query in queries)
    reader = Reader(table, part, run.caching, with_targets)
    prepared = [
        query.prepare(given, widths(layout, part))
        for query, given in zip(queries, inputs, strict=True)
    ]
    forests: tuple[Forest, ...] = tuple({} for _ in queries)
    order = run.order()
    for position, band in enumerate(order):
        values: list[dict[tuple[int, int], Any]] = [{} for _ in queries]
        first, stop = layout.bands[band]
        # rows of blocks may be read in either order: within a band too, a tree fixes the sum
        edge = 0 if run.forward else stop - first - 1
        step = 1 if run.forward else -1
        for rows in reader.rows(band, forward=run.forward):
            for query, ready, value in zip(queries, prepared, values, strict=True):
                answer = query.on_rows(rows, ready)
                summation_tree.add_leaf(value, edge, answer, stop - first, query.combine)
            edge += step
        if position + 1 < len(order):
            ahead = layout.bands[order[position + 1]]
            reader.read_ahead(ahead[0] if run.forward else ahead[1] - 1)
        for query, value, forest in zip(queries, values, forests, strict=True):
            total = summation_tree.root(value, stop - first)
            summation_tree.add_leaf(forest, band, total, n_bands, query.combine)
    return Partial(forests, reader.bytes_read)


def join_runs(queries: Sequence[Query[Any]], n_bands: int, partials: Sequence[Partial]) -> Partial:
    """Add up the partials of several runs."""
    return Partial(
        tuple(
            summation_tree.merge([p.forests[q] for p in partials], n_bands, query.combine)
            for q, query in enumerate(queries)
        ),
        sum(p.bytes_read for p in partials),
    )


def finish_scan(
    queries: Sequence[Query[Any]],
    n_bands: int,
    partials: Sequence[Partial],
    *inputs: Sequence[Array],
) -> PartAnswer:
    """Return the answers to all queries."""
    joined = join_runs(queries, n_bands, partials)
    answers = [
        query.finish(summation_tree.root(forest, n_bands), given)
        for query, forest, given in zip(queries, joined.forests, inputs, strict=True)
    ]
    return PartAnswer(answers, joined.bytes_read)


# Where columns are split into parts -----------------------------------------------------------


def predict_part(
    table: Table, query: Gradient, band: int, part: int, caching: Caching, *inputs: Array
) -> tuple[list[Array], int]:
    """Shares of the prediction of a band from one part, and the bytes read."""
    prepared = query.prepare(inputs, widths(table.layout, part))
    reader = Reader(table, part, caching, with_targets=False)
    shares = [query.predict_part(rows, prepared) for rows in reader.rows(band)]
    return shares, reader.bytes_read


def band_residual(
    table: Table, query: Gradient, band: int, shares: Sequence[tuple[list[Array], int]]
) -> tuple[list[Array], LossSums, int]:
    """Residuals of a band's rows of blocks, their sums, and the bytes that predictions read."""
    residuals: list[Array] = []
    total: LossSums | None = None
    first, stop = table.layout.bands[band]
    for position, i in enumerate(range(first, stop)):
        rows = targets_only(table, i)
        residual, sums = query.residual(rows, [share[0][position] for share in shares])
        residuals.append(residual)
        total = sums if total is None else total + sums
    assert total is not None
    return residuals, total, sum(share[1] for share in shares)


def gradient_part(
    table: Table,
    query: Gradient,
    band: int,
    part: int,
    caching: Caching,
    residual: tuple[list[Array], LossSums, int],
    *inputs: Array,
) -> tuple[LossGradient, int]:
    """Gradient of one part over a band, with the band's sums, and the bytes read."""
    prepared = query.prepare(inputs, widths(table.layout, part))
    reader = Reader(table, part, caching, with_targets=False)
    total = None
    for rows, some in zip(reader.rows(band), residual[0], strict=True):
        product = query.gradient_part(rows, some, prepared)
        total = product if total is None else total + product
    # every part's sums hold the band's Σ r; bytes of the prediction are counted by part 0 only
    nbytes = reader.bytes_read + (residual[2] if part == 0 else 0)
    return LossGradient(total, residual[1]), nbytes


def join_bands(
    query: Gradient, n_bands: int, first: int, values: Sequence[tuple[LossGradient, int]]
) -> Partial:
    """Add up one part's gradients over consecutive bands from ``first``."""
    forest: Forest = {}
    for k, (found, _) in enumerate(values):
        summation_tree.add_leaf(forest, first + k, found, n_bands, query.combine)
    return Partial((forest,), sum(nbytes for _, nbytes in values))


def predict_band(
    table: Table, query: Prediction, band: int, part: int, coef: np.ndarray
) -> np.ndarray:
    """Return one part's share of the prediction of a band: (n_rows, n_targets) float64."""
    reader = Reader(table, part, with_targets=False)
    return np.concatenate([query.of_rows(rows, coef) for rows in reader.rows(band)])


def read_band(table: Table, band: int, part: int) -> list[Rows]:
    """Return the rows of a band, decoded, for :func:`predict_rows`."""
    return list(Reader(table, part, with_targets=False).rows(band))


def predict_rows(
    query: Prediction, wanted: slice, band: Sequence[Rows], coef: np.ndarray
) -> np.ndarray:
    """Return one part's share of the prediction of some rows of a band that was read before."""
    shares = []
    for rows in band:
        start, stop = max(wanted.start, rows.start), min(wanted.stop, rows.start + rows.n_rows)
        if start < stop:
            shares.append(query.of_rows(rows.between(start, stop), coef))
    return np.concatenate(shares)


# Small ones -------------------------------------------------------------------------------------


def gradient_of(answer: PartAnswer) -> Array:
    """Return the gradient out of the answer to a scan that asks for it first."""
    return answer.values[0].gradient


def forget(token: str) -> None:
    """Drop a data set's blocks from the worker's cache."""
    CACHE.forget(token)


def checksums(paths: Sequence[str]) -> dict[str, tuple[Identity, int]]:
    """Return what a worker knows of chunk files: what they were when read, and their checksum."""
    return maps.known(paths)
