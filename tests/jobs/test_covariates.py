"""Covariates from a table, through fit, save, predict and score: a store and its table agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import DasklassoError, DataWarning
from dasklasso.jobs.fit_stage import FitStage, PathStage
from dasklasso.jobs.predict_stage import PredictStage
from dasklasso.jobs.score_file_stage import ScoreFileStage
from dasklasso.jobs.score_stage import ScoreStage
from dasklasso.model.path import load_model

N, D = 40, 60
IDS = [f"s{i}" for i in range(N)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_plink) -> Path:
    """g.bed, its store g.zarr, covariates in another order c.csv, and a model of them."""
    folder, rng = tmp_path_factory.mktemp("covariates"), np.random.default_rng(0)
    genotypes = rng.integers(-1, 3, (N, D))
    age, sex = rng.integers(20, 80, N), rng.choice(["F", "M"], N)
    y = genotypes[:, :3] @ [1.0, -1.0, 0.5] + 0.05 * age + (sex == "M") + rng.standard_normal(N)
    write_plink(folder / "g.bed", genotypes, phenotypes=[f"{one:.6f}" for one in y])
    ingest(folder / "g.bed", folder / "g.zarr", missing="mean")
    frame = pd.DataFrame({"IID": IDS, "FID": IDS, "age": age, "sex": sex}).iloc[::-1]
    frame.to_csv(folder / "c.csv", index=False)
    frame.iloc[3:].to_csv(folder / "few.csv", index=False)
    PathStage(
        store=str(folder / "g.zarr"), covariates=str(folder / "c.csv"), out=str(folder / "model"),
        n_alphas=8, eps=0.1,
    ).run()  # fmt: skip
    return folder


def predictions(folder: Path, store: str, tmp_path: Path, **options) -> np.ndarray:
    out = str(tmp_path / "p.csv")
    alpha = str(load_model(folder / "model").alphas[5])
    stage = PredictStage(
        model=str(folder / "model"), store=str(folder / store), out=out, alpha=alpha,
        overwrite=True, **options,
    )  # fmt: skip
    stage.run()
    return pd.read_csv(out).to_numpy()[:, -1]


def test_a_model_keeps_how_covariates_were_encoded(folder):
    found = load_model(folder / "model")
    assert tuple(found.feature_names[D:]) == ("age", "sex=F", "sex=M")
    assert found.covariates.levels == {"sex": ("F", "M")}
    assert found.covariates.id == "IID"
    assert len(found.schema.feature_names) == D


def test_a_store_and_its_table_get_the_same_predictions(folder, tmp_path):
    covariates = str(folder / "c.csv")
    one = predictions(folder, "g.zarr", tmp_path, covariates=covariates)
    other = predictions(folder, "g.bed", tmp_path, covariates=covariates)
    np.testing.assert_array_equal(one, other)
    assert len(one) == N


@pytest.mark.parametrize(
    ("store", "covariates", "says"),
    [
        ("g.zarr", None, "has no features 'age', 'sex=F', 'sex=M', which"),
        ("g.bed", None, "has covariates (age, sex=F, sex=M), expected a table or a store"),
        ("g.zarr", "few.csv", "has no row for 3 of 40 rows"),
    ],
)
def test_a_model_with_covariates_needs_those_of_every_row(
    folder, tmp_path, store, covariates, says
):
    place = covariates and str(folder / covariates)
    with pytest.raises(DasklassoError) as caught:
        predictions(folder, store, tmp_path, covariates=place)
    assert says in str(caught.value)


def test_a_model_without_covariates_takes_none(folder, tmp_path):
    plain = {"store": str(folder / "g.zarr"), "out": str(tmp_path / "plain")}
    FitStage(**plain, alpha=(0.5,)).run()
    with pytest.raises(DasklassoError, match="was fitted without covariates"):
        ScoreStage(model=plain["out"], store=plain["store"], covariates=str(folder / "c.csv")).run()


def test_score_tells_what_features_explain_beyond_covariates(folder):
    model = load_model(folder / "model")
    stage = {"model": str(folder / "model"), "store": str(folder / "g.zarr")}
    found = ScoreStage(**stage, covariates=str(folder / "c.csv"), all_alphas=True).run()
    r2, beyond = (found.metrics[name][:, 0] for name in ("r2", "incremental_r2"))
    assert beyond[0] == 0.0
    np.testing.assert_allclose(beyond, r2 - r2[0])
    assert model.deviance_explained[0] == pytest.approx(r2[0], abs=1e-6)
    with pytest.warns(DataWarning, match="3 of 40 rows"):
        few = ScoreStage(
            **stage, covariates=str(folder / "few.csv"), alpha=str(model.alphas[2])
        ).run()
    assert few.n_rows == N - 3


def test_what_features_add_is_not_known_of_one_alpha(folder, tmp_path):
    place = {"store": str(folder / "g.zarr"), "covariates": str(folder / "c.csv")}
    FitStage(**place, out=str(tmp_path / "one"), alpha=(0.05,)).run()
    found = ScoreStage(**place, model=str(tmp_path / "one")).run()
    assert found.reasons()["incremental_r2"].startswith("no alpha of the path has covariates alone")


def test_what_features_add_to_penalised_covariates_is_not_known(folder, tmp_path):
    place = {"store": str(folder / "g.zarr"), "covariates": str(folder / "c.csv")}
    factors = tmp_path / "factors.csv"
    factors.write_text("feature,factor\nage,0.5\n")
    out = str(tmp_path / "penalised")
    FitStage(**place, out=out, alpha=(50.0,), penalty_factor=str(factors)).run()
    found = ScoreStage(**place, model=out).run()
    assert found.reasons()["incremental_r2"].startswith("covariates were penalised")
    assert np.isnan(found.metrics["incremental_r2"]).all()


def test_a_score_file_has_variants_alone(folder, tmp_path):
    alpha = load_model(folder / "model").alphas[5]
    out = tmp_path / "prs.tsv"
    ScoreFileStage(model=str(folder / "model"), out=str(out), alpha=str(alpha)).run()
    names = {line.split("\t")[0] for line in out.read_text().splitlines()[1:]}
    assert names
    assert names <= {f"rs{j}" for j in range(D)}
