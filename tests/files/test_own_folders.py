"""Checkpoints and statistics are kept in nothing that is replaced whole."""

from __future__ import annotations

import pytest

from dasklasso.errors import OptionError
from dasklasso.files.own_folders import own_folder
from dasklasso.options import RunOptions


@pytest.fixture
def places(tmp_path):
    """A store and a model, as far as their names tell."""
    (tmp_path / "s" / "X").mkdir(parents=True)
    (tmp_path / "s" / "zarr.json").write_text("{}")
    (tmp_path / "m" / "coef.zarr").mkdir(parents=True)
    (tmp_path / "m" / "model.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "s")
    return tmp_path


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("s", "s is a Zarr store"),
        ("s/new", r"s/new lies in \S+/s, a Zarr store"),
        ("link/X/new", r"link/X/new lies in \S+/s, a Zarr store"),
        ("m", "m is a model"),
        ("m/coef.zarr/new", r"lies in \S+/m, a model"),
        ("m/model.json", "is a file; expected a folder"),
    ],
)
def test_a_folder_in_a_store_or_a_model_is_refused(places, place, found):
    with pytest.raises(OptionError, match=f"^checkpoint: .*{found}"):
        own_folder(places / place, "checkpoint")


def test_a_folder_beside_them_need_not_be_there(places):
    assert own_folder(places / "s.stats" / "new", "stats") == places / "s.stats" / "new"


@pytest.mark.parametrize("option", ["checkpoint", "stats"])
def test_the_options_of_a_run_are_checked_when_they_are_made(places, option):
    with pytest.raises(OptionError, match=f"^{option}: .* is a Zarr store; expected a folder"):
        RunOptions(**{option: str(places / "s")})
