"""How the texts of a table are read: as numbers, dates, missing values, or as they are.

What is not said is not guessed: a text that looks like a number of another country, a date or a
missing value is refused where it would become a category, and the options here say what it is.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dasklasso.dataset.sources.dates import DateRule
from dasklasso.dataset.sources.invisible import is_invisible, spelled_character
from dasklasso.errors import OptionError

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "-nan", "-NaN")
SPACES = " \u00a0\u202f"  # blank, no-break and narrow no-break space: between thousands
_THOUSANDS = f",.'_\u2019{SPACES}"
LEAST_NUMBER_SHARE = 0.8  # of a column that is one of numbers, with stray text in it
PADDED = r"^[ \t]*[+-]?0[0-9]+[ \t]*$"  # for Arrow: a whole number with zeros before it
_BLANKS = " \t\r\n"
_WORDS_OF_CHARACTERS = {"tab": "\t", "\\t": "\t", "space": " "}


@dataclass(frozen=True, eq=False)
class Reading:
    """What was said of a table's texts. Made by :meth:`of`, which checks it.

    Attributes
    ----------
    decimal : str
        The decimal mark.
    thousands : str
        What stands between groups of three digits; empty: nothing does.
    strip : tuple of str
        Texts before or after a number that are no part of it, such as ``$`` and ``%``; characters
        that cannot be seen, such as U+200B, are taken out wherever they are.
    null : tuple of str
        Texts that are missing values, in every column.
    dates : dict of column to DateRule
    categories, numbers : frozenset of str
        Columns whose texts are levels (or classes) whatever they look like, and columns that are
        numbers.
    separator, encoding, quote : str or None
        CSV: as asked for; None where the file tells. A ``quote`` of "none": there is none.
    """

    decimal: str = "."
    thousands: str = ""
    strip: tuple[str, ...] = ()
    null: tuple[str, ...] = ()
    dates: Mapping[str, DateRule] = field(default_factory=dict)
    categories: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    separator: str | None = None
    encoding: str | None = None
    quote: str | None = None

    @classmethod
    def of(
        cls,
        *,
        decimal: str | None = None,
        thousands: str | None = None,
        strip: Sequence[str] = (),
        null: Sequence[str] = (),
        date: Sequence[str] = (),
        category: Iterable[str] = (),
        number: Iterable[str] = (),
        separator: str | None = None,
        encoding: str | None = None,
        quote: str | None = None,
    ) -> Reading:
        """Check what was said, as the command line's options have it.

        Parameters
        ----------
        date : sequence of str
            ``COLUMN=UNIT`` or ``COLUMN=UNIT:FORMAT``.

        Raises
        ------
        OptionError
            A value cannot be used, or two of them contradict each other.
        """
        decimal, thousands = decimal or ".", _character(thousands)
        if decimal not in (".", ","):
            raise OptionError(f"--decimal {decimal!r}: expected . or a comma.")
        if thousands and (len(thousands) > 1 or thousands not in _THOUSANDS):
            raise OptionError(
                f"--thousands {thousands!r}: expected a comma, a point, an apostrophe, _ or space."
            )
        if thousands == decimal:
            other = "," if decimal == "." else "."
            raise OptionError(
                f"--thousands {thousands!r}: is the decimal mark, expected another one, or "
                f"--decimal {other} beside it."
            )
        strip = [spelled_character(text) for text in strip]
        null = [spelled_character(text) for text in null]
        for option, texts in (("strip", strip), ("null", null)):
            for text in texts:
                if not text.strip(_BLANKS):
                    raise OptionError(f"--{option} {text!r}: is blank, expected a text.")
        for text in strip:
            if any(map(str.isdigit, text)) or not text.strip(".,+-eE"):
                raise OptionError(
                    f"--strip {text!r}: has what numbers are spelled with, expected a text such as "
                    "$ or %."
                )
        reading = cls(
            decimal=decimal,
            thousands=thousands,
            strip=tuple(dict.fromkeys(text.strip(_BLANKS) for text in strip)),
            null=tuple(dict.fromkeys(null)),
            dates=dict(DateRule.named(text) for text in date),
            categories=frozenset(category),
            numbers=frozenset(number),
            separator=_separator(separator),
            encoding=_encoding(encoding),
            quote=_quote(quote),
        )
        if reading.quote is not None and reading.quote == reading.separator:
            raise OptionError(f"--quote {quote!r}: is the separator, expected another character.")
        reading._refuse_columns_said_twice()
        return reading

    def _refuse_columns_said_twice(self) -> None:
        said: dict[str, str] = {}
        for option, columns in self.columns_by_option.items():
            for column in columns:
                if column in said:
                    raise OptionError(
                        f"column {column} was named by --{said[column]} and --{option}, "
                        "expected once."
                    )
                said[column] = option

    @property
    def columns_by_option(self) -> dict[str, Sequence[str]]:
        """The columns that were named, by the option that named them."""
        return {
            "date": tuple(self.dates),
            "category": sorted(self.categories),
            "number": sorted(self.numbers),
        }

    @cached_property
    def says_nothing(self) -> bool:
        """Whether texts are read as they are: nothing was said of them."""
        return not (
            self.needs_text or self.decimal != "." or self.null or self.dates or self.categories
            or self.numbers
        )  # fmt: skip

    @property
    def reads_numbers(self) -> bool:
        """Whether there may be columns of numbers that were text or dates."""
        return self.numbers_are_marked or bool(self.dates or self.numbers)

    @property
    def numbers_are_marked(self) -> bool:
        """Whether numbers are spelled otherwise than Arrow has them."""
        return self.needs_text or self.decimal != "."

    @property
    def needs_text(self) -> bool:
        """Whether a reader of CSV cannot take the numbers itself."""
        return bool(self.thousands or self.strip)

    # -- texts to numbers ---------------------------------------------------------------------

    def as_null(self, texts: Any) -> Any:
        """Return a pyarrow string array with null where a text is a missing value as named."""
        if not self.null:
            return texts
        import pyarrow as pa
        import pyarrow.compute as pc

        absent = pc.is_in(texts, pa.array(self.null, type=pa.string()))
        return pc.if_else(absent, pa.scalar(None, pa.string()), texts)

    def parse(self, texts: Any) -> tuple[np.ndarray, int | None]:
        """Numbers that texts spell.

        Parameters
        ----------
        texts : (n,) pyarrow string array

        Returns
        -------
        numbers : (n,) float64
            NaN where a text is missing.
        unfit : int or None
            The first text that spells none; the numbers are then NaN from there on.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        plain, fits = self._plain(texts)
        row = pc.index(fits, False).as_py()
        unfit = None if row < 0 else row
        if unfit is None:
            try:
                numbers = pc.cast(plain, pa.float64())
                return pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False), None
            except pa.ArrowException:
                pass
        numbers = np.full(len(texts), np.nan)
        for row, text in enumerate(plain.to_pylist()):
            if row == unfit:
                break
            if text is not None:
                value = spelled_number(text)
                if value is None:
                    unfit = row
                    break
                numbers[row] = value
        return numbers, unfit

    def share_of_numbers(self, texts: Any) -> float:
        """Return how many of the texts that are there spell numbers, from 0 to 1; 1 of none."""
        import pyarrow.compute as pc

        plain, fits = self._plain(texts)
        there = [
            fit and spelled_number(text) is not None
            for text, fit in zip(
                plain.to_pylist(), pc.fill_null(fits, False).to_pylist(), strict=True
            )
            if text is not None
        ]
        return sum(there) / len(there) if there else 1.0

    def _plain(self, texts: Any) -> tuple[Any, Any]:
        """Texts as Arrow's numbers are spelled, null where missing; and whether each may be."""
        import pyarrow as pa
        import pyarrow.compute as pc

        null = pa.scalar(None, pa.string())
        for text in filter(_is_one_invisible, self.strip):
            texts = pc.replace_substring(texts, text, "")
        texts = pc.utf8_trim(texts, characters=SPACES + "\t\r\n")
        texts = pc.if_else(
            pc.is_in(texts, pa.array((*MISSING, *self.null), type=pa.string())), null, texts
        )
        texts = pc.replace_substring(texts, "\u2212", "-")  # the sign of typeset tables
        for text in sorted(self.strip, key=len, reverse=True):  # of g and kg, kg comes first
            for pattern in (rf"^([+-]?)\s*{_escaped(text)}\s*", rf"()\s*{_escaped(text)}\s*$"):
                texts = pc.replace_substring_regex(texts, pattern, r"\1")
        fits = pc.fill_null(pc.match_substring_regex(texts, _CHARACTERS), True)
        if self.thousands:
            mark = f"[{SPACES}]" if self.thousands in SPACES else _escaped(self.thousands)
            groups = rf"[0-9]{{1,3}}({mark}[0-9]{{3}})+"
            if self.thousands == ",":  # of India: 1,10,000
                groups = rf"({groups}|[0-9]{{1,2}}(,[0-9]{{2}})+,[0-9]{{3}})"
            grouped = rf"^[+-]?{groups}({_escaped(self.decimal)}|[eE]|$)"
            has = pc.fill_null(pc.match_substring_regex(texts, mark), False)
            in_threes = pc.fill_null(pc.match_substring_regex(texts, grouped), True)
            fits = pc.and_(fits, pc.or_(pc.invert(has), in_threes))
            texts = pc.replace_substring_regex(texts, mark, "")
        if self.decimal == ",":
            fits = pc.and_(fits, pc.invert(pc.fill_null(pc.match_substring(texts, "."), False)))
            texts = pc.replace_substring(texts, ",", ".")
        return texts, fits

    # -- as JSON ------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return what was said, in plain JSON types; what was not said is left out."""
        found: dict[str, Any] = {
            "decimal": self.decimal if self.decimal != "." else None,
            "thousands": self.thousands,
            "strip": list(self.strip),
            "null": list(self.null),
            "date": [f"{column}={rule}" for column, rule in self.dates.items()],
            "category": sorted(self.categories),
            "number": sorted(self.numbers),
            "separator": self.separator,
            "encoding": self.encoding,
            "quote": self.quote,
        }
        return {key: value for key, value in found.items() if value}

    @classmethod
    def from_json(cls, data: Any) -> Reading:
        """Read and check what :meth:`to_json` gave.

        Raises
        ------
        ValueError
            An entry is not known or of another type. The message is a phrase that names it.
        """
        if not isinstance(data, dict):
            raise ValueError(f"reading is {data!r:.40}, expected an object")
        for key, value in data.items():
            if key not in _KEYS:
                raise ValueError(f"reading has the entry {key!r:.40}, which is not known")
            texts = value if _KEYS[key] else [value]
            if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
                kind = "a list of texts" if _KEYS[key] else "text"
                raise ValueError(f"{key} is {value!r:.40}, expected {kind}")
        return cls.of(**data)


