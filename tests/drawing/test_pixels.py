"""Features find their pixels by the numbers in their names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.drawing.pixels import parse_shape, pixel_places
from dasklasso.errors import ModelError, OptionError

WAYS = {
    "from 0": lambda row, column, width: f"x{row * width + column}",
    "from 1": lambda row, column, width: f"image 7 pixel {row * width + column + 1}",
    "cells from 0": lambda row, column, width: f"pixel_{row}_{column}",
    "cells from 1": lambda row, column, width: f"{row + 1}x{column + 1}",
}


@pytest.mark.parametrize("way", WAYS)
@given(st.integers(1, 9), st.integers(1, 13), st.integers(0, 99))
def test_named_pixels_come_in_any_order(way, height, width, seed):
    cells = [(i, j) for i in range(height) for j in range(width)]
    order = np.random.default_rng(seed).permutation(len(cells))
    names = [WAYS[way](*cells[k], width) for k in order]
    assert np.array_equal(pixel_places(names, (height, width)), order)


def test_names_without_numbers_come_row_by_row():
    assert pixel_places(list("abcdef"), (2, 3)).tolist() == list(range(6))


@pytest.mark.parametrize(
    "names", [["x0", "x1", "x1", "x3"], ["x2", "x3", "x4", "x5"], ["a", "x1", "x2", "x3"]]
)
def test_numbers_that_are_not_those_of_pixels_are_refused(names):
    with pytest.raises(ModelError, match=r"features \w+, \w+, ... \w+ are no pixels"):
        pixel_places(names, (2, 2))


def test_another_number_of_pixels_is_refused():
    with pytest.raises(ModelError, match="shape: 2x4 is 8 pixels, and the model has 6 features"):
        pixel_places(list("abcdef"), (2, 4))


@pytest.mark.parametrize("text", ["", "28", "28x", "0x3", "-1x2", "28x28x3", "axb"])
def test_what_is_no_shape_is_refused(text):
    assert parse_shape("28 x 14") == (28, 14)
    with pytest.raises(OptionError, match="expected height and width, like 28x28"):
        parse_shape(text)
