"""Covariates are joined to the rows of a store by id, whatever their order."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dasklasso.dataset.covariates import Encoding, factors_with, with_covariates
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.verify import verify
from dasklasso.errors import ChunkCorrupt, DasklassoError, DataWarning, ValueFound
from dasklasso.storage.zarr_blocks import read_rows

N = 9
IDS = [f"s{i}" for i in range(N)]
AGE = 30.0 + np.arange(N)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Features g0 and g1, target y and ids."""
    folder = tmp_path_factory.mktemp("joined")
    X = np.random.default_rng(0).integers(0, 3, (N, 2))
    frame = pd.DataFrame({"IID": IDS, "g0": X[:, 0], "g1": X[:, 1], "y": AGE / 10})
    frame.to_csv(folder / "t.csv", index=False)
    ingest(folder / "t.csv", folder / "t.zarr", target="y", id_column="IID")
    return str(folder / "t.zarr")


def table(path: Path, **columns: object) -> Path:
    frame = pd.DataFrame({"FID": 0, "IID": IDS, "age": AGE, "sex": ["F", "M", "M"] * 3, **columns})
    frame = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "zarr"])
def test_covariates_stand_beside_the_features_of_their_rows(store, tmp_path, ending):
    place = table(tmp_path / ("c.csv" if ending == "zarr" else f"c.{ending}"))
    if ending == "zarr":
        ingest(place, tmp_path / "c.zarr", id_column="IID", drop=["FID"])
        place = tmp_path / "c.zarr"
    plain = open_dataset(store)
    data = with_covariates(plain, place)
    assert data.feature_names == ("g0", "g1", "age", "sex=F", "sex=M")
    assert (data.n_features, data.n_covariates, data.sample_weight) == (5, 3, None)
    rows = read_rows(data.X, 0, N)
    np.testing.assert_array_equal(rows[:, :2], read_rows(plain.X, 0, N))
    np.testing.assert_array_equal(rows[:, 2], AGE)
    assert data.statistics.mean[2] == pytest.approx(AGE.mean())
    assert data.fingerprint != plain.fingerprint
    np.testing.assert_array_equal(factors_with(data), [1, 1, 0, 0, 0])


def test_equal_tables_are_the_same_data_and_others_are_not(store, tmp_path):
    plain = open_dataset(store)
    one = with_covariates(plain, table(tmp_path / "a.csv"))
    same = with_covariates(plain, table(tmp_path / "b.csv"))
    other = with_covariates(plain, table(tmp_path / "c.csv", age=AGE + 1))
    assert one.identity == same.identity != other.identity


def test_rows_without_covariates_are_left_out_and_counted(store, tmp_path):
    place = table(tmp_path / "c.csv", IID=["s0", "else", *IDS[2:]])
    with pytest.warns(DataWarning, match=r"1 of 9 rows of .* have no row in .*c\.csv"):
        data = with_covariates(open_dataset(store), place)
    weight = read_rows(data.sample_weight, 0, N)[:, 0]
    np.testing.assert_array_equal(weight, np.arange(N) != 1)
    with pytest.raises(ValueFound, match="the first: row 1"):
        with_covariates(open_dataset(store), place, all_rows=True)


def test_a_model_encodes_tables_by_its_own_levels(store, tmp_path):
    data = with_covariates(open_dataset(store), table(tmp_path / "a.csv"))
    women = table(tmp_path / "b.csv", sex="F")
    encoding = Encoding(data.covariates, "model")
    found = with_covariates(open_dataset(store), women, encoding=encoding)
    assert found.feature_names == data.feature_names
    np.testing.assert_array_equal(read_rows(found.X, 0, N)[:, 3:], [[1, 0]] * N)


@pytest.mark.filterwarnings("ignore:covariates. 1 of 4 columns has the same value")
@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"g1": 0}, "covariate g1 is a feature of"),
        ({"y": AGE}, "covariate y is the target of"),
        ({"IID": [f"t{i}" for i in range(N)]}, "none of its 9 ids is one of"),
        ({"IID": ["s0", *IDS[:-1]]}, "have both the id 's0'"),
        ({"age": [np.nan, *AGE[1:]]}, "found a missing value"),
        ({"age": [np.nan, *AGE[1:]]}, "These are options of ingest: with --id IID it makes"),
    ],
)
def test_covariates_that_cannot_be_joined_are_one_line(store, tmp_path, columns, says):
    with pytest.raises(DasklassoError) as caught:
        with_covariates(open_dataset(store), table(tmp_path / "c.csv", **columns))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_covariates_of_which_two_rows_have_one_id_are_refused(store, tmp_path):
    place = table(tmp_path / "c.csv", z=0.5 * AGE)
    ingest(place, tmp_path / "c.zarr", id_column="IID", drop=["FID", "sex"], target="z")
    append_rows(tmp_path / "c.zarr", place)
    with pytest.raises(ValueFound, match=r"c\.zarr: row 9 has the id of another row"):
        with_covariates(open_dataset(store), tmp_path / "c.zarr")


def test_a_store_without_ids_says_how_it_gets_them(make_store, tmp_path):
    data = make_store(np.eye(4), np.arange(4.0))
    with pytest.raises(DasklassoError, match=r"has no ids of rows.*--id NAME"):
        with_covariates(data, table(tmp_path / "c.csv"), id_column="IID")


def damage(store: Path, array: str) -> None:
    """Turn a bit of an array's first chunk."""
    chunk = next(one for one in sorted(Path(store, array, "c").rglob("*")) if one.is_file())
    whole = chunk.read_bytes()
    chunk.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])


def test_damaged_ids_are_named(store, tmp_path):
    shutil.copytree(store, tmp_path / "s")
    damage(tmp_path / "s", "row_ids")
    assert [fault.array for fault in verify(tmp_path / "s").faults] == ["row_ids"]
    with pytest.raises(ChunkCorrupt, match=r"row_ids/c/0/0 of .*/s"):
        with_covariates(open_dataset(str(tmp_path / "s")), table(tmp_path / "c.csv"))


def test_damaged_covariates_are_named(store, tmp_path):
    ingest(table(tmp_path / "c.csv"), tmp_path / "c.zarr", id_column="IID", drop=["FID"])
    damage(tmp_path / "c.zarr", "X")
    with pytest.raises(ChunkCorrupt, match=r"X/c/0/0 of .*/c\.zarr"):
        with_covariates(open_dataset(store), tmp_path / "c.zarr")
