"""A store holds exactly the rows that were written, or it is not there."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.chunks import CHUNK_BYTES, STRIP_BYTES, chunk_shape
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.manifest import MANIFEST_KEY, Manifest
from dasklasso.errors import DataWarning, OptionError, StoreError, ValueFound
from dasklasso.storage.compression import CODECS, choose_codec


def table(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)).astype(np.float32), rng.standard_normal(n)


def write(path: Path, X: np.ndarray, y: np.ndarray, *, step: int = 7, **options: Any) -> Manifest:
    options = {"dtype": X.dtype, "codec": "none", **options}
    targets = ["y"] if y.ndim == 1 else [f"y{k}" for k in range(y.shape[1])]
    with StoreWriter(
        path,
        feature_names=[f"x{j}" for j in range(X.shape[1])],
        target_names=targets,
        **options,
    ) as writer:
        for start in range(0, len(X), step):
            writer.write(X[start : start + step], y[start : start + step])
        return writer.finish({"source": "test"})


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 80),
    d=st.integers(1, 6),
    step=st.integers(1, 90),
    chunk_rows=st.integers(1, 90),
    chunk_columns=st.integers(1, 6),
    codec=st.sampled_from(CODECS),
)
def test_what_was_written_is_read_for_any_batches_and_chunks(
    n: int, d: int, step: int, chunk_rows: int, chunk_columns: int, codec: str
) -> None:
    X, y = table(n, d)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        manifest = write(
            path, X, y, step=step, chunk_rows=chunk_rows, chunk_columns=chunk_columns, codec=codec
        )
        group = zarr.open_group(path, mode="r")
        np.testing.assert_array_equal(group["X"][...], X)
        np.testing.assert_array_equal(group["y"][...], y)
        assert group["X"].chunks == (min(chunk_rows, n), min(chunk_columns, d))
        assert group["y"].chunks == (min(chunk_rows, n),)
        assert manifest == _same(Manifest.from_json(group.attrs[MANIFEST_KEY], where="s"), manifest)
        np.testing.assert_allclose(manifest.statistics.mean, X.mean(axis=0, dtype=np.float64))


def _same(read: Manifest, written: Manifest) -> Manifest:
    """``written`` if equal to ``read`` (arrays in dataclasses have no ``==``)."""
    assert json.dumps(read.to_json()) == json.dumps(written.to_json())
    return written


@pytest.mark.parametrize("codec", CODECS)
def test_every_chunk_is_there_and_ends_in_the_checksum_of_its_stored_bytes(
    tmp_path: Path, codec: str
) -> None:
    X, y = np.zeros((50, 3), dtype=np.float32), np.arange(50.0)  # zeros: zarr likes to omit them
    write(tmp_path / "s", X, y, chunk_rows=20, codec=codec)
    chunks = sorted(p for p in (tmp_path / "s").rglob("c/**/*") if p.is_file())
    assert len(chunks) == 6
    for chunk in chunks:
        data = chunk.read_bytes()
        assert google_crc32c.value(data[:-4]) == int.from_bytes(data[-4:], "little")


def test_several_targets_weights_and_folds_are_kept(tmp_path: Path) -> None:
    X, _ = table(30, 2)
    y = np.arange(60.0).reshape(30, 2)
    weight, fold = np.arange(30) + 0.5, np.arange(30) % 3
    with StoreWriter(
        tmp_path / "s", feature_names=["a", "b"], target_names=["u", "v"], dtype="float64",
        with_weight=True, with_fold=True, chunk_rows=8,
    ) as writer:  # fmt: skip
        writer.write(X, y, weight, fold)
        writer.finish({})
    group = zarr.open_group(tmp_path / "s", mode="r")
    assert {name: str(array.dtype) for name, array in group.arrays()} == {
        "X": "float64", "y": "float64", "sample_weight": "float64", "fold": "int32"
    }  # fmt: skip
    np.testing.assert_array_equal(group["y"][...], y)
    np.testing.assert_array_equal(group["sample_weight"][...], weight)
    np.testing.assert_array_equal(group["fold"][...], fold)


# -- the fingerprint --------------------------------------------------------------------------


def test_the_fingerprint_does_not_depend_on_codec_or_batches(tmp_path: Path) -> None:
    X, y = table(50, 3)
    prints = {
        write(tmp_path / f"{codec}{step}", X, y, codec=codec, step=step, chunk_rows=20).fingerprint
        for codec in CODECS
        for step in (3, 20, 50)
    }
    assert len(prints) == 1


def test_one_changed_value_changes_the_fingerprint(tmp_path: Path) -> None:
    X, y = table(50, 3)
    before = write(tmp_path / "a", X, y).fingerprint
    X[31, 1] += 1
    assert write(tmp_path / "b", X, y).fingerprint != before


# -- chunks -----------------------------------------------------------------------------------


@settings(max_examples=200)
@given(d=st.integers(1, 3_000_000), itemsize=st.sampled_from([1, 2, 4, 8]))
def test_chunks_are_about_64_mib_with_at_least_64_rows(d: int, itemsize: int) -> None:
    rows, columns = chunk_shape(d, itemsize, memory=64 << 30)
    size = rows * columns * itemsize
    assert rows >= 64
    assert size <= CHUNK_BYTES
    assert columns == d or size > CHUNK_BYTES // 2
    assert columns < d or size > CHUNK_BYTES - d * itemsize


@settings(max_examples=200)
@given(
    n=st.integers(1, 200_000),
    wider=st.integers(1, 1_000_000),
    itemsize=st.sampled_from([1, 4, 8]),
    memory=st.sampled_from([64 << 20, 1 << 30]),
)
def test_a_table_wider_than_long_is_read_some_columns_at_a_time(n, wider, itemsize, memory) -> None:
    d = n + wider
    rows, columns = chunk_shape(d, itemsize, memory=memory, n_rows=n)
    assert rows <= n
    assert columns <= d
    assert rows == 1 or rows * d * itemsize <= memory // 3
    assert n * columns * itemsize <= max(STRIP_BYTES, n * 256 * itemsize)


def test_a_chunk_is_never_longer_than_the_table(tmp_path: Path) -> None:
    X, y = table(10, 2)
    write(tmp_path / "s", X, y)
    assert zarr.open_group(tmp_path / "s", mode="r")["X"].chunks == (10, 2)


def test_a_row_of_chunks_fits_the_memory_however_wide() -> None:
    rows, _ = chunk_shape(2_000_000, 4, memory=256 << 20)
    assert rows * 2_000_000 * 4 <= 128 << 20


# -- the codec --------------------------------------------------------------------------------


def test_noise_is_left_uncompressed() -> None:
    assert choose_codec("auto", table(2_000, 50)[0]).name == "none"


def test_a_choice_reports_what_was_measured() -> None:
    choice = choose_codec("auto", np.zeros((1_000, 50), dtype=np.float32)).to_json()
    assert set(choice["candidates"]) == set(CODECS)
    assert choice["candidates"]["zstd"]["ratio"] > 10
    assert choice["candidates"]["zstd"]["decode_mb_per_s"] > 0
    assert choice["ratio"] == choice["candidates"][choice["name"]]["ratio"]


@pytest.mark.parametrize(("share", "name"), [(0.05, "lz4"), (0.6, "none")])
def test_sizes_alone_decide_whatever_the_clock_says(
    share: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = table(2_000, 50)[0]
    X[np.random.default_rng(0).random(X.shape) > share] = 0
    for seconds in (1e-6, 10.0):  # decoding seems instant, or takes for ever
        clock = itertools.count(step=seconds)
        monkeypatch.setattr(
            "dasklasso.storage.compression.time.perf_counter", lambda c=clock: next(c)
        )
        assert choose_codec("auto", X).name == name


def test_rows_from_all_over_the_first_chunk_decide() -> None:
    X = table(400_000, 50)[0]
    X[:60_000] = 0  # the table begins with what shrinks to nothing
    assert choose_codec("auto", X).name == "none"


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(OptionError, match="'gzip' is not known, expected auto, none, lz4 or zstd"):
        choose_codec("gzip", np.zeros((1, 1)))


# -- what is refused --------------------------------------------------------------------------


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    X, y = table(50, 3)
    X[41, 2] = np.nan
    message = r"s: row 41, column x2: found nan, expected a finite float32 number"
    with pytest.raises(ValueFound, match=message):
        write(tmp_path / "s", X, y, chunk_rows=20)
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_infinities_is_refused(tmp_path: Path) -> None:
    X, y = table(5, 2)
    X[:, 0] = np.inf
    with pytest.raises(ValueFound, match="row 0, column x0: found inf"):
        write(tmp_path / "s", X, y)


@pytest.mark.parametrize("scale", [1e-170, 1e200])
def test_columns_of_extreme_size_have_a_deviation(tmp_path: Path, scale: float) -> None:
    X, y = table(50, 2)
    write(tmp_path / "s", X.astype(np.float64) * scale, y, dtype="float64", chunk_rows=9)
    known = open_dataset(str(tmp_path / "s")).statistics
    np.testing.assert_allclose(known.std, X.astype(np.float64).std(axis=0) * scale, rtol=1e-12)


def test_a_constant_target_is_named(tmp_path: Path) -> None:
    X, _ = table(20, 2)
    y = np.column_stack([np.arange(20.0), np.full(20, 3.0)])
    with pytest.warns(DataWarning, match="target y1 is 3 in all 20 rows"):
        write(tmp_path / "s", X, y)


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s", feature_names=["a"], target_names=["y"], dtype="float32")
    with writer, pytest.raises(OptionError, match=r"X has shape \(5, 2\), expected \(5, 1\)"):
        writer.write(np.zeros((5, 2)), np.zeros(5))


def test_a_store_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueFound, match="no rows were written"):
        write(tmp_path / "s", np.zeros((0, 2)), np.zeros(0))


# -- whole or not at all ----------------------------------------------------------------------


def test_a_writer_left_unfinished_leaves_nothing(tmp_path: Path) -> None:
    X, y = table(50, 2)
    writer = StoreWriter(
        tmp_path / "s", feature_names=["a", "b"], target_names=["y"], dtype="float32", chunk_rows=9
    )
    with writer:
        writer.write(X, y)  # and no finish: as after an exception
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_not_touched(tmp_path: Path) -> None:
    X, y = table(20, 2)
    first = write(tmp_path / "s", X, y)
    with pytest.raises(StoreError, match="s: exists already"):
        write(tmp_path / "s", X + 1, y)
    attributes = zarr.open_group(tmp_path / "s", mode="r").attrs
    assert attributes[MANIFEST_KEY]["fingerprint"] == first.fingerprint  # type: ignore[index, call-overload]


def test_the_old_store_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    X, y = table(20, 2)
    write(tmp_path / "s", X, y)
    with pytest.raises(ValueFound):
        write(tmp_path / "s", X * np.float32(np.nan), y, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s", mode="r")["X"][...], X)
    write(tmp_path / "s", X + 1, y, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s", mode="r")["X"][...], X + 1)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_folder_that_is_no_store_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    X, y = table(20, 2)
    with pytest.raises(StoreError, match="is not a Zarr store, so it will not be overwritten"):
        write(tmp_path / "thesis", X, y, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize("place", [".", "X", "y"])
def test_a_store_that_others_put_something_in_is_not_overwritten(
    tmp_path: Path, place: str
) -> None:
    X, y = table(20, 2)
    write(tmp_path / "s", X, y)
    (tmp_path / "s" / place / "notes.txt").write_text("years of work")
    with pytest.raises(StoreError, match=r"is not overwritten: .*notes.txt in it is not of"):
        write(tmp_path / "s", X, y, overwrite=True)
    assert (tmp_path / "s" / place / "notes.txt").exists()


@pytest.mark.parametrize("names", [("precious",), ("X", "y")], ids=["an array", "as of a store"])
def test_a_group_that_others_wrote_is_not_overwritten(tmp_path: Path, names: Any) -> None:
    X, y = table(20, 2)
    group = zarr.create_group(tmp_path / "s")
    for name in names:
        group.create_array(name, data=X)
    with pytest.raises(StoreError, match=f"s: is not overwritten: .* with {', '.join(names)} that"):
        write(tmp_path / "s", X, y, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s", mode="r")[names[0]][...], X)  # type: ignore[index]


@pytest.mark.parametrize("metadata", ['{"node_type": "group"', '{"attributes": {"dasklasso": 0}}'])
def test_a_store_whose_manifest_cannot_be_read_may_be_overwritten(
    tmp_path: Path, metadata: str
) -> None:
    X, y = table(20, 2)
    write(tmp_path / "s", X, y)
    (tmp_path / "s" / "zarr.json").write_text(metadata)
    write(tmp_path / "s", X + 1, y, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s", mode="r")["X"][...], X + 1)  # type: ignore[index]


def test_two_writers_of_one_store_do_not_mix(tmp_path: Path) -> None:
    X, y = table(20, 2)
    options: dict[str, Any] = {
        "feature_names": ["a", "b"], "target_names": ["y"], "dtype": "float32"
    }  # fmt: skip
    with StoreWriter(tmp_path / "s", **options) as first:
        first.write(X, y)
        with pytest.raises(StoreError, match="is writing it"):
            StoreWriter(tmp_path / "s", **options)
        first.finish({})
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "s", mode="r")["X"][...], X)


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    # a limit on the size of files refuses writes as a full disk does
    code = (
        "import sys, resource, numpy as np\n"
        "from dasklasso.dataset.ingest.writer import StoreWriter\n"
        "from dasklasso.errors import StoreError\n"
        "X = np.random.default_rng(0).random((50_000, 4))\n"
        "try:\n"
        "    with StoreWriter(sys.argv[1], feature_names=list('abcd'), target_names=['y'],\n"
        "                     dtype='float32', codec='none') as writer:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "        writer.write(X, X[:, 0])\n"
        "        writer.finish({})\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "s: cannot be written: File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []
