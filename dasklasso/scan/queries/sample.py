"""A sample of rows, drawn by a scan that is made anyway, and seen as data of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import random_folds
from dasklasso.scan.queries.base import Query
from dasklasso.scan.rows import Rows
from dasklasso.storage.blocks import MemoryBlocks, chunk_bounds

_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class Sample:
    """Some rows, in memory.

    Attributes
    ----------
    x : (n_rows, n_features) as stored
    y : (n_rows, n_targets) float64
    weight, offset : (n_rows, 1) float64 or None
    places : (n_rows,) int, which rows of the data they are
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    offset: np.ndarray | None
    places: np.ndarray | None = None

    @property
    def total_weight(self) -> float:
        return float(len(self.x)) if self.weight is None else float(self.weight.sum())


@dataclass(frozen=True)
class SampleRows(Query[Sample]):
    """One of every ``every`` rows, drawn at random; rows without weight are left out.

    Answer: :class:`Sample`.
    """

    every: int
    seed: int = 0
    name = "sample"

    def on_rows(self, rows: Rows, prepared: Any) -> list[Sample]:
        stop = rows.start + rows.n_rows
        chosen = random_folds(self.every, self.seed, rows.start, stop) == 0
        if rows.weight is not None:
            chosen &= rows.weight[:, 0] > 0
        some = rows.take(chosen)
        assert some.y is not None
        x = np.concatenate([to_numpy(block.dense()) for block in some.blocks], axis=1)
        places = rows.start + np.flatnonzero(chosen)
        return [Sample(x, some.y, some.weight, some.offset, places)]

    def combine(self, a: list[Sample], b: list[Sample]) -> list[Sample]:
        return a + b

    def finish(self, value: list[Sample], inputs: Sequence[Any]) -> Sample:
        def whole(name: str) -> Any:
            pieces = [getattr(one, name) for one in value]
            return None if pieces[0] is None else np.concatenate(pieces)

        return Sample(*(whole(field.name) for field in fields(Sample)))


def as_dataset(sample: Sample, data: Dataset) -> Dataset:
    """Return the rows of a sample of some data as a data set in this process's memory."""
    x = sample.x
    height = max(1, _BLOCK_BYTES // max(1, x.shape[1] * x.dtype.itemsize))
    bounds = chunk_bounds(len(x), height)

    def blocks(array: np.ndarray) -> MemoryBlocks:
        return MemoryBlocks(np.ascontiguousarray(array), bounds)

    return replace(
        data,
        X=blocks(x),
        y=blocks(sample.y),
        sample_weight=None if sample.weight is None else blocks(sample.weight),
        offset=None if sample.offset is None else blocks(sample.offset),
        fold=None,
        statistics=None,
        fingerprint=f"sample of {data.fingerprint}",
    )
