"""Models are scored on stores: as in memory, from one read, whatever the chunks and the memory."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from sklearn import metrics as theirs

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import MemoryLimitError, ModelError, OptionError, StoreError, ValueFound
from dasklasso.model.path import FittedPath
from dasklasso.options import RunOptions
from dasklasso.scoring import ranking, score
from dasklasso.scoring.score import score_store

N, D, N_ALPHAS = 500, 6, 4
RUN = RunOptions(dashboard=False, in_process=True)


def path_of(loss, n_targets=1, n_alphas=N_ALPHAS, n_features=D):
    """A path of random models; the first one has no features."""
    rng = np.random.default_rng(1)
    coef = rng.standard_normal((n_alphas * n_targets, n_features)) / 2
    coef[:n_targets] = 0
    shape = (n_alphas, n_targets)
    of_problems = np.zeros((n_alphas, 1 if loss == "softmax" else n_targets))
    return FittedPath(
        alphas=2.0 ** -np.arange(n_alphas),
        coef_rows=csr_array(coef),
        intercepts=rng.standard_normal(shape),
        dual_gaps=of_problems,
        objectives=of_problems,
        y_is_vector=n_targets == 1,
        feature_names=[f"x{j}" for j in range(n_features)],
        target_names=[f"y{k}" for k in range(n_targets)],
        loss=loss,
        l1_ratio=1.0,
        penalty_options={},
        alpha_selected=0.5,
        solver="fista",
        tol=1e-6,
        scans=1.0,
        bytes_read=1,
        seconds=1.0,
        peak_memory_bytes=1,
        fingerprint="",
        versions={},
    )


def labels(n_targets=1, n=N):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, D)).round(1)
    y = (rng.random((n, n_targets)) < 1 / (1 + np.exp(-X[:, :n_targets]))).astype(float)
    return X, y, rng.integers(0, 4, n) / 7


class Counted:
    """A block source that notes what is read."""

    def __init__(self, source):
        self.source, self.read = source, []

    def __getattr__(self, name):
        return getattr(self.source, name)

    def block(self, i, j):
        self.read.append((i, j))
        return self.source.block(i, j)


@pytest.fixture
def tiny(monkeypatch):
    """Memory for some tens of rows only."""
    monkeypatch.setattr(score, "DEFAULT_MEMORY", 6000)


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("chunk_columns", [None, 2])
def test_a_path_scored_on_chunks_is_scored_as_in_memory(codec, chunk_columns, make_store, tiny):
    X, y, s = labels(n_targets=2)
    data = make_store(X, y, s, codec=codec, chunk_rows=90, chunk_columns=chunk_columns)
    path = path_of("logistic", n_targets=2)
    found = score_store(data, path, all_alphas=True, run=replace(RUN, band_bytes=6000))
    assert found.n_rows == np.count_nonzero(s)
    assert found.weight == pytest.approx(s.sum(), rel=1e-12)
    for a, alpha in enumerate(path.alphas):
        p = path.predict(X, alpha)
        for k in range(2):
            known = {"sample_weight": s}
            auc = theirs.roc_auc_score(y[:, k], p[:, k], **known)
            loss = theirs.log_loss(y[:, k], 1 / (1 + np.exp(-p[:, k])), **known)
            hits = theirs.accuracy_score(y[:, k], p[:, k] > 0, **known)
            assert found.metrics["auc"][a, k] == pytest.approx(auc, rel=1e-12)
            assert found.metrics["log_loss"][a, k] == pytest.approx(loss, rel=1e-12)
            assert found.metrics["accuracy"][a, k] == pytest.approx(hits, rel=1e-12)


def test_of_squared_loss_r2_is_that_of_scikit_learn(make_store, regression):
    X, y = regression(N, D)
    path = path_of("squared")
    found = score_store(make_store(X, y, chunk_rows=60), path, all_alphas=True, run=RUN)
    for a, alpha in enumerate(path.alphas):
        expected = theirs.r2_score(y, path.predict(X, alpha))
        assert found.metrics["r2"][a, 0] == pytest.approx(expected, rel=1e-11)
    assert found.calibration is None


@pytest.mark.parametrize("memory", [3000, 20_000, 1 << 20])
def test_the_area_has_the_same_bits_whatever_the_memory(memory, make_store, monkeypatch):
    X, y, s = labels(n=1500)
    data = make_store(X, y[:, 0], s, chunk_rows=400)
    whole = score_store(data, path_of("logistic"), all_alphas=True, run=RUN)
    monkeypatch.setattr(score, "DEFAULT_MEMORY", memory)
    found = score_store(data, path_of("logistic"), all_alphas=True, run=RUN)
    assert np.array_equal(found.metrics["auc"], whole.metrics["auc"])


def test_all_alphas_share_one_read_also_where_chunks_are_predicted_piecewise(make_store, tiny):
    X, y, s = labels()
    data = make_store(X, y[:, 0], s, codec="zstd", chunk_rows=90, chunk_columns=2)
    data = replace(data, X=Counted(data.X))
    found = score_store(data, path_of("logistic"), all_alphas=True, run=RUN)
    assert sorted(data.X.read) == [(i, j) for i in range(6) for j in range(3)]
    assert found.scans == 1


def test_one_alpha_is_the_row_of_all_alphas(make_store):
    X, y, s = labels()
    data, path = make_store(X, y[:, 0], s), path_of("logistic")
    every = score_store(data, path, all_alphas=True, run=RUN).rows()
    assert score_store(data, path, run=RUN).rows() == [pytest.approx(every[1])]
    assert score_store(data, path, alpha=0.25, run=RUN).rows() == [pytest.approx(every[2])]


def test_the_calibration_has_all_rows_of_every_target(make_store, tiny):
    X, y, s = labels(n_targets=2)
    found = score_store(make_store(X, y, s, chunk_rows=90), path_of("logistic", 2), bins=5, run=RUN)
    for k, table in enumerate(found.calibration):
        assert len(table) == 5
        assert sum(row["rows"] for row in table) == np.count_nonzero(s)
        total = sum(row["weight"] * row["observed_rate"] for row in table)
        assert total == pytest.approx(s @ y[:, k])


def test_targets_that_are_probabilities_have_a_calibration_and_no_area(make_store):
    X, y, _ = labels()
    found = score_store(make_store(X, 0.2 + 0.6 * y[:, 0]), path_of("logistic"), run=RUN)
    summary = found.summary(one_alpha=True)
    assert summary["metrics"]["auc"] is None
    assert summary["metrics"]["accuracy"] is None
    assert summary["undefined"]["auc"] == "the targets are not all 0 or 1"
    assert np.isfinite(summary["metrics"]["log_loss"])
    assert sum(row["rows"] for row in summary["calibration"]) == N


def test_rows_without_weight_do_not_count(make_store):
    X, y, s = labels()
    kept = s > 0
    path = path_of("logistic")
    found = score_store(make_store(X, y[:, 0], s), path, run=RUN)
    fewer = score_store(make_store(X[kept], y[kept, 0], s[kept]), path, run=RUN)
    assert found.rows() == [pytest.approx(fewer.rows()[0], rel=1e-12)]
    assert found.n_rows == fewer.n_rows


@pytest.mark.parametrize("scale", [2.0**1000, 2.0**-1000])
def test_the_scale_of_weights_does_not_matter(scale, make_store):
    X, y, s = labels()
    found = score_store(make_store(X, y[:, 0], s * scale), path_of("logistic"), run=RUN)
    assert (
        found.rows() == score_store(make_store(X, y[:, 0], s), path_of("logistic"), run=RUN).rows()
    )
    assert found.weight == pytest.approx(s.sum() * scale, rel=1e-12)


def test_one_class_only_is_said_and_the_errors_are_there(make_store):
    X, y, s = labels()
    ones = y[:, 0] == 1
    data = from_arrays(X, y[:, 0], s * ones)
    found = score_store(data, path_of("logistic"), run=RUN).summary(one_alpha=True)
    assert found["undefined"]["auc"] == "all rows have the same target"
    assert found["metrics"]["deviance_explained"] is None
    assert found["metrics"]["brier_score"] > 0


def test_worker_processes_are_not_needed_for_a_read_in_pieces(make_store, tiny):
    X, y, s = labels()
    data = make_store(X, y[:, 0], s, codec="zstd", chunk_rows=90)
    embedded = score_store(data, path_of("logistic"), run=replace(RUN, in_process=False))
    assert embedded.rows() == score_store(data, path_of("logistic"), run=RUN).rows()


def refused(error, message, data, path=None, **options):
    with pytest.raises(error, match=message):
        score_store(data, path or path_of("logistic"), run=RUN, **options)


def test_what_cannot_be_scored_is_refused(make_store):
    X, y, _ = labels()
    data = from_arrays(X, y[:, 0])
    refused(StoreError, "no array y: there is nothing to score", replace(data, y=None))
    refused(
        ModelError, "6 features found, expected the model's 5", data, path_of("squared", 1, 2, 5)
    )
    refused(ModelError, "1 targets found, expected the model's 2", data, path_of("squared", 2))
    refused(OptionError, "alpha=9 is outside", data, alpha=9.0)
    refused(OptionError, "bins: 0 found", data, bins=0)
    refused(OptionError, "give one of them", data, alpha=0.5, all_alphas=True)
    refused(ValueFound, "target y has the value 5, but loss logistic", from_arrays(X, 5 * y[:, 0]))


def test_a_value_of_x_that_is_not_finite_is_refused_by_its_row(make_store, tiny):
    X, y, _ = labels()
    X[321, 2] = np.nan
    refused(ValueFound, "the prediction of row 321 is not a finite", from_arrays(X, y[:, 0]))


def test_a_disk_that_is_too_small_is_said_before_any_work(make_store, tiny, monkeypatch):
    X, y, _ = labels(n=2000)
    monkeypatch.setattr(ranking.shutil, "disk_usage", lambda folder: type("Disk", (), {"free": 9}))
    refused(MemoryLimitError, "Set TMPDIR", from_arrays(X, y[:, 0]))


@pytest.mark.parametrize("delta", [0.3, 2.0])
def test_the_deviance_that_huber_explains_is_relative_to_its_own_best_constant(delta, make_store):
    X, _, s = labels()
    y = X[:, 0] + np.random.default_rng(3).standard_t(1.0, N)
    path = replace(path_of("huber"), penalty_options={"huber_delta": delta})
    found = score_store(make_store(X, y, s, chunk_rows=90), path, run=RUN)

    def mean_loss(p):
        g = np.clip(p - y, -delta, delta)
        return s @ (g * (p - y) - g**2 / 2)

    null = minimize_scalar(mean_loss, bounds=(-5, 5), method="bounded").fun
    expected = 1 - mean_loss(path.predict(X)) / null
    assert found.metrics["deviance_explained"][0, 0] == pytest.approx(expected, rel=1e-6)


def test_the_deviance_of_counts_is_that_of_scikit_learn(make_store):
    X, _, s = labels()
    y = np.random.default_rng(3).poisson(np.exp(X[:, 0])).astype(float)
    path = path_of("poisson")
    found = score_store(make_store(X, y, s, chunk_rows=90), path, run=RUN)
    mean = path.predict(X)
    explained = theirs.d2_tweedie_score(y, mean, sample_weight=s, power=1)
    squared = theirs.mean_squared_error(y, mean, sample_weight=s)
    assert found.metrics["deviance_explained"][0, 0] == pytest.approx(explained, rel=1e-10)
    assert found.metrics["mean_squared_error"][0, 0] == pytest.approx(squared, rel=1e-10)


def of_trees(labels=("ash", "birch", "cedar"), n=N):
    """A softmax path, rows, their codes, and weights of which some are 0."""
    rng = np.random.default_rng(5)
    path = replace(
        path_of("softmax", n_targets=3),
        target_names=[str(label) for label in labels],
        classes=(labels,),
    )
    X = rng.standard_normal((n, D)).round(1)
    codes = (path.linear_prediction(X, 0.25) + rng.gumbel(size=(n, 3))).argmax(axis=1)
    return path, X, codes, rng.integers(0, 4, n) / 7


def test_a_softmax_path_is_scored_as_in_memory_whatever_order_the_store_has_its_names_in(
    make_store, tiny
):
    path, X, codes, s = of_trees()
    data = make_store(X, (codes + 1) % 3, s, codec="zstd", chunk_rows=90, chunk_columns=2)
    data = replace(data, X=Counted(data.X), target_classes=(("cedar", "ash", "birch"),))
    found = score_store(data, path, all_alphas=True, run=replace(RUN, band_bytes=6000))
    assert sorted(data.X.read) == [(i, j) for i in range(6) for j in range(3)]
    assert found.n_rows == np.count_nonzero(s)
    for row, alpha in zip(found.rows(), path.alphas, strict=True):
        p, known = path.predict_proba(X, alpha), {"sample_weight": s}
        hits = theirs.accuracy_score(codes, p.argmax(axis=1), **known)
        areas = [theirs.roc_auc_score(codes == k, p[:, k], **known) for k in range(3)]
        assert row["accuracy"] == pytest.approx(hits, rel=1e-12)
        assert row["log_loss"] == pytest.approx(theirs.log_loss(codes, p, **known), rel=1e-12)
        assert row["auc"] == pytest.approx(np.mean(areas), rel=1e-12)
        assert "target" not in row
    assert found.calibration is found.by_class is None


def test_one_softmax_model_has_a_table_of_classes_and_a_calibration(make_store, tiny):
    path, X, codes, s = of_trees((3, 5, 9))
    found = score_store(make_store(X, np.array([3, 5, 9])[codes], s), path, alpha=0.25, run=RUN)
    summary = found.summary(one_alpha=True)
    assert [row["class"] for row in summary["by_class"]] == [3, 5, 9]
    recall = [row["recall"] for row in summary["by_class"]]
    assert summary["metrics"]["balanced_accuracy"] == pytest.approx(np.mean(recall))
    area = [row["auc"] for row in summary["by_class"]]
    assert summary["metrics"]["auc"] == pytest.approx(np.mean(area), rel=1e-12)
    calibration = summary["calibration"]
    assert sum(row["rows"] for row in calibration) == found.n_rows
    hits = sum(row["weight"] * row["observed_rate"] for row in calibration)
    assert hits / found.weight == pytest.approx(summary["metrics"]["accuracy"])
    assert calibration[0]["lowest"] >= 1 / 3


def test_labels_that_the_softmax_model_does_not_know_are_refused(make_store):
    path, X, codes, _ = of_trees()
    text = replace(from_arrays(X, codes), target_classes=(("ash", "birch", "oak"),))
    row = int(np.argmax(codes == 2))
    refused(ValueFound, f"row {row}: target y is oak, which is none of the model's", text, path)
    refused(ModelError, "are numbers, those of the model are text", from_arrays(X, codes), path)
    refused(ModelError, "2 targets found, expected the model's 1", from_arrays(X, X[:, :2]), path)
    two = replace(path_of("softmax", 2), classes=((0, 1),))
    halves = from_arrays(X, codes / 2)
    refused(ValueFound, "target y is 0.5, which is none of the model's classes", halves, two)
