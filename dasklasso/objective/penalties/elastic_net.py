"""The elastic net, with and without a bound at zero."""

from __future__ import annotations

from dataclasses import dataclass

from dasklasso.backend import Array, namespace
from dasklasso.objective.penalties.base import Penalty


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """``λ₁|w| + ½λ₂w²``, each with its own weights per coefficient.

    Zou and Hastie (2005), Regularization and variable selection via the elastic net, eq. 3. Its
    prox is soft thresholding, then shrinkage.
    """

    name = "elastic_net"
    separable = True

    def norm(self, w: Array) -> Array:
        return namespace(w).abs(w)

    def size(self, v: Array) -> Array:
        return namespace(v).abs(v)

    def along(self, v: Array, length: Array) -> Array:
        return namespace(v).sign(v) * length


@dataclass(frozen=True)
class NonNegativeElasticNet(ElasticNet):
    """``λ₁w + ½λ₂w²`` of w ≥ 0, infinite below."""

    name = "nonnegative_elastic_net"
    nonnegative = True
    separable = True

    def size(self, v: Array) -> Array:
        return v


def elastic_net(*, nonnegative: bool) -> type[ElasticNet]:
    """Return the class of the elastic net over all w, or over w ≥ 0."""
    return NonNegativeElasticNet if nonnegative else ElasticNet
