"""What texts look like: numbers of all countries, dates, missing marks; words are none of these."""

from __future__ import annotations

import pytest

from dasklasso.dataset.sources.looks import PADDED as PADDED_LOOK
from dasklasso.dataset.sources.looks import look_of, null_option, remedies
from dasklasso.dataset.sources.quantities import (
    says_truth_in_several_ways,
    several_numbers,
    shared_unit,
)

LOOKS = {
    "--decimal ,": ["3,14", "0,5", "0,123", "1234,567", "-1,5e3", ",5"],
    "--thousands ,": ["1,000,000", "1,234.5", "1,10,000", "1,23,45,678.50"],
    "--thousands , (or --decimal ,)": ["1,000", "-12,345"],
    "--decimal , --thousands .": ["1.234,5", "1.234.567"],
    "--thousands space": ["1 000", "1\u00a0234.5"],
    "--strip '$'": ["$10.5", "-$3", "10.5 $"],
    "--strip '$' --thousands ,": ["$1,000.50"],
    "--strip '€' --decimal ,": ["1.000,50 €"],
    "--strip %": ["10%", "3.5 %"],
    "--number {column}": ["12", "+5", "1e5", "−5"],
    "--date {column}=days": ["2020-01-31", "2020-01-31 10:00", "2020-01-31T10:00:00Z", "2020-01"],
    "--date {column}=days:%d.%m.%Y": ["31.12.2020", "01.02.2020"],
    "--date {column}=days:%m/%d/%Y": ["12/31/2020"],
    "--date {column}=days:%d/%m/%y": ["31/12/20"],
    "--date {column}=days:%d/%m/%Y (or %m/%d/%Y)": ["01/02/2020"],
    "--date {column}=hours": ["12:30", "12:30:05", "0:10:00", "7:05"],
    "--date {column}=days:'%b %d %Y'": ["Jan 1 2020", "January 1  2020"],
    "--date {column}=days:'%a, %b %d, %Y'": ["Friday, January 3, 2020"],
    "--date {column}=days:'%a %b %d %H:%M:%S %Y'": ["Fri Jan  3 10:20:30 2020"],
    "--date {column}=days:%m/%Y": ["12/2020", "1/2020"],
    "--strip '*'": ["5*", "0.5 *"],
    "--strip =": ["=5"],
    "--strip '=\"' --strip '\"'": ['="5"'],
    "--strip '′'": ["5′"],
    "--null '?'": ["?"],
    "--null=-": ["-"],
    "--null n/a": ["n/a"],
    "--strip kg": ["5kg", "7.5 kg", "-3 kg"],
    "--strip months": ["36 months"],
    "--strip km/h": ["50 km/h"],
    "--strip EUR": ["EUR 5", "5 EUR"],
    "--strip kg --decimal ,": ["1,5 kg"],
    "--strip USD --thousands space": ["5 000 000 USD"],
    "--strip CHF --thousands \"'\"": ["CHF 1'000.50"],
    "--strip Rp --decimal ,": ["Rp 5,5"],
    "--strip '\"'": ['"5"'],
    "--date {column}=days:FORMAT": ["January 2020", "31-Dec-2020"],
    "--strip st --strip nd --strip rd --strip th": ["1st", "22nd", "3rd", "11th"],
    "--strip U+200B": ["5\u200b", "\u200b5", "1\u200b000"],
    "--strip U+FEFF": ["\ufeff5"],
    "--strip U+00AD": ["5\u00ad"],
    "--strip U+2009": ["1\u2009000"],
    "--strip U+200B --decimal ,": ["1,5\u200b"],
    "--null U+200B": ["\u200b"],
    "": ["(100)", "($1,000)", "0x1F", "1.5D+03", "１２", "5k", "1M", "3.2 billion", "5k€", "€5k",
         "5-", "1/2", "1 3/4", "½", "0-5", "6 - 10", "10 to 20", "$10k-$20k",
         "20 Jan", "Jan 20", "Q1 2020", "2020Q1",
         "2020-W05", "25:10:00", "0x1p3", "<5", ">=7",
         "<=50K", "3+", "65 and over", "under 18", "(0, 5]", "[0.5,inf)"],
}  # fmt: skip
PADDED = ["01067", "007", "00", "-05"]
BINS = ["0-5", "10-20", "-5-0", "<5", ">10", "<=50K", "≥7", "3+", "10+ years", "(0, 5]", "over 65"]
WORDS = ["A12", "abc", "5A", "1B2", "1.2.3", "192.168.0.1", "2020-21", "2-1", "two words", "B52",
         "line\nbreak", "Q1", "Monday", "May", "March madness 5",
         "abc\u200b", "555-1234-1", "T-800"]  # fmt: skip


