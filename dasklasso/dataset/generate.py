"""Synthetic data sets of any size, written chunk by chunk."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from dasklasso.dataset.checks import NumberedNames
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.manifest import Manifest
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


Kind = Literal["tall", "wide", "logistic", "sparse"]


KINDS: tuple[Kind, ...] = ("tall", "wide", "logistic", "sparse")


RHO = 0.5


SNR = 3.0


_WIDE_BLOCK = 100  # columns that are correlated with each other


_WIDE_NONZERO = 50


_NONZERO_SHARE = 0.05


_LOGIT_STD = 2.0


_SLAB = 2048


# Thresholds of a uniform uint16: 4 % ones, 1 % twos.
_ONES_AND_TWOS = round(0.05 * 65536)


_TWOS = round(0.01 * 65536)


@dataclass(frozen=True)
class Model:
    """The truth behind a synthetic data set; all of it follows from kind, size and seed.

    Attributes
    ----------
    kind : str
    n_features : int
    mean, scale : (n_features,) or () float64
        Of the columns.
    support : (n_targets, n_nonzero) int64
        The columns whose coefficients are not zero.
    coef : (n_targets, n_nonzero) float64
        Their coefficients.
    intercept, noise_std : (n_targets,) float64
    """

    kind: Kind
    n_features: int
    mean: np.ndarray
    scale: np.ndarray
    support: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    noise_std: np.ndarray

    @classmethod
    def draw(cls, kind: Kind, n_features: int, n_targets: int, seed: int) -> Model:
        """Return the model of a seed, whatever the number of rows."""
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        mean, scale = np.zeros(()), np.ones(())
        count = max(1, round(_NONZERO_SHARE * n_features))
        if kind == "wide":
            count = min(_WIDE_NONZERO, n_features)
        elif kind in ("tall", "logistic"):
            scale = 10.0 ** rng.uniform(-1, 1, n_features)
            mean = scale * rng.uniform(-10, 10, n_features)
        elif kind == "sparse":
            p1, p2 = (_ONES_AND_TWOS - _TWOS) / 65536, _TWOS / 65536
            mean = np.asarray(p1 + 2 * p2)
            scale = np.sqrt(p1 + 4 * p2 - mean**2)
        support = np.sort(
            [rng.choice(n_features, count, replace=False) for _ in range(n_targets)], axis=1
        )
        # between 0.5 and 1.5 standard deviations' worth each, of either sign
        standard = rng.choice([-1.0, 1.0], support.shape) * rng.uniform(0.5, 1.5, support.shape)
        variance = np.array(
            [_signal_variance(kind, at, u) for at, u in zip(support, standard, strict=True)]
        )
        if kind == "logistic":
            standard *= (_LOGIT_STD / np.sqrt(variance))[:, None]
        coef = standard / np.broadcast_to(scale, (n_features,))[support]
        offset = (coef * np.broadcast_to(mean, (n_features,))[support]).sum(axis=1)
        return cls(
            kind=kind,
            n_features=n_features,
            mean=mean,
            scale=scale,
            support=support,
            coef=coef,
            # labels in balance; other targets of mean one
            intercept=(0.0 if kind == "logistic" else 1.0) - offset,
            noise_std=np.sqrt(variance / SNR) if kind != "logistic" else np.zeros(n_targets),
        )

    def rows(
        self, m: int, dtype: np.dtype, seed: np.random.SeedSequence
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw ``m`` rows.

        Returns
        -------
        X : (m, n_features) of ``dtype``
        y : (m, n_targets) float64, from X as rounded to ``dtype``
        """
        rng = np.random.Generator(np.random.SFC64(seed))
        X = self._features(m, dtype, rng)
        y = np.stack(
            [
                X[:, at].astype(np.float64) @ coef + intercept
                for at, coef, intercept in zip(self.support, self.coef, self.intercept, strict=True)
            ],
            axis=1,
        )
        if self.kind == "logistic":
            return X, (rng.random(y.shape) < 1 / (1 + np.exp(-y))).astype(np.float64)
        return X, y + self.noise_std * rng.standard_normal(y.shape)

    def to_json(self) -> dict[str, Any]:
        """Return the truth as plain JSON types, coefficients as column numbers and values."""
        return {
            "kind": self.kind,
            "rho": 0.0 if self.kind == "sparse" else RHO,
            "snr": None if self.kind == "logistic" else SNR,
            "support": self.support.tolist(),
            "coef": self.coef.tolist(),
            "intercept": self.intercept.tolist(),
            "noise_std": self.noise_std.tolist(),
        }

    def _features(self, m: int, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
        X = np.empty((m, self.n_features), dtype=dtype)
        if self.kind == "sparse":
            u = rng.integers(0, 65536, X.shape, dtype=np.uint16)
            np.add(u < _ONES_AND_TWOS, u < _TWOS, out=X, dtype=np.uint8, casting="unsafe")
            return X
        block = min(self.n_features, _WIDE_BLOCK if self.kind == "wide" else self.n_features)
        working = np.dtype(np.float64 if dtype.itemsize > 4 else np.float32)
        scale, mean = self.scale.astype(working), self.mean.astype(working)
        for start in range(0, m, _SLAB):
            part = X[start : start + _SLAB]
            z = autoregressive(len(part), self.n_features, block, working, rng)
            z *= scale
            z += mean
            part[...] = z
        return X


def autoregressive(
    m: int, d: int, block: int, dtype: np.dtype, rng: np.random.Generator
) -> np.ndarray:
    """Standard normal rows whose columns are AR(1) within blocks: corr(j, k) = ρ^|j−k|.

    Returns
    -------
    z : (m, d)
    """
    n_blocks = -(-d // block)
    # place in the block first: the recursion then runs over long contiguous vectors
    e = rng.standard_normal((block, m, n_blocks), dtype=dtype.type)
    fresh = dtype.type(np.sqrt(1 - RHO**2))
    for k in range(1, block):
        e[k] *= fresh
        e[k] += dtype.type(RHO) * e[k - 1]
    return np.ascontiguousarray(e.transpose(1, 2, 0)).reshape(m, n_blocks * block)[:, :d]


def _signal_variance(kind: Kind, support: np.ndarray, u: np.ndarray) -> float:
    """Variance of Σ_j u_j z_j, from z's correlations: ΣΣ u_j u_k ρ^|j−k| within a block."""
    if kind == "sparse":
        return float((u**2).sum())
    total, correlated, last = 0.0, 0.0, -1
    for j, value in zip(support.tolist(), u.tolist(), strict=True):
        apart = kind == "wide" and last // _WIDE_BLOCK != j // _WIDE_BLOCK
        correlated = 0.0 if apart or last < 0 else correlated * RHO ** (j - last)
        total += value * value + 2 * value * correlated
        correlated += value
        last = j
    return total
