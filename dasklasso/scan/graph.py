"""Low-level Dask graphs, layer by layer, with readable names and each layer's own workers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

Key = tuple[Any, ...]


class GraphBuilder:
    """Collects tasks in named layers on top of existing collections.

    Task keys are ``(layer name, index)``; a layer's name is ``label-token``, so that the dashboard
    groups and names tasks by their label.
    """

    def __init__(self, *sources: Any) -> None:
        self.token = uuid.uuid4().hex
        self._layers: dict[str, Any] = {}
        self._sources = [source.__dask_graph__() for source in sources]
        self._source_names = {name for source in sources for name in source.__dask_layers__()}

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
            self._layers[layer_name] = ({}, annotations or None)
        key = (name, *index)
        self._layers[layer_name][0][key] = (function, *keys)
        return key

    def graph(self) -> HighLevelGraph:
        """Everything added, on top of the sources."""
        layers: dict[str, Any] = {}
        dependencies: dict[str, set[str]] = {}
        for source in self._sources:
            layers |= source.layers
            dependencies |= source.dependencies
        own = set(self._layers)
        for name, (tasks, notes) in self._layers.items():
            layers[name] = MaterializedLayer(tasks, annotations=notes)
            # which layers a task leans on is found from its keys when the graph is built
            dependencies[name] = (own - {name}) & self._layers_of(tasks) | self._source_names
        return HighLevelGraph(layers, dependencies)

    def _layers_of(self, tasks: dict[Key, Any]) -> set[str]:
        needed = {key[0] for task in tasks.values() for key in _keys_in(task[1:])}
        return {
            name for name, (held, _) in self._layers.items() if any(k[0] in needed for k in held)
        }


def _keys_in(part: Any) -> list[Key]:
    if isinstance(part, list):
        return [key for item in part for key in _keys_in(item)]
    if isinstance(part, tuple):
        if part and isinstance(part[0], str):
            return [part]
        return [key for item in part for key in _keys_in(item)]
    return []


def array_of(
    builder: GraphBuilder, label: str, chunks: tuple[tuple[int, ...], ...], dtype: Any
) -> da.Array:
    """The tasks ``(label, i, j)`` of a finished builder as a Dask array."""
    name = f"{label}-{builder.token}"
    return da.Array(builder.graph(), name, chunks=chunks, dtype=dtype, meta=np.empty((0, 0)))


def delayed_of(builder: GraphBuilder, key: Key) -> Delayed:
    """One task of a finished builder as a Delayed."""
    return Delayed(key, builder.graph(), layer=key[0])
