"""The Zarr group that holds stored moments: written whole and sealed, read as it was sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import ChunkCorrupt, StoreError
from dasklasso.files.documents import validate
from dasklasso.files.regular import unreadable
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

ATTRIBUTE = "dasklasso_statistics"
_VECTORS = {
    "fold": np.int64,
    "block": np.int64,
    "count": np.int64,
    "weight": np.float64,
    "precision": np.int64,
}


# -- writing ------------------------------------------------------------------------------------


def write_group(place: Path, grouped: GroupedMoments, said: dict[str, Any]) -> None:
    """Write moments to a folder that is there.

    Parameters
    ----------
    said : JSON types
        What the group says of itself, beside the numbers of features, targets and groups.
    """
    import zarr

    first = grouped.moments[0]
    n = len(first.mean)
    group = zarr.open_group(place, mode="a", zarr_format=3)
    for name, dtype in _VECTORS.items():
        _write(group, name, np.asarray(_vector(grouped, name), dtype=dtype))
    _write(group, "mean", np.stack([m.mean for m in grouped.moments]))
    _write(group, "unit", np.stack([m.units for m in grouped.moments]))
    _write_products(group, grouped.moments)
    shape = {"n_features": n - first.n_targets, "n_targets": first.n_targets}
    head = {**said, **shape, "n_groups": len(grouped.moments)}
    group.attrs[ATTRIBUTE] = sealed(head, files_in(place, leave_out={METADATA}))


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


def read_group(place: Path, said: dict[str, Any], scheme: FoldScheme) -> GroupedMoments:
    """Return the moments in a folder.

    Parameters
    ----------
    said : what the group says of itself, as :func:`write_group` was given it
    scheme : how their rows are grouped

    Raises
    ------
    StoreError
        Names the file that is damaged.
    """
    from dasklasso.moments.document import MomentsDocument

    where = str(place / METADATA)
    head = group_attributes(place, error=StoreError).get(ATTRIBUTE)
    document = validate(MomentsDocument, head, where=where, error=StoreError)
    assert isinstance(head, dict)
    if {name: head.get(name) for name in said} != said:
        raise StoreError(f"{where} is not of the data and groups that its name says.")
    check_seal(head, where=where, error=StoreError)
    try:
        found = files_in(place, leave_out={METADATA})
    except OSError as error:
        raise StoreError(unreadable(error, place)) from None
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
    return GroupedMoments(scheme, vectors["fold"], vectors["block"], moments)


def _block(source: ZarrBlocks, i: int) -> np.ndarray:
    try:
        return source.block(i, 0)
    finally:
        source.forget(i, 0)  # verified anew when it is read again: that is long after
