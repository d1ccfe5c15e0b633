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

``r-concave``
    ``E V ≤ p min(D(θ², 2π − 1, B, −½), D(θ, π, 2B, −¼))``, for those features again (Shah and
    Samworth, 2013, section 3.3, equation 8), where D(η, t, n, r) is the largest chance to reach
    t of a variable on 0, 1/n … 1 that has at most the mean η and is r-concave: its probabilities
    to the power r, r < 0, are convex. It supposes r = −½ for the share of pairs whose two halves
    both select a feature, and r = −¼ for the share of half-samples that do. Whatever is r-concave
    is unimodal, so that the bound above holds too: the smaller counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from dasklasso.errors import OptionError

Bound = Literal["unimodal", "r-concave", "meinshausen_buhlmann"]
BOUNDS = ("unimodal", "r-concave", "meinshausen_buhlmann")
FLATTEST, STEEPEST = np.log(1e8), -80.0  # log a of the slowest and fastest decays looked at
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


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
    share = _checked_share(threshold, n_pairs, bound)
    if bound == "r-concave":
        unimodal = expected_false(threshold, q, n_features, n_pairs)
        return min(unimodal, _r_concave(share, q, n_features, n_pairs))
    constant = _constant(share, n_pairs, bound)
    if q == 0:
        return 0.0
    if q / n_features >= _largest_theta(share, n_pairs, bound):
        return np.inf
    return float(constant * q**2 / n_features)


