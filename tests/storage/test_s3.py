"""Stores on S3 open, read, verify and report what is missing like local ones."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.dataset.verify import verify
from dasklasso.errors import ChunkCorrupt, ChunkMissing, StoreError
from dasklasso.storage.zarr_blocks import read_rows

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    """Storage options for a server of our own on this machine."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield {
        "key": "test",
        "secret": "test",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}"},
    }
    running.stop()


@pytest.fixture(scope="module")
def s3(options: dict[str, Any]) -> Any:
    import s3fs

    files = s3fs.S3FileSystem(**options)
    files.mkdir("bucket")
    return files


@pytest.fixture(params=["none", "zstd"])
def store(s3: Any, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A generated store, copied to S3: its URL and the local original."""
    local = tmp_path / "local"
    generate("tall", local, rows=100, features=7, chunk_rows=30, codec=request.param)
    url = f"bucket/{os.path.basename(tmp_path)}"
    s3.put(str(local) + "/", url + "/", recursive=True)
    s3.invalidate_cache()
    return f"s3://{url}", local


def test_a_store_on_s3_holds_what_the_local_one_does(
    store: tuple[str, Path], options: dict[str, Any]
) -> None:
    url, local = store
    remote, original = open_dataset(url, storage_options=options), open_dataset(local)
    assert not remote.X.mapped
    assert remote.fingerprint == original.fingerprint
    np.testing.assert_array_equal(read_rows(remote.X, 0, 100), read_rows(original.X, 0, 100))
    sent = pickle.loads(pickle.dumps(remote.X))
    np.testing.assert_array_equal(read_rows(sent, 0, 100), read_rows(original.X, 0, 100))


def test_what_s3_lacks_is_missing(
    store: tuple[str, Path], s3: Any, options: dict[str, Any]
) -> None:
    url, _ = store
    s3.rm(f"{url}/X/c/1/0")
    dataset = open_dataset(url, storage_options=options)
    with pytest.raises(ChunkMissing, match=r"X/c/1/0 is not in s3://.* \(rows 30-59\)"):
        dataset.X.block(1, 0)
    report = verify(url, storage_options=options)
    assert [(fault.array, fault.key) for fault in report.faults] == [("X", "c/1/0")]
    with pytest.raises(ChunkMissing):  # written once, so never a chunk of zeros left out
        open_dataset(url, storage_options=options, empty_chunks="zero").X.block(1, 0)


def test_what_is_damaged_on_s3_is_corrupt(
    store: tuple[str, Path], s3: Any, options: dict[str, Any]
) -> None:
    url, _ = store
    data = bytearray(s3.cat_file(f"{url}/X/c/2/0"))
    data[-6] ^= 1
    s3.pipe_file(f"{url}/X/c/2/0", bytes(data))
    with pytest.raises(ChunkCorrupt, match=r"X/c/2/0 of s3://.* \(rows 60-89\)"):
        open_dataset(url, storage_options=options).X.block(2, 0)


def test_a_foreign_store_on_s3_has_a_fingerprint_that_follows_its_chunks(
    s3: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    import zarr

    url = f"s3://bucket/{os.path.basename(tmp_path)}-foreign"
    group = zarr.open_group(url, mode="w", storage_options=options)
    X = np.arange(60.0).reshape(20, 3)
    array = group.create_array("X", shape=X.shape, dtype="f8", chunks=(4, 2), shards=(8, 2))
    array[...] = X + 1
    group.create_array("y", data=X[:, 0].copy())
    first = open_dataset(url, storage_options=options)
    np.testing.assert_array_equal(read_rows(first.X, 0, 20), X + 1)
    array[...] = X + 2
    s3.invalidate_cache()
    assert open_dataset(url, storage_options=options).fingerprint != first.fingerprint


def test_a_url_with_nothing_there_is_refused(s3: Any, options: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="s3://bucket/nothing is not a Zarr store"):
        open_dataset("s3://bucket/nothing", storage_options=options)
