"""A sweep: each coordinate at the prox of its penalty, compiled or not, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.solvers.quadratic.sweep import _Spent, sweep, sweep_kernel, sweep_plainly


def arguments(seed: int, d: int, dtype: type = np.float64, positive: bool = False) -> list:
    """Everything that a sweep takes, of a random quadratic and a random point."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((2 * d, d)) + rng.standard_normal((2 * d, 1))
    matrix = np.ascontiguousarray(X.T @ X / len(X)).astype(dtype)
    u = np.where(rng.random(d) < 0.5, rng.standard_normal(d), 0.0)
    u = np.abs(u) if positive else u
    q = rng.standard_normal(d) - matrix.astype(np.float64) @ u
    a, b = rng.uniform(0.0, 1.0, d), np.where(rng.random(d) < 0.5, 0.3, 0.0)
    diagonal = matrix.diagonal().astype(np.float64)
    return [matrix, diagonal, a, b, np.full(d, positive), np.arange(d), u, q]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("positive", [False, True])
def test_the_kernel_and_plain_python_have_the_same_bits(dtype, positive):
    for seed in range(20):
        plain, fast = (arguments(seed, 17, dtype, positive) for _ in range(2))
        for _ in range(3):
            assert sweep_plainly(*plain, 0.0) == sweep_kernel(*fast, 0.0)
        assert np.array_equal(plain[6], fast[6])
        assert np.array_equal(plain[7], fast[7])


def test_a_process_goes_over_to_the_kernel_after_some_visits(monkeypatch):
    used = []

    def noting(name, form):
        return lambda *args: used.append(name) or form(*args)

    module = "dasklasso.solvers.quadratic.sweep"
    monkeypatch.setattr(f"{module}.sweep_plainly", noting("plain", sweep_plainly))
    monkeypatch.setattr(f"{module}.sweep_kernel", noting("kernel", sweep_kernel))
    monkeypatch.setattr(f"{module}.PLAIN_VISITS", 30)
    monkeypatch.setattr(_Spent, "visits", 0)
    for _ in range(5):
        sweep(*arguments(0, 12), compiled=False)
    assert used == ["plain"] * 3 + ["kernel"] * 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_coordinate_moves_to_the_prox_of_its_penalty(seed, positive):
    matrix, h, a, b, bounded, _, u, q = arguments(seed, 5, positive=positive)
    step = 1.0 / h[2]
    penalty = elastic_net(nonnegative=positive)(a[2:3, None], b[2:3, None])
    expected = penalty.prox(np.array([[u[2] + step * q[2]]]), np.array([step]))
    sweep(matrix, h, a, b, bounded, np.array([2]), u, q, compiled=False)
    assert u[2] == pytest.approx(float(expected[0, 0]), rel=1e-13, abs=1e-15)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_gain_is_what_the_objective_loses_where_no_sign_changes(seed):
    matrix, h, _, b, bounded, order, u, q = arguments(seed, 6)
    a, c = np.zeros(6), q + matrix @ u

    def value() -> float:
        return float(0.5 * u @ matrix @ u - c @ u + 0.5 * b @ u**2)

    before = value()
    gain, _ = sweep(matrix, h, a, b, bounded, order, u, q, compiled=False)
    assert gain == pytest.approx(before - value(), rel=1e-9, abs=1e-12)


def test_the_gradient_is_that_of_the_new_point():
    matrix, h, a, b, bounded, order, u, q = arguments(3, 12)
    c = q + matrix @ u
    sweep(matrix, h, a, b, bounded, order, u, q, compiled=False)
    np.testing.assert_allclose(q, c - matrix @ u, atol=1e-13)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_move_of_little_gain_is_not_made_unless_a_sign_changes(compiled):
    matrix, h, a, b, bounded, order, u, q = arguments(4, 12)
    before = u.copy()
    sweep(matrix, h, a, b, bounded, order, u, q, least=np.inf, compiled=compiled)
    moved = u != before
    assert moved.any()
    assert np.all(u[moved] * before[moved] <= 0.0)


@pytest.mark.parametrize("compiled", [False, True])
def test_crossings_count_what_came_went_and_turned(compiled):
    matrix, h, a, b, bounded, order, u, q = arguments(5, 12)
    before = np.sign(u)
    _, crossings = sweep(matrix, h, a, b, bounded, order, u, q, compiled=compiled)
    assert crossings == np.count_nonzero(before != np.sign(u)) > 0


@pytest.mark.parametrize("compiled", [False, True])
def test_only_columns_in_the_order_move(compiled):
    matrix, h, a, b, bounded, _, u, q = arguments(6, 12)
    before = u.copy()
    sweep(matrix, h, a, b, bounded, np.array([1, 7]), u, q, compiled=compiled)
    assert set(np.flatnonzero(u != before)) == {1, 7}


@pytest.mark.parametrize("compiled", [False, True])
def test_a_matrix_may_be_the_corner_of_a_larger_one(compiled):
    one, other = arguments(7, 9), arguments(7, 9)
    larger = np.full((14, 14), np.nan)
    larger[:9, :9] = one[0]
    other[0] = larger
    assert sweep(*one, compiled=compiled) == sweep(*other, compiled=compiled)
    assert np.array_equal(one[7], other[7])
