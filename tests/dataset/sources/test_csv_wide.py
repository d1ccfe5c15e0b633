"""CSV of very many columns, read in groups of columns, gives what it gives read at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources import csv, csv_layout, csv_wide
from dasklasso.errors import DasklassoError

N, D = 90, 20


@pytest.fixture
def in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table counts as wide, and is read some columns and few lines at a time."""
    monkeypatch.setattr(csv_layout, "WIDE_COLUMNS", 0)
    monkeypatch.setattr(csv, "WIDE_COLUMNS", 0)
    monkeypatch.setattr(csv_wide, "_COLUMNS_OF_A_GROUP", 7)
    usual = csv_layout.CsvLayout.of
    monkeypatch.setattr(
        csv_layout.CsvLayout, "of", lambda *given: replace(usual(*given), block_bytes=700)
    )


def write(folder: Path, *, line_end: str = "\n") -> tuple[Path, np.ndarray]:
    X = np.random.default_rng(0).integers(0, 99, (N, D))
    names = [f"x{j}" for j in range(D)]
    lines = [",".join([*names, "t", "y"])]
    for i, row in enumerate(X):
        text = ['"u,v"', '"u\nv"', "w"][i % 3]
        lines.append(",".join([*map(str, row), text, str(i)]))
    path = folder / "t.csv"
    path.write_bytes(line_end.join(lines).encode())
    return path, X


@pytest.mark.usefixtures("in_groups")
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_columns_in_groups_are_the_columns(tmp_path: Path, line_end: str) -> None:
    path, X = write(tmp_path, line_end=line_end)
    report = ingest(path, tmp_path / "s", target="y")
    stored = zarr.open_group(tmp_path / "s", mode="r")
    np.testing.assert_array_equal(stored["X"][:, :D], X)
    np.testing.assert_array_equal(stored["X"][:, D:], np.eye(3)[[1, 0, 2] * (N // 3)])
    np.testing.assert_array_equal(stored["y"][...], np.arange(N))
    assert report.manifest.feature_names[D:] == ("t=u\nv", "t=u,v", "t=w")


BAD = {
    "row 60, column x3: found 'many', expected a number.": ("3", "many"),
    "row 60: found 2 fields, expected 22: 'one,two'": ("row", "one,two"),
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("groups", [False, True])
def test_faults_are_named_with_their_row(
    tmp_path: Path, message: str, groups: bool, request: pytest.FixtureRequest
) -> None:
    if groups:
        request.getfixturevalue("in_groups")
    where, text = BAD[message]
    lines = [",".join([*(f"x{j}" for j in range(D)), "t", "y"])]
    for i in range(N):
        row: list[Any] = [*range(D), "w", i]
        if i == 60 and where == "3":
            row[3] = text
        lines.append(text if i == 60 and where == "row" else ",".join(map(str, row)))
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(DasklassoError) as caught:
        ingest(tmp_path / "t.csv", tmp_path / "s", target="y")
    assert message in str(caught.value)


@pytest.mark.usefixtures("in_groups")
def test_a_line_longer_than_a_block_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,3\n1," + "2" * 5000 + ",3\n")
    with pytest.raises(DasklassoError, match="a line of more than 700 bytes"):
        ingest(tmp_path / "t.csv", tmp_path / "s", target="y")
