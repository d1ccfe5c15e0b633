"""Values that were named as missing are missing, whatever the source: never a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from sklearn.datasets import dump_svmlight_file

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import OptionError, ValueFound
from dasklasso.storage.zarr_blocks import read_rows

N = 60


@pytest.fixture(scope="module")
def genotypes() -> np.ndarray:
    """0, 1, 2 and a few -1, as int8."""
    rng = np.random.default_rng(0)
    return rng.choice(np.array([0, 1, 2, -1], dtype=np.int8), (N, 3), p=[0.4, 0.3, 0.2, 0.1])


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.where(np.arange(N) % 2, 1.0, -1.0)  # a -1 of a target is no missing value


def save(folder: Path, ending: str, X: np.ndarray, y: np.ndarray) -> tuple[Path, dict[str, Any]]:
    source = folder / f"X.{ending}"
    if ending == "npy":
        np.save(source, X)
        np.save(folder / "y.npy", y)
        return source, {"target": "y.npy"}
    if ending == "npz":
        np.savez_compressed(source, X=X, y=y)
    elif ending == "h5":
        with h5py.File(source, "w") as file:
            file["X"], file["y"] = X, y
    elif ending == "svm":
        dump_svmlight_file(X.astype(float), y, str(source), zero_based=False)
    else:
        frame = pd.DataFrame(X, columns=["x0", "x1", "x2"]).assign(y=y)
        frame.to_csv(source, index=False) if ending == "csv" else frame.to_parquet(source)
        return source, {"target": "y"}
    return source, {}


@pytest.mark.parametrize("ending", ["npy", "npz", "h5", "svm", "csv", "parquet"])
def test_a_code_of_any_source_is_filled_with_the_mean_of_the_others(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray, ending: str
) -> None:
    source, options = save(tmp_path, ending, genotypes, y)
    report = ingest(source, tmp_path / "s", missing="mean", missing_values=["-1"], **options)
    data = open_dataset(str(tmp_path / "s"))
    absent = genotypes == -1
    means = [column[column >= 0].mean() for column in genotypes.T]
    X = read_rows(data.X, 0, len(y))
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, np.where(absent, means, genotypes), rtol=1e-6)
    np.testing.assert_allclose(data.statistics.mean, X.mean(axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_array_equal(report.manifest.statistics.missing, absent.sum(axis=0))
    np.testing.assert_array_equal(read_rows(data.y, 0, len(y))[:, 0], y)


@pytest.mark.parametrize("ending", ["npy", "npz", "h5", "parquet"])
def test_bytes_stay_bytes_with_the_code_for_missing_values(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray, ending: str
) -> None:
    source, options = save(tmp_path, ending, genotypes, y)
    ingest(source, tmp_path / "s", missing="mean", missing_values=["-1"], **options)
    stored = zarr.open_group(tmp_path / "s", mode="r")["X"]
    assert stored.dtype == np.int8
    np.testing.assert_array_equal(stored[...], genotypes)


def test_missing_values_without_a_code_of_a_byte_are_filled_in(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray
) -> None:
    source, options = save(tmp_path, "npy", genotypes, y)
    ingest(
        source, tmp_path / "s", missing="mean", missing_values=["-1"], dtype="float32", **options
    )
    stored = zarr.open_group(tmp_path / "s", mode="r")["X"]
    assert stored.dtype == np.float32


def test_new_rows_keep_the_code_and_are_filled_with_the_first_means(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray
) -> None:
    first, options = save(tmp_path, "npy", genotypes, y)
    ingest(first, tmp_path / "s", missing="mean", missing_values=["-1"], **options)
    old = read_rows(open_dataset(str(tmp_path / "s")).X, 0, N)
    more, options = save(tmp_path, "npz", genotypes[::-1], y[::-1])
    append_rows(tmp_path / "s", more)
    after = open_dataset(str(tmp_path / "s"))
    X = read_rows(after.X, 0, after.n_rows)
    np.testing.assert_array_equal(X, np.concatenate([old, old[::-1]]))
    np.testing.assert_allclose(after.statistics.std, X.std(axis=0, dtype=float), rtol=1e-6)
    assert zarr.open_group(tmp_path / "s", mode="r")["X"].dtype == np.int8


@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_a_code_is_refused_where_missing_values_are(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray, ending: str
) -> None:
    source, options = save(tmp_path, ending, genotypes, y)
    row, column = np.argwhere(genotypes == -1)[0]
    named = rf"row {row}, column x{column}: found a missing value \(NaN, null or as named\)"
    with pytest.raises(ValueFound, match=named):
        ingest(source, tmp_path / "s", missing_values=["-1"], **options)


def test_small_integers_without_the_code_stay_small(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray
) -> None:
    source, options = save(tmp_path, "npy", np.abs(genotypes), y)
    ingest(source, tmp_path / "s", missing="mean", missing_values=[-9, 99], **options)
    assert zarr.open_group(tmp_path / "s", mode="r")["X"].dtype == np.int8


def test_words_are_missing_among_numbers_and_among_texts(tmp_path: Path) -> None:
    rows = [f"{i},{'?' if i == 3 else i},{'?' if i == 5 else 'uv'[i % 2]},{i}" for i in range(8)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,y", *rows]))
    report = ingest(
        tmp_path / "t.csv", tmp_path / "s", target="y", missing="mean", missing_values=["?"]
    )
    assert report.manifest.feature_names == ("a", "b", "c=u", "c=v", "c=<missing>")
    X = zarr.open_group(tmp_path / "s", mode="r")["X"][...]
    assert X[3, 1] == np.float32(np.mean([0, 1, 2, 4, 5, 6, 7]))
    np.testing.assert_array_equal(X[5, 2:], [0, 0, 1])


def test_new_rows_have_the_codes_of_the_first(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray
) -> None:
    source, options = save(tmp_path, "npz", genotypes, y)
    ingest(source, tmp_path / "s", missing="mean", missing_values=["-1"], **options)
    schema = open_dataset(tmp_path / "s").schema
    assert schema is not None
    assert schema.missing_values == ("-1",)
    report = append_rows(tmp_path / "s", source)
    assert report.manifest.statistics.missing.sum() == 2 * (genotypes == -1).sum()


@pytest.mark.parametrize("value", ["", " ", "nan"])
def test_what_is_missing_in_any_case_cannot_be_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(OptionError, match="is missing in any case"):
        ingest(tmp_path / "t.csv", tmp_path / "s", missing_values=[value])


@pytest.mark.parametrize("value", ["1e999", "-1e400"])
def test_what_no_table_can_have_cannot_be_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(OptionError, match="is beyond float64"):
        ingest(tmp_path / "t.csv", tmp_path / "s", target="y", missing_values=[value])


def test_infinity_may_stand_for_a_missing_value(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\ninf,3\n5,4\n-inf,5\n")
    ingest(tmp_path / "t.csv", tmp_path / "s", target="y", missing="mean",
           missing_values=["inf", "-inf"])  # fmt: skip
    X = zarr.open_group(tmp_path / "s", mode="r")["X"]
    np.testing.assert_array_equal(np.asarray(X[:, 0]), [1, 3, 5, 3])


def test_a_lone_code_among_genotypes_is_pointed_out(
    tmp_path: Path, genotypes: np.ndarray, y: np.ndarray
) -> None:
    X = np.column_stack([genotypes, np.arange(N) % 2, np.arange(N) - 1]).astype(np.int8)
    source, options = save(tmp_path, "npy", X, y)
    [warning] = ingest(source, tmp_path / "s", **options).warnings
    assert warning == (
        "3 of 5 columns have 0, 1, 2 and -1 only (x0, x1, x2): if -1 stands for a missing value, "
        "--missing-value -1."
    )
