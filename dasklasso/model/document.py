"""The types of what ``model.json`` says, checked when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from dasklasso.errors import ModelError
from dasklasso.objective.losses.registry import LOSSES

Check = Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _names(value: Any) -> bool:
    """Names themselves, how they are numbered, or None where they are in Zarr."""
    if isinstance(value, dict):
        prefix, count = value.get("prefix"), value.get("count")
        return isinstance(prefix, str) and type(count) is int and count >= 0
    return value is None or _texts(value)


def _numbers_by_alpha(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, list) and all(number is None or _number(number) for number in row)
        for row in value
    )


def _labels(value: Any) -> bool:
    return isinstance(value, list) and all(
        labels is None
        or (isinstance(labels, list) and all(isinstance(x, str) or _number(x) for x in labels))
        for labels in value
    )


def _loss(value: Any) -> bool:
    return isinstance(value, str) and value in LOSSES


def _is(*kinds: type) -> Check:
    return lambda value: type(value) in kinds


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


_EXPECTED: Mapping[str, tuple[Check, str]] = {
    "feature_names": (_names, "a list of texts, or a prefix and a count"),
    "target_names": (_texts, "a list of texts"),
    "y_is_vector": (_is(bool), "true or false"),
    "loss": (
        lambda value: isinstance(value, str) and value in LOSSES,
        f"one of {', '.join(LOSSES)}",
    ),
    "l1_ratio": (_number, "a number"),
    "penalty_options": (_is(dict), "an object"),
    "alpha_selected": (_or_none(_number), "a number or null"),
    "solver": (_is(str), "text"),
    "tol": (_number, "a number"),
    "scans": (_number, "a number"),
    "bytes_read": (_is(int), "a whole number"),
    "seconds": (_number, "a number"),
    "peak_memory_bytes": (_is(int), "a whole number"),
    "fingerprint": (_is(str), "text"),
    "versions": (_is(dict), "an object"),
    "cross_validation": (_or_none(_is(dict)), "an object or null"),
    "explained": (_or_none(_numbers_by_alpha), "a list of lists of numbers, or null"),
    "plan": (_or_none(_is(dict)), "an object or null"),
    "refit": (_or_none(_is(dict)), "an object or null"),
    "classes": (_or_none(_labels), "a list of lists of labels, or null"),
    "has_offset": (_or_none(_is(bool)), "true, false or null"),
    "schema": (_or_none(_is(dict)), "an object or null"),
    "feature_scales": (_or_none(_is(bool)), "true, false or null"),
}


def check_document(document: Mapping[str, Any], where: str) -> None:
    """Refuse entries of other types than a model's.

    Entries that are not there are for the reader to miss.

    Raises
    ------
    ModelError
        Names the first such entry, what was found and what was expected.
    """
    for name, (fits, expected) in _EXPECTED.items():
        value = document.get(name)
        if name in document and not fits(value):
            text = repr(value)
            shown = text if len(text) <= 60 else text[:57] + "..."
            raise ModelError(f"{where}: {name} is {shown}, expected {expected}.")
