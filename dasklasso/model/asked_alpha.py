"""Find the alpha of a path that a word, or the digits of a printed table, name."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.model.path import FittedPath

WORDS = ("min", "1se")
LEAST_DIGITS = 3  # of a number that is taken as rounded to its last digit
SHOWN_DIGITS = 4  # the fewest that alphas are shown with; zeros at the end are left out


def asked_alpha(path: FittedPath, asked: str | float | None) -> float | None:
    """Find the alpha of a path that ``asked`` names.

    Parameters
    ----------
    path : FittedPath
    asked : str, float or None
        "min" or "1se": of the cross-validation, the alpha of the smallest mean error or the
        largest within a standard error of it. A number that is an alpha of the grid, rounded to
        the digits that the number has, is the nearest such alpha: so what a table shows can be
        typed. A number of one or two digits counts as one of four, whose last are zeros. Any other
        number means itself; None is for the path to choose.

    Returns
    -------
    float or None

    Raises
    ------
    OptionError
        When it is neither a positive number nor one of the words, or the path was not
        cross-validated and it is one of them.
    """
    if asked is None:
        return None
    if asked in WORDS:
        if path.cross_validation is None:
            raise OptionError(
                f"alpha: {asked!r} found, and the model was not cross-validated, so it has no "
                f"alpha_{asked}; expected a number, or a model of dasklasso cv"
            )
        best = path.cross_validation.best
        return best.alpha_min if asked == "min" else best.alpha_1se
    number = parse_alpha(asked)
    at = path.grid_index(float(number))
    if at is None:
        at = _rounded_to(path.alphas, number)
    return float(number) if at is None else float(path.alphas[at])


def parse_alpha(text: str | float) -> Decimal:
    """Read a number, with the digits that it was written with.

    Raises
    ------
    OptionError
        When it is not one of 0 or more.
    """
    try:
        number = Decimal(str(text).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and number >= 0):
        words = " or ".join(repr(word) for word in WORDS)
        raise OptionError(f"alpha: {text!r} found, expected a number of 0 or more, {words}")
    return number


def _rounded_to(alphas: np.ndarray, number: Decimal) -> int | None:
    """Find the alpha nearest to a number, if it is written so with as many digits; else None."""
    _, digits, exponent = number.as_tuple()
    last = int(exponent)
    if len(digits) < LEAST_DIGITS:
        last = number.adjusted() - (SHOWN_DIGITS - 1)
    nearest = int(np.argmin(np.abs(alphas - float(number))))
    half_a_digit = 0.5 * 10.0**last * (1 + 1e-9)  # a tie may be rounded either way
    return nearest if abs(float(alphas[nearest]) - float(number)) <= half_a_digit else None
