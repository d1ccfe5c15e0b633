"""Penalties: what coefficients cost. Separable by feature: every method works row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dasklasso.backend import Array, namespace


class Penalty(Protocol):
    """What solvers and certificates ask of a penalty: arrays (n_features, n_problems).

    Attributes
    ----------
    l1, l2 : weights of the part with a kink, and of the quadratic part
    positive : whether coefficients are held non-negative
    """

    @property
    def l1(self) -> Array: ...
    @property
    def l2(self) -> Array: ...
    @property
    def positive(self) -> bool: ...

    def value(self, w: Array) -> Array:
        """Adds up to the penalty, over features and over the columns of one problem."""

    def prox(self, v: Array, step: Array) -> Array:
        """``argmin_w ½‖w − v‖² + step · penalty(w)``."""

    def size(self, v: Array) -> Array:
        """What must be at most λ₁ for v to be dual feasible, where λ₂ = 0."""

    def conjugate(self, v: Array) -> Array:
        """Adds up, as ``value`` does, to ``sup_w (vᵀw − penalty(w))`` where λ₂ > 0."""


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

    def size(self, v: Array) -> Array:
        """What must be at most λ₁: ``|v|``, or v itself when positive."""
        return v if self.positive else namespace(v).abs(v)

    def excess(self, v: Array) -> Array:
        """How far ``v`` lies beyond the l1 ball: ``max(|v| − λ₁, 0)``, one-sided when positive."""
        return _above(self.size(v), self.l1)

    def conjugate(self, v: Array) -> Array:
        """``sup_w (v w − penalty(w))`` where λ₂ > 0; elsewhere 0 (feasible) or +inf."""
        return _conjugate(self.excess(v), self.l2)


@dataclass(frozen=True)
class GroupElasticNet:
    """``λ₁‖w_j‖₂ + ½λ₂‖w_j‖₂²`` of groups of neighbouring columns: a feature in or out of all.

    Yuan and Lin (2006), Model selection and estimation in regression with grouped variables; of
    the coefficients of several responses: Obozinski, Taskar and Jordan (2010), Joint covariate
    selection and joint subspace selection for multiple classification problems.

    Attributes
    ----------
    l1, l2 : array broadcastable to w, (n_features, n_problems · n_together) or (n_features, 1)
        λ₁ and λ₂, the same in all columns of a group.
    n_together : int
        Columns of a group.
    """

    l1: Array
    l2: Array
    n_together: int
    positive = False

    def norms(self, w: Array) -> Array:
        """‖w_j‖₂ of every group: (n_features, n_problems, 1)."""
        xp = namespace(w)
        groups = self._groups(w)
        # the largest is taken out first: squares would leave the range of numbers
        top = xp.max(xp.abs(groups), axis=2, keepdims=True)
        scaled = groups / xp.where(top > 0, top, xp.ones_like(top))
        return top * xp.sqrt(xp.sum(scaled**2, axis=2, keepdims=True))

    def value(self, w: Array) -> Array:
        """Penalty of every group, in its first column; 0 in the others."""
        norms = self.norms(w)
        whole = self._first(self.l1, w) * norms + 0.5 * self._first(self.l2, w) * norms**2
        return self._in_first_column(whole, w)

    def prox(self, v: Array, step: Array) -> Array:
        """``argmin_w ½‖w − v‖² + step · penalty(w)``: groups shrink towards 0, then as a ridge.

        Parikh and Boyd, Proximal Algorithms (2014), section 6.5.4.
        """
        xp = namespace(v)
        size = self.norms(v)
        left = _above(size, self._first(step * self.l1, v))
        share = left / xp.where(size > 0, size, xp.ones_like(size))
        shrunk = xp.reshape(self._groups(v) * share, v.shape)
        return shrunk / (1.0 + step * self.l2)

    def size(self, v: Array) -> Array:
        """What must be at most λ₁: ‖v_j‖₂, in every column of its group."""
        xp = namespace(v)
        return xp.reshape(self.norms(v) + xp.zeros_like(self._groups(v)), v.shape)

    def conjugate(self, v: Array) -> Array:
        """``sup_w (vᵀw − penalty(w))`` where λ₂ > 0, in a group's first column, 0 in the others.

        Where λ₂ = 0: 0 (feasible) or +inf.
        """
        excess = _above(self.norms(v), self._first(self.l1, v))
        return self._in_first_column(_conjugate(excess, self._first(self.l2, v)), v)

    def _groups(self, array: Array) -> Array:
        """(n_features, n_problems · n_together) → (n_features, n_problems, n_together)."""
        return namespace(array).reshape(array, (array.shape[0], -1, self.n_together))

    def _first(self, weights: Array, like: Array) -> Array:
        """λ₁ or λ₂ of every group: (n_features, n_problems, 1)."""
        whole = namespace(like).broadcast_to(weights, like.shape)
        return self._groups(whole)[:, :, :1]

    def _in_first_column(self, whole: Array, like: Array) -> Array:
        xp = namespace(like)
        others = xp.zeros_like(self._groups(like)[:, :, 1:])
        return xp.reshape(xp.concat([whole, others], axis=2), like.shape)


def _above(size: Array, threshold: Array) -> Array:
    xp = namespace(size)
    left = size - threshold
    return xp.where(left > 0, left, xp.zeros_like(left))


def _conjugate(excess: Array, l2: Array) -> Array:
    """``excess² / 2λ₂`` where λ₂ > 0; elsewhere 0 or +inf."""
    xp = namespace(excess)
    quadratic = xp.broadcast_to(l2 > 0, excess.shape)
    smooth = excess**2 / (2.0 * xp.where(quadratic, l2 + 0.0 * excess, 1.0 + 0.0 * excess))
    infinite = xp.where(excess > 0, xp.full_like(excess, float("inf")), 0.0 * excess)
    return xp.where(quadratic, smooth, infinite)
