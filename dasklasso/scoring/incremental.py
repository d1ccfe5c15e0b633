"""What features explain beyond covariates: R² less that of the same path's covariates alone."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from dasklasso.model.path import FittedPath
from dasklasso.model.record import PENALISED_COVARIATES
from dasklasso.scoring.metrics.metrics import METRICS

INCREMENTAL = "incremental_r2"
NONE_ALONE = "no alpha of the path has covariates alone: fit a path, which begins at alpha_max"
PENALISED = "covariates were penalised: the path has no least-squares fit of them alone"


def covariates_alone(path: FittedPath) -> tuple[csr_array, np.ndarray] | None:
    """Return the model of the covariates alone: the path's, at its largest alpha.

    There only columns without a penalty are in use, so that it is their least-squares fit (of a
    squared loss) on the rows that the path was fitted on.

    Returns
    -------
    coef : (n_targets, n_features) csr_array
    intercept : (n_targets,)
        None where features have a coefficient there too, or covariates have a penalty.
    """
    assert path.covariates is not None
    if path.penalty_options.get(PENALISED_COVARIATES):
        return None
    coef, k = path.coef_rows[: path.n_targets], path.n_targets
    names = set(path.covariates.feature_names)
    used = np.unique(coef.indices[coef.data != 0]).tolist()
    if any(path.feature_names[j] not in names for j in used):
        return None
    return coef, path.intercepts.reshape(-1, k)[0]


def why_none_alone(path: FittedPath) -> str:
    """Tell why a path has no model of the covariates alone."""
    return PENALISED if path.penalty_options.get(PENALISED_COVARIATES) else NONE_ALONE


def with_increment(metrics: dict[str, np.ndarray], n_alphas: int) -> dict[str, np.ndarray]:
    """Return metrics of the models at alphas, with what they explain beyond covariates.

    Parameters
    ----------
    metrics : (n_alphas or one more, n_targets) each; the last model is that of covariates alone
    """
    r2 = metrics["r2"]
    gained = r2[:n_alphas] - (r2[n_alphas:] if len(r2) > n_alphas else np.nan)
    found = {name: values[:n_alphas] for name, values in metrics.items()}
    return {"r2": found.pop("r2"), INCREMENTAL: gained, **found}


def is_told(path: FittedPath) -> bool:
    """Tell whether R² beyond covariates is one of a path's metrics."""
    return path.covariates is not None and "r2" in METRICS[path.loss].names
