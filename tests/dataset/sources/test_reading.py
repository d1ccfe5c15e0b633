"""Texts are numbers, dates and missing values as it was said, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.dataset.sources.dates import DateRule
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import OptionError

NAN = float("nan")

SPELLED = {
    "plain": ({}, ["1", "2.5", " 3", "NA", "+4", "1e5", None, "−2"],
              [1, 2.5, 3, NAN, 4, 1e5, NAN, -2]),
    "decimal commas": ({"decimal": ","}, ["1,5", "2", "-3,25", "1,5e2"], [1.5, 2, -3.25, 150]),
    "points between thousands": (
        {"decimal": ",", "thousands": "."}, ["1.234,5", "12.345", "1,5"], [1234.5, 12345, 1.5]),
    "commas between thousands": (
        {"thousands": ","}, ["1,234.5", "-1,234,567", "2"], [1234.5, -1234567, 2]),
    "spaces of three kinds": (
        {"thousands": "space"}, ["1 234", "1\u00a0234.5", "1\u202f234"], [1234, 1234.5, 1234]),
    "units with an e": ({"strip": ["metres"]}, ["5 metres", "1e2 metres"], [5, 100]),
    "what cannot be seen, by its code point": (
        {"strip": ["U+200B", "U+00A0"]}, ["1\u200b0", "\u200b2", "3\u00a0000"], [10, 2, 3000]),
    "apostrophes": ({"thousands": "'"}, ["1'234"], [1234]),
    "money and shares": (
        {"strip": ["$", "%", "€"]}, ["$10.5", "-$3", "10 %", "5%", "4€"], [10.5, -3, 10, 5, 4]),
    "all together": (
        {"strip": ["$"], "thousands": ",", "null": ["?"]}, ["$1,000.50", "?"], [1000.5, NAN]),
}  # fmt: skip


@pytest.mark.parametrize("case", SPELLED)
def test_numbers_are_read_as_they_are_spelled(case: str) -> None:
    said, texts, numbers = SPELLED[case]
    found, unfit = Reading.of(**said).parse(pa.array(texts))
    assert unfit is None
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "1,5"),
        ({}, "1_000"),
        ({}, "１２"),
        ({"decimal": ","}, "1.5"),
        ({"thousands": ","}, "1,5"),
        ({"thousands": ","}, "1,234,5"),
        ({"thousands": ","}, "1234,567"),
        ({"thousands": "."}, "1.5"),
        ({"strip": ["$"]}, "€5"),
        ({}, "in"),
        ({}, "five"),
    ],
)
def test_what_is_no_number_as_said_is_none(said: dict[str, Any], text: str) -> None:
    if said.get("thousands") == ".":
        said = {**said, "decimal": ","}
    _, unfit = Reading.of(**said).parse(pa.array(["1", None, text]))
    assert unfit == 2


@given(
    number=st.floats(-1e9, 1e9).map(lambda v: round(v, 3)),
    marks=st.sampled_from([(".", ","), (",", "."), (".", " "), (",", "'"), (".", "")]),
    money=st.booleans(),
)
def test_every_number_that_is_written_is_read(
    number: float, marks: tuple[str, str], money: bool
) -> None:
    decimal, thousands = marks
    text = f"{number:,.3f}".translate({ord(","): thousands, ord("."): decimal})
    if money:
        text = text.replace("-", "-$") if number < 0 else f"${text}"
    reading = Reading.of(decimal=decimal, thousands=thousands or None, strip=["$"])
    found, unfit = reading.parse(pa.array([text]))
    assert unfit is None
    assert found[0] == float(f"{number:.3f}")


DATES = {
    "days": (["2020-01-01", "1970-01-02", None, "1969-12-31"], "days", [18262, 1, NAN, -1]),
    "with a time": (["2020-01-01 12:00", "2020-01-01T06:00:00"], "days", [18262.5, 18262.25]),
    "with a zone": (["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:01Z", "1970-01-01 00:01"],
                    "seconds", [0, 1, 60]),
    "slashes": (["2020/03/01", "2020-07"], "month", [3, 7]),
    "times": (["12:30", "01:00:36"], "hours", [12.5, 1.01]),
    "day first": (["31.12.2020", "1.2.1999"], "year:%d.%m.%Y", [2020, 1999]),
    "month and year": (["Dec-2015"], "days:%b-%Y", [16770]),
    "afternoons": (["1:30 PM"], "hours:%I:%M %p", [13.5]),
    "Arrow's dates": ([date(2024, 1, 1), None], "weekday", [1, NAN]),
    "Arrow's timestamps": ([datetime(2024, 1, 1, 5, 6, tzinfo=UTC)], "hour", [5]),
    "Arrow's times": ([time(1, 30)], "minutes", [90]),
}  # fmt: skip


@pytest.mark.parametrize("case", DATES)
def test_dates_are_numbers_of_their_unit(case: str) -> None:
    values, rule, numbers = DATES[case]
    _, made = DateRule.named(f"when={rule}")
    found, unfit = made.numbers(pa.array(values))
    assert unfit is None
    np.testing.assert_allclose(found, numbers, rtol=1e-15)


@pytest.mark.parametrize(
    ("rule", "texts"),
    [("days", ["2020-01-01", "2020-02-30"]), ("days:%d.%m.%Y", ["31.12.2020", "12/31/2020"])],
)
def test_what_is_no_date_is_none(rule: str, texts: list[str]) -> None:
    _, made = DateRule.named(f"when={rule}")
    assert made.numbers(pa.array(texts))[1] == 1


BAD = {
    "--decimal ';': expected . or a comma.": {"decimal": ";"},
    "--thousands ',': is the decimal mark": {"decimal": ",", "thousands": ","},
    "--thousands '.': is the decimal mark": {"thousands": "."},
    "--thousands 'x': expected": {"thousands": "x"},
    "--null ' ': is blank": {"null": [" "]},
    "--strip '1': has what numbers are spelled with": {"strip": ["1"]},
    "--strip 'e-': has what numbers are spelled with": {"strip": ["e-"]},
    "--strip ' ': is blank": {"strip": [" "]},
    "--date 'when': expected COLUMN=UNIT": {"date": ["when"]},
    "'years' is no unit, expected one of days": {"date": ["when=years"]},
    "column a was named by --date and --category": {"date": ["a=days"], "category": ["a"]},
    "--separator 'ab': expected one character": {"separator": "ab"},
    "--encoding 'utf-9': is not known": {"encoding": "utf-9"},
    "--encoding 'base64': is not known": {"encoding": "base64"},
    "--quote 'ab': expected one character, or none": {"quote": "ab"},
    "--quote ';': is the separator": {"quote": ";", "separator": ";"},
}


@pytest.mark.parametrize("message", BAD)
def test_options_that_cannot_be_used_are_refused(message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Reading.of(**BAD[message])
    assert message in str(caught.value)


def test_a_reading_is_the_same_after_json() -> None:
    reading = Reading.of(
        decimal=",", thousands="space", strip=["$", "U+00A0"], null=["?"], date=["a=days:%d.%m.%Y"],
        category=["b"], number=["c"], separator="tab", encoding="latin-1", quote="none",
    )  # fmt: skip
    assert Reading.from_json(reading.to_json()).to_json() == reading.to_json()
    assert Reading().to_json() == {}
    with pytest.raises(ValueError, match="null is 'x', expected a list of texts"):
        Reading.from_json({"null": "x"})
