"""Synthetic data obey the model they claim, and depend on the seed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dasklasso.dataset import generate as module
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.verify import verify
from dasklasso.errors import OptionError, StoreError
from dasklasso.storage.zarr_blocks import read_rows


def arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    dataset = open_dataset(path)
    assert dataset.y is not None
    X = read_rows(dataset.X, 0, dataset.n_rows)
    return X.astype(np.float64), read_rows(dataset.y, 0, dataset.n_rows)


def signal(X: np.ndarray, manifest: Manifest) -> np.ndarray:
    truth = manifest.origin["generator"]
    return np.stack(
        [
            X[:, at] @ np.array(coef) + intercept
            for at, coef, intercept in zip(
                truth["support"], truth["coef"], truth["intercept"], strict=True
            )
        ],
        axis=1,
    )


@pytest.mark.parametrize("kind", ["tall", "wide", "logistic", "sparse"])
def test_what_is_generated_is_a_sound_dataset(tmp_path: Path, kind: Any) -> None:
    manifest = generate(kind, tmp_path / "s", rows=300, features=120, chunk_rows=70)
    assert (manifest.n_rows, manifest.n_features) == (300, 120)
    assert verify(tmp_path / "s").ok
    assert open_dataset(tmp_path / "s").feature_names[119] == "x119"


@pytest.mark.parametrize("kind", ["tall", "wide", "sparse"])
def test_targets_are_signal_and_noise_three_to_one(tmp_path: Path, kind: Any) -> None:
    manifest = generate(kind, tmp_path / "s", rows=20_000, features=150, targets=2)
    X, y = arrays(tmp_path / "s")
    explained = signal(X, manifest)
    noise = y - explained
    np.testing.assert_allclose(explained.var(axis=0) / noise.var(axis=0), 3, rtol=0.1)
    np.testing.assert_allclose(
        noise.std(axis=0), manifest.origin["generator"]["noise_std"], rtol=0.05
    )
    assert np.abs(noise.mean(axis=0)).max() < 0.05 * y.std(axis=0).max()


def test_tall_columns_are_autoregressive_with_unequal_means_and_scales(tmp_path: Path) -> None:
    generate("tall", tmp_path / "s", rows=20_000, features=60)
    X, _ = arrays(tmp_path / "s")
    correlation = np.corrcoef(X, rowvar=False)
    distance = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    np.testing.assert_allclose(correlation, 0.5**distance, atol=0.05)
    assert X.std(axis=0).max() / X.std(axis=0).min() > 10
    assert (np.abs(X.mean(axis=0) / X.std(axis=0)) > 3).any()


def test_wide_columns_are_correlated_within_blocks_only(tmp_path: Path) -> None:
    manifest = generate("wide", tmp_path / "s", rows=5000, features=230)
    X, _ = arrays(tmp_path / "s")
    neighbours = np.array([np.corrcoef(X[:, j], X[:, j + 1])[0, 1] for j in range(229)])
    apart = np.zeros(229, dtype=bool)
    apart[[99, 199]] = True
    np.testing.assert_allclose(neighbours, np.where(apart, 0, 0.5), atol=0.08)
    np.testing.assert_allclose(X.std(axis=0), 1, atol=0.08)
    assert len(manifest.origin["generator"]["support"][0]) == 50


def test_logistic_labels_follow_their_probabilities(tmp_path: Path) -> None:
    manifest = generate("logistic", tmp_path / "s", rows=20_000, features=60)
    X, y = arrays(tmp_path / "s")
    assert set(np.unique(y)) == {0.0, 1.0}
    probability = 1 / (1 + np.exp(-signal(X, manifest)[:, 0]))
    for low in (0.1, 0.4, 0.7):
        within = (probability > low) & (probability < low + 0.2)
        assert abs(y[within, 0].mean() - probability[within].mean()) < 0.05


def test_sparse_counts_are_small_and_mostly_zero(tmp_path: Path) -> None:
    generate("sparse", tmp_path / "s", rows=5000, features=100)
    assert open_dataset(tmp_path / "s").X.dtype == np.uint8
    X, _ = arrays(tmp_path / "s")
    shares = np.bincount(X.astype(int).ravel(), minlength=3) / X.size
    np.testing.assert_allclose(shares, [0.95, 0.04, 0.01], atol=0.003)


def test_the_data_do_not_depend_on_chunks_or_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", 4 * 30 * 64)  # 64 rows
    options: dict[str, Any] = {"rows": 500, "features": 30, "seed": 7}
    generate("tall", tmp_path / "a", **options)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    generate("tall", tmp_path / "b", chunk_rows=33, chunk_columns=11, codec="zstd", **options)
    for one, other in zip(arrays(tmp_path / "a"), arrays(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_and_seeds_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", 4 * 30 * 64)
    generate("tall", tmp_path / "a", rows=128, features=30, seed=1)
    generate("tall", tmp_path / "b", rows=128, features=30, seed=2)
    a, b = arrays(tmp_path / "a")[0], arrays(tmp_path / "b")[0]
    assert not np.array_equal(a[:64], a[64:])
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_targets_are_exact_for_the_stored_values(tmp_path: Path, dtype: str) -> None:
    manifest = generate("tall", tmp_path / "s", rows=4000, features=40, dtype=dtype)
    X, y = arrays(tmp_path / "s")
    assert open_dataset(tmp_path / "s").X.dtype == np.dtype(dtype)
    noise = y - signal(X, manifest)
    np.testing.assert_allclose(
        noise.std(axis=0), manifest.origin["generator"]["noise_std"], rtol=0.05
    )


def test_progress_ends_at_all_rows(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate("tall", tmp_path / "s", rows=50, features=3, progress=lambda *at: seen.append(at))
    assert seen[-1] == (50, 50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cubic"}, "expected one of tall, wide, logistic, sparse"),
        ({"rows": 1}, "rows is 1, expected at least 2"),
        ({"features": 0}, "features is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"dtype": "int8"}, "cannot hold tall data"),
        ({"dtype": "floaty"}, "expected a NumPy dtype"),
        ({"kind": "logistic", "targets": 2}, "expected 1 for logistic"),
    ],
)
def test_what_cannot_be_generated_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        generate(**{"kind": "tall", "store": tmp_path / "s", "rows": 10, "features": 3, **options})
    assert not (tmp_path / "s").exists()


def test_a_store_is_not_overwritten_unasked(tmp_path: Path) -> None:
    generate("tall", tmp_path / "s", rows=10, features=3)
    with pytest.raises(StoreError):
        generate("tall", tmp_path / "s", rows=10, features=3)
    assert generate("tall", tmp_path / "s", rows=20, features=3, overwrite=True).n_rows == 20
