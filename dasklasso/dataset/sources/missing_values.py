"""Values that stand for missing ones: as they are named, and as they look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dasklasso.errors import OptionError


@dataclass(frozen=True)
class MissingValues:
    """Values of features that count as missing, beside NaN, null and empty text.

    Attributes
    ----------
    texts : tuple of str
        As they were named. Those that spell a number are meant in number columns, by value; all
        are meant in text columns, as they are spelled.
    """

    texts: tuple[str, ...] = ()

    @classmethod
    def named(cls, values: Sequence[str | float]) -> MissingValues:
        """Return the values of ``--missing-value``; numbers may be given as numbers.

        Raises
        ------
        OptionError
            A value is empty, or is missing in any case.
        """
        texts = tuple(dict.fromkeys(str(value) for value in values))
        for text in texts:
            if not text.strip() or text.strip().lower().lstrip("+-") == "nan":
                raise OptionError(
                    f"--missing-value {text!r}: is missing in any case, expected a value such as "
                    "-1 or 999."
                )
            if _is_number(text) and math.isinf(float(text)) and "inf" not in text.lower():
                raise OptionError(
                    f"--missing-value {text!r}: is beyond float64, expected a value that a table "
                    "can have, such as -1, 999 or inf."
                )
        return cls(texts)

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """Those that spell a number."""
        return tuple(float(text) for text in self.texts if _is_number(text))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Those that spell no number, which a reader of text must know beforehand."""
        return tuple(text for text in self.texts if not _is_number(text))

    def as_nan(self, block: np.ndarray) -> np.ndarray:
        """Numbers with NaN where one is missing: the same array where none is, else float64."""
        absent: np.ndarray | None = None
        for number in self.numbers:
            found = block == number
            if found.any():
                absent = found if absent is None else absent | found
        return block if absent is None else np.where(absent, np.nan, block.astype(np.float64))

    def as_null(self, texts: Any) -> Any:
        """Return a pyarrow string array with null where a text is missing."""
        if not self.texts:
            return texts
        import pyarrow as pa
        import pyarrow.compute as pc

        absent = pc.is_in(texts, pa.array(self.texts, type=pa.string()))
        return pc.if_else(absent, pa.scalar(None, pa.string()), texts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_OTHER, _TWO = 1, 2
_SUSPECTS = {np.dtype(np.int8): (-1, -9, 9, 99), np.dtype(np.uint8): (9, 99, 255)}


class LoneCodes:
    """Looks for genotypes (0, 1, 2) among which one code stands for missing ones.

    Only columns of 8-bit integers are looked at: one look-up a value.

    Parameters
    ----------
    n_columns : int
    """

    def __init__(self, n_columns: int) -> None:
        self._flags = np.zeros(n_columns, dtype=np.uint8)
        self._suspects: tuple[int, ...] = ()
        self._table: np.ndarray | None = None

    def add(self, block: np.ndarray) -> None:
        """Take in rows, (n, n_columns) of int8 or uint8; any other block ends the search."""
        if block.dtype not in _SUSPECTS or not len(block):
            self._flags |= _OTHER * bool(len(block))
            return
        if self._table is None:
            self._suspects = _SUSPECTS[block.dtype]
            self._table = np.full(256, _OTHER, dtype=np.uint8)
            self._table[[0, 1, 2]] = 0, 0, _TWO
            for bit, code in enumerate(self._suspects, start=2):
                self._table[code % 256] = 1 << bit
        seen = self._table[np.ascontiguousarray(block).view(np.uint8)]
        self._flags |= np.bitwise_or.reduce(seen, axis=0)

    def found(self) -> dict[int, list[int]]:
        """Return the columns of 0, 1, 2 and one code, by code."""
        columns = {}
        for bit, code in enumerate(self._suspects, start=2):
            marked = np.flatnonzero(self._flags == (_TWO | 1 << bit)).tolist()
            if marked:
                columns[code] = marked
        return columns
