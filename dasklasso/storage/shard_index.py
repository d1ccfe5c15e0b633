"""Which inner chunks a shard holds: zarr reads those it lacks as the fill value, without a word.

The index is described in the Zarr v3 specification, codec ``sharding_indexed``: for every inner
chunk its offset and length as uint64, both 2⁶⁴ − 1 where it is absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

_ABSENT = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class ShardIndex:
    """Where a sharded array's shards keep their index, and its size in bytes."""

    shard: tuple[int, ...]
    inner: tuple[int, ...]
    nbytes: int
    at_end: bool

    @classmethod
    def of(cls, metadata: Any) -> ShardIndex | None:
        """Return the index of an array's shards; None where it is not sharded.

        Also None where the index cannot be read alone: it is compressed, or a codec stands
        before the sharding.
        """
        codecs = [codec.to_dict() for codec in getattr(metadata, "codecs", ())]
        if len(codecs) != 1 or codecs[0]["name"] != "sharding_indexed":
            return None
        configuration = codecs[0]["configuration"]
        shard = tuple(metadata.chunk_grid.chunk_shape)
        inner = tuple(configuration["chunk_shape"])
        index_codecs = [codec["name"] for codec in configuration["index_codecs"]]
        if index_codecs not in (["bytes"], ["bytes", "crc32c"]):
            return None
        endian = configuration["index_codecs"][0].get("configuration", {}).get("endian", "little")
        if getattr(endian, "value", endian) != "little":
            return None
        count = math.prod(s // c for s, c in zip(shard, inner, strict=True))
        location = configuration.get("index_location", "end")
        return cls(
            shard=shard,
            inner=inner,
            nbytes=16 * count + (4 if len(index_codecs) == 2 else 0),
            at_end=getattr(location, "value", location) == "end",
        )

    def missing(self, index: bytes, extent: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
        """The absent inner chunks that should hold data, each as slices within the shard.

        Parameters
        ----------
        index : bytes
            The ``nbytes`` of the index as stored.
        extent : tuple of int
            How much of the shard lies inside the array; inner chunks beyond are rightly absent.

        Raises
        ------
        ValueError
            When the index is too short.
        """
        entries = self._entries(index)
        absent = (entries == _ABSENT).all(axis=-1)
        used = [range(-(-e // c)) for e, c in zip(extent, self.inner, strict=True)]
        for place in product(*used):
            if absent[place]:
                yield tuple(
                    slice(p * c, min((p + 1) * c, e))
                    for p, c, e in zip(place, self.inner, extent, strict=True)
                )

    def stored_parts(self, shard: np.ndarray) -> Iterator[np.ndarray]:
        """The encoded bytes of each inner chunk that a shard holds.

        Parameters
        ----------
        shard : (n,) uint8
            All of it, as stored.

        Raises
        ------
        ValueError
            The index is too short, or says of a chunk that it lies beyond the shard.
        """
        index = shard[-self.nbytes :] if self.at_end else shard[: self.nbytes]
        for offset, length in self._entries(index.tobytes()).reshape(-1, 2).tolist():
            if offset == length == int(_ABSENT):
                continue
            if offset + length > shard.nbytes:
                raise ValueError(
                    f"has an inner chunk to byte {offset + length:,} of {shard.nbytes:,}"
                )
            yield shard[offset : offset + length]

    def _entries(self, index: bytes) -> np.ndarray:
        """(..., 2) uint64: offset and length of each inner chunk."""
        if len(index) < self.nbytes:
            raise ValueError(f"its index has {len(index)} bytes, expected {self.nbytes}")
        grid = tuple(s // c for s, c in zip(self.shard, self.inner, strict=True))
        return np.frombuffer(index, dtype="<u8", count=2 * math.prod(grid)).reshape(*grid, 2)
