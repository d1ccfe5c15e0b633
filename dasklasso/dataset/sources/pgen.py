"""PLINK 2 genotypes (.pgen, .pvar, .psam) as a table; Pgenlib decodes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.sources.base import refuse_too_many
from dasklasso.dataset.sources.genotypes import SAMPLE_ID, GenotypeSource
from dasklasso.dataset.sources.packed import MISSING, PackedReads, packed_of
from dasklasso.dataset.sources.variants import Variants, alleles_note, renamed_note, unique_names
from dasklasso.errors import DependencyMissing, SourceError
from dasklasso.files.regular import check_regular, why

_RUN_BYTES = 64 << 20  # of genotypes, a byte each, that are decoded at a time
_BIM = ("#CHROM", "ID", "CM", "POS", "ALT", "REF")  # columns of a .pvar without a header
_FAM = ("#FID", "IID", "PAT", "MAT", "SEX", "PHENO1")
_SEXES = {"1": 1, "M": 1, "m": 1, "2": 2, "F": 2, "f": 2}
_NO_NUMBER = ("NA", "nan", "NaN", ".", "-9")
_LONGEST_SHOWN = 40


class PgenSource(GenotypeSource):
    """The genotypes of a .pgen file: copies of the alternate allele.

    Parameters
    ----------
    pgen : Path
    memory : int
        Bytes that reading may use.

    Raises
    ------
    SourceError
        A file is missing, is not what its name says, or they do not go together.
    DependencyMissing
        Pgenlib is not installed.
    """

    def __init__(self, pgen: Path, *, memory: int) -> None:
        super().__init__(open_pgen(pgen), memory=memory)


@dataclass(frozen=True)
class PgenFiles:
    """What .pvar and .psam say of a .pgen file.

    Attributes
    ----------
    path : str
    beside : dict of str to (n_samples,) array
        The columns of .psam; the sample ids are IID.
    variants : Variants, of two alleles each
    names : list of str
    notes : list of str
    used : (n_variants,) int64, their places among all
    """

    path: str
    beside: dict[str, np.ndarray]
    variants: Variants
    names: list[str]
    notes: list[str]
    used: np.ndarray = field(repr=False)
    format = "pgen"

    @property
    def individual(self) -> np.ndarray:
        return self.beside[SAMPLE_ID]

    def packed(self) -> PackedReads:
        """Return the genotypes as PLINK 1 packs them; a slice is read when it is taken."""
        return self._packed

    @cached_property
    def _packed(self) -> PackedReads:
        height = max(1, _RUN_BYTES // len(self.individual))
        edges = np.append(np.arange(0, len(self.used), height), len(self.used))
        return PackedReads(len(self.individual), edges, self._read)

    @cached_property
    def _reader(self) -> Any:
        return _opened(self.path)

    def _read(self, first: int, stop: int, left: int, right: int) -> np.ndarray:
        place = self.used[first:stop].astype(np.uint32)
        copies = np.empty((len(place), len(self.individual)), dtype=np.int8)
        try:
            self._reader.read_list(place, copies)
        except RuntimeError as error:
            raise SourceError(
                f"{self.path}: variants {place[0]} to {place[-1]} cannot be read ({_said(error)})."
            ) from error
        found = copies[:, 4 * left : 4 * right].astype(np.uint8)
        found[copies[:, 4 * left : 4 * right] < 0] = MISSING
        return packed_of(found, 4 * (right - left))


def open_pgen(pgen: Path) -> PgenFiles:
    """Read .pvar and .psam, and compare their lengths with .pgen.

    Variants of more than two alleles are left out, with a note.

    Raises
    ------
    SourceError
        A file is missing, is not what its name says, or they do not go together.
    DependencyMissing
        Pgenlib is not installed.
    """
    check_regular(pgen)
    reader = _opened(str(pgen))
    beside = _samples(pgen.with_suffix(".psam"), pgen)
    variants, ids, used, n_all = _variants(_pvar_of(pgen), pgen)
    pairs = {
        "samples": (reader.get_raw_sample_ct(), len(beside[SAMPLE_ID]), ".psam"),
        "variants": (reader.get_variant_ct(), n_all, ".pvar"),
    }
    for what, (has, said, where) in pairs.items():
        if has != said:
            raise SourceError(f"{pgen}: has {has:,} {what}, and {where} has {said:,}.")
    names, n_renamed = unique_names(ids, variants)
    notes = renamed_note(n_renamed, len(names))
    notes += alleles_note(len(used), n_all)
    return PgenFiles(str(pgen), beside, variants, names, notes, used)


def _opened(path: str) -> Any:
    try:
        from pgenlib import PgenReader
    except ImportError as error:
        raise DependencyMissing(
            f"{path}: PLINK 2 genotypes need Pgenlib: pip install 'dasklasso[pgen]'."
        ) from error
    try:
        return PgenReader(path.encode())
    except RuntimeError as error:
        raise SourceError(f"{path}: cannot be read ({_said(error)}).") from error


def _said(error: RuntimeError) -> str:
    said = error.args[0] if error.args else ""
    return str(said.decode(errors="replace") if isinstance(said, bytes) else said).strip(" .\n")


def _pvar_of(pgen: Path) -> Path:
    plain, packed = pgen.with_suffix(".pvar"), pgen.with_suffix(".pvar.zst")
    return packed if packed.exists() and not plain.exists() else plain


def _samples(psam: Path, pgen: Path) -> dict[str, np.ndarray]:
    rows, names = _table(psam, pgen, _FAM)
    names = [name.removeprefix("#") for name in names]
    if SAMPLE_ID not in names:
        raise SourceError(f"{psam}: has no column {SAMPLE_ID}, expected the sample ids.")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    texts = {SAMPLE_ID, "FID", "SID", "PAT", "MAT"}
    return {name: _column(name, values, name in texts) for name, values in columns.items()}


def _column(name: str, values: list[str], is_text: bool) -> np.ndarray:
    """Return a column of .psam: text, or numbers with NaN where one is missing."""
    if name == "SEX":
        return np.array([_SEXES.get(text, 0) for text in values], dtype=np.int64)
    if not is_text:
        try:
            return np.array([np.nan if text in _NO_NUMBER else float(text) for text in values])
        except ValueError:
            pass  # categories
    return np.array(values, dtype=str)


def _variants(pvar: Path, pgen: Path) -> tuple[Variants, list[str], np.ndarray, int]:
    """Return the variants of two alleles, their ids and places, and how many there are in all."""
    rows, names = _table(pvar, pgen, _BIM)
    for name in ("#CHROM", "POS", "ID", "REF", "ALT"):
        if name not in names:
            raise SourceError(f"{pvar}: has no column {name.removeprefix('#')}.")
    at = {name: names.index(name) for name in ("#CHROM", "POS", "ID", "REF", "ALT")}
    refuse_too_many(len(rows), str(pvar))
    used = [j for j, row in enumerate(rows) if "," not in row[at["ALT"]]]
    if not used:
        raise SourceError(f"{pvar}: has no variant of two alleles, expected at least one.")
    positions = []
    for j in used:
        text = rows[j][at["POS"]]
        if not text.lstrip("-").isdecimal():
            raise SourceError(
                f"{pvar}: variant {j + 1}: the position is {text[:_LONGEST_SHOWN]!r}, expected a "
                "whole number."
            )
        positions.append(int(text))
    chromosomes, ids, effects, others = (
        tuple(rows[j][at[name]] for j in used) for name in ("#CHROM", "ID", "ALT", "REF")
    )
    variants = Variants(chromosomes, tuple(positions), effects, others)
    return variants, list(ids), np.array(used, dtype=np.int64), len(rows)


def _table(
    file: Path, pgen: Path, without_header: tuple[str, ...]
) -> tuple[list[list[str]], list[str]]:
    """Return the rows of a table of PLINK 2, and the names of its columns."""
    names: list[str] = []
    rows: list[list[str]] = []
    try:
        with _text(file) as stream:
            for number, line in enumerate(stream, start=1):
                if line.startswith("##") or not (fields := line.split()):
                    continue
                if line.startswith("#"):
                    names = fields
                    continue
                names = names or [*without_header]
                if len(fields) != len(names):
                    raise SourceError(
                        f"{file}: line {number}: found {len(fields)} fields, expected {len(names)}."
                    )
                rows.append(fields)
    except FileNotFoundError:
        raise SourceError(f"{file}: does not exist, expected beside {pgen.name}.") from None
    except UnicodeDecodeError:
        raise SourceError(f"{file}: is not text, expected lines of fields.") from None
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {why(error)}.") from error
    if not rows:
        raise SourceError(f"{file}: has no rows, expected at least one.")
    return rows, names


@contextmanager
def _text(file: Path) -> Iterator[Any]:
    """Open a text, compressed by zstd where its name says so."""
    check_regular(file)
    if file.suffix != ".zst":
        with open(file, encoding="utf-8") as stream:
            yield stream
        return
    import pyarrow as pa

    with pa.input_stream(str(file), compression="zstd") as packed, TextIOWrapper(packed) as text:
        yield text
