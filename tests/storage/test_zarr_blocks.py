"""Any Zarr array reads as blocks, and nothing that is missing or damaged reads as data."""

from __future__ import annotations

import gc
import json
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pyarrow as pa
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from dasklasso.errors import ChunkCorrupt, ChunkMissing, OptionError, StoreError
from dasklasso.storage.mapped_files import MapCache, checked, crc32c
from dasklasso.storage.zarr_blocks import ZarrBlocks, read_rows
from dasklasso.storage.zarr_reader import ArrayCache

V3_COMPRESSORS: dict[str, Any] = {
    "raw": [],
    "crc": [Crc32cCodec()],
    "zstd": [ZstdCodec(level=1)],
    "zstd-checksum": [ZstdCodec(level=1, checksum=True)],
    "zstd-crc": [ZstdCodec(level=1), Crc32cCodec()],
    "blosc-crc": [BloscCodec(cname="lz4", clevel=1), Crc32cCodec()],
    "gzip": [GzipCodec(level=1)],
    "crc-zstd": [Crc32cCodec(), ZstdCodec(level=1)],  # an order that only zarr undoes
}
V2_COMPRESSORS: dict[str, Any] = {
    "raw": None,
    "zstd": numcodecs.Zstd(level=1),
    "blosc": numcodecs.Blosc(cname="zstd", clevel=1),
    "lz4": numcodecs.LZ4(),
    "zlib": numcodecs.Zlib(level=1),
}
DTYPES = ("f4", "f8", "f2", "u1", "i2", "i8", "?", ">f4", ">i4")


def values(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return rng.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)


def make(
    store: Any,
    X: np.ndarray,
    chunks: tuple[int, ...],
    *,
    zarr_format: int = 3,
    codec: str = "crc",
    transposed: bool = False,
    **more: Any,
) -> Any:
    if zarr_format == 2:
        options = {
            "compressors": V2_COMPRESSORS[codec],
            "order": "F" if transposed else "C",
        }
    else:
        options = {
            "compressors": V3_COMPRESSORS[codec],
            "filters": [TransposeCodec(order=tuple(range(X.ndim))[::-1])] if transposed else None,
            "serializer": BytesCodec(endian="big" if X.dtype.byteorder == ">" else "little"),
        }
    array = zarr.create_array(
        store,
        name="X",
        shape=X.shape,
        chunks=chunks,
        dtype=X.dtype,
        zarr_format=zarr_format,
        **{"config": {"write_empty_chunks": True}, **options, **more},
    )
    array[...] = X
    return array


def blocks(array: Any, **options: Any) -> ZarrBlocks:
    return ZarrBlocks(array, location="STORE", **options)


def test_blocks_at_the_edges_are_copied_only_to_be_contiguous(tmp_path):
    X = values((6, 7), "f4")
    source = blocks(make(str(tmp_path), X, (4, 4), codec="raw"))
    block, view = source.block(1, 1), source.uncopied(1, 1)
    np.testing.assert_array_equal(view, X[4:, 4:])
    np.testing.assert_array_equal(block, view)
    assert block.flags.c_contiguous
    assert np.shares_memory(view, source.uncopied(1, 1))


def together(source: ZarrBlocks) -> np.ndarray:
    return read_rows(source, 0, source.shape[0])