@pytest.mark.parametrize(("option", "text"), [(o, t) for o, texts in LOOKS.items() for t in texts])
def test_a_text_that_is_no_word_is_told_with_its_option(option: str, text: str) -> None:
    look = look_of(text)
    assert look is not None
    assert look.option == option


@pytest.mark.parametrize("text", WORDS)
def test_words_and_codes_are_words(text: str) -> None:
    assert look_of(text) is None


@pytest.mark.parametrize("text", PADDED)
def test_zeros_before_a_number_are_told(text: str) -> None:
    assert look_of(text) == PADDED_LOOK


@pytest.mark.parametrize("text", BINS)
def test_ranges_and_bounds_are_told(text: str) -> None:
    look = look_of(text)
    assert look is not None
    assert look.kind == "bin"


def test_what_cannot_be_seen_is_named() -> None:
    look = look_of("5\u200b")
    assert look is not None
    assert "ZERO WIDTH SPACE (U+200B)" in look.what


@pytest.mark.parametrize(
    ("text", "option"), [("?", "--null '?'"), ("\u200b", "--null U+200B"), ("-", "--null=-"),
                         ("a\u200b", "--null $'a\\u200b'")]
)  # fmt: skip
def test_the_option_for_a_missing_value_can_be_typed(text: str, option: str) -> None:
    assert null_option(text) == option


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("5kg", "--strip kg reads a number with the unit kg;"),
     ("<5", "It looks like a bound of a number;"),
     ("yes", "It says yes or no where others are numbers: write them alike;"),
     ("b", "The row is the header again, delete it;"),
     ("Total", "The row is one of totals, delete it;"),
     ("0x1p3", "It looks like a hexadecimal number: write it in decimal;"),
     ("many", "--null many where it stands for a missing value;")],
)  # fmt: skip
def test_what_is_said_of_a_text_among_numbers(text: str, remedy: str) -> None:
    found = remedies(look_of(text), text, "b")
    assert found == f"{remedy} --category b where the column is no number."


@pytest.mark.parametrize(
    ("texts", "unit"),
    [(["5 stars", "4 stars"], "stars"), (["1A", "2A"], "A"), (["1A", "2B"], None),
     (["5 stars"], None), (["a", "b"], None), (["5 stars", "none"], None)],
)  # fmt: skip
def test_a_unit_is_what_all_texts_have_after_a_number(texts: list[str], unit: str | None) -> None:
    look = shared_unit(texts)
    assert (None if look is None else look.option) == (unit and f"--strip {unit}")


@pytest.mark.parametrize(
    "texts",
    [["3x4", "5x6"], ["1h30m", "2h15m"], ["5'11\"", "6'2\""], ["1 of 5", "2 of 5"],
     ["10:1", "2:1"], ["5 ± 1", "6 ± 2"]],
)  # fmt: skip
def test_several_numbers_in_one_text_are_told(texts: list[str]) -> None:
    assert several_numbers(texts) is not None


@pytest.mark.parametrize(
    "texts",
    [["1.2.3", "1.2.4"], ["2-1", "1-1"], ["A1B2", "A2B3"], ["3x4"], ["3x4", "big"], ["Q1", "Q2"],
     ["5\" pipe", "3\" pipe"]],
)  # fmt: skip
def test_codes_are_no_several_numbers(texts: list[str]) -> None:
    assert several_numbers(texts) is None


@pytest.mark.parametrize(
    ("texts", "several"),
    [(["Y", "N"], False), (["Y", "N", "1", "0"], True), (["yes", "no", "true"], True),
     (["Yes", "yes", "NO"], False), (["1", "0"], False), (["y", "n", "maybe", "1"], False)],
)  # fmt: skip
def test_yes_and_no_in_several_ways_are_told(texts: list[str], several: bool) -> None:
    assert says_truth_in_several_ways(texts) == several


def test_rows_inside_a_text_are_told() -> None:
    look = look_of("x,1\nz,2\nw")
    assert look is not None
    assert look.kind == "lines"
