"""Rows that are scored, sorted by what they score: areas under curves and calibrations."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from dasklasso.errors import MemoryLimitError
from dasklasso.objective.ranks import AreaUnderCurve, groups
from dasklasso.scan.runners import cores_here
from dasklasso.scoring.metrics.base import Outcome, Ranking
from dasklasso.scoring.metrics.calibration import Calibration
from dasklasso.scoring.metrics.external_sort import SortedScores
from dasklasso.units import format_size


class Ranked:
    """Sorts rows for each of some rankings, in bounded memory.

    Parameters
    ----------
    rankings : sequence of Ranking
    n_rows : int
        That will come, at most.
    n_models : int
    weighted : whether rows have weights
    memory : int
        Bytes to keep to.
    pool : ThreadPoolExecutor
        To sort on.

    Raises
    ------
    MemoryLimitError
        Where what is sorted would fit neither the memory nor the disk.
    """

    def __init__(
        self,
        rankings: Sequence[Ranking],
        n_rows: int,
        n_models: int,
        *,
        weighted: bool,
        memory: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.rankings, self.n_models, self.pool = rankings, n_models, pool
        sizes = [8 + np.dtype(one.y_dtype).itemsize + 8 * weighted for one in rankings]
        need = n_rows * n_models * sum(sizes)
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if need > max(memory, free):
            raise MemoryLimitError(
                f"sorting the predictions takes {format_size(need)} of temporary files, and "
                f"{folder} has {format_size(free)}. Set TMPDIR to a larger folder, or score fewer "
                "alphas."
            )
        self._sorters = [
            SortedScores(
                n_rows,
                n_models,
                one.y_dtype,
                weighted=weighted,
                memory=memory // len(rankings),
                threads=cores_here(),
                mapped=pool.map,
            )
            for one in rankings
        ]

    def add(self, outcomes: Sequence[Outcome], weight: np.ndarray | None) -> None:
        """Take in rows: for each ranking their scores and y; weight (n_rows,) or None."""
        for one, (scores, y) in zip(self._sorters, outcomes, strict=True):
            one.add(scores, y, weight)

    def results(
        self, bins: int, total_weight: float
    ) -> tuple[np.ndarray, list[list[dict[str, Any]]]]:
        """Return what the order of all rows tells. No more rows come.

        Parameters
        ----------
        bins : int
            Of a calibration.
        total_weight : float
            Of all rows.

        Returns
        -------
        areas : (n_rankings, n_models), NaN where a ranking has none
        calibrations : of each ranking that asks for it, the table
        """
        calibrations = [
            None if one.probability is None else Calibration(bins, total_weight, one.probability)
            for one in self.rankings
        ]

        def rank(place: tuple[int, int]) -> float:
            ranking, model = place
            curve, calibration = AreaUnderCurve(), calibrations[ranking]
            for found in groups(self._sorters[ranking].chunks(model)):
                curve.add(found)
                if calibration is not None:
                    calibration.add(found)
            return curve.value if self.rankings[ranking].has_area else np.nan

        for one in self._sorters:
            one.close_input()
        shape = len(self.rankings), self.n_models
        areas = np.reshape(list(self.pool.map(rank, np.ndindex(shape))), shape)
        return areas, [one.table() for one in calibrations if one is not None]

    def close(self) -> None:
        """Let go of the temporary files."""
        for one in self._sorters:
            one.close()
