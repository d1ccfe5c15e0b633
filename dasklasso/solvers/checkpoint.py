"""Checkpoints: a solver's state as a Zarr group, written beside and renamed into place.

The arrays of the state go to Zarr chunk by chunk, from wherever they are; everything else goes
into the group's attributes, numbers as JSON, which keeps every bit of a float64. A state read back
is the state that was written, so a resumed fit takes the same steps. The attributes are sealed with
all the files.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from dasklasso.backend import Array, to_numpy
from dasklasso.errors import CheckpointError, StoreError
from dasklasso.files.atomic import PartialFolder, remove, restore
from dasklasso.files.documents import read_json, shown, validate
from dasklasso.files.regular import unreadable
from dasklasso.files.seal import FILES, METADATA, check_files, check_seal, files_in, sealed
from dasklasso.moments.store import drop_moments_of
from dasklasso.scan.graph import BlockArray, GraphBuilder, Task, array_of
from dasklasso.scan.runners import Runner
from dasklasso.storage.blocks import chunk_bounds, chunk_lengths
from dasklasso.storage.sealed_groups import (
    group_attributes,
    open_sealed_group,
    uncompressed_array,
)

if TYPE_CHECKING:
    from dasklasso.solvers.checkpoint_document import CheckpointDocument

VERSION = 4  # 3 had no seal
STATISTICS = "statistics"  # second moments, where there is no better place for them
STATE = "state.zarr"
_ANOTHER = "Give another --checkpoint folder, or --overwrite without --resume to replace it."
FALLBACK = "fallback"  # a folder for the state of the solver that goes on for another


def write_checkpoint(
    folder: Path,
    key: str,
    numbers: dict[str, Any],
    arrays: dict[str, BlockArray],
    runner: Runner,
    of: str = "",
) -> None:
    """Write a state; what was there before stays until the new one is whole.

    Parameters
    ----------
    key : str
        Names the problem: a state is only resumed under the same key.
    of : str
        Names the data, for who meets the state later.

    Raises
    ------
    StoreError
        It cannot be written, or another process is writing it.
    """
    with PartialFolder(folder / STATE, overwrite=True) as place, place.guarded():
        group = zarr.open_group(str(place.partial), mode="a", zarr_format=3)
        writes = [_store(group, name, array) for name, array in arrays.items()]
        runner.compute(*[task for of_array in writes for task in of_array])
        document = {"version": VERSION, "key": key, "state": json.dumps(numbers)}
        document |= {"of": of, "written": time.strftime("%Y-%m-%d %H:%M:%S")}
        group.attrs.put(sealed(document, files_in(place.partial, leave_out={METADATA})))
        place.publish(synced="all")


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a state to resume."""
    return os.path.lexists(_whole(folder))


def is_of(folder: Path, key: str) -> bool:
    """Whether there is a state, and it says that it is of a problem."""
    return has_checkpoint(folder) and _said(folder).get("key") == key


