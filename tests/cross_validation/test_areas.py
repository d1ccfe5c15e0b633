"""Areas under curves of folds: exact, or within a bound that is told; shown as themselves."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dasklasso.cross_validation.error_curve import CrossValidation, RatioChoice
from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import contiguous_edges
from dasklasso.errors import OptionError
from dasklasso.fit import fit_cv, fit_path
from dasklasso.options import CvOptions, FitOptions, RunOptions

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", n_alphas=3, eps=0.05, tol=1e-9)
FOLDS = CvOptions(3, "contiguous", criterion="auc")


def heavy_tailed(n=300):
    rng = np.random.default_rng(4)
    X = rng.exponential(size=(n, 4)) ** 4
    p = X @ rng.normal(size=4) * 0.3
    return X, (p + rng.logistic(size=n) > np.quantile(p, 0.9)).astype(float)


@pytest.fixture(scope="module")
def fitted():
    return fit_cv(from_arrays(*heavy_tailed()), OPTIONS, FOLDS, RUN)


def test_areas_are_those_of_fits_by_hand(fitted):
    X, y = heavy_tailed()
    fold = np.searchsorted(contiguous_edges(len(y), 3), np.arange(len(y)), side="right") - 1
    found = fitted.cross_validation.best.scores
    assert "auc_bound" not in found
    for k in range(3):
        own, data = fold == k, from_arrays(X[fold != k], y[fold != k])
        alone = fit_path(data, replace(OPTIONS, alphas=tuple(fitted.alphas)), RUN)
        for i, alpha in enumerate(fitted.alphas):
            expected = roc_auc_score(y[own], alone.predict(X[own], alpha))
            assert found["auc"][i, k] == pytest.approx(expected, abs=1e-12)


def test_more_predictions_than_are_sorted_are_binned_and_the_bound_is_told(fitted, monkeypatch):
    monkeypatch.setattr("dasklasso.problem.folds.RANKED_VALUES", 0)
    monkeypatch.setattr("dasklasso.problem.folds.RANKED_ROWS", 60)
    exact = fitted.cross_validation.best.scores["auc"]
    found = fit_cv(from_arrays(*heavy_tailed()), OPTIONS, FOLDS, RUN)
    scores = found.cross_validation.best.scores
    assert found.scans == fitted.scans
    assert 0 < scores["auc_bound"].max() < 0.05
    assert np.all(np.abs(scores["auc"] - exact) <= scores["auc_bound"] + 1e-9)
    assert found.summary()["auc_bound"] == scores["auc_bound"].mean(axis=1).tolist()


def test_binned_areas_do_not_depend_on_who_computes_them(monkeypatch, make_store):
    monkeypatch.setattr("dasklasso.problem.folds.RANKED_VALUES", 0)
    monkeypatch.setattr("dasklasso.problem.folds.RANKED_ROWS", 60)
    data = make_store(*heavy_tailed(), chunk_rows=40)
    found = [
        fit_cv(data, OPTIONS, FOLDS, replace(RUN, band_bytes=3000, in_process=alone))
        for alone in (True, False)
    ]
    one, other = (path.cross_validation.best.scores for path in found)
    for name in ("loss", "auc", "auc_bound"):
        assert np.array_equal(one[name], other[name])


def test_the_area_is_shown_as_itself(fitted, tmp_path):
    from dasklasso.model.path import load_model

    best = fitted.cross_validation.best
    assert np.array_equal(best.mean_score, best.scores["auc"].mean(axis=1))
    assert fitted.summary()["mean_auc"] == best.mean_score.tolist()
    rows = best.table()
    assert [row["mean_auc"] for row in rows] == best.mean_score.tolist()
    assert [row["auc_fold_1"] for row in rows] == best.scores["auc"][:, 1].tolist()
    assert not any("error" in name for name in rows[0] if name != "standard_error")
    fitted.save(tmp_path / "m")
    kept = load_model(tmp_path / "m")
    assert np.array_equal(kept.cross_validation.best.mean_score, best.mean_score)
    assert kept.alpha_selected == fitted.alpha_selected == best.alphas[best.mean_score.argmax()]


# -- choosing where scores are missing -------------------------------------------------------------


def curve(auc, l1_ratio=1.0):
    auc = np.asarray(auc)
    alphas, folds = np.geomspace(1.0, 0.1, len(auc)), np.ones(auc.shape[1])
    return CrossValidation(alphas, l1_ratio, -auc, folds, 0 * auc, "auc", {"auc": auc})


def test_an_alpha_without_an_area_on_every_fold_is_never_chosen():
    found = curve([[0.6, 0.7], [np.nan, 0.99], [0.65, 0.8]])
    assert found.index_min == 2
    assert found.index_1se == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(found.mean_scores["auc"][1])


def test_where_no_alpha_has_one_nothing_is_chosen():
    found = curve([[0.6, np.nan], [0.7, np.nan]])
    with pytest.raises(OptionError, match="no alpha has an area under the curve on every fold"):
        found.index_min  # noqa: B018
    assert found.mean_scores["auc"].tolist() == [0.6, 0.7]  # of the fold that has some


def test_an_l1_ratio_without_one_is_not_chosen_where_another_has_some():
    none, some = curve([[np.nan, 0.9]], 0.5), curve([[0.6, 0.7]], 1.0)
    assert RatioChoice((none, some)).best is some
    assert RatioChoice((some, none)).best is some
