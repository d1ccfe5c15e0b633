"""A batch job from a TOML file: stages with the command line's options, run one after another.

::

    [ingest]
    source = "../data/diabetes.csv"
    store = "out/diabetes.zarr"
    target = "target"

    [path]
    n_alphas = 20
    out = "out/model"

    [predict]
    alpha = 0.1
    out = "out/predictions.csv"

What a stage writes (``store`` of ingest, ``out``, ``checkpoint``) is relative to the current
folder. What it reads is relative to the TOML file's folder, unless an earlier stage of the job
writes it. ``store``, ``model`` and ``scores`` need not be said where an earlier stage makes them.

A stage that fits nothing may come several times, as ``[[ingest]]``: what the first one makes is
what later stages take, unless they say another.
"""

from __future__ import annotations

import os
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from dasklasso.choices import SOLVERS
from dasklasso.errors import DasklassoError, OptionError
from dasklasso.files.documents import read_text, shown
from dasklasso.files.places import check_places, input_place, is_url
from dasklasso.files.regular import why
from dasklasso.jobs.fit_stage import CvStage, FitStage, PathStage
from dasklasso.jobs.ingest_stage import IngestStage
from dasklasso.jobs.picture_stage import PictureStage
from dasklasso.jobs.predict_stage import PredictStage
from dasklasso.jobs.score_file_stage import ScoreFileStage
from dasklasso.jobs.score_stage import ScoreStage
from dasklasso.jobs.select_stage import SelectStage

Stage = (
    IngestStage
    | FitStage
    | PathStage
    | CvStage
    | SelectStage
    | PredictStage
    | ScoreStage
    | ScoreFileStage
    | PictureStage
)
STAGES: dict[str, type[Stage]] = {
    "ingest": IngestStage,
    "fit": FitStage,
    "path": PathStage,
    "cv": CvStage,
    "select": SelectStage,
    "predict": PredictStage,
    "score": ScoreStage,
    "score_file": ScoreFileStage,
    "picture": PictureStage,
}
_FITS = ("fit", "path", "cv", "select")
_SHARED = ("stats", "checkpoint")  # folders that several stages may keep things in
MOST_BITS = 63  # of a whole number: TOML has no larger ones
_READ = ("source", "store", "model", "penalty_factor", "scores", "schema", "targets",
         "covariates")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """Stages in the order they run in.

    That is ingest; fit, path, cv or select; predict; score; score_file; picture. Those
    that come several times are numbered: ``ingest 1``, ``ingest 2``.
    """

    stages: dict[str, Stage]
    file: str = "the job"

    def check(self) -> None:
        """Refuse, before the first stage runs, what a later one would refuse.

        Raises
        ------
        DasklassoError
            Names the job and the stage.
        """
        for title, stage in self.stages.items():
            with _named(f"{self.file}, [{title}]"):
                stage.check()
        outputs = {
            f"[{title}] {name}": place
            for title, stage in self.stages.items()
            for name, place in stage.outputs().items()
            if not name.startswith(_SHARED)
        }
        inputs, made = dict[str, str](), set[str]()
        for title, stage in self.stages.items():
            for name, place in stage.inputs().items():
                if os.path.realpath(place) not in made:  # what an earlier stage makes it may read
                    inputs[f"[{title}] {name}"] = place
            made |= {os.path.realpath(place) for place in stage.outputs().values()}
        with _named(self.file):
            check_places(outputs, inputs)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Have errors name where in a job they come from."""
    try:
        yield
    except DasklassoError as error:
        raise type(error)(f"{where}: {error}") from error


def load_job(file: str | Path, overrides: Iterable[str] = ()) -> Job:
    """Read a job.

    Parameters
    ----------
    file : path of a TOML file
    overrides : iterable of ``"stage.key=value"``
        Replace or add entries; the value is TOML, or text where it is not. Of stages that come
        several times, ``"stage.2.key=value"`` is that of the second.

    Raises
    ------
    OptionError
        Names the file and key that cannot be used, and lists the known ones.
    """
    file = Path(file)
    tables = _read(file)
    for override in overrides:
        _override(tables, override)
    unknown = [name for name in tables if name not in STAGES]
    if unknown:
        raise OptionError(
            f"{file}: there is no stage [{unknown[0]:.40}]. The stages are {', '.join(STAGES)}."
        )
    if not tables:
        raise OptionError(f"{file} has no stage. The stages are {', '.join(STAGES)}.")
    fits = [name for name in _FITS if name in tables]
    if len(fits) > 1:
        raise OptionError(f"{file} has both [{fits[0]}] and [{fits[1]}]: a job fits one model.")
    written: dict[str, list[str]] = {}  # what earlier stages write, by the key that reads it
    stages: dict[str, Stage] = {}
    for title, name, table in _in_order(tables, file):
        kind, where = STAGES[name], f"{file}, [{title}]"
        options = _located(_typed(table, kind, where), name, written, file.parent)
        missing = [f.name for f in fields(kind) if f.default is MISSING and f.name not in options]
        if missing:
            raise OptionError(f"{where}: the key {missing[0]!r} is needed.")
        with _named(where):
            stages[title] = kind(**options)
        made = {"store": "store"} if name == "ingest" else {}
        made |= {"model": "out"} if name in _FITS else {}
        made |= {"scores": "table"} if name == "score" and options.get("all_alphas") else {}
        for reads, key in made.items():
            if options.get(key):
                written.setdefault(reads, []).append(options[key])
    return Job(stages, os.fspath(file))


def _in_order(
    tables: Mapping[str, Any], file: Path
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(title, name, table) of each stage, in the order they run in."""
    for name in STAGES:
        if name not in tables:
            continue
        found = tables[name]
        several = isinstance(found, list) and len(found) > 0 and name not in _FITS
        if not all(isinstance(table, dict) for table in (found if several else [found])):
            raise OptionError(f"{file}: {name!r} must be a table, [{name}], not a value.")
        if several:
            for k, table in enumerate(found, start=1):
                yield f"{name} {k}", name, table
        else:
            yield name, name, found


