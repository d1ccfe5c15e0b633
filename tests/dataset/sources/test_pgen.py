"""PLINK 2 files: what Pgenlib wrote is read as copies of the alternate allele."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.genotypes import genotypes_of
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources import open_source
from dasklasso.errors import DependencyMissing, SourceError
from dasklasso.storage.zarr_blocks import read_rows

pgenlib = pytest.importorskip("pgenlib")
N, D = 11, 7


@pytest.fixture(scope="module")
def copies() -> np.ndarray:
    return np.random.default_rng(0).choice([0, 1, 2, -9], (D, N), p=[0.5, 0.25, 0.15, 0.1])


def write(folder: Path, copies: np.ndarray) -> Path:
    path = folder / "a.pgen"
    writer = pgenlib.PgenWriter(
        str(path).encode(), copies.shape[1], variant_ct=len(copies), nonref_flags=False
    )
    for row in copies.astype(np.int8):
        writer.append_biallelic(row)
    writer.close()
    variants = "".join(f"1\t{100 + j}\trs{j}\tG\tA\n" for j in range(len(copies)))
    path.with_suffix(".pvar").write_text(f"##x=y\n#CHROM\tPOS\tID\tREF\tALT\n{variants}")
    samples = "".join(
        f"s{i}\t{1 + i % 2}\t{'NA' if i == 3 else i}.5\tsite{i % 2}\n".replace("NA.5", "NA")
        for i in range(copies.shape[1])
    )
    path.with_suffix(".psam").write_text(f"#IID\tSEX\theight\tsite\n{samples}")
    return path


def numbers(path: Path, memory: int = 1 << 20, rows: int = 4) -> np.ndarray:
    source = open_source(path, memory=memory)
    names = [column.name for column in source.columns if column.type_name == "genotype"]
    return np.concatenate([batch.numbers(names) for batch in source.batches(names, rows)])


@pytest.mark.parametrize("memory", [16, 1 << 20])
def test_genotypes_are_those_that_were_written(memory, copies, tmp_path):
    expected = np.where(copies < 0, np.nan, copies).T
    np.testing.assert_array_equal(numbers(write(tmp_path, copies), memory), expected)


def test_a_few_variants_at_a_time_are_the_same(copies, tmp_path, monkeypatch):
    monkeypatch.setattr("dasklasso.dataset.sources.pgen._RUN_BYTES", 2 * N)
    expected = np.where(copies < 0, np.nan, copies).T
    np.testing.assert_array_equal(numbers(write(tmp_path, copies), 16), expected)


def test_columns_beside_are_those_of_psam(copies, tmp_path):
    source = open_source(write(tmp_path, copies))
    kinds = {c.name: c.kind for c in source.columns if c.type_name != "genotype"}
    assert kinds == {"IID": "text", "SEX": "number", "height": "number", "site": "text"}
    batch = next(source.batches(["rs0", "height", "SEX"], 100))
    assert np.isnan(batch.numbers(["height"])[3, 0])
    assert batch.numbers(["SEX"])[:3, 0].tolist() == [1, 2, 1]


def test_files_without_headers_are_in_the_order_of_plink_1(copies, tmp_path):
    path = write(tmp_path, copies)
    path.with_suffix(".pvar").write_text("".join(f"2 v{j} 0 {7 + j} T C\n" for j in range(D)))
    path.with_suffix(".psam").write_text("".join(f"f{i} p{i} 0 0 2 1.5\n" for i in range(N)))
    genotypes = genotypes_of(open_source(path))
    first = genotypes.variants(["v0"])
    assert (first.chromosome, first.position) == (("2",), (7,))
    assert (first.effect, first.other) == (("T",), ("C",))
    assert genotypes.row_ids[:2].tolist() == ["p0", "p1"]


def test_variants_may_be_compressed_and_of_three_alleles(copies, tmp_path):
    path = write(tmp_path, copies)
    pvar = path.with_suffix(".pvar")
    text = pvar.read_text().replace("rs2\tG\tA", "rs2\tG\tA,T")
    with pa.output_stream(str(pvar) + ".zst", compression="zstd") as stream:
        stream.write(text.encode())
    pvar.unlink()
    genotypes = genotypes_of(open_source(path))
    assert "1 of 7 variants have other than two alleles and are left out." in genotypes.notes
    expected = np.where(copies < 0, np.nan, copies).T[:, [0, 1, 3, 4, 5, 6]]
    np.testing.assert_array_equal(numbers(path), expected)


def test_a_store_is_made_of_it(copies, tmp_path):
    path = write(tmp_path, copies)
    (tmp_path / "p.csv").write_text("IID,h\n" + "".join(f"s{i},{i}.25\n" for i in range(N)))
    ingest(path, tmp_path / "s", targets=tmp_path / "p.csv", id_column="IID", missing="mean")
    data = open_dataset(str(tmp_path / "s"))
    known = np.where(copies < 0, np.nan, copies).T
    expected = np.where(np.isnan(known), np.nanmean(known, axis=0), known)
    np.testing.assert_allclose(read_rows(data.X, 0, N), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (".psam", lambda text: text + "more\t1\t2\tx\n", "has 11 samples, and .psam has 12"),
        (".pvar", lambda text: text + "1\t1\tx\tA\tC\n", "has 7 variants, and .pvar has 8"),
        (".pvar", lambda text: text.replace("\t103\t", "\tten\t"), "the position is 'ten'"),
        (".pvar", lambda text: text.replace("\tALT", "\tALSO"), "has no column ALT"),
        (".psam", lambda text: text.replace("#IID", "#ID"), "has no column IID"),
        (".psam", lambda text: text.replace("\tsite1", ""), "found 3 fields, expected 4"),
        (".psam", lambda text: "#IID\n", "has no rows"),
    ],
)
def test_what_does_not_go_together_is_refused(file, change, message, copies, tmp_path):
    path = write(tmp_path, copies)
    other = path.with_suffix(file)
    other.write_text(change(other.read_text()))
    with pytest.raises(SourceError, match=message):
        open_source(path)


@pytest.mark.parametrize("left", [0, 5, 20])
def test_a_file_that_is_cut_off_is_refused(left, copies, tmp_path):
    path = write(tmp_path, copies)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(SourceError, match=r"a\.pgen: .*cannot be read"):
        numbers(path)


def test_without_pgenlib_it_is_named(copies, tmp_path, monkeypatch):
    path = write(tmp_path, copies)
    monkeypatch.setitem(sys.modules, "pgenlib", None)
    with pytest.raises(DependencyMissing, match=r"dasklasso\[pgen\]"):
        open_source(path)
