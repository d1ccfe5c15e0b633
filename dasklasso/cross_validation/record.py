"""A cross-validation as a fitted model keeps it: curves, how folds were made, what was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.choices import Rule
from dasklasso.cross_validation.error_curve import (
    BOUND,
    GREATER_IS_BETTER,
    CrossValidation,
    RatioChoice,
)


@dataclass(frozen=True)
class CvRecord:
    """Curves of every l1_ratio, and the alpha that a rule selects.

    Attributes
    ----------
    folds : how rows were put into folds: random, contiguous, groups, column
    n_folds : int
    seed : int
        Of random folds.
    rule : {"min", "1se"}
        The alpha with the smallest mean error, or the largest one within a standard error of it
        (Breiman, Friedman, Olshen and Stone, 1984, Classification and Regression Trees, 3.4.3).
    by_ratio : tuple of CrossValidation
        One for each l1_ratio. With several targets, errors are means over targets of each one's
        error divided by that of its model without features.
    """

    folds: str
    n_folds: int
    seed: int
    rule: Rule
    by_ratio: tuple[CrossValidation, ...]

    @property
    def best(self) -> CrossValidation:
        """The curve with the smallest mean error anywhere."""
        return RatioChoice(self.by_ratio).best

    @property
    def l1_ratio(self) -> float:
        return self.best.l1_ratio

    @property
    def alpha(self) -> float:
        """The alpha that the rule selects."""
        return self.best.alpha_min if self.rule == "min" else self.best.alpha_1se

    @property
    def worst_gap(self) -> float:
        """Largest relative dual gap of a model trained without a fold."""
        return max(float(curve.gap.max()) for curve in self.by_ratio)

    def table(self) -> list[dict[str, float]]:
        """Return one row for each l1_ratio and alpha, in plain numbers."""
        return RatioChoice(self.by_ratio).table()

    def to_json(self) -> dict[str, Any]:
        return {
            "folds": self.folds,
            "n_folds": self.n_folds,
            "seed": self.seed,
            "rule": self.rule,
            "l1_ratio": self.l1_ratio,
            "alpha_min": self.best.alpha_min,
            "alpha_1se": self.best.alpha_1se,
            "curves": [
                {
                    "l1_ratio": curve.l1_ratio,
                    "alphas": curve.alphas.tolist(),
                    "criterion": curve.criterion,
                    "error_path": _known(curve.error_path),
                    "scores": {name: _known(path) for name, path in curve.scores.items()},
                    "fold_weights": curve.fold_weights.tolist(),
                    "gap": _known(curve.gap),
                }
                for curve in self.by_ratio
            ],
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> CvRecord:
        """Restore what :meth:`to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
        """
        curves = tuple(_curve(curve) for curve in found["curves"])
        if not curves:
            raise ValueError("there are no curves")
        return cls(
            str(found["folds"]), int(found["n_folds"]), int(found["seed"]), found["rule"], curves
        )


def _curve(found: dict[str, Any]) -> CrossValidation:
    scores = {name: np.asarray(path, dtype=float) for name, path in found["scores"].items()}
    criterion = str(found["criterion"])
    if criterion in GREATER_IS_BETTER:  # earlier models have one less it
        error = -scores[criterion]
    else:
        error = np.asarray(found["error_path"], dtype=float)
    alphas = np.asarray(found["alphas"], dtype=float)
    shape = (len(alphas), len(found["fold_weights"]))
    paths = {"errors": error, **scores}
    for name, path in paths.items():
        if path.shape != shape or not path.size:
            raise ValueError(f"{name} have shape {path.shape}, expected {shape}: alphas, folds")
    return CrossValidation(
        alphas,
        float(found["l1_ratio"]),
        error,
        np.asarray(found["fold_weights"], dtype=float),
        np.nan_to_num(np.asarray(found["gap"], dtype=float), nan=np.inf, posinf=np.inf),
        criterion,
        scores,
    )


def _known(path: np.ndarray) -> list[list[float | None]]:
    """Plain numbers, None for what JSON has no name for; read again, NaN."""
    return [[x if math.isfinite(x) else None for x in row] for row in path.tolist()]


def over_targets(
    by_target: Sequence[tuple[CrossValidation, ...]], null_error: np.ndarray
) -> tuple[CrossValidation, ...]:
    """Assemble one curve for each l1_ratio from those of every target, on the same alphas.

    Parameters
    ----------
    null_error : (n_targets,)
        Of the model without features: what each target's errors are divided by, where there are
        several.
    """
    if len(by_target) == 1:
        return by_target[0]
    exact = np.zeros_like(by_target[0][0].error_path)  # of a target whose areas have no bound
    return tuple(
        replace(
            curves[0],
            error_path=np.mean(
                [curve.error_path / v for curve, v in zip(curves, null_error, strict=True)], axis=0
            ),
            gap=np.max([curve.gap for curve in curves], axis=0),
            scores={
                name: np.mean(
                    [
                        # a bound is in units of the errors that it is of
                        curve.scores.get(name, exact) / (v if name == BOUND else 1.0)
                        for curve, v in zip(curves, null_error, strict=True)
                    ],
                    axis=0,
                )
                for name in max((curve.scores for curve in curves), key=len)
            },
        )
        for curves in zip(*by_target, strict=True)
    )
