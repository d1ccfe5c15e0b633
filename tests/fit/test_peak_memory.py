"""Memory of the process tree: anonymous and shared pages, of children too; not mapped files."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from dasklasso.fit.peak_memory import PeakMemory, tree_memory

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts as /proc does")
SLACK = 16 * MIB


FIGURES = """
import json, mmap, sys
import numpy as np
from dasklasso.fit.peak_memory import tree_memory

def grown(make):
    before = tree_memory()
    held = make()
    return tree_memory() - before, held

def mapped():
    pages = np.memmap(sys.argv[1], np.uint8, mode="r")
    assert pages[:: mmap.PAGESIZE].sum() > 0  # every page is there
    return pages

def shared():
    pages = mmap.mmap(-1, 64 << 20)
    pages.write(b"x" * (64 << 20))
    return pages

cases = {"allocated": lambda: np.ones(64 << 20, np.uint8), "mapped": mapped, "shared": shared}
print(json.dumps({name: grown(make)[0] for name, make in cases.items()}))
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """By how many bytes a process grows: one of its own, in which nothing else comes or goes."""
    path = tmp_path_factory.mktemp("mapped") / "file"
    path.write_bytes(b"x" * (96 * MIB))
    found = subprocess.run(
        [sys.executable, "-c", FIGURES, str(path)], capture_output=True, check=True, text=True
    )
    return json.loads(found.stdout)


def test_what_is_allocated_counts(grown):
    assert abs(grown["allocated"] - 64 * MIB) < SLACK


def test_pages_of_mapped_files_do_not_count(grown):
    assert grown["mapped"] < SLACK


def test_shared_memory_counts(grown):
    assert abs(grown["shared"] - 64 * MIB) < SLACK


def test_what_children_hold_counts():
    code = "b = bytearray(b'x') * (96 << 20); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        alone, with_this = tree_memory(child.pid), tree_memory()
        child.communicate("\n")
    assert 96 * MIB <= alone <= 96 * MIB + 2 * SLACK
    assert with_this > alone


def test_the_peak_is_kept_after_the_memory_is_gone():
    with PeakMemory(seconds=0.01) as peak:
        before = tree_memory()
        block = np.ones(64 * MIB, np.uint8)
        deadline = time.monotonic() + 10
        while peak.nbytes < before + 48 * MIB and time.monotonic() < deadline:
            time.sleep(0.01)
        del block
    assert peak.nbytes >= before + 48 * MIB
