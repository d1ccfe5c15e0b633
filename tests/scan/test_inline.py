"""Graphs on threads of this process: what runs when, what is let go, and what an error does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dasklasso.scan.graph import GraphBuilder, Task
from dasklasso.scan.inline import run_graph


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield lambda: threads


def run(builder, *wanted, **more):
    return [run_graph([builder], wanted, **more)[key] for key in wanted]


def test_tasks_get_the_values_of_their_keys_in_lists_too():
    below = GraphBuilder()
    two, three = below.put("value", (0,), 2), below.add("task", (0,), lambda: 3)
    builder = GraphBuilder(Task(below, two))
    total = builder.add(
        "total", (0,), lambda a, rest: a + sum(map(sum, rest)), two, [[three], [two]]
    )
    assert run(builder, total, two) == [7, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_ready_begins_in_the_order_in_which_it_was_added(threads, pool):
    builder, begun = GraphBuilder(), []
    keys = [builder.add("task", (k,), lambda k=k: begun.append(k)) for k in range(20)]
    later = builder.add("last", (0,), lambda *_: begun.append("last"), keys[::-1])
    run(builder, later, threads=threads, pool=pool)
    assert begun[-1] == "last"
    assert all(abs(place - k) < threads for place, k in enumerate(begun[:-1]))


def test_only_what_is_wanted_runs():
    builder = GraphBuilder()
    builder.add("other", (0,), pytest.fail)
    assert run(builder, builder.add("task", (0,), lambda: 1)) == [1]


def test_what_no_task_needs_any_more_is_let_go():
    class Value:
        alive = 0

        def __init__(self, *before):
            Value.alive += 1
            Value.most = max(getattr(Value, "most", 0), Value.alive)

        def __del__(self):
            Value.alive -= 1

    builder = GraphBuilder()
    key = builder.add("task", (0,), Value)
    for k in range(1, 10):
        key = builder.add("task", (k,), Value, key)
    run(builder, key)
    assert Value.most == 2


def test_a_task_that_has_nothing_beside_it_stays_on_the_caller_s_thread(pool):
    builder = GraphBuilder()
    first = builder.add("task", (0,), threading.get_ident)
    pair = [builder.add("pair", (k,), lambda _: threading.get_ident(), first) for k in range(2)]
    last = builder.add("last", (0,), lambda _: threading.get_ident(), pair)
    here = threading.get_ident()
    found = run(builder, first, *pair, last, threads=2, pool=pool)
    assert [one == here for one in found] == [True, False, False, True]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_a_task_is_the_caller_s_and_nothing_else_begins(threads, pool):
    builder = GraphBuilder()

    def fails():
        raise ValueError("of the task")

    keys = [builder.add("task", (k,), fails) for k in range(2)]
    after = builder.add("after", (0,), pytest.fail, keys)
    with pytest.raises(ValueError, match="of the task"):
        run(builder, after, threads=threads, pool=pool)
