"""Bands and parts: how X is cut for reading. Pure arithmetic on chunk edges.

A *band* is a run of whole row chunks, a *part* a run of whole column chunks; a band of a part
decodes to at most ``band_bytes`` where the chunks allow it. The cut depends on the data and on
``band_bytes`` only, never on workers or memory, for sums are added in its order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BAND_BYTES = 128 << 20


@dataclass(frozen=True)
class Layout:
    """How X is cut.

    Attributes
    ----------
    bands : tuple of (first, stop)
        Row chunks of each band.
    parts : tuple of (first, stop)
        Column chunks of each part.
    row_bounds, column_bounds : tuple of int
        Chunk edges of X.
    itemsize : int
        Bytes of one stored value.
    """

    bands: tuple[tuple[int, int], ...]
    parts: tuple[tuple[int, int], ...]
    row_bounds: tuple[int, ...]
    column_bounds: tuple[int, ...]
    itemsize: int

    @property
    def n_rows(self) -> int:
        return self.row_bounds[-1]

    @property
    def n_features(self) -> int:
        return self.column_bounds[-1]

    def rows(self, band: int) -> slice:
        """Rows of X that a band covers."""
        first, stop = self.bands[band]
        return slice(self.row_bounds[first], self.row_bounds[stop])

    def columns(self, part: int) -> slice:
        """Columns of X that a part covers."""
        first, stop = self.parts[part]
        return slice(self.column_bounds[first], self.column_bounds[stop])

    @property
    def part_widths(self) -> tuple[int, ...]:
        """Number of columns of each part: the chunks of every array of coefficients."""
        return tuple(
            self.columns(part).stop - self.columns(part).start for part in range(len(self.parts))
        )

    def block_bytes(self) -> int:
        """Decoded bytes of the largest block."""
        return int(
            np.diff(self.row_bounds).max() * np.diff(self.column_bounds).max() * self.itemsize
        )

    @property
    def nbytes(self) -> int:
        """Decoded bytes of all of X."""
        return self.n_rows * self.n_features * self.itemsize


def layout_of(
    row_bounds: Sequence[int],
    column_bounds: Sequence[int],
    itemsize: int,
    band_bytes: int = BAND_BYTES,
) -> Layout:
    """Cut X into bands and parts.

    Columns are split only where one row of chunks is wider than ``band_bytes``: a band that holds
    all columns needs no second pass for its gradient.
    """
    rows = np.asarray(row_bounds)
    tallest = int(np.diff(rows).max())
    parts = _runs(column_bounds, max(1, band_bytes // max(1, tallest * itemsize)))
    widest = max(column_bounds[stop] - column_bounds[first] for first, stop in parts)
    bands = _runs(row_bounds, max(1, band_bytes // max(1, widest * itemsize)))
    return Layout(
        bands=bands,
        parts=parts,
        row_bounds=tuple(int(b) for b in row_bounds),
        column_bounds=tuple(int(b) for b in column_bounds),
        itemsize=itemsize,
    )


def _runs(bounds: Sequence[int], longest: int) -> tuple[tuple[int, int], ...]:
    """Greedy runs of whole chunks, each of at most ``longest`` rows, at least one chunk."""
    runs: list[tuple[int, int]] = []
    first = 0
    for chunk in range(1, len(bounds)):
        if chunk - first > 1 and bounds[chunk] - bounds[first] > longest:
            runs.append((first, chunk - 1))
            first = chunk - 1
    runs.append((first, len(bounds) - 1))
    return tuple(runs)


def split_evenly(weights: Sequence[int], pieces: int) -> list[tuple[int, int]]:
    """Cut ``range(len(weights))`` into consecutive runs of nearly equal total weight."""
    pieces = max(1, min(pieces, len(weights)))
    edges = np.concatenate([[0], np.cumsum(weights)]).astype(float)
    cuts = np.searchsorted(edges, edges[-1] * np.arange(1, pieces) / pieces, side="left")
    cuts = np.unique(np.concatenate([[0], cuts, [len(weights)]]))
    return [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]
