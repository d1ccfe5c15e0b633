"""Dates and times as numbers: days or seconds since 1970, a year, an hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.errors import OptionError

SECONDS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
PARTS = ("year", "month", "weekday", "hour")
UNITS = (*SECONDS, *PARTS)
_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_OF_A_DAY = ("%Y", "%y", "%m", "%d", "%e", "%b", "%B", "%h", "%j", "%D", "%F")


@dataclass(frozen=True)
class DateRule:
    """How a column of dates or times becomes numbers.

    Attributes
    ----------
    unit : str
        ``days``, ``hours``, ``minutes`` or ``seconds`` since 1970-01-01 00:00 UTC, with
        fractions (of times without a date since midnight); or ``year``, ``month`` (1 to 12),
        ``weekday`` (Monday is 1), ``hour`` (0 to 23), in UTC where there is a zone.
    format : str
        Of text: as strptime has it, such as ``%d.%m.%Y``; empty: ISO 8601.
    """

    unit: str
    format: str = ""

    @classmethod
    def named(cls, text: str) -> tuple[str, DateRule]:
        """Return the column and the rule of ``COLUMN=UNIT`` or ``COLUMN=UNIT:FORMAT``.

        Raises
        ------
        OptionError
        """
        column, equals, rule = text.rpartition("=")
        if not (column and equals):
            raise OptionError(
                f"--date {text!r}: expected COLUMN=UNIT, with a unit of {', '.join(UNITS)}."
            )
        unit, _, form = rule.partition(":")
        if unit not in UNITS:
            raise OptionError(
                f"--date {text!r}: {unit!r} is no unit, expected one of {', '.join(UNITS)}."
            )
        return column, cls(unit, form)

    def __str__(self) -> str:
        return f"{self.unit}:{self.format}" if self.format else self.unit

    @property
    def meaning(self) -> str:
        """What the numbers are, for people."""
        if self.unit in SECONDS:
            return f"{self.unit} since 1970-01-01"
        return {"weekday": "weekday, 1 is Monday"}.get(self.unit, self.unit)

    def numbers(self, values: Any) -> tuple[np.ndarray, int | None]:
        """Dates, times or texts as numbers.

        Parameters
        ----------
        values : (n,) pyarrow array
            Of date, time, timestamp or string type.

        Returns
        -------
        numbers : (n,) float64
            NaN where a value is missing.
        unfit : int or None
            The first text that is no date; the numbers are then of no use.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        types = pa.types
        if types.is_string(values.type) or types.is_large_string(values.type):
            stamps, unfit = self._parsed(values.cast(pa.string()))
            if unfit is not None:
                return np.full(len(values), np.nan), unfit
        elif types.is_time(values.type):  # since midnight
            ticks = values.cast(pa.time64("us") if types.is_time32(values.type) else values.type)
            stamps = pc.cast(pc.cast(ticks, pa.time64("us"), safe=False), pa.int64())
            stamps = pc.cast(stamps, pa.timestamp("us"))
        elif types.is_timestamp(values.type):
            stamps = _without_zone(values)
        else:
            stamps = pc.cast(values, pa.timestamp("s"))
        return self._of(stamps), None

    def _parsed(self, texts: Any) -> tuple[Any, int | None]:
        """Texts as timestamps, and the first that is none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.format:
            texts, form = pc.utf8_trim_whitespace(texts), self.format
            if not any(directive in form for directive in _OF_A_DAY):  # a time since midnight
                texts = pc.binary_join_element_wise("1970-01-01", texts, " ")
                form = f"%Y-%m-%d {form}"
            found = pc.strptime(texts, format=form, unit="us", error_is_null=True)
            wrong = pc.and_(pc.is_null(found), pc.is_valid(texts))
            row = pc.index(wrong, True).as_py()
            return found, None if row < 0 else row
        plain = _iso(texts)
        try:
            return _timestamps(plain), None
        except pa.ArrowException:
            for row in range(len(plain)):
                try:
                    _timestamps(plain.slice(row, 1))
                except pa.ArrowException:
                    return plain, row
            raise

    def _of(self, stamps: Any) -> np.ndarray:
        """Timestamps without a zone as numbers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.unit in SECONDS:
            per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[stamps.type.unit]
            ticks = pc.cast(stamps, pa.int64())
            absent = ticks.is_null().to_numpy(zero_copy_only=False)
            whole = pc.fill_null(ticks, 0).to_numpy(zero_copy_only=False)
            found = whole / (per_second * SECONDS[self.unit])
            return np.where(absent, np.nan, found)
        part = {
            "year": pc.year,
            "month": pc.month,
            "weekday": lambda times: pc.day_of_week(times, count_from_zero=False),
            "hour": pc.hour,
        }[self.unit](stamps)
        return pc.fill_null(pc.cast(part, pa.float64()), np.nan).to_numpy(zero_copy_only=False)


def is_date(type_: Any) -> bool:
    """Tell whether an Arrow type is one of dates or times."""
    import pyarrow as pa

    types = pa.types
    return types.is_date(type_) or types.is_time(type_) or types.is_timestamp(type_)


def _without_zone(stamps: Any) -> Any:
    """Return timestamps in UTC, without the zone that they are shown in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if stamps.type.tz is None:
        return stamps
    return pc.cast(pc.cast(stamps, pa.int64()), pa.timestamp(stamps.type.unit))


def _iso(texts: Any) -> Any:
    """Texts of ISO 8601 with what Arrow's parser does not take written out."""
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(texts)
    texts = pc.replace_substring_regex(
        texts, r"^([0-9]{4})[/.]([0-9]{2})[/.]([0-9]{2})", r"\1-\2-\3"
    )
    texts = pc.replace_substring_regex(texts, r"^([0-9]{4}-[0-9]{2})$", r"\1-01")
    texts = pc.replace_substring_regex(texts, r"^([0-9]:[0-9]{2}(:[0-9.]+)?)$", r"0\1")
    return pc.replace_substring_regex(texts, r"^([0-9]{2}:[0-9]{2}(:[0-9.]+)?)$", r"1970-01-01 \1")


def _timestamps(texts: Any) -> Any:
    """Texts of ISO 8601, some with a zone, as timestamps in UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    null = pa.scalar(None, pa.string())
    zoned = pc.fill_null(
        pc.and_(pc.match_substring_regex(texts, _ZONE), pc.match_substring(texts, ":")), False
    )
    plain = pc.cast(pc.if_else(zoned, null, texts), pa.timestamp("us"))
    if not pc.any(zoned).as_py():
        return plain
    aware = pc.cast(pc.if_else(zoned, texts, null), pa.timestamp("us", "UTC"))
    return pc.coalesce(plain, _without_zone(aware))
