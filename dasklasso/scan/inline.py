"""Run the tasks of a graph on threads of this process, without Dask: a task costs microseconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

Key = tuple[Any, ...]


class Graph(Protocol):
    """Tasks and values by key.

    Attributes
    ----------
    tasks : key → (function, *keys), in the order in which they should run; keys nested in lists
    values : key → what is here already
    sources : graphs that tasks may take from
    """

    tasks: dict[Key, tuple[Any, ...]]
    values: dict[Key, Any]

    @property
    def sources(self) -> Sequence[Graph]: ...


def run_graph(
    graphs: Sequence[Graph],
    wanted: Sequence[Key],
    threads: int = 1,
    pool: Callable[[], ThreadPoolExecutor] | None = None,
) -> dict[Key, Any]:
    """Return the values of some keys.

    Of tasks that are ready, the one that was added first begins first; what no other task needs is
    let go. A task that has nothing to run beside it runs on the caller's thread.

    Parameters
    ----------
    threads : tasks at a time
    pool : returns where they run, if there are several
    """
    tasks: dict[Key, tuple[Any, ...]] = {}
    values: dict[Key, Any] = {}
    for graph in _with_sources(graphs):
        tasks.update(graph.tasks)
        values.update(graph.values)
    inputs = _needed(tasks, values, wanted)
    order = [key for key in tasks if key in inputs]
    rank = {key: place for place, key in enumerate(order)}
    followers: dict[Key, list[Key]] = {key: [] for key in order}
    uses = dict.fromkeys(wanted, 1)
    waiting: dict[Key, int] = {}
    for key in order:
        for one in inputs[key]:
            uses[one] = uses.get(one, 0) + 1
            if one in followers:
                followers[one].append(key)
        waiting[key] = sum(one in followers for one in inputs[key])
    ready = [rank[key] for key in order if not waiting[key]]  # ascending, and so a heap
    flying: dict[Future[Any], Key] = {}

    def finish(key: Key, value: Any) -> None:
        values[key] = value
        for one in inputs[key]:
            uses[one] -= 1
            if not uses[one]:
                del values[one]
        for one in followers[key]:
            waiting[one] -= 1
            if not waiting[one]:
                heapq.heappush(ready, rank[one])

    try:
        while ready or flying:
            while ready and len(flying) < threads:
                key = order[heapq.heappop(ready)]
                if threads == 1 or pool is None or not (ready or flying):
                    finish(key, _value(tasks[key], values))
                else:
                    flying[pool().submit(_value, tasks[key], dict(_given(inputs[key], values)))] = (
                        key
                    )
            if flying:
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    finish(flying.pop(future), future.result())
    except BaseException:
        for future in flying:
            future.cancel()
        raise
    return {key: values[key] for key in wanted}


def _with_sources(graphs: Sequence[Graph]) -> Iterator[Graph]:
    """Graphs and their sources, each once and after what it takes from."""
    seen: set[int] = set()
    stack = [(graph, False) for graph in reversed(graphs)]
    while stack:
        graph, below_is_done = stack.pop()
        if below_is_done:
            yield graph
        elif id(graph) not in seen:
            seen.add(id(graph))
            stack.append((graph, True))
            stack += [(source, False) for source in reversed(graph.sources)]


def _needed(
    tasks: dict[Key, tuple[Any, ...]], values: dict[Key, Any], wanted: Sequence[Key]
) -> dict[Key, set[Key]]:
    """Tasks that lead to what is wanted, and the inputs of each."""
    found: dict[Key, set[Key]] = {}
    stack = [key for key in wanted if key not in values]
    while stack:
        key = stack.pop()
        if key not in found:
            found[key] = set(_keys_in(tasks[key][1:]))
            stack += [one for one in found[key] if one not in values]
    return found


def _keys_in(keys: Sequence[Any]) -> Iterator[Key]:
    for one in keys:
        if isinstance(one, list):
            yield from _keys_in(one)
        else:
            yield one


def _given(keys: set[Key], values: dict[Key, Any]) -> Iterator[tuple[Key, Any]]:
    return ((key, values[key]) for key in keys)


def _value(task: tuple[Any, ...], values: dict[Key, Any]) -> Any:
    def filled(one: Any) -> Any:
        return [filled(key) for key in one] if isinstance(one, list) else values[one]

    function, *keys = task
    return function(*map(filled, keys))
