"""Text columns that are no categories: numbers of other countries, dates, missing marks, ids."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dasklasso.dataset.sources.base import Batch, Source
from dasklasso.dataset.sources.looks import Look, is_always_null, look_of, null_option
from dasklasso.errors import SourceError

_LEAST_LIKE_SHARE = 0.5  # of the values, that look like numbers or dates where one text else occurs
_LEAST_KNOWN_SHARE = 0.8  # ... that look like numbers, dates or missing values where others occur
_LEAST_VALUES_OF_AN_ID = 20
_DISTINCT_SHARE_OF_AN_ID = 0.9
_MOST_SHOWN = 40  # characters of a text in a message
_PLAIN = "--number {column}"


@dataclass
class Texts:
    """The different texts of a column, how often each occurs, and what each looks like.

    Attributes
    ----------
    counts : Counter of str
    missing : int
        How many values are missing.
    """

    counts: Counter[str] = field(default_factory=Counter)
    missing: int = 0
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
        look = self._looks[text] = look_of(text)
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
        look = self._suspect(is_declared)
        if look is None:
            return None
        file, row, text = self._firsts[look] if look in self._firsts else self._firsts[None]
        name = shlex.quote(column)
        remedy = look.option.replace("{column}", name)
        reads = f"{remedy} reads it; " if remedy else ""
        if look.kind == "null":
            reads = f"{remedy} takes it for that; "
        return (
            f"is text that is no category: {_place(source, file, row)} has {_short(text)}, which "
            f"looks like {look.what}: {reads}--category {name} takes all texts as they are"
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

    def _suspect(self, is_declared: bool) -> Look | None:
        """Return what the first text that speaks against categories looks like."""
        looks: Counter[Look | None] = Counter()
        for text, count in self.counts.items():
            looks[self._looks[text]] += count
        broken = next((look for look in looks if look is not None and look.kind == "lines"), None)
        if broken is not None:
            return broken
        n = self.counts.total()
        like = [look for look in looks if look is not None and look.kind in ("number", "date")]
        n_like = sum(looks[look] for look in like)
        n_null = sum(looks[look] for look in looks if look is not None and look.kind == "null")
        if not n_like or n_like < _LEAST_LIKE_SHARE * n:
            return None
        others = [text for text in self.counts if self._looks[text] is None]
        if len(others) > 1 and n_like + n_null < _LEAST_KNOWN_SHARE * n:
            return None
        marked = [look for look in like if look.option != _PLAIN]
        if marked:  # of dates, those that tell the day from the month
            return max(marked, key=lambda look: (look.is_sure, looks[look]))
        nulls = [look for look in looks if look is not None and look.kind == "null"]
        if nulls:
            return min(nulls, key=lambda look: self._firsts[look][1])
        if others:
            return Look("null", "a missing value among numbers", null_option(others[0]))
        return None if is_declared else like[0]


def _place(source: Source, file: str, row: int) -> str:
    """Name a row, with its line in the file where there are lines, and the file where several."""
    line = source.line_of(file, row)
    where = "" if file == source.path else f"{file}, "
    return f"{where}row {row}" + ("" if line is None else f" (line {line})")


def _short(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "...")
