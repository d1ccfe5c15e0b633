"""A source that hands on what another one offers: the base of sources that change some of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dasklasso.dataset.sources.base import Batch, Column, Source, SourceDefaults
from dasklasso.dataset.sources.reading import Reading


class WrappedSource(SourceDefaults):
    """Another source as it is; subclasses override what they change.

    Attributes
    ----------
    base : Source
    """

    def __init__(self, base: Source) -> None:
        self.base = base

    @property
    def format(self) -> str:
        return self.base.format

    @property
    def path(self) -> str:
        return self.base.path

    @property
    def n_rows(self) -> int | None:
        return self.base.n_rows

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.base.columns

    @property
    def default_target(self) -> tuple[str, ...]:
        return self.base.default_target

    @property
    def beside(self) -> tuple[str, ...]:
        return self.base.beside

    @property
    def dialect(self) -> str:
        return self.base.dialect

    @property
    def index_base(self) -> int | None:
        return self.base.index_base

    @property
    def used_reading(self) -> Reading | None:
        return self.base.used_reading

    def resolve(self, name: str) -> tuple[str, ...]:
        return self.base.resolve(name)

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        return self.base.integer_bounds(name)

    def line_of(self, file: str, row: int) -> int | None:
        return self.base.line_of(file, row)

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        return self.base.first_inexact(name)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[Batch]:
        yield from self.base.batches(names, rows)