@pytest.fixture
def table() -> np.ndarray:
    return values((10, 5), "f4") + np.float32(0.5)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    rows=st.integers(1, 12),
    columns=st.integers(1, 6),
    dtype=st.sampled_from(DTYPES),
    zarr_format=st.sampled_from((2, 3)),
    transposed=st.booleans(),
    local=st.booleans(),
)
def test_blocks_hold_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    rows: int,
    columns: int,
    dtype: str,
    zarr_format: int,
    transposed: bool,
    local: bool,
) -> None:
    chunks = (data.draw(st.integers(1, rows + 2)), data.draw(st.integers(1, columns + 2)))
    codec = data.draw(
        st.sampled_from(sorted(V2_COMPRESSORS if zarr_format == 2 else V3_COMPRESSORS))
    )
    X = values((rows, columns), dtype)
    store = str(tmp_path_factory.mktemp("s")) if local else zarr.storage.MemoryStore()
    array = make(store, X, chunks, zarr_format=zarr_format, codec=codec, transposed=transposed)
    source = blocks(array)
    assert source.row_bounds[-1] == rows
    assert source.column_bounds[-1] == columns
    for i in range(len(source.row_bounds) - 1):
        for j in range(len(source.column_bounds) - 1):
            block = source.block(i, j)
            expected = X[
                source.row_bounds[i] : source.row_bounds[i + 1],
                source.column_bounds[j] : source.column_bounds[j + 1],
            ]
            assert block.flags.c_contiguous
            assert block.dtype == source.dtype
            assert block.dtype.isnative
            np.testing.assert_array_equal(block, expected)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_vector_is_one_column(tmp_path: Path, zarr_format: int) -> None:
    y = values((10,), "f8")
    source = blocks(make(str(tmp_path), y, (4,), zarr_format=zarr_format, codec="raw"))
    assert source.shape == (10, 1)
    np.testing.assert_array_equal(together(source)[:, 0], y)


@pytest.mark.parametrize("local", [True, False])
def test_a_block_of_a_sharded_array_is_a_shard(
    tmp_path: Path, table: np.ndarray, local: bool
) -> None:
    store = str(tmp_path) if local else zarr.storage.MemoryStore()
    source = blocks(make(store, table, (2, 2), codec="zstd", shards=(4, 4)))
    assert source.row_bounds == (0, 4, 8, 10)
    np.testing.assert_array_equal(together(source), table)


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, 11), stop=st.integers(0, 11), chunk=st.integers(1, 12))
def test_rows_read_across_chunks(start: int, stop: int, chunk: int) -> None:
    X = values((11, 3), "f4")
    source = blocks(make(zarr.storage.MemoryStore(), X, (chunk, 2)))
    stop = max(start, stop)
    np.testing.assert_array_equal(read_rows(source, start, stop), X[start:stop])


def test_raw_local_chunks_are_views_of_their_files(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (4, 5)))
    assert source.mapped
    first, second = source.block(0, 0), source.block(0, 0)
    assert np.shares_memory(first, second)
    assert not first.flags.writeable


def test_compressed_chunks_are_not_mapped(tmp_path: Path, table: np.ndarray) -> None:
    assert not blocks(make(str(tmp_path), table, (4, 5), codec="zstd-crc")).mapped


def test_stored_bytes_are_the_file_size(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (4, 5)))
    assert source.stored_bytes(0, 0) == 4 * 5 * 4 + 4


def test_stored_bytes_of_remote_chunks_are_decoded_bytes(table: np.ndarray) -> None:
    source = blocks(make(zarr.storage.MemoryStore(), table, (4, 5)))
    assert source.stored_bytes(2, 0) == 2 * 5 * 4


def test_the_hint_changes_nothing(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (4, 5)))
    os.remove(source.chunk_file(1, 0))
    source.will_need(0, 0)
    source.will_need(1, 0)
    np.testing.assert_array_equal(source.block(0, 0), table[:4])


# -- what is missing --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", sorted(V3_COMPRESSORS))
@pytest.mark.parametrize("local", [True, False])
def test_a_missing_chunk_is_an_error_not_zeros(
    tmp_path: Path, table: np.ndarray, codec: str, local: bool
) -> None:
    store = zarr.storage.LocalStore(tmp_path) if local else zarr.storage.MemoryStore()
    source = blocks(make(store, table, (4, 2), codec=codec))
    _delete(store, "X/c/1/0")
    with pytest.raises(ChunkMissing, match=r"X/c/1/0 is not in STORE \(rows 4-7\)\. Zarr would"):
        source.block(1, 0)
    np.testing.assert_array_equal(source.block(0, 0), table[:4, :2])


