"""A table comes back from every kind of file as it was, or there is no file."""

import numpy as np
import pytest

from dasklasso.errors import OptionError
from dasklasso.files import tables as table_files
from dasklasso.files.tables import check_table_file, read_table, write_table

SUFFIXES = [".csv", ".parquet", ".json"]
ROWS = [
    {"feature": 'a, "quoted"', "coef": 0.1 + 0.2, "count": 3, "selected": True},
    {"feature": "b", "coef": -1e-300, "count": -1, "selected": False},
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_value_comes_back_as_it_was(tmp_path, suffix):
    write_table(ROWS, tmp_path / f"t{suffix}")
    assert read_table(tmp_path / f"t{suffix}") == ROWS


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_row_has_not_is_missing(tmp_path, suffix):
    write_table([{"a": 1.5}, {"a": None, "b": 2.5}], tmp_path / f"t{suffix}")
    found = read_table(tmp_path / f"t{suffix}")
    assert [row.get("a") for row in found] == [1.5, None]
    assert [row.get("b") for row in found] == [None, 2.5]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_keep_the_order_of_their_names(tmp_path, suffix):
    write_table([{"z": 1, "a": 2}, {"z": 3, "m": 4, "a": 5}], tmp_path / f"t{suffix}")
    assert list(read_table(tmp_path / f"t{suffix}")[0]) == ["z", "a", "m"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_rows_can_be_written(tmp_path, suffix):
    write_table([], tmp_path / f"t{suffix}")
    assert (tmp_path / f"t{suffix}").is_file()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_json_has_null_for_what_is_not_a_finite_number(tmp_path, value):
    write_table([{"a": value}], tmp_path / "t.json")
    assert read_table(tmp_path / "t.json") == [{"a": None}]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folders_on_the_way_are_made(tmp_path, suffix):
    write_table(ROWS, tmp_path / "a/b" / f"t{suffix}")
    assert read_table(tmp_path / "a/b" / f"t{suffix}") == ROWS


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.CSV"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(OptionError, match=rf"{name}: tables are written to \.csv, \.parquet, \.js"):
        check_table_file(tmp_path / name, overwrite=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_refused_before_any_work(tmp_path, suffix):
    (tmp_path / f"t{suffix}").write_text("kept")
    with pytest.raises(OptionError, match=rf"t{suffix} exists already"):
        check_table_file(tmp_path / f"t{suffix}", overwrite=False)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_told(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_text("kept")
    with pytest.raises(OptionError, match="exists already"):
        write_table(ROWS, path)
    assert path.read_text() == "kept"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_replaced_where_told(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_text("old")
    write_table(ROWS, path, overwrite=True)
    assert read_table(path) == ROWS


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".txt"])
def test_what_is_no_table_is_refused(tmp_path, suffix):
    (tmp_path / f"t{suffix}").touch()
    with pytest.raises(OptionError, match=r"table cannot be read|tables are read from \.csv"):
        read_table(tmp_path / f"t{suffix}")


def test_a_folder_is_never_overwritten(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(OptionError, match=r"t\.csv is a folder"):
        write_table(ROWS, tmp_path / "t.csv", overwrite=True)


def test_a_failure_half_way_keeps_the_older_file_and_leaves_no_other(tmp_path, monkeypatch):
    def half(path, rows):
        path.write_text("half")
        raise RuntimeError("the disk is full")

    (tmp_path / "t.csv").write_text("old")
    monkeypatch.setitem(table_files._WRITERS, ".csv", half)
    with pytest.raises(RuntimeError, match="full"):
        write_table(ROWS, tmp_path / "t.csv", overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("t.csv", "old")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1}', "found .*, expected a list of rows"),
        ("[1]", "row 0 is 1, expected an object"),
        ('[{"a": 1}, {"a": [1]}]', "row 1 is .*, expected an object of numbers"),
        ('[{"a": 1, "a": 2}]', "the key 'a' is there twice"),
    ],
    ids=["depth", "object", "number", "list", "twice"],
)
def test_json_that_is_no_table_is_one_line(tmp_path, text, message):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(OptionError, match=rf"t\.json: the table cannot be read: .*{message}"):
        read_table(tmp_path / "t.json")
