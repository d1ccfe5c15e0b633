"""Input that cannot be used is refused in one line that says where it is and what was expected."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import DasklassoError, OptionError, SourceError, ValueFound


def refusal(source: Path, kind: type[DasklassoError], **options: Any) -> str:
    """The message of an ingest that is refused, with the folder's name taken out."""
    before = sorted(source.parent.iterdir())
    with pytest.raises(DasklassoError) as caught:
        ingest(source, source.parent / "store", **{"target": "y", **options})
    assert type(caught.value) is kind
    assert sorted(source.parent.iterdir()) == before, "something was left behind"
    message = str(caught.value).replace(f"{source.parent}/", "")
    assert "\n" not in message
    return message


def csv(tmp_path: Path, text: str) -> Path:
    (tmp_path / "t.csv").write_text(text)
    return tmp_path / "t.csv"


FINITE = "expected a finite number."
FILL = " Fill it in, or --missing mean, or --drop b."

CSV_CASES = {
    "a missing value in X": (
        "a,b,y\n1,2,3\n4,,6\n", {}, ValueFound,
        f"t.csv: row 1, column b: found a missing value (NaN or null), {FINITE}{FILL}",
    ),
    "NaN in X": (
        "a,b,y\n1,2,3\n4,5,6\n7,nan,9\n", {}, ValueFound,
        f"t.csv: row 2, column b: found a missing value (NaN or null), {FINITE}{FILL}",
    ),
    "infinity in X": (
        "a,b,y\n1,-inf,3\n4,5,6\n", {}, ValueFound,
        f"t.csv: row 0, column b: found -inf, {FINITE}",
    ),
    "infinity is not filled": (
        "a,b,y\n1,2,3\n4,inf,6\n", {"missing": "mean"}, ValueFound,
        f"t.csv: row 1, column b: found inf, {FINITE}",
    ),
    "a missing target": (
        "a,b,y\n1,2,3\n4,5,\n", {}, ValueFound,
        f"t.csv: row 1, column y: found a missing value (NaN or null), {FINITE}",
    ),
    "a missing target is not filled": (
        "a,b,y\n1,2,3\n4,5,\n", {"missing": "mean"}, ValueFound,
        f"t.csv: row 1, column y: found a missing value (NaN or null), {FINITE}",
    ),
    "an infinite target": (
        "a,b,y\n1,2,inf\n4,5,6\n", {}, ValueFound,
        f"t.csv: row 0, column y: found inf, {FINITE}",
    ),
    "a missing class": (
        "a,b,y\n1,2,no\n4,5,\n", {}, ValueFound,
        "t.csv: row 1, column y: found a missing value, expected a class.",
    ),
    "a missing category": (
        "a,b,y\n1,u,1\n4,,2\n", {}, ValueFound,
        f"t.csv: row 1, column b: found a missing value, expected text.{FILL}",
    ),
    "text among numbers": (
        "a,b,y\n" + "1,2,3\n" * 9 + "1,two,3\n", {}, ValueFound,
        "t.csv: row 9, column b: found 'two', expected a number. --null two where it stands for a "
        "missing value; --category b where the column is no number.",
    ),
    "text among numbers after the sample": (
        "a,b,y\n" + "1,2,3\n" * 300_000 + "1,2,x3\n", {}, ValueFound,
        "t.csv: row 300000, column y: found 'x3', expected a number. --null x3 where it stands for "
        "a missing value; --category y where the column is no number.",
    ),
    "another text in a boolean column": (
        "a,b,y\n" + "1,true,3\n" * 200_000 + "1,maybe,3\n", {}, ValueFound,
        "t.csv: row 200000, column b: found 'maybe', expected true or false.",
    ),
    "a short row": (
        "a,b,y\n1,2,3\n4,5\n", {}, SourceError,
        "t.csv: row 1: found 2 fields, expected 3: '4,5'",
    ),
    "an empty file": (
        "", {}, SourceError,
        "t.csv: is empty, expected a header line and rows.",
    ),
    "only a header": (
        "a,b,y\n", {}, SourceError,
        "t.csv: has a header but no rows.",
    ),
    "duplicate names": (
        "a,b,a,y\n1,2,3,4\n", {}, SourceError,
        "t.csv: columns 0 and 2 are both named 'a', expected different names.",
    ),
    "duplicate names because there is no header": (
        "1,2,2\n1,2,3\n", {}, SourceError,
        "t.csv: columns 1 and 2 are both named '2', expected different names. "
        "Is the first line a header?",
    ),
    "a first line that names the separator": (
        "sep=;\na;y\n1;2\n", {}, SourceError,
        "t.csv: the first line, 'sep=', names the separator as spreadsheets do, expected the "
        "header: delete that line.",
    ),
    "a comment before the header": (
        "# x\na,b,y\n1,2,3\n", {}, SourceError,
        "t.csv: row 0: found 3 fields, expected 1: 'a,b,y'. Is '# x' the header? "
        "Delete what is before the header.",
    ),
    "a line end in a number": (
        "a,b,y\n" + "1,2,3\n" * 9 + '"1\n",5,6\n', {}, ValueFound,
        "t.csv: row 9, column a: found '1\\n', expected a number. It has a line end in it: take "
        "that out; --category a where the column is no number.",
    ),
    "a one-hot name that is taken": (
        "c,c=u,y\nu,1,2\nv,2,3\n", {}, SourceError,
        "t.csv: columns 0 and 2 are both named 'c=u', expected different names.",
    ),
    "an unknown target": (
        "a,price,y\n1,2,3\n", {"target": "Prise"}, OptionError,
        "t.csv: has no column 'Prise' (--target). Did you mean 'price'?",
    ),
    "an unknown weight": (
        "a,b,y\n1,2,3\n", {"weight": "importance"}, OptionError,
        "t.csv: has no column 'importance' (--weight). There are: a, b, y.",
    ),
    "an unknown fold": (
        "a,group,y\n1,2,3\n", {"fold": "groups"}, OptionError,
        "t.csv: has no column 'groups' (--fold). Did you mean 'group'?",
    ),
    "an unknown column to drop": (
        "alpha,b,y\n1,2,3\n", {"drop": ["alhpa"]}, OptionError,
        "t.csv: has no column 'alhpa' (--drop). Did you mean 'alpha'?",
    ),
    "a pattern that matches nothing": (
        "bureau_a,b,y\n1,2,3\n", {"drop": ["burreau_*"]}, OptionError,
        "t.csv: no column matches 'burreau_*' (--drop). Did you mean 'bureau_a'?",
    ),
    "missing values in several columns": (
        "a,b,c,d,y\n1,,3,4,5\n,,6,7,8\n1,2,3,,5\n", {}, ValueFound,
        f"t.csv: row 0, column b: found a missing value (NaN or null), {FINITE}{FILL} "
        "Near it there are some in a, d, too.",
    ),
    "columns of several kinds that cannot be features": (
        "when,id,empty,a,y\n" + "".join(f"2020-01-01,n{i:04},,{i},{i}\n" for i in range(1001)),
        {"missing": "mean"}, SourceError,
        "t.csv: 2 columns cannot be features: when is text that is no category: row 0 (line 2) has "
        "'2020-01-01', which looks like a date: --date when=days reads it; --category when takes "
        "all texts as they are; "
        "id is text with more than 1,000 different values ('n0000', 'n0001', 'n0002', ...), "
        "expected categories. Leave them out: --drop when --drop id",
    ),
    "columns without a value": (
        "a,first one,c,y\n1,,,3\n4,,,6\n", {"missing": "mean"}, SourceError,
        "t.csv: 2 columns cannot be features: first one has no value in any row; c has no value "
        "in any row. Leave them out: --drop 'first one' --drop c",
    ),
    "no target": (
        "a,b,y\n1,2,3\n", {"target": None}, OptionError,
        "t.csv: no target was named (--target). There are: a, b, y. "
        "Rows to predict for need none: --schema MODEL.",
    ),
    "a column in two roles": (
        "a,b,y\n1,2,3\n", {"weight": "y"}, OptionError,
        "t.csv: column y was named by --target and --weight, expected once.",
    ),
    "no features": (
        "a,y\n1,2\n", {"drop": ["a"]}, OptionError,
        "t.csv: no column is left as a feature, expected at least one.",
    ),
    "a negative weight": (
        "a,b,y\n1,2,3\n4,-5,6\n", {"weight": "b"}, ValueFound,
        "t.csv: row 1, column b: found -5, expected a weight of at least 0.",
    ),
    "a missing weight": (
        "a,b,y\n1,2,3\n4,,6\n", {"weight": "b"}, ValueFound,
        f"t.csv: row 1, column b: found a missing value (NaN or null), {FINITE}",
    ),
    "weights that are all zero": (
        "a,b,y\n1,0,3\n4,0,6\n", {"weight": "b"}, ValueFound,
        "t.csv: column b (--weight) sums to 0, expected a positive number.",
    ),
    "weights that are text": (
        "a,b,y\n1,u,3\n4,v,6\n", {"weight": "b"}, SourceError,
        "t.csv: column b (--weight) is string, expected numbers: --number b reads text that spells "
        "numbers.",
    ),
    "weights of another country": (
        'a,b,y\n1,"1,5",3\n4,"2,5",6\n', {"weight": "b"}, SourceError,
        "t.csv: column b (--weight) is string, expected numbers: row 0 (line 2) has '1,5', which "
        "looks like a number with a decimal comma: --decimal , reads it.",
    ),
    "a broken fold label": (
        "a,b,y\n1,0,3\n4,0.5,6\n", {"fold": "b"}, ValueFound,
        "t.csv: row 1, column b: found 0.5, expected a whole number.",
    ),
    "a date": (
        "a,b,y\n1,2020-01-01,3\n", {}, SourceError,
        "t.csv: column b is text that is no category: row 0 (line 2) has '2020-01-01', which looks "
        "like a date: --date b=days reads it; --category b takes all texts as they are. "
        "Leave it out: --drop b.",
    ),
    "a date as the target": (
        "a,b,y\n1,2,2020-01-01\n", {}, SourceError,
        "t.csv: column y is text that is no category: row 0 (line 2) has '2020-01-01', which looks "
        "like a date: --date y=days reads it; --category y takes all texts as they are.",
    ),
    "too large for float32": (
        "a,b,y\n1,2,3\n1e39,2,4\n", {}, ValueFound,
        "t.csv: row 1, column a: found 1e+39, expected a value that float32 holds "
        "(choose another --dtype).",
    ),
    "not an integer as asked": (
        "a,b,y\n1,2,3\n1,2.5,4\n", {"dtype": "uint8"}, ValueFound,
        "t.csv: row 1, column b: found 2.5, expected a value that uint8 holds "
        "(choose another --dtype).",
    ),
    "too many categories": (
        "b,y\n" + "".join(f"name{i:04},{i}\n" for i in range(1001)), {}, SourceError,
        "t.csv: column b is text with more than 1,000 different values "
        "('name0000', 'name0001', 'name0002', ...), expected categories. Leave it out: --drop b.",
    ),
    "nothing to take a mean of": (
        "a,b,y\n1,,3\n4,,6\n", {"missing": "mean"}, SourceError,
        "t.csv: column b has no value in any row. Leave it out: --drop b.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV_CASES)
def test_bad_csv_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    text, options, kind, message = CSV_CASES[case]
    assert refusal(csv(tmp_path, text), kind, **options) == message


# -- files ------------------------------------------------------------------------------------


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "t.csv", SourceError) == "t.csv: does not exist."
    assert refusal(tmp_path / "*.csv", SourceError) == "*.csv: no file matches this pattern."


def test_an_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").touch()
    message = refusal(tmp_path / "t.xlsx", SourceError)
    assert message.startswith("t.xlsx: the ending .xlsx is not known, expected .parquet, .csv")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    message = refusal(tmp_path / "t", SourceError)
    assert message == f"{tmp_path.name}/t: no Parquet or CSV files are in this folder.".replace(
        f"{tmp_path.name}/", ""
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.parquet", "t.parquet: is not a readable Parquet file: "),
        ("t.npy", "t.npy: is not a readable NPY array: "),
        ("t.npz", "t.npz: is not a readable NPZ archive: "),
        ("t.h5", "t.h5: is not a readable HDF5 file: "),
        ("t.csv.gz", "t.csv.gz: cannot be read: "),
        ("t.svm.gz", "t.svm.gz: cannot be read: "),
    ],
)
def test_a_file_of_another_kind(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"this is not what the name says")
    assert refusal(tmp_path / name, SourceError).startswith(message)


