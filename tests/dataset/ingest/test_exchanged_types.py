"""Booleans and numbers are exchanged only where the values are sure to mean the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.align import Asked
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.by_schema import ingest_by_schema
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import DasklassoError, SourceError, ValueFound

TRUTHS = np.arange(12) % 3 == 0
WITH_TARGET = Asked({"target": "required"})


def save(folder: Path, name: str, b: Any, y: Any = None) -> Path:
    frame = pd.DataFrame({"a": np.arange(12.0), "b": b, "y": np.arange(12) % 5 if y is None else y})
    file = folder / name
    frame.to_csv(file, index=False) if file.suffix == ".csv" else frame.to_parquet(file)
    return file


def stored(store: Path, schema_of: Path, source: Path) -> tuple[np.ndarray, np.ndarray]:
    """The column b and the target of a table, encoded by the schema of another store."""
    schema = open_dataset(schema_of).schema
    assert schema is not None
    ingest_by_schema(source, store, schema, of="the model", asked=WITH_TARGET)
    group = zarr.open_group(store, mode="r")
    return np.asarray(group["X"][:, 1]), np.asarray(group["y"][...])


@pytest.mark.parametrize("trained", ["csv", "parquet"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_0_and_1_are_false_and_true(tmp_path: Path, trained: str, ending: str, kind: type) -> None:
    ingest(save(tmp_path, f"t.{trained}", TRUTHS), tmp_path / "s", target="y")
    later = save(tmp_path, f"l.{ending}", TRUTHS.astype(kind))
    np.testing.assert_array_equal(stored(tmp_path / "x", tmp_path / "s", later)[0], TRUTHS)


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5])
def test_another_number_is_neither(tmp_path: Path, value: float) -> None:
    ingest(save(tmp_path, "t.csv", TRUTHS), tmp_path / "s", target="y")
    later = save(tmp_path, "l.csv", np.where(np.arange(12) == 4, value, TRUTHS))
    with pytest.raises(ValueFound) as caught:
        stored(tmp_path / "x", tmp_path / "s", later)
    assert str(caught.value).endswith(
        f"row 4, column b: found {value:g}, expected 0 or 1: it was false or true in training."
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("way", ["schema", "update"])
def test_a_boolean_is_none_of_many_numbers(tmp_path: Path, ending: str, way: str) -> None:
    ingest(save(tmp_path, "t.csv", np.arange(12)), tmp_path / "s", target="y")
    later = save(tmp_path, f"l.{ending}", TRUTHS)
    act = {
        "schema": lambda: stored(tmp_path / "x", tmp_path / "s", later),
        "update": lambda: append_rows(tmp_path / "s", later),
    }[way]
    with pytest.raises(SourceError) as caught:
        act()
    assert "column b is bool, " in str(caught.value)
    assert str(caught.value).endswith(" has numbers there. Write 0 and 1 where those are meant.")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("kind", [bool, np.int64])
def test_a_target_of_truths_may_be_0_and_1(tmp_path: Path, ending: str, kind: type) -> None:
    ingest(save(tmp_path, "t.csv", np.arange(12.0), TRUTHS), tmp_path / "s", target="y")
    later = save(tmp_path, f"l.{ending}", np.arange(12.0), TRUTHS.astype(kind))
    np.testing.assert_array_equal(stored(tmp_path / "x", tmp_path / "s", later)[1], TRUTHS)


@pytest.mark.parametrize(
    ("was", "now"), [(TRUTHS, np.arange(12)), (np.arange(12), TRUTHS), (np.arange(12) % 2, TRUTHS)]
)
def test_a_target_of_numbers_is_no_target_of_truths(tmp_path: Path, was: Any, now: Any) -> None:
    ingest(save(tmp_path, "t.csv", np.arange(12.0), was), tmp_path / "s", target="y")
    with pytest.raises(DasklassoError, match=r"column y(: found 2, expected 0 or 1| is bool, )"):
        stored(tmp_path / "x", tmp_path / "s", save(tmp_path, "l.csv", np.arange(12.0), now))
