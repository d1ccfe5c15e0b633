"""The cost of reading a table grows with its columns, not with their square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources.parquet import ParquetSource
from dasklasso.dataset.sources.parquet_wide import reader_bytes


class CountedFile(pq.ParquetFile):
    """Counts how often the schema of all the columns is built."""

    schemas = 0

    @property
    def schema_arrow(self) -> pa.Schema:
        CountedFile.schemas += 1
        return super().schema_arrow


def wide(path: Path, n_columns: int) -> Path:
    values = np.random.default_rng(0).standard_normal((n_columns, 5))
    names = [f"c{j}" for j in range(n_columns)]
    pq.write_table(pa.table(list(map(pa.array, values)), names=names), path)
    return path


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often an ingest of 10 and of 300 columns asks for the schema."""
    monkeypatch.setattr("dasklasso.dataset.sources.parquet.pq.ParquetFile", CountedFile)
    found = []
    for n_columns in (10, 300):
        CountedFile.schemas = 0
        ingest(wide(tmp_path / f"{n_columns}.parquet", n_columns), tmp_path / f"{n_columns}",
               target="c0")  # fmt: skip
        found.append(CountedFile.schemas)
    return found


def test_the_schema_is_built_as_often_for_many_columns_as_for_few(looks: list[int]) -> None:
    few, many = looks
    assert few == many > 0


def test_columns_cost_memory_to_read_however_little_they_hold(tmp_path: Path) -> None:
    metadata = pq.read_metadata(wide(tmp_path / "t.parquet", 300))
    assert reader_bytes(metadata, range(300)) > 300 * (8 << 10)


def test_a_table_whose_readers_exceed_the_memory_is_read_in_groups(tmp_path: Path) -> None:
    file = wide(tmp_path / "t.parquet", 300)
    names = [f"c{j}" for j in range(300)]
    whole = ParquetSource(str(file), [file], memory=1 << 30)
    grouped = ParquetSource(str(file), [file], memory=1 << 20)  # 27 readers at a time
    [one], [other] = whole.batches(names, 5), grouped.batches(names, 5)
    assert type(one) is not type(other)
    np.testing.assert_array_equal(one.numbers(names), other.numbers(names))
