"""Covariates for the stages that apply a model: those that it was fitted with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dasklasso.choices import EmptyChunks, Unseen
from dasklasso.errors import OptionError

if TYPE_CHECKING:
    from dasklasso.dataset.dataset import Dataset
    from dasklasso.model.path import FittedPath


def check_covariates(path: FittedPath, covariates: str | None, *, of: str) -> None:
    """Refuse covariates for a model that was fitted without any.

    Parameters
    ----------
    of : str
        How messages name the model.

    Raises
    ------
    OptionError
    """
    if covariates is not None and path.covariates is None:
        raise OptionError(f"--covariates {covariates}: {of} was fitted without covariates.")


def open_for_model(
    path: FittedPath,
    store: str,
    covariates: str | None,
    *,
    called: str,
    of: str,
    unseen: Unseen,
    empty_chunks: EmptyChunks,
    all_rows: bool = False,
) -> Dataset:
    """Open a store with the covariates of a model beside its features.

    Parameters
    ----------
    called : str
        What messages call the store, which may be a table that was encoded.
    of : str
        How messages name the model.

    Raises
    ------
    DasklassoError
        As :func:`~dasklasso.dataset.dataset.open_dataset` and
        :func:`~dasklasso.dataset.covariates.with_covariates`.
    """
    from dasklasso.dataset.covariates import Encoding, with_covariates
    from dasklasso.dataset.dataset import open_dataset

    data = open_dataset(store, empty_chunks=empty_chunks, require_target=False)
    data = replace(data, location=called)
    if covariates is None or path.covariates is None:
        return data
    return with_covariates(
        data, covariates, encoding=Encoding(path.covariates, of, unseen), all_rows=all_rows
    )
