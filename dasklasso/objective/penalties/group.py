"""The group elastic net: all coefficients of a feature, for the outputs of a loss, in or out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from dasklasso.backend import Array, namespace
from dasklasso.objective.penalties.base import Penalty


@dataclass(frozen=True)
class GroupElasticNet(Penalty):
    """``λ₁‖w_j‖₂ + ½λ₂‖w_j‖₂²`` of groups of neighbouring columns.

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

    n_together: int = 1

    name = "group_elastic_net"
    grouped = True

    @classmethod
    def of(cls, l1_ratio: float, n_outputs: int = 1) -> Self:
        return cls(l1_ratio, 1.0 - l1_ratio, n_outputs)

    def norm(self, w: Array) -> Array:
        """‖w_j‖₂, in every column of its group."""
        xp = namespace(w)
        groups = self._groups(w)
        # the largest is taken out first: squares would leave the range of numbers
        top = xp.max(xp.abs(groups), axis=2, keepdims=True)
        scaled = groups / xp.where(top > 0, top, xp.ones_like(top))
        norms = top * xp.sqrt(xp.sum(scaled**2, axis=2, keepdims=True))
        return xp.reshape(norms + xp.zeros_like(groups), w.shape)

    def size(self, v: Array) -> Array:
        return self.norm(v)

    def along(self, v: Array, length: Array) -> Array:
        xp = namespace(v)
        norm = self.norm(v)
        return v * (length / xp.where(norm > 0, norm, xp.ones_like(norm)))

    def once(self, of_group: Array) -> Array:
        xp = namespace(of_group)
        groups = self._groups(of_group)
        others = xp.zeros_like(groups[:, :, 1:])
        return xp.reshape(xp.concat([groups[:, :, :1], others], axis=2), of_group.shape)

    def _groups(self, array: Array) -> Array:
        """(n_features, n_problems · n_together) → (n_features, n_problems, n_together)."""
        return namespace(array).reshape(array, (array.shape[0], -1, self.n_together))
