"""Shared by the tests of the core: stores made of arrays, and a judge of solutions.

The judge writes objective and duality gap out afresh in extended precision, in the units of the
data, and shares no code with the package.
"""

from __future__ import annotations

import os

# matrices of tests are small: threads of BLAS would only wait for each other, and for the other
# processes of pytest. Set before NumPy is imported, and so for all that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# clusters that wait for the next test look after themselves less often
os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")
os.environ.setdefault("DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL", "1s")
os.environ.setdefault("DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL", "5s")

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.schema import Schema
from dasklasso.files.work_folders import REPLACED, make_work_folder
from dasklasso.model.path import FittedPath
from dasklasso.options import FitOptions
from dasklasso.storage.blocks import MemoryBlocks
from dasklasso.storage.side_by_side import SideBySide

LONG = np.longdouble

settings.register_profile("dasklasso", deadline=None)  # no claim depends on how busy a machine is
settings.load_profile("dasklasso")


@pytest.fixture
def cut_off() -> Callable[[Path], None]:
    """Leave a folder as a process does that is killed between the two renames of a replacement."""

    def leave(path: Path) -> None:
        work = make_work_folder(path)
        (work / path.name).mkdir()
        path.rename(work / REPLACED)

    return leave


@dataclass(frozen=True)
class Judgement:
    """Figures of one solution: objective, duality gap, loss of the null model."""

    objective: float
    gap: float
    null_loss: float

    @property
    def relative_gap(self) -> float:
        return self.gap / self.null_loss


def judge_solution(
    X: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    b: float,
    alpha: float,
    options: FitOptions,
    weight: np.ndarray | None = None,
) -> Judgement:
    """Primal and dual values, from their definitions; unpenalised columns are projected out."""
    X, y, w = (np.asarray(a).astype(LONG) for a in (X, y, w))
    s = np.ones(len(y), LONG) if weight is None else np.asarray(weight).astype(LONG)
    p = s / s.sum()
    mean, y_mean = p @ X, p @ y
    std = np.sqrt(p @ (X - mean) ** 2)
    unit = std if options.standardize else np.ones_like(std)
    f = 1.0 if options.penalty_factor is None else np.asarray(options.penalty_factor)
    l1 = alpha * options.l1_ratio * f * unit
    l2 = alpha * (1.0 - options.l1_ratio) * f * unit**2
    penalty = np.sum(l1 * np.abs(w) + l2 * w**2 / 2)
    residual = y - X @ w - LONG(b)
    objective = p @ residual**2 / 2 + penalty

    if options.fit_intercept:
        X, y = X - mean, y - y_mean
    theta = y - X @ w
    theta = theta - (p @ theta if options.fit_intercept else 0)
    free = (l1 == 0) & (l2 == 0) & (std > 0)
    if free.any():
        root = np.sqrt(p)
        basis = np.linalg.qr((root[:, None] * X[:, free]).astype(float))[0].astype(LONG)
        for _ in range(3):
            theta = theta - basis @ (basis.T @ (root * theta)) / root
    v = X.T @ (p * theta)
    v[free] = 0
    size = np.maximum(v, 0) if options.positive else np.abs(v)
    sharp = (l2 == 0) & ~free & (size > 0)
    limit = float(np.min(l1[sharp] / size[sharp], initial=2.0))

    def dual(multiple: Any) -> Any:
        excess = np.maximum(multiple * size - l1, 0)
        smooth = l2 > 0
        conjugate = np.sum(excess[smooth] ** 2 / (2 * l2[smooth]))
        return p @ (y**2 - (y - multiple * theta) ** 2) / 2 - conjugate

    low, high = LONG(0), LONG(limit)
    for _ in range(120):  # the dual is concave in the multiple
        a, c = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, c) if dual(a) > dual(c) else (a, high)
    best = max(dual(low), dual(high), dual(LONG(limit)))
    null = p @ y**2 / 2
    return Judgement(float(objective), float(objective - best), float(null))


@pytest.fixture(scope="session")
def judge() -> Callable[..., Judgement]:
    return judge_solution


