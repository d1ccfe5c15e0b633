"""One path by another library, as a process of its own: ``python wide_rival.py JOB.json``.

It imports nothing of this package, so that it runs wherever the library is installed. What it is
given are X and y as NPY files; it reads them, centres them, and writes the coefficients of every
alpha. Exit code 3 says that the library is not installed.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import Any

NOT_INSTALLED = 3
NAMES = ("celer", "adelie", "sklearn")


def celer(X: Any, y: Any, alphas: Any, tol: float) -> Any:
    """Coefficients (n_features, n_alphas) by celer: its gap is relative to twice the null loss."""
    from celer import celer_path

    return celer_path(X, y, "lasso", alphas=alphas, tol=0.5 * tol, prune=True)[1]


def sklearn(X: Any, y: Any, alphas: Any, tol: float) -> Any:
    """Coefficients by scikit-learn, whose gap is relative to twice the null loss."""
    from sklearn.linear_model import lasso_path

    options = {"tol": 0.5 * tol, "max_iter": 100_000, "precompute": False, "copy_X": False}
    return lasso_path(X, y, alphas=alphas, **options)[1]


def adelie(X: Any, y: Any, alphas: Any, tol: float) -> Any:
    """Coefficients by adelie, whose tolerance is of a step's gain."""
    import adelie as ad

    options = {"tol": 1e-3 * tol, "early_exit": False, "intercept": False, "progress_bar": False}
    state = ad.grpnet(X, ad.glm.gaussian(y), lmda_path=alphas, **options)
    return state.betas.toarray().T


RIVALS = {"celer": celer, "sklearn": sklearn, "adelie": adelie}


def main(path: str) -> None:
    """Solve the path that a job describes."""
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    if find_spec(job["rival"]) is None or find_spec("numpy") is None:
        sys.exit(NOT_INSTALLED)
    import numpy as np

    X, y = np.load(job["X"]), np.load(job["y"])
    X = np.asfortranarray(X, dtype=np.float64)
    X -= X.mean(axis=0)
    y = y - y.mean()
    coef = RIVALS[job["rival"]](X, y, np.asarray(job["alphas"]), job["tol"])
    np.save(job["out"], np.asarray(coef, dtype=np.float64).T)


if __name__ == "__main__":
    main(sys.argv[1])
