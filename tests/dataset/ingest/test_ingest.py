"""Whatever the format, the store holds the table's values under the table's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from sklearn.datasets import dump_svmlight_file

from dasklasso.dataset.ingest.ingest import IngestReport, ingest
from dasklasso.errors import OptionError

N = 300


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(0, 90, N),
            "height": rng.normal(170, 10, N),
            "colour": rng.choice(["red", "green", "blue"], N),
            "smoker": rng.random(N) > 0.5,
            "price": rng.normal(size=N),
            "importance": rng.random(N),
            "group": np.arange(N) % 5,
        }
    )


@pytest.fixture
def X() -> np.ndarray:  # noqa: N802
    return np.random.default_rng(1).standard_normal((N, 4))


def stored(path: Path) -> dict[str, np.ndarray]:
    return {name: array[...] for name, array in zarr.open_group(path, mode="r").arrays()}


def expected_features(frame: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray]:
    one_hot = {f"colour={c}": frame.colour == c for c in ("blue", "green", "red")}
    columns = {"age": frame.age, "height": frame.height, **one_hot, "smoker": frame.smoker}
    values = np.column_stack([np.asarray(v, dtype=np.float64) for v in columns.values()])
    return tuple(columns), values.astype(np.float32)


# -- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz", "csv.bz2", "tsv"])
def test_a_table_keeps_its_values_and_names(
    tmp_path: Path, frame: pd.DataFrame, ending: str
) -> None:
    source = tmp_path / f"table.{ending}"
    if ending == "parquet":
        frame.to_parquet(source)
    else:
        frame.to_csv(source, index=False, sep="\t" if ending == "tsv" else ",")
    report = ingest(source, tmp_path / "s", target="price", weight="importance", fold="group")
    names, values = expected_features(frame)
    found = stored(tmp_path / "s")
    assert report.manifest.feature_names == names
    assert report.manifest.target_names == ("price",)
    np.testing.assert_array_equal(found["X"], values)
    assert found["X"].dtype == np.float32
    np.testing.assert_array_equal(found["y"], frame.price)
    np.testing.assert_array_equal(found["sample_weight"], frame.importance)
    np.testing.assert_array_equal(found["fold"], frame.group)


def test_the_same_table_has_one_fingerprint_in_every_format(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    prints = {
        ingest(tmp_path / f"t.{e}", tmp_path / e, target="price").manifest.fingerprint
        for e in ("parquet", "csv")
    }
    assert len(prints) == 1


@pytest.mark.parametrize("pattern", ["many", "many/*.parquet", "many/**/*.parquet"])
def test_a_folder_or_pattern_is_one_table_in_order_of_names(
    tmp_path: Path, frame: pd.DataFrame, pattern: str
) -> None:
    (tmp_path / "many").mkdir()
    for k, start in enumerate(range(0, N, 100)):
        frame.iloc[start : start + 100].to_parquet(tmp_path / "many" / f"part-{k}.parquet")
    (tmp_path / "many" / "_SUCCESS").touch()
    report = ingest(tmp_path / pattern, tmp_path / "s", target="price")
    assert report.n_rows == N
    np.testing.assert_array_equal(stored(tmp_path / "s")["y"], frame.price)


def test_partition_folders_become_columns(tmp_path: Path, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame[["height", "price", "colour", "group"]])
    pq.write_to_dataset(table, tmp_path / "t", partition_cols=["colour", "group"])
    report = ingest(tmp_path / "t", tmp_path / "s", target="price", fold="group")
    found = stored(tmp_path / "s")
    assert report.manifest.feature_names == ("height", "colour=blue", "colour=green", "colour=red")
    order = frame.assign(height=frame.height.astype(np.float32)).sort_values(
        ["colour", "group"], kind="stable"
    )
    np.testing.assert_array_equal(found["X"][:, 0], order.height)
    np.testing.assert_array_equal(found["X"][:, 3], order.colour == "red")
    np.testing.assert_array_equal(found["fold"], order.group)


def test_columns_are_left_out_on_request(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame["day"] = pd.Timestamp("2020-01-01")
    frame.to_parquet(tmp_path / "t.parquet")
    drop = ["day", "colour", "group", "importance"]
    report = ingest(tmp_path / "t.parquet", tmp_path / "s", target="price", drop=drop)
    assert report.manifest.feature_names == ("age", "height", "smoker")
    assert report.manifest.schema.dropped == tuple(drop)


def test_several_targets_are_kept_together(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    report = ingest(tmp_path / "t.parquet", tmp_path / "s", target=["price", "height"])
    assert report.manifest.target_names == ("price", "height")
    np.testing.assert_array_equal(stored(tmp_path / "s")["y"], frame[["price", "height"]])


def test_integers_may_turn_to_decimals_late_in_a_csv(tmp_path: Path) -> None:
    rows = 200_000  # beyond what the types are told from
    body = "1,2\n" * rows + "3,4.5\n"
    (tmp_path / "t.csv").write_text("a,y\n" + body)
    ingest(tmp_path / "t.csv", tmp_path / "s", target="y")
    assert stored(tmp_path / "s")["y"][-1] == 4.5


def test_a_csv_with_semicolons_a_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    text = '\ufeff"a";"b, or c";y\r\n1;"x\ny";2\r\n3;z;4\r\n'
    (tmp_path / "t.csv").write_bytes(text.encode())
    report = ingest(tmp_path / "t.csv", tmp_path / "s", target="y")
    assert report.manifest.feature_names == ("a", "b, or c=x\ny", "b, or c=z")
    np.testing.assert_array_equal(stored(tmp_path / "s")["X"], [[1, 1, 0], [3, 0, 1]])


# -- arrays -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_with_its_target_in_another_file(tmp_path: Path, X: np.ndarray, order: Any) -> None:
    np.save(tmp_path / "data.npy", np.asarray(X, order=order))
    np.save(tmp_path / "price.npy", X[:, 0] > 0)
    report = ingest(tmp_path / "data.npy", tmp_path / "s", target="price.npy")
    found = stored(tmp_path / "s")
    assert report.manifest.feature_names == ("x0", "x1", "x2", "x3")
    assert report.manifest.target_names == ("price",)
    np.testing.assert_array_equal(found["X"], X.astype(np.float32))
    np.testing.assert_array_equal(found["y"], X[:, 0] > 0)


@pytest.mark.parametrize("target", ["x2", "2"])
def test_the_target_may_be_a_column_number(tmp_path: Path, X: np.ndarray, target: str) -> None:
    np.save(tmp_path / "data.npy", X)
    report = ingest(tmp_path / "data.npy", tmp_path / "s", target=target, drop=["0"])
    assert report.manifest.feature_names == ("x1", "x3")
    np.testing.assert_array_equal(stored(tmp_path / "s")["y"], X[:, 2])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_has_x_and_y_inside(tmp_path: Path, X: np.ndarray, save: Any, order: Any) -> None:
    save(tmp_path / "d.npz", data=np.asarray(X, order=order), target=X[:, :2], w=X[:, 1] ** 2)
    report = ingest(tmp_path / "d.npz", tmp_path / "s", weight="w")
    found = stored(tmp_path / "s")
    assert report.manifest.target_names == ("target0", "target1")
    np.testing.assert_array_equal(found["X"], X.astype(np.float32))
    np.testing.assert_array_equal(found["y"], X[:, :2])
    np.testing.assert_array_equal(found["sample_weight"], X[:, 1] ** 2)


def test_npz_arrays_are_chosen_by_name(tmp_path: Path, X: np.ndarray) -> None:
    np.savez(tmp_path / "d.npz", X=X[:5], train=X, labels=X[:, 0], other=X[:, 1])
    ingest(tmp_path / "d.npz", tmp_path / "s", dataset_path="train", target="npz:other")
    np.testing.assert_array_equal(stored(tmp_path / "s")["y"], X[:, 1])


def test_hdf5_datasets_by_default_and_by_path(tmp_path: Path, X: np.ndarray) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["X"], file["y"] = X, X[:, 0]
        file["deep/matrix"], file["deep/class"] = -X, np.array([b"no", b"yes"] * (N // 2))
    ingest(tmp_path / "d.h5", tmp_path / "a")
    np.testing.assert_array_equal(stored(tmp_path / "a")["y"], X[:, 0])
    report = ingest(
        tmp_path / "d.h5", tmp_path / "b", dataset_path="/deep/matrix", target="/deep/class"
    )
    np.testing.assert_array_equal(stored(tmp_path / "b")["X"], -X.astype(np.float32))
    np.testing.assert_array_equal(stored(tmp_path / "b")["y"], np.arange(N) % 2)
    assert report.manifest.target_classes == (("no", "yes"),)


@pytest.mark.parametrize("zero_based", [True, False])
def test_svmlight_rows_become_dense(tmp_path: Path, X: np.ndarray, zero_based: bool) -> None:
    X = np.where(np.abs(X) > 1, X, 0.0)
    X[0] = 1  # so that index 0 occurs
    dump_svmlight_file(X, X[:, 1], str(tmp_path / "d.svm"), zero_based=zero_based)
    report = ingest(tmp_path / "d.svm", tmp_path / "s")
    found = stored(tmp_path / "s")
    np.testing.assert_allclose(found["X"], X, rtol=1e-6)
    np.testing.assert_allclose(found["y"], X[:, 1])
    assert report.manifest.target_names == ("y",)


# -- small types ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "bool"])
def test_small_integers_stay_small(tmp_path: Path, dtype: str) -> None:
    X = np.random.default_rng(0).integers(0, 2, (N, 3)).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", np.arange(N))
    ingest(tmp_path / "X.npy", tmp_path / "s", target="y.npy")
    found = stored(tmp_path / "s")["X"]
    assert found.dtype == ("uint8" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(found, X)


def test_mixed_small_integers_share_the_smallest_common_type(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "a": np.arange(N).astype(np.uint8),
            "b": (np.arange(N) - 100).astype(np.int16),
            "c": np.arange(N) > 5,
            "d": np.arange(N) * 7,  # int64, but the footer says that it is small
            "e": np.where(np.arange(N) % 2, "p", "q"),
            "y": np.arange(N) / 2,
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    report = ingest(tmp_path / "t.parquet", tmp_path / "s", target="y")
    found = stored(tmp_path / "s")["X"]
    assert found.dtype == np.int16
    assert report.manifest.feature_names == ("a", "b", "c", "d", "e=p", "e=q")
    np.testing.assert_array_equal(found[:, 3], frame.d)


def test_large_integers_become_floats(tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(N) * 10**9, "y": np.arange(N)}).to_parquet(tmp_path / "t.parquet")
    ingest(tmp_path / "t.parquet", tmp_path / "s", target="y", dtype="float64")
    found = stored(tmp_path / "s")["X"]
    assert found.dtype == np.float64
    assert found[-1, 0] == (N - 1) * 1e9


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_the_type_asked_for_is_kept(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "X.npy", np.arange(60.0).reshape(20, 3))
    ingest(tmp_path / "X.npy", tmp_path / "s", target="x0", dtype=dtype)
    found = stored(tmp_path / "s")["X"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.arange(60).reshape(20, 3)[:, 1:])


# -- categories and missing values ------------------------------------------------------------


def test_text_targets_become_classes_in_sorted_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(6), "y": ["no", "yes", "maybe"] * 2})
    frame.to_csv(tmp_path / "t.csv", index=False)
    report = ingest(tmp_path / "t.csv", tmp_path / "s", target="y")
    assert stored(tmp_path / "s")["y"].tolist() == [1, 2, 0, 1, 2, 0]
    assert report.manifest.target_classes == (("maybe", "no", "yes"),)


def test_pandas_categories_become_one_hot(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": pd.Categorical([3, 1, 3, 1]), "y": [1.0, 2, 3, 4]})
    frame.to_parquet(tmp_path / "t.parquet")
    report = ingest(tmp_path / "t.parquet", tmp_path / "s", target="y")
    assert report.manifest.feature_names == ("c=1", "c=3")
    assert stored(tmp_path / "s")["X"].tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_missing_values_are_filled_with_the_mean_and_counted(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame(
        {
            "a": [1e8 + 1, None, 1e8 + 3, None],
            "b": [1.0, 2, 3, 4],
            "c": ["u", "v", None, "u"],
            "y": [1.0, 2, 3, 5],
        }
    )
    path = tmp_path / f"t.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_csv(path, index=False)
    report = ingest(path, tmp_path / "s", target="y", missing="mean", dtype="float64")
    X = stored(tmp_path / "s")["X"]
    assert X[:, 0].tolist() == [1e8 + 1, 1e8 + 2, 1e8 + 3, 1e8 + 2]
    assert report.manifest.statistics.missing.tolist() == [2, 0, 0, 0, 0]
    assert any("2 missing values in 1 of 5 columns were filled" in note for note in report.notes)
    assert report.manifest.schema.fill("a") == 1e8 + 2


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_missing_category_is_a_level_of_its_own(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"c": ["u", "v", None, "u"], "d": list("pqpq"), "y": [1.0, 2, 3, 5]})
    path = tmp_path / f"t.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_csv(path, index=False)
    report = ingest(path, tmp_path / "s", target="y", missing="mean")
    assert report.manifest.feature_names == ("c=u", "c=v", "c=<missing>", "d=p", "d=q")
    X = stored(tmp_path / "s")["X"]
    assert X.dtype == np.uint8
    assert X[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert any("a level of their own: c=<missing> (1)" in note for note in report.notes)


def test_levels_that_differ_in_blanks_or_case_are_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": ["A", "a ", "B", "A ", "C"], "y": range(5)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    report = ingest(tmp_path / "t.csv", tmp_path / "s", target="y")
    [warning] = report.warnings
    assert "column c: levels that differ only in blanks or case" in warning
    assert warning.endswith("'A', 'A ', 'a '.")


# -- the report -------------------------------------------------------------------------------


def test_a_report_says_what_was_done(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame["one"] = 1
    frame.to_parquet(tmp_path / "t.parquet")
    seen: list[tuple[int, int | None]] = []
    report = ingest(
        tmp_path / "t.parquet", tmp_path / "s", target="price",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert isinstance(report, IngestReport)
    assert (report.n_rows, report.n_features) == (N, 9)
    assert seen[-1] == (N, N)
    assert report.bytes >= stored(tmp_path / "s")["X"].nbytes // 20
    assert report.codec.name in ("none", "lz4", "zstd")
    assert set(report.manifest.origin["codec"]["candidates"]) == {"none", "lz4", "zstd"}
    assert report.warnings == [
        "1 of 9 columns has the same value in every row (one): kept, its coefficient will be 0."
    ]


def test_a_csv_without_a_header_is_suspected(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2.5\n3,4\n5,6\n")
    report = ingest(tmp_path / "t.csv", tmp_path / "s", target="2.5")
    assert report.warnings == ["all the column names are numbers: is the first line a header?"]


@pytest.mark.parametrize(
    ("names", "is_suspect"),
    [(["1.5", "2.5"], True), (["1.5", "b"], False), (["400", "410", "420", "430", "440"], False),
     (["5", "1", "4", "2", "3"], True)],
)  # fmt: skip
def test_column_names_that_are_mostly_numbers_are_suspected_unless_they_rise(
    tmp_path: Path, names: list[str], is_suspect: bool
) -> None:
    rows = [",".join(str((i * j) % 7) for j in range(1, len(names) + 2)) for i in range(8)]
    (tmp_path / "t.csv").write_text("\n".join([",".join([*names, "y"]), *rows]))
    warnings = ingest(tmp_path / "t.csv", tmp_path / "s", target="y").warnings
    assert any("most column names are numbers" in text for text in warnings) == is_suspect


# -- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dtype": "float16"}, "dtype is 'float16', expected one of auto, float32"),
        ({"missing": "drop"}, "missing is 'drop', expected error or mean"),
        ({"memory": 1000}, "memory is 1000 bytes, expected at least 16 MiB"),
        ({"codec": "brotli"}, "codec: 'brotli' is not known"),
    ],
)
def test_an_option_that_is_not_known_is_refused(
    tmp_path: Path, frame: pd.DataFrame, option: dict[str, Any], message: str
) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(OptionError, match=message):
        ingest(tmp_path / "t.parquet", tmp_path / "s", target="price", **option)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
