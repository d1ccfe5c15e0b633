"""Hessians along a path: exact at a few alphas, in between interpolated, and corrected by secants.

Along a path the Hessian of the mean loss changes smoothly with log alpha. So it is taken at a few
alphas, the *nodes*, and a problem in between has the mean of its two neighbours', weighted by how
near they are: a convex combination, hence positive semidefinite like them. Each problem then
corrects its own by what gradients of successive scans show of it (the update of Broyden, Fletcher,
Goldfarb and Shanno: Nocedal and Wright, 2006, Numerical Optimization, eq. 6.19).

A node is taken again where the problems around it have moved so far that the loss's curvature has
changed with them, where a column matters that it does not have, and where they gain too little.
Once no more problems are left than there are nodes, each that gains too little has one of its own,
over the rows that it is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

NODES_PER_DECADE = 2.5
NODE_LARGEST_MOVE = 0.3  # root mean square change of predictions: beyond it curvatures differ
MOST_SECANTS = 8
LEAST_SECANT_CURVATURE = 1e-3  # of that of the Hessian: a secant with less is not used


@dataclass(frozen=True)
class Node:
    """A Hessian that a scan returned.

    Attributes
    ----------
    columns : (c,) int, ascending
    matrix : (c + 1, c + 1) float64
        Over those columns, standardised, and the intercept.
    point : (n_features,) float64
        Where it was taken.
    intercept : float
    damping : float
        From 0, where it is that of the loss, to 1, where it is that of a model nowhere below.
    """

    columns: np.ndarray
    matrix: np.ndarray
    point: np.ndarray
    intercept: float
    damping: float = 0.0

    def moved(self, point: np.ndarray, intercept: float) -> float:
        """Root mean square of the change of predictions since, rows weighted by curvature."""
        step = np.append((point - self.point)[self.columns], intercept - self.intercept)
        curvature, change = self.matrix[-1, -1], step @ (self.matrix @ step)
        if not curvature > 0:  # rows without curvature say nothing of how far they moved
            return np.inf if step.any() else 0.0
        return float(np.sqrt(max(change, 0.0) / curvature))


@dataclass(frozen=True)
class Secant:
    """How the gradient changed along a step.

    Attributes
    ----------
    step, change : (n_features + 1,) float64
        Of the coefficients and the intercept; of the gradient and the slope in the intercept.
    """

    step: np.ndarray
    change: np.ndarray


@dataclass(frozen=True)
class Quadric:
    """A quadratic model of the mean loss around a point.

    Attributes
    ----------
    columns : (c,) int, ascending: coefficients that may move
    matrix : (c + 1, c + 1) float64, over those and the intercept
    """

    columns: np.ndarray
    matrix: np.ndarray


def node_places(alphas: np.ndarray, most: int) -> np.ndarray:
    """Indices of the alphas that are nodes: the first, the last, and some evenly between.

    Parameters
    ----------
    alphas : (n_alphas,), decreasing
    most : nodes that there is memory for
    """
    heights = log_heights(alphas)
    decades = (heights[0] - heights[-1]) / np.log(10.0)
    wanted = int(np.clip(np.ceil(NODES_PER_DECADE * decades) + 1, 1, max(most, 1)))
    if wanted == 1:
        return np.array([len(alphas) - 1])
    at = np.linspace(heights[0], heights[-1], wanted)
    places = np.abs(heights[None, :] - at[:, None]).argmin(axis=1)
    places[0], places[-1] = 0, len(alphas) - 1  # alphas that are equal are one height
    return np.unique(places)


def log_heights(alphas: np.ndarray) -> np.ndarray:
    """log alpha; zero counts as a thousandth of the smallest other."""
    positive = alphas[alphas > 0]
    floor = 1.0 if not positive.size else 1e-3 * positive.min()
    return np.log(np.where(alphas > 0, alphas, floor))


class Hessians:
    """The nodes of one target's path.

    Parameters
    ----------
    alphas : (n_alphas,), decreasing
    most : nodes that there is memory for

    Attributes
    ----------
    places : indices of the alphas that have a node, ascending
    """

    def __init__(self, alphas: np.ndarray, most: int) -> None:
        self.places = node_places(alphas, most)
        self.nodes: list[Node | None] = [None] * self.places.size
        self._heights = log_heights(alphas)

    def copied(self) -> Hessians:
        """Copy the path, with a list of nodes of its own."""
        found = copy(self)
        found.nodes = list(self.nodes)
        return found

    def around(self, index: int) -> list[tuple[int, float]]:
        """Return the nodes that the Hessian at ``alphas[index]`` comes from, and their shares."""
        after = int(np.searchsorted(self.places, index))
        if after == self.places.size:
            return [(after - 1, 1.0)]
        if after == 0 or self._heights[self.places[after]] == self._heights[index]:
            return [(after, 1.0)]
        above, below = self._heights[self.places[[after - 1, after]]]
        share = float((above - self._heights[index]) / (above - below))
        return [(after - 1, 1.0 - share), (after, share)]

    def parts(self, index: int) -> list[tuple[Node, float]] | None:
        """Return the nodes themselves, and their shares; None where one is not taken yet."""
        found = [(self.nodes[k], share) for k, share in self.around(index)]
        known = [(node, share) for node, share in found if node is not None]
        return known if len(known) == len(found) else None


def quadric(
    parts: Sequence[tuple[Node, float]], wanted: np.ndarray, secants: Sequence[Secant]
) -> Quadric:
    """Return the model of a mean of Hessians, over those of some columns that all of them have.

    Parameters
    ----------
    wanted : (n_features,) bool
    secants : of the problem, the oldest first
    """
    columns = np.flatnonzero(wanted)
    for node, _ in parts:
        columns = np.intersect1d(columns, node.columns, assume_unique=True)
    matrix = np.zeros((columns.size + 1, columns.size + 1))
    for node, share in parts:
        if columns.size == node.columns.size:
            matrix += share * node.matrix
            continue
        place = np.append(np.searchsorted(node.columns, columns), node.columns.size)
        matrix += share * node.matrix[np.ix_(place, place)]
    for secant in secants:
        _correct(matrix, columns, secant)
    return Quadric(columns, matrix)


@np.errstate(over="ignore", invalid="ignore")  # of a step beyond all numbers: it is not used
def _correct(matrix: np.ndarray, columns: np.ndarray, secant: Secant) -> None:
    """Make ``matrix @ step = change``, in place, if that keeps it positive definite."""
    place = np.append(columns, secant.step.size - 1)
    step, change = secant.step[place], secant.change[place]
    if np.count_nonzero(step) < np.count_nonzero(secant.step):
        return  # the step has coefficients that this model lacks
    product = matrix @ step
    expected, found = float(step @ product), float(step @ change)
    if not found > LEAST_SECANT_CURVATURE * expected or not expected > 0:
        return
    matrix -= np.outer(product, product / expected)
    matrix += np.outer(change, change / found)
