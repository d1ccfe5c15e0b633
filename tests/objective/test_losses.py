"""Losses: gradient of the value, conjugate as the supremum, names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.errors import OptionError
from dasklasso.objective.losses import LOSSES, loss_named

NUMBER = st.floats(-1e3, 1e3, allow_subnormal=False)
each_loss = pytest.mark.parametrize("name", LOSSES)


@each_loss
@given(p=NUMBER, y=NUMBER)
def test_the_gradient_is_the_slope_of_the_value(name, p, y):
    loss, h = loss_named(name), 1e-3
    slope = (loss.value(p + h, y) - loss.value(p - h, y)) / (2 * h)
    assert loss.gradient(p, y) == pytest.approx(slope, rel=1e-5, abs=1e-4)


@each_loss
@given(p=NUMBER, y=NUMBER, u=NUMBER)
def test_value_and_conjugate_obey_fenchel_and_young(name, p, y, u):
    loss = loss_named(name)
    total = loss.value(p, y) + loss.conjugate(u, y)
    assert total >= u * p - 1e-9 * (1 + abs(u * p) + abs(total))


@each_loss
@given(p=NUMBER, y=NUMBER)
def test_fenchel_and_young_meet_at_the_gradient(name, p, y):
    loss = loss_named(name)
    u = loss.gradient(p, y)
    total = loss.value(p, y) + loss.conjugate(u, y)
    assert total == pytest.approx(u * p, rel=1e-9, abs=1e-6)


@each_loss
@given(p=NUMBER, q=NUMBER, y=NUMBER)
def test_no_curvature_exceeds_the_bound(name, p, q, y):
    loss = loss_named(name)
    change = abs(loss.gradient(p, y) - loss.gradient(q, y))
    assert change <= loss.max_curvature * abs(p - q) * (1 + 1e-9) + 1e-9


@each_loss
@pytest.mark.parametrize("method", ["value", "gradient", "conjugate"])
def test_every_method_gives_the_same_on_a_device(name, method):
    rng = np.random.default_rng(0)
    p, y = rng.standard_normal((5, 2)), rng.standard_normal((5, 1))
    move, loss = backend_for("strict").asarray, loss_named(name)
    found = getattr(loss, method)(move(p), move(y))
    assert np.allclose(to_numpy(found), getattr(loss, method)(p, y), rtol=1e-14)


def test_an_unknown_loss_is_an_option_error_that_names_it():
    with pytest.raises(OptionError, match="loss: 'hinge' is none of squared"):
        loss_named("hinge")
