"""Prediction errors along a path, fold by fold, and the alpha that a rule selects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dasklasso.errors import OptionError

GREATER_IS_BETTER = ("auc", "accuracy")
BOUND = "mse_bound"  # of scores: what rounding of moments may have added to an error


@dataclass(frozen=True)
class CrossValidation:
    """Prediction errors along a path, and the alphas they recommend.

    Attributes
    ----------
    alphas : (n_alphas,), decreasing
    l1_ratio : float
    error_path : (n_alphas, n_folds)
        On each fold what alphas are compared by, the smaller the better: a score that is the
        better the greater has a minus here. People are shown :attr:`mean_score`.
    fold_weights : (n_folds,)
        Sum of the weights of each fold's rows.
    gap : (n_alphas, n_folds)
        Relative dual gap of the model trained without the fold.
    criterion : {"mse", "loss", "auc", "accuracy"}
        What alphas are compared by.
    scores : dict of (n_alphas, n_folds)
        Everything that was measured, by name; NaN where it is not defined, as the area under the
        curve of a fold of one class. "auc_bound", where areas may be off, says by how much, and
        "mse_bound" what rounding of second moments may have added to errors.
    """

    alphas: np.ndarray
    l1_ratio: float
    error_path: np.ndarray
    fold_weights: np.ndarray
    gap: np.ndarray
    criterion: str = "mse"
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def greater_is_better(self) -> bool:
        return self.criterion in GREATER_IS_BETTER

    @property
    def mean_score(self) -> np.ndarray:
        """(n_alphas,) mean over folds of the criterion itself."""
        return -self.mean_error if self.greater_is_better else self.mean_error

    @property
    def shown_as(self) -> str:
        """What people are shown the criterion as, in tables."""
        return "error" if self.criterion == "loss" else self.criterion

    @property
    def mean_scores(self) -> dict[str, np.ndarray]:
        """(n_alphas,) means of everything that was measured, over the folds that have it."""
        having = {name: path[:, folds_with(path)] for name, path in self.scores.items()}
        nothing = np.full(len(self.alphas), np.nan)
        return {
            name: np.mean(path, axis=1) if path.shape[1] else nothing
            for name, path in having.items()
        }

    @property
    def mean_error(self) -> np.ndarray:
        """(n_alphas,) mean over folds, each counting the same, as in scikit-learn."""
        return np.mean(self.error_path, axis=1)

    @property
    def standard_error(self) -> np.ndarray:
        """(n_alphas,) standard error of that mean: folds weighted by their rows, as in glmnet.

        ``√(Σ w (mse − mean)² / Σ w / (K − 1))``: with folds of equal weight, the standard
        deviation over folds divided by √K.
        """
        deviation = self.error_path - self.mean_error[:, None]
        variance = np.average(deviation**2, axis=1, weights=self.fold_weights)
        return np.sqrt(variance / (self.error_path.shape[1] - 1))

    @property
    def index_min(self) -> int:
        """Index of the alpha with the smallest mean; the largest such alpha.

        An alpha without an error on every fold, where scans ran out, is not chosen.

        Raises
        ------
        OptionError
            There is no other.
        """
        known = np.isfinite(self.mean_error)
        if not known.any():
            raise OptionError(
                f"cross-validation: no alpha has {_CALLED[self.criterion]} on every fold, so none "
                "can be chosen; expected enough scans for some to have one (max_scans)"
            )
        return int(np.argmin(np.where(known, self.mean_error, np.inf)))

    @property
    def index_1se(self) -> int:
        """Index of the largest alpha whose mean is within one standard error of the smallest.

        The 1 SE rule of Breiman, Friedman, Olshen and Stone (1984, Classification and regression
        trees, section 3.4.3).
        """
        least = self.index_min
        return int(
            np.argmax(self.mean_error <= self.mean_error[least] + self.standard_error[least])
        )

    @property
    def alpha_min(self) -> float:
        return float(self.alphas[self.index_min])

    @property
    def alpha_1se(self) -> float:
        return float(self.alphas[self.index_1se])

    def table(self) -> list[dict[str, float]]:
        """Return one row for each alpha, in plain numbers."""
        name = self.shown_as
        path = -self.error_path if self.greater_is_better else self.error_path
        others = {k: v for k, v in self.mean_scores.items() if k != name}
        return [
            {
                "alpha": float(alpha),
                f"mean_{name}": float(self.mean_score[i]),
                "standard_error": float(self.standard_error[i]),
                **{score: float(means[i]) for score, means in others.items()},
                **{f"{name}_fold_{k}": float(value) for k, value in enumerate(path[i])},
            }
            for i, alpha in enumerate(self.alphas)
        ]


_CALLED = {
    "mse": "a mean squared error",
    "loss": "a loss",
    "auc": "an area under the curve",
    "accuracy": "an accuracy",
}


def folds_with(path: np.ndarray) -> np.ndarray:
    """(n_folds,) bool: folds that have a score (n_alphas, n_folds) at all.

    A fold of one class has no area under a curve, whatever the alpha. What is NaN at some alphas
    only was not reached by a scan.
    """
    return np.isfinite(path).any(axis=0)


@dataclass(frozen=True)
class RatioChoice:
    """Cross-validations of several l1_ratios, and which of them predicts best.

    Attributes
    ----------
    by_ratio : one cross-validation for each l1_ratio, in the order given
    """

    by_ratio: tuple[CrossValidation, ...]

    @property
    def best(self) -> CrossValidation:
        """The one with the smallest mean error anywhere on its path; of equals the first.

        One without an alpha that has an error on every fold is not chosen where another has some.
        """
        known = [found for found in self.by_ratio if np.isfinite(found.mean_error).any()]
        return min(
            known or self.by_ratio, key=lambda found: float(found.mean_error[found.index_min])
        )

    @property
    def l1_ratio(self) -> float:
        return self.best.l1_ratio

    @property
    def alpha_min(self) -> float:
        return self.best.alpha_min

    def table(self) -> list[dict[str, float]]:
        """Return one row for each l1_ratio and alpha, in plain numbers."""
        return [
            {"l1_ratio": float(found.l1_ratio), **row}
            for found in self.by_ratio
            for row in found.table()
        ]
