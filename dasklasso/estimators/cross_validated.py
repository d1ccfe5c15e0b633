"""LassoCV and ElasticNetCV in scikit-learn's manner, their folds all from one scan."""

from __future__ import annotations

import os
from typing import Any, Literal

from dasklasso.dataset.dataset import Dataset
from dasklasso.estimators.cv_base import ChosenAlpha, curves_of, stacked
from dasklasso.estimators.linear_model import LinearModel
from dasklasso.model.path import FittedPath


class CrossValidated(ChosenAlpha, LinearModel):
    """Base of the models of squared loss whose alpha is chosen by cross-validation."""

    def _keep(self, path: FittedPath, data: Dataset) -> None:
        super()._keep(path, data)
        self.mse_path_ = stacked([curve.error_path for curve in curves_of(path)])


class LassoCV(CrossValidated):
    """Least squares with an l1 penalty, its alpha chosen by cross-validation, on data of any size.

    The objective is that of :class:`~dasklasso.estimators.linear.Lasso`. The path of every fold
    is solved on second moments, which one read of X takes for all folds, each apart; a second
    read certifies the path on all rows. So it takes two scans whatever the number of folds and
    alphas, and one where the moments have been kept.

    Parameters
    ----------
    eps : float, default=None
        The grid's last alpha divided by its first. By default 1e-3 where there are more rows than
        features, else 1e-2.
    n_alphas : int, default=100
        Length of the grid, evenly spaced in the logarithm from the smallest alpha at which all
        coefficients are zero.
    alphas : (n_alphas,) array-like of float, or int, default=None
        Instead of a grid; a number is that of the grid's alphas, as in scikit-learn.
    cv : int, "column", splitter, iterable or CvOptions, default=5
        How rows are put into folds.

        - int: so many, at random by ``random_state``; with ``groups``, folds of whole groups.
          scikit-learn means ``KFold(5)`` by 5, which has runs of rows in the order of the data:
          give ``KFold(5)`` to have that here.
        - "column": as the store's fold column says.
        - a splitter of scikit-learn, or an iterable of (train, test) row numbers or masks, whose
          test sets have every row in one of them, and whose training sets are all other rows. Of
          data in a store a splitter sees y, and an X of zeros; labels of all rows are held in
          memory.
        - :class:`~dasklasso.options.CvOptions`: for everything else, like
          ``CvOptions(5, "contiguous")``, whose runs of rows need no labels and end where chunks
          do if X is compressed. Its seed and rule count, those below do not.
    random_state : int, default=0
        Of random folds.
    selection_rule : {"min", "1se"}, default="min"
        The alpha with the smallest mean error, or the largest one whose mean error is within a
        standard error of it (Breiman, Friedman, Olshen and Stone, 1984, section 3.4.3).
    solver : {"auto", "gram"}, default="auto"
    fit_intercept, tol, max_iter, positive, standardize, penalty_factor, memory, workers, \
scheduler, device, checkpoint, resume, stats, verbose :
        As in :class:`~dasklasso.estimators.linear.Lasso`.

    Attributes
    ----------
    alpha_ : float
        The one selected. What follows is at this alpha, and so is what :meth:`predict` does.
    coef_, intercept_, sparse_coef_, dual_gap_, relative_gap_, n_iter_, n_features_in_, \
feature_names_in_ :
        As in :class:`~dasklasso.estimators.linear.Lasso`.
    alphas_ : (n_alphas,) float64, decreasing
    mse_path_ : (n_alphas, n_folds) float64
        Mean squared error on each fold; the folds of a column in the order of their labels, those
        of a splitter in its order. With several targets the mean of theirs, each divided by the
        target's variance, or by its mean square without an intercept.
    standard_error_ : (n_alphas,) float64
        Of the mean over folds of ``mse_path_``.
    path_ : FittedPath
        The fit in full, at every alpha, with ``cross_validation``; can be saved.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LassoCV(n_alphas=20).fit(X, y)
    >>> model.mse_path_.shape
    (20, 5)
    >>> bool(model.alpha_ == model.alphas_[model.mse_path_.mean(axis=1).argmin()])
    True
    """

    l1_ratio = 1.0

    def __init__(
        self,
        *,
        eps: float | None = None,
        n_alphas: int = 100,
        alphas: Any = None,
        cv: Any = 5,
        random_state: int = 0,
        selection_rule: str = "min",
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


class ElasticNetCV(CrossValidated):
    """Least squares with l1 and l2 penalties, both chosen by cross-validation.

    The objective is that of :class:`~dasklasso.estimators.linear.ElasticNet`; for the cost, see
    :class:`LassoCV`. Several l1_ratios take no more reads of X than one.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the l1 penalty, from 0 (ridge) to 1 (Lasso). Of several, that with the smallest
        mean error at any alpha is chosen.
    eps, n_alphas, alphas, cv, random_state, selection_rule, solver :
        As in :class:`LassoCV`. Every l1_ratio has a grid of its own.
    fit_intercept, tol, max_iter, positive, standardize, penalty_factor, memory, workers, \
scheduler, device, checkpoint, resume, stats, verbose :
        As in :class:`~dasklasso.estimators.linear.Lasso`.

    Attributes
    ----------
    l1_ratio_ : float
        The one selected.
    alphas_ : (n_alphas,) or (n_l1_ratios, n_alphas) float64
        The latter for a list of several l1_ratios, unless the alphas were given.
    mse_path_ : (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds) float64
    standard_error_ : (n_alphas,) or (n_l1_ratios, n_alphas) float64
    alpha_, coef_, intercept_, sparse_coef_, dual_gap_, relative_gap_, n_iter_, n_features_in_, \
feature_names_in_, path_ :
        As in :class:`LassoCV`.
    """

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float | None = None,
        n_alphas: int = 100,
        alphas: Any = None,
        cv: Any = 5,
        random_state: int = 0,
        selection_rule: str = "min",
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
