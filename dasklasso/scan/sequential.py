"""A scan whose bands follow each other: each task takes up what the one before left.

Sums over rows are shared out among threads. What changes with every few rows it meets, as in a
stochastic method, is not: its tasks form one chain, and only one of them runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import Frame, PlacedFrame
from dasklasso.scan.graph import GraphBuilder, Task
from dasklasso.scan.reader import Caching, Reader, Table
from dasklasso.scan.rows import Rows

# ``step(rows of a band, number of the band, state, frame) -> state``; travels to the workers
Step = Callable[[Rows, int, Any, Frame], Any]


@dataclass(frozen=True)
class Link:
    """What one task leaves to the next: the state, and the bytes read so far."""

    state: Any
    bytes_read: int = 0


def scan_chain(
    engine: ScanEngine, label: str, step: Step, state: Any, order: Sequence[int], frame: PlacedFrame
) -> tuple[Any, int]:
    """Read all bands, one after the other, and let each change the state.

    Parameters
    ----------
    engine : ScanEngine
        Of data whose bands hold all columns.
    label : str
        Name of the tasks.
    step : called with all rows of a band at once
    order : all bands
    frame : in one part

    Returns
    -------
    state : after the last band
    bytes_read : int
    """
    assert not engine.is_split
    layout = engine.layout
    owners = engine.workers_of_rows([layout.rows(band).start for band in order])
    budget = engine.runner.cache_bytes(layout.block_bytes())
    row_bytes = layout.n_features * layout.itemsize
    builder = GraphBuilder(frame)
    key = builder.add(f"begin-{label}", (0,), partial(Link, state))
    for place, band in enumerate(order):
        # the same bands are kept decoded as by scans in order: as many as fit
        pin = not engine.table.X.mapped and layout.rows(band).start * row_bytes < budget
        caching, following = Caching(budget, pin=pin), [*order[place + 1 : place + 2]]
        function = partial(_on_band, engine.table, step, band, following, caching)
        key = builder.add(
            f"scan-{label}", (place,), function, key, (frame.name, 0, 0), workers=owners[place]
        )
    engine.turn()
    [last] = engine.runner.compute(Task(builder, key))
    return last.state, last.bytes_read


def _on_band(
    table: Table,
    step: Step,
    band: int,
    following: Sequence[int],
    caching: Caching,
    before: Link,
    frame: Frame,
) -> Link:
    reader = Reader(table, 0, caching)
    pieces = list(reader.rows(band))
    for ahead in following:
        reader.read_ahead(table.layout.bands[ahead][0])
    state = step(Rows.stacked(pieces), band, before.state, frame)
    return Link(state, before.bytes_read + reader.bytes_read)
