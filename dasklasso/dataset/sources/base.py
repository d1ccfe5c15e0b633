"""What every input format offers: named columns, and their rows in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal, Protocol

import numpy as np

from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import SourceError

MOST_COLUMNS = 2_000_000  # of a table: more are a damaged header, or ask for another tool
MOST_CHARACTERS = 200  # of a library's message inside one of ours
MOST_NAMED = 100  # names in a message
_LEAST_LIKENESS = 0.6  # least likeness of a name that is suggested
_AS_NEAR = 0.15  # by how much less likely than the likeliest a suggestion may be
_LEAST_COMMON = 3  # characters that a name has in common with one that it is a part of
TRUTHS = ("false", "true")  # names of a boolean column's 0 and 1


@dataclass(frozen=True)
class Column:
    """A column of an input table.

    Attributes
    ----------
    name : str
    kind : {"number", "text", "other"}
        ``"text"`` can become one-hot columns; ``"other"`` (dates, lists) cannot be used.
    dtype : numpy.dtype
        Of a number column: what its values need (bool counts as uint8).
    type_name : str
        The format's own name of the type, for messages.
    """

    name: str
    kind: Literal["number", "text", "other"]
    dtype: np.dtype
    type_name: str

    @property
    def is_boolean(self) -> bool:
        """Whether the values are false and true, taken as the numbers 0 and 1."""
        return self.dtype == np.uint8 and self.type_name == "bool"


@dataclass(frozen=True)
class Expected:
    """What is known of a table's columns before it is opened.

    Attributes
    ----------
    texts, numbers : sets of str
        Columns of that kind, whatever a sample of the table looks like.
    truths : set of str
        CSV: those of the texts that may be spelled as booleans or as 0 and 1.
    as_is : tuple of str
        Columns that are handed on as they are, such as ids.
    absent : tuple of str
        CSV: words that stand for a missing number, beside those that always do.
    index_base : int or None
        svmlight: the index of the first feature; None where the indices tell.
    width : int
        svmlight: how many columns there are at least.
    reading : Reading
        How texts are read.
    """

    texts: Set[str] = frozenset()
    numbers: Set[str] = frozenset()
    truths: Set[str] = frozenset()
    as_is: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    index_base: int | None = None
    width: int = 0
    reading: Reading = field(default_factory=Reading)

    @property
    def columns_are_known(self) -> bool:
        """Whether all of this is what a schema knows of the columns."""
        return bool(self.texts or self.numbers)


class Batch(Protocol):
    """Consecutive rows of one file.

    Attributes
    ----------
    file : str
    first_row : int
        Data row of the file (from 0) that comes first in this batch.
    n_rows : int
    """

    @property
    def file(self) -> str: ...

    @property
    def first_row(self) -> int: ...

    @property
    def n_rows(self) -> int: ...

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Number columns as (n_rows, len(names)); where a value is missing, float64 with NaN."""
        ...

    def texts(self, name: str) -> Any:
        """Return a text column as a pyarrow string array; null where missing."""
        ...

    def as_is(self, name: str) -> Any:
        """Return a column as a pyarrow array of its own type."""
        ...


