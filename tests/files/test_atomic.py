"""What is written appears whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap

import pytest

from dasklasso.errors import StoreError
from dasklasso.files import atomic
from dasklasso.files.atomic import PartialFolder, remove, restore, written_beside

KINDS = ("file", "folder")


def write(path, text, kind):
    if kind == "folder":
        path.mkdir()
        path /= "inside"
    path.write_text(text)


def read(path):
    return (path / "inside" if path.is_dir() else path).read_text()


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture(params=[True, False], ids=["exchange", "two steps"])
def exchanges(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(atomic, "_rename", None)
    elif atomic._rename is None:
        pytest.skip("no renameat2 here")


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", [None, *KINDS])
def test_what_was_written_is_in_its_place_and_nothing_else_is_left(tmp_path, old, new, exchanges):
    place = tmp_path / "deep" / "x.csv"
    if old is not None:
        place.parent.mkdir()
        write(place, "old", old)
    with written_beside(place) as partial:
        assert partial.suffix == ".csv"  # writers choose by the ending
        write(partial, "new", new)
    assert read(place) == "new"
    assert names(place.parent) == ["x.csv"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", KINDS)
def test_after_an_error_the_old_is_as_it_was(tmp_path, kind, stop):
    write(tmp_path / "x", "old", kind)

    def interrupted():
        with written_beside(tmp_path / "x") as partial:
            write(partial, "half", kind)
            raise stop

    with pytest.raises(stop):
        interrupted()
    assert read(tmp_path / "x") == "old"
    assert names(tmp_path) == ["x"]


def test_a_second_writer_is_refused_and_the_first_ends_well(tmp_path):
    with written_beside(tmp_path / "x") as partial:
        partial.write_text("first")
        with (
            pytest.raises(StoreError, match="x: another process is writing it"),
            written_beside(tmp_path / "x"),
        ):
            pass
    assert (tmp_path / "x").read_text() == "first"


def test_what_cannot_be_renamed_is_an_error_that_names_the_place(tmp_path, monkeypatch):
    def full(*names):
        raise OSError(errno.ENOSPC, "No space left on device")

    write(tmp_path / "x", "old", "file")
    monkeypatch.setattr(os, "replace", full)
    with (
        pytest.raises(StoreError, match=r"x: cannot be written: No space left"),
        written_beside(tmp_path / "x") as partial,
    ):
        partial.write_text("new")
    assert read(tmp_path / "x") == "old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_was_written_is_synced_before_it_is_renamed(tmp_path, kind, monkeypatch):
    synced, place = [], tmp_path / "x"
    monkeypatch.setattr(atomic, "sync", lambda path: synced.append((path, place.exists())))
    with written_beside(place) as partial:
        write(partial, "new", kind)
    inside = [partial] if kind == "file" else [partial / "inside", partial]
    assert synced == [*((path, False) for path in inside), (tmp_path, True)]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from dasklasso.files import atomic

    place, when = Path(sys.argv[1]), int(sys.argv[2])
    atomic._rename = None  # the two steps: there is more to go wrong
    rename, done = os.rename, 0

    def counted(*names):
        global done
        if done == when:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        rename(*names)

    os.rename = counted
    with atomic.written_beside(place) as partial:
        partial.mkdir()
        (partial / "inside").write_text("new")
"""


@pytest.mark.parametrize(("when", "left"), [(0, "old"), (1, "old"), (2, "new")])
def test_killed_before_any_of_its_renames_a_writer_leaves_the_old_or_the_new(tmp_path, when, left):
    place = tmp_path / "x"
    write(place, "old", "folder")
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(place), str(when)]
    assert subprocess.run(program, timeout=60).returncode == -9
    restore(place)
    assert read(place) == left
    with written_beside(place) as partial:
        write(partial, "newer", "folder")
    assert read(place) == "newer"
    assert names(tmp_path) == ["x"]


def test_what_is_removed_leaves_nothing_beside_it(tmp_path):
    for name in ("x", "x.partial", "x.replaced", "x.removed-1"):
        (tmp_path / name).mkdir()
    (tmp_path / "xy").mkdir()
    remove(tmp_path / "x")
    assert names(tmp_path) == ["xy"]
    remove(tmp_path / "x")  # nothing to remove is no error


def test_what_is_being_written_is_not_removed(tmp_path):
    with PartialFolder(tmp_path / "x", overwrite=False):
        with pytest.raises(StoreError, match="another process is writing it"):
            remove(tmp_path / "x")
        assert names(tmp_path) == ["x.partial"]
