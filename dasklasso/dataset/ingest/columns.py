"""Which column of an input table is what: feature, target, weight, fold, or left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dasklasso.dataset.sources.base import Column, Source, suggest
from dasklasso.errors import OptionError, SourceError


@dataclass(frozen=True)
class Roles:
    """Columns by role; the features are in the table's order."""

    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    weight: Column | None
    fold: Column | None
    offset: Column | None = None

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
) -> Roles:
    """Look up the columns that were named; the rest are features.

    Raises
    ------
    OptionError
        A name is unknown or used twice, no target was named, or no feature is left.
    SourceError
        A column's type cannot be used in its role.
    """
    asked = (target,) if isinstance(target, str) else tuple(target or ())
    targets = resolve_names(source, asked, "target") or source.default_target
    if not targets:
        known = [column.name for column in source.columns]
        raise OptionError(
            f"{source.path}: no target was named (--target). There are: {_few(known)}. "
            "Rows to predict for need none: --schema MODEL."
        )
    weights = resolve_names(source, (weight,) if weight else (), "weight")
    folds = resolve_names(source, (fold,) if fold else (), "fold")
    offsets = resolve_names(source, (offset,) if offset else (), "offset")
    dropped = resolve_names(source, tuple(drop), "drop")
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
    )
    check_types(source, roles)
    return roles


def resolve_names(source: Source, asked: Sequence[str], option: str) -> tuple[str, ...]:
    """The columns that names mean, which may be arrays of several columns.

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


def check_types(source: Source, roles: Roles) -> None:
    """Refuse roles without a feature, and columns of a type that cannot be used in their role.

    Raises
    ------
    OptionError, SourceError
    """
    if not roles.features:
        raise OptionError(f"{source.path}: no column is left as a feature, expected at least one.")
    for column in roles.used:
        if column.kind == "other":
            is_feature = column in roles.features
            hint = f"Leave it out: --drop {column.name}" if is_feature else "Name another column"
            raise SourceError(
                f"{source.path}: column {column.name} is {column.type_name}, "
                f"expected numbers or text. {hint}."
            )
    for option, one in (("weight", roles.weight), ("offset", roles.offset)):
        if one is not None and one.kind != "number":
            raise SourceError(
                f"{source.path}: column {one.name} (--{option}) is {one.type_name}, "
                "expected numbers."
            )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", ... ({len(names)} columns)" if len(names) > 8 else "")
