"""What users hand to ``fit`` and ``predict``, told apart and made into datasets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import dask
import numpy as np
import zarr
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data
from zarr.abc.store import Store

from dasklasso.dataset.checks import NumberedNames
from dasklasso.dataset.dask_arrays import is_dask, spill
from dasklasso.dataset.dataset import Dataset, from_arrays, open_dataset
from dasklasso.errors import ModelError, OptionError, ValueFound
from dasklasso.model.path import FittedPath
from dasklasso.storage.blocks import MemoryBlocks, chunk_lengths
from dasklasso.storage.zarr_blocks import ZarrBlocks

_NAMED = (str, os.PathLike, zarr.Group, zarr.Array, Store)


def is_stored(X: Any) -> bool:
    """Tell whether X is a place to read from (a path, a URL, a zarr object, an open dataset)."""
    return isinstance(X, (*_NAMED, Dataset))


def stored_dataset(
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    offset: Any = None,
    *,
    require_target: bool = True,
) -> Dataset:
    """Open a store; y and the weights are its own unless given.

    Parameters
    ----------
    X : anything that :func:`is_stored`
    y, sample_weight, offset : array of any kind, a path, or a name in the store, optional

    Raises
    ------
    OptionError
        When y or weights are given with a dataset that is open already.
    StoreError, ValueFound
        As :func:`dasklasso.dataset.dataset.open_dataset`.
    """
    if isinstance(X, Dataset):
        if any(array is not None for array in (y, sample_weight, offset)):
            raise OptionError(
                "y, sample_weight and offset: open the dataset with them, not beside it"
            )
        return X
    given = {"y": y, "sample_weight": sample_weight, "offset": offset}
    lazy = {name: array for name, array in given.items() if is_dask(array)}
    keep = None
    if lazy:
        sources, keep = spill(**lazy)
        for name, source in sources.items():
            assert isinstance(source, ZarrBlocks)
            given[name] = zarr.open_array(source.store, path=source.path, mode="r")
    arrays: dict[str, Any] = {
        name: array if array is None or isinstance(array, _NAMED) else np.asarray(array)
        for name, array in given.items()
    }
    data = open_dataset(X, **arrays, require_target=require_target)
    return data if keep is None else replace(data, keep=keep)


def dask_dataset(X: Any, y: Any, sample_weight: Any, offset: Any = None) -> Dataset:
    """Dask arrays, computed once into a temporary store; y and weights may be of any kind."""
    arrays = [
        array
        if array is None or is_dask(array) or isinstance(array, zarr.Array)
        else np.asarray(array)
        for array in (y, sample_weight, offset)
    ]
    if y is None:
        raise OptionError("y: X is a dask array and requires y to be passed, found None")
    return from_arrays(X, *arrays[:2], offset=arrays[2])


def checked_dataset(model: Any, X: Any, y: Any, sample_weight: Any, offset: Any = None) -> Dataset:
    """Data in memory, checked as scikit-learn checks them; sets ``n_features_in_`` on the model.

    Raises
    ------
    ValueError, TypeError
        scikit-learn's own, for a wrong shape, type, NaN or infinity.
    ValueFound
        A target is constant, or the weights cannot be used.
    """
    table, y = validate_data(
        model,
        X,
        _in_memory(y),
        dtype="numeric",
        y_numeric=True,
        multi_output=True,
        ensure_min_samples=2,  # of one row nothing is left but the mean
    )
    return _of_table(model, table, y, sample_weight, offset)


def labelled_dataset(
    model: Any, X: Any, y: Any, sample_weight: Any, offset: Any = None
) -> tuple[Dataset, np.ndarray]:
    """Data in memory whose targets are labels, and those in ascending order.

    Raises
    ------
    ValueError, TypeError
        scikit-learn's own, for a wrong shape or type, NaN or infinity, and for y of numbers.
    ValueFound
        y has not two labels or more, or labels of several kinds, or none in some row; or the
        weights cannot be used.
    """
    missing = np.flatnonzero(y.isna()) if hasattr(y, "isna") else np.zeros(0)
    if missing.size:
        raise ValueFound(f"y is missing in row {missing[0]:,}, expected a label in every row")
    table, y = validate_data(model, X, _in_memory(y), dtype="numeric", ensure_min_samples=2)
    try:
        check_classification_targets(y)
        values, names, classes = values_of_labels(y)
    except TypeError:  # they cannot be put in order
        kinds = ", ".join(sorted({type(label).__name__ for label in y.tolist()}))
        raise ValueFound(
            f"y has labels of several kinds ({kinds}), expected text or numbers in every row"
        ) from None
    if len(classes) < 2:
        [only] = classes.tolist()
        raise ValueFound(f"y has one class only, {only!r} in every row; expected two classes")
    data = _of_table(model, table, values, sample_weight, offset)
    return replace(data, target_classes=() if names is None else (names,)), classes


def values_of_labels(y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...] | None, np.ndarray]:
    """Labels as numbers.

    Returns
    -------
    values : (n_rows,) float64
        The labels themselves where they are numbers, else their codes.
    names : tuple of str, or None where labels are numbers
        What codes stand for.
    classes : (n_classes,)
        The labels, ascending, of y's own type.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if all(isinstance(label, Real) for label in classes.tolist()):
        return classes.astype(np.float64)[codes], None, classes
    return codes.astype(np.float64), tuple(str(label) for label in classes), classes


