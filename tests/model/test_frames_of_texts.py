"""A data frame with the texts and dates of the training table predicts as its store does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import zarr

import dasklasso
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import ValueFound
from dasklasso.model.path import FittedPath

N = 40


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[FittedPath, np.ndarray]:
    """A model of decimal commas and dates, without a category, and what it predicts."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [f"{i},5;1970-02-{1 + i % 28:02};{3 * i}" for i in range(N)]
    (folder / "t.csv").write_text("\n".join(["b;when;y", *rows]))
    said = Reading.of(decimal=",", date=["when=days"])
    ingest(folder / "t.csv", folder / "s", target="y", dtype="float64", reading=said)
    path = dasklasso.lasso_path(folder / "s", alphas=[0.1])
    stored = zarr.open_group(folder / "s", mode="r")["X"][...]
    return path, path.predict(stored)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "when": [f"1970-02-{1 + i % 28:02}" for i in range(N)],
            "b": [f"{i},5" for i in range(N)],
        }
    )


def test_texts_are_read_as_in_training(fitted: tuple[FittedPath, np.ndarray]) -> None:
    model, expected = fitted
    np.testing.assert_allclose(model.predict(frame()), expected, rtol=1e-12)


def test_dates_and_numbers_of_pandas_are_the_same(
    fitted: tuple[FittedPath, np.ndarray],
) -> None:
    model, expected = fitted
    typed = frame().assign(when=lambda f: pd.to_datetime(f["when"]), b=np.arange(N) + 0.5)
    np.testing.assert_allclose(model.predict(typed), expected, rtol=1e-12)


def test_a_text_that_does_not_fit_is_named_without_options_of_ingest(
    fitted: tuple[FittedPath, np.ndarray],
) -> None:
    bad = frame()
    bad.loc[7, "b"] = "many"
    with pytest.raises(ValueFound) as caught:
        fitted[0].predict(bad)
    assert str(caught.value) == "X: row 7, column b: found 'many', expected a number."
