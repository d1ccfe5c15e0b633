"""How a CSV file is written: encoding, separator, quote and line ends, told by its first bytes."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

import pyarrow as pa

from dasklasso.dataset.sources.reading import Reading, spelled_number
from dasklasso.errors import SourceError
from dasklasso.files.regular import check_regular, why

HEAD_BYTES = 256 << 10  # that a dialect is told by
LONGEST_HEADER_BYTES = 64 << 20
_SEPARATORS = ",;\t|"
_RARE_SEPARATORS = ":^~ "  # only where none of the others separates anything
_SNIFFED_BYTES = 64 << 10
_LEAST_ASCII_SHARE = 0.8  # of a text that is EBCDIC
# a byte that is no ASCII, in a word; those are left out that are ’ and – of Windows there
_INSIDE_WORD = re.compile(rb"[A-Za-z]([\x80-\x90\x93-\x95\x98-\xff])(?=[a-z])")
_RECORDS_LOOKED_AT = 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {"\t": "tab", " ": "space"}
_LINE_ENDS = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes
    ----------
    encoding : str
        As Python names it.
    separator : str
    quote : str
        Empty: quotes are characters like others.
    line_ends : str
        Of the header, for people.
    names : tuple of str
        The columns, as the header has them.
    header_bytes : int
        Length of the header.
    """

    encoding: str
    separator: str
    quote: str
    line_ends: str
    names: tuple[str, ...]
    header_bytes: int

    @property
    def is_usual(self) -> bool:
        """Whether nothing need be said of it: commas, UTF-8, double quotes, LF or CRLF."""
        usual = self.encoding in ("utf-8", "utf-8-sig") and self.separator == ","
        return usual and self.quote == '"' and self.line_ends in ("LF", "CRLF")

    @property
    def is_utf8(self) -> bool:
        return self.encoding in ("utf-8", "utf-8-sig", "ascii")

    @property
    def is_wide(self) -> bool:
        """Whether a character of ASCII takes more than one byte."""
        return self.encoding.startswith(("utf-16", "utf-32"))

    def __str__(self) -> str:
        quote = f"quote {self.quote}" if self.quote else "no quotes"
        separator = _NAMES.get(self.separator, self.separator)
        encoding = {"utf-8-sig": "UTF-8 with a mark", "utf-8": "UTF-8"}.get(
            self.encoding, self.encoding
        )
        return f"separator {separator}, encoding {encoding}, {quote}, line ends {self.line_ends}"


def dialect_of(file: str, reading: Reading) -> Dialect:
    """Tell how a file is written by its first 256 KiB, or by the header where that is longer.

    Raises
    ------
    SourceError
        The file cannot be opened, is empty, has no text in it, a header of more than 64 MiB, or
        is not of the encoding that was asked for.
    """
    with _opened(file) as stream:
        raw = _read(stream, HEAD_BYTES, file)
        whole = len(raw) < HEAD_BYTES
        encoding = reading.encoding or _encoding(raw, file)
        text = _decoded(raw, encoding, file, whole=whole)
        blank = len(text) - len(text.lstrip("\r\n"))
        if not text.strip():
            raise SourceError(f"{file}: is empty, expected a header line and rows.")
        quote = _quote(text, reading)
        separator = reading.separator or _separator(text, quote, whole)
        while True:
            end = _end_of_record(text, blank, separator, quote)
            if end is not None or whole:
                break
            if len(raw) >= LONGEST_HEADER_BYTES:
                raise SourceError(
                    f"{file}: the header has no end within {LONGEST_HEADER_BYTES >> 20} MiB, "
                    "expected a line of column names."
                )
            more = _read(stream, 3 * len(raw), file)
            whole = len(more) < 3 * len(raw)
            raw += more
            text = _decoded(raw, encoding, file, whole=whole)
    end = len(text) if end is None else end
    header = text[blank:end]
    if "\0" in header:
        raise SourceError(f"{file}: the header has a NUL byte: it is not CSV, or is damaged.")
    _refuse_aligned(text[blank:], separator, file)
    names = _fields(header, separator, quote)
    if names is None:
        raise SourceError(f"{file}: the header has a quote that is not closed.")
    if whole and not text[end:].strip():
        raise SourceError(f"{file}: has a header but no rows.")
    return Dialect(
        encoding=encoding,
        separator=separator,
        quote=quote,
        line_ends=_line_end(text, end),
        names=tuple(names),
        header_bytes=len(header),
    )


