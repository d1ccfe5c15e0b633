"""Checkpoints: what is refused, what is kept, and that a resumed fit takes the same steps."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.errors import CheckpointError, OptionError
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers import checkpoint
from dasklasso.solvers.fista.backtracking import Backtracking
from dasklasso.solvers.fista.in_flight import InFlight
from dasklasso.solvers.fista.intercepts import Intercepts
from dasklasso.solvers.fista.state import in_flight_from_json, in_flight_to_json
from dasklasso.solvers.fista.step import Lipschitz, Plan
from dasklasso.solvers.solution import Solution, solutions_from_json, solutions_to_json

OPTIONS = FitOptions(n_alphas=3, eps=0.05, tol=1e-6, solver="fista")
SPLITS = {"one part": (None, 64 << 20), "split": (4, 8 * 4 * 50)}
FREE = np.array([1.0, 0, 1, 1, 1, 0, 1, 1, 1])
KINDS = {"lasso": OPTIONS, "unpenalised": replace(OPTIONS, penalty_factor=FREE, tol=1e-4)}


def correlated(seed=0):
    """Columns so alike that a path takes many scans."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((100, 1)) + 0.5 * rng.standard_normal((100, 9))
    return X, 3 * X[:, 0] - 2 * X[:, 4] + rng.standard_normal(100)


@pytest.fixture(scope="module", params=SPLITS)
def data_and_bands(request, make_store):
    columns, band_bytes = SPLITS[request.param]
    return make_store(*correlated(), chunk_rows=50, chunk_columns=columns), band_bytes


@pytest.fixture
def data_and_run(data_and_bands, tmp_path):
    data, band_bytes = data_and_bands
    state = str(tmp_path / "state")
    return data, RunOptions(in_process=True, band_bytes=band_bytes, checkpoint=state)


@pytest.fixture(scope="module")
def whole(data_and_bands):
    """``whole(kind)``: the path of a fit that nothing interrupts."""
    data, band_bytes = data_and_bands
    run = RunOptions(in_process=True, band_bytes=band_bytes)
    return cache(lambda kind="lasso": fit_path(data, KINDS[kind], run))


@pytest.mark.parametrize("scan", [3, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_fit_gives_the_bits_of_an_uninterrupted_one(
    scan, kind, data_and_run, whole, interrupt, going_on, assert_same_bits
):
    data, run = data_and_run
    assert whole(kind).scans > scan
    interrupt(data, KINDS[kind], run, scan)
    seen = []
    resumed = fit_path(data, KINDS[kind], going_on(run), progress=lambda e: seen.append(e.scan))
    assert seen[0] == scan + 1  # nothing is lost of what was scanned
    assert_same_bits(resumed, whole(kind))


@pytest.mark.parametrize("scan", [3, 20])
def test_a_resumed_fit_of_counts_goes_back_to_what_it_held(
    scan, make_store, tmp_path, interrupt, going_on
):
    X, y = correlated()
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * y)).astype(float)
    data, options = make_store(X, counts, chunk_rows=50), replace(OPTIONS, loss="poisson")
    run = RunOptions(in_process=True, checkpoint=str(tmp_path / "kept"))
    whole = fit_path(data, options, replace(run, checkpoint=None))
    interrupt(data, options, run, scan)
    resumed = fit_path(data, options, going_on(run))
    assert (resumed.scans, resumed.converged) == (whole.scans, True)
    assert np.array_equal(resumed.coef, whole.coef)


def test_a_complete_fit_leaves_no_checkpoint(data_and_run, tmp_path):
    data, run = data_and_run
    fit_path(data, OPTIONS, replace(run, checkpoint_seconds=0.1))
    assert not (tmp_path / "state").exists()


def test_resume_without_a_checkpoint_begins_at_the_beginning(
    data_and_run, whole, going_on, assert_same_bits
):
    data, run = data_and_run
    assert_same_bits(fit_path(data, OPTIONS, going_on(run)), whole())


