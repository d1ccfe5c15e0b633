"""``dasklasso show MODEL --schema``: how the columns of a table become a model's features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.dataset.schema import Schema

MOST_COLUMNS = 50  # printed; --json and --table have all
MOST_LEVELS = 6  # printed of a column


def schema_rows(schema: Schema) -> list[dict[str, Any]]:
    """One row for each feature, in plain types."""
    return [
        {
            "feature": feature,
            "column": column,
            "type": kind,
            "level": level,
            "mean": float(schema.means[j]),
        }
        for column, kind, features in _columns(schema)
        for j, feature, level in features
    ]


def schema_json(schema: Schema) -> dict[str, Any]:
    """The schema in plain JSON types, with its columns one by one."""
    columns = []
    for column, kind, features in _columns(schema):
        known: dict[str, Any] = {"name": column, "type": kind}
        if schema.is_text(column):
            known["levels"] = list(schema.levels[column])
            known["missing_level"] = column in schema.missing_levels
        else:
            known["mean"] = float(schema.means[features[0][0]])
        columns.append(known)
    left_out = ("types", "levels", "missing_levels")
    rest = {key: value for key, value in schema.to_json().items() if key not in left_out}
    return {"columns": columns, **rest}


def print_schema(schema: Schema, top: int | None) -> None:
    """Print what a table needs, column by column."""
    from dasklasso.cli.tables import print_pairs, print_table

    filled = "the mean of the training rows" if schema.missing == "mean" else "refused"
    pairs = [
        ("columns", f"{len(schema.columns):,}, found by name in any order; others are ignored"),
        ("missing", f"numbers: {filled}; text: {_missing_text(schema)}"),
        ("stored as", schema.dtype),
    ]
    if said := _said(schema):
        pairs.append(("texts", _few(said)))
    for target in schema.targets:
        classes = "" if target.classes is None else f": {_few(target.classes)}"
        pairs.append(("target", target.name + classes))
    for role in ("weight", "fold", "offset", "id"):
        if getattr(schema, role) is not None:
            pairs.append((role, getattr(schema, role)))
    if schema.dropped:
        pairs.append(("left out", _few(schema.dropped)))
    print_pairs(pairs)
    most = MOST_COLUMNS if top is None else top
    rows = [
        (
            column,
            kind,
            "" if schema.is_text(column) else f"{schema.means[features[0][0]]:.8g}",
            _few([level for _, _, level in features]) if schema.is_text(column) else "",
        )
        for _, (column, kind, features) in zip(range(most), _columns(schema), strict=False)
    ]
    columns = ("column", "type", "training mean", "levels")
    print_table(None, columns, rows, left=("column", "type", "levels"))
    if len(schema.columns) > most:
        echo(f"{len(schema.columns) - most:,} more columns: --json and --table have all.")


def _columns(schema: Schema) -> Iterator[tuple[str, str, list[tuple[int, str, str]]]]:
    """(column, type, its features: number, name, level) of each column, in order."""
    from dasklasso.dataset.schema import MISSING_LEVEL

    types: Sequence[str] = schema.types or [
        "text" if schema.is_text(column) else "number" for column in schema.columns
    ]
    for (column, first), kind in zip(schema.columns.items(), types, strict=True):
        levels = list(schema.levels.get(column, ("",)))
        levels += [MISSING_LEVEL] if column in schema.missing_levels else []
        yield (
            column,
            kind,
            [(first + k, schema.feature_names[first + k], level) for k, level in enumerate(levels)],
        )


def _said(schema: Schema) -> list[str]:
    """The options by which texts are read."""
    return [
        f"--{option} {text}"
        for option, value in schema.reading.to_json().items()
        for text in ([value] if isinstance(value, str) else value)
    ]


def _missing_text(schema: Schema) -> str:
    return "a level of its own" if schema.missing == "mean" else "refused"


def _few(texts: Sequence[str]) -> str:
    some = ", ".join(texts[:MOST_LEVELS])
    return some + (f", ... ({len(texts):,})" if len(texts) > MOST_LEVELS else "")
