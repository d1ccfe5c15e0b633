"""A month's table, without a target and without a store, through ``predict`` and ``score``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 200
    income = rng.lognormal(10, 1, n)
    grade = rng.choice(["A", "B", "C"], n)
    odds = 1.5 * np.log(income / np.exp(10)) + (grade == "C") + rng.logistic(size=n)
    frame = pd.DataFrame(
        {
            "loan_id": [f"{i:06d}" for i in range(n)],
            "income": income,
            "grade": grade,
            "years": rng.integers(0, 30, n),
            "paid": np.where(odds > 0, "yes", "no"),
        }
    )
    frame.loc[::9, "income"] = np.nan
    frame.loc[4::10, "grade"] = None
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory, frame) -> Path:
    """A folder with train.csv, its store s, a model m, and predictions of the store."""
    folder = tmp_path_factory.mktemp("month")
    frame.to_csv(folder / "train.csv", index=False)
    arguments = ["--target", "paid", "--drop", "loan_id", "--missing", "mean"]
    run("ingest", folder / "train.csv", folder / "s", *arguments)
    fit = ["--loss", "logistic", "--alpha", 0.005, "--standardize", "--no-dashboard"]
    run("fit", folder / "s", *fit, "--out", folder / "m")
    run("predict", folder / "m", folder / "s", "--out", folder / "p.parquet", "--no-dashboard")
    return folder


def test_a_month_is_scored_with_its_ids(folder, frame, tmp_path):
    month = frame.drop(columns="paid").assign(channel="web").iloc[::-1]
    month.to_parquet(tmp_path / "month.parquet", index=False)
    result = run("predict", folder / "m", tmp_path / "month.parquet", "--id", "loan_id",
                 "--out", tmp_path / "scores.parquet")  # fmt: skip
    assert result.stdout == f"200 predictions in {tmp_path / 'scores.parquet'}\n"
    assert result.stderr.count("\n") == 1
    assert "1 column is ignored, not in the model: channel" in result.stderr
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert list(scores.columns) == ["loan_id", "prediction"]
    assert scores["loan_id"].tolist() == month["loan_id"].tolist()
    stored = pd.read_parquet(folder / "p.parquet")["prediction"].to_numpy()
    assert np.array_equal(scores["prediction"].to_numpy()[::-1], stored)


@pytest.mark.parametrize("ending", ["csv", "parquet", "zarr"])
def test_every_kind_of_output_of_a_csv(folder, frame, tmp_path, ending):
    import zarr

    frame[["years", "grade", "income"]].to_csv(tmp_path / "month.csv", index=False)
    out = tmp_path / f"scores.{ending}"
    run("predict", folder / "m", tmp_path / "month.csv", "--out", out, "--proba")
    run("predict", folder / "m", folder / "s", "--out", tmp_path / "s.csv", "--proba")
    expected = pd.read_csv(tmp_path / "s.csv")["prediction"]
    if ending == "zarr":
        found = zarr.open_array(str(out), mode="r")[:]
    elif ending == "csv":
        found = pd.read_csv(out)["prediction"]
    else:
        found = pd.read_parquet(out)["prediction"]
    assert np.array_equal(np.asarray(found), expected.to_numpy())


def test_a_table_scores_as_its_store_does(folder, tmp_path):
    table = run("score", folder / "m", folder / "train.csv", "--json", "--no-dashboard")
    store = run("score", folder / "m", folder / "s", "--json", "--no-dashboard")
    found, expected = (json.loads(r.stdout.splitlines()[-1]) for r in (table, store))
    for name in ("metrics", "n_rows", "calibration"):
        assert found[name] == expected[name]
    assert found["metrics"]["auc"] > 0.6


def test_a_table_becomes_a_store_to_predict_for(folder, frame, tmp_path):
    frame[["grade", "years", "income"]].to_csv(tmp_path / "month.csv", index=False)
    ingested = run("ingest", tmp_path / "month.csv", tmp_path / "month.zarr", "--schema",
                   folder / "m")  # fmt: skip
    assert "target none" in ingested.stdout
    out = tmp_path / "p.parquet"
    run("predict", folder / "m", tmp_path / "month.zarr", "--out", out, "--no-dashboard")
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(folder / "p.parquet"))


def test_show_tells_what_a_table_must_have(folder, tmp_path):
    shown = run("show", folder / "m", "--schema", "--table", tmp_path / "t.csv").stdout
    assert "A, B, C, <missing>" in shown
    assert "left out   loan_id" in shown
    features = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert features["feature"].tolist() == [
        "income", "grade=A", "grade=B", "grade=C", "grade=<missing>", "years",
    ]  # fmt: skip
    document = json.loads(run("show", folder / "m", "--schema", "--json").stdout)["schema"]
    train = pd.read_csv(folder / "train.csv")
    [income, grade, years] = document["columns"]
    assert income["mean"] == pytest.approx(train["income"].mean(), rel=1e-14)
    assert grade == {
        "name": "grade", "type": "string", "levels": ["A", "B", "C"], "missing_level": True,
    }  # fmt: skip
    assert years["name"] == "years"
    assert document["targets"] == [{"name": "paid", "classes": ["no", "yes"]}]


def refused(*arguments):
    result = run(*arguments, exit_code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_what_a_month_lacks_or_has_too_much_of_is_one_line(folder, frame, tmp_path):
    month, out = tmp_path / "month.csv", tmp_path / "scores.csv"
    frame.drop(columns=["income", "grade"]).to_csv(month, index=False)
    assert "columns 'income', 'grade' are features" in refused(
        "predict", folder / "m", month, "--out", out
    )
    changed = frame.copy()
    changed.loc[17, "grade"] = "D"
    changed.to_csv(month, index=False)
    message = refused("predict", folder / "m", month, "--out", out)
    assert "row 17, column grade: found 'D', which is not among the 3 levels" in message
    frame.assign(years="many").to_csv(month, index=False)
    assert "column years: found 'many'" in refused("predict", folder / "m", month, "--out", out)
    assert "has no column 'id' (--id)" in refused(
        "predict", folder / "m", folder / "train.csv", "--id", "id", "--out", out
    )
    assert "--id: " in refused("predict", folder / "m", folder / "s", "--id", "id", "--out", out)
    assert "no column loan_id beside" in refused(
        "predict", folder / "m", folder / "train.csv", "--id", "loan_id",
        "--out", tmp_path / "scores.zarr"
    )  # fmt: skip
    frame.drop(columns="paid").to_csv(month, index=False)
    assert "has no column 'paid', the target of" in refused("score", folder / "m", month)
    assert "does not exist" in refused("predict", folder / "m", tmp_path / "no.csv", "--out", out)
    assert not out.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["month.csv"]


def test_new_levels_are_taken_for_none_where_that_is_asked(folder, frame, tmp_path):
    changed = frame.copy()
    changed.loc[17, "grade"] = "D"
    changed.to_csv(tmp_path / "month.csv", index=False)
    result = run("predict", folder / "m", tmp_path / "month.csv", "--unseen", "zero",
                 "--out", tmp_path / "scores.parquet")  # fmt: skip
    assert "column grade: 1 value never met in training" in result.stderr
    found = pd.read_parquet(tmp_path / "scores.parquet")["prediction"].to_numpy()
    stored = pd.read_parquet(folder / "p.parquet")["prediction"].to_numpy()
    assert np.array_equal(np.delete(found, 17), np.delete(stored, 17))


def test_a_model_of_an_older_version_says_what_it_lacks(folder, tmp_path):
    document = json.loads((folder / "m" / "model.json").read_text())
    import shutil

    shutil.copytree(folder / "m", tmp_path / "old")
    del document["schema"]
    del document["seal"], document["files"]
    (tmp_path / "old" / "model.json").write_text(json.dumps({**document, "version": 1}))
    message = refused(
        "predict", tmp_path / "old", folder / "train.csv", "--out", tmp_path / "p.csv"
    )
    assert "has no schema, so a table cannot be encoded for it" in message
    run("predict", tmp_path / "old", folder / "s", "--out", tmp_path / "p.csv", "--no-dashboard")


def test_a_job_scores_a_month(folder, frame, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame.drop(columns="paid").to_csv(tmp_path / "month.csv", index=False)
    (tmp_path / "job.toml").write_text(
        f'[predict]\nmodel = "{folder / "m"}"\nstore = "month.csv"\nid = "loan_id"\n'
        'out = "scores.csv"\n'
    )
    run("run", tmp_path / "job.toml")
    scores = pd.read_csv(tmp_path / "scores.csv", dtype={"loan_id": str})
    assert scores["loan_id"].tolist() == frame["loan_id"].tolist()


def test_what_is_read_is_never_overwritten(folder, frame, tmp_path):
    month = tmp_path / "month.parquet"
    frame.to_parquet(month, index=False)
    before = month.read_bytes()
    more = ("--overwrite", "--no-dashboard")
    for source, out in [(month, month), (tmp_path / "*.parquet", month)]:
        result = run("predict", folder / "m", source, "--out", out, *more, exit_code=2)
        assert result.stderr.count("\n") == 1
        assert "which is read" in result.stderr
    table = tmp_path / "month.csv"
    frame.to_csv(table, index=False)
    result = run("score", folder / "m", table, "--table", table, *more, exit_code=2)
    assert "which is read" in result.stderr
    assert month.read_bytes() == before
    assert len(pd.read_csv(table)) == len(frame)


def test_text_that_is_not_utf_8_is_refused_by_its_row(folder, tmp_path):
    latin = tmp_path / "latin.csv"
    good = "1,2,A,3\n" * 50_000  # by its beginning the file is UTF-8
    latin.write_bytes(f"loan_id,income,grade,years\n{good}1,2,é,3\n".encode("latin-1"))
    result = run("predict", folder / "m", latin, "--out", tmp_path / "p.csv", exit_code=2)
    assert result.stderr.count("\n") == 1
    assert "latin.csv: row 50000, column grade: found bytes that are not utf-8" in result.stderr
    assert "--encoding" in result.stderr
