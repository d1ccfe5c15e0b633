"""Penalties: what coefficients cost. One class, one formula each: value, prox, screening, duality.

A penalty here is a sum over features of

    λ₁ N(w_j) + ½ λ₂ ‖w_j‖²,    w_j in a cone K,

where w_j are the coefficients of feature j that come into use together (one, or one for each output
of the loss), N is their Euclidean norm, and K is everything or w_j ≥ 0. Its polar
``N°(v) = sup {vᵀw : w in K, N(w) ≤ 1}``, here ``size``, and the direction in which that is attained
say all the rest (Rockafellar, 1970, Convex Analysis, sections 15 and 31):

- prox: the direction of v, as long as ``(N°(v) − λ₁)₊ / (1 + λ₂)`` (Parikh and Boyd, 2014,
  Proximal Algorithms, section 6.5);
- conjugate: ``(N°(v) − λ₁)₊² / 2λ₂``, and where λ₂ = 0 the indicator of ``N°(v) ≤ λ₁``, which is
  what dual feasibility means;
- w_j = 0 is optimal where ``N°(v_j) ≤ λ₁``, v the negative gradient of the loss: the optimality
  conditions, the strong rule, and the largest alpha of a path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from dasklasso.backend import Array, namespace

ROUNDED_UP = 1e-14  # of the largest alpha of a path
# Weights leave room for a product and a quotient in the range of float64. Beyond these bounds a
# penalty does what it does at them: it keeps w at zero, or costs nothing that a sum could show.
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-290, 1e290


@dataclass(frozen=True)
class Penalty(ABC):
    """A penalty with its weights: a value, which travels to workers.

    Arrays of coefficients are (n_features, n_problems · n_together), of any array API namespace;
    v is the negative gradient of the loss, of the same shape. Every method works row by row, so
    that a penalty serves any part of the features.

    As an objective has it, a penalty is that of alpha 1 and a factor of 1: its weights are
    ``l1_ratio`` and ``1 − l1_ratio``. :meth:`at` gives it the weights of alphas and features.

    Attributes
    ----------
    l1 : array broadcastable to w, (n_features, n_problems) or (n_features, 1)
        λ₁, of the part with a kink.
    l2 : array, as ``l1``
        λ₂, the curvature. Both zero: a coefficient is not penalised.
    name : str
        What options call it.
    nonnegative : bool
        Whether coefficients must not be negative.
    grouped : bool
        Whether a feature's coefficients for all outputs of a loss come into use together.
    separable : bool
        Whether it is ``λ₁|w| + ½λ₂w²`` in every coefficient, over all w or over w ≥ 0: what the
        solvers that go coordinate by coordinate minimise. Not inherited.
    """

    l1: Array = 1.0
    l2: Array = 0.0

    name: ClassVar[str]
    nonnegative: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    separable: ClassVar[bool] = False

    # -- what a penalty is --------------------------------------------------------------------

    @abstractmethod
    def norm(self, w: Array) -> Array:
        """N(w), in every column of its group."""

    @abstractmethod
    def size(self, v: Array) -> Array:
        """N°(v), in every column of its group; where that is 0, possibly less."""

    @abstractmethod
    def along(self, v: Array, length: Array) -> Array:
        """Return the u in the cone of norm ``length`` with the greatest vᵀu; 0 where there is none.

        Of length 1, with ``vᵀu = N°(v)``, that is the gradient of N in v, if v is in the cone.
        """

    def once(self, of_group: Array) -> Array:
        """What stands in every column of a group, in its first only: sums then count it once."""
        return of_group

    def __init_subclass__(cls) -> None:
        # a class of another formula must not pass for its parent's
        cls.separable = cls.__dict__.get("separable", False)

    @classmethod
    def of(cls, l1_ratio: float, n_outputs: int = 1) -> Self:
        """Return the penalty of alpha 1 and a factor of 1.

        Parameters
        ----------
        l1_ratio : share of the part with a kink, 0 … 1
        n_outputs : of the loss
        """
        return cls(l1_ratio, 1.0 - l1_ratio)

    def at(self, alpha: Array, l1_factor: Array, l2_factor: Array) -> Self:
        """Return the penalty of some features at some alphas, with weights that are in range.

        Parameters
        ----------
        alpha : (1, n_problems) or a number
        l1_factor, l2_factor : (n_features, 1)
        """
        return replace(
            self,
            l1=in_range(l1_factor, in_range(alpha, self.l1)),
            l2=in_range(l2_factor, in_range(alpha, self.l2)),
        )

    # -- its value, and steps ------------------------------------------------------------------

    def value(self, w: Array) -> Array:
        """Adds up to the penalty of w in the cone, over features and the columns of a problem."""
        norm = self.norm(w)
        return self.once(self.l1 * norm + 0.5 * self.l2 * norm**2)

    def prox(self, v: Array, step: Array) -> Array:
        """``argmin_w ½‖w − v‖² + step · penalty(w)``.

        Parameters
        ----------
        step : (1, n_problems) or a number
        """
        xp = namespace(v)
        left = self.size(v) - step * self.l1
        shrunk = xp.where(left > 0, self.along(v, left), xp.zeros_like(v))
        return shrunk / (1.0 + step * self.l2)

    # -- duality -------------------------------------------------------------------------------

    def excess(self, v: Array) -> Array:
        """``(N°(v) − λ₁)₊``: how far v lies beyond what w = 0 allows."""
        xp = namespace(v)
        left = self.size(v) - self.l1
        return xp.where(left > 0, left, xp.zeros_like(left))

    def conjugate(self, v: Array) -> Array:
        """Adds up, as ``value`` does, to ``sup_w (vᵀw − penalty(w))``.

        Where λ₂ = 0 that is 0 for dual feasible v, else +inf.
        """
        xp = namespace(v)
        excess = self.excess(v)
        l2 = self.l2 + 0.0 * excess
        smooth = excess**2 / (2.0 * xp.where(l2 > 0, l2, xp.ones_like(l2)))
        infinite = xp.where(excess > 0, xp.full_like(excess, float("inf")), 0.0 * excess)
        return self.once(xp.where(l2 > 0, smooth, infinite))

    def scaling(self, v: Array) -> Array:
        """``N°(v)₊ / λ₁``: v is dual feasible once divided by it, where that is more than 1.

        +inf where λ₁ = 0 and v is not feasible, whatever it is divided by. Of coefficients without
        a quadratic part: others have no infeasible v.
        """
        xp = namespace(v)
        zero = 0.0 * v
        size, l1 = self.size(v), self.l1 + zero
        size = xp.where(size > 0, size, zero)
        over_nothing = xp.where(size > 0, zero + float("inf"), zero)
        return xp.where(l1 > 0, size / xp.where(l1 > 0, l1, zero + 1.0), over_nothing)

    def enlarged(self, v: Array, offset: Array) -> Array:
        """Return a v whose size and conjugate none exceeds that is within ``offset`` of this one.

        What is not penalised stays as it is.

        Parameters
        ----------
        offset : (n_problems · n_together,)
            Of every entry.
        """
        xp = namespace(v)
        outward = v if self.nonnegative else xp.abs(v)
        matters = (self.l1 + self.l2 + 0.0 * v) > 0
        return xp.where(matters, outward + offset[None, :], outward)

    def binding(self, w: Array, v: Array) -> Array:
        """Where v must be zero if nothing is penalised: everywhere but where a bound holds w."""
        return (w > 0) | (v > 0) if self.nonnegative else w == w

    # -- optimality ----------------------------------------------------------------------------

    def violation(self, w: Array, v: Array) -> Array:
        """Tell how far each group is from its optimality conditions, in every column.

        Where w is zero that is ``N°(v) − λ₁``, below 0 for what may well stay; elsewhere the norm
        of ``v − λ₂w − λ₁ ∇N(w)``, of which only what a bound does not hold counts.

        Parameters
        ----------
        w : in the cone
        """
        xp = namespace(w)
        left = v - self.l2 * w - self.along(w, self.l1 + 0.0 * w)
        if self.nonnegative:
            left = xp.where((w > 0) | (left > 0), left, xp.zeros_like(left))
        return xp.where(self.norm(w) > 0, self.norm(left), self.size(v) - self.l1)

    def may_enter(self, v: Array, share: Array, noise: float = 0.0) -> Array:
        """Apply the strong rule: features at zero that may come into use, as bool in every column.

        Tibshirani et al. (2012), Strong rules for discarding predictors in lasso-type problems,
        section 2: a gradient changes no faster than λ₁ does, as a rule. At an alpha that follows
        on ``before``, with v the one there, features of ``N°(v) < 2λ₁ − λ₁·before/alpha`` are
        thought to stay zero.

        Parameters
        ----------
        share : of λ₁: :func:`strong_share`, or any other
        noise : by how much entries of v may be off
        """
        return self.size(v) >= share * self.l1 - noise

    def alpha_max(self, v: Array) -> Array:
        """(n_problems · n_together,) the smallest alpha at which all penalised w are zero.

        It is that and a little more, so that rounding activates no feature.

        Parameters
        ----------
        v : of the model without penalised features
        """
        xp = namespace(v)
        size, l1 = self.size(v), self.l1 + 0.0 * v
        ratio = xp.where(l1 > 0, size / xp.where(l1 > 0, l1, xp.ones_like(l1)), 0.0 * v)
        largest = xp.max(xp.concat([xp.zeros_like(v[:1, :]), ratio], axis=0), axis=0)
        return largest * (1.0 + ROUNDED_UP)


@np.errstate(over="ignore")
def in_range(factor: Array, alpha: Array) -> Array:
    """``factor · alpha``: zero where one of them is, else within the bounds of a weight."""
    weight = factor * alpha
    if isinstance(weight, (int, float)):
        in_use = factor != 0 and alpha != 0
        return min(max(weight, SMALLEST_WEIGHT), LARGEST_WEIGHT) if in_use else 0.0
    xp = namespace(weight)
    clipped = xp.clip(weight, SMALLEST_WEIGHT, LARGEST_WEIGHT)
    return xp.where((factor == 0) | (alpha == 0), xp.zeros_like(weight), clipped)


def strong_share(alpha: float, before: float) -> float:
    """Of λ₁ at ``alpha``, what :meth:`Penalty.may_enter` compares with after ``before``."""
    return 2.0 - before / alpha
