"""Texts with numbers in them that are no plain numbers: units, multiples, fractions, ranges."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace

from dasklasso.dataset.sources.look import Look

_DIGITS = (
    r"[+-]?(?:\d{1,3}(?:[, \u00a0\u202f'\u2019]\d{3})+(?:[.,]\d+)?|\d+,\d+"
    r"|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)"
)
_UNITS = frozenset(
    {"mm", "cm", "dm", "m", "km", "in", "inch", "inches", "ft", "feet", "yd", "mi", "mile",
     "miles", "nm", "µm", "μm", "um", '"', "'", "′", "″", "m2", "m²", "m3", "m³", "km2", "km²",
     "sqft", "mg", "g", "kg", "t", "lb", "lbs", "oz", "st", "ml", "mL", "cl", "dl", "l", "L",
     "liter", "liters", "litre", "litres", "gal", "cc", "ms", "s", "sec", "secs", "second",
     "seconds", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "d", "day",
     "days", "w", "wk", "week", "weeks", "mo", "month", "months", "y", "yr", "yrs", "year", "years",
     "yo", "km/h", "kmh", "kph", "mph", "m/s", "rpm", "Hz", "kHz", "MHz", "GHz", "kW", "MW",
     "kWh", "Wh", "mV", "kV", "mA", "Ah", "mAh", "Ω", "ohm", "hp", "PS", "bhp", "Nm", "J",
     "kJ", "kcal", "cal", "Pa", "kPa", "hPa", "bar", "mbar", "psi", "mmHg", "°C", "°F", "°K",
     "°", "deg", "degC", "degF", "bit", "kb", "KB", "MB", "GB", "TB", "kB", "KiB", "MiB",
     "GiB", "px", "pt", "pts", "dpi", "mg/dL", "mg/dl", "mmol/L", "mmol/l", "g/L", "g/dL",
     "ppm", "ppb", "dB", "bpm", "pcs", "pc", "pct", "percent", "x", "EUR", "USD", "GBP", "CHF",
     "JPY", "CNY", "INR", "SEK", "NOK", "DKK", "PLN", "CAD", "AUD", "kr", "zł", "Ft", "Kč",
     "₽", "cents", "cent", "dollars", "euros"}
)  # fmt: skip
_MULTIPLES = frozenset(
    {"k", "K", "M", "B", "G", "T", "Mio", "mio", "Mrd", "mn", "bn", "mln", "bln", "tsd",
     "thousand", "million", "millions", "billion", "billions", "lakh", "crore"}
)  # fmt: skip
MULTIPLE = Look("number", "a number with a word or letter for thousands or millions: write it out")
FRACTION = Look("number", "a fraction, or two numbers: write it in decimal")
_ORDINAL = Look("unit", "an ordinal number", "--strip st --strip nd --strip rd --strip th")
BIN = Look("bin", "a range of numbers")
BOUND = Look("bin", "a bound of a number")

_AFTER = re.compile(rf"({_DIGITS})\s*(\D+|\S*[A-Za-z/][23])")
_WORD_AFTER = re.compile(rf"({_DIGITS})\s*([^\W\d_]+\.?)")
_BEFORE = re.compile(
    rf"(EUR|USD|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|Rs\.?|Rp|R\$|US\$|kr)\s*({_DIGITS})"
)
_MONEY_MULTIPLE = re.compile(rf"[$€£¥₹]\s?{_DIGITS}\s?[kKMB]|{_DIGITS}\s?[kKMB]\s?[$€£¥₹]")
_QUOTED = re.compile(rf"(['\"])\s*({_DIGITS})\s*\1?")
_STARRED = re.compile(rf"({_DIGITS})\s*([*†‡§]+)")
_FORMULA = re.compile(rf"=\s*(\"?)({_DIGITS})\1")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_OF_CODES = frozenset("#.-_/")  # between numbers: versions, addresses, scores, parts of a code
_FRACTION = re.compile(
    r"[+-]?(\d+[ -])?\d+\s*[/\u2044]\s*\d+|[+-]?\d*\s?[\u00bc-\u00be\u2150-\u215e]"
)
_ORDINALS = re.compile(r"\d*(1st|2nd|3rd|\dth)", re.IGNORECASE)
_ONE = r"[+-]?[$€£¥₹]?\s?\d[\d,]*\.?\d*\s?(?:[kKMB%$€£¥₹]|[A-Za-z]{1,8}\.?)?"
_RANGE = re.compile(rf"({_ONE})\s*(?:-|\u2012|\u2013|\u2014|\u2212|\.\.+|to|~|bis)\s*({_ONE})")
_CUT = re.compile(
    r"[\[(\]]\s*([+-]?inf|[+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*[,;]"
    r"\s*([+-]?inf|[+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*[\])\[]"
)
_BOUND = re.compile(
    rf"(?:[<>]=?|=[<>]|[≤≥~≈])\s*{_ONE}|{_ONE}\s*(?:\+|plus)(?:\s*[A-Za-z]{{1,8}})?"
    rf"|{_ONE}\s*(?:and|or|&)\s*(?:over|above|up|more|older|under|below|less|fewer|younger|later)"
    rf"|(?:under|over|below|above|less than|more than|fewer than|greater than|at least|at most"
    rf"|up to|older than|younger than)\s+{_ONE}",
    re.IGNORECASE,
)
_PLAIN_DIGITS = re.compile(r"[+-]?\d[\d,]*\.?\d*")
_TRUTHS = {
    spelled: pair
    for pair in (("y", "n"), ("yes", "no"), ("t", "f"), ("true", "false"), ("on", "off"),
                 ("1", "0"), ("1.0", "0.0"))
    for spelled in pair
}  # fmt: skip


def quantity_look(text: str, look_of: Callable[[str], Look | None]) -> Look | None:
    """Return what a text with a number in it looks like; None where it is a word or a code.

    Parameters
    ----------
    text : str
        With nothing blank around it.
    look_of : callable
        Tells what the number alone looks like.
    """
    if _FRACTION.fullmatch(text):
        return FRACTION
    if _ORDINALS.fullmatch(text):
        return _ORDINAL
    if match := _AFTER.fullmatch(text):
        number, unit = match[1], match[2].strip()
        if unit in _MULTIPLES:
            return MULTIPLE
        if unit in _UNITS:
            return _of_unit(number, unit, f"a number with the unit {unit}", look_of)
    if _MONEY_MULTIPLE.fullmatch(text):
        return MULTIPLE
    if match := _QUOTED.fullmatch(text):
        return _of_unit(match[2], match[1], "a number in quotes", look_of)
    if match := _STARRED.fullmatch(text):
        return _of_unit(match[1], match[2], "a number with a mark after it", look_of, "number")
    if match := _FORMULA.fullmatch(text):
        look = _of_unit(match[2], f"={match[1]}", "a number with = before it", look_of, "number")
        return replace(look, option=f"{look.option} --strip '\"'") if match[1] else look
    if match := _BEFORE.fullmatch(text):
        return _of_unit(match[2], match[1], "an amount of money", look_of)
    if _BOUND.fullmatch(text):
        return BOUND
    if (match := _RANGE.fullmatch(text)) and _rises(match[1], match[2]):
        return BIN
    return BIN if _CUT.fullmatch(text) else None


def shared_unit(texts: Iterable[str]) -> Look | None:
    """Return the look of texts that all have the same word after a number; else None.

    Of one text alone, ``5A`` say, nobody can tell: it may be a code.
    """
    units: set[str] = set()
    n = 0
    for n, text in enumerate(texts, start=1):  # noqa: B007
        match = _WORD_AFTER.fullmatch(text.strip())
        if match is None or len(units) > 1:
            return None
        units.add(match[2])
    if n < 2 or len(units) != 1:
        return None
    [unit] = units
    return Look("unit", f"a number with {unit} after it", f"--strip {shlex.quote(unit)}")


def several_numbers(texts: Iterable[str]) -> Look | None:
    """Return the look of texts with the same words and signs around several numbers; else None.

    ``3x4``, ``1h30m``, ``5'11"``, ``1 of 5``: but no versions (1.2.3), scores (2-1) or codes (A12).
    """
    seen = {text.strip() for text in texts}
    forms = {_NUMBER.sub("#", text) for text in seen}
    if len(seen) < 2 or len(forms) != 1:
        return None
    [form] = forms
    if form.count("#") < 2 or form[0] != "#" or _OF_CODES.issuperset(form):
        return None
    return Look("number", "several numbers in one text: give each a column")


def several_units(looks: Iterable[Look]) -> Look | None:
    """Return what numbers of more than one unit look like; None where the unit is one.

    Of ``month`` and ``months`` both are taken off.
    """
    options = {look.option for look in looks if look.kind == "unit" and look != _ORDINAL}
    if len(options) < 2:
        return None
    if len({option.removesuffix("s") for option in options}) == 1:
        return Look("unit", "a number with a unit", " ".join(sorted(options)))
    return Look("unit", "a number with a unit, others have another: write all in one")


def says_truth_in_several_ways(texts: Iterable[str]) -> bool:
    """Tell whether texts are yes and no, but not all in the same words (``Y`` and ``1``)."""
    pairs = [_TRUTHS.get(text.strip().casefold()) for text in texts]
    return len(set(pairs)) > 1 and None not in pairs


def says_truth(text: str) -> bool:
    """Tell whether a text is a word or letter for yes or no."""
    return text.strip().casefold() in _TRUTHS


def _of_unit(
    number: str, unit: str, what: str, look_of: Callable[[str], Look | None], kind: str = "unit"
) -> Look:
    option = f"--strip {shlex.quote(unit)}"
    look = look_of(number)
    if look is not None and not look.option.startswith("--number"):
        option = f"{option} {look.option}"
    return Look(kind, what, option)


def _rises(low: str, high: str) -> bool:
    """Tell whether the second number is the greater one, as that of a range is."""
    first, second = (_PLAIN_DIGITS.search(text.replace(" ", "")) for text in (low, high))
    if first is None or second is None:
        return False
    return float(first[0].replace(",", "")) < float(second[0].replace(",", ""))
