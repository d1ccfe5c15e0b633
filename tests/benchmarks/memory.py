"""Peak memory of ingest and fit, whole process tree, as the data grow.

    python tests/benchmarks/memory.py FOLDER [--gigabytes 1 2 4] [--limit 1.5GB]

Makes Parquet tables of float32 features in FOLDER, ingests each and fits a lasso at three alphas
on threads and on two worker processes, through the command line, and samples anonymous and shared
memory of every process from outside. Exits 1 where a peak is above the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dasklasso.fit.peak_memory import tree_memory
from dasklasso.units import format_size, parse_size

FEATURES, GROUP = 500, 50_000


def make_table(path: Path, gigabytes: float) -> int:
    """Write a Parquet table whose features take ``gigabytes`` decoded; returns its rows."""
    rows = round(gigabytes * 1e9 / (4 * FEATURES))
    names = [f"x{j}" for j in range(FEATURES)] + ["y"]
    schema = pa.schema([(name, pa.float32()) for name in names])
    truth = np.where(np.arange(FEATURES) % 20 == 0, 1.0, 0.0).astype(np.float32)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for group, start in enumerate(range(0, rows, GROUP)):
            rng = np.random.default_rng(group)
            X = rng.standard_normal((min(GROUP, rows - start), FEATURES), dtype=np.float32)
            y = X @ truth + rng.standard_normal(len(X), dtype=np.float32)
            columns = [*np.ascontiguousarray(X.T), y]
            writer.write_table(pa.Table.from_arrays([pa.array(c) for c in columns], schema=schema))
    return rows


def peak_of(*arguments: str) -> tuple[int, float, str]:
    """Run a dasklasso command: (peak bytes of its process tree, seconds, standard output)."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dasklasso", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.05)
    output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{errors}")
    return peak, time.monotonic() - began, output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--limit", default="1.5GB")
    options = parser.parse_args()
    limit = parse_size(options.limit)
    options.folder.mkdir(parents=True, exist_ok=True)
    worst = 0
    for gigabytes in options.gigabytes:
        table, store = options.folder / "table.parquet", options.folder / "table.zarr"
        rows = make_table(table, gigabytes)
        peak, seconds, _ = peak_of("ingest", str(table), str(store), "--target", "y", "--overwrite")
        print(f"{gigabytes:g} GB, {rows:,} rows: ingest {format_size(peak)}, {seconds:.0f} s")
        worst = max(worst, peak)
        for name, cluster in (("threads", []), ("2 processes", ["--workers", "2"])):
            peak, seconds, output = peak_of(
                "fit", str(store), "--alpha", "0.5", "--alpha", "0.1", "--alpha", "0.02",
                "--out", str(options.folder / "model"), "--overwrite", "--no-dashboard",
                "--memory", options.limit, "--json", *cluster,
            )  # fmt: skip
            found = json.loads(output.splitlines()[-1])
            print(
                f"  fit on {name}: {format_size(peak)}, {seconds:.1f} s, {found['scans']:g} scans, "
                f"worst gap {max(found['dual_gap']):.1e}",
                flush=True,
            )
            worst = max(worst, peak)
        table.unlink()
    print(f"worst {format_size(worst)}, limit {format_size(limit)}")
    return int(worst > limit)


if __name__ == "__main__":
    sys.exit(main())
