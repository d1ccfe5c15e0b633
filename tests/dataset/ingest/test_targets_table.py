"""Targets of a table are joined by id: any order, rows without one left out and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.align import Asked
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.by_schema import ingest_by_schema
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import DasklassoError, OptionError

N = 12


@pytest.fixture(scope="module")
def genotypes() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 3, (N, 4))


@pytest.fixture
def bed(tmp_path: Path, genotypes: np.ndarray, write_plink: Callable[..., Path]) -> Path:
    return write_plink(tmp_path / "g.bed", genotypes)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Heights 100, 101, ... of samples s0, s1, ..., in another order."""
    frame = pd.DataFrame(
        {
            "IID": [f"s{i}" for i in range(N)],
            "height": 100.0 + np.arange(N),
            "case": ["no", "yes"] * (N // 2),
            "batch": np.arange(N) % 3,
        }
    )
    return frame.sample(frac=1, random_state=0)


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def stored(store: Path) -> dict[str, np.ndarray]:
    return {name: array[...] for name, array in zarr.open_group(store, mode="r").arrays()}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_targets_are_found_by_sample_id(
    tmp_path: Path, bed: Path, genotypes: np.ndarray, frame: pd.DataFrame, ending: str
) -> None:
    table = write(frame, tmp_path / f"t.{ending}")
    report = ingest(
        bed, tmp_path / "store", targets=table, id_column="IID", target="height", fold="batch"
    )
    found = stored(tmp_path / "store")
    np.testing.assert_array_equal(found["X"], genotypes)
    np.testing.assert_array_equal(found["y"], 100.0 + np.arange(N))
    np.testing.assert_array_equal(found["fold"], np.arange(N) % 3)
    assert report.manifest.target_names == ("height",)
    assert report.notes == []


def test_rows_without_a_target_are_left_out_and_counted(
    tmp_path: Path, bed: Path, genotypes: np.ndarray, frame: pd.DataFrame
) -> None:
    frame.loc[[1, 4], "height"] = np.nan
    frame.loc[[7], "IID"] = "another"
    table = write(frame, tmp_path / "t.csv")
    report = ingest(bed, tmp_path / "store", targets=table, id_column="IID", target="height")
    used = np.delete(np.arange(N), [1, 4, 7])
    found = stored(tmp_path / "store")
    np.testing.assert_array_equal(found["X"], genotypes[used])
    np.testing.assert_array_equal(found["y"], 100.0 + used)
    assert report.notes == [
        f"3 of 12 rows of {bed} are left out: 1 with no row in {table}, 2 without height.",
        f"1 of 12 rows of {table} are not in {bed}.",
    ]


def test_several_targets_and_classes_are_taken(
    tmp_path: Path, bed: Path, frame: pd.DataFrame
) -> None:
    table = write(frame, tmp_path / "t.csv")
    report = ingest(
        bed, tmp_path / "store", targets=table, id_column="IID", target=["height", "case"]
    )
    expected = np.stack([100.0 + np.arange(N), np.arange(N) % 2], axis=1)
    np.testing.assert_array_equal(stored(tmp_path / "store")["y"], expected)
    assert report.manifest.target_classes == (None, ("no", "yes"))


def test_tables_are_joined_by_an_id_that_is_no_feature(tmp_path: Path, frame: pd.DataFrame) -> None:
    ids = [f"0{i}" for i in range(N)]  # as they are written: no numbers
    rows = pd.DataFrame({"a": np.arange(N) + 0.5, "who": ids, "b": np.arange(N) % 2})
    source = tmp_path / "x.csv"
    rows.to_csv(source, index=False)
    frame["who"] = frame.IID.str.replace("s", "0")
    frame.loc[[3], "height"] = np.nan
    table = write(frame[["who", "height"]], tmp_path / "t.csv")
    report = ingest(source, tmp_path / "store", targets=table, id_column="who")
    used = np.delete(np.arange(N), 3)
    found = stored(tmp_path / "store")
    assert report.manifest.feature_names == ("a", "b")
    np.testing.assert_array_equal(found["X"], np.stack([used + 0.5, used % 2], axis=1))
    np.testing.assert_array_equal(found["y"], 100.0 + used)


def test_rows_to_score_are_joined_in_the_same_way(
    tmp_path: Path, bed: Path, genotypes: np.ndarray, frame: pd.DataFrame
) -> None:
    table = write(frame, tmp_path / "t.csv")
    ingest(bed, tmp_path / "store", targets=table, id_column="IID", target="height")
    schema = open_dataset(tmp_path / "store").schema
    assert schema is not None
    table = write(frame.iloc[:5], tmp_path / "u.csv")
    report = ingest_by_schema(
        bed, tmp_path / "scored", schema, of="it", asked=Asked(needs={"target": "required"}),
        targets=table, id_column="IID",
    )  # fmt: skip
    used = np.sort(frame.index[:5])
    found = stored(tmp_path / "scored")
    np.testing.assert_array_equal(found["X"], genotypes[used])
    np.testing.assert_array_equal(found["y"], 100.0 + used)
    assert report.notes[0].startswith(f"7 of 12 rows of {bed} are left out")


def test_nine_below_zero_is_noted_where_plink_means_missing(
    tmp_path: Path, bed: Path, frame: pd.DataFrame
) -> None:
    frame.loc[[2, 3], "height"] = -9
    table = write(frame[["IID", "height"]], tmp_path / "t.csv")
    report = ingest(bed, tmp_path / "store", targets=table, id_column="IID")
    assert any("column height" in n and "-9 in 2 rows" in n for n in report.notes)


def doubled(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[:1]])


