"""The l1-regularised logistic regression in scikit-learn's manner."""

from __future__ import annotations

import os
from typing import Any, Literal, Self

from dasklasso.estimators.classifier import Classifier
from dasklasso.estimators.parameters import number


class LogisticL1(Classifier):
    """Logistic regression with l1 and l2 penalties, on data of any size, to a certified gap.

    For two labels it minimises ``1/Σs Σ_i s_i (log(1 + exp(p_i)) - y_i p_i) + alpha Σ_j f_j
    (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j²)`` with ``p_i = x_iᵀw + b``, y_i 1 for the greater of
    two labels and 0 for the other, row weights s and penalty factors f (both 1 by default).
    ``sklearn.linear_model.LogisticRegression`` minimises this times ``1/alpha`` for
    ``C = 1/(alpha Σs)``. For more labels the loss is that of softmax, ``log Σ_k exp(p_k) - p_y``,
    with coefficients and an intercept for each label, all of them penalised.

    Parameters
    ----------
    alpha : float, default=0.01
        Strength of the penalty, positive.
    l1_ratio : float, default=1.0
        Share of the l1 penalty, from 0 to 1.
    class_weight : "balanced" or dict, default=None
        Multiplies the weights of each class's rows: so that classes have the same total, or by
        the number given for a label (1 for labels that are not given).
    fit_intercept, tol, max_iter, positive, standardize, penalty_factor, memory, workers, \
scheduler, device, checkpoint, resume, stats, verbose :
        As in :class:`~dasklasso.estimators.linear.Lasso`.
    solver : {"auto", "newton", "working_set", "fista", "prox_sgd"}, default="auto"

    Attributes
    ----------
    classes_ : (n_classes,) array
        The labels, ascending; text in a store by the names it had when it was ingested.
    coef_ : (1, n_features) float64, or (n_classes, n_features) for more than two
    intercept_ : (1,) or (n_classes,) float64
    sparse_coef_ : scipy.sparse.csr_array, of the shape of ``coef_``
    dual_gap_, relative_gap_ : float
        Duality gap at the solution, in the units of the objective, and divided by the loss of
        the model without features.
    n_iter_, n_scans_ : int
        Scans made, that is reads of X.
    n_features_in_, feature_names_in_, path_ :
        As in :class:`~dasklasso.estimators.linear.Lasso`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticL1(alpha=0.05).fit(X[:100], y[:100])
    >>> model.predict(X[[0, 99]]).tolist()
    [0, 1]
    """

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        l1_ratio: float = 1.0,
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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : (n_rows, n_features)
            Of any kind that :meth:`Lasso.fit <dasklasso.estimators.linear.FixedAlpha.fit>` takes.
        y : (n_rows,)
            Labels, two or more, numbers or text, in any kind of array, or the name of an array in
            the store. May be left out for a store.
        sample_weight : (n_rows,) or float, optional
            Weights of the rows, only their ratios matter. By default the store's own, or ones.
        offset : (n_rows,), optional
            Added to each row's prediction. By default the store's own, if it has any.

        Returns
        -------
        self

        Raises
        ------
        OptionError
            A parameter has a value that cannot be used.
        ValueFound
            X, y or the weights hold a value that cannot be used; y has not two labels or more.
        StoreError
            The store cannot be opened or read.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            The relative dual gap is above ``tol`` after ``max_iter`` scans. It is a
            :class:`dasklasso.errors.ConvergenceWarning` as well.
        """
        grid = {"alphas": (number("alpha", self.alpha),)}
        path, data = self._solve(X, y, sample_weight, grid, offset=offset, stacklevel=3)
        self._keep(path, data)
        return self
