"""Where X has a value that no fit can use, said in the words of whoever has to find it."""

from __future__ import annotations

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import ValueFound
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.base import FirstBadValue


def bad_value(data: Dataset, engine: ScanEngine) -> ValueFound:
    """What to raise when sums over X are not finite: one scan finds the row and the column."""
    [parts], _ = engine.ask([FirstBadValue()])
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
