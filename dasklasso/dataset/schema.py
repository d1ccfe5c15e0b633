"""The preparation of a table: how its columns become features, for training and ever after.

It is recorded when a table is ingested, copied into every model that is fitted on the store, and
is what rows that come later are encoded by: the same row becomes the same features, whatever the
file that it comes in.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from dasklasso.choices import Missing
from dasklasso.dataset.sources import Expected, array_format
from dasklasso.dataset.sources.missing_values import MissingValues
from dasklasso.dataset.sources.reading import Reading

MISSING_LEVEL = "<missing>"


@dataclass(frozen=True)
class TargetColumn:
    """A target, and the names of its classes where it was text or boolean: code 0 first."""

    name: str
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Schema:
    """How the columns of a table become features.

    Attributes
    ----------
    feature_names : sequence of str, length n_features
        A text column has one for each of its levels, ``column=level``, and ``column=<missing>``
        where it had missing values.
    levels : dict of text column to its levels, in order
    missing_levels : frozenset of str
        Text columns that have a feature for missing values.
    means : (n_features,) float64
        Means over the training rows; missing numbers are filled with them.
    dtype : str
        Of the features in training: numbers are rounded to it.
    missing : {"error", "mean"}
        What became of missing values. With "mean", those of text are a level.
    types : tuple of str, one for each column
        What the training table called the columns' types.
    targets : tuple of TargetColumn
    weight, fold, offset : str or None
        Columns beside the features.
    fold_classes : tuple of str or None
    missing_values : tuple of str
        What counts as missing in a feature, beside NaN and null.
    dropped : tuple of str
        Columns that were left out.
    source_format : str or None
        Of the training table.
    array : str or None
        HDF5, NPZ: the array that was X, where it was named.
    index_base : int or None
        svmlight: the index that the first feature had.
    reading : Reading
        How texts were read.
    """

    feature_names: Sequence[str]
    levels: Mapping[str, tuple[str, ...]]
    missing_levels: frozenset[str]
    means: np.ndarray
    dtype: str
    missing: Missing
    types: tuple[str, ...] = ()
    targets: tuple[TargetColumn, ...] = ()
    weight: str | None = None
    fold: str | None = None
    offset: str | None = None
    fold_classes: tuple[str, ...] | None = None
    missing_values: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    source_format: str | None = None
    array: str | None = None
    index_base: int | None = None
    reading: Reading = field(default_factory=Reading)

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """The columns that features are made of, in order, each with its first feature."""
        if not self.levels:
            return {name: j for j, name in enumerate(self.feature_names)}
        firsts = {features_of(name, self.levels, self.missing_levels)[0]: name
                  for name in self.levels}  # fmt: skip
        found: dict[str, int] = {}
        j = 0
        while j < len(self.feature_names):
            column = firsts.get(self.feature_names[j], self.feature_names[j])
            found[column] = j
            j += len(features_of(column, self.levels, self.missing_levels))
        return found

    def is_text(self, column: str) -> bool:
        return column in self.levels

    def fill(self, column: str) -> float:
        """Return what a missing value of a number column becomes: the mean of the training rows."""
        return float(self.means[self.columns[column]])

    def expected(self, as_is: Sequence[str] = ()) -> Expected:
        """Return what a source should know of a table before it reads its types off a sample."""
        classed = {target.name for target in self.targets if target.classes is not None}
        if self.fold is not None and self.fold_classes is not None:
            classed.add(self.fold)
        return Expected(
            texts=frozenset(self.levels) | classed,
            numbers=self.columns.keys() - self.levels.keys(),
            as_is=tuple(as_is),
            absent=MissingValues(self.missing_values).words,
            index_base=self.index_base,
            width=len(self.columns),
            reading=self.reading,
        )

    def array_for(self, path: str | os.PathLike[str]) -> str | None:
        """The array that is X in a file of the training table's format; None in other files."""
        return self.array if self.source_format == array_format(path) else None

    # -- as JSON ------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Everything but the names of the features and their means, in plain JSON types."""
        return {
            "dtype": self.dtype,
            "missing": self.missing,
            "missing_values": list(self.missing_values),
            "levels": {name: list(texts) for name, texts in self.levels.items()},
            "missing_levels": sorted(self.missing_levels),
            # runs: a wide table has many columns and few types
            "types": [[kind, len(list(run))] for kind, run in groupby(self.types)],
            "targets": [
                {"name": t.name, "classes": None if t.classes is None else list(t.classes)}
                for t in self.targets
            ],
            "weight": self.weight,
            "fold": self.fold,
            "offset": self.offset,
            "fold_classes": None if self.fold_classes is None else list(self.fold_classes),
            "dropped": list(self.dropped),
            "source_format": self.source_format,
            "array": self.array,
            "index_base": self.index_base,
            **({"reading": said} if (said := self.reading.to_json()) else {}),
        }

    @classmethod
    def from_json(cls, data: Any, *, feature_names: Sequence[str], means: Any) -> Schema:
        """Read and check what :meth:`to_json` gave.

        Parameters
        ----------
        feature_names : sequence of str
        means : (n_features,) numbers

        Raises
        ------
        ValueError
            An entry is missing or of another type, or does not go with the features. The message
            is a phrase that names the entry.
        """
        read = _Reader(data)
        runs = read.entry("types", list)
        types: list[str] = []
        for run in runs:
            if not (isinstance(run, list) and len(run) == 2 and isinstance(run[0], str)
                    and type(run[1]) is int and run[1] >= 0):  # fmt: skip
                raise ValueError(f"types has the entry {_short(run)}, expected [text, count]")
            types += [run[0]] * min(run[1], len(feature_names) + 1)
        schema = cls(
            feature_names=feature_names,
            levels=read.levels(),
            missing_levels=frozenset(read.texts("missing_levels")),
            means=_as_means(means, len(feature_names)),
            dtype=read.word("dtype", tuple(_DTYPES)),
            missing=read.word("missing", ("error", "mean")),  # type: ignore[arg-type]
            types=tuple(types),
            targets=read.targets(),
            weight=read.optional("weight", str),
            fold=read.optional("fold", str),
            offset=read.optional("offset", str),
            fold_classes=read.optional_texts("fold_classes"),
            missing_values=read.optional_texts("missing_values") or (),
            dropped=read.texts("dropped"),
            source_format=read.optional("source_format", str),
            array=read.optional("array", str),
            index_base=read.optional("index_base", int),
            reading=Reading.from_json(read.optional("reading", dict) or {}),
        )
        schema.check()
        return schema

    def check(self) -> None:
        """Refuse a schema whose levels do not make its features.

        Raises
        ------
        ValueError
        """
        unknown = self.missing_levels - self.levels.keys()
        if unknown:
            raise ValueError(f"missing_levels has {min(unknown)!r}, which has no levels")
        if self.levels:
            made = [
                feature
                for column in self.columns
                for feature in features_of(column, self.levels, self.missing_levels)
            ]
            if made != list(self.feature_names) or not self.levels.keys() <= self.columns.keys():
                raise ValueError("levels do not make the names of the features")
        if self.types and len(self.types) != len(self.columns):
            raise ValueError(f"types are {len(self.types)}, expected {len(self.columns)}")


