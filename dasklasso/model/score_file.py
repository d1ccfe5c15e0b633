"""A polygenic score as a file that PLINK reads: variant, effect allele, weight."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.files.atomic import written_beside
from dasklasso.files.places import output_place
from dasklasso.model.path import FittedPath


@dataclass(frozen=True)
class ScoreFile:
    """What was written.

    Attributes
    ----------
    file : Path
    n_variants : int
    n_named_by_place : int
        Variants that had no id of their own.
    intercept : tuple of float
        For each target: what a prediction has beside the sum.
    covariates : tuple of str
        That a prediction has too, and the file does not.
    """

    file: Path
    n_variants: int
    n_named_by_place: int
    intercept: tuple[float, ...]
    covariates: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Return what the file has and how it is read."""
        found = [
            f"{self.n_variants:,} variants in {self.file}: plink --score {self.file} 1 2 3 header "
            f"sum; a prediction is the sum plus {', '.join(f'{b:.8g}' for b in self.intercept)}"
            f"{' and what covariates add' if self.covariates else ''}."
        ]
        if self.n_named_by_place:
            found.append(
                f"{self.n_named_by_place:,} of them have no id of their own and are named "
                "chromosome:position:A2:A1: plink2 --set-all-var-ids '@:#:$r:$a' names them so."
            )
        return found


def check_score_file(file: str | Path, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written to.

    Raises
    ------
    OptionError
    """
    place = output_place(file, "score-file")
    if place.is_dir():
        raise OptionError(f"{place} is a folder, so it is not overwritten.")
    if os.path.lexists(place) and not overwrite:
        raise OptionError(f"{place} exists already. Give another name, or overwrite it knowingly.")


def write_score_file(
    path: FittedPath, alpha: float, file: str | Path, *, model: str, overwrite: bool = False
) -> ScoreFile:
    """Write the variants that a model uses at one alpha, for ``plink --score``.

    The first line names the columns: ID, A1 (the allele that is counted), and WEIGHT, or for
    several targets a weight for each. A prediction's linear part is the intercept plus the sum,
    over the variants, of the weight times the copies of the allele.

    Parameters
    ----------
    model : str
        How messages name it.

    Raises
    ------
    OptionError
        The features are no variants whose alleles are known, or the file exists.
    """
    variants = None if path.schema is None else path.schema.variants
    if variants is None:
        raise OptionError(
            f"{model}: no alleles are known of its features, expected a model of genotypes that "
            "were ingested from .bed."
        )
    check_score_file(file, overwrite=overwrite)
    coef, intercept = path.coefficients_at(alpha)
    used = np.unique(coef.indices[coef.data != 0])
    used = used[used < len(variants)].tolist()  # the others are covariates
    weights = coef[:, used].toarray().T.tolist()
    targets = [name.replace(" ", "_") for name in path.target_names]
    heads = ["WEIGHT"] if coef.shape[0] == 1 else [f"WEIGHT_{target}" for target in targets]
    final = output_place(file, "score-file")
    by_place = 0
    with written_beside(final) as partial, open(partial, "w", encoding="utf-8") as stream:
        stream.write("\t".join(["ID", "A1", *heads]) + "\n")
        for j, row in zip(used, weights, strict=True):
            name, effect = path.feature_names[j], variants.effect[j]
            place = f"{variants.chromosome[j]}:{variants.position[j]}:{variants.other[j]}:{effect}"
            by_place += name.startswith(place)
            stream.write("\t".join([name, effect, *(repr(weight) for weight in row)]) + "\n")
    beside = () if path.covariates is None else tuple(path.covariates.feature_names)
    return ScoreFile(final, len(used), by_place, tuple(intercept.tolist()), beside)
