"""Strips: some neighbouring columns of X with all of their rows, for data wider than long.

A query of strips sees all rows of its columns at once. So what it makes of their products with
residuals is final: it may act on the columns while they are still in the cache. Nothing is
predicted, and a strip needs no other: X is read once, in any order, and what is asked of some
strips only reads a share of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from dasklasso.backend import backend_for
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.columns.coded import CodedBlock
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.engine import ScanEngine, by_share
from dasklasso.scan.graph import GraphBuilder, Task
from dasklasso.scan.layout import split_evenly
from dasklasso.scan.reader import Caching, Reader, Table
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slab_rows
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.missing_codes import MissingCode, as_stored, missing_code_of, stored_dtype

STRIP_COLUMNS = 1024  # of a strip, where a chunk may be cut: a slab of it stays in the cache
RUN_BYTES = 256 << 20  # a task reads about this much
LEAST_RUNS = 2  # tasks for each thread, so that none waits long for the last

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Strip:
    """Columns ``start`` to ``stop − 1`` of X, which lie in column chunk ``chunk``."""

    chunk: int
    start: int
    stop: int

    @property
    def columns(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def width(self) -> int:
        return self.stop - self.start


class StripQuery(ABC, Generic[AnswerT]):
    """One question to strips. Instances are small values that travel to the workers."""

    name: str

    @abstractmethod
    def on_strip(self, strip: Strip, rows: Sequence[Rows], shared: Any) -> AnswerT:
        """Return the answer for a strip.

        Parameters
        ----------
        rows : all rows of X, one row of blocks after the other, each of one block: the strip's,
            coded where X has a code for missing values
        shared : what all strips need, as it was asked with
        """


def strips_of(X: BlockSource) -> tuple[Strip, ...]:
    """Cut X into strips: a chunk that must be decoded is not cut. It depends on the data only."""
    found = []
    X = as_stored(X)
    for chunk, (start, stop) in enumerate(pairwise(X.column_bounds)):
        pieces = -(-(stop - start) // STRIP_COLUMNS) if X.mapped else 1
        edges = [start + (stop - start) * k // pieces for k in range(pieces + 1)]
        found += [Strip(chunk, a, b) for a, b in pairwise(edges)]
    return tuple(found)


def strip_bytes(X: BlockSource) -> int:
    """Bytes that a thread holds of the widest strip: nothing where it need not be decoded."""
    X = as_stored(X)
    if X.mapped:
        return 0
    return int(np.diff(X.column_bounds).max()) * X.shape[0] * stored_dtype(X).itemsize


def ask_strips(
    engine: ScanEngine, query: StripQuery[AnswerT], shared: Any, strips: Sequence[Strip]
) -> tuple[list[AnswerT], int]:
    """Ask a query of some strips, and run the scan, which counts by their share of X.

    Returns
    -------
    answers : of each strip, in their order
    bytes_read : int
    """
    if not strips:
        return [], 0
    table, runner, missing = engine.table, engine.runner, missing_code_of(engine.table.X)
    if missing is not None:  # other blocks than those of the same table filled in
        table = replace(table, X=as_stored(table.X), token=f"{table.token}-stored")
    forward = engine.turn(_share(strips, table.X))
    builder = GraphBuilder()
    given = builder.add("shared", (0,), partial(_itself, (shared, missing)))
    column_bytes = table.X.shape[0] * table.X.dtype.itemsize
    shares = runner.shares()
    weights = [strip.width * column_bytes for strip in strips]
    cuts = by_share(weights, [n for _, n in shares])
    keys: list[Any] = []
    for (first, stop), (address, threads) in zip(cuts, shares, strict=True):
        if stop == first:
            continue
        nbytes = sum(weights[first:stop])
        pieces = threads * max(LEAST_RUNS, round(nbytes / (threads * RUN_BYTES)))
        budget = runner.cache_bytes(strip_bytes(table.X))
        read = 0
        for a, b in split_evenly(weights[first:stop], pieces):
            some = tuple(strips[first + a : first + b])
            caching = Caching(budget, pin=not table.X.mapped and read < budget)
            read += sum(weights[first + a : first + b])
            function = partial(_scan_strips, table, query, some, forward, caching)
            where = None if address is None else [address]
            keys.append(
                builder.add(f"scan-{query.name}", (len(keys),), function, given, workers=where)
            )
    found = runner.compute(*[Task(builder, key) for key in keys])
    return [answer for answers, _ in found for answer in answers], sum(one[1] for one in found)


def strip_products(rows: Sequence[Rows], residuals: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """``(X − shift)ᵀ R`` of a strip in float64: (width, K).

    Parameters
    ----------
    residuals : (n_rows, K) float64, of all rows
    shift : (width,) taken off columns, so that mean >> std does not cancel; of small whole
        numbers, which are far from cancelling, it is taken off the products
    """
    double = np.dtype(np.float64)
    width, n_points = rows[0].blocks[0].width, residuals.shape[1]
    backend = backend_for("cpu")
    height = slab_rows([width], double, n_points)
    coded = isinstance(rows[0].blocks[0], CodedBlock)
    moved = shift if shift.any() and not coded else None
    total = np.zeros((width, n_points))
    for some in rows:
        start = some.start
        for slab in some.blocks[0].slabs(height, double, backend, moved):
            stop = start + slab.shape[0]
            total += slab.transposed_times(residuals[start:stop])
            start = stop
    if coded:
        total -= np.outer(shift, residuals.sum(axis=0))
    return total


def products_of_holes(rows: Sequence[Rows], residuals: np.ndarray) -> np.ndarray:
    """``Mᵀ R`` of a strip of coded blocks, M 1 where a value is missing and else 0: (width, K)."""
    total = np.zeros((rows[0].blocks[0].width, residuals.shape[1]))
    for some in rows:
        block = some.blocks[0]
        assert isinstance(block, CodedBlock)
        total += block.holes() @ residuals[some.start : some.start + some.n_rows]
    return total


def _share(strips: Sequence[Strip], X: BlockSource) -> float:
    """Share of X's columns, the integer 1 for all."""
    width = sum(strip.width for strip in strips)
    return 1 if width == X.shape[1] else width / X.shape[1]


def _scan_strips(
    table: Table,
    query: StripQuery[AnswerT],
    strips: Sequence[Strip],
    forward: bool,
    caching: Caching,
    given: tuple[Any, MissingCode | None],
) -> tuple[list[AnswerT], int]:
    """Answer a query for a run of strips; each block is read once."""
    reader = Reader(table, 0, caching, with_targets=False)
    shared, missing = given
    found = []
    for strip in strips if forward else reversed(strips):
        found.append(query.on_strip(strip, _rows_of(reader, strip, missing), shared))
    return found if forward else found[::-1], reader.bytes_read


def _rows_of(reader: Reader, strip: Strip, missing: MissingCode | None) -> list[Rows]:
    bounds = reader.table.layout.row_bounds
    own = None if missing is None else missing[strip.columns]
    blocks: list[ColumnBlock] = [  # covariates beside codes are no whole numbers
        DenseBlock(values) if own is None or values.dtype.kind == "f" else CodedBlock(values, own)
        for values in reader.columns(strip.chunk, strip.start, strip.stop)
    ]
    return [Rows(start, [block], None, None) for start, block in zip(bounds, blocks, strict=False)]


def _itself(value: Any) -> Any:
    return value
