"""Genetic variants as features: position, alleles, names of their own, and which are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from dasklasso.errors import OptionError

NO_ID = "."  # in the place of a variant's id that has none


@dataclass(frozen=True)
class Variants:
    """Variants, one for each feature, which counts the copies of the effect allele.

    Attributes
    ----------
    chromosome : tuple of str
    position : tuple of int
        In base pairs.
    effect, other : tuple of str
        The allele that is counted, and the one that is not.
    """

    chromosome: tuple[str, ...]
    position: tuple[int, ...]
    effect: tuple[str, ...]
    other: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.position)

    def take(self, wanted: Sequence[int]) -> Variants:
        """Return the variants with these numbers, in this order."""
        return Variants(
            chromosome=tuple(self.chromosome[j] for j in wanted),
            position=tuple(self.position[j] for j in wanted),
            effect=tuple(self.effect[j] for j in wanted),
            other=tuple(self.other[j] for j in wanted),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; chromosomes as runs, of which there are few."""
        return {
            "chromosome": [[name, len(list(run))] for name, run in groupby(self.chromosome)],
            "position": list(self.position),
            "effect": list(self.effect),
            "other": list(self.other),
        }


def unique_names(ids: Sequence[str], variants: Variants) -> tuple[list[str], int]:
    """Name every variant, each by a name of its own.

    A variant whose id no other has keeps it. The others are named
    ``chromosome:position:other:effect`` (plink2's ``--set-all-var-ids @:#:$r:$a``), and where that
    is not unique either, ``#2``, ``#3``, ... is put behind.

    Returns
    -------
    names : list of str
    n_renamed : int
        How many are not named by their id.
    """
    counts = Counter(ids)
    names = list(ids)
    renamed = [j for j, name in enumerate(ids) if name == NO_ID or counts[name] > 1]
    taken = {name for name in ids if name != NO_ID and counts[name] == 1}
    for j in renamed:
        place = f"{variants.chromosome[j]}:{variants.position[j]}"
        base = name = f"{place}:{variants.other[j]}:{variants.effect[j]}"
        copies = 1
        while name in taken:
            copies += 1
            name = f"{base}#{copies}"
        taken.add(name)
        names[j] = name
    return names, len(renamed)


@dataclass(frozen=True)
class VariantCounts:
    """Genotypes counted, each an array (n_variants,).

    Attributes
    ----------
    n_samples : int
    missing, one, two : int64
        Samples without a genotype, and with one and two copies of the effect allele.
    """

    n_samples: int
    missing: np.ndarray
    one: np.ndarray
    two: np.ndarray

    def take(self, wanted: np.ndarray) -> VariantCounts:
        """Return the counts of the variants with these numbers, in this order."""
        return VariantCounts(
            self.n_samples, self.missing[wanted], self.one[wanted], self.two[wanted]
        )

    @property
    def known(self) -> np.ndarray:
        """(n_variants,) samples with a genotype."""
        return self.n_samples - self.missing

    @property
    def none(self) -> np.ndarray:
        """(n_variants,) samples with no copy of the effect allele."""
        return self.known - self.one - self.two

    @property
    def minor_frequency(self) -> np.ndarray:
        """(n_variants,) frequency of the rarer allele, among the genotypes that are there."""
        frequency = (self.one + 2 * self.two) / (2.0 * np.maximum(self.known, 1))
        return np.minimum(frequency, 1.0 - frequency)

    @property
    def missing_share(self) -> np.ndarray:
        """(n_variants,) share of the samples without a genotype."""
        return self.missing / self.n_samples


def renamed_note(n_renamed: int, n_variants: int) -> list[str]:
    """Say how many variants are not named by their id, if any."""
    if not n_renamed:
        return []
    return [
        f"{n_renamed:,} of {n_variants:,} variants have no id that no other has: they are named "
        "chromosome:position:A2:A1."
    ]


def alleles_note(n_used: int, n_all: int) -> list[str]:
    """Say how many variants have other than two alleles, if any."""
    if n_used == n_all:
        return []
    return [
        f"{n_all - n_used:,} of {n_all:,} variants have other than two alleles and are left out."
    ]


@dataclass(frozen=True)
class VariantFilter:
    """Which variants are used.

    Attributes
    ----------
    min_maf : float or None
        Least frequency of the rarer allele.
    max_missing : float or None
        Greatest share of samples without a genotype.

    Raises
    ------
    OptionError
        One of them is out of its range.
    """

    min_maf: float | None = None
    max_missing: float | None = None

    def __post_init__(self) -> None:
        for option, value, most in (
            ("--min-maf", self.min_maf, 0.5), ("--max-missing", self.max_missing, 1.0)
        ):  # fmt: skip
            if value is not None and not 0 <= value <= most:
                raise OptionError(f"{option} {value}: expected a share from 0 to {most:g}.")

    @property
    def option(self) -> str | None:
        """The first option that was given; None where all variants are used."""
        if self.min_maf is not None:
            return "--min-maf"
        return "--max-missing" if self.max_missing is not None else None

    def passing(self, counts: VariantCounts) -> tuple[np.ndarray, str]:
        """Tell which variants are used, and how many are not and why.

        Returns
        -------
        used : (n_variants,) bool
        note : str
        """
        rare = np.zeros(len(counts.missing), dtype=bool)
        sparse = rare.copy()
        reasons = []
        if self.min_maf is not None:
            rare = counts.minor_frequency < self.min_maf
            reasons.append(
                f"{rare.sum():,} with a rarer allele of frequency below {self.min_maf:g}"
            )
        if self.max_missing is not None:
            sparse = counts.missing_share > self.max_missing
            reasons.append(
                f"{sparse.sum():,} with more than {self.max_missing:g} of the genotypes missing"
            )
        out = rare | sparse
        both = f" ({(rare & sparse).sum():,} are both)" if (rare & sparse).any() else ""
        note = f"{out.sum():,} of {len(out):,} variants are left out: {', '.join(reasons)}{both}."
        return ~out, note
