"""Shifts and scales of a buffer of rows, in which products in float32 lose no digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.moments.rounding import have_few_values

UNSCALED_SPREAD = 2.0**20  # spreads within this of 1 are not scaled: their products are in range
LARGEST_EXPONENT = 1020  # of powers of two that are scales
WEIGHT_EXPONENTS = 60  # weights are counted in units of 2 to a multiple of this: mostly of 1


@dataclass(frozen=True)
class BufferFrame:
    """How values of a buffer are shifted and scaled: ``(value − shift) * scale``.

    Attributes
    ----------
    shift : (D,) float64, exact in the precision of products for X
    scale : (D,) float64 powers of two, or None for ones
    whole : (n_features,) bool
        Features of whole numbers, whose shifts are whole numbers too.
    few_values : whether some other feature has few values
    """

    shift: np.ndarray
    scale: np.ndarray | None
    whole: np.ndarray
    few_values: bool


def unit_of(weight: np.ndarray) -> float:
    """Choose a power of two near the largest weight, whose root is one too."""
    _, exponent = np.frexp(weight.max())
    units = round(int(exponent) / WEIGHT_EXPONENTS) * WEIGHT_EXPONENTS
    return float(np.ldexp(1.0, int(np.clip(units, -LARGEST_EXPONENT, LARGEST_EXPONENT))))


def held_exactly(shift: np.ndarray, whole: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round shifts of features: to the precision of products, and where they can, to integers."""
    d = len(whole)
    of_features = np.where(whole, np.rint(shift[:d]), shift[:d])
    return np.concatenate([of_features.astype(dtype), shift[d:]])


def buffer_frame_of(x: np.ndarray, y: np.ndarray, dtype: np.dtype) -> BufferFrame:
    """Choose shifts at the means of some rows, exact in ``dtype`` for X, and scales if needed.

    A column that is constant is shifted by its value, so that it becomes exactly zero.
    """
    z = np.concatenate([x.astype(np.float64), y], axis=1)
    d = x.shape[1]
    mean = z[0] + (z - z[0]).mean(axis=0)
    constant = (z == z[0]).all(axis=0)
    whole = (np.rint(z[:, :d]) == z[:, :d]).all(axis=0)
    shift = held_exactly(np.where(constant, z[0], mean), whole & ~constant[:d], dtype)
    few_values = bool((have_few_values(x) & ~whole & ~constant[:d]).any())
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.abs(z - shift).max(axis=0)
    odd = (spread > UNSCALED_SPREAD) | ((spread < 1.0 / UNSCALED_SPREAD) & (spread > 0.0))
    if not odd.any() or not np.isfinite(spread).all():
        return BufferFrame(shift, None, whole, few_values)
    _, exponent = np.frexp(np.where(odd, spread, 0.5))
    exponent = np.clip(-exponent, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    return BufferFrame(shift, np.ldexp(1.0, exponent), whole, few_values)