def test_a_compressed_file_that_is_cut_off(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i * 7 % 13}\n" for i in range(500_000))
    whole = gzip.compress(("a,y\n" + rows).encode())
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    # found while reading or, where read-ahead got there first, while parsing
    assert refusal(tmp_path / "t.csv.gz", SourceError).startswith("t.csv.gz: cannot be read")


# -- Parquet ----------------------------------------------------------------------------------


def test_a_null_is_named_by_the_row_of_its_own_file(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    values = np.arange(10.0)
    for k in range(3):
        b = pa.array([None if k == 1 and i == 7 else i for i in range(10)])
        pq.write_table(pa.table({"a": values, "b": b, "y": values}), folder / f"{k}.parquet")
    message = refusal(folder, ValueFound)
    assert message.startswith("t/1.parquet: row 7, column b: found a missing value (NaN or null)")


def test_files_of_one_table_must_have_its_columns(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    pd.DataFrame({"a": [1], "b": [2], "y": [3]}).to_parquet(folder / "0.parquet")
    pd.DataFrame({"a": [1], "y": [3]}).to_parquet(folder / "1.parquet")
    assert refusal(folder, SourceError) == "t/1.parquet: has no column 'b', which t/0.parquet has."
    pd.DataFrame({"a": [1], "b": ["two"], "y": [3]}).to_parquet(folder / "1.parquet")
    assert re.fullmatch(
        r"t/1.parquet: column b is (large_)?string, expected int64 as in t/0.parquet\.",
        refusal(folder, SourceError),
    )


def test_lists_are_no_features(tmp_path: Path) -> None:
    pq.write_table(pa.table({"b": [[1, 2], [3]], "y": [1, 2]}), tmp_path / "t.parquet")
    message = refusal(tmp_path / "t.parquet", SourceError)
    assert message.startswith("t.parquet: column b is list<")
    assert message.endswith("expected numbers or text. Leave it out: --drop b.")


def test_parquet_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"b": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}),
                   tmp_path / "t.parquet")  # fmt: skip
    assert refusal(tmp_path / "t.parquet", SourceError) == (
        "t.parquet: has no rows, expected at least one."
    )


