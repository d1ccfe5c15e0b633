"""Whatever ends a fit early, its checkpoint has what it scanned, and goes once the model stands."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import DataWarning, OptionError, StoreError
from dasklasso.files.locks import take_lock
from dasklasso.fit import fit_cv, fit_path
from dasklasso.jobs.fit_stage import FitStage
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.solvers.checkpoint import FALLBACK, STATE, has_checkpoint
from dasklasso.solvers.fista.question import Steps

OPTIONS = FitOptions(n_alphas=3, eps=0.05, tol=1e-7, solver="fista")
LOGISTIC = FitOptions(loss="logistic", n_alphas=3, eps=0.01, tol=1e-6, solver="fista")


def correlated():
    """Columns so alike that a path takes dozens of scans."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 1)) + 0.5 * rng.standard_normal((120, 6))
    return X, 3 * X[:, 0] - 2 * X[:, 4] + rng.standard_normal(120)


@pytest.fixture
def store(make_store, tmp_path):
    return make_store(*correlated(), path=tmp_path / "s", chunk_rows=40)


@pytest.fixture
def run(tmp_path):
    return RunOptions(in_process=True, checkpoint=str(tmp_path / "state"), checkpoint_seconds=1e9)


@pytest.fixture
def whole(store):
    return fit_path(store, OPTIONS, RunOptions(in_process=True))


@contextmanager
def held_elsewhere(path):
    """Hold the lock of a name, as another process does."""
    path.parent.mkdir(exist_ok=True)
    lock = take_lock(path)
    yield
    lock.release()


def at_scan(number, do):
    """Do something once, after a scan."""
    done = []

    def progress(event):
        if event.scan >= number and not done:
            done.append(event.scan)
            do()

    return progress


def stop(error):
    def do():
        raise error

    return do


@pytest.mark.parametrize("error", [KeyboardInterrupt("ended by SIGTERM."), RuntimeError("a bug")])
def test_stopped_by_anything_nothing_is_lost_however_seldom_checkpoints_are(
    store, run, whole, tmp_path, error
):
    with pytest.raises(type(error)):
        fit_path(store, OPTIONS, run, progress=at_scan(10, stop(error)))
    assert has_checkpoint(tmp_path / "state")
    seen = []
    found = fit_path(
        store, OPTIONS, replace(run, resume=True), progress=lambda event: seen.append(event.scan)
    )
    assert seen[0] == 11
    assert np.array_equal(found.coef, whole.coef)
    assert not (tmp_path / "state").exists()


def test_an_error_in_the_middle_of_a_scan_costs_that_scan_only(
    store, run, whole, tmp_path, monkeypatch
):
    ask, scans = Steps.ask, []

    def failing(self, engine):
        scans.append(1)
        if len(scans) == 10:
            raise OSError(5, "Input/output error", "X/c/1/0")
        return ask(self, engine)

    monkeypatch.setattr(Steps, "ask", failing)
    with pytest.raises(OSError, match="Input/output error"):
        fit_path(store, OPTIONS, run)
    assert has_checkpoint(tmp_path / "state")
    found = fit_path(store, OPTIONS, replace(run, resume=True))
    assert found.scans == whole.scans
    assert np.array_equal(found.coef, whole.coef)


def test_a_checkpoint_that_cannot_be_written_warns_once_and_the_fit_goes_on(
    store, run, whole, tmp_path
):
    def fill():
        (tmp_path / "state" / f".{STATE}.lock").unlink()
        (tmp_path / "state").rmdir()
        (tmp_path / "state").write_text("in the way")

    often = replace(run, checkpoint_seconds=0.0, keep_checkpoint=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        # the first checkpoint would be written after this
        found = fit_path(store, OPTIONS, replace(often), progress=at_scan(1, fill))
    assert np.array_equal(found.coef, whole.coef)
    told = [str(one.message) for one in told if issubclass(one.category, DataWarning)]
    assert len(told) == 1
    assert "no checkpoint was written: " in told[0]
    assert "The fit goes on; what was kept before stays." in told[0]


def test_two_fits_with_one_checkpoint_are_one_too_many(store, run, tmp_path):
    with (
        held_elsewhere(tmp_path / "state" / STATE),
        pytest.raises(StoreError, match=r"state.zarr: another part of this process is writing it"),
    ):
        fit_path(store, OPTIONS, run)


# -- when scans run out ---------------------------------------------------------------------------


def test_out_of_scans_what_float64_gained_is_not_lost():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((400, 1)) + rng.standard_normal((400, 12))).astype(np.float32)
    data = from_arrays(X, (X[:, 0] - X[:, 3] + rng.logistic(size=400) > 0).astype(float))
    path = fit_path(data, replace(LOGISTIC, max_scans=60), RunOptions(in_process=True))
    assert path.scans == 61
    # float32 was left before, with gaps of 5e-5
    assert LOGISTIC.tol < path.dual_gaps.max() < 2e-5


