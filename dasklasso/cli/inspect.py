"""``dasklasso info`` and ``dasklasso verify``: what a store holds, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.commands import Failure
from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.dataset.dataset import Dataset

_FIRST_COLUMNS = 20


@click.command(
    "info",
    short_help="Show what a store holds.",
    epilog=options.example("dasklasso info diabetes.zarr"),
)
@click.argument("store")
@click.option("--all", "every", is_flag=True, help=f"All columns, not the first {_FIRST_COLUMNS}.")
@options.empty_chunks
def info_command(store: str, every: bool, empty_chunks: Any) -> None:
    """Show a store's shape, chunks, sizes, codec, columns and origin. Reads no chunk of X."""
    from dasklasso.cli.tables import print_pairs
    from dasklasso.dataset.dataset import open_dataset

    data = open_dataset(store, empty_chunks=empty_chunks, require_target=False)
    print_pairs(_facts(data, store))
    _print_columns(data, every=every)


def _facts(data: Dataset, store: str) -> Iterator[tuple[str, str]]:
    from dasklasso.storage.missing_codes import as_stored
    from dasklasso.units import format_size

    X: Any = as_stored(data.X)
    rows, columns = len(X.row_bounds) - 1, len(X.column_bounds) - 1
    decoded = data.n_rows * data.n_features * X.dtype.itemsize
    yield "store", store
    yield "shape", f"{data.n_rows:,} rows x {data.n_features:,} features, {X.dtype}"
    shape = " x ".join(f"{size:,}" for size in X.chunk_shape)
    yield "chunks", f"{rows * columns:,} ({rows:,} x {columns:,}) of {shape}"
    yield "codec", codec_name(X.metadata)
    yield "decoded", format_size(decoded)
    if X.is_local:
        sizes = [X.stored_bytes(i, j) for i in range(rows) for j in range(columns)]
        if 0 in sizes:
            stored = f"{sizes.count(0):,} chunks are missing: dasklasso verify lists them"
        else:
            stored = f"{format_size(sum(sizes))}, ratio {decoded / sum(sizes):.2f}"
        yield "stored", stored
    if data.y is not None:
        yield (
            "target",
            f"{_few(data.target_names)}"
            + ("" if data.y_is_vector else f" ({data.n_targets} columns)"),
        )
    for name, classes in zip(data.target_names, data.target_classes, strict=False):
        if classes is not None:
            of = "" if data.y_is_vector else f" of {name}"
            yield f"classes{of}", _few([f"{k} = {label}" for k, label in enumerate(classes)])
    names = ("sample_weight", "fold", "offset")
    beside = [name for name in names if getattr(data, name) is not None]
    if beside:
        yield "beside", ", ".join(beside)
    yield "fingerprint", data.fingerprint
    origin = _origin(X)
    for key in ("source", "format", "ingested"):
        if key in origin:
            yield key, str(origin[key])
    if origin.get("versions"):
        yield "by", ", ".join(f"{name} {number}" for name, number in origin["versions"].items())


def _origin(X: Any) -> dict[str, Any]:
    import zarr

    from dasklasso.dataset.manifest import MANIFEST_KEY

    parent = X.path.rpartition("/")[0]
    try:
        attributes = zarr.open_group(X.store, path=parent, mode="r").attrs
    except Exception:  # a lone array: it has no group to say where it is from
        return {}
    manifest: Any = attributes.get(MANIFEST_KEY, {})
    return dict(manifest.get("origin", {}))


def codec_name(metadata: Any) -> str:
    """How an array's chunks are stored: ``zstd, crc32c``; ``none, crc32c`` where not compressed."""
    described = metadata.to_dict()
    if described["zarr_format"] == 2:
        compressor = described.get("compressor")
        filters = [f["id"] for f in described.get("filters") or ()]
        return ", ".join([*filters, compressor["id"] if compressor else "none"])
    names = [
        codec.get("configuration", {}).get("cname", codec["name"]).removeprefix("numcodecs.")
        for codec in described["codecs"]
    ]
    named = [name for name in names if name != "bytes"]
    plain = all(name in ("crc32c", "transpose") for name in named)
    return ", ".join((["none"] if plain else []) + named)


def _few(names: Any) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _print_columns(data: Dataset, *, every: bool) -> None:
    from dasklasso.cli.tables import print_table

    shown = data.n_features if every else min(_FIRST_COLUMNS, data.n_features)
    statistics = data.statistics
    if statistics is None:
        echo(f"\nfeatures: {_few(data.feature_names)}")
        echo("No statistics: the store was not ingested by dasklasso.")
        return
    rows = (
        (
            f"{j:,}",
            data.feature_names[j],
            *(f"{getattr(statistics, k)[j]:.6g}" for k in ("mean", "std", "minimum", "maximum")),
            f"{statistics.missing[j]:,}",
        )
        for j in range(shown)
    )
    headings = ("#", "feature", "mean", "std", "min", "max", "missing")
    print_table(None, headings, rows, left=("feature",))
    if shown < data.n_features:
        echo(f"{data.n_features - shown:,} more columns: --all shows them.")


@click.command(
    "verify",
    short_help="Check every chunk of a store.",
    epilog=options.example("dasklasso verify diabetes.zarr"),
)
@click.argument("store")
@options.empty_chunks
def verify_command(store: str, empty_chunks: Any) -> None:
    """Read every chunk of STORE: is it there, is its checksum right, are its values finite?

    Lists each fault. Exit code 2 where there is one.
    """
    from dasklasso.cli.progress import CountProgress
    from dasklasso.cli.tables import print_table
    from dasklasso.dataset.verify import verify
    from dasklasso.units import format_size

    with CountProgress("verify", "chunks") as progress:
        report = verify(store, empty_chunks=empty_chunks, progress=progress)
    read = f"{report.n_chunks:,} chunks, {format_size(report.bytes_read)} in {report.seconds:.3g} s"
    if report.ok:
        echo(f"{store} is whole: {', '.join(report.arrays)}; {read}.")
        return
    rows = (
        (
            fault.array or "manifest",
            fault.key,
            "" if fault.rows is None else f"{fault.rows[0]:,}-{fault.rows[1] - 1:,}",
            fault.problem,
        )
        for fault in report.faults
    )
    headings = ("array", "chunk", "rows", "fault")
    print_table(None, headings, rows, left=("array", "chunk", "fault"))
    n = len(report.faults)
    raise Failure(f"{store} has {n} fault{'s' if n > 1 else ''} ({read}).", 2)
