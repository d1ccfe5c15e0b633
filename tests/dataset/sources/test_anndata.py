"""AnnData's .h5ad: a dense matrix with the names of its variables, and the columns of obs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources import open_source
from dasklasso.errors import DasklassoError, SourceError

h5py = pytest.importorskip("h5py")

X = np.arange(12.0, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def h5ad(tmp_path: Path) -> Path:
    """Four cells and three genes, as anndata 0.11 lays them out."""
    path = tmp_path / "cells.h5ad"
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "anndata"
        file["X"] = X
        file["layers/counts"] = X.astype(np.int32) + 1
        file["var/gene"] = ["TP53", "BRCA1", "x7"]
        file["var"].attrs["_index"] = "gene"
        file["obs/cell"] = ["a", "b", "c", "d"]
        file["obs"].attrs["_index"] = "cell"
        file["obs/age"] = [30.0, 40.0, 50.0, 61.0]
        file["obs/kind/codes"] = np.array([1, 0, -1, 1], np.int8)
        file["obs/kind/categories"] = ["B cell", "T cell"]
    return path


def test_features_have_the_names_of_the_variables(h5ad: Path, tmp_path: Path) -> None:
    manifest = ingest(h5ad, tmp_path / "store", target="age").manifest
    assert manifest.feature_names == ("TP53", "BRCA1", "x7")
    assert manifest.target_names == ("age",)
    np.testing.assert_allclose(manifest.statistics.mean, X.mean(axis=0))


def test_a_layer_takes_the_place_of_the_matrix(h5ad: Path) -> None:
    [batch] = open_source(h5ad, dataset="layers/counts").batches(["BRCA1"], 9)
    np.testing.assert_array_equal(batch.numbers(["BRCA1"])[:, 0], X[:, 1] + 1)


def test_categories_are_text_with_missing_ones(h5ad: Path) -> None:
    source = open_source(h5ad)
    assert source.resolve("kind") == ("kind",)
    texts = [t for batch in source.batches(["kind"], 3) for t in batch.texts("kind").to_pylist()]
    assert texts == ["T cell", "B cell", None, "T cell"]


def test_names_of_observations_find_targets_in_a_table(h5ad: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("cell,height\nd,4\nb,2\na,1.5\n")
    report = ingest(h5ad, tmp_path / "store", targets=tmp_path / "t.csv", id_column="cell")
    assert report.n_rows == 3
    assert report.manifest.feature_names == ("TP53", "BRCA1", "x7")


def _sparse(file: Any) -> None:
    del file["X"]
    file.create_group("X").attrs["encoding-type"] = "csr_matrix"


def _twice(file: Any) -> None:
    file["var/gene"][1] = "TP53"


def _nameless(file: Any) -> None:
    del file["var"].attrs["_index"]


def _shorter(file: Any) -> None:
    del file["var/gene"]
    file["var/gene"] = ["TP53"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_sparse, "is csr_matrix, expected a dense matrix"),
        (_twice, "both named 'TP53'"),
        (_nameless, "is not as AnnData writes it"),
        (_shorter, "has 3 columns, and var has 1"),
    ],
)
def test_other_files_are_refused(h5ad: Path, harm: Any, message: str) -> None:
    with h5py.File(h5ad, "a") as file:
        harm(file)
    with pytest.raises(SourceError, match=message):
        open_source(h5ad)


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(h5ad: Path) -> None:
    with pytest.raises(DasklassoError, match=r"no matrix /layers/count\. Did you mean"):
        open_source(h5ad, dataset="layers/count")
