"""LogisticL1CV in scikit-learn's manner: all alphas without each fold on the same scans."""

from __future__ import annotations

import os
from typing import Any, Literal

from dasklasso.dataset.dataset import Dataset
from dasklasso.estimators.classifier import Classifier
from dasklasso.estimators.cv_base import ChosenAlpha, curves_of, stacked
from dasklasso.model.path import FittedPath


class LogisticL1CV(ChosenAlpha, Classifier):
    """Logistic regression with an l1 penalty, its alpha chosen by cross-validation.

    The objective is that of :class:`~dasklasso.estimators.logistic.LogisticL1`. The models of all
    alphas, on all rows and without each fold, are solved on the same scans: about a dozen reads of
    X in all. ``sklearn.linear_model.LogisticRegressionCV`` has ``Cs = 1/(alpha Σs)``, Σs over the
    rows that train.

    Parameters
    ----------
    l1_ratio : float or list of float, default=1.0
        Share of the l1 penalty, from 0 to 1. Of several, that with the best mean score at any
        alpha is chosen; each has a grid and scans of its own.
    eps, n_alphas, alphas : default=None, 100, None
        As in :class:`~dasklasso.estimators.cross_validated.LassoCV`.
    cv : int, "column", splitter, iterable or CvOptions, default=5
        As in :class:`~dasklasso.estimators.cross_validated.LassoCV`, but that a number of folds of
        arrays and DataFrames is stratified: each has about the same share of every label. Folds
        of a store or a dask array are not: of labels that are rare there, ingest a fold column.
    random_state : int, default=0
        Of folds that are a number.
    criterion : {"loss", "auc", "accuracy"}, default="loss"
        What alphas are compared by, on the rows left out: their mean loss (log-loss), the area
        under the curve (of two labels), or the share of labels predicted. The area is exact
        for up to 16 million predictions (rows times alphas); beyond, rows are ranked in bins, and
        ``scores_path_["auc_bound"]`` says by how much each area may be off. A fold of one label
        has none, and is refused.
    selection_rule : {"min", "1se"}, default="min"
        The alpha with the best mean score, or the largest one whose mean score is within a
        standard error of it.
    class_weight : "balanced" or dict, default=None
        As in :class:`~dasklasso.estimators.logistic.LogisticL1`. Balanced weights are those of
        all rows, for every fold, and count in a fold's scores as weights of rows do.
    solver : {"auto", "newton", "working_set"}, default="auto"
    fit_intercept, tol, max_iter, positive, standardize, penalty_factor, memory, workers, \
scheduler, device, checkpoint, resume, stats, verbose :
        As in :class:`~dasklasso.estimators.linear.Lasso`.

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        Those selected. What follows is at them, and so is what :meth:`predict` does.
    classes_, coef_, intercept_, sparse_coef_, dual_gap_, relative_gap_, n_iter_, n_scans_, \
n_features_in_, feature_names_in_ :
        As in :class:`~dasklasso.estimators.logistic.LogisticL1`.
    alphas_ : (n_alphas,) float64, decreasing
        For a list of several l1_ratios (n_l1_ratios, n_alphas), unless the alphas were given.
    scores_path_ : dict of str to (n_alphas, n_folds) float64
        "loss", "accuracy" and, of two labels, "auc" on each fold, of the models trained without
        it; NaN where undefined, as the area on a fold of one label. The folds of a column are in
        the order of their numbers, those of a splitter in its order. For a list of several
        l1_ratios (n_l1_ratios, n_alphas, n_folds).
    standard_error_ : (n_alphas,) or (n_l1_ratios, n_alphas) float64
        Of the mean over folds of the criterion.
    path_ : FittedPath
        The fit in full, at every alpha, with ``cross_validation``; can be saved.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticL1CV(n_alphas=10, cv=3).fit(X[50:], y[50:])
    >>> model.scores_path_["loss"].shape
    (10, 3)
    >>> best = model.scores_path_["loss"].mean(axis=1).argmin()
    >>> bool(model.alpha_ == model.alphas_[best])
    True
    """

    _stratified = True

    def __init__(
        self,
        *,
        l1_ratio: Any = 1.0,
        eps: float | None = None,
        n_alphas: int = 100,
        alphas: Any = None,
        cv: Any = 5,
        random_state: int = 0,
        criterion: str = "loss",
        selection_rule: str = "min",
        class_weight: Any = None,
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        positive: bool = False,
        standardize: bool = False,
        penalty_factor: Any = None,
        solver: str = "auto",
        memory: str | int | None = None,
        workers: int | None = None,
        scheduler: str | None = None,
        device: str = "cpu",
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        stats: str | os.PathLike[str] | Literal[False] | None = None,
        verbose: bool = False,
    ) -> None:
        self._store(locals())

    def _keep(self, path: FittedPath, data: Dataset) -> None:
        super()._keep(path, data)
        curves = curves_of(path)
        self.scores_path_ = {
            name: stacked([curve.scores[name] for curve in curves]) for name in curves[0].scores
        }
