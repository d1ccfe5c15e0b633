"""Cross moments: sets of rows merge and part exactly, whatever their means and weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.moments.cross_moments import CrossMoments, cross_moments, merge_all


def table(seed, n, *, mean=0.0, targets=1):
    rng = np.random.default_rng(seed)
    X = mean + rng.standard_normal((n, 4))
    y = mean + X[:, :1] + rng.standard_normal((n, targets))
    return X, y, rng.uniform(0.5, 2.0, n)


def agree(found, expected, *, rtol=1e-10):
    assert found.count == expected.count
    assert found.weight == pytest.approx(expected.weight, rel=rtol)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=rtol, atol=1e-12)
    scale = np.sqrt(np.outer(np.diagonal(expected.products), np.diagonal(expected.products)))
    assert np.all(np.abs(found.products - expected.products) <= rtol * scale)


def test_they_are_what_numpy_says():
    X, y, s = table(0, 50, targets=2)
    found = cross_moments(X, y, s)
    z = np.concatenate([X, y], axis=1)
    mean = np.average(z, axis=0, weights=s)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.products, np.cov(z.T, aweights=s, ddof=0) * s.sum())
    assert (found.n_features, found.n_targets, found.count) == (4, 2, 50)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    mean=st.sampled_from([0.0, 1e3, -1e6]),
    weighted=st.booleans(),
)
def test_parts_merge_into_the_whole(seed, cuts, mean, weighted):
    X, y, s = table(seed, 60, mean=mean)
    s = s if weighted else np.ones(60)
    edges = [0, *sorted(cuts), 60]
    parts = [cross_moments(X[a:b], y[a:b], s[a:b]) for a, b in itertools.pairwise(edges)]
    agree(merge_all(parts), cross_moments(X, y, s), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(1, 50),
    mean=st.sampled_from([0.0, 1e3]),
)
def test_what_is_taken_away_leaves_the_rest(seed, cut, mean):
    X, y, s = table(seed, 60, mean=mean)
    whole, part = cross_moments(X, y, s), cross_moments(X[:cut], y[:cut], s[:cut])
    agree(whole.without(part), cross_moments(X[cut:], y[cut:], s[cut:]), rtol=1e-9)


def test_everything_taken_away_leaves_nothing():
    moments = cross_moments(*table(1, 20))
    left = moments.without(moments)
    assert (left.weight, left.count) == (0.0, 0)
    assert not left.products.any()


def test_more_rows_than_there_are_cannot_be_taken_away():
    X, y, s = table(1, 20)
    with pytest.raises(ValueError, match=r"20 rows .* cannot be taken from 10 rows"):
        cross_moments(X[:10], y[:10], s[:10]).without(cross_moments(X, y, s))


def test_scaling_is_scaling_of_the_weights():
    X, y, s = table(2, 30)
    agree(cross_moments(X, y, s).scaled(0.25), cross_moments(X, y, 0.25 * s))


def test_a_constant_column_has_exactly_no_products():
    X, y, _ = table(3, 40)
    X[:, 1] = 0.1
    assert not cross_moments(X, y).products[1].any()


def test_rows_without_weight_count_but_do_not_matter():
    X, y, s = table(4, 20)
    moments = cross_moments(X, y, s)
    more = moments.merged(cross_moments(X[:5], y[:5], np.zeros(5)))
    assert (more.count, more.weight) == (25, moments.weight)
    assert np.array_equal(more.products, moments.products)


def test_nothing_merges_with_anything():
    moments = cross_moments(*table(5, 20))
    agree(CrossMoments.nothing(4, 1).merged(moments), moments)


@pytest.mark.parametrize("scale", [2.0**-600, 2.0**600])
def test_weights_whose_squares_are_no_numbers_merge_and_part(scale):
    X, y, s = table(6, 40)
    whole, part = cross_moments(X, y, s * scale), cross_moments(X[:15], y[:15], s[:15] * scale)
    rest = cross_moments(X[15:], y[15:], s[15:] * scale)
    agree(part.merged(rest).scaled(1 / scale), whole.scaled(1 / scale))
    agree(whole.without(part).scaled(1 / scale), rest.scaled(1 / scale))
