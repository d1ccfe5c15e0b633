"""Folders that a fit keeps things in: checkpoints and statistics lie in nothing that is replaced.

Stores and models are replaced whole, so what is kept in one would be deleted with it.
"""

from __future__ import annotations

import os
from pathlib import Path

from dasklasso.errors import OptionError
from dasklasso.files.places import output_place
from dasklasso.files.zarr_files import is_zarr

MODEL_DOCUMENT = "model.json"
MODEL_ARRAYS = "coef.zarr"


def own_folder(place: str | os.PathLike[str], what: str) -> Path:
    """Return a folder to keep things in, which need not be there yet.

    Parameters
    ----------
    place : a path, or a ``file://`` URL
    what : the option that errors name

    Raises
    ------
    OptionError
        It is no place to write to, a file, or it is or lies in a Zarr store or a model.
    """
    folder = output_place(place, what)
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"{what}: {folder} is a file; expected a folder")
    here = Path(os.path.realpath(folder))
    for one in (here, *here.parents):
        kind = "a Zarr store" if is_zarr(one) else "a model" if _is_model(one) else None
        if kind is None:
            continue
        found = f"is {kind}" if one == here else f"lies in {one}, {kind}"
        raise OptionError(f"{what}: {folder} {found}; expected a folder of its own")
    return folder


def _is_model(folder: Path) -> bool:
    return (folder / MODEL_DOCUMENT).is_file() and (folder / MODEL_ARRAYS).is_dir()
