"""Which column of an input table is what: feature, target, weight, fold, or left out."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dasklasso.dataset.ingest.text_looks import how_numbers_are_read
from dasklasso.dataset.sources.base import MOST_NAMED, Column, Source, all_named, suggest
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import OptionError, SourceError

_WILD = "*?["
_MOST_REASONS = 5  # columns whose reason is said in a message; the others are named


@dataclass(frozen=True)
class Roles:
    """Columns by role; the features are in the table's order.

    ``dropped`` are the names of the columns that were left out, patterns resolved; ``id`` is the
    name of the column of ids.
    """

    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    weight: Column | None
    fold: Column | None
    offset: Column | None = None
    dropped: tuple[str, ...] = ()
    id: str | None = None

    @property
    def used(self) -> tuple[Column, ...]:
        """All columns that are read."""
        others = (column for column in (self.weight, self.fold, self.offset) if column is not None)
        return (*self.features, *self.targets, *others)


def assign_roles(
    source: Source,
    *,
    target: str | Sequence[str] | None,
    weight: str | None,
    fold: str | None,
    drop: Iterable[str],
    offset: str | None = None,
    is_complete: bool = True,
    needs_target: bool = True,
) -> Roles:
    """Look up the columns that were named; the rest are features, of whatever type.

    Parameters
    ----------
    drop : iterable of str
        Names, or patterns (``bureau_*``) of columns that have no other role.
    is_complete : bool
        Whether there must be a target and a feature, of types that can be used.
    needs_target : bool
        Whether a complete table must have a target.

    Raises
    ------
    OptionError
        A name is unknown or used twice, a pattern matches nothing, no target was named, or no
        feature is left.
    SourceError
        The type of a column that is no feature cannot be used in its role.
    """
    asked = (target,) if isinstance(target, str) else tuple(target or ())
    targets = resolve_names(source, asked, "target") or source.default_target
    if not targets and is_complete and needs_target:
        known = [column.name for column in source.columns]
        raise OptionError(
            f"{source.path}: no target was named (--target). There are: {_few(known)}. "
            "Rows to predict for need none: --schema MODEL."
        )
    weights = resolve_names(source, (weight,) if weight else (), "weight")
    folds = resolve_names(source, (fold,) if fold else (), "fold")
    offsets = resolve_names(source, (offset,) if offset else (), "offset")
    others = {*targets, *weights, *folds, *offsets}
    dropped = resolve_dropped(source, drop, others)
    for option, names in (("weight", weights), ("fold", folds), ("offset", offsets)):
        if len(names) > 1:
            raise OptionError(f"--{option}: has {len(names)} columns, expected one.")

    taken: dict[str, str] = {}
    for option, names in (
        ("target", targets), ("weight", weights), ("fold", folds), ("offset", offsets),
        ("drop", dropped),
    ):  # fmt: skip
        for name in names:
            if name in taken and (taken[name] != "drop" or option != "drop"):
                raise OptionError(
                    f"{source.path}: column {name} was named by --{taken[name]} and --{option}, "
                    "expected once."
                )
            taken[name] = option

    by_name = {column.name: column for column in source.columns}
    aside = {*taken, *source.beside}
    roles = Roles(
        features=tuple(column for column in source.columns if column.name not in aside),
        targets=tuple(by_name[name] for name in targets),
        weight=by_name[weights[0]] if weights else None,
        fold=by_name[folds[0]] if folds else None,
        offset=by_name[offsets[0]] if offsets else None,
        dropped=tuple(dict.fromkeys(dropped)),
    )
    if not is_complete:
        return roles
    if not roles.features:
        raise OptionError(f"{source.path}: no column is left as a feature, expected at least one.")
    check_others(source, roles)
    return roles


def resolve_dropped(
    source: Source, asked: Iterable[str], others: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the columns that ``--drop`` leaves out.

    Parameters
    ----------
    asked : iterable of str
        Names, and patterns as a shell has them.
    others : collection of str
        Columns with another role, which no pattern takes.

    Raises
    ------
    OptionError
        A name is unknown, or a pattern matches no column.
    """
    found: list[str] = []
    plain = {column.name for column in source.columns}
    for name in asked:
        if name in plain:
            found.append(name)
            continue
        if not any(mark in name for mark in _WILD) or source.resolve(name):
            found += resolve_names(source, (name,), "drop")
            continue
        known = [column.name for column in source.columns]
        matches = [n for n in known if fnmatchcase(n, name)]
        if not matches:
            likely = name.translate(dict.fromkeys(map(ord, "*?[]")))
            raise OptionError(
                f"{source.path}: no column matches {name!r} (--drop). {suggest(likely, known)}"
            )
        found += [n for n in matches if n not in others]
    return tuple(found)


