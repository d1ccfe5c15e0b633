"""The scikit-learn face: estimators and path functions for data in memory, on disk, in Dask."""

from dasklasso.estimators.linear import ElasticNet, Lasso
from dasklasso.estimators.paths import enet_path, lasso_path

__all__ = ["ElasticNet", "Lasso", "enet_path", "lasso_path"]
