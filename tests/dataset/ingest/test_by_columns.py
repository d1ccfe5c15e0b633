"""Genotypes wider than long are copied variant by variant: the store is the one that rows make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from dasklasso.dataset.ingest import by_columns, chunks
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import IngestReport, ingest
from dasklasso.dataset.verify import verify
from dasklasso.errors import ValueFound

N, D = 11, 23

Ingest = Callable[..., tuple[IngestReport, Any]]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 40)
    monkeypatch.setattr(chunks, "WHOLE_STRIP_BYTES", 5 * 9)  # five columns of nine samples
    monkeypatch.setattr(chunks, "_FEWEST_OF_STRIP", 1)


@pytest.fixture
def cohort(
    tmp_path: Path, write_plink: Callable[..., Path], small_chunks: None
) -> Callable[..., tuple[IngestReport, Any]]:
    """Eleven samples, two of them without a phenotype, and a table with weights and folds."""
    rng = np.random.default_rng(4)
    genotypes = rng.choice([0, 1, 2, -1], (N, D), p=[0.3, 0.3, 0.3, 0.1])
    genotypes[:, 2], genotypes[:, 3] = 0, 2
    genotypes[[1, 8], 2:4] = -1
    bed = write_plink(tmp_path / "g.bed", genotypes)
    used = np.delete(np.arange(N), [0, 6])
    table = pd.DataFrame(
        {"IID": [f"s{i}" for i in used], "y": rng.normal(size=9), "fold": used % 3}
    )
    table["weight"] = 1.0 + table.fold
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)

    def run(name: str, **options: Any) -> tuple[IngestReport, Any]:
        options = {"target": "y", "weight": "weight", "fold": "fold", "missing": "mean"} | options
        report = ingest(
            bed, tmp_path / name, targets=tmp_path / "t.csv", id_column="IID", **options
        )
        return report, zarr.open_group(tmp_path / name, mode="r")

    return run


def test_columns_give_the_store_that_rows_give(
    cohort: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_column, one = cohort("columns", max_missing=0.5)
    monkeypatch.setattr(by_columns, "is_wide", lambda *sizes, **options: False)
    by_row, other = cohort("rows", max_missing=0.5)
    assert one["X"].chunks == (9, 5)
    for name in ("X", "y", "sample_weight", "fold"):
        np.testing.assert_array_equal(one[name][...], other[name][...])
    found, expected = by_column.manifest.statistics, by_row.manifest.statistics
    for name in ("mean", "std", "minimum", "maximum", "missing"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-14)
    np.testing.assert_array_equal(found.std == 0, expected.std == 0)
    assert by_column.manifest.schema.to_json() == by_row.manifest.schema.to_json()
    assert by_column.notes == by_row.notes
    assert by_column.warnings == by_row.warnings


def test_a_store_of_columns_verifies(cohort: Ingest, tmp_path: Path) -> None:
    cohort("store")
    assert not verify(tmp_path / "store").faults


def test_missing_genotypes_are_refused_where_they_are_not_to_be_filled(cohort: Ingest) -> None:
    with pytest.raises(ValueFound, match=r"column rs\d+: found a missing value"):
        cohort("store", missing="error")


def test_rows_are_appended_without_holding_those_that_are_there(
    tmp_path: Path, write_plink: Callable[..., Path], small_chunks: None
) -> None:
    genotypes = np.random.default_rng(0).integers(0, 3, (9 + 4, D))
    first = write_plink(tmp_path / "a.bed", genotypes[:9])
    more = write_plink(tmp_path / "b.bed", genotypes[9:])
    ingest(first, tmp_path / "store")
    report = append_rows(tmp_path / "store", more, memory=9 * D)
    assert (report.chunks_linked, report.chunks_written) == (1, 1)
    X = zarr.open_group(tmp_path / "store", mode="r")["X"]
    assert X.chunks == (9, 5)
    np.testing.assert_array_equal(X[...], genotypes)
    assert not verify(tmp_path / "store").faults


def test_progress_ends_with_all_rows(cohort: Ingest) -> None:
    seen: list[tuple[int, int | None]] = []
    cohort("store", progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == 5
    assert seen[-1] == (9, 9)
