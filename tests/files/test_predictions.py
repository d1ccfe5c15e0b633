"""Predictions come back from every kind of file as they were computed, or there is no file."""

import numpy as np
import pandas as pd
import pyarrow.csv
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.errors import OptionError
from dasklasso.files import predictions as prediction_files
from dasklasso.files.predictions import write_predictions

SUFFIXES = [".zarr", ".parquet", ".csv"]


def blocks_of(values, edges):
    for start, stop in zip([0, *edges], [*edges, len(values)], strict=True):
        if stop > start:
            yield start, stop, values[start:stop], ()


def read(path):
    if path.suffix == ".zarr":
        return zarr.open_array(str(path), mode="r")[:]
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    return frame.to_numpy()


def read_csv(path):
    return pyarrow.csv.read_csv(path).to_pandas()


def write(path, values, edges=(), **more):
    names = [f"y{t}" for t in range(values.shape[1])]
    options = {"n_rows": len(values), "target_names": names, "attributes": {}, **more}
    write_predictions(path, blocks_of(values, edges), **options)


@settings(max_examples=10, deadline=None)
@given(
    suffix=st.sampled_from(SUFFIXES),
    n_targets=st.integers(1, 3),
    edges=st.lists(st.integers(0, 20), max_size=4).map(sorted),
    chunk=st.integers(1, 30),
    seed=st.integers(0, 1000),
)
def test_every_prediction_comes_back_bit_for_bit(
    tmp_path_factory, suffix, n_targets, edges, chunk, seed
):
    values = np.random.default_rng(seed).normal(size=(20, n_targets))
    path = tmp_path_factory.mktemp("out") / f"p{suffix}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_files, "_ZARR_CHUNK", chunk)
        write(path, values, edges)
    np.testing.assert_array_equal(read(path), values)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_vector_target_gives_a_vector_or_one_column(tmp_path, suffix):
    values = np.arange(5.0).reshape(-1, 1)
    path = tmp_path / f"p{suffix}"
    write(path, values, target_names=None)
    if suffix == ".zarr":
        assert read(path).shape == (5,)
    else:
        frame = read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
        assert list(frame.columns) == ["prediction"]


def test_columns_are_named_after_the_targets(tmp_path):
    write(tmp_path / "p.csv", np.ones((2, 2)))
    assert list(read_csv(tmp_path / "p.csv").columns) == ["prediction_y0", "prediction_y1"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("labels", [np.array([-3, 7, 10]), np.array([0.5, 2.0, 3.5])], ids=str)
def test_labels_of_classes_are_written_for_their_codes(tmp_path, suffix, labels):
    path, codes = tmp_path / f"p{suffix}", np.array([[2.0], [0.0], [1.0], [1.0]])
    write(path, codes, [2], target_names=None, labels=labels)
    found = read(path).ravel()
    assert np.array_equal(found, labels[[2, 0, 1, 1]])
    assert found.dtype == labels.dtype


def test_a_zarr_array_says_which_model_it_is_from(tmp_path):
    write(tmp_path / "p.zarr", np.ones((2, 1)), attributes={"model_fingerprint": "abc"})
    assert zarr.open_array(str(tmp_path / "p.zarr")).attrs["model_fingerprint"] == "abc"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_told(tmp_path, suffix):
    path = tmp_path / f"p{suffix}"
    write(path, np.zeros((3, 1)))
    with pytest.raises(OptionError, match="exists already"):
        write(path, np.ones((3, 1)))
    assert read(path).sum() == 0
    write(path, np.ones((3, 1)), overwrite=True)
    assert read(path).sum() == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_half_way_leaves_nothing(tmp_path, suffix):
    def blocks():
        yield 0, 2, np.ones((2, 1)), ()
        raise RuntimeError("a worker died")

    with pytest.raises(RuntimeError, match="died"):
        write_predictions(
            tmp_path / f"p{suffix}", blocks(), n_rows=4, target_names=None, attributes={}
        )
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_keeps_the_older_file(tmp_path):
    write(tmp_path / "p.csv", np.zeros((3, 1)))

    def blocks():
        yield 0, 2, np.ones((2, 1)), ()
        raise RuntimeError("a worker died")

    with pytest.raises(RuntimeError, match="died"):
        write_predictions(
            tmp_path / "p.csv",
            blocks(),
            n_rows=4,
            target_names=None,
            attributes={},
            overwrite=True,
        )
    assert read(tmp_path / "p.csv").sum() == 0


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"p\.xlsx: predictions are written to \.zarr, \.parquet"):
        write(tmp_path / "p.xlsx", np.ones((2, 1)))


def test_a_folder_that_is_no_array_is_never_overwritten(tmp_path):
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr/notes.txt").write_text("keep me")
    with pytest.raises(OptionError, match="is not a Zarr array"):
        write(tmp_path / "p.zarr", np.ones((2, 1)), overwrite=True)


def test_a_store_is_not_overwritten_by_predictions(tmp_path):
    store = tmp_path / "data.zarr"
    zarr.open_group(str(store), mode="w").create_array("X", data=np.ones((2, 2)))
    with pytest.raises(OptionError, match="not a Zarr array"):
        write(store, np.ones((2, 1)), overwrite=True)
    assert zarr.open_group(str(store), mode="r")["X"].shape == (2, 2)
