"""What the cost model says of a path on the genotypes of a biobank, beside published times.

    python tests/benchmarks/biobank.py [--rows 337475] [--features 504139] [--cores 16]
        [--disk 1GB] [--decode 1.2GB] [--gflops 14] [--traits 1] [--folds 1]

Nothing is read: a table of this size is described, and `dasklasso plan`'s own model (scans, bytes,
products and memory of solver working_set) is asked about it with the given rates. The rates of a
core are those measured with the 20,000 x 500,000 genotypes of pipelines/genotypes.py on two cores;
all cores are taken to compute at the same rate, and the disk to be shared by them. What is done in
memory between reads is not in the model: it takes the share of the time that --between says.
"""

from __future__ import annotations

import argparse
from unittest.mock import patch

import numpy as np

from dasklasso.dataset.checks import NumberedNames
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.ingest.chunks import strip_columns
from dasklasso.fit.machine import Machine
from dasklasso.fit.plan import Plan, plan_fit
from dasklasso.options import FitOptions, RunOptions
from dasklasso.storage.missing_codes import FILLED_DTYPE, FilledBlocks, MissingCode
from dasklasso.units import format_size, parse_size

PUBLISHED = (
    ("bigstatsr, one trait, 4 folds, not checked over all variables", "7 to 249 min"),
    ("snpnet, one trait, 500 GB of memory", "247 to 1,124 min"),
    ("biglasso, 973 x 11.8 million (96 GB)", "47 to 66 min"),
)


class Sizes:
    """A table of bytes of which only the size is known."""

    dtype = np.dtype(np.uint8)
    mapped = False

    def __init__(self, rows: int, features: int, ratio: float, memory: int) -> None:
        self.shape = (rows, features)
        self.row_bounds: tuple[int, ...] = (0, rows)
        width = strip_columns(rows, features, 1, memory=memory)
        self.column_bounds: tuple[int, ...] = (*range(0, features, width), features)
        self._ratio = ratio

    def block(self, i: int, j: int) -> np.ndarray:
        raise NotImplementedError("a plan reads nothing")

    def will_need(self, i: int, j: int) -> None:
        return None

    def stored_bytes(self, i: int, j: int) -> int:
        width = self.column_bounds[j + 1] - self.column_bounds[j]
        return round(self.shape[0] * width / self._ratio)


def of_sizes(rows: int, features: int, traits: int, ratio: float, memory: int) -> Dataset:
    """Describe genotypes with missing ones among them, and some traits."""
    X = FilledBlocks(Sizes(rows, features, ratio, memory), MissingCode(255, np.zeros(features)))
    y = Sizes(rows, traits, 1.0, memory)
    return Dataset(
        X=X, y=y, sample_weight=None, fold=None, feature_names=NumberedNames("x", features),
        target_names=NumberedNames("y", traits), y_is_vector=traits == 1, statistics=None,
        fingerprint="", location="sizes",
    )  # fmt: skip


def prediction(asked: argparse.Namespace) -> Plan:
    """Ask the cost model, as on a machine with so many cores."""
    data = of_sizes(asked.rows, asked.features, asked.traits, asked.ratio, asked.memory)
    options = FitOptions(n_alphas=asked.n_alphas, standardize=True, solver="working_set")
    reading = min(asked.disk * asked.ratio, asked.decode * asked.cores)
    flops = 1e9 * asked.gflops * asked.cores
    # the model counts the bytes of the numbers that genotypes are filled in as
    machine = Machine(reading * FILLED_DTYPE.itemsize, 2 * flops, flops)
    with patch("dasklasso.scan.runners.cores_here", return_value=asked.cores):
        return plan_fit(
            data, options, RunOptions(memory=asked.memory), n_folds=asked.folds, machine=machine
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=337_475)
    parser.add_argument("--features", type=int, default=504_139)
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--disk", type=parse_size, default="1GB", help="bytes a second")
    parser.add_argument("--ratio", type=float, default=3.9, help="that genotypes shrink by")
    parser.add_argument(
        "--decode", type=parse_size, default="1.2GB", help="bytes a core and second"
    )
    parser.add_argument("--gflops", type=float, default=14.0, help="of a core, in float64")
    parser.add_argument("--between", type=float, default=0.3, help="share of time between reads")
    parser.add_argument("--memory", type=parse_size, default="64GiB")
    parser.add_argument("--n-alphas", type=int, default=100)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--traits", type=int, default=1)
    asked = parser.parse_args()
    plan = prediction(asked)
    assert plan.seconds is not None
    minutes = plan.seconds / (1 - asked.between) / 60
    stored = plan.bytes_to_read / plan.scans
    print(
        f"{plan.n_rows:,} x {plan.n_features:,} genotypes, {plan.n_alphas} alphas, "
        f"{plan.n_folds} folds, {plan.n_targets} traits, on {plan.threads} cores\n"
        f"  reads   {plan.scans:g} ({plan.scans_least} to {plan.scans_most}) of "
        f"{format_size(stored)} at {format_size(asked.disk)}/s\n"
        f"  compute {plan.flops / 1e12:.3g} TFLOP at {asked.gflops * asked.cores:g} GFLOP/s, half "
        f"of it reached\n  memory  {format_size(plan.memory_bytes)}\n"
        f"  time    {minutes:.0f} min, {minutes * plan.scans_least / plan.scans:.0f} to "
        f"{minutes * plan.scans_most / plan.scans:.0f}; every alpha certified over all features"
    )
    print("published, on UK Biobank's 337,475 x 504,139 and 16 cores if not said otherwise:")
    for what, taken in PUBLISHED:
        print(f"  {what}: {taken}")


if __name__ == "__main__":
    main()
