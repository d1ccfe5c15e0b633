"""How well models predict the rows of a data set: one read of X, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from dasklasso.dataset.checks import check_finite, check_weights
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.recode import recoded
from dasklasso.errors import ModelError, OptionError, StoreError, ValueFound
from dasklasso.fit.peak_memory import PeakMemory
from dasklasso.fit.session import open_runner
from dasklasso.model.path import FittedPath
from dasklasso.objective.losses.base import Loss
from dasklasso.options import RunOptions
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.predictions import predictions
from dasklasso.scan.queries.prediction import Prediction
from dasklasso.scan.runners import PROCESS_BYTES, cores_here
from dasklasso.scoring.incremental import (
    INCREMENTAL,
    covariates_alone,
    is_told,
    why_none_alone,
    with_increment,
)
from dasklasso.scoring.metrics.base import LossMetrics, Outcome
from dasklasso.scoring.metrics.metrics import check_scorable, metrics_for
from dasklasso.scoring.metrics.target_summary import (
    Targets,
    null_prediction,
    summarise,
    summarise_classes,
)
from dasklasso.scoring.predict import offsets_for
from dasklasso.scoring.ranking import Ranked
from dasklasso.scoring.report import Scored
from dasklasso.scoring.rows import Observed, ScoredRows
from dasklasso.storage.zarr_blocks import read_rows

DEFAULT_MEMORY = 256 << 20  # for predictions and for sorting them, where no limit says less
LEAST_MEMORY = 16 << 20
SLAB_VALUES = 1 << 16  # predictions that are summed at a time: what is made of them stays cached
MOST_TEMPORARIES = 8  # arrays, like the predictions of some rows, at the same time


@dataclass(frozen=True)
class _Models:
    """Some models of a path: coef rows and intercepts by alpha, then target."""

    alphas: np.ndarray
    coef: csr_array
    intercepts: np.ndarray

    def with_last(self, coef: csr_array, intercepts: np.ndarray) -> _Models:
        """Return these and one model more, which has no alpha."""
        return _Models(
            self.alphas, vstack([self.coef, coef], format="csr"),
            np.concatenate([self.intercepts, intercepts]),
        )  # fmt: skip

    @property
    def n_nonzero(self) -> np.ndarray:
        """(n_alphas,) features used by any target."""
        n_targets = self.coef.shape[0] // len(self.alphas)
        parts = [self.coef[k : k + n_targets] for k in range(0, self.coef.shape[0], n_targets)]
        return np.asarray([len(np.unique(part.indices[part.data != 0])) for part in parts])


def score_store(
    data: Dataset,
    path: FittedPath,
    *,
    alpha: float | None = None,
    all_alphas: bool = False,
    bins: int = 10,
    run: RunOptions | None = None,
) -> Scored:
    """Score one model of a path, or all of them, on every row of a data set.

    Parameters
    ----------
    data : Dataset
        With y. Its sample weights count; rows of weight 0 do not.
    alpha : float or None
        As in :meth:`~dasklasso.model.path.FittedPath.coefficients_at`.
    all_alphas : bool
        Score every alpha of the path, from one read of X; there is no calibration then.
    bins : int
        Of the calibration of a model that gives probabilities.
    run : RunOptions, optional

    Raises
    ------
    StoreError
        The data have no y.
    ModelError
        The model has other features, another number of targets, or labels of another kind.
    OptionError
        There is no such alpha, or an option cannot be used.
    ValueFound
        A target, a weight or a prediction is not finite; or a target is outside the loss's range,
        or a label that the model does not know.
    MemoryLimitError
        Sorted predictions would not fit on the disk.
    """
    began = time.perf_counter()
    run = run or RunOptions()
    if bins < 1:
        raise OptionError(f"bins: {bins} found, expected at least 1")
    check_scorable(path.loss)
    models = _models(path, alpha, all_alphas=all_alphas)
    _check(data, path)
    offset = offsets_for(data, path)
    loss = path.loss_value
    if path.classes is not None:
        data = recoded(data, path.classes, probabilities=not path.predicts_classes)
    rows = ScoredRows(data, offset)
    judge = _judge(data, rows, loss, calibrated=not all_alphas)
    total_weight, memory = judge.targets.weight, _memory(run)
    alone = covariates_alone(path) if is_told(path) else None
    scored = models if alone is None else models.with_last(*alone)
    n_alphas, n_outputs = scored.coef.shape[0] // path.n_targets, path.n_targets
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(cores_here()))
        ranked = None
        if rankings := judge.rankings():
            ranked = Ranked(
                rankings,
                judge.targets.n_rows,
                n_alphas,
                weighted=rows.weighted,
                memory=memory // 2,
                pool=pool,
            )
            stack.enter_context(closing(ranked))
        runner = stack.enter_context(open_runner(data, run, None))
        peak = stack.enter_context(PeakMemory())
        engine = ScanEngine(
            replace(data, y=None, sample_weight=None, offset=None), runner, run.band_bytes
        )
        query = Prediction(tuple(float(b) for b in scored.intercepts), run.device)
        # sums are of the same pieces whether one thread of this machine reads or all do
        threads = max(cores_here(), sum(n for _, n in runner.shares()))
        most_rows = _rows_at_once(memory // 2, len(scored.intercepts), threads)
        sums: Any = 0.0
        for start, stop, values in predictions(engine, query, scored.coef, most_rows=most_rows):
            if offset is not None:
                values = values + read_rows(offset, start, stop)
            _refuse_nonfinite(data, values, start)
            shaped = values.reshape(stop - start, n_alphas, n_outputs)
            prediction, observed = rows.counted(start, stop, shaped)
            for some, (found, outcomes) in _judged(judge, prediction, observed, pool):
                sums = sums + found
                if ranked is not None:
                    ranked.add(outcomes, observed[1][some] if rows.weighted else None)
        metrics = judge.metrics(sums)
        areas, calibrations = np.empty((0, n_alphas)), list[list[dict[str, Any]]]()
        if ranked is not None:
            areas, calibrations = ranked.results(bins, total_weight)
        if "auc" in judge.names:
            metrics["auc"] = judge.areas(areas)
    metrics = {name: metrics[name] for name in judge.names}
    undefined = {n: r for n, r in judge.undefined().items() if any(r)}
    if is_told(path):
        metrics = with_increment(metrics, len(models.alphas))
        undefined |= {} if alone else {INCREMENTAL: [why_none_alone(path)] * n_outputs}
    return Scored(
        loss=path.loss,
        alphas=models.alphas,
        n_nonzero=models.n_nonzero,
        target_names=tuple(data.target_names if path.predicts_classes else path.target_names),
        y_is_vector=path.y_is_vector or path.predicts_classes,
        metrics=metrics,
        undefined=undefined,
        calibration=[_with_weights(table, rows) for table in calibrations] or None,
        by_class=None if all_alphas else _by_class(judge, sums, areas, path),
        n_rows=judge.targets.n_rows,
        weight=rows.true_weight(total_weight),
        scans=engine.scans,
        seconds=time.perf_counter() - began,
        peak_memory_bytes=peak.nbytes,
    )


def _models(path: FittedPath, alpha: float | None, *, all_alphas: bool) -> _Models:
    if all_alphas:
        if alpha is not None:
            raise OptionError("alpha and all_alphas: give one of them.")
        return _Models(path.alphas, path.coef_rows, path.intercepts.ravel())
    coef, intercepts = path.coefficients_at(alpha)
    return _Models(np.asarray([path.resolve_alpha(alpha)]), coef, intercepts)


def _check(data: Dataset, path: FittedPath) -> None:
    """Refuse data that the path cannot be judged on; y and the weights are read."""
    if path.n_features != data.n_features:
        raise ModelError(
            f"{data.location}: {data.n_features} features found, expected the model's "
            f"{path.n_features}"
        )
    if data.y is None:
        raise StoreError(f"{data.location} has no array y: there is nothing to score against.")
    if data.n_targets != path.n_problems:
        raise ModelError(
            f"{data.location}: {data.n_targets} targets found, expected the model's "
            f"{path.n_problems}"
        )
    check_finite(data.y, data.target_names, data.location)
    if data.sample_weight is not None:
        check_weights(data.sample_weight, data.location)


def _judge(data: Dataset, rows: ScoredRows, loss: Loss, *, calibrated: bool) -> LossMetrics:
    """Return what judges predictions of these targets, which are read and checked."""
    if loss.n_outputs != 1:
        targets = summarise_classes(rows.in_blocks(), loss.n_outputs)
        return metrics_for(loss, targets, calibrated=calibrated)
    targets = summarise(rows.in_blocks())
    _check_range(data, loss, targets)
    null = null_prediction(loss, targets, rows.with_offsets, offsets=rows.have_offsets)
    return metrics_for(loss, targets, null, calibrated=calibrated)


def _check_range(data: Dataset, loss: Loss, targets: Targets) -> None:
    least, greatest = loss.target_range
    for k, (low, high) in enumerate(zip(targets.minimum, targets.maximum, strict=True)):
        if low < least or high > greatest:
            found = low if low < least else high
            raise ValueFound(
                f"{data.location}: target {data.target_names[k]} has the value {found:g}, but "
                f"loss {loss.name} expects {least:g} to {greatest:g}."
            )


def _refuse_nonfinite(data: Dataset, prediction: np.ndarray, start: int) -> None:
    finite = np.isfinite(prediction).all(axis=1)
    if not finite.all():
        row = start + int(np.argmin(finite))
        raise ValueFound(
            f"{data.location}: the prediction of row {row:,} is not a finite number, so X has NaN, "
            "infinity or too large a value there."
        )


def _memory(run: RunOptions) -> int:
    """Bytes for predictions and for sorting them, besides what reading takes."""
    if run.memory is None:
        return DEFAULT_MEMORY
    left = run.memory - PROCESS_BYTES * (1 + (run.workers or 0))
    return max(LEAST_MEMORY, min(DEFAULT_MEMORY, left // 2))


def _rows_at_once(memory: int, n_models: int, threads: int) -> int:
    """Rows that one task predicts: as many tasks as there are threads are held at the same time."""
    return max(1, memory // (8 * n_models * (2 * threads + MOST_TEMPORARIES)))


def _judged(
    judge: LossMetrics, prediction: np.ndarray, observed: Observed, pool: Any
) -> Iterator[tuple[slice, tuple[np.ndarray, Sequence[Outcome]]]]:
    """Sums and outcomes of some rows, slab by slab on the threads of a pool, in their order."""
    y, weight, offset = observed
    slab = max(1, SLAB_VALUES // max(1, prediction[:1].size))
    cuts = [slice(k, k + slab) for k in range(0, len(prediction), slab)]

    def judged(rows: slice) -> tuple[np.ndarray, Sequence[Outcome]]:
        some = prediction[rows], y[rows]
        return judge.sums(*some, weight[rows], offset[rows]), judge.outcomes(*some)

    return zip(cuts, pool.map(judged, cuts), strict=True)


def _by_class(
    judge: LossMetrics, sums: np.ndarray, areas: np.ndarray, path: FittedPath
) -> list[dict[str, Any]] | None:
    found = judge.by_class(sums, areas)
    if found is None:
        return None
    labels = path.labels.tolist()
    return [{"class": label, **row} for label, row in zip(labels, found, strict=True)]


def _with_weights(table: list[dict[str, Any]], rows: ScoredRows) -> list[dict[str, Any]]:
    return [{**row, "weight": rows.true_weight(row["weight"])} for row in table]
