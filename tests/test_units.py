"""Sizes are read as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.errors import OptionError
from dasklasso.units import counted, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("1.5GiB", 3 << 29),
        ("64 MiB", 64 << 20),
        ("1GB", 10**9),
        ("2e9", 2 * 10**9),
        ("512", 512),
        (512, 512),
        ("3kib", 3072),
        ("1T", 10**12),
        (".5 KiB", 512),
    ],
)
def test_a_size_is_read(text, n_bytes):
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GiB", "1.5 parsecs", "-1GiB", "nan", "0", "1e999", "1 2"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(OptionError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1e999", "1e999GiB", "1e30GiB", "8388608TiB"])
def test_a_size_beyond_any_machine_is_said_to_be_too_large(text):
    with pytest.raises(OptionError, match="too large, expected less than 8 EiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (3 << 29, "1.5 GiB"), (1020 << 20, "1020 MiB")],
)
def test_a_size_is_written(n_bytes, text):
    assert format_size(n_bytes) == text


@given(st.integers(1, 1 << 45))
def test_what_is_written_is_read_back_to_three_digits(n_bytes):
    assert parse_size(format_size(n_bytes)) == pytest.approx(n_bytes, rel=0.01)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 scans"), (1, "1 scan"), (1.0, "1 scan"), (2.5, "2.5 scans")]
)
def test_counts_read_as_people_say_them(number, text):
    assert counted(number, "scan") == text
