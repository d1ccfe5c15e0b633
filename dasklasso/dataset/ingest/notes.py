"""What in a table deserves a look, said once it is a store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.schema import MISSING_LEVEL, alike
from dasklasso.dataset.sources import Source
from dasklasso.dataset.sources.looks import null_option

_LEAST_OF_A_SCALE = 5  # column names that are numbers, such as wavelengths


def table_warnings(
    manifest: Manifest, source: Source, known: Survey, is_constant: np.ndarray
) -> list[str]:
    """Return what of the columns deserves a look.

    Parameters
    ----------
    is_constant : (n_features,) bool
    """
    found: list[str] = []
    constant = [manifest.feature_names[j] for j in np.flatnonzero(is_constant).tolist()]
    if len(constant):
        some = ", ".join(constant[:5]) + (", ..." if len(constant) > 5 else "")
        has, theirs = "columns have", "their coefficients"
        if len(constant) == 1:
            has, theirs = "columns has", "its coefficient"
        found.append(
            f"{len(constant)} of {manifest.n_features} {has} the same value in every row ({some}): "
            f"kept, {theirs} will be 0."
        )
    for name, texts in known.levels.items():
        if groups := alike(texts):
            named = [", ".join(repr(text) for text in group) for group in groups]
            found.append(
                f"column {name}: levels that differ only in blanks or case are levels of their "
                f"own: {_few(named, '; ')}."
            )
    if known.null_marks:
        named = [f"{name} has {', '.join(map(repr, m))}" for name, m in known.null_marks.items()]
        mark = next(iter(known.null_marks.values()))[0]
        found.append(
            f"levels that look like missing values ({_few(named, '; ')}) are levels of their own: "
            f"{null_option(mark)} takes them for missing values."
        )
    if known.bins:
        named = [f"{name} ({text!r})" for name, text in known.bins.items()]
        found.append(
            f"ranges and bounds of numbers are categories, in no order: {_few(named)}. --category "
            "says that they are meant so."
        )
    if source.format == "csv" and all(_is_number(column.name) for column in source.columns):
        found.append("all the column names are numbers: is the first line a header?")
    elif source.format == "csv" and (named := _numbers_among([c.name for c in source.columns])):
        found.append(
            f"most column names are numbers ({_few(named)}): is the first line a header, or data?"
        )
    return found


def table_notes(manifest: Manifest, known: Survey) -> list[str]:
    """Return what was done with missing values, as it was asked for."""
    found: list[str] = []
    filled = int(manifest.statistics.missing.sum())
    if filled:
        columns = int((manifest.statistics.missing > 0).sum())
        found.append(
            f"{filled} missing values in {columns} of {manifest.n_features} columns were filled "
            "with the column's mean."
        )
    if known.missing_texts:
        named = [f"{name}={MISSING_LEVEL} ({n:,})" for name, n in known.missing_texts.items()]
        found.append(f"missing values of text are a level of their own: {_few(named)}.")
    return found


def code_warnings(names: Sequence[str], found: dict[int, list[int]]) -> list[str]:
    """Note that a code stands for missing values, as it seems; ``found`` are columns by code."""
    return [
        f"{len(columns)} of {len(names)} columns have 0, 1, 2 and {code} only "
        f"({_few([names[j] for j in columns])}): if {code} stands for a missing value, "
        f"--missing-value {code}."
        for code, columns in found.items()
    ]


def _numbers_among(names: Sequence[str]) -> list[str]:
    """Return the names that are numbers where most are; none where they rise or fall as a scale."""
    numbers = [name for name in names if _is_number(name)]
    steps = np.diff([float(name) for name in numbers])
    is_scale = len(numbers) >= _LEAST_OF_A_SCALE and (np.all(steps > 0) or np.all(steps < 0))
    return numbers if 2 * len(numbers) > len(names) and not is_scale else []


def _few(texts: Sequence[str], between: str = ", ") -> str:
    return between.join(texts[:5]) + (f"{between}..." if len(texts) > 5 else "")


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
