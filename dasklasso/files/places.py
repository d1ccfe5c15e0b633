"""Where things are read and written: paths and URLs in one form, no output over an input.

An input is a path or a URL; an output is a path on a local disk, where a name can be exchanged in
one step. ``file://`` is a path, ``~`` a home folder. Every command hands its places to
:func:`check_places` before it works.
"""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dasklasso.errors import OptionError
from dasklasso.files.regular import special_kind, why

LONGEST_NAME = 255  # bytes of a file's name, on nearly all file systems
LONGEST_PLACE = 4096  # of a path on Linux; looking for the files of a pattern is quadratic
_FILES = (".csv", ".parquet", ".json")  # endings of what is written as one file
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # of two letters or more: C:\ is a path


def is_url(place: str | os.PathLike[str]) -> bool:
    """Tell a URL (``s3://...``, also chained with ``::``) from a path."""
    return "://" in os.fspath(place)


def input_place(place: str | os.PathLike[str], what: str = "path") -> str:
    """Return a place to read in the form that all readers take: a path, or a URL of no file.

    Parameters
    ----------
    place : a path, a pattern, or a URL
    what : the option or argument that errors name

    Raises
    ------
    OptionError
        It is empty, too long, has a NUL byte, stands for standard input, or is neither path nor
        URL.
    """
    text = _local(_text(place, what))
    if len(text) > LONGEST_PLACE:
        raise OptionError(
            f"{what}: {text[:40]!r}... has {len(text):,} characters, expected at most "
            f"{LONGEST_PLACE:,}."
        )
    if "\0" in text:
        raise OptionError(f"{what}: {text!r} has a NUL byte, which no path has.")
    if text == "-":
        raise OptionError(f"{what}: standard input is not read; a file called - is ./-")
    if not is_url(text):
        _check_path(text, what)
    if "::" in text and not is_url(text) and not os.path.lexists(text):
        raise OptionError(
            f"{what}: {text!r} is neither a path that is there nor a URL; chained URLs are like "
            "simplecache::s3://bucket/name."
        )
    return text


def _check_path(text: str, what: str) -> None:
    """Refuse a path that leads nowhere, whatever may be there one day."""
    try:
        os.stat(text)
    except FileNotFoundError:
        pass  # who reads it says so; it may be a pattern
    except OSError as error:
        if not glob.has_magic(text):
            raise OptionError(f"{what}: {text} cannot be read: {why(error)}.") from None


def output_place(place: str | os.PathLike[str], what: str = "out") -> Path:
    """Return where something is written: a path on a local disk, with a name of its own.

    Parameters
    ----------
    place : a path, or a ``file://`` URL
    what : the option or argument that errors name

    Raises
    ------
    OptionError
        It is empty, a URL of something else than a file, stands for standard output or for a
        folder that is there in any case, or its name cannot be that of a file.
    """
    text = _local(_text(place, what))
    shown = repr(text) if len(text) <= 80 else repr(text[:77]) + "..."
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        raise OptionError(f"{what}: {shown} has a control character; give a name without.")
    if text == "-":
        raise OptionError(f"{what}: nothing is written to standard output; a file called - is ./-")
    is_chained = is_url(text) or "::" in text
    if is_chained or _SCHEME.match(text):
        advice = "give a name without :// and ::"
        if not is_chained:
            advice = f"a file of this name is ./{text if len(text) <= 80 else 'NAME'}"
        raise OptionError(
            f"{what}: {shown} looks like a URL, and what is written goes to a local disk: write it "
            f"there and copy it; {advice}"
        )
    path = Path(text)
    if path.suffix in _FILES and text.endswith(("/", "/.")):
        raise OptionError(f"{what}: {shown} is the name of a folder; expected that of a file.")
    if path.name in ("", ".."):
        raise OptionError(f"{what}: {shown} is a folder that is there; expected a name in it.")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise OptionError(f"{what}: {shown} is too long, a name has at most {LONGEST_NAME} bytes.")
    if not path.is_symlink() and (kind := special_kind(path)) is not None:
        raise OptionError(f"{what}: {shown} is a {kind}, which is never overwritten.")
    return path


def check_places(
    outputs: Mapping[str, str | os.PathLike[str]], inputs: Mapping[str, str | os.PathLike[str]]
) -> None:
    """Refuse outputs that are inputs, are within one, hold one, or are the same as another output.

    Places are compared by what they lead to (links, other spellings), not by how they are written.

    Parameters
    ----------
    outputs, inputs : by the options or arguments that errors name
        Inputs may be patterns, each file of which counts. URLs are never outputs.

    Raises
    ------
    OptionError
        Names both.
    """
    read = [
        (what, place, found)
        for what, place in inputs.items()
        if not is_url(place)
        for found in _files_of(os.fspath(place))
    ]
    written: list[tuple[str, str, list[object]]] = []
    for what, place in outputs.items():
        here = _line_of_folders(place)
        for other, name, found in read:
            there = _line_of_folders(found)
            if here[0] == there[0]:
                raise OptionError(
                    f"{what}: {place} is {_named(other, name, place)}, which is read, so it is not "
                    "overwritten. Give another name."
                )
            if there[0] in here:
                raise OptionError(
                    f"{what}: {place} is part of {_named(other, name, place)}, which is read. "
                    "Give another name."
                )
            if here[0] in there:
                raise OptionError(
                    f"{what}: {place} holds {_named(other, name, place)}, which is read, so it is "
                    "not overwritten. Give another name."
                )
        for other, name, there in written:
            if here[0] == there[0]:
                raise OptionError(
                    f"{what}: {place} is also {_named(other, name, place)}; expected different "
                    "names, since the one would replace the other."
                )
            if here[0] in there or there[0] in here:
                inner, outer = (what, other) if there[0] in here else (other, what)
                raise OptionError(
                    f"{inner}: is within the {outer} {name if outer == other else place}, which is "
                    "written too; expected places of their own."
                )
        written.append((what, os.fspath(place), here))


def _named(what: str, place: str | os.PathLike[str], spelled: str | os.PathLike[str]) -> str:
    """Name an option, with its place where that is spelled otherwise."""
    other = os.fspath(place)
    return f"the {what}" + ("" if other == os.fspath(spelled) else f" {other}")


def _text(place: str | os.PathLike[str], what: str) -> str:
    text = os.fspath(place)
    if not text or not text.strip():
        raise OptionError(f"{what}: empty, expected a path.")
    return text


def _local(text: str) -> str:
    """Return a path of a ``file://`` URL, with its ``~`` spelled out."""
    if text.startswith("file://"):
        text = text.removeprefix("file://").removeprefix("localhost")
    return os.path.expanduser(text) if text.startswith("~") else text


def _files_of(place: str) -> Iterable[str]:
    """Return what an input stands for: itself, or all that its pattern matches."""
    if glob.has_magic(place) and not os.path.lexists(place):
        return glob.glob(place, recursive=True)
    return [place]


def _line_of_folders(place: str | os.PathLike[str]) -> list[object]:
    """Identify a place and the folders it is in, whatever their spelling; itself comes first."""
    return list(_identities(Path(os.path.realpath(place))))


def _identities(path: Path) -> Iterator[object]:
    for one in (path, *path.parents):
        try:
            found = os.stat(one)
        except (OSError, ValueError):
            yield os.fspath(one)  # what is not there yet
        else:
            yield (found.st_dev, found.st_ino)
