"""Batches of an input table to the arrays of a store: one-hot columns, classes, filled values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from dasklasso.choices import Missing, Unseen
from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.ingest.precision import EXACT_INTEGERS, Rounding
from dasklasso.dataset.schema import MISSING_LEVEL, features_of
from dasklasso.dataset.sources.base import Batch, Column, Source, refuse_duplicates, suggest
from dasklasso.dataset.sources.missing_values import LoneCodes
from dasklasso.errors import ValueFound

_BATCH_BYTES = 8 << 20  # float64 bytes of a batch: it stays in the processor's cache, mostly
_MOST_NAMED = 20  # columns in a message about a value
INEXACT = "a number that float64 holds: whole numbers beyond 2^53 are rounded"
_TRUTH = "0 or 1: it was false or true in training"
_MISSING = "a missing value (NaN or null)"
_ABSENT, _UNSEEN = -1, -2  # in the place of a level's number


@dataclass(frozen=True)
class Levels:
    """Whose levels a column's texts are looked up among, and what becomes of others.

    Attributes
    ----------
    of : str
        How messages name the owner.
    unseen : {"error", "zero"}
        A text that is not a level is refused, or is none of them: all its features are 0.
    remedy : str
        What to do about a text that is refused.
    """

    of: str
    unseen: Unseen = "error"
    remedy: str = ""


@dataclass(frozen=True)
class Encoded:
    """What :meth:`StoreWriter.write` takes."""

    X: np.ndarray
    y: np.ndarray | None
    sample_weight: np.ndarray | None
    fold: np.ndarray | None
    missing: np.ndarray
    offset: np.ndarray | None = None


class Encoder:
    """Turns batches into rows of X, y, weights and folds, and refuses what cannot be used.

    Parameters
    ----------
    source : Source
    roles : Roles
    survey : Survey
    dtype : numpy.dtype
        Of X.
    missing : {"error", "mean"}
        What to do with missing values of X. With "mean", those of text are a level of their own.
    known : Levels, optional
        Of another table, where the survey is not of this one.
    missing_code : int, optional
        What missing numbers become, in the place of means.

    Attributes
    ----------
    feature_names : tuple of str
        A text column has one for each of its levels, ``column=level``.
    unseen : dict of text column to int
        How many texts were none of its levels, so far.
    rounding : Rounding
        What narrowing to ``dtype`` took off each feature, so far.
    lone_codes : LoneCodes
        Features of small integers in which a code seems to stand for missing values.
    large : set of str
        Targets, weights and offsets with numbers of 2^53 and more, so far: where text was read as
        float64, whole numbers among them may be others than were written.
    """

    def __init__(
        self,
        source: Source,
        roles: Roles,
        survey: Survey,
        *,
        dtype: np.dtype,
        missing: Missing,
        known: Levels | None = None,
        missing_code: int | None = None,
    ) -> None:
        self._roles = roles
        self._survey = survey
        self._dtype = dtype
        self._fill = missing == "mean"
        self._code = missing_code
        self._known = known or Levels(source.path)
        own = known is None
        drop = ", or --drop {column}" if own else ""
        self._fill_hint = f" Fill it in, or --missing mean{drop}."
        self._dtype_hint = " (choose another --dtype)" if own else ""
        self.unseen: dict[str, int] = {}
        # runs of number columns are taken as one block, each text column by itself
        self._parts: list[tuple[bool, list[str]]] = [
            (kind == "text", [column.name for column in run])
            for kind, run in groupby(roles.features, key=lambda column: column.kind)
        ]
        names: list[str] = []
        for column in roles.features:
            names += features_of(column.name, survey.levels, survey.missing_levels)
        refuse_duplicates(names, source.path)
        self.feature_names = tuple(names)
        self.rounding = Rounding(len(names))
        self.lone_codes = LoneCodes(len(names))
        self.large: set[str] = set()
        self._means: dict[str, np.ndarray] = {}  # by the first name of a run

    def encode(self, batch: Batch) -> Encoded:
        """Encode one batch.

        Raises
        ------
        ValueFound
            A value is missing, not finite, too large for the dtype, or (a weight) negative. The
            message names file, row and column.
        """
        blocks: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        for is_text, names in self._parts:
            if not is_text:
                blocks.append(self._numbers(batch, names, counts))
            else:
                blocks += [self._one_hot(batch, name, counts) for name in names]
        natural = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
        self.lone_codes.add(natural)
        beside: dict[str, Any] = dict.fromkeys(("y", "sample_weight", "fold", "offset"))
        beside |= self.encode_beside(batch)
        return Encoded(X=self._cast(batch, natural), missing=np.concatenate(counts), **beside)

    def encode_beside(self, batch: Batch) -> dict[str, np.ndarray]:
        """Encode what stands beside X in one batch: y, sample_weight, fold, offset, as there are.

        Raises
        ------
        ValueFound
            As :meth:`encode`.
        """
        roles, found = self._roles, {}
        if roles.targets:
            columns = [self._target(batch, column) for column in roles.targets]
            found["y"] = np.stack(columns, axis=1)
        if roles.weight is not None:
            found["sample_weight"] = self._weight(batch, roles.weight)
        if roles.fold is not None:
            found["fold"] = self._fold(batch, roles.fold)
        if roles.offset is not None:
            found["offset"] = self._vector(batch, roles.offset)
        return found

    # -- X ------------------------------------------------------------------------------------

    def _numbers(self, batch: Batch, names: list[str], counts: list[np.ndarray]) -> np.ndarray:
        block = self._survey.missing_values.as_nan(batch.numbers(names))
        if self._survey.truths:
            self._check_truths(batch, block, names)
        count = np.zeros(len(names), dtype=np.int64)
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            absent = np.isnan(block)
            refused = np.isinf(block) if self._fill else ~np.isfinite(block)
            named = self._survey.missing_values.numbers
            missing = "a missing value (NaN, null or as named)" if named else _MISSING
            _refuse_first(batch, refused, block, names, hint=self._fill_hint, missing=missing)
            count = absent.sum(axis=0)
            block = np.where(absent, self._fill_of(names), block)
        counts.append(count)
        return block

    def _check_truths(self, batch: Batch, block: np.ndarray, names: list[str]) -> None:
        """Refuse a number that is neither false nor true where the schema has those."""
        places = [j for j, name in enumerate(names) if name in self._survey.truths]
        values = block[:, places]
        odd = (values != 0) & (values != 1) & ~np.isnan(values)
        if odd.any():
            row, k = np.argwhere(odd)[0]
            raise _found(batch, row, names[places[k]], f"{values[row, k]:g}", _TRUTH)

    def _fill_of(self, names: list[str]) -> np.ndarray | int:
        """Return the code, or means of a run of columns; looked up once, there may be very many."""
        if self._code is not None:
            return self._code
        if names[0] not in self._means:
            self._means[names[0]] = np.array([self._survey.means[name] for name in names])
        return self._means[names[0]]

    def _one_hot(self, batch: Batch, name: str, counts: list[np.ndarray]) -> np.ndarray:
        """Return one column for each level, and one for missing values where training had some."""
        n_levels = len(self._survey.levels[name])
        own_level = name in self._survey.missing_levels
        texts = self._survey.missing_values.as_null(batch.texts(name))
        codes = self._codes(texts, name)
        if self._fill and own_level:
            codes = np.where(codes == _ABSENT, n_levels, codes)
        elif self._fill:
            codes = np.where(codes == _ABSENT, _UNSEEN, codes)
        elif (codes == _ABSENT).any():
            row = int((codes == _ABSENT).argmax())
            raise _found(batch, row, name, "a missing value", "text", self._fill_hint)
        unseen = codes == _UNSEEN
        if unseen.any():
            if self._known.unseen == "error":
                raise self._unseen(batch, name, int(unseen.argmax()), self._known.remedy)
            self.unseen[name] = self.unseen.get(name, 0) + int(unseen.sum())
        block = np.zeros((batch.n_rows, n_levels + own_level), dtype=np.uint8)
        block[np.flatnonzero(~unseen), codes[~unseen]] = 1
        counts.append(np.zeros(block.shape[1], dtype=np.int64))
        return block

    def _codes(self, texts: Any, name: str) -> np.ndarray:
        """Numbers of a column's texts among its levels; negative: missing, or not there."""
        import pyarrow as pa
        import pyarrow.compute as pc

        levels = pa.array(self._survey.levels[name], type=pa.string())
        found: Any = pc.index_in(texts, levels)
        codes = pc.fill_null(found, _UNSEEN).to_numpy(zero_copy_only=False)
        if texts.null_count:
            absent = texts.is_null().to_numpy(zero_copy_only=False)
            codes = np.where(absent, _ABSENT, codes)
        return codes

    def _unseen(self, batch: Batch, name: str, row: int, remedy: str) -> ValueFound:
        """Return a text that is not a level, as an error."""
        text, levels = batch.texts(name)[row].as_py(), self._survey.levels[name]
        found, hint = f"{text!r}", f" {suggest(text, levels)}" if text is not None else ""
        if text is None:
            found = f"a missing value ({name}={MISSING_LEVEL})"
        remedy = f" {remedy}" if remedy else ""
        return ValueFound(
            f"{batch.file}: row {batch.first_row + row}, column {name}: found {found}, which is "
            f"not among the {len(levels)} levels of {self._known.of}.{hint}{remedy}"
        )

    def _cast(self, batch: Batch, block: np.ndarray) -> np.ndarray:
        if block.dtype == self._dtype:
            self.rounding.add(block, block)
            return block
        with np.errstate(over="ignore", invalid="ignore"):
            cast = block.astype(self._dtype)
        if self._dtype.kind == "f":
            lost = ~np.isfinite(cast) if block.dtype.itemsize > self._dtype.itemsize else None
        else:
            lost = cast != block
        if lost is not None and lost.any():
            row, column = np.argwhere(lost)[0]
            raise _found(
                batch, row, self.feature_names[column], f"{block[row, column]}",
                f"a value that {self._dtype} holds" + self._dtype_hint,
            )  # fmt: skip
        self.rounding.add(block, cast)
        return cast

    # -- beside X -----------------------------------------------------------------------------

    def _target(self, batch: Batch, column: Column) -> np.ndarray:
        if column.kind == "text":
            codes = self._codes(batch.texts(column.name), column.name)
            if (codes < 0).any():
                row = int((codes < 0).argmax())
                if codes[row] == _UNSEEN:
                    raise self._unseen(batch, column.name, row, "")
                raise _found(batch, row, column.name, "a missing value", "a class")
            return codes.astype(np.float64)
        values = self._vector(batch, column)
        if column.name in self._survey.truths:
            self._check_truths(batch, values[:, None], [column.name])
        return values

    def _weight(self, batch: Batch, column: Column) -> np.ndarray:
        weight = self._vector(batch, column)
        if (weight < 0).any():
            row = int((weight < 0).argmax())
            found = f"{weight[row]:g}"
            raise _found(batch, row, column.name, found, "a weight of at least 0")
        return weight

    def _fold(self, batch: Batch, column: Column) -> np.ndarray:
        values = self._target(batch, column)
        limits = np.iinfo(np.int32)
        odd = (values != np.round(values)) | (values < limits.min) | (values > limits.max)
        if odd.any():
            row = int(odd.argmax())
            raise _found(batch, row, column.name, f"{values[row]:g}", "a whole number")
        return values.astype(np.int32)

    def _vector(self, batch: Batch, column: Column) -> np.ndarray:
        given = batch.numbers([column.name])
        block = given.astype(np.float64, copy=False)
        _refuse_first(batch, ~np.isfinite(block), block, [column.name])
        large = np.abs(block[:, 0]) >= EXACT_INTEGERS
        if large.any():
            self.large.add(column.name)
            if given.dtype.kind in "iu":
                _refuse_inexact(batch, np.flatnonzero(large), given[:, 0], column.name)
        return block[:, 0]


