"""Checkpoints: a solver's state as a Zarr group, written beside and renamed into place.

The arrays of the state go to Zarr chunk by chunk, from wherever they are; everything else goes
into the group's attributes, numbers as JSON, which keeps every bit of a float64. A state read back
is the state that was written, so a resumed fit takes the same steps.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask.array as da
import zarr
from zarr.codecs import Crc32cCodec

from dasklasso.backend import to_numpy
from dasklasso.errors import CheckpointError, StoreError
from dasklasso.files.atomic import PartialFolder, remove, restore
from dasklasso.scan.runners import Runner

VERSION = 3
STATISTICS = "statistics"  # second moments, where there is no better place for them
STATE = "state.zarr"


def write_checkpoint(
    folder: Path, key: str, numbers: dict[str, Any], arrays: dict[str, da.Array], runner: Runner
) -> None:
    """Write a state; what was there before stays until the new one is whole.

    Parameters
    ----------
    key : str
        Names the problem: a state is only resumed under the same key.

    Raises
    ------
    StoreError
        It cannot be written, or another process is writing it.
    """
    with PartialFolder(folder / STATE, overwrite=True) as place, place.guarded():
        group = zarr.open_group(str(place.partial), mode="a", zarr_format=3)
        writes = [_store(group, name, array) for name, array in arrays.items()]
        runner.compute(*writes)
        group.attrs.put({"version": VERSION, "key": key, "state": json.dumps(numbers)})
        place.publish(synced="all")


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a state to resume."""
    return _whole(folder).exists()


def read_checkpoint(folder: Path, key: str) -> tuple[dict[str, Any], dict[str, da.Array]]:
    """The state last written.

    Raises
    ------
    CheckpointError
        When there is none, it cannot be read, or it is of another problem.
    """
    path = _whole(folder)
    if not path.exists():
        raise CheckpointError(f"{folder}: no checkpoint found, expected {STATE} in it")
    try:
        group = zarr.open_group(str(path), mode="r")
        attributes = dict(group.attrs)
        numbers = json.loads(str(attributes["state"]))
        arrays = {name: _lazy(path, array) for name, array in sorted(group.members())}
    except (KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({error})") from None
    if attributes.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {attributes.get('version')!r}, expected {VERSION}"
        )
    if attributes.get("key") != key:
        raise CheckpointError(
            f"{path}: belongs to another problem (other data, alphas or options); "
            "give another --checkpoint folder, or leave --resume out"
        )
    return numbers, arrays


def _whole(folder: Path) -> Path:
    """Where the state is, once a replacement that was cut off is undone."""
    restore(folder / STATE)
    return folder / STATE


def remove_checkpoint(folder: Path) -> None:
    """Remove the states of a fit that is complete, and the folder if nothing else is in it."""
    for name in (STATE, STATISTICS):
        with suppress(OSError, StoreError):  # the fit is done, whatever cannot be deleted
            remove(folder / name)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _store(group: zarr.Group, name: str, array: da.Array) -> Any:
    target = group.create_array(
        name,
        shape=array.shape,
        chunks=tuple(int(c) for c in array.chunksize),
        dtype=array.dtype,
        compressors=Crc32cCodec(),
        config={"write_empty_chunks": True},  # so that a chunk that is not there is a fault
    )
    on_host = da.map_blocks(to_numpy, array, dtype=array.dtype)
    return on_host.store(target, compute=False, lock=False)


def _lazy(path: Path, array: zarr.Array | zarr.Group) -> da.Array:
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{array.name} is not an array")
    if array.nchunks_initialized != array.nchunks:
        raise ValueError(f"chunks of {array.name} are missing")
    return da.from_zarr(str(path), component=array.path)
