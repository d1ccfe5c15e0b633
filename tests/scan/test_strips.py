"""Strips: columns with all of their rows, read once, whatever the chunks are."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.scan.strips import StripQuery, ask_strips, strip_products, strips_of
from dasklasso.scan.tasks import forget

STORES = {
    "mapped": {},
    "cut into rows": {"chunk_rows": 7},
    "compressed": {"chunk_rows": 7, "chunk_columns": 30, "codec": "zstd"},
}


class Products(StripQuery):
    name = "products"

    def on_strip(self, strip, rows, shared):
        return strip_products(rows, shared, np.full(strip.width, 2.0))


@pytest.fixture(params=STORES)
def store(request, make_store, monkeypatch):
    monkeypatch.setattr("dasklasso.scan.strips.STRIP_COLUMNS", 16)
    X, y = np.random.default_rng(0).standard_normal((20, 100)) + 2.0, np.arange(20.0)
    data = make_store(X, y, **STORES[request.param])
    yield X, data
    forget(data.fingerprint)


def test_strips_cover_all_columns_once(store):
    _, data = store
    strips = strips_of(data.X)
    covered = np.concatenate([np.arange(strip.start, strip.stop) for strip in strips])
    np.testing.assert_array_equal(covered, np.arange(100))


def test_products_are_those_of_whole_columns(store):
    X, data = store
    engine, R = ScanEngine(data, InProcess(2)), np.random.default_rng(1).standard_normal((20, 3))
    for _ in range(2):  # forward, then backward
        found, _ = ask_strips(engine, Products(), R, strips_of(data.X))
        np.testing.assert_allclose(np.concatenate(found), (X - 2.0).T @ R, rtol=1e-12)
    assert engine.scans == 2


def test_some_strips_count_by_their_share(store):
    _, data = store
    engine, strips = ScanEngine(data, InProcess(1)), strips_of(data.X)
    _, nbytes = ask_strips(engine, Products(), np.ones((20, 1)), strips[:1])
    assert engine.scans == strips[0].width / 100
    _, everything = ask_strips(engine, Products(), np.ones((20, 1)), strips[1:])
    assert 0 < nbytes < everything


def test_bits_do_not_depend_on_who_reads(store):
    _, data = store
    R, strips = np.random.default_rng(1).standard_normal((20, 3)), strips_of(data.X)
    one, three = (
        ask_strips(ScanEngine(data, InProcess(n)), Products(), R, strips)[0] for n in (1, 3)
    )
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)
