"""The ingest step of a job: a table becomes a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dasklasso.choices import (
    Codec,
    Dtype,
    Missing,
)
from dasklasso.errors import OptionError
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.dataset.ingest.ingest import IngestReport


IngestProgress = Callable[[int, "int | None"], None]


@dataclass(frozen=True, kw_only=True)
class IngestStage:
    """``dasklasso ingest``: a table becomes a store."""

    source: str
    store: str
    target: tuple[str, ...] = ()
    weight: str | None = None
    fold: str | None = None
    offset: str | None = None
    drop: tuple[str, ...] = ()
    dtype: Dtype = "float32"
    memory: str = "1GiB"
    missing: Missing = "error"
    dataset: str | None = None
    codec: Codec = "auto"
    overwrite: bool = False

    def check(self) -> None:
        """Refuse, before any work, what would be refused after it."""
        parse_size(self.memory)
        if Path(self.store).exists() and not self.overwrite:
            raise OptionError(
                f"{self.store} exists already. Give another name, or overwrite it knowingly."
            )

    def run(self, *, progress: IngestProgress | None = None) -> IngestReport:
        from dasklasso.dataset.ingest.ingest import ingest

        return ingest(
            self.source,
            self.store,
            target=self.target or None,
            weight=self.weight,
            fold=self.fold,
            offset=self.offset,
            drop=self.drop,
            dtype=self.dtype,
            memory=parse_size(self.memory),
            missing=self.missing,
            dataset_path=self.dataset,
            overwrite=self.overwrite,
            codec=self.codec,
            progress=progress,
        )