def _refuse_inexact(batch: Batch, rows: np.ndarray, values: np.ndarray, column: str) -> None:
    """Refuse the first whole number that float64 has no number for."""
    for row in rows.tolist():
        value = int(values[row])
        if int(float(value)) != value:
            raise _found(batch, row, column, f"{value}", INEXACT)


def refuse_inexact_texts(source: Source, encoder: Encoder) -> None:
    """Refuse whole numbers of targets and the like that are other numbers in float64.

    Texts are read as float64; where that gave large numbers, they are looked at once more.

    Raises
    ------
    ValueFound
    """
    for column in sorted(encoder.large):
        if (found := source.first_inexact(column)) is not None:
            file, row, text = found
            raise ValueFound(
                f"{file}: row {row}, column {column}: found {text}, expected {INEXACT}."
            )


def batch_rows(n_columns: int, memory: int) -> int:
    """Rows of a batch of so many columns."""
    budget = min(_BATCH_BYTES, memory // 32)
    return max(1, min(1 << 16, budget // (8 * max(1, n_columns))))


def _refuse_first(
    batch: Batch,
    refused: np.ndarray,
    block: np.ndarray,
    names: list[str],
    *,
    hint: str = "",
    missing: str = _MISSING,
) -> None:
    if not refused.any():
        return
    row, column = np.argwhere(refused)[0]
    value = block[row, column]
    absent = bool(np.isnan(value))
    found = missing if absent else f"{value}"
    if absent and hint:
        others = [names[j] for j in np.flatnonzero(np.isnan(block).any(axis=0)) if j != column]
        hint += f" Near it there are some in {_few(others)}, too." if others else ""
    raise _found(batch, row, names[column], found, "a finite number", hint if absent else "")


def _found(
    batch: Batch, row: int, column: str, found: str, expected: str, hint: str = ""
) -> ValueFound:
    return ValueFound(
        f"{batch.file}: row {batch.first_row + row}, column {column}: "
        f"found {found}, expected {expected}.{hint.replace('{column}', column)}"
    )


def _few(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more columns" if more > 0 else "")
