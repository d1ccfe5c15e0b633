"""How many noise features stability selection lets through, in expectation.

A feature is kept when the share of half-samples that select it reaches a threshold π. With q the
mean number of features that a half-sample selects out of p, and V the features wrongly kept:

``meinshausen_buhlmann``
    ``E V ≤ q² / ((2π − 1) p)`` for π > ½ (Meinshausen and Bühlmann, 2010, Stability selection,
    theorem 1). It supposes that noise features are exchangeable and that selection is no worse
    than guessing; without that, Shah and Samworth (2013, Variable selection with error control:
    another look at stability selection, theorem 1) have it for the features whose chance to be
    selected is at most q/p.

``unimodal``
    ``E V ≤ C(π, B) q² / p``, for those features again, where the share of the B complementary
    pairs whose two halves both select a feature has a unimodal distribution and q/p ≤ 1/√3 (Shah
    and Samworth, 2013, theorem 2):

        C = 1 / (2 (2π − 1 − 1/(2B)))          for min(½ + θ², ½ + 1/(2B) + ¾ θ²) < π ≤ ¾
        C = 4 (1 − π + 1/(2B)) / (1 + 1/B)     for ¾ < π ≤ 1,   with θ = q/p
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from dasklasso.errors import OptionError

Bound = Literal["unimodal", "meinshausen_buhlmann"]


def expected_false(
    threshold: float, q: float, n_features: int, n_pairs: int, bound: Bound = "unimodal"
) -> float:
    """Bound on the expected number of noise features kept; infinite where there is none.

    Shares are multiples of 1/(2B), so that a threshold between two of them counts as the upper.

    Parameters
    ----------
    threshold : ½ … 1
    q : mean number of features selected by a half-sample
    n_features : p, those that there are to select from
    n_pairs : B, complementary pairs of half-samples

    Raises
    ------
    OptionError
        When the threshold or the name of the bound cannot be used.
    """
    share = _checked_share(threshold, n_pairs)
    constant = _constant(share, n_pairs, bound)
    if q == 0:
        return 0.0
    if q / n_features >= _largest_theta(share, n_pairs, bound):
        return np.inf
    return float(constant * q**2 / n_features)


def threshold_for(
    wanted: float, q: float, n_features: int, n_pairs: int, bound: Bound = "unimodal"
) -> float:
    """The smallest threshold that bounds the expected number of noise features as wanted.

    Raises
    ------
    OptionError
        When no threshold does.
    """
    shares = np.arange(n_pairs + 1, 2 * n_pairs + 1) / (2 * n_pairs)
    bounds = [expected_false(float(t), q, n_features, n_pairs, bound) for t in shares]
    within = np.flatnonzero(np.array(bounds) <= wanted)
    if not within.size:
        raise OptionError(
            f"expected_false: {wanted:g} found, expected at least {min(bounds):g}, the bound at "
            f"threshold 1 where half-samples select {q:g} of {n_features} features; with larger "
            "alphas they select fewer"
        )
    return float(shares[within[0]])


def selected_for(
    wanted: float, threshold: float, n_features: int, n_pairs: int, bound: Bound = "unimodal"
) -> float:
    """The largest mean number of selected features that a threshold bounds as wanted.

    Raises
    ------
    OptionError
        As :func:`expected_false`.
    """
    share = _checked_share(threshold, n_pairs)
    # the edge itself is beyond the theorem: keep clear of it by more than rounding
    at_most = (1.0 - 1e-12) * _largest_theta(share, n_pairs, bound) * n_features
    constant = _constant(share, n_pairs, bound)
    return float(min(np.sqrt(max(wanted, 0.0) * n_features / constant), at_most))


def _checked_share(threshold: float, n_pairs: int) -> float:
    """The smallest share of half-samples that reaches a threshold."""
    if not 0.5 <= threshold <= 1.0:
        raise OptionError(f"threshold: {threshold} found, expected a number from 0.5 to 1")
    # 1e-9 forgives the rounding of a share that is written as a decimal
    return float(np.ceil(2 * n_pairs * threshold - 1e-9)) / (2 * n_pairs)


def _constant(share: float, n_pairs: int, bound: Bound) -> float:
    """What multiplies q²/p."""
    half = 1.0 / (2.0 * n_pairs)
    if bound == "meinshausen_buhlmann":
        return 1.0 / (2.0 * share - 1.0) if share > 0.5 else np.inf
    if bound != "unimodal":
        raise OptionError(f"bound: {bound!r} found, expected 'unimodal' or 'meinshausen_buhlmann'")
    if share < 0.5 + 2.0 * half - 1e-12:
        return np.inf
    if share <= 0.75:
        return 1.0 / (2.0 * (2.0 * share - 1.0 - half))
    return 4.0 * (1.0 - share + half) / (1.0 + 2.0 * half)


def _largest_theta(share: float, n_pairs: int, bound: Bound) -> float:
    """q/p from which on there is no bound."""
    if bound == "meinshausen_buhlmann":
        return np.inf
    over = share - 0.5
    squared = max(over, (over - 1.0 / (2.0 * n_pairs)) / 0.75)
    return float(min(np.sqrt(squared), 1.0 / np.sqrt(3.0)))
