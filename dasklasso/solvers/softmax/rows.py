"""Rows held in memory, for a softmax loss: exact sums over them, and the shares of classes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import reduce
from itertools import pairwise

import numpy as np

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.loss_sums import LossSums
from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem, gradient_query
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.gather import gather
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.queries.gradient import LossGradient
from dasklasso.scan.queries.held_out import Scores
from dasklasso.scan.queries.sample import Sample
from dasklasso.scan.rows import Rows
from dasklasso.scan.runners import threads_each
from dasklasso.scan.slabs import slabs
from dasklasso.scan.threads import blas_threads
from dasklasso.solvers.certificate_scan import check_finite

PIECE_BYTES = 4 << 20  # of rows: fewer are not worth a thread of their own


@dataclass(frozen=True)
class Seen:
    """What a pass over rows showed of K points, C columns each.

    Attributes
    ----------
    gradient : (n_features, K · C) float64, of the mean loss in standardised coordinates
    sums : LossSums of the K · C columns, over the total weight
    bytes_read : int
    scores : of the rows that each problem leaves out, where these were asked for
    """

    gradient: np.ndarray
    sums: LossSums
    bytes_read: int
    scores: Scores | None = None

    def between(self, start: int, stop: int, n_classes: int) -> Seen:
        """Take the part of some of the points."""
        own, scores = slice(start * n_classes, stop * n_classes), self.scores
        if scores is not None:
            parts = (getattr(scores, field.name)[start:stop] for field in fields(scores))
            scores = Scores(*parts)
        return Seen(self.gradient[:, own], self.sums[own], 0, scores)


@dataclass(frozen=True)
class Pass:
    """One pass over all rows at K points, C columns each.

    Attributes
    ----------
    problem : Problem
    frame : as the engine placed it
    points : (n_features, K · C) float64
    intercepts : (K · C,)
    dtype : precision of products
    device : as in :func:`dasklasso.backend.backend_for`
    folds : Folds or None
    left_out : (K,)
        The fold that each of the points is trained without, the same ones next to each other; in
        float64 there are scores of the rows left out.
    """

    problem: Problem
    frame: PlacedFrame
    points: np.ndarray
    intercepts: np.ndarray
    dtype: str
    device: str
    folds: Folds | None = None
    left_out: tuple[int, ...] = ()

    def ask(self, engine: ScanEngine) -> Seen:
        """Run the scan.

        Raises
        ------
        ValueFound
            Where X holds values that are not finite.
        """
        problem, folds, frame, intercepts = self.problem, self.folds, self.frame, self.intercepts
        classes = np.tile(np.arange(problem.n_targets), len(intercepts) // problem.n_targets)
        query = gradient_query(
            problem,
            classes.tolist(),
            self.dtype,
            self.device,
            intercepts if problem.steps_intercept else None,
        )
        chunked = engine.by_columns(self.points)
        held_out: Query[Scores] | None = None
        also: list[Request] = []
        if folds is not None and any(fold != ALL for fold in self.left_out):
            of_columns = np.repeat(self.left_out, problem.n_targets).tolist()
            query = folds.gradient(query, folds.groups(of_columns, problem.total_weight))
            if self.dtype == "float64":
                held_out = folds.held_out(query, self.points, problem.frame)
                also = [Request(held_out, (chunked, frame))]
        found = gather(engine, chunked, engine.gradient(query, chunked, frame, also))
        check_finite(found.sums.finite)
        scores = None if held_out is None else found[held_out]
        return Seen(to_numpy(found.gradient), found.sums, found.bytes_read, scores)


class HeldRows:
    """All rows of some data, or a sample of them, and the problem that they are.

    Parameters
    ----------
    sample : Sample
    problem : Problem
        Of all rows: standardised coordinates are the same.

    Attributes
    ----------
    whole : whether they are all rows of positive weight
    problem : Problem
        Of these rows: with their total weight, frequencies of classes and null model.
    lacks_a_class : whether some class has no row here, so that its intercept has no best value
    share : (n_rows,) float64, weights that sum to one
    """

    def __init__(self, sample: Sample, problem: Problem, *, whole: bool) -> None:
        self.whole = whole
        self._sample = sample
        self._x = sample.x
        total = sample.total_weight
        weight = np.ones(len(sample.x)) if sample.weight is None else sample.weight[:, 0]
        self.share = weight / total
        codes, n_classes = sample.y[:, 0].astype(np.int64), problem.n_targets
        frequency = np.bincount(codes, self.share, n_classes)
        self.lacks_a_class = problem.steps_intercept and bool(np.any(frequency == 0))
        if whole:
            self.problem = problem
        elif self.lacks_a_class:
            self.problem = replace(problem, total_weight=total)
        else:
            b, loss = problem.loss.null_model(  # type: ignore[misc]
                frequency,
                np.zeros(n_classes),
                fit_intercept=problem.steps_intercept,
            )
            self.problem = replace(problem, total_weight=total, null_intercept=b, null_loss=loss)
        pieces = min(threads_each(None), max(1, self._x.nbytes // PIECE_BYTES))
        edges = np.linspace(0, self.n_rows, pieces + 1).astype(int).tolist()
        whole_rows = Rows(0, [DenseBlock(self._x)], sample.y, sample.weight, sample.offset)
        self._rows = [whole_rows.between(a, b) for a, b in pairwise(edges)]

    @property
    def n_rows(self) -> int:
        return len(self._x)

    def without(self, fold: int, labels: np.ndarray, problem: Problem) -> HeldRows:
        """Return the same rows, those of a fold with weight zero.

        Parameters
        ----------
        labels : (n_rows,) of all rows of the data
        problem : of the rows that are left
        """
        sample = self._sample
        weight = np.ones((self.n_rows, 1)) if sample.weight is None else sample.weight
        kept = np.where(labels[sample.places] == fold, 0.0, weight[:, 0])[:, None]
        return HeldRows(replace(sample, weight=kept), problem, whole=self.whole)

    def see(self, u: np.ndarray, b: np.ndarray, dtype: str) -> Seen:
        """Loss and gradient at K points, u (n_features, K · C) and b (K · C,)."""
        problem = self.problem
        classes = [*range(problem.n_targets)] * (len(b) // problem.n_targets)
        known = b if problem.steps_intercept else None
        query = gradient_query(problem, classes, dtype, "cpu", known)
        prepared = query.prepare([u, problem.frame], [len(u)])

        def piece(rows: Rows) -> LossGradient:
            return query.on_rows(rows, prepared)

        if len(self._rows) == 1:
            value = piece(self._rows[0])
        else:
            with blas_threads(), ThreadPoolExecutor(len(self._rows)) as pool:
                value = reduce(query.combine, pool.map(piece, self._rows))
        found = query.finish(value, [u, problem.frame])
        check_finite(found.sums.finite)
        return Seen(found.gradient, found.sums, 0)

    def probabilities(self, u: np.ndarray, b: np.ndarray, dtype: str) -> np.ndarray:
        """(n_rows, C) of each class at one point, in ``dtype``."""
        backend, kind, loss = backend_for("cpu"), np.dtype(dtype), self.problem.loss
        weights = kernels.stored_points(u, self.problem.frame, [len(u)], kind, backend)
        constant = (weights.constant + b).astype(kind)
        out = np.empty((self.n_rows, len(b)), kind)

        def piece(start: int, stop: int) -> None:
            rows = Rows(start, [DenseBlock(self._x[start:stop])], None, None)
            for i, j, blocks in slabs(rows, weights.shifts, kind, backend, len(b)):
                prediction = kernels.predict(blocks, weights) + constant
                out[start + i : start + j] = loss.mean(prediction)

        if len(self._rows) == 1:
            piece(0, self.n_rows)
            return out
        edges = [rows.start for rows in self._rows] + [self.n_rows]
        with blas_threads(), ThreadPoolExecutor(len(self._rows)) as pool:
            for _ in pool.map(piece, edges[:-1], edges[1:]):
                pass
        return out

    def standardised(self, rows: np.ndarray | slice, columns: np.ndarray, dtype: str) -> np.ndarray:
        """(n, n_columns + 1): some columns of some rows, and a last column of ones."""
        kind, frame = np.dtype(dtype), self.problem.frame[columns]
        block = self._x[rows]
        out = np.empty((len(block), len(columns) + 1), kind)
        part = out[:, :-1]
        part[...] = block if len(columns) == self._x.shape[1] else block[:, columns]
        # what is exact in this precision is taken off first: mean >> std would cancel
        part -= frame.shift.astype(kind)
        part -= (frame.centre - frame.shift).astype(kind)
        part *= frame.inverse_scale.astype(kind)
        out[:, -1] = 1.0
        return out
