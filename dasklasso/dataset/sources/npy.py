"""NumPy's NPY files (mapped) and NPZ archives (members mapped, or inflated as a stream)."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from dasklasso.dataset.sources.base import one_line, suggest
from dasklasso.dataset.sources.matrix import MatrixSource, RowArray
from dasklasso.errors import MemoryLimitError, SourceError
from dasklasso.files.regular import open_regular, why

_X_NAMES = ("X", "data", "x", "arr_0")
_Y_NAMES = ("y", "target", "labels", "arr_1")
_VERIFIED_BYTES = 8 << 20  # at a time
_LONGEST_HEADER_BYTES = 10_000  # of an NPY array
_LOCAL_HEADER = 30  # bytes of a zip member's local header, before its name and extra field


class MappedRows:
    """An array whose bytes lie in a file as they are."""

    def __init__(
        self, file: Path, offset: int, header: tuple[tuple[int, ...], bool, np.dtype], name: str,
        where: str,
    ) -> None:  # fmt: skip
        self.where = where
        self.name = name
        self.shape, self._fortran, self.dtype = header
        self._file = file
        self._offset = offset
        stored = offset + _stored_bytes(header)
        if file.stat().st_size < stored:
            raise SourceError(
                f"{where}: has {file.stat().st_size} bytes, expected at least {stored}: "
                "the file is cut off."
            )

    def slabs(self, rows: int) -> Iterator[np.ndarray]:
        if 0 in self.shape:
            return
        order = "F" if self._fortran else "C"
        for start in range(0, self.shape[0], rows):
            # mapped anew each time, so that pages read long ago are released
            mapped = np.memmap(self._file, self.dtype, "r", self._offset, self.shape, order=order)  # type: ignore[call-overload]
            yield np.array(mapped[start : start + rows])
            del mapped


class InflatedRows:
    """A compressed member of an NPZ archive, in C order, inflated as it is read."""

    def __init__(
        self, file: Path, member: str, header: tuple[tuple[int, ...], bool, np.dtype], name: str
    ) -> None:
        self.where = f"{file}:{name}"
        self.name = name
        self.shape, self._fortran, self.dtype = header
        self._file = file
        self._member = member

    def slabs(self, rows: int) -> Iterator[np.ndarray]:
        with zipfile.ZipFile(self._file) as archive, archive.open(self._member) as stream:
            _header(stream, self.where)
            if self._fortran and len(self.shape) > 1:
                data = _inflated(stream, -1, self.where)
                if len(data) != _stored_bytes((self.shape, self._fortran, self.dtype)):
                    raise SourceError(f"{self.where}: has not the size that its header says.")
                whole = np.frombuffer(data, self.dtype).reshape(self.shape, order="F")
                for start in range(0, self.shape[0], rows):
                    yield whole[start : start + rows]
                return
            row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                data = _inflated(stream, count * row_bytes, self.where)
                if len(data) != count * row_bytes:
                    raise SourceError(f"{self.where}: ends after row {start}, it is cut off.")
                yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])


def _inflated(stream: IO[bytes], count: int, where: str) -> bytes:
    """Return the next bytes of a member, whose checksum is compared at its end."""
    try:
        return stream.read(count)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{where}: cannot be inflated: {one_line(error)}") from error


def open_npy(file: Path, *, array: str | None, memory: int) -> MatrixSource:
    """Open an NPY file, or an NPZ archive with X (``array``, else X or data) inside.

    Raises
    ------
    SourceError
        The file is not NPY or NPZ, or holds no such array, or Python objects.
    MemoryLimitError
        A compressed array in Fortran order, which must be inflated whole, exceeds the memory.
    """
    if file.suffix.lower() == ".npy":
        return MatrixSource("npy", _npy(file), find=lambda name: _beside(file, name))

    members = _members(file)
    name = array or next((n for n in _X_NAMES if n in members), None)
    if name is None or name not in members:
        raise SourceError(
            f"{file}: has no array {name or 'X'!r}. {suggest(name or 'X', list(members))}"
        )
    target = next((n for n in _Y_NAMES if n in members and n != name), None)

    def find(wanted: str) -> RowArray | None:
        inner = wanted.removeprefix("npz:")
        if inner in members:
            return _npz(file, members[inner], inner, memory)
        return _beside(file, wanted)

    X = _npz(file, members[name], name, memory)
    return MatrixSource("npz", X, find=find, default_target=target)


def _beside(file: Path, name: str) -> RowArray | None:
    """Another NPY file, named as from here or as from the folder of the first."""
    for candidate in (Path(name), file.parent / name):
        if candidate.suffix.lower() == ".npy" and candidate.is_file():
            return _npy(candidate)
    return None


def _npy(file: Path) -> MappedRows:
    try:
        with open_regular(file) as stream:
            header = _header(stream, str(file))
            offset = stream.tell()
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {why(error)}.") from error
    return MappedRows(file, offset, header, file.stem, str(file))


def _members(file: Path) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise SourceError(f"{file}: is not a readable NPZ archive: {one_line(error)}") from error
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise SourceError(f"{file}: has two arrays of the name {name!r}, expected one.")
        members[name] = info
    return members


def _npz(file: Path, info: zipfile.ZipInfo, name: str, memory: int) -> RowArray:
    where = f"{file}:{name}"
    is_stored = info.compress_type == zipfile.ZIP_STORED
    try:
        with zipfile.ZipFile(file) as archive, archive.open(info) as stream:
            header = _header(stream, where)
            header_bytes = stream.tell()
            while is_stored and stream.read(_VERIFIED_BYTES):
                pass  # the archive's checksum is compared at the end; later it is read as a map
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{where}: is damaged: {one_line(error)}") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or another compression
        raise SourceError(f"{where}: cannot be read: {one_line(error)}") from error
    if is_stored:
        with open_regular(file) as raw:
            raw.seek(info.header_offset)
            local = raw.read(_LOCAL_HEADER)
        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        offset = info.header_offset + _LOCAL_HEADER + lengths + header_bytes
        return MappedRows(file, offset, header, name, where)
    if header[1] and len(header[0]) > 1 and info.file_size > memory // 4:
        raise MemoryLimitError(
            f"{where}: a compressed array in Fortran order must be inflated whole: "
            f"{info.file_size >> 20} MiB of {memory >> 20} MiB memory. "
            "Save it in C order or uncompressed, or give more memory."
        )
    return InflatedRows(file, info.filename, header, name)


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = npy_format.read_magic(stream)
        read = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
            (3, 0): npy_format.read_array_header_2_0,  # as 2.0, but for names of fields in UTF-8
        }.get(version)
        if read is None:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = read(stream, max_header_size=_LONGEST_HEADER_BYTES)
        if any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"the shape is {shape}")
    except SourceError:
        raise
    except Exception as error:  # the header is Python's own spelling: parsers fail in many ways
        if "header" in str(error) and "is large" in str(error):
            raise SourceError(
                f"{where}: has a header of more than {_LONGEST_HEADER_BYTES:,} bytes."
            ) from None
        raise SourceError(f"{where}: is not a readable NPY array: {one_line(error)}") from error
    if dtype.hasobject or dtype.names:
        raise SourceError(
            f"{where}: holds {dtype}, expected numbers (objects are never unpickled)."
        )
    if not shape or shape[0] == 0:
        raise SourceError(f"{where}: has no rows (shape {shape}).")
    return shape, fortran, dtype


def _stored_bytes(header: tuple[tuple[int, ...], bool, np.dtype]) -> int:
    """Return the size of an array by its header; in Python's integers, which do not overflow."""
    return math.prod(header[0]) * header[2].itemsize
