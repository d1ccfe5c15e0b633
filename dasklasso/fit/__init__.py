"""One fit from end to end: data and options in, certified models out."""

from dasklasso.fit.fit import fit_cv, fit_path

__all__ = ["fit_cv", "fit_path"]
