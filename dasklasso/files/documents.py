"""Documents: JSON as it is read from disk, refused in one line where it is not what it should be.

:func:`read_json` bounds what a text may do to its reader: its size, its depth, numbers that are
none, keys given twice. :func:`validate` compares what was read with a schema, a pydantic model;
schemas are in modules of their own, imported where a document is read: pydantic takes a while.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dasklasso.errors import DasklassoError
from dasklasso.files.regular import open_regular
from dasklasso.units import format_size

if TYPE_CHECKING:
    from pydantic import BaseModel

    ModelT = TypeVar("ModelT", bound=BaseModel)

MOST_DOCUMENT_BYTES = 1 << 30
MOST_SHOWN = 60  # characters of a value that a message quotes

# pydantic's types of errors, in the words of our messages
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "none_required": "null",
    "string_type": "text",
    "tuple_type": "a list",
}

# those of numbers out of bounds: our words, and where pydantic keeps the bound
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def read_text(path: Path, *, error: type[DasklassoError]) -> str:
    """Return the text of a document.

    Raises
    ------
    DasklassoError
        It is larger than any document, or not UTF-8.
    OSError
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_DOCUMENT_BYTES:
            raise error(
                f"{path} has {format_size(size)}, expected a document of at most "
                f"{format_size(MOST_DOCUMENT_BYTES)}."
            )
        content = file.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8: {problem}.") from None


def read_json(
    text: str | bytes, *, where: str, error: type[DasklassoError], nonfinite: bool = False
) -> Any:
    """Return what a JSON text says.

    Parameters
    ----------
    where : str
        How messages name the document.
    error : class of the exception to raise
    nonfinite : bool
        Whether NaN and Infinity, which JSON does not have, are read all the same.

    Raises
    ------
    DasklassoError
        It is not JSON, is nested too deeply, has a number that is none or a key twice.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise error(f"{where} is not UTF-8: {problem}.") from None

    def refuse(word: str) -> float:
        raise ValueError(f"found {word}, expected a finite number")

    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=float if nonfinite else refuse
        )
    except RecursionError:
        raise error(f"{where} is not JSON that can be read: it is nested too deeply.") from None
    except ValueError as problem:  # of JSON itself, or a number with thousands of digits
        raise error(f"{where} is not JSON: {_line(problem)}.") from None


def validate(schema: type[ModelT], data: Any, *, where: str, error: type[DasklassoError]) -> ModelT:
    """Return a document's data as its schema has them.

    Raises
    ------
    DasklassoError
        Names the first key that is missing or of another type or size, what was found there and
        what was expected.
    """
    try:
        return parse(schema, data)
    except ValueError as problem:
        raise error(f"{where}: {problem}.") from None


def parse(schema: type[ModelT], data: Any) -> ModelT:
    """Return data as their schema has them.

    Raises
    ------
    ValueError
        Its text is a phrase that names the first key that is missing or of another type or size.
    """
    from pydantic import ValidationError

    try:
        return schema.model_validate(data)
    except ValidationError as problem:
        raise ValueError(_sentence(problem.errors(include_url=False), data)) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {shown(name)} is there twice")
            seen.add(name)
    return found


def _sentence(problems: Sequence[Any], data: Any) -> str:
    """Say what is wrong with the first key that has a fault.

    A value that fits none of several types has an error for each: the deepest place tells most.
    """
    places = [(_place(data, problem["loc"]), problem) for problem in problems]
    first = places[0][0][:1]
    deepest = max((place for place, _ in places if place[:1] == first), key=len)
    here = [problem for place, problem in places if place == deepest]
    name = _name(deepest)
    if here[0]["type"] == "missing":
        missing = str(here[0]["loc"][-1])
        return f"has no entry {_name((*deepest, missing))!r}"
    expected = " or ".join(dict.fromkeys(_expected(problem) for problem in here))
    found = f"{name} is {shown(_at(data, deepest))}" if name else f"found {shown(data)}"
    return f"{found}, expected {expected}"


def _expected(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "literal_error":
        words = context["expected"].replace("'", "")
        return f"one of {words.replace(' or ', ', ')}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    if kind in _BOUNDS:
        word, name = _BOUNDS[kind]
        return f"{word} {context[name]:g}"
    message = str(problem["msg"])
    return _EXPECTED.get(kind, message[:1].lower() + message[1:])


def _place(data: Any, location: Iterable[Any]) -> tuple[Any, ...]:
    """Return the keys and indices of a place, without the names of types that pydantic adds."""
    place: list[Any] = []
    for step in location:
        if (isinstance(data, Mapping) and step in data) or (
            isinstance(data, list | tuple) and isinstance(step, int) and step < len(data)
        ):
            place.append(step)
            data = data[step]
    return tuple(place)


def _at(data: Any, place: Iterable[Any]) -> Any:
    for step in place:
        data = data[step]
    return data


def _name(place: Iterable[Any]) -> str:
    """``curves[0].gap``, as messages name a place."""
    name = ""
    for step in place:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            name += ("." if name else "") + one_line(step)
    return name


def shown(value: Any) -> str:
    """Return a value as a message quotes it: on one line, cut where it is long."""
    if isinstance(value, Mapping | list | tuple) and len(value) > MOST_SHOWN:
        value = list(value)[:MOST_SHOWN]
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # a number with thousands of digits, or a depth
        return f"a {type(value).__name__} too long to show"
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def one_line(text: Any) -> str:
    """Return a name as a message has it: a document may have any name, also one of many lines."""
    line = repr(str(text))[1:-1]
    return line if len(line) <= MOST_SHOWN else line[: MOST_SHOWN - 3] + "..."


def _line(problem: BaseException) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__
