"""Which pixel of an image a feature is: by the numbers in its name, or by its place."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from dasklasso.errors import ModelError, OptionError

_NUMBER = re.compile(r"\d+")


def parse_shape(text: str) -> tuple[int, int]:
    """Height and width, from text like ``28x28``.

    Raises
    ------
    OptionError
    """
    found = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+)\s*", text)
    shape = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(shape) < 1:
        raise OptionError(f"shape: {text!r} found, expected height and width, like 28x28")
    return shape


def pixel_places(names: Sequence[str], shape: tuple[int, int]) -> np.ndarray:
    """Return the place of each feature in an image, counted row by row.

    Names that end in the numbers of all pixels (``x0`` …, ``pixel1`` …) or in those of their row
    and column (``pixel_0_0``, ``1x1`` …), from 0 or 1, say it, in whatever order they come.
    Names without numbers come row by row.

    Parameters
    ----------
    names : n_features names
    shape : (height, width)

    Returns
    -------
    (n_features,) integers from 0 to n_features − 1, each once

    Raises
    ------
    ModelError
        The shape has another number of pixels than there are features; or the names have numbers
        that are not those of the pixels.
    """
    height, width = shape
    if height * width != len(names):
        raise ModelError(
            f"shape: {height}x{width} is {height * width:,} pixels, and the model has "
            f"{len(names):,} features"
        )
    numbers = [[int(found) for found in _NUMBER.findall(name)[-2:]] for name in names]
    if not any(numbers):
        return np.arange(len(names))
    if all(len(pair) == 2 for pair in numbers):
        row, column = np.transpose(numbers)
        row, column = row - row.min(), column - column.min()
        place = row * width + column
        if column.max() < width and _is_each_once(place):
            return place
    if all(numbers):
        place = np.asarray([found[-1] for found in numbers])
        first = place.min()
        if first in (0, 1) and _is_each_once(place - first):
            return place - first
    raise ModelError(
        f"features {names[0]}, {names[1 % len(names)]}, ... {names[-1]} are no pixels: the numbers "
        f"in their names are neither 0 to {len(names) - 1} or 1 to {len(names)}, nor rows and "
        f"columns of {height}x{width}"
    )


def _is_each_once(place: np.ndarray) -> bool:
    return bool(np.array_equal(np.sort(place), np.arange(len(place))))
