"""The elastic net: its prox is the argmin, its conjugate the supremum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.penalties.elastic_net import elastic_net

NUMBER = st.floats(-100, 100, allow_subnormal=False)
WEIGHT = st.floats(0, 50, allow_subnormal=False)
STEP = st.floats(1e-3, 10)
SIGN = st.booleans()


def at(l1, l2, positive=False):
    return elastic_net(nonnegative=positive)(np.array([[l1]]), np.array([[l2]]))


@given(v=NUMBER, l1=WEIGHT, l2=WEIGHT, step=STEP, positive=SIGN, other=NUMBER)
def test_the_prox_is_the_argmin(v, l1, l2, step, positive, other):
    penalty = at(l1, l2, positive)
    found = penalty.prox(np.array([[v]]), step)
    assert not (positive and found < 0)

    def cost(w):
        return 0.5 * (w - v) ** 2 + step * penalty.value(w)

    rivals = np.array([[other, 0.0, v, *(found[0, 0] + d for d in (-1e-3, 1e-3, -1.0, 1.0))]])
    rivals = np.maximum(rivals, 0.0) if positive else rivals
    least = cost(found)[0, 0]
    assert np.all(cost(rivals) >= least - 1e-10 * (1.0 + abs(least)))


@given(v=NUMBER, w=NUMBER, l1=WEIGHT, l2=st.floats(1e-3, 50), positive=SIGN)
def test_value_and_conjugate_obey_fenchel_and_young(v, w, l1, l2, positive):
    penalty = at(l1, l2, positive)
    w = abs(w) if positive else w
    value = penalty.value(np.array([[w]])) + penalty.conjugate(np.array([[v]]))
    assert value >= v * w - 1e-9 * (1 + abs(v * w))


@given(v=NUMBER, l1=WEIGHT, l2=st.floats(1e-3, 50), positive=SIGN)
def test_the_conjugate_is_attained(v, l1, l2, positive):
    penalty = at(l1, l2, positive)
    size = max(v if positive else abs(v), 0.0)
    best = np.array([[np.copysign(max(size - l1, 0.0) / l2, v)]])
    value = v * best - penalty.value(best)
    assert penalty.conjugate(np.array([[v]])) == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(v=NUMBER, l1=WEIGHT)
def test_without_l2_the_conjugate_is_zero_inside_the_ball_and_infinite_outside(v, l1):
    found = at(l1, 0.0).conjugate(np.array([[v]]))[0, 0]
    assert found == (0.0 if abs(v) <= l1 else np.inf)


def test_without_a_penalty_the_prox_changes_nothing():
    v = np.array([[-2.0, 0.5]])
    assert np.array_equal(at(0.0, 0.0).prox(v, 3.0), v)


@pytest.mark.parametrize("method", ["value", "prox", "excess", "conjugate"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_every_method_gives_the_same_on_a_device(method, positive, l1_ratio):
    rng = np.random.default_rng(0)
    v, l1 = rng.standard_normal((7, 3)), l1_ratio * rng.uniform(0, 1, (7, 3))
    l2 = (1 - l1_ratio) * rng.uniform(0, 1, (7, 3))
    move = backend_for("strict").asarray
    kind = elastic_net(nonnegative=positive)
    host, device = kind(l1, l2), kind(move(l1), move(l2))
    more = (0.7,) if method == "prox" else ()
    expected = getattr(host, method)(v, *more)
    found = getattr(device, method)(move(v), *more)
    assert found.device == move(v).device
    assert np.array_equal(to_numpy(found), expected)
