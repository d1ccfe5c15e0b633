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
        self._layer_of: dict[Key, str] = {}
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
        self._layer_of[key] = layer_name
        return key

    def layer_of(self, key: Key) -> str:
        """Name of the layer that holds a task of this builder."""
        return self._layer_of[key]

    def graph(self) -> HighLevelGraph:
        """Everything added, on top of the sources."""
        layers: dict[str, Any] = {}
        dependencies: dict[str, set[str]] = {}
        for source in self._sources:
            layers |= source.layers
            dependencies |= source.dependencies
        before = self._source_names
        for name, (tasks, notes) in self._layers.items():
            layers[name] = MaterializedLayer(tasks, annotations=notes)
            # a task leans only on tasks added before it: a chain of layers says no less than that
            dependencies[name] = before
            before = self._source_names | {name}
        return HighLevelGraph(layers, dependencies)


def array_of(
    builder: GraphBuilder, label: str, chunks: tuple[tuple[int, ...], ...], dtype: Any
) -> da.Array:
    """Return the tasks ``(label, i, j)`` of a finished builder as a Dask array."""
    name = f"{label}-{builder.token}"
    return da.Array(builder.graph(), name, chunks=chunks, dtype=dtype, meta=np.empty((0, 0)))


def delayed_of(builder: GraphBuilder, key: Key) -> Delayed:
    """Return one task of a finished builder as a Delayed."""
    return Delayed(key, builder.graph(), layer=builder.layer_of(key))
