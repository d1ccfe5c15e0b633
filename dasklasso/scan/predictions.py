"""Predictions of every row: not a sum over rows, so they return as a stream, in row order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import dask
import numpy as np
from dask.delayed import Delayed
from scipy.sparse import csr_array

from dasklasso.scan import tasks
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.prediction import Prediction

Piece = tuple[slice, list[Delayed]]  # rows, and for each part its share of their prediction
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
    weights = [
        dask.delayed(coef[:, layout.columns(part)].toarray().T, pure=False)
        for part in range(len(layout.parts))
    ]
    tallest = max(layout.rows(b).stop - layout.rows(b).start for b in range(len(layout.bands)))
    if most_rows is None or tallest <= most_rows:
        found = _bands(engine, query, weights)
    else:
        found = _cut_bands(engine, query, weights, most_rows)
    for rows, shares in found:
        yield rows.start, rows.stop, sum(shares) + np.asarray(query.intercepts)
    engine.scans += 1


def _bands(engine: ScanEngine, query: Prediction, weights: Sequence[Delayed]) -> Iterator[Shares]:
    """Whole bands, each read and predicted in one task for each part."""
    predict = dask.delayed(tasks.predict_band, pure=False)
    for window in _windows(engine):
        yield from _computed(
            engine,
            [
                (
                    engine.layout.rows(band),
                    [predict(engine.table, query, band, p, w) for p, w in enumerate(weights)],
                )
                for band in window
            ],
        )


def _cut_bands(
    engine: ScanEngine, query: Prediction, weights: Sequence[Delayed], most_rows: int
) -> Iterator[Shares]:
    """Bands that are read by one task, stay where they were read, and are predicted by several."""
    read = dask.delayed(tasks.read_band, pure=False)
    predict = dask.delayed(tasks.predict_rows, pure=False)
    for window in _windows(engine):
        places = [(band, part) for band in window for part in range(len(weights))]
        held = engine.runner.persist(*[read(engine.table, *place) for place in places])
        blocks = dict(zip(places, held, strict=True))
        pieces: list[Piece] = []
        for band in window:
            rows = engine.layout.rows(band)
            for start in range(rows.start, rows.stop, most_rows):
                piece = slice(start, min(start + most_rows, rows.stop))
                parts = enumerate(weights)
                shares = [predict(query, blocks[band, part], piece, w) for part, w in parts]
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
