"""Targets from a table of their own, joined to the rows of a source by id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.dataset.ingest.columns import resolve_names
from dasklasso.dataset.ingest.genotypes import genotypes_of
from dasklasso.dataset.row_ids import digests_of_ids
from dasklasso.dataset.sources import Source, open_source
from dasklasso.dataset.sources.base import Column, Expected
from dasklasso.dataset.sources.genotypes import SAMPLE_ID
from dasklasso.dataset.sources.joined import JoinedSource
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import OptionError, SourceError, ValueFound

_NO_TARGETS = (SAMPLE_ID, "FID", "#FID", "#IID")  # of PLINK's tables of phenotypes
_BATCH_ROWS = 1 << 14
_SHOWN = 3
_PLINK_MISSING = -9


@dataclass(frozen=True)
class TargetsTable:
    """A table of targets, and the column of ids by which its rows are found.

    Attributes
    ----------
    path : str or Path
        Parquet or CSV.
    id_column : str
        A column of the table, and of the source that it is joined to; of PLINK's genotypes the
        sample ids of .fam.
    """

    path: str | os.PathLike[str]
    id_column: str


def targets_table(
    path: str | os.PathLike[str] | None, id_column: str | None
) -> TargetsTable | None:
    """Return the table that options name; None where none is.

    Raises
    ------
    OptionError
        The column of its ids is not named.
    """
    if path is None:
        return None
    if id_column is None:
        raise OptionError(f"--targets {path}: which column has the ids? Name it with --id.")
    return TargetsTable(path, id_column)


def join_targets(
    source: Source,
    wanted: TargetsTable,
    *,
    target: Sequence[str],
    beside: Sequence[str] = (),
    reading: Reading,
    memory: int,
) -> tuple[JoinedSource, list[str]]:
    """Join a table of targets to a source; rows without a target are left out.

    Parameters
    ----------
    target : sequence of str
        Columns of the table; none: its only one beside the ids.
    beside : sequence of str
        Weights, folds and offsets, taken from the table where it has them.

    Returns
    -------
    joined : JoinedSource
    notes : list of str
        How many rows are left out, and why.

    Raises
    ------
    OptionError
        A column is not there, or in both.
    SourceError, ValueFound
        The table cannot be read, an id occurs twice, or no row is left.
    """
    id_column = wanted.id_column
    table = open_source(
        wanted.path, memory=memory, expected=Expected(as_is=(id_column,), reading=reading)
    )
    resolve_names(table, (id_column,), "id")
    targets = _target_names(table, id_column, target)
    names = [*targets, *(name for name in beside if table.resolve(name))]
    columns = [_column(table, source, name) for name in names]
    rows, values = _read(table, id_column, columns)
    ids = ids_of(source, id_column)
    place = np.array([rows.get(one, -1) for one in ids], dtype=np.int64)
    known = _known(values, targets)
    matched = place >= 0
    used = matched & known[place]
    if not matched.any():
        raise ValueFound(
            f"{wanted.path}: none of its ids ({_few(rows)}) is one of {source.path} ({_few(ids)})."
        )
    if not used.any():
        raise ValueFound(f"{wanted.path}: no row of {source.path} has {_either(targets)} in it.")
    notes = _notes(source, table, targets, matched, used, len(rows))
    values = values.take(place[used])
    notes += _suspects(source, table, columns, values)
    genotypes = genotypes_of(source)
    if genotypes is not None:
        genotypes.keep_rows(used)
    joined = JoinedSource(
        source, table, columns, values, None if genotypes is not None else used,
        id_column=id_column, reading=reading, ids=[ids[row] for row in np.flatnonzero(used)],
    )  # fmt: skip
    return joined, notes


def row_ids_of(source: Source, id_column: str | None) -> tuple[np.ndarray | None, str | None]:
    """Return digests of the ids of a source's rows, and their column; None where there are none.

    Parameters
    ----------
    id_column : str or None
        None: ids of genotypes alone, if each sample has its own.

    Raises
    ------
    OptionError, ValueFound
        There is no such column, or an id occurs twice.
    """
    if isinstance(source, JoinedSource):
        return digests_of_ids(source.ids), source.id_column
    if id_column is not None:
        return digests_of_ids(ids_of(source, id_column)), id_column
    genotypes = genotypes_of(source)
    found = None if genotypes is None else genotypes.row_ids
    if found is None or len(np.unique(found)) < len(found):
        return None, None
    return digests_of_ids(found.tolist()), SAMPLE_ID


def new_row_ids(source: Source, id_column: str | None, *, of: str) -> np.ndarray:
    """Return digests of the ids of rows that are appended to a store with ids.

    They may be those of rows that are there: of one sample at two times.

    Parameters
    ----------
    of : str
        How messages name the store.

    Raises
    ------
    OptionError
        There is no column of ids.
    """
    if id_column is None:
        raise OptionError(f"{of}: its manifest does not say which column has the ids of rows.")
    return digests_of_ids(ids_of(source, id_column, unique=False))


def _target_names(table: Source, id_column: str, asked: Sequence[str]) -> list[str]:
    if asked:
        return list(resolve_names(table, asked, "target"))
    found = [c.name for c in table.columns if c.name not in (id_column, *_NO_TARGETS)]
    if len(found) != 1:
        some = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "") or "none"
        raise OptionError(f"{table.path}: name the target with --target. There are: {some}.")
    return found


def _column(table: Source, source: Source, name: str) -> Column:
    if source.resolve(name):
        raise OptionError(f"{table.path}: column {name} is in {source.path} too, expected in one.")
    column = next(column for column in table.columns if column.name == name)
    if column.kind == "other":
        raise SourceError(
            f"{table.path}: column {name} is {column.type_name}, expected numbers or text."
        )
    return column


def _read(table: Source, id_column: str, columns: Sequence[Column]) -> tuple[dict[str, int], Any]:
    """Return the row of each id, and the columns' values: null where missing."""
    import pyarrow as pa

    rows: dict[str, int] = {}
    parts: dict[str, list[Any]] = {column.name: [] for column in columns}
    for batch in table.batches([id_column, *parts], _BATCH_ROWS):
        for row, one in enumerate(_as_text(batch.as_is(id_column)), start=batch.first_row):
            if not one:
                raise ValueFound(
                    f"{batch.file}: row {row}, column {id_column}: found a missing value, expected "
                    "an id."
                )
            if one in rows:
                raise ValueFound(
                    f"{batch.file}: row {row}, column {id_column}: found {one!r} again, expected "
                    "each id once."
                )
            rows[one] = len(rows)
        for column in columns:
            parts[column.name].append(
                batch.texts(column.name)
                if column.kind == "text"
                else pa.array(np.ascontiguousarray(batch.numbers([column.name])[:, 0], np.float64),
                              from_pandas=True)
            )  # fmt: skip
    if not rows:
        raise SourceError(f"{table.path}: has no rows, expected at least one.")
    return rows, pa.table({name: pa.chunked_array(some) for name, some in parts.items()})


