"""Statistics on disk: second moments of the rows, stored so that no other fit scans for them.

::

    STORE.stats/
      3f2a.../       one folder for the data's fingerprint and one way to group rows
        zarr.json    the fingerprint and the scheme, as attributes
        fold block count weight precision mean unit products

Any Zarr reader can use them. Every chunk is written and carries a checksum: one that is missing
is damage, never zeros; the attributes are sealed with all the files. Products are symmetric, so a
row of their upper triangle is stored together with the row that fills it up to n + 1 numbers: rows
i and n − 1 − i. That is half the bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import ChunkCorrupt, DataWarning, OptionError, StoreError
from dasklasso.files.atomic import PartialFolder, remove, sweep
from dasklasso.files.documents import validate
from dasklasso.files.places import output_place
from dasklasso.files.seal import FILES, METADATA, check_files, check_seal, files_in, sealed
from dasklasso.moments.cross_moments import CrossMoments, Precision, not_ones
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.moments.packed_products import packed, packed_chunks, unpacked
from dasklasso.storage.compression import bytes_codecs
from dasklasso.storage.sealed_groups import (
    group_attributes,
    open_sealed_group,
    uncompressed_array,
)
from dasklasso.storage.zarr_blocks import ZarrBlocks

# 1 knew nothing of units and precision, and its float32 products were less exact; 2 had no seal
VERSION = 3
SUFFIX = ".stats"
MOST_SCHEMES = 8  # ways to group rows, for each store
_ATTRIBUTE = "dasklasso_statistics"
_VECTORS = {
    "fold": np.int64,
    "block": np.int64,
    "count": np.int64,
    "weight": np.float64,
    "precision": np.int64,
}


@dataclass(frozen=True)
class Key:
    """The data and the grouping of rows that statistics are of.

    Attributes
    ----------
    fingerprint : str
        Of the data: X, y, weights and folds; and of the chunks that they were read from, where the
        store says which these are (``Dataset.identity``).
    scheme : FoldScheme
    """

    fingerprint: str
    scheme: FoldScheme

    @property
    def name(self) -> str:
        """The folder's name."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "labelling": dataclasses.asdict(self.scheme),
        }


