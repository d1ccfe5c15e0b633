"""Pictures of weights: one scale around 0, images side by side."""

import sys

import numpy as np
import pytest

from dasklasso.drawing.weights import WeightPicture, check_drawing, columns_of, draw_weights
from dasklasso.errors import DependencyMissing, OptionError


def pixels(file):
    from matplotlib.image import imread

    return imread(file)[:, :, :3]


def is_red(colours):
    return (colours[..., 0] > 0.4) & (colours[..., 1:].max(axis=-1) < 0.2)


def is_blue(colours):
    return (colours[..., 2] > 0.3) & (colours[..., 0] < 0.1)


def test_weights_are_red_above_0_and_blue_below_where_they_belong(tmp_path):
    images = np.zeros((2, 3, 4))
    images[0, 0, 3], images[1, 2, 0] = 0.5, -0.5
    draw_weights(WeightPicture(images, ["a", "b"], ["alpha 1"]), tmp_path / "p.png")
    found = pixels(tmp_path / "p.png")
    found = found[:, : int(0.75 * found.shape[1])]  # the scale, on the right, has all colours
    side, gap = 52, 18  # 210 pixels over 4 weights
    red, blue = np.argwhere(is_red(found)), np.argwhere(is_blue(found))
    # borders of images cover a line of pixels
    assert np.ptp(red, axis=0) == pytest.approx(side - 1, abs=1)
    assert np.ptp(blue, axis=0) == pytest.approx(side - 1, abs=1)
    assert blue.mean(axis=0) - red.mean(axis=0) == pytest.approx([2 * side, side + gap], abs=1)


def test_the_scale_leaves_out_the_few_largest_weights():
    images = np.zeros((1, 20, 20))
    images[0, :10] = 1.0
    images[0, 0, 0] = -50.0
    assert WeightPicture(images, ["a"], []).limit == 1.0
    assert WeightPicture(np.zeros((1, 2, 2)), ["a"], []).limit == 0.0
    assert WeightPicture(np.diag([0, -3.0])[None], ["a"], []).limit == 3.0


def test_a_model_without_features_has_a_picture_of_the_same_size(tmp_path):
    images = np.zeros((1, 2, 2))
    for name, image in (("empty", images), ("full", images + 1)):
        draw_weights(WeightPicture(image, ["$x_"], ["alpha 1"]), tmp_path / f"{name}.png")
    assert pixels(tmp_path / "empty.png").shape == pixels(tmp_path / "full.png").shape
    assert pixels(tmp_path / "empty.png").std(axis=2).max() < 0.01  # grey only


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (10, 5), (26, 9)])
def test_grids_are_wide_and_full(n, columns):
    assert columns_of(n) == columns


def test_what_cannot_be_drawn_is_said(monkeypatch):
    with pytest.raises(OptionError, match="401 images of weights found, expected at most 400"):
        check_drawing(401)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyMissing, match=r"pip install 'dasklasso\[plot\]'"):
        check_drawing()
