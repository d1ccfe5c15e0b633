"""Penalties: what a coefficient costs. Separable: every method works column by column."""

from __future__ import annotations

from dataclasses import dataclass

from dasklasso.backend import Array, namespace


@dataclass(frozen=True)
class ElasticNet:
    """``λ₁|w| + ½λ₂w²``, each with its own weights per coefficient; optionally ``w ≥ 0``.

    Attributes
    ----------
    l1, l2 : array broadcastable to w, (n_features, n_problems) or (n_features, 1)
        λ₁ and λ₂. Both zero: the coefficient is not penalised.
    positive : bool
        Whether w is held non-negative.
    """

    l1: Array
    l2: Array
    positive: bool = False

    def value(self, w: Array) -> Array:
        """Penalty of every coefficient (0 where w satisfies the sign constraint)."""
        xp = namespace(w)
        return self.l1 * xp.abs(w) + 0.5 * self.l2 * w**2

    def prox(self, v: Array, step: Array) -> Array:
        """``argmin_w ½(w − v)² + step · penalty(w)``: soft thresholding, then shrinkage.

        Parikh and Boyd, Proximal Algorithms (2014), section 6.5.2.
        """
        xp = namespace(v)
        threshold = step * self.l1
        if self.positive:
            shrunk = v - threshold
            shrunk = xp.where(shrunk > 0, shrunk, xp.zeros_like(shrunk))
        else:
            size = xp.abs(v) - threshold
            shrunk = xp.where(size > 0, xp.sign(v) * size, xp.zeros_like(v))
        return shrunk / (1.0 + step * self.l2)

    def excess(self, v: Array) -> Array:
        """How far ``v`` lies beyond the l1 ball: ``max(|v| − λ₁, 0)``, one-sided when positive."""
        xp = namespace(v)
        size = (v if self.positive else xp.abs(v)) - self.l1
        return xp.where(size > 0, size, xp.zeros_like(size))

    def conjugate(self, v: Array) -> Array:
        """``sup_w (v w − penalty(w))`` where λ₂ > 0; elsewhere 0 (feasible) or +inf."""
        xp = namespace(v)
        excess = self.excess(v)
        quadratic = xp.broadcast_to(self.l2 > 0, excess.shape)
        smooth = excess**2 / (2.0 * xp.where(quadratic, self.l2 + 0.0 * excess, 1.0 + 0.0 * excess))
        infinite = xp.where(excess > 0, xp.full_like(excess, float("inf")), 0.0 * excess)
        return xp.where(quadratic, smooth, infinite)
