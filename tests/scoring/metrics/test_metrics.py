"""Metrics agree with scikit-learn's, and their sums add up over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from dasklasso.errors import OptionError
from dasklasso.objective.losses.registry import loss_named
from dasklasso.scoring.metrics.metrics import NOT_LABELS, SAME_TARGETS, check_scorable, metrics_for
from dasklasso.scoring.metrics.target_summary import summarise

seeds = st.integers(0, 10_000)


def judged(loss, prediction, y, weight, cut=None):
    """Metrics of predictions (n, n_models, n_targets), from sums over two sets of rows."""
    cut = len(y) // 2 if cut is None else cut
    judge = metrics_for(
        loss_named(loss), summarise([(y[:cut], weight[:cut]), (y[cut:], weight[cut:])])
    )
    halves = (slice(None, cut), slice(cut, None))
    return judge.metrics(sum(judge.sums(prediction[h], y[h], weight[h]) for h in halves))


def some_rows(seed, *, labels=False):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    y = rng.integers(0, 2, (n, 2)) if labels else 100 + rng.standard_normal((n, 2))
    y[:2] = [[0, 1], [1, 0]]  # both labels in each target
    prediction = 3 * rng.standard_normal((n, 3, 2)) + (0 if labels else 99)
    return prediction, y.astype(float), rng.exponential(size=n)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_squared_loss_as_in_scikit_learn(seed):
    prediction, y, s = some_rows(seed)
    found = judged("squared", prediction, y, s)
    for m in range(3):
        for k in range(2):
            given_ = {"y_true": y[:, k], "y_pred": prediction[:, m, k], "sample_weight": s}
            assert found["r2"][m, k] == pytest.approx(theirs.r2_score(**given_), rel=1e-10)
            mse, mae = theirs.mean_squared_error(**given_), theirs.mean_absolute_error(**given_)
            assert found["mean_squared_error"][m, k] == pytest.approx(mse, rel=1e-10)
            assert found["mean_absolute_error"][m, k] == pytest.approx(mae, rel=1e-10)
            assert found["deviance_explained"][m, k] == pytest.approx(found["r2"][m, k], rel=1e-10)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_logistic_loss_as_in_scikit_learn(seed):
    prediction, y, s = some_rows(seed, labels=True)
    found = judged("logistic", prediction, y, s)
    for m in range(3):
        for k in range(2):
            p, label = prediction[:, m, k], y[:, k].astype(int)
            probability = 1 / (1 + np.exp(-p))
            loss = theirs.log_loss(label, probability, sample_weight=s)
            brier = theirs.brier_score_loss(label, probability, sample_weight=s)
            accuracy = theirs.accuracy_score(label, p > 0, sample_weight=s)
            explained = theirs.d2_log_loss_score(label, probability, sample_weight=s)
            assert found["log_loss"][m, k] == pytest.approx(loss, rel=1e-10)
            assert found["brier_score"][m, k] == pytest.approx(brier, rel=1e-10)
            assert found["accuracy"][m, k] == pytest.approx(accuracy, rel=1e-10)
            assert found["deviance_explained"][m, k] == pytest.approx(
                explained, rel=1e-9, abs=1e-12
            )


@given(seeds, st.integers(1, 3))
def test_where_rows_are_cut_does_not_matter(seed, cut):
    rows = some_rows(seed)
    whole, parts = judged("squared", *rows), judged("squared", *rows, cut=cut)
    for name in whole:
        assert np.allclose(parts[name], whole[name], rtol=1e-10)


def test_of_probabilities_a_perfect_prediction_explains_all_the_deviance():
    y = np.asarray([[0.1], [0.4], [0.9]])
    found = judged("logistic", np.log(y / (1 - y))[:, None, :], y, np.ones(3))
    assert found["deviance_explained"] == pytest.approx(1.0, abs=1e-14)
    entropy = -np.mean(y * np.log(y) + (1 - y) * np.log(1 - y))
    assert found["log_loss"] == pytest.approx(entropy, rel=1e-12)
    assert np.isnan(found["accuracy"]).all()


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_the_best_constant_explains_nothing(loss):
    y, s = np.asarray([[0.0], [1.0], [1.0], [0.0]]), np.asarray([1.0, 2.0, 3.0, 0.5])
    mean = float(s @ y[:, 0] / s.sum())
    constant = mean if loss == "squared" else np.log(mean / (1 - mean))
    found = judged(loss, np.full((4, 1, 1), constant), y, s)
    assert found["deviance_explained"] == pytest.approx(0.0, abs=1e-14)


def test_what_is_undefined_has_a_reason_by_target():
    y = np.asarray([[0.0, 0.5, 1.0], [1.0, 0.2, 1.0]])
    reasons = metrics_for(loss_named("logistic"), summarise([(y, np.ones(2))])).undefined()
    assert reasons["auc"] == [None, NOT_LABELS, SAME_TARGETS]
    assert reasons["accuracy"] == [None, NOT_LABELS, None]
    assert reasons["deviance_explained"] == [None, None, SAME_TARGETS]


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_targets_that_are_all_the_same_leave_the_errors_defined(loss):
    found = judged(loss, np.ones((3, 1, 1)), np.ones((3, 1)), np.ones(3))
    assert np.isnan(found["deviance_explained"]).all()
    assert np.isfinite(found["mean_squared_error" if loss == "squared" else "log_loss"]).all()


def test_a_loss_without_metrics_is_refused():
    with pytest.raises(OptionError, match="models of none cannot be scored"):
        check_scorable("none")
