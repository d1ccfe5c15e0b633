"""Lasso and ElasticNet in scikit-learn's manner."""

from __future__ import annotations

import os
from typing import Any

from dasklasso.estimators.model import LinearModel


class Lasso(LinearModel):
    """Least squares with an l1 penalty, on data of any size, solved to a certified gap.

    It minimises, as ``sklearn.linear_model.Lasso`` does,
    ``1/(2 Σs) Σ_i s_i (y_i - x_iᵀw - b)² + alpha Σ_j f_j |w_j|``
    with row weights s and penalty factors f (both 1 by default).

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, positive.
    fit_intercept : bool, default=True
    tol : float, default=1e-6
        The relative dual gap to reach: the gap divided by the loss of the model without
        features. (scikit-learn's tol is multiplied by ``||y||²`` and compared with another sum.)
    max_iter : int, default=10000
        Most scans, that is reads of X.
    positive : bool, default=False
        Whether coefficients are held at zero or above.
    standardize : bool, default=False
        Whether the penalty is on coefficients of columns scaled to unit spread; ``coef_`` is in
        the units of X either way.
    penalty_factor : (n_features,) array-like, default=None
        f: multiplies alpha for each feature; 0 leaves a feature unpenalised.
    solver : {"auto", "fista"}, default="auto"
    memory : str or int, default=None
        For the whole process tree, like ``"1.5GiB"``; by default a third of what is free.
    workers : int, default=None
        Worker processes to start; by default threads of this process.
    scheduler : str, default=None
        Address of a running Dask scheduler (``tcp://...``).
    device : {"cpu", "cuda"}, default="cpu"
    checkpoint : path, default=None
        Folder in which the fit is saved as it goes.
    resume : bool, default=False
        Whether to go on from the checkpoint, if there is one.
    verbose : bool, default=False
        Whether to print progress on standard error, and to serve Dask's dashboard.

    Attributes
    ----------
    coef_ : (n_features,) or (n_targets, n_features) float64
    intercept_ : float or (n_targets,) float64
    sparse_coef_ : (n_targets, n_features) scipy.sparse.csr_array
    dual_gap_ : float or (n_targets,)
        Duality gap at the solution, in the units of the objective.
    relative_gap_ : float or (n_targets,)
        The same divided by the loss of the model without features.
    n_iter_ : int
        Scans made.
    n_features_in_ : int
    feature_names_in_ : (n_features,) array of str
        Where the data name their features.
    path_ : FittedPath
        The fit in full: scans, bytes, seconds, fingerprint; can be saved.

    Notes
    -----
    Unlike scikit-learn, a constant target is an error (there is nothing to fit, and no scale for
    a relative gap), as is ``alpha=0``. There is no ``warm_start``, ``precompute``, ``copy_X``,
    ``selection`` or ``random_state``: nothing is copied, and nothing is random.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Lasso(alpha=0.5).fit(X, y)
    >>> int((model.coef_ != 0).sum())
    4
    """

    l1_ratio = 1.0

    def __init__(
        self,
        alpha: float = 1.0,
        *,
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
        verbose: bool = False,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.positive = positive
        self.standardize = standardize
        self.penalty_factor = penalty_factor
        self.solver = solver
        self.memory = memory
        self.workers = workers
        self.scheduler = scheduler
        self.device = device
        self.checkpoint = checkpoint
        self.resume = resume
        self.verbose = verbose


class ElasticNet(LinearModel):
    """Least squares with l1 and l2 penalties, on data of any size, solved to a certified gap.

    It minimises, as ``sklearn.linear_model.ElasticNet`` does, ``1/(2 Σs) Σ_i s_i (y_i - x_iᵀw -
    b)² + alpha Σ_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j²)``.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, positive.
    l1_ratio : float, default=0.5
        Share of the l1 penalty, from 0 (ridge) to 1 (Lasso).
    fit_intercept, tol, max_iter, positive, standardize, penalty_factor, solver, memory, workers, \
scheduler, device, checkpoint, resume, verbose :
        As in :class:`Lasso`.

    Attributes
    ----------
    coef_, intercept_, sparse_coef_, dual_gap_, relative_gap_, n_iter_, n_features_in_, \
feature_names_in_, path_ :
        As in :class:`Lasso`.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
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
        verbose: bool = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.positive = positive
        self.standardize = standardize
        self.penalty_factor = penalty_factor
        self.solver = solver
        self.memory = memory
        self.workers = workers
        self.scheduler = scheduler
        self.device = device
        self.checkpoint = checkpoint
        self.resume = resume
        self.verbose = verbose