def _opened(file: str) -> pa.NativeFile:
    try:
        check_regular(file)
        return pa.input_stream(file)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{file}: cannot be read: {why(error)}.") from error


def _read(stream: pa.NativeFile, count: int, file: str) -> bytes:
    """Return so many bytes; fewer only at the end of the file."""
    parts: list[bytes] = []
    try:
        while count > 0 and (data := stream.read(count)):
            parts.append(data)
            count -= len(data)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{file}: cannot be read: {error}") from error
    return b"".join(parts)


def _encoding(raw: bytes, file: str) -> str:
    """Tell the encoding by a mark, else by what the bytes can be."""
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return name
    sample = raw[: 4096 // 4 * 4]
    if sample.count(0) > len(sample) * 5 // 8:  # three bytes of four in UTF-32
        return "utf-32-le" if sample[::4].count(0) < sample[3::4].count(0) else "utf-32-be"
    if sample.count(0) > len(sample) // 4:  # every other byte of text in UTF-16
        odd = sample[1::2].count(0) >= sample[::2].count(0)
        return "utf-16-le" if odd else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        _refuse_other_code_pages(raw, file)
        undefined = any(byte in raw for byte in b"\x81\x8d\x8f\x90\x9d")
        return "iso8859-1" if undefined else "cp1252"
    return "utf-8"


def _refuse_other_code_pages(raw: bytes, file: str) -> None:
    """Refuse text that would be other characters in the encoding which is taken for want of marks.

    Raises
    ------
    SourceError
        It is EBCDIC, or has letters of DOS.
    """
    sample = raw[:_SNIFFED_BYTES]
    if not any(end in sample for end in b"\r\n"):  # EBCDIC has others
        text = sample.decode("cp500")
        usual = sum(c.isascii() and (c.isprintable() or c in "\r\n") for c in text)
        if "\n" in text.replace("\x85", "\n") and usual > _LEAST_ASCII_SHARE * len(text):
            raise SourceError(
                f"{file}: seems to be EBCDIC, expected text in UTF-8. --encoding cp500 or cp037 "
                "reads it."
            )
    odd = [match[1] for match in _INSIDE_WORD.finditer(raw)]
    of_dos = [
        byte
        for byte in odd
        if byte.decode("cp437").isalpha() and not byte.decode("cp1252", "replace").isalpha()
    ]
    if of_dos and 2 * len(of_dos) > len(odd):
        raise SourceError(
            f"{file}: has the byte {of_dos[0].hex().upper()} inside a word, a letter "
            f"({of_dos[0].decode('cp437')}) in the code pages of DOS and none in cp1252: "
            "--encoding cp437 or cp850 reads those, --encoding cp1252 the others."
        )


def _decoded(raw: bytes, encoding: str, file: str, *, whole: bool) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
    except UnicodeError as error:
        raise SourceError(
            f"{file}: is not {encoding} text ({error.reason if hasattr(error, 'reason') else error}"
            f"). --encoding says another."
        ) from None
    return text.removeprefix("\ufeff")


def _quote(text: str, reading: Reading) -> str:
    """Tell the quote: a single one only where every field of the header has it around it."""
    if reading.quote is not None:
        return "" if reading.quote == "none" else reading.quote
    first = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""
    for separator in (reading.separator,) if reading.separator else _SEPARATORS:
        fields = first.split(separator)
        single = [len(f) > 1 and f[0] == f[-1] == "'" for f in map(str.strip, fields)]
        if len(fields) > 1 and all(single):
            return "'"
    return '"'


def _separator(text: str, quote: str, whole: bool) -> str:
    """Tell the separator: that by which the first records have the same number of fields."""
    start = len(text) - len(text.lstrip("\r\n"))
    best, best_key = ",", (False, 0)
    for separator in _SEPARATORS:
        records = _records(text[start:], separator, quote, whole)
        if not records:
            continue
        n = len(records[0])
        alike = n > 1 and all(len(record) == n for record in records)
        if (alike, n) > best_key:
            best, best_key = separator, (alike, n)
    if best_key[1] > 1:
        return best
    for separator in _RARE_SEPARATORS:
        records = _records(text[start:], separator, quote, whole)
        widths = {len(record) for record in records}
        if len(records) > 1 and len(widths) == 1 and widths != {1}:
            if all("" in record for record in records):
                continue  # runs of blanks
            return separator
    return best


def _refuse_aligned(text: str, separator: str, file: str) -> None:
    """Refuse columns that are aligned by runs of blanks, of which there is no separator.

    Raises
    ------
    SourceError
    """
    lines = [line for line in text.splitlines()[:_RECORDS_LOOKED_AT] if line.strip()]
    if len(lines) < 2 or separator in lines[0]:
        return
    widths = {len(line.split()) for line in lines}
    if len(widths) == 1 and widths != {1} and any("  " in line.strip() for line in lines):
        raise SourceError(
            f"{file}: has columns that runs of blanks are between, expected one separator, such as "
            "a comma: rewrite it, for instance with sed -E 's/^ +//; s/ +/,/g'."
        )


def _records(text: str, separator: str, quote: str, whole: bool) -> list[list[str]]:
    """Return the first records; the last one only where the text ends with it."""
    found: list[list[str]] = []
    reader = reader_of(io.StringIO(text, newline=""), separator, quote)
    with long_fields(), suppress(csv.Error):
        for record in reader:
            if record:
                found.append(record)
            if len(found) > _RECORDS_LOOKED_AT:
                break
    cut = not whole or len(found) > _RECORDS_LOOKED_AT
    return found[:-1] if cut and len(found) > 1 else found


@contextmanager
def long_fields() -> Iterator[None]:
    """Let Python's reader take fields as long as a header, which else holds for the process."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, LONGEST_HEADER_BYTES))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def reader_of(lines: TextIO, separator: str, quote: str) -> Any:
    """Return Python's reader of records; without a quote, quotes are characters like others."""
    if quote:
        return csv.reader(lines, delimiter=separator, quotechar=quote)
    return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)


