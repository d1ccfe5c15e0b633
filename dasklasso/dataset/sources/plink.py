"""PLINK 1 genotypes (.bed, .bim, .fam) as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dasklasso.dataset.sources.genotypes import GenotypeSource
from dasklasso.dataset.sources.plink_files import open_plink
from dasklasso.errors import SourceError


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

    def _check(self, packed: np.ndarray, first: int) -> None:
        """Refuse genotypes after the last sample: those of a file that .fam is not of.

        Raises
        ------
        SourceError
        """
        n_samples = len(self._files.individual)
        used_bits = 2 * (n_samples % 4)  # of a variant's last byte
        if used_bits and (odd := packed[:, -1] >> used_bits).any():
            raise SourceError(
                f"{self.path}: variant {first + int(odd.argmax())} has more genotypes than .fam "
                f"has samples ({n_samples:,}): the files are of different data."
            )
