"""What the models share: data of every kind in, one fit, predictions out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from dasklasso.dataset.dask_arrays import is_dask
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_weights import ClassWeight
from dasklasso.errors import ModelError
from dasklasso.estimators.cv_folds import RequestedFolds
from dasklasso.estimators.inputs import (
    checked_dataset,
    checked_table,
    dask_dataset,
    is_stored,
    names_given,
    predict_dask,
    stored_dataset,
)
from dasklasso.estimators.parameters import factor_of, folder, integer, number
from dasklasso.estimators.run import null_loss, solve
from dasklasso.model.path import FittedPath, check_features
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.predict import predict_store
from dasklasso.units import parse_size


class Model(BaseEstimator):
    """Base of all models of one fit, whose ``__init__`` sets the parameters below."""

    l1_ratio: Any
    fit_intercept: bool
    tol: float
    max_iter: int
    positive: bool
    standardize: bool
    penalty_factor: Any
    solver: str
    memory: str | int | None
    workers: int | None
    scheduler: str | None
    device: str
    checkpoint: str | os.PathLike[str] | None
    resume: bool
    stats: str | os.PathLike[str] | Literal[False] | None
    verbose: bool

    def _predictions(self, X: Any, offset: Any = None) -> np.ndarray:
        """``Xw + b``, and offsets, of rows of any kind: (n_rows,) or (n_rows, n_targets).

        Raises
        ------
        ModelError, ValueError
            X has other features than the model.
        """
        check_is_fitted(self)
        if is_stored(X):
            return self._predict_stored(stored_dataset(X, offset=offset, require_target=False))
        if is_dask(X):
            return predict_dask(self.path_, X, offset)
        return self.path_.linear_prediction(checked_table(self, X), offset=offset)

    @property
    def sparse_coef_(self) -> Any:
        """(n_targets, n_features) scipy.sparse.csr_array of ``coef_``."""
        check_is_fitted(self)
        return self.path_.coefficients_at()[0]

    def _store(self, parameters: dict[str, Any]) -> None:
        """Store the parameters of ``__init__``, given as its ``locals()``, as they are."""
        self.__dict__.update((name, value) for name, value in parameters.items() if name != "self")

    def _predict_stored(self, data: Dataset) -> np.ndarray:
        found = np.empty((data.n_rows, self.path_.n_targets))
        for start, stop, rows in self._stored_predictions(data):
            found[start:stop] = rows
        return found[:, 0] if self.path_.y_is_vector else found

    def _stored_predictions(self, data: Dataset) -> Iterator[tuple[int, int, np.ndarray]]:
        """(first row, stop, their predictions (rows, n_targets)), in row order."""
        ours, theirs = names_given(self.path_.feature_names), names_given(data.feature_names)
        if ours is not None and theirs is not None:
            check_features(self.path_, theirs, data.location)
        elif data.n_features != self.n_features_in_:
            raise ModelError(
                f"{data.location}: X has {data.n_features} features, but "
                f"{type(self).__name__} is expecting {self.n_features_in_} features as input"
            )
        run = replace(self._run_options(), checkpoint=None, resume=False)
        yield from predict_store(data, self.path_, linear=True, run=run)

    def _solve(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        grid: dict[str, Any],
        *,
        offset: Any = None,
        folds: RequestedFolds | None = None,
        stacklevel: int,
    ) -> tuple[FittedPath, Dataset]:
        """Return the path over a grid of alphas, and the data it was fitted on."""
        self._fit_options(grid)  # a parameter that cannot be used is said before any work
        run = self._run_options()
        data, cv = self._dataset(X, y, sample_weight, offset), None
        options = self._fit_options(grid)  # the loss may depend on the data
        if folds is not None:
            data, cv = folds.of(data)
        path = solve(data, options, run, cv, verbose=bool(self.verbose), stacklevel=stacklevel)
        return path, data

    def _keep(self, path: FittedPath, data: Dataset) -> None:
        """Set the attributes of a fit, as they are at the alpha that it selected."""
        rows, intercepts = path.coefficients_at()
        self.coef_: np.ndarray = rows.toarray()
        self.intercept_: Any = intercepts
        selected = path.grid_index(path.resolve_alpha(None))
        assert selected is not None  # one of the grid: it has a certificate
        gaps, vector = path.dual_gaps[selected], path.y_is_vector
        absolute = gaps * null_loss(data, self._fit_options({"alphas": (1.0,)}))
        self.path_ = path
        self.dual_gap_ = float(absolute[0]) if vector else absolute
        self.relative_gap_ = float(gaps[0]) if vector else gaps
        self.n_iter_ = int(np.ceil(path.scans))

    def _dataset(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Dataset:
        if not (is_stored(X) or is_dask(X)):
            return checked_dataset(self, X, y, sample_weight, offset)
        if is_stored(X):
            data = stored_dataset(X, y, sample_weight, offset)
        else:
            data = dask_dataset(X, y, sample_weight, offset)
        self.n_features_in_ = data.n_features
        names = names_given(data.feature_names)
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # of an earlier fit
        return data

    def _l1_ratios(self) -> tuple[float, ...]:
        """Those to fit: several where a cross-validation chooses."""
        return (number("l1_ratio", self.l1_ratio),)

    def _fit_options(self, grid: dict[str, Any]) -> FitOptions:
        return FitOptions(
            loss=self._loss(),
            l1_ratio=self._l1_ratios()[0],
            fit_intercept=bool(self.fit_intercept),
            standardize=bool(self.standardize),
            positive=bool(self.positive),
            penalty_factor=factor_of(self.penalty_factor),
            solver=self.solver,
            tol=number("tol", self.tol),
            max_scans=integer("max_iter", self.max_iter),
            class_weight=self._class_weight(),
            **grid,
        )

    def _loss(self) -> str:
        """Name of the loss."""
        return "squared"

    def _class_weight(self) -> ClassWeight | None:
        """Weights of classes, where a model has classes."""
        return None

    def _run_options(self) -> RunOptions:
        return RunOptions(
            memory=None if self.memory is None else parse_size(self.memory),
            workers=None if self.workers is None else integer("workers", self.workers),
            scheduler=self.scheduler,
            device=self.device,
            # a link is of no use where it is not printed
            dashboard=None if self.verbose else False,
            checkpoint=folder("checkpoint", self.checkpoint),
            resume=bool(self.resume),
            stats=None if self.stats is False else folder("stats", self.stats),
            keep_statistics=self.stats is not False,
        )
