"""Decoded blocks are kept in the memory that a fit leaves, whatever the number of chunks."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.fit import fit_path
from dasklasso.fit.plan import plan_fit
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.block_cache import CACHE

ROWS, FEATURES, CHUNKS = 50, 40, 24
BLOCK = ROWS * FEATURES * 4
OPTIONS = FitOptions(loss="logistic", n_alphas=3, eps=0.3, tol=1e-3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Blocks that must be decoded: compressed, as a store of sparse rows is."""
    store = tmp_path_factory.mktemp("store") / "s"
    rng = np.random.default_rng(0)
    X = np.where(rng.random((ROWS * CHUNKS, FEATURES)) < 0.1, 1, 0).astype(np.float32)
    y = (X[:, :5].sum(axis=1) + 0.3 * rng.standard_normal(len(X)) > 0.5).astype(float)
    names = [f"x{j}" for j in range(FEATURES)]
    with StoreWriter(
        store,
        feature_names=names,
        target_names=["y"],
        dtype="float32",
        codec="lz4",
        chunk_rows=ROWS,
    ) as writer:
        writer.write(X, y)
        writer.finish({})
    return open_dataset(store)


@pytest.mark.parametrize("blocks", [0, 5])
def test_what_a_fit_needs_is_not_filled_with_blocks(data, blocks, monkeypatch):
    needed = plan_fit(data, OPTIONS, RunOptions(in_process=True)).memory_per_worker
    run = RunOptions(in_process=True, memory=needed + blocks * BLOCK)
    kept, pin = [], CACHE.pin

    def watched(*arguments):
        pin(*arguments)
        kept.append(CACHE.nbytes)

    monkeypatch.setattr(CACHE, "pin", watched)
    fit_path(data, OPTIONS, run)
    assert max(kept, default=0) == blocks * BLOCK