def check_columns_said(source: Source, reading: Reading) -> None:
    """Refuse options that read a column which is not there.

    Raises
    ------
    OptionError
    """
    plain = {column.name for column in source.columns}
    for option, names in reading.columns_by_option.items():
        for name in names:
            if name not in plain and resolve_names(source, (name,), option) != (name,):
                raise OptionError(f"{source.path}: --{option} {name} is not one column.")


def resolve_names(source: Source, asked: Sequence[str], option: str) -> tuple[str, ...]:
    """Return the columns that names mean, which may be arrays of several columns.

    Raises
    ------
    OptionError
        There is no such column; ``option`` is what named it.
    """
    found: list[str] = []
    for name in asked:
        columns = source.resolve(name)
        if not columns:
            known = [column.name for column in source.columns]
            raise OptionError(
                f"{source.path}: has no column {name!r} (--{option}). {suggest(name, known)}"
            )
        found.extend(columns)
    return tuple(found)


@dataclass(frozen=True)
class Unusable:
    """A column that can be no feature, and why: ``why`` goes on after the column's name."""

    column: str
    why: str

    @property
    def name(self) -> str:
        """The column's name; in quotes where it could not be seen."""
        return self.column if self.column.strip() else repr(self.column)


def unusable_types(roles: Roles) -> list[Unusable]:
    """Return the features that are neither numbers nor text."""
    return [
        Unusable(column.name, f"is {column.type_name}, expected numbers or text{_dates(column)}")
        for column in roles.features
        if column.kind == "other"
    ]


def nameless_columns(roles: Roles) -> list[Unusable]:
    """Return the features that have no name, as rows have that pandas numbers."""
    return [
        Unusable(column.name, "has no name, as the index has that pandas writes: name it")
        for column in roles.features
        if not column.name.strip()
    ]


def _dates(column: Column) -> str:
    """Say how dates become numbers."""
    if not column.type_name.startswith(("date", "time")):
        return ""
    unit = "hours" if column.type_name.startswith(("time3", "time6")) else "days"
    return f": --date {shlex.quote(column.name)}={unit} reads it"


def refuse_unusable(source: Source, unusable: Sequence[Unusable]) -> None:
    """Refuse all the columns that can be no features, in one message.

    Raises
    ------
    SourceError
        Naming every column, and the options that leave them out.
    """
    if not unusable:
        return
    drops = " ".join(f"--drop {shlex.quote(one.column)}" for one in unusable[:MOST_NAMED])
    drops += " ..." if len(unusable) > MOST_NAMED else ""
    if len(unusable) == 1:
        [one] = unusable
        raise SourceError(f"{source.path}: column {one.name} {one.why}. Leave it out: {drops}.")
    reasons = "; ".join(f"{one.name} {one.why}" for one in unusable[:_MOST_REASONS])
    if len(unusable) > _MOST_REASONS:
        reasons += f"; so are {all_named([one.column for one in unusable[_MOST_REASONS:]])}"
    raise SourceError(
        f"{source.path}: {len(unusable)} columns cannot be features: {reasons}. "
        f"Leave them out: {drops}"
    )


def check_types(source: Source, roles: Roles) -> None:
    """Refuse roles without a feature, and columns of a type that cannot be used in their role.

    Raises
    ------
    OptionError, SourceError
    """
    if not roles.features:
        raise OptionError(f"{source.path}: no column is left as a feature, expected at least one.")
    refuse_unusable(source, unusable_types(roles))
    check_others(source, roles)


def check_others(source: Source, roles: Roles) -> None:
    """Refuse targets, weights, folds and offsets of a type that cannot be used.

    Raises
    ------
    SourceError
    """
    for column in roles.used[len(roles.features) :]:
        if column.kind == "other":
            raise SourceError(
                f"{source.path}: column {column.name} is {column.type_name}, "
                f"expected numbers or text{_dates(column)}. Name another column."
            )
    for option, one in (("weight", roles.weight), ("offset", roles.offset)):
        if one is not None and one.kind != "number":
            raise SourceError(
                f"{source.path}: column {one.name} (--{option}) is {one.type_name}, "
                f"expected numbers: {how_numbers_are_read(source, one.name)}."
            )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", ... ({len(names)} columns)" if len(names) > 8 else "")