def statistics_folder(location: str, override: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder for the statistics of some data.

    Parameters
    ----------
    location : str
        Of the data, as a :class:`~dasklasso.dataset.dataset.Dataset` has it.
    override : path, optional
        Where the user wants them.

    Returns
    -------
    Path or None
        Next to a local store; None for data that are not in one, or in a part of one.

    Raises
    ------
    OptionError
        When the user wants them within a Zarr store.
    """
    if override is not None:
        place = output_place(override, "stats")
        if _is_zarr(place):
            raise OptionError(f"stats: {place} is a Zarr store; expected a folder of its own")
        return place
    if "://" in location or not _is_zarr(Path(location).expanduser()):
        return None
    store = Path(location).expanduser().resolve()
    if _is_zarr(store.parent):
        return None  # a store of others is not written to
    return store.with_name(store.name + SUFFIX)


def save_moments(folder: Path, grouped: GroupedMoments, key: Key) -> Path:
    """Write statistics to a partial folder, and rename it when it is complete.

    Parameters
    ----------
    folder : Path
        What :func:`statistics_folder` gave.
    grouped : GroupedMoments
    key : Key
        With ``grouped.scheme``.

    Returns
    -------
    Path
        The folder that they are in.

    Raises
    ------
    StoreError
        It cannot be written, or another process is writing it.
    """
    import zarr

    first = grouped.moments[0]
    n = len(first.mean)
    with PartialFolder(folder / key.name, overwrite=True) as place, place.guarded():
        group = zarr.open_group(place.partial, mode="a", zarr_format=3)
        for name, dtype in _VECTORS.items():
            _write(group, name, np.asarray(_vector(grouped, name), dtype=dtype))
        _write(group, "mean", np.stack([m.mean for m in grouped.moments]))
        _write(group, "unit", np.stack([m.units for m in grouped.moments]))
        _write_products(group, grouped.moments)
        shape = {"n_features": n - first.n_targets, "n_targets": first.n_targets}
        head = {**key.to_json(), **shape, "n_groups": len(grouped.moments)}
        files = files_in(place.partial, leave_out={METADATA})
        group.attrs[_ATTRIBUTE] = sealed(head, files)
        place.publish()
    drop_oldest(folder)
    return place.path


def load_moments(folder: Path, key: Key) -> GroupedMoments | None:
    """Load stored statistics.

    Returns
    -------
    GroupedMoments or None
        None where there are none, or where they are damaged: a :class:`DataWarning` then names
        the file, and they are to be computed again.
    """
    place = folder / key.name
    if not place.is_dir():
        return None
    try:
        found = _read(place, key)
        with suppress(OSError):  # a folder that is not ours to write to
            os.utime(place / "zarr.json")
        return found
    except StoreError as error:
        warnings.warn(
            f"kept statistics are damaged and not used: {error}", DataWarning, stacklevel=2
        )
        return None


def find_moments(folder: Path, fingerprint: str, wanted: FoldScheme) -> GroupedMoments | None:
    """Find statistics from which those wanted follow, stored under the same or another scheme.

    Rows in one group, however they are labelled, add up; folds must have been made in the same way:
    what a fit answers must not depend on what an earlier one happened to store.

    Returns
    -------
    GroupedMoments or None
        With the folds wanted, or any where none are; ``n_blocks`` may be larger.
    """
    found = [one for one in stored_keys(folder, fingerprint) if serves(one[0].scheme, wanted)]
    # the very same first, then those that take least reading
    for key, _ in sorted(found, key=lambda one: (one[0].scheme != wanted, one[1])):
        grouped = load_moments(folder, key)
        if grouped is not None:
            return grouped
    return None


def stored_keys(folder: Path, fingerprint: str) -> list[tuple[Key, int]]:
    """List what is stored of some data: keys, and the number of groups of each."""
    found = []
    for place in sorted(folder.glob("*/zarr.json")):
        head = _head(place)
        if not head and re.fullmatch("[0-9a-f]{32}", place.parent.name):
            warnings.warn(
                f"kept statistics are damaged and not used: {place} does not say what they are of",
                DataWarning,
                stacklevel=2,
            )
        if head.get("version") != VERSION or head.get("fingerprint") != fingerprint:
            continue
        try:
            key = Key(fingerprint, FoldScheme(**head["labelling"]))
            n_groups = int(head["n_groups"])
        except (KeyError, TypeError, ValueError):
            continue
        if key.name == place.parent.name:
            found.append((key, n_groups))
    return found


def drop_all_but(folder: Path, fingerprint: str) -> None:
    """Delete the statistics of all data but these."""
    for place in folder.glob("*/zarr.json"):
        head = _head(place)
        if head.get("version") == VERSION and head.get("fingerprint") != fingerprint:
            _drop(place.parent)


def drop_oldest(folder: Path) -> None:
    """Delete all but the last used, so that a folder does not grow with every way to fold rows."""
    places = [place for place in folder.glob("*/zarr.json") if _head(place).get("version")]
    for place in sorted(places, key=_last_used)[: max(0, len(places) - MOST_SCHEMES)]:
        _drop(place.parent)
    sweep(folder)


def _drop(place: Path) -> None:
    with suppress(OSError, StoreError):  # not ours to delete, or being written
        remove(place)


def _last_used(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:  # another process deleted it
        return 0.0


# -- which statistics serve ---------------------------------------------------------------------


def serves(stored: FoldScheme, wanted: FoldScheme) -> bool:
    """Tell whether the groups of one scheme add up to those of another."""
    if stored.n_blocks < wanted.n_blocks:
        return False
    if wanted.folds == "none":
        return True
    return (stored.folds, stored.n_folds, stored.seed) == (
        wanted.folds,
        wanted.n_folds,
        wanted.seed,
    )


# -- writing ------------------------------------------------------------------------------------


def _vector(grouped: GroupedMoments, name: str) -> Any:
    if name in ("fold", "block"):
        return getattr(grouped, name)
    return [getattr(moments, name) for moments in grouped.moments]


def _create(
    group: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any
) -> Any:
    from zarr.codecs import BytesCodec

    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        filters=None,
        serializer=BytesCodec(),
        compressors=bytes_codecs("none", np.dtype(dtype).itemsize),
        config={"write_empty_chunks": True},
    )


def _write(group: Any, name: str, values: np.ndarray) -> None:
    _create(group, name, values.shape, values.shape, values.dtype)[...] = values


def _write_products(group: Any, moments: tuple[CrossMoments, ...]) -> None:
    n = len(moments[0].mean)
    n_chunks, rows = packed_chunks(n)
    array = _create(
        group, "products", (len(moments) * n_chunks * rows, n + 1), (rows, n + 1), np.float64
    )
    for number, part in enumerate(moments):
        for chunk in range(n_chunks):
            start = (number * n_chunks + chunk) * rows
            array[start : start + rows] = packed(part.products, chunk * rows, rows)


# -- reading ------------------------------------------------------------------------------------


def _read(place: Path, key: Key) -> GroupedMoments:
    """Return the moments in a folder.

    Raises
    ------
    StoreError
        Names the file that is damaged.
    """
    from dasklasso.moments.document import MomentsDocument

    where = str(place / METADATA)
    head = group_attributes(place, error=StoreError).get(_ATTRIBUTE)
    document = validate(MomentsDocument, head, where=where, error=StoreError)
    assert isinstance(head, dict)
    if {name: head.get(name) for name in key.to_json()} != key.to_json():
        raise StoreError(f"{where} is not of the data and groups that its name says.")
    check_seal(head, where=where, error=StoreError)
    try:
        found = files_in(place, leave_out={METADATA})
    except OSError as error:
        raise StoreError(f"{place} cannot be read: {error}.") from None
    check_files(head.get(FILES), found, where=str(place), error=StoreError)
    group = open_sealed_group(place, error=StoreError)
    arrays = {}
    for name in (*_VECTORS, "mean", "unit", "products"):
        array = uncompressed_array(group, name, place, error=StoreError)
        arrays[name] = ZarrBlocks(array, location=str(place), name=name)
        dtype = np.dtype(_VECTORS.get(name, np.float64))
        if arrays[name].dtype != dtype:
            raise ChunkCorrupt(f"{place / name} has dtype {arrays[name].dtype}, expected {dtype}.")
    n, n_targets = document.n_features + document.n_targets, document.n_targets
    n_groups = document.n_groups
    n_chunks, rows = packed_chunks(n)
    expected = dict.fromkeys(_VECTORS, (n_groups, 1))
    expected |= {"mean": (n_groups, n), "unit": (n_groups, n)}
    expected |= {"products": (n_groups * n_chunks * rows, n + 1)}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ChunkCorrupt(f"{place / name} has shape {arrays[name].shape}, expected {shape}.")
        n_stored, of_products = len(arrays[name].row_bounds) - 1, name == "products"
        if n_stored != (n_groups * n_chunks if of_products else 1):
            raise ChunkCorrupt(f"{place / name} has {n_stored} chunks, which are not its own.")
    vectors = {name: _block(arrays[name], 0)[:, 0].copy() for name in _VECTORS}
    means, units = _block(arrays["mean"], 0), _block(arrays["unit"], 0)
    if not np.isin(vectors["precision"], list(Precision)).all():
        raise ChunkCorrupt(f"{place / 'precision'} holds numbers that are no precision.")
    moments = tuple(
        CrossMoments(
            float(vectors["weight"][number]),
            int(vectors["count"][number]),
            means[number].copy(),
            unpacked(
                n, (_block(arrays["products"], number * n_chunks + k) for k in range(n_chunks))
            ),
            n_targets,
            not_ones(units[number].copy()),
            Precision(int(vectors["precision"][number])),
        )
        for number in range(n_groups)
    )
    return GroupedMoments(key.scheme, vectors["fold"], vectors["block"], moments)


def _block(source: ZarrBlocks, i: int) -> np.ndarray:
    try:
        return source.block(i, 0)
    finally:
        source.forget(i, 0)  # verified anew when it is read again: that is long after


def _head(path: Path) -> dict[str, Any]:
    """Return what a folder says about itself; empty where it cannot be read."""
    try:
        found = group_attributes(path.parent, error=StoreError).get(_ATTRIBUTE)
    except StoreError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))
