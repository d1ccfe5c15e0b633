"""Datasets open whoever wrote them, and what cannot be used is refused in one line."""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

from dasklasso.dataset.checks import NumberedNames
from dasklasso.dataset.dataset import Dataset, from_arrays, open_dataset
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.errors import ChunkMissing, DasklassoError, OptionError, StoreError, ValueFound
from dasklasso.files.seal import sealed
from dasklasso.files.work_folders import make_work_folder
from dasklasso.storage.zarr_blocks import read_rows

N, D = 50, 4


@pytest.fixture
def X() -> np.ndarray:  # noqa: N802
    return np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)


@pytest.fixture
def y() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(N)


@pytest.fixture
def ours(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> Path:
    path = tmp_path / "ours"
    with StoreWriter(
        path,
        feature_names=["a", "b", "c", "d"],
        target_names=["price"],
        dtype="float32",
        with_weight=True,
        with_fold=True,
        codec="none",
        chunk_rows=20,
    ) as writer:
        writer.write(X, y, np.arange(N) + 1.0, np.arange(N) % 5)
        writer.finish({"source": "test"})
    return path


def foreign(path: Path, *, zarr_format: int = 3, **arrays: np.ndarray) -> str:
    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    for name, values in arrays.items():
        chunks = (11, 3)[: values.ndim]
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks)
        array[...] = values
    return str(path)


def all_rows(source: Any) -> np.ndarray:
    return read_rows(source, 0, source.shape[0])


def assert_holds(dataset: Dataset, X: np.ndarray, y: np.ndarray) -> None:
    np.testing.assert_array_equal(all_rows(dataset.X), X)
    assert dataset.y is not None
    assert dataset.y.dtype == np.float64
    np.testing.assert_array_equal(all_rows(dataset.y), y.reshape(len(y), -1))


# -- our own stores ---------------------------------------------------------------------------


def test_an_ingested_store_opens_with_all_it_knows(
    ours: Path, X: np.ndarray, y: np.ndarray
) -> None:
    dataset = open_dataset(ours)
    assert_holds(dataset, X, y)
    assert dataset.feature_names == ("a", "b", "c", "d")
    assert dataset.target_names == ("price",)
    assert dataset.y_is_vector
    assert (dataset.n_rows, dataset.n_features, dataset.n_targets) == (N, D, 1)
    assert dataset.statistics is not None
    np.testing.assert_allclose(dataset.statistics.mean, X.mean(axis=0), atol=1e-6)
    assert dataset.sample_weight is not None
    assert all_rows(dataset.sample_weight)[:3, 0].tolist() == [1, 2, 3]
    assert dataset.fold is not None
    assert all_rows(dataset.fold)[:7, 0].tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert dataset.fingerprint.startswith("sha256:")


def test_a_dataset_pickles(ours: Path, X: np.ndarray, y: np.ndarray) -> None:
    assert_holds(pickle.loads(pickle.dumps(open_dataset(ours))), X, y)


def test_another_target_has_another_fingerprint(ours: Path, y: np.ndarray) -> None:
    own = open_dataset(ours)
    other = open_dataset(ours, y=y[::-1].copy())
    assert other.fingerprint != own.fingerprint
    assert other.fingerprint == open_dataset(ours, y=y[::-1].copy()).fingerprint
    assert other.feature_names == own.feature_names
    assert other.target_names == ("y",)


def test_a_manifest_of_another_shape_is_refused(ours: Path) -> None:
    group = zarr.open_group(str(ours), mode="r+")
    group.attrs["dasklasso"] = sealed({**group.attrs["dasklasso"], "n_rows": 40})
    with pytest.raises(StoreError, match=r"X has shape \(50, 4\), its manifest says \(40, 4\)"):
        open_dataset(ours)


def test_a_store_replaced_by_another_reads_the_new_values(ours: Path, X: np.ndarray) -> None:
    all_rows(open_dataset(ours).X)
    with StoreWriter(
        ours,
        feature_names=["a", "b", "c", "d"],
        target_names=["price"],
        dtype="float32",
        codec="none",
        chunk_rows=20,
        overwrite=True,
    ) as writer:
        writer.write(X + 1, X[:, 0])
        writer.finish({})
    np.testing.assert_array_equal(all_rows(open_dataset(ours).X), X + 1)


