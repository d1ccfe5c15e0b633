"""Memory of the process tree: anonymous and shared pages, of children too; not mapped files."""

from __future__ import annotations

import mmap
import subprocess
import sys
import time

import numpy as np
import pytest

from dasklasso.fit.peak_memory import PeakMemory, tree_memory

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts as /proc does")
SLACK = 16 * MIB


def test_what_is_allocated_counts():
    before = tree_memory()
    block = np.ones(64 * MIB, np.uint8)
    grown = tree_memory() - before
    assert abs(grown - block.nbytes) < SLACK


def test_pages_of_mapped_files_do_not_count(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * (96 * MIB))
    before = tree_memory()
    mapped = np.memmap(path, np.uint8, mode="r")
    assert mapped[:: mmap.PAGESIZE].sum() > 0  # every page is there
    assert tree_memory() - before < SLACK


def test_shared_memory_counts():
    before = tree_memory()
    with mmap.mmap(-1, 64 * MIB) as shared:
        shared.write(b"x" * (64 * MIB))
        assert abs(tree_memory() - before - 64 * MIB) < SLACK


def test_what_children_hold_counts():
    before = tree_memory()
    code = "b = bytearray(b'x') * (96 << 20); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        held = tree_memory() - before
        alone = tree_memory(child.pid)
        child.communicate("\n")
    assert 96 * MIB <= alone <= 96 * MIB + 2 * SLACK
    assert abs(held - alone) < SLACK


def test_the_peak_is_kept_after_the_memory_is_gone():
    with PeakMemory(seconds=0.01) as peak:
        before = tree_memory()
        block = np.ones(64 * MIB, np.uint8)
        deadline = time.monotonic() + 10
        while peak.nbytes < before + 48 * MIB and time.monotonic() < deadline:
            time.sleep(0.01)
        del block
    assert peak.nbytes >= before + 48 * MIB
