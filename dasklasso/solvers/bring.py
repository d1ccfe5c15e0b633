"""Running a scan's graph: what is small comes home, what is as long as w may stay out there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da

from dasklasso.backend import to_numpy
from dasklasso.scan.engine import ScanEngine

SMALL = 32 << 20  # bytes of coefficients up to which they travel with the graph


def stays_out(engine: ScanEngine, n_points: int) -> bool:
    """Whether arrays of ``n_points`` coefficient columns are left on the workers."""
    return engine.is_split and sum(engine.column_chunks) * n_points * 8 > SMALL


def bring(
    engine: ScanEngine, arrays: Sequence[da.Array], numbers: Sequence[Any]
) -> tuple[list[da.Array], list[Any]]:
    """Run one graph.

    Parameters
    ----------
    arrays : (n_features, any), chunked by the layout's parts
    numbers : lazy collections that are small whatever n and d

    Returns
    -------
    arrays : the same, computed: here, or on the workers where they are large
    numbers : their values
    """
    runner = engine.runner
    if stays_out(engine, arrays[0].shape[1]):
        kept = runner.persist(*arrays, *numbers)
        values = runner.compute(*kept[len(arrays) :])
        return list(kept[: len(arrays)]), [_home(value) for value in values]
    found = runner.compute(*arrays, *numbers)
    return (
        [engine.by_columns(to_numpy(value)) for value in found[: len(arrays)]],
        [_home(value) for value in found[len(arrays) :]],
    )


def _home(value: Any) -> Any:
    return value if isinstance(value, int | float) else to_numpy(value)
