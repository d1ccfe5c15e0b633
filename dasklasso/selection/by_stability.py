"""Stability selection on a store: parts of the rows whose moments are known make the half-samples.

A probability is a share of solves on moments: there is no model whose gap a scan could certify,
and no scan after the one that took the moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import MemoryLimitError
from dasklasso.fit.moments_session import Session
from dasklasso.fit.session import over_workers
from dasklasso.moments.gram_scan import block_edges, default_blocks
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import penalty_factors
from dasklasso.selection.found import Found
from dasklasso.selection.options import SelectOptions
from dasklasso.selection.stability import (
    BYTES_AT_ONCE,
    StabilityPath,
    half_samples,
    stability_path,
)
from dasklasso.selection.stability_bounds import selected_for
from dasklasso.solvers.cost import memory_limit
from dasklasso.solvers.gram.cost import gram_memory
from dasklasso.solvers.quadratic.from_moments import problem_of, solve_moments
from dasklasso.units import format_size

PARTS = (32, 16)  # of the rows: halves of 16 are 12,870 already, but resemble one another more


def scheme_of_parts(
    data: Dataset, options: FitOptions, run: RunOptions, selection: SelectOptions
) -> FoldScheme:
    """Tell how rows are put into the parts that halves are made of. Nothing is read.

    Parts are runs of rows where rows can be read in so many runs. Where chunks that must be
    decoded whole are too few for that, parts are drawn at random, row by row.

    Raises
    ------
    OptionError
        When there are too few rows for so many different half-samples.
    MemoryLimitError
        When not even the moments of the fewest parts fit the memory.
    """
    limit, need = memory_limit(run), 0
    for most in PARTS:
        n_parts = min(most, data.n_rows // 2)
        half_samples(n_parts, selection.n_pairs, selection.cv.seed)  # refuses too few
        scheme = _parts(data, n_parts)
        need = _memory(data, options, run, selection, scheme)
        if need <= limit:
            return scheme
    raise MemoryLimitError(
        f"memory: {limit:,} bytes, but stability selection needs {format_size(need)} for "
        f"{data.n_features:,} features in {PARTS[-1]} parts of the rows; give more memory"
    )


def _parts(data: Dataset, n_parts: int) -> FoldScheme:
    runs = FoldScheme(n_blocks=n_parts)
    pieces = None if data.X.mapped else tuple(data.X.row_bounds)
    if len(block_edges(data.n_rows, runs, pieces)) > n_parts:
        return runs
    return FoldScheme("random", n_parts)


def _memory(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    selection: SelectOptions,
    scheme: FoldScheme,
) -> int:
    """Bytes that a selection needs, in all processes together."""
    n_columns = data.n_features + data.n_targets
    matrix = 8 * (n_columns + 1) ** 2
    at_once = max(matrix, min(BYTES_AT_ONCE, selection.half_samples * matrix))  # half-samples
    if scheme.folds == "random":
        return gram_memory(data, options, run, scheme.n_folds).total + at_once
    counted = default_blocks(data.n_rows, n_columns, replace(scheme, n_blocks=1), 1)
    more = max(0, scheme.n_blocks - counted) * matrix
    return gram_memory(data, options, run).total + more + at_once


def select_stable(session: Session, selection: SelectOptions, scheme: FoldScheme) -> Found:
    """Return the features that enough half-samples select.

    Parameters
    ----------
    scheme : FoldScheme
        As :func:`scheme_of_parts` gave it.
    """
    objective = session.objective
    alphas = session.alphas(session.solver(problem_of(session.moments, objective)))
    if selection.expected_false is not None:
        alphas = _worthwhile(session, selection, alphas)
    grouped = session.grouped
    parts = grouped.by_fold() if scheme.folds == "random" else grouped.by_block()
    found = stability_path(
        parts,
        objective,
        alphas,
        n_pairs=selection.n_pairs,
        seed=selection.cv.seed,
        map=over_workers(session.engine.runner),
    )
    return found_of(found, selection, session.data.feature_names, len(parts), session.bytes_read)


def found_of(
    found: StabilityPath,
    selection: SelectOptions,
    names: Sequence[str],
    n_parts: int,
    bytes_read: int,
) -> Found:
    """Return the features that are selected often enough.

    Parameters
    ----------
    names : of all features
    n_parts : of the rows, of which half-samples are made
    bytes_read : of X
    """
    threshold, bound = selection.threshold, selection.bound
    if selection.expected_false is not None:
        found = found.within(selection.expected_false, threshold, bound)
    selected, probability = found.selected(threshold), found.max_probabilities
    order = selected[np.argsort(-probability[selected], kind="stable")]
    features = tuple({"feature": names[j], "probability": float(probability[j])} for j in order)
    chosen = {
        "threshold": threshold,
        "expected_false": found.expected_false(threshold, bound),
        "bound": bound,
        "q": found.q,
        "n_candidates": found.n_candidates,
        "smallest_alpha": float(found.alphas[-1]),
        "n_alphas": len(found.alphas),
        "half_samples": 2 * found.n_pairs,
        "n_parts": n_parts,
    }
    among = set(selected.tolist())
    table = [
        {
            "feature": names[j],
            "max_probability": row["max_probability"],
            "alpha": row["alpha"],
            "selected": j in among,
        }
        for j, row in enumerate(found.table())
    ]
    return Found(None, features, chosen, table, bytes_read)


def most_selected(selection: SelectOptions, penalised: np.ndarray) -> float:
    """Return how many features half-samples may select on average, for the bound that is asked."""
    return selected_for(
        selection.expected_false or 0.0,
        selection.threshold,
        int(np.count_nonzero(penalised)),
        selection.n_pairs,
        selection.bound,
    )


def _worthwhile(session: Session, selection: SelectOptions, alphas: np.ndarray) -> np.ndarray:
    """The alphas, without those so small that half-samples select far too many features there.

    Where all rows select twice what the bound allows, halves, which are noisier, select more than
    that too: to solve each of them there would cost most of the time and tell nothing.
    """
    moments, objective = session.moments, session.objective
    penalised = penalty_factors(objective.penalty_factor, moments.n_features) > 0
    most = most_selected(selection, penalised)
    coef = solve_moments(moments, objective, alphas, tol=session.options.tol).coef
    used = np.maximum.accumulate(np.count_nonzero(coef[:, penalised], axis=1))
    return alphas[: max(1, int(np.count_nonzero(used <= 2.0 * most)))]
