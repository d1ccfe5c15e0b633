"""The frame: what turns stored columns into the standardised ones that solvers see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend
from dasklasso.scan.graph import BlockArray


@dataclass(frozen=True, eq=False)
class Frame:
    """How stored columns become standardised ones, and what these cost.

    A standardised column is ``(x − centre) · inverse_scale``.

    Attributes
    ----------
    shift : (n_columns,) float64
        What is taken off stored values before they are multiplied, exact in float32.
    centre : (n_columns,) float64
    inverse_scale : (n_columns,) float64
        Zero for columns that cannot matter.
    l1_factor, l2_factor : (n_columns,) float64
        What multiplies ``α ρ |u|`` and ``α (1 − ρ) / 2 u²`` of the standardised coefficient u.
    fill : (n_columns,) float64, or None
        What stands in the place of missing values, of columns that are held with a code for them;
        None where that is what storage fills in.
    """

    shift: Array
    centre: Array
    inverse_scale: Array
    l1_factor: Array
    l2_factor: Array
    fill: Array | None = None

    @classmethod
    def unscaled(cls, n_columns: int) -> Frame:
        """Columns as they are stored, each of penalty factor 1."""
        zeros, ones = np.zeros(n_columns), np.ones(n_columns)
        return cls(zeros, zeros, ones, ones, ones)

    def __len__(self) -> int:
        return int(self.shift.shape[0])

    def __getitem__(self, columns: slice | np.ndarray) -> Frame:
        """Return the frame of some of the columns: views for a slice, copies for an index."""
        return self.map(lambda column: column[columns])

    def map(self, function: Callable[[Array], Array]) -> Frame:
        """Return the frame with ``function`` applied to each of its arrays."""
        arrays = (getattr(self, name) for name in ARRAYS)
        return Frame(*(None if one is None else function(one) for one in arrays))

    def on(self, backend: Backend) -> Frame:
        """Return the frame as arrays of a backend."""
        is_there = backend.on_host and isinstance(self.shift, np.ndarray)
        return self if is_there else self.map(backend.asarray)

    @property
    def matters(self) -> Array:
        """(n_columns,) bool: columns that have spread, so that a coefficient can matter."""
        return self.inverse_scale > 0

    @property
    def unpenalised(self) -> Any:
        """(n_columns,) bool: columns that can matter and cost nothing."""
        return (self.l1_factor == 0) & self.matters


ARRAYS = tuple(field.name for field in fields(Frame))
PlacedFrame = BlockArray  # its blocks, one a part, are the Frames of the parts' columns
