"""Whole numbers with zeros before them, as postal codes have, are numbers only if that is said."""

from __future__ import annotations

import gzip
import io
from collections import deque
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources import open_source
from dasklasso.dataset.sources.base import Expected
from dasklasso.dataset.sources.padded import WatchedStream, first_padded
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import SourceError, ValueFound

ROWS = "".join(f"{i * 0.5},{10000 + i},{i % 7}\n" for i in range(75_000))  # more than a sample
LATE = f"a,zip,y\n{ROWS}1,01067,3\n"


@pytest.mark.parametrize(
    ("text", "padded"),
    [("007", True), ("01067", True), (" 01", True), ("-05", True), ("00", True), ("0", False),
     ("0.5", False), ("-0", False), ("0e5", False), ("10", False), ("01:30", False),
     ("01.5", False), ("", False)],
)  # fmt: skip
def test_what_has_zeros_before_it(text: str, padded: bool) -> None:
    assert (first_padded(pa.array(["1", None, text])) is not None) == padded


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"a,b\n1,007\n", True),
        (b"a,b\n007,1\n", True),
        (b'a,b\n1,"007"\n', True),
        (b"a, b\n1, 007\n", True),
        (b"a,b\r\n1,007\r\n", True),
        (b"a,b\n1,007", True),
        (b"a,b\n1,0.07\n0,10\n", False),
        (b"a,b\n1,2020-01-05\n2,08:30\n", False),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_a_stream_is_watched_across_its_blocks(data: bytes, seen: bool, block: int) -> None:
    stream = WatchedStream(io.BytesIO(data), ",")
    assert b"".join(iter(lambda: stream.read(block), b"")) == data
    assert stream.has_padded == seen


@pytest.mark.parametrize("role", ["feature", "target"])
@pytest.mark.parametrize(
    "rows", ["01067,2\n80331,3\n", '"01067",2\n80331,3\n', " 01067,2\n80331,3\n"]
)
def test_zeros_before_a_number_are_asked_about(tmp_path: Path, rows: str, role: str) -> None:
    source = tmp_path / "t.csv"
    source.write_text(f"zip,y\n{rows}")
    with pytest.raises(SourceError) as caught:
        ingest(source, tmp_path / "s", target="y" if role == "feature" else "zip")
    assert (
        "01067', which looks like a number with zeros before it, as codes have: --number zip"
        in (str(caught.value))
    )


@pytest.mark.parametrize("said", [{"category": ["zip"]}, {"number": ["zip"]}])
def test_what_was_said_of_them_is_done(tmp_path: Path, said: dict[str, Any]) -> None:
    (tmp_path / "t.csv").write_text("zip,y\n" + "01067,2\n80331,3\n" * 3)
    report = ingest(tmp_path / "t.csv", tmp_path / "s", target="y", reading=Reading.of(**said))
    names = ("zip=01067", "zip=80331") if "category" in said else ("zip",)
    assert report.manifest.feature_names == names


@pytest.mark.parametrize("case", ["plain", "gzip", "utf-16", "--strip"])
def test_they_are_found_after_the_sample_too(tmp_path: Path, case: str) -> None:
    source = tmp_path / ("t.csv.gz" if case == "gzip" else "t.csv")
    text = LATE.encode("utf-16" if case == "utf-16" else "utf-8")
    source.write_bytes(gzip.compress(text, 1) if case == "gzip" else text)
    reading = Reading.of(strip=["$"] if case == "--strip" else ())
    opened = open_source(source, expected=Expected(reading=reading))
    assert [column.kind for column in opened.columns] == ["number"] * 3
    with pytest.raises(ValueFound) as caught:
        deque((batch.numbers(["zip"]) for batch in opened.batches(["zip"], 1 << 20)), 0)
    assert str(caught.value).endswith(
        "row 75000, column zip: found '01067', expected a number without zeros before it, as codes "
        "have: --category zip takes all texts as they are, --number zip reads numbers."
    )


def test_they_may_stand_in_columns_of_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("zip,n,y\n" + "01067,10,2\n80331,11,3\n" * 3)
    said = Reading.of(category=["zip"])
    report = ingest(tmp_path / "t.csv", tmp_path / "s", target="y", reading=said)
    assert report.manifest.feature_names == ("zip=01067", "zip=80331", "n")


def test_a_table_whose_columns_are_known_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,y\n01,2\n02,3\n")
    opened = open_source(tmp_path / "t.csv", expected=Expected(numbers={"n", "y"}))
    [batch] = opened.batches(["n"], 8)
    assert batch.numbers(["n"]).tolist() == [[1], [2]]
