"""Memory that was freed: threads share it, and it goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

M_ARENA_MAX, MOST_ARENAS = -8, 2  # of mallopt; each arena keeps memory that was freed


def share_free_memory() -> None:
    """Let threads that begin from now on share what the C library keeps of memory, if it can.

    By itself it keeps for each thread what that has freed: for a dozen, as much as is in use.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # of the GNU C library only
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, MOST_ARENAS)


def return_free_memory() -> None:
    """Return to the system what the C library keeps of memory that was freed, if it can."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # of the GNU C library only
            ctypes.CDLL(None).malloc_trim(0)
