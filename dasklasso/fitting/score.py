"""How well models predict the rows of a data set: one read of X, in bounded memory."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dasklasso.dataset.blocks import LastBlock
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.recoding import recoded
from dasklasso.dataset.targets import check_finite, check_weights
from dasklasso.dataset.zarrblocks import read_rows
from dasklasso.errors import MemoryLimitError, ModelError, OptionError, StoreError, ValueFound
from dasklasso.fit_options import RunOptions
from dasklasso.fitting.predict import offsets_for
from dasklasso.fitting.scored import Scored
from dasklasso.fitting.session import open_runner
from dasklasso.memory import PeakMemory
from dasklasso.objective.losses import Loss
from dasklasso.result import FittedPath
from dasklasso.scan.cluster import PROCESS_BYTES, cores_here
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.predicting import predictions
from dasklasso.scan.queries import Prediction
from dasklasso.scoring.calibration import Calibration
from dasklasso.scoring.metrics import LossMetrics, check_scorable, metrics_for
from dasklasso.scoring.ranked import AreaUnderCurve, groups
from dasklasso.scoring.sorting import SortedScores
from dasklasso.scoring.targets import Targets, null_prediction, summarise
from dasklasso.sizes import format_size

MEMORY = 256 << 20  # for predictions and for sorting them, where no limit says less
LEAST_MEMORY = 16 << 20
SLAB_VALUES = 1 << 16  # predictions that are summed at a time: what is made of them stays cached
TEMPORARIES = 8  # arrays like the predictions of some rows that exist at the same time, at most
TARGET_ROWS = 1 << 18  # read at a time for the summary of the targets


@dataclass(frozen=True)
class _Models:
    """Some models of a path: coef rows and intercepts by alpha, then target."""

    alphas: np.ndarray
    coef: csr_array
    intercepts: np.ndarray

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
        As in :meth:`~dasklasso.result.FittedPath.coefficients_at`.
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
    data = data if path.classes is None else recoded(data, path.classes)
    rows = _ScoredRows(data)
    targets = summarise(rows.in_blocks())
    loss = path.loss_value
    _check_range(data, loss, targets)
    judge = metrics_for(loss, targets, null_prediction(loss, targets, rows.in_blocks))
    memory = _memory(run)
    n_alphas, n_targets = len(models.alphas), data.n_targets
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(cores_here()))
        sorters = _sorters(
            judge, targets, rows, n_alphas, memory // 2, pool, calibrated=not all_alphas
        )
        for one in sorters.values():
            stack.enter_context(closing(one))
        runner = stack.enter_context(open_runner(data, run, None))
        peak = stack.enter_context(PeakMemory())
        engine = ScanEngine(
            replace(data, y=None, sample_weight=None, offset=None), runner, run.band_bytes
        )
        query = Prediction(tuple(float(b) for b in models.intercepts), run.device)
        threads = sum(n for _, n in runner.shares())
        most_rows = _rows_at_once(memory // 2, len(models.intercepts), threads)
        sums: Any = 0.0
        for start, stop, values in predictions(engine, query, models.coef, most_rows=most_rows):
            if offset is not None:
                values = values + read_rows(offset, start, stop)
            _refuse_nonfinite(data, values, start)
            shaped = values.reshape(stop - start, n_alphas, n_targets)
            prediction, y, weight = rows.beside(start, stop, shaped)
            if len(y) == 0:
                continue
            sums = sums + _sums(judge, prediction, y, weight, pool)
            for k, one in sorters.items():
                one.add(prediction[:, :, k], y[:, k], weight if rows.weighted else None)
        metrics = judge.metrics(sums)
        calibrations: dict[int, Calibration] = {}
        if judge.ranked:
            if not all_alphas:
                mean = judge.loss.mean
                calibrations = {k: Calibration(bins, targets.weight, mean) for k in sorters}
            metrics["auc"] = _ranked(sorters, n_alphas, n_targets, pool, calibrations)
            metrics["auc"][:, [reason is not None for reason in judge.undefined()["auc"]]] = np.nan
    return Scored(
        loss=path.loss,
        alphas=models.alphas,
        n_nonzero=models.n_nonzero,
        target_names=tuple(path.target_names),
        y_is_vector=path.y_is_vector,
        metrics={name: metrics[name] for name in judge.names},
        undefined={n: r for n, r in judge.undefined().items() if any(r)},
        calibration=[_with_weights(c.table(), rows) for c in calibrations.values()] or None,
        n_rows=targets.n_rows,
        weight=rows.true_weight(targets.weight),
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
    if data.n_targets != path.n_targets:
        raise ModelError(
            f"{data.location}: {data.n_targets} targets found, expected the model's "
            f"{path.n_targets}"
        )
    check_finite(data.y, data.target_names, data.location)
    if data.sample_weight is not None:
        check_weights(data.sample_weight, data.location)


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
    """Bytes for predictions and for sorting them, beside what reading takes."""
    if run.memory is None:
        return MEMORY
    left = run.memory - PROCESS_BYTES * (1 + (run.workers or 0))
    return max(LEAST_MEMORY, min(MEMORY, left // 2))


def _rows_at_once(memory: int, n_models: int, threads: int) -> int:
    """Rows that one task predicts: as many tasks as there are threads are held at the same time."""
    return max(1, memory // (8 * n_models * (2 * threads + TEMPORARIES)))


class _ScoredRows:
    """The targets and weights of the rows that count, in the order of the rows.

    Weights are scaled by a power of two, so that none is above 1 and sums cannot overflow.
    """

    def __init__(self, data: Dataset) -> None:
        assert data.y is not None
        self.n_rows = data.n_rows
        self._y = LastBlock(data.y)
        self._weight = None if data.sample_weight is None else LastBlock(data.sample_weight)
        self._exponent = 0
        if self._weight is not None:
            largest = max(float(weight.max()) for _, weight in self._read())
            self._exponent = int(np.frexp(largest)[1]) - (np.frexp(largest)[0] == 0.5)

    @property
    def weighted(self) -> bool:
        return self._weight is not None

    def in_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(y (n, n_targets), weight (n,)) of the rows that count."""
        for y, weight in self._read():
            counted = weight > 0
            yield y[counted], weight[counted]

    def beside(
        self, start: int, stop: int, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predictions, targets and weights of those of these rows that count."""
        y, weight = self._between(start, stop)
        counted = weight > 0
        if counted.all():
            return prediction, y, weight
        return prediction[counted], y[counted], weight[counted]

    def true_weight(self, scaled: float) -> float:
        """A sum of weights as they are stored."""
        return float(np.ldexp(scaled, self._exponent))

    def _read(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self.n_rows, TARGET_ROWS):
            yield self._between(start, min(start + TARGET_ROWS, self.n_rows))

    def _between(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        y = read_rows(self._y, start, stop)
        if self._weight is None:
            return y, np.ones(stop - start)
        return y, np.ldexp(read_rows(self._weight, start, stop)[:, 0], -self._exponent)


def _sums(
    judge: LossMetrics, prediction: np.ndarray, y: np.ndarray, weight: np.ndarray, pool: Any
) -> np.ndarray:
    """The sums over some rows, slab by slab on the threads of a pool, added in their order."""
    slab = max(1, SLAB_VALUES // max(1, prediction[:1].size))
    cuts = [slice(k, k + slab) for k in range(0, len(prediction), slab)]
    found = pool.map(lambda rows: judge.sums(prediction[rows], y[rows], weight[rows]), cuts)
    return np.sum(list(found), axis=0)


def _sorters(
    judge: LossMetrics,
    targets: Targets,
    rows: _ScoredRows,
    n_models: int,
    memory: int,
    pool: ThreadPoolExecutor,
    *,
    calibrated: bool,
) -> dict[int, SortedScores]:
    """For each target whose predictions are to be sorted, what sorts them.

    Raises
    ------
    MemoryLimitError
        Where they would fit neither the memory nor the disk.
    """
    if not judge.ranked:
        return {}
    reasons = judge.undefined()["auc"]
    wanted = [k for k, reason in enumerate(reasons) if calibrated or reason is None]
    if not wanted:
        return {}
    # y of labels is a byte, but for rows that are not labels
    kinds = {k: np.uint8 if targets.labels[k] else np.float64 for k in wanted}
    need = sum(
        targets.n_rows * n_models * (8 + np.dtype(kind).itemsize + 8 * rows.weighted)
        for kind in kinds.values()
    )
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if need > max(memory, free):
        raise MemoryLimitError(
            f"sorting the predictions takes {format_size(need)} of temporary files, and {folder} "
            f"has {format_size(free)}. Set TMPDIR to a larger folder, or score fewer alphas."
        )
    return {
        k: SortedScores(
            targets.n_rows,
            n_models,
            kind,
            weighted=rows.weighted,
            memory=memory // len(wanted),
            threads=cores_here(),
            mapped=pool.map,
        )
        for k, kind in kinds.items()
    }


def _with_weights(table: list[dict[str, Any]], rows: _ScoredRows) -> list[dict[str, Any]]:
    return [{**row, "weight": rows.true_weight(row["weight"])} for row in table]


def _ranked(
    sorters: dict[int, SortedScores],
    n_models: int,
    n_targets: int,
    pool: ThreadPoolExecutor,
    calibrations: dict[int, Calibration],
) -> np.ndarray:
    """(n_models, n_targets) areas under the curve; calibrations take in what is sorted for them."""
    area = np.full((n_models, n_targets), np.nan)

    def rank(place: tuple[int, int]) -> float:
        model, target = place
        curve = AreaUnderCurve()
        for found in groups(sorters[target].chunks(model)):
            curve.add(found)
            if target in calibrations:
                calibrations[target].add(found)
        return curve.value

    for one in sorters.values():
        one.close_input()
    places = [(model, target) for target in sorters for model in range(n_models)]
    for place, value in zip(places, pool.map(rank, places), strict=True):
        area[place] = value
    return area
