"""Weights of features that are pixels, drawn as images: one for each class or target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.errors import DependencyMissing, OptionError

MOST_IMAGES = 400  # of one picture
CLIPPED_SHARE = 0.02  # of the weights, beyond the scale: a few would pale all others
DPI = 150
# lengths in pixels of the picture
_SIDE = 210  # of an image, about: a weight is a square of whole pixels
_GAP, _LABEL, _MARGIN, _BAR, _LINE_HEIGHT = 18, 34, 30, 112, 30
_CAPTION_CHARACTER, _LABEL_CHARACTER = 13, 10.5  # the width of one, rather too wide
_INK, _FAINT = "#222222", "#c8c8c8"


@dataclass(frozen=True)
class WeightPicture:
    """Images of one model.

    Attributes
    ----------
    images : (n_images, height, width) float64
    labels : n_images texts, shown above the images
    caption : texts
        In one line where they fit, else one below the other.
    """

    images: np.ndarray
    labels: Sequence[str]
    caption: Sequence[str]

    @property
    def limit(self) -> float:
        """Greatest weight of the scale, which begins at its negative; 0 without any weight."""
        sizes = np.abs(self.images[self.images != 0])
        return float(np.quantile(sizes, 1 - CLIPPED_SHARE, method="higher")) if len(sizes) else 0.0


def check_drawing(n_images: int = 1) -> None:
    """Refuse what cannot be drawn.

    Raises
    ------
    DependencyMissing
        Matplotlib is not installed.
    OptionError
        There are more images than fit into one picture.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise DependencyMissing(
            "pictures need matplotlib: pip install 'dasklasso[plot]'."
        ) from error
    if n_images > MOST_IMAGES:
        raise OptionError(
            f"{n_images:,} images of weights found, expected at most {MOST_IMAGES} classes or "
            "targets"
        )


def columns_of(n_images: int) -> int:
    """Columns of a grid that is about twice as wide as high, with few places empty."""

    def cost(columns: int) -> float:
        rows = math.ceil(n_images / columns)
        return columns * rows - n_images + 2 * abs(math.log2(columns / rows / 2))

    return min(range(1, n_images + 1), key=cost)


def draw_weights(picture: WeightPicture, file: Path) -> None:
    """Draw to a PNG: red above 0, blue below, nearly white at 0, on one scale for all images."""
    from matplotlib.figure import Figure

    n_images, height, width = picture.images.shape
    zoom = max(1, round(_SIDE / max(height, width)))
    high, wide = zoom * height, zoom * width
    columns = columns_of(n_images)
    rows = math.ceil(n_images / columns)
    all_wide = columns * (wide + _GAP) - _GAP
    all_high = rows * (_LABEL + high + _GAP) - _GAP
    caption = _lines(picture.caption, (all_wide + _BAR) / _CAPTION_CHARACTER)
    first = _MARGIN + _LINE_HEIGHT * len(caption)  # below the caption
    page = _Page(Figure, 2 * _MARGIN + all_wide + _BAR, first + all_high + _MARGIN)
    for k, line in enumerate(caption):
        page.text(_MARGIN, _MARGIN + k * _LINE_HEIGHT, line, 10, va="center")
    limit, images = picture.limit, []
    for k, (image, label) in enumerate(zip(picture.images, picture.labels, strict=True)):
        left = _MARGIN + k % columns * (wide + _GAP)
        top = first + k // columns * (_LABEL + high + _GAP)
        short = _shortened(label, wide / _LABEL_CHARACTER)
        page.text(left + wide / 2, top + _LABEL - 8, short, 8, ha="center", va="baseline")
        place = page.axes(left, top + _LABEL, wide, high)
        shown = {"vmin": -limit, "vmax": limit} if limit else {"vmin": -1.0, "vmax": 1.0}
        images.append(place.imshow(image, cmap="RdBu_r", interpolation="none", **shown))
        place.set(xticks=(), yticks=(), aspect="auto")
        place.spines[:].set(color=_FAINT, linewidth=0.5)
    if limit:
        left = _MARGIN + all_wide + 30
        page.text(left, first + _LABEL - 8, "weight", 8, va="baseline")
        bar = page.axes(left, first + _LABEL, 14, all_high - _LABEL)
        clipped = bool(np.abs(picture.images).max() > limit)
        page.scale(images[0], bar, extend="both" if clipped else "neither")
    page.figure.savefig(file, format="png", dpi=DPI)


class _Page:
    """A figure whose places are pixels from its top left corner."""

    def __init__(self, figure: Any, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        box = (left, self.height - top - height, width, height)
        return self.figure.add_axes(np.divide(box, (self.width, self.height) * 2))

    def text(self, left: float, top: float, words: str, points: float, **more: Any) -> None:
        place = left / self.width, 1 - top / self.height
        # a label may have a $ or _ that is not mathematics
        self.figure.text(*place, words, fontsize=points, color=_INK, parse_math=False, **more)

    def scale(self, image: Any, place: Any, *, extend: str) -> None:
        """The colours of an image and their numbers."""
        from matplotlib.ticker import MaxNLocator

        bar = self.figure.colorbar(image, cax=place, extend=extend, extendfrac=0.03)
        bar.outline.set(color=_FAINT, linewidth=0.5)
        bar.locator = MaxNLocator(nbins=6, symmetric=True)
        bar.formatter = lambda value, _: f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
        bar.ax.tick_params(labelsize=7, length=2, width=0.5, color=_FAINT, labelcolor=_INK)
        bar.ax.minorticks_off()


def _lines(parts: Sequence[str], most: float) -> list[str]:
    line = "  \N{MIDDLE DOT}  ".join(parts)
    return [line] if len(line) <= most else [_shortened(part, most) for part in parts]


def _shortened(text: str, most: float) -> str:
    return text if len(text) <= most else text[: max(1, int(most) - 1)] + "…"
