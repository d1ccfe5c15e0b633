"""The Hessian of a mean softmax loss, on some coordinates, from rows held in memory.

Of one row it is ``(diag(p) − ppᵀ) ⊗ x̃x̃ᵀ``, p the probabilities of the classes. These sum to one, so
that ``diag(p) − ppᵀ = Σ_{k<l} p_k p_l (e_k − e_l)(e_k − e_l)ᵀ``, the Laplacian of a graph whose
vertices are classes (compare Böhning, 1992, Multinomial logistic regression algorithm, section 2):

    H = Σ_{k<l} (e_k − e_l)(e_k − e_l)ᵀ ⊗ G_kl,    G_kl = X̃ᵀ diag(π p_k p_l) X̃.

Only Grams of pairs of classes are needed, none of a class by itself, and whatever weights ≥ 0 stand
in for ``w = π p_k p_l``, H is positive semidefinite. Most w are next to nothing, so that rows are
drawn: each with the probability min(1, w/τ), for the weight max(w, τ). The mean of what is drawn is
G_kl (subsampled Newton methods with nonuniform probabilities: Xu, Roosta and Mahoney, 2020, Newton-
type methods for non-convex optimization under inexact Hessian information, section 3).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dasklasso.scan.runners import threads_each
from dasklasso.scan.threads import blas_threads
from dasklasso.solvers.newton.step import Point
from dasklasso.solvers.softmax.rows import HeldRows

VISITS_PER_ROW = 2.0  # over all pairs: measured on images; exact Hessians need C(C−1)/2
EXACT_FLOPS = 4e9  # up to so many, all rows are taken for every pair
THREADED_FLOPS = 1e7  # fewer are done before threads have begun
PRODUCT_ROWS = 1024  # rows of a product: what is gathered stays in the cache
SEARCHED_ROWS = 4096  # from which τ is found
THRESHOLD_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class SoftmaxHessian:
    """A Hessian on some coordinates.

    Attributes
    ----------
    coordinates : (p,) int64, ascending: ``class · (n_features + 1) + column``, where the column
        n_features is the intercept
    matrix : (p, p) float32 or float64
    alpha : of the problem that it was taken for
    point : where it was taken
    """

    coordinates: np.ndarray
    matrix: np.ndarray
    alpha: float
    point: Point

    def on(self, coordinates: np.ndarray) -> np.ndarray:
        """Return a copy of the matrix on some of its coordinates."""
        if len(coordinates) == len(self.coordinates):
            return self.matrix.copy()
        place = np.searchsorted(self.coordinates, coordinates)
        return self.matrix[np.ix_(place, place)]


def softmax_hessian(
    rows: HeldRows, point: Point, alpha: float, coordinates: np.ndarray, dtype: str, seed: int
) -> SoftmaxHessian:
    """Take a Hessian: all rows where that is little work, else a draw of them for each pair.

    Parameters
    ----------
    coordinates : as in :class:`SoftmaxHessian`
    dtype : float32 or float64, of products and of what is found
    seed : of the draw
    """
    n_features, n_classes = point.u.shape
    own = [
        coordinates[coordinates // (n_features + 1) == k] % (n_features + 1)
        for k in range(n_classes)
    ]
    edges = np.cumsum([0, *(len(columns) for columns in own)])
    pairs = [
        (k, m) for k, m in itertools.combinations(range(n_classes), 2) if len(own[k]) + len(own[m])
    ]
    shares = rows.probabilities(point.u, point.b, dtype)
    flops = sum(2.0 * rows.n_rows * (len(own[k]) + len(own[m])) ** 2 for k, m in pairs)
    tau = 0.0
    if flops > EXACT_FLOPS:
        tau = _threshold(shares, rows.share, pairs, VISITS_PER_ROW * rows.n_rows)
    matrix = np.zeros((len(coordinates), len(coordinates)), dtype)

    def gram(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k, m = pairs[number]
        columns = np.union1d(own[k], own[m])
        weight = rows.share * shares[:, k] * shares[:, m]
        drawn = np.random.default_rng((seed, number)).random(rows.n_rows, np.float32)
        picked = np.flatnonzero((drawn * tau < weight) & (weight > 0))
        root = np.sqrt(np.maximum(weight[picked], tau)).astype(dtype)
        # the intercept's column is always there, last
        features = columns[columns < n_features]
        found = np.zeros((len(features) + 1,) * 2, dtype)
        for i in range(0, len(picked), PRODUCT_ROWS):
            block = rows.standardised(picked[i : i + PRODUCT_ROWS], features, dtype)
            block *= root[i : i + PRODUCT_ROWS, None]
            found += block.T @ block
        return found, _places(features, own[k]), _places(features, own[m])

    def add(grams: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        for (k, m), (found, of_k, of_m) in zip(pairs, grams, strict=True):
            here, there = slice(edges[k], edges[k + 1]), slice(edges[m], edges[m + 1])
            matrix[here, here] += found[np.ix_(of_k, of_k)]
            matrix[there, there] += found[np.ix_(of_m, of_m)]
            cross = found[np.ix_(of_k, of_m)]
            matrix[here, there] = -cross
            matrix[there, here] = -cross.T

    if flops < THREADED_FLOPS:
        add(map(gram, range(len(pairs))))
    else:
        with blas_threads(), ThreadPoolExecutor(threads_each(None)) as pool:
            add(pool.map(gram, range(len(pairs))))
    return SoftmaxHessian(coordinates, matrix, alpha, point)


def _places(features: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Where columns are in a Gram of ``features`` and the intercept, whose number is the last."""
    return np.searchsorted(features, columns)


def _threshold(
    shares: np.ndarray, weight: np.ndarray, pairs: list[tuple[int, int]], visits: float
) -> float:
    """τ, such that so many rows are drawn over all pairs; 0 where all may be taken."""
    n_rows = len(shares)
    if visits >= n_rows * len(pairs):
        return 0.0
    step = max(1, n_rows // SEARCHED_ROWS)
    some, own = shares[::step].astype(np.float64), weight[::step]
    found = np.stack([own * some[:, k] * some[:, m] for k, m in pairs])
    wanted = visits * len(some) / n_rows
    high = float(found.max())
    low = 1e-30 * high
    if not high > 0 or np.count_nonzero(found) <= wanted:
        return 0.0
    for _ in range(THRESHOLD_HALVINGS):
        middle = float(np.sqrt(low * high))
        if np.minimum(1.0, found / middle).sum() > wanted:
            low = middle
        else:
            high = middle
    return high
