"""Paths solved in memory: few scans whatever the loss, exact folds, an end to every stage."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from threading import Event

import numpy as np
import pytest
from scipy.optimize import minimize

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import DataWarning
from dasklasso.fit import fit_cv, fit_path
from dasklasso.objective.losses.huber import Huber
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.scan.queries.folds import ALL
from dasklasso.solvers.newton import in_memory, side_by_side

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", huber_delta=1.35, solver="newton", n_alphas=12, eps=1e-2)
SCANS = 4  # moments, the model without features, the certificate; one to spare


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 12)) * 10.0 ** rng.uniform(-1, 1, 12) + rng.uniform(-3, 3, 12)
    z = (X - X.mean(0)) / X.std(0)
    return X, z[:, 0] - z[:, 3] + 0.5 * z[:, 5]


def target_of(loss, z):
    rng = np.random.default_rng(1)
    if loss == "logistic":
        return (rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(float)
    return (
        rng.poisson(np.exp(0.5 * z)).astype(float)
        if loss == "poisson"
        else (z + rng.standard_t(2, len(z)))
    )


LOSSES = ["squared", "logistic", "huber", "poisson"]


@pytest.mark.parametrize("more", [{}, {"l1_ratio": 0.4}, {"positive": True}], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_paths_are_those_of_fista(table, loss, more):
    X, z = table
    data = from_arrays(
        X, target_of(loss, z), np.random.default_rng(2).uniform(0.2, 2, len(z)), offset=0.1 * z
    ) if loss != "squared" else from_arrays(X, z, None)  # fmt: skip
    options = replace(OPTIONS, loss=loss, n_alphas=4, eps=0.1, tol=1e-9, **more)
    ours, fista = (fit_path(data, replace(options, solver=s), RUN) for s in ("newton", "fista"))
    assert ours.scans <= SCANS
    assert ours.converged
    assert np.allclose(ours.objective, fista.objective, rtol=1e-8)


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_one_alpha_is_the_minimum_that_a_general_optimiser_finds(table, loss):
    X, z = table
    X, y = (X / X.std(0))[:, :4], target_of(loss, z)
    path = fit_path(from_arrays(X, y), replace(OPTIONS, loss=loss, alphas=(0.05,), tol=1e-10), RUN)
    value = replace(OPTIONS, loss=loss).loss_value.value

    def objective(parts):  # w = parts[:4] − parts[4:8], both non-negative
        p = X @ (parts[:4] - parts[4:8]) + parts[8]
        return np.mean(value(p, y)) + 0.05 * parts[:8].sum()

    bounds = [(0, None)] * 8 + [(None, None)]
    reference = minimize(objective, np.full(9, 0.1), bounds=bounds, tol=1e-15).fun
    assert path.objective[0] == pytest.approx(reference, abs=1e-8)
    assert path.objective[0] <= reference + 1e-12


def test_many_more_columns_than_rows_with_folds_take_few_scans():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 1000))
    y = (X[:, :8] @ rng.standard_normal(8) + rng.standard_normal(100) > 0).astype(float)
    options = FitOptions(loss="logistic", n_alphas=20)
    path = fit_cv(from_arrays(X, y), options, CvOptions(3, criterion="auc"), RUN)
    assert path.solver == "newton"
    assert path.converged
    assert path.cross_validation.worst_gap <= 1e-6
    assert path.scans <= SCANS


def test_problems_without_a_fold_are_those_of_its_other_rows_alone(table):
    X, z = table
    y = target_of("logistic", z)
    data = from_arrays(X, y)
    cv = CvOptions(3)
    labels = cv.assignment(data).folds_of_rows(0, len(y), len(y))
    path = fit_cv(data, replace(OPTIONS, alphas=(0.02,), tol=1e-9), cv, RUN)
    errors = []
    for fold in range(3):
        train = labels != fold
        alone = fit_path(
            from_arrays(X[train], y[train]), replace(OPTIONS, alphas=(0.02,), tol=1e-9), RUN
        )
        p = X[~train] @ alone.coef[0] + alone.intercept[0]
        errors.append(np.mean(np.logaddexp(0, p) - y[~train] * p))
    assert np.allclose(path.cross_validation.best.error_path[0], errors, rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("standardize", [False, True])
def test_a_column_that_is_a_multiple_of_another_does_no_harm(table, factor, standardize):
    X, z = table
    y = target_of("logistic", z)
    X = np.column_stack([X, factor * X[:, 0], X[:, 0] * (1 + 1e-9 * z)])
    path = fit_path(from_arrays(X, y), replace(OPTIONS, standardize=standardize, eps=1e-3), RUN)
    assert path.converged
    assert path.scans <= SCANS


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_huber_converges_where_delta_is_far_below_residuals(scale):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 8))
    y = scale * (X[:, 0] - X[:, 1] + rng.standard_t(1.5, 300))
    options = FitOptions(loss="huber", alphas=(0.1,), solver="newton", huber_delta=1.35)
    if scale > 1e3:  # which is said
        with pytest.warns(DataWarning, match=r"huber_delta: 1.35 found, far below the spread"):
            path = fit_path(from_arrays(X, y), options, RUN)
    else:
        path = fit_path(from_arrays(X, y), options, RUN)
    assert path.converged
    assert path.scans <= SCANS


def test_easier_losses_end_where_the_true_one_begins():
    deltas = [one.delta for one in Huber(0.01).easier(np.zeros(3), np.array([1.0, 2.0, 3.0]))]
    assert deltas[0] >= 2.0
    assert all(b < a for a, b in pairwise(deltas))
    assert 0.01 < deltas[-1] <= 0.04 + 1e-12
    assert Huber(5.0).easier(np.zeros(3), np.array([1.0, 2.0, 3.0])) == ()


def chain_for(X, y, loss="logistic", **more):
    """A chain over some rows, and the problem that a fit would have of them."""
    from dasklasso.problem.zero_scan import meet
    from dasklasso.scan.engine import ScanEngine
    from dasklasso.scan.queries.sample import Sample
    from dasklasso.scan.runners import InProcess

    data = from_arrays(X, y)
    objective = replace(OPTIONS, loss=loss, **more).objective()
    problem, _ = meet(data, ScanEngine(data, InProcess(1), 1 << 20), objective, "cpu")
    held = in_memory.HeldColumns(Sample(X, y[:, None], None, None), problem)
    return in_memory.Chain(held, problem, 0, ALL, None, 1e-8, 4096, Event()), problem


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_a_step_never_raises_the_objective(table, loss, monkeypatch):
    X, z = table
    chain, _ = chain_for(X, target_of(loss, z), loss)
    seen = []
    search = chain._search

    def watched(state, point, step, block, own_penalty, loss):
        u, b, moved = search(state, point, step, block, own_penalty, loss)
        value = float(chain.share @ loss.value(state.prediction, chain.y))
        before, after = (own_penalty.value(at).sum() for at in (point.u, u))
        seen.append((point.loss + before, value + after))
        return u, b, moved

    monkeypatch.setattr(chain, "_search", watched)
    chain.solve(np.array([0.1, 0.01, 0.001]), lambda: None)
    assert len(seen) > 5
    assert all(after <= before * (1 + 1e-14) for before, after in seen)


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_a_hessian_is_the_difference_of_gradients(table, loss):
    X, z = table
    chain, problem = chain_for(X, target_of(loss, z), loss)
    value = problem.loss
    block, prediction = chain.held.columns[:5], 0.1 * z
    matrix = chain._hessian(block, prediction, value, 0.0)
    h = 1e-6

    def gradient(at):
        weighted = chain.share * value.gradient(at, chain.y)
        return np.append(block @ weighted, weighted.sum())

    directions = [*block, np.ones(len(z))]
    numeric = [(gradient(prediction + h * x) - gradient(prediction - h * x)) / (2 * h)
               for x in directions]  # fmt: skip
    assert np.allclose(matrix, numeric, rtol=1e-6, atol=1e-8)


def test_a_fit_that_is_told_to_stop_ends_at_once(table):
    X, z = table
    chain, _ = chain_for(X, target_of("logistic", z))
    chain._stop.set()
    path = chain.solve(np.array([0.1, 0.01]), lambda: None)
    assert np.all(np.isinf(path.gaps))


def test_what_is_not_solved_in_memory_is_solved_by_scans(table, monkeypatch):
    monkeypatch.setattr(in_memory, "MOST_STEPS", 1)
    X, z = table
    y = target_of("logistic", z)
    path = fit_path(from_arrays(X, y), OPTIONS, RUN)
    assert path.converged
    assert path.scans > SCANS


def test_a_stage_in_memory_tells_how_far_it_is(table, monkeypatch):
    monkeypatch.setattr(side_by_side, "REPORT_SECONDS", 0.001)
    X, z = table
    seen = []
    y = target_of("logistic", z)
    fit_cv(from_arrays(X, y), OPTIONS, CvOptions(3), RUN, progress=seen.append)
    stages = [event for event in seen if event.stage == "in memory"]
    assert stages
    assert stages[-1].n_done == stages[-1].n_alphas == 12 * 4
