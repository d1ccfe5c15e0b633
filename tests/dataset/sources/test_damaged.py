"""Files with a few bytes changed, cut out or put in: right values, or one line of ours."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dasklasso.dataset.sources import open_source
from dasklasso.errors import DasklassoError, SourceError

N_MUTANTS = 60  # of each file; all of them in a second or two
X = np.random.default_rng(0).integers(0, 9, (30, 4)).astype(float)
CHECKED = ("t.csv.gz", "t.npz", "stored.npz", "t.svm.gz")  # whose format has checksums


def lines(separator: str, number: Callable[[int, float], str]) -> bytes:
    rows = (separator.join(number(j, v) for j, v in enumerate(row)) for row in X)
    return "\n".join(rows).encode()


def write(path: Path) -> None:
    csv = b"a,b,c,d\n" + lines(",", lambda _, v: str(v))
    svm = b"1 " + lines(" ", lambda j, v: f"{j + 1}:{v}").replace(b"\n", b"\n1 ")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(csv if ".csv" in path.suffixes else svm))
    elif path.suffix in (".csv", ".svm"):
        path.write_bytes(csv if path.suffix == ".csv" else svm)
    elif path.suffix == ".npy":
        np.save(path, X)
    elif path.suffix == ".npz":
        (np.savez if path.stem == "stored" else np.savez_compressed)(path, X=X)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("X", data=X, chunks=(10, 4), compression="gzip")
    else:
        pq.write_table(pa.table({"a": X[:, 0], "t": ["u", "v", "w"] * 10}), path)


def mutant(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed; half of the time near an end, where formats have their structure."""
    changed = bytearray(content)
    n = len(changed)
    near = rng.randrange(min(n, 160))
    at = rng.choice([rng.randrange(n), near, n - 1 - near])
    kind = rng.randrange(5)
    if kind == 0:
        changed[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del changed[at : at + rng.randrange(1, 30)]
    elif kind == 2:
        changed[at:at] = rng.randbytes(rng.randrange(1, 9))
    elif kind == 3:
        changed[at : at + 4] = b"\xff\xff\xff\x7f"
    else:
        del changed[at:]
    return bytes(changed)


def read(path: Path) -> tuple[list[np.ndarray], str]:
    """All the numbers, or a message that refuses them."""
    try:
        source = open_source(path)
        numbers = [c.name for c in source.columns if c.kind == "number"][:4]
        return [batch.numbers(numbers) for batch in source.batches(numbers, 16)], ""
    except DasklassoError as error:
        return [], str(error)


@pytest.mark.parametrize(
    "name",
    ["t.csv", "t.csv.gz", "t.svm", "t.svm.gz", "t.npy", "t.npz", "stored.npz", "t.h5", "t.parquet"],
)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    content, rng = (tmp_path / name).read_bytes(), random.Random(name)
    for _ in range(N_MUTANTS):
        (tmp_path / name).write_bytes(mutant(content, rng))
        blocks, message = read(tmp_path / name)
        assert "\n" not in message
        assert len(message) <= 500 + len(str(tmp_path))
        if blocks and name in CHECKED:
            np.testing.assert_array_equal(np.concatenate(blocks), X)


@pytest.mark.parametrize(
    "note", [b"{", b"\xff", b"[1]", b'{"columns": [{}]}', b'{"columns": 1}', b"[" * 9999]
)
def test_a_damaged_note_of_pandas_is_one_line(tmp_path: Path, note: bytes) -> None:
    table = pa.table({"a": [1, 2], "y": [1, 2]}).replace_schema_metadata({b"pandas": note})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"t\.parquet: pandas' note about the columns is damaged"):
        open_source(tmp_path / "t.parquet")
