"""Write synthetic genotypes as PLINK 1 has them, and a table of phenotypes.

    python pipelines/genotypes.py out/cohort --samples 1000 --variants 10000

makes out/cohort.bed, .bim, .fam, .csv and .covariates.csv, in bounded memory. The table has a
quantity, `height`, and zeros and ones, `case`: the top fifth of its liability. Age, sex and two
components, which height depends on too, are in a table of their own. Neighbouring variants are
correlated (linkage disequilibrium): each haplotype is a run of normal numbers with correlation 0.9
from one variant to the next, within blocks, cut where the allele's frequency says. 1 % of the
genotypes are missing, and 2 % of the samples are not in the table, which has them in another order;
so has the table of covariates, where 1 % are not.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

BLOCK = 50  # variants of a block
CORRELATION = 0.9
HERITABILITY = 0.5
MISSING = 0.01
NO_PHENOTYPE = 0.02
NO_COVARIATES = 0.01
PREVALENCE = 0.2  # of the cases: those of the highest liability


def haplotypes(rng: np.random.Generator, n: int, threshold: np.ndarray) -> np.ndarray:
    """(variants, n) zeros and ones: whether a haplotype has the rarer allele."""
    latent = rng.standard_normal((len(threshold), n), dtype=np.float32)
    fresh = np.float32(np.sqrt(1 - CORRELATION**2))
    for before, here in pairwise(latent):
        here *= fresh
        here += np.float32(CORRELATION) * before
    return (latent < threshold[:, None]).view(np.uint8)


def packed(copies: np.ndarray, missing: np.ndarray) -> bytes:
    """Pack genotypes (variants, n), four samples a byte, the first lowest.

    PLINK's two bits of 0, 1 and 2 copies of A1 are 3, 2 and 0, and 1 is a missing value. `missing`
    are places in the flattened genotypes.
    """
    variants, n = copies.shape
    codes = np.zeros((variants, n + -n % 4), dtype=np.uint8)
    codes[:, :n] = 3 - copies - (copies >> 1)
    rows, columns = np.divmod(missing, n)
    codes[rows, columns] = 1
    quads = codes.view("<u4")
    quads |= quads >> 6
    quads |= quads >> 12
    return quads.astype(np.uint8).tobytes()


def generate(prefix: str, samples: int, variants: int, causal: int, seed: int) -> None:
    """Write the five files."""
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    out = Path(prefix)
    out.parent.mkdir(parents=True, exist_ok=True)
    chosen = set(rng.choice(variants, min(causal, variants), replace=False).tolist())
    score = np.zeros(samples)
    with open(f"{out}.bed", "wb") as bed, open(f"{out}.bim", "w") as bim:
        bed.write(b"\x6c\x1b\x01")
        for start in range(0, variants, BLOCK):
            frequency = rng.uniform(0.005, 0.5, min(BLOCK, variants - start))
            threshold = norm.ppf(frequency).astype(np.float32)
            copies = haplotypes(rng, samples, threshold) + haplotypes(rng, samples, threshold)
            for j in range(len(copies)):
                number = start + j
                bim.write(f"{1 + number * 22 // variants}\trs{number}\t0\t{1000 + number}\tA\tG\n")
                if number in chosen:
                    effect = rng.standard_normal() / np.sqrt(2 * frequency[j] * (1 - frequency[j]))
                    score += effect * copies[j]
            missing = rng.integers(copies.size, size=rng.binomial(copies.size, MISSING))
            bed.write(packed(copies, missing))
    with open(f"{out}.fam", "w") as fam:
        fam.writelines(f"f{i} s{i} 0 0 {1 + i % 2} -9\n" for i in range(samples))
    score = (score - score.mean()) / max(score.std(), 1e-12)
    noise = rng.standard_normal(samples)
    liability = np.sqrt(HERITABILITY) * score + np.sqrt(1 - HERITABILITY) * noise
    case = liability > norm.ppf(1 - PREVALENCE)
    age, male = rng.integers(40, 70, samples), rng.integers(0, 2, samples)
    component = rng.standard_normal((2, samples))
    height = 164 + 8 * liability + 12 * male - 0.1 * (age - 55) + 2 * component[0]
    with open(f"{out}.csv", "w") as table:
        table.write("IID,height,case\n")
        for i in rng.permutation(samples)[int(NO_PHENOTYPE * samples) :].tolist():
            table.write(f"s{i},{height[i]:.3f},{case[i]:d}\n")
    with open(f"{out}.covariates.csv", "w") as table:
        table.write("IID,age,sex,component1,component2\n")
        for i in rng.permutation(samples)[int(NO_COVARIATES * samples) :].tolist():
            sex, (one, two) = "FM"[male[i]], component[:, i]
            table.write(f"s{i},{age[i]},{sex},{one:.5f},{two:.5f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write synthetic genotypes.")
    parser.add_argument("prefix", help="of the files: PREFIX.bed, .bim, .fam, .csv, ...")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--variants", type=int, default=10000)
    parser.add_argument("--causal", type=int, default=50, help="variants with an effect")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    generate(asked.prefix, asked.samples, asked.variants, asked.causal, asked.seed)
