"""``dasklasso ingest`` and ``dasklasso generate``: make a store of a table, or a synthetic one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dasklasso.choices import Codec, Dtype, Missing
from dasklasso.cli import options
from dasklasso.cli.messages import say
from dasklasso.cli.parameter_types import Size
from dasklasso.cli.text import echo
from dasklasso.jobs.ingest_stage import IngestStage

if TYPE_CHECKING:
    from dasklasso.dataset.ingest.ingest import IngestReport


@click.command(
    "ingest",
    short_help="Turn a table into a store.",
    epilog=options.example("dasklasso ingest data/diabetes.csv diabetes.zarr --target target"),
)
@click.argument("source")
@click.argument("store", required=False)
@click.option("--target", multiple=True, metavar="NAME", help="Column to predict; repeatable.")
@click.option("--weight", metavar="NAME", help="Column of sample weights.")
@click.option("--fold", metavar="NAME", help="Column of folds.")
@click.option("--offset", metavar="NAME", help="Column that is added to every prediction.")
@click.option(
    "--drop",
    multiple=True,
    metavar="NAME",
    help="Column, or 'pattern_*', to leave out; repeatable.",
)
@click.option(
    "--dtype",
    type=options.choice(Dtype),
    default="auto",
    show_default=True,
    help="Of X on disk; auto: float32, float64 where that rounds a column too much. "
    "Whole numbers keep their small type.",
)
@click.option("--memory", type=Size(), default="1GiB", show_default=True)
@click.option(
    "--missing",
    type=options.choice(Missing),
    help="Refuse missing values, or fill in the column's mean; of text they are a level "
    "[default: error; with --schema as there].",
)
@click.option(
    "--missing-value",
    multiple=True,
    metavar="VALUE",
    help="Value of a feature that counts as missing too, such as -1; repeatable.",
)
@options.texts
@click.option("--dataset", metavar="PATH", help="HDF5, NPZ: the array that is X.")
@click.option(
    "--targets",
    metavar="TABLE",
    help="Parquet or CSV that has the targets, by --id; rows without one are left out.",
)
@click.option(
    "--id",
    metavar="NAME",
    help="Column of ids, of TABLE and SOURCE (.fam: IID), by which covariates are joined later; "
    "without TABLE no target is needed.",
)
@click.option(
    "--min-maf",
    type=float,
    metavar="SHARE",
    help="Genotypes: leave out variants of a rarer allele.",
)
@click.option(
    "--max-missing", type=float, metavar="SHARE", help="Genotypes: leave out variants missing more."
)
@click.option(
    "--schema",
    metavar="MODEL|STORE|FILE",
    help="Encode the rows as a model's or a store's were, to predict for them or to score: --dtype "
    "is theirs, and no target is needed. Or a .toml or .json FILE that --schema-out wrote and you "
    "edited: what each column becomes.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what each column would become, by a sample; no STORE is needed, none is made.",
)
@click.option(
    "--schema-out",
    metavar="FILE",
    help="With --dry-run: write that to FILE (.toml or .json), to edit it and give it to --schema.",
)
@options.unseen
@click.option(
    "--codec",
    type=options.choice(Codec),
    default="auto",
    show_default=True,
    help="Compression of X; auto: by how much a sample shrinks.",
)
@options.overwrite
@options.quiet
def ingest_command(store: str | None, dry_run: bool, schema_out: str | None, **values: Any) -> None:
    """Turn the table SOURCE into the Zarr store STORE, in bounded memory.

    SOURCE is Parquet or CSV (a file, a folder, a glob in quotes), NPY, NPZ, HDF5, .h5ad,
    svmlight, or PLINK 1 genotypes (.bed, with .bim and .fam beside it; values are copies of the
    first allele).
    Text columns become one column of zeros and ones for each value; text that looks like numbers,
    dates or an id is refused, and the options above say what it is. How columns became features is
    recorded, and goes into every model: predict and score then take tables like SOURCE.
    """
    if dry_run:
        run_dry(IngestStage(store="", **values), schema_out)
        return
    if schema_out is not None:
        raise click.UsageError("--schema-out is of --dry-run.")
    if store is None:
        raise click.UsageError("Missing argument 'STORE'.")
    run_ingest(IngestStage(store=store, **values))


def run_dry(stage: IngestStage, schema_out: str | None) -> None:
    """Print what each column of a table would become; write it to a file that is asked for."""
    from dasklasso.cli.dry_run import print_inspection
    from dasklasso.dataset.ingest.table_schema import check_schema_file

    if schema_out is not None:
        check_schema_file(schema_out, overwrite=stage.overwrite)
    found = stage.inspect()
    print_inspection(found, schema_out)
    if schema_out is not None:
        found.schema.save(schema_out, overwrite=stage.overwrite)
        echo(f"schema    {schema_out}")


def run_ingest(stage: IngestStage) -> None:
    """Run a stage with progress; print warnings to standard error, a report to standard output."""
    from dasklasso.cli.progress import CountProgress

    with CountProgress("ingest", "rows", quiet=options.is_quiet()) as progress:
        report = stage.run(progress=progress)
    say(report.warnings, report.notes)
    _report(report)


def _report(report: IngestReport) -> None:
    from dasklasso.units import format_size

    rate = report.n_rows / max(report.seconds, 1e-9)
    echo(f"rows      {report.n_rows:,} in {report.seconds:.3g} s ({rate:,.0f} rows/s)")
    if report.dialect:
        echo(f"read as   {report.dialect}")
    targets = ", ".join(report.manifest.target_names[:5]) or "none"
    echo(f"features  {report.n_features:,}, target {targets}")
    echo(f"codec     {report.codec.name}{_why(report)}")
    echo(f"store     {report.store}, {format_size(report.bytes)}")


def _why(report: IngestReport) -> str:
    measured = [
        f"{name} {m.ratio:.2f}x at {m.decode_mb_per_s:,.0f} MB/s"
        for name, m in report.codec.measured.items()
    ]
    return f" (measured: {', '.join(measured)})" if measured else " (as asked)"


@click.command(
    "generate",
    short_help="Write a synthetic store of any size.",
    epilog=options.example("dasklasso generate tall big.zarr --rows 1000000 --features 500"),
)
@click.argument("kind", type=click.Choice(["tall", "wide", "logistic", "sparse"]))
@click.argument("store")
@click.option("--rows", type=click.IntRange(min=2), required=True)
@click.option("--features", type=click.IntRange(min=1), required=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--targets", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--dtype", help="Of X on disk [default: float32; sparse: uint8].")
@click.option("--chunk-rows", type=click.IntRange(min=1), help="Rows of a chunk of X.")
@click.option("--chunk-columns", type=click.IntRange(min=1), help="Columns of a chunk of X.")
@click.option("--codec", type=options.choice(Codec), default="none", show_default=True)
@click.option("--memory", type=Size(), default="1GiB", show_default=True)
@options.overwrite
@options.quiet
def generate_command(kind: Any, store: str, memory: str, **values: Any) -> None:
    """Write synthetic data with known coefficients to STORE, chunk by chunk.

    tall: correlated columns of different means and scales. wide: many more columns than
    matter. logistic: labels 0 and 1. sparse: counts 0, 1, 2.
    """
    from dasklasso.cli.progress import CountProgress
    from dasklasso.dataset.generate import generate
    from dasklasso.units import parse_size

    with CountProgress("generate", "rows", quiet=options.is_quiet()) as progress:
        manifest = generate(kind, store, memory=parse_size(memory), progress=progress, **values)
    echo(f"rows      {manifest.n_rows:,}")
    echo(f"features  {manifest.n_features:,}, target {', '.join(manifest.target_names[:5])}")
    echo(f"store     {store}")
