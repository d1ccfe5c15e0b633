"""Queries: what a scan can be asked.

A query says what to do with some rows (``on_rows``), how to add the answers of two disjoint sets
of rows (``combine``) and what to make of the sum over all rows (``finish``). Where X is too wide
for one band to hold all its columns, a query that couples columns also says how (``Gradient``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from dasklasso.scan.rows import Rows

AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


class Query(ABC, Generic[AnswerT_co]):
    """One question to all rows, with the type of its answer.

    Instances are small values that travel to the workers.
    """

    name: str
    reads_targets = True

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> Any:
        """Return what ``on_rows`` needs, made once for each task from the query's input arrays."""
        return None

    @abstractmethod
    def on_rows(self, rows: Rows, prepared: Any) -> Any:
        """Return the answer for some rows."""

    @abstractmethod
    def combine(self, a: Any, b: Any) -> Any:
        """Return the answer for two disjoint sets of rows. Must not change either."""

    def finish(self, value: Any, inputs: Sequence[Any]) -> AnswerT_co:
        """Return the finished answer, from that for all rows."""
        answer: AnswerT_co = value
        return answer
