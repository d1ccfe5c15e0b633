"""Predictions for the rows of a table that is no store: encoded by the model's schema, streamed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dasklasso.choices import Missing, Unseen
from dasklasso.dataset.ingest.align import Asked, Need
from dasklasso.dataset.ingest.by_schema import PreparedTable
from dasklasso.dataset.schema import Schema
from dasklasso.errors import ModelError, SourceError
from dasklasso.model.path import FittedPath
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.queries.row_sums import row_sums
from dasklasso.scoring.predict import outcome

DEFAULT_MEMORY = 256 << 20  # where no limit says less or more


class TablePredictor:
    """A model about to be applied to a table.

    Parameters
    ----------
    path : FittedPath
        With a schema.
    table : str or Path
        Of any kind that :func:`~dasklasso.dataset.ingest.ingest.ingest` takes. It needs no target.
    of : str
        How messages name the model.
    ids : sequence of str
        Columns that are copied as they are, next to the predictions.
    offset : str, optional
        The column of offsets, where it has another name than in training.
    missing, unseen, memory, array
        As for :class:`~dasklasso.dataset.ingest.by_schema.PreparedTable`.

    Raises
    ------
    ModelError
        The model has no schema.
    OptionError, SourceError
        The table cannot be read, or columns are missing or of another type.
    """

    def __init__(
        self,
        path: FittedPath,
        table: str | os.PathLike[str],
        *,
        of: str = "the model",
        ids: Sequence[str] = (),
        offset: str | None = None,
        missing: Missing | None = None,
        unseen: Unseen = "error",
        memory: int | None = None,
        array: str | None = None,
    ) -> None:
        need: Need = "required" if path.has_offset else "no"
        self._path = path
        self._ids = tuple(ids)
        self.table = PreparedTable(
            table,
            schema_of(path, of),
            of=of,
            asked=Asked(needs={"offset": need}, offset=offset, as_is=self._ids),
            missing=missing,
            unseen=unseen,
            memory=memory or DEFAULT_MEMORY,
            array=array,
        )

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None where only reading would tell."""
        return self.table.source.n_rows

    def predictions(
        self, alpha: float | None = None, *, proba: bool = False, linear: bool = False
    ) -> Iterator[tuple[int, int, np.ndarray, list[Any]]]:
        """Predict every row, in bounded memory.

        A row's prediction is, to the last bit, what
        :func:`~dasklasso.scoring.predict.predict_store` gives for a store with that row, as long
        as the store's rows are not so wide that they are read in parts.

        Parameters are those of :func:`~dasklasso.scoring.predict.predict_store`.

        Yields
        ------
        (row_start, row_stop, prediction (rows, n_targets), Arrow arrays of the ids)

        Raises
        ------
        OptionError, ModelError
            There is no such alpha, or the model has no probabilities.
        SourceError, ValueFound
            The table has no rows, or a value cannot be used.
        """
        path = self._path
        loss = path.loss_of_probabilities() if proba else path.loss_value
        rows, intercepts = path.coefficients_at(alpha)
        coef = rows.toarray().T
        start = 0
        for batch, encoded in self.table.batches():
            stop = start + batch.n_rows
            prediction = row_sums([DenseBlock(encoded.X)], [coef]) + intercepts
            if encoded.offset is not None:
                prediction = prediction + encoded.offset[:, None]
            found = outcome(path, loss, prediction, proba=proba, linear=linear)
            yield start, stop, found, [batch.as_is(name) for name in self._ids]
            start = stop
        if start == 0:
            raise SourceError(f"{self.table.source.path}: has no rows, expected at least one.")


def schema_of(path: FittedPath, of: str) -> Schema:
    """Return the schema of a model.

    Raises
    ------
    ModelError
        It has none.
    """
    if path.schema is None:
        raise ModelError(
            f"{of} has no schema, so a table cannot be encoded for it: it was fitted by an older "
            "version, or on data that dasklasso did not ingest. Fit it again on a store that "
            "dasklasso ingested, or predict for a store with the model's features."
        )
    return path.schema
