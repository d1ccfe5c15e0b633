"""Genotypes of a VCF as bio2zarr and sgkit write them in Zarr (VCF Zarr specification 0.2 to 0.4).

A call is one number of an allele for each chromosome copy: 0 is the reference, -1 is not known, -2
fills up where others have more copies. What is counted are the copies of the alternate allele.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.sources.base import refuse_too_many
from dasklasso.dataset.sources.genotypes import SAMPLE_ID, GenotypeSource
from dasklasso.dataset.sources.packed import MISSING, PackedReads, packed_of
from dasklasso.dataset.sources.variants import (
    NO_ID,
    Variants,
    alleles_note,
    renamed_note,
    unique_names,
)
from dasklasso.errors import SourceError, StoreError
from dasklasso.storage.opening import member, open_node

_CALLS = "call_genotype"
_MOST_COPIES = 2  # of a chromosome
_FILL = -2
_DECODED_BYTES = 128 << 20  # of calls that are unpacked at a time


class VcfZarrSource(GenotypeSource):
    """The genotypes of a VCF in Zarr: copies of the alternate allele.

    Parameters
    ----------
    path : Path
    memory : int
        Bytes that reading may use.

    Raises
    ------
    SourceError
        An array is missing, is not what the specification says, or they do not go together.
    """

    def __init__(self, path: Path, *, memory: int) -> None:
        super().__init__(open_vcf_zarr(path), memory=memory)


@dataclass(frozen=True)
class VcfZarrFiles:
    """What a VCF in Zarr says of its samples and variants, and its calls.

    Attributes
    ----------
    path : str
    individual : (n_samples,) str
    variants : Variants, of two alleles each
    names : list of str
    notes : list of str
    calls : zarr.Array, (all variants, n_samples, copies)
    used : (n_variants,) int64, their places among all
    """

    path: str
    individual: np.ndarray
    variants: Variants
    names: list[str]
    notes: list[str]
    calls: Any = field(repr=False)
    used: np.ndarray = field(repr=False)
    format = "vcf_zarr"

    @property
    def beside(self) -> dict[str, np.ndarray]:
        return {SAMPLE_ID: self.individual}

    def packed(self) -> PackedReads:
        """Return the genotypes as PLINK packs them; a slice of them is read when it is taken."""
        return self._packed

    @cached_property
    def _packed(self) -> PackedReads:
        chunk = self.used // self.calls.chunks[0]
        edges = np.flatnonzero(np.diff(chunk, prepend=-1, append=chunk[-1] + 1))
        return PackedReads(len(self.individual), edges, self._read)

    def _read(self, first: int, stop: int, left: int, right: int) -> np.ndarray:
        place = self.used[first:stop]
        rows = slice(int(place[0]), int(place[-1]) + 1)
        out = np.empty((stop - first, right - left), dtype=np.uint8)
        for a, b in self._pieces(rows.stop - rows.start, left, right):
            samples = slice(4 * a, min(4 * b, self.calls.shape[1]))
            try:
                found = np.asarray(self.calls[rows, samples])
            except Exception as error:
                raise SourceError(
                    f"{self.path}: {_CALLS} of variants {rows.start} to {rows.stop - 1} cannot be "
                    f"read ({type(error).__name__}: {error})."
                ) from error
            copies = copies_of(found[place - rows.start])
            out[:, a - left : b - left] = packed_of(copies, 4 * (b - a))
        return out

    def _pieces(self, height: int, left: int, right: int) -> Iterator[tuple[int, int]]:
        """Cut a run of bytes into pieces whose calls are decoded at a time."""
        chunk = max(1, self.calls.chunks[1] // 4)
        step = max(1, _DECODED_BYTES // max(1, 4 * height * self.calls.shape[2]))
        step = max(chunk, step // chunk * chunk)
        while left < right:
            stop = min(right, (left // step + 1) * step)
            yield left, stop
            left = stop


def copies_of(calls: np.ndarray) -> np.ndarray:
    """Count the alternate alleles of calls (variants, samples, copies): (variants, samples).

    A genotype is missing where an allele is; a sample with fewer copies has those.
    """
    copies = np.zeros(calls.shape[:2], dtype=np.uint8)
    unknown, filled = np.zeros(copies.shape, dtype=bool), np.ones(copies.shape, dtype=bool)
    for copy in range(calls.shape[2]):
        allele = calls[:, :, copy]
        copies += allele > 0
        unknown |= (allele < 0) & (allele != _FILL)
        filled &= allele == _FILL
    copies[unknown | filled] = MISSING
    return copies


def open_vcf_zarr(path: Path) -> VcfZarrFiles:
    """Read what a VCF in Zarr says of samples and variants; no call is read.

    Variants of more or fewer than two alleles are left out, with a note.

    Raises
    ------
    SourceError
        An array is missing, is not what the specification says, or they do not go together.
    """
    try:
        group, _ = open_node(path, None)
        every = (*_NEEDED, "variant_id")
        arrays: dict[str, Any] = {name: member(group, name) for name in every}
    except StoreError as error:
        raise SourceError(str(error)) from error
    for name in _NEEDED:
        if arrays[name] is None:
            raise SourceError(f"{path}: has no array {name}, which a VCF in Zarr has.")
    calls = arrays[_CALLS]
    if len(calls.shape) != 3 or calls.shape[2] > _MOST_COPIES or calls.dtype.kind != "i":
        raise SourceError(
            f"{path}: {_CALLS} is {calls.dtype} of shape {calls.shape}, expected whole numbers of "
            f"shape (variants, samples, copies), at most {_MOST_COPIES} copies."
        )
    if (absent := calls.nchunks - calls.nchunks_initialized) > 0:
        raise SourceError(
            f"{path}: {absent:,} of {calls.nchunks:,} chunks of {_CALLS} are missing, expected "
            "all: what is not there would be taken for the reference."
        )
    said = {name: _read(path, name, array) for name, array in arrays.items() if name != _CALLS}
    n_variants, n_samples = calls.shape[:2]
    _check_lengths(path, said, n_variants, n_samples)
    refuse_too_many(n_variants, str(path))
    allele = _texts(said["variant_allele"]).reshape(n_variants, -1)
    n_alleles = (allele != "").sum(axis=1)
    used = np.flatnonzero((n_alleles == 2) & (allele[:, :_MOST_COPIES] != "").all(axis=1))
    if not used.size:
        raise SourceError(f"{path}: has no variant of two alleles, expected at least one.")
    contigs = _texts(said["contig_id"])
    contig = np.asarray(said["variant_contig"])[used]
    if contig.min() < 0 or contig.max() >= len(contigs):
        raise SourceError(
            f"{path}: variant_contig has {contig.max()}, expected one of {len(contigs)} contigs."
        )
    variants = Variants(
        tuple(contigs[contig].tolist()),
        tuple(np.asarray(said["variant_position"])[used].tolist()),
        tuple(allele[used, 1].tolist()),
        tuple(allele[used, 0].tolist()),
    )
    ids = said["variant_id"]
    known = [NO_ID] * len(used) if ids is None else _texts(ids)[used].tolist()
    names, n_renamed = unique_names([one or NO_ID for one in known], variants)
    notes = renamed_note(n_renamed, len(names))
    notes += alleles_note(len(used), n_variants)
    samples = _texts(said["sample_id"])
    return VcfZarrFiles(str(path), samples, variants, names, notes, calls, used)


_NEEDED = (
    _CALLS, "sample_id", "contig_id", "variant_contig", "variant_position", "variant_allele",
)  # fmt: skip


def _read(path: Path, name: str, array: Any) -> Any:
    if array is None:
        return None
    try:
        return array[...]
    except Exception as error:
        raise SourceError(
            f"{path}: {name} cannot be read ({type(error).__name__}: {error})."
        ) from error


def _texts(values: Any) -> np.ndarray:
    """Return texts, of any of the types that Zarr has for them, as NumPy's of fixed width."""
    found: np.ndarray = np.asarray(values).astype(object).astype(str)
    return found


def _check_lengths(path: Path, said: dict[str, Any], n_variants: int, n_samples: int) -> None:
    for name, values in said.items():
        if values is None or name == "contig_id":
            continue
        expected = n_samples if name == "sample_id" else n_variants
        if len(values) != expected:
            raise SourceError(
                f"{path}: {name} has {len(values):,} entries, expected {expected:,}, as many as "
                f"{_CALLS}."
            )
