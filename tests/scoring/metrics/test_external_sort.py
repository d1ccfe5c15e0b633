"""Scores are sorted the same way whatever the memory, also where they are spilled to a file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.scoring.metrics import external_sort as sorting
from dasklasso.scoring.metrics.external_sort import SortedScores


def columns(sorter, model):
    found = list(sorter.chunks(model))
    return [
        None if parts[0] is None else np.concatenate(parts) for parts in zip(*found, strict=True)
    ]


def filled(scores, y, weight, *, memory, block=7, y_dtype=np.uint8):
    sorter = SortedScores(*scores.shape, y_dtype, weighted=weight is not None, memory=memory)
    for k in range(0, len(scores), block):
        rows = slice(k, k + block)
        sorter.add(scores[rows], y[rows], None if weight is None else weight[rows])
    sorter.close_input()
    return sorter


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1, 3), st.integers(1, 20_000), st.integers(1, 400))
def test_the_order_is_the_stable_one_whatever_the_memory(n, n_models, memory, n_values):
    rng = np.random.default_rng(n)
    scores = rng.integers(0, n_values, (n, n_models)).astype(float)  # with ties
    y, weight = rng.integers(0, 2, n), rng.random(n)
    sorter = filled(scores, y, weight, memory=memory)
    for model in range(n_models):
        order = np.argsort(scores[:, model], kind="stable")
        for found, column in zip(
            columns(sorter, model), (scores[:, model], y, weight), strict=True
        ):
            assert np.array_equal(found, column[order])
    sorter.close()


@pytest.mark.parametrize("kind", ["random", "increasing", "constant"])
def test_many_runs_are_merged_in_several_rounds(kind, monkeypatch):
    monkeypatch.setattr(sorting, "FAN_IN", 3)
    n = 3000
    score = {
        "random": np.random.default_rng(0).standard_normal(n),
        "increasing": np.arange(n) / 10,
        "constant": np.zeros(n),
    }[kind]
    y = np.arange(n) / n
    sorter = filled(score[:, None], y, None, memory=5000, y_dtype=np.float64)
    assert len(sorter._runs[0]) > 27
    found = columns(sorter, 0)
    order = np.argsort(score, kind="stable")
    assert np.array_equal(found[0], score[order])
    assert np.array_equal(found[1], y[order])
    sorter.close()


def test_pieces_are_as_small_as_the_memory_asks():
    rng = np.random.default_rng(0)
    memory = 20_000
    sorter = filled(rng.standard_normal((5000, 1)), np.zeros(5000), None, memory=memory)
    assert max(len(score) for score, _, _ in sorter.chunks(0)) * sorting.MERGE_BYTES <= memory
    sorter.close()


def test_a_model_may_be_read_twice():
    rng = np.random.default_rng(0)
    sorter = filled(rng.standard_normal((500, 2)), np.zeros(500), None, memory=5000)
    assert np.array_equal(columns(sorter, 1)[0], columns(sorter, 1)[0])
    sorter.close()
