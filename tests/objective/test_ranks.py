"""Areas under curves agree with scikit-learn's, and do not depend on how rows come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dasklasso.objective.ranks import (
    AreaUnderCurve,
    area_under_curve,
    binned_area,
    groups,
    rank_bins,
    rank_edges,
)


@st.composite
def scored_rows(draw, weights):
    """Scores with many ties, labels of both kinds, weights or None."""
    n = draw(st.integers(2, 40))
    score = draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
    label = draw(
        st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda y: 0 < sum(y) < n)
    )
    weight = draw(st.lists(weights, min_size=n, max_size=n))
    return np.asarray(score, float), np.asarray(label, float), np.asarray(weight, float)


@given(scored_rows(st.floats(0.01, 100)))
def test_ties_and_weights_count_as_in_scikit_learn(rows):
    score, y, weight = rows
    expected = roc_auc_score(y, score, sample_weight=weight)
    assert area_under_curve(score, y, weight) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@given(scored_rows(st.floats(0.01, 100)), st.integers(1, 7))
def test_the_bits_do_not_depend_on_where_chunks_are_cut(rows, size):
    order = np.argsort(rows[0], kind="stable")
    score, y, weight = (column[order] for column in rows)
    area = AreaUnderCurve()
    cuts = [slice(k, k + size) for k in range(0, len(score), size)]
    for found in groups((score[c], y[c], weight[c]) for c in cuts):
        area.add(found)
    assert area.value == area_under_curve(*rows)


@given(scored_rows(st.integers(0, 3)))
def test_a_weight_is_a_number_of_copies(rows):
    score, y, weight = rows
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    copied = area_under_curve(score[copies], y[copies])
    assert area_under_curve(score, y, weight) == pytest.approx(copied, rel=1e-12, nan_ok=True)


@given(scored_rows(st.just(1.0)))
def test_the_area_of_the_opposite_score_is_the_rest(rows):
    score, y, _ = rows
    assert area_under_curve(-score, y) == pytest.approx(1 - area_under_curve(score, y), abs=1e-14)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_label_has_no_area(label):
    assert np.isnan(area_under_curve(np.arange(3.0), np.full(3, label)))


# -- areas of rows in bins -------------------------------------------------------------------------


def binned(score, y, weight, edges):
    place, n_bins = rank_bins(score, edges), 2 * len(edges) + 1
    counts = [np.bincount(place, weight * own, n_bins)[:, None] for own in (1 - y, y)]
    return [float(one[0]) for one in binned_area(*counts)]


@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=60),
    st.lists(st.floats(-3, 3), max_size=20),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_a_binned_area_is_off_by_no_more_than_its_bound(score, sample, most, random):
    score = np.round(np.asarray(score), random.choice([0, 1, 9]))  # with ties, few or many
    y = np.array([0.0, 1.0] + [random.choice([0.0, 1.0, 0.3]) for _ in score[2:]])
    weight = np.array([random.choice([0.5, 1.0, 7.0]) for _ in score])
    sample = np.asarray(sample) if random.random() < 0.5 else score[::3]
    area, bound = binned(score, y, weight, rank_edges(sample, most))
    exact = area_under_curve(score, y, weight)
    assert 0 <= bound <= 0.5 + 1e-12
    assert abs(area - exact) <= bound + 1e-12


@given(scored_rows(st.floats(0.01, 100)))
def test_bins_of_equal_scores_are_exact(rows):
    score, y, weight = rows
    area, bound = binned(score, y, weight, np.unique(score))
    assert bound == 0
    assert area == pytest.approx(area_under_curve(score, y, weight), rel=1e-12, abs=1e-14)


def test_the_bound_falls_with_the_number_of_bins_however_heavy_the_tails():
    rng = np.random.default_rng(0)
    score = np.exp(10 * rng.standard_normal(20_000))
    y = (rng.random(20_000) < 0.3).astype(float)
    bounds = [binned(score, y, np.ones(20_000), rank_edges(score[::4], k))[1] for k in (20, 200)]
    assert 0.4 / 20 < bounds[0] < 0.6 / 20
    assert 0.4 / 200 < bounds[1] < 0.6 / 200


def test_rows_of_one_label_have_no_binned_area():
    assert np.isnan(binned(np.arange(3.0), np.ones(3), np.ones(3), np.array([1.0]))).all()
