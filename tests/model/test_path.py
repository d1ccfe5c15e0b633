"""A fitted path keeps its numbers through disk, and refuses what does not fit."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import dasklasso
from dasklasso.dataset.checks import NumberedNames
from dasklasso.errors import ModelError, OptionError
from dasklasso.files.seal import sealed
from dasklasso.model import store as model_store
from dasklasso.model.path import FittedPath, load_model


def make_path(n_alphas=4, n_features=6, n_targets=1, *, seed=0, vector=None, **changes):
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(n_alphas * n_targets, n_features))
    dense[rng.random(dense.shape) < 0.5] = 0.0
    values = {
        "alphas": np.geomspace(1.0, 0.01, n_alphas) if n_alphas > 1 else np.array([0.5]),
        "coef_rows": csr_array(dense),
        "intercepts": rng.normal(size=(n_alphas, n_targets)),
        "dual_gaps": rng.random((n_alphas, n_targets)) * 1e-6,
        "objectives": rng.random((n_alphas, n_targets)),
        "y_is_vector": n_targets == 1 if vector is None else vector,
        "feature_names": tuple(f"x{j}" for j in range(n_features)),
        "target_names": tuple(f"y{t}" for t in range(n_targets)),
        "loss": "squared",
        "l1_ratio": 0.75,
        "penalty_options": {"positive": False, "penalty_factor": np.ones(2)},
        "alpha_selected": None,
        "solver": "fista",
        "tol": 1e-6,
        "scans": 12.5,
        "bytes_read": 1 << 40,
        "seconds": 3.25,
        "peak_memory_bytes": 123,
        "fingerprint": "abc",
        "versions": {"dasklasso": "0.1.0"},
    }
    return FittedPath(**{**values, **changes})


def frame(X):
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])


@settings(max_examples=15, deadline=None)
@given(
    n_alphas=st.integers(1, 4),
    n_features=st.integers(1, 9),
    n_targets=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    chunk_values=st.integers(1, 12),
)
def test_saving_and_loading_changes_no_bit(
    tmp_path_factory, n_alphas, n_features, n_targets, seed, chunk_values
):
    path = make_path(n_alphas, n_features, n_targets, seed=seed)
    folder = tmp_path_factory.mktemp("model") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_store, "CHUNK_VALUES", chunk_values)
        path.save(folder)
    loaded = load_model(folder)
    for name in ("alphas", "coef", "intercept", "dual_gap", "objective", "n_nonzero"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(path, name))
    assert loaded.summary() == path.summary()
    assert loaded.feature_names == path.feature_names
    assert loaded.penalty_options == {"positive": False, "penalty_factor": [1.0, 1.0]}


def test_feature_scales_come_back_from_disk(tmp_path):
    scales = np.array([0.0, 1.5, 2.0, 1e-9, 3.0, 1e9])
    make_path(feature_scales=scales).save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").feature_scales, scales)


def test_a_summary_is_json_where_nothing_was_certified():
    gaps = np.array([[1e-9], [np.inf]])
    summary = make_path(2, dual_gaps=gaps, objectives=gaps).summary()
    found = json.loads(json.dumps(summary, allow_nan=False))
    assert found["dual_gap"] == found["objective"] == [1e-9, None]


def test_shapes_follow_y():
    vector, matrix = make_path(vector=True), make_path(vector=False)
    assert (vector.coef.shape, vector.intercept.shape) == ((4, 6), (4,))
    assert (matrix.coef.shape, matrix.intercept.shape) == ((4, 6, 1), (4, 1))
    several = make_path(n_targets=3)
    assert (several.coef.shape, several.intercept.shape) == ((4, 6, 3), (4, 3))
    assert several.dual_gap.shape == several.n_nonzero.shape == several.objective.shape == (4,)


def test_coef_has_one_row_of_the_sparse_table_per_alpha_and_target():
    path = make_path(n_targets=3)
    np.testing.assert_array_equal(path.coef[2, :, 1], path.coef_rows.toarray()[2 * 3 + 1])


def test_the_gap_of_an_alpha_is_its_worst_target():
    path = make_path(n_alphas=1, n_targets=2, dual_gaps=np.array([[1e-9, 1e-3]]))
    assert path.dual_gap == [1e-3]
    assert not path.converged


def test_n_nonzero_counts_a_feature_once_however_many_targets_use_it():
    rows = csr_array(np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]]))
    path = make_path(1, 3, 2, coef_rows=rows)
    assert path.n_nonzero.tolist() == [2]


@pytest.mark.parametrize("n_targets", [1, 3])
def test_prediction_is_x_times_coef_plus_intercept(n_targets):
    path = make_path(n_targets=n_targets)
    X = np.random.default_rng(1).normal(size=(5, 6))
    for i, alpha in enumerate(path.alphas):
        np.testing.assert_allclose(
            path.predict(X, alpha), X @ path.coef[i] + path.intercept[i], rtol=1e-12
        )


@pytest.mark.parametrize("n_targets", [1, 3])
def test_probabilities_of_a_logistic_model_are_those_of_its_predictions(n_targets):
    path = make_path(n_targets=n_targets, loss="logistic")
    X = np.random.default_rng(1).normal(size=(5, 6))
    odds = np.exp(path.predict(X, alpha=0.01))
    assert np.allclose(path.predict_proba(X, alpha=0.01), odds / (1 + odds), rtol=1e-12)


def test_a_squared_model_has_no_probabilities():
    with pytest.raises(ModelError, match="loss squared has no probabilities"):
        make_path().predict_proba(np.zeros((2, 6)), alpha=0.01)


def test_prediction_between_two_alphas_is_interpolated():
    path = make_path()
    X = np.random.default_rng(1).normal(size=(5, 6))
    middle = (path.alphas[1] + path.alphas[2]) / 2
    expected = (path.predict(X, path.alphas[1]) + path.predict(X, path.alphas[2])) / 2
    np.testing.assert_allclose(path.predict(X, middle), expected, rtol=1e-12)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_an_alpha_outside_the_grid_is_refused(factor):
    path = make_path()
    alpha = path.alphas[0 if factor > 1 else -1] * factor
    with pytest.raises(OptionError, match=r"outside the fitted alphas, 0\.01 to 1"):
        path.predict(np.ones((1, 6)), alpha)


def test_an_alpha_of_eight_printed_digits_means_the_one_on_the_grid():
    path = make_path(alphas=np.array([1.0, 2 / 3, 0.3, 1 / 7]))
    X = np.ones((1, 6))
    assert path.predict(X, float(f"{1 / 7:.8g}")) == path.predict(X, 1 / 7)


def test_without_alpha_the_selected_one_predicts():
    path = make_path()
    chosen = make_path(alpha_selected=float(path.alphas[2]))
    X = np.ones((2, 6))
    np.testing.assert_array_equal(chosen.predict(X), path.predict(X, path.alphas[2]))


def test_without_alpha_the_only_one_predicts():
    path = make_path(n_alphas=1)
    assert path.predict(np.ones((2, 6))).shape == (2,)


def test_without_alpha_and_selection_predict_asks_for_one():
    with pytest.raises(OptionError, match="alpha is needed: the model has 4 alphas"):
        make_path().predict(np.ones((1, 6)))


def test_a_wrong_number_of_features_is_refused():
    with pytest.raises(ModelError, match=r"shape \(3, 5\), expected \(n_rows, 6\)"):
        make_path().predict(np.ones((3, 5)), 0.5)


def test_a_frame_predicts_as_its_values():
    path, X = make_path(), np.random.default_rng(1).normal(size=(5, 6))
    np.testing.assert_array_equal(path.predict(frame(X), 0.5), path.predict(X, 0.5))


def test_columns_of_a_frame_are_found_by_name_and_others_ignored():
    X = frame(np.random.default_rng(1).normal(size=(5, 6)))
    shuffled = X.assign(y="other")[["x4", "y", "x2", "x1", "x3", "x0", "x5"]]
    path = make_path()
    np.testing.assert_array_equal(path.predict(shuffled, 0.5), path.predict(X, 0.5))


def test_every_column_that_a_frame_lacks_is_named():
    X = frame(np.ones((2, 6))).drop(columns=["x1", "x4"])
    with pytest.raises(ModelError, match="X has no columns 'x1', 'x4', which the model expects"):
        make_path().predict(X, 0.5)


def test_a_column_that_a_frame_has_twice_is_refused():
    X = frame(np.ones((2, 6)))
    with pytest.raises(ModelError, match="expected one of each name"):
        make_path().predict(pd.concat([X, X[["x0"]]], axis=1), 0.5)


def test_every_chunk_is_written_also_where_all_coefficients_are_zero(tmp_path):
    make_path(coef_rows=csr_array((4, 6))).save(tmp_path / "m")
    chunks = [p for p in (tmp_path / "m/coef.zarr/coef/c").rglob("*") if p.is_file()]
    assert len(chunks) == 4


def test_any_zarr_reader_sees_the_coefficients(tmp_path):
    path = make_path(n_targets=2)
    path.save(tmp_path / "m")
    group = zarr.open_group(str(tmp_path / "m/coef.zarr"), mode="r")
    np.testing.assert_array_equal(group["coef"][:], path.coef)


def test_many_feature_names_go_to_zarr_and_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(model_store, "NAMES_IN_JSON", 3)
    names = ("température", "", "a\nb", "d", "日本", "x5")
    make_path(feature_names=names).save(tmp_path / "m")
    assert json.loads((tmp_path / "m/model.json").read_text())["feature_names"] is None
    assert load_model(tmp_path / "m").feature_names == names


def test_ten_million_numbered_names_are_kept_as_a_prefix_and_a_count(tmp_path):
    names = NumberedNames("x", 10_000_000)
    rows = csr_array(([1.0], ([0], [9_999_999])), shape=(1, 10_000_000))
    make_path(1, feature_names=names, coef_rows=rows).save(tmp_path / "m")
    assert (tmp_path / "m/model.json").stat().st_size < 4000
    loaded = load_model(tmp_path / "m")
    assert loaded.feature_names == names
    assert loaded.coef_rows.indices.tolist() == [9_999_999]


def test_nothing_is_pickled(tmp_path):
    make_path().save(tmp_path / "m")
    suffixes = {p.name for p in (tmp_path / "m").iterdir()}
    assert suffixes == {"model.json", "coef.zarr"}
    assert not any(b"\x80\x04" in p.read_bytes()[:2] for p in tmp_path.rglob("*") if p.is_file())


def test_an_existing_model_is_kept_unless_told(tmp_path):
    make_path(seed=1).save(tmp_path / "m")
    with pytest.raises(OptionError, match="exists already"):
        make_path(seed=2).save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").coef, make_path(seed=1).coef)


def test_a_model_whose_replacement_was_cut_off_is_found_again(tmp_path, cut_off):
    make_path(seed=1).save(tmp_path / "m")
    cut_off(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").coef, make_path(seed=1).coef)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_overwriting_replaces_the_model_and_leaves_nothing_beside(tmp_path):
    make_path(seed=1).save(tmp_path / "m")
    make_path(seed=2).save(tmp_path / "m", overwrite=True)
    np.testing.assert_array_equal(load_model(tmp_path / "m").coef, make_path(seed=2).coef)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("place", [".", "coef.zarr", "coef.zarr/coef"])
def test_a_model_that_others_put_something_in_is_not_overwritten(tmp_path, place):
    make_path().save(tmp_path / "m")
    (tmp_path / "m" / place / "notes.txt").write_text("years of work")
    with pytest.raises(OptionError, match=r"m is not overwritten: .*notes.txt in it is not of a"):
        make_path().save(tmp_path / "m", overwrite=True)
    assert (tmp_path / "m" / place / "notes.txt").exists()


def test_a_folder_that_is_no_model_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OptionError, match="is not a model"):
        make_path().save(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(model_store, "_write_coef", full_disk)
    with pytest.raises(OSError, match="No space"):
        make_path().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def chunk_of(folder: Path, array: str) -> Path:
    return sorted(p for p in (folder / "coef.zarr" / array / "c").rglob("*") if p.is_file())[0]


@pytest.mark.parametrize("array", ["coef", "alphas", "intercept", "dual_gap", "objective"])
def test_a_missing_chunk_is_an_error_not_zeros(tmp_path, array):
    make_path().save(tmp_path / "m")
    chunk = chunk_of(tmp_path / "m", array)
    chunk.unlink()
    with pytest.raises(ModelError, match=f"{chunk} is missing"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("array", ["coef", "alphas"])
def test_a_flipped_bit_is_an_error_that_names_the_file(tmp_path, array):
    make_path().save(tmp_path / "m")
    chunk = chunk_of(tmp_path / "m", array)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(ModelError, match=f"{chunk} is damaged"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a dasklasso model"),
        ('{"format": "other"}', "is not a dasklasso model"),
        ('{"format": "dasklasso-model", "version": 99}', "model version 99, this dasklasso reads"),
        ('{"format": "dasklasso-model", "version": 1}', "has no entry 'target_names'"),
        ('{"format": "dasklasso-model", "version": 2}', "has no seal"),
    ],
)
def test_a_foreign_document_is_refused_by_name(tmp_path, text, message):
    make_path().save(tmp_path / "m")
    document = json.loads((tmp_path / "m/model.json").read_text())
    names = {"feature_names": document["feature_names"]} if "version" in text else {}
    try:
        text = json.dumps({**json.loads(text), **names}) if names else text
    finally:
        (tmp_path / "m/model.json").write_text(text)
    with pytest.raises(ModelError, match=f"model.json.*{message}"):
        load_model(tmp_path / "m")


def test_a_document_that_does_not_fit_the_arrays_is_refused(tmp_path):
    make_path().save(tmp_path / "m")
    document = json.loads((tmp_path / "m/model.json").read_text())
    document["feature_names"].pop()
    (tmp_path / "m/model.json").write_text(json.dumps(sealed(document)))
    with pytest.raises(ModelError, match=r"coef has shape \(4, 6, 1\), expected \(4, 5, 1\)"):
        load_model(tmp_path / "m")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere is not a saved model: there is no such folder"):
        load_model(tmp_path / "nowhere")


def test_a_model_without_its_arrays_is_named(tmp_path):
    make_path().save(tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "coef.zarr")
    with pytest.raises(ModelError, match=r"coef\.zarr cannot be read: No such file"):
        load_model(tmp_path / "m")


def test_loading_needs_no_dask(tmp_path):
    make_path().save(tmp_path / "m")
    code = (
        "import sys, dasklasso; dasklasso.load_model(sys.argv[1]);"
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], check=True)


def test_importing_dasklasso_imports_nothing_heavy():
    code = "import sys, dasklasso; assert not {'numpy', 'zarr', 'dask', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lasso'"):
        dasklasso.lasso  # noqa: B018


def test_a_path_of_many_features_is_shown_in_two_lines():
    path = make_path(n_alphas=4, n_features=5_000, solver="newton")
    shown = repr(path).splitlines()
    assert len(shown) == 2
    assert "loss squared, 4 alphas from 1 to 0.01" in shown[0]
    assert "of 5,000 features" in shown[0]
    assert f"worst gap {path.dual_gap.max():.2g}, asked for 1e-06, solver newton" in shown[1]
