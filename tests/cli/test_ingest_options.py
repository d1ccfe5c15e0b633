"""How ingest says what it read, what it would make of a table, and what it will not guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from click.testing import CliRunner, Result

from dasklasso.cli import main
from dasklasso.cli.dry_run import MOST_COLUMNS
from dasklasso.cli.schema import print_schema
from dasklasso.dataset.dataset import open_dataset
from dasklasso.errors import OptionError
from dasklasso.jobs.job import load_job

GERMAN = "datum;betrag;art;y\n" + "".join(
    f"0{1 + i % 9}.01.1970;{i},5;{'ab'[i % 2]};{i}\n" for i in range(20)
)
OPTIONS = ["--target", "y", "--decimal", ",", "--date", "datum=days:%d.%m.%Y"]


def run(*arguments: Any, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def german(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(GERMAN)
    return tmp_path / "t.csv"


def test_a_table_is_refused_in_one_line_with_every_option_that_it_needs(
    tmp_path: Path, german: Path
) -> None:
    result = run("ingest", german, tmp_path / "s", "--target", "y", exit_code=2)
    assert result.stderr.count("\n") == 1
    assert "--decimal , reads it" in result.stderr
    assert "--date datum=days:%d.%m.%Y reads it" in result.stderr


def test_options_read_a_table_and_what_is_unusual_of_the_file_is_printed(
    tmp_path: Path, german: Path
) -> None:
    result = run("ingest", german, tmp_path / "s", *OPTIONS)
    assert 'read as   separator ;, encoding UTF-8, quote ", line ends LF\n' in result.stdout
    X = zarr.open_group(tmp_path / "s", mode="r")["X"]
    np.testing.assert_array_equal(X[:2], [[0, 0.5, 1, 0], [1, 1.5, 0, 1]])


def test_a_schema_says_how_texts_are_read(
    tmp_path: Path, german: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("ingest", german, tmp_path / "s", *OPTIONS)
    schema = open_dataset(tmp_path / "s").schema
    assert schema is not None
    print_schema(schema, None)
    assert "texts      --decimal ,, --date datum=days:%d.%m.%Y\n" in capsys.readouterr().out


def test_of_a_usual_file_nothing_more_is_printed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{i},{i % 3},{i}\n" for i in range(9)))
    result = run("ingest", tmp_path / "t.csv", tmp_path / "s", "--target", "y", "--quiet")
    lines = [line.split()[0] for line in result.stdout.splitlines()]
    assert lines == ["rows", "features", "codec", "store"]
    assert not result.stderr


def test_a_dry_run_makes_no_store_and_its_schema_is_followed(tmp_path: Path, german: Path) -> None:
    file = tmp_path / "s.toml"
    result = run("ingest", german, "--dry-run", *OPTIONS, "--schema-out", file)
    assert "20 rows" in result.stdout
    assert "days since 1970-01-01" in result.stdout
    assert sorted(tmp_path.iterdir()) == [file, german]
    run("ingest", german, tmp_path / "s", "--schema", file)
    run("ingest", german, tmp_path / "d", *OPTIONS)
    stores = [zarr.open_group(tmp_path / name, mode="r")["X"][...] for name in "sd"]
    np.testing.assert_array_equal(*stores)


def test_a_dry_run_of_a_wide_table_prints_some_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((5, MOST_COLUMNS + 30)))
    result = run("ingest", tmp_path / "X.npy", "--dry-run")
    assert "... 30 more columns: --schema-out FILE has all." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["t.csv", "s", "--schema-out", "s.toml"], "--schema-out is of --dry-run."),
        (["t.csv"], "Missing argument 'STORE'."),
        (["t.csv", "--dry-run", "--schema-out", "s.txt"], "expected .toml or .json."),
        (["t.csv", "--dry-run", "--schema-out", "there.toml"], "there.toml exists already."),
        (["t.csv", "s", "--schema", "there.toml", "--target", "y"],
         "--target: there.toml says what the columns are"),
        (["t.csv", "s", "--schema", "there.toml"], "there.toml: columns are None, expected tables"),
        (["t.csv", "s", "--schema", "gone.toml"], "gone.toml: the schema cannot be read"),
        (["t.csv", "s", "--target", "y", "--thousands", "."], "is the decimal mark"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_exit_with_2(
    german: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(german.parent)
    Path("there.toml").touch()
    assert message in run("ingest", *arguments, exit_code=2).stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a\0,y\n1,2\n", "the header has a NUL byte"),
        ("t.csv", b"a,y\n1,9007199254740993\n", "found 9007199254740993"),
        ("t.svm", b"1 2000000000:1\n", "has the index 2000000000, expected at most"),
    ],
)
def test_hostile_files_exit_with_2_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    target = ["--target", "y"]
    result = run("ingest", tmp_path / name, tmp_path / "s", *target, exit_code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_jobs_have_the_same_options(
    tmp_path: Path, german: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = tmp_path / "job.toml"
    job.write_text(
        '[ingest]\nsource = "t.csv"\nstore = "out"\ntarget = "y"\ndecimal = ","\n'
        'date = "datum=days:%d.%m.%Y"\nnull = ["?", -9]\n'
    )
    [stage] = load_job(job).stages.values()
    assert stage.run().manifest.feature_names == ("datum", "betrag", "art=a", "art=b")  # type: ignore[union-attr,call-arg]
    job.write_text('[ingest]\nsource = "t.csv"\nstore = "out"\nthousands = "x"\n')
    with pytest.raises(OptionError, match="--thousands 'x'"):
        load_job(job).check()
