"""What a scan reads, in which order, and what it does with faults."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dasklasso.errors import ChunkMissing, ValueFound
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan import block_cache as cache
from dasklasso.scan import reader as reading
from dasklasso.scan import tasks
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import Frame
from dasklasso.scan.gather import gather
from dasklasso.scan.queries.column_moments import ColumnMoments
from dasklasso.scan.queries.gradient import Gradient, LossGradient
from dasklasso.scan.runners import InProcess

N, D = 400, 12


@pytest.fixture(autouse=True)
def an_empty_cache():
    """What other tests left in this process's cache would count against a budget."""
    before = cache.CACHE
    tasks.CACHE = reading.CACHE = cache.BlockCache()
    yield
    tasks.CACHE = reading.CACHE = before


class Counted:
    """A block source that records which blocks are decoded, in order."""

    def __init__(self, source, mapped=False):
        self.source = source
        self.shape, self.dtype = source.shape, source.dtype
        self.row_bounds, self.column_bounds = source.row_bounds, source.column_bounds
        self.mapped = mapped
        self.read = []
        self._lock = threading.Lock()

    def block(self, i, j):
        with self._lock:
            self.read.append((i, j))
        return self.source.block(i, j)

    def will_need(self, i, j):
        return None

    def stored_bytes(self, i, j):
        return self.source.stored_bytes(i, j)


class Limited(InProcess):
    """Threads whose cache has a budget of its own."""

    def __init__(self, threads, budget):
        super().__init__(threads)
        self.budget = budget

    def cache_bytes(self, block_bytes):
        return self.budget


def counted_engine(make_store, regression, *, columns=None, band_bytes=64 << 20, runner=None):
    X, y = regression(N, D)
    data = make_store(X, y, codec="zstd", chunk_rows=50, chunk_columns=columns)
    data = replace(data, X=Counted(data.X), fingerprint=uuid.uuid4().hex)
    return data.X, ScanEngine(data, runner or InProcess(1), band_bytes)


def scan(engine, seed=0, also=()):
    rng = np.random.default_rng(seed)
    query = Gradient((0,), (0.0,), float(N))
    points = engine.by_columns(rng.standard_normal((D, 1)))
    frame = engine.placed(Frame.unscaled(D))
    return gather(engine, points, engine.gradient(query, points, frame, also))


EVERY_ROW_CHUNK = [(i, 0) for i in range(8)]


def test_in_one_part_each_block_is_decoded_once_a_scan(make_store, regression):
    counted, engine = counted_engine(make_store, regression, columns=5, runner=Limited(2, budget=0))
    scan(engine)
    assert Counter(counted.read) == Counter((i, j) for i in range(8) for j in range(3))
    assert engine.scans == 1


def test_several_queries_share_one_read(make_store, regression):
    counted, engine = counted_engine(make_store, regression, runner=Limited(1, budget=0))
    first, second = ColumnMoments(), ColumnMoments()
    found = scan(engine, also=[Request(first), Request(second)])
    assert np.array_equal(found[first].mean, found[second].mean)
    assert sorted(counted.read) == EVERY_ROW_CHUNK


def test_in_several_parts_each_block_is_decoded_once_a_scan(make_store, regression):
    counted, engine = counted_engine(
        make_store, regression, columns=4, band_bytes=8 * 4 * 100, runner=Limited(2, 1 << 30)
    )
    assert engine.is_split
    for _ in range(2):
        counted.read.clear()
        scan(engine)
        assert Counter(counted.read) == Counter((i, j) for i in range(8) for j in range(3))


def test_without_room_to_hold_them_blocks_of_several_parts_are_decoded_twice(
    make_store, regression
):
    counted, engine = counted_engine(
        make_store, regression, columns=4, band_bytes=8 * 4 * 100, runner=Limited(1, 0)
    )
    scan(engine)
    assert set(Counter(counted.read).values()) == {2}


def test_blocks_that_fit_are_decoded_once_for_all_scans(make_store, regression):
    counted, engine = counted_engine(make_store, regression, runner=Limited(1, 1 << 30))
    first = scan(engine)
    for _ in range(3):
        found = scan(engine)
        assert np.array_equal(found.gradient, first.gradient)
        assert found.bytes_read == 0
    assert sorted(counted.read) == EVERY_ROW_CHUNK


def test_as_many_blocks_as_fit_are_pinned_always_the_same_ones(make_store, regression):
    block = 50 * D * 8
    counted, engine = counted_engine(
        make_store, regression, band_bytes=block, runner=Limited(4, 3 * block)
    )
    scan(engine)
    again = []
    for _ in range(4):
        counted.read.clear()
        scan(engine)
        again.append(sorted(counted.read))
    assert all(read == again[0] for read in again)
    assert 5 <= len(again[0]) < 8


def test_the_direction_alternates(make_store, regression):
    counted, engine = counted_engine(make_store, regression, runner=Limited(1, budget=0))
    orders = []
    for _ in range(4):
        counted.read.clear()
        scan(engine)
        orders.append(list(counted.read))
    forward = EVERY_ROW_CHUNK
    assert orders == [forward, forward[::-1], forward, forward[::-1]]


def test_forward_and_backward_scans_give_the_same_bits(make_store, regression):
    for columns, band_bytes in ((None, 8 * D * 100), (4, 8 * 4 * 100)):
        _, engine = counted_engine(make_store, regression, columns=columns, band_bytes=band_bytes)
        forward, backward = scan(engine), scan(engine)
        assert np.array_equal(forward.gradient, backward.gradient)
        assert forward.sums.loss == backward.sums.loss
        assert forward.sums.slope == backward.sums.slope


