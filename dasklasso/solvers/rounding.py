"""What rounding adds to a certified gap: the model that is returned is not quite the one certified.

A certificate is computed in standardised coordinates, in float64. What is handed over is
``w = u / scale`` and an intercept b, one float64 number each. With u the unit roundoff and
``γ(m) = min(m + 2, 4 √m) u`` for a sum of m terms (the first is a bound; the second holds with
overwhelming probability: Higham and Mary, 2019, A new approach to probabilistic rounding error
analysis, theorem 3.1), the objective of the returned model exceeds what was certified by at most

- the intercept: with b off by e, ``½ L e²`` where b is the best one (squared loss: centring finds
  it), else ``|S| e + ½ L e²``, S the mean slope and L the largest curvature of the loss. e is not
  bounded but computed: ``ȳ − Σ centre w − r̄ − b``, from exact products, summed exactly;
- predictions: each is off, in the mean square, by ``ε = 2 γ(k) D + 2u |y|`` for k coefficients and
  ``D = Σ |u_j| (1 + |centre_j − shift_j| / scale_j)``, for columns have unit spread about their
  centres. The loss changes by ``g ε + ½ L ε²``, g² = Σ π f'² ≤ 2 L loss (f is not negative and its
  slopes are L-Lipschitz);
- the gradient at which dual feasibility was seen: off by ``ε_v = γ(n) g + L ε`` for each column. A
  dual point that violates its constraints by that much is one of a problem whose penalties are
  larger by it, so its value exceeds the optimum by ``ε_v Σ |u°_j|`` at most, u° the optimum, taken
  for as large as u; and as much again in ``uᵀv``;
- sums: ``γ(n)`` of the loss and ``γ(k)`` of the penalty.

All but the first are of the order of 1e-14 of the loss, unless coefficients are large and cancel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dasklasso.problem.problem import Problem

UNIT_ROUNDOFF = 2.0**-53
DEVIATIONS = 4.0
MOST_SUMMED = 4096  # rows that are added up one after the other: sums of more are along a tree
_SPLIT = 2.0**27 + 1.0


def summed_exactly(terms: Sequence[float], a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """``Σ terms − Σ a b`` rounded once, and how far that is from the sum.

    Products are split into two numbers each that add up to them exactly (Dekker, 1971, A
    floating-point technique for extending the available precision, section 5).

    Parameters
    ----------
    a, b : (n,) float64
    """
    product = a * b
    with np.errstate(over="ignore", invalid="ignore"):
        a_high, b_high = _high(a), _high(b)
        a_low, b_low = a - a_high, b - b_high
        rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    rest = np.where(np.isfinite(rest), rest, 0.0)  # beyond what can be split
    parts = [*terms, *(-product).tolist(), *(-rest).tolist()]
    rounded = math.fsum(parts)
    return rounded, abs(math.fsum([*parts, -rounded]))


def rounding_of_gap(
    problem: Problem,
    points: Sequence[tuple[np.ndarray, np.ndarray]],
    loss: float,
    penalty: float,
    slopes: Sequence[float],
    intercepts: Sequence[float],
    intercept_errors: Sequence[float],
    n_rows: int,
    target: int = 0,
) -> float:
    """Return what rounding adds to the gap of one problem, at most, in units of the objective.

    Parameters
    ----------
    points : (indices, values) of nonzeros in standardised coordinates, one for each output
    loss, penalty : at the points
    slopes : mean slope of the loss, for each output
    intercepts : of centred columns, for each output; 0 where centring removes them
    intercept_errors : of those handed over, for each output
    """
    curvature = _largest_curvature(problem)
    loss = max(loss, 0.0)
    slope = math.sqrt(2.0 * curvature * loss)
    of_y = math.sqrt(2.0 * float(problem.null_loss[target]))
    of_rows = _gamma(min(n_rows, MOST_SUMMED)) + math.log2(max(n_rows, 1)) * UNIT_ROUNDOFF
    total = of_rows * loss
    for (rows, u), mean, b, error in zip(points, slopes, intercepts, intercept_errors, strict=True):
        frame, size = problem.frame[rows], np.abs(u)
        reach = float(size @ (1.0 + np.abs(frame.centre - frame.shift) * frame.inverse_scale))
        far = float(size @ (np.abs(frame.centre) * frame.inverse_scale))
        of_columns = _gamma(len(rows) + 2)
        off = 2.0 * of_columns * reach + 2.0 * UNIT_ROUNDOFF * (of_y + abs(b))
        of_gradient = of_rows * slope + curvature * off
        total += 0.5 * curvature * (error + off) ** 2 + slope * off
        total += abs(mean) * (error if problem.steps_intercept else 0.0)
        total += abs(mean) * 2.0 * UNIT_ROUNDOFF * far
        total += 2.0 * (of_rows * slope * reach + curvature * off * float(size.sum()))
        total += of_gradient**2
    return total + (_gamma(sum(len(rows) for rows, _ in points) + 8)) * penalty


def _largest_curvature(problem: Problem) -> float:
    """Largest curvature of the loss; where there is none, that at the model without features."""
    if not problem.loss.unbounded:
        return problem.loss.max_curvature
    null = np.asarray(problem.null_intercept, dtype=np.float64)
    return float(np.max(problem.loss.curvature(null, np.zeros_like(null)), initial=1.0))


def _gamma(n: int) -> float:
    return min(n + 2.0, DEVIATIONS * math.sqrt(n + 2.0)) * UNIT_ROUNDOFF


def _high(a: np.ndarray) -> np.ndarray:
    """Return the upper half of the digits."""
    scaled = _SPLIT * a
    return scaled - (scaled - a)
