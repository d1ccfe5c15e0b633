"""Statistics on disk: what is read is what was saved, or nothing and a warning."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import DataWarning, OptionError, StoreError
from dasklasso.files.work_folders import make_work_folder
from dasklasso.moments import append as carry
from dasklasso.moments import store as kept
from dasklasso.moments.append import update_store, with_rows
from dasklasso.moments.cross_moments import CrossMoments, cross_moments, merge_all
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.moments.store import (
    Key,
    find_moments,
    load_moments,
    save_moments,
    statistics_folder,
    stored_keys,
)
from dasklasso.storage.zarr_blocks import read_rows


def moments_of_data(X, y, weight=None, fold=None, scheme=FoldScheme()):  # noqa: B008
    """GroupedMoments from scratch: rows with a fold each, in blocks of equal length."""
    fold = np.zeros(len(X), int) if fold is None else np.asarray(fold, int)
    block = np.arange(len(X)) * scheme.n_blocks // len(X)
    places = sorted(set(zip(fold.tolist(), block.tolist(), strict=True)))
    moments = []
    for f, b in places:
        at = (fold == f) & (block == b)
        moments.append(cross_moments(X[at], y[at], None if weight is None else weight[at]))
    folds, blocks = np.array(places).T
    return GroupedMoments(scheme, folds, blocks, tuple(moments))


def some_moments(scheme=FoldScheme("random", 3, 7, 4), n=90, d=5, n_targets=2, seed=0):  # noqa: B008
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)) + 1e3, rng.normal(size=(n, n_targets))
    fold = np.arange(n) % scheme.n_folds if scheme.folds == "random" else None
    return moments_of_data(X, y, rng.uniform(0, 2, n), fold, scheme)


def assert_same_moments(found: CrossMoments, expected: CrossMoments, rel: float = 0.0) -> None:
    assert found.count == expected.count
    assert found.n_targets == expected.n_targets
    assert found.weight == pytest.approx(expected.weight, rel=rel, abs=0)
    root = np.sqrt(np.diagonal(expected.products))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=rel, atol=rel)
    error = np.abs(found.products - expected.products)
    assert (error <= rel * np.outer(root, root)).all()


def assert_same_groups(found: GroupedMoments, expected: GroupedMoments, rel: float = 0.0) -> None:
    assert found.scheme == expected.scheme
    np.testing.assert_array_equal(found.fold, expected.fold)
    np.testing.assert_array_equal(found.block, expected.block)
    for a, b in zip(found.moments, expected.moments, strict=True):
        assert_same_moments(a, b, rel)


KEY = Key("sha256:0", FoldScheme("random", 3, 7, 4))


# -- saving and loading ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_columns", [2, 3, 4, 7, 50])
@pytest.mark.parametrize("chunk_values", [1 << 20, 40])
def test_what_is_loaded_is_what_was_saved(tmp_path, monkeypatch, n_columns, chunk_values):
    monkeypatch.setattr("dasklasso.moments.packed_products.CHUNK_VALUES", chunk_values)
    grouped = some_moments(d=n_columns - 1, n_targets=1)
    save_moments(tmp_path, grouped, KEY)
    assert_same_groups(load_moments(tmp_path, KEY), grouped)


def test_products_wider_than_a_tile_are_mirrored_whole(tmp_path):
    grouped = some_moments(FoldScheme(), n=20, d=1100)
    save_moments(tmp_path, grouped, Key("f", grouped.scheme))
    assert_same_groups(load_moments(tmp_path, Key("f", grouped.scheme)), grouped)


def test_products_take_half_their_bytes(tmp_path):
    grouped = some_moments(FoldScheme(), n=20, d=400)
    place = save_moments(tmp_path, grouped, Key("f", grouped.scheme))
    size = sum(file.stat().st_size for file in (place / "products").rglob("*") if file.is_file())
    assert size < 0.52 * grouped.moments[0].products.nbytes


def test_there_is_nothing_but_zarr_and_json_and_every_chunk_has_a_checksum(tmp_path):
    place = save_moments(tmp_path, some_moments(), KEY)
    group = zarr.open_group(place, mode="r")
    for name in group.array_keys():
        codecs = [codec["name"] for codec in group[name].metadata.to_dict()["codecs"]]
        assert codecs == ["bytes", "crc32c"]
        assert group[name].nchunks_initialized == group[name].nchunks
    files = {file.name for file in place.rglob("*") if file.is_file()}
    assert all(name == "zarr.json" or name.isdecimal() for name in files)


def test_saving_again_replaces(tmp_path):
    save_moments(tmp_path, some_moments(seed=0), KEY)
    save_moments(tmp_path, some_moments(seed=1), KEY)
    assert_same_groups(load_moments(tmp_path, KEY), some_moments(seed=1))
    assert [path.name for path in tmp_path.iterdir()] == [KEY.name]


def test_other_data_or_another_scheme_have_none(tmp_path):
    save_moments(tmp_path, some_moments(), KEY)
    assert load_moments(tmp_path, Key("sha256:1", KEY.scheme)) is None
    assert load_moments(tmp_path, Key(KEY.fingerprint, FoldScheme())) is None
    assert load_moments(tmp_path / "nowhere", KEY) is None


@pytest.mark.parametrize("name", ["products", "mean", "weight", "count", "fold"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_damaged_statistics_are_named_and_not_used(tmp_path, name, harm):
    place = save_moments(tmp_path, some_moments(), KEY)
    chunk = next(file for file in sorted((place / name / "c").rglob("*")) if file.is_file())
    data = bytearray(chunk.read_bytes())
    data[5] ^= 1
    if harm == "remove":
        chunk.unlink()
    else:
        chunk.write_bytes(data if harm == "flip" else data[:-9])
    with pytest.warns(DataWarning, match=rf"damaged and not used: .*{name}/c/\d"):
        assert load_moments(tmp_path, KEY) is None
    save_moments(tmp_path, some_moments(), KEY)
    assert_same_groups(load_moments(tmp_path, KEY), some_moments())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"attributes": {"dasklasso_statistics": 3}}'])
@pytest.mark.parametrize("file", ["zarr.json", "products/zarr.json"])
def test_damaged_metadata_are_noticed(tmp_path, file, text):
    place = save_moments(tmp_path, some_moments(), KEY)
    (place / file).write_text(text)
    with pytest.warns(DataWarning, match=KEY.name):
        assert load_moments(tmp_path, KEY) is None


def swap_chunks(place):
    one, other = place / "mean" / "c" / "0" / "0", place / "unit" / "c" / "0" / "0"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)


def rename_type(place):
    path = place / "mean" / "zarr.json"
    path.write_text(path.read_text().replace("float64", "int64"))


def alter_count(place):
    path = place / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["dasklasso_statistics"]["n_targets"] += 1
    path.write_text(json.dumps(document))


def put_file(place):
    (place / "more").touch()


@pytest.mark.parametrize("damage", [swap_chunks, rename_type, alter_count, put_file])
def test_statistics_that_are_not_as_they_were_sealed_are_not_used(tmp_path, damage):
    place = save_moments(tmp_path, some_moments(), KEY)
    damage(place)
    with pytest.warns(DataWarning, match="damaged and not used: .*(was changed|no file of)"):
        assert load_moments(tmp_path, KEY) is None


def test_statistics_whose_head_cannot_be_read_are_named_when_looked_for(tmp_path):
    place = save_moments(tmp_path, some_moments(), KEY)
    (place / "zarr.json").write_text("{")
    with pytest.warns(DataWarning, match=f"{KEY.name}.* does not say what they are of"):
        assert stored_keys(tmp_path, KEY.fingerprint) == []


def test_statistics_of_other_groups_under_this_name_are_not_used(tmp_path):
    place = save_moments(tmp_path, some_moments(), KEY)
    head = json.loads((place / "zarr.json").read_text())
    head["attributes"]["dasklasso_statistics"]["labelling"]["seed"] = 8
    (place / "zarr.json").write_text(json.dumps(head))
    with pytest.warns(DataWarning, match="zarr.json is not of the data"):
        assert load_moments(tmp_path, KEY) is None


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        save_moments(tmp_path / "file", some_moments(), KEY)


# -- where they are -------------------------------------------------------------------------------


def test_they_are_beside_a_local_store_or_where_the_user_wants_them(tmp_path):
    zarr.create_group(tmp_path / "s.zarr").create_array("X", data=np.zeros((2, 2)))
    (tmp_path / "link").symlink_to("s.zarr")
    expected = tmp_path.resolve() / "s.zarr.stats"
    assert statistics_folder(str(tmp_path / "s.zarr")) == expected
    assert statistics_folder(f"{tmp_path}/s.zarr/") == expected
    assert statistics_folder(str(tmp_path / "link")) == expected
    assert statistics_folder("s3://bucket/s.zarr", "here") == Path("here")


@pytest.mark.parametrize("location", ["the data", "s3://bucket/s.zarr", "memory", "s.zarr/X"])
def test_data_that_are_not_a_local_store_have_no_place(tmp_path, monkeypatch, location):
    monkeypatch.chdir(tmp_path)
    zarr.create_group("s.zarr").create_array("X", data=np.zeros((2, 2)))
    assert statistics_folder(location) is None


# -- which of them serve --------------------------------------------------------------------------

NONE, FIVE, BLOCKS = FoldScheme(), FoldScheme("random", 5, 1), FoldScheme(n_blocks=8)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (FIVE, NONE),
        (BLOCKS, NONE),
        (FoldScheme("column", 4), NONE),
        (FoldScheme("contiguous", 4, n_blocks=8), BLOCKS),
        (FoldScheme("contiguous", 4, n_blocks=8), FoldScheme("contiguous", 4)),
        (FoldScheme("random", 5, 1, 8), FIVE),
        (FoldScheme("random", 5, 1, 8), BLOCKS),
    ],
)
def test_statistics_serve_where_what_is_wanted_follows(tmp_path, there, wanted):
    grouped = some_moments(there)
    save_moments(tmp_path, grouped, Key("f", there))
    found = find_moments(tmp_path, "f", wanted)
    assert found is not None
    assert found.scheme == there
    assert_same_moments(merge_all(found.moments), merge_all(grouped.moments))
    assert find_moments(tmp_path, "g", wanted) is None


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (NONE, FIVE),
        (FIVE, FoldScheme("random", 5, 2)),
        (FIVE, FoldScheme("random", 4, 1)),
        (FIVE, BLOCKS),
        (BLOCKS, FoldScheme("contiguous", 8)),  # blocks have other edges than folds
        (BLOCKS, FoldScheme("contiguous", 3)),
        (FoldScheme("contiguous", 8, n_blocks=8), FoldScheme("contiguous", 4)),
        (FoldScheme("random", 5, 1, 8), FoldScheme("contiguous", 5)),
        (BLOCKS, FoldScheme(n_blocks=9)),
        (FIVE, FoldScheme("column", 5)),
    ],
)
def test_statistics_do_not_serve_where_it_does_not(tmp_path, there, wanted):
    save_moments(tmp_path, some_moments(there), Key("f", there))
    assert find_moments(tmp_path, "f", wanted) is None


def test_the_very_same_come_first_then_the_fewest_groups(tmp_path):
    for scheme in (FoldScheme("random", 2, 0, 8), FIVE, BLOCKS):
        save_moments(tmp_path, some_moments(scheme), Key("f", scheme))
    assert find_moments(tmp_path, "f", NONE).scheme == FIVE
    save_moments(tmp_path, some_moments(NONE), Key("f", NONE))
    assert find_moments(tmp_path, "f", NONE).scheme == NONE


def test_where_the_first_are_damaged_others_serve(tmp_path):
    place = save_moments(tmp_path, some_moments(NONE), Key("f", NONE))
    save_moments(tmp_path, some_moments(FIVE), Key("f", FIVE))
    (place / "mean" / "c" / "0" / "0").unlink()
    with pytest.warns(DataWarning, match="damaged"):
        assert find_moments(tmp_path, "f", NONE).scheme == FIVE


def test_of_many_those_last_used_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST_SCHEMES", 3)
    keys = [Key(f"sha256:{n}", FoldScheme()) for n in range(4)]
    grouped = some_moments(FoldScheme(), n_targets=1)
    for age, key in enumerate(keys[:3]):
        place = save_moments(tmp_path, grouped, key) / "zarr.json"
        os.utime(place, (age + 1, age + 1))
    assert load_moments(tmp_path, keys[0]) is not None  # now it is the last one used
    save_moments(tmp_path, grouped, keys[3])
    there = [load_moments(tmp_path, key) is not None for key in keys]
    assert there == [True, False, True, True]


def test_what_a_killed_run_left_half_written_is_swept_and_nothing_else(tmp_path):
    ours = make_work_folder(tmp_path / ("a" * 32))
    others = [tmp_path / f"{'a' * 32}.partial", tmp_path / f".x.{'0' * 16}.partial"]
    for other in others:
        other.mkdir()
        (other / "thesis.tex").write_text("years of work")
    save_moments(tmp_path, some_moments(FoldScheme()), Key("sha256:0", FoldScheme()))
    assert [half.exists() for half in (ours, *others)] == [False, True, True]


def test_a_store_is_no_place_for_statistics(tmp_path):
    zarr.open_group(tmp_path / "s.zarr", mode="w")
    with pytest.raises(OptionError, match="is a Zarr store"):
        statistics_folder(str(tmp_path / "s.zarr"), tmp_path / "s.zarr")


def test_a_folder_that_is_not_of_statistics_is_passed_by(tmp_path):
    zarr.create_group(tmp_path / "other")
    (tmp_path / "notes").mkdir()
    assert find_moments(tmp_path, "f", NONE) is None


# -- rows are appended ----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_old=st.integers(8, 60),
    n_new=st.integers(1, 40),
    n_blocks=st.sampled_from([1, 3]),
    far=st.sampled_from([0.0, 1e4]),
    weighted=st.booleans(),
)
def test_moments_with_rows_appended_add_up_to_those_of_all_rows(
    seed, n_old, n_new, n_blocks, far, weighted
):
    rng = np.random.default_rng(seed)
    n = n_old + n_new
    X, y = rng.standard_normal((n, 3)) + far, rng.standard_normal((n, 1))
    fold = rng.integers(-1, 3, n)
    weight = rng.uniform(0.1, 2, n) if weighted else None
    scheme = FoldScheme("column", 3, n_blocks=n_blocks)
    old = slice(0, n_old)
    grouped = moments_of_data(
        X[old], y[old], None if weight is None else weight[old], fold[old], scheme
    )
    new = {}
    for k in np.unique(fold[n_old:]).tolist():
        at = np.flatnonzero(fold == k)
        at = at[at >= n_old]
        new[k] = cross_moments(X[at], y[at], None if weight is None else weight[at])
    found = with_rows(grouped, new)
    for k in np.unique(fold).tolist():
        at = fold == k
        parts = [m for f, m in zip(found.fold, found.moments, strict=True) if f == k]
        expected = cross_moments(X[at], y[at], None if weight is None else weight[at])
        assert_same_moments(merge_all(parts), expected, 1e-10)
    if n_blocks == 1:
        assert_same_groups(found, moments_of_data(X, y, weight, fold, scheme), 1e-10)
    assert found.scheme.n_blocks in (n_blocks, n_blocks + 1)


def test_new_rows_are_one_more_block_once_the_last_is_as_long_as_the_first():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.zeros((60, 1))
    grouped = moments_of_data(X, y, scheme=FoldScheme(n_blocks=3))
    lengths = []
    for _ in range(5):
        grouped = with_rows(grouped, {0: cross_moments(X[:12], y[:12])})
        lengths.append([moments.count for moments in grouped.moments])
    assert lengths == [
        [20, 20, 20, 12],
        [20, 20, 20, 24],
        [20, 20, 20, 24, 12],
        [20, 20, 20, 24, 24],
        [20, 20, 20, 24, 24, 12],
    ]


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 4)) + 3, columns=list("abcd"))
    return frame.assign(
        w=rng.uniform(0, 2, 500), f=rng.integers(-1, 3, 500), y=frame.a + rng.normal(size=500)
    )


def scratch(store: Path, scheme: FoldScheme) -> GroupedMoments:
    data = open_dataset(store)
    X, y, w, f = (
        read_rows(source, 0, data.n_rows)
        for source in (data.X, data.y, data.sample_weight, data.fold)
    )
    return moments_of_data(X, y, w[:, 0], f[:, 0] if scheme.folds == "column" else None, scheme)


@pytest.fixture
def store(tmp_path, table):
    table[:300].to_csv(tmp_path / "old.csv", index=False)
    table[300:].to_csv(tmp_path / "new.csv", index=False)
    ingest(tmp_path / "old.csv", tmp_path / "s", target="y", weight="w", fold="f")
    return tmp_path / "s"


COLUMN = FoldScheme("column", 4)


def keep(store: Path, *schemes: FoldScheme, folder: Path | None = None) -> Path:
    place = folder or statistics_folder(str(store))
    for scheme in schemes:
        save_moments(place, scratch(store, scheme), Key(open_dataset(store).identity, scheme))
    return place


def test_statistics_after_an_update_are_those_from_scratch(store, tmp_path):
    folder = keep(store, NONE, COLUMN)
    before = open_dataset(store).identity
    _, statistics = update_store(store, tmp_path / "new.csv")
    assert set(statistics.updated) == {NONE, COLUMN}
    after = open_dataset(store).identity
    for scheme in (NONE, COLUMN):
        found = load_moments(folder, Key(after, scheme))
        assert_same_groups(found, scratch(store, scheme), 1e-10)
    assert stored_keys(folder, before) == []


def test_what_cannot_be_carried_over_is_left(store, tmp_path):
    contiguous = FoldScheme("contiguous", 3, n_blocks=3)
    folder = keep(store, NONE, contiguous)
    _, statistics = update_store(store, tmp_path / "new.csv")
    assert (statistics.updated, statistics.not_updated) == ([NONE], [contiguous])
    assert [key.scheme for key, _ in stored_keys(folder, open_dataset(store).identity)] == [NONE]


def test_statistics_beyond_the_memory_are_left(store, tmp_path, monkeypatch):
    keep(store, NONE)
    follower = carry.StatisticsUpdate(statistics_folder(str(store)), memory=100, drop_old=True)
    carry.append_rows(store, tmp_path / "new.csv", followers=[follower])
    assert (follower.updated, follower.not_updated) == ([], [NONE])


def test_damaged_statistics_do_not_stop_an_update(store, tmp_path):
    folder = keep(store, NONE, COLUMN)
    before = open_dataset(store).identity
    (folder / Key(before, NONE).name / "mean" / "c" / "0" / "0").unlink()
    with pytest.warns(DataWarning, match="damaged"):
        _, statistics = update_store(store, tmp_path / "new.csv")
    assert (statistics.updated, statistics.not_updated) == ([COLUMN], [NONE])
    assert open_dataset(store).n_rows == 500


def test_an_update_that_fails_leaves_the_statistics_of_the_old_rows(store, tmp_path, monkeypatch):
    folder = keep(store, NONE)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dasklasso.files.atomic.PartialFolder._replace", fail)
    with pytest.raises(StoreError, match="No space left"):
        update_store(store, tmp_path / "new.csv")
    assert open_dataset(store).n_rows == 300
    found = load_moments(folder, Key(open_dataset(store).identity, NONE))
    assert_same_groups(found, scratch(store, NONE), 1e-12)


def test_what_was_kept_of_the_old_rows_with_other_targets_goes_too(store, tmp_path):
    folder = keep(store, FoldScheme())
    key = Key("sha256:the old rows, with another y", FoldScheme())
    save_moments(folder, some_moments(FoldScheme()), key)
    update_store(store, tmp_path / "new.csv")
    assert load_moments(folder, key) is None


def test_statistics_elsewhere_are_carried_over_and_the_old_ones_stay(store, tmp_path):
    folder = keep(store, NONE, folder=tmp_path / "elsewhere")
    before = open_dataset(store).identity
    update_store(store, tmp_path / "new.csv", stats=folder)
    after = open_dataset(store).identity
    assert [len(stored_keys(folder, fingerprint)) for fingerprint in (before, after)] == [1, 1]
    assert not os.path.exists(f"{store}.stats")