def test_bytes_read_are_the_bytes_stored(make_store, regression):
    X, y = regression(N, D)
    for columns, band_bytes in ((None, 64 << 20), (4, 8 * 4 * 100)):
        for codec in ("none", "zstd"):
            data = make_store(X, y, codec=codec, chunk_rows=50, chunk_columns=columns)
            stored = sum(
                data.X.stored_bytes(i, j)
                for i in range(8)
                for j in range(len(data.X.column_bounds) - 1)
            )
            found = scan(ScanEngine(data, Limited(1, 1 << 30), band_bytes))
            twice = 2 if codec == "none" and columns else 1  # mapped again costs nothing
            assert found.bytes_read == pytest.approx(twice * stored, rel=0.01)


@pytest.mark.parametrize("columns", [None, 4])
def test_a_chunk_that_goes_missing_is_an_error_not_zeros(columns, make_store, regression):
    X, y = regression(N, D)
    data = make_store(X, y, codec="zstd", chunk_rows=50, chunk_columns=columns)
    victim = data.X.chunk_file(5, 0)
    engine = ScanEngine(data, Limited(2, 0), 64 << 20 if columns is None else 8 * 4 * 100)
    os.unlink(victim)
    with pytest.raises(ChunkMissing, match=r"X/c/5/0 .*rows 250-299"):
        scan(engine)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("columns", [None, 4])
def test_a_value_that_is_not_finite_is_named_by_row_and_column(
    value, columns, tmp_path, regression
):
    import zarr

    from dasklasso.dataset.dataset import open_dataset

    X, y = regression(N, D)
    X[390, 11] = X[317, 9] = value
    group = zarr.open_group(str(tmp_path / "foreign.zarr"), mode="w")
    group.create_array("X", data=X, chunks=(50, columns or D))
    group.create_array("y", data=y)
    data = open_dataset(str(tmp_path / "foreign.zarr"))
    run = RunOptions(in_process=True, band_bytes=8 * 4 * 100 if columns else 64 << 20)
    with pytest.raises(ValueFound, match=rf"X has {value} at row 317, column 'x9'"):
        fit_path(data, FitOptions(solver="fista"), run)


def test_split_by_columns_no_task_sees_all_of_w(make_store, regression, monkeypatch):
    widths = Counter()
    width_of = 4

    def watch(module, name):
        original = getattr(module, name)

        def watched(*args, **kwargs):
            for array in walk(args):
                widths[name, array.shape[0]] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    def walk(value):
        if isinstance(value, np.ndarray) and value.ndim == 2:
            yield value
        elif isinstance(value, Frame):
            yield value.shift[:, None]
        elif isinstance(value, LossGradient):
            yield value.gradient
        elif isinstance(value, list | tuple):
            for one in value:
                yield from walk(one)

    from dasklasso.scan import gather as gathering
    from dasklasso.solvers.fista import question
    from dasklasso.solvers.fista import solver as drive

    monkeypatch.setattr(gathering, "COEFFICIENT_BYTES_IN_GRAPH", 0)  # w too long to travel
    for name in ("predict_part", "gradient_part", "join_bands", "finish_scan", "gradient_of"):
        watch(tasks, name)
    watch(drive, "prox_step")
    watch(question, "_summarise")
    X, y = regression(N, D)
    data = make_store(X, y, chunk_rows=50, chunk_columns=width_of)
    # no band has 12 rows: an array of 12 rows would be all of w
    run = RunOptions(in_process=True, band_bytes=8 * width_of * 100)
    path = fit_path(data, FitOptions(n_alphas=2, eps=0.1, solver="fista"), run)
    assert path.dual_gaps.max() <= 1e-6
    seen = {name for name, _ in widths}
    assert {"predict_part", "gradient_part", "prox_step", "_summarise"} <= seen
    assert D not in {width for _, width in widths}


def test_where_w_stays_on_the_workers_the_bits_are_the_same(make_store, regression, monkeypatch):
    from dasklasso.scan import gather as gathering

    X, y = regression(N, D)
    data = make_store(X, y, chunk_rows=50, chunk_columns=4)
    run = RunOptions(in_process=True, band_bytes=8 * 4 * 100)
    options = FitOptions(n_alphas=2, eps=0.1, solver="fista")
    expected = fit_path(data, options, run)
    monkeypatch.setattr(gathering, "COEFFICIENT_BYTES_IN_GRAPH", 0)
    found = fit_path(data, options, run)
    assert found.scans == expected.scans
    assert np.array_equal(found.coef, expected.coef)


@pytest.mark.parametrize("in_process", [True, False])
@pytest.mark.parametrize("columns", [None, 4])
def test_after_a_fit_nothing_of_its_data_stays_decoded(in_process, columns, make_store, regression):
    X, y = regression(N, D)
    data = make_store(X, y, codec="zstd", chunk_rows=50, chunk_columns=columns)
    band_bytes = 8 * 4 * 100 if columns else 64 << 20
    run = RunOptions(in_process=in_process, dashboard=False, band_bytes=band_bytes)
    seen = []
    fit_path(
        data,
        FitOptions(alphas=(0.1,), solver="fista"),
        run,
        progress=lambda e: seen.append(reading.CACHE.nbytes),
    )
    assert columns or max(seen) == X.nbytes
    assert reading.CACHE.nbytes == 0
