"""Lasso and ElasticNet in scikit-learn's manner."""

from __future__ import annotations

import os
from typing import Any, Literal, Self

from dasklasso.estimators.linear_model import LinearModel
from dasklasso.estimators.parameters import number


class FixedAlpha(LinearModel):
    """Base of the models whose alpha is given."""

    alpha: float

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : (n_rows, n_features)
            A NumPy array, pandas DataFrame or list of rows; a dask array; a Zarr store with
            ``X`` and ``y`` (path, URL or ``zarr.Group``); a ``zarr.Array``; or an open
            :class:`~dasklasso.dataset.dataset.Dataset`. Data in memory are solved on threads of
            this process. Everything else, and everything when ``workers`` or ``scheduler`` is
            given or a ``distributed.Client`` is active, runs on a cluster; data in memory and
            dask arrays are then written once to a temporary store (in ``TMPDIR``, which the
            workers must see) and read from there.
        y : (n_rows,) or (n_rows, n_targets)
            Any kind of array, or the name of one in the store. May be left out for a store.
        sample_weight : (n_rows,) or float, optional
            Weights of the rows, only their ratios matter. By default the store's own, or ones.
        offset : (n_rows,), optional
            Added to each row's prediction. By default the store's own, if it has any.

        Returns
        -------
        self

        Raises
        ------
        OptionError
            A parameter has a value that cannot be used; alpha must be positive.
        ValueFound
            X, y or the weights hold a value that cannot be used; a target is constant.
        StoreError
            The store cannot be opened or read.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            The relative dual gap is above ``tol`` after ``max_iter`` scans. It is a
            :class:`dasklasso.errors.ConvergenceWarning` as well.
        """
        grid = {"alphas": (number("alpha", self.alpha),)}
        path, data = self._solve(X, y, sample_weight, grid, offset=offset, stacklevel=3)
        self._keep(path, data)
        return self


class Lasso(FixedAlpha):
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
    solver : {"auto", "gram", "fista", "prox_sgd"}, default="auto"
    memory : str or int, default=None
        For the whole process tree, like ``"1.5GiB"``; by default a third of what is free.
    workers : int, default=None
        Worker processes to start; by default threads of this process.
    scheduler : str, default=None
        Address of a running Dask scheduler (``tcp://...``).
    device : {"cpu", "cuda"}, default="cpu"
    checkpoint : path, default=None
        Folder in which the fit is saved as it goes. One that holds a checkpoint is refused, unless
        that is of the same fit and resumed.
    resume : bool, default=False
        Whether to go on from the checkpoint, if there is one.
    stats : path or False, default=None
        Folder in which second moments of the data are kept and looked for, so that no other fit
        has to read X for them. By default beside a local store, in ``STORE.stats``, and for other
        data nowhere; False for nowhere at all.
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
        stats: str | os.PathLike[str] | Literal[False] | None = None,
        verbose: bool = False,
    ) -> None:
        self._store(locals())


class ElasticNet(FixedAlpha):
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
scheduler, device, checkpoint, resume, stats, verbose :
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
        stats: str | os.PathLike[str] | Literal[False] | None = None,
        verbose: bool = False,
    ) -> None:
        self._store(locals())
