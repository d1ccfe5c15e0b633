"""Paths and URLs have one form; no output is an input, or another output."""

from __future__ import annotations

import os

import pytest

from dasklasso.errors import OptionError
from dasklasso.files.places import check_places, input_place, output_place


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("-", "standard output"),
        ("s3://bucket/model", "looks like a URL"),
        ("s3:/bucket/model", "looks like a URL"),
        ("s3:model", r"looks like a URL.* a file of this name is \./s3:model$"),
        ("a::b", "looks like a URL.* a name without :// and ::$"),
        ("./s3://bucket/model", "looks like a URL.* a name without :// and ::$"),
        ("simplecache::s3://bucket/model", "looks like a URL"),
        ("a\nb", "control character"),
        ("a\x1b[31mb", "control character"),
        ("a\0b", "control character"),
        (".", "is a folder that is there"),
        ("/", "is a folder that is there"),
        ("deep/..", "is a folder that is there"),
        ("predictions.csv/", "the name of a folder"),
        ("x" * 256, "too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_in_a_line(place, reason):
    with pytest.raises(OptionError, match=f"out: .*{reason}") as caught:
        output_place(place)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("place", ["", "-", "a\0b", "a::b"])
def test_a_place_that_cannot_be_read_is_refused(place):
    with pytest.raises(OptionError, match=r"^model: "):
        input_place(place, "model")


def test_a_file_url_and_a_home_folder_are_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelled in (f"file://{tmp_path}/m", f"file://localhost{tmp_path}/m", "~/m"):
        assert input_place(spelled) == str(tmp_path / "m")
        assert output_place(spelled) == tmp_path / "m"


def test_urls_of_elsewhere_stay_as_they_are_where_they_are_read():
    for url in ("s3://bucket/store", "simplecache::s3://bucket/store"):
        assert input_place(url) == url


def test_names_that_only_look_odd_are_places():
    for place in ("model/", "./-", "C:\\model", "päth ünd 数", "a:b:c/d"):
        assert output_place(place).name


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store" / "X").mkdir(parents=True)
    (tmp_path / "store" / "zarr.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    os.link(tmp_path / "store" / "zarr.json", tmp_path / "hard")
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("out", "read", "reason"),
    [
        ("store", "store", "is the store"),
        ("link", "store", "is the store"),
        ("store", "link", "is the store"),
        ("other/../store/", "store", "is the store"),
        ("hard", "store/zarr.json", "is the store"),
        ("store/X", "store", "is part of the store"),
        ("link/new", "store", "is part of the store"),
        ("store", "store/zarr.json", "holds the store"),
        (".", "store", "holds the store"),
        ("store/zarr.json", "store/*.json", "is the store"),
    ],
)
def test_an_output_is_not_an_input_however_it_is_spelled(store, tmp_path, out, read, reason):
    (tmp_path / "other").mkdir()
    with pytest.raises(OptionError, match=f"^out: .* {reason}"):
        check_places({"out": tmp_path / out}, {"store": f"{tmp_path}/{read}"})


def test_what_is_beside_an_input_may_be_written(store, tmp_path):
    check_places({"out": tmp_path / "store2"}, {"store": store})
    check_places({"out": tmp_path / "store.csv"}, {"store": "s3://bucket/store"})


def test_two_outputs_have_places_of_their_own(tmp_path):
    with pytest.raises(OptionError, match=r"^table: .* is also the out"):
        check_places({"out": tmp_path / "a", "table": f"{tmp_path}/x/../a"}, {})
    with pytest.raises(OptionError, match=r"^table: is within the out"):
        check_places({"out": tmp_path / "a", "table": tmp_path / "a" / "t.csv"}, {})
    with pytest.raises(OptionError, match=r"^out: is within the table"):
        check_places({"out": tmp_path / "a" / "m", "table": tmp_path / "a"}, {})
    check_places({"out": tmp_path / "a", "table": tmp_path / "a.csv"}, {})


def test_a_place_that_is_too_long_is_refused_before_its_pattern_is_looked_for():
    with pytest.raises(OptionError, match=r"source: '\[\[.* has 50,000 characters, expected"):
        input_place("[" * 50_000, "source")
