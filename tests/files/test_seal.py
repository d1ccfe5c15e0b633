"""A seal fits what was sealed, and nothing else."""

from __future__ import annotations

import json
import re

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.errors import ModelError
from dasklasso.files.seal import check_files, check_seal, digest_of, files_in, sealed

DOCUMENT = {
    "version": 2,
    "alpha_selected": 0.1,
    "names": ["a", "b"],
    "means": [1.0, 2.5, float("inf")],
    "curves": [{"gap": [[0.5, None]]}, {}],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def chunk(payload: bytes) -> bytes:
    return payload + google_crc32c.value(payload).to_bytes(4, "little")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    for number, payload in enumerate((b"first", b"other")):
        path = root / "coef.zarr" / "coef" / "c" / str(number) / "0"
        path.parent.mkdir(parents=True)
        path.write_bytes(chunk(payload))
    (root / "coef.zarr" / "coef" / "zarr.json").write_text('{"data_type": "float64"}')
    (root / "model.json").write_text("{}")
    return root


def found_in(folder, **options):
    return files_in(folder, leave_out={"model.json"}, **options)


def refuse(document, folder, **options):
    found = found_in(folder, **options)
    with pytest.raises(ModelError) as caught:
        check_files(document["files"], found, where=str(folder), error=ModelError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(value=JSON)
@settings(max_examples=60, deadline=None)
def test_a_value_has_the_same_digest_before_it_is_written_and_after_it_is_read(value):
    assert digest_of(value) == digest_of(json.loads(json.dumps(value)))


@given(one=JSON, other=JSON)
@settings(max_examples=60, deadline=None)
def test_different_values_have_different_digests(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest_of(one) == digest_of(other)) == same


def test_tuples_and_numpy_floats_are_sealed_as_the_lists_and_numbers_they_become():
    given = {"means": tuple(np.array([0.5, 1.5])), "pairs": ((1, 2), (3, 4))}
    assert digest_of(given) == digest_of(json.loads(json.dumps(given)))


def test_a_sealed_document_is_accepted_as_json_gives_it_back():
    text = json.dumps(sealed(DOCUMENT, {"a": "1"}), indent=1)
    check_seal(json.loads(text), where="here", error=ModelError)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha_selected": 0.2},
        {"alpha_selected": None},
        {"names": ["b", "a"]},
        {"means": [1.0, 2.5, 0.0]},
        {"version": 1},
        {"more": 1},
        {"files": {"a": "2"}},
    ],
    ids=str,
)
def test_a_changed_document_is_refused(change):
    with pytest.raises(ModelError, match="here: was changed since it was written"):
        check_seal({**sealed(DOCUMENT, {"a": "1"}), **change}, where="here", error=ModelError)


@pytest.mark.parametrize("seal", [None, 3, {}])
def test_a_document_without_its_seal_is_refused(seal):
    with pytest.raises(ModelError, match="here: has no seal"):
        check_seal({**sealed(DOCUMENT), "seal": seal}, where="here", error=ModelError)


def test_files_as_they_were_sealed_are_accepted(folder):
    document = sealed(DOCUMENT, found_in(folder))
    check_files(document["files"], found_in(folder), where="here", error=ModelError)
    assert set(document["files"]) == {
        "coef.zarr/coef/zarr.json",
        "coef.zarr/coef/c/0/0",
        "coef.zarr/coef/c/1/0",
    }


def test_two_chunks_that_changed_places_are_refused(folder):
    document = sealed(DOCUMENT, found_in(folder))
    one, other = (folder / "coef.zarr" / "coef" / "c" / k / "0" for k in "01")
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert re.search(r"c/0/0 was changed or replaced .* found 9 bytes", refuse(document, folder))


def test_a_type_that_was_renamed_is_refused(folder):
    document = sealed(DOCUMENT, found_in(folder))
    path = folder / "coef.zarr" / "coef" / "zarr.json"
    path.write_text(path.read_text().replace("float64", "int64"))
    assert "coef.zarr/coef/zarr.json was changed" in refuse(document, folder)


def test_a_missing_file_and_a_foreign_one_are_named(folder):
    document = sealed(DOCUMENT, found_in(folder))
    path = folder / "coef.zarr" / "coef" / "c" / "1" / "0"
    path.rename(path.with_name("1"))
    assert refuse(document, folder).endswith("coef.zarr/coef/c/1/0 is missing.")
    path.with_name("1").rename(path)
    (folder / "coef.zarr" / "more").write_text("")
    assert "coef.zarr/more is no file of" in refuse(document, folder)


def test_what_a_document_lists_is_quoted_on_one_line(folder):
    found = found_in(folder)
    strange = "\n\x1b[31m" + "x" * 1000
    assert len(refuse({"files": {**found, strange: "1"}}, folder)) < 400
    assert "\\n" in refuse({"files": {**found, "coef.zarr/coef/zarr.json": strange}}, folder)


def test_a_damaged_chunk_is_found_where_chunks_are_verified(folder):
    document = sealed(DOCUMENT, found_in(folder))
    path = folder / "coef.zarr" / "coef" / "c" / "0" / "0"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert "c/0/0 was changed" in refuse(document, folder, verify_chunks=True)
