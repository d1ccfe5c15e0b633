"""A table whose texts are read as it was said: as numbers, dates, levels and missing values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from dasklasso.dataset.sources.base import Batch, Column, Expected, Source
from dasklasso.dataset.sources.dates import DateRule
from dasklasso.dataset.sources.looks import look_of, remedies
from dasklasso.dataset.sources.padded import first_padded, padded_message
from dasklasso.dataset.sources.reading import LEAST_NUMBER_SHARE, Reading
from dasklasso.dataset.sources.wrapped import WrappedSource
from dasklasso.errors import SourceError, ValueFound

_SAMPLE_ROWS = 4096
_ISO = "YYYY-MM-DD, YYYY-MM-DD hh:mm:ss or hh:mm"
_TIME = re.compile(r"\s*[0-9]+:")
_MOST_SHOWN = 40  # characters of a text in a message

Change = Literal["number", "date", "category"]


class DeclaredSource(WrappedSource):
    """Another source, with the columns changed that were said to be read otherwise.

    Text becomes numbers where the column was named, or where a sample of the first rows spells
    numbers by the decimal mark and the like that were given.

    Parameters
    ----------
    source : Source
    expected : Expected
        ``reading`` says how; the kinds of columns that are known come before what a sample says.
    """

    def __init__(self, source: Source, expected: Expected) -> None:
        super().__init__(source)
        self._reading = expected.reading
        self._expected = expected
        self._changes: dict[str, Change | None] = {}

    @property
    def used_reading(self) -> Reading:
        """How texts were read, without the columns of numbers that had been numbers all along."""
        numbers = {n for n in self._reading.numbers if self._changes.get(n) == "number"}
        return replace(self._reading, numbers=frozenset(numbers))

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        """Return the first whole number of a column that float64 has no number for."""
        return None if self._changes.get(name) else self.base.first_inexact(name)

    @property
    def columns(self) -> tuple[Column, ...]:
        found = self.base.columns
        self._decide([column for column in found if column.name not in self._changes])
        return tuple(self._changed(column) for column in found)

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        return None if self._changes.get(name) else self.base.integer_bounds(name)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[Batch]:
        for batch in self.base.batches(names, rows):
            yield DeclaredBatch(
                batch, self._reading, self._changes, not self._expected.columns_are_known
            )

    def _decide(self, columns: Sequence[Column]) -> None:
        """Tell what becomes of columns, by their names, else by a sample of their texts."""
        reading, unsure = self._reading, []
        for column in columns:
            name = column.name
            if name in reading.dates:
                self._changes[name] = "date"
                if column.kind == "number":
                    self._refuse(column, "dates or text (--date)")
            elif name in reading.categories:
                whole = column.dtype.kind in "iu" or column.kind == "other"
                self._changes[name] = None if column.kind == "text" else "category"
                if column.kind != "text" and not whole:
                    self._refuse(column, "text or whole numbers (--category)")
            elif column.kind != "text" or name in self._expected.as_is:
                self._changes[name] = None
            elif name in reading.numbers or name in self._expected.numbers:
                self._changes[name] = "number"
            elif name in self._expected.texts:
                self._changes[name] = None
            elif reading.numbers_are_marked:
                unsure.append(name)
            else:
                self._changes[name] = None
        if unsure:
            self._decide_by_sample(unsure)

    def _decide_by_sample(self, names: list[str]) -> None:
        batch = next(iter(self.base.batches(names, _SAMPLE_ROWS)), None)
        for name in names:
            texts = None if batch is None else self._reading.as_null(batch.texts(name))
            empty = texts is None or texts.null_count == len(texts)
            share = 1.0 if empty else self._reading.share_of_numbers(texts)
            padded = not empty and first_padded(texts) is not None
            are_numbers = (
                not padded and share >= LEAST_NUMBER_SHARE and not (empty and self.format != "csv")
            )
            self._changes[name] = "number" if are_numbers and not padded else None

    def _refuse(self, column: Column, expected: str) -> None:
        raise SourceError(
            f"{self.path}: column {column.name} is {column.type_name}, expected {expected}."
        )

    def _changed(self, column: Column) -> Column:
        change = self._changes[column.name]
        if change == "category":
            return Column(column.name, "text", np.dtype(object), column.type_name)
        if change is None:
            return column
        kind = f"{column.type_name} as {self._reading.dates[column.name].unit}" if (
            change == "date") else "number"  # fmt: skip
        return Column(column.name, "number", np.dtype(np.float64), kind)


class DeclaredBatch:
    """Rows of another source's batch, with columns changed as they were said to be read."""

    def __init__(
        self,
        batch: Batch,
        reading: Reading,
        changes: dict[str, Change | None],
        can_be_said: bool,
    ) -> None:
        self._can_be_said = can_be_said
        self._batch = batch
        self._reading = reading
        self._changes = changes

    @property
    def file(self) -> str:
        return self._batch.file

    @property
    def first_row(self) -> int:
        return self._batch.first_row

    @property
    def n_rows(self) -> int:
        return self._batch.n_rows

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """As :class:`~dasklasso.dataset.sources.base.Batch`.

        Raises
        ------
        ValueFound
            A text is not what the column was said to hold.
        """
        changed = {name for name in names if self._changes.get(name)}
        if not changed:
            return self._batch.numbers(names)
        out = np.empty((len(names), self.n_rows))
        plain = [name for name in names if name not in changed]
        if plain:
            block = self._batch.numbers(plain)
            out[[k for k, name in enumerate(names) if name not in changed]] = block.T
        for row, name in zip(out, names, strict=True):
            if name in changed:
                row[:] = self._parsed(name)
        return out.T

    def texts(self, name: str) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._changes.get(name) != "category":
            return self._reading.as_null(self._batch.texts(name))
        found = pc.cast(self._batch.as_is(name), pa.string())
        return self._reading.as_null(found)

    def as_is(self, name: str) -> Any:
        return self._batch.as_is(name)

    def _parsed(self, name: str) -> np.ndarray:
        import pyarrow as pa

        values, rule = self._batch.as_is(name), self._reading.dates.get(name)
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        if rule is None or is_text or not pa.types.is_temporal(values.type):
            values = self._reading.as_null(self._batch.texts(name))
        if rule is None and self._can_be_said and name not in self._reading.numbers:
            self._refuse_padded(name, values)
        found, unfit = self._reading.parse(values) if rule is None else rule.numbers(values)
        if unfit is not None:
            raise self._unfit(unfit, name, values[unfit].as_py(), rule)
        return found

    def _refuse_padded(self, name: str, texts: Any) -> None:
        row = first_padded(texts)
        if row is not None:
            text = texts[row].as_py()
            raise ValueFound(padded_message(self.file, self.first_row + row, name, text))

    def _unfit(self, row: int, column: str, text: str, rule: DateRule | None) -> ValueFound:
        """Return a text that is not what its column is said to hold, as an error."""
        shown = repr(text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "...")
        expected = "a number."
        if rule is not None:
            form = "hh:mm or hh:mm:ss" if _TIME.match(text) else _ISO
            form = rule.format or form
            expected = f"a date of the format {form} (--date {column}={rule})."
            look = look_of(text)
            if look is not None and look.kind == "date" and not look.option:
                expected += f" It looks like {look.what}."
        elif self._can_be_said:
            expected += f" {remedies(look_of(text, self._reading.decimal), text, column)}"
        return ValueFound(
            f"{self.file}: row {self.first_row + row}, column {column}: found {shown}, "
            f"expected {expected}"
        )


def declared(source: Source, expected: Expected) -> Source:
    """Return the source, read as it was said; the very same one where nothing was said."""
    return source if expected.reading.says_nothing else DeclaredSource(source, expected)
