"""Is a store still the one that was opened? Asked before anything that was computed is kept.

A fit reads for hours, and a store can be replaced meanwhile: the chunks it comes to then are those
of other data. Each read is compared with what was opened where a manifest says which chunk belongs
where; what was read before, or is held in memory, is of data that are there no more.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import zarr
from zarr.storage import LocalStore

from dasklasso.dataset.fingerprint import fingerprint_of
from dasklasso.dataset.manifest import MANIFEST_KEY, Manifest
from dasklasso.errors import StoreError
from dasklasso.files.atomic import read_whole
from dasklasso.files.places import input_place, is_url
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import ZarrBlocks

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 2  # hours of work are not thrown away for one request that a network lost
SECONDS_BETWEEN = 0.5


@dataclass(frozen=True)
class Opened:
    """What a store was when it was opened.

    Attributes
    ----------
    location : str
        How errors name it.
    group : zarr.Group or None
        The store whose manifest is compared; None where there is none.
    manifest : str
        Identity of the manifest; "" where there is none.
    sources : dict of name to BlockSource
        Of which no manifest has the digests: those that other programs wrote.
    files : str
        Their fingerprint.
    """

    location: str
    group: zarr.Group | None
    manifest: str
    sources: Mapping[str, BlockSource | None]
    files: str

    @classmethod
    def now(
        cls,
        location: str,
        sources: Mapping[str, BlockSource | None],
        group: zarr.Group | None = None,
        manifest: Manifest | None = None,
    ) -> Opened:
        """Return what a store is now, whose manifest was read just before."""
        known = "" if manifest is None else manifest.identity
        return cls(location, group, known, sources, _fingerprint(sources))

    def _is_unchanged(self) -> bool:
        if self.group is not None:
            group = zarr.open_group(
                self.group.store, path=self.group.path, mode="r", use_consolidated=False
            )
            manifest = Manifest.from_json(group.attrs[MANIFEST_KEY], where=self.location)
            if manifest.identity != self.manifest:
                return False
        return _fingerprint(self.sources) == self.files

    def check(self) -> None:
        """Refuse to go on with a store that was replaced or changed since it was opened.

        Raises
        ------
        StoreError
        """
        reason = "it is not the store that was opened"
        for attempt in range(ATTEMPTS):
            time.sleep(attempt * SECONDS_BETWEEN)
            try:
                if self._is_unchanged():
                    return
                if self._is_local:
                    break
            except Exception as error:  # whatever zarr says of a store that is no more
                reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StoreError(
            f"{self.location}: was replaced or damaged while it was read: {reason}. What was "
            "computed of it is not kept; run it again."
        )

    @property
    def _is_local(self) -> bool:
        stores = [] if self.group is None else [self.group.store]
        stores += [one.store for one in self.sources.values() if isinstance(one, ZarrBlocks)]
        return all(isinstance(store, LocalStore) for store in stores)


def of_one_version(opened: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Make what opens a store open it again where it was replaced meanwhile.

    Parameters
    ----------
    opened : called with the store first
    """

    @functools.wraps(opened)
    def again(store: Any, *args: P.args, **options: P.kwargs) -> T:
        if not isinstance(store, str | os.PathLike) or is_url(store):
            return opened(store, *args, **options)
        place = Path(input_place(store, "store"))
        return read_whole(place, lambda: opened(store, *args, **options))

    return again


def _fingerprint(sources: Mapping[str, BlockSource | None]) -> str:
    return fingerprint_of(dict(sources)) if sources else ""