def _fields(header: str, separator: str, quote: str) -> list[str] | None:
    """Return the fields of one record; None where a quote stays open."""
    if not quote or quote not in header:
        return header.split(separator)
    if quote and _end_of_record(header + "\n", 0, separator, quote) is None:
        return None
    with long_fields():
        return next(reader_of(io.StringIO(header, newline=""), separator, quote), [])


def _end_of_record(text: str, start: int, separator: str, quote: str) -> int | None:
    """Return where the record that begins at ``start`` ends; None where the text does before."""
    ends = [at for at in (text.find("\n", start), text.find("\r", start)) if at >= 0]
    line = min(ends, default=None)
    if not quote or quote not in text[start:line]:
        return line
    position, at_field = start, True
    while position < len(text):
        character = text[position]
        if character == quote and at_field:
            position = _end_of_quote(text, position, quote)
            if position < 0:
                return None
        elif character in "\r\n":
            return position
        at_field = character == separator
        position += 1
    return None


def _end_of_quote(text: str, position: int, quote: str) -> int:
    """Return where the quote that opens at a place closes; -1 where it does not."""
    while True:
        position = text.find(quote, position + 1)
        if position < 0 or text[position + 1 : position + 2] != quote:
            return position
        position += 1  # a quote that is doubled is part of the text


def _line_end(text: str, end: int) -> str:
    """Name the line end that stands at a place, and whether others come after it."""
    if end >= len(text):
        return "LF"
    first = "\r\n" if text[end : end + 2] == "\r\n" else text[end]
    rest = text[end:].replace("\r\n", "\0")
    kinds = {kind for kind, mark in (("CRLF", "\0"), ("CR", "\r"), ("LF", "\n")) if mark in rest}
    return _LINE_ENDS[first] if len(kinds) <= 1 else "mixed"


def all_numbers(names: tuple[str, ...]) -> bool:
    """Tell whether all the column names are numbers: as where there is no header."""
    return all(spelled_number(name) is not None for name in names)