# the entries of a reading, and whether they are lists
_KEYS = {
    "decimal": False, "thousands": False, "strip": True, "null": True, "date": True,
    "category": True, "number": True, "separator": False, "encoding": False, "quote": False,
}  # fmt: skip
# what numbers are spelled with; Arrow's own parser tells the rest
_CHARACTERS = rf"^[-+0-9.,'_\x{{2019}}{SPACES}eEinfatyINFATYE]*$"


def spelled_number(text: str) -> float | None:
    """Return the number that a text spells, None where it spells none (as pyarrow reads it)."""
    # Python would take 1_000, digits of other scripts and line ends
    if not text.isascii() or any(mark in text for mark in "_\r\n"):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_inexact(text: str) -> bool:
    """Tell whether a text spells a whole number that float64 has no number for."""
    digits = text.strip().lstrip("+-")
    if not (digits.isascii() and digits.isdigit()) or not 15 < len(digits) < 310:
        return False
    return int(float(digits)) != int(digits)


def _is_one_invisible(text: str) -> bool:
    return len(text) == 1 and is_invisible(text)


def _escaped(text: str) -> str:
    return "".join(rf"\x{{{ord(c):x}}}" for c in text)


def _character(text: str | None) -> str:
    return _WORDS_OF_CHARACTERS.get(text or "", text or "")


def _separator(text: str | None) -> str | None:
    if text is None:
        return None
    one = _character(text)
    if len(one) != 1 or one.isalnum() or one in "\r\n\"'.+-" or not one.isascii():
        raise OptionError(
            f"--separator {text!r}: expected one character, such as a comma, ; | or tab."
        )
    return one


def _quote(text: str | None) -> str | None:
    if text is None or text == "none":
        return text
    if len(text) != 1 or text.isalnum() or text in "\r\n" or not text.isascii():
        raise OptionError(f"--quote {text!r}: expected one character, or none.")
    return text


def _encoding(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        found = codecs.lookup(text)
        "".encode(text)  # not of bytes, as base64 is
    except (LookupError, ValueError):
        raise OptionError(
            f"--encoding {text!r}: is not known, expected utf-8, cp1252, latin-1, utf-16 or "
            "another of Python's."
        ) from None
    return found.name
