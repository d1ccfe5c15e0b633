"""What values of options may be: checked where they are typed, kept as they are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import click

from dasklasso.units import parse_size


class Size(click.ParamType):
    """A size in bytes such as 1.5GiB, checked here and kept as text."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from dasklasso.errors import OptionError

        try:
            parse_size(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Finite(click.FloatRange):
    """A number in a range: not infinite, and not nan, which no range excludes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return found


class Limit(click.ParamType):
    """A number of rows to print, or "all": None."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == "all":
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number of rows, at least 1, nor all.", param, ctx)
        return int(value)


class HuberDelta(click.ParamType):
    """A positive number, which keeps its digits as text, or "auto"."""

    name = "number|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from dasklasso.errors import OptionError
        from dasklasso.objective.losses.huber import parse_huber_delta

        if value == "auto":  # the default, which needs no losses to be known
            return value
        try:
            parse_huber_delta(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Alpha(click.ParamType):
    """An alpha of a model: a number, which keeps its digits as text, or "min" or "1se"."""

    name = "number|min|1se"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from dasklasso.errors import OptionError
        from dasklasso.model.asked_alpha import WORDS, parse_alpha

        try:
            return value if value in WORDS else str(parse_alpha(value))
        except OptionError as error:
            self.fail(str(error), param, ctx)


class Registered(click.Choice[str]):
    """The names in a registry, which is imported where they are needed, not at every start."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names, self.case_sensitive = names, True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names, as they are now."""
        return tuple(self._names())
