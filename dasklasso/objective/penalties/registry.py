"""Penalties by name: what options call them."""

from __future__ import annotations

from dasklasso.errors import OptionError
from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.penalties.elastic_net import ElasticNet, NonNegativeElasticNet
from dasklasso.objective.penalties.group import GroupElasticNet

PENALTIES: dict[str, type[Penalty]] = {}


def register_penalty(penalty: type[Penalty]) -> type[Penalty]:
    """Let options name a penalty; serves as a decorator of its class.

    Workers must be able to import its module.

    Raises
    ------
    OptionError
        When another penalty has that name.
    """
    if PENALTIES.setdefault(penalty.name, penalty) is not penalty:
        raise OptionError(f"penalty: {penalty.name!r} is taken by {PENALTIES[penalty.name]}")
    return penalty


def penalty_named(name: str) -> type[Penalty]:
    """Return the class of the penalty called ``name``.

    Raises
    ------
    OptionError
        When there is none.
    """
    if name not in PENALTIES:
        raise OptionError(f"penalty: {name!r} is none of {', '.join(PENALTIES)}")
    return PENALTIES[name]


for _known in (ElasticNet, NonNegativeElasticNet, GroupElasticNet):
    register_penalty(_known)
