"""What ``model.json`` says is checked when it is read: a wrong type is one line."""

import json
import re
import shutil

import numpy as np
import pytest
from scipy.sparse import csr_array

from dasklasso.dataset.schema import Schema
from dasklasso.errors import ModelError
from dasklasso.files.seal import files_in, sealed
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
    (saved / "model.json").write_text(json.dumps(sealed({**document, **entries})))


def test_a_schema_is_saved_with_its_means(saved):
    schema = load_model(saved).schema
    assert schema.means.tolist() == [np.pi, 0.5, 0.5]
    assert schema.levels == {"t": ("x", "y")}
    assert schema.feature_names == load_model(saved).feature_names


@pytest.mark.parametrize(
    ("entry", "value", "expected"),
    [
        ("loss", 5, "text"),
        ("loss", "lasso", "one of squared"),
        ("l1_ratio", "1", "a number"),
        ("tol", True, "a number"),
        ("y_is_vector", 1, "true or false"),
        ("target_names", "y", "a list"),
        ("target_names", [], "1 item"),
        ("feature_names", 5, "a list or an object"),
        ("feature_names[1]", ["a", 3, "c"], "text"),
        ("feature_names.count", {"prefix": "x", "count": "3"}, "a whole number"),
        ("feature_names.count", {"prefix": "x", "count": 10**30}, "at most"),
        ("alpha_selected", "0.5", "a number"),
        ("alpha_selected", float("nan"), "a finite number"),
        ("classes[0]", [3], "a list"),
        ("explained[0][0]", [["a"]], "a number"),
        ("cross_validation", 3, "an object"),
        ("penalty_options", [], "an object"),
        ("penalty_options.huber_delta", {"huber_delta": -1.0}, "more than 0"),
        ("has_offset", "yes", "true or false"),
        ("schema", "none", "an object"),
        ("bytes_read", 1.5, "a whole number"),
        ("bytes_read", -1, "at least 0"),
    ],
)
def test_an_entry_of_another_type_is_named(saved, entry, value, expected):
    change(saved, **{re.split(r"[.[]", entry)[0]: value})
    place = re.escape(entry)
    with pytest.raises(ModelError, match=rf"model.json: {place} is .*, expected .*{expected}"):
        load_model(saved)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"format": ' + "9" * 5_000 + "}", "is not JSON: Exceeds the limit"),
        ('{"format": "a", "format": "b"}', "the key 'format' is there twice"),
        ("{", "is not JSON"),
        ("\x00", "is not JSON"),
    ],
    ids=["depth", "digits", "twice", "cut off", "zeros"],
)
def test_json_that_cannot_be_read_is_one_line(saved, text, expected):
    (saved / "model.json").write_text(text)
    with pytest.raises(ModelError, match=rf"model.json .*{expected}") as caught:
        load_model(saved)
    assert len(str(caught.value)) < 500


def test_a_document_that_is_not_utf8_is_one_line(saved):
    (saved / "model.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match=r"model.json is not UTF-8"):
        load_model(saved)


def edit(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda m: edit(m / "model.json", alpha_selected=0.5), "model.json: was changed"),
        (lambda m: edit(m / "model.json", target_names=["z"]), "model.json: was changed"),
        (lambda m: edit(m / "model.json", version=1), "model.json: was changed"),
        (lambda m: edit(m / "model.json", seal=None), "model.json: has no seal"),
        (
            lambda m: edit(m / "coef.zarr/coef/zarr.json", data_type="int64"),
            "coef.zarr/coef/zarr.json was changed",
        ),
        (
            lambda m: shutil.copy(m / "coef.zarr/alphas/c/0", m / "coef.zarr/intercept/c/0/0"),
            "coef.zarr/intercept/c/0/0 was changed or replaced",
        ),
        (lambda m: (m / "coef.zarr/more").touch(), "coef.zarr/more is no file of"),
        (lambda m: (m / "coef.zarr/zarr.json").unlink(), "coef.zarr/zarr.json is missing"),
    ],
    ids=["alpha", "names", "version", "seal", "type", "chunk", "foreign", "missing"],
)
def test_a_model_is_read_as_it_was_written_or_refused(saved, damage, expected):
    damage(saved)
    with pytest.raises(ModelError, match=expected):
        load_model(saved)


def test_a_note_beside_the_model_is_let_be(saved):
    (saved / "notes.txt").write_text("the best so far")
    assert load_model(saved).n_features == 3


def test_a_model_of_the_version_without_seals_is_read_as_before(saved):
    path = saved / "model.json"
    document = json.loads(path.read_text())
    del document["seal"], document["files"]
    path.write_text(json.dumps({**document, "version": 1}))
    assert load_model(saved).n_features == 3


@pytest.mark.parametrize(
    ("array", "change", "expected"),
    [
        ("coef", {"shape": [1, 10**13, 1]}, "no more than .* can hold"),
        ("intercept", {"data_type": "int64"}, "has dtype int64, expected float64"),
        ("coef", {"shape": [1, 2, 1]}, r"has shape \(1, 2, 1\), expected \(1, 3, 1\)"),
    ],
    ids=["huge", "type", "shape"],
)
def test_what_sealed_metadata_say_is_not_trusted_either(saved, array, change, expected):
    edit(saved / "coef.zarr" / array / "zarr.json", **change)
    path = saved / "model.json"
    path.write_text(json.dumps(sealed(json.loads(path.read_text()), files_in(saved / "coef.zarr"))))
    with pytest.raises(ModelError, match=f"coef.zarr/{array} .*{expected}"):
        load_model(saved)


def test_a_fault_of_the_schema_is_named(saved):
    schema = json.loads((saved / "model.json").read_text())["schema"]
    change(saved, schema={**schema, "levels": {"t": ["x", "z"]}})
    with pytest.raises(ModelError, match=r"model.json: schema: levels do not make the names"):
        load_model(saved)


def test_means_that_are_missing_are_named(saved):
    shutil.rmtree(saved / "coef.zarr" / "feature_means")
    with pytest.raises(ModelError, match="feature_means"):
        load_model(saved)
