"""What the classifiers share: labels of every kind in; labels and probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from dasklasso.dataset.dask_arrays import is_dask
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import (
    Classes,
    Label,
    binary_labels,
    class_labels,
    distinct_values,
)
from dasklasso.dataset.labels.class_weights import ClassWeight, checked_class_weight
from dasklasso.errors import OptionError, ValueFound
from dasklasso.estimators.base import Model
from dasklasso.estimators.inputs import (
    given_labels,
    is_stored,
    labelled_dataset,
    stored_dataset,
)
from dasklasso.estimators.parameters import number
from dasklasso.model.path import FittedPath
from dasklasso.storage.blocks import LastBlock
from dasklasso.storage.zarr_blocks import read_rows


class Classifier(ClassifierMixin, Model):
    """Base of the logistic and softmax models."""

    class_weight: Any

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
        """Return the share of rows, by their weights, whose label is predicted.

        Parameters
        ----------
        X, y, sample_weight :
            As for :meth:`fit`.
        """
        check_is_fitted(self)
        if is_stored(X):
            values, names, labels = given_labels(y)
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

    def _keep(self, path: FittedPath, data: Dataset) -> None:
        super()._keep(path, data)
        self.dual_gap_ = float(np.ravel(self.dual_gap_)[0])
        self.relative_gap_ = float(np.ravel(self.relative_gap_)[0])
        self.n_scans_ = self.n_iter_

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
        values, names, labels = given_labels(y)
        data = super()._dataset(X, values, sample_weight, offset)
        data = data if names is None else replace(data, target_classes=(names,))
        if data.n_targets != 1:
            raise ValueFound(f"{data.location}: {data.n_targets} targets found, expected one")
        self.classes_ = np.asarray(_classes(data)) if labels is None else labels
        return data


def _classes(data: Dataset) -> Classes:
    """Return the labels of a target: two numbers or names, or more whole numbers or names.

    Raises
    ------
    ValueFound
    """
    assert data.y is not None
    several = distinct_values(data.y, 0, most=2).beyond is not None
    [classes] = (class_labels(data) if several else binary_labels(data)).classes
    if classes is None:
        raise ValueFound(
            f"{data.location}: y has probabilities, expected labels; "
            "dasklasso fit --loss logistic takes probabilities"
        )
    return classes
