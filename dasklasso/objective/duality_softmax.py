"""Duality gaps of softmax problems: C columns next to each other are one problem.

Rows have weights πᵢ that sum to one, predictions pᵢ = Wᵀx̃ᵢ + b and class indicators eᵢ. With the
slopes gᵢ = softmax(pᵢ) − eᵢ and V = −X̃ᵀΠG, dual points are θᵢ = tᵢ − eᵢ for distributions tᵢ over
the classes, whose dual value is ``Σ πᵢ H(tᵢ) − Ω*(−X̃ᵀΠΘ)``, H the entropy ``−Σ_k t_k log t_k``,
for f*(θ) = −H(t). Shrinking g by 0 ≤ s ≤ 1 gives tᵢ = (1 − s) eᵢ + s softmax(pᵢ), and sV. The
entropy at s = 1 and its slope there are, by Fenchel's equality,

    φ(1) = loss − P,    φ'(1) = −P,    P = bᵀS − ⟨W, V⟩,    S = Σ πᵢ gᵢ.

φ is concave with φ(0) = 0, so that φ(s) ≥ s φ(1). Where row i gives the other classes than its own
the probability qᵢ, the second derivative of −H is ``qᵢ/s + qᵢ²/(1 − s qᵢ) ≤ qᵢ/(1 − qᵢ)/s``, for
1 − s q ≥ s (1 − q). With M = Σ πᵢ qᵢ/(1 − qᵢ) and B(a) = a + (1 − a) log(1 − a), Taylor's formula
gives φ(s) ≥ φ(1) − (1 − s) φ'(1) − M B(1 − s), the better bound near s = 1. Both together are

    φ(s) ≥ loss − s P − min((1 − s) loss, M B(1 − s)).

With an intercept, coordinates b that cost nothing, θ must also sum to zero in every class: the
means t̄ = ȳ + sS of the distributions must be the frequencies ȳ of the classes. Where S_k > 0, class
k keeps the share a_k = ȳ_k / t̄_k of its probability in every row, and else a_k = 1. What row i
loses so, ``mᵢ = Σ_k (1 − a_k) tᵢₖ``, goes to the classes with S_k < 0, in the shares
``d_k = S_k⁻ / Σ_l S_l⁻``. The distributions τᵢ = a ∘ tᵢ + mᵢ d have the means ȳ: class k gains
``d_k Σ_l s S_l⁺ = s S_k⁻``, for S sums to zero over the classes. Two things change:

- The entropy. H is concave and H(d) ≥ 0, so ``H(τ) ≥ (1 − m) H(a ∘ t / (1 − m))``, which is
  ``−Σ_k a_k t_k (log t_k + log a_k) + (1 − m) log(1 − m)``, and the last term is at least −m.
  Over rows, where ``Σ πᵢ h(tᵢₖ) ≤ h(t̄_k)`` for the concave h(x) = −x log x (Jensen), at most

      cost(s) = Σ_k [ x log(1 / t̄_k) + x − ȳ_k log(1 + x / ȳ_k) ],    x = s S_k⁺,

  is lost: of the first order in S, and only by a logarithm larger for rare classes.
- −X̃ᵀΠΘ, by ``Σ πᵢ x̃ᵢⱼ (τᵢₖ − tᵢₖ)``, at most ``(Σ πᵢ (τᵢₖ − tᵢₖ)²)^½`` for standardised columns
  (Cauchy and Schwarz). With tᵢₖ² ≤ tᵢₖ that is at most ``(1 − a_k) t̄_k^½ ≤ s S_k / ȳ_k^½`` where
  S_k > 0, and ``d_k Σ_l s S_l⁺ / ȳ_l^½`` where S_k < 0: s times what :func:`offsets` returns.

So for V with those offsets added to every |v|,

    gap(s) ≤ Ω(W) + s P + min((1 − s) loss, M B(1 − s)) + cost(s) + Ω*(sV).
"""

