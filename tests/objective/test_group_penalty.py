"""The group elastic net: its prox is the argmin, its conjugate the supremum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.penalties.elastic_net import ElasticNet
from dasklasso.objective.penalties.group import GroupElasticNet

SEED = st.integers(0, 2**32 - 1)
WEIGHT = st.floats(0, 5, allow_subnormal=False)
STEP = st.floats(1e-2, 10)


def draw(seed, together, n=5, problems=2):
    return 2.0 * np.random.default_rng(seed).standard_normal((n, problems * together))


def by_formula(w, l1, l2, together):
    norms = np.linalg.norm(w.reshape(len(w), -1, together), axis=2)
    return (l1 * norms + l2 / 2 * norms**2).sum()


@given(seed=SEED, l1=WEIGHT, l2=WEIGHT, step=STEP, together=st.integers(1, 4))
def test_the_prox_is_the_argmin(seed, l1, l2, step, together):
    v = draw(seed, together)
    penalty = GroupElasticNet(np.full((5, 1), l1), np.full((5, 1), l2), together)
    found = penalty.prox(v, step)

    def cost(w):
        return 0.5 * np.sum((w - v) ** 2) + step * by_formula(w, l1, l2, together)

    least = cost(found)
    rng = np.random.default_rng(seed)
    rivals = [found + size * rng.standard_normal(v.shape) for size in (1e-3, 0.1, 1.0)]
    for rival in [*rivals, 0 * v, v, found * (1 + 1e-4), found * (1 - 1e-4)]:
        assert cost(rival) >= least - 1e-10 * (1 + least)
    assert penalty.value(found).sum() == pytest.approx(by_formula(found, l1, l2, together))


@given(seed=SEED, l1=WEIGHT, l2=st.floats(1e-2, 5), together=st.integers(1, 4))
def test_value_and_conjugate_obey_fenchel_and_young(seed, l1, l2, together):
    v, w = draw(seed, together), draw(seed + 1, together)
    penalty = GroupElasticNet(np.full((5, 1), l1), np.full((5, 1), l2), together)
    highest = penalty.conjugate(v).sum()
    assert np.sum(v * w) - penalty.value(w).sum() <= highest + 1e-9 * (1 + abs(highest))
    # the supremum is reached at argmin ½‖w − v/λ₂‖² + λ₁/λ₂ ‖w‖
    best = GroupElasticNet(penalty.l1 / l2, 0 * penalty.l2, together).prox(v / l2, 1.0)
    assert np.sum(v * best) - penalty.value(best).sum() == pytest.approx(highest, abs=1e-9)


@given(seed=SEED, l1=WEIGHT, together=st.integers(1, 4))
def test_without_a_ridge_the_conjugate_says_what_is_feasible(seed, l1, together):
    v = draw(seed, together)
    penalty = GroupElasticNet(np.full((5, 1), l1), np.zeros((5, 1)), together)
    norms = np.linalg.norm(v.reshape(5, -1, together), axis=2)
    expected = np.where(norms > l1, np.inf, 0.0)
    assert np.array_equal(penalty.conjugate(v)[:, ::together], expected)
    assert np.allclose(penalty.size(v), np.repeat(norms, together, axis=1), rtol=1e-14)


@given(seed=SEED, l1=WEIGHT, l2=WEIGHT, step=STEP)
def test_groups_of_one_are_the_elastic_net(seed, l1, l2, step):
    v = draw(seed, 1)
    weights = np.full((5, 1), l1), np.full((5, 1), l2)
    grouped, single = GroupElasticNet(*weights, 1), ElasticNet(*weights)
    assert np.allclose(grouped.prox(v, step), single.prox(v, step), atol=1e-14)
    assert np.allclose(grouped.value(v), single.value(v), rtol=1e-14)
    assert np.array_equal(grouped.size(v), single.size(v))


def test_sizes_beyond_the_range_of_squares_are_kept():
    penalty = GroupElasticNet(np.ones((1, 1)), np.zeros((1, 1)), 2)
    assert penalty.size(np.array([[3e200, 4e200]]))[0] == pytest.approx(5e200, rel=1e-14)
    assert penalty.size(np.array([[3e-200, 4e-200]]))[0] == pytest.approx(5e-200, rel=1e-14)


def test_the_same_on_a_device():
    v = draw(1, 3)
    move = backend_for("strict").asarray
    host = GroupElasticNet(np.full((5, 6), 0.5), np.full((5, 1), 0.2), 3)
    device = GroupElasticNet(move(host.l1), move(host.l2), 3)
    assert np.allclose(to_numpy(device.prox(move(v), 0.7)), host.prox(v, 0.7), rtol=1e-14)
    for name in ("value", "size", "conjugate"):
        found, expected = getattr(device, name)(move(v)), getattr(host, name)(v)
        assert np.allclose(to_numpy(found), expected, rtol=1e-14)
