"""A schema is read as it was written, or what is wrong with it is said in a phrase."""

import numpy as np
import pytest

from dasklasso.dataset.schema import Schema, TargetColumn, alike

NAMES = ("age", "kind=elm", "kind=oak", "kind=<missing>", "size")


def schema(**changes):
    entries = {
        "feature_names": NAMES,
        "levels": {"kind": ("elm", "oak")},
        "missing_levels": frozenset({"kind"}),
        "means": np.array([40.5, 0.5, 0.25, 0.25, np.pi]),
        "dtype": "float32",
        "missing": "mean",
        "types": ("int64", "string", "double"),
        "targets": (TargetColumn("y", ("no", "yes")), TargetColumn("z")),
        "weight": "w",
        "offset": "prior",
        "dropped": ("id",),
        "index_base": 1,
        **changes,
    }
    return Schema(**entries)


def read(document, names=NAMES, means=None):
    means = schema().means if means is None else means
    return Schema.from_json(document, feature_names=names, means=means)


def test_columns_are_found_behind_their_features():
    assert dict(schema().columns) == {"age": 0, "kind": 1, "size": 4}
    assert schema().fill("size") == np.pi


def test_a_schema_comes_back_as_it_was_written():
    document = schema().to_json()
    again = read(document)
    assert again.to_json() == document
    assert again.types == schema().types
    assert again.targets == schema().targets
    assert dict(again.columns) == dict(schema().columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 3}, "levels is 3, expected an object"),
        ({"levels": {"kind": ["elm", 4]}}, r"levels.kind\[1\] is 4, expected text"),
        ({"levels": {"kind": []}}, r"levels.kind is \[\], expected .* at least 1 item"),
        ({"levels": {"kind": ["elm", "ash"]}}, "levels do not make the names of the features"),
        ({"levels": {"tree": ["elm"]}, "missing_levels": []}, "levels do not make the names"),
        ({"missing_levels": ["tree"]}, "missing_levels has 'tree', which has no levels"),
        ({"dtype": "complex64"}, "dtype is 'complex64', expected one of"),
        ({"missing": "drop"}, "missing is 'drop', expected one of error, mean"),
        ({"types": [["int64", "2"]]}, r"types\[0\]\[1\] is '2', expected a whole number"),
        ({"types": [["int64", 2]]}, "types are 2, expected 3"),
        ({"types": [["int64", 10**15]] * 3}, "types are 6, expected 3"),
        ({"targets": ["y"]}, r"targets\[0\] is 'y', expected an object"),
        ({"targets": [{"name": 3}]}, r"targets\[0\].name is 3, expected text"),
        ({"weight": 3}, "weight is 3, expected text"),
        ({"index_base": "1"}, "index_base is '1', expected a whole number"),
        ({"dropped": None}, "dropped is None, expected a list"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        read({**schema().to_json(), **change})


@pytest.mark.parametrize("means", [None, [1.0], ["a"] * 5, [{}] * 5])
def test_means_are_one_number_for_each_feature(means):
    with pytest.raises(ValueError, match="means"):
        Schema.from_json(schema().to_json(), feature_names=NAMES, means=means)


def test_an_entry_that_is_missing_is_named():
    document = schema().to_json()
    del document["dtype"]
    with pytest.raises(ValueError, match="has no entry 'dtype'"):
        read(document)


def test_levels_alike_but_for_blanks_and_case_are_found():
    levels = ["A", "a ", "B", "new  york", "New York", "C", "A "]
    assert alike(levels) == [("A", "a ", "A "), ("new  york", "New York")]
    assert alike(["a", "b"]) == []
