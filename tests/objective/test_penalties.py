"""Every penalty: its prox is the argmin, its conjugate the supremum, its rules the conditions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.penalties.base import strong_share
from dasklasso.objective.penalties.elastic_net import (
    ElasticNet,
    NonNegativeElasticNet,
    elastic_net,
)
from dasklasso.objective.penalties.group import GroupElasticNet

TOGETHER, FEATURES, PROBLEMS = 3, 5, 2
KINDS = [ElasticNet, NonNegativeElasticNet, GroupElasticNet]
SEED = st.integers(0, 2**32 - 1)
NUMBER = st.floats(-100, 100, allow_subnormal=False)
WEIGHT = st.floats(0, 5, allow_subnormal=False)
RATIO = st.sampled_from([1.0, 0.7, 0.1])
STEP = st.floats(1e-2, 10)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def factors(rng):
    """Of features; the first is not penalised."""
    return np.append(0.0, rng.uniform(0.2, 3, FEATURES - 1))[:, None]


def drawn(kind, seed, l1_ratio, alpha=1.0):
    """A penalty of random factors at an alpha, and v of its shape."""
    rng = np.random.default_rng(seed)
    l1, l2 = factors(rng), factors(rng)
    v = 3.0 * rng.standard_normal((FEATURES, PROBLEMS * TOGETHER))
    return kind.of(l1_ratio, TOGETHER).at(alpha, l1, l2), v


def in_cone(penalty, w):
    return np.maximum(w, 0.0) if penalty.nonnegative else w


# -- the prox -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ElasticNet, NonNegativeElasticNet], ids=lambda kind: kind.name)
@given(v=NUMBER, l1=WEIGHT, l2=WEIGHT, step=STEP)
def test_the_prox_of_a_number_is_what_a_search_finds(kind, v, l1, l2, step):
    penalty = kind(np.array([[l1]]), np.array([[l2]]))
    found = penalty.prox(np.array([[v]]), step)[0, 0]

    def cost(w):
        return 0.5 * (w - v) ** 2 + step * (l1 * abs(w) + 0.5 * l2 * w * w)

    least = 0.0 if kind.nonnegative else -abs(v) - 1.0
    search = minimize_scalar(cost, bounds=(least, abs(v) + 1.0), method="bounded").x
    assert found >= least
    assert cost(found) <= cost(search) + 1e-10 * (1.0 + cost(search))
    assert found == pytest.approx(search, abs=1e-3 * (1.0 + abs(v)))


@each_kind
@given(seed=SEED, l1_ratio=RATIO, step=STEP)
def test_no_point_nearby_costs_less_than_the_prox(kind, seed, l1_ratio, step):
    penalty, v = drawn(kind, seed, l1_ratio)
    found = penalty.prox(v, step)
    assert np.array_equal(found, in_cone(penalty, found))

    def cost(w):
        return 0.5 * np.sum((w - v) ** 2) + step * np.sum(penalty.value(w))

    rng, least = np.random.default_rng(seed), cost(found)
    for size in (1e-3, 0.1, 1.0):
        rival = in_cone(penalty, found + size * rng.standard_normal(v.shape))
        assert cost(rival) >= least - 1e-10 * (1 + least)
    assert cost(0 * v) >= least - 1e-10 * (1 + least)


@each_kind
def test_without_a_penalty_the_prox_is_the_nearest_point(kind):
    penalty, v = drawn(kind, 0, 1.0, alpha=0.0)
    assert np.allclose(penalty.prox(v, 3.0), in_cone(penalty, v), rtol=1e-15)


# -- duality --------------------------------------------------------------------------------------


@each_kind
@given(seed=SEED, other=SEED, l1_ratio=st.sampled_from([0.7, 0.1]))
def test_value_and_conjugate_obey_fenchel_and_young(kind, seed, other, l1_ratio):
    penalty, v = drawn(kind, seed, l1_ratio)
    v[0] = np.minimum(v[0], 0.0) if penalty.nonnegative else 0.0  # feasible where not penalised
    w = in_cone(penalty, drawn(kind, other, l1_ratio)[1])
    total = np.sum(penalty.value(w)) + np.sum(penalty.conjugate(v))
    assert total >= np.sum(v * w) - 1e-9 * (1 + abs(total))


@each_kind
@given(seed=SEED, l1_ratio=st.sampled_from([0.7, 0.1]))
def test_fenchel_and_young_meet_at_the_prox(kind, seed, l1_ratio):
    # Moreau: z less its prox is a subgradient there
    penalty, z = drawn(kind, seed, l1_ratio)
    w = penalty.prox(z, 1.0)
    v = z - w
    total = np.sum(penalty.value(w)) + np.sum(penalty.conjugate(v))
    assert total == pytest.approx(np.sum(v * w), rel=1e-10, abs=1e-10)


@each_kind
@given(seed=SEED)
def test_without_a_quadratic_part_the_conjugate_says_what_is_feasible(kind, seed):
    penalty, v = drawn(kind, seed, 1.0)
    found = penalty.conjugate(v)
    assert np.all((found == 0) | np.isinf(found))
    beyond = np.any(penalty.size(v) > penalty.l1)
    assert np.isinf(np.sum(found)) == beyond


@each_kind
@given(seed=SEED)
def test_a_v_over_its_scaling_is_feasible_and_no_less_will_do(kind, seed):
    penalty, v = drawn(kind, seed, 1.0)
    penalised = slice(1, None)
    scaling = penalty.scaling(v)
    assert np.all(np.isinf(scaling[0]) == (penalty.size(v)[0] > 0))
    worst = scaling[penalised].max()
    size = penalty.size(v / worst)[penalised] / penalty.l1[penalised]
    assert size.max() == pytest.approx(1.0, rel=1e-12) if worst > 0 else np.all(size <= 0)


@each_kind
@given(seed=SEED, other=SEED, l1_ratio=RATIO, reach=st.floats(0, 2))
def test_no_v_within_reach_exceeds_the_enlarged_one(kind, seed, other, l1_ratio, reach):
    penalty, v = drawn(kind, seed, l1_ratio)
    offset = np.full(v.shape[1], reach)
    near = v + np.random.default_rng(other).uniform(-reach, reach, v.shape)
    wide = penalty.enlarged(v, offset)
    penalised = slice(1, None)
    assert np.all(penalty.size(near)[penalised] <= penalty.size(wide)[penalised] + 1e-12)
    larger, conjugate = penalty.conjugate(wide)[penalised], penalty.conjugate(near)[penalised]
    assert np.all(conjugate <= larger * (1 + 1e-12) + 1e-12)
    assert np.array_equal(penalty.size(wide)[0], penalty.size(v)[0])


# -- optimality -----------------------------------------------------------------------------------


@each_kind
@given(seed=SEED, l1_ratio=RATIO)
def test_conditions_hold_at_the_prox(kind, seed, l1_ratio):
    penalty, z = drawn(kind, seed, l1_ratio)
    w = penalty.prox(z, 1.0)
    assert np.all(penalty.violation(w, z - w) <= 1e-12)


@each_kind
@given(seed=SEED, other=SEED, l1_ratio=RATIO, alpha=st.floats(0.1, 3))
def test_where_conditions_are_violated_a_step_moves(kind, seed, other, l1_ratio, alpha):
    penalty, v = drawn(kind, seed, l1_ratio, alpha)
    w = penalty.prox(drawn(kind, other, l1_ratio)[1], 1.0)
    moved = penalty.norm(penalty.prox(w + v, 1.0) - w)
    violation = penalty.violation(w, v)
    assert np.all(moved[violation <= 0] <= 1e-12)
    assert np.all(violation[moved > 1e-9] > 0)


@each_kind
@given(seed=SEED, l1_ratio=RATIO, alpha=st.floats(0.05, 2), fall=st.floats(0.3, 1.0))
def test_the_strong_rule_keeps_all_that_comes_into_use(kind, seed, l1_ratio, alpha, fall):
    """Of orthogonal columns no gradient changes faster than λ₁ does: there the rule is safe."""
    before, c = drawn(kind, seed, l1_ratio, alpha)
    after, _ = drawn(kind, seed, l1_ratio, fall * alpha)
    v = c - before.prox(c, 1.0)
    kept = after.may_enter(v, strong_share(fall * alpha, alpha), noise=1e-12)
    used = after.norm(after.prox(c, 1.0)) > 0
    assert np.all(kept[used] | (before.norm(before.prox(c, 1.0)) > 0)[used])


@each_kind
@given(seed=SEED, l1_ratio=RATIO)
def test_with_the_whole_of_the_weight_the_rule_is_the_condition(kind, seed, l1_ratio):
    penalty, v = drawn(kind, seed, l1_ratio)
    may, violation = penalty.may_enter(v, 1.0), penalty.violation(0 * v, v)
    assert np.array_equal(may, violation >= 0)


@each_kind
@given(seed=SEED, step=STEP)
def test_at_alpha_max_all_that_is_penalised_is_exactly_zero_and_just_below_not(kind, seed, step):
    penalty, v = drawn(kind, seed, 1.0)
    largest = penalty.alpha_max(v)
    problem = np.repeat(largest.reshape(PROBLEMS, -1).max(axis=1), TOGETHER)
    at = drawn(kind, seed, 1.0, problem[None, :])[0]
    assert not at.prox(step * v, step)[1:].any()
    below = drawn(kind, seed, 1.0, (1 - 1e-9) * problem[None, :])[0].prox(step * v, step)[1:]
    for k in range(PROBLEMS):
        columns = slice(k * TOGETHER, (k + 1) * TOGETHER)
        assert below[:, columns].any() == (problem[k * TOGETHER] > 0)


def test_what_only_falls_with_the_target_has_no_alpha_max_where_it_must_not_be_negative():
    v = -np.ones((3, 1))
    assert NonNegativeElasticNet(np.ones((3, 1))).alpha_max(v) == 0
    assert ElasticNet(np.ones((3, 1))).alpha_max(v) == pytest.approx(1)


# -- weights --------------------------------------------------------------------------------------


@each_kind
@given(seed=SEED, l1_ratio=RATIO, alpha=st.floats(0.01, 10))
def test_an_alpha_multiplies_the_value(kind, seed, l1_ratio, alpha):
    one, w = drawn(kind, seed, l1_ratio)
    many, _ = drawn(kind, seed, l1_ratio, alpha)
    w = in_cone(one, w)
    assert np.sum(many.value(w)) == pytest.approx(alpha * np.sum(one.value(w)), rel=1e-12)


def test_a_class_of_another_formula_does_not_pass_for_the_one_that_solvers_know():
    class Halved(ElasticNet):
        def norm(self, w):
            return 0.5 * super().norm(w)

    assert ElasticNet.separable
    assert not Halved.separable


@pytest.mark.parametrize("method", ["value", "prox", "excess", "conjugate", "scaling", "violation"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_every_method_gives_the_same_on_a_device(method, positive, l1_ratio):
    rng = np.random.default_rng(0)
    v, l1 = rng.standard_normal((7, 3)), l1_ratio * rng.uniform(0, 1, (7, 3))
    l2 = (1 - l1_ratio) * rng.uniform(0, 1, (7, 3))
    move = backend_for("strict").asarray
    kind = elastic_net(nonnegative=positive)
    host, device = kind(l1, l2), kind(move(l1), move(l2))
    host_more, device_more = {
        "prox": ((0.7,), (0.7,)),
        "violation": ((v + 1.0,), (move(v + 1.0),)),
    }.get(method, ((), ()))
    v = np.maximum(v, 0.0) if positive and method == "violation" else v
    expected = getattr(host, method)(v, *host_more)
    found = getattr(device, method)(move(v), *device_more)
    assert found.device == move(v).device
    assert np.array_equal(to_numpy(found), expected)
