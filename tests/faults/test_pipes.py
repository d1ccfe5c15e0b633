"""A pipe in the place of any file that is read: one line that names it, and nobody waits."""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import zarr

from dasklasso.dataset.dataset import from_arrays, open_dataset
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import DasklassoError, DataWarning
from dasklasso.fit import fit_path
from dasklasso.model.path import load_model
from dasklasso.options import FitOptions, RunOptions
from dasklasso.storage import chunk_checksums

OPTIONS = FitOptions(alphas=(0.1,))
RUN = RunOptions(in_process=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipes")
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.standard_normal((40, 4)))
    ingest(folder / "x.npy", folder / "s.zarr", target="x3")
    fit_path(open_dataset(folder / "s.zarr"), OPTIONS, RUN).save(folder / "m")
    return folder


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "here")


def piped(folder):
    """Each file below a folder in turn, while a pipe has its name."""
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        aside = file.with_name(".aside")
        file.rename(aside)
        os.mkfifo(file)
        yield file
        file.unlink()
        aside.rename(file)


def test_pipes_in_a_store_are_refused_by_name(copied):
    for file in piped(copied / "s.zarr"):
        chunk_checksums._LOADED.clear()  # what this process has read, it does not read again
        with pytest.raises(DasklassoError, match="is a pipe, expected a file") as refused:
            fit_path(open_dataset(copied / "s.zarr"), OPTIONS, replace(RUN, keep_statistics=False))
        assert file.parent.name in str(refused.value)


def test_pipes_in_a_model_are_refused_by_name(copied):
    for file in piped(copied / "m"):
        with pytest.raises(DasklassoError, match="is a pipe, expected a file") as refused:
            load_model(copied / "m")
        assert str(file) in str(refused.value)


def test_kept_moments_with_a_pipe_are_not_used(copied):
    (kept,) = (one for one in (copied / "s.zarr.stats").iterdir() if one.is_dir())
    data = open_dataset(copied / "s.zarr")
    before = fit_path(data, OPTIONS, RUN).scans
    (kept / "mean" / "zarr.json").unlink()
    os.mkfifo(kept / "mean" / "zarr.json")
    with pytest.warns(DataWarning, match="mean/zarr.json cannot be read: it is a pipe"):
        assert fit_path(data, OPTIONS, RUN).scans == before + 1


def test_a_checkpoint_with_a_pipe_is_refused_by_name(tmp_path):
    rng = np.random.default_rng(1)
    data = from_arrays(rng.standard_normal((30, 3)), rng.standard_normal(30))
    options = FitOptions(alphas=(0.01,), solver="fista", tol=1e-12, max_scans=3)
    run = replace(RUN, checkpoint=str(tmp_path / "c"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit_path(data, options, run)
    for file in piped(tmp_path / "c"):
        with pytest.raises(DasklassoError, match="is a pipe, expected a file") as refused:
            fit_path(data, options, replace(run, resume=True))
        assert str(file) in str(refused.value)


def test_a_pipe_as_a_store_is_refused(tmp_path):
    os.mkfifo(tmp_path / "s.zarr")
    with pytest.raises(DasklassoError, match="is a pipe, expected the folder"):
        open_dataset(tmp_path / "s.zarr")


def test_a_pipe_in_a_store_of_others_is_refused(tmp_path):
    group = zarr.create_group(tmp_path / "s.zarr")
    X = np.random.default_rng(2).standard_normal((20, 3))
    group.create_array("X", data=X)
    group.create_array("y", data=X[:, 0])
    for file in piped(tmp_path / "s.zarr"):
        with pytest.raises(DasklassoError, match="is a pipe, expected a file"):
            fit_path(open_dataset(tmp_path / "s.zarr"), OPTIONS, RUN)
        assert file.exists()