# -- stores of others -------------------------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_foreign_group_opens(
    tmp_path: Path, X: np.ndarray, y: np.ndarray, zarr_format: int
) -> None:
    dataset = open_dataset(foreign(tmp_path / "s", zarr_format=zarr_format, X=X, y=y))
    assert_holds(dataset, X, y)
    assert dataset.statistics is None
    assert dataset.feature_names == ("x0", "x1", "x2", "x3")
    assert dataset.X.column_bounds == (0, 3, 4)


def test_arrays_may_have_other_names_and_types(tmp_path: Path, X: np.ndarray) -> None:
    labels = (np.arange(N) % 3).astype(np.int16)
    path = foreign(tmp_path / "s", data=X, label=labels)
    assert_holds(open_dataset(path, x="data", target="label"), X, labels)


def test_several_targets(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    Y = np.stack([y, -y, 2 * y, y**2], axis=1)
    dataset = open_dataset(foreign(tmp_path / "s", X=X, y=Y))
    assert_holds(dataset, X, Y)
    assert not dataset.y_is_vector
    assert tuple(dataset.target_names) == ("y0", "y1", "y2", "y3")


def test_y_may_lie_elsewhere(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, response=y)
    for given in ("response", f"{path}/response", zarr.open_array(f"{path}/response"), y, list(y)):
        assert_holds(open_dataset(path, y=given), X, y)
    assert_holds(open_dataset(f"{path}/X", y=f"{path}/response"), X, y)


def test_zarr_objects_open(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, y=y)
    group = zarr.open_group(path, mode="r")
    assert_holds(open_dataset(group), X, y)
    assert open_dataset(group).location == path
    assert_holds(open_dataset(group["X"], y=group["y"]), X, y)
    assert_holds(open_dataset(f"file://{path}"), X, y)


def test_a_store_in_memory_opens(X: np.ndarray, y: np.ndarray) -> None:
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    group["X"], group["y"] = X, y
    assert_holds(open_dataset(group), X, y)


def test_sample_weights_may_be_given(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, y=y)
    weight = np.arange(N, dtype=np.float32)
    dataset = open_dataset(path, sample_weight=weight)
    assert dataset.sample_weight is not None
    np.testing.assert_array_equal(all_rows(dataset.sample_weight)[:, 0], weight)
    assert dataset.fingerprint != open_dataset(path).fingerprint


def test_the_fingerprint_follows_the_chunks(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, y=y)
    before = open_dataset(path).fingerprint
    assert open_dataset(path).fingerprint == before
    os.utime(Path(path) / "X" / "c" / "0" / "0", ns=(1, 1))
    assert open_dataset(path).fingerprint != before


def test_a_missing_chunk_of_y_is_an_error(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, y=y)
    os.remove(Path(path) / "y" / "c" / "2")
    with pytest.raises(ChunkMissing, match=r"y/c/2 is not in .* \(rows 22-32\)"):
        open_dataset(path)
    filled = open_dataset(path, empty_chunks="zero")
    assert filled.y is not None
    assert not all_rows(filled.y)[22:33].any()


def test_predicting_needs_no_y(tmp_path: Path, X: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X)
    for store in (path, f"{path}/X"):
        dataset = open_dataset(store, require_target=False)
        assert dataset.y is None
        assert dataset.n_targets == 0


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": np.zeros(7)}, StoreError, "y has 7 rows and X has 50"),
        ({"sample_weight": np.ones(7)}, StoreError, "sample_weight has 7 rows and X has 50"),
        ({"x": "A"}, StoreError, "has no array A: its arrays are X, cube, vector, y"),
        ({"target": "A"}, StoreError, "has no array A: its arrays are X, cube, vector, y"),
        ({"x": "vector"}, StoreError, "vector has one dimension, expected rows × columns"),
        ({"x": "cube"}, StoreError, "cube has 3 dimensions"),
        ({"y": np.r_[np.arange(N - 1), np.nan]}, ValueFound, "row 49, column y: found nan"),
        ({"y": np.r_[np.inf, np.arange(N - 1)]}, ValueFound, "row 0, column y: found inf"),
        ({"y": np.array(["a"] * N)}, OptionError, "y has dtype <U1, expected real numbers"),
        ({"y": np.zeros(N, dtype=object)}, OptionError, "y has dtype object"),
        ({"y": 3}, OptionError, "store is a int"),
        ({"sample_weight": np.r_[1, -2.0, np.ones(48)]}, ValueFound, "row 1: sample_weight is -2"),
        ({"sample_weight": np.zeros(N)}, ValueFound, "sample_weight is zero in all 50 rows"),
        ({"sample_weight": np.ones((N, 2))}, StoreError, "sample_weight has 2 columns"),
        ({"storage_options": {"key": "a"}}, OptionError, "storage_options are for URLs"),
        ({"empty_chunks": "no"}, OptionError, "expected 'error' or 'zero'"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path,
    X: np.ndarray,
    y: np.ndarray,
    options: dict[str, Any],
    error: type[DasklassoError],
    message: str,
) -> None:
    path = foreign(tmp_path / "s", X=X, y=y, vector=y)
    zarr.open_group(path, mode="a").create_array("cube", shape=(2, 2, 2), dtype="f4")
    with pytest.raises(error, match=message) as caught:
        open_dataset(path, **options)
    assert "\n" not in str(caught.value)


def test_a_group_without_y_is_refused(tmp_path: Path, X: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X)
    with pytest.raises(StoreError, match="has no array y: its arrays are X"):
        open_dataset(path)
    with pytest.raises(StoreError, match="is a single array: give y as well"):
        open_dataset(f"{path}/X")


def test_a_group_given_as_y_is_refused(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, y=y)
    with pytest.raises(StoreError, match="is a Zarr group, expected an array to use as y"):
        open_dataset(path, y=path)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere does not exist"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is not a Zarr store"):
        open_dataset(tmp_path)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StoreError, match=r"table\.csv"):
        open_dataset(tmp_path / "table.csv")
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be opened as Zarr"):
        open_dataset(tmp_path)


