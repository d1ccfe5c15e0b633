"""Arrays as tables: a matrix X whose columns are x0, x1, ..., and vectors beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dasklasso.dataset.sources.base import Column, SourceDefaults, refuse_too_many
from dasklasso.errors import SourceError, ValueFound


class RowArray(Protocol):
    """An array on disk that can be read from its first row to its last.

    Attributes
    ----------
    where : str
        File, and the array's name in it, for messages.
    name : str
        The array's own short name.
    shape : (n,) or (n, d)
    """

    where: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def slabs(self, rows: int) -> Iterator[np.ndarray]:
        """Consecutive slabs of ``rows`` rows (the last may be shorter), from the start."""
        ...


@dataclass(frozen=True)
class MatrixBatch:
    """Rows of X, and of the arrays beside it."""

    file: str
    first_row: int
    n_rows: int
    matrix: np.ndarray
    positions: dict[str, int]
    beside: dict[str, np.ndarray]

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        if all(name in self.positions for name in names):
            wanted = [self.positions[name] for name in names]
            if wanted == list(range(self.matrix.shape[1])):
                return _plain(self.matrix)
            return _plain(self.matrix[:, wanted])
        columns = [
            self.matrix[:, self.positions[name]] if name in self.positions else self.beside[name]
            for name in names
        ]
        return _plain(np.stack(columns, axis=1))

    def as_is(self, name: str) -> Any:
        import pyarrow as pa

        if name not in self.positions and self.beside[name].dtype.kind in "SUO":
            return self.texts(name)
        return pa.array(np.ascontiguousarray(self.numbers([name])[:, 0]))

    def texts(self, name: str) -> Any:
        import pyarrow as pa

        values = self.beside[name]
        texts = values.astype(str) if values.dtype.kind == "U" else _decode(values, self, name)
        return pa.array([text or None for text in texts.tolist()], type=pa.string())


class MatrixSource(SourceDefaults):
    """X as columns x0, x1, ..., and any vector of as many rows that is asked for by name.

    Parameters
    ----------
    form : str
        What the format is called.
    X : RowArray
    find : callable
        Returns the array of a name, None where there is none.
    default_target : str, optional
    names : sequence of str, optional
        Of the columns, in the place of x0, x1, ...
    """

    def __init__(
        self,
        form: str,
        X: RowArray,
        *,
        find: Callable[[str], RowArray | None],
        default_target: str | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        if len(X.shape) not in (1, 2):
            raise SourceError(f"{X.where}: has shape {X.shape}, expected two dimensions.")
        self.format = form
        self.path = X.where
        self.n_rows = X.shape[0]
        self._X = X
        self._find = find
        width = 1 if len(X.shape) == 1 else X.shape[1]
        refuse_too_many(width, X.where)
        if width == 0:
            raise SourceError(f"{X.where}: has no columns (shape {X.shape}).")
        self.columns = _columns(X, names or [f"x{j}" for j in range(width)])
        if any(column.kind != "number" for column in self.columns):
            raise ValueFound(f"{X.where}: has values of type {X.dtype}, expected numbers.")
        self._positions = {column.name: j for j, column in enumerate(self.columns)}
        self._beside: dict[str, tuple[RowArray, int | None]] = {}
        self._default_target = self._attach(default_target) if default_target else ()

    @property
    def default_target(self) -> tuple[str, ...]:
        return self._default_target

    @property
    def beside(self) -> tuple[str, ...]:
        return tuple(self._beside)

    def resolve(self, name: str) -> tuple[str, ...]:
        if name in self._positions or name in self._beside:
            return (name,)
        if name.isdecimal() and f"x{int(name)}" in self._positions:
            return (f"x{int(name)}",)
        return self._attach(name)

    def _attach(self, name: str) -> tuple[str, ...]:
        """Add an array beside X as columns; none where there is no such array."""
        array = self._find(name)
        if array is None:
            return ()
        if len(array.shape) not in (1, 2):
            raise SourceError(f"{array.where}: has shape {array.shape}, expected (n,) or (n, k).")
        if array.shape[0] != self.n_rows:
            raise SourceError(
                f"{array.where}: has {array.shape[0]} rows, expected {self.n_rows} "
                f"as {self._X.where} has."
            )
        wide = len(array.shape) == 2 and array.shape[1] != 1
        refuse_too_many(array.shape[1] if wide else 1, array.where)
        base = array.name if array.name not in self._positions else f"{array.name}_"
        names = [f"{base}{k}" for k in range(array.shape[1])] if wide else [base]
        if not all(column in self._beside for column in names):
            self.columns += _columns(array, names)
            for k, column in enumerate(names):
                self._beside[column] = (array, k if len(array.shape) == 2 else None)
        return tuple(names)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[MatrixBatch]:
        used = {name: self._beside[name] for name in names if name in self._beside}
        arrays = list({id(array): array for array, _ in used.values()}.values())
        streams = {id(array): array.slabs(rows) for array in arrays}
        first = 0
        for slab in self._X.slabs(rows):
            matrix = slab.reshape(len(slab), -1)
            others = {key: next(stream) for key, stream in streams.items()}
            beside = {
                name: others[id(array)] if k is None else others[id(array)][:, k]
                for name, (array, k) in used.items()
            }
            yield MatrixBatch(self.path, first, len(slab), matrix, self._positions, beside)
            first += len(slab)


def _columns(array: RowArray, names: Sequence[str]) -> tuple[Column, ...]:
    dtype = np.dtype(array.dtype)
    if dtype.kind in "SUO":
        return tuple(Column(name, "text", np.dtype(object), str(dtype)) for name in names)
    if dtype.kind not in "buif":
        return tuple(Column(name, "other", np.dtype(object), str(dtype)) for name in names)
    number = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    return tuple(Column(name, "number", number, str(dtype)) for name in names)


def _plain(block: np.ndarray) -> np.ndarray:
    """Native byte order; bool as uint8."""
    if block.dtype.kind == "b":
        return block.astype(np.uint8)
    return block.astype(block.dtype.newbyteorder("="), copy=False)


def _decode(values: np.ndarray, batch: MatrixBatch, name: str) -> np.ndarray:
    """Bytes or objects (as HDF5 gives text) as strings."""
    out = []
    for row, value in enumerate(values.tolist()):
        if not isinstance(value, (bytes, str)):
            raise ValueFound(
                f"{batch.file}: row {batch.first_row + row}, column {name}: "
                f"found {value!r}, expected text."
            )
        try:
            out.append(value.decode("utf-8") if isinstance(value, bytes) else value)
        except UnicodeDecodeError:  # replaced, two texts could become one class
            raise ValueFound(
                f"{batch.file}: row {batch.first_row + row}, column {name}: found {value[:40]!r}, "
                "expected UTF-8 text."
            ) from None
    return np.array(out, dtype=str)