from __future__ import annotations

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.objective.duality import Certificate, bend
from dasklasso.objective.loss_sums import LossSums


def offsets(slope: Array, frequency: Array) -> Array:
    """Tell how far, at most, any ``v`` moves once slopes sum to zero in every class.

    Parameters
    ----------
    slope : (n_problems · C,) float64
        S, the mean slopes.
    frequency : (C,) float64
        ȳ, under the rows' weights; positive.

    Returns
    -------
    (n_problems · C,) float64
    """
    xp = namespace(slope)
    s = xp.reshape(slope, (-1, frequency.shape[0]))
    more, less = _parts(s)
    lost = more / xp.sqrt(frequency)[None, :]
    gained = xp.sum(less, axis=1, keepdims=True)
    share = less / xp.where(gained > 0, gained, xp.ones_like(gained))
    found = lost + share * xp.sum(lost, axis=1, keepdims=True)
    return xp.reshape(found, slope.shape)


def entropy_cost(s: np.ndarray, slope: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Return what moving probability between classes takes of the dual value, at most.

    Parameters
    ----------
    s : (n_problems,)
        What slopes are shrunk by.
    slope : (n_problems, C)
    frequency : (C,)

    Returns
    -------
    (n_problems,)
    """
    x = s[:, None] * _parts(slope)[0]
    # of the second order in x, and never negative but for rounding
    second = np.maximum(x - frequency * np.log1p(x / frequency), 0.0)
    return np.sum(second - x * np.log(np.minimum(frequency + x, 1.0)), axis=1)


def softmax_certificate(
    sums: LossSums,
    columns: np.ndarray,
    intercepts: np.ndarray | None,
    n_classes: int,
    frequency: np.ndarray | None,
) -> Certificate:
    """Duality gap of softmax problems, again for each of their columns.

    Parameters
    ----------
    sums : LossSums of n_problems · C columns
        Over rows, of weights that sum to one; ``loss`` and ``slope_ratio`` are the same in all
        columns of a problem.
    columns : (5, n_problems · C)
        From :func:`~dasklasso.objective.duality.column_sums`, combined over all columns of X
        and over those of each problem (:func:`~dasklasso.objective.duality.together`); with
        an intercept their ``dual_v`` has :func:`offsets` added.
    intercepts : (n_problems · C,) or None
        b, in coordinates of centred columns; None without an intercept.
    n_classes : C
    frequency : (C,) or None
        Of the classes, under the rows' weights; not needed without an intercept.
    """
    penalty, product, ratio, conjugate, n_nonzero = columns[:, ::n_classes]
    loss = sums.loss[::n_classes]
    slope = sums.slope.reshape(-1, n_classes)
    if intercepts is not None:
        product = product - np.sum(intercepts.reshape(-1, n_classes) * slope, axis=1)
    with np.errstate(divide="ignore"):
        limit = np.where(ratio > 1.0, 1.0 / ratio, 1.0)
    gaps = []
    # every s gives a bound, with Ω*(sV) ≤ s·Ω*(V): the best is mostly at one of the two ends
    for s in (limit, np.zeros_like(limit)):
        with np.errstate(invalid="ignore"):
            infeasible = np.where(s > 0, s * conjugate, 0.0)
        bent = np.minimum((1.0 - s) * loss, sums.slope_ratio[::n_classes] * bend(1.0 - s))
        gap = penalty - s * product + bent + infeasible
        gaps.append(gap if frequency is None else gap + entropy_cost(s, slope, frequency))
    gap = np.maximum(np.minimum(*gaps), 0.0)
    primal = loss + penalty
    return Certificate(*(np.repeat(x, n_classes) for x in (primal, gap, n_nonzero.astype(int))))


def _parts(slope: Array) -> tuple[Array, Array]:
    """Positive and negative parts, both as sizes."""
    xp = namespace(slope)
    nothing = xp.zeros_like(slope)
    return xp.where(slope > 0, slope, nothing), xp.where(slope < 0, -slope, nothing)
