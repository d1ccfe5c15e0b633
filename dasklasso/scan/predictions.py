"""Predictions of every row: not a sum over rows, so they return as a stream, in row order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from dasklasso.scan import tasks
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.graph import BlockArray, GraphBuilder, Task
from dasklasso.scan.queries.prediction import Prediction

Piece = tuple[slice, list[Task]]  # rows, and for each part its share of their prediction
Shares = tuple[slice, list[np.ndarray]]


def predictions(
    engine: ScanEngine, query: Prediction, coef: csr_array, *, most_rows: int | None = None
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Predict all rows, from one scan.

    As many bands are in flight as there are threads.

    Parameters
    ----------
    coef : (n_targets, n_features) csr_array
    most_rows : int or None
        Predicted at a time. Taller bands are read once all the same, and predicted piecewise.

    Yields
    ------
    (first row, stop, prediction (n_rows, n_targets) float64), in row order
    """
    layout = engine.layout
    # sent once, not with every band
    weights = engine.from_parts(
        "coefficients", lambda start, stop: coef[:, start:stop].toarray().T, coef.shape[0]
    )
    tallest = max(layout.rows(b).stop - layout.rows(b).start for b in range(len(layout.bands)))
    if most_rows is None or tallest <= most_rows:
        found = _bands(engine, query, weights)
    else:
        found = _cut_bands(engine, query, weights, most_rows)
    for rows, shares in found:
        yield rows.start, rows.stop, sum(shares) + np.asarray(query.intercepts)
    engine.scans += 1


def _bands(engine: ScanEngine, query: Prediction, weights: BlockArray) -> Iterator[Shares]:
    """Whole bands, each read and predicted in one task for each part."""
    for window in _windows(engine):
        builder = GraphBuilder(weights)
        pieces = []
        for band in window:
            shares = []
            for part, w in enumerate(weights.blocks()):
                predict = partial(tasks.predict_band, engine.table, query, band, part)
                key = builder.add("predict", (band, part), predict, w.key)
                shares.append(Task(builder, key))
            pieces.append((engine.layout.rows(band), shares))
        yield from _computed(engine, pieces)


def _cut_bands(
    engine: ScanEngine, query: Prediction, weights: BlockArray, most_rows: int
) -> Iterator[Shares]:
    """Bands that are read by one task, stay where they were read, and are predicted by several."""
    parts = list(enumerate(weights.blocks()))
    for window in _windows(engine):
        reading = GraphBuilder()
        keys = [
            reading.add("read", (band, part), partial(tasks.read_band, engine.table, band, part))
            for band in window
            for part, _ in parts
        ]
        held = engine.runner.persist(*[Task(reading, key) for key in keys])
        blocks = {task.key[1:]: task for task in held}
        builder = GraphBuilder(weights, *held)
        pieces: list[Piece] = []
        for band in window:
            rows = engine.layout.rows(band)
            for start in range(rows.start, rows.stop, most_rows):
                piece = slice(start, min(start + most_rows, rows.stop))
                shares = []
                for part, w in parts:
                    predict = partial(tasks.predict_rows, query, piece)
                    where = blocks[band, part].key
                    key = builder.add("predict", (band, part, start), predict, where, w.key)
                    shares.append(Task(builder, key))
                pieces.append((piece, shares))
        for first in range(0, len(pieces), _threads(engine)):
            yield from _computed(engine, pieces[first : first + _threads(engine)])


def _computed(engine: ScanEngine, pieces: Sequence[Piece]) -> Iterator[Shares]:
    """Some pieces, in one graph."""
    found = iter(engine.runner.compute(*[share for _, shares in pieces for share in shares]))
    for rows, shares in pieces:
        yield rows, list(itertools.islice(found, len(shares)))


def _windows(engine: ScanEngine) -> Iterator[range]:
    """Bands in flight at a time: as many as there are threads."""
    bands = range(len(engine.layout.bands))
    step = _threads(engine)
    for start in bands[::step]:
        yield bands[start : start + step]


def _threads(engine: ScanEngine) -> int:
    return sum(n for _, n in engine.runner.shares())
