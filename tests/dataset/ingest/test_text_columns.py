"""Text that looks like numbers, dates, missing values or ids is no category unless it was said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.align import Asked
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.by_schema import PreparedTable
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources.arrow import ArrowSource
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import OptionError, SourceError, ValueFound

N = 24
# what reads a column b of these values, and the numbers that they are
COLUMNS: dict[str, tuple[list[str], dict[str, Any], list[float]]] = {
    "decimal commas": (["3,14", "2", "-1,5"], {"decimal": ","}, [3.14, 2, -1.5]),
    "thousands": (["1,000", "12", "2,500.5"], {"thousands": ","}, [1000, 12, 2500.5]),
    "money": (["$10.5", "$2", "$-3"], {"strip": ["$"]}, [10.5, 2, -3]),
    "shares": (["10%", "2.5%", "7%"], {"strip": ["%"]}, [10, 2.5, 7]),
    "dates": (["1970-01-02", "1970-01-03", "1970-02-01"], {"date": ["b=days"]}, [1, 2, 31]),
    "days first": (["02.01.1970", "31.01.1970"], {"date": ["b=days:%d.%m.%Y"]}, [1, 30]),
    "times": (["12:30", "06:15"], {"date": ["b=hours"]}, [12.5, 6.25]),
    "times of a digit": (["0:30:00", "23:15:00"], {"date": ["b=hours"]}, [0.5, 23.25]),
    "months": (["2/1970", "1/1970"], {"date": ["b=days:%m/%Y"]}, [31, 0]),
    "names of months": (["Jan 2 1970", "Feb 1 1970"], {"date": ["b=days:%b %d %Y"]}, [1, 31]),
    "names of days": (
        ["Friday, January 2, 1970", "Sunday, February 1, 1970"],
        {"date": ["b=days:%a, %b %d, %Y"]},
        [1, 31],
    ),
    "lakhs": (["1,10,000", "12", "1,000"], {"thousands": ","}, [110000, 12, 1000]),
    "stars": (["5*", "7", "6*"], {"strip": ["*"]}, [5, 7, 6]),
    "more stars": (["5*", "7**", "6***"], {"strip": ["*", "**", "***"]}, [5, 7, 6]),
    "formulas": (["=5", "=7"], {"strip": ["="]}, [5, 7]),
    "a unit": (["5kg", "12kg", "7.5 kg"], {"strip": ["kg"]}, [5, 12, 7.5]),
    "a unit of any kind": (["5 stars", "4 stars"], {"strip": ["stars"]}, [5, 4]),
    "euros": (["EUR 5", "EUR 6.5"], {"strip": ["EUR"]}, [5, 6.5]),
    "zero width": (["1\u200b", "\u200b2", "1\u200b0"], {"strip": ["U+200B"]}, [1, 2, 10]),
    "typeset minus": (["−1", "−2", "3"], {"number": ["b"]}, [-1, -2, 3]),
}  # fmt: skip


def save(folder: Path, ending: str, b: Sequence[Any]) -> Path:
    """Columns a (0, 1, ...), b as given, over and over, and y."""
    values = [b[i % len(b)] for i in range(N)]
    frame = pd.DataFrame({"a": np.arange(N), "b": values, "y": np.arange(N) % 5})
    source = folder / f"t.{ending}"
    frame.to_csv(source, index=False) if ending == "csv" else frame.to_parquet(source)
    return source


def refusal(source: Path, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        ingest(source, source.parent / "store", **{"target": "y", **options})
    return str(caught.value).replace(f"{source.parent}/", "")


def column_b(store: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(store, mode="r")["X"][:, 1])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("case", COLUMNS)
def test_a_column_is_refused_until_it_is_said_how_to_read_it(
    tmp_path: Path, case: str, ending: str
) -> None:
    texts, said, numbers = COLUMNS[case]
    source = save(tmp_path, ending, texts)
    message = refusal(source)
    for option, value in said.items():
        text = value if isinstance(value, str) else value[0]
        assert f"--{option} {text}" in message.replace("'", "")
    ingest(source, tmp_path / "s", target="y", dtype="float64", reading=Reading.of(**said))
    np.testing.assert_allclose(
        column_b(tmp_path / "s"), [numbers[i % len(texts)] for i in range(N)]
    )


def test_the_message_names_the_line_the_text_and_every_way_out(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text('a,n,y\n"x\ny",3,1\n\nz,"3,5",2\nx,4,3\nx,"1,5",3\n')
    assert refusal(source) == (
        "t.csv: column n is text that is no category: row 1 (line 5) has '3,5', which looks like a "
        "number with a decimal comma: --decimal , reads it; --category n takes all texts as they "
        "are. Leave it out: --drop n."
    )


def test_no_option_is_named_for_decimal_points_where_others_have_commas(tmp_path: Path) -> None:
    message = refusal(save(tmp_path, "csv", ["0.5", "0.7"]), reading=Reading.of(decimal=","))
    assert "a number with a decimal point, others have a comma: write all alike;" in message
    assert "--number" not in message


def test_all_such_columns_are_in_one_message(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    rows = [f'"{i},5",$1.5,2020-01-0{1 + i % 3},word,{i}' for i in range(30)]
    source.write_text("\n".join(["b,c,d,e,y", *rows]))
    message = refusal(source)
    assert message.startswith("t.csv: 3 columns cannot be features: b is text")
    assert message.endswith("Leave them out: --drop b --drop c --drop d")


def test_a_quarter_of_question_marks_makes_no_categories(tmp_path: Path) -> None:
    source = save(tmp_path, "csv", ["1", "2.5", "?", "7"])
    assert "row 2 (line 4) has '?', which looks like a missing value: --null '?'" in refusal(source)
    ingest(source, tmp_path / "s", target="y", missing="mean", reading=Reading.of(null=["?"]))
    np.testing.assert_allclose(column_b(tmp_path / "s")[:4], [1, 2.5, 3.5, 7])


def test_one_other_text_among_numbers_is_asked_about(tmp_path: Path) -> None:
    source = save(tmp_path, "csv", ["0", "1", "2", "many"])
    assert "row 3 (line 5) has 'many', which looks like a missing value among numbers" in refusal(
        source
    )


def test_a_slip_among_numbers_is_to_be_corrected(tmp_path: Path) -> None:
    source = save(tmp_path, "parquet", ["0", "1", "2", "10,9,2x"])
    assert (
        "has '10,9,2x', which looks like a slip among numbers: correct it, or --null 10,9,2x where "
        "it stands for a missing value; --category b"
    ) in refusal(source)


def test_a_bound_among_numbers_is_asked_about(tmp_path: Path) -> None:
    source = save(tmp_path, "csv", ["0", "1", "2", "3+"])
    assert "row 3 (line 5) has '3+', which looks like a bound of a number, among numbers" in (
        refusal(source)
    )
    report = ingest(source, tmp_path / "s", target="y", reading=Reading.of(category=["b"]))
    assert report.manifest.feature_names == ("a", "b=0", "b=1", "b=2", "b=3+")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_target_of_decimal_commas_is_no_label(tmp_path: Path, ending: str) -> None:
    source = save(tmp_path, ending, ["3,14", "2,5"])
    assert "column b is text that is no category: row 0" in refusal(source, target="b")
    ingest(source, tmp_path / "s", target="b", reading=Reading.of(decimal=","))
    y = zarr.open_group(tmp_path / "s", mode="r")["y"][...]
    np.testing.assert_array_equal(y[:2], [3.14, 2.5])


def test_numbers_as_text_are_asked_about_where_the_file_has_types(tmp_path: Path) -> None:
    source = save(tmp_path, "parquet", ["10", "20"])
    message = refusal(source)
    assert "row 0 has '10', which looks like a number: --number b reads it; --category b" in message
    ingest(source, tmp_path / "s", target="y", reading=Reading.of(number=["b"]))
    np.testing.assert_array_equal(column_b(tmp_path / "s")[:2], [10, 20])


def test_a_categorical_of_numbers_is_taken_at_its_word(tmp_path: Path) -> None:
    b = pa.array(["10", "20"] * (N // 2)).dictionary_encode()
    pq.write_table(pa.table({"b": b, "y": np.arange(N)}), tmp_path / "t.parquet")
    report = ingest(tmp_path / "t.parquet", tmp_path / "s", target="y")
    assert report.manifest.feature_names == ("b=10", "b=20")


def test_whole_numbers_become_levels_where_that_is_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zip": [10115, 80331] * 5, "x": np.arange(10.0), "y": np.arange(10)})
    frame.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("zip,x,y\n" + "01067,1,2\n80331,2,3\n" * 5)
    said = Reading.of(category=["zip"])
    of_integers = ingest(tmp_path / "t.parquet", tmp_path / "p", target="y", reading=said)
    assert of_integers.manifest.feature_names == ("zip=10115", "zip=80331", "x")
    of_text = ingest(tmp_path / "t.csv", tmp_path / "c", target="y", reading=said)
    assert of_text.manifest.feature_names == ("zip=01067", "zip=80331", "x")


def test_text_that_is_nearly_all_different_is_an_id(tmp_path: Path) -> None:
    source = save(tmp_path, "csv", [f"k{i:03}" for i in range(N)])
    assert refusal(source) == (
        "t.csv: column b is text that is nearly all different (24 of 24 values, 'k000' in row 0 "
        "(line 2)), as an id is, expected categories: --category b takes it all the same. "
        "Leave it out: --drop b."
    )
    report = ingest(source, tmp_path / "s", target="y", reading=Reading.of(category=["b"]))
    assert report.n_features == 1 + N


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (["5k", "1M", "3.2B"], "a number with a word or letter for thousands or millions: write"),
        (["1/2", "3/4"], "a fraction, or two numbers: write it in decimal;"),
        (["Y", "N", "1", "0"], "yes and no in more than one way: write them alike;"),
        (["12 cm", "1.3 m"], "a number with a unit, others have another: write all in one;"),
        (["<5", "7", "9.1"], "a bound of a number, among numbers:"),
        (["0-5", "7", "9.1"], "a range of numbers, among numbers:"),
    ],
)
def test_a_column_that_no_option_reads_is_refused(
    tmp_path: Path, texts: list[str], what: str
) -> None:
    message = refusal(save(tmp_path, "csv", texts))
    assert f"which looks like {what}" in message
    assert "--category b takes all texts as they are" in message


@pytest.mark.parametrize("texts", [["0-5", "6-10", "11+"], ["<=50K", ">50K"]])
def test_ranges_are_categories_and_that_is_said(tmp_path: Path, texts: list[str]) -> None:
    source = save(tmp_path, "csv", texts)
    report = ingest(source, tmp_path / "s", target="y")
    assert report.warnings == [
        f"ranges and bounds of numbers are categories, in no order: b ({texts[0]!r}). --category "
        "says that they are meant so."
    ]
    said = ingest(source, tmp_path / "s2", target="y", reading=Reading.of(category=["b"]))
    assert said.warnings == []
    assert said.manifest.feature_names == report.manifest.feature_names


def test_a_missing_mark_among_words_is_pointed_out(tmp_path: Path) -> None:
    source = save(tmp_path, "csv", ["u", "v", "?"])
    [warning] = ingest(source, tmp_path / "s", target="y").warnings
    assert warning == (
        "levels that look like missing values (b has '?') are levels of their own: --null '?' "
        "takes them for missing values."
    )
    report = ingest(
        source, tmp_path / "s2", target="y", missing="mean", reading=Reading.of(null=["?"])
    )
    assert report.manifest.feature_names == ("a", "b=u", "b=v", "b=<missing>")


def test_folds_may_look_like_dates(tmp_path: Path) -> None:
    source = save(tmp_path, "csv", ["2020-01", "2020-02"])
    report = ingest(source, tmp_path / "s", target="y", fold="b")
    assert report.manifest.schema is not None
    assert report.manifest.schema.fold_classes == ("2020-01", "2020-02")


@pytest.mark.parametrize(
    ("said", "text", "message"),
    [
        ({"decimal": ","}, "1.5", "found '1.5', expected a number. --number b reads a number"),
        ({"date": ["b=days"]}, "soon",
         "expected a date of the format YYYY-MM-DD, YYYY-MM-DD hh:mm:ss or hh:mm (--date b=days)."),
        ({"date": ["b=hours"]}, "25:10:00", "expected a date of the format hh:mm or hh:mm:ss "
         "(--date b=hours). It looks like a duration: write it as a number."),
        ({"number": ["b"]}, "many", "found 'many', expected a number. --null many where it stands"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_text_that_does_not_fit_what_was_said_is_named_with_its_row(
    tmp_path: Path, ending: str, said: dict[str, Any], text: str, message: str
) -> None:
    good = "2020-01-01" if "date" in said else "2,5" if "decimal" in said else "25"
    source = save(tmp_path, ending, [good] * 19 + [text])
    with pytest.raises(ValueFound) as caught:
        ingest(source, tmp_path / "s", target="y", reading=Reading.of(**said))
    assert "row 19, column b: found" in str(caught.value)
    if "decimal" not in said:
        assert message in str(caught.value)


def test_what_was_said_holds_for_rows_that_come_later(tmp_path: Path) -> None:
    said = Reading.of(decimal=",", null=["?"], date=["when=days"], category=["code"])
    rows = [f"{i},5;1970-01-{2 + i:02};{i % 3};{i}" for i in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["b;when;code;y", *rows]))
    ingest(tmp_path / "t.csv", tmp_path / "s", target="y", missing="mean", reading=said)
    schema = open_dataset(tmp_path / "s").schema
    assert schema is not None
    expected = [[3.5, 5, 0, 1, 0], [schema.fill("b"), 6, 1, 0, 0]]

    def encoded(table: Any) -> np.ndarray:
        asked = Asked(needs={})
        prepared = PreparedTable(table, schema, of="the model", asked=asked)
        return np.concatenate([part.X for _, part in prepared.batches()])

    (tmp_path / "n.csv").write_text('code,when,b\n1,1970-01-06,"3,5"\n0,1970-01-07,?\n')
    np.testing.assert_allclose(encoded(tmp_path / "n.csv"), expected, rtol=1e-6)
    days = pa.array([5, 6], pa.date32())
    typed = pa.table({"code": [1, 0], "when": days, "b": pa.array([3.5, None])})
    pq.write_table(typed, tmp_path / "n.parquet")
    np.testing.assert_allclose(encoded(tmp_path / "n.parquet"), expected, rtol=1e-6)
    frame = pa.table({"b": ["3,5", "?"], "code": ["1", "0"], "when": days})
    np.testing.assert_allclose(encoded(ArrowSource(frame, "X")), expected, rtol=1e-6)
    (tmp_path / "more.csv").write_text("code;when;b;y\n1;1970-01-06;3,5;4\n")
    assert append_rows(tmp_path / "s", tmp_path / "more.csv").n_rows == 21


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"date": ["when=days"]}, "has no column 'when' (--date). There are: a, b, y."),
        ({"category": ["bb"]}, "has no column 'bb' (--category). "),
        ({"separator": ";"}, "--separator ';': "),
    ],
)
def test_options_that_go_with_nothing_are_refused(
    tmp_path: Path, said: dict[str, Any], message: str
) -> None:
    source = save(tmp_path, "parquet", ["u", "v"])
    with pytest.raises(OptionError) as caught:
        ingest(source, tmp_path / "s", target="y", reading=Reading.of(**said))
    assert message in str(caught.value)


def test_numbers_are_neither_dates_nor_fractional_levels(tmp_path: Path) -> None:
    source = save(tmp_path, "parquet", [1.5, 2.5])
    for said, expected in (
        ({"date": ["b=days"]}, "column b is double, expected dates or text (--date)."),
        ({"category": ["b"]}, "column b is double, expected text or whole numbers (--category)."),
    ):
        assert expected in refusal(source, reading=Reading.of(**said))
