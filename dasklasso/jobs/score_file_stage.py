"""The stage of a job that writes a polygenic score, as PLINK reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasklasso.jobs.base import PlacedStage

if TYPE_CHECKING:
    from dasklasso.model.score_file import ScoreFile


@dataclass(frozen=True, kw_only=True)
class ScoreFileStage(PlacedStage):
    """``dasklasso show --score-file``: variant, effect allele and weight, at one alpha."""

    _reads = ("model",)
    _writes = ("out",)

    model: str
    out: str
    alpha: str | float | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Validate the options before any work."""
        from dasklasso.model.score_file import check_score_file

        self.check_places()
        check_score_file(self.out, overwrite=self.overwrite)

    def run(self) -> ScoreFile:
        """Write the file."""
        from dasklasso.model.asked_alpha import asked_alpha
        from dasklasso.model.path import load_model
        from dasklasso.model.score_file import write_score_file

        path = load_model(self.model)
        alpha = path.resolve_alpha(asked_alpha(path, self.alpha))
        return write_score_file(path, alpha, self.out, model=self.model, overwrite=self.overwrite)
