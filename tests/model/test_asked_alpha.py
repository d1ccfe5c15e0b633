"""An alpha that is typed as a table shows it is the one on the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dasklasso.model.asked_alpha import asked_alpha
from dasklasso.model.path import FittedPath


def path_of(alphas):
    n = len(alphas)
    figures = np.zeros((n, 1))
    return FittedPath(
        alphas=np.array(alphas),
        coef_rows=csr_array((n, 1)),
        intercepts=figures,
        dual_gaps=figures,
        objectives=figures,
        y_is_vector=True,
        feature_names=("x",),
        target_names=("y",),
        loss="squared",
        l1_ratio=1.0,
        penalty_options={},
        alpha_selected=None,
        solver="gram",
        tol=1e-6,
        scans=2.0,
        bytes_read=0,
        seconds=0.0,
        peak_memory_bytes=0,
        fingerprint="",
        versions={},
    )


GRID = path_of([0.2, 0.038712, 0.0361, 0.0100003])


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("0.0387", 0.038712),
        ("0.03871", 0.038712),
        ("3.871e-2", 0.038712),
        (0.0387, 0.038712),  # as a job has it
        ("0.0388", 0.0388),  # it would be shown as 0.0387
        ("0.03870", 0.03870),  # it would be shown as 0.03871
        ("0.04", 0.04),  # one digit says too little
        ("0.01", 0.0100003),  # which is shown without its zeros
        ("0.200", 0.2),
        (None, None),
    ],
)
def test_digits_that_a_table_shows_mean_the_alpha_of_the_grid(asked, meant):
    assert asked_alpha(GRID, asked) == meant


@given(
    largest=st.floats(1e-9, 1e9),
    digits=st.integers(4, 10),
    at=st.integers(0, 99),
)
def test_every_alpha_of_a_grid_can_be_typed_with_four_digits(largest, digits, at):
    path = path_of(np.geomspace(largest, largest * 1e-3, 100))
    assert asked_alpha(path, f"{path.alphas[at]:.{digits}g}") == path.alphas[at]
