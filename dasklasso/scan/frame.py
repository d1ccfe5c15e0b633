"""The frame: what turns stored columns into the standardised ones that solvers see."""

from __future__ import annotations

# Columns of a frame: what turns stored columns into the standardised ones that solvers see
SHIFT, CENTRE, INVERSE_SCALE, L1, L2 = range(5)


FRAME_WIDTH = 5
