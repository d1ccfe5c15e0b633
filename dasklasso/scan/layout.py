"""Bands and parts: how X is cut for reading. Pure arithmetic on chunk edges.

A *band* is a run of rows, a *part* a run of columns; a band of a part decodes to at most
``band_bytes`` where the chunks allow it. A chunk that must be decoded is never cut; one that is
mapped or in memory may be cut between any two rows. The cut depends on the data and on
``band_bytes`` only, never on workers or memory, for sums are added in its order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BAND_BYTES = 64 << 20
FEWEST_ROWS = 256  # a piece of a chunk has at least so many, or the band is split by columns


@dataclass(frozen=True)
class Layout:
    """How X is cut.

    Attributes
    ----------
    bands : tuple of (first, stop)
        Pieces of each band.
    parts : tuple of (first, stop)
        Column chunks of each part.
    row_bounds : tuple of int
        Edges of the pieces: row chunks of X, or smaller.
    row_chunks : tuple of int
        The row chunk of X that each piece lies in.
    column_bounds : tuple of int
        Edges of X's column chunks.
    itemsize : int
        Bytes of one stored value.
    """

    bands: tuple[tuple[int, int], ...]
    parts: tuple[tuple[int, int], ...]
    row_bounds: tuple[int, ...]
    row_chunks: tuple[int, ...]
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
        """Bytes of the largest piece of one column chunk."""
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
    *,
    divisible: bool = False,
) -> Layout:
    """Cut X into bands and parts.

    Columns are split only where few rows are already wider than ``band_bytes``: a band that holds
    all columns needs no second pass for its gradient.

    Parameters
    ----------
    divisible : bool
        Whether a part of a chunk can be read without the rest.
    """
    tallest = int(np.diff(row_bounds).max())
    fewest = min(tallest, FEWEST_ROWS) if divisible else tallest
    parts = _runs(column_bounds, max(1, band_bytes // (fewest * itemsize)))
    widest = max(column_bounds[stop] - column_bounds[first] for first, stop in parts)
    most = max(fewest, band_bytes // (widest * itemsize))
    edges, chunks = [0], []
    for chunk, (start, stop) in enumerate(pairwise(int(b) for b in row_bounds)):
        pieces = -(-(stop - start) // most) if divisible else 1
        edges += [start + (stop - start) * k // pieces for k in range(1, pieces + 1)]
        chunks += [chunk] * pieces
    return Layout(
        bands=_runs(edges, most),
        parts=parts,
        row_bounds=tuple(edges),
        row_chunks=tuple(chunks),
        column_bounds=tuple(int(b) for b in column_bounds),
        itemsize=itemsize,
    )


def _runs(bounds: Sequence[int], longest: int) -> tuple[tuple[int, int], ...]:
    """Greedy runs of whole pieces, each of at most ``longest`` rows or columns, at least one."""
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
