"""Running a scan's graph: what is small comes home, what is as long as w may stay out there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np

from dasklasso.backend import Array, to_numpy
from dasklasso.scan.engine import GradientAnswer, ScanEngine
from dasklasso.scan.tasks import Answer

Coefficients = da.Array | np.ndarray

SMALL = 32 << 20  # bytes of coefficients up to which they travel with the graph


def stays_out(engine: ScanEngine, n_points: int) -> bool:
    """Whether arrays of ``n_points`` coefficient columns are left on the workers."""
    return engine.is_split and sum(engine.column_chunks) * n_points * 8 > SMALL


@dataclass(frozen=True)
class Brought:
    """What a scan's graph gave.

    Attributes
    ----------
    points, gradient : (n_features, K): a Dask array on the workers, or NumPy's here
    sums : (3, 4 or 7, K) float64
    bytes_read : int
    extra : values of the other collections
    beside : answers to what the scan was asked beside the gradient
    """

    points: Coefficients
    gradient: Coefficients
    sums: np.ndarray
    bytes_read: int
    extra: list[np.ndarray]
    beside: tuple[Any, ...] = ()


def bring(
    engine: ScanEngine, points: da.Array, answer: GradientAnswer, extra: Sequence[Any] = ()
) -> Brought:
    """Run the graph of one scan.

    Parameters
    ----------
    points : (n_features, K), where the gradient was asked for
    extra : lazy collections beside it, small whatever n and d
    """
    runner = engine.runner
    if stays_out(engine, answer.n_points):
        gradient = answer.gradient
        heads = answer.apply("sums", _head)
        points, gradient, *placed = runner.persist(points, gradient, *heads, *extra)
        values = runner.compute(*placed)
        sums = values[: len(heads)]
        return Brought(
            points,
            gradient,
            to_numpy(sums[0][0]),
            sum(one[1] for one in sums),
            _home(values[len(heads) :]),
        )
    # block by block: blocks may be of a device, which Dask would not know how to join
    blocks = points.to_delayed(optimize_graph=False).ravel().tolist()
    found = runner.compute(*blocks, *answer.parts, *extra)
    n = len(blocks)
    parts = found[n : 2 * n]
    return Brought(
        np.concatenate(_home(found[:n])),
        np.concatenate([to_numpy(part.values[0][0]) for part in parts]),
        to_numpy(parts[0].values[0][1]),
        sum(part.bytes_read for part in parts),
        _home(found[2 * n :]),
        tuple(parts[0].values[1:]),
    )


def _head(answer: Answer) -> tuple[Array, int]:
    return answer.values[0][1], answer.bytes_read


def _home(values: Sequence[Any]) -> list[np.ndarray]:
    return [to_numpy(value) for value in values]


def lazily(engine: ScanEngine, array: Coefficients) -> Any:
    """A state's array as ``map_blocks`` takes it: chunked by parts, or whole where there is one."""
    if isinstance(array, np.ndarray) and engine.is_split:
        return engine.by_columns(array)
    return array


def as_dask(engine: ScanEngine, array: Coefficients) -> da.Array:
    """A state's array as a Dask array, chunked by parts."""
    return engine.by_columns(array) if isinstance(array, np.ndarray) else array
