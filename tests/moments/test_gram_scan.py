"""The Gram scan: moments of any store are those of its rows, and so are their bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.model_selection import KFold

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import FoldScheme, assign_folds, random_folds
from dasklasso.errors import OptionError, ValueFound
from dasklasso.moments import gram_scan
from dasklasso.moments import tiles as gram_tiles
from dasklasso.moments.cross_moments import cross_moments
from dasklasso.moments.gram_scan import block_edges, default_blocks, scan_moments
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess, OnCluster

KINDS = {
    "none": FoldScheme(),
    "random": FoldScheme("random", 4, 7),
    "contiguous": FoldScheme("contiguous", 4, n_blocks=4),
    "column": FoldScheme("column"),
    "groups": FoldScheme("groups", 2),
}


@pytest.fixture(params=["blocks", "tiles"])
def way(request, monkeypatch):
    """Moments by blocks of rows, or by tiles as where they are large."""
    if request.param == "tiles":
        monkeypatch.setattr(gram_scan, "GROUPED_BYTES", 1)
        monkeypatch.setattr(gram_tiles, "TILE", 4)
        monkeypatch.setattr(gram_tiles, "BUFFER_ROWS", 16)
    return request.param


@pytest.fixture
def rows(regression):
    X, y = regression(230, 9, seed=3)
    weight = np.random.default_rng(0).uniform(0.5, 2, 230)
    return X, y, weight


BLOCKS = {"none": 3, "random": 3, "contiguous": 4, "column": 2, "groups": 2}


def scanned(data, scheme, threads=2):
    engine = ScanEngine(data, InProcess(threads), band_bytes=8 * 9 * 40)
    return (*scan_moments(data, engine, assign_folds(scheme, data)), engine)


def agree(found, X, y, weight):
    expected = cross_moments(X, y, weight)
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
    np.testing.assert_allclose(found.products, expected.products, atol=1e-9)


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("columns", [None, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_moments_of_a_store_add_up_to_its_rows(way, kind, columns, codec, rows, make_store):
    X, y, weight = rows
    data = make_store(X, y, weight, chunk_rows=50, chunk_columns=columns, codec=codec)
    data = replace(data, fold=from_arrays(np.arange(230)[:, None] % 5, y).X)
    blocks = BLOCKS[kind] if way == "blocks" else KINDS[kind].n_blocks
    grouped, nbytes, engine = scanned(data, replace(KINDS[kind], n_blocks=blocks))
    agree(grouped.total(), X, y, weight)
    assert engine.scans == 1
    pieces = [(len(b) - 1) for b in (data.X.row_bounds, data.X.column_bounds)]
    stored = sum(data.X.stored_bytes(i, j) for i in range(pieces[0]) for j in range(pieces[1]))
    assert codec != "none" or nbytes == pytest.approx(stored, abs=100)


def test_random_folds_hold_the_rows_their_labels_say(way, rows):
    X, y, weight = rows
    grouped, _, _ = scanned(from_arrays(X, y, weight), KINDS["random"])
    labels = random_folds(4, 7, 0, 230)
    for fold, found in enumerate(grouped.by_fold()):
        agree(found, X[labels == fold], y[labels == fold], weight[labels == fold])


def test_contiguous_folds_are_those_of_k_fold(way, rows):
    X, y, weight = rows
    grouped, _, _ = scanned(from_arrays(X, y, weight), KINDS["contiguous"])
    for (_, test), found in zip(KFold(4).split(X), grouped.by_fold(), strict=True):
        agree(found, X[test], y[test], weight[test])


@pytest.fixture(scope="module")
def processes():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield OnCluster(client)


def test_the_bits_are_the_same_whoever_computes(way, rows, make_store, processes):
    X, y, weight = rows
    data = make_store(X, y, weight, chunk_rows=50)
    one, _, _ = scanned(data, KINDS["random"], threads=1)
    engine = ScanEngine(data, processes, band_bytes=8 * 9 * 40)
    other, _ = scan_moments(data, engine, assign_folds(KINDS["random"], data))
    for a, b in zip(one.moments, other.moments, strict=True):
        np.testing.assert_array_equal(a.products, b.products)
        np.testing.assert_array_equal(a.mean, b.mean)


def test_a_nan_is_found_by_row_and_column(way, rows):
    X, y, _ = rows
    X[117, 4] = np.nan
    with pytest.raises(ValueFound, match=r"nan at row 117, column 'x4'"):
        scanned(from_arrays(X, y), FoldScheme())


def test_more_folds_than_rows_are_refused(rows):
    X, y, _ = rows
    with pytest.raises(OptionError, match="folds: 231 found, expected at most the 230 rows"):
        scanned(from_arrays(X, y), FoldScheme("random", 231))


def test_blocks_that_are_asked_for_are_kept_apart_though_moments_are_large(rows, monkeypatch):
    X, y, _ = rows
    monkeypatch.setattr(gram_scan, "GROUPED_BYTES", 1)
    grouped, _, _ = scanned(from_arrays(X, y), FoldScheme(n_blocks=5))
    assert [block.count for block in grouped.by_block()] == [46] * 5


@pytest.mark.parametrize("mean", [0.0, 1e6])
@pytest.mark.parametrize("scale", [1.0, 1e-25])
def test_float32_tiles_are_exact_to_their_digits(mean, scale, monkeypatch):
    monkeypatch.setattr(gram_scan, "GROUPED_BYTES", 1)
    monkeypatch.setattr(gram_scan, "EXACT_FLOPS", 0)
    monkeypatch.setattr(gram_scan, "FEWEST_FAST", 0)
    rng = np.random.default_rng(0)
    X = ((rng.standard_normal((3000, 7)) + mean) * scale).astype(np.float32)
    X[:, 3] = X[0, 3]
    y = rng.standard_normal(3000) + X[:, 0] / scale
    grouped, _, _ = scanned(from_arrays(X, y), FoldScheme("random", 3))
    found, expected = grouped.total(), cross_moments(X, y)
    spread = np.sqrt(np.diagonal(expected.products))
    spread = np.where(spread > 0, spread, 1.0)
    assert np.abs((found.products - expected.products) / spread[:, None] / spread).max() < 1e-6
    assert not found.products[3].any()


@pytest.mark.parametrize(("of_y", "of_weight"), [(1e60, 1), (1e-60, 1), (1, 1e60), (1, 1e-60)])
def test_units_of_targets_and_weights_do_not_matter_in_float32(way, of_y, of_weight, monkeypatch):
    monkeypatch.setattr(gram_scan, "EXACT_FLOPS", 0)
    monkeypatch.setattr(gram_scan, "FEWEST_FAST", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 7)).astype(np.float32)
    y, weight = rng.standard_normal(3000) + X[:, 0], rng.uniform(0.5, 2, 3000)
    grouped, _, _ = scanned(from_arrays(X, y * of_y, weight * of_weight), FoldScheme("random", 3))
    found, unit = grouped.total(), np.append(np.ones(7), of_y)
    expected = cross_moments(X, y, weight)
    assert found.weight == pytest.approx(expected.weight * of_weight)
    products = found.products / of_weight / unit / unit[:, None]
    spread = np.sqrt(np.diagonal(expected.products))
    assert np.abs((products - expected.products) / spread[:, None] / spread).max() < 1e-6
    np.testing.assert_allclose(found.mean / unit, expected.mean, atol=1e-7)


def test_tiles_find_the_unit_of_a_column_that_begins_with_zeros(monkeypatch):
    monkeypatch.setattr(gram_scan, "GROUPED_BYTES", 1)
    monkeypatch.setattr(gram_scan, "EXACT_FLOPS", 0)
    monkeypatch.setattr(gram_scan, "FEWEST_FAST", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 4)).astype(np.float32)
    X[:3000, 1], X[3000:, 1] = 0.0, X[3000:, 1] * np.float32(1e-25)
    grouped, _, _ = scanned(from_arrays(X, rng.standard_normal(6000)), FoldScheme())
    expected = cross_moments(X, np.zeros(6000)).products[1, 1]
    assert grouped.total().products[1, 1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n", [10, 442, 10_007])
def test_contiguous_edges_are_those_of_k_fold(n):
    edges = block_edges(n, FoldScheme("contiguous", 5, n_blocks=5))
    assert edges == [0, *np.cumsum([len(test) for _, test in KFold(5).split(np.zeros(n))])]


def test_blocks_end_where_chunks_end_that_cannot_be_cut():
    edges = block_edges(1000, FoldScheme(n_blocks=3), pieces=(0, 100, 300, 600, 1000))
    assert edges == [0, 300, 600, 1000]


def test_few_large_chunks_are_cut_where_folds_need_it():
    scheme = FoldScheme("contiguous", 4, n_blocks=4)
    assert block_edges(1000, scheme, pieces=(0, 900, 1000)) == [0, 250, 500, 750, 1000]


@pytest.mark.parametrize("folds", [1, 5])
def test_blocks_are_fewer_where_moments_are_larger(folds):
    scheme = FoldScheme("random", folds)
    counts = [default_blocks(10**6, d, scheme, folds) for d in (10, 500, 1000, 5000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1
