"""A saved model on disk: a folder of JSON and Zarr, never pickle.

::

    MODEL/
      model.json    scalars, options, versions, the data's fingerprint, names
      coef.zarr/    coef (n_alphas, n_features, n_targets) and a few small arrays, all float64

Any Zarr reader can use ``coef.zarr`` without dasklasso. Every chunk is written and carries a
checksum, so a chunk that is not there is damage, never zeros. ``model.json`` is sealed together
with all files of ``coef.zarr``: what is read is what was written, as a whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasklasso.dataset.checks import NumberedNames
from dasklasso.errors import ModelError, OptionError
from dasklasso.files.atomic import restore, written_beside
from dasklasso.files.documents import read_json, read_text, shown, validate
from dasklasso.files.foreign import foreign_entry
from dasklasso.files.own_folders import MODEL_ARRAYS, MODEL_DOCUMENT
from dasklasso.files.places import input_place, output_place
from dasklasso.files.regular import unreadable
from dasklasso.files.seal import FILES, SEAL, check_files, check_seal, files_in, sealed
from dasklasso.units import format_size

if TYPE_CHECKING:
    import zarr
    from scipy.sparse import csr_array

FORMAT = "dasklasso-model"
VERSION = 2
UNSEALED_VERSION = 1  # of models that are read as they are: nothing says what they were
DOCUMENT = MODEL_DOCUMENT
ARRAYS = MODEL_ARRAYS
MEANS = "feature_means"  # of a model that has a schema
SCALES = "feature_scales"  # of a model whose document says that there are some
NAMES_IN_JSON = 100_000  # more names than this go to Zarr: such a JSON is too long to read
CHUNK_VALUES = 1 << 20  # 8 MiB of float64
MOST_COMPRESSION = 1 << 17  # bytes that a stored byte may stand for; zeros come to some 30,000
_NAME_TYPES = {"feature_names_utf8": np.uint8, "feature_name_ends": np.int64}  # others: float64


def write_model(
    folder: str | Path,
    document: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    coef_rows: csr_array,
    feature_names: Sequence[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write a model folder to a partial one, and rename it when it is complete.

    Parameters
    ----------
    folder : path
    document : dict
        What goes into ``model.json`` besides format, version and names: plain JSON types.
    arrays : dict of small arrays
    coef_rows : (n_alphas * n_targets, n_features) csr_array
        Row ``i_alpha * n_targets + target``; stored as (n_alphas, n_features, n_targets).
    feature_names : sequence of str
    overwrite : bool
        Replace a model that is already there.

    Raises
    ------
    OptionError
        When ``folder`` exists and may not be replaced.
    """
    folder = output_place(folder, "model")
    check_free(folder, overwrite=overwrite)
    with written_beside(folder) as partial:
        partial.mkdir()
        group = _create_group(partial / ARRAYS)
        n_alphas = len(arrays["alphas"])
        _write_coef(group, coef_rows, n_alphas)
        for name, array in arrays.items():
            _write_array(group, name, np.asarray(array, dtype=np.float64))
        names = {"feature_names": _names_in_json(feature_names)}
        if names["feature_names"] is None:
            _write_names(group, feature_names)
        head = {"format": FORMAT, "version": VERSION}
        whole = sealed({**head, **document, **names}, files_in(partial / ARRAYS))
        text = json.dumps(whole, indent=1, ensure_ascii=False)
        (partial / DOCUMENT).write_text(text + "\n", encoding="utf-8")


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a model may not be written to.

    Raises
    ------
    OptionError
        When it exists and ``overwrite`` is false, or it exists and is not a model.
    """
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise OptionError(f"{folder} exists already. Give another name, or overwrite it knowingly.")
    if not folder.exists():
        return  # a link that leads nowhere
    if not (folder / DOCUMENT).is_file():
        raise OptionError(
            f"{folder} is not a model (no {DOCUMENT} in it), so it is not overwritten."
        )
    beside = (one for one in sorted(folder.iterdir()) if one.name not in (DOCUMENT, ARRAYS))
    others = next(beside, None)
    if others is None and (folder / ARRAYS).is_dir():
        others = foreign_entry(folder / ARRAYS)
    if others is not None:
        raise OptionError(
            f"{folder} is not overwritten: {others} in it is not of a model. Move it elsewhere "
            "first."
        )


def _create_group(path: Path) -> zarr.Group:
    import zarr

    return zarr.create_group(str(path), zarr_format=3)


def _create_array(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any
) -> zarr.Array:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        compressors=(ZstdCodec(level=3), Crc32cCodec()),
        config={"write_empty_chunks": True},
    )


def _write_array(group: zarr.Group, name: str, array: np.ndarray) -> None:
    _create_array(group, name, array.shape, array.shape, array.dtype)[...] = array


def _write_coef(group: zarr.Group, rows: csr_array, n_alphas: int) -> None:
    n_features = rows.shape[1]
    n_targets = rows.shape[0] // n_alphas
    width = max(1, min(n_features, CHUNK_VALUES // n_targets))
    coef = _create_array(
        group, "coef", (n_alphas, n_features, n_targets), (1, width, n_targets), "float64"
    )
    coef.attrs["dimension_meaning"] = ["alpha", "feature", "target"]
    for i in range(n_alphas):
        here = rows[i * n_targets : (i + 1) * n_targets]
        for start in range(0, n_features, width):
            stop = min(start + width, n_features)
            coef[i, start:stop, :] = here[:, start:stop].toarray().T


def _names_in_json(names: Sequence[str]) -> Any:
    """Names as JSON keeps them; None: too many, they go to Zarr."""
    if isinstance(names, NumberedNames):
        return {"prefix": names.prefix, "count": len(names)}
    return list(names) if len(names) <= NAMES_IN_JSON else None


def _write_names(group: zarr.Group, names: Sequence[str]) -> None:
    """Names as one run of UTF-8 bytes and where each ends: Zarr v3 has no settled string type."""
    encoded = [name.encode() for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    flat = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    for key, array in (("feature_names_utf8", flat), ("feature_name_ends", ends)):
        chunks = (min(len(array), 1 << 22),)
        _create_array(group, key, array.shape, chunks, array.dtype)[...] = array


def read_model(
    folder: str | Path, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray], csr_array]:
    """Read what :func:`write_model` wrote.

    Parameters
    ----------
    folder : path
    names : sequence of str
        The small arrays to read beside ``coef``.

    Returns
    -------
    document : dict
        With ``feature_names``, wherever they were written.
    arrays : dict
        Also ``feature_means`` of a model that has a schema, and ``feature_scales`` of one whose
        document says so.
    coef_rows : (n_alphas * n_targets, n_features) csr_array

    Raises
    ------
    ModelError
        Names the file that is missing, foreign or damaged.
    """
    folder = Path(input_place(folder, "model"))
    restore(folder)  # the process that replaced it may have been killed in between
    document = _read_document(folder)
    path = folder / ARRAYS
    import zarr

    from dasklasso.storage.local_files import local_files

    try:
        if document["version"] != UNSEALED_VERSION:
            check_files(document.get(FILES), files_in(path), where=str(path), error=ModelError)
        group = zarr.open_group(local_files(path), mode="r", zarr_format=3, use_consolidated=False)
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(unreadable(error, path)) from error
    except Exception as error:
        raise ModelError(f"{path} cannot be opened: {_line(error)}.") from error
    wanted = [*names, *([] if document.get("schema") is None else [MEANS])]
    wanted += [SCALES] if document.get("feature_scales") else []
    arrays = {name: _read_whole(_array(group, name, path), path / name) for name in wanted}
    known = document.get("feature_names")
    if known is None:
        document["feature_names"] = _read_names(group, path)
    elif isinstance(known, dict):
        document["feature_names"] = NumberedNames(str(known["prefix"]), int(known["count"]))
    coef = _array(group, "coef", path)
    n_features, n_targets = len(document["feature_names"]), len(document["target_names"])
    expected = (len(arrays["alphas"]), n_features, n_targets)
    if coef.shape != expected:
        raise ModelError(f"{path / 'coef'} has shape {coef.shape}, expected {expected}.")
    return document, arrays, _read_coef(coef, path / "coef")


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / DOCUMENT
    try:
        text = read_text(path, error=ModelError)
    except FileNotFoundError:
        what = "there is no such folder" if not folder.exists() else f"it has no {DOCUMENT}"
        raise ModelError(f"{folder} is not a saved model: {what}.") from None
    except NotADirectoryError:
        raise ModelError(f"{folder} is a file, expected the folder of a saved model.") from None
    except OSError as error:
        raise ModelError(unreadable(error, path)) from error
    where = str(path)
    # models of the first version may have the gap of a fold that no scan certified, as Infinity
    document = read_json(text, where=where, error=ModelError, nonfinite=True)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f'{path} is not a dasklasso model: expected "format": "{FORMAT}".')
    version = document.get("version")
    if type(version) is not int or version not in (UNSEALED_VERSION, VERSION):
        raise ModelError(f"{path}: model version {shown(version)}, this dasklasso reads {VERSION}.")
    if version != UNSEALED_VERSION or SEAL in document:
        check_seal(document, where=where, error=ModelError)
    from dasklasso.model.document import ModelDocument

    validate(ModelDocument, document, where=where, error=ModelError)
    return document


def _array(group: zarr.Group, name: str, path: Path) -> zarr.Array:
    import zarr

    try:
        array = group[name]
    except Exception as error:
        raise ModelError(f"{path / name} is missing or damaged: {_line(error)}.") from error
    if not isinstance(array, zarr.Array):
        raise ModelError(f"{path / name} is a group, expected an array.")
    expected = np.dtype(_NAME_TYPES.get(name, np.float64))
    if array.dtype != expected:
        raise ModelError(f"{path / name} has dtype {array.dtype}, expected {expected}.")
    stored = sum(file.stat().st_size for file in (path / name).rglob("*") if file.is_file())
    bounded = 0 < array.nbytes <= MOST_COMPRESSION * stored
    if array.ndim == 0 or 0 in array.chunks or not bounded:
        raise ModelError(
            f"{path / name} has shape {array.shape} in chunks of {array.chunks}, expected no more "
            f"than {format_size(stored)} of files can hold."
        )
    return array


def _read_whole(array: zarr.Array, path: Path) -> np.ndarray:
    return _read_part(array, path, tuple(slice(0, n) for n in array.shape))


def _read_part(array: zarr.Array, path: Path, part: tuple[slice, ...]) -> np.ndarray:
    """Read a part, after making sure that every chunk it touches is there."""
    for key in _chunk_keys(array, part):
        if not (path / key).is_file():
            raise ModelError(f"{path / key} is missing; Zarr would read it as zeros. Fit again.")
    try:
        return np.asarray(array[part])
    except Exception as error:
        first = next(_chunk_keys(array, part), "zarr.json")
        raise ModelError(f"{path / first} is damaged: {_line(error)}. Fit again.") from error


def _chunk_keys(array: zarr.Array, part: tuple[slice, ...]) -> Iterator[str]:
    from itertools import product

    spans = [
        range(cut.start // chunk, -(-cut.stop // chunk))
        for cut, chunk in zip(part, array.chunks, strict=True)
    ]
    return (array.metadata.encode_chunk_key(index) for index in product(*spans))


def _read_coef(coef: zarr.Array, path: Path) -> csr_array:
    from scipy.sparse import csr_array, hstack, vstack

    n_alphas, n_features, n_targets = coef.shape
    width = coef.chunks[1]
    rows = []
    for i in range(n_alphas):
        pieces = []
        for start in range(0, n_features, width):
            stop = min(start + width, n_features)
            block = _read_part(
                coef, path, (slice(i, i + 1), slice(start, stop), slice(0, n_targets))
            )
            pieces.append(csr_array(block[0].T))
        rows.append(pieces[0] if len(pieces) == 1 else hstack(pieces, format="csr"))
    return csr_array(vstack(rows, format="csr"))


def _read_names(group: zarr.Group, path: Path) -> list[str]:
    flat, ends = (
        _read_whole(_array(group, key, path), path / key)
        for key in ("feature_names_utf8", "feature_name_ends")
    )
    data = flat.tobytes()
    starts = np.concatenate([[0], ends[:-1]])
    if flat.ndim != 1 or ends.ndim != 1 or np.any(ends < starts) or ends[-1] != len(data):
        raise ModelError(f"{path / 'feature_name_ends'} does not fit feature_names_utf8.")
    try:
        return [data[a:b].decode() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    except UnicodeDecodeError as error:
        raise ModelError(f"{path / 'feature_names_utf8'} is not UTF-8: {error}.") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