# -- arrays -----------------------------------------------------------------------------------


def test_a_target_of_another_length(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((10, 2)))
    np.save(tmp_path / "y.npy", np.arange(9.0))
    assert refusal(tmp_path / "X.npy", SourceError, target="y.npy") == (
        "y.npy: has 9 rows, expected 10 as X.npy has."
    )
    np.savez(tmp_path / "d.npz", X=np.zeros((10, 2)), y=np.arange(11.0))
    assert refusal(tmp_path / "d.npz", SourceError, target=None) == (
        "d.npz:y: has 11 rows, expected 10 as d.npz:X has."
    )


@pytest.mark.parametrize("ending", ["npy", "npz", "h5"])
def test_a_nan_in_an_array_is_named(tmp_path: Path, ending: str) -> None:
    X = np.random.default_rng(0).standard_normal((5000, 300))  # several batches
    X[4321, 17] = np.nan
    source = tmp_path / f"X.{ending}"
    if ending == "npy":
        np.save(source, X)
    elif ending == "npz":
        np.savez_compressed(source, X=X)
    else:
        with h5py.File(source, "w") as file:
            file["X"] = X
    message = refusal(source, ValueFound, target="x0")
    assert re.match(r"X\.\w+(:/?X)?: row 4321, column x17: found a missing value", message)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    assert refusal(tmp_path / "X.npy", SourceError) == (
        "X.npy: holds object, expected numbers (objects are never unpickled)."
    )


