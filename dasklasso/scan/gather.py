"""Run one scan's graph: small results return to the client, feature-length arrays may stay away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.objective.loss_sums import LossSums
from dasklasso.scan.engine import GradientScan, ScanEngine
from dasklasso.scan.graph import BlockArray
from dasklasso.scan.queries.base import AnswerT, Query
from dasklasso.scan.queries.gradient import LossGradient
from dasklasso.scan.tasks import PartAnswer

Coefficients = BlockArray | np.ndarray

COEFFICIENT_BYTES_IN_GRAPH = 32 << 20  # up to so many, coefficients travel with the graph


def stays_on_workers(engine: ScanEngine, n_points: int) -> bool:
    """Tell whether arrays of ``n_points`` coefficient columns are left on the workers."""
    return engine.is_split and sum(engine.column_chunks) * n_points * 8 > COEFFICIENT_BYTES_IN_GRAPH


@dataclass(frozen=True)
class Answers:
    """What one scan answered: ``answers[query]`` is typed by the query.

    Attributes
    ----------
    queries, values : what was asked, the gradient first, and the answer to each
    points : (n_features, K)
        Where the gradient was asked for: blocks on the workers, or NumPy's here.
    bytes_read : int
    extra : values of the other collections that were computed in the same graph
    """

    queries: tuple[Query[Any], ...]
    values: tuple[Any, ...]
    points: Coefficients
    bytes_read: int
    extra: list[np.ndarray]

    def __getitem__(self, query: Query[AnswerT]) -> AnswerT:
        """Return the answer to a query, which is the very object that was asked.

        Raises
        ------
        KeyError
            When the scan was not asked it.
        """
        for asked, value in zip(self.queries, self.values, strict=True):
            if asked is query:
                answer: AnswerT = value
                return answer
        raise KeyError(f"{query.name}: not asked of this scan")

    @property
    def gradient(self) -> Coefficients:
        """(n_features, K): blocks on the workers, or NumPy's here."""
        gradient: Coefficients = self.values[0].gradient
        return gradient

    @property
    def sums(self) -> LossSums:
        """Sums over rows at the K points, NumPy's."""
        sums: LossSums = self.values[0].sums
        return sums


def gather(
    engine: ScanEngine, points: BlockArray, scan: GradientScan, extra: Sequence[Any] = ()
) -> Answers:
    """Run the graph of one scan.

    Parameters
    ----------
    points : (n_features, K), where the gradient was asked for
    scan : what is asked
    extra : other lazy collections of the same graph, small whatever n and d
    """
    runner = engine.runner
    if stays_on_workers(engine, scan.n_points):
        heads = scan.map_parts("sums", _head)
        found, gradient, *placed = runner.persist(points, scan.gradient, *heads, *extra)
        values = runner.compute(*placed)
        sums = values[: len(heads)]
        return Answers(
            scan.queries,
            (LossGradient(gradient, sums[0][0].to_numpy()),),
            found,
            sum(nbytes for _, nbytes in sums),
            _on_host(values[len(heads) :]),
        )
    blocks = points.blocks()  # which may be of a device
    found = runner.compute(*blocks, *scan.parts, *extra)
    n = len(blocks)
    parts = found[n : 2 * n]
    whole = LossGradient(
        np.concatenate([to_numpy(part.values[0].gradient) for part in parts]),
        parts[0].values[0].sums.to_numpy(),
    )
    return Answers(
        scan.queries,
        (whole, *parts[0].values[1:]),
        np.concatenate(_on_host(found[:n])),
        sum(part.bytes_read for part in parts),
        _on_host(found[2 * n :]),
    )


def _head(answer: PartAnswer) -> tuple[LossSums, int]:
    return answer.values[0].sums, answer.bytes_read


def _on_host(values: Sequence[Any]) -> list[np.ndarray]:
    return [to_numpy(value) for value in values]


def in_parts(engine: ScanEngine, array: Coefficients) -> BlockArray:
    """Return a state's array in blocks of the layout's parts."""
    return engine.by_columns(array) if isinstance(array, np.ndarray) else array
