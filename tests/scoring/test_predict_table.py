"""The same row has the same prediction, to the last bit, whatever the file that it comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import ModelError, OptionError, SourceError, ValueFound
from dasklasso.model.path import FittedPath, load_model
from dasklasso.options import RunOptions
from dasklasso.scoring.predict import predict_store
from dasklasso.scoring.predict_table import TablePredictor

QUIET = RunOptions(dashboard=False)


def model_on(data: Dataset, seed: int = 0, **changes) -> FittedPath:
    """Coefficients at random, on the features of a data set."""
    rng = np.random.default_rng(seed)
    k = data.n_targets
    coef = rng.normal(size=(k, data.n_features)) * (rng.random((k, data.n_features)) < 0.8)
    entries = {
        "alphas": np.array([0.1]),
        "coef_rows": csr_array(coef),
        "intercepts": rng.normal(size=(1, k)),
        "dual_gaps": np.zeros((1, k)),
        "objectives": np.ones((1, k)),
        "y_is_vector": k == 1,
        "feature_names": data.feature_names,
        "target_names": data.target_names,
        "loss": "squared",
        "l1_ratio": 1.0,
        "penalty_options": {},
        "alpha_selected": 0.1,
        "solver": "gram",
        "tol": 1e-6,
        "scans": 1.0,
        "bytes_read": 1,
        "seconds": 1.0,
        "peak_memory_bytes": 1,
        "fingerprint": data.fingerprint,
        "versions": {},
        "has_offset": data.offset is not None or None,
        "schema": data.schema,
        **changes,
    }
    return FittedPath(**entries)


def on_store(path: FittedPath, store: Path, **options) -> np.ndarray:
    data = open_dataset(store, require_target=False)
    found = predict_store(data, path, run=QUIET, **options)
    return np.concatenate([values for _, _, values in found])


def on_table(path: FittedPath, table: Path, *, proba: bool = False, **options) -> np.ndarray:
    predictor = TablePredictor(path, table, **options)
    return np.concatenate([block[2] for block in predictor.predictions(proba=proba)])


def write(frame: pd.DataFrame, path: Path) -> Path:
    getattr(frame, {".csv": "to_csv", ".parquet": "to_parquet"}[path.suffix])(path, index=False)
    return path


def applicants(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "loan_id": [f"{i:07d}" for i in range(n)],
            "age": rng.integers(18, 80, n),
            "income": rng.lognormal(10, 1, n),
            "colour": rng.choice(["red", "blue", "green", "007"], n),
            "owner": rng.random(n) < 0.5,
            "default": rng.choice(["no", "yes"], n),
        }
    )
    frame.loc[::7, "income"] = np.nan
    frame.loc[3::11, "colour"] = None
    return frame


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, pd.DataFrame, FittedPath, np.ndarray]:
    """A folder with a store, its table, a model on it, and the predictions of its rows."""
    folder = tmp_path_factory.mktemp("trained")
    frame = applicants()
    table = write(frame, folder / "train.csv")
    ingest(table, folder / "s", target="default", drop=["loan_id"], missing="mean")
    data = open_dataset(folder / "s")
    path = model_on(data, loss="logistic", classes=(("no", "yes"),))
    return folder, frame, path, on_store(path, folder / "s")


# -- the same applicant, whatever the file ----------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_month_without_target_in_another_order_with_other_columns(trained, tmp_path, ending):
    _, frame, path, expected = trained
    month = frame.drop(columns="default").assign(channel="web", when=1.5)
    month = month[sorted(month.columns, reverse=True)]
    predictor = TablePredictor(path, write(month, tmp_path / f"t{ending}"))
    found = np.concatenate([block[2] for block in predictor.predictions()])
    assert np.array_equal(found, expected)
    [note] = predictor.table.notes()
    assert "2 columns are ignored, not in the model: when, channel" in note


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("row", [0, 3, 8])  # with income missing, with colour missing, whole
def test_a_row_alone_scores_as_it_did_among_others(trained, tmp_path, ending, row):
    _, frame, path, expected = trained
    one = write(frame[row : row + 1], tmp_path / f"t{ending}")
    assert np.array_equal(on_table(path, one), expected[row : row + 1])


def test_levels_that_are_not_in_the_file_change_nothing(trained, tmp_path):
    _, frame, path, expected = trained
    for colour in ("red", "007"):  # of which CSV would make numbers
        chosen = (frame["colour"] == colour).to_numpy()
        found = on_table(path, write(frame[chosen], tmp_path / f"{colour}.csv"))
        assert np.array_equal(found, expected[chosen])


def test_a_column_without_any_value_is_filled_with_the_training_mean(trained, tmp_path):
    _, frame, path, expected = trained
    chosen = frame["income"].isna().to_numpy()
    for ending in (".csv", ".parquet"):
        table = write(frame[chosen].astype({"income": float}), tmp_path / f"n{ending}")
        assert np.array_equal(on_table(path, table), expected[chosen])
    chosen = frame["colour"].isna().to_numpy()
    for ending in (".csv", ".parquet"):
        found = on_table(path, write(frame[chosen], tmp_path / f"c{ending}"))
        assert np.array_equal(found, expected[chosen])


def test_probabilities_and_a_model_that_was_saved(trained, tmp_path):
    folder, frame, path, _ = trained
    path.save(tmp_path / "m")
    saved = load_model(tmp_path / "m")
    expected = on_store(path, folder / "s", proba=True)
    found = on_table(saved, write(frame[:40], tmp_path / "t.csv"), proba=True)
    assert np.array_equal(found, expected[:40])


def test_rows_in_many_batches_are_the_rows_in_one(trained, tmp_path, monkeypatch):
    _, frame, path, expected = trained
    monkeypatch.setattr("dasklasso.dataset.ingest.by_schema.batch_rows", lambda *_: 7)
    predictor = TablePredictor(path, write(frame, tmp_path / "t.parquet"), ids=["loan_id"])
    blocks = list(predictor.predictions())
    assert len(blocks) == -(-len(frame) // 7)
    assert [block[0] for block in blocks] == list(range(0, len(frame), 7))
    assert np.array_equal(np.concatenate([block[2] for block in blocks]), expected)
    ids = [value for block in blocks for value in block[3][0].to_pylist()]
    assert ids == frame["loan_id"].tolist()


LEVELS = st.lists(
    # a sign in front: a level that reads like a number, as INF does, makes a column of numbers
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=4).map("§".__add__),
    min_size=1,
    max_size=4,
    unique=True,
)


@settings(max_examples=12, deadline=None)
@given(
    levels=LEVELS,
    dtype=st.sampled_from(["float32", "float64"]),
    ending=st.sampled_from([".csv", ".parquet"]),
    n_rows=st.integers(4, 30),
    seed=st.integers(0, 10_000),
)
def test_random_tables_predict_as_their_stores_do(
    tmp_path_factory, levels, dtype, ending, n_rows, seed
):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("random")
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=n_rows),
            "t": rng.choice(np.array(levels, dtype=object), n_rows),
            "a": rng.normal(size=n_rows) * 10.0 ** rng.integers(-3, 6),
            "b": rng.integers(0, 300, n_rows).astype(float),
            "u": rng.choice(["p", "q"], n_rows),
        }
    )
    holes = rng.random(frame.shape) < 0.2
    holes[:, 0] = holes[0] = False
    frame = frame.mask(holes)
    ingest(write(frame, folder / f"t{ending}"), folder / "s", target="y", missing="mean",
           dtype=dtype)  # fmt: skip
    path = model_on(open_dataset(folder / "s"), seed)
    expected = on_store(path, folder / "s")
    shuffled = frame[rng.permutation(frame.columns)]
    some = np.sort(rng.choice(n_rows, rng.integers(1, n_rows + 1), replace=False))
    table = write(shuffled.iloc[some], folder / f"m{ending}")
    assert np.array_equal(on_table(path, table), expected[some])


def test_a_frame_with_the_columns_of_the_table_predicts_as_its_file(trained, tmp_path):
    _, frame, path, expected = trained
    month = frame.drop(columns="default").assign(when=pd.Timestamp("2026-01-01"))
    found = path.predict(month[sorted(month.columns)])
    assert np.array_equal(found, expected[:, 0])
    categories = month.astype({"colour": "category"})
    assert np.array_equal(path.predict(categories[3:4]), expected[3:4, 0])
    with pytest.raises(SourceError, match="X: column 'income' is a feature of the model"):
        path.predict(month.drop(columns="income"))
    month.loc[6, "colour"] = "purple"
    with pytest.raises(ValueFound, match=r"X: row 6, column colour: found 'purple'.*green, red\.$"):
        path.predict(month)


# -- every kind of table ----------------------------------------------------------------------


def matrix_files(folder: Path, X: np.ndarray) -> dict[str, Path]:
    np.save(folder / "x.npy", X)
    np.savez(folder / "x.npz", X=X)
    with h5py.File(folder / "x.h5", "w") as file:
        file["deep/X"] = X
    return {name: folder / f"x.{name}" for name in ("npy", "npz", "h5")}


@pytest.mark.parametrize("kind", ["npy", "npz", "h5"])
def test_matrices_are_scored_without_a_target(tmp_path, kind):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 6)), rng.normal(size=50)
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["deep/X"], file["deep/y"] = X, y
    ingest(tmp_path / "train.h5", tmp_path / "s", dataset_path="deep/X")
    path = model_on(open_dataset(tmp_path / "s"))
    files = matrix_files(tmp_path, np.column_stack([X[10:20], np.ones(10)]))
    assert np.array_equal(on_table(path, files[kind]), on_store(path, tmp_path / "s")[10:20])


@pytest.mark.parametrize("base", [0, 1])
def test_svmlight_indices_count_as_they_did_in_training(tmp_path, base):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((30, 5)) < 0.5, rng.normal(size=(30, 5)), 0.0)
    X[0] = 1.0

    def lines(rows, labels):
        for row, label in zip(rows, labels, strict=True):
            pairs = [f"{j + base}:{value!r}" for j, value in enumerate(row.tolist()) if value]
            yield f"{label} {' '.join(pairs)}\n"

    (tmp_path / "t.svm").write_text("".join(lines(X, rng.normal(size=30))))
    ingest(tmp_path / "t.svm", tmp_path / "s")
    path = model_on(open_dataset(tmp_path / "s"))
    few = X[1:9].copy()
    few[:, [0, 4]] = 0.0  # neither the first nor the last index occurs
    (tmp_path / "few.svm").write_text("".join(lines(few, np.zeros(8))))
    ingest_like = X.copy()
    ingest_like[1:9] = few
    (tmp_path / "t.svm").write_text("".join(lines(ingest_like, rng.normal(size=30))))
    ingest(tmp_path / "t.svm", tmp_path / "u")
    assert np.array_equal(on_table(path, tmp_path / "few.svm"), on_store(path, tmp_path / "u")[1:9])


def test_an_svmlight_row_without_any_pair_is_all_zeros(tmp_path):
    (tmp_path / "t.svm").write_text("1 1:2 3:4\n2 2:1\n")
    ingest(tmp_path / "t.svm", tmp_path / "s")
    path = model_on(open_dataset(tmp_path / "s"))
    (tmp_path / "none.svm").write_text("0\n")
    assert on_table(path, tmp_path / "none.svm").tolist() == path.intercepts.tolist()


def test_numbers_beyond_the_stored_type_are_scored(tmp_path):
    frame = pd.DataFrame({"a": [0, 1, 2, 3], "b": [1, 0, 1, 0], "y": [1.0, 2, 3, 5]})
    ingest(write(frame, tmp_path / "t.parquet"), tmp_path / "s", target="y")
    data = open_dataset(tmp_path / "s")
    assert data.X.dtype.kind in "iu"
    path = model_on(data)
    month = write(pd.DataFrame({"b": [0.5], "a": [1e6]}), tmp_path / "m.parquet")
    coef = path.coef[0]
    expected = coef[0] * 1e6 + coef[1] * 0.5 + path.intercept[0]
    assert on_table(path, month)[0, 0] == pytest.approx(expected, rel=1e-15)


def test_codes_of_missing_values_are_those_of_training(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(-1, 3, size=(40, 5)).astype(np.int8)
    np.savez(tmp_path / "t.npz", X=X, y=rng.normal(size=40))
    ingest(tmp_path / "t.npz", tmp_path / "s", missing="mean", missing_values=[-1])
    path = model_on(open_dataset(tmp_path / "s"))
    np.save(tmp_path / "month.npy", X[5:25])
    expected = on_store(path, tmp_path / "s")[5:25]
    assert np.array_equal(on_table(path, tmp_path / "month.npy"), expected)


def test_a_store_that_was_widened_is_matched(tmp_path):
    rng = np.random.default_rng(0)
    seconds = 1.7e9 + rng.integers(0, 100, 50)
    frame = pd.DataFrame({"seconds": seconds + 0.25, "y": rng.normal(size=50)})
    ingest(write(frame, tmp_path / "t.csv"), tmp_path / "s", target="y")
    data = open_dataset(tmp_path / "s")
    assert data.X.dtype == np.float64
    path = model_on(data, coef_rows=csr_array([[1.0]]))
    month = write(frame[["seconds"]][7:9], tmp_path / "m.csv")
    assert np.array_equal(on_table(path, month), on_store(path, tmp_path / "s")[7:9])


# -- levels that were never met, missing values -----------------------------------------------


def test_a_new_level_is_named_with_column_and_first_row(trained, tmp_path):
    _, frame, path, _ = trained
    month = frame.copy()
    month.loc[[50, 60], "colour"] = "purple"
    table = write(month, tmp_path / "t.csv")
    message = "row 50, column colour: found 'purple', which is not among the 4 levels of scores.*"
    with pytest.raises(ValueFound, match=message + "--unseen zero"):
        on_table(path, table, of="scores")


def test_a_new_level_may_be_none_of_them(trained, tmp_path):
    _, frame, path, expected = trained
    month = frame.copy()
    month.loc[[50, 60], "colour"] = "purple"
    predictor = TablePredictor(path, write(month, tmp_path / "t.csv"), unseen="zero")
    found = np.concatenate([block[2] for block in predictor.predictions()])
    others = ~month.index.isin([50, 60])
    assert np.array_equal(found[others], expected[others])
    levels = [name for name in path.feature_names if name.startswith("colour=")]
    at = [list(path.feature_names).index(name) for name in levels]
    effect = path.coef[0][at[levels.index(f"colour={frame.colour[50]}")]]
    assert found[50] == pytest.approx(expected[50] - effect)
    assert "column colour: 2 values never met in training" in predictor.table.notes()[-1]


def plain_model(tmp_path, **options):
    frame = pd.DataFrame({"a": [1.0, 2, 3, 6], "t": list("xyxy"), "y": [1.0, 2, 3, 5]})
    ingest(write(frame, tmp_path / "t.csv"), tmp_path / "s", target="y", **options)
    return model_on(open_dataset(tmp_path / "s")), frame


def test_missing_values_are_refused_where_training_had_none_unless_asked(tmp_path):
    path, frame = plain_model(tmp_path)
    month = write(frame.assign(a=[None, 1, 1, 1]), tmp_path / "m.csv")
    with pytest.raises(ValueFound, match=r"row 0, column a: found a missing.*--missing mean\.$"):
        on_table(path, month)
    found = on_table(path, month, missing="mean")
    filled = on_table(path, write(frame.assign(a=[3.0, 1, 1, 1]), tmp_path / "f.csv"))
    assert np.array_equal(found, filled)


def test_a_missing_category_that_training_never_met_is_a_new_level(tmp_path):
    path, frame = plain_model(tmp_path, missing="mean")
    month = write(frame.assign(t=["x", None, "x", "y"]), tmp_path / "m.csv")
    message = r"row 1, column t: found a missing value \(t=<missing>\), which is not among the 2"
    with pytest.raises(ValueFound, match=message):
        on_table(path, month)
    found = on_table(path, month, unseen="zero")
    assert found[1, 0] == pytest.approx(path.coef[0, 0] * 2 + path.intercept[0])


# -- what is refused --------------------------------------------------------------------------


def test_every_column_that_is_missing_is_named(trained, tmp_path):
    _, frame, path, _ = trained
    table = write(frame.drop(columns=["age", "owner", "colour"]), tmp_path / "t.csv")
    with pytest.raises(SourceError, match="columns 'age', 'colour', 'owner' are features of"):
        on_table(path, table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"income": "high"}, "column income is .*string, the model has numbers"),
        ({"colour": 3}, "column colour is int64, the model has text"),
        ({"age": pd.Timestamp("2026-01-01")}, "column age is timestamp.*, the model has numbers"),
    ],
)
def test_a_column_of_another_type_is_named(trained, tmp_path, change, message):
    _, frame, path, _ = trained
    with pytest.raises(SourceError, match=message):
        on_table(path, write(frame.assign(**change), tmp_path / "t.parquet"))


def test_text_among_numbers_is_named_with_its_row(trained, tmp_path):
    _, frame, path, _ = trained
    month = frame.astype({"age": object})
    month.loc[77, "age"] = "old"
    with pytest.raises(ValueFound, match="row 77, column age: found 'old', expected a number"):
        on_table(path, write(month, tmp_path / "t.csv"))


def test_an_id_that_is_not_there_is_named(trained, tmp_path):
    _, frame, path, _ = trained
    with pytest.raises(OptionError, match=r"no column 'loanid' \(--id\). Did you mean 'loan_id'"):
        on_table(path, write(frame, tmp_path / "t.csv"), ids=["loanid"])


def test_a_model_with_offsets_needs_those_of_the_table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20, 3)), columns=["a", "prior", "y"])
    ingest(write(frame, tmp_path / "t.csv"), tmp_path / "s", target="y", offset="prior")
    path = model_on(open_dataset(tmp_path / "s"))
    expected = on_store(path, tmp_path / "s")
    assert np.array_equal(on_table(path, tmp_path / "t.csv"), expected)
    renamed = write(frame.rename(columns={"prior": "p"}), tmp_path / "r.csv")
    assert np.array_equal(on_table(path, renamed, offset="p"), expected)
    with pytest.raises(OptionError, match=r"has no column 'prior' \(--offset\)"):
        on_table(path, renamed)


def test_a_model_without_a_schema_says_how_to_get_one(trained, tmp_path):
    _, frame, path, _ = trained
    table = write(frame, tmp_path / "t.csv")
    with pytest.raises(ModelError, match=r"m has no schema.*Fit it again on a store"):
        TablePredictor(replace(path, schema=None), table, of="m")
