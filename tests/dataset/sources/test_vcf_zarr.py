"""A VCF in Zarr: what is read are copies of the alternate allele, whatever the chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.genotypes import genotypes_of
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources import looks_like_table, open_source
from dasklasso.errors import SourceError, StoreError
from dasklasso.storage.zarr_blocks import read_rows

N, D = 10, 6


def write(path: Path, calls: np.ndarray, *, chunks=(4, 3), zarr_format=2, **changes) -> Path:
    """Write calls (variants, samples, copies) as bio2zarr does; ``changes`` replace arrays."""
    d, n = calls.shape[:2]
    arrays = {
        "call_genotype": calls.astype(np.int8),
        "sample_id": np.array([f"s{i}" for i in range(n)]),
        "contig_id": np.array(["1", "X"]),
        "variant_contig": (np.arange(d) % 2).astype(np.int8),
        "variant_position": np.arange(100, 100 + d, dtype=np.int32),
        "variant_allele": np.array([["G", "A"]] * d),
        "variant_id": np.array([f"rs{j}" for j in range(d)]),
        **changes,
    }
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    options = {"config": {"write_empty_chunks": True}}
    for name, values in arrays.items():
        if values is None:
            continue
        if values.dtype.kind == "U":
            values = values.astype(np.dtypes.StringDType())
        shape = (*chunks, 2)[: values.ndim] if name == "call_genotype" else values.shape
        shape = tuple(max(1, min(pair)) for pair in zip(shape, values.shape, strict=True))
        array = group.create_array(
            name, shape=values.shape, dtype=values.dtype, chunks=shape, **options
        )
        array[...] = values
    return path


def numbers(path: Path, memory: int = 1 << 20, rows: int = 4) -> np.ndarray:
    source = open_source(path, memory=memory)
    names = [column.name for column in source.columns if column.type_name == "genotype"]
    return np.concatenate([batch.numbers(names) for batch in source.batches(names, rows)])


@pytest.fixture(scope="module")
def calls() -> np.ndarray:
    return np.random.default_rng(0).choice([0, 1, -1], (D, N, 2), p=[0.6, 0.3, 0.1])


def copies(calls: np.ndarray) -> np.ndarray:
    """(samples, variants) copies of the alternate allele, NaN where an allele is not known."""
    absent = (calls == -1).any(axis=2) | (calls == -2).all(axis=2)
    return np.where(absent, np.nan, (calls > 0).sum(axis=2)).T


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_calls_become_copies_of_the_alternate_allele(zarr_format, calls, tmp_path):
    path = write(tmp_path / "a.vcz", calls, zarr_format=zarr_format)
    np.testing.assert_array_equal(numbers(path), copies(calls))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_neither_chunks_nor_memory_nor_batches_matter(data, tmp_path_factory):
    d, n = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 19))
    chunks = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 19))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    calls = rng.choice([0, 1, -1, -2], (d, n, data.draw(st.sampled_from([1, 2]))))
    path = write(tmp_path_factory.mktemp("v") / "a.vcz", calls, chunks=chunks)
    memory, rows = data.draw(st.sampled_from([1, 16, 1 << 20])), data.draw(st.integers(1, 19))
    np.testing.assert_array_equal(numbers(path, memory, rows), copies(calls))


def test_variants_of_other_than_two_alleles_are_left_out_and_counted(calls, tmp_path):
    allele = np.array([["G", "A", ""]] * D)
    allele[2] = "G", "A", "T"
    allele[4] = "G", "", ""
    path = write(tmp_path / "a.vcz", calls, variant_allele=allele)
    genotypes = genotypes_of(open_source(path))
    assert [column.name for column in genotypes.columns] == ["rs0", "rs1", "rs3", "rs5", "IID"]
    assert "2 of 6 variants have other than two alleles and are left out." in genotypes.notes
    np.testing.assert_array_equal(numbers(path), copies(calls)[:, [0, 1, 3, 5]])


def test_variants_are_known_by_place_and_alleles(calls, tmp_path):
    ids = np.array(["rs0", ".", "", "rs0", "rs4", "rs5"])
    path = write(tmp_path / "a.vcz", calls, variant_id=ids)
    genotypes = genotypes_of(open_source(path))
    names = [column.name for column in genotypes.columns[:D]]
    assert names == ["1:100:G:A", "X:101:G:A", "1:102:G:A", "X:103:G:A", "rs4", "rs5"]
    first = genotypes.variants(names[:1])
    assert (first.chromosome, first.position) == (("1",), (100,))
    assert (first.effect, first.other) == (("A",), ("G",))


def test_a_store_is_made_with_phenotypes_by_sample(calls, tmp_path):
    path = write(tmp_path / "a.vcz", calls)
    (tmp_path / "p.csv").write_text(
        "IID,h\n" + "".join(f"s{i},{i}.5\n" for i in range(N - 1, 0, -1))
    )
    ingest(path, tmp_path / "s", targets=tmp_path / "p.csv", id_column="IID", missing="mean")
    data = open_dataset(str(tmp_path / "s"))
    known = copies(calls)[1:]
    expected = np.where(np.isnan(known), np.nanmean(known, axis=0), known)
    np.testing.assert_allclose(read_rows(data.X, 0, N - 1), expected, rtol=1e-6)
    assert read_rows(data.y, 0, N - 1)[:, 0].tolist() == [i + 0.5 for i in range(1, N)]


def test_it_is_a_table_and_no_store(calls, tmp_path):
    path = write(tmp_path / "a.vcz", calls)
    assert looks_like_table(path)
    with pytest.raises(StoreError, match="is a VCF in Zarr, expected a store"):
        open_dataset(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_id": None}, "has no array sample_id"),
        ({"sample_id": np.array(["a", "b"])}, "sample_id has 2 entries, expected 10"),
        ({"variant_contig": np.full(D, 7)}, "variant_contig has 7, expected one of 2 contigs"),
        ({"variant_allele": np.array([["G", ""]] * D)}, "no variant of two alleles"),
        ({"call_genotype": np.zeros((D, N, 3), np.int8)}, "at most 2 copies"),
        ({"call_genotype": np.zeros((D, N), np.int8)}, r"expected whole numbers of shape"),
    ],
)
def test_what_is_no_vcf_is_refused(changes, message, calls, tmp_path):
    with pytest.raises(SourceError, match=message):
        open_source(write(tmp_path / "a.vcz", calls, **changes))


def test_a_damaged_chunk_is_named(calls, tmp_path):
    path = write(tmp_path / "a.vcz", calls)
    chunk = path / "call_genotype" / "0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    with pytest.raises(SourceError, match="call_genotype of variants 0 to 3 cannot be read"):
        numbers(path)


def test_a_chunk_that_is_not_there_is_no_reference(calls, tmp_path):
    path = write(tmp_path / "a.vcz", calls)
    (path / "call_genotype" / "0.1.0").unlink()
    with pytest.raises(SourceError, match="1 of 8 chunks of call_genotype are missing"):
        open_source(path)
