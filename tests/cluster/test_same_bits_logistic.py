"""A logistic fit, whose intercept is stepped on the client, gives the same bits everywhere."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from dasklasso.fit import fit_path, session
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.runners import InProcess

OPTIONS = FitOptions(loss="logistic", n_alphas=3, eps=0.2, tol=1e-6)


@pytest.fixture(scope="module", params=[None, 4], ids=["whole", "split"])
def labels(request, make_store, regression):
    """(dataset, band_bytes): 600 rows, 12 columns, two targets, weighted."""
    X, y = regression(600, 12, seed=4)
    Y = np.column_stack([y > np.median(y), X[:, 0] + 0.3 * y > 1.0]).astype(float)
    weight = np.random.default_rng(4).uniform(0.5, 2.0, len(X))
    data = make_store(X, Y, weight, chunk_rows=150, chunk_columns=request.param)
    return data, 8 * (request.param or 12) * 150


def fit(labels, **run):
    data, band_bytes = labels
    return fit_path(data, OPTIONS, RunOptions(band_bytes=band_bytes, dashboard=False, **run))


@pytest.fixture(scope="module")
def expected(labels):
    path = fit(labels, in_process=True)
    assert path.dual_gaps.max() <= OPTIONS.tol
    return path


def assert_same_bits(found, expected):
    assert found.scans == expected.scans
    for name in ("alphas", "coef", "intercepts", "dual_gaps", "objectives"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same_bits(threads, labels, expected, monkeypatch):
    monkeypatch.setattr(session, "runner_for", lambda *a, **k: nullcontext(InProcess(threads)))
    assert_same_bits(fit(labels), expected)


def test_worker_processes_give_the_same_bits(labels, expected, fits_on):
    fits_on(workers=2)
    assert_same_bits(fit(labels), expected)
