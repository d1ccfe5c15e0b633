"""Fitting: data and options in, certified models out. What every face of the package calls."""

from dasklasso.fit.fit import fit_cv, fit_path
from dasklasso.scoring.predict import predict_store
from dasklasso.scoring.score import score_store

__all__ = ["fit_cv", "fit_path", "predict_store", "score_store"]
