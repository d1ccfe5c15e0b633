"""A store that was ingested by itself is predicted for by the names of its features."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import ModelError
from dasklasso.model.path import FittedPath
from dasklasso.model.store_features import model_for


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"a": rng.normal(size=12), "t": list("xyz") * 4, "b": rng.normal(size=12), "y": range(12)}
    )


def stored(frame, folder, name, **options):
    frame.to_csv(folder / f"{name}.csv", index=False)
    ingest(folder / f"{name}.csv", folder / name, target="y", **options)
    return open_dataset(folder / name)


@pytest.fixture
def trained(frame, tmp_path):
    data = stored(frame, tmp_path, "train")
    path = FittedPath(
        alphas=np.array([0.5]),
        coef_rows=csr_array([[1.0, 2.0, 3.0, 4.0, 5.0]]),
        intercepts=np.array([[0.25]]),
        dual_gaps=np.array([[0.0]]),
        objectives=np.array([[1.0]]),
        y_is_vector=True,
        feature_names=data.feature_names,
        target_names=["y"],
        loss="squared",
        l1_ratio=1.0,
        penalty_options={},
        alpha_selected=None,
        solver="gram",
        tol=1e-6,
        scans=1.0,
        bytes_read=10,
        seconds=0.1,
        peak_memory_bytes=10,
        fingerprint="f",
        versions={},
        schema=data.schema,
    )
    return path, data


def test_the_store_that_was_fitted_on_needs_nothing(trained):
    path, data = trained
    assert model_for(path, data, of="m") == (path, [])


def test_features_are_found_by_name_and_others_ignored(trained, frame, tmp_path):
    path, _ = trained
    data = stored(frame[["b", "t", "y", "a"]].assign(c=frame.a * 2), tmp_path, "month")
    moved, notes = model_for(path, data, of="m")
    assert data.feature_names == ("b", "t=x", "t=y", "t=z", "a", "c")
    assert moved.coef.tolist() == [[5, 2, 3, 4, 1, 0]]
    assert notes == [f"{data.location}: features that are not in the model are ignored: c."]


def test_a_level_that_a_store_lacks_is_zero(trained, frame, tmp_path):
    path, _ = trained
    data = stored(frame[frame.t != "y"], tmp_path, "month")
    assert data.feature_names == ("a", "t=x", "t=z", "b")
    assert model_for(path, data, of="m")[0].coef.tolist() == [[1, 2, 4, 5]]


def test_a_level_that_training_never_met_is_refused_unless_asked(trained, frame, tmp_path):
    path, _ = trained
    data = stored(frame.replace({"t": {"y": "w"}}), tmp_path, "month")
    with pytest.raises(ModelError, match="feature 't=w' is a level that m never met"):
        model_for(path, data, of="m")
    moved, _ = model_for(path, data, of="m", unseen="zero")
    assert moved.coef.tolist() == [[1, 0, 2, 4, 5]]


def test_features_that_a_store_lacks_are_all_named(trained, frame, tmp_path):
    path, _ = trained
    data = stored(frame[["t", "y"]], tmp_path, "month")
    with pytest.raises(ModelError, match="has no features 'a', 'b', which m expects"):
        model_for(path, data, of="m")


def test_a_store_that_was_filled_with_its_own_means_is_named(trained, frame, tmp_path):
    path, _ = trained
    frame.loc[3, "b"] = np.nan
    data = stored(frame, tmp_path, "month", missing="mean")
    _, [note] = model_for(path, data, of="m")
    assert "missing values of b were filled with" in note
    assert "ingest TABLE STORE --schema m" in note
