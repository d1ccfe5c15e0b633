"""Folds of rows, for problems that are each solved without one of them.

A problem without a fold is in the coordinates of all rows, so that Hessians and points serve both;
what standardised columns cost is told by the spread of the rows that train it. The optimum does
not depend on the coordinates, only on that cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import ValueFound
from dasklasso.objective.ranks import rank_edges
from dasklasso.problem.problem import Problem, penalty_factors, standard_deviations
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import Frame
from dasklasso.scan.gather import Answers
from dasklasso.scan.queries.coded_folds import FoldTotals
from dasklasso.scan.queries.column_moments import (
    Moments,
    merge_moments,
    merged,
    side_by_side,
    target_moments,
)
from dasklasso.scan.queries.folds import (
    ALL,
    FoldGradient,
    FoldHessians,
    FoldMoments,
    Group,
)
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.queries.held_out import (
    RANK_EDGES,
    HeldOut,
    HeldOutClasses,
    Scores,
    predictions,
    ready_to_predict,
    ties_made_equal,
)
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.sample import Sample, SampleRows
from dasklasso.scan.reader import targets_only
from dasklasso.scan.rows import Rows
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import read_rows

RANKED_VALUES = 1 << 24  # predictions that are sorted for areas under curves; more are binned
RANKED_ROWS, RANKED_BYTES = 1 << 14, 32 << 20  # of the sample of rows whose ranks bins are of


@dataclass(frozen=True)
class FoldQueries:
    """What a first scan is asked about folds.

    Attributes
    ----------
    moments : of X's columns over the rows of each fold, where penalties depend on them
    sample : of rows, where predictions are too many to be sorted
    """

    moments: FoldMoments | None
    sample: SampleRows | None

    @property
    def requests(self) -> list[Request]:
        return [Request(one) for one in (self.moments, self.sample) if one is not None]


@dataclass(frozen=True)
class Folds:
    """The folds of some data, and what problems without each of them need.

    Attributes
    ----------
    assignment : FoldAssignment
    n_rows : of the data
    weights : (n_folds,)
        Sum of the weights of each fold's rows.
    training : tuple of Moments, or None
        For each fold, of the columns of X over the rows outside it; None where penalties do not
        depend on them.
    fills : tuple of (n_features,) float64, or None
        For each fold, what stands for missing values of columns that have a code for them: the
        means over the rows outside it.
    sample : Sample or None
        Rows whose predictions are the edges of bins that all rows are ranked by, where these are
        too many to be sorted.
    """

    assignment: FoldAssignment
    n_rows: int
    weights: np.ndarray
    training: tuple[Moments, ...] | None = None
    sample: Sample | None = None
    fills: tuple[np.ndarray, ...] | None = None

    def groups(self, folds: Sequence[int], total_weight: float) -> tuple[Group, ...]:
        """Group problems that leave out the same fold.

        Parameters
        ----------
        folds : of each problem, those of the same fold next to each other
        total_weight : of all rows
        """
        found, start = [], 0
        for fold, run in groupby(folds):
            stop = start + len(list(run))
            found.append(Group(fold, start, stop, self.weight_outside(fold, total_weight)))
            start = stop
        return tuple(found)

    def weight_outside(self, fold: int, total_weight: float) -> float:
        """Return the weight of the rows outside a fold, or of ALL rows."""
        return total_weight - (0.0 if fold == ALL else float(self.weights[fold]))

    def gradient(self, query: Gradient, groups: tuple[Group, ...]) -> FoldGradient:
        """Restrict a query: each problem over the rows of its group."""
        same = {field.name: getattr(query, field.name) for field in fields(Gradient)}
        return FoldGradient(**same, assignment=self.assignment, n_rows=self.n_rows, groups=groups)

    def hessians(self, query: WeightedGrams, folds: Sequence[int]) -> FoldHessians:
        """Restrict a query: each point over the rows outside its fold."""
        same = {field.name: getattr(query, field.name) for field in fields(WeightedGrams)}
        return FoldHessians(
            **same,
            assignment=self.assignment,
            n_rows=self.n_rows,
            folds=tuple(folds),
            totals=tuple(self.weight_outside(fold, query.total_weight) for fold in folds),
        )

    def held_out(
        self, query: Gradient, points: np.ndarray, frame: Frame
    ) -> HeldOut | HeldOutClasses:
        """Return the query for how well points predict the rows that they leave out.

        Parameters
        ----------
        query : from :meth:`gradient`, at the same points
        points : (n_features, K) in standardised coordinates
        """
        assert isinstance(query, FoldGradient)
        if query.loss.n_outputs > 1:
            return HeldOutClasses(
                query.intercepts,
                query.loss,
                self.assignment,
                self.n_rows,
                query.groups,
                query.device,
            )
        return HeldOut(
            query.targets,
            query.intercepts,
            query.loss,
            self.assignment,
            self.n_rows,
            query.groups,
            query.device,
            None if self.sample is None else self._edges(query, points, frame),
        )

    def _edges(
        self, query: FoldGradient, points: np.ndarray, frame: Frame
    ) -> tuple[np.ndarray, ...]:
        """Edges of the bins that rows are ranked by: predictions of the sample."""
        assert self.sample is not None
        rows = Rows(0, [DenseBlock(self.sample.x)], None, None, self.sample.offset)
        edges = [np.zeros(0)] * points.shape[1]
        for group in query.groups:
            if group.fold != ALL:
                own = points[:, group.columns]
                weights, unit = ready_to_predict(own, frame, [len(own)], "cpu")
                found = predictions(rows, weights, query.intercepts[group.columns], "cpu")
                edges[group.columns] = [
                    rank_edges(score, RANK_EDGES) for score in ties_made_equal(found, unit).T
                ]
        return tuple(edges)

    def queries(self, problem: Problem, n_models: int, X: BlockSource, device: str) -> FoldQueries:
        """Return what a scan is asked before problems without a fold are solved.

        Parameters
        ----------
        problem : of all rows
        n_models : that each fold is left out of
        X : of the data
        """
        moments, sample = None, None
        if problem.objective.standardize:
            moments = FoldMoments(self.assignment, self.n_rows, device)
        ranked = problem.loss.gives_probabilities and problem.loss.n_outputs == 1
        if ranked and self.n_rows * n_models > RANKED_VALUES:
            rows = min(RANKED_ROWS, max(1, RANKED_BYTES // (X.shape[1] * X.dtype.itemsize)))
            sample = SampleRows(-(-self.n_rows // rows), seed=1)
        return FoldQueries(moments, sample)

    def with_answers(self, queries: FoldQueries, answers: Answers) -> Folds:
        """Return the same folds, once a scan has answered :meth:`queries`."""
        moments, sample = queries.moments, queries.sample
        return replace(
            self,
            training=None if moments is None else tuple(_moments_outside(answers[moments])),
            sample=None if sample is None else answers[sample],
        )

    def with_moments(self, of_folds: Sequence[Moments | None]) -> Folds:
        """Return the same folds with the moments of the columns over the rows of each."""
        return replace(self, training=tuple(_moments_outside(of_folds)))

    def with_totals(
        self, totals: FoldTotals, stored_fill: np.ndarray, beside: Sequence[Moments | None]
    ) -> Folds:
        """Return the same folds with what sums over the rows of each say, where values are missing.

        Parameters
        ----------
        stored_fill : (n_features,) what storage fills in
        beside : for each fold the moments of the last columns, of which no value is missing;
            None where there are no such columns
        """
        n_coded, n_folds = totals.known.shape[1], len(self.weights)
        outside = [totals.outside(fold, stored_fill[:n_coded]) for fold in range(n_folds)]
        training, fills = zip(*outside, strict=True)
        if n_coded < len(stored_fill):
            pairs = zip(training, _moments_outside(beside), strict=True)
            training = tuple(side_by_side(pair) for pair in pairs)
            fills = tuple(np.concatenate([fill, stored_fill[n_coded:]]) for fill in fills)
        return replace(self, training=training, fills=fills)

    def problem_outside(self, problem: Problem, fold: int) -> Problem:
        """Return the problem of the rows outside a fold, or of ALL rows, from that of all rows.

        Its gaps are relative to the null loss of all rows too, and it has their null intercept.

        Raises
        ------
        ValueFound
            When standardize takes the penalty of a column away that is constant there, and no
            intercept stands for it.
        """
        if fold == ALL:
            return problem
        weight = self.weight_outside(fold, problem.total_weight)
        frame = problem.frame
        if self.training is not None:
            frame = _frame_outside(problem, self.training[fold], fold)
        return replace(
            problem,
            frame=frame,
            total_weight=weight,
            # the squares of a standardised column sum to 1 over all rows
            widest=problem.total_weight / weight,
        )


def _frame_outside(problem: Problem, training: Moments, fold: int) -> Frame:
    """Return the frame of all rows, but with penalties by the spread over the rows that train.

    A column that is constant there is zero once it is standardised: here too it cannot matter.
    """
    objective, frame = problem.objective, problem.frame
    std = standard_deviations(training)
    constant = np.flatnonzero(frame.matters & (std == 0))
    if constant.size and not objective.fit_intercept and training.mean[constant].any():
        column = constant[np.flatnonzero(training.mean[constant])[0]]
        raise ValueFound(
            f"folds: feature {column} is {training.mean[column]:g} in every row outside fold "
            f"{fold}: standardize penalises it by its standard deviation, which is 0 there; leave "
            "it out, take other folds, or fit an intercept"
        )
    # in the coordinates of all rows, u = w · scale, and the penalty is one of w · std
    ratio = std * frame.inverse_scale
    factor = penalty_factors(objective.penalty_factor, problem.n_features)
    return replace(
        frame,
        inverse_scale=np.where(std > 0, frame.inverse_scale, 0.0),
        l1_factor=factor * ratio,
        l2_factor=factor * ratio**2,
    )


def _moments_outside(of_folds: Sequence[Moments | None]) -> Iterator[Moments]:
    """For each fold in order, the moments of all the others merged.

    Never the total less the fold, which would lose digits. Folds are halved again and again, so
    that K folds take K log₂ K merges.
    """

    def outside(some: Sequence[Moments | None], beyond: Moments | None) -> Iterator[Moments | None]:
        if len(some) == 1:
            yield beyond
            return
        middle = len(some) // 2
        for inner, outer in ((some[:middle], some[middle:]), (some[middle:], some[:middle])):
            yield from outside(inner, merged(beyond, reduce(merged, outer)))

    for found in outside(of_folds, None):
        assert found is not None, "every fold has rows"
        yield found


def weights_by_class(data: Dataset, assignment: FoldAssignment, n_classes: int) -> np.ndarray:
    """(n_folds, n_classes) sums of the weights of each class's rows in each fold.

    Parameters
    ----------
    data : Dataset
        Whose target is coded. Its y, its weights and the fold column are read.
    """
    assert data.y is not None
    totals = np.zeros(assignment.n_folds * n_classes)
    for start, stop in pairwise(data.y.row_bounds):
        codes = read_rows(data.y, start, stop)[:, 0].astype(np.intp)
        fold_and_class = assignment.folds_of_rows(start, stop, data.n_rows) * n_classes + codes
        weight = None
        if data.sample_weight is not None:
            weight = read_rows(data.sample_weight, start, stop)[:, 0]
        totals += np.bincount(fold_and_class, weight, minlength=len(totals))
    return totals.reshape(assignment.n_folds, n_classes)


LEAST_WEIGHT_OUTSIDE = 1e-12  # of a fold's own weight
"""Below it, the weight of the rows that train keeps too few digits where it is a difference."""


def folds_of(engine: ScanEngine, assignment: FoldAssignment) -> Folds:
    """Return the folds of some data, from its targets and weights; X is not read.

    Raises
    ------
    ValueFound
        When a fold has no rows of positive weight, or the rows outside it have weights that
        rounding loses, or targets that leave nothing to fit.
    """
    bounds = engine.layout.row_bounds
    n_rows = int(bounds[-1])
    found: list[Moments | None] = [None] * assignment.n_folds
    for i in range(len(bounds) - 1):
        rows = targets_only(engine.table, i)
        assert rows.y is not None
        fold_of = assignment.folds_of_rows(rows.start, int(bounds[i + 1]), n_rows)
        weight = np.ones((len(rows.y), 1)) if rows.weight is None else rows.weight
        for fold in np.unique(fold_of).tolist():
            own = (fold_of == fold) & (weight[:, 0] > 0)
            if own.any():
                here, before = target_moments(rows.y[own], weight[own]), found[fold]
                found[fold] = here if before is None else merge_moments(before, here)
    moments = []
    for fold, one in enumerate(found):
        if one is None:
            raise ValueFound(f"folds: fold {fold} has no rows of positive weight")
        moments.append(one)
    for fold in range(len(moments)):
        others = [other for k, other in enumerate(moments) if k != fold]
        outside = sum(other.weight for other in others)
        # the weight outside is a difference from that of all rows
        if outside <= LEAST_WEIGHT_OUTSIDE * moments[fold].weight:
            raise ValueFound(
                f"folds: the rows of fold {fold} weigh {moments[fold].weight:g} and all others "
                f"{outside:g}, which is lost in rounding; expected weights that are closer"
            )
        least = np.min([other.minimum for other in others], axis=0)
        most = np.max([other.maximum for other in others], axis=0)
        constant = np.flatnonzero(least == most)
        if constant.size:
            raise ValueFound(
                f"folds: target {constant[0]} is {least[constant[0]]:g} in every row outside fold "
                f"{fold}, expected at least two different values"
            )
    return Folds(assignment, n_rows, np.array([one.weight for one in moments]))


def scores_of(scores: Any, k: int) -> dict[str, float]:
    """Return the scores of problem number k, by name; none where a scan was not asked for them."""
    if not isinstance(scores, Scores):
        return {}
    names = [field.name for field in fields(Scores)]
    return {name: float(getattr(scores, name)[k]) for name in names}