def ids_of(source: Source, id_column: str, *, unique: bool = True) -> list[str]:
    """Return the id of every row of a source.

    Parameters
    ----------
    unique : bool
        Whether each may be there once only.

    Raises
    ------
    OptionError
        There is no such column.
    ValueFound
        An id occurs twice.
    """
    genotypes = genotypes_of(source)
    if genotypes is not None:
        ids = [str(one) for one in genotypes.row_ids.tolist()]
    else:
        resolve_names(source, (id_column,), "id")
        batches = source.batches([id_column], _BATCH_ROWS)
        ids = [one for batch in batches for one in _as_text(batch.as_is(id_column))]
    seen: dict[str, int] = {}
    for row, one in enumerate(ids if unique else ()):
        if one and seen.setdefault(one, row) != row:
            raise ValueFound(
                f"{source.path}: rows {seen[one]} and {row} have both the id {one!r} "
                f"({id_column}), expected each once."
            )
    return ids


def _as_text(values: Any) -> list[str]:
    """Return ids as texts without blanks around them; empty where one is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.fill_null(pc.cast(values, pa.string()), "")
    return [text.strip() for text in texts.to_pylist()]


def _known(values: Any, targets: Sequence[str]) -> np.ndarray:
    """(rows,) bool: whether all targets are there."""
    known = np.ones(values.num_rows, dtype=bool)
    for name in targets:
        known &= values[name].is_valid().to_numpy()
    return known


def _notes(
    source: Source, table: Source, targets: Sequence[str], matched: np.ndarray, used: np.ndarray,
    n_table: int,
) -> list[str]:  # fmt: skip
    found = []
    if not used.all():
        absent, without = (~matched).sum(), (matched & ~used).sum()
        reasons = [f"{absent:,} with no row in {table.path}"] if absent else []
        reasons += [f"{without:,} without {_either(targets)}"] if without else []
        found.append(
            f"{(~used).sum():,} of {len(used):,} rows of {source.path} are left out: "
            f"{', '.join(reasons)}."
        )
    if (others := n_table - int(matched.sum())) > 0:
        found.append(f"{others:,} of {n_table:,} rows of {table.path} are not in {source.path}.")
    return found


def _suspects(source: Source, table: Source, columns: Sequence[Column], values: Any) -> list[str]:
    """Note that -9 is in a table of phenotypes of genotypes, where it stands for a missing one."""
    if genotypes_of(source) is None:
        return []
    found = []
    for column in columns:
        if column.kind == "number":
            n = int((values[column.name].to_numpy() == _PLINK_MISSING).sum())
            if n:
                found.append(
                    f"column {column.name} of {table.path} is -9 in {n:,} rows: if that stands for "
                    "a missing value, --null -9."
                )
    return found


def _either(targets: Sequence[str]) -> str:
    return " or ".join(targets[:_SHOWN]) + (" or others" if len(targets) > _SHOWN else "")


def _few(ids: Any) -> str:
    some = [repr(one) for one, _ in zip(ids, range(_SHOWN), strict=False)]
    return ", ".join(some) + (", ..." if len(ids) > _SHOWN else "")
