"""A scan's answers are found by the query that was asked."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.scan import gather as gathering
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import Frame
from dasklasso.scan.gather import gather
from dasklasso.scan.queries.column_moments import ColumnMoments
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.queries.sample import SampleRows
from dasklasso.scan.runners import InProcess

N, D = 60, 8


@pytest.fixture
def table(make_store, regression):
    X, y = regression(N, D)
    return X, y, make_store(X, y, chunk_rows=20, chunk_columns=4)


def scanned(engine, query, also=()):
    points = engine.by_columns(np.ones((D, 1)))
    frame = engine.placed(Frame.unscaled(D))
    return gather(engine, points, engine.gradient(query, points, frame, also))


def test_each_query_has_its_own_answer(table):
    X, y, data = table
    query, moments, sample = Gradient((0,), (0.0,), float(N)), ColumnMoments(), SampleRows(1)
    found = scanned(ScanEngine(data, InProcess(1)), query, [Request(moments), Request(sample)])
    residual = X.sum(axis=1) - y
    assert np.allclose(found[query].gradient[:, 0], X.T @ residual / N)
    assert np.allclose(found[query].sums.slope, residual.mean())
    assert np.allclose(found[moments].mean, X.mean(axis=0))
    assert np.array_equal(found[sample].x, X)
    assert found[query].gradient is found.gradient
    assert found[query].sums is found.sums


def test_a_query_that_was_not_asked_has_no_answer(table):
    _, _, data = table
    found = scanned(ScanEngine(data, InProcess(1)), Gradient((0,), (0.0,), float(N)))
    with pytest.raises(KeyError, match="statistics: not asked of this scan"):
        found[ColumnMoments()]


def test_where_w_stays_on_the_workers_answers_are_the_same(table, monkeypatch):
    _, _, data = table
    query = Gradient((0,), (0.0,), float(N))
    here = scanned(ScanEngine(data, InProcess(1), band_bytes=8 * 4 * 20), query)
    monkeypatch.setattr(gathering, "COEFFICIENT_BYTES_IN_GRAPH", 0)
    there = scanned(ScanEngine(data, InProcess(1), band_bytes=8 * 4 * 20), query)
    assert np.array_equal(there[query].gradient.compute(), here[query].gradient)
    assert np.array_equal(there[query].sums.loss, here[query].sums.loss)
    assert there.bytes_read == here.bytes_read
