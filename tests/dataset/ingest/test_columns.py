"""Which columns a name, a pattern or a misspelt name means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources.base import near_names

NAMES = ["bureau_a", "bureau_b", "bureau", "age", "bureau_y"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).standard_normal((30, len(NAMES)))
    pd.DataFrame(values, columns=NAMES).to_parquet(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


@pytest.mark.parametrize(
    ("drop", "kept"),
    [
        (["bureau_*"], ("bureau", "age")),  # the target is none of those left out
        (["bureau_[ab]", "age"], ("bureau",)),
        (["*a*", "bureau"], None),
        (["bureau_?", "bureau_a"], ("bureau", "age")),
    ],
)
def test_patterns_leave_out_what_they_match(
    table: Path, drop: list[str], kept: tuple[str, ...] | None
) -> None:
    if kept is None:
        with pytest.raises(Exception, match="no column is left as a feature"):
            ingest(table, table.parent / "s", target="bureau_y", drop=[*drop, "bureau_b"])
        return
    report = ingest(table, table.parent / "s", target="bureau_y", drop=drop)
    assert report.manifest.feature_names == kept


def test_new_rows_leave_out_what_the_pattern_matched(table: Path) -> None:
    ingest(table, table.parent / "s", target="bureau_y", drop=["bureau_*"])
    assert append_rows(table.parent / "s", table).n_rows == 60


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Target", ["target"]),  # its case is all that differs
        ("loan_status", ["loanStatus"]),
        ("creditAmt", ["AMT_CREDIT"]),
        ("alhpa", ["alpha"]),
        ("amt", ["AMT_CREDIT"]),
        ("income", []),
    ],
)
def test_near_names_are_those_that_are_meant(name: str, near: list[str]) -> None:
    known = ["alpha", "target", "target_2", "loanStatus", "AMT_CREDIT", "age", "customer_age"]
    assert near_names(name, known) == near


def test_a_name_in_another_case_is_meant_before_all_others() -> None:
    assert near_names("AGE", ["age", "AGES", "age_2"]) == ["age"]
