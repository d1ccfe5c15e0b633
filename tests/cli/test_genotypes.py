"""From .bed and a table of phenotypes to a score file whose sum is the prediction."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.model.path import load_model

N, D = 60, 12


def run(*arguments: Any, fails: bool = False) -> Any:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == (2 if fails else 0), result.stderr
    return result


@dataclass(frozen=True)
class Cohort:
    folder: Path
    bed: Path
    genotypes: np.ndarray
    used: np.ndarray  # samples with a phenotype
    ingested: Any

    @property
    def model(self) -> Path:
        return self.folder / "model"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory, write_plink: Callable[..., Path]) -> Cohort:
    """Sixty samples with 12 variants, two of them without an id; five have no phenotype."""
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(2)
    genotypes = rng.integers(0, 3, (N, D))
    bim = [f"3\t{'.' if j < 2 else f'rs{j}'}\t0\t{100 * j}\t{'ACGT'[j % 4]}\t{'TGCA'[j % 4]}"
           for j in range(D)]  # fmt: skip
    bed = write_plink(folder / "cohort.bed", genotypes, bim=bim)
    height = 170 + genotypes[:, 0] * 3.0 - genotypes[:, 5] * 2.0 + rng.normal(size=N)
    used = np.delete(np.arange(N), [3, 9, 20, 21, 59])
    table = pd.DataFrame({"IID": [f"s{i}" for i in used], "height": height[used], "other": 1.0})
    table.sample(frac=1, random_state=1).to_csv(folder / "pheno.csv", index=False)
    ingested = run(
        "ingest", bed, folder / "store", "--targets", folder / "pheno.csv", "--id", "IID",
        "--target", "height", "--min-maf", "0.05",
    )  # fmt: skip
    run("fit", folder / "store", "--alpha", "0.3", "--out", folder / "model", "--no-dashboard")
    return Cohort(folder, bed, genotypes, used, ingested)


def summed(score: pd.DataFrame, genotypes: np.ndarray, bim: Path) -> np.ndarray:
    """What ``plink --score ... sum`` computes, from the .bim file and copies of A1."""
    variants = pd.read_csv(bim, sep=r"\s+", names=["chrom", "id", "cm", "pos", "a1", "a2"])
    place = [f"{v.chrom}:{v.pos}:{v.a2}:{v.a1}" for v in variants.itertuples()]
    by_name = {
        name if name != "." else at: j
        for j, (name, at) in enumerate(zip(variants.id, place, strict=True))
    }
    total = np.zeros(len(genotypes))
    for row in score.itertuples():
        j = by_name[row.ID]
        copies = genotypes[:, j] if variants.a1[j] == row.A1 else 2 - genotypes[:, j]
        total += row.WEIGHT * copies
    return total


def test_the_sum_of_the_score_file_is_the_prediction_without_the_intercept(cohort: Cohort) -> None:
    file = cohort.folder / "prs.tsv"
    shown = run("show", cohort.model, "--score-file", file)
    score = pd.read_csv(file, sep="\t")
    assert list(score.columns) == ["ID", "A1", "WEIGHT"]
    assert "3:0:T:A" in set(score.ID)
    assert f"{len(score)} variants in {file}: plink --score {file} 1 2 3 header sum" in shown.stderr
    assert "no id of their own" in shown.stderr
    run("predict", cohort.model, cohort.folder / "store", "--out", cohort.folder / "p.csv")
    predicted = pd.read_csv(cohort.folder / "p.csv").iloc[:, -1].to_numpy()
    path = load_model(cohort.model)
    sums = summed(score, cohort.genotypes[cohort.used], cohort.bed.with_suffix(".bim"))
    np.testing.assert_allclose(sums + path.intercept[0], predicted, rtol=0, atol=1e-4)
    assert np.ptp(predicted) > 1  # a score that tells samples apart
    assert np.count_nonzero(path.coef) == len(score)


def test_the_largest_variants_are_shown_with_their_position(cohort: Cohort) -> None:
    table = cohort.folder / "features.csv"
    shown = run("show", cohort.model, "--table", table)
    rows = pd.read_csv(table, dtype={"chromosome": str})
    assert rows.columns.tolist()[:4] == ["feature", "chromosome", "position", "effect_allele"]
    assert rows.iloc[0].isna()[["chromosome", "position", "effect_allele"]].all()  # the intercept
    assert rows.iloc[1, :4].tolist() == ["3:0:T:A", "3", 0, "A"]
    assert "effect allele" in shown.stdout


def test_ingest_says_how_many_samples_and_variants_are_left_out(cohort: Cohort) -> None:
    assert f"5 of 60 rows of {cohort.bed} are left out" in cohort.ingested.stderr
    assert "0 of 12 variants are left out" in cohort.ingested.stderr


def test_a_cohort_is_predicted_for_by_its_alleles(
    cohort: Cohort, tmp_path: Path, write_plink: Callable[..., Path]
) -> None:
    lines = [line.split() for line in cohort.bed.with_suffix(".bim").read_text().splitlines()]
    turned = cohort.genotypes.copy()
    turned[:, 5] = 2 - turned[:, 5]
    lines[5][4:] = lines[5][:3:-1]
    bed = write_plink(tmp_path / "t.bed", turned, bim=["\t".join(line) for line in lines])
    for place, out in ((cohort.bed, "a.csv"), (bed, "b.csv")):
        run("predict", cohort.model, place, "--id", "IID", "--out", tmp_path / out)
    first, second = (pd.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert first.IID.tolist() == [f"s{i}" for i in range(N)]
    pd.testing.assert_frame_equal(first, second)


def test_the_job_of_the_repository_goes_from_genotypes_to_a_score_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipelines = Path(__file__).parents[2] / "pipelines"
    spec = importlib.util.spec_from_file_location("genotypes", pipelines / "genotypes.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()
    shutil.copy(pipelines / "genotypes.toml", tmp_path / "jobs")
    generator.generate("out/cohort", 101, 60, causal=5, seed=0)
    fewer = ("--set", "ingest.min_maf=0.2", "--set", "path.n_alphas=3")
    result = run("run", "jobs/genotypes.toml", *fewer)
    assert "rows      99 in" in result.stdout
    assert "2 with no row in" in result.stderr
    score = pd.read_csv("out/genotypes/score.tsv", sep="\t")
    model = load_model("out/genotypes/model")
    n_variants = model.n_features - model.n_covariates
    assert tuple(model.feature_names[n_variants:])[:2] == ("age", "sex=F")
    coef = model.coefficients_at(1.0)[0].toarray()[0]
    assert coef[n_variants] != 0
    weights = dict(zip(model.feature_names[:n_variants], coef[:n_variants], strict=True))
    assert dict(zip(score.ID, score.WEIGHT, strict=True)) == {
        name: weight for name, weight in weights.items() if weight
    }
    assert len(score) > 0
    frequency = 1 - model.schema.means / 2  # of G; A is rarer but for chance
    assert (np.minimum(frequency, 1 - frequency) > 0.19).all()


def test_score_files_are_of_genotypes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,3\n2,1,5\n4,4,1\n")
    run("ingest", tmp_path / "t.csv", tmp_path / "s", "--target", "y")
    run("fit", tmp_path / "s", "--alpha", "0.1", "--out", tmp_path / "m", "--no-dashboard")
    result = run("show", tmp_path / "m", "--score-file", tmp_path / "prs.tsv", fails=True)
    assert "no alleles are known of its features" in result.stderr
    assert not (tmp_path / "prs.tsv").exists()


def test_info_shows_genotypes_as_they_are_stored(tmp_path: Path, write_plink: Any) -> None:
    genotypes = np.array([[0, 1, -1], [2, 1, 0], [1, -1, 2], [0, 2, 1]])
    run("ingest", write_plink(tmp_path / "g.bed", genotypes), tmp_path / "g", "--missing", "mean")
    said = run("info", tmp_path / "g").stdout
    assert "4 rows x 3 features, uint8" in said
    assert "decoded      12 B" in said


def test_a_score_file_is_not_overwritten_unless_told(cohort: Cohort, tmp_path: Path) -> None:
    file = tmp_path / "prs.tsv"
    file.write_text("mine")
    result = run("show", cohort.model, "--score-file", file, fails=True)
    assert "exists already" in result.stderr
    assert file.read_text() == "mine"
    run("show", cohort.model, "--score-file", file, "--overwrite")
    assert file.read_text().startswith("ID\tA1\tWEIGHT\n")


@pytest.mark.parametrize("option", [("--targets", "pheno.csv"), ("--min-maf", "0.1")])
def test_a_dry_run_does_not_pass_over_what_it_cannot_look_at(
    cohort: Cohort, option: tuple[str, str]
) -> None:
    result = run("ingest", cohort.bed, "--dry-run", *option, fails=True)
    assert f"expected no {option[0]}" in result.stderr
