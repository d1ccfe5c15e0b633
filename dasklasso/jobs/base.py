"""Options that all computing stages of a job share: where and how to compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dasklasso.choices import (
    Device,
    EmptyChunks,
)
from dasklasso.errors import OptionError
from dasklasso.files.places import check_places, input_place, output_place
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.options import RunOptions


Announce = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PlacedStage:
    """A stage that reads and writes places. They have one form from when the stage is made."""

    _reads: ClassVar[tuple[str, ...]] = ()
    _writes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self._reads:
            if getattr(self, name):
                object.__setattr__(self, name, input_place(getattr(self, name), name))
        for name in self._writes:
            if getattr(self, name):
                found = os.fspath(getattr(self, name))
                object.__setattr__(self, name, _as_given(found, output_place(found, name)))

    def inputs(self) -> dict[str, str]:
        """Return what is read, by the option's name."""
        return {name: getattr(self, name) for name in self._reads if getattr(self, name)}

    def _named_as_table(self, inputs: dict[str, str]) -> dict[str, str]:
        """Return inputs with a store that is a table under a name that says so."""
        from dasklasso.dataset.sources import looks_like_table

        return {
            "table of data" if what == "store" and looks_like_table(place) else what: place
            for what, place in inputs.items()
        }

    def outputs(self) -> dict[str, str]:
        """Return what is written, by the option's name."""
        return {name: getattr(self, name) for name in self._writes if getattr(self, name)}

    @contextmanager
    def results_claimed(self) -> Iterator[None]:
        """Have the results' names to oneself, which shows that they can be written there."""
        from dasklasso.files.claims import claimed

        named = (getattr(self, name, None) for name in ("out", "table") if name in self._writes)
        with claimed(Path(place) for place in named if place):
            yield

    def check_places(self) -> None:
        """Refuse outputs that are inputs, or one another.

        Raises
        ------
        OptionError
        """
        check_places(self.outputs(), self.inputs())


def _as_given(text: str, place: Path) -> str:
    """Return a place as the user spelled it, where that is a path already."""
    return text if Path(text) == place else os.fspath(place)


@dataclass(frozen=True, kw_only=True)
class ClusterStage(PlacedStage):
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