def unknown(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(IID=[f"person{i}" for i in range(N)])


def nameless(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(IID=["", *frame.IID[1:]])


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (doubled, {}, "t.csv: row 12, column IID: found 's6' again, expected each id once"),
        (unknown, {}, "none of its ids ('person0', 'person1', 'person2', ...) is one of"),
        (nameless, {}, "t.csv: row 0, column IID: found a missing value, expected an id"),
        (lambda frame: frame.assign(height=np.nan), {}, "t.csv: no row of"),
        (None, {"target": None}, "name the target with --target. There are: height, case, batch"),
        (None, {"target": "heigth"}, "has no column 'heigth' (--target). Did you mean 'height'?"),
        (None, {"target": "PHENO"}, "has no column 'PHENO' (--target)"),
        (None, {"id_column": "id"}, "has no column 'id' (--id). Did you mean 'IID'?"),
        (None, {"id_column": None}, "which column has the ids? Name it with --id"),
        (lambda frame: frame.assign(rs1=1.0), {"target": "rs1"}, "column rs1 is in"),
    ],
)
def test_tables_that_cannot_be_joined_are_one_line(
    tmp_path: Path,
    bed: Path,
    frame: pd.DataFrame,
    change: Callable[[pd.DataFrame], pd.DataFrame] | None,
    options: dict[str, Any],
    says: str,
) -> None:
    table = write(frame if change is None else change(frame), tmp_path / "t.csv")
    asked = {"targets": table, "id_column": "IID", "target": "height", **options}
    with pytest.raises(DasklassoError) as caught:
        ingest(bed, tmp_path / "store", **asked)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_rows_of_one_id_are_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    source = tmp_path / "x.csv"
    source.write_text("IID,a\ns1,1\ns2,2\ns1,3\n")
    table = write(frame, tmp_path / "t.csv")
    with pytest.raises(DasklassoError, match="rows 0 and 2 have both the id 's1'"):
        ingest(source, tmp_path / "store", targets=table, id_column="IID", target="height")


def test_a_source_needs_the_column_of_ids(tmp_path: Path, frame: pd.DataFrame) -> None:
    source = tmp_path / "x.csv"
    source.write_text("id,a\ns1,1\n")
    table = write(frame, tmp_path / "t.csv")
    with pytest.raises(OptionError, match=r"x.csv: has no column 'IID' \(--id\)"):
        ingest(source, tmp_path / "store", targets=table, id_column="IID", target="height")


def test_a_store_keeps_the_ids_of_its_rows(tmp_path: Path, bed: Path, frame: pd.DataFrame) -> None:
    table = write(frame, tmp_path / "t.csv")
    ingest(bed, tmp_path / "joined", targets=table, id_column="IID", target="height")
    ingest(bed, tmp_path / "alone")
    ingest(table, tmp_path / "table", id_column="IID", target="height", drop=["case"])
    joined, alone, own = (stored(tmp_path / n)["row_ids"] for n in ("joined", "alone", "table"))
    np.testing.assert_array_equal(joined, alone)
    assert {*map(bytes, own)} == {*map(bytes, joined)}
    assert not np.array_equal(own, joined)
    assert open_dataset(tmp_path / "table").feature_names == ("batch",)


def test_appended_rows_have_ids_too(tmp_path: Path, frame: pd.DataFrame) -> None:
    def part(name: str, rows: slice) -> Path:
        return write(frame[["IID", "height", "batch"]].iloc[rows], tmp_path / name)

    ingest(part("a.csv", slice(0, 8)), tmp_path / "s", id_column="IID", target="height")
    append_rows(tmp_path / "s", part("b.csv", slice(8, None)))
    assert len(np.unique(stored(tmp_path / "s")["row_ids"], axis=0)) == N
    append_rows(tmp_path / "s", tmp_path / "b.csv")  # of the same samples
    ids = stored(tmp_path / "s")["row_ids"]
    np.testing.assert_array_equal(ids[N:], ids[8:N])
