"""A delta far below the residuals: fista comes to it through larger ones; or the data say it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import OptionError
from dasklasso.fit import continuation, fit_path
from dasklasso.fit.continuation import easier_losses
from dasklasso.fit.targets import sampled_targets, weighted_median, with_delta
from dasklasso.model.path import load_model
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess

RUN = RunOptions(in_process=True, keep_statistics=False)
OPTIONS = FitOptions(loss="huber", alphas=(6.0,), solver="fista", tol=1e-2, max_scans=300)


def drawn(scale: float = 1.0, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    return X, scale * (X[:, 0] - X[:, 1] + rng.standard_t(1.5, n) + 2.0)


@pytest.fixture(scope="module")
def far_off() -> tuple[np.ndarray, np.ndarray]:
    return drawn(1e5)


@pytest.fixture(scope="module")
def by_fista(far_off):
    with pytest.warns(UserWarning, match=r"huber_delta: 30 found.* auto is 1.345 of the spread"):
        return fit_path(from_arrays(*far_off), replace(OPTIONS, huber_delta=30.0), RUN)


def test_fista_converges_where_delta_is_far_below_residuals(by_fista):
    assert by_fista.converged


@pytest.mark.filterwarnings("ignore:huber_delta")
def test_what_is_certified_is_the_loss_that_was_asked_for(by_fista, far_off):
    options = replace(OPTIONS, huber_delta=30.0, solver="newton", tol=1e-8)
    best = fit_path(from_arrays(*far_off), options, RUN)
    assert by_fista.penalty_options["huber_delta"] == 30.0
    assert by_fista.objective[0] == pytest.approx(best.objective[0], rel=1e-2)


@pytest.mark.filterwarnings("ignore:huber_delta")
def test_out_of_scans_a_fit_has_the_point_that_it_got_to(far_off, monkeypatch):
    monkeypatch.setattr(continuation, "EASIER_SCANS", 5)
    data, options = (
        from_arrays(*far_off),
        replace(OPTIONS, huber_delta=5e3, alphas=(1e3,), tol=1e-9),
    )
    few, more = (fit_path(data, replace(options, max_scans=k), RUN) for k in (45, 90))
    assert not more.converged
    assert more.dual_gap[0] < 0.5 * few.dual_gap[0]


def test_losses_are_easier_only_where_delta_is_far_below_residuals():
    data = from_arrays(*drawn())
    engine = ScanEngine(data, InProcess(1))

    def deltas(delta):
        objective = replace(OPTIONS, huber_delta=delta).objective()
        problem, _ = meet(data, engine, objective, "cpu")
        return [loss.parameters["huber_delta"] for loss in easier_losses(data, problem)]

    assert deltas(1.0) == []
    assert np.all(np.diff(deltas(1e-3)) < 0.0)
    assert min(deltas(1e-3)) > 1e-3


# -- a delta from the data ----------------------------------------------------------------------


def test_a_median_is_that_of_rows_written_out():
    x, times = np.array([3.0, 1.0, 2.0, 9.0]), np.array([1, 2, 4, 2])
    assert weighted_median(x, times.astype(float)) == np.median(np.repeat(x, times))


def test_the_spread_of_normal_noise_is_its_standard_deviation():
    y = np.random.default_rng(1).normal(7.0, 3.0, (20_000, 1))
    data = from_arrays(np.zeros((20_000, 1)), y)
    assert sampled_targets(data).spread(fit_intercept=True)[0] == pytest.approx(3.0, rel=0.03)


def test_where_most_targets_are_the_same_the_spread_is_the_standard_deviation():
    y = np.where(np.arange(100) < 10, 5.0, 0.0)
    spread = sampled_targets(from_arrays(np.zeros((100, 1)), y)).spread(fit_intercept=True)
    assert spread[0] == pytest.approx(np.sqrt(np.mean(y**2)))


def test_of_many_rows_some_from_all_over_are_read(monkeypatch):
    monkeypatch.setattr("dasklasso.fit.targets.SPREAD_ROWS", 320)
    found = sampled_targets(from_arrays(np.zeros((10_000, 1)), np.arange(10_000.0))).y
    assert len(found) == 320
    assert found.min() < 320 < 9_600 < found.max()


@pytest.mark.parametrize("solver", ["newton", "fista"])
def test_in_other_units_of_the_target_the_model_is_the_same(solver):
    small, large = (
        fit_path(
            from_arrays(*drawn(scale)),
            replace(OPTIONS, alphas=None, n_alphas=3, solver=solver),
            RUN,
        )
        for scale in (1.0, 2.0**20)
    )
    assert large.penalty_options["huber_delta"] == 2.0**20 * small.penalty_options["huber_delta"]
    np.testing.assert_allclose(large.coef, 2.0**20 * small.coef, rtol=1e-9)
    assert large.scans == small.scans


def test_a_delta_that_is_given_stays():
    data = from_arrays(*drawn())
    assert with_delta(replace(OPTIONS, huber_delta=2.5), data).huber_delta == 2.5


@pytest.mark.parametrize("delta", [-1.0, "wide"])
def test_what_is_no_delta_is_refused(delta):
    with pytest.raises(OptionError, match=r"huber_delta: .* found, expected a positive number"):
        replace(OPTIONS, huber_delta=delta)


def test_the_command_prints_the_delta_and_the_model_keeps_it(tmp_path):
    X, y = drawn()
    store, out = tmp_path / "s.zarr", tmp_path / "m"
    np.savetxt(tmp_path / "t.csv", np.column_stack([X, y]), delimiter=",", header="a,b,c,y")
    text = (tmp_path / "t.csv").read_text().removeprefix("# ")
    (tmp_path / "t.csv").write_text(text)
    run = CliRunner().invoke
    assert (
        run(main, ["ingest", str(tmp_path / "t.csv"), str(store), "--target", "y"]).exit_code == 0
    )
    found = run(main, ["fit", str(store), "--loss", "huber", "--alpha", "0.1", "--out", str(out)])
    delta = load_model(out).penalty_options["huber_delta"]
    assert f"delta     {delta:.6g}\n" in found.stdout
    spread = sampled_targets(from_arrays(X, y)).spread(fit_intercept=True)[0]
    assert delta == pytest.approx(1.345 * spread, rel=1e-6)
