"""Stores of others: chunks that were read once belong to their places from then on."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import GzipCodec

from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.kept_checksums import kept_file
from dasklasso.dataset.verify import verify
from dasklasso.errors import ChunkCorrupt, ChunkMissing, DataWarning, StoreError
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.storage.zarr_blocks import read_rows

N, D, ROWS = 60, 4, 20
X = np.random.default_rng(0).standard_normal((N, D))
OPTIONS = FitOptions(alphas=(0.1,))
HOW: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "gzip": {"compressors": GzipCodec()},
    "v2": {"zarr_format": 2},
    "sharded": {"shards": (ROWS, D)},
}


def write(path: Path, how: str, X: np.ndarray = X) -> Path:
    options = dict(HOW[how])
    group = zarr.open_group(str(path), mode="w", zarr_format=options.pop("zarr_format", 3))
    chunks = (5, D) if how == "sharded" else (ROWS, D)
    array = group.create_array("X", shape=X.shape, chunks=chunks, dtype="f8", **options)
    array[...] = X
    group.create_array("y", data=X[:, 0] + X[:, 1] ** 2, chunks=(ROWS,))
    return path


@pytest.fixture(params=HOW)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write(tmp_path / "s.zarr", request.param)


def chunk(store: Path, i: int) -> Path:
    two = store / f"X/{i}.0"
    return two if (store / "X/.zarray").is_file() else store / f"X/c/{i}/0"


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


def all_of(data: Dataset) -> np.ndarray:
    return read_rows(data.X, 0, data.n_rows)


def later(path: Path) -> None:
    """Change a file's time to that of a change now, however coarse the file system's clock."""
    now = time.time_ns() + 10_000_000
    os.utime(path, ns=(now, now))


def test_chunks_that_change_places_after_a_fit_are_named(store: Path) -> None:
    fit_path(open_dataset(store), OPTIONS)
    np.testing.assert_array_equal(all_of(open_dataset(store)), X)
    swap(chunk(store, 0), chunk(store, 2))
    with pytest.raises(ChunkCorrupt, match=r"that of X/.*delete .*chunk_checksums if the store"):
        all_of(open_dataset(store))
    assert "is not the chunk" in verify(store).faults[0].problem
    swap(chunk(store, 0), chunk(store, 2))
    np.testing.assert_array_equal(all_of(open_dataset(store)), X)


def test_an_older_version_of_a_chunk_put_back_is_refused(store: Path, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    shutil.copy2(chunk(store, 1), aside)
    write(store, _how(store), X + 1)
    fit_path(open_dataset(store), OPTIONS)
    shutil.copy2(aside, chunk(store, 1))
    with pytest.raises(ChunkCorrupt, match=r"\(rows 20-39\)"):
        all_of(open_dataset(store))


def _how(store: Path) -> str:
    array = zarr.open_array(str(store / "X"), mode="r")
    if array.metadata.zarr_format == 2:
        return "v2"
    if array.shards:
        return "sharded"
    return "gzip" if array.compressors else "raw"


def test_a_store_that_was_written_anew_is_read_as_it_is_now(store: Path) -> None:
    fit_path(open_dataset(store), OPTIONS)
    write(store, _how(store), X + 1)
    later(chunk(store, 0))
    np.testing.assert_array_equal(all_of(open_dataset(store)), X + 1)
    fit_path(open_dataset(store), OPTIONS)  # keeps what there is now
    swap(chunk(store, 0), chunk(store, 2))
    with pytest.raises(ChunkCorrupt):
        all_of(open_dataset(store))


def test_a_type_that_changed_without_the_file_being_written_is_named(tmp_path: Path) -> None:
    store = write(tmp_path / "s.zarr", "raw")
    fit_path(open_dataset(store), OPTIONS)
    path = store / "X/zarr.json"
    status, metadata = path.stat(), json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "data_type": "int64", "fill_value": 0}))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(StoreError, match="the metadata of X are not those"):
        open_dataset(store)


def test_a_chunk_that_was_there_is_never_taken_for_zeros(tmp_path: Path) -> None:
    store = write(tmp_path / "s.zarr", "raw")
    fit_path(open_dataset(store), OPTIONS)
    chunk(store, 1).unlink()
    with pytest.raises(ChunkMissing):
        all_of(open_dataset(store, empty_chunks="zero"))


def test_a_source_takes_them_along_to_other_processes(tmp_path: Path) -> None:
    store = write(tmp_path / "s.zarr", "raw")
    fit_path(open_dataset(store), OPTIONS)
    sent = pickle.loads(pickle.dumps(open_dataset(store).X))
    swap(chunk(store, 0), chunk(store, 2))
    with pytest.raises(ChunkCorrupt):
        sent.block(0, 0)


def test_a_damaged_file_is_not_used_and_written_anew(tmp_path: Path) -> None:
    store = write(tmp_path / "s.zarr", "raw")
    fit_path(open_dataset(store), OPTIONS)
    path = kept_file(str(store))
    assert path is not None
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.warns(DataWarning, match="chunk_checksums is damaged and not used"):
        data = open_dataset(store)
    fit_path(data, FitOptions(alphas=(0.1,), solver="fista"))
    swap(chunk(store, 0), chunk(store, 2))
    with pytest.raises(ChunkCorrupt):
        all_of(open_dataset(store))


def test_nothing_is_kept_where_no_statistics_are(tmp_path: Path) -> None:
    store = write(tmp_path / "s.zarr", "raw")
    fit_path(open_dataset(store), OPTIONS, RunOptions(keep_statistics=False))
    fit_path(open_dataset(store), OPTIONS, RunOptions(stats=str(tmp_path / "elsewhere")))
    assert not (tmp_path / "s.zarr.stats").exists()


def test_nothing_is_kept_of_a_part_of_a_store_or_of_a_url(tmp_path: Path) -> None:
    store = write(tmp_path / "s.zarr", "raw")
    assert kept_file(str(store)) == tmp_path / "s.zarr.stats/chunk_checksums"
    assert kept_file(str(store / "X")) is None
    assert kept_file("s3://bucket/s.zarr") is None


def test_stores_of_the_first_version_are_protected_from_their_first_fit_on(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    with StoreWriter(
        store, feature_names=list("abcd"), target_names=["t"], dtype="float64", chunk_rows=ROWS
    ) as writer:
        writer.write(X, X[:, 0] + X[:, 1] ** 2)
        writer.finish({})
    group = json.loads((store / "zarr.json").read_text())
    manifest = group["attributes"]["dasklasso"]
    del manifest["files"], manifest["seal"]
    manifest["version"] = 1
    (store / "zarr.json").write_text(json.dumps(group))
    for path in store.rglob("chunk_checksums"):
        path.unlink()
    fit_path(open_dataset(store), OPTIONS)
    swap(chunk(store, 0), chunk(store, 2))
    with pytest.raises(ChunkCorrupt):
        all_of(open_dataset(store))
