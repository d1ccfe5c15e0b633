"""Threads of products: limited within, as before after; libraries that come later are known."""

from __future__ import annotations

import subprocess
import sys
from threading import Barrier, get_ident

from threadpoolctl import threadpool_info

from dasklasso.scan.threads import blas_threads, in_parts, slices, with_threads


def threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_products_take_so_many_threads_within_and_as_many_as_before_after():
    before = threads()
    with blas_threads():
        assert set(threads()) == {1}
        with blas_threads(2):
            assert set(threads()) == {2}
        assert set(threads()) == {1}
    assert threads() == before


def test_a_library_that_is_loaded_later_is_limited_too():
    script = """
import numpy
from threadpoolctl import threadpool_info
from dasklasso.scan.threads import blas_threads
with blas_threads():
    pass
import scipy.linalg
with blas_threads():
    print({one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"})
"""
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "{1}\n"


def test_a_task_works_on_parts_in_as_many_threads_as_it_may_take():
    both = Barrier(2)
    with_threads(2, lambda: in_parts(lambda _: both.wait(10.0), range(2)))
    found = []
    in_parts(lambda _: found.append(get_ident()), range(3))
    assert set(found) == {get_ident()}


def test_slices_cover_all_of_a_range():
    assert slices(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert slices(0, 3) == []
