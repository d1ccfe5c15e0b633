"""Rows in the order of their score, met one distinct score at a time; the area under the curve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

Chunk = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]  # score, y, weight (None: all 1)


@dataclass(frozen=True)
class Groups:
    """Consecutive distinct scores, and sums over all rows up to them.

    Attributes
    ----------
    score : (n_groups,) increasing
    count, negative, positive : (n_groups + 1,) float64
        Number of rows, Σ s (1 − y) and Σ s y, before the first of these scores and up to each.
    """

    score: np.ndarray
    count: np.ndarray
    negative: np.ndarray
    positive: np.ndarray


def groups(chunks: Iterable[Chunk]) -> Iterator[Groups]:
    """Tied scores put together.

    Sums are taken one row after the other, so their bits do not depend on where chunks are cut.

    Parameters
    ----------
    chunks : of (score (n,), y (n,) from 0 to 1, weight (n,) or None), in the order of the scores
    """
    before = np.zeros(3)  # sums up to the last score that was handed on
    sums, last = np.zeros(3), None  # sums so far; the score whose ties may go on
    for score, y, weight in chunks:
        if len(score) == 0:
            continue
        s = 1.0 if weight is None else weight
        ones = np.ones(len(score))
        terms = np.stack([ones, s * (1.0 - y), s * (ones * y)])
        running = np.cumsum(np.concatenate([sums[:, None], terms], axis=1), axis=1)
        ends = np.flatnonzero(score[1:] != score[:-1])
        scores, totals = score[ends], running[:, ends + 1]
        if last is not None and last != score[0]:
            scores, totals = np.append(last, scores), np.append(running[:, :1], totals, axis=1)
        if len(scores):
            yield Groups(scores, *np.append(before[:, None], totals, axis=1))
            before = totals[:, -1]
        sums, last = running[:, -1], score[-1]
    if last is not None:
        yield Groups(np.asarray([last]), *np.stack([before, sums], axis=1))


class AreaUnderCurve:
    """The area under the receiver operating characteristic, exact, ties counted by half.

    The share of pairs of a positive and a negative row in which the positive one has the higher
    score (Hanley and McNeil, 1982, The meaning and use of the area under a ROC curve).
    """

    def __init__(self) -> None:
        self._area = 0.0
        self._negative = self._positive = 0.0

    def add(self, found: Groups) -> None:
        """Take in the next scores."""
        below = 0.5 * (found.negative[1:] + found.negative[:-1])
        pairs = np.diff(found.positive) * below
        self._area = float(np.cumsum(np.append(self._area, pairs))[-1])
        self._negative, self._positive = float(found.negative[-1]), float(found.positive[-1])

    @property
    def value(self) -> float:
        """The area, from 0 to 1; NaN where all rows are of one label."""
        if self._negative == 0 or self._positive == 0:
            return float("nan")
        return self._area / self._negative / self._positive


def area_under_curve(score: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the curve of rows in memory, in any order.

    Parameters
    ----------
    score, y : (n_rows,), y is 0 or 1
    weight : (n_rows,) or None
    """
    order = np.argsort(score, kind="stable")
    area = AreaUnderCurve()
    for found in groups([(score[order], y[order], None if weight is None else weight[order])]):
        area.add(found)
    return area.value


def rank_edges(score: np.ndarray, most: int) -> np.ndarray:
    """Edges of bins that hold about the same number of rows each.

    Parameters
    ----------
    score : (n_rows,) of rows like those that bins are for
    most : int
        Of edges.

    Returns
    -------
    (n_edges,) float64, ascending, each of them a score
    """
    ranks = (np.arange(1, most + 1) * len(score)) // (most + 1)
    return np.unique(np.sort(score)[np.unique(ranks)]) if len(score) else np.zeros(0)


def rank_bins(score: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each score, (n_rows,) int64.

    Bin 2j is what lies between edges j − 1 and j, bin 2j + 1 what equals edge j: all that is in it
    is tied.
    """
    return np.searchsorted(edges, score, "left") + np.searchsorted(edges, score, "right")


def binned_area(negative: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas under curves from the weights of each label by bin, and by how much they may be off.

    Bins are in the order of their scores. A pair of a positive and a negative row of two bins is
    counted as it is, one of the same bin by half. So only pairs of a bin that is no tie can be
    wrong, by a half at most: with the share p_b of the positive weight and q_b of the negative one
    in it, the area is off by ½ Σ p_b q_b over those bins at most.

    Parameters
    ----------
    negative, positive : (2 n_edges + 1, n_models) float64
        By the bins of :func:`rank_bins`.

    Returns
    -------
    area, bound : (n_models,), NaN where all rows are of one label
    """
    below = np.cumsum(negative, axis=0) - 0.5 * negative
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = positive / positive.sum(axis=0), negative / negative.sum(axis=0)
        area = np.sum(p * (below / negative.sum(axis=0)), axis=0)
        return area, 0.5 * np.sum(p[::2] * q[::2], axis=0)