def test_a_missing_v2_chunk_is_named_by_its_key(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (4, 2), zarr_format=2, codec="zstd"))
    os.remove(tmp_path / "X" / "2.1")
    with pytest.raises(ChunkMissing, match=r"X/2\.1 is not in STORE \(rows 8-9\)"):
        source.block(2, 1)


@pytest.mark.parametrize("codec", ["crc", "zstd-crc", "crc-zstd"])
@pytest.mark.parametrize("local", [True, False])
def test_a_missing_chunk_is_the_fill_value_where_that_is_asked_for(
    tmp_path: Path, table: np.ndarray, codec: str, local: bool
) -> None:
    store = zarr.storage.LocalStore(tmp_path) if local else zarr.storage.MemoryStore()
    source = blocks(make(store, table, (4, 2), codec=codec, fill_value=3), empty_chunks="zero")
    _delete(store, "X/c/1/0")
    np.testing.assert_array_equal(source.block(1, 0), np.full((4, 2), 3))


@pytest.mark.parametrize("local", [True, False])
def test_a_missing_shard_is_an_error(tmp_path: Path, table: np.ndarray, local: bool) -> None:
    store = zarr.storage.LocalStore(tmp_path) if local else zarr.storage.MemoryStore()
    source = blocks(make(store, table, (2, 2), codec="zstd", shards=(4, 4)))
    _delete(store, "X/c/1/1")
    with pytest.raises(ChunkMissing, match=r"X/c/1/1 is not in STORE \(rows 4-7\)"):
        source.block(1, 1)


@pytest.mark.parametrize("local", [True, False])
def test_an_inner_chunk_left_out_of_a_shard_is_an_error(
    tmp_path: Path, table: np.ndarray, local: bool
) -> None:
    table[2:4, 2:4] = 0
    store = zarr.storage.LocalStore(tmp_path) if local else zarr.storage.MemoryStore()
    array = make(
        store, table, (2, 2), codec="zstd", shards=(4, 4), config={"write_empty_chunks": False}
    )
    with pytest.raises(ChunkMissing, match=r"lacks the inner chunk of rows 2-3"):
        blocks(array).block(0, 0)
    np.testing.assert_array_equal(blocks(array, empty_chunks="zero").block(0, 0), table[:4, :4])


def test_a_chunk_deleted_after_it_was_mapped_is_missing(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (4, 5)))
    source.block(0, 0)
    os.remove(source.chunk_file(0, 0))
    with pytest.raises(ChunkMissing):
        source.block(0, 0)


# -- what is damaged --------------------------------------------------------------------------

CHECKED = ["crc", "zstd-checksum", "zstd-crc", "blosc-crc", "gzip", "crc-zstd"]


@pytest.mark.parametrize("codec", CHECKED)
def test_a_flipped_bit_is_found_and_named(tmp_path: Path, table: np.ndarray, codec: str) -> None:
    source = blocks(make(str(tmp_path), table, (4, 2), codec=codec))
    _flip(source.chunk_file(1, 1), at=-6)
    with pytest.raises(ChunkCorrupt, match=r"X/c/1/1 of STORE \(rows 4-7\)"):
        source.block(1, 1)


@pytest.mark.parametrize("codec", sorted(V3_COMPRESSORS))
def test_a_truncated_chunk_is_found_and_named(
    tmp_path: Path, table: np.ndarray, codec: str
) -> None:
    source = blocks(make(str(tmp_path), table, (4, 2), codec=codec))
    path = source.chunk_file(1, 1)
    os.truncate(path, os.path.getsize(path) - 5)
    with pytest.raises(ChunkCorrupt, match=r"X/c/1/1 of STORE \(rows 4-7\)"):
        source.block(1, 1)


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("codec", sorted(V3_COMPRESSORS))
def test_a_chunk_cut_to_almost_nothing_is_corrupt(
    tmp_path: Path, table: np.ndarray, codec: str, size: int
) -> None:
    source = blocks(make(str(tmp_path), table, (4, 2), codec=codec))
    os.truncate(source.chunk_file(1, 1), size)
    with pytest.raises(ChunkCorrupt, match=r"X/c/1/1 of STORE"):
        source.block(1, 1)


