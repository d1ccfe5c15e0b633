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
from dasklasso.dataset.sources.base import TRUTHS
from dasklasso.dataset.sources.invisible import is_invisible
from dasklasso.dataset.sources.missing_values import MissingValues
from dasklasso.dataset.sources.reading import Reading
from dasklasso.dataset.sources.variants import Variants
from dasklasso.files.documents import parse

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
    variants : Variants or None
        Of genotypes: position and alleles of each feature.
    missing_code : int or None
        What stands for a missing number in X of the store: a byte, not the mean in its place.
    id : str or None
        Column of the ids of rows.
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
    variants: Variants | None = None
    missing_code: int | None = None
    id: str | None = None

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
        truths = {target.name for target in self.targets if target.classes == TRUTHS}
        classed = {target.name for target in self.targets if target.classes is not None}
        if self.fold is not None and self.fold_classes is not None:
            classed.add(self.fold)
        return Expected(
            texts=frozenset(self.levels) | classed,
            numbers=self.columns.keys() - self.levels.keys(),
            truths=frozenset(truths),
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
            **({} if self.variants is None else {"variants": self.variants.to_json()}),
            **({} if self.missing_code is None else {"missing_code": self.missing_code}),
            **({} if self.id is None else {"id": self.id}),
        }

    def to_document(self) -> dict[str, Any]:
        """Everything, the names of the features and their means too, in plain JSON types."""
        names = {"feature_names": list(self.feature_names), "means": self.means.tolist()}
        return self.to_json() | names

    @classmethod
    def from_document(cls, data: Any) -> Schema:
        """Read and check what :meth:`to_document` gave.

        Raises
        ------
        ValueError
            As :meth:`from_json`.
        """
        if not isinstance(data, dict) or not isinstance(names := data.get("feature_names"), list):
            raise ValueError("feature_names are not there")
        return cls.from_json(data, feature_names=tuple(map(str, names)), means=data.get("means"))

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
        from dasklasso.dataset.schema_document import SchemaDocument

        said = parse(SchemaDocument, data)
        types: list[str] = []
        for kind, count in said.types:
            # more types than there can be columns are as wrong as a few more, and take no memory
            types += [kind] * min(count, len(feature_names) + 1 - len(types))
        schema = cls(
            feature_names=feature_names,
            levels={name: tuple(texts) for name, texts in said.levels.items()},
            missing_levels=frozenset(said.missing_levels),
            means=_as_means(means, len(feature_names)),
            dtype=said.dtype,
            missing=said.missing,
            types=tuple(types),
            targets=tuple(
                TargetColumn(target.name, _optional(target.classes)) for target in said.targets
            ),
            weight=said.weight,
            fold=said.fold,
            offset=said.offset,
            fold_classes=_optional(said.fold_classes),
            missing_values=tuple(said.missing_values or ()),
            dropped=tuple(said.dropped),
            source_format=said.source_format,
            array=said.array,
            index_base=said.index_base,
            reading=Reading.from_json(said.reading or {}),
            variants=None if said.variants is None else said.variants.variants(),
            missing_code=said.missing_code,
            id=said.id,
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
        if self.variants is not None and len(self.variants) != len(self.feature_names):
            n = len(self.feature_names)
            raise ValueError(f"variants are {len(self.variants)}, expected {n}")
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
    """Levels that differ only in blanks, what cannot be seen or case, group by group."""
    keys = [" ".join("".join(map(_seen, level)).split()).casefold() for level in levels]
    repeated = {key for key, n in Counter(keys).items() if n > 1}
    groups: dict[str, list[str]] = {}
    for key, level in zip(keys, levels, strict=True):
        if key in repeated:
            groups.setdefault(key, []).append(level)
    return [tuple(group) for group in groups.values()]


def _seen(character: str) -> str:
    if character.isspace():  # also those of other widths
        return " "
    return "" if is_invisible(character) else character


def _optional(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)


def _as_means(means: Any, n_features: int) -> np.ndarray:
    try:
        found = np.asarray(means, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("means are not numbers") from None
    if found.shape != (n_features,):
        raise ValueError(f"means have shape {found.shape}, expected ({n_features},)")
    return found
