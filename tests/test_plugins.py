"""A loss, a penalty and a solver written from outside: registered, fitted and certified.

Each is compared with a solution found apart from the package: in NumPy and SciPy from the
definitions, or by scikit-learn.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize
from sklearn.linear_model import ElasticNet

from dasklasso.backend import Array, namespace
from dasklasso.choices import SOLVERS
from dasklasso.cli import main
from dasklasso.errors import OptionError
from dasklasso.fit import fit_path
from dasklasso.model.path import load_model
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.registry import LOSSES, register_loss
from dasklasso.objective.penalties.group import GroupElasticNet
from dasklasso.objective.penalties.registry import PENALTIES, register_penalty
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import penalty_at
from dasklasso.solvers.base import Solver, State
from dasklasso.solvers.certificate_scan import CertificateQuestion
from dasklasso.solvers.entry import Requirements, SolverEntry
from dasklasso.solvers.fista.cost import fista_memory, fista_scans
from dasklasso.solvers.registry import register_solver
from dasklasso.solvers.solution import Solution, confirmed, uncertified

RUN = RunOptions(in_process=True, keep_statistics=False)
TOL = 1e-7

# -- the plug-ins ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """``½ max(0, 1 − s p)²`` of labels 0 and 1, s = −1 and 1: Chapelle (2007), eq. 2.7."""

    name = "squared_hinge"
    max_curvature = 1.0
    quadratic = False
    target_range = (0.0, 1.0)
    gives_probabilities = False
    most_classes = 2
    damping = 1.0

    def value(self, prediction: Array, y: Array) -> Array:
        return 0.5 * self.gradient(prediction, y) ** 2

    def gradient(self, prediction: Array, y: Array) -> Array:
        xp = namespace(prediction)
        side = 2.0 * y - 1.0
        miss = 1.0 - side * prediction
        return -side * xp.where(miss > 0, miss, 0.0 * miss)

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        # f* is u²/2 + s u on the half-line s u ≤ 0: of curvature 1, and |g| away from its end
        xp = namespace(prediction)
        slope = self.gradient(prediction, y)
        square, size = slope * slope, xp.abs(slope)
        return 0.5 * square, slope, square, xp.where(size < 1, size, xp.ones_like(size))

    def curvature(self, prediction: Array, y: Array) -> Array:
        return namespace(prediction).where(self.gradient(prediction, y) != 0, 1.0, 0.0 * y)

    def model_curvature(self, prediction: Array, y: Array) -> Array:
        return 1.0 + 0.0 * (prediction + y)

    def conjugate(self, dual: Array, y: Array) -> Array:
        side = 2.0 * y - 1.0
        value = 0.5 * dual**2 + side * dual
        return namespace(dual).where(side * dual <= 0, value, float("inf") + 0.0 * value)

    def mean(self, prediction: Array) -> Array:
        return 0.5 * (prediction + 1.0)

    def link(self, mean: np.ndarray) -> np.ndarray:
        return 2.0 * mean - 1.0


@dataclass(frozen=True)
class NonNegativeGroup(GroupElasticNet):
    """``λ₁‖w_j‖₂ + ½λ₂‖w_j‖₂²`` over w_j ≥ 0: its polar is the norm of what is positive in v."""

    name = "nonnegative_group"
    nonnegative = True

    def size(self, v: Array) -> Array:
        return self.norm(self._positive(v))

    def along(self, v: Array, length: Array) -> Array:
        return super().along(self._positive(v), length)

    def _positive(self, v: Array) -> Array:
        return namespace(v).where(v > 0, v, namespace(v).zeros_like(v))


@dataclass(frozen=True)
class IstaState(State):
    points: np.ndarray  # (n_features, n_jobs), where the next scan goes
    solved: dict[int, Solution]


class Ista(Solver[IstaState]):
    """Proximal gradient without momentum: Daubechies, Defrise and De Mol (2004), eq. 1.4."""

    name = "ista"

    def __init__(self, setup):
        self.problem, self.frame, self.engine = setup.problem, setup.frame, setup.engine
        self.tol = setup.settings.tol

    def init(self, jobs, scans, bytes_read):
        zero = np.zeros((self.problem.n_features, len(jobs)))
        return IstaState(jobs, scans, bytes_read, zero, {})

    def done(self, state):
        return bool(state.solved) and all(one.gap <= self.tol for one in state.solved.values())

    def ask(self, state):
        jobs, points = state.jobs, self.engine.by_columns(state.points)
        alphas = jobs.alpha(np.arange(len(jobs)))
        return CertificateQuestion(self.problem, self.frame, None, points, jobs.targets, alphas)

    def tell(self, state, answer):
        numbers = range(len(state.jobs))
        here = {job: uncertified(state.points[:, job]) for job in numbers}
        alphas = state.jobs.alpha(np.arange(len(state.jobs)))[None, :]
        penalty = penalty_at(self.problem.frame, alphas, self.problem.objective.penalty)
        step = 1.0 / self.problem.trace
        moved = penalty.prox(state.points - step * answer.found.gradient, step)
        return replace(state, points=moved, solved=confirmed(here, numbers, answer))

    def solutions(self, state):
        return state.solved

    def certified(self, state, jobs, found):
        return replace(state, solved=confirmed(state.solved, jobs, found))


ISTA = SolverEntry(
    name="ista",
    requires=Requirements(quadratic_loss=True, penalised=True),
    memory=fista_memory,
    scans=fista_scans,
    make=Ista,
)


@pytest.fixture(autouse=True)
def _plugged_in():
    register_loss(SquaredHinge)
    register_penalty(NonNegativeGroup)
    register_solver(ISTA)
    yield
    del SOLVERS[ISTA.name]
    del LOSSES[SquaredHinge.name], PENALTIES[NonNegativeGroup.name]


# -- a loss ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_classes():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((120, 8)) * rng.uniform(0.5, 3, 8) + rng.uniform(-2, 2, 8)
    y = (X @ [1, -0.5, 0, 0, 0.3, 0, 0, 0] + rng.standard_normal(120) > 0.5).astype(float)
    return X, y


def hinge_objective(X, y, w, b, alpha, l1_ratio):
    miss = np.maximum(0.0, 1.0 - (2 * y - 1) * (X @ w + b))
    penalty = l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w @ w)
    return 0.5 * np.mean(miss**2) + alpha * penalty


def best_hinge(X, y, alpha, l1_ratio):
    """The least objective, by L-BFGS-B over positive and negative parts and the intercept."""
    d, side = X.shape[1], 2 * y - 1

    def both(parts):
        w, b = parts[:d] - parts[d:-1], parts[-1]
        slope = -side * np.maximum(0.0, 1.0 - side * (X @ w + b)) / len(y)
        smooth = X.T @ slope + alpha * (1 - l1_ratio) * w
        value = 0.5 * len(y) * (slope @ slope)
        value += alpha * (l1_ratio * parts[:-1].sum() + (1 - l1_ratio) / 2 * (w @ w))
        return value, np.concatenate(
            [smooth + alpha * l1_ratio, -smooth + alpha * l1_ratio, [slope.sum()]]
        )

    bounds = [(0, None)] * (2 * d) + [(None, None)]
    tight = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-16, "gtol": 1e-11}
    found = minimize(both, np.zeros(2 * d + 1), jac=True, bounds=bounds, options=tight).x
    return hinge_objective(X, y, found[:d] - found[d:-1], found[-1], alpha, l1_ratio)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
@pytest.mark.parametrize("solver", ["fista", "newton"])
def test_a_loss_from_outside_is_fitted_and_certified(solver, l1_ratio, two_classes, make_store):
    X, y = two_classes
    options = FitOptions(
        loss="squared_hinge", n_alphas=4, eps=0.02, l1_ratio=l1_ratio, solver=solver, tol=TOL
    )
    path = fit_path(make_store(X, y, chunk_rows=50), options, RUN)
    assert path.converged
    share = y.mean()
    null = 2 * share * (1 - share)  # of the constant 2 share − 1
    for k, alpha in enumerate(path.alphas):
        ours = hinge_objective(X, y, path.coef[k], path.intercept[k], alpha, l1_ratio)
        assert path.objective[k] == pytest.approx(ours, rel=1e-9)
        best = best_hinge(X, y, alpha, l1_ratio)
        assert ours - best <= path.dual_gap[k] * null + 1e-12
        assert ours >= best - 1e-9
    assert not path.coef[0].any()
    assert path.coef[-1].any()


# -- a penalty ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_classes():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 150)
    X = rng.standard_normal((150, 6))
    X[:, :3] += 1.2 * np.eye(3)[y]
    return X, y


def softmax_objective(X, y, W, b, alpha, l1_ratio):
    p = X @ W + b
    p = p - p.max(axis=1, keepdims=True)
    loss = np.log(np.exp(p).sum(axis=1)) - p[np.arange(len(y)), y]
    norms = np.linalg.norm(W, axis=1)
    return loss.mean() + alpha * np.sum(l1_ratio * norms + (1 - l1_ratio) / 2 * norms**2)


def best_groups(X, y, alpha, l1_ratio):
    """The least objective over W ≥ 0, by many accelerated proximal steps from the definitions."""
    own = np.eye(3)[y]
    step = 2.0 / np.linalg.norm(np.column_stack([X, np.ones(len(y))]) / np.sqrt(len(y)), 2) ** 2
    W = Z = np.zeros((X.shape[1], 3))
    b = c = np.zeros(3)
    t = 1.0
    for _ in range(4000):
        p = np.exp(X @ Z + c)
        g = (p / p.sum(axis=1, keepdims=True) - own) / len(y)
        V = np.maximum(Z - step * (X.T @ g), 0.0)
        norms = np.linalg.norm(V, axis=1, keepdims=True)
        shrink = np.maximum(1 - step * alpha * l1_ratio / np.maximum(norms, 1e-300), 0)
        U, e = V * shrink / (1 + step * alpha * (1 - l1_ratio)), c - step * g.sum(axis=0)
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        Z, c = U + (t - 1) / following * (U - W), e + (t - 1) / following * (e - b)
        W, b, t = U, e, following
    return softmax_objective(X, y, W, b, alpha, l1_ratio)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_a_penalty_from_outside_is_fitted_and_certified(
    l1_ratio, three_classes, make_store, tmp_path
):
    X, y = three_classes
    options = FitOptions(
        loss="softmax", penalty="nonnegative_group", n_alphas=4, eps=0.02, l1_ratio=l1_ratio,
        solver="fista", tol=TOL,
    )  # fmt: skip
    path = fit_path(make_store(X, y.astype(float), chunk_rows=64), options, RUN)
    assert path.converged
    assert np.all(path.coef >= 0)
    in_use = path.coef > 0
    assert np.any(in_use.any(axis=2) & ~in_use.all(axis=2))  # the bound holds some of a group
    frequency = np.bincount(y) / len(y)
    null = -frequency @ np.log(frequency)
    for k, alpha in enumerate(path.alphas):
        ours = softmax_objective(X, y, path.coef[k], path.intercept[k], alpha, l1_ratio)
        assert path.objective[k] == pytest.approx(ours, rel=1e-9)
        best = best_groups(X, y, alpha, l1_ratio)
        assert ours - best <= path.dual_gap[k] * null + 1e-12
        assert ours >= best - 1e-9
    assert not path.coef[0].any()
    assert path.coef[-1].any()
    path.save(tmp_path / "model")
    assert load_model(tmp_path / "model").penalty_options["penalty"] == "nonnegative_group"


def test_the_command_line_knows_what_is_registered(three_classes, make_store, tmp_path):
    X, y = three_classes
    store, out = make_store(X, y.astype(float)).location, tmp_path / "model"
    words = f"fit {store} --alpha 0.05 --loss softmax --penalty nonnegative_group --out {out}"
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 0, result.output
    assert load_model(out).solver == "fista"  # no other solver has that penalty
    unknown = CliRunner().invoke(main, words.replace("softmax", "squared_hing").split())
    assert unknown.exit_code == 2
    assert "'squared_hinge'" in unknown.output


def test_a_solver_that_cannot_minimise_a_penalty_is_refused_by_name(three_classes, make_store):
    X, y = three_classes
    options = FitOptions(loss="softmax", penalty="nonnegative_group", solver="newton")
    with pytest.raises(OptionError, match="but newton needs elastic_net"):
        fit_path(make_store(X, y.astype(float)), options, RUN)


# -- a solver -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"l1_ratio": 0.5}, {"positive": True}])
def test_a_solver_from_outside_is_fitted_and_certified(options, two_classes, make_store):
    X, _ = two_classes
    y = X @ [1, -0.5, 0, 0, 0.3, 0, 0, 0] + 0.1 * X[:, 0] ** 2
    asked = FitOptions(alphas=(0.3, 0.05), solver="ista", tol=TOL, **options)
    path = fit_path(make_store(X, y), asked, RUN)
    assert path.solver == "ista"
    assert path.dual_gap.max() <= TOL
    for alpha, coef in zip(path.alphas, path.coef, strict=True):
        exact = {"l1_ratio": 1.0, "tol": 1e-12, "max_iter": 100_000, **options}
        expected = ElasticNet(alpha=alpha, **exact).fit(X, y)
        np.testing.assert_allclose(coef, expected.coef_, atol=2e-3)


def test_a_solver_from_outside_is_refused_what_it_does_not_claim(two_classes, make_store):
    with pytest.raises(OptionError, match="loss: logistic found, but ista needs squared"):
        fit_path(make_store(*two_classes), FitOptions(loss="logistic", solver="ista"), RUN)


def test_a_solver_has_a_name_of_its_own():
    with pytest.raises(OptionError, match="'gram' is taken"):
        register_solver(replace(ISTA, name="gram"))


def test_plug_ins_are_short():
    for one in (SquaredHinge, NonNegativeGroup, Ista):
        assert len(inspect.getsource(one).splitlines()) < 60


# -- the registry ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "base", "name"),
    [
        (register_loss, SquaredHinge, "squared"),
        (register_penalty, NonNegativeGroup, "elastic_net"),
    ],
)
def test_a_name_is_of_one_class_only(register, base, name):
    with pytest.raises(OptionError, match=f"{name!r} is taken by"):
        register(type("Other", (base,), {"name": name}))


@pytest.mark.parametrize(("option", "name"), [("loss", "hinge"), ("penalty", "ridge")])
def test_a_name_that_is_not_registered_is_refused_when_options_are_made(option, name):
    with pytest.raises(OptionError, match=f"{option}: '{name}' is none of"):
        FitOptions(**{option: name})
