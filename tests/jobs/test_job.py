"""A job file says what it means: keys are checked, paths are found, stages are chained."""

import re
from pathlib import Path

import pytest

from dasklasso.errors import OptionError
from dasklasso.jobs.job import load_job

WHOLE = """
[ingest]
source = "../data/table.csv"
store = "out/table.zarr"
target = "y"

[path]
n_alphas = 20
out = "out/model"

[predict]
alpha = 1
out = "out/predictions.csv"
"""


@pytest.fixture
def job(tmp_path):
    def load(text, overrides=()):
        (tmp_path / "job.toml").write_text(text)
        return load_job(tmp_path / "job.toml", overrides)

    return load


def test_stages_run_in_their_natural_order_whatever_the_file_says(job):
    swapped = '[predict]\nout = "p.csv"\n[path]\nout = "m"\n[ingest]\nsource = "s"\nstore = "t"\n'
    assert list(job(swapped).stages) == ["ingest", "path", "predict"]


def test_what_is_read_is_relative_to_the_job_and_what_is_written_to_the_current_folder(
    job, tmp_path
):
    stage = job(WHOLE).stages["ingest"]
    assert stage.source == str(tmp_path / "../data/table.csv")
    assert stage.store == "out/table.zarr"


def test_a_stage_takes_what_the_one_before_it_made(job):
    stages = job(WHOLE).stages
    assert stages["path"].store == "out/table.zarr"
    assert (stages["predict"].store, stages["predict"].model) == ("out/table.zarr", "out/model")


def test_naming_the_store_that_the_job_makes_means_that_store(job):
    text = WHOLE.replace("[path]", '[path]\nstore = "out/table.zarr"')
    assert job(text).stages["path"].store == "out/table.zarr"


def test_a_store_made_elsewhere_is_relative_to_the_job(job, tmp_path):
    stage = job('[path]\nstore = "table.zarr"\nout = "m"').stages["path"]
    assert stage.store == str(tmp_path / "table.zarr")


def test_cv_and_select_are_stages(job):
    loaded = job("[cv]\nstore='s'\nout='m'\nfolds=3\nfold_kind='contiguous'\nl1_ratios=[0.5,1]")
    assert (loaded.stages["cv"].folds, loaded.stages["cv"].l1_ratios) == (3, (0.5, 1.0))
    loaded = job("[select]\nstore='s'\nby='stability'\nfalse=0.5")
    assert (loaded.stages["select"].by, loaded.stages["select"].false) == ("stability", 0.5)


def test_a_model_is_predicted_with_whoever_made_it(job):
    for table in ("[cv]\nstore='s'", "[select]\nby='bic'\nstore='s'"):
        loaded = job(f"{table}\nout='m'\n[predict]\nstore='s'\nout='p.csv'")
        assert loaded.stages["predict"].model == "m"


def test_a_stage_may_come_several_times_and_the_first_is_what_others_take(job):
    text = """
    [[ingest]]
    source = "train.csv"
    store = "train.zarr"
    [[ingest]]
    source = "test.csv"
    store = "test.zarr"
    [path]
    out = "m"
    [score]
    store = "test.zarr"
    all_alphas = true
    table = "scores.csv"
    [picture]
    shape = "2x2"
    out = "pictures"
    """
    stages = job(text, ["ingest.2.target='y'"]).stages
    assert list(stages) == ["ingest 1", "ingest 2", "path", "score", "picture"]
    assert (stages["path"].store, stages["score"].store) == ("train.zarr", "test.zarr")
    assert (stages["picture"].model, stages["picture"].scores) == ("m", "scores.csv")
    assert (stages["ingest 1"].target, stages["ingest 2"].target) == ((), ("y",))
    with pytest.raises(OptionError, match=r"sets nothing: expected ingest.1.key=value to ingest.2"):
        job(text, ["ingest.3.target='y'"])
    with pytest.raises(OptionError, match="'path' must be a table"):
        job("[[path]]\nout = 'm'")
    with pytest.raises(OptionError, match="'score' must be a table"):
        job("score = []")


def test_a_url_stays_as_it_is(job):
    stage = job('[path]\nstore = "s3://bucket/table.zarr"\nout = "m"').stages["path"]
    assert stage.store == "s3://bucket/table.zarr"


def test_an_absolute_path_stays_as_it_is(job):
    assert job('[path]\nstore = "/srv/t.zarr"\nout = "m"').stages["path"].store == "/srv/t.zarr"


def test_one_value_stands_for_a_list_of_one(job):
    text = '[fit]\nstore = "s"\nout = "m"\nalpha = 1'
    assert job(text).stages["fit"].alpha == (1.0,)
    assert job(text + "\n").stages["fit"].alpha == (1.0,)
    assert job(text.replace("= 1", "= [1, 0.5]")).stages["fit"].alpha == (1.0, 0.5)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("path.tol=1e-8", "tol", 1e-8),
        ("path.n_alphas=5", "n_alphas", 5),
        ("path.standardize=true", "standardize", True),
        ("path.solver=fista", "solver", "fista"),
        ("path.out=elsewhere/model", "out", "elsewhere/model"),
    ],
)
def test_an_override_replaces_or_adds_a_key(job, override, key, value):
    assert getattr(job(WHOLE, [override]).stages["path"], key) == value


