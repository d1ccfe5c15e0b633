"""What is read is what was written: chunks in their places, arrays as the manifest lists them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from dasklasso.dataset.dataset import Dataset, from_arrays, open_dataset
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.errors import ChunkCorrupt, StoreError
from dasklasso.files.seal import sealed
from dasklasso.storage.zarr_blocks import read_rows

N, D, ROWS = 50, 5, 20
X = np.random.default_rng(0).standard_normal((N, D))


def write(path: Path, X: np.ndarray, codec: str, *, overwrite: bool = False) -> Path:
    with StoreWriter(
        path,
        feature_names=list("abcde"),
        target_names=["t"],
        dtype="float64",
        with_weight=True,
        with_fold=True,
        with_offset=True,
        codec=codec,
        chunk_rows=ROWS,
        chunk_columns=3,
        overwrite=overwrite,
    ) as writer:
        writer.write(X, X[:, 0], np.ones(N), np.arange(N) % 3, offset=X[:, 1])
        writer.finish({})
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    return {codec: write(folder / codec, X, codec) for codec in ("none", "lz4")}


@pytest.fixture(params=["none", "lz4"])
def store(originals: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    shutil.copytree(originals[request.param], tmp_path / "s")
    return tmp_path / "s"


def all_of(data: Dataset) -> np.ndarray:
    return read_rows(data.X, 0, data.n_rows)


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


def change_metadata(path: Path, change: Callable[[dict], None]) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


# -- chunks ---------------------------------------------------------------------------------------


def test_a_sound_store_reads_as_written_also_in_another_process(store: Path) -> None:
    data = open_dataset(store)
    np.testing.assert_array_equal(all_of(data), X)
    sent = pickle.dumps(data.X)
    assert len(sent) < 4000
    np.testing.assert_array_equal(read_rows(pickle.loads(sent), 0, N), X)


def test_chunks_that_changed_places_are_named(store: Path) -> None:
    swap(store / "X/c/0/0", store / "X/c/1/0")
    with pytest.raises(ChunkCorrupt, match=r"X/c/0/0 of .* \(rows 0-19\).*that of X/c/1/0"):
        all_of(open_dataset(store))


def test_chunks_that_change_places_between_two_scans_are_named(store: Path) -> None:
    data = open_dataset(store)
    all_of(data)  # mapped and verified
    swap(store / "X/c/0/1", store / "X/c/1/1")
    with pytest.raises(ChunkCorrupt, match="X/c/0/1"):
        all_of(data)


def test_an_older_version_of_a_chunk_is_refused(store: Path, tmp_path: Path) -> None:
    codec = "none" if (store / "X/c/0/0").stat().st_size == ROWS * 3 * 8 + 4 else "lz4"
    older = write(tmp_path / "older", X + 1, codec)
    shutil.copy2(older / "X/c/2/1", store / "X/c/2/1")
    with pytest.raises(ChunkCorrupt, match=r"X/c/2/1 of .* \(rows 40-49\)"):
        all_of(open_dataset(store))


@pytest.mark.parametrize("array", ["y", "sample_weight", "fold", "offset"])
def test_chunks_beside_x_belong_to_their_places_too(store: Path, array: str) -> None:
    if array == "sample_weight":  # whose chunks are all alike: one is replaced
        shutil.copy2(store / "offset/c/0", store / "sample_weight/c/0")
    else:
        swap(store / array / "c/0", store / array / "c/1")
    with pytest.raises(ChunkCorrupt, match=f"{array}/c/0 "):
        read_rows(open_dataset(store).fold, 0, N)


def test_a_store_replaced_while_it_is_read_is_noticed(store: Path) -> None:
    data = open_dataset(store)
    data.X.block(0, 0)
    write(store, X + 1, "none", overwrite=True)
    with pytest.raises(ChunkCorrupt, match="or the store was, while it was read"):
        all_of(data)


@pytest.mark.parametrize("damage", [os.remove, lambda path: path.write_bytes(bytes(24))])
def test_checksums_that_are_gone_or_changed_are_named(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    rng = np.random.default_rng()  # checksums known in this process need no file
    store = write(tmp_path / "s", rng.standard_normal((N, D)), "none")
    damage(store / "X/chunk_checksums")
    with pytest.raises(StoreError, match=r"X/chunk_checksums is (missing|not the file)"):
        all_of(open_dataset(store))


def test_arrays_opened_without_their_store_are_compared_too(store: Path) -> None:
    swap(store / "X/c/0/0", store / "X/c/1/0")
    group = zarr.open_group(str(store), mode="r")
    for data in (
        open_dataset(f"{store}/X", y=f"{store}/y"),
        open_dataset(group["X"], y=group["y"]),
        from_arrays(group["X"], group["y"]),
    ):
        with pytest.raises(ChunkCorrupt, match="that of X/c/1/0"):
            all_of(data)
    swap(store / "y/c/0", store / "y/c/1")
    with pytest.raises(ChunkCorrupt, match="y/c/0"):
        open_dataset(f"{store}/X", y=f"{store}/y")


# -- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", ["X", "y", "sample_weight", "fold", "offset"])
@pytest.mark.parametrize("what", ["zarr.json", "all of it"])
def test_an_array_that_is_gone_is_named(store: Path, array: str, what: str) -> None:
    if what == "zarr.json":
        os.remove(store / array / "zarr.json")
    else:
        shutil.rmtree(store / array)
    with pytest.raises(StoreError, match=f"{array}/zarr.json is missing"):
        open_dataset(store)


def test_an_array_put_there_later_is_named(tmp_path: Path) -> None:
    with StoreWriter(
        tmp_path / "s", feature_names=["a"], target_names=["t"], dtype="float64"
    ) as writer:
        writer.write(X[:, :1], X[:, 1])
        writer.finish({})
    zarr.create_array(str(tmp_path / "s/sample_weight"), data=np.arange(1.0, N + 1))
    with pytest.raises(StoreError, match=r"sample_weight/zarr.json is no file of"):
        open_dataset(tmp_path / "s")


def test_a_manifest_that_is_gone_does_not_make_a_foreign_store(store: Path) -> None:
    change_metadata(store / "zarr.json", lambda group: group["attributes"].clear())
    with pytest.raises(StoreError, match="X/chunk_checksums is there, but the manifest"):
        open_dataset(store)


def older(group: dict) -> None:
    manifest = group["attributes"]["dasklasso"]
    del manifest["files"], manifest["seal"]
    manifest["version"] = 1


def test_a_manifest_without_its_seal_does_not_make_an_older_store(store: Path) -> None:
    change_metadata(store / "zarr.json", older)
    with pytest.raises(StoreError, match="X/chunk_checksums is there, but the manifest"):
        open_dataset(store)


def test_a_manifest_that_does_not_list_checksums_is_refused(store: Path) -> None:
    def drop(group: dict) -> None:
        manifest = group["attributes"]["dasklasso"]
        del manifest["files"]["y/chunk_checksums"]
        group["attributes"]["dasklasso"] = sealed(manifest)

    change_metadata(store / "zarr.json", drop)
    with pytest.raises(StoreError, match="does not say which chunk belongs where in y"):
        open_dataset(store)


def test_a_store_of_the_first_version_opens(store: Path) -> None:
    change_metadata(store / "zarr.json", older)
    for path in store.rglob("chunk_checksums"):
        path.unlink()
    data = open_dataset(store)
    assert data.chunks == ""
    np.testing.assert_array_equal(all_of(data), X)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_left_of_an_array_is_not_taken_for_none(tmp_path: Path, zarr_format: int) -> None:
    group = zarr.open_group(str(tmp_path), mode="w", zarr_format=zarr_format)
    for name, values in {"X": X, "y": X[:, 0], "sample_weight": np.arange(1.0, N + 1)}.items():
        group.create_array(name, data=values)
    os.remove(tmp_path / "sample_weight" / ("zarr.json" if zarr_format == 3 else ".zarray"))
    with pytest.raises(StoreError, match="sample_weight is there, but it is no Zarr array"):
        open_dataset(tmp_path)
