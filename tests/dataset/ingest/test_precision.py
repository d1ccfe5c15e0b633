"""A store keeps the digits that a column's spread needs, or says which column lost them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.ingest.precision import ROUNDING_PER_STD, Rounding

N = 400


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def seconds(rng: np.random.Generator) -> np.ndarray:
    return 1.7e9 + rng.normal(0, 100, N)


def table(path: Path, **columns: np.ndarray) -> Path:
    frame = pd.DataFrame(columns)
    frame["y"] = np.arange(len(frame)) % 7
    file = path / f"{'_'.join(columns)}.parquet"
    frame.to_parquet(file)
    return file


def test_a_column_whose_mean_dwarfs_its_spread_makes_the_store_float64(
    tmp_path: Path, seconds: np.ndarray
) -> None:
    source = table(tmp_path, plain=np.linspace(-1, 1, N), seconds=seconds)
    report = ingest(source, tmp_path / "s", target="y")
    X = zarr.open_group(tmp_path / "s", mode="r")["X"][...]
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X[:, 1], seconds)
    assert report.manifest.statistics.std[1] == pytest.approx(seconds.std())
    [note] = report.notes
    assert note.startswith("X is stored as float64, twice the size: float32 would round seconds")
    assert f"standard deviation {seconds.std():.3g}" in note
    assert "plain" not in note


def test_float32_that_was_asked_for_is_kept_and_says_what_it_rounds(
    tmp_path: Path, seconds: np.ndarray
) -> None:
    report = ingest(table(tmp_path, s=seconds), tmp_path / "s", target="y", dtype="float32")
    assert zarr.open_group(tmp_path / "s", mode="r")["X"].dtype == np.float32
    lost = seconds - seconds.astype(np.float32)
    [warning] = report.warnings
    assert warning.startswith("float32 rounds s (mean 1.7e+09")
    assert f"by {lost.std():.2g}," in warning


@pytest.mark.parametrize(
    "column",
    [
        np.full(N, 0.1),  # not a float32 number, but the same in every row
        2_000_000.0 + np.arange(N),  # far from zero, and exact
        np.linspace(1_000, 1_010, N),  # a mean of some 300 standard deviations
    ],
    ids=["constant", "whole numbers", "pressure"],
)
def test_a_column_that_float32_holds_leaves_the_store_float32(
    tmp_path: Path, column: np.ndarray, rng: np.random.Generator
) -> None:
    source = table(tmp_path, column=column, other=rng.normal(size=N))
    report = ingest(source, tmp_path / "s", target="y")
    assert zarr.open_group(tmp_path / "s", mode="r")["X"].dtype == np.float32
    assert not any("float32" in text for text in (*report.warnings, *report.notes))


def test_identifiers_that_float32_merges_are_not_called_constant(tmp_path: Path) -> None:
    source = table(tmp_path, id=1_700_000_000_000 + np.arange(N) * 1.0)
    report = ingest(source, tmp_path / "s", target="y", dtype="float32")
    assert not any("the same value in every row" in warning for warning in report.warnings)


def test_values_that_are_0_in_float32_make_the_store_float64(tmp_path: Path) -> None:
    tiny = 1e-320 * np.arange(N)
    report = ingest(table(tmp_path, tiny=tiny), tmp_path / "s", target="y")
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s", mode="r")["X"][:, 0], tiny)
    assert not any("the same value in every row" in warning for warning in report.warnings)
    assert report.notes[0].startswith("X is stored as float64")


@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_whole_numbers_beyond_2_to_the_53_are_named(tmp_path: Path, kind: type) -> None:
    ids = (2**53 + np.arange(N)).astype(kind)
    large = np.geomspace(0.5, 1e20, N)  # a measure, not an identifier
    report = ingest(table(tmp_path, id=ids, large=large), tmp_path / "s", target="y")
    [named] = [warning for warning in report.warnings if "2^53" in warning]
    assert named.startswith("1 column has whole numbers of 2^53 and more (id),")


def test_new_rows_that_a_float32_store_rounds_are_named(
    tmp_path: Path, seconds: np.ndarray
) -> None:
    (tmp_path / "new").mkdir()
    new = table(tmp_path / "new", t=seconds + 50)
    ingest(table(tmp_path, t=seconds), tmp_path / "s", target="y", dtype="float32")
    [warning] = append_rows(tmp_path / "s", new).warnings
    assert warning.startswith("float32 rounds t (mean 1.7e+09")
    assert warning.endswith("a new ingest with --dtype float64 keeps them as they are.")
    ingest(table(tmp_path, t=seconds), tmp_path / "s", target="y", overwrite=True)
    assert append_rows(tmp_path / "s", new).warnings == []


@settings(max_examples=50, deadline=None)
@given(
    mean=st.floats(-1e9, 1e9),
    std=st.floats(1e-3, 1e3),
    sizes=st.lists(st.integers(1, 40), min_size=1),
)
def test_rounding_is_the_deviation_of_the_errors_whatever_the_batches(
    mean: float, std: float, sizes: list[int]
) -> None:
    values = np.random.default_rng(1).normal(mean, std, (sum(sizes), 1))
    narrow = values.astype(np.float32)
    found = Rounding(1)
    start = 0
    for size in sizes:
        found.add(values[start : start + size], narrow[start : start + size])
        start += size
    error = values - narrow
    expected = error.std(axis=0)
    np.testing.assert_allclose(found.std, expected, rtol=1e-6, atol=1e-9 * np.abs(error).max())
    spread = narrow.std(axis=0, dtype=np.float64)
    if abs(expected[0] - ROUNDING_PER_STD * spread[0]) > 1e-3 * expected[0]:
        assert found.harmed(spread)[0] == (expected[0] > ROUNDING_PER_STD * spread[0])
