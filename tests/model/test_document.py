"""What ``model.json`` says is checked when it is read: a wrong type is one line."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_array

from dasklasso.dataset.schema import Schema
from dasklasso.errors import ModelError
from dasklasso.model.path import FittedPath, load_model

NAMES = ("a", "t=x", "t=y")


@pytest.fixture
def saved(tmp_path):
    path = FittedPath(
        alphas=np.array([0.5]),
        coef_rows=csr_array([[1.0, 0.0, 2.0]]),
        intercepts=np.array([[0.25]]),
        dual_gaps=np.array([[0.0]]),
        objectives=np.array([[1.0]]),
        y_is_vector=True,
        feature_names=NAMES,
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
        schema=Schema(
            feature_names=NAMES,
            levels={"t": ("x", "y")},
            missing_levels=frozenset(),
            means=np.array([np.pi, 0.5, 0.5]),
            dtype="float32",
            missing="mean",
        ),
    )
    path.save(tmp_path / "m")
    return tmp_path / "m"


def change(saved, **entries):
    document = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps({**document, **entries}))


def test_a_schema_is_saved_with_its_means(saved):
    schema = load_model(saved).schema
    assert schema.means.tolist() == [np.pi, 0.5, 0.5]
    assert schema.levels == {"t": ("x", "y")}
    assert schema.feature_names == load_model(saved).feature_names


@pytest.mark.parametrize(
    ("entry", "value", "expected"),
    [
        ("loss", 5, "one of squared"),
        ("loss", ["squared"], "one of squared"),
        ("l1_ratio", "1", "a number"),
        ("tol", True, "a number"),
        ("y_is_vector", 1, "true or false"),
        ("target_names", "y", "a list of texts"),
        ("feature_names", ["a", 3, "c"], "a list of texts"),
        ("feature_names", {"prefix": "x", "count": "3"}, "a prefix and a count"),
        ("alpha_selected", "0.5", "a number or null"),
        ("classes", [3], "a list of lists of labels"),
        ("explained", [["a"]], "a list of lists of numbers"),
        ("cross_validation", 3, "an object or null"),
        ("penalty_options", [], "an object"),
        ("has_offset", "yes", "true, false or null"),
        ("schema", "none", "an object or null"),
        ("bytes_read", 1.5, "a whole number"),
    ],
)
def test_an_entry_of_another_type_is_named(saved, entry, value, expected):
    change(saved, **{entry: value})
    with pytest.raises(ModelError, match=rf"model.json: {entry} is .*, expected .*{expected}"):
        load_model(saved)


def test_a_fault_of_the_schema_is_named(saved):
    schema = json.loads((saved / "model.json").read_text())["schema"]
    change(saved, schema={**schema, "levels": {"t": ["x", "z"]}})
    with pytest.raises(ModelError, match=r"model.json: schema: levels do not make the names"):
        load_model(saved)


def test_means_that_are_missing_are_named(saved):
    import shutil

    shutil.rmtree(saved / "coef.zarr" / "feature_means")
    with pytest.raises(ModelError, match="feature_means"):
        load_model(saved)
