"""Hostile text files (CSV, svmlight): each gives correct data, or one line that says why not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dasklasso.dataset.sources.base import MOST_COLUMNS
from dasklasso.dataset.sources.reading import Reading
from dasklasso.dataset.sources.svmlight import SvmlightSource

ROWS = b"1,2,3\n4,5,6\n"
PLAIN = ([[1, 2], [4, 5]], [3, 6])  # of a, b and y
TEXT = ([[1, 1, 0], [4, 0, 1]], [3, 6])  # of a, b=u, b=v
LEVELS = ([[1, 0, 1], [4, 1, 0]], [3, 6])
GZ = gzip.compress(b"a,b,y\n" + ROWS)
NO_NUMBER = "expected a finite number."
MANY = b"a,b,y\n" + ROWS * 40_000


def of_text(b: str) -> bytes:
    """Columns a, b and y, of two rows with these texts in b."""
    first, second = b.split("|")
    return f"a,b,y\n1,{first},3\n4,{second},6\n".encode()


CSV: dict[str, tuple[bytes, Any]] = {
    # -- line ends, encodings, separators, quotes
    "LF": (b"a,b,y\n" + ROWS, PLAIN),
    "CRLF": (b"a,b,y\r\n1,2,3\r\n4,5,6\r\n", PLAIN),
    "CR": (b"a,b,y\r1,2,3\r4,5,6\r", PLAIN),
    "CR without a last one": (b"a,b,y\r1,2,3\r4,5,6", PLAIN),
    "mixed line ends": (b"a,b,y\n1,2,3\r\n4,5,6\r7,8,9\n", ([[1, 2], [4, 5], [7, 8]], [3, 6, 9])),
    "no last line end": (b"a,b,y\n1,2,3\n4,5,6", PLAIN),
    "empty lines": (b"\n\na,b,y\n\n1,2,3\n\n\n4,5,6\n\n", PLAIN),
    "a byte order mark": ("a,b,y\n1,2,3\n4,5,6\n".encode("utf-8-sig"), PLAIN),
    "Latin-1": ("a,b,y\n1,é,3\n4,è,6\n".encode("latin-1"), LEVELS),
    "Latin-1 in the header": ("à,b,y\n1,2,3\n4,5,6\n".encode("latin-1"), PLAIN),
    "Latin-1 that is not Windows'": (b"a\x81,b,y\n" + ROWS, PLAIN),
    "Latin-1 after the head": (
        MANY.replace(b"2", b"u").replace(b"5", b"v") + b"1,\xe9,3\n",
        "row 80000, column b: found bytes that are not utf-8 text. --encoding says"),
    "UTF-16": ("a,b,y\n1,é,3\n4,u,6\n".encode("utf-16"), LEVELS),
    "UTF-16 without a mark": ("a,b,y\n1,2,3\n4,5,6\n".encode("utf-16-le"), PLAIN),
    "UTF-16, big end first": ("a,b,y\n1,2,3\n4,5,6\n".encode("utf-16-be"), PLAIN),
    "UTF-32 without a mark": ("a,b,y\n1,2,3\n4,5,6\n".encode("utf-32-le"), PLAIN),
    "UTF-32, big end first": ("a,b,y\n1,2,3\n4,5,6\n".encode("utf-32-be"), PLAIN),
    "EBCDIC": ("a,b,y\n1,2,3\n4,5,6\n".encode("cp500"), "--encoding cp500 or cp037 reads it"),
    "a code page of DOS": (
        "a,b,y\n1,Bär,3\n4,Kühe,6\n".encode("cp437"), "has the byte 84 inside a word, a letter ("),
    "quotation marks of Windows": (
        "a,b,y\n1,“é”,3\n4,d’or,6\n".encode("cp1252"), ([[1, 0, 1], [4, 1, 0]], [3, 6])),
    "colons": (b"a:b:y\n1:2:3\n4:5:6\n", PLAIN),
    "carets": (b"a^b^y\n1^2^3\n4^5^6\n", PLAIN),
    "single blanks": (b"a b y\n1 2 3\n4 5 6\n", PLAIN),
    "runs of blanks": (b"a    b  y\n1    2  3\n4    5  6\n", "columns that runs of blanks are"),
    "times in one column": (b"y\n10:30\n11:30\n", "no column is left as a feature"),
    "UTF-32": ("a,b,y\n1,2,3\n4,5,6\n".encode("utf-32"), PLAIN),
    "semicolons": (b"a;b;y\n1;2;3\n4;5;6\n", PLAIN),
    "tabs": (b"a\tb\ty\n1\t2\t3\n4\t5\t6\n", PLAIN),
    "bars": (b"a|b|y\n1|2|3\n4|5|6\n", PLAIN),
    "semicolons beside commas in names": (b"a,x;b;y\n1;2;3\n4;5;6\n", PLAIN),
    "another separator after the header": (b"a,b,y\n1;2;3\n", "row 0: found 1 fields, expected 3"),
    "a line end in a name": (b'"a\nx",b,y\n' + ROWS, PLAIN),
    "a separator in a name": (b'"a,x",b,y\n' + ROWS, PLAIN),
    "everything quoted": (b'"a","b","y"\n"1","2","3"\n"4","5","6"\n', PLAIN),
    "single quotes": (b"'a','b','y'\n'1','2','3'\n'4','5','6'\n", PLAIN),
    "a line end in a text": (of_text('"u\nx"|v'), TEXT),
    "a quote in a text": (of_text('5" pipe|6" pipe'), TEXT),
    "a doubled quote": (of_text('"u""x"|v'), TEXT),
    "a quote that is not closed": (b'a,b,y\n1,"2,3\n4,5,6\n', "row 0: found 2 fields, expected 3"),
    "quotes that swallow rows": (
        b'b,y\n"x,1\nz,2\n"w,3\nq,4\n', "row 0 (line 2) has 'x,1\\nz,2\\nw', which looks like sev"),
    "a quote that is not closed in the header": (b'"a,b,y\n1,2,3\n', "a quote that is not closed"),
    "a pragma": (b"sep=;\na;b;y\n1;2;3\n", "row 0: found 3 fields, expected 2"),
    "a comment": (b"# note\na,b,y\n1,2,3\n", "row 0: found 3 fields, expected 1"),
    # -- shapes
    "nothing": (b"", "is empty, expected a header line and rows."),
    "empty lines only": (b"\n\r\n\n", "is empty, expected a header line and rows."),
    "a header only": (b"a,b,y\n", "has a header but no rows."),
    "a header without an end": (b"a,b,y", "has a header but no rows."),
    "one column": (b"y\n1\n2\n", "no column is left as a feature"),
    "no header": (b"1,2,2\n1,2,3\n", "are both named '2', expected different names. Is the first"),
    "equal names": (b"a,a,y\n1,2,3\n", "columns 0 and 1 are both named 'a'"),
    "a name of nothing": (b",a,y\n0,1,3\n", "column '' has no name, as the index has that pandas"),
    "a name of blanks": (b"a,  ,y\n1,2,3\n", "column '  ' has no name"),
    "a short row": (b"a,b,y\n1,2,3\n4,5\n", "row 1: found 2 fields, expected 3: '4,5'"),
    "a long row": (b"a,b,y\n1,2,3\n4,5,6,7\n", "row 1: found 4 fields, expected 3"),
    "separators at the ends of rows": (b"a,b,y\n1,2,3,\n", "row 0: found 4 fields, expected 3"),
    "a separator at the end of the header": (b"a,y,\n1,2,3\n", "column '' has no name"),
    "the end of a text file of CP/M": (b"a,b,y\n1,2,3\n\x1a", "row 1: found 1 fields"),
    "a line of 3 MB": (b"a,b,y\n1," + b"x" * 3_000_000 + b",3\n", "a line of more than 1,048,576"),
    "2 MB without a line end": (b"a" * 2_000_000, "has a header but no rows."),
    "columns without end": (
        b"," * MOST_COLUMNS + b"\n" + ROWS, f"has {MOST_COLUMNS + 1:,} columns, expected at most"),
    # -- other files under the name
    "NUL bytes in the header": (b"a\0,b,y\n" + ROWS, "the header has a NUL byte"),
    "a NUL byte in a number": (of_text("2\0|5"), "row 0 (line 2) has '2\\x00'"),
    "a NUL byte in a text": (of_text("u|v\0"), "row 1 (line 3) has 'v\\x00', which looks like no"),
    "Parquet": (b"PAR1\0\0\x15\x04" * 100, "the header has a NUL byte"),
    "a workbook": (b"PK\x03\x04\x14\0\x06\0" * 50, "the header has a NUL byte"),
    "gzip": (GZ, "NUL byte"),
    "HTML": (b"<html><body>404</body></html>", "has a header but no rows."),
    "JSON": (b'{"a": 1, "y": 2}\n', "has a header but no rows."),
    # -- numbers
    "blanks around numbers": (b"a, b ,y\n 1 , 2 , 3\n4, 5,6 \n", PLAIN),
    "a plus": (of_text("+2|+5"), PLAIN),
    "exponents": (of_text("2e0|0.5E+1"), PLAIN),
    "below float64": (of_text("1e-400|5"), ([[1, 0], [4, 5]], [3, 6])),
    "booleans": (of_text("true|false"), ([[1, 1], [4, 0]], [3, 6])),
    "words of booleans": (of_text("yes|no"), ([[1, 0, 1], [4, 1, 0]], [3, 6])),
    "NaN": (of_text("nan|2"), "row 0, column b: found a missing value"),
    "nothing between": (of_text("2|"), "row 1, column b: found a missing value"),
    "a column of nothing": (of_text("|"), "row 0, column b: found a missing value"),
    "infinity": (of_text("2|-inf"), f"row 1, column b: found -inf, {NO_NUMBER}"),
    "infinity as a word": (of_text("Infinity|2"), f"row 0, column b: found inf, {NO_NUMBER}"),
    "beyond float64": (of_text("1e400|2"), f"row 0, column b: found inf, {NO_NUMBER}"),
    "5,000 digits": (of_text("9" * 5000 + "|2"), f"row 0, column b: found inf, {NO_NUMBER}"),
    "a target beyond float64": (b"a,y\n1,1e400\n2,3\n", f"row 0, column y: found inf, {NO_NUMBER}"),
    "a target beyond 2^53": (
        b"a,y\n1,9007199254740993\n2,5\n", "row 0, column y: found 9007199254740993, expected a"),
    "a large target that float64 holds": (
        b"a,y\n1,9007199254740994\n2,1e300\n", ([[1], [2]], [9007199254740994, 1e300])),
    "decimal commas": (of_text('"1,5"|"2,5"'), "--decimal , reads it"),
    "thousands": (of_text('"1,000,000"|"2,500"'), "--thousands , reads it"),
    "points between thousands": (of_text("1.000.000|2.500.000"), "--decimal , --thousands . reads"),
    "spaces between thousands": (of_text("1 000|2 000"), "--thousands space reads it"),
    "money": (of_text("$1.5|$2.5"), "--strip '$' reads it"),
    "percentages": (of_text("10%|20%"), "--strip % reads it"),
    "parentheses": (of_text("(10)|(20)"), "a number in parentheses"),
    "question marks": (of_text("?|2"), "row 0 (line 2) has '?', which looks like a missing value"),
    "hyphens": (of_text("2|-"), "--null=- takes it for that"),
    "points": (of_text("2|."), "--null . takes it for that"),
    "underscores": (of_text("1_000|2_000"), "--thousands _ reads it"),
    "hexadecimal": (of_text("0x1F|0x2F"), "It looks like a hexadecimal number"),
    "exponents of Fortran": (of_text("1.5D+03|2.5D+01"), "a number with D for its exponent"),
    "no-break spaces": (of_text("\u00a02|\u00a05"), "--number b reads it"),
    "digits of another script": (of_text("１|２"), "a number in digits of another script"),
    "a typeset minus": (of_text("−2|−5"), "--number b reads it"),
    "dates": (of_text("2020-01-01|2020-01-02"), "--date b=days reads it"),
    "dates, day first": (of_text("31.01.2020|01.02.2020"), "--date b=days:%d.%m.%Y reads it"),
    "times": (of_text("12:30|06:15"), "--date b=hours reads it"),
    "a word after the sample": (
        MANY + b"1,two,3\n", "row 80000, column b: found 'two', expected a number. --null two"),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV)
def test_csv(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, outcome = CSV[case]
    judge_file(hostile("t.csv", content, outcome, {"target": "y"}))


GZIPPED: dict[str, tuple[bytes, Any]] = {
    "gzip": (GZ, PLAIN),
    "gzip in two parts": (gzip.compress(b"a,b,y\n1,2,3\n") + gzip.compress(b"4,5,6\n"), PLAIN),
    "gzip of nothing": (gzip.compress(b""), "is empty, expected a header line and rows."),
    "nothing as gzip": (b"", "is empty, expected a header line and rows."),
    "gzip cut off": (GZ[:-12], "cannot be read"),
    "gzip without its trailer": (GZ[:-4], "cannot be read: Truncated compressed stream"),
    "gzip with another checksum": (GZ[:-8] + b"\0\0\0\0" + GZ[-4:], "cannot be read"),
    "gzip with something after it": (GZ + b"junk", "cannot be read"),
    "no gzip": (b"a,b,y\n" + ROWS, "cannot be read"),
}


@pytest.mark.parametrize("case", GZIPPED)
def test_compressed_csv(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, outcome = GZIPPED[case]
    judge_file(hostile("t.csv.gz", content, outcome, {"target": "y"}))


SAID: dict[str, tuple[bytes, dict[str, Any], Any]] = {
    "an encoding that is not the file's": (
        b"a,b,y\n1,\xe9,3\n", {"encoding": "utf-8"}, "is not utf-8 text"),
    "an encoding that cannot be found": (
        "à,b,y\n1,2,3\n4,5,6\n".encode("cp437"), {"encoding": "cp437"}, PLAIN),
    "a separator that is rare": (b"a:b:y\n1:2:3\n4:5:6\n", {"separator": ":"}, PLAIN),
    "a separator that is not there": (b"a,b,y\n1,2,3\n", {"separator": ";"}, "has no column 'y'"),
    "quotes that are characters": (
        b'a,b,y\n1,"u,3\n4,"v,6\n', {"quote": "none"}, TEXT),
    "decimal commas": (b"a;b;y\n1;2,0;3\n4;5,0;6\n", {"decimal": ","}, PLAIN),
    "points where commas were said": (
        b"a;b;y\n1;2.5;3\n", {"decimal": ","}, "row 0 (line 2) has '2.5'"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_csv_as_it_was_said(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, said, outcome = SAID[case]
    options = {"target": "y", "reading": Reading.of(**said)}
    judge_file(hostile("t.csv", content, outcome, options))


SVM_PLAIN = ([[2], [3]], [1, 2])
SVMLIGHT: dict[str, tuple[bytes, Any]] = {
    "LF": (b"1 1:2\n2 1:3\n", SVM_PLAIN),
    "CRLF": (b"1 1:2\r\n2 1:3\r\n", SVM_PLAIN),
    "CR": (b"1 1:2\r2 1:3\r", SVM_PLAIN),
    "a byte order mark": (b"\xef\xbb\xbf1 1:2\n2 1:3\n", SVM_PLAIN),
    "tabs": (b"1\t1:2\n2\t1:3\n", SVM_PLAIN),
    "blanks": (b"  1  1:2   \n\n2 1:3\n", SVM_PLAIN),
    "comments": (b"# note\n1 1:2 # x\n2 1:3\n", SVM_PLAIN),
    "a comment that has qid:": (b"1 1:2 # qid:1\n2 1:3\n", SVM_PLAIN),
    "query ids": (b"1 qid:1 1:2\n2 qid:2 1:3\n", SVM_PLAIN),
    "index 0": (b"1 0:1 1:2\n2 0:3 1:4\n", ([[1, 2], [3, 4]], [1, 2])),
    "rows of several widths": (b"1 1:1\n2 2:3\n", ([[1, 0], [0, 3]], [1, 2])),
    "an index twice": (b"1 1:1 1:2\n", "row 0: index 1 follows 1, expected rising indices."),
    "falling indices": (b"1 2:1 1:2\n", "row 0: index 1 follows 2, expected rising indices."),
    "an index below 0": (b"1 -1:2\n", "row 0: found '-1:2', expected index:value."),
    "a fractional index": (b"1 1.5:2\n", "row 0: found '1.5:2', expected index:value."),
    "a hexadecimal index": (b"1 0x1:2\n", "row 0: found '0x1:2', expected index:value."),
    "an index of 2e9": (b"1 2000000000:1\n2 1:1\n", "has the index 2000000000, expected at most"),
    "an index beyond 64 bits": (b"1 99999999999999999999:1\n", "has the index '9999999999999"),
    "no label": (b"1:2 2:3\n", "row 0, column y: found '1:2', expected a number."),
    "several labels": (b"1,2 1:1\n", "row 0, column y: found '1,2', expected a number."),
    "words": (b"a b c\n", "row 0, column y: found 'a', expected a number."),
    "labels only": (b"1\n2\n", "has no index:value pair in 2 rows."),
    "nothing": (b"", "is empty, expected rows 'label index:value ...'."),
    "a NUL byte": (b"1 1:2\0\n2 1:3\n", "row 0, index 1: found '2\\x00', expected a number."),
    "decimal commas": (b"1 1:2,5\n", "row 0, index 1: found '2,5', expected a number."),
    "infinity": (b"1 1:inf\n2 1:1\n", "row 0, column x0: found inf"),
    "beyond float64": (b"1 1:1e400\n2 1:1\n", "row 0, column x0: found inf"),
    "2 MB of digits": (b"1 1:" + b"1" * 2_000_000, "row 0, column x0: found inf"),
    "2 MB without a line end": (b"1" * 2_000_000, "has no index:value pair in 1 rows."),
    "a label beyond 2^53": (
        b"9007199254740993 1:2\n2 1:3\n", "row 0, column y: found 9007199254740993, expected a"),
    "underscores": (b"1 1:1_0\n2 1:1\n", "row 0, index 1: found '1_0', expected a number."),
    "an underscore in an index": (b"1 1_0:1\n2 1:1\n", "row 0: found '1_0:1', expected index:val"),
    "underscores in comments": (b"1 1:1 # a_b\n2 1:3\n", ([[1], [3]], [1, 2])),
    "UTF-16": ("1 1:2\n".encode("utf-16"), "row 0, column y: found"),
}  # fmt: skip


@pytest.mark.parametrize("case", SVMLIGHT)
def test_svmlight(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, outcome = SVMLIGHT[case]
    judge_file(hostile("t.svm", content, outcome))


@pytest.mark.parametrize(
    ("content", "dialect"),
    [(b"1 qid:1 1:2\n", "svmlight, query ids (qid) are left out"), (b"1 1:2 # qid:1\n", "")],
)
def test_query_ids_that_are_left_out_are_told(tmp_path: Path, content: bytes, dialect: str) -> None:
    (tmp_path / "t.svm").write_bytes(content)
    assert SvmlightSource(tmp_path / "t.svm").dialect == dialect


def test_svmlight_gzip_that_is_cut_off(judge_file: Callable[..., Any], hostile: Any) -> None:
    cut = gzip.compress(b"1 1:2\n" * 10_000)[:40]
    judge_file(hostile("t.svm.gz", cut, "cannot be read"))
