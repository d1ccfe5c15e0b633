"""The same fit gives the same bits, wherever and on however many threads it runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.fit import fit_path, session
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.runners import InProcess

OPTIONS = FitOptions(n_alphas=3, eps=0.05, tol=1e-5)
SOLVERS = ("fista", "gram", "working_set")


def fit(stored, **run):
    """The paths of every solver, none of which knows what another one kept."""
    data, band_bytes = stored
    run = RunOptions(band_bytes=band_bytes, dashboard=False, keep_statistics=False, **run)
    return [fit_path(data, replace(OPTIONS, solver=solver), run) for solver in SOLVERS]


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_equal_paths(one, other)


def assert_equal_paths(found, expected):
    assert found.scans == expected.scans
    assert np.array_equal(found.alphas, expected.alphas)
    assert np.array_equal(found.coef, expected.coef)
    assert np.array_equal(found.intercepts, expected.intercepts)
    assert np.array_equal(found.dual_gaps, expected.dual_gaps)


@pytest.fixture(scope="session")
def expected(stored):
    paths = fit(stored, in_process=True)
    assert max(path.dual_gaps.max() for path in paths) <= OPTIONS.tol
    return paths


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_any_number_of_threads_gives_the_same_bits(threads, stored, expected, monkeypatch):
    def runner(*args, **kwargs):
        from contextlib import nullcontext

        return nullcontext(InProcess(threads))

    monkeypatch.setattr(session, "runner_for", runner)
    assert_same_bits(fit(stored), expected)


def test_the_embedded_cluster_gives_the_same_bits(stored, expected, fits_on):
    fits_on()
    assert_same_bits(fit(stored), expected)


def test_a_client_that_is_there_already_gives_the_same_bits_and_stays_open(stored, expected):
    from distributed import Client, LocalCluster

    options = {"processes": False, "dashboard_address": "127.0.0.1:0", "n_workers": 3}
    with (
        LocalCluster(threads_per_worker=1, **options) as cluster,
        Client(cluster) as client,
    ):
        found = fit(stored)
        assert client.status == "running"
        assert client.submit(int, 3).result() == 3
    assert_same_bits(found, expected)


@pytest.mark.parametrize("stored", ["mapped", "split"], indirect=True)
def test_worker_processes_give_the_same_bits(stored, expected, fits_on):
    fits_on(workers=2)
    assert_same_bits(fit(stored), expected)


@pytest.mark.parametrize("stored", ["mapped", "split"], indirect=True)
def test_programs_of_their_own_give_the_same_bits(stored, expected, scheduler_address, tmp_path):
    found = fit(stored, scheduler=scheduler_address, checkpoint=str(tmp_path / "state"))
    assert_same_bits(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["compressed", "split and compressed"], indirect=True)
def test_processes_and_programs_decode_to_the_same_bits(
    stored, expected, scheduler_address, tmp_path
):
    assert_same_bits(fit(stored, workers=3), expected)
    found = fit(stored, scheduler=scheduler_address, checkpoint=str(tmp_path / "state"))
    assert_same_bits(found, expected)


def test_another_codec_gives_the_same_bits(make_store, regression):
    X, y = regression(300, 6)
    paths = [
        fit((make_store(X, y, codec=codec, chunk_rows=100), 8 * 6 * 100), in_process=True)
        for codec in ("none", "lz4", "zstd")
    ]
    for path in paths[1:]:
        assert_same_bits(path, paths[0])
