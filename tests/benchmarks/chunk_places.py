"""What comparing each chunk with its place adds to a scan.

    python tests/benchmarks/chunk_places.py [ROWS]

The same store is scanned with and without the comparison, in turns, so that both meet the same
machine; the figure is the ratio of CPU seconds, of the least of each and of the medians.
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.fit.session import open_engine
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import look, meet

FEATURES = 128
CHUNK_BYTES = (64 << 10, 4 << 20)
TURNS = 15


def main(rows: int) -> None:
    """Print a line for each chunk size and kind of scan."""
    with tempfile.TemporaryDirectory() as folder:
        for codec in ("none", "lz4"):
            for nbytes in CHUNK_BYTES:
                path = Path(folder, f"{codec}-{nbytes}")
                chunk_rows = min(rows, nbytes // (4 * FEATURES))
                generate(
                    "tall", path, rows=rows, features=FEATURES, chunk_rows=chunk_rows, codec=codec
                )
                compare(open_dataset(path), f"{codec:>4} {nbytes >> 10:>6} KiB")


def compare(data: Dataset, name: str) -> None:
    """Time reads of all chunks, and gradient scans, with the comparison and without."""
    bare = copy.copy(data.X)
    bare.expected = None  # type: ignore[attr-defined]
    both = {"with": data, "without": replace(data, X=bare)}
    for what, once in {"read": read, "gradient scan": gradient_scan}.items():
        seconds: dict[str, list[float]] = {"with": [], "without": []}
        for one in both.values():
            once(one)
        for turn in range(TURNS):
            order = list(both) if turn % 2 else list(reversed(both))
            for kind in order:
                seconds[kind].append(once(both[kind]))
        least = min(seconds["with"]) / min(seconds["without"]) - 1
        median = np.median(seconds["with"]) / np.median(seconds["without"]) - 1
        each = 1e6 * (min(seconds["with"]) - min(seconds["without"])) / data.X.grid[0]  # type: ignore[attr-defined]
        print(
            f"{name}  {what:13}  {1e3 * min(seconds['without']):8.1f} ms  "
            f"least {least:+7.2%}  median {median:+7.2%}  {each:+.2f} µs a chunk",
            flush=True,
        )


def read(data: Dataset) -> float:
    """CPU seconds of reading every chunk, as a scan's reader does."""
    rows, columns = len(data.X.row_bounds) - 1, len(data.X.column_bounds) - 1
    began = time.process_time()
    for i in range(rows):
        for j in range(columns):
            data.X.block(i, j)
    return time.process_time() - began


def gradient_scan(data: Dataset) -> float:
    """CPU seconds of one scan at zero: the gradient and the loss."""
    with open_engine(data, RunOptions(), None) as (engine, _):
        problem, _ = meet(data, engine, FitOptions(alphas=(1.0,)).objective(), "cpu")
        frame = engine.placed(problem.frame)
        began = time.process_time()
        look(engine, problem, frame, "cpu")
        return time.process_time() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
