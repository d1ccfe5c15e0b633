"""Fitting: data and options in, certified models out. What every face of the package calls."""

from dasklasso.fitting.fit import fit_cv, fit_path
from dasklasso.fitting.predict import predict_store
from dasklasso.fitting.score import score_store

__all__ = ["fit_cv", "fit_path", "predict_store", "score_store"]
