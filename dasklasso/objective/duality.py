"""Certificates: how far a solution can be from optimal, proven by a feasible dual point.

With residuals r = y − Xw − b (centred where there is an intercept), weights p summing to one and
``v = XᵀPr``, every ``θ = s·r`` whose ``sv`` lies in the domain of the penalty's conjugate Ω* is
dual feasible, and

    gap(s) = ½‖r‖² + Ω(w) − [ s(‖r‖² + wᵀv) − ½s²‖r‖² − Ω*(sv) ]

bounds P(w) − P* from above (Kim, Koh, Lustig, Boyd and Gorinevsky, 2007, An interior-point method
for large-scale l1-regularized least squares, eq. 15; Fercoq, Gramfort and Salmon, 2015, Mind the
duality gap). Only sums over rows and over columns enter, so that a scan can return them.

Losses that are no quadratics
-----------------------------
Rows now have weights πᵢ, which sum to one, and predictions pᵢ = x̃ᵢᵀw + b. With slopes
``gᵢ = f'(pᵢ, yᵢ)``, Π the diagonal of π and ``v = −X̃ᵀΠg``, dual points θ have the dual value
``−Σ πᵢ f*(θᵢ) − Ω*(−X̃ᵀΠθ)`` (Ndiaye, Fercoq, Gramfort and Salmon, 2017, Gap safe screening rules
for sparsity enforcing penalties, section 2). Fenchel's equality gives ``f*(g) = g p − f(p)``, hence
``Σ π f*(g) = P − loss`` with ``P = bS − wᵀv`` and S = Σ π g. θ is made from g in two steps, each of
which costs little near the optimum. Both rest on one property of f, that k(u) = 1/f*''(u), the
curvature f'' where the slope is u, is concave on the domain of f* (logistic: t(1−t) with t = u + y;
Poisson: u + y; Huber: 1), which holds 0.

*Shift.* With an intercept, a coordinate that costs nothing, θ must sum to zero. Each loss has a
slack r(p, y) ≥ 0, with g ± r in the domain of f* (logistic and Poisson: r = f''; Huber: what the
slope lies within ±delta), and ``r / k(g) ≤ m``. Then ``q = g − c r`` with ``c = S / R₀``,
R₀ = Σ π r, sums to zero. For |c| < 1 concavity gives k(g ∓ τr) ≥ (1−τ) k(g), so that Taylor's
remainder, with B(a) = ∫₀ᵃ (a−τ)/(1−τ) dτ = a + (1−a) log(1−a) ≈ a²/2, bounds

    Σ π f*(q) ≤ P − loss − c R₁ + m R₀ B(|c|),   R₁ = Σ π r p.

Every v_j moves by c Σ π r x̃ⱼ, at most |c| (Σ π r² − R₀²)^½, for standardised columns sum to zero
and have ``Σ π x̃² = 1`` (Cauchy and Schwarz). Where |c| is large, θ = 0 is what is left.

*Scaling.* θ = s q with 0 ≤ s ≤ 1 makes sv feasible. φ(s) = Σ π f*(s q) has a slope at 1 of

    φ'(1) = Σ π q f*'(q) ≥ P − c R₁ − m |c|/(1−|c|) (G + |c| R₀),   G = (Σ π g²)^½,

since f*'(q) differs from p = f*'(g) by at most ``|c| r / ((1−|c|) k(g))``. By concavity
k(sq) ≥ s k(q) ≥ s (1−|c|) k(g), so that with M = Σ π g² / k(g)

    φ''(s) ≤ M_q / s,   M_q = (√M + |c| √(m R₀))² / (1−|c|)   (Minkowski),

and φ(s) ≤ φ(1) − (1−s) φ'(1) + M_q B(1−s). Altogether

    gap(s) ≤ Ω(w) + s (P − c R₁) + m R₀ B(|c|) + (1−s) m |c|/(1−|c|) (G + |c| R₀)
             + M_q B(1−s) + Ω*(sv).

Being convex, with f*(0) = −inf f ≤ 0, φ also lies below its chord, φ(s) ≤ s φ(1), which is the
better bound far from the optimum, and where slopes of hopeless rows make M infinite.

*Straight tails.* Where f is a straight line (Huber, beyond delta), p is a subgradient of f* at the
end g of its domain, as Fenchel's equality needs, but not the one-sided derivative that φ'(1) has,
``f*'(g)``: the p at which the line begins, from where on g does not change (Huber: y ± delta). Such
rows have no slack, so that shifting leaves them alone: neither Σ π f*(q) nor R₁ changes. φ'(1) is
less, by

    X = Σ π g (p − f*'(g)) ≥ 0

(Huber: g (p − clip(p, y ± delta)) is what the loss exceeds ½g² by, in every row), so that
``(1−s) X`` is added to the gap. k(u) is what it is inside, at the ends of the domain too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.penalties.base import Penalty

COLUMN_SUMS = 5  # rows of what column_sums returns
RATIO = 2  # the row of them that is a maximum, not a sum
LARGEST_SHIFT = 0.5  # |c|, beyond which a shifted dual point would show nothing
SUM_ROUNDING = 1e-14  # of a difference of sums, relative to them


# λ₁ may be next to nothing, and v beyond all that it allows
@np.errstate(over="ignore")
def column_sums(w: Array, v: Array, penalty: Penalty, dual_v: Array | None = None) -> Array:
    """Sum over some columns what the certificate needs; of the ratio take the maximum.

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
    quadratic = (penalty.l2 + zero) > 0
    ratio = xp.where(quadratic, zero, penalty.scaling(dual_v))
    conjugate = xp.where(quadratic, penalty.conjugate(dual_v), zero)
    return xp.stack(
        [
            xp.sum(penalty.value(w), axis=0),
            xp.sum(w * v, axis=0),
            xp.max(ratio, axis=0) if ratio.shape[0] else xp.sum(ratio, axis=0),
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
    """Sum over the columns of each problem, and repeat the sum in each of them.

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


def shift_of(sums: LossSums) -> Array:
    """Return the multiple c of rows' slacks that makes slopes sum to zero; 0 where it is too large.

    Parameters
    ----------
    sums : of n_problems, over rows

    Returns
    -------
    (n_problems,) float64
    """
    xp = namespace(sums.slope)
    slope, slack = sums.slope, sums.slack
    usable = xp.abs(slope) < LARGEST_SHIFT * slack
    return xp.where(usable, slope, xp.zeros_like(slope)) / xp.where(
        usable, slack, xp.ones_like(slack)
    )


def widened(v: Array, sums: LossSums, penalty: Penalty, widest: float = 1.0) -> Array:
    """Enlarge v to what no ``|v_j|`` exceeds once slopes sum to zero (one-sided when positive).

    Parameters
    ----------
    v : (n_columns, n_problems) float64
        Of standardised columns: centred and of unit spread, or zero and without a penalty.
    sums : of n_problems, over rows
    widest : float
        Above 1 where columns are centred and scaled over other rows too: what Σ π x̃² is at most.
        Σ π x̃ is then no zero, and nothing is taken off Σ π r².
    """
    xp = namespace(v)
    mean, squares = sums.slack, sums.slack_squares
    spread = squares - mean**2 if widest <= 1.0 else widest * squares
    spread = xp.where(spread > 0, spread, xp.zeros_like(spread)) + SUM_ROUNDING * squares
    return penalty.enlarged(v, xp.abs(shift_of(sums)) * xp.sqrt(spread))


@dataclass(frozen=True)
class Certificate:
    """Objective and duality gap of each problem: arrays of shape (n_problems,) float64.

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
    """Bound the duality gap of squared-loss problems.

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
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        best = np.where(squares > 0, (linear - conjugate) / squares, 1.0)
        limit = np.where(ratio > 0, 1.0 / ratio, np.inf)
    if quadratic:
        limit = np.minimum(limit, 1.0)
    s = np.clip(np.minimum(best, limit), 0.0, None)
    conjugate = np.where(s > 0, conjugate, 0.0)  # Ω*(0), where Ω*(v) may be infinite

    primal = 0.5 * residual_squares + penalty
    if projected_squares is None and projected_product is None:
        # primal − dual with the large terms cancelled by hand
        gap = 0.5 * residual_squares * (1.0 - s) ** 2 + penalty + s * (conjugate - product)
    else:
        gap = primal - (s * (linear - conjugate) - 0.5 * s**2 * squares)
    return Certificate(primal=primal, gap=np.maximum(gap, 0.0), n_nonzero=n_nonzero.astype(int))


# no warnings for points beyond all numbers, or for multiples of a dual direction that is 0
@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def smooth_certificate(
    sums: LossSums,
    columns: np.ndarray,
    intercepts: np.ndarray | None,
    *,
    quadratic: bool,
    slack_ratio: float,
    overshoot: np.ndarray | float = 0.0,
) -> Certificate:
    """Bound the duality gap of problems whose loss is not quadratic.

    Parameters
    ----------
    sums : LossSums
        Over rows, of weights that sum to one.
    columns : (5, n_problems)
        From :func:`column_sums`, combined over all columns; with an intercept their ``dual_v`` is
        :func:`widened`.
    intercepts : (n_problems,) or None
        b of the problems, in coordinates of centred columns; None without an intercept.
    quadratic : bool
        Whether the penalty has a quadratic part (l1_ratio < 1).
    slack_ratio : float
        m, of the loss.
    overshoot : (n_problems,)
        X, of a loss with straight tails.

    Returns
    -------
    Certificate
    """
    penalty, product, ratio, conjugate, n_nonzero = columns
    loss, slack = sums.loss, sums.slack
    shift, feasible = np.zeros_like(loss), np.ones(loss.shape, bool)
    first = -product  # φ'(1) of the shifted point, but for ``blur``
    if intercepts is not None:
        shift = np.abs(shift_of(sums))
        feasible = np.abs(sums.slope) < LARGEST_SHIFT * slack
        # slopes at both ends of a domain have no slack, and sum to zero but for rounding
        feasible |= np.abs(sums.slope) <= SUM_ROUNDING * np.sqrt(sums.slope_squares)
        first = first + intercepts * sums.slope - shift_of(sums) * sums.slack_product
    second = slack_ratio * slack * bend(shift)
    blur = slack_ratio * shift / (1 - shift) * (np.sqrt(sums.slope_squares) + shift * slack)
    blur = blur + overshoot  # both lower φ'(1)
    root = np.sqrt(sums.slope_ratio) + shift * np.sqrt(slack_ratio * slack)
    bent = root**2 / (1 - shift)

    limit = np.where(ratio > 1.0, 1.0 / ratio, 1.0)
    limit = np.where(feasible & np.isfinite(conjugate), limit, 0.0)
    rate = first + np.where(limit > 0, conjugate, 0.0)  # Ω*(sv) ≤ s·Ω*(v)
    # both bounds are convex in s: the least of each between 0 and the limit
    least = np.where(bent > 0, np.exp(np.minimum((blur - rate) / bent, 0.0)), 1.0)
    s = np.minimum(least, limit)
    remainder = np.where(s < 1.0, bent * bend(1.0 - s), 0.0)
    taylor = penalty + s * rate + second + (1.0 - s) * blur + remainder
    taylor = np.where(limit > 0, taylor, np.inf)
    chord = loss + penalty + np.minimum(0.0, limit * (rate - loss + second))
    gap = np.maximum(np.fmin(taylor, chord), 0.0)
    return Certificate(primal=loss + penalty, gap=gap, n_nonzero=n_nonzero.astype(int))


def bend(a: np.ndarray) -> np.ndarray:
    """B(a) = a + (1 − a) log(1 − a), 0 ≤ a ≤ 1: what curvature that grows as 1/(1 − a) adds up to.

    Not below a²/2, however small a is, where the difference is rounding.
    """
    rest = 1.0 - a
    logarithm = np.where(rest > 0, np.log1p(-np.where(rest > 0, a, 0.0)), 0.0)
    return np.maximum(a + rest * logarithm, 0.5 * a**2)
