"""Record what fits to a store took, beside it: the next plan of a like fit expects the same.

::

    STORE.stats/
      runs.json    the last 50 runs, the oldest first
"""

from __future__ import annotations

import json
import math
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import DataWarning, StoreError
from dasklasso.files.atomic import written_beside
from dasklasso.files.documents import read_json, read_text, validate
from dasklasso.files.regular import unreadable
from dasklasso.files.seal import check_seal, sealed
from dasklasso.fit.plan import START_SECONDS, Plan
from dasklasso.moments.store import statistics_folder
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.registry import solver_entry
from dasklasso.units import counted

RUNS = "runs.json"
VERSION = 2  # 1 had no seal
MOST_RUNS = 50


@dataclass(frozen=True)
class RunCase:
    """What the scans of a fit depend on.

    Attributes
    ----------
    solver, loss : names
    standardize : bool
    n_folds, n_alphas, n_ratios : of a cross-validation with one l1_ratio or several
    statistics_kept : whether second moments were there before
    tol, eps, l1_ratio, penalty : as asked; eps None where the default holds
    smallest_alpha : of the user's own alphas, None of a grid
    n_rows : int
    workers, device : as asked
    """

    solver: str
    loss: str
    standardize: bool
    n_folds: int
    n_alphas: int
    n_ratios: int
    statistics_kept: bool
    tol: float
    eps: float | None
    l1_ratio: float
    penalty: str
    smallest_alpha: float | None
    n_rows: int
    workers: int | None
    device: str

    def differs_from(self, other: RunCase) -> list[str]:
        """Names of what is not the same."""
        names = (field.name for field in fields(self))
        return [name for name in names if getattr(self, name) != getattr(other, name)]


# what two runs must share for one to say anything about the other
_SHARED = {"solver", "loss", "standardize", "n_folds", "n_alphas", "n_ratios", "statistics_kept"}


@dataclass(frozen=True)
class Run:
    """A fit that converged.

    Attributes
    ----------
    case : RunCase
    scans : int
    seconds : float
    day : "2026-01-31"
    """

    case: RunCase
    scans: float
    seconds: float
    day: str


def case_of_run(
    plan: Plan, options: FitOptions, run: RunOptions, *, statistics_kept: bool, n_ratios: int = 1
) -> RunCase:
    """Gather what the scans of a planned fit depend on."""
    return RunCase(
        solver=plan.solver,
        loss=options.loss,
        standardize=options.standardize,
        n_folds=plan.n_folds,
        n_alphas=plan.n_alphas,
        n_ratios=n_ratios,
        statistics_kept=statistics_kept,
        tol=options.tol,
        eps=options.eps if options.alphas is None else None,
        l1_ratio=options.l1_ratio,
        penalty=options.penalty_type.name,
        smallest_alpha=None if options.alphas is None else min(options.alphas),
        n_rows=plan.n_rows,
        workers=run.workers,
        device=run.device,
    )


def keep_run(data: Dataset, run: RunOptions, case: RunCase, scans: float, seconds: float) -> None:
    """Record what a converged fit took, unless the folder cannot be written."""
    folder = _folder(data, run)
    if folder is None:
        return
    runs = [*_runs(folder), Run(case, scans, seconds, time.strftime("%Y-%m-%d"))]
    with suppress(OSError, StoreError), written_beside(folder / RUNS) as partial:
        document = {"version": VERSION, "runs": [asdict(one) for one in runs[-MOST_RUNS:]]}
        text = json.dumps(sealed(document), indent=1)
        partial.write_text(text + "\n", encoding="utf-8")


def with_history(plan: Plan, data: Dataset, run: RunOptions, case: RunCase) -> Plan:
    """Give a plan the scans of the earlier run that was most like it, if there was any.

    Its seconds are expected too, where a time is planned and the run had the same workers and
    device; else the planned time is scaled.
    """
    folder = _folder(data, run)
    like = [one for one in _runs(folder) if not _SHARED & set(one.case.differs_from(case))]
    if not like:
        return plan
    # of those that are equally alike, the last
    best = min(reversed(like), key=lambda one: len(one.case.differs_from(case)))
    other = best.case.differs_from(case)
    share = best.scans / plan.scans
    seconds = plan.seconds
    if seconds is not None:
        same_machine = not {"workers", "device", "n_rows"} & set(other)
        scaled = START_SECONDS + (seconds - START_SECONDS) * share
        seconds = best.seconds if same_machine else scaled
    note = f"scans as in a run of {best.day}, {counted(best.scans, 'scan')} in {best.seconds:.3g} s"
    note += f" (with other {', '.join(other)})" if other else ""
    guess = solver_entry(plan.solver).note  # about scans that are known now
    rest = plan.note.removeprefix(guess).removeprefix("; ")
    return replace(
        plan,
        note="; ".join(text for text in (note, rest) if text),
        scans=float(best.scans),
        scans_least=min(plan.scans_least, math.floor(best.scans)),
        scans_most=max(plan.scans_most, math.ceil(best.scans)),
        bytes_to_read=round(plan.bytes_to_read * share),
        flops=plan.flops * share,
        seconds=seconds,
    )


def _folder(data: Dataset, run: RunOptions) -> Path | None:
    return statistics_folder(data.location, run.stats) if run.keep_statistics else None


def _runs(folder: Path | None) -> list[Run]:
    """Read the recorded runs: none where the file is missing, damaged or of another version.

    Warns
    -----
    DataWarning
        The file is damaged: the next fit writes it anew.
    """
    if folder is None:
        return []
    path = folder / RUNS
    try:
        return [_run(entry) for entry in _entries(path)]
    except FileNotFoundError:
        return []
    except (OSError, StoreError) as error:
        said = str(error) if isinstance(error, StoreError) else unreadable(error, path)
        warnings.warn(f"the history of fits is not used: {said}", DataWarning, stacklevel=2)
        return []


def _entries(path: Path) -> list[Any]:
    """Return the entries of a file that is as it was written; none of one of another version.

    Raises
    ------
    StoreError, OSError
    """
    from dasklasso.fit.history_document import HistoryDocument

    where = str(path)
    document = read_json(read_text(path, error=StoreError), where=where, error=StoreError)
    if isinstance(document, list):  # the first version had no seal
        return []
    validate(HistoryDocument, document, where=where, error=StoreError)
    check_seal(document, where=where, error=StoreError)
    return document["runs"] if document["version"] == VERSION else []


def _run(entry: dict[str, Any]) -> Run:
    case = {field.name: entry["case"][field.name] for field in fields(RunCase)}
    return Run(RunCase(**case), entry["scans"], entry["seconds"], entry["day"])
