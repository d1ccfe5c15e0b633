"""Memory that was freed: what the C library is told, where it can be told."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest

from dasklasso.free_memory import return_free_memory, share_free_memory


@pytest.fixture
def told(monkeypatch):
    found = []
    library = SimpleNamespace(
        mallopt=lambda *values: found.append(values), malloc_trim=lambda pad: found.append(pad)
    )
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return found


def test_threads_share_two_arenas_and_all_of_them_give_back_what_is_free(told):
    share_free_memory()
    return_free_memory()
    assert told == [(-8, 2), 0]


def test_a_library_without_them_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    share_free_memory()
    return_free_memory()
