"""Stability selection: which features are selected again and again from halves of the data.

Meinshausen and Bühlmann (2010, Stability selection), with the complementary pairs of Shah and
Samworth (2013, Variable selection with error control: another look at stability selection). Halves
are made of blocks of rows whose moments are known: the data are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from dasklasso.cross_validation.curves import Map, decreasing
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import CrossMoments, not_ones
from dasklasso.objective.objective import Objective
from dasklasso.objective.square_units import unit_for
from dasklasso.problem.problem import penalty_factors
from dasklasso.selection.stability_bounds import (
    Bound,
    expected_false,
    selected_for,
    threshold_for,
)
from dasklasso.solvers.quadratic.from_moments import solve_moments

BYTES_AT_ONCE = 256 << 20  # moments of half-samples held at a time
SLAB_BYTES = 16 << 20  # of the blocks' products, gathered to be summed by one matrix product


@dataclass(frozen=True)
class StabilityPath:
    """How often each feature is selected.

    Attributes
    ----------
    alphas : (n_alphas,), decreasing
    probabilities : (n_alphas, n_features)
        Share of half-samples that select a feature at each alpha.
    average_selected : (n_alphas,)
        Mean number of features selected at an alpha or any larger one, unpenalised ones not
        counted: q where the grid ends there.
    penalised : (n_features,) bool
        Features that there are to select from; the others are in every model.
    n_pairs : complementary pairs of half-samples
    """

    alphas: np.ndarray
    probabilities: np.ndarray
    average_selected: np.ndarray
    penalised: np.ndarray
    n_pairs: int

    @property
    def max_probabilities(self) -> np.ndarray:
        """(n_features,) largest selection probability over the grid, by which features are kept."""
        return np.max(self.probabilities, axis=0)

    @property
    def q(self) -> float:
        """Mean number of features that a half-sample selects anywhere on the grid."""
        return float(self.average_selected[-1])

    @property
    def n_candidates(self) -> int:
        return int(np.count_nonzero(self.penalised))

    def selected(self, threshold: float) -> np.ndarray:
        """Features whose largest probability reaches a threshold: their indices, in order."""
        # probabilities are multiples of 1/(2B): forgive a threshold its decimals
        return np.flatnonzero(self.max_probabilities >= threshold - 1e-9)

    def expected_false(self, threshold: float, bound: Bound = "unimodal") -> float:
        """Bound on the expected number of noise features kept at a threshold."""
        return expected_false(threshold, self.q, self.n_candidates, self.n_pairs, bound)

    def threshold_for(self, wanted: float, bound: Bound = "unimodal") -> float:
        """Return the smallest threshold with that bound on the expected number of noise features.

        Raises
        ------
        OptionError
            When no threshold has it.
        """
        return threshold_for(wanted, self.q, self.n_candidates, self.n_pairs, bound)

    def within(self, wanted: float, threshold: float, bound: Bound = "unimodal") -> StabilityPath:
        """The same path, its grid ended where this threshold would no longer give that bound.

        Raises
        ------
        OptionError
            When not even the largest alpha gives it.
        """
        most = selected_for(wanted, threshold, self.n_candidates, self.n_pairs, bound)
        length = int(np.count_nonzero(self.average_selected <= most))
        if not length:
            raise OptionError(
                f"expected_false: {wanted:g} found, which at threshold {threshold:g} allows "
                f"half-samples to select {most:.3g} features; they select "
                f"{self.average_selected[0]:g} at the largest alpha, expected larger alphas"
            )
        return StabilityPath(
            self.alphas[:length],
            self.probabilities[:length],
            self.average_selected[:length],
            self.penalised,
            self.n_pairs,
        )

    def table(self) -> list[dict[str, float | int]]:
        """Return one row for each feature, in plain numbers."""
        return [
            {
                "feature": j,
                "max_probability": float(column.max()),
                "alpha": float(self.alphas[int(np.argmax(column))]),
            }
            for j, column in enumerate(self.probabilities.T)
        ]


def stability_path(
    blocks: Sequence[CrossMoments],
    objective: Objective,
    alphas: np.ndarray,
    *,
    n_pairs: int = 50,
    seed: int = 0,
    target: int = 0,
    tol: float = 1e-8,
    map: Map = map,
) -> StabilityPath:
    """Selection probabilities along a grid of alphas, from pairs of halves of the blocks.

    Parameters
    ----------
    blocks
        Moments of disjoint blocks of rows. Those without weight are not counted.
    alphas : (n_alphas,), decreasing
    n_pairs : B of Shah and Samworth; there are twice as many half-samples
    tol : relative to the loss of the null model
    map : runs the half-samples' solves, for instance an executor's ``map``

    Raises
    ------
    OptionError
        When there are too few blocks to make that many pairs of, or alphas do not decrease.
    ValueFound
        When the target is constant in a half-sample.
    """
    grid = decreasing(alphas)
    useful = [block for block in blocks if block.weight > 0]
    halves = half_samples(len(useful), n_pairs, seed)
    penalised = penalty_factors(objective.penalty_factor, useful[0].n_features) > 0
    at_once = max(1, BYTES_AT_ONCE // useful[0].products.nbytes)

    def supports() -> Iterator[np.ndarray]:
        for first in range(0, len(halves), at_once):
            batch = halves[first : first + at_once]
            tasks = ((part, objective, grid, target, tol) for part in unions(useful, batch))
            yield from map(_run, tasks)

    return shares_of(supports(), grid, penalised, len(halves) // 2)


def shares_of(
    supports: Iterable[np.ndarray], alphas: np.ndarray, penalised: np.ndarray, n_pairs: int
) -> StabilityPath:
    """Count how often each feature is selected.

    Parameters
    ----------
    supports : (n_alphas, n_features) bool of each half-sample: the features in use
    alphas, penalised, n_pairs : as of :class:`StabilityPath`
    """
    n = 2 * n_pairs
    times = np.zeros((len(alphas), len(penalised)), dtype=np.int64)
    so_far = np.zeros(len(alphas), dtype=np.int64)
    for support in supports:
        times += support
        entered = np.logical_or.accumulate(support[:, penalised], axis=0)
        so_far += np.count_nonzero(entered, axis=1)
    return StabilityPath(alphas, times / n, so_far / n, penalised, n_pairs)


def half_sample_support(
    moments: CrossMoments, objective: Objective, alphas: np.ndarray, target: int, tol: float
) -> np.ndarray:
    """(n_alphas, n_features) bool, the features in use: the unit of work, a pure function."""
    return solve_moments(moments, objective, alphas, target=target, tol=tol).coef != 0


def _run(task: tuple[CrossMoments, Objective, np.ndarray, int, float]) -> np.ndarray:
    return half_sample_support(*task)


def half_samples(n_blocks: int, n_pairs: int, seed: int) -> np.ndarray:
    """Pairs of disjoint halves of the blocks, drawn at random.

    Of an odd number of blocks each pair leaves one out.

    Returns
    -------
    (2 * n_pairs, n_blocks) bool
        Rows 2k and 2k + 1 are a pair.

    Raises
    ------
    OptionError
        When there are fewer different pairs than asked for.
    """
    if n_pairs < 1:
        raise OptionError(f"n_pairs: {n_pairs} found, expected at least 1")
    half = n_blocks // 2
    different = comb(n_blocks, half) * comb(n_blocks - half, half) // 2
    if different < n_pairs:
        raise OptionError(
            f"n_blocks: {n_blocks} blocks with rows found, of which {different} different pairs "
            f"of halves can be made, expected enough blocks for {n_pairs}"
        )
    rng = np.random.default_rng(seed)
    found = np.zeros((2 * n_pairs, n_blocks), dtype=bool)
    for k in range(n_pairs):
        order = rng.permutation(n_blocks)
        found[2 * k, order[:half]] = True
        found[2 * k + 1, order[half : 2 * half]] = True
    return found


def unions(blocks: Sequence[CrossMoments], members: np.ndarray) -> Iterator[CrossMoments]:
    """The moments of several unions of the same blocks.

    The products within blocks are summed for all unions at once by matrix products, and the
    products between blocks, ``Σ s (m_b − m)(m_b − m)ᵀ``, are added to each as one more: far less
    work than a merge for each block and union, and without a subtraction.

    Parameters
    ----------
    blocks : each with weight
    members : (n_unions, n_blocks) bool, in every row at least one

    Yields
    ------
    One for each row of ``members``.
    """
    weights = np.array([block.weight for block in blocks])
    counts = np.array([block.count for block in blocks])
    means = np.stack([block.mean for block in blocks])
    centre = weights @ means / weights.sum()
    means -= centre  # small steps, where means are ≫ std
    spread = np.max([block.std for block in blocks], axis=0)
    unit = not_ones(unit_for(np.maximum(spread, np.abs(means).max(axis=0))))
    blocks = [block.in_units(unit) for block in blocks]
    steps = means if unit is None else means / unit
    precision = max(block.precision for block in blocks)
    products = _summed_products(blocks, members)
    for which, total in zip(members, products, strict=True):
        weight = float(weights[which].sum())
        mean = weights[which] @ means[which] / weight
        between = steps[which] - weights[which] @ steps[which] / weight
        between *= np.sqrt(weights[which])[:, None]
        total += between.T @ between
        n_rows, n_targets = int(counts[which].sum()), blocks[0].n_targets
        yield CrossMoments(weight, n_rows, centre + mean, total, n_targets, unit, precision)


def _summed_products(blocks: Sequence[CrossMoments], members: np.ndarray) -> np.ndarray:
    """(n_unions, n_columns, n_columns) sums of the products of each union's blocks."""
    n = len(blocks[0].mean)
    chosen = members.astype(np.float64)
    total = np.empty((len(members), n, n))
    rows = max(1, SLAB_BYTES // (len(blocks) * n * 8))
    for low in range(0, n, rows):
        part = slice(low, low + rows)
        slab = np.stack([block.products[part].ravel() for block in blocks])
        total[:, part] = (chosen @ slab).reshape(len(members), -1, n)
    return total
