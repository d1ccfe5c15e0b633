"""One fit from end to end: data and options in, certified models out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dasklasso.fit.fit import fit_cv, fit_path

__all__ = ["fit_cv", "fit_path"]


def __getattr__(name: str) -> Any:
    # at first use: what only opens a session, as predictions do, needs no solver
    if name not in __all__:
        raise AttributeError(f"module 'dasklasso.fit' has no attribute {name!r}")
    return getattr(import_module("dasklasso.fit.fit"), name)