def threshold_for(
    wanted: float, q: float, n_features: int, n_pairs: int, bound: Bound = "unimodal"
) -> float:
    """Return the smallest threshold that bounds the expected number of noise features as wanted.

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
    """Return the largest mean number of selected features that a threshold bounds as wanted.

    Raises
    ------
    OptionError
        As :func:`expected_false`.
    """
    share = _checked_share(threshold, n_pairs, bound)
    if bound == "r-concave":
        return _bisected(wanted, threshold, n_features, n_pairs)
    # the edge itself is beyond the theorem: keep clear of it by more than rounding
    at_most = (1.0 - 1e-12) * _largest_theta(share, n_pairs, bound) * n_features
    constant = _constant(share, n_pairs, bound)
    return float(min(np.sqrt(max(wanted, 0.0) * n_features / constant), at_most))


def _checked_share(threshold: float, n_pairs: int, bound: Bound) -> float:
    """Return the smallest share of half-samples that reaches a threshold."""
    if bound not in BOUNDS:
        expected = "', '".join(BOUNDS)
        raise OptionError(f"bound: {bound!r} found, expected one of '{expected}'")
    if not 0.5 <= threshold <= 1.0:
        raise OptionError(f"threshold: {threshold} found, expected a number from 0.5 to 1")
    # 1e-9 forgives the rounding of a share that is written as a decimal
    return float(np.ceil(2 * n_pairs * threshold - 1e-9)) / (2 * n_pairs)


def _constant(share: float, n_pairs: int, bound: Bound) -> float:
    """Return what multiplies q²/p."""
    half = 1.0 / (2.0 * n_pairs)
    if bound == "meinshausen_buhlmann":
        return 1.0 / (2.0 * share - 1.0) if share > 0.5 else np.inf
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


def _bisected(wanted: float, threshold: float, n_features: int, n_pairs: int) -> float:
    """Return the largest q that the r-concave bound, which grows with q, lets through."""
    if wanted <= 0:
        return 0.0
    # where the unimodal bound is as wanted the r-concave one is no larger
    low, high = selected_for(wanted, threshold, n_features, n_pairs), float(n_features)
    while high - low > 1e-9 * high:
        middle = 0.5 * (low + high)
        if expected_false(threshold, middle, n_features, n_pairs, "r-concave") <= wanted:
            low = middle
        else:
            high = middle
    return low


def _r_concave(share: float, q: float, n_features: int, n_pairs: int) -> float:
    """``p min(D(θ², 2π − 1, B, −½), D(θ, π, 2B, −¼))``; infinite where both are 1."""
    if q == 0:
        return 0.0
    theta, half_samples = q / n_features, round(2 * n_pairs * share)
    both = _largest_tails(theta**2, n_pairs, -0.5)[half_samples - n_pairs]
    either = _largest_tails(theta, 2 * n_pairs, -0.25)[half_samples]
    tail = min(both, either)
    return float(n_features * tail) if tail < 1.0 else np.inf


@lru_cache(maxsize=128)
def _largest_tails(mean: float, n: int, r: float) -> np.ndarray:
    """``D(mean, t/n, n, r)`` for t = 0 … n; 1 where t is not above twice the mean by a step.

    The variable that has the largest tail (Shah and Samworth, 2013, appendix A.4) has
    probabilities in proportion to ``(1 + i/a)^(1/r)`` for i = 0 … k, and at k + 1 what is left:
    less than the curve goes on with there. The mean determines k for each a, a number remains to
    be searched. The decays at which the curve ends with nothing left over part the search into
    stretches; the tail is smooth on each.

    Returns
    -------
    (n + 1,) float64
    """
    tails = np.ones(n + 1)
    first = int(np.ceil(2 * n * mean - 1e-9)) + 1
    t = np.arange(first, n + 1)
    if not t.size:
        return tails
    ends = np.append(FLATTEST, _whole_curves(n * mean, t, r))
    at_ends = _tails(ends, t[None], n * mean, n, r)
    best = np.argmax(at_ends, axis=0)
    found = np.max(at_ends, axis=0)
    for low, high in ((best + 1, best), (best, best - 1)):
        low, high = ends[np.minimum(low, len(ends) - 1)], ends[np.maximum(high, 0)]
        found = np.maximum(found, _golden_maximum(low, high, t, n * mean, n, r))
    tails[first:] = np.minimum(found, 1.0)
    tails.flags.writeable = False  # it is kept
    return tails


def _whole_curves(mean: float, last: np.ndarray, r: float) -> np.ndarray:
    """log a of the curves on 0 … k that have the mean, for every k in ``last``."""
    step = np.arange(last[-1] + 1.0)
    on_curve = step <= last[:, None]
    low, high = np.full(len(last), STEEPEST), np.full(len(last), FLATTEST)
    for _ in range(60):  # 88 halved 60 times: below rounding
        middle = 0.5 * (low + high)
        weight = on_curve * (1.0 + step * np.exp(-middle)[:, None]) ** (1.0 / r)
        above = weight @ step > mean * weight.sum(axis=1)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


def _tails(log_a: np.ndarray, t: np.ndarray, mean: float, n: int, r: float) -> np.ndarray:
    """Return the chance to reach t of the variables with decays a and this mean, both in steps.

    Parameters
    ----------
    log_a : (n_decays,)
    t : (n_decays or 1, n_thresholds) int

    Returns
    -------
    (n_decays, n_thresholds) float64
    """
    step = np.arange(1.0, n + 1)
    weight = (1.0 + step * np.exp(-log_a)[:, None]) ** (1.0 / r)
    start = np.zeros((len(log_a), 1))
    mass = np.hstack([start, np.cumsum(weight, axis=1)])  # of 1 … k; that of 0 is 1
    moment = np.hstack([start, np.cumsum(step * weight, axis=1)])
    k = np.count_nonzero(moment <= mean * (1.0 + mass), axis=1, keepdims=True) - 1
    on_curve, of_curve = (np.take_along_axis(each, k, axis=1) for each in (mass, moment))
    left_over = np.maximum(mean * (1.0 + on_curve) - of_curve, 0.0)
    rest = (k < n) * left_over / (k + 1 - mean)  # a curve on all of 0 … n has a smaller mean
    beyond = on_curve - np.take_along_axis(mass, np.minimum(t - 1, k), axis=1) + rest
    return np.where(t <= k + 1, beyond / (1.0 + on_curve + rest), 0.0)


def _golden_maximum(
    low: np.ndarray, high: np.ndarray, t: np.ndarray, mean: float, n: int, r: float
) -> np.ndarray:
    """Return the largest tail between two log a, for each t, by golden section."""

    def tail(log_a: np.ndarray) -> np.ndarray:
        return _tails(log_a, t[:, None], mean, n, r)[:, 0]

    width = high - low
    left, right = high - GOLDEN * width, low + GOLDEN * width
    at_left, at_right = tail(left), tail(right)
    found = np.maximum(at_left, at_right)
    for _ in range(25):
        up = at_left < at_right
        low, high = np.where(up, left, low), np.where(up, high, right)
        width = high - low
        new = np.where(up, low + GOLDEN * width, high - GOLDEN * width)
        at_new = tail(new)
        left, right = np.where(up, right, new), np.where(up, new, left)
        at_left, at_right = np.where(up, at_right, at_new), np.where(up, at_new, at_left)
        found = np.maximum(found, at_new)
    return found