def refuse_standing(folder: Path, key: str, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder with a checkpoint that a fit would lose, or cannot go on from.

    Raises
    ------
    CheckpointError
        There is one of another problem, or one of this problem that is not resumed; unless it may
        be replaced.
    """
    places = [place for place in (folder, folder / FALLBACK) if has_checkpoint(place)]
    if resume and has_checkpoint(folder):
        _document(folder / STATE, key)
    if not places or resume or overwrite:
        return
    said = _said(places[0])
    if not said:
        raise CheckpointError(f"{folder}: holds a checkpoint that cannot be read. {_ANOTHER}")
    of, written = (said.get(name) or "?" for name in ("of", "written"))
    if all(is_of(place, key) for place in places):
        raise CheckpointError(
            f"{folder}: holds the checkpoint of this fit of {of}, written {written}: go on from "
            "there with --resume, or begin anew with --overwrite."
        )
    raise CheckpointError(
        f"{folder}: holds the checkpoint of another fit, of {of}, written {written}, whose data, "
        f"alphas or options are others. {_ANOTHER}"
    )


def _said(folder: Path) -> dict[str, Any]:
    """Return what the state in a folder says about itself; empty where that cannot be read."""
    try:
        return group_attributes(folder / STATE, error=CheckpointError)
    except CheckpointError:
        return {}


def read_checkpoint(folder: Path, key: str) -> tuple[dict[str, Any], dict[str, BlockArray]]:
    """The state last written.

    Raises
    ------
    CheckpointError
        When there is none, it is not as it was written, or it is of another problem.
    """
    path = _whole(folder)
    if not path.exists():
        raise CheckpointError(f"{folder}: no checkpoint found, expected {STATE} in it.")
    attributes, document = _document(path, key)
    try:
        # chunks are verified here: where they are read, there is no name for what is damaged
        found = files_in(path, leave_out={METADATA}, verify_chunks=True)
    except OSError as error:
        raise CheckpointError(unreadable(error, path)) from None
    check_files(attributes.get(FILES), found, where=str(path), error=CheckpointError)
    where = f"{path}: the state"
    numbers = read_json(document.state, where=where, error=CheckpointError, nonfinite=True)
    from dasklasso.solvers.checkpoint_document import StateDocument

    validate(StateDocument, numbers, where=where, error=CheckpointError)
    group = open_sealed_group(path, error=CheckpointError)
    names = sorted({name.split("/")[0] for name in attributes[FILES]})
    return numbers, {name: _lazy(path, group, name) for name in names}


def _document(path: Path, key: str) -> tuple[dict[str, Any], CheckpointDocument]:
    """Return what a state says about itself; refuse one that was changed, or of another problem."""
    attributes = group_attributes(path, error=CheckpointError)
    version = attributes.get("version")
    if type(version) is not int or version != VERSION:
        raise CheckpointError(f"{path}: checkpoint version {shown(version)}, expected {VERSION}.")
    check_seal(attributes, where=str(path), error=CheckpointError)
    from dasklasso.solvers.checkpoint_document import CheckpointDocument

    document = validate(CheckpointDocument, attributes, where=str(path), error=CheckpointError)
    if document.key != key:
        raise CheckpointError(
            f"{path}: belongs to another problem (other data, alphas or options). {_ANOTHER}"
        )
    return attributes, document


def _whole(folder: Path) -> Path:
    """Where the state is, once a replacement that was cut off is undone."""
    restore(folder / STATE)
    return folder / STATE


def remove_checkpoint(folder: Path, data: str) -> None:
    """Remove the states of a fit that is complete, and the folder if nothing else is in it.

    Parameters
    ----------
    data : str
        Identity of its data: moments of others stay.
    """
    for place in (folder / FALLBACK / STATE, folder / STATE):
        with suppress(OSError, StoreError):  # the fit is done, whatever cannot be deleted
            remove(place)
    with suppress(OSError, StoreError):
        drop_moments_of(folder / STATISTICS, data)
    for place in (folder / FALLBACK, folder / STATISTICS, folder):
        with suppress(OSError):  # where others have something in it
            place.rmdir()


def _store(group: zarr.Group, name: str, array: BlockArray) -> list[Task]:
    target = group.create_array(
        name,
        shape=array.shape,
        chunks=(max(array.heights), array.width),
        dtype=array.dtype,
        compressors=Crc32cCodec(),
        config={"write_empty_chunks": True},  # so that a chunk that is not there is a fault
    )
    builder = GraphBuilder(array)
    keys = [
        builder.add("write", block.key[1:], partial(_write, target, start), block.key)
        for block, start in zip(array.blocks(), array.starts, strict=False)
    ]
    return [Task(builder, key) for key in keys]


def _write(target: zarr.Array, start: int, block: Array) -> None:
    rows = to_numpy(block)
    target[start : start + len(rows)] = rows


def _lazy(path: Path, group: zarr.Group, name: str) -> BlockArray:
    array = uncompressed_array(group, name, path, error=CheckpointError)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise CheckpointError(
            f"{path / name} has shape {array.shape} and dtype {array.dtype}, expected two "
            "dimensions of numbers."
        )
    n_rows, width = array.shape
    heights = chunk_lengths(chunk_bounds(n_rows, array.chunks[0]))
    builder = GraphBuilder()
    for block, (start, stop) in enumerate(pairwise(accumulate(heights, initial=0))):
        builder.add("read", (block, 0), partial(_read, array, start, stop))
    return array_of(builder, "read", heights, width, array.dtype)


def _read(array: zarr.Array, start: int, stop: int) -> np.ndarray:
    return np.asarray(array[start:stop])
