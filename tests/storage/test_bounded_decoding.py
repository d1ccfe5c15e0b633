"""A chunk decodes to what its shape holds, or not at all, whatever it says of itself."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pyarrow as pa
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from dasklasso.errors import ChunkCorrupt, StoreError
from dasklasso.storage.bounded_decoding import check_bound, decode_stream
from dasklasso.storage.mapped_files import crc32c
from dasklasso.storage.zarr_blocks import ZarrBlocks, read_rows

SHAPE = (100, 5)
BOMB = bytes(16 << 20)
MOST_MEMORY = 12 << 20  # lzma has a dictionary of 8 MiB


def zstd_without_size(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


ENCODE: dict[str, Any] = {
    "gzip": gzip.compress,
    "zstd": numcodecs.Zstd().encode,
    "zstd without its size": zstd_without_size,
    "blosc": numcodecs.Blosc().encode,
    "lz4": numcodecs.LZ4().encode,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
}
V3: dict[str, Any] = {
    "gzip": GzipCodec(),
    "zstd": ZstdCodec(),
    "zstd without its size": ZstdCodec(),
    "blosc": BloscCodec(),
}
V2: dict[str, Any] = {
    "lz4": numcodecs.LZ4(),
    "zlib": numcodecs.Zlib(),
    "bz2": numcodecs.BZ2(),
    "lzma": numcodecs.LZMA(),
}


def array_of(store: Any, codec: str, how: str) -> Any:
    options: dict[str, Any] = {"zarr_format": 3, "compressors": V3.get(codec)}
    if codec in V2:
        options = {"zarr_format": 2, "compressors": V2[codec]}
    elif how == "transposed":
        options |= {"filters": [TransposeCodec(order=(1, 0))], "serializer": BytesCodec()}
    chunks = (20, 5) if how == "sharded" else SHAPE
    if how == "sharded":
        options["shards"] = SHAPE
    elif how == "with a crc32c inside":
        options["compressors"] = [Crc32cCodec(), V3[codec]]
    return zarr.create_array(
        store, name="X", shape=SHAPE, chunks=chunks, dtype="f8", fill_value=1.0, **options
    )


def assert_refused(source: ZarrBlocks) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ChunkCorrupt, match=r"X/.* of STORE \(rows 0-99\) cannot be decoded"):
            source.block(0, 0)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ENCODE)
def test_a_chunk_of_more_than_its_shape_is_refused_before_it_is_decoded(
    tmp_path: Path, codec: str
) -> None:
    array = array_of(str(tmp_path), codec, "plain")
    array[...] = 0
    source = ZarrBlocks(array, location="STORE")
    read_rows(source, 0, 1)
    Path(source.chunk_file(0, 0)).write_bytes(ENCODE[codec](BOMB))
    assert_refused(source)


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("codec", ["gzip", "zstd without its size", "zstd", "blosc"])
@pytest.mark.parametrize("how", ["sharded", "transposed", "with a crc32c inside"])
def test_so_is_one_that_zarr_would_decode(
    tmp_path: Path, codec: str, how: str, local: bool
) -> None:
    if local:
        store: Any = str(tmp_path)
    else:
        held: dict[str, Any] = {}
        store = zarr.storage.MemoryStore(held)
    array = array_of(store, codec, how)
    array[...] = 0
    source = ZarrBlocks(array, location="STORE")
    np.testing.assert_array_equal(source.block(0, 0), np.zeros(SHAPE))
    content = ENCODE[codec](BOMB)
    if how == "sharded":  # one inner chunk, the other four absent
        index = np.full((5, 2), 2**64 - 1, dtype="<u8")
        index[:, 0], index[:, 1] = 0, len(content)
        stored = index.tobytes()
        content += stored + crc32c(np.frombuffer(stored, np.uint8)).to_bytes(4, "little")
    if local:
        Path(source.chunk_file(0, 0)).write_bytes(content)
    else:
        key = next(key for key in held if "/c/" in key)
        held[key] = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(content)
    assert_refused(source)


@pytest.mark.parametrize("bytes_lost", [1, 5, 200])
@pytest.mark.parametrize("how", ["plain", "transposed"])
def test_a_blosc_chunk_cut_off_is_refused_though_its_decoder_reads_on(
    tmp_path: Path, how: str, bytes_lost: int
) -> None:
    array = array_of(str(tmp_path), "blosc", how)
    array[...] = np.random.default_rng(0).integers(0, 2**60, SHAPE).view("f8")  # stays as it is
    source = ZarrBlocks(array, location="STORE")
    chunk = Path(source.chunk_file(0, 0))
    chunk.write_bytes(chunk.read_bytes()[:-bytes_lost])
    with pytest.raises(ChunkCorrupt, match=r"cannot be decoded.*says that it has"):
        source.block(0, 0)


@given(
    content=st.binary(max_size=2000),
    codec=st.sampled_from(["gzip", "zlib", "bz2", "lzma", "zstd without its size"]),
    cut=st.integers(0, 2),
)
def test_a_stream_decodes_to_what_was_encoded_or_is_refused(
    content: bytes, codec: str, cut: int
) -> None:
    name = codec.split()[0]
    stored = np.frombuffer(ENCODE[codec](content), dtype=np.uint8)
    assert decode_stream(name, stored, len(content)) == content
    if content:
        with pytest.raises(ValueError, match="decodes to more than"):
            decode_stream(name, stored, len(content) - 1)
    if cut:
        with pytest.raises(ValueError, match=r"ends before|Truncated|truncated|Error|incomplete"):
            decode_stream(name, stored[:-cut], len(content))


def test_members_of_gzip_and_frames_of_zstd_follow_each_other() -> None:
    for name in ("gzip", "zstd"):
        stored = np.frombuffer(ENCODE[name](b"one") + ENCODE[name](b"two"), dtype=np.uint8)
        assert decode_stream(name, stored, 6) == b"onetwo"
        with pytest.raises(ValueError, match="decodes to more than 5"):
            decode_stream(name, stored, 5)


def test_what_is_not_known_is_left_to_zarr() -> None:
    check_bound(np.zeros(10, dtype=np.uint8), ["pcodec", "crc32c"], 1)


@pytest.mark.parametrize("shape", [(10**15, 5), (3, 10**15)])
def test_metadata_of_more_chunks_than_can_be_listed_are_refused(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    array = zarr.create_array(str(tmp_path), shape=shape, chunks=(2, 2), dtype="f8")
    with pytest.raises(StoreError, match="chunks found, expected at most"):
        ZarrBlocks(array, location="STORE")