def files_of(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, "the checkpoint of this fit .*--resume, or begin anew with --overwrite"),
        ({"alphas": (0.5,)}, "the checkpoint of another fit, of .*, written 2.*--overwrite"),
        ({"loss": "huber", "huber_delta": 1.0}, "the checkpoint of another fit"),
        ({"solver": "gram"}, "the checkpoint of another fit"),
    ],
    ids=["the same", "alphas", "loss", "solver"],
)
def test_a_checkpoint_that_stands_is_not_lost_to_a_fit_that_does_not_resume(
    other, said, data_and_run, tmp_path, interrupt
):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    before = files_of(tmp_path / "state")
    scans = []
    with pytest.raises(CheckpointError, match=said):
        fit_path(data, replace(OPTIONS, **other), run, progress=scans.append)
    assert files_of(tmp_path / "state") == before
    assert not scans


def test_a_checkpoint_of_other_data_is_not_lost(data_and_run, make_store, tmp_path, interrupt):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    before = files_of(tmp_path / "state")
    X, y = correlated(1)
    with pytest.raises(CheckpointError, match=f"of another fit, of {data.location}, written"):
        fit_path(make_store(X, y, chunk_rows=50), OPTIONS, run)
    assert files_of(tmp_path / "state") == before


def test_a_damaged_checkpoint_is_not_lost(data_and_run, tmp_path):
    data, run = data_and_run
    (tmp_path / "state" / "state.zarr").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="holds a checkpoint that cannot be read"):
        fit_path(data, OPTIONS, run)
    assert (tmp_path / "state" / "state.zarr").is_dir()


def test_a_checkpoint_that_stands_is_replaced_where_that_is_asked(data_and_run, interrupt):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    found = fit_path(data, replace(OPTIONS, alphas=(0.5,)), replace(run, overwrite=True))
    assert found.converged
    assert not checkpoint.has_checkpoint(Path(run.checkpoint))


def test_moments_of_other_data_stay_in_a_checkpoint(tmp_path, make_store):
    run = RunOptions(in_process=True, keep_statistics=False, checkpoint=str(tmp_path / "c"))
    for seed in (0, 1):
        X, y = correlated(seed)
        kept = replace(run, keep_checkpoint=seed == 0)
        fit_path(make_store(X, y, chunk_rows=50), replace(OPTIONS, solver="gram"), kept)
        assert len(list((tmp_path / "c" / "statistics").glob("*/zarr.json"))) == 1


def test_resume_needs_a_folder(data_and_run):
    data, run = data_and_run
    with pytest.raises(OptionError, match="resume: needs a checkpoint folder"):
        fit_path(data, OPTIONS, replace(run, checkpoint=None, resume=True))


@pytest.mark.parametrize(
    "other",
    [
        {"tol": 1e-9},
        {"l1_ratio": 0.5},
        {"positive": True},
        {"standardize": True},
        {"fit_intercept": False},
        {"n_alphas": 5},
        {"alphas": (0.1,)},
        {"penalty_factor": np.full(9, 2.0)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_checkpoint_of_other_options_is_refused(other, data_and_run, interrupt, going_on):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    with pytest.raises(CheckpointError, match="belongs to another problem"):
        fit_path(data, replace(OPTIONS, **other), going_on(run))


def test_a_checkpoint_of_other_data_is_refused(data_and_run, make_store, interrupt, going_on):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    X, y = correlated(seed=1)
    with pytest.raises(CheckpointError, match="belongs to another problem"):
        fit_path(make_store(X, y), OPTIONS, going_on(run))


def test_a_resumed_fit_may_be_given_more_scans(data_and_run, interrupt, going_on):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    resumed = fit_path(data, replace(OPTIONS, max_scans=9_000), going_on(run))
    assert resumed.dual_gaps.max() <= OPTIONS.tol


def damage_json(folder):
    (folder / "zarr.json").write_text("{not json")


def damage_state(folder):
    path = folder / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["state"] = document["attributes"]["state"][:-40]
    path.write_text(json.dumps(document))


def damage_version(folder):
    path = folder / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["version"] = 99
    path.write_text(json.dumps(document))


def remove_json(folder):
    (folder / "zarr.json").unlink()


def remove_array(folder):
    shutil.rmtree(folder / "points")


def remove_chunk(folder):
    shutil.rmtree(folder / "gradient" / "c")


def cut_chunk(folder):
    path = next(p for p in (folder / "points" / "c").rglob("*") if p.is_file())
    path.write_bytes(path.read_bytes()[:-8])


def flip_bit(folder):
    path = next(p for p in (folder / "points" / "c").rglob("*") if p.is_file())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        damage_json,
        damage_state,
        damage_version,
        remove_json,
        remove_array,
        remove_chunk,
        cut_chunk,
        flip_bit,
    ],
    ids=lambda f: f.__name__,
)
def test_a_damaged_checkpoint_is_refused(damage, data_and_run, tmp_path, interrupt, going_on):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 3)
    damage(tmp_path / "state" / "state.zarr")
    with pytest.raises(CheckpointError, match=r"state"):
        fit_path(data, OPTIONS, going_on(run))


