"""Penalty factors come from a file, or the file and line are named."""

import csv

import numpy as np
import pytest

from dasklasso.errors import OptionError
from dasklasso.files.penalty_factors import read_penalty_factor

NAMES = ("age", "bmi", "a,b")


def test_named_factors_leave_the_others_at_one(tmp_path):
    (tmp_path / "f.csv").write_text('feature,factor\nbmi,0\n"a,b",2.5\n')
    assert read_penalty_factor(tmp_path / "f.csv", NAMES).tolist() == [1.0, 0.0, 2.5]


def test_one_number_a_line_is_one_per_feature(tmp_path):
    (tmp_path / "f.txt").write_text("1\n0.5\n\n2\n")
    assert read_penalty_factor(tmp_path / "f.txt", NAMES).tolist() == [1.0, 0.5, 2.0]


def test_an_npy_file_is_one_per_feature(tmp_path):
    np.save(tmp_path / "f.npy", np.array([3, 0, 1]))
    assert read_penalty_factor(tmp_path / "f.npy", NAMES).tolist() == [3.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feature,factor\nweight,1\n", "line 2: the data have no feature 'weight'"),
        ("feature,factor\nage,1\nage,2\n", "line 3: 'age' is named twice"),
        ("feature,factor\nage\n", "line 2: 1 fields, expected feature,factor"),
        ("feature,factor\nage,much\n", "line 2: 'much' is not a number"),
        ("feature,factor\nage,-1\n", "the penalty factor of 'age' is -1.0"),
        ("1\nnan\n1\n", "the penalty factor of 'bmi' is nan"),
        ("1\n2\n", "has 2 penalty factors, expected 3"),
        ("", "has 0 penalty factors, expected 3"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "factors").write_text(text)
    with pytest.raises(OptionError, match=rf"factors.*{message}"):
        read_penalty_factor(tmp_path / "factors", NAMES)


def npy_with(header):
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 24


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
        npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
        npy_with("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }"),
        npy_with("{'descr': '<f8', 'fortran_order': False, "),
        npy_with("[" * 100),
    ],
    ids=["empty", "cut off", "huge", "negative", "complex", "half a header", "depth"],
)
def test_an_npy_file_that_is_damaged_is_one_line(tmp_path, content):
    (tmp_path / "f.npy").write_bytes(content)
    with pytest.raises(OptionError, match=r"f\.npy"):
        read_penalty_factor(tmp_path / "f.npy", NAMES)


@pytest.fixture
def usual_fields():
    """Fields of the length that csv allows unless somebody, for files of data, allowed more."""
    before = csv.field_size_limit(1 << 17)
    yield
    csv.field_size_limit(before)


def test_a_field_that_is_too_long_is_one_line(tmp_path, usual_fields):
    (tmp_path / "f.csv").write_text("feature,factor\n" + "x" * 200_000 + ",1\n")
    with pytest.raises(OptionError, match=r"f\.csv: the penalty factors cannot be read: field"):
        read_penalty_factor(tmp_path / "f.csv", NAMES)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(OptionError, match=r"none\.txt: the penalty factors cannot be read"):
        read_penalty_factor(tmp_path / "none.txt", NAMES)


def test_a_pickle_is_not_loaded(tmp_path):
    np.save(tmp_path / "f.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(OptionError, match="is not an NPY file of numbers"):
        read_penalty_factor(tmp_path / "f.npy", NAMES)
