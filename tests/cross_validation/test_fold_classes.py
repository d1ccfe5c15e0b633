"""Folds of one class: no area under the curve, and nothing chosen by what is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import Dataset, from_arrays
from dasklasso.errors import ValueFound
from dasklasso.fit import fit_cv
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.storage.blocks import MemoryBlocks

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", n_alphas=3, eps=0.3)


def rare(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Of contiguous folds of 20 rows, the second is of class 0 only."""
    X = np.random.default_rng(0).standard_normal((n, 3))
    y = (X[:, 0] > 0).astype(float)
    y[20:40] = 0.0
    return X, y


def choose(data: Dataset, criterion: str = "auc"):
    return fit_cv(data, OPTIONS, CvOptions(3, "contiguous", criterion=criterion), RUN)


def test_a_fold_of_one_class_is_refused_before_the_features_are_read():
    X, y = rare()
    X[3, 1] = np.nan  # which a scan would find
    with pytest.raises(
        ValueFound, match=r"y is 0 in every row of fold 1 \(20\), expected rows with 1"
    ):
        choose(from_arrays(X, y))


def test_it_is_called_by_its_label():
    X, y = rare()
    data = replace(from_arrays(X, y), target_classes=(("good", "bad"),))
    with pytest.raises(ValueFound, match=r"target y is good in every row .* rows with bad too"):
        choose(data)


def test_rows_without_weight_are_of_no_class():
    X, y = rare()
    y[20] = 1.0
    weight = np.ones(60)
    choose(from_arrays(X, y, weight))
    weight[20] = 0.0
    with pytest.raises(ValueFound, match=r"in every row of fold 1 \(19\)"):
        choose(from_arrays(X, y, weight))


def test_folds_of_a_column_may_be_called_by_any_numbers():
    X, y = rare()
    y[20:40] = np.arange(20) % 2
    years = np.repeat([2021, 2019, 2020], 20)[:, None]
    data = replace(from_arrays(X, y), fold=MemoryBlocks(years, (0, 60)))
    found = fit_cv(data, OPTIONS, CvOptions(kind="column", criterion="auc"), RUN)
    runs = choose(from_arrays(X, y)).cross_validation.best.scores
    for name, scores in found.cross_validation.best.scores.items():
        np.testing.assert_allclose(scores, runs[name][:, [1, 2, 0]], atol=1e-6)


def test_a_probability_counts_for_both_classes():
    X, y = rare()
    y[20:40] = 0.2
    assert np.isfinite(choose(from_arrays(X, y)).cross_validation.best.mean_error).all()


def test_the_accuracy_of_probabilities_is_what_is_expected_of_it():
    X = np.sign(rare()[0])
    y = np.where(X[:, 0] > 0, 0.75, 0.25)
    scores = choose(from_arrays(X, y), "accuracy").cross_validation.best.scores["accuracy"]
    assert np.allclose(scores[-1], 0.75)


@pytest.mark.parametrize("criterion", ["loss", "accuracy"])
def test_other_criteria_take_it_and_say_that_it_has_no_area(criterion, tmp_path):
    path = choose(from_arrays(*rare()), criterion)
    best = path.cross_validation.best
    assert np.isfinite(best.mean_error).all()
    assert np.isnan(best.scores["auc"]).tolist() == [[False, True, False]] * 3
    assert path.summary()["auc"] == best.scores["auc"][:, [0, 2]].mean(axis=1).tolist()
    path.save(tmp_path / "m")
    assert "NaN" not in (tmp_path / "m" / "model.json").read_text()


def test_rows_that_train_have_both_classes():
    X, y = rare()
    y[:], y[20:40] = 0.0, 1.0
    data = replace(from_arrays(X, y), target_classes=(("good", "bad"),))
    with pytest.raises(ValueFound, match=r"y is good in every row outside fold 1, .* with bad too"):
        choose(data, "loss")
