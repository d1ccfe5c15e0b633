"""Losses by name: what options and saved models call them."""

from __future__ import annotations

from dasklasso.errors import OptionError
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.huber import HUBER_DELTA, Huber
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.objective.losses.softmax import Softmax
from dasklasso.objective.losses.squared import Squared

LOSSES: dict[str, type[Loss]] = {}


def register_loss(loss: type[Loss]) -> type[Loss]:
    """Let options name a loss; serves as a decorator of its class.

    Workers must be able to import its module.

    Raises
    ------
    OptionError
        When another loss has that name.
    """
    if LOSSES.setdefault(loss.name, loss) is not loss:
        raise OptionError(f"loss: {loss.name!r} is taken by {LOSSES[loss.name]}")
    return loss


def loss_named(name: str, n_classes: int = 0, huber_delta: float = HUBER_DELTA) -> Loss:
    """Return the loss called ``name``.

    Parameters
    ----------
    n_classes : int
        Of targets that are classes; 0 while that is not known.
    huber_delta : float
        Of Huber's loss.

    Raises
    ------
    OptionError
        When there is none of that name, or delta is no positive number.
    """
    if name not in LOSSES:
        raise OptionError(f"loss: {name!r} is none of {', '.join(LOSSES)}")
    return LOSSES[name].of(n_classes=n_classes, huber_delta=huber_delta)


for _known in (Squared, Logistic, Softmax, Huber, Poisson):
    register_loss(_known)
