"""The l1-regularised logistic regression in scikit-learn's manner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from dasklasso.dataset.blocks import LastBlock
from dasklasso.dataset.class_weights import ClassWeight, checked_class_weight
from dasklasso.dataset.classes import (
    Classes,
    Label,
    binary_labels,
    class_labels,
    distinct_values,
)
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.spill import is_dask
from dasklasso.dataset.zarrblocks import read_rows
from dasklasso.errors import OptionError, ValueFound
from dasklasso.estimators.base import Model
from dasklasso.estimators.checking import number
from dasklasso.estimators.inputs import (
    is_stored,
    labelled_dataset,
    labels_beside,
    stored_dataset,
)


class LogisticL1(ClassifierMixin, Model):
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
        As in :class:`~dasklasso.estimators.linear.Lasso`; penalty factors must be positive.
    solver : {"auto", "newton", "fista", "prox_sgd"}, default="auto"

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
        rows, intercepts = self._keep_gaps(path, data)
        self.coef_, self.intercept_ = rows.toarray(), intercepts
        self.dual_gap_ = float(np.ravel(self.dual_gap_)[0])
        self.relative_gap_ = float(np.ravel(self.relative_gap_)[0])
        self.n_scans_ = self.n_iter_
        return self

    def decision_function(self, X: Any, offset: Any = None) -> np.ndarray:
        """``Xw + b`` and any offset: (n_rows,) float64, the log of the odds of the greater label;
        for more than two labels (n_rows, n_classes), logs of probabilities up to a constant of
        each row.

        Parameters
        ----------
        X : (n_rows, n_features)
            Of any kind that :meth:`fit` takes.
        offset : (n_rows,)
            Needed where the model was fitted with offsets, and X is no store that has its own.

        Raises
        ------
        ModelError, ValueError
            X has other features than the model.
        """
        return self._decision(self._predictions(X, offset))

    def predict(self, X: Any, offset: Any = None) -> np.ndarray:
        """The label of the greater probability: (n_rows,), as :meth:`decision_function` has it."""
        return self._labels(self.decision_function(X, offset))

    def predict_log_proba(self, X: Any, offset: Any = None) -> np.ndarray:
        """Logs of :meth:`predict_proba`, exact where those are close to 0 or 1."""
        p = self.decision_function(X, offset)
        if p.ndim == 2:
            return log_softmax(p, axis=1)
        return -np.logaddexp(0.0, np.column_stack([p, -p]))

    def predict_proba(self, X: Any, offset: Any = None) -> np.ndarray:
        """Probability of each label, in the order of ``classes_``: (n_rows, n_classes)."""
        return np.exp(self.predict_log_proba(X, offset))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of rows, by their weights, whose label is predicted.

        Parameters
        ----------
        X, y, sample_weight :
            As for :meth:`fit`.
        """
        check_is_fitted(self)
        if is_stored(X):
            values, names, labels = labels_beside(y)
            data = stored_dataset(X, values, sample_weight)
            if labels is None and data.target_classes:
                names = data.target_classes[0]
            return self._score_stored(data, names)
        weight = None if sample_weight is None else np.asarray(sample_weight)
        return float(accuracy_score(np.asarray(y), self.predict(X), sample_weight=weight))

    def _score_stored(self, data: Dataset, names: tuple[str, ...] | None) -> float:
        """Accuracy on a store, in bounded memory; y are places in ``names`` where there are any."""
        assert data.y is not None
        labels = LastBlock(data.y)
        weights = None if data.sample_weight is None else LastBlock(data.sample_weight)
        hits = total = 0.0
        for start, stop, prediction in self._stored_predictions(data):
            true = read_rows(labels, start, stop)[:, 0]
            if names is not None:
                true = np.asarray(names)[true.astype(np.intp)]
            weight = np.ones(len(true))
            if weights is not None:
                weight = read_rows(weights, start, stop)[:, 0]
            found = self._labels(self._decision(prediction))
            hits += accuracy_score(true, found, normalize=False, sample_weight=weight)
            total += weight.sum()
        return float(hits / total)

    def _decision(self, prediction: np.ndarray) -> np.ndarray:
        return prediction.reshape(-1) if len(self.classes_) == 2 else prediction

    def _labels(self, decision: np.ndarray) -> np.ndarray:
        codes = decision.argmax(axis=1) if decision.ndim == 2 else (decision > 0).astype(np.intp)
        return self.classes_[codes]

    def _loss(self) -> str:
        return "softmax" if len(getattr(self, "classes_", ())) > 2 else "logistic"

    def _class_weight(self) -> ClassWeight | None:
        given = self.class_weight
        if given is None:
            return None
        if isinstance(given, str) and given == "balanced":
            return "balanced"
        if not isinstance(given, Mapping):
            raise OptionError(f"class_weight: {given!r} found, expected 'balanced' or a dict")
        pairs: list[tuple[Label, float]] = [
            (float(label) if isinstance(label, Real) else str(label), number("class_weight", w))
            for label, w in given.items()
        ]
        return checked_class_weight(pairs)

    def _dataset(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Dataset:
        if not (is_stored(X) or is_dask(X)):
            data, self.classes_ = labelled_dataset(self, X, y, sample_weight, offset)
            return data
        values, names, labels = labels_beside(y)
        data = super()._dataset(X, values, sample_weight, offset)
        data = data if names is None else replace(data, target_classes=(names,))
        if data.n_targets != 1:
            raise ValueFound(f"{data.location}: {data.n_targets} targets found, expected one")
        self.classes_ = np.asarray(_classes(data)) if labels is None else labels
        return data


def _classes(data: Dataset) -> Classes:
    """The labels of a target: two numbers or names, or more whole numbers or names.

    Raises
    ------
    ValueFound
    """
    assert data.y is not None
    several = distinct_values(data.y, 0, most=2).beyond is not None
    [classes] = (class_labels(data) if several else binary_labels(data)).classes
    if classes is None or (several and any(isinstance(label, float) for label in classes)):
        raise ValueFound(
            f"{data.location}: y has numbers or probabilities, expected labels; "
            "dasklasso fit --loss logistic takes probabilities"
        )
    return classes
