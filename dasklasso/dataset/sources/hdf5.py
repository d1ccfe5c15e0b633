"""HDF5: a two-dimensional dataset, with the target in another dataset of the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.sources.base import one_line, suggest
from dasklasso.dataset.sources.matrix import MatrixSource, RowArray
from dasklasso.errors import DependencyMissing, SourceError

_X_NAMES = ("X", "data")
_Y_NAMES = ("y", "target")


class Hdf5Rows:
    """A dataset of an HDF5 file, read by rows."""

    def __init__(self, file: Path, path: str, dataset: Any) -> None:
        self.where = f"{file}:/{path}"
        self.name = path.rsplit("/", 1)[-1]
        self.shape = tuple(dataset.shape)
        self.dtype = np.dtype(dataset.dtype)
        self._file = file
        self._path = path
        self.fault = _fault(dataset)
        if not self.shape or self.shape[0] == 0:
            raise SourceError(f"{self.where}: has no rows (shape {self.shape}).")

    def slabs(self, rows: int) -> Iterator[np.ndarray]:
        self.refuse_fault()
        with opened_hdf5(self._file) as opened:
            try:
                dataset = opened[self._path]
            except (KeyError, OSError, RuntimeError) as error:
                raise SourceError(f"{self.where}: cannot be opened: {one_line(error)}") from error
            for start in range(0, self.shape[0], rows):
                try:
                    yield np.asarray(dataset[start : start + rows])
                except (OSError, RuntimeError, ValueError) as error:
                    raise SourceError(
                        f"{self.where}: rows from {start} cannot be read: {one_line(error)}"
                    ) from error

    def refuse_fault(self) -> None:
        """Refuse a dataset whose values are not all in the file.

        Raises
        ------
        SourceError
        """
        if self.fault:
            raise SourceError(f"{self.where}: {self.fault}")


def _fault(dataset: Any) -> str:
    """Say why a dataset's values are not all in its file: HDF5 would read others in their place."""
    if dataset.is_virtual:
        return "is virtual: its values are in other files. Copy them into one dataset."
    if dataset.external:
        return "has its values in another file, which is not read. Copy them into one dataset."
    if dataset.chunks is None:
        stored = dataset.id.get_storage_size() > 0 or dataset.size == 0
        return "" if stored else "has no values stored, only a shape: HDF5 would read zeros."
    there = dataset.id.get_num_chunks()
    chunks = zip(dataset.shape, dataset.chunks, strict=True)
    expected = math.prod(-(-n // chunk) for n, chunk in chunks)
    if there == expected:
        return ""
    return (
        f"{expected - there:,} of {expected:,} chunks are not in the file: HDF5 would read the "
        "fill value in their place. Write them."
    )


def open_hdf5(file: Path, *, dataset: str | None) -> MatrixSource:
    """Open the dataset X of an HDF5 file: ``dataset``, else X or data, else the only matrix.

    Raises
    ------
    SourceError
        The file is not HDF5 or has no such dataset.
    DependencyMissing
        h5py is not installed.
    """
    with opened_hdf5(file) as opened:
        import h5py

        found: dict[str, Any] = {}

        def visit(path: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[path] = Hdf5Rows(file, path, item) if item.size else None

        try:
            opened.visititems(visit)
        except SourceError:
            raise
        except Exception as error:  # h5py says in many ways that a file is damaged
            raise SourceError(f"{file}: is damaged: {one_line(error)}") from error

    matrices = [path for path, rows in found.items() if rows and len(rows.shape) == 2]
    wanted = dataset.strip("/") if dataset else next((n for n in _X_NAMES if n in found), None)
    if wanted is None and len(matrices) == 1:
        wanted = matrices[0]
    if wanted is None or wanted not in found:
        raise SourceError(
            f"{file}: has no dataset /{wanted or 'X'}. "
            f"{suggest(wanted or 'X', list(found))} Name one with --dataset."
        )
    if found[wanted] is None:
        raise SourceError(f"{file}:/{wanted}: has no rows.")

    def find(name: str) -> RowArray | None:
        rows = found.get(name.strip("/"))
        if rows is not None:
            rows.refuse_fault()
        return rows

    found[wanted].refuse_fault()
    folder = wanted.rpartition("/")[0]
    target = next(
        (p for n in _Y_NAMES if (p := f"{folder}/{n}".strip("/")) in found and p != wanted), None
    )
    return MatrixSource("hdf5", found[wanted], find=find, default_target=target)


def opened_hdf5(file: Path) -> Any:
    """Open an HDF5 file for reading; it is a context manager.

    Raises
    ------
    SourceError
        It cannot be read.
    DependencyMissing
        h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise DependencyMissing(
            f"{file}: reading HDF5 needs h5py: pip install 'dasklasso[hdf5]'."
        ) from None
    try:
        return h5py.File(file, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise SourceError(f"{file}: is not a readable HDF5 file: {one_line(error)}") from error
