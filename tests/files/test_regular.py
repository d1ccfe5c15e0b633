from __future__ import annotations

import errno
import os
import socket

import pytest

from dasklasso.errors import OptionError
from dasklasso.files.places import input_place, output_place
from dasklasso.files.regular import NotRegular, open_regular, why, why_unwritable


def test_a_file_is_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with open_regular(tmp_path / "a") as file:
        assert file.read() == b"abc"


def test_a_pipe_a_socket_and_a_device_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    for name, kind in (("pipe", "pipe"), ("socket", "socket"), ("null", "device")):
        with pytest.raises(NotRegular, match=f"it is a {kind}, expected a file"):
            open_regular(tmp_path / name)


def test_a_writer_of_a_pipe_is_not_let_go(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegular):
        open_regular(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):  # nobody reads there
        os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loop", "links lead in a circle"),
        ("file/inside", "a part of its path is a file"),
        ("x" * 300, "its name is too long"),
    ],
)
def test_inputs_that_lead_nowhere_are_named(tmp_path, name, said):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=f"store: .*{name} cannot be read: .*{said}"):
        input_place(tmp_path / name, "store")


def test_a_pipe_is_never_overwritten(tmp_path):
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(OptionError, match="is a pipe, which is never overwritten"):
        output_place(tmp_path / "p.csv")


def test_why_leaves_out_numbers_and_the_file_name(tmp_path):
    with pytest.raises(OSError, match="No such file") as missing:
        open_regular(tmp_path / "a")
    assert why(missing.value) == "No such file or directory"


@pytest.mark.parametrize(
    ("number", "place", "said"),
    [
        (errno.EEXIST, "file/x", "{}/file is not a folder"),
        (errno.ENOTDIR, "file/a/x", "{}/file is not a folder"),
        (errno.ENOENT, "x", "no file can be made in {}"),
        (errno.ENOENT, "gone/x", "No such file or directory"),
        (errno.ENOSPC, "x", "No space left on device"),
    ],
)
def test_why_a_place_cannot_be_written_names_the_folder(tmp_path, number, place, said):
    (tmp_path / "file").write_text("")
    error = OSError(number, os.strerror(number))
    assert why_unwritable(error, tmp_path / place) == said.format(tmp_path)
