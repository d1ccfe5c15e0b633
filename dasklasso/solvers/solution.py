"""Solutions: coefficients of one problem, sparse, with the certificate they earned."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.scan.cluster import Runner

Nonzeros = tuple[np.ndarray, np.ndarray]  # row numbers (ascending), values


@dataclass(frozen=True)
class Solution:
    """One job's coefficients in standardised coordinates, and what is certified of them.

    Attributes
    ----------
    nonzeros : (indices, values)
    objective : value of the objective
    gap : duality gap over the loss of the null model
    residual_mean : weighted mean of the loss's gradient at the solution: zero but for rounding
    certified : whether the gap comes from a scan in float64
    """

    nonzeros: Nonzeros
    objective: float
    gap: float
    residual_mean: float
    certified: bool


def sparse_columns(array: da.Array, columns: Sequence[int], runner: Runner) -> list[Nonzeros]:
    """Nonzeros of some columns of a (n_features, k) array; no dense column leaves its block."""
    starts = np.concatenate([[0], np.cumsum(array.chunks[0])[:-1]]).astype(int)
    blocks = array.to_delayed().ravel()
    pick = dask.delayed(_nonzeros, pure=False)
    found = runner.compute(
        *[
            pick(block, list(columns), int(start))
            for block, start in zip(blocks, starts, strict=True)
        ]
    )
    return [
        (
            np.concatenate([block[c][0] for block in found]),
            np.concatenate([block[c][1] for block in found]),
        )
        for c in range(len(columns))
    ]


def _nonzeros(block: Any, columns: list[int], start: int) -> list[Nonzeros]:
    dense = to_numpy(block)
    found = []
    for column in columns:
        rows = np.flatnonzero(dense[:, column])
        found.append((rows + start, dense[rows, column]))
    return found


def dense_columns(solutions: Sequence[Nonzeros], chunks: tuple[int, ...]) -> da.Array:
    """A (n_features, k) array from the nonzeros of its columns, one chunk for each part."""
    edges = np.concatenate([[0], np.cumsum(chunks)]).astype(int)
    make = dask.delayed(_dense, pure=False)
    blocks = []
    for start, stop in itertools.pairwise(edges):
        cut = []
        for rows, values in solutions:
            a, b = np.searchsorted(rows, [start, stop])
            cut.append((rows[a:b] - start, values[a:b]))
        shape = (int(stop - start), len(solutions))
        blocks.append([da.from_delayed(make(shape, cut), shape, dtype=np.float64)])
    return da.block(blocks)


def _dense(shape: tuple[int, int], columns: list[Nonzeros]) -> np.ndarray:
    dense = np.zeros(shape)
    for k, (rows, values) in enumerate(columns):
        dense[rows, k] = values
    return dense
