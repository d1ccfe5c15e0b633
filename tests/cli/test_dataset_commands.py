"""ingest, generate, info and verify, as somebody at a terminal meets them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.dataset import open_dataset

DATA = Path(__file__).parents[2] / "data"


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory):
    store = tmp_path_factory.mktemp("stores") / "diabetes.zarr"
    result = run("ingest", DATA / "diabetes.csv", store, "--target", "target")
    assert result.exit_code == 0, result.stderr
    return store


@pytest.fixture
def generated(tmp_path):
    store = tmp_path / "tall.zarr"
    sizes = ["--rows", 300, "--features", 25, "--chunk-rows", 100]
    assert run("generate", "tall", store, *sizes).exit_code == 0
    return store


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("diabetes.csv", ["--target", "target"], (442, 10)),
        ("diabetes.parquet", ["--target", "target"], (442, 10)),
        ("breast_cancer.csv", ["--target", "benign"], (569, 30)),
        ("digits.npz", [], (1797, 64)),
    ],
)
def test_every_data_set_of_the_repository_is_ingested(tmp_path, name, options, shape):
    result = run("ingest", DATA / name, tmp_path / "s.zarr", *options)
    assert result.exit_code == 0, result.stderr
    data = open_dataset(tmp_path / "s.zarr")
    assert data.X.shape == shape
    assert data.y_is_vector


def test_the_same_table_as_csv_and_parquet_gives_the_same_data(tmp_path, diabetes):
    run("ingest", DATA / "diabetes.parquet", tmp_path / "p.zarr", "--target", "target")
    arrays = [zarr.open_array(str(s / "X"), mode="r")[:] for s in (diabetes, tmp_path / "p.zarr")]
    np.testing.assert_array_equal(*arrays)


def test_ingest_reports_rows_features_and_the_codec_it_chose(tmp_path):
    store = tmp_path / "s.zarr"
    result = run("ingest", DATA / "diabetes.csv", store, "--target", "target")
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["rows"].startswith("442 in ")
    assert lines["features"] == "10, target target"
    assert "measured: " in lines["codec"]
    assert lines["store"].startswith(str(store))


def test_ingest_says_what_deserves_a_look_on_standard_error(tmp_path):
    result = run("ingest", DATA / "digits.npz", tmp_path / "s.zarr")
    assert result.stderr.startswith("Warning: 3 of 64 columns have the same value")


def test_a_quiet_ingest_says_nothing_of_what_it_filled_as_asked(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,3\n,5,7\n3,4,1\n")
    arguments = ["ingest", tmp_path / "t.csv", tmp_path / "s.zarr", "--target", "y"]
    arguments += ["--missing", "mean", "--overwrite"]
    assert run(*arguments).stderr.startswith("Note: 1 missing values in 1 of 2 columns")
    assert run(*arguments, "--quiet").stderr == ""


def test_a_quiet_ingest_still_warns(tmp_path):
    result = run("ingest", DATA / "digits.npz", tmp_path / "s.zarr", "--quiet")
    assert result.stderr.startswith("Warning: 3 of 64 columns have the same value")


def test_ingest_drops_columns_and_takes_weights(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,w,y\n1,2,1,3\n4,5,2,7\n")
    options = ["--target", "y", "--weight", "w", "--drop", "b"]
    assert run("ingest", tmp_path / "t.csv", tmp_path / "s.zarr", *options).exit_code == 0
    data = open_dataset(tmp_path / "s.zarr")
    assert tuple(data.feature_names) == ("a",)
    assert data.sample_weight.block(0, 0).ravel().tolist() == [1.0, 2.0]


def test_two_targets_make_y_a_table(tmp_path):
    (tmp_path / "t.csv").write_text("a,u,v\n1,2,1\n4,5,2\n")
    options = ["--target", "u", "--target", "v"]
    assert run("ingest", tmp_path / "t.csv", tmp_path / "s.zarr", *options).exit_code == 0
    assert tuple(open_dataset(tmp_path / "s.zarr").target_names) == ("u", "v")


def test_missing_values_are_an_error_that_names_row_and_column_unless_filled(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,2\n,5\n3,4\n")
    arguments = [tmp_path / "t.csv", tmp_path / "s.zarr", "--target", "y"]
    refused = run("ingest", *arguments)
    assert refused.exit_code == 2
    assert "t.csv" in refused.stderr
    assert "a" in refused.stderr
    assert not (tmp_path / "s.zarr").exists()
    filled = run("ingest", *arguments, "--missing", "mean")
    assert filled.exit_code == 0
    assert "1 missing values" in filled.stderr


def test_an_existing_store_is_kept_unless_told(tmp_path, diabetes):
    again = [DATA / "diabetes.csv", diabetes, "--target", "target"]
    refused = run("ingest", *again)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    assert run("ingest", *again, "--overwrite").exit_code == 0


def test_an_unknown_target_exits_2(tmp_path):
    result = run("ingest", DATA / "diabetes.csv", tmp_path / "s.zarr", "--target", "outcome")
    assert result.exit_code == 2
    assert "outcome" in result.stderr


def test_generate_writes_the_same_data_for_the_same_seed(tmp_path):
    fingerprints = []
    for number, seed in enumerate([1, 1, 2]):
        store = tmp_path / f"{number}.zarr"
        run("generate", "sparse", store, "--rows", 50, "--features", 5, "--seed", seed)
        fingerprints.append(open_dataset(store).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_info_shows_shape_chunks_sizes_and_origin(generated):
    result = run("info", generated)
    facts = {}
    for line in result.stdout.splitlines():
        name, _, value = line.partition(" ")
        facts.setdefault(name, value.strip())
    assert facts["shape"] == "300 rows x 25 features, float32"
    assert facts["chunks"] == "3 (3 x 1) of 100 x 25"
    assert facts["codec"] == "none, crc32c"
    assert facts["decoded"] == "29.3 KiB"
    assert facts["stored"] == "29.3 KiB, ratio 1.00"
    assert facts["target"] == "y"
    assert facts["fingerprint"] == open_dataset(generated).fingerprint
    assert facts["source"] == "dasklasso generate tall"


def test_info_shows_the_statistics_of_each_column(diabetes):
    X = zarr.open_array(str(diabetes / "X"), mode="r")[:].astype(float)
    rows = [line.split() for line in run("info", diabetes).stdout.splitlines()]
    bmi = next(row for row in rows if row[1:2] == ["bmi"])
    expected = [X[:, 2].mean(), X[:, 2].std(), X[:, 2].min(), X[:, 2].max(), 0]
    np.testing.assert_allclose([float(cell) for cell in bmi[2:]], expected, rtol=1e-5)


def test_info_shows_20_columns_and_all_of_them_when_asked(generated):
    first, everything = run("info", generated).stdout, run("info", generated, "--all").stdout
    assert " x19 " in first
    assert " x20 " not in first
    assert "5 more columns: --all shows them." in first
    assert " x24 " in everything


def test_info_names_the_compressor(tmp_path):
    sizes = ["--rows", 50, "--features", 5]
    run("generate", "tall", tmp_path / "s.zarr", *sizes, "--codec", "zstd")
    assert "codec        zstd, crc32c\n" in run("info", tmp_path / "s.zarr").stdout


def test_info_opens_a_store_that_somebody_else_wrote(tmp_path):
    group = zarr.create_group(str(tmp_path / "s.zarr"), zarr_format=2)
    group.create_array("X", data=np.ones((6, 2)), chunks=(3, 2))
    group.create_array("y", data=np.arange(6.0))
    result = run("info", tmp_path / "s.zarr")
    assert result.exit_code == 0, result.stderr
    assert "6 rows x 2 features, float64" in result.stdout
    assert "not ingested by dasklasso" in result.stdout


def test_info_says_that_chunks_are_missing(generated):
    (generated / "X/c/1/0").unlink()
    assert "stored       1 chunks are missing" in run("info", generated).stdout


def test_info_imports_no_dask(diabetes):
    code = (
        "import sys; from dasklasso.cli import main\n"
        "try: main(['info', sys.argv[1]])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'dask', 'distributed', 'scipy', 'pandas', 'pyarrow', 'sklearn', 'numba'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(diabetes)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_verify_finds_a_whole_store_whole(diabetes):
    result = run("verify", diabetes)
    assert result.exit_code == 0
    assert "is whole: X, y; 2 chunks" in result.stdout


def test_verify_lists_each_fault_and_exits_2(generated):
    (generated / "X/c/1/0").unlink()
    chunk = generated / "X/c/2/0"
    data = bytearray(chunk.read_bytes())
    data[100] ^= 1
    chunk.write_bytes(data)
    result = run("verify", generated)
    assert result.exit_code == 2
    faults = [line.split() for line in result.stdout.splitlines() if line.startswith(" X ")]
    assert [fault[:3] for fault in faults] == [
        ["X", "c/1/0", "100-199"],
        ["X", "c/2/0", "200-299"],
    ]
    assert "2 faults" in result.stderr
