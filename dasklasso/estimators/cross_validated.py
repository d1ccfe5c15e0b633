"""LassoCV and ElasticNetCV in scikit-learn's manner, their folds all from one scan."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.estimators.checking import grid_of, number
from dasklasso.estimators.folds import folds_asked
from dasklasso.estimators.model import LinearModel
from dasklasso.solvers.problem import Objective


class CrossValidated(LinearModel):
    """Base of the models whose alpha is chosen by cross-validation."""

    eps: float | None
    n_alphas: int
    alphas: Any
    cv: Any
    random_state: int
    selection_rule: str

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        offset: Any = None,
    ) -> Self:
        """Choose the alpha by cross-validation, and fit the model on all rows.

        Parameters
        ----------
        X, y, sample_weight, offset :
            As for :meth:`Lasso.fit <dasklasso.estimators.linear.FixedAlpha.fit>`. Weights count
            in training and in a fold's mean squared error; folds count the same, as in
            scikit-learn, whatever their weights.
        groups : (n_rows,) array-like, optional
            Rows with the same entry are put into the same fold. With a number of folds, groups
            are dealt to them as evenly as they allow; a splitter is handed the groups.

        Returns
        -------
        self

        Raises
        ------
        OptionError
            A parameter has a value that cannot be used; test sets of ``cv`` overlap, or leave
            rows out; a fold has no rows of positive weight.
        MemoryLimitError
            The second moments of all folds do not fit in the memory.
        ValueFound
            X, y or the weights hold a value that cannot be used; a target is constant, in all
            rows or in those that train for a fold.
        StoreError
            The store cannot be opened or read.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            The relative dual gap is above ``tol`` after ``max_iter`` scans, at any alpha. It is
            a :class:`dasklasso.errors.ConvergenceWarning` as well.
        """
        ratios = self._l1_ratios()
        folds = folds_asked(
            self.cv,
            groups,
            random_state=self.random_state,
            rule=self.selection_rule,
            l1_ratios=ratios,
        )
        path, data = self._solve(
            X, y, sample_weight, self._grid(), offset=offset, folds=folds, stacklevel=3
        )
        self._keep(path, data)
        record = path.cross_validation
        assert record is not None
        curves = record.by_ratio
        self.alpha_ = record.alpha
        self.mse_path_ = _stacked([curve.error_path for curve in curves])
        self.standard_error_ = _stacked([curve.standard_error for curve in curves])
        # one grid for every l1_ratio, where it was given
        grids = [curve.alphas for curve in curves]
        self.alphas_ = grids[0] if self._alphas_given() else _stacked(grids)
        return self

    def _alphas_given(self) -> bool:
        return self.alphas is not None and not isinstance(self.alphas, Integral)

    def _grid(self) -> dict[str, Any]:
        if self._alphas_given():
            return grid_of(self.alphas, self.n_alphas, self.eps)
        return grid_of(None, self.n_alphas if self.alphas is None else self.alphas, self.eps)


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
        - :class:`~dasklasso.fit_options.CvOptions`: for everything else, like
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

    @property
    def l1_ratio_(self) -> float:
        """The l1_ratio that was selected."""
        return float(self.path_.l1_ratio)

    def _l1_ratios(self) -> tuple[float, ...]:
        several = isinstance(self.l1_ratio, list | tuple | np.ndarray)
        found = tuple(
            number("l1_ratio", one) for one in (self.l1_ratio if several else [self.l1_ratio])
        )
        if not found:
            raise OptionError(f"l1_ratio: {self.l1_ratio!r} found, expected one number or more")
        for ratio in found:
            Objective(l1_ratio=ratio)  # refuses what is not from 0 to 1
        return found


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """One array for each l1_ratio as one array; without that axis where there is one only."""
    return np.stack(arrays) if len(arrays) > 1 else arrays[0]