@pytest.fixture(scope="session")
def assert_certified() -> Callable[..., None]:
    """Every solution of a path is within tol when judged afresh, and what it reports is true."""

    def check(
        path: FittedPath,
        X: np.ndarray,
        y: np.ndarray,
        options: FitOptions,
        weight: np.ndarray | None = None,
        slack: float = 1e-12,
    ) -> None:
        columns = np.asarray(y).reshape(len(X), -1)
        rows = path.coef_rows.toarray()
        for i, alpha in enumerate(path.alphas):
            for target in range(path.n_targets):
                w = rows[i * path.n_targets + target]
                b = path.intercepts[i, target]
                found = judge_solution(X, columns[:, target], w, b, alpha, options, weight)
                assert found.relative_gap <= path.dual_gaps[i, target] + slack
                assert path.dual_gaps[i, target] <= options.tol
                assert path.objectives[i, target] == pytest.approx(
                    found.objective, rel=1e-9, abs=1e-14 * found.null_loss
                )

    return check


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Dataset]:
    """``make_store(X, y, weight=None, *, dtype, codec, chunk_rows, chunk_columns)``."""
    folder, numbers = tmp_path_factory.mktemp("stores"), count()

    def make(
        X: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        path: Path | None = None,
        dtype: Any = np.float64,
        codec: str = "none",
        chunk_rows: int | None = None,
        chunk_columns: int | None = None,
    ) -> Dataset:
        place = path or folder / f"{next(numbers)}.zarr"
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        with StoreWriter(
            place,
            feature_names=[f"x{j}" for j in range(X.shape[1])],
            target_names=[f"y{k}" for k in range(n_targets)],
            dtype=dtype,
            with_weight=weight is not None,
            codec=codec,
            chunk_rows=chunk_rows,
            chunk_columns=chunk_columns,
        ) as writer:
            writer.write(np.asarray(X, dtype), y, weight)
            writer.finish({"kind": "test"})
        return open_dataset(str(place))

    return make


@pytest.fixture(scope="session")
def without_statistics() -> Callable[[Dataset], Dataset]:
    """The same data as somebody else's store would give them: nobody kept the moments."""
    return lambda data: replace(data, statistics=None)


@pytest.fixture(scope="session")
def regression() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """``regression(n, d, seed)``: a sparse linear model with noise."""

    def make(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, d))
        w = np.where(np.arange(d) % 3 == 0, rng.standard_normal(d), 0.0)
        return X, X @ w + 3.0 + 0.3 * rng.standard_normal(n)

    return make


PLINK_BITS = {2: "00", 1: "10", 0: "11", -1: "01"}  # as PLINK's format has them; -1 is missing


def _write_plink(
    bed: Path,
    genotypes: np.ndarray,
    *,
    phenotypes: list[str] | None = None,
    bim: list[str] | None = None,
) -> Path:
    """Write (n, d) copies of A1, packed as texts of bits: the first sample is the last pair."""
    n, d = genotypes.shape
    packed = b"\x6c\x1b\x01"
    for column in genotypes.T.tolist():
        for start in range(0, n, 4):
            pairs = [PLINK_BITS[copies] for copies in column[start : start + 4]]
            packed += bytes([int("".join(reversed(pairs)), 2)])
    bed.write_bytes(packed)
    phenotypes = phenotypes or [f"{0.5 * i + 3:g}" for i in range(n)]
    fam = [f"f{i} s{i} 0 0 {1 + i % 2} {y}\n" for i, y in enumerate(phenotypes)]
    bed.with_suffix(".fam").write_text("".join(fam))
    bim = bim or [f"1\trs{j}\t0\t{1000 + j}\tA\tG" for j in range(d)]
    bed.with_suffix(".bim").write_text("\n".join(bim) + "\n")
    return bed


@pytest.fixture(scope="session")
def write_plink() -> Callable[..., Path]:
    """Write genotypes as the three files of PLINK 1."""
    return _write_plink


@pytest.fixture(scope="session")
def columns_beside() -> Callable[[Dataset, np.ndarray], Dataset]:
    """Put covariates c0, c1, ... beside the features of data, as if they had been joined."""

    def put(data: Dataset, columns: np.ndarray) -> Dataset:
        values = np.ascontiguousarray(columns, dtype=np.float64)
        names = tuple(f"c{j}" for j in range(values.shape[1]))
        schema = Schema(names, {}, frozenset(), values.mean(axis=0), "float64", "error")
        return replace(
            data,
            X=SideBySide(data.X, MemoryBlocks(values, (0, len(values)))),
            feature_names=(*data.feature_names, *names),
            statistics=None,
            fingerprint=f"{data.fingerprint}+{len(names)}",
            covariates=schema,
        )

    return put
