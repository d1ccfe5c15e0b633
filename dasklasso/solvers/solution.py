"""Solutions: the coefficients of one job, what is certified of them, and their sparse columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.graph import BlockArray, GraphBuilder, Task
from dasklasso.scan.runners import Runner

if TYPE_CHECKING:
    from dasklasso.solvers.certificate_scan import Certified


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
    intercept : of centred columns, where it is a coordinate that is solved for; else 0
    """

    nonzeros: Nonzeros
    objective: float
    gap: float
    residual_mean: float
    certified: bool
    intercept: float = 0.0


def nonzeros_of(column: np.ndarray) -> Nonzeros:
    """Find the nonzeros of one dense column."""
    rows = np.flatnonzero(column)
    return rows, column[rows]


def sparse_columns(array: BlockArray, columns: Sequence[int], runner: Runner) -> list[Nonzeros]:
    """Nonzeros of some columns of a (n_features, k) array; no dense column leaves its block."""
    builder = GraphBuilder(array)
    keys = [
        builder.add("nonzeros", block.key[1:], partial(_nonzeros, list(columns), start), block.key)
        for block, start in zip(array.blocks(), array.starts, strict=False)
    ]
    found = runner.compute(*[Task(builder, key) for key in keys])
    return [
        (
            np.concatenate([block[c][0] for block in found]),
            np.concatenate([block[c][1] for block in found]),
        )
        for c in range(len(columns))
    ]


def _nonzeros(columns: list[int], start: int, block: Any) -> list[Nonzeros]:
    dense = to_numpy(block)
    found = []
    for column in columns:
        rows, values = nonzeros_of(dense[:, column])
        found.append((rows + start, values))
    return found


def dense_columns(solutions: Sequence[Nonzeros], engine: ScanEngine) -> BlockArray:
    """A (n_features, k) array from the nonzeros of its columns, one chunk for each part."""

    def block(start: int, stop: int) -> np.ndarray:
        dense = np.zeros((stop - start, len(solutions)))
        for k, (rows, values) in enumerate(solutions):
            a, b = np.searchsorted(rows, [start, stop])
            dense[rows[a:b] - start, k] = values[a:b]
        return dense

    return engine.from_parts("solutions", block, len(solutions))


def solutions_to_json(solutions: dict[int, Solution]) -> dict[str, Any]:
    """Solutions as plain JSON types."""
    return {
        str(job): {
            "indices": one.nonzeros[0].tolist(),
            "values": one.nonzeros[1].tolist(),
            "objective": one.objective,
            "gap": one.gap,
            "residual_mean": one.residual_mean,
            "certified": one.certified,
            "intercept": one.intercept,
        }
        for job, one in solutions.items()
    }


def solutions_from_json(data: dict[str, Any]) -> dict[int, Solution]:
    """Return the solutions that :func:`solutions_to_json` wrote."""
    return {
        int(job): Solution(
            (np.asarray(one["indices"], dtype=np.int64), np.asarray(one["values"], dtype=float)),
            one["objective"],
            one["gap"],
            one["residual_mean"],
            one["certified"],
            one["intercept"],
        )
        for job, one in data.items()
    }


def confirmed(
    solutions: dict[int, Solution], jobs: Sequence[int], found: Certified
) -> dict[int, Solution]:
    """Solutions with what a certificate scan showed of some of them."""
    shown = {
        job: replace(
            solutions[job],
            objective=float(found.certificate.primal[k]),
            gap=float(found.relative_gap[k]),
            residual_mean=float(found.found.sums.slope[k]),
            certified=True,
        )
        for k, job in enumerate(jobs)
    }
    return {**solutions, **shown}


def uncertified(point: np.ndarray, intercept: float = 0.0) -> Solution:
    """Return a point (n_features,) that no scan in float64 has been at."""
    return Solution(nonzeros_of(point), np.inf, np.inf, 0.0, certified=False, intercept=intercept)
