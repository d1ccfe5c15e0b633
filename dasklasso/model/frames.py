"""Data frames in memory as a model's features: by name, or encoded by the model's schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dasklasso.dataset.schema import Schema
from dasklasso.dataset.sources.base import all_named
from dasklasso.errors import ModelError
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.queries.row_sums import row_sums


def by_name(frame: Any, feature_names: Sequence[str]) -> Any:
    """Return the features of a data frame in the model's order.

    Raises
    ------
    ModelError
        Names all that are missing.
    """
    given = set(frame.columns)
    missing = [name for name in feature_names if name not in given]
    if missing:
        what = "column" if len(missing) == 1 else "columns"
        raise ModelError(f"X has no {what} {all_named(missing)}, which the model expects.")
    found = frame[list(feature_names)]
    if found.shape[1] != len(feature_names):
        raise ModelError(
            f"X has {found.shape[1]} columns of the names of {len(feature_names)} features, "
            "expected one of each name."
        )
    return found


def encodes(schema: Schema | None, frame: Any, feature_names: Sequence[str]) -> bool:
    """Tell whether a data frame has text columns of the training table in the place of features."""
    if schema is None or not (schema.levels or schema.reading.reads_numbers):
        return False
    given = set(frame.columns)
    if given.issuperset(feature_names):
        texts = (name for name in schema.columns if frame[name].dtype.kind not in "buif")
        return not schema.levels and schema.reading.reads_numbers and any(texts)
    return not given.isdisjoint(schema.levels)


def encoded_sums(frame: Any, schema: Schema, coef: Any) -> np.ndarray:
    """``Xw`` of the rows of a data frame that has the columns of the training table.

    To the last bit what a file with these rows gives.

    Parameters
    ----------
    coef : (n_targets, n_features) csr_array

    Returns
    -------
    (n_rows, n_targets) float64

    Raises
    ------
    ModelError
        A column holds values of several types.
    SourceError, ValueFound
        Columns are missing or of another type, or a value cannot be used.
    """
    import pyarrow as pa

    from dasklasso.dataset.ingest.align import Asked
    from dasklasso.dataset.ingest.by_schema import PreparedTable
    from dasklasso.dataset.sources.arrow import ArrowSource

    known = frame[[name for name in frame.columns if name in schema.columns]]
    try:
        held = pa.table({name: pa.array(known[name]) for name in known.columns})
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ModelError(f"X cannot be read as a table: {' '.join(str(error).split())}.") from None
    table = PreparedTable(
        ArrowSource(held, "X"), schema, of="the model", asked=Asked(needs={}), remedy=""
    )
    weights = coef.toarray().T
    sums = [row_sums([DenseBlock(encoded.X)], [weights]) for _, encoded in table.batches()]
    return np.concatenate(sums) if sums else np.zeros((0, coef.shape[0]))
