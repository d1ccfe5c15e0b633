"""The three files of PLINK 1: samples (.fam), variants (.bim), genotypes (.bed); checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dasklasso.dataset.sources.base import refuse_too_many
from dasklasso.dataset.sources.genotypes import PHENOTYPE, SAMPLE_ID
from dasklasso.dataset.sources.packed import bytes_of
from dasklasso.dataset.sources.variants import Variants, renamed_note, unique_names
from dasklasso.errors import SourceError
from dasklasso.files.regular import check_regular, open_regular, why

MAGIC = b"\x6c\x1b\x01"  # the last byte says that genotypes lie variant by variant
_BY_SAMPLE = b"\x6c\x1b\x00"
_LAST_POSITION = 2**31 - 1  # as PLINK has it
_FIELDS = 6  # of a line, in .fam and in .bim
_LONGEST_SHOWN = 40
_NO_PHENOTYPE = ("-9", "NA", "nan", "NaN", ".")


@dataclass(frozen=True)
class Samples:
    """The samples of a .fam file, each attribute an array (n_samples,).

    Attributes
    ----------
    family, individual, father, mother : str
    sex : int64
        1 male, 2 female, 0 not known.
    phenotype : float64
        NaN where it is missing: -9, NA, and 0 where all others are 1 and 2 (controls and cases).
    """

    family: np.ndarray
    individual: np.ndarray
    father: np.ndarray
    mother: np.ndarray
    sex: np.ndarray
    phenotype: np.ndarray

    def __len__(self) -> int:
        return len(self.individual)


@dataclass(frozen=True)
class PlinkFiles:
    """What .fam and .bim say of a .bed file, whose size goes with them.

    Attributes
    ----------
    bed : Path
    samples : Samples
    variants : Variants
        The effect allele is the first of .bim (A1), whose copies are counted.
    names : list of str
        One for each variant, all different.
    n_renamed : int
        Variants that are not named by their id.
    """

    bed: Path
    samples: Samples
    variants: Variants
    names: list[str]
    n_renamed: int
    format = "plink"

    @property
    def path(self) -> str:
        return str(self.bed)

    @property
    def individual(self) -> np.ndarray:
        return self.samples.individual

    @property
    def beside(self) -> dict[str, np.ndarray]:
        """The columns of .fam."""
        samples = self.samples
        return {
            "FID": samples.family, SAMPLE_ID: samples.individual, "PAT": samples.father,
            "MAT": samples.mother, "SEX": samples.sex, PHENOTYPE: samples.phenotype,
        }  # fmt: skip

    @property
    def notes(self) -> list[str]:
        return renamed_note(self.n_renamed, len(self.names))

    def packed(self) -> np.ndarray:
        """Map the genotypes, (n_variants, bytes of a variant) uint8: four samples a byte."""
        shape = (len(self.variants), bytes_of(len(self.samples)))
        return np.memmap(self.bed, np.uint8, "r", len(MAGIC), shape)


def open_plink(bed: Path) -> PlinkFiles:
    """Read .fam and .bim, and check the size and the first bytes of .bed.

    Raises
    ------
    SourceError
        A file is missing, is not what its name says, or they do not go together.
    """
    samples = _samples(bed.with_suffix(".fam"), bed)
    variants, names, n_renamed = _variants(bed.with_suffix(".bim"), bed)
    try:
        with open_regular(bed) as stream:
            magic = stream.read(len(MAGIC))
        size = bed.stat().st_size
    except OSError as error:
        raise SourceError(f"{bed}: cannot be read: {why(error)}.") from error
    if magic == _BY_SAMPLE:
        raise SourceError(
            f"{bed}: has its genotypes sample by sample (third byte 00), expected variant by "
            "variant (01), as plink --make-bed writes them."
        )
    if magic != MAGIC:
        raise SourceError(
            f"{bed}: begins with the bytes {magic.hex(' ') or '(none)'}, expected "
            f"{MAGIC.hex(' ')}: it is not a PLINK 1 file of genotypes."
        )
    expected = len(MAGIC) + len(variants) * bytes_of(len(samples))
    if size != expected:
        raise SourceError(
            f"{bed}: has {size:,} bytes, expected {expected:,} for {len(samples):,} samples in "
            f".fam and {len(variants):,} variants in .bim: it is "
            f"{'cut off' if size < expected else 'longer'}, or the files are of different data."
        )
    return PlinkFiles(bed, samples, variants, names, n_renamed)


def _samples(fam: Path, bed: Path) -> Samples:
    rows = [fields for _, fields in _lines(fam, bed)]
    if not rows:
        raise SourceError(f"{fam}: has no samples, expected at least one.")
    family, individual, father, mother, sex, phenotype = (
        np.array(column, dtype=str) for column in zip(*rows, strict=True)
    )
    known = np.isin(sex, ("1", "2"))
    return Samples(
        family, individual, father, mother,
        np.where(known, sex, "0").astype(np.int64), _phenotypes(phenotype, fam),
    )  # fmt: skip


def _phenotypes(texts: np.ndarray, fam: Path) -> np.ndarray:
    found = np.full(len(texts), np.nan)
    for row, text in enumerate(texts.tolist()):
        if text in _NO_PHENOTYPE:
            continue
        try:
            found[row] = float(text)
        except ValueError:
            raise SourceError(
                f"{fam}: line {row + 1}: the phenotype is {text[:_LONGEST_SHOWN]!r}, expected a "
                "number, or -9 where it is missing."
            ) from None
    there = found[~np.isnan(found)]
    if np.isin(there, (0, 1, 2)).all():  # cases (2) and controls (1); as PLINK has it
        found[found == 0] = np.nan
    return found


def _variants(bim: Path, bed: Path) -> tuple[Variants, list[str], int]:
    chromosomes, ids, positions, effects, others = [], [], [], [], []
    chromosome = ""
    for line, (name, id_, _, position, effect, other) in _lines(bim, bed):
        try:
            positions.append(_position(position))
        except ValueError:
            raise SourceError(
                f"{bim}: line {line}: the position is {position[:_LONGEST_SHOWN]!r}, expected a "
                "whole number."
            ) from None
        chromosome = chromosome if name == chromosome else name  # one text for a run of them
        chromosomes.append(chromosome)
        ids.append(id_)
        effects.append(effect)
        others.append(other)
    if not ids:
        raise SourceError(f"{bim}: has no variants, expected at least one.")
    refuse_too_many(len(ids), str(bim))
    variants = Variants(tuple(chromosomes), tuple(positions), tuple(effects), tuple(others))
    names, n_renamed = unique_names(ids, variants)
    return variants, names, n_renamed


def _position(text: str) -> int:
    """Return a position; ValueError where it is none that a chromosome can have."""
    found = int(text)
    if abs(found) > _LAST_POSITION or "_" in text:
        raise ValueError
    return found


def _lines(file: Path, bed: Path) -> Iterator[tuple[int, list[str]]]:
    """Every line that is not empty: its number from 1, and its six fields."""
    try:
        check_regular(file)
        with open(file, encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                fields = line.split()
                if not fields:
                    continue
                if len(fields) != _FIELDS:
                    raise SourceError(
                        f"{file}: line {number}: found {len(fields)} fields, expected {_FIELDS}."
                    )
                yield number, fields
    except FileNotFoundError:
        raise SourceError(f"{file}: does not exist, expected beside {bed.name}.") from None
    except UnicodeDecodeError:
        raise SourceError(f"{file}: is not text, expected lines of {_FIELDS} fields.") from None
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {why(error)}.") from error
