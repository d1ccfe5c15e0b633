"""What strips are asked: certificates of many problems, and the columns that they call in.

Residuals of all problems are multiplied by the columns of a strip. That is the exact gradient
there, so that the strip knows its share of every certificate, and which of its columns violate the
optimality conditions of a problem or come near to it. Those are copied while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.objective.duality import column_sums
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import penalty_at
from dasklasso.scan.columns.coded import CodedBlock
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.coded_folds import FoldTotals, fold_totals
from dasklasso.scan.queries.column_moments import Moments
from dasklasso.scan.queries.folds import FoldMoments
from dasklasso.scan.rows import Rows
from dasklasso.scan.strips import Strip, StripQuery, products_of_holes, strip_products
from dasklasso.solvers.working_set.cost import QUOTA_SLACK

NEAR = 0.7  # of λ₁: columns whose gradient is beyond it may be called in
BEYOND_ALL = 1e30  # a score, of what violates conditions that nothing loosens
LEAST_OFFERED = 8  # columns of a strip, in any case


@dataclass(frozen=True, eq=False)
class Batch:
    """Problems of one series.

    Attributes
    ----------
    frame : Frame, of all features
    alphas : (k,)
    weighted : (n_rows, k) dual directions, times the rows' weights
    calls : (k,) bool, problems that may call columns in
    early : (k,) bool, those of them that are the more credible ones
    """

    frame: Frame
    alphas: np.ndarray
    weighted: np.ndarray
    calls: np.ndarray
    early: np.ndarray


@dataclass(frozen=True, eq=False)
class Offered:
    """Columns that a strip offers.

    Attributes
    ----------
    index : (m,) int64, ascending
    values : (m, n_rows) as they are stored
    scores : (m, K) float32
        ``N°(v) / λ₁`` in each problem: beyond 1 the optimality conditions are violated.
    """

    index: np.ndarray
    values: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class StripAnswer:
    """What a strip shows of K problems.

    Attributes
    ----------
    sums : (5, K), as :func:`~dasklasso.objective.duality.column_sums` at zero
    violations : (K,) int64, columns not held whose score is beyond 1
    offered : Offered
    finite : whether all products are finite numbers
    held : (m,) float32, of columns held, ascending: the largest score in problems that call
    """

    sums: np.ndarray
    violations: np.ndarray
    offered: Offered
    finite: bool
    held: np.ndarray


@dataclass(frozen=True)
class Calls(StripQuery[StripAnswer]):
    """Certificates of problems, and columns called in.

    Shared by all strips: the batches, and which features are held (n_features,) bool.

    Attributes
    ----------
    penalty : of the objective
    wanted : columns of all features that are called in
    n_features : int
    """

    penalty: Penalty
    wanted: int
    n_features: int
    name = "calls"

    def on_strip(
        self, strip: Strip, rows: Sequence[Rows], shared: tuple[Sequence[Batch], np.ndarray]
    ) -> StripAnswer:
        batches, held = shared
        columns = strip.columns
        weighted = np.concatenate([batch.weighted for batch in batches], axis=1)
        shift = batches[0].frame.shift[columns]
        products = strip_products(rows, weighted, shift)
        refill(products, rows, batches, weighted, columns)
        finite = bool(np.isfinite(products).all())
        sums, scores, start = [], np.empty(products.shape, np.float32), 0
        for batch in batches:
            own = slice(start, start + len(batch.alphas))
            frame = batch.frame[columns]
            v = standardised(products[:, own], weighted[:, own], shift, frame)
            penalty = penalty_at(frame, batch.alphas[None, :], self.penalty)
            zero = np.zeros_like(v)
            sums.append(column_sums(zero, v, penalty))
            scores[:, own] = scores_of(v, penalty)
            start = own.stop
        calls, early = (
            np.concatenate([getattr(batch, name) for batch in batches])
            for name in ("calls", "early")
        )
        waiting = ~held[columns]
        standing = _largest(scores[:, calls][~waiting])
        scores[~waiting] = 0.0
        best = [_largest(scores[:, some]) for some in (early, calls)]
        quota = quota_of(self.wanted, strip.width, self.n_features)
        chosen = np.unique(np.concatenate([_top(one, quota, NEAR) for one in best]))
        return StripAnswer(
            np.concatenate(sums, axis=1),
            np.count_nonzero(scores > 1.0, axis=0),
            offer(strip, rows, chosen, scores[chosen]),
            finite,
            standing,
        )


@dataclass(frozen=True, eq=False)
class NullAnswer:
    """What a strip shows of null models.

    Attributes
    ----------
    alpha_max : (n_targets,)
        The smallest alpha at which all penalised coefficients are zero, for l1_ratio 1.
    offered : Offered
    finite : whether all products are finite numbers
    moments : of the columns over the rows of each fold, where they are wanted
    """

    alpha_max: np.ndarray
    offered: Offered
    finite: bool
    moments: list[Moments | None] | FoldTotals | None


@dataclass(frozen=True)
class NullCalls(StripQuery[NullAnswer]):
    """The gradient of null models, the columns it is largest for, and moments of folds.

    Shared by all strips: the frame, the null models' dual directions times the rows' weights
    (n_rows, n_targets), which features are held (n_features,) bool, and the rows' weights
    (n_rows, 1) or None.

    Attributes
    ----------
    penalty : the l1 penalty of the objective
    wanted : columns of all features that are called in
    n_features : int
    moments : FoldMoments or None
    """

    penalty: Penalty
    wanted: int
    n_features: int
    moments: FoldMoments | None = None
    name = "null-calls"

    def on_strip(
        self,
        strip: Strip,
        rows: Sequence[Rows],
        shared: tuple[Frame, np.ndarray, np.ndarray, np.ndarray | None],
    ) -> NullAnswer:
        whole, weighted, held, weight = shared
        frame = whole[strip.columns]
        products = strip_products(rows, weighted, frame.shift)
        v = standardised(products, weighted, frame.shift, frame)
        penalty = penalty_at(frame, 1.0, self.penalty)
        scores = scores_of(v, penalty)
        scores[held[strip.columns]] = 0.0
        quota = quota_of(self.wanted, strip.width, self.n_features)
        chosen = np.sort(_top(_largest(scores), quota, 0.0))
        return NullAnswer(
            penalty.alpha_max(v),
            offer(strip, rows, chosen, scores[chosen]),
            bool(np.isfinite(products).all()),
            None if self.moments is None else self._moments(rows, weight),
        )

    def _moments(
        self, rows: Sequence[Rows], weight: np.ndarray | None
    ) -> list[Moments | None] | FoldTotals:
        assert self.moments is not None
        if isinstance(rows[0].blocks[0], CodedBlock):
            return fold_totals(self.moments.assignment, self.moments.n_rows, rows, weight)
        found = None
        for some in rows:
            own = None if weight is None else weight[some.start : some.start + some.n_rows]
            here = self.moments.on_rows(replace(some, weight=own), None)
            found = here if found is None else self.moments.combine(found, here)
        assert found is not None
        return found


@dataclass(frozen=True)
class Fetch(StripQuery[tuple[np.ndarray, np.ndarray]]):
    """Some columns as they are stored.

    Shared by all strips: the indices of those that are wanted, ascending. Answer: indices, and
    values (m, n_rows).
    """

    name = "fetch"

    def on_strip(
        self, strip: Strip, rows: Sequence[Rows], shared: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        first, stop = np.searchsorted(shared, [strip.start, strip.stop])
        index = shared[first:stop]
        return index, _values(rows, index - strip.start)


def refill(
    products: np.ndarray,
    rows: Sequence[Rows],
    batches: Sequence[Batch],
    weighted: np.ndarray,
    columns: slice,
) -> None:
    """Put into ``(X − shift)ᵀ R`` of a strip what each batch has in place of missing values.

    Parameters
    ----------
    products : (width, K), with what storage fills in; they are changed
    weighted : (n_rows, K), R of all batches
    columns : of the strip
    """
    block = rows[0].blocks[0]
    if not isinstance(block, CodedBlock):
        return
    steps = []
    for batch in batches:
        assert batch.frame.fill is not None
        steps.append(batch.frame.fill[columns] - block.missing.fill)
    if not np.any(steps):
        return
    holes, start = products_of_holes(rows, weighted), 0
    for batch, step in zip(batches, steps, strict=True):
        own = slice(start, start + len(batch.alphas))
        start = own.stop
        if step.any():
            products[:, own] += step[:, None] * holes[:, own]


def standardised(
    products: np.ndarray, weighted: np.ndarray, shift: np.ndarray, frame: Frame
) -> np.ndarray:
    """``X̃ᵀ R`` of a strip's standardised columns from ``(X − shift)ᵀ R``."""
    moved = (shift - frame.centre)[:, None] * weighted.sum(axis=0)
    found: np.ndarray = (products + moved) * np.asarray(frame.inverse_scale)[:, None]
    # they are projected out, or fitted: what is left of them is rounding
    found[np.asarray(frame.unpenalised)] = 0.0
    return found


