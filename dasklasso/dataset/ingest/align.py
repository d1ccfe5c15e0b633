"""New rows meet a store: its columns found in another table, its categories, its fills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.dataset.ingest.columns import Roles, assign_roles
from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.sources.base import TRUTHS, Batch, Column, Source, suggest
from dasklasso.errors import OptionError, SourceError, ValueFound


@dataclass(frozen=True)
class _Store:
    """What new rows must be like. ``levels``: of text columns that are features, in order."""

    path: str
    manifest: Manifest
    arrays: frozenset[str]

    @property
    def levels(self) -> dict[str, list[str]]:
        levels: dict[str, list[str]] = self.manifest.origin.get("levels", {})
        return levels

    def columns(self) -> dict[str, int]:
        """The columns that the features were made of, and each one's first feature, in order."""
        firsts = {f"{name}={levels[0]}": name for name, levels in self.levels.items() if levels}
        names, found, j = self.manifest.feature_names, dict[str, int](), 0
        while j < len(names):
            column = firsts.get(names[j])
            found[names[j] if column is None else column] = j
            j += 1 if column is None else len(self.levels[column])
        return found


def join(
    source: Source,
    *,
    store: str,
    manifest: Manifest,
    arrays: Iterable[str],
    target: str | Sequence[str] | None,
    weight: str | None,
    fold: str | None,
    drop: Iterable[str],
    offset: str | None = None,
) -> tuple[Roles, Survey]:
    """Which columns of a table are the columns of a store, and what the store knows of them.

    Columns are found by name, in whatever order the table has them. Roles that are not named are
    as when the store was ingested.

    Parameters
    ----------
    store : str
        How messages name the store.
    manifest : Manifest
    arrays : names of the store's arrays

    Raises
    ------
    OptionError
        The target, the weights or the folds cannot be found.
    SourceError
        A feature of the store is missing, a column is not one of its features, or is text where
        the store has numbers (or the other way round).
    """
    known = _Store(store, manifest, frozenset(arrays))
    asked = _targets(source, known, target)
    roles = assign_roles(
        source,
        target=asked,
        weight=_beside(source, known, weight, "weight", "sample_weight"),
        fold=_beside(source, known, fold, "fold", "fold"),
        drop=_dropped(source, known, tuple(drop)),
        offset=_beside(source, known, offset, "offset", "offset"),
    )
    if len(roles.targets) != len(manifest.target_names):
        raise OptionError(
            f"{source.path}: {len(roles.targets)} targets were named, {store} has "
            f"{len(manifest.target_names)} ({', '.join(manifest.target_names[:5])})."
        )
    roles = replace(roles, features=_features(source, known, roles))
    return roles, _survey(source, known, roles)


def refuse_unseen(batch: Batch, roles: Roles, survey: Survey, store: str) -> None:
    """Refuse a text that is not among the store's categories.

    Raises
    ------
    ValueFound
        Naming file, row and column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in roles.used:
        if column.kind != "text":
            continue
        texts = batch.texts(column.name)
        levels = survey.levels[column.name]
        known: Any = pc.is_in(texts, pa.array(levels, type=pa.string()))
        unseen = ~np.asarray(pc.or_(known, pc.is_null(texts)).to_numpy(zero_copy_only=False))
        if unseen.any():
            row = int(unseen.argmax())
            raise ValueFound(
                f"{batch.file}: row {batch.first_row + row}, column {column.name}: found "
                f"{texts[row].as_py()!r}, which is not among the {len(levels)} categories of "
                f"{store}. {suggest(texts[row].as_py(), levels)} A new category needs a new ingest."
            )


def _targets(source: Source, store: _Store, asked: str | Sequence[str] | None) -> Any:
    if asked:
        return asked
    names = store.manifest.target_names
    if any(source.resolve(name) for name in names):
        return names
    if source.default_target:
        return None
    known = [column.name for column in source.columns]
    raise OptionError(
        f"{source.path}: has no column {names[0]!r}, the target of {store.path}. "
        f"Name it: --target. {suggest(names[0], known)}"
    )


def _beside(source: Source, store: _Store, asked: str | None, role: str, array: str) -> str | None:
    """The column of weights or folds: as asked, else as when the store was ingested."""
    if array not in store.arrays:
        if asked is not None:
            raise OptionError(
                f"--{role} {asked}: {store.path} was ingested without --{role}, its rows have none."
            )
        return None
    name = asked or store.manifest.origin.get(role)
    if name is None:
        raise OptionError(f"{store.path} has an array {array}: name the column with --{role}.")
    if not source.resolve(name):
        known = [column.name for column in source.columns]
        raise OptionError(
            f"{source.path}: has no column {name!r} (--{role}), which {store.path} has. "
            f"{suggest(name, known)}"
        )
    return str(name)


def _dropped(source: Source, store: _Store, asked: tuple[str, ...]) -> tuple[str, ...]:
    before = store.manifest.origin.get("dropped", ())
    return (*asked, *(name for name in before if name not in asked and source.resolve(name)))


def _features(source: Source, store: _Store, roles: Roles) -> tuple[Column, ...]:
    given = {column.name: column for column in roles.features}
    expected = store.columns()
    for name in expected:
        if name not in given:
            taken = [c.name for c in source.columns if c.name == name]
            why = "has another role here" if taken else "is not in the table"
            raise SourceError(
                f"{source.path}: column {name!r} is a feature of {store.path} and {why}. "
                f"{suggest(name, [n for n in given if n not in expected] or list(given))}"
            )
    for name in given:
        if name not in expected:
            raise SourceError(
                f"{source.path}: column {name!r} is not a feature of {store.path}. "
                f"Leave it out: --drop {name}"
            )
    for name in expected:
        kind = "text" if name in store.levels else "number"
        _refuse_other_kind(source, store, given[name], kind)
    return tuple(given[name] for name in expected)


def _refuse_other_kind(source: Source, store: _Store, column: Column, kind: str) -> None:
    if column.kind != kind:
        expected = "text (categories)" if kind == "text" else "numbers"
        raise SourceError(
            f"{source.path}: column {column.name} is {column.type_name}, {store.path} has "
            f"{expected} there."
        )


def _survey(source: Source, store: _Store, roles: Roles) -> Survey:
    """The store's categories, and its column means to fill in with."""
    origin, means = store.manifest.origin, store.manifest.statistics.mean
    levels = {name: tuple(texts) for name, texts in store.levels.items()}
    firsts = store.columns()
    for name, column in zip(store.manifest.target_names, roles.targets, strict=True):
        classes = origin.get("target_classes", {}).get(name)
        if not (column.is_boolean and classes == list(TRUTHS)):
            _refuse_other_kind(source, store, column, "number" if classes is None else "text")
        if classes is not None:
            levels[column.name] = tuple(classes)
    if roles.fold is not None:
        classes = origin.get("fold_classes")
        _refuse_other_kind(source, store, roles.fold, "number" if classes is None else "text")
        if classes is not None:
            levels[roles.fold.name] = tuple(classes)
    return Survey(
        levels=levels,
        shares={
            name: means[firsts[name] : firsts[name] + len(texts)]
            for name, texts in store.levels.items()
        },
        means={name: float(means[j]) for name, j in firsts.items() if name not in store.levels},
        missing={},
    )
