"""PLINK 1 genotypes (.bed, .bim, .fam) as a table."""

from __future__ import annotations

from pathlib import Path

from dasklasso.dataset.sources.genotypes import GenotypeSource
from dasklasso.dataset.sources.plink_files import open_plink


class PlinkSource(GenotypeSource):
    """The genotypes of a .bed file: copies of the first allele of .bim (A1).

    Parameters
    ----------
    bed : Path
    memory : int
        Bytes that reading may use.

    Raises
    ------
    SourceError
        A file is missing, is not what its name says, or they do not go together.
    """

    def __init__(self, bed: Path, *, memory: int) -> None:
        super().__init__(open_plink(bed), memory=memory)