def _read(file: Path) -> dict[str, Any]:
    try:
        text = read_text(file, error=OptionError)
    except OSError as error:
        raise OptionError(f"{file}: the job cannot be read: {why(error)}.") from error
    try:
        return tomllib.loads(text)
    except ValueError as error:  # of TOML itself, or a number with thousands of digits
        raise OptionError(f"{file} is not TOML: {error}.") from error
    except RecursionError:
        raise OptionError(f"{file} is not TOML that can be read: nested too deeply.") from None


def _override(tables: dict[str, Any], text: str) -> None:
    place, equals, value = text.partition("=")
    stage, dot, key = place.strip().partition(".")
    if not (equals and dot and key):
        raise OptionError(f"{text!r} does not set anything: expected stage.key=value.")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        parsed = value.strip()
    table = tables.setdefault(stage, {})
    if isinstance(table, list):
        number, _, key = key.partition(".")
        if not (number.isdecimal() and 1 <= int(number) <= len(table) and key):
            raise OptionError(
                f"{text!r} sets nothing: expected {stage}.1.key=value to {stage}.{len(table)}."
            )
        table = table[int(number) - 1]
    if isinstance(table, dict):
        table[key] = parsed


def _typed(table: Mapping[str, Any], kind: type[Stage], where: str) -> dict[str, Any]:
    """Return the table's values in the stage's types."""
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    options = {}
    for key, value in table.items():
        if key not in known:
            raise OptionError(
                f"{where}: there is no key {shown(key)}. The keys are {', '.join(sorted(known))}."
            )
        options[key] = _convert(value, hints[key], f"{where}: {key}")
        names = _registered_names(key)
        if names and options[key] not in names:
            raise OptionError(
                f"{where}: {key} is {shown(value)}, expected one of {', '.join(names)}."
            )
    return options


def _registered_names(key: str) -> tuple[str, ...]:
    """Return the names that a key may be where a registry has them; () for other keys."""
    if key == "solver":
        return ("auto", *SOLVERS)
    if key == "loss":
        from dasklasso.objective.losses.registry import LOSSES

        return tuple(LOSSES)
    if key == "penalty":
        from dasklasso.objective.penalties.registry import PENALTIES

        return tuple(PENALTIES)
    return ()


def _convert(value: Any, hint: Any, where: str) -> Any:
    # X | None: TOML has no null, so the value is an X
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # of Literals the latter
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is tuple:
        entry = typing.get_args(hint)[0]
        values = value if isinstance(value, list) else [value]
        return tuple(_convert(each, entry, where) for each in values)
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise OptionError(f"{where} is {shown(value)}, expected one of {', '.join(choices)}.")
        return value
    if type(value) is int and value.bit_length() > MOST_BITS:
        raise OptionError(f"{where} is {shown(value)}, expected a number of at most 63 bits.")
    if hint is float and type(value) is int:
        return float(value)
    if where.endswith(": memory") and type(value) is int:
        return str(value)  # bytes
    if where.endswith((": missing_value", ": null")) and type(value) in (int, float):
        return str(value)
    if where.endswith((": alpha", ": huber_delta")) and hint is str and type(value) in (int, float):
        return str(value)  # alphas of saved models know "min" and "1se", delta knows "auto"
    if type(value) is not hint:
        raise OptionError(f"{where} is {shown(value)}, expected {_WORDS[hint]}.")
    return value


_WORDS = {str: "text", float: "a number", int: "a whole number", bool: "true or false"}


def _located(
    options: dict[str, Any], stage: str, written: Mapping[str, Sequence[str]], folder: Path
) -> dict[str, Any]:
    """Options with what is read found beside the TOML file, or where an earlier stage writes it."""
    located = dict(options)
    for key in _READ:
        if (stage, key) == ("ingest", "store"):
            continue  # written, not read
        if key in options:
            made_before = options[key] in written.get(key, ())
            located[key] = options[key] if made_before else _beside(folder, options[key])
        elif key in written and any(f.name == key for f in fields(STAGES[stage])):
            located[key] = written[key][0]
    return located


def _beside(folder: Path, name: str) -> str:
    name = input_place(name, "path")
    return name if is_url(name) else str(folder / name)
