"""Graphs of tasks with readable names: they run in this process, or as Dask graphs on a cluster.

What a graph will make is a :class:`Task`, or a :class:`BlockArray` of blocks of rows. Both follow
Dask's protocol for collections, so that a cluster takes them as they are; this module imports Dask
only when one does, for a process without a cluster has no other use for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.scan.inline import Key, run_graph


class GraphBuilder:
    """Collects tasks in named layers on top of what other graphs will make.

    Task keys are ``(layer name, index)``; a layer's name is ``label-token``, so that the dashboard
    groups and names tasks by their label.

    Attributes
    ----------
    tasks : key → (function, *keys), in the order in which they should run
    values : key → what is here already, or on its way to a worker
    sources : graphs that tasks may take from
    """

    def __init__(self, *sources: Task | BlockArray) -> None:
        self.token = uuid.uuid4().hex
        self.tasks: dict[Key, tuple[Any, ...]] = {}
        self.values: dict[Key, Any] = {}
        self.sources = [source.builder for source in sources]
        self._source_names = {name for source in sources for name in source.__dask_layers__()}
        self._layers: dict[str, dict[str, Any]] = {}  # annotations, in order
        self._layer_of: dict[Key, str] = {}
        self._graph: Any = None

    def add(
        self,
        label: str,
        index: tuple[int, ...],
        function: Callable[..., Any],
        *keys: Any,
        workers: Sequence[str] | None = None,
        priority: int | None = None,
    ) -> Key:
        """Add one task ``function(*keys)``; keys may be nested in lists. Returns its key."""
        where = "" if workers is None else "@" + ",".join(workers)
        rank = "" if priority is None else f"#{priority}"
        name = f"{label}-{self.token}"
        layer_name = f"{name}{where}{rank}"
        if layer_name not in self._layers:
            annotations: dict[str, Any] = {}
            if workers is not None:
                annotations |= {"workers": list(workers), "allow_other_workers": True}
            if priority is not None:
                annotations["priority"] = priority
            self._layers[layer_name] = annotations
        key = (name, *index)
        self.tasks[key] = (function, *keys)
        self._layer_of[key] = layer_name
        self._graph = None
        return key

    def put(self, label: str, index: tuple[int, ...], value: Any) -> Key:
        """Add a value that needs no task. Returns its key."""
        return self.hold((f"{label}-{self.token}", *index), value)

    def hold(self, key: Key, value: Any) -> Key:
        """Add a value that another graph has made, under its own key."""
        self._layers.setdefault(key[0], {})
        self.values[key] = value
        self._layer_of[key] = key[0]
        self._graph = None
        return key

    def layer_of(self, key: Key) -> str:
        """Name of the layer that holds a task of this builder."""
        return self._layer_of[key]

    def graph(self) -> Any:
        """Return everything added, on top of the sources, as Dask has it."""
        if self._graph is None:
            self._graph = self._as_dask()
        return self._graph

    def _as_dask(self) -> Any:
        from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

        layers: dict[str, Any] = {}
        dependencies: dict[str, set[str]] = {}
        for source in self.sources:
            below = source.graph()
            layers |= below.layers
            dependencies |= below.dependencies
        own: dict[str, dict[Key, Any]] = {name: {} for name in self._layers}
        for key, task in (*self.values.items(), *self.tasks.items()):
            own[self._layer_of[key]][key] = task
        before = self._source_names
        for name, notes in self._layers.items():
            layers[name] = MaterializedLayer(own[name], annotations=notes or None)
            # a task leans only on tasks added before it: a chain of layers says no less than that
            dependencies[name] = before
            before = self._source_names | {name}
        return HighLevelGraph(layers, dependencies)


class _Collection:
    """What a graph will make, in Dask's protocol: the part that tasks and arrays share."""

    builder: GraphBuilder
    __dask_optimize__ = None
    __dask_scheduler__ = None

    def __dask_graph__(self) -> Any:
        return self.builder.graph()

    def __dask_tokenize__(self) -> Any:
        return self.__dask_keys__()

    def __dask_keys__(self) -> list[Key]:
        raise NotImplementedError

    def __dask_layers__(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(self.builder.layer_of, self.__dask_keys__())))

    def __dask_postcompute__(self) -> tuple[Callable[[Sequence[Any]], Any], tuple[()]]:
        return self.finished, ()

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[()]]:
        return self.made_of, ()

    def finished(self, values: Sequence[Any]) -> Any:
        """Return what this is, from the values of its keys."""
        raise NotImplementedError

    def made_of(self, values: dict[Key, Any], rename: Any = None) -> Any:
        """Return the same, of values that are made or under way."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Task(_Collection):
    """One value that a graph will make.

    Attributes
    ----------
    builder : GraphBuilder
    key : of the task
    """

    builder: GraphBuilder
    key: Key

    def __dask_keys__(self) -> list[Key]:
        return [self.key]

    def finished(self, values: Sequence[Any]) -> Any:
        return values[0]

    def made_of(self, values: dict[Key, Any], rename: Any = None) -> Task:
        builder = GraphBuilder()
        return Task(builder, builder.hold(self.key, values[self.key]))


@dataclass(frozen=True, eq=False)
class BlockArray(_Collection):
    """A (n, k) array as blocks of rows that a graph will make; Frames count as columns of one.

    Attributes
    ----------
    builder : GraphBuilder
    name : of the tasks, whose keys are ``(name, block, 0)``
    heights : rows of each block
    width : k
    dtype : numpy.dtype
    """

    builder: GraphBuilder
    name: str
    heights: tuple[int, ...]
    width: int
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int]:
        return sum(self.heights), self.width

    @property
    def starts(self) -> list[int]:
        """First row of each block, and the number of rows."""
        return list(accumulate(self.heights, initial=0))

    def __dask_keys__(self) -> list[Key]:
        return [(self.name, block, 0) for block in range(len(self.heights))]

    def finished(self, values: Sequence[Any]) -> Any:
        """One block as it is: it may be of a device; several are joined on the host."""
        return values[0] if len(values) == 1 else np.concatenate([to_numpy(one) for one in values])

    def made_of(self, values: dict[Key, Any], rename: Any = None) -> BlockArray:
        builder = GraphBuilder()
        for key in self.__dask_keys__():
            builder.hold(key, values[key])
        return BlockArray(builder, self.name, self.heights, self.width, self.dtype)

    def blocks(self) -> list[Task]:
        """Return the blocks, one by one."""
        return [Task(self.builder, key) for key in self.__dask_keys__()]

    def compute(self) -> Any:
        """Return the whole array, made on the caller's thread."""
        found = run_graph([self.builder], self.__dask_keys__())
        return self.finished([found[key] for key in self.__dask_keys__()])

    def columns(self, start: int, stop: int) -> BlockArray:
        """Return columns ``start`` to ``stop − 1``."""
        return map_blocks("columns", partial(_columns, start, stop), self, width=stop - start)

    def rows(self, index: np.ndarray) -> BlockArray:
        """Return rows by number, ascending or not, on the host and in one block."""
        builder, picked, places = GraphBuilder(self), [], []
        for (start, stop), key in zip(pairwise(self.starts), self.__dask_keys__(), strict=True):
            here = np.flatnonzero((index >= start) & (index < stop))
            places.append(here)
            picked.append(builder.add("rows", key[1:], partial(_rows, index[here] - start), key))
        builder.add("picked", (0, 0), partial(_in_place, np.concatenate(places)), picked)
        return array_of(builder, "picked", (index.size,), self.width, self.dtype)

    def in_blocks(self, heights: tuple[int, ...]) -> BlockArray:
        """Return the same rows, cut otherwise."""
        if heights == self.heights:
            return self
        builder, keys = GraphBuilder(self), self.__dask_keys__()
        for block, (start, stop) in enumerate(pairwise(accumulate(heights, initial=0))):
            cuts = [
                (number, slice(max(start - a, 0), min(stop, b) - a))
                for number, (a, b) in enumerate(pairwise(self.starts))
                if max(a, start) < min(b, stop)
            ]
            function = partial(_cut, [cut for _, cut in cuts])
            builder.add("cut", (block, 0), function, [keys[number] for number, _ in cuts])
        return array_of(builder, "cut", heights, self.width, self.dtype)


