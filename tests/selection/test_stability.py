"""Stability selection from the moments of blocks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import CrossMoments, cross_moments, merge_all
from dasklasso.objective.objective import Objective
from dasklasso.selection import stability
from dasklasso.selection.stability import half_samples, stability_path, unions

SIGNAL = [2, 7, 11]
ALPHAS = np.array([1.0, 0.5, 0.25])


def known_truth(n: int = 600, d: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, d)) + 100
    y = X[:, SIGNAL] @ np.array([2.0, -1.5, 1.0]) + rng.normal(size=n)
    return X, y


def block_moments(X, y, n_blocks: int = 20, weight=None) -> list[CrossMoments]:
    parts = np.array_split(np.arange(len(y)), n_blocks)
    return [cross_moments(X[i], y[i], None if weight is None else weight[i]) for i in parts]


def test_signal_is_always_selected_and_noise_within_its_bound():
    path = stability_path(block_moments(*known_truth()), Objective(), ALPHAS, seed=1)
    assert path.max_probabilities[SIGNAL].min() == 1.0
    threshold = path.threshold_for(1.0)
    assert path.expected_false(threshold) <= 1.0
    np.testing.assert_array_equal(path.selected(threshold), SIGNAL)


def test_probabilities_are_shares_of_lassos_on_the_rows_of_halves():
    X, y = known_truth(200, 12)
    alphas = np.array([0.3, 0.1])
    path = stability_path(block_moments(X, y, 10), Objective(), alphas, n_pairs=4, seed=3)
    parts = np.array_split(np.arange(len(y)), 10)
    times = np.zeros((2, 12))
    sizes = np.zeros(2)
    for half in half_samples(10, 4, 3):
        rows = np.concatenate([part for part, used in zip(parts, half, strict=True) if used])
        support = np.stack(
            [Lasso(alpha=a, tol=1e-10).fit(X[rows], y[rows]).coef_ != 0 for a in alphas]
        )
        times += support
        sizes += [support[0].sum(), support.any(axis=0).sum()]
    np.testing.assert_allclose(path.probabilities, times / 8)
    np.testing.assert_allclose(path.average_selected, sizes / 8)


def test_the_order_of_features_changes_nothing():
    X, y = known_truth()
    order = np.random.default_rng(0).permutation(X.shape[1])
    plain = stability_path(block_moments(X, y), Objective(), ALPHAS, n_pairs=10)
    shuffled = stability_path(block_moments(X[:, order], y), Objective(), ALPHAS, n_pairs=10)
    np.testing.assert_allclose(shuffled.probabilities, plain.probabilities[:, order])


def test_a_seed_decides_every_bit():
    blocks = block_moments(*known_truth())
    one, two, other = (
        stability_path(blocks, Objective(), ALPHAS, n_pairs=10, seed=seed) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert np.any(one.probabilities != other.probabilities)


def test_batches_and_threads_change_nothing(monkeypatch):
    blocks = block_moments(*known_truth())
    plain = stability_path(blocks, Objective(), ALPHAS, n_pairs=10)
    monkeypatch.setattr(stability, "BYTES_AT_ONCE", 3 * blocks[0].products.nbytes)
    monkeypatch.setattr(stability, "SLAB_BYTES", 20 * 5 * 31 * 8)
    with ThreadPoolExecutor(2) as pool:
        found = stability_path(blocks, Objective(), ALPHAS, n_pairs=10, map=pool.map)
    np.testing.assert_array_equal(found.probabilities, plain.probabilities)
    np.testing.assert_array_equal(found.average_selected, plain.average_selected)


@pytest.mark.parametrize("n_blocks", [10, 11])
def test_pairs_are_disjoint_halves(n_blocks):
    halves = half_samples(n_blocks, 30, 0)
    assert np.all(halves.sum(axis=1) == n_blocks // 2)
    assert not np.any(halves[::2] & halves[1::2])


def test_every_block_is_in_about_half_of_the_half_samples():
    share = half_samples(11, 1000, 0).mean(axis=0)
    np.testing.assert_allclose(share, 5 / 11, atol=0.03)


def test_unions_are_merges():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6)) * np.geomspace(1e-2, 1e3, 6) + 100
    y = rng.normal(size=(300, 2))
    X[100:200] += 50  # blocks of different means
    blocks = block_moments(X, y, 9, rng.uniform(0.5, 2.0, 300))
    members = half_samples(9, 10, 2)
    for which, found in zip(members, unions(blocks, members), strict=True):
        chosen = [block for block, used in zip(blocks, which, strict=True) if used]
        expected = merge_all(chosen)
        assert found.count == expected.count
        assert found.weight == pytest.approx(expected.weight)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13, atol=1e-13)
        size = np.sqrt(np.diagonal(expected.products))
        np.testing.assert_allclose(
            found.products / np.outer(size, size),
            expected.products / np.outer(size, size),
            rtol=0,
            atol=1e-11,
        )
        np.testing.assert_array_equal(found.products, found.products.T)


def test_unpenalised_features_are_in_every_model_and_not_counted():
    factor = np.ones(30)
    factor[0] = 0.0
    path = stability_path(
        block_moments(*known_truth()), Objective(penalty_factor=factor), np.array([1e6, 1.0])
    )
    assert path.probabilities[:, 0].tolist() == [1.0, 1.0]
    assert path.average_selected[0] == 0.0
    assert path.n_candidates == 29


def test_a_path_within_a_bound_ends_before_too_many_are_selected():
    alphas = np.geomspace(2.0, 0.01, 15)
    path = stability_path(block_moments(*known_truth()), Objective(), alphas, n_pairs=25)
    shorter = path.within(0.5, 0.75)
    length = len(shorter.alphas)
    assert 0 < length < 15
    assert shorter.expected_false(0.75) <= 0.5
    assert (
        stability_path(
            block_moments(*known_truth()), Objective(), alphas[: length + 1], n_pairs=25
        ).expected_false(0.75)
        > 0.5
    )
    np.testing.assert_array_equal(shorter.selected(0.75), SIGNAL)


def test_a_bound_that_the_largest_alpha_exceeds_is_an_option_error():
    path = stability_path(block_moments(*known_truth()), Objective(), np.array([0.01]), n_pairs=5)
    with pytest.raises(OptionError, match="expected larger alphas"):
        path.within(0.1, 0.75)


def test_blocks_without_weight_are_not_counted():
    X, y = known_truth()
    blocks = block_moments(X, y)
    plain = stability_path(blocks, Objective(), ALPHAS, n_pairs=5)
    none = CrossMoments.nothing(30, 1)
    padded = stability_path([none, *blocks, none], Objective(), ALPHAS, n_pairs=5)
    np.testing.assert_array_equal(padded.probabilities, plain.probabilities)


def test_too_few_blocks_are_named():
    with pytest.raises(OptionError, match="n_blocks: 4 blocks with rows found, of which 3"):
        stability_path(block_moments(*known_truth(), n_blocks=4), Objective(), ALPHAS)


def test_no_pairs_are_an_option_error():
    with pytest.raises(OptionError, match="n_pairs: 0 found"):
        half_samples(10, 0, 0)


def test_the_table_is_json_with_one_row_for_each_feature():
    path = stability_path(block_moments(*known_truth()), Objective(), ALPHAS, n_pairs=5)
    rows = json.loads(json.dumps(path.table()))
    assert [row["feature"] for row in rows] == list(range(30))
    assert rows[2]["max_probability"] == 1.0
