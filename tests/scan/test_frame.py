"""A frame is sliced by columns, moved to a device, pickled, and placed part by part."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest

from dasklasso.backend import backend_for, to_numpy
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import Frame
from dasklasso.scan.runners import InProcess

NAMES = [field.name for field in fields(Frame)]


def some(d=7):
    return Frame(*np.random.default_rng(0).standard_normal((len(NAMES), d)))


@pytest.mark.parametrize("columns", [slice(2, 5), np.array([6, 0, 3])])
def test_some_columns_have_their_own_frame(columns):
    frame = some()
    found = frame[columns]
    assert len(found) == 3
    for name in NAMES:
        assert np.array_equal(getattr(found, name), getattr(frame, name)[columns])


def test_a_frame_travels_and_comes_back_from_a_device():
    frame = some()
    for found in (
        pickle.loads(pickle.dumps(frame)),
        frame.on(backend_for("strict")).map(to_numpy),
    ):
        for name in NAMES:
            assert np.array_equal(getattr(found, name), getattr(frame, name))


def test_columns_without_spread_neither_matter_nor_are_unpenalised():
    zero, one = np.zeros(3), np.ones(3)
    frame = Frame(zero, zero, np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0]), one)
    assert frame.matters.tolist() == [False, True, True]
    assert frame.unpenalised.tolist() == [False, True, False]


@pytest.mark.parametrize("columns", [None, 4])
def test_each_part_gets_the_frame_of_its_columns(columns, make_store, regression):
    X, y = regression(60, 10)
    data = make_store(X, y, chunk_rows=20, chunk_columns=columns)
    engine = ScanEngine(data, InProcess(1), band_bytes=8 * 4 * 20 if columns else 64 << 20)
    assert engine.is_split == (columns is not None)
    frame = some(10)
    parts = engine.runner.compute(*engine.placed(frame).blocks())
    assert [len(part) for part in parts] == list(engine.column_chunks)
    for name in NAMES:
        together = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(together, getattr(frame, name))
