"""What a running solver tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScanEvent:
    """The state of a fit after a scan. Figures are cumulative.

    Attributes
    ----------
    scan : number of scans so far
    n_done, n_alphas : problems certified, and in all (one for each alpha and target)
    worst_gap : largest relative dual gap among the problems now in flight
    n_nonzero : nonzero coefficients of the last problem in flight
    bytes_read : bytes of X read so far
    seconds : since the fit began
    """

    scan: int
    n_done: int
    n_alphas: int
    worst_gap: float
    n_nonzero: int
    bytes_read: int
    seconds: float
