"""What the linear models share: predict and score, on data of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from dasklasso.dataset.dataset import Dataset
from dasklasso.estimators.base import Model
from dasklasso.estimators.inputs import is_stored, stored_dataset
from dasklasso.model.path import FittedPath
from dasklasso.storage.zarr_blocks import read_rows


class LinearModel(MultiOutputMixin, RegressorMixin, Model):
    """Base of the linear models of squared loss."""

    def predict(self, X: Any, offset: Any = None) -> np.ndarray:
        """Predict rows.

        Parameters
        ----------
        X : (n_rows, n_features)
            Of any kind that :meth:`fit` takes. Stores and dask arrays are read in bounded memory
            (for a lazy answer, map ``path_.predict`` over a dask array's row chunks).
        offset : (n_rows,)
            Needed where the model was fitted with offsets, and X is no store that has its own.

        Returns
        -------
        (n_rows,) or (n_rows, n_targets) float64

        Raises
        ------
        ModelError, ValueError
            X has other features than the model.
        """
        return self._predictions(X, offset)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R², averaged over targets.

        Parameters
        ----------
        X, y, sample_weight :
            As for :meth:`fit`.
        """
        if is_stored(X):
            check_is_fitted(self)
            data = stored_dataset(X, y, sample_weight)
            assert data.y is not None
            y = read_rows(data.y, 0, data.n_rows)
            if data.sample_weight is not None:
                sample_weight = read_rows(data.sample_weight, 0, data.n_rows)[:, 0]
            return float(r2_score(y, self._predict_stored(data), sample_weight=sample_weight))
        sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        return float(r2_score(np.asarray(y), self.predict(X), sample_weight=sample_weight))

    def _keep(self, path: FittedPath, data: Dataset) -> None:
        super()._keep(path, data)
        if path.y_is_vector:
            self.coef_, self.intercept_ = self.coef_[0], float(self.intercept_[0])
