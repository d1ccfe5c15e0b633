"""Verify reads everything and lists every fault, not only the first."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.verify import VerifyReport, verify
from dasklasso.errors import StoreError
from dasklasso.files.seal import sealed

N, D, ROWS = 50, 5, 8
CHUNKS = 7 * 2 + 7 + 7 + 7  # of X (two column chunks), y, sample_weight, fold


@pytest.fixture(params=["none", "lz4", "zstd"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D)).astype(np.float32)
    path = tmp_path / "s"
    with StoreWriter(
        path,
        feature_names=list("abcde"),
        target_names=["t"],
        dtype="float32",
        with_weight=True,
        with_fold=True,
        codec=request.param,
        chunk_rows=ROWS,
        chunk_columns=3,
    ) as writer:
        writer.write(X, X[:, 0], np.ones(N), np.arange(N) % 5)
        writer.finish({})
    return path


def found(report: VerifyReport) -> list[tuple[str, str, tuple[int, int] | None]]:
    return [(fault.array, fault.key, fault.rows) for fault in report.faults]


def flip(path: Path, at: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_sound_store_has_no_faults(store: Path, threads: int) -> None:
    report = verify(store, threads=threads)
    assert report.ok
    assert report.faults == ()
    assert report.n_chunks == CHUNKS
    assert report.arrays == ("X", "y", "sample_weight", "fold")
    assert report.bytes_read == sum(
        path.stat().st_size for path in store.rglob("c/**/*") if path.is_file()
    )


def test_every_fault_is_listed(store: Path) -> None:
    os.remove(store / "X/c/0/0")
    os.remove(store / "X/c/6/1")
    flip(store / "X/c/3/1", at=-6)
    os.truncate(store / "y/c/2", 20)
    flip(store / "fold/c/6", at=0)
    report = verify(store)
    assert not report.ok
    assert found(report) == [
        ("X", "c/0/0", (0, 8)),
        ("X", "c/3/1", (24, 32)),
        ("X", "c/6/1", (48, 50)),
        ("y", "c/2", (16, 24)),
        ("fold", "c/6", (48, 50)),
    ]
    assert "missing" in report.faults[0].problem
    assert "checksum" in report.faults[1].problem


def test_damage_since_an_earlier_read_is_found(store: Path) -> None:
    assert verify(store).ok
    path = store / "y/c/1"
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk would
    assert found(verify(store)) == [("y", "c/1", (8, 16))]


def test_a_chunk_exchanged_for_a_valid_other_is_found(store: Path) -> None:
    os.replace(store / "X/c/1/0", store / "X/c/0/0")
    (store / "X/c/1/0").write_bytes((store / "X/c/0/0").read_bytes())
    report = verify(store)
    assert found(report) == [("X", "c/0/0", (0, 8))]
    assert "that of X/c/1/0" in report.faults[0].problem


def test_arrays_that_are_gone_changed_or_new_are_listed(store: Path) -> None:
    os.remove(store / "sample_weight/zarr.json")
    path = store / "fold/zarr.json"
    path.write_text(path.read_text().replace("int32", "float32"))
    os.remove(store / "y/chunk_checksums")
    zarr.create_array(str(store / "offset"), data=np.zeros(N))
    report = verify(store)
    assert {fault.array for fault in report.faults} == {"sample_weight", "fold", "y", "offset"}
    assert report.arrays == ("X",)


def test_a_manifest_at_odds_with_the_arrays_is_found(store: Path) -> None:
    path = store / "zarr.json"
    group = json.loads(path.read_text())
    changed = {"target_names": ["y", "z"], "n_rows": 49}
    manifest = group["attributes"]["dasklasso"]
    group["attributes"]["dasklasso"] = sealed({**manifest, **changed})
    path.write_text(json.dumps(group))
    problems = " ".join(str(fault) for fault in verify(store).faults)
    assert "49 rows and the arrays have 50" in problems
    assert "2 target names and the arrays have 1" in problems


def test_values_that_are_not_finite_are_found(tmp_path: Path) -> None:
    X = np.ones((10, 3), dtype=np.float32)
    X[4, 1], X[5, 2], X[9, 0] = np.nan, np.inf, -np.inf
    group = zarr.open_group(str(tmp_path / "s"), mode="w")
    group.create_array("X", shape=X.shape, dtype="f4", chunks=(4, 3))[...] = X
    report = verify(tmp_path / "s")
    assert found(report) == [("X", "c/1/0", (4, 8)), ("X", "c/2/0", (8, 10))]
    assert "2 values are not finite, the first in row 4, column 1 (nan)" in str(report.faults[0])


def test_sums_that_overflow_are_not_faults(tmp_path: Path) -> None:
    X = np.full((10, 3), 3e38, dtype=np.float32)
    group = zarr.open_group(str(tmp_path / "s"), mode="w")
    group.create_array("X", shape=X.shape, dtype="f4", chunks=(4, 3))[...] = X
    assert verify(tmp_path / "s").ok


def test_every_inner_chunk_left_out_of_a_shard_is_listed(tmp_path: Path) -> None:
    X = np.ones((8, 4), dtype=np.float32)
    X[2:6] = 0
    group = zarr.open_group(str(tmp_path / "s"), mode="w")
    group.create_array("X", shape=X.shape, dtype="f4", chunks=(2, 4), shards=(8, 4))[...] = X
    report = verify(tmp_path / "s")
    assert [fault.problem.split(": ")[-1] for fault in report.faults] == [
        "no inner chunk of rows 2-3.",
        "no inner chunk of rows 4-5.",
    ]
    assert verify(tmp_path / "s", empty_chunks="zero").ok


def test_what_is_left_of_an_array_cannot_be_verified(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "s"), mode="w")
    group.create_array("X", data=np.ones((10, 3)))
    group.create_array("sample_weight", data=np.ones(10))
    os.remove(tmp_path / "s/sample_weight/zarr.json")
    with pytest.raises(StoreError, match="sample_weight is there, but it is no Zarr array"):
        verify(tmp_path / "s")
    os.rename(tmp_path / "s/sample_weight", tmp_path / "aside")
    group.create_group("fold")
    with pytest.raises(StoreError, match="fold is a Zarr group, expected an array"):
        verify(tmp_path / "s")


def test_arrays_of_unequal_length_are_found(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "s"), mode="w")
    group.create_array("X", data=np.ones((10, 3)))
    group.create_array("y", data=np.ones(9))
    assert "y has 9 rows and X has 10" in str(verify(tmp_path / "s").faults[0])


def test_progress_counts_every_chunk(store: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify(store, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, CHUNKS) for k in range(CHUNKS)]


def test_an_error_in_progress_stops_and_comes_through(store: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(store, progress=stop)


def test_what_is_no_store_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        verify(tmp_path / "nowhere")
    zarr.open_group(str(tmp_path / "s"), mode="w")
    with pytest.raises(StoreError, match="has no array X"):
        verify(tmp_path / "s")
