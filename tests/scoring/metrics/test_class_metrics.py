"""Metrics of several classes agree with scikit-learn's, and their sums add up over rows."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as theirs

from dasklasso.objective.losses.softmax import Softmax
from dasklasso.objective.ranks import area_under_curve
from dasklasso.scoring.metrics import class_metrics as of_classes
from dasklasso.scoring.metrics.metrics import metrics_for
from dasklasso.scoring.metrics.target_summary import summarise_classes


def judged(prediction, codes, weight, calibrated=False):
    """The judge, sums of two sets of rows, and areas by ranking and model."""
    y, n_classes = codes[:, None].astype(float), prediction.shape[2]
    cut = len(y) // 2
    halves = (slice(None, cut), slice(cut, None))
    targets = summarise_classes([(y[h], weight[h]) for h in halves], n_classes)
    judge = metrics_for(Softmax(n_classes), targets, calibrated=calibrated)
    sums = sum(judge.sums(prediction[h], y[h], weight[h]) for h in halves)
    areas = [
        [area_under_curve(score, own, weight) for score in scores.T]
        for scores, own in judge.outcomes(prediction, y)
    ]
    return judge, sums, np.reshape(areas, (len(areas), prediction.shape[1]))


def some_rows(n_classes, more, seed, n_models=2):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.append(np.arange(n_classes), rng.integers(0, n_classes, more)))
    prediction = rng.normal(size=(len(codes), n_models, n_classes)).round(1)  # with ties
    return prediction, codes, rng.exponential(size=len(codes))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 6), st.integers(0, 30), st.integers(0, 9999))
def test_all_as_in_scikit_learn(n_classes, more, seed):
    prediction, codes, s = some_rows(n_classes, more, seed)
    judge, sums, areas = judged(prediction, codes, s)
    found = judge.metrics(sums) | {"auc": judge.areas(areas)}
    assert set(found) == set(judge.names)
    known = {"sample_weight": s}
    for m, p in enumerate(softmax(prediction, axis=2).transpose(1, 0, 2)):
        for one in (p, Softmax(n_classes).mean(prediction)[:, m]):  # rounded in two ways
            steps = np.diff(np.sort(one, axis=0), axis=0)
            assume(not np.any((steps > 0) & (steps < 1e-12)))  # ties but for rounding
        best = prediction[:, m].argmax(axis=1)
        area = [theirs.roc_auc_score(codes == k, p[:, k], **known) for k in range(n_classes)]
        expected = {
            "accuracy": theirs.accuracy_score(codes, best, **known),
            "balanced_accuracy": theirs.balanced_accuracy_score(codes, best, **known),
            "auc": np.mean(area),
            "log_loss": theirs.log_loss(codes, p, **known),
            "deviance_explained": theirs.d2_log_loss_score(codes, p, **known),
        }
        one = {name: values[m, 0] for name, values in found.items()}
        assert one == pytest.approx(expected, rel=1e-9, abs=1e-12)
    p, best = softmax(prediction[:, 0], axis=1), prediction[:, 0].argmax(axis=1)
    table = judge.by_class(sums, areas)
    for name, score in (("recall", theirs.recall_score), ("precision", theirs.precision_score)):
        expected = score(codes, best, average=None, zero_division=np.nan, **known)
        assert [row[name] for row in table] == pytest.approx(expected, rel=1e-10, nan_ok=True)
    shares = np.bincount(codes, s) / s.sum()
    assert [row["share"] for row in table] == pytest.approx(shares)


def test_a_class_without_rows_has_no_area_and_takes_none_from_others():
    prediction, codes, s = some_rows(3, 20, 0)
    kept = codes != 1
    prediction, codes, s = prediction[kept], codes[kept], s[kept]
    judge, sums, areas = judged(prediction, codes, s)
    p = softmax(prediction[:, 0], axis=1)
    expected = [theirs.roc_auc_score(codes == k, p[:, k], sample_weight=s) for k in (0, 2)]
    found = [row["auc"] for row in judge.by_class(sums, areas)]
    assert found == pytest.approx([expected[0], np.nan, expected[1]], nan_ok=True)


def test_a_class_without_rows_has_no_area_and_does_not_count_otherwise():
    prediction, codes, s = some_rows(3, 20, 0)
    kept = codes != 1
    judge, sums, areas = judged(prediction[kept], codes[kept], s[kept])
    assert judge.undefined()["auc"] == ["classes without a row: 1 of 3"]
    assert np.isnan(judge.areas(areas)).all()
    recall = [row["recall"] for row in judge.by_class(sums, areas)]
    assert np.isnan(recall[1])
    found = judge.metrics(sums)
    assert found["balanced_accuracy"][0, 0] == pytest.approx(np.nanmean(recall))
    assert np.isfinite(found["deviance_explained"]).all()


def test_rows_of_one_class_leave_the_errors_defined():
    prediction, _, s = some_rows(3, 20, 0)
    judge, sums, _ = judged(prediction, np.full(len(s), 2), s)
    found = judge.metrics(sums)
    assert np.isnan(found["deviance_explained"]).all()
    assert np.isfinite(found["log_loss"]).all()
    assert np.array_equal(found["accuracy"], found["balanced_accuracy"])


def test_of_very_many_classes_no_rows_are_sorted(monkeypatch):
    monkeypatch.setattr(of_classes, "MOST_RANKED", 2)
    judge, sums, areas = judged(*some_rows(3, 20, 0))
    assert judge.undefined()["auc"] == ["the model has more than 2 classes"]
    assert len(areas) == 0
    assert np.isnan(judge.areas(areas)).all()
    assert np.isnan([row["auc"] for row in judge.by_class(sums, areas)]).all()


def test_what_is_calibrated_is_the_most_probable_class():
    prediction, codes, s = some_rows(3, 20, 0, n_models=1)
    judge, _, _ = judged(prediction, codes, s, calibrated=True)
    confidence, hit = judge.outcomes(prediction, codes[:, None].astype(float))[-1]
    p = softmax(prediction[:, 0], axis=1)
    assert confidence[:, 0] == pytest.approx(p.max(axis=1))
    assert np.array_equal(hit, p.argmax(axis=1) == codes)
    assert not judge.rankings()[-1].has_area
