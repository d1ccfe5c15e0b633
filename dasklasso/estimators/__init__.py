"""The scikit-learn face: estimators and path functions for data in memory, on disk, in Dask."""

from dasklasso.estimators.cross_validated import ElasticNetCV, LassoCV
from dasklasso.estimators.linear import ElasticNet, Lasso
from dasklasso.estimators.logistic import LogisticL1
from dasklasso.estimators.logistic_cv import LogisticL1CV
from dasklasso.estimators.online import OnlineElasticNet
from dasklasso.estimators.paths import enet_path, lasso_path

__all__ = [
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "LogisticL1",
    "LogisticL1CV",
    "OnlineElasticNet",
    "enet_path",
    "lasso_path",
]