def test_an_ingest_that_was_interrupted_is_pointed_out(tmp_path: Path) -> None:
    make_work_folder(tmp_path / "s")
    with pytest.raises(StoreError, match=r"does not exist\. An ingest into it was begun"):
        open_dataset(tmp_path / "s")


@pytest.mark.parametrize("opened_as", ["s", "link"])
def test_a_store_whose_replacement_was_cut_off_is_found_again(
    ours: Path, X: np.ndarray, tmp_path: Path, opened_as: str, cut_off: Callable[[Path], None]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "s")
    cut_off(ours.rename(tmp_path / "s"))
    found = open_dataset(tmp_path / opened_as)
    np.testing.assert_array_equal(all_rows(found.X), X)
    assert {p.name for p in tmp_path.iterdir()} == {"s", "link"}


def test_opening_makes_nothing_where_there_was_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        open_dataset(tmp_path / "s")
    assert not list(tmp_path.iterdir())


def test_no_rows_are_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path / "s", X=np.empty((0, 3), "f4"), y=np.empty(0))
    with pytest.raises(ValueFound, match="at least one row"):
        open_dataset(path)


def test_folds_are_integers(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    path = foreign(tmp_path / "s", X=X, y=y, fold=y)
    with pytest.raises(StoreError, match="fold has dtype float64, expected integers"):
        open_dataset(path)


# -- arrays -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i8", "?"])
def test_numpy_arrays_keep_their_type(X: np.ndarray, y: np.ndarray, dtype: str) -> None:
    dataset = from_arrays((X > 0).astype(dtype), y)
    assert dataset.X.dtype == np.dtype(dtype)
    assert_holds(dataset, (X > 0).astype(dtype), y)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: a[::-1][::-1], lambda a: a[:, :]])
def test_any_memory_layout_gives_contiguous_blocks(
    X: np.ndarray, y: np.ndarray, layout: Any
) -> None:
    dataset = from_arrays(layout(X), y)
    assert dataset.X.block(0, 0).flags.c_contiguous
    assert_holds(dataset, X, y)
    assert dataset.fingerprint == from_arrays(X, y).fingerprint


def test_big_endian_arrays_become_native(X: np.ndarray, y: np.ndarray) -> None:
    dataset = from_arrays(X.astype(">f4"), y.astype(">f8"))
    assert dataset.X.dtype.isnative
    assert_holds(dataset, X, y)


def test_large_arrays_are_cut_into_blocks() -> None:
    X = np.ones((5000, 1000), dtype=np.float32)
    bounds = from_arrays(X, np.arange(5000)).X.row_bounds
    assert bounds[1] * 4000 <= 8 << 20
    assert bounds[-1] == 5000


