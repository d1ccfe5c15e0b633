"""A schema of a table that people edit: what each column becomes, before anything is encoded.

``ingest --dry-run --schema-out FILE`` writes one from a sample, ``ingest --schema FILE`` follows
it. It is TOML or JSON, by the name's ending::

    [read]
    separator = ";"
    decimal = ","

    [[columns]]
    name = "opened"
    role = "feature"    # target, weight, fold, offset, drop
    type = "date"       # number, category
    unit = "days"
    format = "%d.%m.%Y"
    found = "1,000 dates"    # not read
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from dasklasso.dataset.sources.base import Source, all_named, suggest
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import OptionError
from dasklasso.files.atomic import written_beside
from dasklasso.files.documents import read_text
from dasklasso.files.regular import why

Role = Literal["feature", "target", "weight", "fold", "offset", "drop"]
Kind = Literal["number", "category", "date"]
UNDECIDED = "undecided"  # a type that a person has to say
_ENDINGS = (".toml", ".json")
_KEYS = ("name", "role", "type", "unit", "format", "found")
_READ = ("decimal", "thousands", "strip", "null", "separator", "encoding", "quote")


@dataclass(frozen=True)
class PlannedColumn:
    """What becomes of a column.

    Attributes
    ----------
    name : str
    role : {"feature", "target", "weight", "fold", "offset", "drop"}
    type : {"number", "category", "date", "undecided"}
    unit, format : str
        Of dates: as :class:`~dasklasso.dataset.sources.dates.DateRule` has them.
    found : str
        What a sample has, for people.
    """

    name: str
    role: str = "feature"
    type: str = "number"
    unit: str = ""
    format: str = ""
    found: str = ""


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, and how its texts are read."""

    columns: tuple[PlannedColumn, ...]
    read: dict[str, Any] = field(default_factory=dict)
    where: str = "the schema"

    @classmethod
    def load(cls, file: str | Path) -> TableSchema:
        """Read and check a schema.

        Raises
        ------
        OptionError
            It cannot be read, or an entry cannot be used; the message names file, column and key.
        """
        path = Path(file)
        try:
            text = read_text(path, error=OptionError)
        except OSError as error:
            raise OptionError(f"{file}: the schema cannot be read: {why(error)}.") from error
        try:
            data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{file}: the schema cannot be read: {why(error)}.") from error
        return _checked(data, str(file))

    def save(self, file: str | Path, *, overwrite: bool = False) -> None:
        """Write it beside the final name, then rename it into place.

        Raises
        ------
        OptionError
            The name ends otherwise, or is taken.
        """
        path = Path(file)
        check_schema_file(path, overwrite=overwrite)
        with written_beside(path) as partial:
            text = self._toml() if path.suffix == ".toml" else self._json()
            partial.write_text(text, encoding="utf-8")

    def names(self, role: str) -> tuple[str, ...]:
        """Return the columns of a role."""
        return tuple(column.name for column in self.columns if column.role == role)

    def only(self, role: str) -> str | None:
        """Return the column of a role; None where there is none."""
        return next(iter(self.names(role)), None)

    def reading(self) -> Reading:
        """Return how the table's texts are read."""
        used = [column for column in self.columns if column.role != "drop"]
        return Reading.of(
            **self.read,
            category=[column.name for column in used if column.type == "category"],
            number=[column.name for column in used if column.type == "number"],
            date=[
                f"{column.name}={column.unit}" + (f":{column.format}" if column.format else "")
                for column in used
                if column.type == "date"
            ],
        )

    def check_columns(self, source: Source) -> None:
        """Refuse a schema that has other columns than the table.

        Raises
        ------
        OptionError
        """
        planned = {column.name for column in self.columns}
        there = {column.name for column in source.columns}
        if unknown := [column.name for column in self.columns if column.name not in there]:
            raise OptionError(
                f"{self.where}: {source.path} has no column {all_named(unknown[:3])}. "
                f"{suggest(unknown[0], list(there - planned) or list(there))}"
            )
        if new := [c.name for c in source.columns if c.name not in planned]:
            raise OptionError(
                f"{self.where}: says nothing of column {all_named(new[:3])} of {source.path} "
                f"({len(new):,} in all). Name it, with the role drop where it is left out."
            )

    # -- as text ------------------------------------------------------------------------------

    def _plain(self) -> dict[str, Any]:
        columns = [
            {key: value for key in _KEYS if (value := getattr(column, key)) or key == "name"}
            for column in self.columns
        ]
        return {"read": self.read, "columns": columns}

    def _json(self) -> str:
        return json.dumps(self._plain(), indent=1, ensure_ascii=False) + "\n"

    def _toml(self) -> str:
        plain = self._plain()
        lines = [
            "# What columns become. Edit it, then: dasklasso ingest SOURCE STORE --schema FILE",
            f"# role: {', '.join(get_args(Role))}; type: {', '.join(get_args(Kind))}",
        ]
        tables = [("[read]", plain["read"])] if plain["read"] else []
        for title, table in [*tables, *(("[[columns]]", one) for one in plain["columns"])]:
            lines += ["", title, *(f"{key} = {_toml_value(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"


def check_schema_file(file: str | Path, *, overwrite: bool) -> None:
    """Refuse a name that a schema cannot be written to.

    Raises
    ------
    OptionError
    """
    path = Path(file)
    if path.suffix not in _ENDINGS:
        raise OptionError(f"--schema-out {file}: ends otherwise, expected .toml or .json.")
    if path.exists() and not overwrite:
        raise OptionError(f"{file} exists already. Give another name, or overwrite it knowingly.")


def is_schema_file(place: str) -> bool:
    """Tell whether a place is an editable schema, and not a model or a store."""
    return Path(place).suffix in _ENDINGS


def _toml_value(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(_toml_value(one) for one in value)}]"


def _checked(data: Any, where: str) -> TableSchema:
    """Return the schema that a document spells.

    Raises
    ------
    OptionError
    """
    if not isinstance(data, dict):
        raise OptionError(f"{where}: found {_short(data)}, expected tables [read] and [[columns]].")
    for key in data:
        if key not in ("read", "columns"):
            raise OptionError(f"{where}: there is no key {key!r}, expected read and columns.")
    read = data.get("read", {})
    if not isinstance(read, dict):
        raise OptionError(f"{where}: read is {_short(read)}, expected a table.")
    if odd := next((key for key in read if key not in _READ), None):
        raise OptionError(
            f"{where}, read: there is no key {odd!r}. The keys are {', '.join(_READ)}."
        )
    columns = data.get("columns")
    if not isinstance(columns, list) or not columns:
        raise OptionError(f"{where}: columns are {_short(columns)}, expected tables [[columns]].")
    planned = tuple(_column(one, f"{where}, columns {k}") for k, one in enumerate(columns, start=1))
    seen: set[str] = set()
    for column in planned:
        if column.name in seen:
            raise OptionError(f"{where}: column {column.name} comes twice, expected once.")
        seen.add(column.name)
    schema = TableSchema(planned, read, where)
    for role in ("weight", "fold", "offset"):
        if len(found := schema.names(role)) > 1:
            raise OptionError(
                f"{where}: columns {all_named(found)} have the role {role}, expected one."
            )
    if not schema.names("target"):
        raise OptionError(f"{where}: no column has the role target, expected at least one.")
    try:
        Reading.from_json(read)
    except ValueError as error:  # of our own, or a phrase that names the entry
        raise OptionError(f"{where}, read: {str(error).rstrip('.')}.") from None
    return schema


def _column(data: Any, where: str) -> PlannedColumn:
    if not isinstance(data, dict):
        raise OptionError(f"{where}: found {_short(data)}, expected a table.")
    for key, value in data.items():
        if key not in _KEYS:
            raise OptionError(f"{where}: there is no key {key!r}. The keys are {', '.join(_KEYS)}.")
        if not isinstance(value, str):
            raise OptionError(f"{where}: {key} is {_short(value)}, expected text.")
    if "name" not in data:
        raise OptionError(f"{where}: the key 'name' is needed.")
    column = PlannedColumn(**data)
    named = f"{where} ({column.name})"
    if column.role not in get_args(Role):
        raise OptionError(
            f"{named}: role is {column.role!r}, expected one of {', '.join(get_args(Role))}."
        )
    if column.role == "drop":
        return column
    if column.type not in get_args(Kind):
        raise OptionError(
            f"{named}: type is {column.type!r}, expected one of {', '.join(get_args(Kind))}, or "
            "the role drop."
        )
    if column.type == "date":
        Reading.of(date=[f"{column.name}={column.unit}"])
    elif column.unit or column.format:
        raise OptionError(f"{named}: unit and format are of dates, expected the type date.")
    return column


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
