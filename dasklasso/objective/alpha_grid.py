"""The grid of alphas of a path, in glmnet's conventions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.errors import OptionError, ValueFound

_FEWEST, _MOST_EXPLAINED, _LEAST_GAIN = 5, 0.999, 1e-5
SMALLEST_L1_RATIO = 1e-3  # a pure ridge has no alpha_max: glmnet takes that of this ratio


def check_grid(n_alphas: int, eps: float | None) -> None:
    """Refuse, before there are data, what no grid can be made of.

    Raises
    ------
    OptionError
    """
    if n_alphas < 1:
        raise OptionError(f"n_alphas: {n_alphas} found, expected at least 1")
    if eps is not None and not 0.0 < eps < 1.0:
        raise OptionError(f"eps: {eps} found, expected a number between 0 and 1")


def alpha_grid(
    alpha_max: float,
    *,
    n_alphas: int = 100,
    eps: float | None = None,
    n_rows: int,
    n_features: int,
) -> np.ndarray:
    """Alphas from ``alpha_max`` down to ``eps * alpha_max``, evenly spaced in the logarithm.

    Parameters
    ----------
    eps : float, optional
        By default 1e-3 where there are more rows than features, else 1e-2 (Friedman, Hastie and
        Tibshirani, 2010, Regularization paths for generalized linear models, section 2.5).

    Returns
    -------
    (n_alphas,) float64, decreasing

    Raises
    ------
    OptionError
        When ``n_alphas`` or ``eps`` cannot be used.
    ValueFound
        When ``alpha_max`` is zero.
    """
    check_grid(n_alphas, eps)
    if eps is None:
        eps = 1e-3 if n_rows > n_features else 1e-2
    if not alpha_max > 0:
        raise ValueFound(
            "X: no penalised column varies with the target (of coefficients that must not be "
            "negative: grows with it), so every coefficient is zero at any alpha and there is no "
            "largest one to begin a grid at"
        )
    if n_alphas == 1:
        return np.array([alpha_max])
    return alpha_max * np.geomspace(1.0, eps, n_alphas)


def given_alphas(alphas: Sequence[float]) -> np.ndarray:
    """Return the user's own alphas, largest first, each once.

    Raises
    ------
    OptionError
        When one is not a positive number.
    """
    found = np.asarray(alphas, dtype=np.float64).ravel()
    bad = found[~(np.isfinite(found) & (found > 0))]
    if found.size == 0 or bad.size:
        what = "none" if found.size == 0 else f"{bad[0]}"
        raise OptionError(f"alpha: {what} found, expected positive numbers")
    return np.unique(found)[::-1]


def saturated_at(explained: np.ndarray) -> int:
    """Tell how many alphas of a path are worth having: what follows explains nothing more.

    The rule is glmnet's: after the fifth alpha the path ends where the share explained exceeds
    0.999, or grew by less than 1e-5 of itself (Friedman, Hastie and Tibshirani, 2010, and the
    defaults ``devmax``, ``fdev`` and ``mnlam`` of R's ``glmnet.control``).

    Parameters
    ----------
    explained : (n_alphas,)
        Share of the null model's loss that each model takes away, alphas decreasing.
    """
    for k in range(_FEWEST, len(explained)):
        enough = explained[k] > _MOST_EXPLAINED
        if enough or explained[k] - explained[k - 1] < _LEAST_GAIN * explained[k]:
            return k + 1
    return len(explained)
