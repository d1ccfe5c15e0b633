"""A store is opened as it was sealed, its manifest and its arrays' metadata, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.verify import verify
from dasklasso.errors import StoreError
from dasklasso.files.seal import sealed

N = 30


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "store"
    rng = np.random.default_rng(3)
    with StoreWriter(
        path,
        feature_names=["a", "b", "c"],
        target_names=["y"],
        dtype="float64",
        with_weight=True,
        with_fold=True,
        with_offset=True,
        codec="none",
        chunk_rows=10,
    ) as writer:
        X, y = rng.standard_normal((N, 3)), rng.standard_normal(N)
        writer.write(X, y, np.arange(N) + 1.0, np.arange(N) % 5, offset=rng.random(N))
        writer.finish({"source": "test"})
    return path


@pytest.fixture
def store(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "store"))


def edit(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_manifest(store: Path, change) -> None:
    edit(store / "zarr.json", lambda group: change(group["attributes"]["dasklasso"]))


def refused(store: Path) -> str:
    with pytest.raises(StoreError) as caught:
        open_dataset(store)
    message = str(caught.value)
    assert str(store) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["sample_weight", "offset", "fold", "X", "y"])
def test_an_array_whose_metadata_are_gone_is_missed(store, name):
    (store / name / "zarr.json").unlink()
    assert f"{name}/zarr.json is missing" in refused(store)


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00", '{"shape": ' + "[" * 100_000])
def test_metadata_that_are_damaged_are_named(store, damage):
    (store / "sample_weight" / "zarr.json").write_text(damage)
    assert "sample_weight/zarr.json cannot be read" in refused(store)


@pytest.mark.parametrize(
    "change",
    [{"data_type": "int64"}, {"shape": [20, 3]}, {"fill_value": 7.0}, {"codecs": []}],
    ids=str,
)
def test_an_array_of_another_type_or_shape_is_refused(store, change):
    edit(store / "X" / "zarr.json", lambda array: array.update(change))
    assert "X/zarr.json was changed or replaced" in refused(store)


def test_weights_put_into_a_store_later_are_refused(store):
    path = store / "zarr.json"
    group = json.loads(path.read_text())
    manifest = group["attributes"]["dasklasso"]
    del manifest["files"]["sample_weight/zarr.json"]
    group["attributes"]["dasklasso"] = sealed(manifest)
    path.write_text(json.dumps(group))
    assert "sample_weight/zarr.json is no file of" in refused(store)


def test_an_array_of_the_user_beside_ours_is_let_be(store):
    zarr.create_array(str(store / "more"), shape=(3,), dtype="f8")[...] = 1.0
    assert open_dataset(store).n_rows == N


def test_attributes_of_the_user_are_let_be(store):
    zarr.open_group(str(store), mode="r+").attrs["note"] = "mine"
    zarr.open_array(str(store / "X"), mode="r+").attrs["unit"] = "cm"
    assert open_dataset(store).n_rows == N


def test_a_manifest_that_was_changed_is_refused(store):
    edit_manifest(store, lambda manifest: manifest["feature_names"].reverse())
    assert "the manifest: was changed since it was written" in refused(store)
    [fault] = verify(store).faults
    assert "the manifest: was changed" in fault.problem


def test_without_its_seal_a_manifest_is_not_of_an_older_version(store):
    edit_manifest(store, lambda manifest: manifest.pop("seal"))
    assert "has no seal" in refused(store)


def test_with_its_seal_a_manifest_is_not_of_an_older_version(store):
    edit_manifest(store, lambda manifest: manifest.update(version=1))
    assert "was changed since it was written" in refused(store)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_what_a_consolidated_copy_says_is_not_believed(store):
    expected = open_dataset(store)
    zarr.consolidate_metadata(str(store))
    path = store / "zarr.json"
    edit(
        path,
        lambda group: group["consolidated_metadata"]["metadata"]["X"].update(data_type="int64"),
    )
    found = open_dataset(store)
    assert found.X.dtype == np.float64
    assert np.array_equal(found.X.block(0, 0), expected.X.block(0, 0))


def test_a_store_of_the_version_without_seals_opens_as_before(store):
    def older(manifest):
        del manifest["seal"], manifest["files"]
        manifest["version"] = 1

    for path in store.glob("*/chunk_checksums"):
        path.unlink()
    edit_manifest(store, older)
    assert open_dataset(store).n_rows == N
