"""What a manifest is sealed with: digests of its arrays' metadata, as they are in the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import zarr

from dasklasso.dataset.fingerprint import FINGERPRINTED
from dasklasso.dataset.manifest import Manifest
from dasklasso.errors import StoreError
from dasklasso.files.seal import METADATA, check_files, digest_of
from dasklasso.storage.zarr_reader import fetch

_NOT_SEALED = ("attributes", "consolidated_metadata")  # they do not change what is read


def metadata_digests(group: zarr.Group, names: Iterable[str]) -> dict[str, str]:
    """Return a digest of each array's metadata; of those that the store holds.

    Raises
    ------
    StoreError
        Metadata cannot be read, or are not JSON.
    """
    found = {}
    for name in names:
        key = f"{name}/{METADATA}"
        stored = fetch(group.store, f"{group.path}/{key}".lstrip("/"))
        if stored is not None:
            found[key] = _digest(stored.tobytes(), f"{group.store_path}/{key}")
    return found


def check_arrays(manifest: Manifest, group: zarr.Group, location: str) -> None:
    """Refuse a store whose arrays are not those that its manifest was sealed with.

    Raises
    ------
    StoreError
        Names the array that is missing, was changed, or was put there later.
    """
    for _, problem in faults_of_arrays(manifest, group, location):
        raise StoreError(problem)


def faults_of_arrays(
    manifest: Manifest, group: zarr.Group, location: str
) -> Iterator[tuple[str, str]]:
    """List the arrays that are not those that a manifest was sealed with: name, and why."""
    if manifest.files is None:
        return
    listed = {key: value for key, value in manifest.files.items() if key.endswith(f"/{METADATA}")}
    names = [key.removesuffix(f"/{METADATA}") for key in listed]
    for name in dict.fromkeys([*names, *FINGERPRINTED]):
        own = {key: value for key, value in listed.items() if key == f"{name}/{METADATA}"}
        try:
            check_files(own, metadata_digests(group, [name]), where=location, error=StoreError)
        except StoreError as error:
            yield name, str(error)


def without_consolidated(group: zarr.Group) -> zarr.Group:
    """Return the group, its arrays opened from their own metadata: those are sealed."""
    return zarr.open_group(group.store, path=group.path, mode="r", use_consolidated=False)


def _digest(stored: bytes, where: str) -> str:
    try:
        found: Any = json.loads(stored)
        if not isinstance(found, dict):
            raise ValueError("expected an object")
        return digest_of({name: value for name, value in found.items() if name not in _NOT_SEALED})
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where} cannot be read as metadata of an array: {error}.") from None
