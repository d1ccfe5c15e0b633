"""Parameters that users set: numbers that must be numbers."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from dasklasso.errors import OptionError


def number(name: str, value: Any) -> float:
    """A real number as float.

    Raises
    ------
    OptionError
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise OptionError(f"{name}: {value!r} found, expected a number")
    return float(value)


def integer(name: str, value: Any) -> int:
    """An integer as int.

    Raises
    ------
    OptionError
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise OptionError(f"{name}: {value!r} found, expected an integer")
    return int(value)


def factor_of(value: Any) -> np.ndarray | None:
    """Penalty factors as float64, None where there are none.

    Raises
    ------
    OptionError
    """
    if value is None:
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(
            f"penalty_factor: {value!r} found, expected a number for each feature"
        ) from None
