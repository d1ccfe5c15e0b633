"""A kind of block that no query knows gives every query the answers that dense blocks give."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.sparse import csr_array, vstack

from dasklasso.backend import backend_for
from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme
from dasklasso.fit import fit_cv, fit_path
from dasklasso.moments.accumulator import GramAccumulator
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.softmax import Softmax
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.folds import Folds
from dasklasso.scan import reader
from dasklasso.scan.bad_values import FirstBadValue
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.column_moments import ColumnMoments
from dasklasso.scan.queries.folds import ALL, FoldMoments
from dasklasso.scan.queries.gradient import Gradient, LossGradient
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.prediction import Prediction
from dasklasso.scan.queries.sample import SampleRows
from dasklasso.scan.rows import Rows


@dataclass(frozen=True, eq=False)
class SparseBlock(ColumnBlock):
    """``(stored − shift) · scale``, of which only ``stored`` is there, as a CSR matrix."""

    stored: csr_array
    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, values):
        width = values.shape[1]
        return cls(csr_array(values), np.zeros(width), np.ones(width))

    @property
    def shape(self):
        return self.stored.shape

    @property
    def dtype(self):
        return self.stored.dtype

    def take_rows(self, rows):
        return replace(self, stored=self.stored[rows])

    def take_columns(self, columns):
        some = self.stored[:, columns]
        return SparseBlock(some, self.shift[columns], self.scale[columns])

    @classmethod
    def stacked(cls, blocks):
        return replace(blocks[0], stored=csr_array(vstack([one.stored for one in blocks])))

    def dense(self):
        return (self.stored.toarray() - self.shift) * self.scale

    def slabs(self, height, dtype, backend, shift=None):
        for start in range(0, self.shape[0], height):
            slab = self.stored[start : start + height].astype(dtype)
            yield replace(self, stored=slab, shift=self.shift + (0.0 if shift is None else shift))

    def standardised(self, centre, inverse_scale):
        shift, scale = self.shift + centre / self.scale, self.scale * inverse_scale
        return replace(self, shift=shift, scale=scale)

    def times(self, coef):
        scaled = self.scale[:, None] * coef
        return self.stored @ scaled - self.shift @ scaled

    def transposed_times(self, residual):
        found = self.stored.T @ residual - np.outer(self.shift, residual.sum(axis=0))
        return self.scale[:, None] * found

    def sums(self, weight):
        ones = np.ones((self.shape[0], 1)) if weight is None else weight
        return self.transposed_times(ones)[:, 0]

    def squares(self, weight, centre, unit):
        return DenseBlock(self.dense()).squares(weight, centre, unit)

    def row_squares(self):
        return (self.dense() ** 2).sum(axis=1)

    def extremes(self):
        return DenseBlock(self.dense()).extremes()

    def finite(self):
        clean, bad = DenseBlock(self.dense()).finite()
        return SparseBlock.of(clean.dense()), bad

    def first_bad(self):
        return DenseBlock(self.dense()).first_bad()


N, WIDTHS = 150, (4, 3, 5, 2)
D = sum(WIDTHS)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D)) * (rng.random((N, D)) < 0.4)
    X[:, 2] += 3.0
    return X, rng


@pytest.fixture(scope="module")
def rows():
    """The same rows: all of their blocks dense, all of them sparse, and both kinds in turn."""
    X, rng = drawn()
    edges = np.cumsum([0, *WIDTHS])
    arrays = [X[:, a:b] for a, b in itertools.pairwise(edges)]
    y = rng.integers(0, 2, (N, 1)).astype(float)
    weight, offset = rng.uniform(0.5, 2, (N, 1)), rng.standard_normal((N, 1))
    dense, sparse = [DenseBlock(one) for one in arrays], [SparseBlock.of(one) for one in arrays]
    mixed = [dense[0], sparse[1], sparse[2], dense[3]]
    return [Rows(0, blocks, y, weight, offset) for blocks in (dense, sparse, mixed)]


def inputs_of(k, seed=1):
    rng = np.random.default_rng(seed)
    X = drawn()[0]
    shift = np.where(np.arange(D) == 2, 3.0, 0.0)
    frame = Frame(shift, X.mean(axis=0), rng.uniform(0.5, 2, D), np.ones(D), np.ones(D))
    points = rng.standard_normal((D, k)) * (rng.random((D, 1)) < 0.5)
    return points, frame


def arrays_of(answer):
    if isinstance(answer, LossGradient):
        return [answer.gradient, *(x for x in vars(answer.sums).values() if x is not None)]
    if isinstance(answer, list):
        return [
            x
            for one in answer
            for x in ([one] if isinstance(one, np.ndarray) else vars(one).values())
        ]
    return list(vars(answer).values())


def agree(query, rows, inputs=()):
    found = [
        arrays_of(query.finish(query.on_rows(some, query.prepare(inputs, some.widths)), inputs))
        for some in rows
    ]
    assert len(found[0]) > 0
    for other in found[1:]:
        for one, expected in zip(other, found[0], strict=True):
            assert np.allclose(one, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


FOLDS = Folds(FoldAssignment(FoldScheme("random", 3), 3), N, np.array([60.0, 70.0, 80.0]))
GRADIENT = Gradient((0,) * 3, (0.0,), 200.0, loss=Logistic(), intercepts=(0.1, 0.2, 0.3))
GROUPS = FOLDS.groups([ALL, 0, 2], 200.0)


@pytest.mark.parametrize("k", [3, 20])  # few points, and so many that unused columns are left out
def test_gradients(rows, k):
    query = replace(GRADIENT, targets=(0,) * (k - 1), intercepts=(0.1,) * (k - 1))
    agree(query, rows, inputs_of(k))


def test_gradients_of_parts(rows):
    found = []
    for some in rows:
        inputs = inputs_of(3)
        prepared = GRADIENT.prepare(inputs, some.widths)
        residual, _ = GRADIENT.residual(some, [GRADIENT.predict_part(some, prepared)])
        found.append(GRADIENT.gradient_part(some, residual, prepared))
    assert np.allclose(found[1], found[0], rtol=1e-12, atol=1e-12)
    assert np.allclose(found[2], found[0], rtol=1e-12, atol=1e-12)


def test_gradients_without_folds(rows):
    agree(FOLDS.gradient(GRADIENT, GROUPS), rows, inputs_of(3))


@pytest.mark.parametrize("folds", [None, [1, ALL, 0]])
def test_hessians(rows, folds):
    columns = (np.arange(D), np.array([0, 2, 5, 12]), np.zeros(0, dtype=int))
    query = WeightedGrams(
        (0,) * 3, (0.0,), 200.0, (0.1, 0.2, 0.3), columns, Logistic(), dtype="float64"
    )
    agree(query if folds is None else FOLDS.hessians(query, folds), rows, inputs_of(3))


def test_scores_of_folds(rows):
    inputs = inputs_of(3)
    agree(FOLDS.held_out(FOLDS.gradient(GRADIENT, GROUPS), *inputs), rows, inputs)


def test_scores_of_folds_with_classes(rows):
    query = replace(GRADIENT, targets=(0, 1) * 2, loss=Softmax(2), intercepts=(0.1, 0.2, 0.3, 0.4))
    query = FOLDS.gradient(query, FOLDS.groups([1, 1, 2, 2], 200.0))
    inputs = inputs_of(4)
    agree(FOLDS.held_out(query, *inputs), rows, inputs)


@pytest.mark.parametrize("query", [ColumnMoments(), FoldMoments(FOLDS.assignment, N)])
def test_moments_of_columns(query, rows):
    agree(query, rows)


def test_samples_of_rows(rows):
    agree(SampleRows(4), [replace(some, offset=some.weight) for some in rows])


@pytest.mark.parametrize("row_by_row", [False, True])
def test_predictions(row_by_row, rows):
    coef = np.random.default_rng(0).standard_normal((D, 2))
    query = Prediction((0.0, 0.0), row_by_row=row_by_row)
    found = [query.of_rows(some, coef) for some in rows]
    assert np.allclose(found[1], found[0], rtol=1e-12, atol=1e-12)
    assert np.allclose(found[2], found[0], rtol=1e-12, atol=1e-12)


def test_the_first_value_that_is_not_finite():
    X = drawn()[0][:, :4]
    X[17, 2] = np.nan
    rows = Rows(5, [SparseBlock.of(X[:, :2]), SparseBlock.of(X[:, 2:])], None, None)
    row, column, value = FirstBadValue().on_rows(rows, None)
    assert (row, column) == (22, 2)
    assert np.isnan(value)


def test_second_moments(rows):
    found = []
    for some in rows:
        accumulator = GramAccumulator(
            D, 1, np.dtype(float), np.dtype(float), weighted=True, backend=backend_for("cpu")
        )
        accumulator.add(some, np.arange(N) % 2)
        found.append([one.products for one in accumulator.moments().values()])
    assert np.allclose(found[1], found[0], rtol=1e-12, atol=1e-12)
    assert np.allclose(found[2], found[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "solver"),
    [("squared", "gram"), ("squared", "fista"), ("logistic", "newton"), ("logistic", "prox_sgd")],
)
def test_whole_fits(loss, solver, monkeypatch):
    X, rng = drawn()
    y = (X @ rng.standard_normal(D) + rng.logistic(size=N) > 0).astype(float)
    tol = 1e-3 if solver == "prox_sgd" else 1e-10
    options = FitOptions(loss=loss, solver=solver, alphas=(0.05, 0.02), tol=tol)
    run = RunOptions(in_process=True)

    def fits():
        path = fit_path(from_arrays(X, y), options, run)
        if solver in ("fista", "prox_sgd"):
            return [path.coef]
        curve = fit_cv(from_arrays(X, y), options, CvOptions(3), run).cross_validation.best
        return [path.coef, curve.error_path]

    expected = fits()
    monkeypatch.setattr(reader, "DenseBlock", SparseBlock.of)
    for one, other in zip(fits(), expected, strict=True):
        assert np.allclose(one, other, rtol=1e-6, atol=1e-8)