@pytest.mark.parametrize("override", ["path.tol", "tol=1", "path.=1", ""])
def test_an_override_that_sets_nothing_is_refused(job, override):
    with pytest.raises(OptionError, match=r"expected stage\.key=value"):
        job(WHOLE, [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[paht]\nout = 'm'", "there is no stage [paht]. The stages are ingest, fit, path, "),
        ("", "has no stage"),
        ("[path", "is not TOML"),
        ("path = 3", "'path' must be a table"),
        ("[path]\nstore='s'\nout='m'\nn_alfas=3", "[path]: there is no key 'n_alfas'. The keys"),
        ("[path]\nstore='s'\nout='m'\nalpha=3", "[path]: there is no key 'alpha'"),
        ("[path]\nout='m'", "[path]: the key 'store' is needed"),
        ("[path]\nstore='s'", "[path]: the key 'out' is needed"),
        ("[fit]\nstore='s'\nout='m'", "[fit]: the key 'alpha' is needed"),
        ("[path]\nstore='s'\nout='m'\ntol='low'", "[path]: tol is 'low', expected a number"),
        ("[path]\nstore='s'\nout='m'\nn_alphas=2.5", "n_alphas is 2.5, expected a whole number"),
        ("[path]\nstore='s'\nout='m'\npositive=1", "positive is 1, expected true or false"),
        ("[path]\nstore='s'\nout='m'\nn_alphas=true", "n_alphas is True, expected a whole number"),
        ("[path]\nstore='s'\nout='m'\nsolver='magic'", "solver is 'magic', expected one of auto"),
        ("[path]\nstore='s'\nout='m'\nloss='magic'", "loss is 'magic', expected one of squared"),
        (
            "[path]\nstore='s'\nout='m'\npenalty='magic'",
            "penalty is 'magic', expected one of elastic_net",
        ),
        ("[path]\nstore='s'\nout='m'\n[fit]\nstore='s'\nout='m'\nalpha=1", "both [fit] and [path]"),
        ("[cv]\nstore='s'\nout='m'\n[path]\nstore='s'\nout='m'", "both [path] and [cv]"),
        ("[select]\nstore='s'", "[select]: the key 'by' is needed"),
    ],
)
def test_a_job_that_cannot_be_meant_is_refused_by_file_and_key(job, text, message):
    with pytest.raises(OptionError, match=r"job\.toml.*" + re.escape(message)):
        job(text)


def test_a_job_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"none\.toml: the job cannot be read"):
        load_job(tmp_path / "none.toml")


def test_memory_may_be_a_size_or_a_number_of_bytes(job):
    assert job(WHOLE, ["path.memory=1.5GiB"]).stages["path"].memory == "1.5GiB"
    assert job(WHOLE, ["path.memory=2000000000"]).stages["path"].memory == "2000000000"


def test_every_stage_is_checked_before_the_first_one_runs(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/predictions.csv").write_text("yesterday's")
    with pytest.raises(OptionError, match=r"out/predictions\.csv exists already"):
        job(WHOLE).check()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("path.n_alphas=0", "n_alphas: 0 found"),
        ("path.eps=2", "eps: 2.0 found"),
        ("path.grouped=true", "grouped: needs loss softmax"),
        ("path.class_weight=even", "class_weight: 'even' found"),
    ],
)
def test_options_of_a_fit_are_checked_before_its_store_is_made(
    override, message, job, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=message):
        job(WHOLE, [override]).check()


def test_an_existing_store_is_refused_unless_the_stage_overwrites(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out/table.zarr").mkdir(parents=True)
    with pytest.raises(OptionError, match=r"out/table\.zarr exists already"):
        job(WHOLE).check()
    job(WHOLE, ["ingest.overwrite=true"]).check()


def test_the_jobs_of_this_repository_load():
    jobs = sorted((Path(__file__).parents[2] / "pipelines").glob("*.toml"))
    assert jobs
    for file in jobs:
        for stage in load_job(file).stages.values():
            source = getattr(stage, "source", None)
            # under out/: made by a command that the job's first lines name
            there = source is None or "/out/" in source or Path(source).exists()
            assert there, f"{file}: {source}"


def test_values_that_are_missing_may_be_numbers_or_words(job):
    text = WHOLE.replace('target = "y"', 'target = "y"\nmissing_value = [-1, 99.5, "?"]')
    assert job(text).stages["ingest"].missing_value == ("-1", "99.5", "?")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("[fit]\nalpha = " + "9" * 5_000, "is not TOML: Exceeds the limit"),
        ("[fit]\nn_alphas = 0x" + "f" * 5_000, "is no|no key|at most 63 bits"),
        ("[fit]\nstore = [[[1]]]", "expected text"),
        ("[" + "x" * 1_000 + "]", "there is no stage"),
        ("\x00", "is not TOML"),
    ],
    ids=["depth", "digits", "bits", "type", "name", "zeros"],
)
def test_a_job_that_cannot_be_read_is_one_line(tmp_path, text, message):
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(OptionError, match=rf"job.toml.*({message})") as caught:
        load_job(tmp_path / "job.toml")
    assert len(str(caught.value)) < 500


def test_a_job_that_is_not_utf8_is_one_line(tmp_path):
    (tmp_path / "job.toml").write_bytes(b'[fit]\nstore = "\xff"')
    with pytest.raises(OptionError, match=r"job.toml is not UTF-8"):
        load_job(tmp_path / "job.toml")


def test_words_that_may_be_left_out_are_checked(tmp_path):
    text = '[ingest]\nsource = "a.csv"\nstore = "s"\ntarget = "y"\nmissing = "{}"\n'
    (tmp_path / "job.toml").write_text(text.format("mean"))
    assert load_job(tmp_path / "job.toml").stages["ingest"].missing == "mean"
    (tmp_path / "job.toml").write_text(text.format("drop"))
    with pytest.raises(OptionError, match="missing is 'drop', expected one of error, mean"):
        load_job(tmp_path / "job.toml")
