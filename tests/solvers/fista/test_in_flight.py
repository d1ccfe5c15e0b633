"""How many jobs are in flight, and what steps are divided by."""

from __future__ import annotations

import pytest

from dasklasso.solvers.fista.cost import jobs_at_once
from dasklasso.solvers.fista.step import Lipschitz


@pytest.mark.parametrize("n_outputs", [1, 3, 10, 1000])
def test_problems_of_several_outputs_are_in_flight_whole(n_outputs):
    for shape in ((100, 10), (10**6, 500), (10**4, 10**7)):
        n_in_flight = jobs_at_once(*shape, 5 * n_outputs, n_outputs)
        assert n_in_flight % n_outputs == 0
        assert n_outputs <= n_in_flight <= 5 * n_outputs


@pytest.mark.parametrize("norm", [1e-17, 1e-3, 0.5])
def test_a_direction_that_shows_little_divides_steps_by_the_mean_eigenvalue(norm):
    first = Lipschitz(0.5, 0.0, 0, False, bound=10.0, loss_curvature=0.5)
    assert first.after_product(norm).value >= 0.5