@pytest.mark.parametrize("codec", ["blosc", "zstd", "lz4", "zlib", "raw"])
def test_a_chunk_that_decodes_to_another_length_is_corrupt(
    tmp_path: Path, table: np.ndarray, codec: str
) -> None:
    source = blocks(make(str(tmp_path), table, (4, 2), zarr_format=2, codec=codec))
    short = np.zeros(6, dtype="f4")
    compressor = V2_COMPRESSORS[codec]
    Path(source.chunk_file(1, 1)).write_bytes(
        short.tobytes() if compressor is None else compressor.encode(short)
    )
    with pytest.raises(ChunkCorrupt, match="24 bytes, expected 32"):
        source.block(1, 1)


def test_a_damaged_shard_is_named(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (2, 2), codec="zstd-crc", shards=(4, 4)))
    _flip(source.chunk_file(1, 0), at=3)
    with pytest.raises(ChunkCorrupt, match=r"X/c/1/0 of STORE \(rows 4-7\)"):
        source.block(1, 0)


def test_damage_to_remote_bytes_is_found(table: np.ndarray) -> None:
    store = zarr.storage.MemoryStore()
    source = blocks(make(store, table, (4, 2), codec="zstd-crc"))
    value = store._store_dict["X/c/1/1"].to_bytes()
    damaged = bytes([value[0] ^ 1]) + value[1:]
    store._store_dict["X/c/1/1"] = zarr.core.buffer.cpu.Buffer.from_bytes(damaged)
    with pytest.raises(ChunkCorrupt, match=r"X/c/1/1 of STORE \(rows 4-7\)"):
        source.block(1, 1)


def test_a_chunk_damaged_between_two_reads_is_found(tmp_path: Path, table: np.ndarray) -> None:
    source = blocks(make(str(tmp_path), table, (4, 5)))
    source.block(0, 0)
    path = source.chunk_file(0, 0)
    _flip(path, at=0)
    os.utime(path, ns=(1, 1))  # however coarse the clock of the file system
    with pytest.raises(ChunkCorrupt):
        source.block(0, 0)


def test_checksums_are_verified_once_in_a_process(tmp_path: Path, table: np.ndarray) -> None:
    cache, path, calls = MapCache(), tmp_path / "chunk", []
    path.write_bytes(table.tobytes())
    for _ in range(3):
        cache.get(str(path), calls.append)
    assert len(calls) == 1


def test_the_checksum_is_crc32c() -> None:
    assert crc32c(np.frombuffer(b"123456789", dtype=np.uint8)) == 0xE3069283


def test_bytes_too_short_for_a_checksum_are_corrupt() -> None:
    with pytest.raises(ChunkCorrupt, match="THIS is only 3 bytes long"):
        checked(np.zeros(3, dtype=np.uint8), "THIS")


def test_old_maps_are_closed_and_their_views_stay_good(tmp_path: Path) -> None:
    cache = MapCache(capacity=2)
    views = []
    for k in range(5):
        path = tmp_path / str(k)
        path.write_bytes(bytes([k]) * 5000)
        views.append(cache.get(str(path), lambda data: 0)[0])
    gc.collect()
    assert len(cache) == 2
    assert [int(view[-1]) for view in views] == [0, 1, 2, 3, 4]


# -- processes and threads --------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["crc", "zstd", "crc-zstd"])
def test_a_source_pickles_small_and_reads_the_same(
    tmp_path: Path, table: np.ndarray, codec: str
) -> None:
    source = blocks(make(str(tmp_path), np.tile(table, (300, 2)), (100, 5), codec=codec))
    before = together(source)
    sent = pickle.dumps(source)
    assert len(sent) < 4000
    np.testing.assert_array_equal(together(pickle.loads(sent)), before)