class Source(Protocol):
    """An input table.

    Attributes
    ----------
    format : str
    path : str
    columns : tuple of Column
    n_rows : int or None
        None where only reading would tell.
    default_target : tuple of str
        Columns that are the target unless another is asked for; may be empty.
    beside : tuple of str
        Columns that are no features unless asked for by name: arrays beside X.
    """

    @property
    def format(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def n_rows(self) -> int | None: ...

    @property
    def default_target(self) -> tuple[str, ...]: ...

    @property
    def beside(self) -> tuple[str, ...]: ...

    def batches(self, names: Sequence[str], rows: int) -> Iterator[Batch]:
        """All rows from the first, with these columns, at most ``rows`` at a time.

        Raises
        ------
        SourceError, ValueFound
        """
        ...

    def resolve(self, name: str) -> tuple[str, ...]:
        """The columns that ``name`` means; several for a two-dimensional array; may be empty.

        A source of arrays also takes the name of an array or of a file beside it, which then
        adds columns.
        """
        ...

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        """Least and greatest value of an integer column, where they are known without reading."""
        ...

    @property
    def dialect(self) -> str:
        """What is to be said of how the files are written; empty where they are as usual."""
        ...

    @property
    def index_base(self) -> int | None:
        """The index of the first feature, where the format counts them."""
        ...

    @property
    def used_reading(self) -> Reading | None:
        """How texts were read, where that is less than was said."""
        ...

    def line_of(self, file: str, row: int) -> int | None:
        """The line (from 1) of a file that a row (from 0) begins at, where it is known."""
        ...

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        """File, row and text of the first whole number that float64 has no number for."""
        ...


class SourceDefaults:
    """What a source answers that knows no better."""

    @property
    def default_target(self) -> tuple[str, ...]:
        return ()

    @property
    def beside(self) -> tuple[str, ...]:
        return ()

    @property
    def dialect(self) -> str:
        return ""

    @property
    def index_base(self) -> int | None:
        return None

    @property
    def used_reading(self) -> Reading | None:
        return None

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        return None

    def line_of(self, file: str, row: int) -> int | None:
        return None

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        return None


def one_line(error: BaseException) -> str:
    """Return what an error of a library says, in a line that is not long."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 3] + "..."


def resolve_column(columns: Sequence[Column], name: str) -> tuple[str, ...]:
    """``(name,)`` when there is such a column, else ``()``."""
    return (name,) if any(column.name == name for column in columns) else ()


def refuse_duplicates(names: Sequence[str], where: str, hint: str = "") -> None:
    """Raise SourceError when a column name occurs twice."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in seen:
            raise SourceError(
                f"{where}: columns {seen[name]} and {position} are both named {name!r}, "
                f"expected different names.{hint}"
            )
        seen[name] = position


def refuse_too_many(n_columns: int, where: str) -> None:
    """Raise SourceError when a table declares more columns than are taken."""
    if n_columns > MOST_COLUMNS:
        raise SourceError(f"{where}: has {n_columns:,} columns, expected at most {MOST_COLUMNS:,}.")


def all_named(names: Sequence[str]) -> str:
    """Return the names in quotes; of very many the first ones, and their number."""
    some = ", ".join(repr(name) for name in names[:MOST_NAMED])
    return some + (f", ... ({len(names):,} in all)" if len(names) > MOST_NAMED else "")


def suggest(name: str, known: Sequence[str]) -> str:
    """``Did you mean ...?`` with near names, or the first names that there are."""
    near = near_names(name, known)
    if near:
        return f"Did you mean {' or '.join(repr(match) for match in near)}?"
    if not known:
        return "There are none."
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return f"There are: {shown}."


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """List the names that a user may have meant, the likeliest first.

    Names that differ only in case or in what is neither letter nor digit are meant before all
    others, and then no other is. Else those that are spelled nearly so (difflib's ratio), and
    those that ``name`` is a part of or that are a part of it, where it has three characters.
    """
    wanted = _letters(name)
    by_letters: dict[str, list[str]] = {}
    for one in known:
        by_letters.setdefault(_letters(one), []).append(one)
    if wanted in by_letters:
        return by_letters[wanted][:most]
    scores: dict[str, float] = {}
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    for letters in by_letters:
        matcher.set_seq1(letters)
        likely = matcher.real_quick_ratio() >= _LEAST_LIKENESS
        if likely and matcher.quick_ratio() >= _LEAST_LIKENESS:
            ratio = matcher.ratio()
            if ratio >= _LEAST_LIKENESS:
                scores[letters] = ratio
        shorter, longer = sorted((letters, wanted), key=len)
        if len(shorter) >= _LEAST_COMMON and shorter in longer:
            part = _LEAST_LIKENESS + (1 - _LEAST_LIKENESS) * len(shorter) / len(longer)
            scores[letters] = max(part, scores.get(letters, 0.0))
    ranked = sorted(scores, key=lambda letters: -scores[letters])  # equal ones: as they came
    best = scores[ranked[0]] if ranked else 0.0
    close = [letters for letters in ranked if scores[letters] > best - _AS_NEAR]
    return [one for letters in close for one in by_letters[letters]][:most]


def _letters(name: str) -> str:
    """Return a name's letters and digits in lower case; the name itself where it has none."""
    return "".join(c for c in name.casefold() if c.isalnum()) or name
