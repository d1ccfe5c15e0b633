"""Decompression that ends where a chunk's shape says it must: declared sizes are not believed.

A few bytes can decode to as many as memory has. What a compressed chunk says of its size is
compared with the shape before it is decoded; where it says nothing, decoding stops at the bound.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_HEADER_BYTES = 18
_LZMA_MEMORY = 256 << 20  # of a dictionary: the largest preset takes 65 MiB
_PIECE_BYTES = 1 << 20  # decoded at a time: a buffer is made for what is asked for
_CHECKSUMS = ("crc32c", "crc32", "adler32", "fletcher32")
_CHECKSUM_BYTES = 4
_ROOM_BYTES = 1 << 12  # what codecs between a compressor and the array may add

DECLARING = ("blosc", "lz4", "zstd")  # compressors whose output begins with its decoded size
STREAMS = ("gzip", "zlib", "bz2", "lzma")


def declared_size(compressor: str, data: np.ndarray) -> int | None:
    """Return what a compressed chunk says its decoded size is, None where it does not.

    Raises
    ------
    ValueError
        It says how long it is itself, and is not: Blosc's decoder would read on in memory.
    """
    header = data[:_HEADER_BYTES].tobytes()
    if compressor == "blosc" and len(header) >= 16:
        said = int.from_bytes(header[12:16], "little")
        if said != data.size:
            raise ValueError(f"says that it has {said:,} bytes, and has {data.size:,}")
        return int.from_bytes(header[4:8], "little")
    if compressor == "lz4" and len(header) >= 4:
        return int.from_bytes(header[:4], "little")
    if compressor == "zstd":
        return _zstd_size(header)
    return None


def decode_stream(compressor: str, data: np.ndarray, most: int) -> bytes:
    """Decode a chunk that does not say how long it is, up to a bound.

    Parameters
    ----------
    compressor : one of :data:`STREAMS`, or zstd
    most : int
        Bytes that may come of it.

    Raises
    ------
    ValueError
        It is longer, is cut off, or cannot be decoded.
    """
    try:
        found = (
            _zstd_stream(data, most) if compressor == "zstd" else _stream(compressor, data, most)
        )
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if len(found) > most:
        raise ValueError(f"decodes to more than {most:,} bytes, which is all that its shape holds")
    return found


def check_bound(stored: np.ndarray, codecs: Sequence[str], most: int) -> None:
    """Refuse a chunk that would decode to more bytes than its shape holds.

    Parameters
    ----------
    stored : (n,) uint8
        A chunk as it is stored.
    codecs : sequence of str
        From bytes to bytes, in the order in which they encoded. Of what is unknown here nothing is
        said, and so of what came before it.
    most : int
        Bytes that the array's part of the chunk may have, before any compression.

    Raises
    ------
    ValueError
    """
    data, most = stored, most + _ROOM_BYTES
    for position in range(len(codecs) - 1, -1, -1):
        codec = codecs[position]
        if codec in _CHECKSUMS:
            data = data[:-_CHECKSUM_BYTES]
            continue
        if codec not in DECLARING and codec not in STREAMS:
            return
        declared = declared_size(codec, data)
        if declared is not None and declared > most:
            raise ValueError(
                f"says that it decodes to {declared:,} bytes, and its shape holds {most:,} at most"
            )
        if position == 0 and declared is not None:
            return
        if codec in ("blosc", "lz4"):
            return  # bounded by what it declares; what it holds is for the decoder to judge
        data = np.frombuffer(decode_stream(codec, data, most), dtype=np.uint8)


def _stream(compressor: str, data: np.ndarray, most: int) -> bytes:
    decoder = _decoder(compressor)
    found = decoder.decompress(data.tobytes(), most + 1)
    # gzip: of several members one after the other
    while compressor == "gzip" and decoder.eof and decoder.unused_data and len(found) <= most:
        rest = decoder.unused_data.lstrip(b"\0")
        if not rest:
            break
        decoder = _decoder(compressor)
        found += decoder.decompress(rest, most + 1 - len(found))
    if not decoder.eof and len(found) <= most:
        raise ValueError("ends before its stream does")
    return bytes(found)


def _decoder(compressor: str) -> Any:
    if compressor == "gzip":
        return zlib.decompressobj(wbits=31)
    if compressor == "zlib":
        return zlib.decompressobj()
    if compressor == "bz2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)


def _zstd_stream(data: np.ndarray, most: int) -> bytes:
    import pyarrow as pa

    found = bytearray()
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        while len(found) <= most and (piece := stream.read(min(most + 1, _PIECE_BYTES))):
            found += piece
    return bytes(found)


def _zstd_size(header: bytes) -> int | None:
    """Frame content size, RFC 8878 section 3.1.1.1."""
    if header[:4] != _ZSTD_MAGIC or len(header) < 6:
        return None
    descriptor = header[4]
    single_segment = bool(descriptor & 0x20)
    size_bytes = {0: 1 if single_segment else 0, 1: 2, 2: 4, 3: 8}[descriptor >> 6]
    start = 5 + (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3]
    field = header[start : start + size_bytes]
    if not size_bytes or len(field) < size_bytes:
        return None
    return int.from_bytes(field, "little") + (256 if size_bytes == 2 else 0)
