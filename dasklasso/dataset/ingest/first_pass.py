"""The pass before ingest, over only the columns that need one: levels of text, means to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dasklasso.dataset.checks import MAX_CLASSES
from dasklasso.dataset.ingest.columns import (
    Roles,
    Unusable,
    nameless_columns,
    refuse_unusable,
    unusable_types,
)
from dasklasso.dataset.ingest.genotypes import genotypes_of
from dasklasso.dataset.ingest.text_looks import Texts
from dasklasso.dataset.sources.base import Source
from dasklasso.dataset.sources.missing_values import MissingValues
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import SourceError, ValueFound

MAX_LEVELS = 1000
_BATCHES_AFTER_A_FAULT = 64  # are read for further columns that cannot be used, to name them too


@dataclass
class _Means:
    """Means of number columns over the values that are there."""

    mean: np.ndarray
    count: np.ndarray
    missing: np.ndarray

    def add(self, block: np.ndarray) -> None:
        values = block.astype(np.float64, copy=False)
        there = ~np.isnan(values)
        count = there.sum(axis=0)
        total = self.count + count
        with np.errstate(invalid="ignore"):  # infinities are refused by name when encoded
            # about the mean so far: no cancellation when mean >> std
            excess = np.where(there, values - self.mean, 0.0).sum(axis=0)
        self.mean += excess / np.maximum(total, 1)
        self.count = total
        self.missing += len(values) - count


@dataclass(frozen=True)
class Survey:
    """What is known of the columns before they are encoded.

    Attributes
    ----------
    levels : dict of column to sorted texts
    means : dict of number column to float
        Empty unless missing values are to be filled.
    missing : dict of number column to int
        How many values are missing, for the columns in ``means``.
    missing_texts : dict of text column to int
        How many values are missing, for the features that have a level for those.
    missing_values : MissingValues
        What counts as missing in a feature, beside NaN and null.
    null_marks : dict of text column to texts
        Levels that seem to stand for missing values.
    bins : dict of text column to one of its texts
        Columns of ranges or bounds of numbers, which nobody said to be categories.
    truths : frozenset of str
        Number columns that may only have 0 and 1: by the schema they are false and true.
    """

    levels: dict[str, tuple[str, ...]]
    means: dict[str, float]
    missing: dict[str, int]
    missing_texts: dict[str, int] = field(default_factory=dict)
    missing_values: MissingValues = field(default_factory=MissingValues)
    null_marks: dict[str, list[str]] = field(default_factory=dict)
    bins: dict[str, str] = field(default_factory=dict)
    truths: frozenset[str] = frozenset()

    @property
    def missing_levels(self) -> frozenset[str]:
        """The text columns that have a level for missing values."""
        return frozenset(self.missing_texts)

    def fill_of(self, features: Sequence[str]) -> np.ndarray:
        """Return what is filled in for each feature: (n_features,); 0 for those of text."""
        return np.array([self.means.get(name, 0.0) for name in features])


def survey(
    source: Source,
    roles: Roles,
    *,
    fill: bool,
    rows: int,
    missing_values: MissingValues = MissingValues(),  # noqa: B008 (frozen)
    reading: Reading = Reading(),  # noqa: B008 (frozen)
) -> Survey:
    """Read what must be known beforehand; no pass at all where nothing must.

    Parameters
    ----------
    fill : bool
        Whether missing numbers are to be filled with the mean, and missing texts to be a level.
    rows : int
        At most so many rows at a time.
    missing_values : MissingValues
        What counts as missing in a feature, beside NaN and null.
    reading : Reading
        What was said of texts: columns that are categories are taken for such.

    Raises
    ------
    SourceError
        Features that are neither numbers nor text, have more than 1,000 levels (a target:
        10,000) or no value at all, or text that looks like numbers, dates or an id; one message
        names all that were found.
    ValueFound
        A target has no value at all.
    """
    texts = [column for column in roles.used if column.kind == "text"]
    numbers = [column.name for column in roles.features if fill and column.kind == "number"]
    levels = {column.name: Texts(decimal=reading.decimal) for column in texts}
    zeros = np.zeros(len(numbers))
    means = _Means(zeros.copy(), zeros.astype(np.int64), zeros.astype(np.int64))
    unusable = _Unusable(source, roles, reading)
    genotypes = None if missing_values.texts else genotypes_of(source)
    counted = None if genotypes is None else genotypes.means(numbers)
    if genotypes is not None and counted is not None:
        means = _Means(*counted, missing=genotypes.n_rows - counted[1])
    unread = numbers if counted is None else []
    names = [*levels, *unread]
    features = {column.name for column in roles.features}
    left = _BATCHES_AFTER_A_FAULT
    if names:
        for batch in source.batches(names, rows):
            for name, found in levels.items():
                if name not in unusable.columns:
                    texts_here = batch.texts(name)
                    if name in features:
                        texts_here = missing_values.as_null(texts_here)
                    found.add(batch, name, texts_here)
                    unusable.look_at(name, found)
            if unread and not unusable.columns:
                means.add(missing_values.as_nan(batch.numbers(unread)))
            left -= bool(unusable.columns)
            if not left:
                break
        for name, found in levels.items():
            if name not in unusable.columns:
                unusable.look_for_other_than_categories(name, found)
    if not unusable.columns:
        unusable.look_for_empty(levels, numbers, means.count)
    unusable.refuse()

    return Survey(
        levels={name: tuple(sorted(found.counts)) for name, found in levels.items()},
        means=dict(zip(numbers, means.mean.tolist(), strict=True)),
        missing=dict(zip(numbers, means.missing.tolist(), strict=True)),
        missing_texts={
            name: found.missing
            for name, found in levels.items()
            if fill and name in features and found.missing
        },
        missing_values=missing_values,
        null_marks={
            name: marks
            for name, found in levels.items()
            if name in features and name not in reading.categories and (marks := found.null_marks)
        },
        bins={
            name: text
            for name, found in levels.items()
            if name not in unusable.as_said and (text := found.bins) is not None
        },
    )


class _Unusable:
    """Columns that can be no features, gathered so that one message names them all."""

    def __init__(self, source: Source, roles: Roles, reading: Reading) -> None:
        self._source = source
        self._features = dict.fromkeys(column.name for column in roles.features)
        self._targets = {column.name for column in roles.targets}
        # an Arrow dictionary, or a categorical of pandas
        self._declared = {c.name for c in roles.used if c.type_name.startswith("dictionary")}
        self.as_said = set(reading.categories)
        if roles.fold is not None:
            self.as_said.add(roles.fold.name)  # whatever its texts look like, they are labels
        self.columns = {
            one.column: one for one in (*nameless_columns(roles), *unusable_types(roles))
        }

    def look_at(self, name: str, found: Texts) -> None:
        """Tell whether a text column has more levels than can be used."""
        most = MAX_CLASSES if name in self._targets else MAX_LEVELS
        if len(found.counts) <= most:
            return
        why = None
        if name not in self.as_said:
            why = found.why_numbers(self._source, name, is_declared=name in self._declared)
        if why is None:
            some = ", ".join(repr(text) for text in sorted(found.counts)[:3])
            why = (
                f"is text with more than {most:,} different values ({some}, ...), expected "
                "categories"
            )
        self._add(Unusable(name, why))
        found.clear()

    def look_for_other_than_categories(self, name: str, found: Texts) -> None:
        """Tell whether the texts of a column are numbers, dates or ids, rather than categories."""
        if name in self.as_said:
            return
        why = found.why_numbers(self._source, name, is_declared=name in self._declared)
        if why is None and name in self._features:
            why = found.why_id(self._source, name)
        if why is not None:
            self._add(Unusable(name, why))

    def _add(self, unusable: Unusable) -> None:
        if unusable.column not in self._features:
            raise SourceError(f"{self._source.path}: column {unusable.column} {unusable.why}.")
        self.columns[unusable.column] = unusable

    def look_for_empty(
        self, levels: dict[str, Texts], numbers: Sequence[str], count: np.ndarray
    ) -> None:
        """Tell whether a column has no value, once all the rows were seen."""
        empty = [name for name, found in levels.items() if not found.counts]
        empty += [name for name, n in zip(numbers, count, strict=True) if n == 0]
        for name in empty:
            why = "has no value in any row"
            if name not in self._features:
                raise ValueFound(f"{self._source.path}: column {name} {why}.")
            self.columns[name] = Unusable(name, why)

    def refuse(self) -> None:
        refuse_unusable(
            self._source,
            [self.columns[name] for name in self._features if name in self.columns],
        )
