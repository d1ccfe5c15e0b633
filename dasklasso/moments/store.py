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

from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import DataWarning, StoreError
from dasklasso.files.atomic import PartialFolder, remove, sweep
from dasklasso.files.own_folders import own_folder
from dasklasso.files.zarr_files import is_zarr
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.moments.stored_group import ATTRIBUTE, read_group, write_group
from dasklasso.storage.sealed_groups import group_attributes

# 1 knew nothing of units and precision, and its float32 products were less exact; 2 had no seal
VERSION = 3
SUFFIX = ".stats"
MOST_SCHEMES = 8  # ways to group rows, for each store


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
        When the user wants them within a Zarr store or a model.
    """
    if override is not None:
        return own_folder(override, "stats")
    if "://" in location or not is_zarr(Path(location).expanduser()):
        return None
    store = Path(os.path.realpath(Path(location).expanduser()))
    if is_zarr(store.parent):
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
    with PartialFolder(folder / key.name, overwrite=True) as place, place.guarded():
        write_group(place.partial, grouped, key.to_json())
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
        found = read_group(place, key.to_json(), key.scheme)
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


def drop_moments_of(folder: Path, fingerprint: str) -> None:
    """Delete the statistics of some data, and what killed runs left half written."""
    for place in folder.glob("*/zarr.json"):
        if _head(place).get("fingerprint") == fingerprint:
            _drop(place.parent)
    sweep(folder)


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


def _head(path: Path) -> dict[str, Any]:
    """Return what a folder says about itself; empty where it cannot be read."""
    try:
        found = group_attributes(path.parent, error=StoreError).get(ATTRIBUTE)
    except StoreError:
        return {}
    return found if isinstance(found, dict) else {}
