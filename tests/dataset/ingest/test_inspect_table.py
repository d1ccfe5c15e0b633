"""A dry run tells what columns would become, as a schema that is edited and then followed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from dasklasso.dataset.ingest import inspect_table as module
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.ingest.inspect_table import Inspection, inspect_table
from dasklasso.dataset.ingest.table_schema import PlannedColumn, TableSchema
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import OptionError

N = 60


@pytest.fixture(scope="module")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        f"k{i:03};{i},5;{i % 7};0{1 + i % 9}.02.2020;{'AB'[i % 2]};{i % 3};{'' if i == 4 else i}"
        for i in range(N)
    ]
    source = tmp_path_factory.mktemp("loans") / "loans.csv"
    source.write_text("\n".join(["id;price;n;opened;grade;y;late", *rows]))
    return source


@pytest.fixture(scope="module")
def found(loans: Path) -> Inspection:
    return inspect_table(loans, target="y", drop=["id"])


def test_every_column_is_told_with_its_role_type_range_and_precision(found: Inspection) -> None:
    told = {
        c.name: (c.role, c.type, c.becomes, c.missing, c.precision)
        for c in found.columns
        if not c.why
    }
    assert told == {
        "id": ("drop", "", "string", 0, ""),
        "n": ("feature", "number", "0 to 6", 0, "uint8"),
        "grade": ("feature", "category", "2 levels: 'A', 'B'", 0, ""),
        "y": ("target", "number", "0 to 2", 0, "uint8"),
        "late": ("feature", "number", "0 to 59", 1, "float32"),
    }
    assert found.dialect.startswith("separator ;")
    assert found.n_sampled == N


def test_columns_that_are_not_clear_are_undecided_and_say_why(found: Inspection) -> None:
    undecided = {c.name: c.why for c in found.columns if c.type == "undecided"}
    assert list(undecided) == ["price", "opened"]
    assert "row 0 (line 2) has '0,5', which looks like a number" in undecided["price"]
    assert "--date opened=days:%d.%m.%Y reads it" in undecided["opened"]


@pytest.mark.parametrize("ending", [".toml", ".json"])
def test_a_schema_is_written_edited_and_followed(
    tmp_path: Path, loans: Path, found: Inspection, ending: str
) -> None:
    file = tmp_path / f"loans{ending}"
    found.schema.save(file)
    with pytest.raises(
        OptionError, match=r"columns 2 \(price\): type is 'undecided', expected one"
    ):
        TableSchema.load(file)
    text = file.read_text()
    data: dict[str, Any] = tomllib.loads(text) if ending == ".toml" else json.loads(text)
    assert [column["name"] for column in data["columns"]] == [c.name for c in found.columns]

    edits = {"price": {"type": "number"}, "late": {"role": "drop"},
             "opened": {"type": "date", "unit": "days", "format": "%d.%m.%Y"}}  # fmt: skip
    columns = tuple(
        PlannedColumn(**{**column, **edits.get(column["name"], {})}) for column in data["columns"]
    )
    edited = tmp_path / f"edited{ending}"
    TableSchema(columns, {"decimal": ","}).save(edited)
    plan = TableSchema.load(edited)
    report = ingest(loans, tmp_path / "s", plan=plan)
    assert report.manifest.feature_names == ("price", "n", "opened", "grade=A", "grade=B")
    assert report.manifest.target_names == ("y",)
    X = zarr.open_group(tmp_path / "s", mode="r")["X"][...]
    np.testing.assert_array_equal(X[:3, 0], [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(X[:2, 2], [18293, 18294])
    again = inspect_table(loans, plan=plan)
    assert not [column.name for column in again.columns if column.why]


def test_only_columns_that_were_text_are_recorded_as_numbers(tmp_path: Path, loans: Path) -> None:
    said = Reading.of(decimal=",", number=["n", "price"])
    report = ingest(loans, tmp_path / "s", target="y", drop=["id", "opened", "late"], reading=said)
    assert report.manifest.schema is not None
    assert report.manifest.schema.reading.to_json() == {"decimal": ","}


def column(name: str = "a", **entries: Any) -> dict[str, Any]:
    return {"name": name, "role": "feature", "type": "number", **entries}


Y = column("y", role="target")
BAD: dict[str, Any] = {
    "found [1], expected tables [read] and [[columns]].": [1],
    "there is no key 'colums', expected read and columns.": {"colums": []},
    "columns are [], expected tables [[columns]].": {"columns": []},
    "columns 1: found 'a', expected a table.": {"columns": ["a"]},
    "columns 1: the key 'name' is needed.": {"columns": [{"role": "target"}]},
    "columns 1: there is no key 'kind'.": {"columns": [column(kind="x")]},
    "columns 1: type is 3, expected text.": {"columns": [column(type=3)]},
    "columns 1 (a): role is 'label', expected one of feature": {"columns": [column(role="label")]},
    "columns 1 (a): type is 'text', expected one of number": {"columns": [column(type="text")]},
    "columns 1 (a): unit and format are of dates": {"columns": [column(unit="days")]},
    "'decades' is no unit": {"columns": [column(type="date", unit="decades")]},
    "column a comes twice, expected once.": {"columns": [column(), column(), Y]},
    "no column has the role target": {"columns": [column()]},
    "columns 'a', 'b' have the role weight, expected one.": {
        "columns": [column(role="weight"), column("b", role="weight"), Y]},
    "read: there is no key 'sep'.": {"read": {"sep": ";"}, "columns": [column(), Y]},
    "read: null is 'x', expected a list of texts.": {
        "read": {"null": "x"}, "columns": [column(), Y]},
    "read: --decimal ';': expected . or a comma.": {
        "read": {"decimal": ";"}, "columns": [column(), Y]},
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_a_schema_that_cannot_be_followed_is_refused_in_one_line(
    tmp_path: Path, message: str
) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps(BAD[message]))
    with pytest.raises(OptionError) as caught:
        TableSchema.load(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns = [", "the schema cannot be read"),
        ("\xff", "is not UTF-8"),
        ("[" * 100_000, "the schema cannot be read"),
    ],
)
def test_a_file_that_is_no_schema_is_refused(tmp_path: Path, text: str, message: str) -> None:
    for ending in (".toml", ".json"):
        (tmp_path / f"s{ending}").write_text(text, encoding="latin-1")
        with pytest.raises(OptionError, match=message):
            TableSchema.load(tmp_path / f"s{ending}")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([column("a"), Y], "t.csv has no column 'a'. Did you mean"),
        ([Y], "says nothing of column 'aa' of"),
    ],
)
def test_a_schema_of_another_table_is_refused(
    tmp_path: Path, columns: list[dict[str, Any]], message: str
) -> None:
    (tmp_path / "t.csv").write_text("aa,y\n1,2\n3,4\n")
    plan = TableSchema(tuple(PlannedColumn(**one) for one in columns))
    with pytest.raises(OptionError) as caught:
        ingest(tmp_path / "t.csv", tmp_path / "s", plan=plan)
    assert message in str(caught.value)


def test_names_of_all_kinds_go_through_a_file(tmp_path: Path) -> None:
    names = ['a "b"', "x\ny", "tab\t", "\\", "é\u2028", "\x7f", "😀", "[[columns]]", "# no"]
    schema = TableSchema(tuple(PlannedColumn(name, "target", found="\x1b[0m") for name in names))
    for ending in (".toml", ".json"):
        schema.save(tmp_path / f"s{ending}")
        assert TableSchema.load(tmp_path / f"s{ending}").columns == schema.columns


def test_columns_of_other_kinds_are_told_too(tmp_path: Path) -> None:
    table = {
        "list": pa.array([[1]] * 3), "when": pa.array([1, 2, 3], pa.timestamp("s")),
        "big": [1.7e9, 1.7e9 + 1, 1.7e9 + 2.5], "gone": pa.nulls(3), "y": [1, 2, 3],
    }  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    found = {column.name: column for column in inspect_table(tmp_path / "t.parquet").columns}
    assert found["list"].why.startswith("is list<")
    assert "--date when=days reads it" in found["when"].why
    assert found["big"].precision == "float64"
    assert found["gone"].becomes == "nothing: all values of the sample are missing"
    assert found["y"].role == "feature"


def test_a_wide_table_is_told_by_few_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAMPLE_VALUES", 4000)
    np.save(tmp_path / "X.npy", np.zeros((900, 40)))
    assert inspect_table(tmp_path / "X.npy").n_sampled == 100
    np.save(tmp_path / "X.npy", np.zeros((900, 1000)))
    assert inspect_table(tmp_path / "X.npy").n_sampled == 20
