"""svmlight / LIBSVM text: sparse rows ``label index:value ...``, read twice, made dense."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from dasklasso.dataset.sources.base import (
    MOST_COLUMNS,
    Column,
    Expected,
    SourceDefaults,
    one_line,
    resolve_column,
)
from dasklasso.dataset.sources.matrix import MatrixBatch
from dasklasso.dataset.sources.reading import is_inexact
from dasklasso.errors import DasklassoError, SourceError, ValueFound

_BLOCK_BYTES = 4 << 20
_LONGEST_LINE_BYTES = 64 << 20
TARGET = "y"


@dataclass(frozen=True)
class _Extent:
    """What the first pass finds out."""

    n_rows: int
    lowest: int | None  # None: no row has an index
    highest: int


class SvmlightSource(SourceDefaults):
    """Columns x0, x1, ... and the label as ``y``.

    Indices count from 1, as the format has it, unless a 0 occurs; the column of index 1 (or 0)
    is x0. Parsing is scikit-learn's.

    Where another file of the kind is known, as ``expected`` says, x0 has the index that it had
    there, and there are at least as many columns: what a row leaves out is 0.
    """

    format = "svmlight"
    default_target: tuple[str, ...] = (TARGET,)
    beside: tuple[str, ...] = (TARGET,)
    index_base: int | None = None
    dialect = ""

    def __init__(self, file: Path, expected: Expected | None = None) -> None:
        expected = expected or Expected()
        self.path = str(file)
        self._file = file
        extent = self._measure()
        self.n_rows = extent.n_rows
        lowest = extent.lowest
        self.index_base = expected.index_base
        if self.index_base is None:
            self.index_base = 0 if lowest == 0 else 1
        if lowest is not None and lowest < self.index_base:
            raise SourceError(
                f"{self.path}: has the index {lowest}, expected indices that count from "
                f"{self.index_base}."
            )
        self._width = max(extent.highest + 1 - self.index_base, expected.width)
        if self._width > MOST_COLUMNS:
            raise SourceError(
                f"{self.path}: has the index {extent.highest}, expected at most {MOST_COLUMNS:,} "
                "columns."
            )
        if self._width == 0:
            raise SourceError(f"{self.path}: has no index:value pair in {self.n_rows} rows.")
        number = np.dtype(np.float64)
        self.columns = tuple(
            Column(name, "number", number, "number")
            for name in (*(f"x{j}" for j in range(self._width)), TARGET)
        )
        self._positions = {f"x{j}": j for j in range(self._width)}

    def resolve(self, name: str) -> tuple[str, ...]:
        return resolve_column(self.columns, name)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[MatrixBatch]:
        first = 0
        for block in self._blocks():
            sparse, labels = self._parse(block, first)
            for start in range(0, sparse.shape[0], rows):
                part = sparse[start : start + rows]
                dense = np.zeros((part.shape[0], self._width))
                row = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
                dense[row, part.indices - self.index_base] = part.data
                yield MatrixBatch(
                    self.path, first + start, len(dense), dense, self._positions,
                    {TARGET: labels[start : start + rows]},
                )  # fmt: skip
            first += sparse.shape[0]

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        """Return the first whole label that float64 has no number for: file, row and text."""
        row = 0
        for block in self._blocks() if name == TARGET else ():
            for line in block.splitlines():
                fields = line.split(b"#", 1)[0].split(None, 1)
                if fields:
                    if is_inexact(text := fields[0].decode("ascii", "replace")):
                        return self.path, row, text
                    row += 1
        return None

    def _measure(self) -> _Extent:
        n_rows, lowest, highest = 0, None, -1
        for block in self._blocks():
            sparse, _ = self._parse(block, n_rows)
            if not self.dialect and _has_query_ids(block):
                self.dialect = "svmlight, query ids (qid) are left out"
            n_rows += sparse.shape[0]
            if sparse.nnz:
                low = int(sparse.indices.min())
                lowest = low if lowest is None else min(low, lowest)
                highest = max(highest, int(sparse.indices.max()))
        if n_rows == 0:
            raise SourceError(f"{self.path}: is empty, expected rows 'label index:value ...'.")
        return _Extent(n_rows, lowest, highest)

    def _blocks(self) -> Iterator[bytes]:
        """Whole lines, a few MiB at a time; they end with LF, whatever the file has."""
        rest: list[bytes] = []
        held = 0
        try:
            with _open(self._file) as stream:
                is_first = True
                while data := stream.read(_BLOCK_BYTES):
                    if data.endswith(b"\r"):  # perhaps the half of a line end
                        data += stream.read(1)
                    if is_first:
                        data, is_first = data.removeprefix(codecs.BOM_UTF8), False
                    if b"\r" in data:
                        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                    cut = data.rfind(b"\n") + 1
                    if cut:
                        yield b"".join((*rest, data[:cut]))
                        rest, held = [], 0
                    rest.append(data[cut:])
                    held += len(data) - cut
                    if held > _LONGEST_LINE_BYTES:
                        raise SourceError(
                            f"{self.path}: has a line of more than {_LONGEST_LINE_BYTES >> 20} "
                            "MiB, expected rows 'label index:value ...'."
                        )
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.path}: cannot be read: {one_line(error)}") from error
        last = b"".join(rest)
        if last.strip():
            yield last

    def _parse(self, block: bytes, first_row: int) -> tuple[Any, np.ndarray]:
        from sklearn.datasets import load_svmlight_file

        try:
            # zero_based=True keeps indices as they are written; they are shifted once known
            sparse, labels = load_svmlight_file(io.BytesIO(block), zero_based=True)
        except (ValueError, OverflowError) as error:
            fault = _find_fault(self.path, block, first_row)
            raise fault or SourceError(f"{self.path}: cannot be read: {one_line(error)}") from error
        # Python takes 1_000 for a number, and nobody else does
        if b"_" in block and (fault := _find_fault(self.path, block, first_row)) is not None:
            raise fault
        return sparse, labels


def _has_query_ids(block: bytes) -> bool:
    """Tell whether a row has a query id, which may only come after the label."""
    if b"qid:" not in block:
        return False
    rows = (line.split(b"#", 1)[0].split(None, 2) for line in block.splitlines())
    return any(field.startswith(b"qid:") for row in rows for field in row[1:2])


def _open(file: Path) -> IO[bytes]:
    suffix = file.suffix.lower()
    if suffix == ".gz":
        return gzip.open(file, "rb")  # type: ignore[return-value]
    return bz2.open(file, "rb") if suffix == ".bz2" else open(file, "rb")


def _find_fault(path: str, block: bytes, row: int) -> DasklassoError | None:
    """Return the first field of a block that is not as the format wants it."""
    for line in block.splitlines():
        fields = line.split(b"#", 1)[0].split()
        if not fields:
            continue
        if not _is(float, fields[0]):
            return ValueFound(
                f"{path}: row {row}, column {TARGET}: found {_text(fields[0])}, expected a number."
            )
        previous = -1
        for field in fields[1:]:
            index, colon, value = field.partition(b":")
            if index == b"qid":
                continue
            if not colon or not _is(int, index) or int(index) < 0:
                return ValueFound(f"{path}: row {row}: found {_text(field)}, expected index:value.")
            if int(index) > MOST_COLUMNS:
                return SourceError(
                    f"{path}: row {row}: has the index {_text(index)}, expected at most "
                    f"{MOST_COLUMNS:,} columns."
                )
            if int(index) <= previous:
                return ValueFound(
                    f"{path}: row {row}: index {int(index)} follows {previous}, "
                    "expected rising indices."
                )
            if not _is(float, value):
                return ValueFound(
                    f"{path}: row {row}, index {int(index)}: found {_text(value)}, "
                    "expected a number."
                )
            previous = int(index)
        row += 1
    return None


def _is(kind: type, field: bytes) -> bool:
    try:
        kind(field)
    except ValueError:
        return False
    return b"_" not in field


def _text(field: bytes) -> str:
    return repr(field[:40].decode("utf-8", "replace"))
