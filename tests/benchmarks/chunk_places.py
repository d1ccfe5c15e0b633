"""What comparing each chunk with its place adds to a scan.

    python tests/benchmarks/chunk_places.py [ROWS]

Two measures, in CPU seconds. The same store is read, and scanned for a gradient, with and without
the comparison, in turns, so that both meet the same machine. On a busy one such ratios are noise of
some per cent: so the comparison alone is timed too, and its share of a scan's time given.
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.fit.session import open_engine
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import look, meet

FEATURES = 128
CHUNK_BYTES = (64 << 10, 4 << 20)
TURNS = 11
CALLS = 200_000


def main(rows: int) -> None:
    """Print a line for each codec, chunk size and kind of work."""
    with tempfile.TemporaryDirectory() as folder:
        for codec in ("none", "lz4"):
            for nbytes in CHUNK_BYTES:
                path = Path(folder, f"{codec}-{nbytes}")
                chunk_rows = min(rows, nbytes // (4 * FEATURES))
                generate(
                    "tall", path, rows=rows, features=FEATURES, chunk_rows=chunk_rows, codec=codec
                )
                compare(open_dataset(path), f"{codec:>4} {nbytes >> 10:>5} KiB")


def compare(data: Dataset, name: str) -> None:
    """Time reads of all chunks and gradient scans, with the comparison and without."""
    X: Any = data.X
    bare = copy.copy(X)
    bare.expected = None
    n_chunks = X.grid[0]
    alone = comparison(X)
    works: dict[str, Callable[[Dataset], float]] = {"read": read, "gradient scan": gradient_scan}
    for what, work in works.items():
        ways = {"with": data, "without": replace(data, X=bare)}
        seconds: dict[str, list[float]] = {way: [work(one)] for way, one in ways.items()}
        for turn in range(TURNS):
            for way in sorted(ways, reverse=turn % 2 == 0):
                seconds[way].append(work(ways[way]))
        least = {way: min(found) for way, found in seconds.items()}
        each = least["without"] / n_chunks
        print(
            f"{name}  {what:13}  {1e6 * each:8.1f} µs a chunk   "
            f"comparison {1e6 * alone:.2f} µs, {alone / each:7.3%}   "
            f"with : without {least['with'] / least['without']:.3f}",
            flush=True,
        )


def comparison(X: Any) -> float:
    """CPU seconds of comparing one chunk with its place: the least of a few runs."""
    X.block(0, 0)
    right = X.expected.values.item(0)
    found = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(CALLS):
            X._compare(0, 0, right)
        found.append((time.process_time() - began) / CALLS)
    return min(found)


def read(data: Dataset) -> float:
    """CPU seconds of reading every chunk, as a scan's reader does."""
    began = time.process_time()
    for i in range(len(data.X.row_bounds) - 1):
        data.X.block(i, 0)
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
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
