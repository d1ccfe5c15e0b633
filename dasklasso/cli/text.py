"""Text on a terminal: what is named by others cannot move its cursor, colour it or fill it."""

from __future__ import annotations

import unicodedata

import click

LONGEST_LINE = 500  # characters of an error or a warning
_END = 120  # of them, where the remedy is
# controls, surrogates, line and paragraph separators, and marks that turn the direction of text
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def plain(text: str) -> str:
    """Return text as it may be printed: control characters are spelled out, as ``\\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_spelled, text))


def _spelled(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSEEN and letter not in _DIRECTIONS:
        return letter
    return letter.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Return a message as one line of at most 500 characters, its end included."""
    line = plain(" ".join(text.split()))
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE - _END - 5]} ... {line[-_END:]}"


def sentence(text: str) -> str:
    """Return a text that ends with one full stop, or as it ends where that is no word."""
    text = text.rstrip()
    end = text.rstrip(".")
    if text.endswith(("...", "/..", " ..")):
        return text
    return f"{end}." if end[-1:].isalnum() or end[-1:] in ")]'\"%" else text


def echo(text: str, *, err: bool = False) -> None:
    """Print lines of text to standard output, or to standard error."""
    click.echo("\n".join(plain(line) for line in text.split("\n")), err=err)
