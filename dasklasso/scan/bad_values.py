"""Find the first value of X that no fit can use, and name its row and column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import ValueFound
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.base import Query
from dasklasso.scan.rows import Rows


def bad_value(data: Dataset, engine: ScanEngine) -> ValueFound:
    """What to raise when sums over X are not finite: one scan finds the row and the column."""
    parts, _ = engine.ask(FirstBadValue())
    found = [
        (answer[0], engine.layout.columns(part).start + answer[1], answer[2])
        for part, answer in enumerate(parts)
        if answer is not None
    ]
    if not found:
        return ValueFound(
            f"{data.location}: X has numbers too large for products in its precision; expected "
            "values whose squares are finite. Scale the columns."
        )
    row, column, value = min(found)
    return ValueFound(
        f"{data.location}: X has {value} at row {row:,}, column {data.feature_names[column]!r}; "
        "expected a finite number. Fill it, or ingest with --missing mean."
    )


@dataclass(frozen=True)
class FirstBadValue(Query[tuple[int, int, float] | None]):
    """Where the first NaN or infinity of X is: (row, column within the part, value), or None."""

    name = "find-bad-value"
    reads_targets = False

    def on_rows(self, rows: Rows, prepared: Any) -> tuple[int, int, float] | None:
        offset = 0
        found: list[tuple[int, int, float]] = []
        for block in rows.blocks:
            bad = block.first_bad()
            if bad is not None:
                row, column, value = bad
                found.append((rows.start + row, offset + column, value))
            offset += block.width
        return min(found, default=None)

    def combine(self, a: Any, b: Any) -> Any:
        return min((found for found in (a, b) if found is not None), default=None)
