"""Options that all computing stages of a job share: where and how to compute."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasklasso.choices import (
    Device,
    EmptyChunks,
)
from dasklasso.errors import OptionError
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.options import RunOptions


Announce = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ClusterStage:
    """Options of every stage that computes with Dask."""

    store: str
    out: str
    memory: str | None = None
    workers: int | None = None
    scheduler: str | None = None
    device: Device = "cpu"
    dashboard: bool = False
    no_dashboard: bool = False
    empty_chunks: EmptyChunks = "error"
    overwrite: bool = False

    def _run_options(self, **more: Any) -> RunOptions:
        from dasklasso.options import RunOptions

        return RunOptions(
            memory=None if self.memory is None else parse_size(self.memory),
            workers=self.workers,
            scheduler=self.scheduler,
            device=self.device,
            dashboard=self._dashboard(),
            **more,
        )

    def _dashboard(self) -> bool | None:
        """Tell whether one is asked for; None where it is not said."""
        if self.dashboard and self.no_dashboard:
            raise OptionError("dashboard: cannot be together with no_dashboard")
        if self.dashboard:
            return True
        return False if self.no_dashboard else None


def refuse_output_over_input(out: str, *inputs: str) -> None:
    """Refuse a file to write that would replace what is read: a table, its files, a store, a model.

    Parameters
    ----------
    out : path
    *inputs : paths, or globs of them

    Raises
    ------
    OptionError
    """
    if not os.path.lexists(out):
        return
    written = Path(os.path.realpath(out))
    for name in inputs:
        for path in (name, *glob.glob(name, recursive=True)):
            read = Path(os.path.realpath(path))
            if written == read or read in written.parents:
                raise OptionError(
                    f"{out}: is part of {name}, which is read, so it is not overwritten. "
                    "Give another name."
                )
