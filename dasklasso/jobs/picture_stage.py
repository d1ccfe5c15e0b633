"""The stage of a job that draws: coefficients of features that are pixels become images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.jobs.base import PlacedStage

if TYPE_CHECKING:
    from dasklasso.drawing.weights import WeightPicture
    from dasklasso.model.path import FittedPath

_OURS = re.compile(r"(\d+-)?alpha-.+\.png")  # names of pictures
_SCORES = ("accuracy", "r2")  # what a picture says of its model, the first that is known


@dataclass(frozen=True, kw_only=True)
class PictureStage(PlacedStage):
    """``dasklasso picture``: for each alpha a PNG, in a folder."""

    _reads = ("model", "scores")
    _writes = ("out",)

    model: str
    shape: str
    out: str
    alpha: str | float | None = None
    label: tuple[str, ...] = ()
    scores: str | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Validate the options before any work."""
        from dasklasso.drawing.pixels import parse_shape
        from dasklasso.drawing.weights import check_drawing

        check_drawing()
        parse_shape(self.shape)
        self.check_places()
        out = Path(self.out)
        if not out.exists():
            return
        if not out.is_dir() or any(_OURS.fullmatch(file.name) is None for file in out.iterdir()):
            raise OptionError(f"{out} is no folder of pictures, so it is not overwritten.")
        if not self.overwrite:
            raise OptionError(
                f"{out} exists already. Give another name, or overwrite it knowingly."
            )

    def run(self) -> int:
        """Draw, and put the folder in its place; returns the number of pictures."""
        from dasklasso.drawing.weights import check_drawing, draw_weights
        from dasklasso.files.atomic import written_beside
        from dasklasso.model.path import load_model

        self.check()
        path = load_model(self.model)
        check_drawing(path.n_targets)
        labels, scores = self._labels(path), self._scores()
        pictures = {
            name: self._picture(path, alpha, labels, scores)
            for name, alpha in self._files(path).items()
        }
        with written_beside(Path(self.out)) as folder:
            folder.mkdir()
            for name, picture in pictures.items():
                draw_weights(picture, folder / name)
        return len(pictures)

    def _files(self, path: FittedPath) -> dict[str, float]:
        """Alphas by the names of their files, which sort as the path does."""
        from dasklasso.model.asked_alpha import asked_alpha

        alpha = asked_alpha(path, self.alpha)
        if alpha is not None:
            return {f"alpha-{alpha:.4g}.png": alpha}
        digits = len(str(path.n_alphas))
        return {
            f"{k:0{digits}}-alpha-{alpha:.4g}.png": float(alpha)
            for k, alpha in enumerate(path.alphas, start=1)
        }

    def _picture(
        self,
        path: FittedPath,
        alpha: float,
        labels: tuple[str, ...],
        scores: Mapping[float, str],
    ) -> WeightPicture:
        from dasklasso.drawing.pixels import parse_shape, pixel_places
        from dasklasso.drawing.weights import WeightPicture

        shape = parse_shape(self.shape)
        coef, _ = path.coefficients_at(alpha)
        images = np.zeros(coef.shape)
        images[:, pixel_places(path.feature_names, shape)] = coef.toarray()
        n_used = np.count_nonzero(images.any(axis=0))
        known = [text for other, text in scores.items() if abs(other - alpha) <= 1e-7 * alpha]
        caption = (f"alpha {alpha:.4g}", f"{n_used:,} of {path.n_features:,} features", *known[:1])
        return WeightPicture(images.reshape(-1, *shape), labels, caption)

    def _labels(self, path: FittedPath) -> tuple[str, ...]:
        """Return what each image is of: a class, a target, the greater of two labels."""
        if self.label:
            if len(self.label) != path.n_targets:
                raise OptionError(
                    f"label: {len(self.label)} found, expected one for each of the "
                    f"{path.n_targets} images"
                )
            return self.label
        if path.predicts_classes:
            return tuple(str(label) for label in path.labels)
        classes = path.classes or (None,) * path.n_targets
        return tuple(
            name if labels is None else str(labels[-1])
            for name, labels in zip(path.target_names, classes, strict=True)
        )

    def _scores(self) -> dict[float, str]:
        """What is known of models by their alphas, from a table that ``dasklasso score`` wrote."""
        from dasklasso.files.tables import read_table

        if self.scores is None:
            return {}
        rows = read_table(self.scores)
        if rows and "alpha" not in rows[0]:
            raise OptionError(
                f"scores: {self.scores} has no column alpha, expected a table of dasklasso score "
                "--all-alphas"
            )
        found = {}
        for row in rows:
            values = [(name, row[name]) for name in _SCORES if row.get(name) is not None]
            if values and "target" not in row:  # one figure for all targets there is none
                found[float(row["alpha"])] = f"{values[0][0]} {values[0][1]:.4f}"
        return found
