"""Losses by name: what options and saved models call them."""

from __future__ import annotations

from dasklasso.errors import OptionError
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.huber import HUBER_DELTA, Huber
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.objective.losses.softmax import Softmax
from dasklasso.objective.losses.squared import Squared

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (Squared, Logistic, Softmax, Huber, Poisson)
}


def loss_named(name: str, n_classes: int = 0, huber_delta: float = HUBER_DELTA) -> Loss:
    """The loss called ``name``.

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
    if name == Huber.name:
        return Huber(huber_delta)
    return Softmax(n_classes) if name == Softmax.name else LOSSES[name]()
