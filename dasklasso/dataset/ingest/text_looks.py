"""Text columns that are no categories: numbers of other countries, dates, missing marks, ids."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from dasklasso.dataset.sources.base import Batch, Source
from dasklasso.dataset.sources.look import Look
from dasklasso.dataset.sources.looks import (
    PADDED,
    PLAIN,
    is_always_null,
    look_of,
    null_option,
    why_no_row,
)
from dasklasso.dataset.sources.quantities import (
    says_truth_in_several_ways,
    several_numbers,
    several_units,
    shared_unit,
)
from dasklasso.errors import SourceError

_LEAST_LIKE_SHARE = 0.5  # of the values, that look like numbers or dates where one text else occurs
_LEAST_KNOWN_SHARE = 0.8  # ... that look like numbers, dates or missing values where others occur
_LEAST_VALUES_OF_AN_ID = 20
_DISTINCT_SHARE_OF_AN_ID = 0.9
_LEAST_BIN_SHARE = 0.5  # of the values, that are ranges or bounds where bins are spoken of
_ROWS_LOOKED_AT = 4096
_MOST_SHOWN = 40  # characters of a text in a message


@dataclass
class Texts:
    """The different texts of a column, how often each occurs, and what each looks like.

    Attributes
    ----------
    counts : Counter of str
    missing : int
        How many values are missing.
    decimal : str
        The decimal mark that was given.
    """

    counts: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    decimal: str = "."
    _looks: dict[str, Look | None] = field(default_factory=dict)
    _firsts: dict[Look | None, tuple[str, int, str]] = field(default_factory=dict)

    def add(self, batch: Batch, column: str, texts: Any) -> None:
        """Take in a column's texts of a batch, a pyarrow string array."""
        import pyarrow.compute as pc

        self.missing += texts.null_count
        found = pc.value_counts(texts)
        counts = found.field("counts").to_pylist()
        try:
            values = found.field("values").to_pylist()
        except UnicodeDecodeError:  # Parquet says that it is text, and nothing checks it
            raise SourceError(
                f"{batch.file}: rows from {batch.first_row}, column {column}: found bytes that are "
                "not UTF-8 text."
            ) from None
        for text, count in zip(values, counts, strict=True):
            if text is None:
                continue
            if text not in self.counts:
                self._look_at(batch, texts, text)
            self.counts[text] += count

    def _look_at(self, batch: Batch, texts: Any, text: str) -> None:
        look = self._looks[text] = look_of(text, self.decimal)
        if look not in self._firsts:
            import pyarrow.compute as pc

            row = batch.first_row + pc.index(texts, text).as_py()
            self._firsts[look] = batch.file, row, text

    def clear(self) -> None:
        self.counts.clear()
        self._looks.clear()

    @property
    def null_marks(self) -> list[str]:
        """The texts that stand for missing values whatever the others are."""
        return [text for text in self.counts if is_always_null(text)]

    @property
    def bins(self) -> str | None:
        """A text of a column of ranges (``0-5``) or bounds (``>=7``) of numbers; None of others."""
        found = [text for text in self.counts if _kind(self._looks[text]) == "bin"]
        n = sum(self.counts[text] for text in found)
        return found[0] if found and n >= _LEAST_BIN_SHARE * self.counts.total() else None

    def why_numbers(self, source: Source, column: str, *, is_declared: bool) -> str | None:
        """Say why these texts are numbers, dates or the like; None where they seem to be words.

        Parameters
        ----------
        is_declared : bool
            Whether the table itself says that the column is one of categories.

        Returns
        -------
        str or None
            Goes on after the column's name, with the options that help.
        """
        suspect = self._suspect(is_declared)
        if suspect is None:
            return None
        look, first = suspect
        file, row, text = self._firsts[first]
        name = shlex.quote(column)
        reason = why_no_row(text, column)
        if reason is not None and look.kind in ("null", "slip"):
            return (
                f"is text that is no category: {_place(source, file, row)} has {_short(text)} "
                f"among numbers: {reason}; --category {name} takes all texts as they are"
            )
        remedy = look.option.replace("{column}", name)
        reads = f"{remedy} reads it; " if remedy else ""
        if look.kind == "null":
            reads = f"{remedy} takes it for that; "
        elif look.kind == "slip":
            reads = f"correct it, or {remedy} where it stands for a missing value; "
        between = ";" if not reads and ":" in look.what else ":"  # "write it out; --category ..."
        return (
            f"is text that is no category: {_place(source, file, row)} has {_short(text)}, which "
            f"looks like {look.what}{between} {reads}--category {name} takes all texts as they are"
        )

    def why_no_numbers(self, source: Source, column: str) -> str:
        """Say how texts are read as numbers in a column that must have some."""
        looks = [look for look in self._firsts if _kind(look) in (*_NUMBER_KINDS, "null", "bin")]
        look = next((look for look in looks if look is not None and look.option), None)
        if look is None and looks and looks[0] is not None:
            file, row, text = self._firsts[looks[0]]
            return f"{_place(source, file, row)} has {_short(text)}, {looks[0].what}"
        if look is None:
            return f"--number {shlex.quote(column)} reads text that spells numbers"
        file, row, text = self._firsts[look]
        option = look.option.replace("{column}", shlex.quote(column))
        return (
            f"{_place(source, file, row)} has {_short(text)}, which looks like {look.what}: "
            f"{option} reads it"
        )

    def why_id(self, source: Source, column: str) -> str | None:
        """Say why these texts are the names of single rows; None where they repeat."""
        n, distinct = self.counts.total(), len(self.counts)
        if n < _LEAST_VALUES_OF_AN_ID or distinct <= _DISTINCT_SHARE_OF_AN_ID * n:
            return None
        file, row, text = next(iter(self._firsts.values()))
        return (
            f"is text that is nearly all different ({distinct:,} of {n:,} values, {_short(text)} "
            f"in {_place(source, file, row)}), as an id is, expected categories: "
            f"--category {shlex.quote(column)} takes it all the same"
        )

    def _suspect(self, is_declared: bool) -> tuple[Look, Look | None] | None:
        """Return what speaks against categories, and the look of the text that is shown for it."""
        looks: Counter[Look | None] = Counter()
        for text, count in self.counts.items():
            looks[self._looks[text]] += count
        broken = next((look for look in looks if _kind(look) == "lines"), None)
        if broken is not None:
            return broken, broken
        texts = [text for text in self.counts if _kind(self._looks[text]) != "null"]
        if not is_declared and says_truth_in_several_ways(texts):
            return _TRUTHS, self._looks[texts[0]]
        n = self.counts.total()
        n_null = sum(count for look, count in looks.items() if _kind(look) == "null")
        like = [look for look in looks if look is not None and look.kind in _NUMBER_KINDS]
        bins = [look for look in looks if look is not None and look.kind == "bin"]
        n_like = sum(looks[look] for look in (*like, *(bins if like else ())))
        others = [text for text in texts if self._looks[text] is None]
        if not n_like or n_like < _LEAST_LIKE_SHARE * n:
            unit = None
            if not (is_declared or like or bins):
                unit = shared_unit(others) or several_numbers(others)
            return None if unit is None else (unit, None)
        if len(others) > 1 and n_like + n_null < _LEAST_KNOWN_SHARE * n:
            return None
        if bins:
            first = min(bins, key=lambda look: self._firsts[look][1])
            return replace(first, what=f"{first.what}, among numbers"), first
        marked = [look for look in like if look not in (PLAIN, PADDED)]
        if marked:  # of dates, those that tell the day from the month
            # what no option reads comes first: another's option would not read all
            found = max(marked, key=lambda look: (not look.option, look.is_sure, looks[look]))
            return several_units(marked) or found, found
        if PADDED in looks and not is_declared:
            return PADDED, PADDED
        nulls = [look for look in looks if look is not None and look.kind == "null"]
        if nulls:
            found = min(nulls, key=lambda look: self._firsts[look][1])
            return found, found
        if others:
            kind, what = "null", "a missing value among numbers"
            if any(map(str.isdigit, others[0])):
                kind, what = "slip", "a slip among numbers"
            return Look(kind, what, null_option(others[0])), None
        return None if is_declared else (like[0], like[0])


def how_numbers_are_read(source: Source, column: str) -> str:
    """Say, by the first rows, how the texts of a column are read as numbers."""
    reading = source.used_reading
    found = Texts(decimal="." if reading is None else reading.decimal)
    for batch in islice(source.batches([column], _ROWS_LOOKED_AT), 1):
        found.add(batch, column, batch.texts(column))
    return found.why_no_numbers(source, column)


_NUMBER_KINDS = ("number", "date", "unit")
_TRUTHS = Look("truth", "yes and no in more than one way: write them alike")


def _kind(look: Look | None) -> str | None:
    return None if look is None else look.kind


def _place(source: Source, file: str, row: int) -> str:
    """Name a row, with its line in the file where there are lines, and the file where several."""
    line = source.line_of(file, row)
    where = "" if file == source.path else f"{file}, "
    return f"{where}row {row}" + ("" if line is None else f" (line {line})")


def _short(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "...")
