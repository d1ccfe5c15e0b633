"""Certificates: how far a solution can be from optimal, proven by a feasible dual point.

With residuals r = y − Xw − b (centred where there is an intercept), weights p summing to one and
``v = XᵀPr``, every ``θ = s·r`` whose ``sv`` lies in the domain of the penalty's conjugate Ω* is
dual feasible, and

    gap(s) = ½‖r‖² + Ω(w) − [ s(‖r‖² + wᵀv) − ½s²‖r‖² − Ω*(sv) ]

bounds P(w) − P* from above (Kim, Koh, Lustig, Boyd and Gorinevsky, 2007, An interior-point method
for large-scale l1-regularized least squares, eq. 15; Fercoq, Gramfort and Salmon, 2015, Mind the
duality gap). Only sums over rows and over columns enter, so that a scan can bring them home.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.objective.penalties import ElasticNet

COLUMN_SUMS = 5  # rows of what column_sums returns


def column_sums(w: Array, v: Array, penalty: ElasticNet, dual_v: Array | None = None) -> Array:
    """What the certificate needs of some columns: additive, but for the ratio, a maximum.

    Parameters
    ----------
    w : (n_columns, n_problems) float64
    v : (n_columns, n_problems) float64
        ``XᵀPr`` of these columns: the negative gradient of the loss.
    penalty : ElasticNet
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
    size = dual_v if penalty.positive else xp.abs(dual_v)
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
    total[2] = blocks[:, 2].max(axis=0)
    return total


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
