"""Synthetic data sets of any size, written chunk by chunk."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from dasklasso.dataset.checks import NumberedNames
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.synthetic import KINDS, Kind, Model
from dasklasso.errors import OptionError

_BATCH_BYTES = 16 << 20


def generate(
    kind: Kind,
    store: str | os.PathLike[str],
    *,
    rows: int,
    features: int,
    seed: int = 0,
    dtype: str | None = None,
    targets: int = 1,
    progress: Callable[[int, int], None] | None = None,
    chunk_rows: int | None = None,
    chunk_columns: int | None = None,
    codec: str = "none",
    memory: int = 1 << 30,
    overwrite: bool = False,
) -> Manifest:
    """Write a synthetic dataset whose true coefficients are known.

    Rows are drawn in batches, each from a seed of its own, and y is computed from X as stored:
    the data depend on ``kind``, ``features``, ``seed``, ``dtype`` and ``targets`` only, and the
    rows of a smaller data set begin a larger one (but for its last, incomplete batch).

    Parameters
    ----------
    kind : {"tall", "wide", "logistic", "sparse"}
        - tall: AR(1) columns, ρ = 0.5, means within ±10 standard deviations, scales from 0.1 to
          10; 5 % of the coefficients are not zero; signal to noise (variances) 3.
        - wide: unit columns, AR(1) within blocks of 100; 50 nonzero coefficients; the same noise.
        - logistic: labels 0 and 1 from a logistic model on columns as in tall, logits of standard
          deviation 2.
        - sparse: counts 0, 1, 2 (95 %, 4 %, 1 %); otherwise as tall.
    store : path
    rows, features : int
    seed : int
    dtype : str, optional
        Of X: float16, float32 (default) or float64; for sparse also an integer (default uint8).
    targets : int
        Number of targets, each with its own coefficients (logistic: 1).
    progress : callable, optional
        Called with rows written and rows in all.
    chunk_rows, chunk_columns, codec, memory, overwrite
        As for :class:`~dasklasso.dataset.ingest.writer.StoreWriter`.

    Returns
    -------
    manifest : Manifest
        ``origin["generator"]`` holds the coefficients as column numbers and values.

    Raises
    ------
    OptionError, StoreError
    """
    chosen = _checked(kind, rows, features, seed, dtype, targets)
    model = Model.draw(kind, features, targets, seed)
    names = ("y",) if targets == 1 else tuple(NumberedNames("y", targets))
    with StoreWriter(
        store,
        feature_names=NumberedNames("x", features),
        target_names=names,
        dtype=chosen,
        codec=codec,
        memory=memory,
        chunk_rows=chunk_rows,
        chunk_columns=chunk_columns,
        overwrite=overwrite,
        n_rows=rows,
    ) as writer:
        done = 0
        for X, y in _batches(model, rows, chosen, seed):
            writer.write(X, y)
            done += len(X)
            if progress is not None:
                progress(done, rows)
        return writer.finish(_origin(model, rows, features, seed))


def _checked(kind: str, rows: int, features: int, seed: int, dtype: Any, targets: int) -> np.dtype:
    if kind not in KINDS:
        raise OptionError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}.")
    for name, value, least in (
        ("rows", rows, 2),
        ("features", features, 1),
        ("targets", targets, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise OptionError(f"{name} is {value}, expected at least {least}.")
    if kind == "logistic" and targets != 1:
        raise OptionError(f"targets is {targets}, expected 1 for logistic data.")
    try:
        chosen = np.dtype(dtype or ("uint8" if kind == "sparse" else "float32"))
    except TypeError:
        raise OptionError(f"dtype is {dtype!r}, expected a NumPy dtype's name.") from None
    if chosen.kind not in ("fiu" if kind == "sparse" else "f") or chosen.itemsize > 8:
        raise OptionError(f"dtype is {chosen}, which cannot hold {kind} data.")
    return chosen


def _batches(
    model: Model, rows: int, dtype: np.dtype, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches in order, drawn by threads a few ahead of the one that writes."""
    step = max(1, _BATCH_BYTES // (4 * model.n_features))  # whatever dtype and chunks are

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        m = min(step, rows - number * step)
        return model.rows(m, dtype, np.random.SeedSequence(seed, spawn_key=(number,)))

    threads = max(1, min(4, os.cpu_count() or 1))
    waiting: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="generate")
    try:
        for number in range(-(-rows // step)):
            waiting.append(pool.submit(draw, number))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _origin(model: Model, rows: int, features: int, seed: int) -> dict[str, Any]:
    return {
        "source": f"dasklasso generate {model.kind}",
        "format": "synthetic",
        "ingested": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("dasklasso", "numpy", "zarr")},
        "generator": {"rows": rows, "features": features, "seed": seed, **model.to_json()},
    }
