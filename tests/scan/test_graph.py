"""Tasks and arrays of blocks: the same values in this process and by Dask."""

from __future__ import annotations

import dask
import numpy as np
import pytest

from dasklasso.scan.graph import GraphBuilder, Task, array_here, map_blocks
from dasklasso.scan.runners import InProcess

HEIGHTS = (3, 1, 4)
A = np.arange(16.0).reshape(8, 2)


@pytest.fixture
def array():
    return array_here(A, HEIGHTS)


def test_an_array_is_its_blocks(array):
    assert array.shape == (8, 2)
    assert array.starts == [0, 3, 4, 8]
    assert np.array_equal(array.compute(), A)
    blocks = InProcess(1).compute(*array.blocks())
    assert [len(block) for block in blocks] == list(HEIGHTS)


@pytest.mark.parametrize("index", [[6, 0, 3, 1], [4, 5], []])
def test_rows_come_in_the_order_asked_for(array, index):
    rows = array.rows(np.array(index, dtype=int))
    assert rows.shape == (len(index), 2)
    assert np.array_equal(rows.compute(), A[index])


def test_columns_are_those_between_two_numbers(array):
    assert np.array_equal(array.columns(1, 2).compute(), A[:, 1:])


@pytest.mark.parametrize("heights", [(8,), (1,) * 8, (2, 3, 3)])
def test_rows_may_be_cut_otherwise(array, heights):
    cut = array.in_blocks(heights)
    assert cut.heights == heights
    assert np.array_equal(cut.compute(), A)


def test_an_array_of_one_block_meets_every_block_of_another(array):
    one = array_here(np.array([[1.0, 2.0]]), (1,))
    total = map_blocks("sum", np.add, array, one, width=2)
    assert np.array_equal(total.compute(), A + np.array([1.0, 2.0]))


def test_what_is_persisted_is_not_made_again(array):
    made = []

    def doubled(block):
        made.append(len(block))
        return 2 * block

    kept = InProcess(2).persist(map_blocks("twice", doubled, array, width=2))[0]
    assert np.array_equal(kept.columns(0, 1).compute(), 2 * A[:, :1])
    assert sorted(made) == sorted(HEIGHTS)


def test_dask_takes_tasks_and_arrays_as_they_are(array):
    builder = GraphBuilder(array)
    total = Task(
        builder, builder.add("total", (0,), lambda *b: sum(map(np.sum, b)), *array.__dask_keys__())
    )
    moved = map_blocks("next", lambda block: block + 1, array, width=2)
    found = dask.compute(total, moved, optimize_graph=False, scheduler="synchronous")
    assert found[0] == A.sum()
    assert np.array_equal(found[1], A + 1)


def test_a_layer_has_its_workers_and_its_priority():
    builder = GraphBuilder()
    key = builder.add("scan", (0,), int, workers=["a"], priority=-2)
    [layer] = Task(builder, key).__dask_graph__().layers.values()
    assert layer.annotations == {"workers": ["a"], "allow_other_workers": True, "priority": -2}
