"""Models that follow their data: rows come in, rows are taken out, the past fades."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import OptionError, StoreError, ValueFound
from dasklasso.estimators.downdate import take_out
from dasklasso.estimators.inputs import names_given
from dasklasso.estimators.parameters import factor_of, number
from dasklasso.estimators.run import ConvergenceWarning
from dasklasso.fit.targets import check_numbers
from dasklasso.moments.cross_moments import CrossMoments, cross_moments
from dasklasso.moments.store import find_moments, statistics_folder
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.problem.problem import null_loss
from dasklasso.solvers.quadratic.from_moments import solve_moments


class OnlineElasticNet(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Least squares with l1 and l2 penalties on rows that come and go.

    It minimises, over the rows that are in, with their weights s as they are now,
    ``1/(2 Σs) Σ_i s_i (y_i - x_iᵀw - b)² + alpha Σ_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2
    w_j²)``.

    The rows themselves are not kept: second moments in float64, ``(n_features + n_targets)²``
    numbers, hold all that the objective needs of them (Chan, Golub and LeVeque, 1983). New rows
    merge into them exactly, and rows are taken out exactly, to rounding. Each time the model is
    solved again from where it was.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, positive.
    l1_ratio : float, default=1.0
        Share of the l1 penalty, from 0 (ridge) to 1 (Lasso).
    fit_intercept : bool, default=True
    standardize : bool, default=False
        Whether the penalty is on coefficients of columns scaled to unit spread, as it is now.
    positive : bool, default=False
        Whether coefficients are held at zero or above.
    penalty_factor : (n_features,) array-like, default=None
        f: multiplies alpha for each feature; 0 leaves a feature unpenalised.
    decay : float, default=None
        Every :meth:`partial_fit` first multiplies the weights of all rows that are in by this
        number, above 0 and at most 1. A row that came k calls ago weighs ``decay**k``.
    tol : float, default=1e-8
        The relative dual gap to reach: the gap divided by the loss of the model without
        features.

    Attributes
    ----------
    coef_ : (n_features,) or (n_targets, n_features) float64
    intercept_ : float or (n_targets,) float64
    dual_gap_ : float or (n_targets,) float64
        Duality gap in the units of the objective: how far the objective is from its minimum, at
        most. It is that of the quadratic which the moments define, in float64; the moments are
        the data here, and there is nothing else to certify against.
    relative_gap_ : float or (n_targets,) float64
        The same divided by the loss of the model without features.
    moments_ : CrossMoments
        Of the rows that are in.
    n_samples_seen_ : int
        Rows that are in.
    n_features_in_ : int
    feature_names_in_ : (n_features,) array of str
        Where the data name their features.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = OnlineElasticNet(alpha=0.5).fit(X[:400], y[:400])
    >>> model = model.partial_fit(X[400:], y[400:]).forget(X[:100], y[:100])
    >>> int((model.coef_ != 0).sum()), model.n_samples_seen_
    (4, 342)
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        standardize: bool = False,
        positive: bool = False,
        penalty_factor: Any = None,
        decay: float | None = None,
        tol: float = 1e-8,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.decay = decay
        self.tol = tol

    # -- beginnings ---------------------------------------------------------------------------

    @classmethod
    def from_moments(
        cls,
        moments: CrossMoments,
        *,
        feature_names: Sequence[str] | None = None,
        y_is_vector: bool | None = None,
        **params: Any,
    ) -> OnlineElasticNet:
        """Return a model whose rows so far are known by their moments.

        Parameters
        ----------
        moments : CrossMoments
        feature_names : (n_features,) sequence of str, optional
        y_is_vector : bool, optional
            Whether y has one dimension; by default where there is one target.
        **params :
            Of the model, such as ``alpha``.
        """
        model = cls(**params)
        objective = model._objective()
        model.n_features_in_ = moments.n_features
        if feature_names is not None:
            model.feature_names_in_ = np.asarray(feature_names, dtype=object)
        model._y_is_vector = moments.n_targets == 1 if y_is_vector is None else y_is_vector
        return model._solve(moments, objective, None)

    @classmethod
    def from_store(
        cls, store: Any, *, stats: str | os.PathLike[str] | None = None, **params: Any
    ) -> OnlineElasticNet:
        """A model of a store's rows, from the statistics that are kept of them; X is not read.

        Parameters
        ----------
        store : path, URL or zarr.Group
        stats : path, optional
            Where the statistics are, if not beside the store.
        **params :
            Of the model, such as ``alpha``.

        Raises
        ------
        StoreError
            No statistics are kept of these data.
        OptionError
            Targets are text of several values.
        """
        data = open_dataset(store)
        check_numbers(data, "squared")
        folder = statistics_folder(data.location, stats)
        grouped = None if folder is None else find_moments(folder, data.identity, FoldScheme())
        if grouped is None:
            raise StoreError(
                f"{data.location}: no statistics are kept of these data"
                f"{'' if folder is None else f' in {folder}'}. A fit with solver gram keeps them."
            )
        return cls.from_moments(
            grouped.total(),
            feature_names=names_given(data.feature_names),
            y_is_vector=data.y_is_vector,
            **params,
        )

    # -- rows come and go ---------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnlineElasticNet:
        """Begin anew with these rows.

        Parameters
        ----------
        X : (n_rows, n_features)
            A NumPy array, pandas DataFrame or list of rows.
        y : (n_rows,) or (n_rows, n_targets)
        sample_weight : (n_rows,) or float, optional

        Returns
        -------
        self

        Raises
        ------
        OptionError
            A parameter cannot be used; alpha must be positive.
        ValueError
            X, y or the weights cannot be used.
        """
        objective = self._objective()
        new = self._moments(X, y, sample_weight, first=True)
        if new.weight == 0:
            raise ValueFound("sample_weight is 0 in every row, expected a positive sum")
        return self._solve(new, objective, None)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnlineElasticNet:
        """Take more rows in; where ``decay`` is set, all earlier ones lose weight first.

        Parameters
        ----------
        X, y, sample_weight :
            As for :meth:`fit`.

        Returns
        -------
        self
        """
        if not hasattr(self, "moments_"):
            return self.fit(X, y, sample_weight)
        objective = self._objective()
        new = self._moments(X, y, sample_weight, first=False)
        past, peak = self.moments_, self._peak
        if self.decay is not None:
            decay = number("decay", self.decay)
            past, peak = past.scaled(decay), peak * np.sqrt(decay)
        return self._solve(past.merged(new), objective, self.coef_, peak=peak)

    def forget(self, X: Any, y: Any, sample_weight: Any = None) -> OnlineElasticNet:
        """Take rows out that are in.

        Parameters
        ----------
        X, y :
            The rows as they came in.
        sample_weight : (n_rows,) or float, optional
            Their weights as they are now: where ``decay`` is set, ``decay**k`` times what they
            were k calls of :meth:`partial_fit` ago.

        Returns
        -------
        self
            With coefficients of zero when no row is left.

        Raises
        ------
        ValueFound
            These rows cannot have been in; the model is as it was.
        """
        check_is_fitted(self)
        objective = self._objective()
        old = self._moments(X, y, sample_weight, first=False)
        rest = take_out(self.moments_, old, self._peak)
        return self._solve(rest, objective, self.coef_, peak=self._peak)

    def refit(self) -> OnlineElasticNet:
        """Solve for parameters that were changed (``set_params``), without any rows."""
        check_is_fitted(self)
        return self._solve(self.moments_, self._objective(), self.coef_, peak=self._peak)

    # -- answers ------------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Predict rows.

        Parameters
        ----------
        X : (n_rows, n_features)

        Returns
        -------
        (n_rows,) or (n_rows, n_targets) float64
        """
        check_is_fitted(self)
        table = validate_data(self, X, reset=False, dtype=np.float64)
        found: np.ndarray = table @ self.coef_.T + self.intercept_
        return found

    @property
    def n_samples_seen_(self) -> int:
        check_is_fitted(self)
        return self.moments_.count

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "moments_")

    def _objective(self) -> Objective:
        """Return the objective, once every parameter is one that can be used."""
        alpha, tol = number("alpha", self.alpha), number("tol", self.tol)
        if not 0 < alpha < np.inf:
            raise OptionError(f"alpha: {alpha} found, expected a positive number")
        if not 0 < tol < np.inf:
            raise OptionError(f"tol: {tol} found, expected a positive number")
        if self.decay is not None and not 0 < number("decay", self.decay) <= 1:
            raise OptionError(f"decay: {self.decay} found, expected a number above 0, at most 1")
        return Objective(
            l1_ratio=number("l1_ratio", self.l1_ratio),
            fit_intercept=bool(self.fit_intercept),
            standardize=bool(self.standardize),
            penalty_factor=factor_of(self.penalty_factor),
            penalty_type=elastic_net(nonnegative=bool(self.positive)),
        )

    def _moments(self, X: Any, y: Any, sample_weight: Any, *, first: bool) -> CrossMoments:
        table, targets = validate_data(
            self, X, y, reset=first, dtype=np.float64, y_numeric=True, multi_output=True
        )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, table, dtype=np.float64, ensure_non_negative=True
            )
        n_targets = 1 if targets.ndim == 1 else targets.shape[1]
        if first:
            self._y_is_vector = targets.ndim == 1
        elif n_targets != self.moments_.n_targets:
            raise OptionError(
                f"y has {n_targets} targets, but {type(self).__name__} is expecting "
                f"{self.moments_.n_targets} targets as in its first rows"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            moments = cross_moments(table, targets, weight)
            squares = moments.std**2 + moments.mean**2
        beyond = np.flatnonzero(~np.isfinite(moments.std))
        if beyond.size:
            raise ValueFound(f"feature {beyond[0]}: found values whose sum is beyond float64")
        beyond = np.flatnonzero(~np.isfinite(squares[table.shape[1] :]))
        if beyond.size:
            raise ValueFound(f"target {beyond[0]}: found values whose squares are beyond float64")
        return moments

    def _solve(
        self,
        moments: CrossMoments,
        objective: Objective,
        start: np.ndarray | None,
        *,
        peak: np.ndarray | None = None,
    ) -> OnlineElasticNet:
        n_targets = moments.n_targets
        coef = np.zeros((n_targets, moments.n_features))
        intercept, gap, null = np.zeros(n_targets), np.zeros(n_targets), np.zeros(n_targets)
        if moments.weight > 0:
            if objective.fit_intercept:
                intercept[:] = moments.y_mean
            variance = moments.std[moments.n_features :] ** 2
            null = null_loss(moments.y_mean, variance, fit_intercept=objective.fit_intercept)
            starts = None if start is None else start.reshape(n_targets, -1)
            # a target that is constant so far needs no features, and has no scale for a gap
            for k in np.flatnonzero(null > 0).tolist():
                found = solve_moments(
                    moments.of_target(k),
                    objective,
                    np.array([float(self.alpha)]),
                    tol=float(self.tol),
                    start=None if starts is None else starts[k],
                )
                coef[k], intercept[k], gap[k] = found.coef[0], found.intercept[0], found.gap[0]
        self.moments_ = moments
        norms = moments.std * np.sqrt(max(moments.weight, 0.0))
        self._peak = norms if peak is None else np.maximum(peak, norms)
        vector = self._y_is_vector
        self.coef_ = coef[0] if vector else coef
        self.intercept_ = float(intercept[0]) if vector else intercept
        self.relative_gap_ = float(gap[0]) if vector else gap
        self.dual_gap_ = float(gap[0] * null[0]) if vector else gap * null
        if gap.max() > self.tol:
            warnings.warn(
                f"the relative dual gap is {gap.max():.1e}, above tol={self.tol:g}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self
