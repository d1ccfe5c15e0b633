"""The pass before ingest, over only the columns that need one: levels of text, means to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dasklasso.dataset.checks import MAX_CLASSES
from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.sources.base import Column, Source
from dasklasso.errors import SourceError, ValueFound

MAX_LEVELS = 1000


@dataclass
class _Levels:
    """Texts of a column and how often each occurs."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, texts: Any) -> None:
        import pyarrow.compute as pc

        for entry in pc.value_counts(texts).to_pylist():
            if entry["values"] is not None:
                text = entry["values"]
                self.counts[text] = self.counts.get(text, 0) + entry["counts"]


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
    shares : dict of text column to (n_levels,) float64
        How often each level occurs among the values that are there.
    means : dict of number column to float
        Empty unless missing values are to be filled.
    missing : dict of number column to int
        How many values are missing, for the columns in ``means``.
    """

    levels: dict[str, tuple[str, ...]]
    shares: dict[str, np.ndarray]
    means: dict[str, float]
    missing: dict[str, int]


def survey(source: Source, roles: Roles, *, fill: bool, rows: int) -> Survey:
    """Read what must be known beforehand; no pass at all where nothing must.

    Parameters
    ----------
    fill : bool
        Whether missing values in number columns are to be filled with the mean.
    rows : int
        At most so many rows at a time.

    Raises
    ------
    SourceError
        A text column has more than 1,000 levels, or a target more than 10,000.
    ValueFound
        A column has no value at all.
    """
    texts = [column for column in roles.used if column.kind == "text"]
    numbers = [column.name for column in roles.features if fill and column.kind == "number"]
    levels = {column.name: _Levels() for column in texts}
    zeros = np.zeros(len(numbers))
    means = _Means(zeros.copy(), zeros.astype(np.int64), zeros.astype(np.int64))
    names = [*levels, *numbers]
    if names:
        for batch in source.batches(names, rows):
            for name, found in levels.items():
                found.add(batch.texts(name))
                _refuse_too_many(source, name, found, roles)
            if numbers:
                means.add(batch.numbers(numbers))
        _refuse_empty(source, texts, levels, numbers, means.count)

    ordered = {name: tuple(sorted(found.counts)) for name, found in levels.items()}
    shares = {}
    for name, ranked in ordered.items():
        counts = np.array([levels[name].counts[text] for text in ranked], dtype=np.float64)
        shares[name] = counts / counts.sum()
    return Survey(
        levels=ordered,
        shares=shares,
        means=dict(zip(numbers, means.mean.tolist(), strict=True)),
        missing=dict(zip(numbers, means.missing.tolist(), strict=True)),
    )


def _refuse_too_many(source: Source, name: str, found: _Levels, roles: Roles) -> None:
    most = MAX_CLASSES if any(column.name == name for column in roles.targets) else MAX_LEVELS
    if len(found.counts) > most:
        some = ", ".join(repr(text) for text in sorted(found.counts)[:3])
        is_feature = any(column.name == name for column in roles.features)
        hint = f" Leave it out: --drop {name}." if is_feature else ""
        raise SourceError(
            f"{source.path}: column {name} is text with more than {most:,} different "
            f"values ({some}, ...), expected categories.{hint}"
        )


def _refuse_empty(
    source: Source,
    texts: Sequence[Column],
    levels: dict[str, _Levels],
    numbers: Sequence[str],
    count: np.ndarray,
) -> None:
    empty = [column.name for column in texts if not levels[column.name].counts]
    empty += [name for name, n in zip(numbers, count, strict=True) if n == 0]
    if empty:
        raise ValueFound(
            f"{source.path}: column {empty[0]} has no value in any row. "
            f"Leave it out: --drop {empty[0]}."
        )
