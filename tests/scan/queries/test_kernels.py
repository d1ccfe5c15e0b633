"""Kernels: gradients, predictions and sums from one read, whatever the blocks, slabs and device."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.huber import Huber
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.gradient import Gradient, LossGradient
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.prediction import Prediction
from dasklasso.scan.rows import Rows


def problem(seed, n, widths, k, *, mean=0.0, dtype=np.float64, weighted=True):
    rng = np.random.default_rng(seed)
    d = sum(widths)
    X = (mean + rng.standard_normal((n, d))).astype(dtype)
    edges = np.cumsum([0, *widths])
    blocks = [DenseBlock(np.ascontiguousarray(X[:, a:b])) for a, b in itertools.pairwise(edges)]
    y = 50 + rng.standard_normal((n, 2))
    weight = rng.uniform(0.5, 2, (n, 1)) if weighted else None
    centre, inverse = X.astype(float).mean(axis=0), rng.uniform(0.5, 2, d)
    frame = Frame(np.full(d, float(np.float32(mean))), centre, inverse, np.ones(d), np.ones(d))
    return X.astype(float), Rows(0, blocks, y, weight), frame, rng.standard_normal((d, k))


def by_definition(X, rows, frame, points, targets, y_shift, total):
    standard = (X - frame.centre) * frame.inverse_scale
    weight = np.ones((len(X), 1)) if rows.weight is None else rows.weight
    product = standard @ points
    k = len(targets)
    residual = product.copy()
    residual[:, :k] -= rows.y[:, targets] - np.asarray(y_shift)[list(targets)]
    squares = np.sum(weight * residual**2, axis=0) * (np.arange(points.shape[1]) < k)
    sums = [squares / 2, np.sum(weight * residual, axis=0), squares]
    return [standard.T @ (weight * residual) / total, *(one / total for one in sums)]


def ask(query, rows, frame, points, move=np.asarray):
    inputs = (move(points), frame.map(move))
    prepared = query.prepare(inputs, rows.widths)
    return arrays(query.finish(query.on_rows(rows, prepared), inputs))


def arrays(found):
    """The gradient, and each of the sums that are taken."""
    sums = (getattr(found.sums, field.name) for field in fields(LossSums))
    return [to_numpy(found.gradient), *(to_numpy(one) for one in sums if one is not None)]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    problems=st.integers(1, 3),
    directions=st.integers(0, 2),
    mean=st.sampled_from([0.0, 1e6]),
    weighted=st.booleans(),
    device=st.sampled_from(["cpu", "strict"]),
)
def test_the_gradient_is_what_its_definition_says(
    seed, n, widths, problems, directions, mean, weighted, device
):
    X, rows, frame, points = problem(
        seed, n, widths, problems + directions, mean=mean, weighted=weighted
    )
    targets = tuple(i % 2 for i in range(problems))
    query = Gradient(targets, (50.0, 49.0), float(n), device=device)
    found = ask(query, rows, frame, points, backend_for(device).asarray)
    expected = by_definition(X, rows, frame, points, targets, (50.0, 49.0), float(n))
    for one, other in zip(found, expected, strict=True):
        scale = 1 + np.abs(other).max()
        assert np.allclose(one, other, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("device", ["cpu", "strict"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_small_types_are_multiplied_in_float32_and_added_in_float64(device, dtype):
    X, rows, frame, points = problem(3, 5000, [4, 3], 2, mean=100.0, dtype=dtype)
    query = Gradient((0, 1), (50.0, 50.0), 5000.0, "float32", device)
    found = ask(query, rows, frame, points, backend_for(device).asarray)
    expected = by_definition(X, rows, frame, points, (0, 1), (50.0, 50.0), 5000.0)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float64
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_parts_together_give_what_one_part_gives(device):
    _, rows, frame, points = problem(5, 300, [4, 3, 5], 3)
    query = Gradient((0, 1), (50.0, 50.0), 300.0, device=device)
    move = backend_for(device).asarray
    expected = ask(query, rows, frame, points, move)
    cuts = [(0, 4, rows.blocks[:1]), (4, 12, rows.blocks[1:])]
    parts = []
    for start, stop, blocks in cuts:
        inputs = (move(points[start:stop]), frame[start:stop].map(move))
        prepared = query.prepare(inputs, [block.width for block in blocks])
        parts.append((replace(rows, blocks=blocks), prepared, inputs))
    shares = [query.predict_part(some, prepared) for some, prepared, _ in parts]
    residual, sums = query.residual(replace(rows, blocks=()), shares)
    found = [
        query.finish(LossGradient(query.gradient_part(some, residual, prepared), sums), inputs)
        for some, prepared, inputs in parts
    ]
    gradient = np.concatenate([to_numpy(one.gradient) for one in found])
    assert np.allclose(gradient, expected[0], rtol=1e-12, atol=1e-12)
    for one, other in zip(arrays(found[0])[1:], expected[1:], strict=True):
        assert np.allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_predictions_add_up_the_blocks(device):
    X, rows, _, points = problem(7, 700, [2, 6], 3, dtype=np.float32)
    found = Prediction((0.0, 0.0, 0.0), device).of_rows(rows, points)
    assert found.dtype == np.float64
    assert np.allclose(found, X @ points, rtol=1e-12)


@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_a_cautious_hessian_is_between_that_of_the_loss_and_that_of_its_model(device):
    X, rows, frame, points = problem(0, 20, [7], 1)
    rows = replace(rows, y=rows.y[:, :1])

    def taken(*dampings):
        k = len(dampings)
        query = WeightedGrams(
            (0,) * k, (50.0,), 20.0, (0.3,) * k, (np.arange(7),) * k, Huber(0.5), "float64", device
        )
        query = replace(query, dampings=dampings)
        move = backend_for(device).asarray
        inputs = (move(np.repeat(points, k, axis=1)), frame.map(move))
        return query.finish(query.on_rows(rows, query.prepare(inputs, [7])), inputs)

    [exact], [model], both = taken(0.0), taken(1.0), taken(0.25, 1.0)
    standard = (X - frame.centre) * frame.inverse_scale
    p = standard @ points[:, 0] + 0.3
    for found, curvature in ((exact, Huber(0.5).curvature), (model, Huber(0.5).model_curvature)):
        weight = rows.weight[:, 0] * curvature(p, rows.y[:, 0] - 50.0) / 20.0
        assert np.allclose(found[:7, :7], standard.T @ (weight[:, None] * standard))
        assert found[7, 7] == pytest.approx(weight.sum())
    assert np.allclose(both[0], 0.75 * exact + 0.25 * model)
    assert np.allclose(both[1], model)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("loss", [Logistic(), Huber(), Poisson()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("size", [1e30, 1e60, 1e250])
def test_predictions_beyond_all_numbers_have_sums_that_say_so_and_no_warning(loss, size):
    _, rows, frame, points = problem(0, 20, [4, 3], 2)
    rows = replace(rows, y=np.abs(rows.y[:, :1]) % 1.0)
    for dtype in ("float32", "float64"):
        query = Gradient((0, 0), (0.0,), 20.0, dtype, loss=loss, intercepts=(0.0, -size))
        _, loss_sum, *_ = ask(query, rows, frame, points * size)
        assert not np.any(loss_sum < 1e10)
        taken = WeightedGrams((0,), (0.0,), 20.0, (size,), (np.arange(3),), loss, dtype)
        inputs = (points[:, :1] * size, frame)
        taken.on_rows(rows, taken.prepare(inputs, [4, 3]))
