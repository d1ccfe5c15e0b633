"""What is written appears whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap

import pytest

from dasklasso.errors import StoreError
from dasklasso.files import atomic, renames, work_folders
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
        monkeypatch.setattr(renames, "_rename", None)
    elif renames._rename is None:
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
            pytest.raises(StoreError, match="x: another part of this process is writing it"),
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
    from dasklasso.files import atomic, renames

    place, when = Path(sys.argv[1]), int(sys.argv[2])
    renames._rename = None  # the two steps: there is more to go wrong
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


@pytest.mark.parametrize(("when", "left"), [(0, "old"), (1, "old")])
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


def test_what_is_removed_leaves_nothing_of_ours_beside_it(tmp_path):
    (tmp_path / "x").mkdir()
    work_folders.make_work_folder(tmp_path / "x")
    (tmp_path / "xy").mkdir()
    remove(tmp_path / "x")
    assert names(tmp_path) == ["xy"]
    remove(tmp_path / "x")  # nothing to remove is no error
    remove(tmp_path / "no" / "x")


def test_what_is_being_written_is_not_removed(tmp_path):
    with PartialFolder(tmp_path / "x", overwrite=False):
        before = names(tmp_path)
        with pytest.raises(StoreError, match="is writing it"):
            remove(tmp_path / "x")
        assert names(tmp_path) == before


OTHERS = (
    "x.partial",
    "x.replaced",
    "x.removed-1",
    ".x.0123456789abcdef.partial",
    ".x.lock.partial",
)


@pytest.mark.parametrize("change", ["write", "remove", "restore"])
def test_what_merely_bears_a_name_like_ours_is_left_alone(tmp_path, change):
    for name in OTHERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").write_text("years of work")
    (tmp_path / OTHERS[3] / work_folders.RECORD).write_text('{"name": "x", "pid": 1}')
    if change == "write":
        with written_beside(tmp_path / "x") as partial:
            partial.write_text("new")
    elif change == "remove":
        remove(tmp_path / "x")
    else:
        assert not restore(tmp_path / "x")
    for name in OTHERS:
        assert (tmp_path / name / "thesis.tex").read_text() == "years of work"


def test_a_lock_that_is_a_file_of_something_else_is_left_alone(tmp_path):
    (tmp_path / ".x.lock").write_text("my own notes")
    with pytest.raises(StoreError, match=r"cannot be locked, .*\.x\.lock is a file of something"):
        PartialFolder(tmp_path / "x", overwrite=False)
    assert (tmp_path / ".x.lock").read_text() == "my own notes"
    assert names(tmp_path) == [".x.lock"]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path, exchanges):
    (tmp_path / "real").mkdir()
    write(tmp_path / "real" / "x", "old", "folder")
    (tmp_path / "x").symlink_to(tmp_path / "real" / "x")
    with written_beside(tmp_path / "x") as partial:
        write(partial, "new", "folder")
    assert not (tmp_path / "x").is_symlink()
    assert (read(tmp_path / "x"), read(tmp_path / "real" / "x")) == ("new", "old")
    assert names(tmp_path) == ["real", "x"]


def test_what_came_into_being_meanwhile_is_not_replaced(tmp_path, exchanges):
    with PartialFolder(tmp_path / "x", overwrite=False) as place:
        write(tmp_path / "x", "of another", "file")
        with pytest.raises(StoreError, match="x: exists already, made meanwhile"):
            place.publish()
    assert read(tmp_path / "x") == "of another"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("name", ["é" * 127, "x" * 255])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    with written_beside(tmp_path / name) as partial:
        partial.write_text("new")
    work_folders.make_work_folder(tmp_path / name)
    assert len(names(tmp_path)) == 2
    with written_beside(tmp_path / name) as partial:
        partial.write_text("newer")
    assert names(tmp_path) == [name]


def test_folders_that_were_made_for_what_failed_are_gone(tmp_path):
    with pytest.raises(ValueError, match="never"), written_beside(tmp_path / "a" / "b" / "x"):
        raise ValueError("never")
    assert names(tmp_path) == []


def test_where_a_parent_is_a_file_the_name_is_in_the_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/x: cannot be written: .*/file is not a folder"):
        PartialFolder(tmp_path / "file" / "x", overwrite=False)


def test_a_folder_is_read_again_until_it_is_of_one_version(tmp_path, exchanges):
    place = tmp_path / "x"
    write(place, "1", "folder")
    (place / "also").write_text("1")
    seen = []

    def read_both():
        seen.append((place / "inside").read_text())
        if len(seen) < 3:  # replaced while it is read
            with written_beside(place) as partial:
                write(partial, str(len(seen) + 1), "folder")
                (partial / "also").write_text(str(len(seen) + 1))
        return seen[-1], (place / "also").read_text()

    assert atomic.read_whole(place, read_both) == ("3", "3")
    assert seen == ["1", "2", "3"]


def test_an_error_of_a_folder_that_nobody_replaced_is_raised_at_once(tmp_path):
    write(tmp_path / "x", "1", "folder")
    with pytest.raises(FileNotFoundError):
        atomic.read_whole(tmp_path / "x", (tmp_path / "x" / "no").read_text)
