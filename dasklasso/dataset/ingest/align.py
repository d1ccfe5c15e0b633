"""Columns of a table found by name, as the schema of another table has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dasklasso.dataset.ingest.columns import Roles, check_types, resolve_dropped, resolve_names
from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.ingest.genotypes import orient_alleles
from dasklasso.dataset.schema import Schema
from dasklasso.dataset.sources.base import TRUTHS, Column, Source, all_named, suggest
from dasklasso.dataset.sources.missing_values import MissingValues
from dasklasso.errors import OptionError, SourceError

_BOOLEAN = "bool"
Need = Literal["no", "optional", "required"]


@dataclass(frozen=True)
class Asked:
    """Columns beside the features, as they were asked for by name.

    Names that are left out are those of the schema.

    Attributes
    ----------
    needs : dict of "target", "weight", "fold" and "offset"
        Whether the column is read at all, and whether the table must have it.
    """

    needs: Mapping[str, Need]
    target: str | Sequence[str] | None = None
    weight: str | None = None
    fold: str | None = None
    offset: str | None = None
    drop: tuple[str, ...] = ()
    as_is: tuple[str, ...] = ()

    def need(self, role: str) -> Need:
        return self.needs.get(role, "no")


@dataclass(frozen=True)
class Aligned:
    """The columns of a table as a schema has them.

    Attributes
    ----------
    roles : Roles
        Features in the order of the schema.
    survey : Survey
        Levels and means of the schema.
    ignored : tuple of str
        Columns that the schema knows nothing of.
    """

    roles: Roles
    survey: Survey
    ignored: tuple[str, ...] = field(default=())


def align(source: Source, schema: Schema, asked: Asked, *, of: str, strict: bool) -> Aligned:
    """Find a schema's columns in a table, by name and in any order.

    Parameters
    ----------
    of : str
        How messages name the owner of the schema.
    strict : bool
        Refuse columns that the schema knows nothing of.

    Raises
    ------
    OptionError
        A target, weight, fold, offset or id cannot be found.
    SourceError
        Features are missing, or are text where the schema has numbers (or the other way round).
    """
    targets = _targets(source, schema, asked, of)
    columns = {role: _column_of_role(source, schema, asked, role, of) for role in _ROLES}
    _resolve_all(source, asked.as_is, "id")
    dropped = set(resolve_dropped(source, asked.drop) if strict else asked.drop)
    dropped |= set(schema.dropped)
    given = {column.name: column for column in source.columns}
    taken = dict.fromkeys(targets, "target")
    for role, column in columns.items():
        if column in taken:
            raise OptionError(
                f"{source.path}: column {column} was named by --{taken[column]} and --{role}, "
                "expected once."
            )
        if column is not None:
            taken[column] = role
    known = {*taken, *dropped, *source.beside}
    known |= set() if schema.id is None else {schema.id}
    features = _features(source, schema, given, known, of)
    own = {target.name for target in schema.targets}
    own |= {name for name in (schema.weight, schema.fold, schema.offset) if name is not None}
    known |= schema.columns.keys()
    if strict:
        extra = next((name for name in given if name not in known), None)
        if extra is not None:
            raise SourceError(
                f"{source.path}: column {extra!r} is not a feature of {of}. "
                f"Leave it out: --drop {extra}"
            )
    known |= {*own, *asked.as_is}
    roles = Roles(
        features=features,
        targets=tuple(given[name] for name in targets),
        weight=_given(given, columns["weight"]),
        fold=_given(given, columns["fold"]),
        offset=_given(given, columns["offset"]),
    )
    check_types(source, roles)
    orient_alleles(source, schema)
    truths = _numbers_for_truths(source, schema, roles, of)
    return Aligned(
        roles=roles,
        survey=_survey(source, schema, roles, truths, of),
        ignored=tuple(name for name in given if name not in known),
    )


_ROLES = {"weight": "sample_weight", "fold": "fold", "offset": "offset"}  # names of the arrays


def _given(given: Mapping[str, Column], name: str | None) -> Column | None:
    return None if name is None else given[name]


def _targets(source: Source, schema: Schema, asked: Asked, of: str) -> tuple[str, ...]:
    need = asked.need("target")
    names = [target.name for target in schema.targets]
    if need == "no":
        return ()
    if asked.target:
        wanted = (asked.target,) if isinstance(asked.target, str) else tuple(asked.target)
        found = resolve_names(source, wanted, "target")
    elif any(source.resolve(name) for name in names):
        found = resolve_names(source, names, "target")
    else:
        found = source.default_target
        if not found and need == "optional":
            return ()
    if not found:
        columns = [column.name for column in source.columns]
        is_the = f"{names[0]!r}, the target of {of}" if names else "to be the target"
        raise OptionError(
            f"{source.path}: has no column {is_the}. Name it: --target. "
            f"{suggest(names[0] if names else 'target', columns)}"
        )
    if names and len(found) != len(names):
        raise OptionError(
            f"{source.path}: {len(found)} targets were named, {of} has "
            f"{len(names)} ({', '.join(names[:5])})."
        )
    return found


def _column_of_role(source: Source, schema: Schema, asked: Asked, role: str, of: str) -> str | None:
    """Return the column of weights, folds or offsets: as asked, else as in the schema."""
    need, name = asked.need(role), getattr(asked, role)
    if need == "no":
        if name is not None:
            raise OptionError(
                f"--{role} {name}: {of} was ingested without --{role}, its rows have none."
            )
        return None
    name = name or getattr(schema, role)
    if name is None:
        if need == "optional":
            return None
        raise OptionError(f"{of} has an array {_ROLES[role]}: name the column with --{role}.")
    found = source.resolve(name)
    if not found:
        if need == "optional" and getattr(asked, role) is None:
            return None
        columns = [column.name for column in source.columns]
        raise OptionError(
            f"{source.path}: has no column {name!r} (--{role}), which {of} has. "
            f"{suggest(name, columns)}"
        )
    if len(found) > 1:
        raise OptionError(f"--{role}: has {len(found)} columns, expected one.")
    return found[0]


def _resolve_all(source: Source, names: Iterable[str], option: str) -> None:
    for name in names:
        if resolve_names(source, (name,), option) != (name,):
            raise OptionError(f"{source.path}: --{option} {name} is not one column.")


def _features(
    source: Source, schema: Schema, given: Mapping[str, Column], taken: set[str], of: str
) -> tuple[Column, ...]:
    missing = [name for name in schema.columns if name not in given]
    if missing:
        is_one = len(missing) == 1
        what = "is a feature" if is_one else "are features"
        others = [name for name in given if name not in schema.columns] or list(given)
        hint = f" {suggest(missing[0], others)}" if is_one else ""
        raise SourceError(
            f"{source.path}: column{'' if is_one else 's'} {all_named(missing)} {what} of {of} and "
            f"{'is' if is_one else 'are'} not in the table.{hint}"
        )
    another = next((name for name in schema.columns if name in taken), None)
    if another is not None:
        raise SourceError(
            f"{source.path}: column {another!r} is a feature of {of} and has another role here."
        )
    return tuple(
        _of_kind(source, given[name], "text" if schema.is_text(name) else "number", of)
        for name in schema.columns
    )


def _of_kind(source: Source, column: Column, kind: Literal["text", "number"], of: str) -> Column:
    if column.kind == kind:
        return column
    if column.type_name == "null" and kind == "text":  # no value in any row tells the kind
        return replace(column, kind="text")
    expected = "text (categories)" if kind == "text" else "numbers"
    raise SourceError(
        f"{source.path}: column {column.name} is {column.type_name}, {of} has {expected} there."
    )


def _numbers_for_truths(source: Source, schema: Schema, roles: Roles, of: str) -> frozenset[str]:
    """Return the columns of numbers that were false and true in training: only 0 and 1 mean those.

    Raises
    ------
    SourceError
        A column is boolean here, and was not: 0 and 1 may have been two of many numbers.
    """
    was = dict(zip(schema.columns, (kind == _BOOLEAN for kind in schema.types), strict=False))
    pairs = [(column, was.get(column.name)) for column in roles.features]
    targets = zip(roles.targets, schema.targets, strict=False)
    pairs += [
        (column, False if target.classes is None else target.classes == TRUTHS or None)
        for column, target in targets
    ]
    for column, was_boolean in pairs:
        if column.is_boolean and was_boolean is False:
            raise SourceError(
                f"{source.path}: column {column.name} is {_BOOLEAN}, {of} has numbers there. "
                "Write 0 and 1 where those are meant."
            )
    return frozenset(
        column.name
        for column, was_boolean in pairs
        if was_boolean and column.kind == "number" and not column.is_boolean
    )


def _survey(
    source: Source, schema: Schema, roles: Roles, truths: frozenset[str], of: str
) -> Survey:
    """Return the schema's levels, and its means to fill in with."""
    levels = dict(schema.levels)
    for target, column in zip(schema.targets, roles.targets, strict=False):
        if not column.is_boolean and column.name not in truths:
            _of_kind(source, column, "number" if target.classes is None else "text", of)
        if target.classes is not None:
            levels[column.name] = target.classes
    for column in roles.targets[len(schema.targets) :]:
        _of_kind(source, column, "number", of)
    if roles.fold is not None:
        classes = schema.fold_classes
        _of_kind(source, roles.fold, "number" if classes is None else "text", of)
        if classes is not None:
            levels[roles.fold.name] = classes
    firsts = schema.columns
    return Survey(
        levels=levels,
        means={
            name: float(schema.means[j]) for name, j in firsts.items() if name not in schema.levels
        },
        missing={},
        missing_texts=dict.fromkeys(schema.missing_levels, 0),
        missing_values=MissingValues(schema.missing_values),
        truths=truths,
    )
