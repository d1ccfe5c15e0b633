"""Rows appended to a store: the store that one ingest of all the rows would have made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.append import append_rows, merge_statistics
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.ingest.running_moments import RunningMoments
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.manifest import ColumnStatistics
from dasklasso.dataset.verify import verify
from dasklasso.errors import ChunkCorrupt, OptionError, SourceError, StoreError, ValueFound
from dasklasso.files import renames
from dasklasso.files.atomic import PartialFolder, restore
from dasklasso.storage.zarr_blocks import read_rows

ROLES = {"target": "price", "weight": "w", "fold": "f"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 1000
    return pd.DataFrame(
        {
            "a": rng.normal(size=n) + 50,
            "kind": rng.choice(["oak", "elm", "fir"], n),
            "b": rng.normal(size=n) * 1e3,
            "w": rng.uniform(0, 2, n),
            "f": rng.integers(0, 4, n),
            "price": rng.normal(size=n),
        }
    )


def write(frame: pd.DataFrame, path: Path) -> Path:
    getattr(frame, {".csv": "to_csv", ".parquet": "to_parquet"}[path.suffix])(path, index=False)
    return path


def arrays_of(store: Path) -> dict[str, np.ndarray]:
    group = zarr.open_group(store, mode="r")
    return {name: group[name][...] for name in sorted(group.array_keys())}


def assert_same_store(store: Path, expected: Path) -> None:
    """Values, statistics, fingerprint; and nothing is wrong with it."""
    ours, theirs = arrays_of(store), arrays_of(expected)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])
    a, b = open_dataset(store), open_dataset(expected)
    assert a.fingerprint == b.fingerprint
    assert a.feature_names == b.feature_names
    assert a.statistics is not None
    assert b.statistics is not None
    spread = b.statistics.std.max()
    np.testing.assert_allclose(a.statistics.mean, b.statistics.mean, rtol=1e-12)
    np.testing.assert_allclose(a.statistics.std, b.statistics.std, rtol=1e-11, atol=1e-16 * spread)
    for name in ("minimum", "maximum", "missing"):
        np.testing.assert_array_equal(getattr(a.statistics, name), getattr(b.statistics, name))
    assert verify(store).faults == ()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_an_updated_store_is_the_store_of_the_whole_table(tmp_path, frame, ending):
    ingest(write(frame[:600], tmp_path / f"a{ending}"), tmp_path / "s", **ROLES)
    report = append_rows(tmp_path / "s", write(frame[600:], tmp_path / f"b{ending}"))
    ingest(write(frame, tmp_path / f"c{ending}"), tmp_path / "t", **ROLES)
    assert_same_store(tmp_path / "s", tmp_path / "t")
    assert (report.n_appended, report.n_rows) == (400, 1000)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["s", "t"]


def stored(path: Path, X: np.ndarray, y: np.ndarray, **options: Any) -> Path:
    with StoreWriter(
        path,
        feature_names=[f"x{j}" for j in range(X.shape[1])],
        target_names=["y"] if y.ndim == 1 else [f"y{k}" for k in range(y.shape[1])],
        dtype=X.dtype,
        **options,
    ) as writer:
        writer.write(X, y)
        writer.finish({"missing": "error"})
    return path


@pytest.mark.parametrize("n_new", [1, 3, 4, 5, 40, 43])
@pytest.mark.parametrize("n_old", [30, 34, 39])
def test_wherever_the_last_chunk_ends_the_store_is_that_of_all_rows(tmp_path, n_old, n_new):
    rng = np.random.default_rng(n_old)
    X, y = rng.normal(size=(n_old + n_new, 4)).astype(np.float32), rng.normal(size=n_old + n_new)
    stored(tmp_path / "s", X[:n_old], y[:n_old], chunk_rows=10)
    np.savez(tmp_path / "new.npz", X=X[n_old:], y=y[n_old:])
    report = append_rows(tmp_path / "s", tmp_path / "new.npz")
    stored(tmp_path / "t", X, y, chunk_rows=10)
    assert_same_store(tmp_path / "s", tmp_path / "t")
    assert report.chunks_linked == n_old // 10
    assert report.chunks_linked + report.chunks_written == -(-(n_old + n_new) // 10)


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_codecs_column_chunks_and_several_targets_stay(tmp_path, codec, dtype):
    rng = np.random.default_rng(1)
    X, y = rng.integers(0, 200, size=(95, 7)).astype(dtype), rng.normal(size=(95, 2))
    options = {"chunk_rows": 20, "chunk_columns": 3, "codec": codec}
    stored(tmp_path / "s", X[:50], y[:50], **options)
    np.savez(tmp_path / "new.npz", X=X[50:], y=y[50:])
    append_rows(tmp_path / "s", tmp_path / "new.npz")
    stored(tmp_path / "t", X, y, **options)
    assert_same_store(tmp_path / "s", tmp_path / "t")
    codecs = [zarr.open_array(tmp_path / s / "X", mode="r").metadata.codecs for s in "st"]
    assert codecs[0] == codecs[1]


def test_many_updates_are_one_ingest(tmp_path, frame):
    ingest(write(frame[:100], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    for start in range(100, 1000, 100):
        append_rows(tmp_path / "s", write(frame[start : start + 100], tmp_path / "new.csv"))
    ingest(write(frame, tmp_path / "all.csv"), tmp_path / "t", **ROLES)
    assert_same_store(tmp_path / "s", tmp_path / "t")
    updates = zarr.open_group(tmp_path / "s", mode="r").attrs["dasklasso"]["origin"]["updates"]
    assert updates["count"] == 9
    assert updates["latest"][-1]["rows"] == 100


def test_columns_are_found_by_name_in_any_order(tmp_path, frame):
    ingest(write(frame[:600], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    shuffled = frame[600:][["price", "b", "f", "kind", "w", "a"]]
    append_rows(tmp_path / "s", write(shuffled, tmp_path / "b.csv"))
    ingest(write(frame, tmp_path / "c.csv"), tmp_path / "t", **ROLES)
    assert_same_store(tmp_path / "s", tmp_path / "t")


def test_roles_may_have_other_names_in_the_new_rows(tmp_path, frame):
    ingest(write(frame[:600], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    renamed = frame[600:].rename(columns={"price": "cost", "w": "mass"}).assign(junk=1)
    new = write(renamed, tmp_path / "b.csv")
    append_rows(tmp_path / "s", new, target="cost", weight="mass", drop=["junk"])
    ingest(write(frame, tmp_path / "c.csv"), tmp_path / "t", **ROLES)
    assert_same_store(tmp_path / "s", tmp_path / "t")


def test_text_targets_and_folds_keep_the_numbers_of_their_classes(tmp_path, frame):
    classes = frame.assign(price=np.where(frame.price > 0, "dear", "cheap"))
    classes["f"] = classes.f.map({0: "n", 1: "e", 2: "s", 3: "w"})
    ingest(write(classes[:600], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    only_dear = classes[600:][lambda t: t.price == "dear"]
    append_rows(tmp_path / "s", write(only_dear, tmp_path / "b.csv"))
    whole = pd.concat([classes[:600], only_dear])
    ingest(write(whole, tmp_path / "c.csv"), tmp_path / "t", **ROLES)
    assert_same_store(tmp_path / "s", tmp_path / "t")


def test_missing_values_are_filled_with_the_means_of_the_first_ingest(tmp_path, frame):
    plain = frame[["a", "b", "price"]]
    old, new = plain[:600].copy(), plain[600:].copy()
    old.iloc[3, 0] = np.nan
    new.iloc[5, 1] = np.nan
    store = tmp_path / "s"
    ingest(write(old, tmp_path / "a.csv"), store, target="price", missing="mean")
    mean = np.float32(old["b"].mean())
    report = append_rows(store, write(new, tmp_path / "b.csv"))
    again = append_rows(store, tmp_path / "b.csv")
    data = open_dataset(store)
    assert read_rows(data.X, 605, 606)[0, 1] == mean
    assert read_rows(data.X, 1005, 1006)[0, 1] == mean
    np.testing.assert_array_equal(data.statistics.missing, [1, 2])
    assert report.notes == ["1 missing values were filled with the means of the first ingest."]
    assert again.notes == report.notes
    with pytest.raises(ValueFound, match="row 5, column b: found a missing value"):
        append_rows(store, tmp_path / "b.csv", missing="error")


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.sampled_from([0, 1e6]))
def test_merged_statistics_are_those_of_all_the_rows(seed, n_one, n_other, far):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_one + n_other, 3)) + far
    X[:, 2] = 7.5

    def statistics(rows: np.ndarray) -> ColumnStatistics:
        moments = RunningMoments(3)
        moments.update(rows)
        return moments.statistics(np.zeros(3, dtype=np.int64))

    merged = merge_statistics(statistics(X[:n_one]), n_one, statistics(X[n_one:]), n_other)
    np.testing.assert_allclose(merged.mean, X.mean(axis=0), rtol=1e-14, atol=1e-14)
    # of a mean of 1e6, one float64 keeps the deviation to 1e-10
    np.testing.assert_allclose(merged.std[:2], X.std(axis=0)[:2], rtol=1e-9 if far else 1e-13)
    assert merged.std[2] == 0


# -- readers and what else is in the store --------------------------------------------------------


def test_chunks_that_stay_are_the_same_files(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(55, 4)), np.arange(55.0)
    store = stored(tmp_path / "s", X[:40], y[:40], chunk_rows=20)
    before = {p.name: os.stat(p).st_ino for p in (store / "X" / "c").iterdir()}
    inode = os.stat(store / "X" / "c" / "1" / "0").st_ino
    np.savez(tmp_path / "new.npz", X=X[40:], y=y[40:])
    append_rows(store, tmp_path / "new.npz")
    assert os.stat(store / "X" / "c" / "1" / "0").st_ino == inode
    assert len(before) == 2
    assert os.stat(store / "X" / "c" / "1" / "0").st_nlink == 1  # the old store is gone


def test_old_chunks_that_are_mapped_stay_and_new_ones_are_not_taken_for_them(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(55, 4)), np.arange(55.0)
    store = stored(tmp_path / "s", X[:45], y[:45], chunk_rows=20)
    old = open_dataset(store)
    views = [old.X.block(i, 0) for i in range(3)]
    np.savez(tmp_path / "new.npz", X=X[45:], y=y[45:])
    append_rows(store, tmp_path / "new.npz")
    np.testing.assert_array_equal(np.concatenate(views), X[:45])
    np.testing.assert_array_equal(read_rows(old.X, 0, 40), X[:40])  # also by opening files now
    with pytest.raises(ChunkCorrupt, match=r"X/c/2/0 .* is not the chunk that was written there"):
        old.X.block(2, 0)
    np.testing.assert_array_equal(read_rows(open_dataset(store).X, 0, 55), X)


def test_what_else_is_in_the_store_stays(tmp_path, frame):
    store = tmp_path / "s"
    ingest(write(frame[:600], tmp_path / "a.csv"), store, **ROLES)
    (store / "README").write_text("from the farm")
    group = zarr.open_group(store, mode="r+")
    group.attrs["owner"] = "ann"
    group.create_array("regions", data=np.arange(5))
    append_rows(store, write(frame[600:], tmp_path / "b.csv"))
    assert (store / "README").read_text() == "from the farm"
    group = zarr.open_group(store, mode="r")
    assert group.attrs["owner"] == "ann"
    np.testing.assert_array_equal(group["regions"][...], np.arange(5))


def test_without_links_chunks_are_copied(tmp_path, monkeypatch):
    link = os.link

    def refuse(source: str | Path, target: str | Path) -> None:
        if (tmp_path / "s") in Path(source).parents:
            raise OSError(95, "Operation not supported")
        link(source, target)  # zarr makes new files with it

    monkeypatch.setattr(os, "link", refuse)
    X, y = np.random.default_rng(0).normal(size=(55, 4)), np.arange(55.0)
    stored(tmp_path / "s", X[:40], y[:40], chunk_rows=20)
    np.savez(tmp_path / "new.npz", X=X[40:], y=y[40:])
    append_rows(tmp_path / "s", tmp_path / "new.npz")
    assert_same_store(tmp_path / "s", stored(tmp_path / "t", X, y, chunk_rows=20))


def test_a_link_to_a_store_stays_a_link(tmp_path, frame):
    ingest(write(frame[:600], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    (tmp_path / "latest").symlink_to("s")
    append_rows(tmp_path / "latest", write(frame[600:], tmp_path / "b.csv"))
    assert (tmp_path / "latest").is_symlink()
    assert open_dataset(tmp_path / "s").n_rows == 1000


# -- what is refused, and leaves the store as it was ----------------------------------------------


@pytest.fixture
def store(tmp_path, frame):
    ingest(write(frame[:600], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    before = arrays_of(tmp_path / "s")
    yield tmp_path / "s"
    for name, values in arrays_of(tmp_path / "s").items():
        np.testing.assert_array_equal(values, before[name])
    assert verify(tmp_path / "s").ok
    assert {p.name for p in tmp_path.iterdir()} <= {"a.csv", "b.csv", "s"}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.drop(columns="b"), SourceError, "column 'b' is a feature of .*s and is not"),
        (lambda t: t.rename(columns={"b": "B"}), SourceError, r"Did you mean 'B'\?"),
        (lambda t: t.assign(c=1), SourceError, "column 'c' is not a feature of .*s.*--drop c"),
        (lambda t: t.drop(columns="price"), OptionError, "no column 'price', the target of"),
        (lambda t: t.drop(columns="w"), OptionError, r"no column 'w' \(--weight\)"),
        (
            lambda t: t.assign(kind=1),
            ValueFound,
            "kind: found '1', .*not among the 3 levels",
        ),
        (lambda t: t.assign(a="x"), ValueFound, "column a: found 'x', expected a number"),
        (lambda t: t[:0], SourceError, "row"),
    ],
    ids=["missing", "renamed", "unknown", "target", "weight", "number", "text", "empty"],
)
def test_a_table_that_does_not_fit_is_refused(store, frame, tmp_path, change, error, message):
    new = write(change(frame[600:].copy()), tmp_path / "b.csv")
    with pytest.raises(error, match=message):
        append_rows(store, new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": 1}, "column kind is int64, .* has text"),
        ({"a": "x"}, "column a is .*string, .* has numbers"),
    ],
)
def test_a_typed_column_of_another_kind_is_refused(store, frame, tmp_path, change, message):
    frame[600:].assign(**change).to_parquet(tmp_path / "b.csv.parquet")
    try:
        with pytest.raises(SourceError, match=message):
            append_rows(store, tmp_path / "b.csv.parquet")
    finally:
        (tmp_path / "b.csv.parquet").unlink()


def test_an_unseen_category_is_named_with_row_and_column(store, frame, tmp_path):
    new = frame[600:].reset_index(drop=True)
    new.loc[77, "kind"] = "Oak"
    message = "b.csv: row 77, column kind: found 'Oak', which is not among the 3 levels"
    for missing in ("error", "mean"):
        with pytest.raises(ValueFound, match=message):
            append_rows(store, write(new, tmp_path / "b.csv"), missing=missing)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("a", np.inf, "found inf"), ("w", -1.0, "a weight of at least 0"), ("a", 1e39, "float32")],
)
def test_a_value_that_cannot_be_used_is_named(store, frame, tmp_path, column, value, message):
    new = frame[600:].reset_index(drop=True)
    new.loc[12, column] = value
    with pytest.raises(ValueFound, match=rf"row 12, column {column}: .*{message}"):
        append_rows(store, write(new, tmp_path / "b.csv"))


def test_weights_are_refused_for_a_store_that_has_none(tmp_path, frame):
    plain = frame[["a", "w", "price"]]
    ingest(write(plain, tmp_path / "a.csv"), tmp_path / "s", target="price")
    with pytest.raises(OptionError, match="was ingested without --weight"):
        append_rows(tmp_path / "s", tmp_path / "a.csv", weight="w")


@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_a_store_whose_chunks_were_changed_is_refused(tmp_path, codec):
    X, y = np.random.default_rng(0).normal(size=(50, 4)), np.arange(50.0)
    store = stored(tmp_path / "s", X, y, chunk_rows=20, codec=codec)
    other = stored(tmp_path / "o", X + 1, y, chunk_rows=20, codec=codec)
    os.replace(other / "X" / "c" / "0" / "0", store / "X" / "c" / "0" / "0")
    np.savez(tmp_path / "new.npz", X=X, y=y)
    changed = "chunks were changed since they were written|is not the chunk that was written there"
    with pytest.raises(StoreError, match=changed):
        append_rows(store, tmp_path / "new.npz")


def test_a_store_of_somebody_else_is_refused(tmp_path):
    zarr.create_group(tmp_path / "s").create_array("X", data=np.zeros((3, 2)))
    np.savez(tmp_path / "new.npz", X=np.zeros((3, 2)), y=np.arange(3.0))
    with pytest.raises(StoreError, match="has no manifest of dasklasso"):
        append_rows(tmp_path / "s", tmp_path / "new.npz")
    assert {p.name for p in tmp_path.iterdir()} == {"s", "new.npz"}


@pytest.mark.parametrize("place", ["nowhere", "s3://bucket/store"])
def test_a_store_that_is_not_there_is_refused(tmp_path, place):
    with pytest.raises(StoreError, match=r"does not exist|on a local disk only"):
        append_rows(tmp_path / place if "://" not in place else place, tmp_path / "b.csv")


def test_two_updates_at_once_are_one_too_many(store, frame, tmp_path):
    new = write(frame[600:], tmp_path / "b.csv")
    holder = PartialFolder(store, overwrite=True)
    with pytest.raises(StoreError, match="is writing it"):
        append_rows(store, new)
    holder.discard()


# -- the swap -------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["exchange", "two steps"])
def swaps(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(renames, "_rename", None)
    elif renames._rename is None:
        pytest.skip("no renameat2 here")
    return request.param


def test_both_ways_to_swap_end_the_same(tmp_path, frame, swaps):
    ingest(write(frame[:600], tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    append_rows(tmp_path / "s", write(frame[600:], tmp_path / "b.csv"))
    assert open_dataset(tmp_path / "s").n_rows == 1000
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", "b.csv", "s"}


def test_a_swap_cut_off_between_its_two_steps_is_undone(tmp_path, frame, cut_off):
    store = tmp_path / "s"
    ingest(write(frame[:600], tmp_path / "a.csv"), store, **ROLES)
    cut_off(store)
    append_rows(store, write(frame[600:], tmp_path / "b.csv"))
    assert open_dataset(store).n_rows == 1000
    cut_off(store)
    assert restore(store)
    assert not restore(store)
    assert open_dataset(store).n_rows == 1000
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", "b.csv", "s"}


def test_a_new_store_does_not_take_the_place_of_one_that_was_cut_off(tmp_path, frame, cut_off):
    ingest(write(frame, tmp_path / "a.csv"), tmp_path / "s", **ROLES)
    cut_off(tmp_path / "s")
    with pytest.raises(StoreError, match="exists already"):
        ingest(tmp_path / "a.csv", tmp_path / "s", **ROLES)
    assert open_dataset(tmp_path / "s").n_rows == 1000
