"""Genotypes packed in two bits: copies of each variant's effect allele, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from dasklasso.dataset.sources.base import Column, SourceDefaults, refuse_duplicates
from dasklasso.dataset.sources.packed_bits import WORD_BYTES, copies_of, count_copies
from dasklasso.dataset.sources.variants import VariantCounts, VariantFilter, Variants
from dasklasso.errors import OptionError, SourceError

SAMPLE_ID = "IID"
PHENOTYPE = "PHENO"
GENOTYPE = "genotype"  # what the type of a variant is called
_MISSING = 3
_BOTH_BITS = 0b11
_COUNTED_BYTES = 16 << 20  # of packed genotypes that are counted at a time
_TURNED_BYTES = 1 << 20  # of packed genotypes that are turned at a time: they stay in the cache


class GenotypeFiles(Protocol):
    """Files of genotypes, opened and checked.

    Attributes
    ----------
    path, format : str
    individual : (n_samples,) str, what a sample is called
    beside : columns beside the genotypes, by name: arrays (n_samples,)
    variants : Variants
        The effect allele is the one whose copies are counted.
    names : list of str
        One for each variant, all different.
    notes : list of str
        What was found that deserves to be said.
    """

    @property
    def path(self) -> str: ...

    @property
    def format(self) -> str: ...

    @property
    def individual(self) -> np.ndarray: ...

    @property
    def beside(self) -> Mapping[str, np.ndarray]: ...

    @property
    def variants(self) -> Variants: ...

    @property
    def names(self) -> list[str]: ...

    @property
    def notes(self) -> list[str]: ...

    def packed(self) -> Any:
        """Return the genotypes, (n_variants, bytes of a variant) uint8: four samples a byte.

        The first sample has the lowest bits, as in PLINK 1: 00 two copies, 10 one, 11 none, 01
        missing. It is an array, or is sliced as one.
        """
        ...


class GenotypeSource(SourceDefaults):
    """Genotypes as a table: a column for each variant, and what is known of samples beside them.

    Values are 0, 1 and 2 as uint8; batches in which some are missing are float64 with NaN. Four
    genotypes are a byte, and lie variant by variant: for every slab of samples, as many as a
    quarter of the memory holds packed, the file is read once.

    Parameters
    ----------
    files : GenotypeFiles
    memory : int
        Bytes that reading may use.

    Attributes
    ----------
    notes : list of str
        What was done that deserves to be said.

    Raises
    ------
    SourceError
        A variant is called as a column beside the genotypes is.
    """

    def __init__(self, files: GenotypeFiles, *, memory: int) -> None:
        self.path, self.format = files.path, files.format
        self._files = files
        self._memory = memory
        self._samples = np.arange(len(files.individual))  # that are used, as positions in the file
        self._used = np.arange(len(files.variants))  # variants, likewise
        self._place = {name: j for j, name in enumerate(files.names)}
        self._flipped = np.zeros(len(self._used), dtype=bool)
        self._beside = files.beside
        refuse_duplicates([*files.names, *self._beside], self.path)
        self._counts: VariantCounts | None = None
        self._columns: tuple[Column, ...] | None = None
        self.notes = list(files.notes)

    # -- which samples and variants -----------------------------------------------------------

    @property
    def row_ids(self) -> np.ndarray:
        """(n_rows,) str: what a sample is called (IID)."""
        return self._files.individual[self._samples]

    def keep_rows(self, used: np.ndarray) -> None:
        """Use only some of the samples; ``used`` is (n_rows,) bool."""
        self._samples = self._samples[used]
        self._counts = self._columns = None

    def keep_phenotyped(self) -> None:
        """Leave out samples whose phenotype is missing in .fam, with a note of how many."""
        known = self._phenotyped
        if known.all():
            return
        self.notes.append(
            f"{(~known).sum():,} of {len(known):,} samples have no phenotype in .fam and are left "
            "out."
        )
        self.keep_rows(known)

    def keep_variants(self, wanted: VariantFilter) -> None:
        """Use only variants that pass, counted over the samples that are used.

        Raises
        ------
        OptionError
            None passes.
        """
        used, note = wanted.passing(self._counted())
        self.notes.append(note)
        if not used.any():
            raise OptionError(f"{self.path}: {note} Expected at least one to be left.")
        self._used = self._used[used[self._used]]
        self._place = {self._files.names[j]: j for j in self._used.tolist()}
        self._columns = None

    def means(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
        """Return each variant's mean genotype and number of known ones; None if one is no variant.

        Counted of the packed genotypes, which takes no look at single ones.
        """
        place = self.places(names)
        if place is None:
            return None
        counts = self.counts(place)
        mean = (counts.one + 2.0 * counts.two) / np.maximum(counts.known, 1)
        return mean, counts.known

    def places(self, names: Sequence[str]) -> np.ndarray | None:
        """Return where variants are in the file; None if one is no variant."""
        found = [self._place.get(name, -1) for name in names]
        return None if -1 in found else np.array(found, dtype=np.int64)

    def counts(self, place: np.ndarray) -> VariantCounts:
        """Return the genotypes of the variants at these places, counted over all rows."""
        counts, flipped = self._counted().take(place), self._flipped[place]
        return replace(counts, two=np.where(flipped, counts.none, counts.two))

    def copies(self, place: np.ndarray, missing: int, out: np.ndarray) -> None:
        """Read the variants at these places, all rows at once.

        Parameters
        ----------
        place : (n_variants,) int64
        missing : int
            What stands for a genotype that is missing.
        out : (n_rows, n_variants) uint8
            Takes the genotypes.
        """
        packed = _turned(self._files, place, 0, int(self._samples[-1]) // 4 + 1)
        copies_of(packed, self._samples, missing, out)
        flipped = np.flatnonzero(self._flipped[place])
        if flipped.size:
            out[:, flipped] = _other_allele(out[:, flipped], missing)

    def variants(self, names: Sequence[str]) -> Variants:
        """Return position and alleles of the variants with these names; the effect is A1's."""
        return self._files.variants.take([self._place[name] for name in names])

    def orient(self, names: Sequence[str], known: Variants) -> None:
        """Count the same alleles as were counted elsewhere, where they stand the other way round.

        Raises
        ------
        SourceError
            A variant has other alleles.
        """
        ours = self._files.variants
        for name, effect, other in zip(names, known.effect, known.other, strict=True):
            j = self._place.get(name)
            if j is None or (ours.effect[j], ours.other[j]) == (effect, other):
                continue
            if (ours.other[j], ours.effect[j]) != (effect, other):
                raise SourceError(
                    f"{self.path}: variant {name} has the alleles {ours.effect[j]} and "
                    f"{ours.other[j]}, expected {effect} and {other} as in training."
                )
            self._flipped[j] = True

    # -- a source -----------------------------------------------------------------------------

    @property
    def n_rows(self) -> int:
        return len(self._samples)

    @property
    def columns(self) -> tuple[Column, ...]:
        if self._columns is None:
            names, dtype = self._files.names, np.dtype(np.uint8)
            genotypes = [Column(names[j], "number", dtype, GENOTYPE) for j in self._used.tolist()]
            beside = [
                Column(name, "text", np.dtype(object), "text")
                if values.dtype.kind == "U"
                else Column(name, "number", values.dtype, str(values.dtype))
                for name, values in self._beside.items()
            ]
            self._columns = (*genotypes, *beside)
        return self._columns

    @property
    def default_target(self) -> tuple[str, ...]:
        return (PHENOTYPE,) if self._phenotyped.any() else ()

    @property
    def _phenotyped(self) -> np.ndarray:
        """(n_rows,) bool: samples whose phenotype is known."""
        phenotype = self._beside.get(PHENOTYPE)
        if phenotype is None:
            return np.zeros(self.n_rows, dtype=bool)
        return ~np.isnan(phenotype[self._samples])

    @property
    def beside(self) -> tuple[str, ...]:
        return tuple(self._beside)

    def resolve(self, name: str) -> tuple[str, ...]:
        return (name,) if name in self._beside or name in self._place else ()

    def batches(self, names: Sequence[str], rows: int) -> Iterator[GenotypeBatch]:
        genotypes = [name for name in names if name not in self._beside]
        wanted = np.array([self._place[name] for name in genotypes], dtype=np.int64)
        positions = _Positions({name: k for k, name in enumerate(genotypes)})
        flipped = self._flipped[wanted]
        others = [name for name in names if name in self._beside]
        n_bytes = max(1, self._memory // 4 // max(1, len(wanted)))
        first = 0
        end = int(self._samples[-1]) // 4 + 1 if len(self._samples) else 0
        for left in range(0, end, n_bytes):
            right = min(left + n_bytes, end)
            low, high = np.searchsorted(self._samples, (4 * left, 4 * right)).tolist()
            if low == high:
                continue
            packed = _turned(self._files, wanted, left, right)
            for start in range(low, high, rows):
                here = self._samples[start : min(start + rows, high)]
                block = np.empty((len(here), len(wanted)), dtype=np.uint8)
                copies_of(packed, here - 4 * left, _MISSING, block)
                if flipped.any():
                    block = np.where(flipped, _other_allele(block, _MISSING), block)
                beside = {name: self._beside[name][here] for name in others}
                yield GenotypeBatch(self.path, first, len(here), block, positions, beside)
                first += len(here)

    def _check(self, packed: np.ndarray, first: int) -> None:
        """Look at packed genotypes of some variants, the first of which is ``first``."""

    def _counted(self) -> VariantCounts:
        """Count the genotypes of every variant, over the samples that are used; read once."""
        if self._counts is not None:
            return self._counts
        packed = self._files.packed()
        n_variants, n_bytes = packed.shape
        ignored = np.full(4 * n_bytes, _BOTH_BITS, dtype=np.uint8)  # left out, and padding
        ignored[self._samples] = 0
        mask = (ignored.reshape(-1, 4) << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(
            axis=1, dtype=np.uint8
        )
        found = np.zeros((3, n_variants), dtype=np.int64)
        step = max(1, min(_COUNTED_BYTES, self._memory // 8) // n_bytes)
        for start in range(0, n_variants, step):
            block = self._files.packed()[start : start + step]
            self._check(block, start)
            found[:, start : start + step] = count_copies(block, mask)
        self._counts = VariantCounts(len(self._samples), *found)
        return self._counts


def _other_allele(copies: np.ndarray, missing: int) -> np.ndarray:
    """Return the copies of the allele that was not counted."""
    return np.where(copies == missing, copies, 2 - copies)


def _turned(files: GenotypeFiles, wanted: np.ndarray, left: int, right: int) -> np.ndarray:
    """Return bytes ``left`` to ``right`` of variants, (bytes, variants): a row is four samples.

    Behind the last variant are as many more as make a row whole words.
    """
    width = len(wanted) + -len(wanted) % WORD_BYTES
    out = np.empty((right - left, width), dtype=np.uint8)
    packed = files.packed()  # mapped anew each time, so that pages read long ago are released
    step = max(1, _TURNED_BYTES // (right - left))
    for start in range(0, len(wanted), step):
        some = wanted[start : start + step]
        run = int(some[-1]) - int(some[0]) + 1 == len(some) and (np.diff(some) == 1).all()
        rows = packed[some[0] : some[-1] + 1, left:right] if run else packed[some, left:right]
        out[:, start : start + len(some)] = rows.T
    return out


class _Positions:
    """Columns of a block by their names; a long list that is asked again is found at once."""

    def __init__(self, places: Mapping[str, int]) -> None:
        self._places = places
        self._asked: Sequence[str] | None = None
        self._found = np.zeros(0, dtype=np.int64)

    def of(self, names: Sequence[str]) -> np.ndarray | None:
        """Return where they are; None unless all of them are genotypes."""
        if names is self._asked:
            return self._found
        if not all(name in self._places for name in names):
            return None
        found = np.array([self._places[name] for name in names], dtype=np.int64)
        if len(names) > 1:  # one by one are targets and the like, between the features
            self._asked, self._found = names, found
        return found


@dataclass(frozen=True)
class GenotypeBatch:
    """Genotypes of some samples (uint8; 3 is missing), and what is known of them."""

    file: str
    first_row: int
    n_rows: int
    block: np.ndarray
    positions: _Positions
    beside: Mapping[str, np.ndarray]

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        wanted = self.positions.of(names)
        if wanted is None:
            return np.stack([self._number(name) for name in names], axis=1)
        whole = len(wanted) == self.block.shape[1] and (wanted == np.arange(len(wanted))).all()
        block = self.block if whole else self.block[:, wanted]
        missing = block == _MISSING
        if not missing.any():
            return block
        found = block.astype(np.float64)
        found[missing] = np.nan
        return found

    def _number(self, name: str) -> np.ndarray:
        return self.beside[name] if name in self.beside else self.numbers([name])[:, 0]

    def texts(self, name: str) -> Any:
        import pyarrow as pa

        return pa.array([text or None for text in self.beside[name].tolist()], type=pa.string())

    def as_is(self, name: str) -> Any:
        import pyarrow as pa

        if name in self.beside and self.beside[name].dtype.kind == "U":
            return self.texts(name)
        return pa.array(np.ascontiguousarray(self.numbers([name])[:, 0]))
