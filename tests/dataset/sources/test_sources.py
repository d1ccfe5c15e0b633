"""Sources give the same rows whatever the batch size and the memory that reading may use."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.dataset.sources import open_source
from dasklasso.dataset.sources.base import Source
from dasklasso.dataset.sources.parquet_wide import WideBatch
from dasklasso.errors import DependencyMissing, MemoryLimitError

N = 500


def all_numbers(source: Source, names: list[str], rows: int) -> np.ndarray:
    batches = list(source.batches(names, rows))
    assert all(batch.n_rows <= rows for batch in batches)
    assert sum(batch.n_rows for batch in batches) == N
    return np.concatenate([batch.numbers(names) for batch in batches])


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    X = np.random.default_rng(0).standard_normal((N, 30)).astype(np.float32)
    columns: dict[str, Any] = {f"f{j}": X[:, j] for j in range(30)}
    columns["colour"] = pa.array(["red", "blue"] * (N // 2)).dictionary_encode()
    path = tmp_path_factory.mktemp("wide") / "key=7" / "t.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table(columns), path, row_group_size=140, data_page_size=512)
    return path, X


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 600),
    memory=st.sampled_from([1, 20_000, 60_000, 1 << 30]),
    names=st.lists(st.sampled_from([f"f{j}" for j in range(30)]), min_size=1, unique=True),
)
def test_parquet_gives_the_same_rows_through_the_scratch_file(
    wide: tuple[Path, np.ndarray], rows: int, memory: int, names: list[str]
) -> None:
    path, X = wide
    found = all_numbers(open_source(path, memory=memory), names, rows)
    np.testing.assert_array_equal(found, X[:, [int(name[1:]) for name in names]])


def test_text_and_partition_keys_stay_beside_the_scratch_file(
    wide: tuple[Path, np.ndarray],
) -> None:
    path, X = wide
    source = open_source(path.parent.parent, memory=1)
    batches = list(source.batches(["f3", "colour", "key"], 33))
    assert all(isinstance(batch, WideBatch) for batch in batches)
    texts = [text for batch in batches for text in batch.texts("colour").to_pylist()]
    assert texts == ["red", "blue"] * (N // 2)
    numbers = np.concatenate([batch.numbers(["f3", "key"]) for batch in batches])
    np.testing.assert_array_equal(numbers, np.column_stack([X[:, 3], np.full(N, 7)]))
    assert [batch.first_row for batch in batches] == np.cumsum(
        [0, *(batch.n_rows for batch in batches[:-1])]
    ).tolist()


@pytest.mark.parametrize("with_null", [True, False])
def test_integers_go_through_the_scratch_file_unharmed(tmp_path: Path, with_null: bool) -> None:
    a = [None if with_null and i == 300 else i for i in range(N)]
    table = pa.table({"a": pa.array(a, pa.int32()), "b": pa.array([True, False] * (N // 2))})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=200)
    found = all_numbers(open_source(tmp_path / "t.parquet", memory=1), ["a", "b"], 64)
    assert found.dtype == (np.float64 if with_null else np.int32)
    expected = np.column_stack([np.arange(N), 1 - np.arange(N) % 2]).astype(np.float64)
    expected[300, 0] = np.nan if with_null else 300
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 600))
@pytest.mark.parametrize("ending", ["npy", "npz", "compressed.npz", "svm", "csv"])
def test_rows_do_not_depend_on_the_batch_size(
    tmp_path_factory: pytest.TempPathFactory, ending: str, rows: int
) -> None:
    X = np.random.default_rng(1).integers(1, 9, (N, 3)).astype(np.float64)
    names = ["x0", "x1", "x2"]
    path = tmp_path_factory.getbasetemp() / f"table.{ending}"
    if not path.exists():
        if ending == "npy":
            np.save(path, X)
        elif ending == "npz":
            np.savez(path, X=X)
        elif ending == "compressed.npz":
            np.savez_compressed(path, X=X)
        else:
            lines = (
                [f"1 1:{a:g} 2:{b:g} 3:{c:g}" for a, b, c in X]
                if ending == "svm"
                else ["x0,x1,x2", *(f"{a:g},{b:g},{c:g}" for a, b, c in X)]
            )
            path.write_text("\n".join(lines))
    np.testing.assert_array_equal(all_numbers(open_source(path), names, rows), X)


def test_a_compressed_fortran_array_is_not_inflated_beyond_the_memory(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", X=np.zeros((1000, 300), order="F"))
    with pytest.raises(MemoryLimitError, match=r"d\.npz:X: a compressed array in Fortran order"):
        open_source(tmp_path / "d.npz", memory=4 << 20)


def test_hdf5_without_h5py_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d.h5").touch()
    real = builtins.__import__

    def without_h5py(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(DependencyMissing, match=r"pip install 'dasklasso\[hdf5\]'"):
        open_source(tmp_path / "d.h5")