def test_an_array_file_that_is_cut_off(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((100, 10)))
    data = (tmp_path / "X.npy").read_bytes()
    (tmp_path / "X.npy").write_bytes(data[:5000])
    assert refusal(tmp_path / "X.npy", SourceError, target="x0") == (
        "X.npy: has 5000 bytes, expected at least 8128: the file is cut off."
    )


def test_an_hdf5_dataset_that_is_not_there(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["features"], file["more"] = np.zeros((5, 2)), np.zeros((5, 3))
    assert refusal(tmp_path / "d.h5", SourceError, dataset_path="/feature") == (
        "d.h5: has no dataset /feature. Did you mean 'features'? Name one with --dataset."
    )


def test_a_dataset_path_for_a_format_without(tmp_path: Path) -> None:
    assert refusal(csv(tmp_path, "a,y\n1,2\n"), OptionError, dataset_path="/X") == (
        "--dataset /X: t.csv is csv, expected HDF5 or NPZ."
    )


# -- svmlight ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("1 1:2\n0 1:3 2:x\n", ValueFound, "row 1, index 2: found 'x', expected a number."),
        ("1 1:2\n# note\nno 1:3\n", ValueFound, "row 1, column y: found 'no', expected a number."),
        ("1 1:2\n0 3:1 2:1\n", ValueFound, "row 1: index 2 follows 3, expected rising indices."),
        ("1 1:2\n0 3\n", ValueFound, "row 1: found '3', expected index:value."),
        ("", SourceError, "is empty, expected rows 'label index:value ...'."),
        ("1\n2\n", SourceError, "has no index:value pair in 2 rows."),
        ("1 1:2\n2 1:nan\n", ValueFound,
         "row 1, column x0: found a missing value (NaN or null), expected a finite number. "
         "Fill it in, or --missing mean, or --drop x0."),
    ],
)  # fmt: skip
def test_bad_svmlight_is_refused_with_its_place(
    tmp_path: Path, text: str, kind: type[DasklassoError], message: str
) -> None:
    (tmp_path / "d.svm").write_text(text)
    assert refusal(tmp_path / "d.svm", kind) == f"d.svm: {message}"
