"""Mean squared residuals of many models on rows of which only the second moments are known."""

from __future__ import annotations

import numpy as np

from dasklasso.moments.cross_moments import CrossMoments


def mean_squared_residual(
    moments: CrossMoments, coef: np.ndarray, mean_residual: np.ndarray, target: int = 0
) -> np.ndarray:
    """``Σ s r² / Σ s`` of every model, as the variance of its residuals plus their squared mean.

    With v = (w, −1) on the columns [X, y], the variance is ``vᵀPv / Σ s``. ``Pv`` comes first: its
    entries are products with the residual, as small as the residual is, so that the second
    product no longer subtracts large numbers from one another.

    Parameters
    ----------
    moments : of the rows that the residuals belong to
    coef : (n_models, n_features)
    mean_residual : (n_models,)
        Weighted mean of each model's residuals, which the caller knows how to take without
        cancellation.

    Returns
    -------
    (n_models,) float64, never negative
    """
    linear, square = moments.xy[:, target], moments.yy[target]
    of_features = coef @ moments.xx - linear
    of_target = coef @ linear - square
    spread = np.einsum("kj,kj->k", coef, of_features) - of_target
    return np.maximum(spread, 0.0) / moments.weight + mean_residual**2