def scores_of(v: np.ndarray, penalty: Penalty) -> np.ndarray:
    """``N°(v) / λ₁`` of every entry; where there is no λ₁, beyond all others unless it is 0."""
    l1 = np.asarray(penalty.l1 + 0.0 * v)
    size = np.maximum(np.asarray(penalty.size(v)), 0.0)
    over_nothing = np.where(size > 0, BEYOND_ALL, 0.0)
    found = np.divide(size, l1, out=over_nothing, where=l1 > 0)
    return np.minimum(found, BEYOND_ALL).astype(np.float32)


def quota_of(wanted: int, width: int, n_features: int) -> int:
    """Return how many columns a strip of some width may offer."""
    return int(QUOTA_SLACK * wanted * width / n_features) + LEAST_OFFERED


def offer(strip: Strip, rows: Sequence[Rows], chosen: np.ndarray, scores: np.ndarray) -> Offered:
    """Copy some columns of a strip."""
    return Offered(chosen + strip.start, _values(rows, chosen), np.ascontiguousarray(scores))


def _values(rows: Sequence[Rows], columns: np.ndarray) -> np.ndarray:
    pieces = [some.blocks[0].take_columns(columns).as_stored().T for some in rows]
    return np.ascontiguousarray(np.concatenate(pieces, axis=1))


def _largest(scores: np.ndarray) -> np.ndarray:
    """Return the largest score of each column in any of some problems, 0 without any."""
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32)
    found: np.ndarray = scores.max(axis=1)
    return found


def _top(score: np.ndarray, most: int, beyond: float) -> np.ndarray:
    """Return the columns of the largest scores beyond a bar; among equal ones the first."""
    order = np.argsort(-score, kind="stable")[:most]
    return order[score[order] > beyond]