def given_labels(y: Any) -> tuple[Any, tuple[str, ...] | None, np.ndarray | None]:
    """Labels given with a store or a dask array, as :func:`values_of_labels` has them.

    Names of arrays, and lazy numbers, stay as they are: their labels (None) are not known.
    """
    lazy = is_dask(y) and y.dtype.kind in "biuf"
    if y is None or isinstance(y, _NAMED) or lazy:
        return y, None, None
    return values_of_labels(np.asarray(y).reshape(-1))


def _of_table(
    model: Any, table: np.ndarray, y: np.ndarray, sample_weight: Any, offset: Any
) -> Dataset:
    """Return a table that was checked, with its targets, weights and offsets."""
    sample_weight = _in_memory(sample_weight)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(
            sample_weight, table, dtype=np.float64, ensure_non_negative=True
        )
    names = getattr(model, "feature_names_in_", None)
    if offset is not None:
        offset = np.asarray(offset, dtype=np.float64)
    return from_arrays(_compact(table), y, sample_weight, offset=offset, feature_names=names)


def checked_table(model: Any, X: Any) -> np.ndarray:
    """Rows in memory to predict for, checked against what the model was fitted on."""
    return validate_data(model, X, reset=False, dtype="numeric")


def _in_memory(array: Any) -> Any:
    return np.asarray(array) if is_dask(array) or isinstance(array, zarr.Array) else array


def _compact(table: np.ndarray) -> np.ndarray:
    # integers beyond 32 bits do not survive float32, and float64 takes no more memory
    wide = table.dtype.kind in "iu" and table.dtype.itemsize == 8
    return table.astype(np.float64) if wide else table


def predict_dask(path: FittedPath, X: Any, offset: Any = None) -> np.ndarray:
    """Predict a dask array's rows, a row chunk at a time.

    Raises
    ------
    ModelError
        When X does not have the model's features.
    """
    if X.ndim != 2 or X.shape[1] != path.n_features:
        raise ModelError(
            f"X has shape {X.shape}, expected (n_rows, {path.n_features}): the model has "
            f"{path.n_features} features."
        )
    if offset is None and path.has_offset:
        raise ModelError("the model was fitted with offsets: expected an offset for each row.")
    linear = replace(path, has_offset=None)
    whole = X.rechunk({1: -1})
    meta = np.empty((0,) * (1 if path.y_is_vector else 2))
    if path.y_is_vector:
        lazy = whole.map_blocks(linear.linear_prediction, drop_axis=1, dtype=np.float64, meta=meta)
    else:
        chunks = (whole.chunks[0], (path.n_targets,))
        lazy = whole.map_blocks(
            linear.linear_prediction, chunks=chunks, dtype=np.float64, meta=meta
        )
    found = lazy.compute()
    if offset is None:
        return found
    rows = np.asarray(offset, dtype=np.float64).reshape(-1)
    return found + (rows if path.y_is_vector else rows[:, None])


def names_given(found: Sequence[str]) -> Sequence[str] | None:
    """Feature names that a user chose; None where columns are only numbered."""
    if isinstance(found, NumberedNames):
        return None
    numbered = NumberedNames("x", len(found))
    if all(name == number for name, number in zip(found, numbered, strict=True)):
        return None
    return found


def reachable_by_workers(data: Dataset) -> Dataset:
    """Return the same dataset with what is in this process's memory written to a temporary store.

    The store is in Python's temporary folder (``TMPDIR``), which workers on other machines must
    see under the same path. It is gone with the dataset.
    """
    held = {
        name: source
        for name in ("X", "y", "sample_weight", "fold", "offset")
        if isinstance(source := getattr(data, name), MemoryBlocks)
    }
    if not held:
        return data
    import dask.array as da

    arrays = {
        name: da.from_array(
            source.array,
            chunks=(chunk_lengths(source.row_bounds), (source.shape[1],)),
            name=False,
        )
        for name, source in held.items()
    }
    with dask.config.set(scheduler="synchronous"):  # from memory to disk: not by way of a cluster
        found, keep = spill(**arrays)
    sources: dict[str, Any] = dict(found)
    # the values are the same, and so is the fingerprint that checkpoints go by
    return replace(data, **sources, keep=(data.keep, keep))