def features_of(
    column: str, levels: Mapping[str, Sequence[str]], missing_levels: frozenset[str]
) -> list[str]:
    """Names of the features that a column becomes."""
    if column not in levels:
        return [column]
    more = [MISSING_LEVEL] if column in missing_levels else []
    return [f"{column}={level}" for level in (*levels[column], *more)]


def alike(levels: Sequence[str]) -> list[tuple[str, ...]]:
    """Levels that differ only in blanks or case, group by group."""
    keys = [" ".join(level.split()).casefold() for level in levels]
    repeated = {key for key, n in Counter(keys).items() if n > 1}
    groups: dict[str, list[str]] = {}
    for key, level in zip(keys, levels, strict=True):
        if key in repeated:
            groups.setdefault(key, []).append(level)
    return [tuple(group) for group in groups.values()]


_DTYPES = ("float16", "float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32",
           "uint64", "int64", "bool")  # fmt: skip


class _Reader:
    """Entries of a JSON object, each of the type that is expected of it."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"found {_short(data)}, expected an object")
        self._data = data

    def entry(self, name: str, kind: type) -> Any:
        if name not in self._data:
            raise ValueError(f"has no entry {name}")
        value = self._data[name]
        if type(value) is not kind:
            raise ValueError(f"{name} is {_short(value)}, expected {_WORDS[kind]}")
        return value

    def optional(self, name: str, kind: type) -> Any:
        return None if self._data.get(name) is None else self.entry(name, kind)

    def word(self, name: str, words: Sequence[str]) -> str:
        value = self.entry(name, str)
        if value not in words:
            raise ValueError(f"{name} is {value!r}, expected one of {', '.join(words)}")
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        return _texts(name, self.entry(name, list))

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        return None if self._data.get(name) is None else self.texts(name)

    def levels(self) -> dict[str, tuple[str, ...]]:
        found = {name: _texts(f"levels of {name}", texts)
                 for name, texts in self.entry("levels", dict).items()}  # fmt: skip
        empty = next((name for name, texts in found.items() if not texts), None)
        if empty is not None:
            raise ValueError(f"levels of {empty} are none, expected at least one")
        return found

    def targets(self) -> tuple[TargetColumn, ...]:
        found = []
        for target in self.entry("targets", list):
            read = _Reader(target)
            found.append(TargetColumn(read.entry("name", str), read.optional_texts("classes")))
        return tuple(found)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        raise ValueError(f"{name} is {_short(value)}, expected a list of texts")
    return tuple(value)


def _as_means(means: Any, n_features: int) -> np.ndarray:
    try:
        found = np.asarray(means, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("means are not numbers") from None
    if found.shape != (n_features,):
        raise ValueError(f"means have shape {found.shape}, expected ({n_features},)")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


_WORDS = {str: "text", int: "a whole number", list: "a list", dict: "an object"}