# -- where another solver goes on -----------------------------------------------------------------


@pytest.fixture
def gives_up(monkeypatch):
    """Newton, which cannot hold the rows, gives every problem up after its first scans."""
    monkeypatch.setattr("dasklasso.solvers.newton.cost.HELD_WHOLE_BYTES", 0)
    monkeypatch.setattr(
        "dasklasso.solvers.newton.solver.SCANS_WITHOUT_GAIN", {"float32": 0, "float64": 0}
    )


@pytest.mark.parametrize("folds", [0, 3])
def test_where_another_solver_goes_on_its_scans_are_kept_too(gives_up, run, tmp_path, folds):
    X, y = correlated()
    data, options = from_arrays(X, (y > 0).astype(float)), replace(LOGISTIC, solver="newton")

    def fit(run, progress=None):
        go = partial(fit_cv, cv=CvOptions(folds)) if folds else fit_path
        with pytest.warns(DataWarning, match="newton no longer gets on") as told:
            path = go(data, options, run=run, progress=progress)
        return path, told

    expected, told = fit(replace(run, checkpoint=None))
    said = [str(one.message) for one in told if "newton no longer" in str(one.message)]
    assert ("those of folds stay as they are" in said[0]) is bool(folds)
    with pytest.raises(KeyboardInterrupt):
        fit(run, at_scan(expected.scans - 4, stop(KeyboardInterrupt())))
    assert has_checkpoint(tmp_path / "state")
    assert has_checkpoint(tmp_path / "state" / FALLBACK)
    seen = []
    found, _ = fit(replace(run, resume=True), lambda event: seen.append(event.scan))
    assert max(seen) == expected.scans
    np.testing.assert_allclose(found.coef, expected.coef, rtol=1e-12)
    assert not (tmp_path / "state").exists()


# -- the model and its checkpoint -----------------------------------------------------------------


def stage(tmp_path, **more):
    return FitStage(
        **{
            "store": str(tmp_path / "s"),
            "alpha": (0.01,),
            "out": str(tmp_path / "models" / "m"),
            "checkpoint": str(tmp_path / "state"),
            "tol": 1e-7,
            "solver": "fista",
            "no_dashboard": True,
            **more,
        }
    )


def test_a_model_that_cannot_be_saved_leaves_the_checkpoint(store, tmp_path):
    models = tmp_path / "models"

    def take_away():
        for lock in models.iterdir():
            lock.unlink()
        models.rmdir()
        models.write_text("in the way")

    with pytest.raises(StoreError, match="m: cannot be written"):
        stage(tmp_path).run(progress=at_scan(1, take_away))
    assert has_checkpoint(tmp_path / "state")
    models.unlink()
    seen = []
    path = stage(tmp_path, resume=True).run(progress=lambda event: seen.append(event.scan))
    assert path.converged
    assert len(seen) <= 1  # it was complete
    assert (models / "m" / "model.json").exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("option", ["out", "checkpoint"])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_scan(store, tmp_path, option):
    (tmp_path / "file").write_text("")
    seen = []
    with pytest.raises(StoreError, match=r"file/x.*: cannot be written: "):
        stage(tmp_path, **{option: str(tmp_path / "file" / "x")}).run(progress=seen.append)
    assert seen == []


def test_a_model_that_another_is_making_is_refused_before_the_first_scan(store, tmp_path):
    seen = []
    with (
        held_elsewhere(tmp_path / "models" / "m"),
        pytest.raises(StoreError, match=r"is writing it: .* since 20"),
    ):
        stage(tmp_path).run(progress=seen.append)
    assert seen == []


def test_a_model_that_is_there_is_refused_before_anything_is_made(store, tmp_path):
    (tmp_path / "models" / "m").mkdir(parents=True)
    before = sorted(Path(tmp_path).rglob("*"))
    with pytest.raises(OptionError, match="exists already"):
        stage(tmp_path).run()
    assert sorted(Path(tmp_path).rglob("*")) == before