def test_between_two_renames_the_old_state_is_resumed(
    data_and_run, whole, tmp_path, interrupt, going_on, assert_same_bits, cut_off
):
    data, run = data_and_run
    interrupt(data, OPTIONS, run, 25)
    folder = tmp_path / "state"
    cut_off(folder / "state.zarr")
    assert_same_bits(fit_path(data, OPTIONS, going_on(run)), whole())


def test_out_of_scans_the_checkpoint_stays(
    data_and_run, whole, tmp_path, going_on, assert_same_bits
):
    data, run = data_and_run
    path = fit_path(data, replace(OPTIONS, max_scans=20), run)
    assert path.dual_gaps.max() > OPTIONS.tol
    assert checkpoint.has_checkpoint(tmp_path / "state")
    assert_same_bits(fit_path(data, OPTIONS, going_on(run)), whole())


@pytest.mark.parametrize("max_scans", [1, 2, 7, 30])
def test_out_of_scans_every_solution_has_an_honest_gap(max_scans, data_and_run, judge):
    data, run = data_and_run
    X, y = correlated()
    options = replace(OPTIONS, max_scans=max_scans, tol=1e-12)
    path = fit_path(data, options, replace(run, checkpoint=None))
    assert np.all(np.isfinite(path.dual_gaps))
    for i, alpha in enumerate(path.alphas):
        found = judge(X, y, path.coef[i], path.intercept[i], alpha, options)
        assert path.dual_gaps[i, 0] == pytest.approx(
            found.relative_gap, rel=1e-6, abs=1e-12
        )  # rounding


FLOAT = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers=st.lists(FLOAT, min_size=3, max_size=3), best=st.floats(0, allow_nan=False))
def test_jobs_in_flight_come_back_from_json_with_every_bit(numbers, best):
    array = np.array(numbers)
    plan = Plan(np.array([1, -1, 0]), np.array([0, 1, 2]), array, array, -array, None, True)
    in_flight = InFlight(
        np.array([4, 5, 6]),
        array,
        np.array([best, np.inf, 0.5]),
        np.array([0, 1, 2]),
        (7, 8),
        plan,
        Lipschitz(numbers[1], 0.1, 3, False, 9.0, 0.25),
        Intercepts(array, array + 1.0, -array, True),
        Backtracking(array, np.array([best, np.inf, -1.0]), 1e-6),
    )
    back = in_flight_from_json(json.loads(json.dumps(in_flight_to_json(in_flight))))
    for name in ("plan", "intercepts", "backtracking", None):
        one, other = (
            (in_flight, back) if name is None else (getattr(s, name) for s in (in_flight, back))
        )
        for name, value in vars(one).items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, getattr(other, name))
                assert value.dtype == getattr(other, name).dtype
    assert (back.waiting, back.lipschitz) == (in_flight.waiting, in_flight.lipschitz)
    assert (back.plan.holds, back.plan.power) == (True, None)
    assert (back.intercepts.holds, back.backtracking.noise) == (True, 1e-6)


@given(values=st.lists(FLOAT, min_size=2, max_size=2), gap=FLOAT)
def test_solutions_come_back_from_json_with_every_bit(values, gap):
    one = Solution((np.array([3, 9]), np.array(values)), 0.5, gap, -0.0, True, values[0])
    text = json.dumps(solutions_to_json({11: one}))
    back = solutions_from_json(json.loads(text))[11]
    assert np.array_equal(back.nonzeros[0], one.nonzeros[0])
    assert np.array_equal(back.nonzeros[1], one.nonzeros[1])
    assert (back.objective, back.gap, back.certified) == (0.5, gap, True)
    assert back.intercept == values[0]
