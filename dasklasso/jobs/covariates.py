"""Covariates for the stages that apply a model: those that it was fitted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasklasso.choices import Unseen
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


def with_covariates_of(
    path: FittedPath,
    data: Dataset,
    covariates: str | None,
    *,
    of: str,
    unseen: Unseen,
    all_rows: bool = False,
) -> Dataset:
    """Put the covariates of a model beside the features of a store.

    Raises
    ------
    DasklassoError
        As :func:`~dasklasso.dataset.covariates.with_covariates`.
    """
    if covariates is None or path.covariates is None:
        return data
    from dasklasso.dataset.covariates import Encoding, with_covariates

    return with_covariates(
        data, covariates, encoding=Encoding(path.covariates, of, unseen), all_rows=all_rows
    )
