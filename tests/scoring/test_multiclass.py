"""Metrics of several classes agree with scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from dasklasso.scoring import multiclass


@settings(deadline=None)
@given(st.integers(3, 6), st.integers(0, 5), st.integers(0, 9999), st.booleans())
def test_all_as_in_scikit_learn(n_classes, more, seed, weighted):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.append(np.arange(n_classes), rng.integers(0, n_classes, more)))
    probabilities = rng.dirichlet(np.ones(n_classes), len(labels)).round(2) + 0.01  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    s = rng.exponential(size=len(labels)) if weighted else None
    known = (probabilities, labels, s)
    hits = theirs.accuracy_score(labels, probabilities.argmax(axis=1), sample_weight=s)
    loss = theirs.log_loss(labels, probabilities, sample_weight=s)
    assert multiclass.accuracy(*known) == pytest.approx(hits, rel=1e-12)
    assert multiclass.log_loss(*known) == pytest.approx(loss, rel=1e-12)
    areas = [
        theirs.roc_auc_score(labels == k, probabilities[:, k], sample_weight=s)
        for k in range(n_classes)
    ]
    assert multiclass.one_vs_rest_auc(*known) == pytest.approx(np.mean(areas), rel=1e-12)


def test_a_label_of_probability_0_costs_infinity():
    assert multiclass.log_loss(np.eye(3), np.asarray([0, 1, 1])) == np.inf


def test_rows_without_weight_do_not_count():
    p, weight = np.eye(3), np.asarray([1.0, 1.0, 0.0])
    assert multiclass.log_loss(p, np.asarray([0, 1, 1]), weight) == 0
    assert multiclass.accuracy(p, np.asarray([0, 1, 1]), weight) == 1


def test_a_class_without_rows_has_no_area():
    assert np.isnan(multiclass.one_vs_rest_auc(np.eye(3), np.asarray([0, 1, 1])))
