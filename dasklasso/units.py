"""Sizes and counts, as people write and read them: ``1.5GiB``, ``64 MiB``, ``2e9``, ``1 scan``."""

from __future__ import annotations

import re

from dasklasso.errors import OptionError

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}b"] = 1000**_power
    _UNITS[f"{_letter}ib"] = 1024**_power

_SIZE_LIMIT = 2**63  # bytes: beyond what a file or an address space can have
_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?|[0-9]+\.)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_size(text: str | int | float) -> int:
    """Bytes of a size: ``parse_size("1.5GiB") == 1610612736``; GB counts in thousands.

    Raises
    ------
    OptionError
        When it is not a positive number with a unit that is known.
    """
    match = _SIZE.fullmatch(str(text))
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise OptionError(f"{text!r} is not a size. Write it like 1.5GiB, 500MB or 2000000000.")
    size = float(match[1]) * unit
    if size >= _SIZE_LIMIT:  # also infinite, as 1e999 is
        raise OptionError(f"{text!r} is not a size: too large, expected less than 8 EiB.")
    if size < 1:
        raise OptionError(f"{text!r} is not a size: expected at least one byte.")
    return int(size)


def format_size(n_bytes: float) -> str:
    """``format_size(1610612736) == "1.5 GiB"``."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return (
        f"{size:.0f} B"
        if unit == "B"
        else f"{size:.3g} {unit}"
        if size < 1000
        else (f"{size:.0f} {unit}")
    )


def counted(number: float, what: str) -> str:
    """``counted(1, "scan") == "1 scan"``, ``counted(2.5, "scan") == "2.5 scans"``."""
    return f"{number:,.4g} {what}" + ("" if number == 1 else "s")
