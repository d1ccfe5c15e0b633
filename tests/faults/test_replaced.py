"""A store that changes under a fit: nothing of the mixture is returned, kept or resumed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.errors import DataWarning, StoreError
from dasklasso.fit import fit_path
from dasklasso.moments.store import statistics_folder
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.checkpoint import has_checkpoint

N, D = 400, 6
OPTIONS = {
    "gram": FitOptions(alphas=(0.1, 0.01), solver="gram"),
    "fista": FitOptions(alphas=(0.01,), solver="fista"),
    "newton": FitOptions(alphas=(0.01,), solver="newton", loss="logistic"),
}
REPLACED = "was replaced or damaged while it was read"


@pytest.fixture(scope="module")
def tables(regression) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    made = {}
    for number, name in enumerate(("old", "new")):
        X, y = regression(N, D, seed=number)
        made[name] = (X * np.geomspace(1, 9, D), (y > np.median(y)).astype(float))
    return made


class Once:
    """A progress callback that does something after the first scan."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def __call__(self, event: Any) -> None:
        action, self.action = self.action, None
        if action is not None:
            action()


def replace_store(path: Path, make_store: Any, tables: Any) -> None:
    other = path.with_name("other.zarr")
    make_store(*tables["new"], path=other, chunk_rows=100)
    shutil.rmtree(path)
    os.rename(other, path)


@pytest.mark.parametrize("solver", OPTIONS)
def test_a_store_replaced_under_a_fit_ends_it(tmp_path, make_store, tables, solver) -> None:
    path, options = tmp_path / "s.zarr", OPTIONS[solver]
    data = make_store(*tables["old"], path=path, chunk_rows=100)
    replaced = Once(lambda: replace_store(path, make_store, tables))
    with pytest.raises(StoreError, match=REPLACED):
        fit_path(data, options, progress=replaced)
    assert replaced.action is None
    # what was kept of the old rows is not met by the new ones
    again = fit_path(open_dataset(str(path)), options)
    clean = fit_path(make_store(*tables["new"], chunk_rows=100), options, RunOptions(stats=None))
    np.testing.assert_array_equal(again.coef, clean.coef)


def test_one_chunk_replaced_under_a_fit_ends_it(tmp_path, make_store, tables) -> None:
    path = tmp_path / "s.zarr"
    data = make_store(*tables["old"], path=path, chunk_rows=100)
    make_store(*tables["new"], path=tmp_path / "o.zarr", chunk_rows=100)
    chunk = "X/c/3/0"
    replaced = Once(lambda: os.replace(tmp_path / "o.zarr" / chunk, path / chunk))
    with pytest.raises(StoreError, match=r"X/c/3/0 of .* \(rows 300-399\) is not the chunk"):
        fit_path(data, OPTIONS["fista"], progress=replaced)


def test_a_store_of_somebody_else_replaced_under_a_fit_ends_it(tmp_path, tables) -> None:
    def write(name: str) -> None:
        X, y = tables[name]
        group = zarr.open_group(str(tmp_path / "s"), mode="w")
        group.create_array("X", shape=X.shape, chunks=(100, D), dtype="f8")[...] = X
        group.create_array("y", data=y)

    write("old")
    data = open_dataset(str(tmp_path / "s"))
    with pytest.raises(StoreError, match=REPLACED):
        fit_path(data, OPTIONS["fista"], progress=Once(lambda: write("new")))


def test_a_store_that_is_gone_under_a_fit_in_memory_ends_it(tmp_path, make_store, tables) -> None:
    path = tmp_path / "s.zarr"
    data = make_store(*tables["old"], path=path)
    with pytest.raises(StoreError, match=REPLACED):
        fit_path(data, OPTIONS["newton"], progress=Once(lambda: shutil.rmtree(path)))


def test_a_replaced_store_leaves_no_checkpoint(tmp_path, make_store, tables) -> None:
    path, folder = tmp_path / "s.zarr", tmp_path / "checkpoint"
    data = make_store(*tables["old"], path=path, chunk_rows=100)
    run = RunOptions(checkpoint=folder, checkpoint_seconds=0)
    replaced = Once(lambda: replace_store(path, make_store, tables))  # before the first state
    kept = pytest.warns(DataWarning, match="no checkpoint was written")
    with pytest.raises(StoreError, match=REPLACED), kept:
        fit_path(data, OPTIONS["fista"], run, progress=replaced)
    assert not has_checkpoint(folder)


def test_misplaced_chunks_leave_no_moments_behind(tmp_path, make_store, tables) -> None:
    path, aside = tmp_path / "s.zarr", tmp_path / "aside"
    make_store(*tables["old"], path=path, chunk_rows=100)
    one, other = path / "X/c/0/0", path / "X/c/1/0"

    def swap() -> None:
        os.rename(one, aside)
        os.rename(other, one)
        os.rename(aside, other)

    swap()
    with pytest.raises(StoreError, match="that of X/c/1/0"):
        fit_path(open_dataset(str(path)), OPTIONS["gram"])
    assert not list(statistics_folder(str(path)).glob("*/zarr.json"))
    swap()
    repaired = fit_path(open_dataset(str(path)), OPTIONS["gram"])
    clean = fit_path(make_store(*tables["old"], chunk_rows=100), OPTIONS["gram"])
    np.testing.assert_array_equal(repaired.coef, clean.coef)


def test_moments_are_of_the_chunks_that_they_were_taken_from(tmp_path, make_store, tables) -> None:
    X, y = tables["old"]
    plain = make_store(X, y, path=tmp_path / "s.zarr", chunk_rows=100)
    packed = make_store(X, y, path=tmp_path / "t.zarr", chunk_rows=100, codec="lz4")
    assert plain.fingerprint == packed.fingerprint  # the values are the same
    assert plain.identity != packed.identity


def test_a_store_replaced_while_it_is_read_is_found_out_at_the_end(tmp_path, tables) -> None:
    X, _ = tables["old"]

    def write(values: np.ndarray) -> None:
        group = zarr.open_group(str(tmp_path / "s"), mode="w")
        group.create_array("X", shape=X.shape, chunks=(100, D), dtype="f8")[...] = values

    def read(data: Dataset) -> None:
        with data.unchanged():
            data.X.block(0, 0)
            write(X + 1)
            data.X.block(1, 0)

    write(X)
    with pytest.raises(StoreError, match=REPLACED):
        read(open_dataset(str(tmp_path / "s"), require_target=False))
