"""What ingest does for genotypes alone: samples without a phenotype, filters, alleles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.dataset.schema import Schema
from dasklasso.dataset.sources.base import Source
from dasklasso.dataset.sources.genotypes import PHENOTYPE, GenotypeSource
from dasklasso.dataset.sources.variants import VariantFilter, Variants
from dasklasso.dataset.sources.wrapped import WrappedSource
from dasklasso.errors import OptionError


def genotypes_of(source: Source) -> GenotypeSource | None:
    """Return the genotypes that a source reads, also through others; None of other sources."""
    while isinstance(source, WrappedSource):
        source = source.base
    return source if isinstance(source, GenotypeSource) else None


def keep_phenotyped(source: Source, targets: Sequence[str]) -> None:
    """Leave out samples without a phenotype in .fam, where that is the target.

    Parameters
    ----------
    targets : sequence of str
        As asked for; none: the default.

    Raises
    ------
    OptionError
        No sample has one.
    """
    genotypes = genotypes_of(source)
    if genotypes is None or (targets and PHENOTYPE not in targets):
        return
    if not genotypes.default_target:
        raise OptionError(
            f"{source.path}: no phenotype stands beside its genotypes. A table has them: "
            "--targets TABLE --id NAME --target NAME."
        )
    genotypes.keep_phenotyped()


def keep_variants(source: Source, wanted: VariantFilter) -> None:
    """Leave out variants that do not pass.

    Raises
    ------
    OptionError
        A filter was given and the source has no genotypes, or none is left.
    """
    if wanted.option is None:
        return
    genotypes = genotypes_of(source)
    if genotypes is None:
        raise OptionError(f"{wanted.option}: {source.path} is {source.format}, expected genotypes.")
    genotypes.keep_variants(wanted)


def variants_of(source: Source, names: Sequence[str]) -> Variants | None:
    """Return position and alleles of features; None where they are no genotypes."""
    genotypes = genotypes_of(source)
    return None if genotypes is None else genotypes.variants(names)


def genotype_notes(source: Source, dtype: np.dtype) -> list[str]:
    """Return what was done to samples and variants.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the store's X.
    """
    genotypes = genotypes_of(source)
    if genotypes is None:
        return []
    if dtype.kind != "f":
        return list(genotypes.notes)
    wide = (
        f"genotypes are {dtype}, with means in the place of missing ones: {dtype.itemsize} bytes "
        "each in place of 1. --dtype auto keeps them bytes."
    )
    return [*genotypes.notes, wide]


def orient_alleles(source: Source, schema: Schema) -> None:
    """Count the alleles that a schema counts, also where a file has them the other way round.

    Raises
    ------
    SourceError
        A variant has other alleles than in training.
    """
    genotypes = genotypes_of(source)
    if genotypes is not None and schema.variants is not None:
        genotypes.orient(schema.feature_names, schema.variants)
