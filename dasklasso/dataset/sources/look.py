"""What a text looks like: one value, shared by the modules that tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """What a text looks like.

    Attributes
    ----------
    kind : {"number", "date", "unit", "bin", "truth", "null", "slip", "lines"}
        A "unit" is a number with a unit or the like after it, a "bin" a range or a bound of
        numbers.
    what : str
        Goes on after "looks like".
    option : str
        What reads it, with ``{column}`` for the column's name; empty: nothing does.
    is_sure : bool
        Whether the option is the only one that comes into question.
    """

    kind: str
    what: str
    option: str = ""
    is_sure: bool = True
