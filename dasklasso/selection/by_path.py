"""Selections that end in models: by information criteria, relaxed and adaptive lasso.

Each solves its path on moments, and has all of it certified by one scan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_array

from dasklasso.cross_validation.error_curve import CrossValidation
from dasklasso.cross_validation.record import CvRecord
from dasklasso.errors import OptionError
from dasklasso.fit.moments_session import Session
from dasklasso.fit.session import over_workers
from dasklasso.model.path import FittedPath
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.problem.problem import Problem
from dasklasso.selection.criteria import Criteria, InformationCriterion, information_criteria
from dasklasso.selection.found import Found, features_at
from dasklasso.selection.options import SelectOptions
from dasklasso.selection.relaxed_adaptive import (
    adaptive_factors,
    adaptive_path,
    cross_validate_adaptive,
    cross_validate_relaxed,
    initial_estimate,
    relaxed_path,
)
from dasklasso.solvers.quadratic.from_moments import intercepts, problem_of, solve_moments

Rows = list[dict[str, Any]]


def select_by_criterion(session: Session, selection: SelectOptions) -> Found:
    """Return the alpha with the smallest criterion; models are certified before they are judged."""
    moments, objective = session.moments, session.objective
    solver = session.solver(problem_of(moments, objective))
    alphas = session.alphas(solver)
    coef = solve_moments(moments, objective, alphas, tol=session.tol).coef
    path, nbytes = session.certified(solver, alphas, coef)
    criteria = information_criteria(
        moments,
        objective,
        alphas,
        path.coef_rows.toarray(),
        noise_variance=selection.noise_variance,
        gamma=selection.ebic_gamma,
    )
    return best_by_criterion(path, criteria, selection, nbytes)


def best_by_criterion(
    path: FittedPath, criteria: Criteria, selection: SelectOptions, bytes_read: int
) -> Found:
    """Return the model of a path that a criterion prefers."""
    criterion = cast(InformationCriterion, selection.by)
    at = criteria.index(criterion)
    alphas = criteria.alphas
    path = replace(path, alpha_selected=float(alphas[at]))
    chosen = {
        "alpha": float(alphas[at]),
        criterion: float(getattr(criteria, criterion)[at]),
        "degrees_of_freedom": float(criteria.degrees_of_freedom[at]),
        "noise_variance": criteria.noise_variance,
    }
    table: Rows = [
        {**row, "dual_gap": float(gap)}
        for row, gap in zip(criteria.table(), path.dual_gap, strict=True)
    ]
    return Found(path, features_at(path), chosen, table, bytes_read)


def select_relaxed(session: Session, selection: SelectOptions) -> Found:
    """Return the alpha and the share γ of the lasso that predict best.

    The lasso is certified, then each model is moved to ``γ · lasso + (1 − γ) · least squares on
    its support``. Gaps and objectives stay those of the lasso.
    """
    moments, objective = session.moments, session.objective
    solver = session.solver(problem_of(moments, objective))
    alphas = session.alphas(solver)
    choice = cross_validate_relaxed(
        session.grouped.by_fold(),
        objective,
        alphas,
        selection.gammas,
        tol=session.tol,
        map=over_workers(session.engine.runner),
    )
    record = _record(selection, choice.best)
    both = relaxed_path(moments, objective, alphas, [1.0, 0.0], tol=session.tol)
    path, nbytes = session.certified(solver, alphas, both.coef[0], record)
    gamma = choice.gamma
    if gamma < 1.0:
        coef = gamma * path.coef_rows.toarray() + (1.0 - gamma) * both.coef[1]
        path = replace(
            path,
            coef_rows=csr_array(coef),
            intercepts=intercepts(moments, objective, coef, 0)[:, None],
        )
    path = replace(path, refit={"kind": "relaxed", "gamma": gamma}, explained=None)
    chosen = {"alpha": record.alpha, "gamma": gamma, **_errors(record)}
    table = _along_path(choice.table(), path)
    return Found(path, features_at(path), chosen, table, nbytes)


def select_adaptive(session: Session, selection: SelectOptions) -> Found:
    """The alpha that predicts best of a lasso whose penalty spares what a first estimate has large.

    The factors ``1/|w|^power`` of each fold come from a first estimate on its own training rows,
    which has not seen the rows it is judged on. Those of the path come from all rows; with them
    it is an ordinary lasso, and so it is certified. Features that the first estimate has at zero
    are out of that problem, as columns without variance are.
    """
    moments, objective = session.moments, session.objective
    folds = session.grouped.by_fold()
    _check_rows(session, selection, folds)
    method, alpha, power = selection.initial, selection.initial_alpha, selection.power
    first = initial_estimate(moments, objective, method, alpha=alpha, tol=session.tol)
    factor = adaptive_factors(moments, objective, first, power)
    _check_factors(selection, first, factor)
    solver = session.solver(_adaptive_problem(session, factor))
    alphas = session.alphas(solver)
    curve = cross_validate_adaptive(
        folds,
        objective,
        alphas,
        method=method,
        initial_alpha=alpha,
        power=power,
        tol=session.tol,
        map=over_workers(session.engine.runner),
    )
    record = _record(selection, curve)
    solved = adaptive_path(moments, objective, alphas, first, power=power, tol=session.tol)
    path, nbytes = session.certified(solver, alphas, solved.coef, record)
    factors = [float(f) if np.isfinite(f) else None for f in factor]
    path = replace(
        path,
        penalty_options={**path.penalty_options, "penalty_factor": True},
        refit={
            "kind": "adaptive",
            "initial": method,
            "initial_alpha": alpha,
            "power": power,
            "penalty_factor": factors,
        },
    )
    chosen = {"alpha": record.alpha, **_errors(record), "n_excluded": factors.count(None)}
    return Found(path, features_at(path), chosen, _along_path(curve.table(), path), nbytes)


def _adaptive_problem(session: Session, factor: np.ndarray) -> Problem:
    """Return the lasso with these factors; columns with an infinite one cannot matter."""
    kept = np.isfinite(factor)
    objective = replace(session.objective, penalty_factor=np.where(kept, factor, 1.0))
    problem = problem_of(session.moments, objective)
    frame = problem.frame
    nothing = {
        name: np.where(kept, getattr(frame, name), 0.0)
        for name in ("inverse_scale", "l1_factor", "l2_factor")
    }
    return replace(problem, frame=replace(frame, **nothing))


def _check_factors(selection: SelectOptions, first: np.ndarray, factor: np.ndarray) -> None:
    """Refuse a first estimate that leaves no feature to choose from."""
    if np.any(np.isfinite(factor) & (factor > 0)):
        return
    if not first.any():
        raise OptionError(
            f"initial_alpha: {selection.initial_alpha:g} found, at which the first estimate by "
            f"{selection.initial} has no feature, and the adaptive lasso chooses among those that "
            "it has; give a smaller one"
        )
    raise OptionError(
        f"power: {selection.power:g} found, at which factors 1/|first estimate|^power are zero or "
        "infinite, so that there is nothing to choose; give a smaller one"
    )


def _check_rows(session: Session, selection: SelectOptions, folds: list[CrossMoments]) -> None:
    """Refuse least squares as a first estimate where it has no single solution."""
    left = session.moments.count - max(fold.count for fold in folds)
    d = session.data.n_features
    if selection.initial == "least_squares" and left <= d:
        raise OptionError(
            f"initial: least_squares needs more rows than the {d} features, and {left} rows train "
            "for the largest fold; take 'ridge' or 'lasso', with an initial_alpha"
        )


def _record(selection: SelectOptions, curve: CrossValidation) -> CvRecord:
    cv = selection.cv
    return CvRecord(cv.kind, curve.error_path.shape[1], cv.seed, cv.rule, (curve,))


def _errors(record: CvRecord) -> dict[str, Any]:
    """Return the error at the alpha that a cross-validation selects."""
    best = record.best
    at = best.index_min if record.rule == "min" else best.index_1se
    return {
        "mean_mse": float(best.mean_error[at]),
        "standard_error": float(best.standard_error[at]),
    }


def _along_path(curves: list[dict[str, float]], path: FittedPath) -> Rows:
    """Rows of one or more curves along a path's alphas, with what is certified at each alpha."""
    used, gap, n = path.n_nonzero, path.dual_gap, path.n_alphas
    return [
        {**row, "n_nonzero": int(used[i % n]), "dual_gap": float(gap[i % n])}
        for i, row in enumerate(curves)
    ]
