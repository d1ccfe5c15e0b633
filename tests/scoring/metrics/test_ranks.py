"""Areas under curves agree with scikit-learn's, and do not depend on how rows come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dasklasso.scoring.metrics.ranks import AreaUnderCurve, area_under_curve, groups


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
