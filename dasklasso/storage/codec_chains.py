"""Codec chains that are undone here, without zarr: raw bytes or one compressor, and a crc32c.

Decoding a mapped file straight into the block avoids zarr's copies and event loop: measured two
to four times as fast as either of its pipelines. Everything else is left to zarr.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numcodecs
import numpy as np
from numcodecs.abc import Codec

from dasklasso.storage.bounded_decoding import DECLARING, STREAMS, declared_size, decode_stream
from dasklasso.storage.shard_index import ShardIndex

# Zarr v3 names of codecs that numcodecs decodes too, by numcodecs' id.
_V3_NAMES = {"zstd": "zstd", "blosc": "blosc", "gzip": "gzip"}
_NUMCODECS = (*DECLARING, *STREAMS)


@dataclass(frozen=True)
class Chain:
    """``compressor``: numcodecs' id, None where chunks are raw; ``checksum``: crc32c at the end."""

    compressor: str | None
    checksum: bool

    def decode(self, data: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Bytes (checksum already taken off) to an array of ``shape``, C order.

        Raises
        ------
        Exception
            Whatever the codec raises for bytes that it cannot decode; ValueError for a length
            other than expected, before more than that is decoded.
        """
        expected = math.prod(shape) * dtype.itemsize
        if self.compressor is None:
            decoded: Any = data
        else:
            declared = declared_size(self.compressor, data)
            if declared == expected:
                out = np.empty(shape, dtype=dtype)
                codec: Codec = numcodecs.get_codec({"id": self.compressor})
                codec.decode(data, out)
                return out
            # a zstd stream may be of several frames, each with its size, or with none
            shorter = self.compressor == "zstd" and (declared or 0) < expected
            if self.compressor in DECLARING and not shorter:
                raise ValueError(f"decodes to {declared} bytes, expected {expected}")
            decoded = np.frombuffer(decode_stream(self.compressor, data, expected), dtype=np.uint8)
        if decoded.nbytes != expected:
            raise ValueError(f"decoded to {decoded.nbytes:,} bytes, expected {expected:,}")
        return decoded.view(dtype).reshape(shape)


def simple_chain(metadata: Any) -> Chain | None:
    """The chain of a zarr array's metadata (v2 or v3); None where only zarr can decode it."""
    description = metadata.to_dict()
    if description["zarr_format"] == 2:
        return _chain_v2(metadata)
    return _chain_v3(metadata)


def _chain_v2(metadata: Any) -> Chain | None:
    dtype = metadata.dtype.to_native_dtype()
    if metadata.filters or (metadata.order != "C" and len(metadata.shape) > 1):
        return None
    if not _native(dtype):
        return None
    if metadata.compressor is None:
        return Chain(compressor=None, checksum=False)
    compressor = metadata.compressor.get_config()["id"]
    return Chain(compressor, checksum=False) if compressor in _NUMCODECS else None


def _chain_v3(metadata: Any) -> Chain | None:
    codecs = [codec.to_dict() for codec in metadata.codecs]
    first, rest = codecs[0], codecs[1:]
    if first["name"] != "bytes" or not _little(first, metadata.dtype.to_native_dtype()):
        return None
    checksum = bool(rest) and rest[-1]["name"] == "crc32c"
    if checksum:
        rest = rest[:-1]
    if not rest:
        return Chain(compressor=None, checksum=checksum)
    name = rest[0]["name"]
    compressor = _V3_NAMES.get(name, name.removeprefix("numcodecs."))
    if len(rest) > 1 or compressor not in _NUMCODECS:
        return None
    # zstd's own checksum, where it was asked for, is verified by the decoder itself.
    return Chain(compressor, checksum)


def byte_codecs(metadata: Any) -> tuple[str, ...]:
    """Return the codecs from bytes to bytes, as they encode; of shards those of inner chunks.

    Empty where shards cannot be taken apart here: see :class:`ShardIndex`.
    """
    if metadata.to_dict()["zarr_format"] == 2:
        compressor = metadata.compressor
        return () if compressor is None else (compressor.get_config()["id"],)
    codecs = [codec.to_dict() for codec in metadata.codecs]
    if codecs[-1]["name"] == "sharding_indexed":
        if ShardIndex.of(metadata) is None:
            return ()
        codecs = [_as_dict(codec) for codec in codecs[-1]["configuration"]["codecs"]]
    names = [codec["name"] for codec in codecs]
    after = names.index("bytes") + 1 if "bytes" in names else len(names)
    return tuple(_V3_NAMES.get(name, name.removeprefix("numcodecs.")) for name in names[after:])


def _as_dict(codec: Any) -> dict[str, Any]:
    found: dict[str, Any] = codec if isinstance(codec, dict) else codec.to_dict()
    return found


def _little(codec: dict[str, Any], dtype: np.dtype) -> bool:
    if dtype.itemsize == 1:
        return True
    endian = codec.get("configuration", {}).get("endian", "little")
    return getattr(endian, "value", endian) == "little" and sys.byteorder == "little"


def _native(dtype: np.dtype) -> bool:
    return dtype.isnative and (dtype.itemsize == 1 or sys.byteorder == "little")
