"""AnnData's .h5ad: a dense matrix, named by the variables, with what is known of the observations.

The layout is that of AnnData's on-disk format 0.1.0: ``X`` or ``layers/NAME``, and the groups
``obs`` and ``var``, whose attribute ``_index`` names the dataset of their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.sources.base import one_line, refuse_duplicates, suggest
from dasklasso.dataset.sources.hdf5 import Hdf5Rows, opened_hdf5
from dasklasso.dataset.sources.matrix import MatrixSource, RowArray
from dasklasso.errors import SourceError

_X = "X"


class CategoryRows:
    """A column of obs that is stored as codes of categories; texts, empty where one is missing."""

    dtype = np.dtype(object)

    def __init__(self, codes: Hdf5Rows, categories: np.ndarray, name: str) -> None:
        self.where, self.shape, self.name = codes.where, codes.shape, name
        self._codes = codes
        self._texts = np.array([*(str(one) for one in categories), ""], dtype=object)

    def slabs(self, rows: int) -> Iterator[np.ndarray]:
        for codes in self._codes.slabs(rows):
            yield self._texts[codes.astype(np.int64)]  # code -1 is the last


def open_h5ad(file: Path, *, dataset: str | None) -> MatrixSource:
    """Open the matrix X, or the one that ``dataset`` names, of a file that AnnData wrote.

    Columns of obs are targets, weights and the like by their names; they are no features.

    Raises
    ------
    SourceError
        The file is none of AnnData's, its matrix is sparse or not there, or names occur twice.
    DependencyMissing
        h5py is not installed.
    """
    path = (dataset or _X).strip("/")
    with opened_hdf5(file) as opened:
        try:
            X, names = _matrix(file, opened, path), _names(file, opened)
            columns = _columns(file, opened["obs"])
        except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
            raise SourceError(f"{file}: is not as AnnData writes it: {one_line(error)}") from error
    if len(names) != X.shape[-1]:
        raise SourceError(f"{X.where}: has {X.shape[-1]:,} columns, and var has {len(names):,}.")
    X.refuse_fault()

    def find(name: str) -> RowArray | None:
        return columns.get(name.removeprefix("obs/"))

    return MatrixSource("h5ad", X, find=find, names=names)


def _matrix(file: Path, opened: Any, path: str) -> Hdf5Rows:
    found = opened.get(path)
    if found is None:
        known = [_X, *(f"layers/{name}" for name in opened.get("layers", ()))]
        raise SourceError(f"{file}: has no matrix /{path}. {suggest(path, known)}")
    if not hasattr(found, "shape"):
        kind = found.attrs.get("encoding-type", "a group")
        raise SourceError(
            f"{file}:/{path}: is {kind}, expected a dense matrix: adata.X = adata.X.toarray()."
        )
    return Hdf5Rows(file, path, found)


def _names(file: Path, opened: Any) -> list[str]:
    """Return the names of the variables."""
    var = opened["var"]
    names = [_text(one) for one in var[_text(var.attrs["_index"])][...]]
    refuse_duplicates(names, f"{file}:/var", " adata.var_names_make_unique() makes them so.")
    return names


def _columns(file: Path, obs: Any) -> dict[str, RowArray]:
    """Return the columns of obs whose types are known here, by name."""
    found: dict[str, RowArray] = {}
    for name, item in obs.items():
        path = f"obs/{name}"
        if hasattr(item, "shape"):
            found[name] = Hdf5Rows(file, path, item)
        elif "codes" in item and "categories" in item:
            codes = Hdf5Rows(file, f"{path}/codes", item["codes"])
            categories = np.array([_text(one) for one in item["categories"][...]], dtype=object)
            found[name] = CategoryRows(codes, categories, name)
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
