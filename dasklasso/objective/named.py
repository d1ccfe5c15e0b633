"""Losses by name: what options and saved models call them."""

from __future__ import annotations

from dasklasso.errors import OptionError
from dasklasso.objective.losses import Logistic, Loss, Squared
from dasklasso.objective.softmax import Softmax

LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in (Squared, Logistic, Softmax)}


def loss_named(name: str, n_classes: int = 0) -> Loss:
    """The loss called ``name``.

    Parameters
    ----------
    n_classes : int
        Of targets that are classes; 0 while that is not known.

    Raises
    ------
    OptionError
        When there is none of that name.
    """
    if name not in LOSSES:
        raise OptionError(f"loss: {name!r} is none of {', '.join(LOSSES)}")
    return Softmax(n_classes) if name == Softmax.name else LOSSES[name]()
