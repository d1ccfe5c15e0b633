"""The type that X has on disk, and what stands in it for a missing value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.sources.base import Source
from dasklasso.dataset.sources.genotypes import GENOTYPE

_SMALL = ("uint8", "int8", "uint16", "int16", "uint32", "int32")  # the first that holds all
_NO_GENOTYPE = 255


@dataclass(frozen=True)
class StoredType:
    """How X is stored.

    Attributes
    ----------
    dtype : numpy.dtype
    missing_code : int or None
        What missing numbers are stored as; None where they are filled in.
    """

    dtype: np.dtype
    missing_code: int | None = None

    @property
    def computed(self) -> np.dtype:
        """The type that X is computed with: means are no whole numbers."""
        return self.dtype if self.missing_code is None else np.dtype(np.float32)


def choose_type(source: Source, roles: Roles, survey: Survey, asked: str) -> StoredType:
    """Return how X is stored.

    Integer and boolean features (one-hot columns too) keep the small type that holds them all,
    up to 32 bits; 64-bit integers count as the type that their known bounds need. Everything else
    is ``asked`` (``"auto"``: float32); an integer ``asked`` is taken at its word. Where values are
    missing, features stay bytes only if a value of a byte is free to stand for them.
    """
    floating = np.dtype(np.float32 if asked == "auto" else asked)
    if floating.kind != "f":
        return StoredType(floating)
    if any(survey.missing.values()):
        coded = _coded(roles, survey) if asked == "auto" else None
        return coded or StoredType(floating)
    fitting = set(_SMALL)
    seen: set[np.dtype] = set()  # types whose bounds were looked at: there may be very many columns
    for column in roles.features:
        dtype = np.dtype(np.uint8) if column.kind == "text" else column.dtype
        if dtype in seen:
            continue
        if dtype.kind not in "iu":
            return StoredType(floating)
        bounds = source.integer_bounds(column.name) if dtype.itemsize > 4 else _bounds(dtype)
        fitting = {name for name in fitting if bounds is not None and _holds(name, *bounds)}
        if not fitting:
            return StoredType(floating)
        if dtype.itemsize <= 4:
            seen.add(dtype)
    return StoredType(np.dtype(next(name for name in _SMALL if name in fitting)))


def _coded(roles: Roles, survey: Survey) -> StoredType | None:
    """Return a type of one byte and a value that no feature has but for missing ones, if any."""
    numbers = [column for column in roles.features if column.kind == "number"]
    dtypes = {column.dtype for column in numbers}
    if len(dtypes) != 1 or (dtype := dtypes.pop()) not in (np.uint8, np.int8):
        return None
    if all(column.type_name == GENOTYPE for column in numbers):
        return StoredType(dtype, _NO_GENOTYPE)
    low, high = _bounds(dtype)
    named = survey.missing_values.numbers
    free = [int(one) for one in named if low <= one <= high and one == int(one)]
    levels = len(numbers) < len(roles.features)  # whose features are 0 and 1
    free = [one for one in free if not levels or one not in (0, 1)]
    return StoredType(dtype, free[0]) if free else None


def _bounds(dtype: np.dtype) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _holds(name: str, low: int, high: int) -> bool:
    least, most = _bounds(np.dtype(name))
    return least <= low and high <= most
