"""What texts look like: numbers of all countries, dates, missing marks; words are none of these."""

from __future__ import annotations

import pytest

from dasklasso.dataset.sources.looks import look_of

LOOKS = {
    "--decimal ,": ["3,14", "0,5", "0,123", "1234,567", "-1,5e3", ",5"],
    "--thousands ,": ["1,000,000", "1,234.5"],
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
    "--date {column}=hours": ["12:30", "12:30:05"],
    "--null '?'": ["?"],
    "--null=-": ["-"],
    "--null n/a": ["n/a"],
    "": ["(100)", "($1,000)", "0x1F", "1.5D+03", "１２"],
}
WORDS = ["A12", "abc", "5A", "1/2", "1.2.3", "192.168.0.1", "10-20", "36 months", "<=50K", "3+",
         "2020-21", "two words", "line\nbreak"]  # fmt: skip


@pytest.mark.parametrize(("option", "text"), [(o, t) for o, texts in LOOKS.items() for t in texts])
def test_a_text_that_is_no_word_is_told_with_its_option(option: str, text: str) -> None:
    look = look_of(text)
    assert look is not None
    assert look.option == option


@pytest.mark.parametrize("text", WORDS)
def test_words_and_codes_are_words(text: str) -> None:
    assert look_of(text) is None


def test_rows_inside_a_text_are_told() -> None:
    look = look_of("x,1\nz,2\nw")
    assert look is not None
    assert look.kind == "lines"