def array_of(
    builder: GraphBuilder, label: str, heights: tuple[int, ...], width: int, dtype: Any
) -> BlockArray:
    """Return the tasks ``(label, i, 0)`` of a finished builder as an array."""
    return BlockArray(builder, f"{label}-{builder.token}", heights, width, np.dtype(dtype))


def array_here(array: np.ndarray, heights: tuple[int, ...]) -> BlockArray:
    """Return an array of this process, cut into blocks."""
    builder = GraphBuilder()
    for block, (start, stop) in enumerate(pairwise(accumulate(heights, initial=0))):
        builder.put("array", (block, 0), array[start:stop])
    return array_of(builder, "array", heights, array.shape[1], array.dtype)


def map_blocks(
    label: str,
    function: Callable[..., Any],
    *arrays: BlockArray,
    width: int,
    heights: tuple[int, ...] | None = None,
) -> BlockArray:
    """Return ``function(*blocks)`` of every block of arrays, those of one block for all.

    Parameters
    ----------
    width, heights : of what comes out; heights as in the array of most blocks by default
    """
    builder = GraphBuilder(*arrays)
    longest = max((array.heights for array in arrays), key=len)
    for block in range(len(longest)):
        keys = [(array.name, block if len(array.heights) > 1 else 0, 0) for array in arrays]
        builder.add(label, (block, 0), function, *keys)
    return array_of(builder, label, longest if heights is None else heights, width, np.float64)


def _columns(start: int, stop: int, block: Any) -> Any:
    return block[:, start:stop]


def _rows(index: np.ndarray, block: Any) -> np.ndarray:
    return to_numpy(block)[index]


def _in_place(places: np.ndarray, blocks: Sequence[np.ndarray]) -> np.ndarray:
    together = np.concatenate(blocks)
    found = np.empty_like(together)
    found[places] = together
    return found


def _cut(cuts: Sequence[slice], blocks: Sequence[Any]) -> np.ndarray:
    return np.concatenate([to_numpy(one)[cut] for cut, one in zip(cuts, blocks, strict=True)])
