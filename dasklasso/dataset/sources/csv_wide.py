"""CSV files of very many columns, read some columns at a time.

pyarrow holds about 9 kB for each column that it reads, whatever the number of rows: 900 MB for
100,000 columns. So a block of whole lines is parsed once for each group of columns, which takes no
longer: most of the work is done by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv

WIDE_COLUMNS = 16_384  # from here on columns are read in groups
_COLUMNS_OF_A_GROUP = 8_192

# read options, parse options, convert options of a block: whether it has the header, its columns,
# and what is done with rows of another length
OptionsOf = Callable[[bool, Sequence[str], Any], tuple[Any, Any, Any]]


class WideReader:
    """Stands in for pyarrow's streaming reader: batches of rows, with the columns in order.

    Parameters
    ----------
    stream : pyarrow.NativeFile
        The file's bytes, inflated.
    columns : sequence of str
        That are read.
    block_bytes : int
        At a time; lines are shorter.
    quote : str
        Empty: there is none.
    options_of : callable
        Gives the options of a block.
    on_ragged : callable, optional
        Told of a row that has not as many fields as there are columns.
    """

    def __init__(
        self,
        stream: Any,
        columns: Sequence[str],
        *,
        block_bytes: int,
        quote: str,
        options_of: OptionsOf,
        on_ragged: Any = None,
    ) -> None:
        self._stream = stream
        self._columns = list(columns)
        self._block_bytes = block_bytes
        self._quote = quote.encode()
        self._options_of = options_of
        self._on_ragged = on_ragged
        self._rows = 0  # of the blocks so far
        self._batches = self._read()

    def __enter__(self) -> WideReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Any]:
        return self._batches

    def read_next_batch(self) -> Any:
        """Return the next rows; StopIteration where there are none."""
        return next(self._batches)

    def _read(self) -> Iterator[Any]:
        has_header = True
        for block in self._blocks():
            if not block.strip():
                continue
            arrays: list[Any] = []
            for left in range(0, len(self._columns), _COLUMNS_OF_A_GROUP):
                group = self._columns[left : left + _COLUMNS_OF_A_GROUP]
                arrays += self._group(block, group, has_header)
            if has_header and not len(arrays[0]):
                has_header = False
                continue
            has_header = False
            yield pa.RecordBatch.from_arrays(arrays, names=self._columns)
            self._rows += len(arrays[0])

    def _group(self, block: bytes, group: list[str], has_header: bool) -> list[Any]:
        """Return some columns of a block of lines."""
        read, parse, convert = self._options_of(has_header, group, self._ragged(has_header))
        read.block_size = len(block) + 1
        table = pc_csv.read_csv(pa.BufferReader(block), read, parse, convert)
        batches = table.combine_chunks().to_batches()
        return list(batches[0].columns) if batches else [pa.nulls(0)] * len(group)

    def _ragged(self, has_header: bool) -> Any:
        """Return what is told of rows of another length, by their numbers in the file."""
        told, before = self._on_ragged, self._rows + (not has_header)

        def tell(row: Any) -> str:
            if row.number is not None:
                row = row._replace(number=row.number + before)
            return str(told(row))

        return None if told is None else tell

    def _blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines."""
        rest = b""
        while data := self._stream.read(self._block_bytes):
            data = rest + data
            cut = self._last_line_end(data)
            if not cut and len(data) > self._block_bytes:
                raise pa.ArrowInvalid("straddling object: a line is longer than a block")
            if cut:
                yield data[:cut]
            rest = data[cut:]
        yield rest

    def _last_line_end(self, data: bytes) -> int:
        """Return where the last line ends that is whole: not inside quotes."""
        end = len(data)
        if data.endswith(b"\r"):  # perhaps the half of a line end
            end -= 1
        while True:
            end = max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1
            if not end or not self._quote or data.count(self._quote, 0, end) % 2 == 0:
                return end
            end -= 1
