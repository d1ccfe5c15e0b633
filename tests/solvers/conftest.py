"""Shared by the tests of solvers: fits that are stopped in the middle, and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import Dataset
from dasklasso.fit import fit_path
from dasklasso.model.path import FittedPath
from dasklasso.options import FitOptions, RunOptions


class Stopped(Exception):
    pass


@pytest.fixture(scope="session")
def interrupt() -> Callable[..., None]:
    """``interrupt(data, options, run, scan)``: a fit that ends after a scan; its states stay."""

    def run_to(data: Dataset, options: FitOptions, run: RunOptions, scan: int) -> None:
        def stop(event):
            if event.scan >= scan:
                raise Stopped

        with pytest.raises(Stopped):
            fit_path(data, options, replace(run, checkpoint_seconds=0.0), progress=stop)

    return run_to


@pytest.fixture(scope="session")
def going_on() -> Callable[[RunOptions], RunOptions]:
    """The same run, resumed, without states of its own (each takes longer than a small scan)."""
    return lambda run: replace(run, resume=True, checkpoint_seconds=1e9)


@pytest.fixture(scope="session")
def assert_same_bits() -> Callable[[FittedPath, FittedPath], None]:
    """One path is the other, to the last bit, after as many scans."""

    def check(found: FittedPath, expected: FittedPath) -> None:
        assert found.scans == expected.scans
        assert np.array_equal(found.coef, expected.coef)
        assert np.array_equal(found.intercepts, expected.intercepts)
        assert np.array_equal(found.dual_gaps, expected.dual_gaps)

    return check
