"""PLINK 1 files: what is read is what was packed, bit by bit, whatever the shape and the memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources import open_source
from dasklasso.dataset.sources.plink import PlinkSource
from dasklasso.errors import DasklassoError, OptionError, ValueFound
from dasklasso.storage.zarr_blocks import read_rows

WritePlink = Callable[..., Path]


def stored(store: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(store, mode="r")["X"][...])


@pytest.fixture
def bed(tmp_path: Path, write_plink: WritePlink) -> Path:
    """Ten samples, the last byte half full; five variants, of which the third has two missing."""
    genotypes = np.random.default_rng(3).integers(0, 3, (10, 5))
    genotypes[[2, 9], 2] = -1
    return write_plink(tmp_path / "g.bed", genotypes)


def test_two_bits_a_sample_are_read_as_the_format_says(tmp_path: Path) -> None:
    # byte dc = 11 01 11 00: from the right 00, 11, 01, 11; byte 0f: 11, 11 and padding
    (tmp_path / "a.bed").write_bytes(bytes.fromhex("6c1b01 dc 02"))
    (tmp_path / "a.fam").write_text("f a 0 0 1 1.5\nf b 0 0 2 2\nf c 0 0 0 3\nf d 0 0 1 4\n"
                                    "f e 0 0 1 5\n")  # fmt: skip
    (tmp_path / "a.bim").write_text("7 rs1 0 55 T C\n")
    [batch] = open_source(tmp_path / "a.bed").batches(["rs1"], 10)
    np.testing.assert_array_equal(batch.numbers(["rs1"])[:, 0], [2, 0, np.nan, 0, 1])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_was_packed_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, write_plink: WritePlink
) -> None:
    n, d = data.draw(st.integers(1, 21)), data.draw(st.integers(1, 6))
    values = st.lists(st.sampled_from([0, 1, 2, -1]), min_size=n * d, max_size=n * d)
    genotypes = np.array(data.draw(values)).reshape(n, d)
    used = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    memory = data.draw(st.sampled_from([1, 40, 1 << 20]))  # slabs of one byte, of some, of all
    bed = write_plink(tmp_path_factory.mktemp("plink") / "p.bed", genotypes)
    source = PlinkSource(bed, memory=memory)
    source.keep_rows(used)
    names = [f"rs{j}" for j in data.draw(st.permutations(range(d)))]
    batches = list(source.batches([*names, "IID"], data.draw(st.integers(1, 7))))
    expected = np.where(genotypes < 0, np.nan, genotypes)[used]
    expected = expected[:, [int(name[2:]) for name in names]]
    found = [batch.numbers(names) for batch in batches]
    np.testing.assert_array_equal(np.vstack([np.empty((0, d)), *found]), expected)
    ids = [text for batch in batches for text in batch.as_is("IID").to_pylist()]
    assert ids == [f"s{i}" for i in np.flatnonzero(used)] == source.row_ids.tolist()
    assert [batch.first_row for batch in batches] == np.cumsum([0, *map(len, found)])[:-1].tolist()


def test_bed_reader_reads_the_same(bed: Path) -> None:
    reader = pytest.importorskip("bed_reader")
    with reader.open_bed(bed) as theirs:
        expected = theirs.read(dtype="float64")
    names = [f"rs{j}" for j in range(5)]
    [batch] = open_source(bed).batches(names, 100)
    np.testing.assert_array_equal(batch.numbers(names), expected)


def test_whole_genotypes_stay_bytes_and_the_phenotype_is_the_target(
    tmp_path: Path, write_plink: WritePlink
) -> None:
    genotypes = np.random.default_rng(0).integers(0, 3, (9, 4))
    report = ingest(write_plink(tmp_path / "g.bed", genotypes), tmp_path / "store")
    X = stored(tmp_path / "store")
    assert X.dtype == np.uint8
    np.testing.assert_array_equal(X, genotypes)
    assert report.manifest.target_names == ("PHENO",)
    assert report.manifest.feature_names == ("rs0", "rs1", "rs2", "rs3")


def test_missing_genotypes_are_refused_by_sample_and_variant(bed: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueFound, match=r"row 2, column rs2: found a missing value.*--missing mean"
    ):
        ingest(bed, tmp_path / "store")


def test_missing_genotypes_become_the_variants_mean(bed: Path, tmp_path: Path) -> None:
    report = ingest(bed, tmp_path / "store", missing="mean")
    X = read_rows(open_dataset(str(tmp_path / "store")).X, 0, 10)
    there = np.delete(X[:, 2], [2, 9])
    np.testing.assert_allclose(X[[2, 9], 2], there.mean(), rtol=1e-6)
    assert X.dtype == np.float32
    assert stored(tmp_path / "store").dtype == np.uint8
    assert not any("in place of 1" in note for note in report.notes)
    assert any(note.startswith("2 missing values in 1 of 5 columns") for note in report.notes)


def test_means_that_are_counted_are_those_of_the_genotypes(
    bed: Path,
) -> None:
    source = PlinkSource(bed, memory=1 << 20)
    source.keep_rows(np.arange(10) != 4)
    names = ["rs2", "rs0"]
    mean, known = source.means(names)
    block = next(source.batches(names, 100)).numbers(names)
    np.testing.assert_allclose(mean, np.nanmean(block, axis=0))
    np.testing.assert_array_equal(known, np.isfinite(block).sum(axis=0))
    assert source.means(["rs0", "SEX"]) is None


def test_genotypes_that_are_asked_for_as_floats_take_more_bytes(bed: Path, tmp_path: Path) -> None:
    report = ingest(bed, tmp_path / "store", missing="mean", dtype="float32")
    assert stored(tmp_path / "store").dtype == np.float32
    assert any("genotypes are float32" in note for note in report.notes)


def test_rare_and_sparse_variants_are_left_out_and_counted(
    tmp_path: Path, write_plink: WritePlink
) -> None:
    genotypes = np.array([[2, 1, 0, -1, 1], [2, 1, 0, -1, 0], [2, 0, 1, 2, 0], [2, 0, 0, 2, 2]])
    report = ingest(
        write_plink(tmp_path / "g.bed", genotypes), tmp_path / "store",
        min_maf=0.2, max_missing=0.25,
    )  # fmt: skip
    # frequencies of the rarer allele: 0, 1/4, 1/8, 0 of what is there, 3/8
    assert report.manifest.feature_names == ("rs1", "rs4")
    assert report.notes == [
        "3 of 5 variants are left out: 3 with a rarer allele of frequency below 0.2, 1 with more "
        "than 0.25 of the genotypes missing (1 are both)."
    ]


def test_frequencies_are_of_the_samples_that_are_used(
    tmp_path: Path, write_plink: WritePlink
) -> None:
    genotypes = np.array([[1, 0], [1, 0], [0, 1], [0, 2], [0, 0]])
    bed = write_plink(tmp_path / "g.bed", genotypes, phenotypes=["-9", "NA", "3", "4", "5"])
    report = ingest(bed, tmp_path / "store", min_maf=0.01)
    assert report.manifest.feature_names == ("rs1",)
    assert report.n_rows == 3
    assert report.notes[0] == "2 of 5 samples have no phenotype in .fam and are left out."


@pytest.mark.parametrize("options", [{}, {"target": "PHENO"}])
def test_genotypes_without_any_phenotype_need_a_table(
    tmp_path: Path, write_plink: WritePlink, options: dict[str, str]
) -> None:
    bed = write_plink(tmp_path / "g.bed", np.ones((3, 2), dtype=int), phenotypes=["-9"] * 3)
    with pytest.raises(
        OptionError, match=r"no phenotype stands beside its genotypes.*--targets TABLE"
    ):
        ingest(bed, tmp_path / "store", **options)


@pytest.mark.parametrize(
    ("phenotypes", "expected"),
    [(["1", "2", "0", "-9", "2"], [1, 2, 2]), (["0", "2.5", "1", "-9", "2"], [0, 2.5, 1, 2])],
    ids=["cases and controls", "quantities"],
)
def test_phenotypes_are_missing_as_plink_has_them(
    tmp_path: Path, phenotypes: list[str], expected: list[float], write_plink: WritePlink
) -> None:
    bed = write_plink(
        tmp_path / "g.bed", np.arange(15).reshape(5, 3) % 3, phenotypes=phenotypes
    )  # fmt: skip
    ingest(bed, tmp_path / "store")
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "store", mode="r")["y"][...], expected)


def test_variants_without_an_id_of_their_own_are_named_by_place_and_alleles(
    tmp_path: Path, write_plink: WritePlink
) -> None:
    bim = ["1 . 0 5 A G", "1 rs1 0 6 C T", "1 rs1 0 7 C T", "X . 0 9 A G", "X . 0 9 A G",
           "2 rs2 0 8 AT A"]  # fmt: skip
    bed = write_plink(tmp_path / "g.bed", np.arange(24).reshape(4, 6) % 3, bim=bim)
    report = ingest(bed, tmp_path / "store")
    assert report.manifest.feature_names == (
        "1:5:G:A", "1:6:T:C", "1:7:T:C", "X:9:G:A", "X:9:G:A#2", "rs2"
    )  # fmt: skip
    assert "5 of 6 variants have no id that no other has" in report.notes[0]


def test_a_store_knows_the_alleles_that_it_counts(bed: Path, tmp_path: Path) -> None:
    ingest(bed, tmp_path / "store", max_missing=0)
    schema = open_dataset(tmp_path / "store").schema
    assert schema is not None
    assert schema.variants is not None
    assert schema.feature_names == ("rs0", "rs1", "rs3", "rs4")
    assert schema.variants.position == (1000, 1001, 1003, 1004)
    assert schema.variants.effect == ("A",) * 4
    assert schema.variants.other == ("G",) * 4
    assert schema.variants.chromosome == ("1",) * 4


def damage_magic(bed: Path) -> None:
    bed.write_bytes(b"chr1\t1\t2\n")


def damage_mode(bed: Path) -> None:
    bed.write_bytes(b"\x6c\x1b\x00" + bed.read_bytes()[3:])


def damage_length(bed: Path) -> None:
    bed.write_bytes(bed.read_bytes()[:-1])


def damage_samples(bed: Path) -> None:
    fam = bed.with_suffix(".fam")
    fam.write_text(fam.read_text() + "f x 0 0 1 1\nf y 0 0 1 1\nf z 0 0 1 1\n")


def damage_fam(bed: Path) -> None:
    bed.with_suffix(".fam").write_text("f s 0 0 1\n")


def damage_phenotype(bed: Path) -> None:
    bed.with_suffix(".fam").write_text("f s 0 0 1 tall\n")


def damage_position(bed: Path) -> None:
    bed.with_suffix(".bim").write_text("1 rs1 0 here A G\n")


def damage_last_sample(bed: Path) -> None:
    fam = bed.with_suffix(".fam")
    fam.write_text("".join(fam.read_text().splitlines(keepends=True)[:-1]))


def damage_far(bed: Path) -> None:
    bed.with_suffix(".bim").write_text("1 rs1 0 99999999999 A G\n")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_last_sample, "has more genotypes than .fam has samples (9)"),
        (damage_far, "g.bim: line 1: the position is '99999999999', expected a whole number"),
        (damage_magic, "g.bed: begins with the bytes 63 68 72, expected 6c 1b 01"),
        (damage_mode, "g.bed: has its genotypes sample by sample"),
        (damage_length, "g.bed: has 17 bytes, expected 18 for 10 samples in .fam and 5 variants"),
        (damage_samples, "g.bed: has 18 bytes, expected 23 for 13 samples"),
        (lambda bed: bed.with_suffix(".bim").unlink(), "g.bim: does not exist, expected beside g"),
        (lambda bed: bed.with_suffix(".fam").write_text(""), "g.fam: has no samples"),
        (lambda bed: bed.with_suffix(".bim").write_bytes(b"\xff\xfe\x00"), "g.bim: is not text"),
        (damage_fam, "g.fam: line 1: found 5 fields, expected 6"),
        (damage_phenotype, "g.fam: line 1: the phenotype is 'tall', expected a number"),
        (damage_position, "g.bim: line 1: the position is 'here', expected a whole number"),
    ],
)
def test_files_that_do_not_go_together_are_one_line(
    bed: Path, tmp_path: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(bed)
    with pytest.raises(DasklassoError) as caught:
        ingest(bed, tmp_path / "store")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_maf": 0.7}, "--min-maf 0.7: expected a share from 0 to 0.5"),
        ({"max_missing": -1}, "--max-missing -1: expected a share from 0 to 1"),
        ({"min_maf": 0.5, "max_missing": 0}, "5 of 5 variants are left out"),
    ],
)
def test_filters_that_cannot_be_are_refused(
    tmp_path: Path, options: dict[str, float], says: str, write_plink: WritePlink
) -> None:
    bed = write_plink(tmp_path / "g.bed", np.tile([[0, 2, 0, 0, 2]], (6, 1)).astype(int))
    with pytest.raises(OptionError, match=says):
        ingest(bed, tmp_path / "store", **options)


def test_filters_are_of_genotypes_only(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\n2,3\n")
    with pytest.raises(OptionError, match=r"--min-maf: .*t.csv is csv, expected genotypes"):
        ingest(tmp_path / "t.csv", tmp_path / "store", target="y", min_maf=0.1)


def test_alleles_the_other_way_round_are_counted_as_in_training(
    tmp_path: Path, write_plink: WritePlink
) -> None:
    genotypes = np.random.default_rng(1).integers(0, 3, (8, 3))
    bed = write_plink(tmp_path / "g.bed", genotypes)
    ingest(bed, tmp_path / "store")
    schema = open_dataset(tmp_path / "store").schema
    assert schema is not None
    swapped = genotypes.copy()
    swapped[:, 1] = 2 - swapped[:, 1]
    bim = ["1 rs0 0 1000 A G", "1 rs1 0 1001 G A", "1 rs2 0 1002 A G"]
    other = write_plink(tmp_path / "o.bed", swapped, bim=bim)

    def by_schema(bed: Path, store: str) -> np.ndarray:
        from dasklasso.dataset.ingest.align import Asked
        from dasklasso.dataset.ingest.by_schema import ingest_by_schema

        ingest_by_schema(bed, tmp_path / store, schema, of="it", asked=Asked(needs={}))
        return stored(tmp_path / store)

    np.testing.assert_array_equal(by_schema(other, "flipped"), genotypes)
    bim[2] = "1 rs2 0 1002 C G"
    third = write_plink(tmp_path / "t.bed", genotypes, bim=bim)
    with pytest.raises(DasklassoError, match="variant rs2 has the alleles C and G, expected A and"):
        by_schema(third, "refused")


def test_rows_that_are_appended_count_the_alleles_of_the_store(
    tmp_path: Path, write_plink: WritePlink
) -> None:
    genotypes = np.random.default_rng(1).integers(0, 3, (8, 3))
    ingest(write_plink(tmp_path / "g.bed", genotypes), tmp_path / "store")
    bim = ["1 rs2 0 1002 G A", "1 rs1 0 1001 A G", "1 rs0 0 1000 A G"]  # another order, too
    later = np.stack([2 - genotypes[:, 2], genotypes[:, 1], genotypes[:, 0]], axis=1)
    report = append_rows(tmp_path / "store", write_plink(tmp_path / "l.bed", later, bim=bim))
    assert report.n_rows == 16
    np.testing.assert_array_equal(stored(tmp_path / "store"), np.vstack([genotypes, genotypes]))
