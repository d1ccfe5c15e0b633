"""Parameters that users set: numbers that must be numbers."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

import numpy as np

from dasklasso.errors import OptionError


def number(name: str, value: Any) -> float:
    """Return a real number as float.

    Raises
    ------
    OptionError
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise OptionError(f"{name}: {value!r} found, expected a number")
    return float(value)


def integer(name: str, value: Any) -> int:
    """Return an integer as int.

    Raises
    ------
    OptionError
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise OptionError(f"{name}: {value!r} found, expected an integer")
    return int(value)


def folder(name: str, value: Any) -> str | None:
    """Return a path as text, None where there is none.

    Raises
    ------
    OptionError
    """
    if value is None:
        return None
    try:
        return str(os.fspath(value))
    except TypeError:
        raise OptionError(f"{name}: {value!r} found, expected the path of a folder") from None


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


def grid_of(alphas: Any, n_alphas: Any, eps: Any) -> dict[str, Any]:
    """Return the fit options that say which alphas a path has.

    Raises
    ------
    OptionError
    """
    if alphas is not None and np.ndim(alphas) != 1:
        raise OptionError(f"alphas: {alphas!r} found, expected a sequence of positive numbers")
    return {
        "alphas": None if alphas is None else tuple(number("alphas", one) for one in alphas),
        "n_alphas": integer("n_alphas", n_alphas),
        "eps": None if eps is None else number("eps", eps),
    }
