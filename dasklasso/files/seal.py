"""Seals: one digest over a document and the files that it speaks for.

A document is a JSON object that says what the files beside it mean: a model's ``model.json``, the
manifest of a dataset, what a checkpoint or stored moments say about themselves. Each file alone
has its checksum; a seal protects what stands between them: an altered number, two chunks that
changed places, a type renamed in an array's metadata, a file that is missing or foreign.

Write, as the last step before the folder is published::

    document = sealed({"version": 2, ...}, files_in(folder, leave_out={"model.json"}))

Read, before anything in the document is used::

    check_seal(document, where=str(path), error=ModelError)
    check_files(document["files"], files_in(folder, leave_out={"model.json"}), where=..., error=...)

``sealed`` adds two entries: ``"files"``, a digest for each name (any names and digests will do: of
files, of arrays, of a list of checksums), and ``"seal"``, the digest of all the rest. A document
whose version says that it has a seal is refused without one, and versions are part of what is
sealed, so that deleting a seal does not make an older document of a new one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from dasklasso.errors import DasklassoError
from dasklasso.files.documents import one_line
from dasklasso.files.regular import open_regular

FILES = "files"
SEAL = "seal"
CHECKSUM_BYTES = 4
READ_BYTES = 1 << 20  # of a file at a time
METADATA = "zarr.json"


def sealed(document: Mapping[str, Any], files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a document with the digests of its files and with its seal.

    Parameters
    ----------
    document : dict of JSON types
    files : dict of name to digest, optional
        As :func:`files_in` gives them. None: the document speaks for itself only.
    """
    plain = {name: value for name, value in document.items() if name != SEAL}
    if files is not None:
        plain[FILES] = dict(sorted(files.items()))
    return {**plain, SEAL: digest_of(plain)}


def check_seal(document: Mapping[str, Any], *, where: str, error: type[DasklassoError]) -> None:
    """Refuse a document that is not as it was sealed.

    Parameters
    ----------
    where : str
        How the message names the document.
    error : class of the exception to raise

    Raises
    ------
    DasklassoError
        There is no seal, or something in the document was changed since it was sealed.
    """
    seal = document.get(SEAL)
    if not isinstance(seal, str):
        raise error(f"{where}: has no seal, which its version must have: it was changed by hand.")
    if digest_of({name: value for name, value in document.items() if name != SEAL}) != seal:
        raise error(
            f"{where}: was changed since it was written: its seal does not fit what it says."
        )


def check_files(
    listed: Any,
    found: Mapping[str, str],
    *,
    where: str,
    error: type[DasklassoError],
) -> None:
    """Refuse files that are not those of the document, whose seal was checked.

    Parameters
    ----------
    listed : dict of name to digest
        ``document["files"]``.
    found : dict of name to digest
        Of what is there now, made as when the document was sealed.
    where : str
        How the message names the folder.

    Raises
    ------
    DasklassoError
        Names the first file that is missing, changed or foreign.
    """
    if not isinstance(listed, Mapping):
        raise error(f"{where}: does not list its files, which its version must do.")
    for name, digest in listed.items():
        if name not in found:
            raise error(f"{where}/{one_line(name)} is missing.")
        if found[name] != digest:
            raise error(
                f"{where}/{one_line(name)} was changed or replaced since it was written: found "
                f"{one_line(found[name])}, expected {one_line(digest)}."
            )
    foreign = found.keys() - listed.keys()
    if foreign:
        raise error(
            f"{where}/{one_line(min(foreign))} is no file of {where}: it was put there later."
        )


def files_in(
    folder: str | os.PathLike[str], *, leave_out: Iterable[str] = (), verify_chunks: bool = False
) -> dict[str, str]:
    """Return a digest of every file below a folder, by its path from there.

    A chunk of ours ends in the crc32c of what stands before it, which whoever reads the chunk
    verifies: its digest is that checksum with its length, so nothing else of it is read here.
    That of any other file is the SHA-256 of its bytes.

    Parameters
    ----------
    leave_out : names of files in the folder itself
        Beside these, names that begin with a dot: systems put such files into folders.
    verify_chunks : bool
        Read chunks too: one whose checksum does not fit has another digest than any sound one.

    Raises
    ------
    OSError
    """
    root = Path(folder)
    left_out = set(leave_out)
    found = {}
    for at, folders, names in os.walk(root, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            path = Path(at, name)
            place = path.relative_to(root)
            if place.as_posix() in left_out or name.startswith("."):
                continue
            is_chunk = "c" in place.parts[:-1] and name != METADATA
            found[place.as_posix()] = (
                _chunk_digest(path, verify=verify_chunks) if is_chunk else _file_digest(path)
            )
    return found


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value: the same before it is written and after it is read.

    It does not depend on the order of keys or on blanks. Lists of floats are digested as binary
    numbers: as text they would take most of the time.

    Raises
    ------
    RecursionError
        The value is nested too deeply.
    """
    sha = hashlib.sha256()
    _take_in(sha, value)
    return "sha256:" + sha.hexdigest()


def _take_in(sha: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        sha.update(b"{%d " % len(value))
        for key in sorted(value):
            sha.update(json.dumps(key).encode() + b":")
            _take_in(sha, value[key])
        return
    kinds = set(map(type, value)) if isinstance(value, list | tuple) else set()
    if kinds and all(issubclass(kind, float) for kind in kinds):
        numbers = np.array(value, dtype="<f8")
        if np.isfinite(numbers).all():  # there is more than one NaN
            sha.update(b"<f8%d " % len(value))
            sha.update(numbers)
            return
    if any(issubclass(kind, list | tuple | Mapping) for kind in kinds):
        sha.update(b"[%d " % len(value))
        for entry in value:
            _take_in(sha, entry)
        return
    sha.update(json.dumps(value).encode() + b",")


def _file_digest(path: Path) -> str:
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"{file.tell()} bytes sha256 {digest}"


def _chunk_digest(path: Path, *, verify: bool) -> str:
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        payload = max(0, size - CHECKSUM_BYTES)
        file.seek(payload)
        checksum = file.read(CHECKSUM_BYTES)
        if not verify:
            return f"{size} bytes crc32c {checksum.hex()}"
        file.seek(0)
        computed = 0
        for start in range(0, payload, READ_BYTES):
            part = file.read(min(READ_BYTES, payload - start))
            computed = google_crc32c.extend(computed, part)
    sound = computed.to_bytes(CHECKSUM_BYTES, "little") == checksum
    return f"{size} bytes crc32c {checksum.hex()}" + ("" if sound else ", which does not fit")


def _raise(error: OSError) -> None:
    raise error