@pytest.mark.parametrize("codec", ["crc", "zstd-crc", "crc-zstd"])
def test_threads_read_at_once(tmp_path: Path, codec: str) -> None:
    X = values((400, 7), "f4")
    source = blocks(make(str(tmp_path), X, (10, 4), codec=codec))
    wrong: list[object] = []

    def read() -> None:
        try:
            if not np.array_equal(together(source), X):
                wrong.append("other values")
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_read_only_folder_is_read(tmp_path: Path, table: np.ndarray) -> None:
    array = make(str(tmp_path), table, (4, 2))
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in files + folders[::-1]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        np.testing.assert_array_equal(together(blocks(array)), table)
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_the_users_zarr_settings_are_left_alone(tmp_path: Path, table: np.ndarray) -> None:
    before = zarr.config.get("codec_pipeline.path")
    seen = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(zarr.config.get("codec_pipeline.path"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for i in range(5):
        array = make(str(tmp_path / str(i)), table, (2, 2), codec="zstd", shards=(4, 4))
        together(blocks(array))
    done.set()
    watcher.join()
    assert seen == {before}


def test_shards_are_decoded_by_the_fast_pipeline(tmp_path: Path, table: np.ndarray) -> None:
    made = make(str(tmp_path), table, (2, 2), codec="zstd", shards=(4, 4))
    opened = ArrayCache().get("X", made.store, made.path)
    assert type(opened.async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
    np.testing.assert_array_equal(opened[...], table)


# -- what is no table -------------------------------------------------------------------------


def test_three_dimensions_are_refused() -> None:
    array = zarr.create_array(zarr.storage.MemoryStore(), shape=(2, 2, 2), dtype="f4", name="X")
    with pytest.raises(StoreError, match="STORE: X has 3 dimensions"):
        blocks(array)


@pytest.mark.parametrize("dtype", ["complex64", "M8[s]"])
def test_what_is_not_a_real_number_is_refused(dtype: str) -> None:
    array = zarr.create_array(zarr.storage.MemoryStore(), shape=(2, 2), dtype=dtype, name="X")
    with pytest.raises(StoreError, match="expected real numbers"):
        blocks(array)


def test_an_unknown_choice_for_empty_chunks_is_refused(table: np.ndarray) -> None:
    array = make(zarr.storage.MemoryStore(), table, (4, 2))
    with pytest.raises(OptionError, match="'error' or 'zero'"):
        blocks(array, empty_chunks="nan")


def _delete(store: Any, key: str) -> None:
    if isinstance(store, zarr.storage.LocalStore):
        os.remove(store.root / key)
    else:
        del store._store_dict[key]


def _flip(path: str, *, at: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 1
    Path(path).write_bytes(data)


# -- metadata that cannot be believed -----------------------------------------------------------


def test_metadata_that_zarr_refuses_at_the_first_read_are_a_line(tmp_path: Path) -> None:
    array = make(str(tmp_path), values((10, 5), "f4"), (2, 2), codec="zstd", shards=(4, 4))
    source = blocks(array)
    path = tmp_path / "X/zarr.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "storage_transformers": [{"name": "other"}]}))
    with pytest.raises(StoreError, match="cannot be read from the store"):
        source.block(0, 0)


def test_chunks_that_are_not_there_take_no_more_memory_than_the_array(tmp_path: Path) -> None:
    array = zarr.create_array(str(tmp_path), shape=(3, 2), chunks=(2**40, 2**20), dtype="f8")
    source = blocks(array, empty_chunks="zero")
    np.testing.assert_array_equal(source.block(0, 0), np.zeros((3, 2)))


def test_a_stream_is_decoded_piece_by_piece_whatever_the_metadata_promise(tmp_path: Path) -> None:
    array = zarr.create_array(
        str(tmp_path), shape=(3, 2), chunks=(2**40, 2**20), dtype="f8", compressors=ZstdCodec()
    )
    source = blocks(array)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(b"no chunk")
    path = Path(source.chunk_file(0, 0))
    path.parent.mkdir(parents=True)
    path.write_bytes(sink.getvalue())
    with pytest.raises(ChunkCorrupt, match="decoded to 8 bytes"):
        source.block(0, 0)
