"""Input tables, one module per format, all read as batches of rows in bounded memory."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from dasklasso.dataset.sources.base import Batch, Column, Expected, Source
from dasklasso.errors import OptionError, SourceError
from dasklasso.files.places import input_place, is_url
from dasklasso.files.regular import special_kind
from dasklasso.files.zarr_files import is_zarr

CALLS = "call_genotype"  # the array by which a VCF in Zarr is told

__all__ = [
    "CALLS",
    "Batch",
    "Column",
    "Expected",
    "Source",
    "array_format",
    "looks_like_table",
    "open_source",
]

_TABLES = {
    ".parquet": "parquet", ".pq": "parquet", ".parq": "parquet",
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".npy": "npy", ".npz": "npy",
    ".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5", ".h5ad": "h5ad",
    ".svm": "svmlight", ".svmlight": "svmlight", ".libsvm": "svmlight",
    ".bed": "plink", ".pgen": "pgen",
}  # fmt: skip
_COMPRESSED = {".gz": ("csv", "svmlight"), ".bz2": ("csv", "svmlight"), ".zst": ("csv",)}
_MANY = ("parquet", "csv")  # formats of which a folder or a glob is one table


def open_source(
    path: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    memory: int = 1 << 30,
    scratch: str | None = None,
    expected: Expected | None = None,
) -> Source:
    """Open an input table; its format is told by the name's ending.

    Parameters
    ----------
    path : str or Path
        A file; for Parquet and CSV also a folder or a glob pattern.
    dataset : str, optional
        For HDF5 and NPZ: which array is X.
    memory : int
        Bytes that reading may use.
    scratch : str, optional
        Folder for a scratch file, which wide Parquet files need; by default Python's.
    expected : Expected, optional
        What is known of the columns beforehand.

    Raises
    ------
    SourceError
        Nothing is there, the format is unknown, or the file cannot be read.
    OptionError
        ``dataset`` was given for a format that has none.
    DependencyMissing
        h5py is needed and not installed.
    """
    text = input_place(path, "source")
    if is_url(text):
        raise SourceError(f"{text}: is a URL, and tables are read from local files: copy it first.")
    expected = expected or Expected()
    from dasklasso.dataset.sources.declared import declared

    return declared(_open(text, dataset, memory, scratch, expected), expected)


def _open(
    text: str, dataset: str | None, memory: int, scratch: str | None, expected: Expected
) -> Source:
    """Open a table as it is."""
    if is_vcf_zarr(Path(text)):
        from dasklasso.dataset.sources.vcf_zarr import VcfZarrSource

        _refuse_dialect(text, "vcf_zarr", expected)
        _refuse_dataset(text, "vcf_zarr", dataset)
        return VcfZarrSource(Path(text), memory=memory)
    files = _files(text)
    kind = _format(files[0])
    for file in files[1:]:
        if _format(file) != kind:
            raise SourceError(f"{file}: is {_format(file)}, expected {kind} as {files[0]} is.")
    if len(files) > 1 and kind not in _MANY:
        raise SourceError(f"{text}: {len(files)} {kind} files, expected one.")
    if kind != "csv":
        _refuse_dialect(text, kind, expected)
    if array_format(files[0]) is None:
        _refuse_dataset(text, kind, dataset)

    if kind == "parquet":
        from dasklasso.dataset.sources.parquet import ParquetSource

        as_is = [name for name in expected.as_is if name not in expected.numbers]
        as_is += expected.reading.categories
        return ParquetSource(text, files, memory=memory, scratch=scratch, as_is=as_is)
    if kind == "csv":
        from dasklasso.dataset.sources.csv import CsvSource

        return CsvSource(text, files, expected)
    if kind == "npy":
        from dasklasso.dataset.sources.npy import open_npy

        return open_npy(files[0], array=dataset, memory=memory)
    if kind == "hdf5":
        from dasklasso.dataset.sources.hdf5 import open_hdf5

        return open_hdf5(files[0], dataset=dataset)
    if kind == "h5ad":
        from dasklasso.dataset.sources.anndata import open_h5ad

        return open_h5ad(files[0], dataset=dataset)
    if kind == "plink":
        from dasklasso.dataset.sources.plink import PlinkSource

        return PlinkSource(files[0], memory=memory)
    if kind == "pgen":
        from dasklasso.dataset.sources.pgen import PgenSource

        return PgenSource(files[0], memory=memory)
    from dasklasso.dataset.sources.svmlight import SvmlightSource

    return SvmlightSource(files[0], expected)


def is_vcf_zarr(path: Path) -> bool:
    """Tell whether a path is of a folder of a VCF's genotypes in Zarr."""
    return (path / CALLS).is_dir()


def _refuse_dialect(text: str, kind: str, expected: Expected) -> None:
    """Refuse options of CSV for other formats, unless they are those of a schema."""
    if expected.columns_are_known:
        return
    for option in ("separator", "encoding", "quote"):
        if (value := getattr(expected.reading, option)) is not None:
            raise OptionError(f"--{option} {value!r}: {text} is {kind}, expected CSV.")


def _refuse_dataset(text: str, kind: str, dataset: str | None) -> None:
    if dataset is not None:
        raise OptionError(f"--dataset {dataset}: {text} is {kind}, expected HDF5 or NPZ.")


def array_format(path: str | os.PathLike[str]) -> str | None:
    """The format of a file that holds several arrays by name, such as "npz"; None of others."""
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return "npz"
    kind = _TABLES.get(suffix)
    return kind if kind in ("hdf5", "h5ad") else None


def looks_like_table(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path, folder or pattern is of an input table, and not of a Zarr store.

    Names with the endings of tables are taken for tables also where nothing is there.
    """
    text = input_place(path, "source")
    if is_url(text):
        return False
    here = Path(text)
    if here.is_dir():
        if is_vcf_zarr(here):
            return True
        if is_zarr(here):
            return False
        return any(file.is_file() and _known(file) in _MANY for file in here.rglob("*"))
    return _known(here) is not None or (glob.has_magic(text) and not here.exists())


def _files(text: str) -> list[Path]:
    """Return the files that a path, folder or pattern stands for, in order of their names."""
    path = Path(text)
    if (kind := special_kind(path)) is not None:
        raise SourceError(
            f"{text}: is a {kind}, and tables are read more than once: write it to a file first."
        )
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and not any(p.startswith((".", "_")) for p in file.relative_to(path).parts)
            and _known(file) in _MANY
        )
        if not found:
            raise SourceError(f"{text}: no Parquet or CSV files are in this folder.")
        return found
    matches = sorted(Path(match) for match in glob.glob(text, recursive=True))
    matches = [match for match in matches if match.is_file()]
    if not matches:
        what = "no file matches this pattern" if glob.has_magic(text) else "does not exist"
        raise SourceError(f"{text}: {what}.")
    return matches


def _known(file: Path) -> str | None:
    suffix = file.suffix.lower()
    if suffix in _COMPRESSED:
        inner = _TABLES.get(Path(file.stem).suffix.lower())
        return inner if inner in _COMPRESSED[suffix] else None
    return _TABLES.get(suffix)


def _format(file: Path) -> str:
    kind = _known(file)
    if kind is None:
        raise SourceError(
            f"{file}: the ending {''.join(file.suffixes[-2:]) or '(none)'} is not known, expected "
            ".parquet, .csv, .tsv (also .gz), .npy, .npz, .h5, .hdf5, .h5ad, .svm, .svmlight, "
            ".libsvm, .bed or .pgen."
        )
    return kind
