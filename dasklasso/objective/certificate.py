"""Certificates: how far a solution can be from optimal, proven by a feasible dual point.

With residuals r = y − Xw − b (centred where there is an intercept), weights p summing to one and
``v = XᵀPr``, every ``θ = s·r`` whose ``sv`` lies in the domain of the penalty's conjugate Ω* is
dual feasible, and

    gap(s) = ½‖r‖² + Ω(w) − [ s(‖r‖² + wᵀv) − ½s²‖r‖² − Ω*(sv) ]

bounds P(w) − P* from above (Kim, Koh, Lustig, Boyd and Gorinevsky, 2007, An interior-point method
for large-scale l1-regularized least squares, eq. 15; Fercoq, Gramfort and Salmon, 2015, Mind the
duality gap). Only sums over rows and over columns enter, so that a scan can bring them home.

Losses that are no quadratics
-----------------------------
Rows now have weights πᵢ and predictions pᵢ = x̃ᵢᵀw + b. With slopes ``gᵢ = f'(pᵢ, yᵢ)``, Π the
diagonal of π, ``v = −X̃ᵀΠg`` and dual points θ = s·g, 0 ≤ s ≤ 1, the dual value is
``−Σ πᵢ f*(s gᵢ) − Ω*(sv)`` (Ndiaye, Fercoq, Gramfort and Salmon, 2017, Gap safe screening rules for
sparsity enforcing penalties, section 2). f* is convex with f*(0) = −inf f ≤ 0, so
``f*(s g) ≤ s f*(g)``, and Fenchel's equality gives ``f*(g) = g p − f(p)``. With
``E = −Σ πᵢ f*(gᵢ) = loss + wᵀv − bS``, an entropy, where S = Σ πᵢ gᵢ,

    gap(s) ≤ loss + Ω(w) − s E + Ω*(sv).

With an intercept, a coordinate b that costs nothing, θ must also sum to zero, which g does only at
the optimum. Shrinking the positive slopes, where S > 0, by the factor 1 − t with t = S / Σ πg⁺
(or the negative ones, where S < 0) makes it so, and stays in the domain of f*, which is convex and
has 0 in it. That costs two terms, both proportional to t:

- ``f*((1−t) g) ≤ (1−t) f*(g)``, and f* ≤ 0 in its domain, as it is for the logistic loss (there
  ``u p ≤ f(p)`` at both ends of the domain, −y and 1 − y), so that E becomes at least (1 − t) E;
- every ``|v_j|`` grows by at most ``t Σ πᵢ |gᵢ| |x̃ᵢⱼ| ≤ t (Σ πg²)^½``, for standardised columns
  have ``Σ πx̃² = 1`` (Cauchy and Schwarz).

t itself need not be known: ``Σ πg⁺ = ½(Σ π|g| + S)`` and ``|g| ≤ 1`` give
``t ≤ 2|S| / (Σ πg² + |S|)``, and the bounds grow with t. So no sum over rows beyond those of a
squared loss is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.objective.penalties import Penalty

COLUMN_SUMS = 5  # rows of what column_sums returns
RATIO = 2  # the row of them that is a maximum, not a sum
LOSS, SLOPE, SLOPE_SQUARES = range(3)  # rows of a scan's sums over rows


def column_sums(w: Array, v: Array, penalty: Penalty, dual_v: Array | None = None) -> Array:
    """What the certificate needs of some columns: additive, but for the ratio, a maximum.

    Parameters
    ----------
    w : (n_columns, n_problems) float64
    v : (n_columns, n_problems) float64
        ``XᵀPr`` of these columns: the negative gradient of the loss.
    penalty : Penalty
        Of these columns.
    dual_v : (n_columns, n_problems), optional
        ``XᵀPθ`` where θ is not r itself but r less its projection on unpenalised columns.

    Returns
    -------
    (5, n_problems) float64
        Ω(w); wᵀv; the largest |v|/λ₁ over coefficients without a quadratic term (inf where λ₁ = 0
        and v ≠ 0); Ω*(v) over the others; the number of nonzero coefficients.
    """
    xp = namespace(w)
    dual_v = v if dual_v is None else dual_v
    zero = 0.0 * v
    l1 = penalty.l1 + zero
    quadratic = (penalty.l2 + zero) > 0
    size = penalty.size(dual_v)
    size = xp.where(size > 0, size, zero)
    over_nothing = xp.where(size > 0, zero + float("inf"), zero)
    ratio = xp.where(l1 > 0, size / xp.where(l1 > 0, l1, zero + 1.0), over_nothing)
    ratio = xp.where(quadratic, zero, ratio)
    conjugate = xp.where(quadratic, penalty.conjugate(dual_v), zero)
    return xp.stack(
        [
            xp.sum(penalty.value(w), axis=0),
            xp.sum(w * v, axis=0),
            xp.max(ratio, axis=0),
            xp.sum(conjugate, axis=0),
            xp.sum(xp.astype(w != 0, w.dtype), axis=0),
        ]
    )


def combine_column_sums(blocks: np.ndarray) -> np.ndarray:
    """(n_blocks, 5, n_problems) → (5, n_problems): sums, and the maximum of the ratios."""
    total = blocks.sum(axis=0)
    total[RATIO] = blocks[:, RATIO].max(axis=0)
    return total


def together(sums: np.ndarray, n_outputs: int, largest: int | None = None) -> np.ndarray:
    """Sums over the columns of each problem, again in each of them.

    Parameters
    ----------
    sums : (n_rows, n_problems · n_outputs)
    n_outputs : columns of a problem, next to each other
    largest : row of which the maximum is taken instead, or None
    """
    if n_outputs == 1:
        return sums
    apart = sums.reshape(len(sums), -1, n_outputs)
    total = apart.sum(axis=2)
    if largest is not None:
        total[largest] = apart[largest].max(axis=1)
    return np.repeat(total, n_outputs, axis=1)


def shift_share(sums: Array) -> Array:
    """The share t of one side's slopes that goes, so that slopes sum to zero: a bound from above.

    Parameters
    ----------
    sums : (3, n_problems) float64
        Σ π·loss, S = Σ π·slope, Σ π·slope², of slopes between −1 and 1.

    Returns
    -------
    (n_problems,) float64, 0 … 1
    """
    xp = namespace(sums)
    size = xp.abs(sums[SLOPE, :])
    total = sums[SLOPE_SQUARES, :] + size
    share = 2.0 * size / xp.where(total > 0, total, xp.ones_like(total))
    return xp.where(share < 1.0, share, xp.ones_like(share))


def widened(v: Array, sums: Array, penalty: Penalty) -> Array:
    """What no ``|v_j|`` exceeds once slopes sum to zero (one-sided when positive).

    Parameters
    ----------
    v : (n_columns, n_problems) float64
        Of standardised columns: each of unit spread, or zero and without a penalty.
    sums : (3, n_problems) float64
        As for :func:`shift_share`.
    """
    xp = namespace(v)
    offset = shift_share(sums) * xp.sqrt(sums[SLOPE_SQUARES, :])
    size = v if penalty.positive else xp.abs(v)
    matters = (penalty.l1 + penalty.l2 + 0.0 * v) > 0
    return xp.where(matters, size + offset[None, :], size)


@dataclass(frozen=True)
class Certificate:
    """The outcome for each problem; all arrays of shape (n_problems,) float64.

    Attributes
    ----------
    primal : objective at w, loss plus penalty
    gap : bound on primal − optimum, in units of the objective
    n_nonzero : nonzero coefficients
    """

    primal: np.ndarray
    gap: np.ndarray
    n_nonzero: np.ndarray


def squared_certificate(
    residual_squares: np.ndarray,
    columns: np.ndarray,
    *,
    quadratic: bool,
    projected_squares: np.ndarray | None = None,
    projected_product: np.ndarray | None = None,
) -> Certificate:
    """Duality gap of squared-loss problems.

    Parameters
    ----------
    residual_squares : (n_problems,)
        ‖r‖² = Σ pᵢ rᵢ².
    columns : (5, n_problems)
        From :func:`column_sums`, combined over all columns.
    quadratic : bool
        Whether the penalty has a quadratic part (l1_ratio < 1).
    projected_squares, projected_product : (n_problems,), optional
        ‖θ₀‖² and yᵀPθ₀ where the dual direction θ₀ is r less its projection on unpenalised
        columns; r itself by default.

    Returns
    -------
    Certificate
    """
    penalty, product, ratio, conjugate, n_nonzero = columns
    squares = residual_squares if projected_squares is None else projected_squares
    linear = residual_squares + product if projected_product is None else projected_product

    # The best feasible multiple s of the dual direction: the dual value is quadratic in s, and
    # s ≤ 1/ratio. With a quadratic part s ≤ 1 too, where Ω*(sv) ≤ s·Ω*(v) (convex, Ω*(0) = 0).
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.where(squares > 0, (linear - conjugate) / squares, 1.0)
        limit = np.where(ratio > 0, 1.0 / ratio, np.inf)
    if quadratic:
        limit = np.minimum(limit, 1.0)
    s = np.clip(np.minimum(best, limit), 0.0, None)

    primal = 0.5 * residual_squares + penalty
    if projected_squares is None and projected_product is None:
        # primal − dual with the large terms cancelled by hand
        gap = 0.5 * residual_squares * (1.0 - s) ** 2 + penalty + s * (conjugate - product)
    else:
        gap = primal - (s * (linear - conjugate) - 0.5 * s**2 * squares)
    return Certificate(primal=primal, gap=np.maximum(gap, 0.0), n_nonzero=n_nonzero.astype(int))


def smooth_certificate(
    sums: np.ndarray,
    columns: np.ndarray,
    intercepts: np.ndarray | None,
    *,
    quadratic: bool,
) -> Certificate:
    """Duality gap of problems whose loss is that of a probability model: f ≥ 0, |f'| ≤ 1, f* ≤ 0.

    Parameters
    ----------
    sums : (3, n_problems)
        Σ π·loss, Σ π·slope, Σ π·slope², the weights π summing to one.
    columns : (5, n_problems)
        From :func:`column_sums`, combined over all columns; with an intercept their ``dual_v`` is
        :func:`widened`.
    intercepts : (n_problems,) or None
        b of the problems, in coordinates of centred columns; None without an intercept.
    quadratic : bool
        Whether the penalty has a quadratic part (l1_ratio < 1).

    Returns
    -------
    Certificate
    """
    penalty, product, ratio, conjugate, n_nonzero = columns
    loss = sums[LOSS]
    if intercepts is None:
        kept = np.ones_like(loss)
    else:
        kept = 1.0 - shift_share(sums)
        product = product - intercepts * sums[SLOPE]
    with np.errstate(divide="ignore"):
        s = np.where(ratio > 1.0, 1.0 / ratio, 1.0)
    if quadratic:
        # the bound is linear in s, by Ω*(sv) ≤ s·Ω*(v): its best is at one of the two ends
        s = np.where(kept * (loss + product) > conjugate, s, 0.0)
    # loss − s·kept·(loss + product), with the large terms cancelled by hand
    share = s * kept
    with np.errstate(invalid="ignore"):
        costs = np.where(s > 0, s * conjugate, 0.0)
    gap = (1.0 - share) * loss + penalty - share * product + costs
    return Certificate(
        primal=loss + penalty, gap=np.maximum(gap, 0.0), n_nonzero=n_nonzero.astype(int)
    )
