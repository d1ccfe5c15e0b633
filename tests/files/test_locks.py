"""One process at a time writes a name; the second is told who it is, since when, by what."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from dasklasso.errors import StoreError
from dasklasso.files import locks
from dasklasso.files.atomic import written_beside
from dasklasso.files.claims import claim, claimed
from dasklasso.files.work_folders import make_work_folder

HOLD = """
    import sys
    from pathlib import Path
    from dasklasso.files import claims, locks

    if sys.argv[2] == "no flock":
        locks._flock = None
    with claims.claim(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
"""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture(params=["flock", "no flock"])
def flock(request, monkeypatch):
    if request.param == "no flock":
        monkeypatch.setattr(locks, "_flock", None)
    return request.param


@pytest.fixture
def holder(tmp_path, flock):
    """A process that holds x until it is told."""
    program = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path / "x"), flock]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=60)


def test_the_second_process_is_told_who_writes(holder, tmp_path):
    said = rf"x: another process is writing it: {holder.pid} on \S+, since 20.*, -c .*x"
    with pytest.raises(StoreError, match=said) as caught:
        claim(tmp_path / "x")
    assert len(str(caught.value)) < 500
    holder.communicate("go\n", timeout=60)
    assert names(tmp_path) == []
    claim(tmp_path / "x").release()
    assert names(tmp_path) == []


def test_what_a_killed_process_held_is_free(holder, tmp_path):
    work = make_work_folder(tmp_path / "x")
    text = (work / "dasklasso-partial.json").read_text()
    began = json.loads((tmp_path / ".x.lock").read_text())
    (work / "dasklasso-partial.json").write_text(json.dumps(json.loads(text) | began))
    holder.kill()
    holder.wait(timeout=60)
    assert names(tmp_path) == sorted([".x.lock", work.name])
    with written_beside(tmp_path / "x") as partial:
        partial.write_text("new")
    assert names(tmp_path) == ["x"]


def test_of_another_machine_it_cannot_be_known_whether_a_process_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_flock", None)
    held = {**locks.record("x"), "machine": "elsewhere", "host": "elsewhere", "pid": 1}
    (tmp_path / ".x.lock").write_text(json.dumps(held))
    with pytest.raises(StoreError, match=r"1 on elsewhere.* delete .*\.x\.lock"):
        claim(tmp_path / "x")
    assert json.loads((tmp_path / ".x.lock").read_text()) == held


def test_a_process_number_that_was_given_again_is_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_flock", None)
    held = locks.record("x") | {"process_began": 1.0}
    (tmp_path / ".x.lock").write_text(json.dumps(held))
    claim(tmp_path / "x").release()


def test_who_has_just_taken_a_lock_is_named_once_that_is_written(tmp_path, monkeypatch):
    holder = claim(tmp_path / "x")
    said, reads = locks._record_in, []

    def at_first_empty(descriptor):
        reads.append(descriptor)
        return said(descriptor) if len(reads) > 3 else {}

    monkeypatch.setattr(locks, "_record_in", at_first_empty)
    with pytest.raises(locks.Busy, match=rf"x: another .* is writing it: {os.getpid()} on"):
        locks.take_lock(tmp_path / "x")
    holder.release()


def test_on_a_full_disk_no_lock_is_left(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreError, match="x: cannot be written: No space left on device"):
        claim(tmp_path / "a" / "x")
    assert names(tmp_path) == []


def test_who_claimed_a_name_writes_it_and_no_other_thread_does(tmp_path, flock):
    place, refused = tmp_path / "x", []

    def other():
        for use in (claim, written_beside(place).__enter__):
            try:
                use(place) if use is claim else use()
            except StoreError as error:
                refused.append(str(error))

    with claimed([place]):
        with written_beside(place) as partial:
            partial.write_text("first")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with written_beside(place) as partial:
            partial.write_text("second")
        with pytest.raises(StoreError, match="another part of this process"):
            claim(place)
    assert len(refused) == 2
    assert all("another part of this process is writing it: " in text for text in refused)
    assert place.read_text() == "second"
    assert names(tmp_path) == ["x"]


def test_a_child_does_not_write_what_its_parent_claimed(tmp_path):
    with claimed([tmp_path / "x"]):
        child = os.fork()
        if child == 0:
            try:
                with written_beside(tmp_path / "x") as partial:
                    partial.write_text("of the child")
            except StoreError:
                os._exit(7)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
    assert names(tmp_path) == []
