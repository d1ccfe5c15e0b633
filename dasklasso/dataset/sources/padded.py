"""Whole numbers with zeros before them, as postal codes have: numbers would lose those."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np

from dasklasso.dataset.sources.reading import PADDED

_LONGEST_KEPT = 64  # bytes of a block's end, where a number may go on in the next block
_PIECE_BYTES = 64 << 10  # that are looked at together: they stay in the cache
_ZERO, _HYPHEN = ord("0"), ord("-")


def first_padded(texts: Any) -> int | None:
    """Return the first of a pyarrow string array that is a number with zeros before it."""
    import pyarrow.compute as pc

    row = pc.index(pc.fill_null(pc.match_substring_regex(texts, PADDED), False), True).as_py()
    return None if row < 0 else row


def padded_message(file: str, row: int, column: str, text: str) -> str:
    """Say that a number with zeros before it is in a column of numbers."""
    quoted = shlex.quote(column)
    return (
        f"{file}: row {row}, column {column}: found {text.strip()!r}, expected a number without "
        f"zeros before it, as codes have: --category {quoted} takes all texts as they are, "
        f"--number {quoted} reads numbers."
    )


class WatchedStream:
    """A CSV file's bytes, handed on to a reader; notes whether such a number is among them.

    Parameters
    ----------
    stream : pyarrow.NativeFile
    separator : str

    Attributes
    ----------
    has_padded : bool
        So far: in one of the columns, nobody knows which.
    """

    def __init__(self, stream: Any, separator: str) -> None:
        self._stream = stream
        self._separator = ord(separator)
        mark = rf"\x{{{self._separator:x}}}"
        self._pattern = rf"[{mark}\r\n][ '\"]*0[0-9]+[ '\"]*[{mark}\r\n]"
        self._rest = b"\n"
        self.has_padded = False

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def read(self, count: int = -1) -> bytes:
        data: bytes = self._stream.read(count)
        if not self.has_padded:
            known = self._rest + (data or b"\n")  # the last line may have no end
            self.has_padded = self._is_in(known)
            self._rest = known[-_LONGEST_KEPT:]
        return data

    def close(self) -> None:
        self._stream.close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def _is_in(self, data: bytes) -> bool:
        block = np.frombuffer(data, dtype=np.uint8)
        pieces = range(0, len(block), _PIECE_BYTES)
        if not any(self._is_likely(block[at : at + _PIECE_BYTES + 2]) for at in pieces):
            return False
        import pyarrow as pa
        import pyarrow.compute as pc

        found: Any = pc.match_substring_regex(pa.scalar(data, pa.binary()), self._pattern)
        return bool(found.as_py())

    def _is_likely(self, block: np.ndarray) -> bool:
        """Tell by three bytes, at full speed; what may come before is below the hyphen."""
        before = block[:-2] < _HYPHEN
        if self._separator > _HYPHEN:
            before |= block[:-2] == self._separator
        before &= block[1:-1] == _ZERO
        before &= block[2:] - _ZERO < 10  # wraps around below the digits
        return bool(before.any())
