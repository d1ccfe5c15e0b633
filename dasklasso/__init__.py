"""dasklasso: L1-regularised models on data larger than memory."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> the module it lives in; imported at first use, so that `import dasklasso` is quick.
_LAZY = {
    "ElasticNet": "dasklasso.estimators",
    "ElasticNetCV": "dasklasso.estimators",
    "FittedPath": "dasklasso.model.path",
    "Lasso": "dasklasso.estimators",
    "LassoCV": "dasklasso.estimators",
    "LogisticL1": "dasklasso.estimators",
    "LogisticL1CV": "dasklasso.estimators",
    "OnlineElasticNet": "dasklasso.estimators",
    "enet_path": "dasklasso.estimators",
    "lasso_path": "dasklasso.estimators",
    "load_model": "dasklasso.model.path",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dasklasso' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
