"""Targets of text: their classes, from the table to the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import ValueFound
from dasklasso.storage.zarr_blocks import read_rows

TARGETS = {
    "text": ["paid", "default", "paid", "paid"],
    "categories": pd.Categorical(["paid", "default", "paid", "paid"]),
    "truths": [True, False, True, True],
}


def table(values, path: Path) -> Path:
    frame = pd.DataFrame({"a": np.arange(len(values)), "y": values})
    {".csv": frame.to_csv, ".parquet": frame.to_parquet}[path.suffix](path, index=False)
    return path


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_classes_are_codes_in_sorted_order_and_their_names_are_kept(kind, ending, tmp_path):
    ingest(table(TARGETS[kind], tmp_path / f"t.{ending}"), tmp_path / "s", target="y")
    data = open_dataset(tmp_path / "s")
    assert read_rows(data.y, 0, 4)[:, 0].tolist() == [1, 0, 1, 1]
    assert data.target_classes == (("false", "true") if kind == "truths" else ("default", "paid"),)


@pytest.mark.parametrize("kind", TARGETS)
def test_appended_rows_keep_the_codes(kind, tmp_path):
    values = TARGETS[kind]
    ingest(table(values, tmp_path / "t.parquet"), tmp_path / "s", target="y")
    append_rows(tmp_path / "s", table(values[:1], tmp_path / "u.parquet"))
    data = open_dataset(tmp_path / "s")
    assert read_rows(data.y, 4, 5)[0, 0] == 1
    assert len(data.target_classes[0]) == 2


def test_a_new_class_is_refused_when_rows_are_appended(tmp_path):
    ingest(table(TARGETS["text"], tmp_path / "t.csv"), tmp_path / "s", target="y")
    with pytest.raises(ValueFound, match="row 0, column y: found 'late', which is not among the 2"):
        append_rows(tmp_path / "s", table(["late"], tmp_path / "u.csv"))


def test_one_class_is_refused_by_its_name(tmp_path):
    with pytest.raises(ValueFound, match="target y is 'paid' in every row, expected at least two"):
        ingest(table(["paid"] * 3, tmp_path / "t.csv"), tmp_path / "s", target="y")


def test_a_target_may_have_more_classes_than_a_feature_has_levels(tmp_path):
    names = [f"k{i:04d}" for i in range(1500)]
    report = ingest(table(names, tmp_path / "t.csv"), tmp_path / "s", target="y")
    assert report.manifest.target_classes == (tuple(names),)


def test_numbers_have_no_classes_and_info_shows_those_of_text(tmp_path):
    for values, name in (([1.0, 2, 3, 4], "n"), (TARGETS["text"], "t")):
        ingest(table(values, tmp_path / f"{name}.csv"), tmp_path / name, target="y")
    assert open_dataset(tmp_path / "n").target_classes == ()
    shown = CliRunner().invoke(main, ["info", str(tmp_path / "t")]).output
    assert "classes      0 = default, 1 = paid\n" in shown


def test_targets_given_beside_a_store_have_no_names_of_its_own(tmp_path):
    ingest(table(TARGETS["text"], tmp_path / "t.csv"), tmp_path / "s", target="y")
    assert open_dataset(tmp_path / "s", y=np.array([1.0, 2, 3, 4])).target_classes == ()
