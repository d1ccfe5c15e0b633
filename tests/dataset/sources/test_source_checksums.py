"""Files that carry checksums are compared with them: a flipped bit or a lost end is one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import SourceError

N = 500


def names_and_values():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, 3)), rng.standard_normal(N)
    return X, y, {**{f"x{j}": X[:, j] for j in range(3)}, "y": y}


def parquet(path, X, y, columns):
    pq.write_table(
        pa.table(columns), path, write_page_checksum=True, compression="none", use_dictionary=False
    )


def stored_npz(path, X, y, columns):
    np.savez(path, X=X, y=y)


def deflated_npz(path, X, y, columns):
    np.savez_compressed(path, X=X, y=y)


def fortran_npz(path, X, y, columns):
    np.savez_compressed(path, X=np.asfortranarray(X), y=y)


def csv_gz(path, X, y, columns):
    rows = (",".join(map(repr, row)) for row in np.c_[X, y].tolist())
    path.write_bytes(gzip.compress("\n".join([",".join(columns), *rows, ""]).encode()))


def svmlight_gz(path, X, y, columns):
    rows = zip(y.tolist(), X.tolist(), strict=True)
    lines = (f"{t!r} " + " ".join(f"{j + 1}:{v!r}" for j, v in enumerate(r)) for t, r in rows)
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))


KINDS = {
    "t.parquet": parquet,
    "stored.npz": stored_npz,
    "deflated.npz": deflated_npz,
    "fortran.npz": fortran_npz,
    "t.csv.gz": csv_gz,
    "t.svm.gz": svmlight_gz,
}


@pytest.fixture(scope="module", params=KINDS)
def source(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sources") / request.param
    KINDS[request.param](path, *names_and_values())
    return path


def refused(source, tmp_path, content):
    path = tmp_path / source.name
    path.write_bytes(content)
    target = {"target": "y"} if "svm" not in source.name and "npz" not in source.name else {}
    with pytest.raises(SourceError) as caught:
        ingest(path, tmp_path / "store", **target)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert not (tmp_path / "store").exists()
    return message


def test_a_flipped_bit_of_the_data_is_found(source, tmp_path):
    content = bytearray(source.read_bytes())
    content[len(content) // 3] ^= 1
    message = refused(source, tmp_path, content)
    if source.suffix == ".npz":
        assert message.startswith(f"{tmp_path / source.name}:X: ")  # the member


def test_a_lost_end_is_found(source, tmp_path):
    refused(source, tmp_path, source.read_bytes()[:-4])


def test_another_checksum_is_found(source, tmp_path):
    content = bytearray(source.read_bytes())
    if source.suffix == ".gz":
        place = len(content) - 8
    elif source.suffix == ".npz":
        place = content.index(b"PK\x01\x02") + 16  # of the first entry of the directory
    else:
        pytest.skip("pages and checksums of Parquet are encoded together")
    content[place] ^= 1
    refused(source, tmp_path, content)