def test_equal_arrays_have_equal_fingerprints(X: np.ndarray, y: np.ndarray) -> None:
    first = from_arrays(X, y).fingerprint
    assert from_arrays(X.copy(), y.copy()).fingerprint == first
    assert from_arrays(X, y, np.ones(N)).fingerprint != first
    X[3, 2] += 1
    assert from_arrays(X, y).fingerprint != first


def test_zarr_arrays_are_read_in_place(X: np.ndarray, y: np.ndarray) -> None:
    store = zarr.storage.MemoryStore()
    array = zarr.create_array(store, name="X", shape=X.shape, dtype="f4", chunks=(7, 3))
    array[...] = X
    dataset = from_arrays(array, y)
    assert dataset.X.row_bounds[:2] == (0, 7)
    assert_holds(dataset, X, y)


@pytest.mark.parametrize("y_chunks", [50, 9])
def test_dask_arrays_are_written_to_a_temporary_store(
    X: np.ndarray, y: np.ndarray, y_chunks: int
) -> None:
    dataset = from_arrays(da.from_array(X, chunks=(13, 3)), da.from_array(y, chunks=y_chunks))
    assert_holds(dataset, X, y)
    assert dataset.X.mapped


def test_a_dask_array_is_computed_once(X: np.ndarray, y: np.ndarray) -> None:
    computed = []

    def load(block_info: Any = None) -> np.ndarray:
        start, stop = block_info[None]["array-location"][0]
        computed.append(start)
        return X[start:stop]

    table = da.map_blocks(load, chunks=((20, 20, 10), (D,)), dtype="f4", meta=X[:0])
    dataset = from_arrays(table, (table[:, 0] > 0).astype(float))
    all_rows(dataset.X)
    all_rows(dataset.X)
    assert sorted(computed) == [0, 20, 40]


def test_dask_chunks_of_unknown_length(X: np.ndarray, y: np.ndarray) -> None:
    chosen = X[:, 0] > 0
    table, target = da.from_array(X, chunks=(13, D)), da.from_array(y, chunks=13)
    dataset = from_arrays(table[table[:, 0] > 0], target[table[:, 0] > 0])
    assert_holds(dataset, X[chosen], y[chosen])


def test_the_temporary_store_goes_with_the_dataset(X: np.ndarray, y: np.ndarray) -> None:
    dataset = from_arrays(da.from_array(X), y)
    path = dataset.keep.path  # type: ignore[attr-defined]
    copy = dataclasses.replace(dataset, location="elsewhere")
    pickle.loads(pickle.dumps(dataset))
    del dataset
    gc.collect()
    assert os.path.exists(path)
    del copy
    gc.collect()
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2), dtype=object), np.arange(3), "X has dtype object"),
        (np.zeros((3, 2), dtype=complex), np.arange(3), "X has dtype complex128"),
        (np.zeros(3), np.arange(3), "X has 1 dimensions, expected 2"),
        (np.zeros((3, 2)), np.zeros((3, 1, 1)), "y has 3 dimensions, expected 1 or 2"),
        (da.zeros((3, 2), dtype=complex), np.arange(3), "X is a dask array of 2 dimensions"),
        (da.zeros(3), np.arange(3), "X has 1 dimensions"),
        (da.zeros((3, 2)), da.arange(4), "y has 4 rows and X has 3"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(X: Any, y: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        from_arrays(X, y)


def test_arrays_of_unequal_length_are_refused(X: np.ndarray, y: np.ndarray) -> None:
    with pytest.raises(StoreError, match="y has 49 rows and X has 50"):
        from_arrays(X, y[1:])


def test_feature_names_are_counted(X: np.ndarray, y: np.ndarray) -> None:
    assert from_arrays(X, y, feature_names=list("abcd")).feature_names == ("a", "b", "c", "d")
    with pytest.raises(OptionError, match="3 feature names were given for 4 columns"):
        from_arrays(X, y, feature_names=["a", "b", "c"])


def test_numbered_names_are_a_sequence() -> None:
    names = NumberedNames("x", 10_000_000)
    assert names[9_999_999] == "x9999999"
    assert names[-1] == "x9999999"
    assert names[1:3] == ("x1", "x2")
    assert tuple(NumberedNames("x", 3)) == ("x0", "x1", "x2")
    with pytest.raises(IndexError):
        names[10_000_000]
