"""Proximal stochastic gradient on all problems at once: what an epoch does with a band's rows.

A batch B of rows moves every problem by ``w ← prox_{η p}(w − η g_B)``, p the penalty and g_B the
batch's gradient (Duchi and Singer, 2009, Efficient online and batch learning using forward
backward splitting, section 2; called Prox-SG by Xiao and Zhang, 2014, A proximal stochastic
gradient method with progressive variance reduction, section 1). Steps fall as
``η_t = η_0 / √(1 + t/T)``, with t batches gone and T in an epoch: the 1/√t of Duchi and Singer,
section 3, a constant first. Steps of β/(γ + t) (Bottou, Curtis and Nocedal, 2018, Optimization
methods for large-scale machine learning, theorem 4.7) need β above a bound of strong convexity,
and hardly move where it is below: measured on correlated columns, 20 epochs of them left up to 30
times the error.

η_0 is one over the largest curvature of a batch: the loss's own, times the largest eigenvalue of a
batch's standardised Gram matrix that was met so far. A power iteration rides along as one more
column, and the longest row, which a batch may owe its curvature to, is a bound from below. Beside
the last iterate, which is sparse, goes the average of all, with weights that grow with t (Shamir
and Zhang, 2013, Stochastic gradient descent for non-smooth optimization, on polynomial decay).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.backend import Array, Backend, namespace, to_numpy
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import penalty_at
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.gradient import Gradient, LossGradient
from dasklasso.scan.rows import Rows

AVERAGE_GROWTH = 3.0  # weights of iterates in the average are about t to this power
FIRST_ROUNDS = 30  # of the power iteration on the first batch, before any step
SETTLED_GROWTH = 0.01  # growth of a round at which that ends


@dataclass(frozen=True)
class Iterate:
    """Where K problems are.

    Attributes
    ----------
    points : (n_features, K + 1) float64
        Coefficients in standardised coordinates, and the direction of the power iteration.
    average : (n_features, K) float64
    intercepts, average_intercepts : (K,) float64
        Where the intercept is a coordinate; else zeros.
    curvature : float
        Largest eigenvalue of a batch's Gram matrix so far.
    mass : float
        Largest weight of a batch so far, of a mean of 1: the same for the intercept.
    steps : batches so far
    """

    points: np.ndarray
    average: np.ndarray
    intercepts: np.ndarray
    average_intercepts: np.ndarray
    curvature: float = 0.0
    mass: float = 1.0
    steps: int = 0


def start(direction: np.ndarray, intercepts: np.ndarray) -> Iterate:
    """All K problems at zero.

    Parameters
    ----------
    direction : (n_features,)
        To begin the power iteration with.
    intercepts : (K,)
    """
    zeros = np.zeros((len(direction), len(intercepts)))
    norm = np.linalg.norm(direction)
    points = np.column_stack([zeros, direction / norm if norm > 0 else direction])
    return Iterate(points, zeros, intercepts, intercepts)


def n_batches(n_rows: int, batch_size: int) -> int:
    """Batches that some rows are dealt to, as evenly as may be."""
    return -(-n_rows // batch_size)


@dataclass(frozen=True)
class Epoch:
    """Steps over all rows of a band, in an order of their own.

    Attributes
    ----------
    query : Gradient
        Of the K problems, without intercepts.
    alphas : (K,)
    penalty : of the objective
    steps_intercept : whether the intercept is a coordinate
    n_rows : of the data
    batch_size : at most ``n_rows``
    batches : in an epoch
    seed, number : of the orders of rows; the number of the epoch, from 0
    """

    query: Gradient
    alphas: np.ndarray
    penalty: Penalty
    steps_intercept: bool
    n_rows: int
    batch_size: int
    batches: int
    seed: int
    number: int

    def order(self, n_bands: int) -> list[int]:
        """Return the order of the bands."""
        return (
            np.random.default_rng([self.seed, self.number, n_bands]).permutation(n_bands).tolist()
        )

    def __call__(self, rows: Rows, band: int, iterate: Iterate, frame: Frame) -> Iterate:
        """All batches of a band. Arrays are of the device within, NumPy's outside."""
        backend = self.query.backend
        frame = frame.on(backend)
        iterate = replace(
            iterate,
            points=backend.asarray(iterate.points),
            average=backend.asarray(iterate.average),
        )
        shuffled = np.random.default_rng([self.seed, self.number, band]).permutation(rows.n_rows)
        for index in np.array_split(shuffled, n_batches(rows.n_rows, self.batch_size)):
            batch = rows.take(index)
            iterate = self._met(batch, iterate, frame, backend)
            iterate = self._step(batch, iterate, frame, backend)
        return replace(iterate, points=to_numpy(iterate.points), average=to_numpy(iterate.average))

    def _step(self, batch: Rows, iterate: Iterate, frame: Frame, backend: Backend) -> Iterate:
        """Return one batch."""
        points, k = iterate.points, len(self.alphas)
        xp, curved = namespace(points), self.query.loss.max_curvature
        intercepts = tuple(iterate.intercepts.tolist()) if self.steps_intercept else ()
        at = self._gradient(batch, points, frame, self.query.targets, intercepts)
        gradient = at.gradient
        direction, norm = _unit(gradient[:, k:])
        # before the step: none is longer than what its own batch allows
        curvature = max(iterate.curvature, norm)
        decay = 1.0 / math.sqrt(1.0 + iterate.steps / self.batches)
        step = decay / (curved * curvature) if curvature > 0 else 0.0
        alpha = backend.asarray(self.alphas[None, :])
        penalty = penalty_at(frame, alpha, self.penalty)
        # a batch of fewer rows has less of the penalty too: every row counts the same
        share = batch.n_rows / self.batch_size
        w = penalty.prox(points[:, :k] - step * gradient[:, :k], step * share)
        w = xp.where(frame.matters[:, None], w, xp.zeros_like(w))
        b = iterate.intercepts
        if self.steps_intercept:
            b = b - decay / (curved * iterate.mass) * to_numpy(at.sums.slope)[:k]
        t = iterate.steps + 1
        weight = (AVERAGE_GROWTH + 1.0) / (t + AVERAGE_GROWTH)
        return Iterate(
            xp.concat([w, direction if norm > 0 else points[:, k:]], axis=1),
            iterate.average + weight * (w - iterate.average),
            b,
            iterate.average_intercepts + weight * (b - iterate.average_intercepts),
            curvature,
            iterate.mass,
            t,
        )

    def _met(self, batch: Rows, iterate: Iterate, frame: Frame, backend: Backend) -> Iterate:
        """Return what is learnt of a batch's curvature the first time that its rows are seen."""
        if self.number > 0:
            return iterate
        weight, k = self._weights(batch), len(self.alphas)
        # the diagonal of the Gram matrix over rows, whose eigenvalues are the same
        longest = float(np.max(weight * _squared_norms(batch, frame, backend)))
        curvature = max(iterate.curvature, longest / self.batch_size)
        mass = max(iterate.mass, float(weight.sum()) / self.batch_size)
        points = iterate.points
        if iterate.steps == 0:
            xp, direction, before = namespace(points), points[:, k:], 0.0
            for _ in range(FIRST_ROUNDS):
                # a point goes along, for which nothing is made of the answer
                pair = xp.concat([xp.zeros_like(direction), direction], axis=1)
                product = self._gradient(batch, pair, frame, self.query.targets[:1])
                following, norm = _unit(product.gradient[:, 1:])
                curvature = max(curvature, norm)
                if norm <= (1.0 + SETTLED_GROWTH) * before:
                    break
                direction, before = following, norm
            points = xp.concat([points[:, :k], direction], axis=1)
        return replace(iterate, points=points, curvature=curvature, mass=mass)

    def _gradient(
        self,
        batch: Rows,
        points: Array,
        frame: Frame,
        targets: tuple[int, ...],
        intercepts: tuple[float, ...] = (),
    ) -> LossGradient:
        """Gradients and sums of a batch, over ``batch_size`` rows whatever it has."""
        query = replace(
            self.query,
            targets=targets,
            intercepts=intercepts,
            total_weight=self.query.total_weight * self.batch_size / self.n_rows,
        )
        ready = query.prepare((points, frame), batch.widths)
        return query.finish(query.on_rows(batch, ready), (points, frame))

    def _weights(self, batch: Rows) -> np.ndarray:
        """(n_rows,) weights of rows, of mean 1 over the data."""
        if batch.weight is None:
            return np.ones(batch.n_rows)
        return batch.weight[:, 0] * (self.n_rows / self.query.total_weight)


def _unit(direction: Array) -> tuple[Array, float]:
    """Return a column over its norm, and that norm."""
    xp = namespace(direction)
    norm = float(xp.sqrt(xp.sum(direction**2)))
    return (direction / norm if norm > 0 else direction), norm


def _squared_norms(batch: Rows, frame: Frame, backend: Backend) -> np.ndarray:
    """(n_rows,) squared norms of standardised rows."""
    total, left = 0.0, 0
    for [block] in (one.slabs(batch.n_rows, np.dtype(float), backend) for one in batch.blocks):
        here = frame[left : left + block.width]
        total = total + block.standardised(here.centre, here.inverse_scale).row_squares()
        left += block.width
    return to_numpy(total)
