"""Sources that wrap others hand on what they do not change."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa

from dasklasso.dataset.ingest.genotypes import genotypes_of
from dasklasso.dataset.sources import open_source
from dasklasso.dataset.sources.arrow import ArrowSource
from dasklasso.dataset.sources.base import Expected, Source, SourceDefaults
from dasklasso.dataset.sources.reading import Reading
from dasklasso.dataset.sources.wrapped import WrappedSource


def test_a_wrapped_source_answers_as_its_base_does(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;y\n1;2\n\n9007199254740993;4\n")
    base = open_source(tmp_path / "t.csv")
    wrapped: Source = WrappedSource(base)
    for name in ("format", "path", "n_rows", "columns", "default_target", "beside", "dialect",
                 "index_base", "used_reading"):  # fmt: skip
        assert getattr(wrapped, name) == getattr(base, name)
    assert wrapped.resolve("a") == ("a",)
    assert wrapped.first_inexact("a") == (str(tmp_path / "t.csv"), 1, "9007199254740993")
    assert wrapped.line_of(str(tmp_path / "t.csv"), 1) == 4
    assert [batch.n_rows for batch in wrapped.batches(["a"], 8)] == [2]


def test_every_answer_of_a_source_is_handed_on() -> None:
    own = {name for name in vars(SourceDefaults) if not name.startswith("_")}
    assert own <= vars(WrappedSource).keys()


def test_genotypes_are_looked_for_through_wrapped_sources() -> None:
    table = ArrowSource(pa.table({"a": [1]}), "t")
    assert genotypes_of(WrappedSource(WrappedSource(table))) is None


def test_a_source_that_was_said_to_be_read_otherwise_keeps_its_dialect(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;y\n1,5;2\n2,5;4\n")
    source = open_source(tmp_path / "t.csv", expected=Expected(reading=Reading.of(decimal=",")))
    assert source.dialect.startswith("separator ;")


def test_reading_a_csv_file_leaves_the_limit_of_fields_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "t.csv").write_text('"a","y"\n1,2\n')
    open_source(tmp_path / "t.csv").line_of(str(tmp_path / "t.csv"), 0)
    assert csv.field_size_limit() == before
