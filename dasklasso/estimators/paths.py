"""Whole paths of solutions, for those who want no object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dasklasso.errors import OptionError
from dasklasso.estimators.linear import ElasticNet, Lasso
from dasklasso.estimators.linear_model import LinearModel
from dasklasso.estimators.parameters import grid_of
from dasklasso.model.path import FittedPath


def lasso_path(
    X: Any,
    y: Any = None,
    *,
    n_alphas: int = 100,
    eps: float | None = None,
    alphas: Sequence[float] | None = None,
    sample_weight: Any = None,
    **options: Any,
) -> FittedPath:
    """The Lasso at every alpha of a grid, each solution certified; all share the reads of X.

    Parameters
    ----------
    X, y, sample_weight :
        As for :meth:`Lasso.fit <dasklasso.estimators.linear.FixedAlpha.fit>`.
    n_alphas : int
        Length of the grid, evenly spaced in the logarithm from the smallest alpha at which all
        coefficients are zero.
    eps : float, optional
        The grid's last alpha divided by its first. By default 1e-3 where there are more rows
        than features, else 1e-2.
    alphas : sequence of float, optional
        Instead of a grid.
    **options :
        ``fit_intercept``, ``positive``, ``tol``, ``max_iter``, ``workers``, ...: any other
        parameter of :class:`~dasklasso.estimators.linear.Lasso`.

    Returns
    -------
    FittedPath
        With ``alphas`` (n_alphas,), ``coef`` (n_alphas, n_features[, n_targets]), ``intercept``,
        ``dual_gap`` (relative); ``predict`` and ``save``.

    Raises
    ------
    OptionError, StoreError, ValueFound

    Warns
    -----
    ConvergenceWarning
        When a relative gap is above ``tol``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> path = lasso_path(*load_diabetes(return_X_y=True), n_alphas=20)
    >>> path.coef.shape
    (20, 10)
    """
    model = Lasso(**_without_alpha(options))
    return _path(model, X, y, sample_weight, n_alphas, eps, alphas)


def enet_path(
    X: Any,
    y: Any = None,
    *,
    l1_ratio: float = 0.5,
    n_alphas: int = 100,
    eps: float | None = None,
    alphas: Sequence[float] | None = None,
    sample_weight: Any = None,
    **options: Any,
) -> FittedPath:
    """Return the elastic net at every alpha of a grid: as :func:`lasso_path`, with an ``l1_ratio``.

    Parameters
    ----------
    l1_ratio : float, 0 to 1
        Share of the l1 penalty.
    X, y, n_alphas, eps, alphas, sample_weight, **options :
        As in :func:`lasso_path`.

    Returns
    -------
    FittedPath
    """
    model = ElasticNet(l1_ratio=l1_ratio, **_without_alpha(options))
    return _path(model, X, y, sample_weight, n_alphas, eps, alphas)


def _without_alpha(options: dict[str, Any]) -> dict[str, Any]:
    if "alpha" in options:
        raise OptionError("alpha: a path has several, give them as alphas")
    return options


def _path(
    model: LinearModel,
    X: Any,
    y: Any,
    sample_weight: Any,
    n_alphas: int,
    eps: float | None,
    alphas: Sequence[float] | None,
) -> FittedPath:
    path, _ = model._solve(X, y, sample_weight, grid_of(alphas, n_alphas, eps), stacklevel=4)
    return path
