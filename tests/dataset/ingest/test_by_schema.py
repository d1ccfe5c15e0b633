"""A table becomes a store with the features of another, with a target or without one."""

import numpy as np
import pandas as pd
import pytest
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.align import Asked
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.by_schema import ingest_by_schema
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.verify import verify
from dasklasso.errors import OptionError, SourceError, StoreError, ValueFound
from dasklasso.files.seal import sealed

OPTIONAL = Asked(needs=dict.fromkeys(("target", "weight", "fold", "offset"), "optional"))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "kind": rng.choice(["oak", "elm", "fir"], n),
            "w": rng.uniform(1, 2, n),
            "paid": rng.choice(["no", "yes"], n),
        }
    )
    frame.loc[::5, "a"] = np.nan
    frame.loc[::6, "kind"] = None
    return frame


@pytest.fixture(scope="module")
def trained(tmp_path_factory, frame):
    folder = tmp_path_factory.mktemp("trained")
    frame.to_csv(folder / "t.csv", index=False)
    ingest(folder / "t.csv", folder / "s", target="paid", weight="w", missing="mean")
    return open_dataset(folder / "s")


def encode(trained, frame, tmp_path, asked=OPTIONAL, **options):
    frame.to_csv(tmp_path / "m.csv", index=False)
    return ingest_by_schema(
        tmp_path / "m.csv", tmp_path / "m", trained.schema, of="model", asked=asked, **options
    )


def rows(store, name="X"):
    return zarr.open_group(store, mode="r")[name][...]


def test_rows_are_encoded_as_in_the_first_store(trained, frame, tmp_path):
    encode(trained, frame[10:30][["paid", "kind", "a", "w"]], tmp_path)
    data = open_dataset(tmp_path / "m")
    assert data.feature_names == trained.feature_names
    assert data.target_classes == (("no", "yes"),)
    for name in ("X", "y", "sample_weight"):
        assert np.array_equal(rows(tmp_path / "m", name), rows(trained.location, name)[10:30])
    assert verify(tmp_path / "m").ok
    assert data.schema.to_json() == trained.schema.to_json()
    assert np.array_equal(data.schema.means, trained.schema.means)


def test_a_table_without_a_target_is_a_store_without_one(trained, frame, tmp_path):
    encode(trained, frame[:20][["kind", "a"]], tmp_path)
    data = open_dataset(tmp_path / "m", require_target=False)
    assert (data.y, data.sample_weight, data.target_names) == (None, None, ())
    assert np.array_equal(rows(tmp_path / "m"), rows(trained.location)[:20])
    assert verify(tmp_path / "m").ok
    with pytest.raises(StoreError, match="has no array y"):
        open_dataset(tmp_path / "m")


def test_all_rows_may_be_of_one_class(trained, frame, tmp_path):
    encode(trained, frame[frame.paid == "yes"], tmp_path)
    assert set(rows(tmp_path / "m", "y")) == {1.0}


def test_a_target_may_have_another_name(trained, frame, tmp_path):
    renamed = frame.rename(columns={"paid": "settled"})
    asked = Asked(needs={"target": "required"}, target="settled")
    encode(trained, renamed, tmp_path, asked)
    data = open_dataset(tmp_path / "m")
    assert (data.target_names, data.target_classes) == (("settled",), (("no", "yes"),))


def test_a_class_that_training_never_met_is_refused(trained, frame, tmp_path):
    month = frame.copy()
    month.loc[7, "paid"] = "perhaps"
    with pytest.raises(ValueFound, match=r"row 7, column paid: found 'perhaps', .*2 levels"):
        encode(trained, month, tmp_path, unseen="zero")
    assert not (tmp_path / "m").exists()


def test_a_required_target_is_asked_for(trained, frame, tmp_path):
    asked = Asked(needs={"target": "required"})
    with pytest.raises(OptionError, match="no column 'paid', the target of model"):
        encode(trained, frame[["a", "kind"]], tmp_path, asked)


def test_missing_columns_are_all_named(trained, frame, tmp_path):
    with pytest.raises(SourceError, match="columns 'a', 'kind' are features of model"):
        encode(trained, frame[["paid", "w"]], tmp_path)


def test_whole_numbers_keep_a_small_type_that_holds_them(tmp_path):
    frame = pd.DataFrame({"a": [0, 1, 2, 3], "y": [1.0, 2, 3, 5]})
    frame.to_parquet(tmp_path / "t.parquet")
    ingest(tmp_path / "t.parquet", tmp_path / "s", target="y")
    schema = open_dataset(tmp_path / "s").schema
    for values, kind in (([5, 7], "u"), ([0.5, 7], "f")):
        pd.DataFrame({"a": values}).to_parquet(tmp_path / "m.parquet")
        ingest_by_schema(tmp_path / "m.parquet", tmp_path / "m", schema, of="s", asked=OPTIONAL,
                         overwrite=True)  # fmt: skip
        assert rows(tmp_path / "m").dtype.kind == kind
        assert rows(tmp_path / "m")[:, 0].tolist() == values


def test_the_schema_outlives_updates(trained, frame, tmp_path):
    frame[:30].to_csv(tmp_path / "a.csv", index=False)
    ingest(tmp_path / "a.csv", tmp_path / "s", target="paid", weight="w", missing="mean")
    before = open_dataset(tmp_path / "s").schema
    frame[30:].to_csv(tmp_path / "b.csv", index=False)
    append_rows(tmp_path / "s", tmp_path / "b.csv")
    after = open_dataset(tmp_path / "s").schema
    assert np.array_equal(before.means, after.means)
    assert before.to_json() == after.to_json()


def test_a_store_of_an_older_version_has_the_schema_that_it_recorded(tmp_path, frame):
    frame[["a", "kind", "paid"]].dropna().to_csv(tmp_path / "t.csv", index=False)
    ingest(tmp_path / "t.csv", tmp_path / "s", target="paid")
    ours = open_dataset(tmp_path / "s").schema
    group = zarr.open_group(tmp_path / "s", mode="r+")
    manifest = dict(group.attrs["dasklasso"])
    del manifest["schema"], manifest["files"], manifest["seal"]
    manifest["version"] = 1
    for checksums in (tmp_path / "s").glob("*/chunk_checksums"):
        checksums.unlink()
    manifest["origin"] |= {
        "missing": "error", "dropped": [], "target_classes": {"paid": ["no", "yes"]},
        "levels": {"kind": ["elm", "fir", "oak"]},
    }  # fmt: skip
    group.attrs["dasklasso"] = manifest
    data = open_dataset(tmp_path / "s")
    assert data.target_classes == (("no", "yes"),)
    assert data.schema.levels == ours.levels
    assert data.schema.targets == ours.targets
    assert np.array_equal(data.schema.means, ours.means)


def test_a_schema_that_was_tampered_with_is_one_line(tmp_path, frame):
    frame[["a", "kind", "paid"]].dropna().to_csv(tmp_path / "t.csv", index=False)
    ingest(tmp_path / "t.csv", tmp_path / "s", target="paid")
    group = zarr.open_group(tmp_path / "s", mode="r+")
    manifest = dict(group.attrs["dasklasso"])
    manifest["schema"]["levels"] = {"kind": "oak"}
    group.attrs["dasklasso"] = sealed(manifest)
    with pytest.raises(StoreError, match=r"the manifest's schema: levels\.kind is 'oak', expected"):
        open_dataset(tmp_path / "s")
