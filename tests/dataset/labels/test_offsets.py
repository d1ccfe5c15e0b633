"""Offsets from a table to a dataset, and what becomes of them when rows are appended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.dataset import from_arrays, open_dataset
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.labels.offsets import less_offset
from dasklasso.dataset.verify import verify
from dasklasso.errors import OptionError, SourceError, StoreError, ValueFound
from dasklasso.storage.zarr_blocks import read_rows


def table(path: Path, n=60, **columns) -> Path:
    rng = np.random.default_rng(n)
    frame = pd.DataFrame({"a": rng.normal(size=n), "o": np.arange(n) / 7, "y": rng.normal(size=n)})
    frame.assign(**columns).to_csv(path, index=False)
    return path


@pytest.fixture
def store(tmp_path):
    ingest(table(tmp_path / "t.csv"), tmp_path / "s", target="y", offset="o")
    return tmp_path / "s"


def offsets(data):
    return read_rows(data.offset, 0, data.n_rows)[:, 0]


def test_an_offset_is_kept_beside_the_features(store):
    data = open_dataset(store)
    assert data.feature_names == ("a",)
    assert np.array_equal(offsets(data), np.arange(60) / 7)
    assert verify(store).ok
    shown = CliRunner().invoke(main, ["info", str(store)]).output
    assert "beside       offset\n" in shown


def test_a_changed_offset_is_found_by_verify(store):
    import zarr

    zarr.open_group(store)["offset"][3] = 1.0
    assert [fault.array for fault in verify(store).faults] == ["offset"]


def test_appended_rows_bring_their_offsets(store, tmp_path):
    append_rows(store, table(tmp_path / "u.csv", 10))
    both = pd.concat([pd.read_csv(tmp_path / f"{name}.csv") for name in "tu"])
    both.to_csv(tmp_path / "both.csv", index=False)
    ingest(tmp_path / "both.csv", tmp_path / "whole", target="y", offset="o")
    data, whole = open_dataset(store), open_dataset(tmp_path / "whole")
    assert np.array_equal(offsets(data), offsets(whole))
    assert data.fingerprint == whole.fingerprint


def test_appended_rows_without_offsets_are_refused(store, tmp_path):
    pd.DataFrame({"a": [1.0], "y": [2.0]}).to_csv(tmp_path / "u.csv", index=False)
    with pytest.raises(OptionError, match=r"has no column 'o' \(--offset\), which .* has"):
        append_rows(store, tmp_path / "u.csv")


@pytest.mark.parametrize(
    ("columns", "offset", "kind", "message"),
    [
        ({}, "p", OptionError, r"has no column 'p' \(--offset\)"),
        ({}, "y", OptionError, "named by --target and --offset"),
        ({"o": "x"}, "o", SourceError, r"column o \(--offset\) is string, expected numbers"),
        ({"o": [np.nan, *range(59)]}, "o", ValueFound, "row 0, column o: found a missing value"),
    ],
)
def test_columns_that_are_no_offsets_are_refused(columns, offset, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        ingest(table(tmp_path / "t.csv", **columns), tmp_path / "s", target="y", offset=offset)


def test_offsets_may_be_given_beside_a_store(tmp_path):
    ingest(table(tmp_path / "t.csv"), tmp_path / "s", target="y", drop=["o"])
    plain = open_dataset(tmp_path / "s")
    data = open_dataset(tmp_path / "s", offset=np.arange(60.0))
    assert plain.offset is None
    assert np.array_equal(offsets(data), np.arange(60))
    assert data.fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("offset", "kind", "message"),
    [
        (np.ones(3), StoreError, "offset has 3 rows and X has 4"),
        (np.ones((4, 2)), StoreError, "offset has 2 columns, expected one"),
        (np.array([0, np.inf, 0, 0]), ValueFound, "row 1, column offset: found inf"),
    ],
)
def test_offsets_that_do_not_fit_are_refused(offset, kind, message):
    with pytest.raises(kind, match=message):
        from_arrays(np.eye(4), np.arange(4.0), offset=offset)


def test_targets_less_offsets_are_made_block_by_block():
    Y = np.arange(12.0).reshape(6, 2)
    data = from_arrays(np.eye(6), Y, offset=np.arange(6.0))
    less = less_offset(data)
    assert less.offset is None
    assert less.fingerprint != data.fingerprint
    assert np.array_equal(read_rows(less.y, 0, 6), Y - np.arange(6.0)[:, None])


def test_data_without_offsets_stay_as_they_are():
    data = from_arrays(np.eye(4), np.arange(4.0))
    assert less_offset(data) is data


def test_a_model_with_offsets_from_a_table_to_predictions(tmp_path):
    table(tmp_path / "t.csv", y=np.where(np.random.default_rng(0).random(60) < 0.4, "no", "yes"))

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == exit_code, result.output
        return result

    for name, more in (("s", ["--offset", "o"]), ("bare", ["--drop", "o"])):
        run("ingest", tmp_path / "t.csv", tmp_path / name, "--target", "y", *more)
    model, options = tmp_path / "m", ["--loss", "logistic", "--alpha", 0.01, "--no-dashboard"]
    run("fit", tmp_path / "s", *options, "--out", model)
    predict = ["predict", model, "--no-dashboard"]
    run(*predict, tmp_path / "s", "--out", tmp_path / "p.csv")
    from dasklasso.model.path import load_model

    path, frame = load_model(model), pd.read_csv(tmp_path / "t.csv")
    X = frame[["a"]].to_numpy(np.float32)
    expected = path.predict(X, offset=frame["o"])
    assert np.allclose(pd.read_csv(tmp_path / "p.csv")["prediction"], expected)
    refused = run(*predict, tmp_path / "bare", "--out", tmp_path / "q.csv", exit_code=2)
    assert "has no offset, and the model was fitted with one" in refused.stderr
    run("score", model, tmp_path / "s", "--no-dashboard")
