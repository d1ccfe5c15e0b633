"""What the models share whose alpha is chosen by cross-validation."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np

from dasklasso.cross_validation.error_curve import CrossValidation
from dasklasso.errors import OptionError
from dasklasso.estimators.base import Model
from dasklasso.estimators.cv_folds import requested_folds
from dasklasso.estimators.parameters import grid_of, number
from dasklasso.model.path import FittedPath
from dasklasso.objective.objective import check_l1_ratio


class ChosenAlpha(Model):
    """Base of all models whose alpha is chosen by cross-validation."""

    eps: float | None
    n_alphas: int
    alphas: Any
    cv: Any
    random_state: int
    selection_rule: str
    criterion: str = "loss"
    _stratified = False  # whether folds that are a number have about the same labels each

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
            As for the model whose alpha is given. Weights count in training and in a fold's
            scores; folds count the same, as in scikit-learn, whatever their weights.
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
            rows or in those that train for a fold; a fold to be scored by the area under the
            curve has one class only.
        StoreError
            The store cannot be opened or read.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            The relative dual gap is above ``tol`` after ``max_iter`` scans, at any alpha. It is
            a :class:`dasklasso.errors.ConvergenceWarning` as well.
        DataWarning
            That gap is above ``tol`` of a model trained without a fold; or a label has fewer rows
            than there are folds to stratify.
        """
        folds = requested_folds(
            self.cv,
            groups,
            random_state=self.random_state,
            rule=self.selection_rule,
            l1_ratios=self._l1_ratios(),
            criterion=self.criterion,
            stratified=self._stratified,
        )
        path, data = self._solve(
            X, y, sample_weight, self._grid(), offset=offset, folds=folds, stacklevel=3
        )
        self._keep(path, data)
        curves = curves_of(path)
        self.alpha_ = path.resolve_alpha(None)
        self.standard_error_ = stacked([curve.standard_error for curve in curves])
        # one grid for every l1_ratio, where it was given
        grids = [curve.alphas for curve in curves]
        self.alphas_ = grids[0] if self._alphas_given() else stacked(grids)
        return self

    @property
    def l1_ratio_(self) -> float:
        """The l1_ratio that was selected."""
        return float(self.path_.l1_ratio)

    def _alphas_given(self) -> bool:
        return self.alphas is not None and not isinstance(self.alphas, Integral)

    def _grid(self) -> dict[str, Any]:
        if self._alphas_given():
            return grid_of(self.alphas, self.n_alphas, self.eps)
        return grid_of(None, self.n_alphas if self.alphas is None else self.alphas, self.eps)

    def _l1_ratios(self) -> tuple[float, ...]:
        several = isinstance(self.l1_ratio, list | tuple | np.ndarray)
        found = tuple(
            number("l1_ratio", one) for one in (self.l1_ratio if several else [self.l1_ratio])
        )
        if not found:
            raise OptionError(f"l1_ratio: {self.l1_ratio!r} found, expected one number or more")
        for ratio in found:
            check_l1_ratio(ratio)
        return found


def curves_of(path: FittedPath) -> tuple[CrossValidation, ...]:
    """Return the cross-validation of each l1_ratio."""
    assert path.cross_validation is not None
    return path.cross_validation.by_ratio


def stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """One array for each l1_ratio as one array; without that axis where there is one only."""
    return np.stack(arrays) if len(arrays) > 1 else arrays[0]
