"""Predictions for every row of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import ModelError
from dasklasso.fit.session import open_runner
from dasklasso.model.path import FittedPath
from dasklasso.objective.losses.base import Loss
from dasklasso.options import RunOptions
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.predictions import predictions
from dasklasso.scan.queries.prediction import Prediction
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import read_rows


def predict_store(
    data: Dataset,
    path: FittedPath,
    *,
    alpha: float | None = None,
    proba: bool = False,
    linear: bool = False,
    run: RunOptions | None = None,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Predict every row of a data set, in bounded memory.

    On the host, a row's prediction does not depend on other rows, not in the last bit.

    Parameters
    ----------
    proba : bool
        Whether to give probabilities, of the greater label or of each class, instead of
        ``Xw + b``, means of counts, or the codes of the most probable classes.
    linear : bool
        Whether to give ``Xw + b`` of each class too, instead of codes.

    Yields
    ------
    (row_start, row_stop, prediction)
        In row order; prediction is (rows, n_targets) float64, or codes (rows, 1).

    Raises
    ------
    ModelError
        When the model has other features than the data, or no probabilities; when it was fitted
        with offsets and the data have none.
    """
    loss = path.loss_of_probabilities() if proba else path.loss_value
    offset = offsets_for(data, path)
    run = run or RunOptions()
    if path.n_features != data.n_features:
        raise ModelError(
            f"{data.location}: {data.n_features} features found, expected the model's "
            f"{path.n_features}"
        )
    rows, intercepts = path.coefficients_at(alpha)
    with open_runner(data, run, None) as runner:
        engine = ScanEngine(
            replace(data, y=None, sample_weight=None, offset=None), runner, run.band_bytes
        )
        query = Prediction(tuple(float(b) for b in intercepts), run.device, row_by_row=True)
        for start, stop, prediction in predictions(engine, query, rows):
            if offset is not None:
                prediction = prediction + read_rows(offset, start, stop)
            yield start, stop, outcome(path, loss, prediction, proba=proba, linear=linear)


def outcome(
    path: FittedPath, loss: Loss, prediction: np.ndarray, *, proba: bool, linear: bool
) -> np.ndarray:
    """Return what is told of predictions ``Xw + b``, as :func:`predict_store` has it.

    Parameters
    ----------
    prediction : (rows, n_targets) float64
    """
    if proba or loss.predicts_mean:
        # one layout always: NumPy's functions may round otherwise where rows are not contiguous
        return np.asarray(loss.mean(np.ascontiguousarray(prediction)))
    if path.predicts_classes and not linear:
        return prediction.argmax(axis=1)[:, None]
    return prediction


def offsets_for(data: Dataset, path: FittedPath) -> BlockSource | None:
    """The offsets that a model's predictions need: the data's, where it was fitted with some.

    Raises
    ------
    ModelError
        When the data have none.
    """
    if not path.has_offset:
        return None
    if data.offset is None:
        raise ModelError(
            f"{data.location}: has no offset, and the model was fitted with one. Ingest it with "
            "--offset NAME."
        )
    return data.offset
