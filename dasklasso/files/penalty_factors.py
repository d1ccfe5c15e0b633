"""Penalty factors from a file: one number per feature, or names with numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.files.places import input_place
from dasklasso.files.regular import check_regular, why

HEADER = ["feature", "factor"]


def read_penalty_factor(
    path: str | Path, feature_names: Sequence[str], n_covariates: int = 0
) -> np.ndarray:
    """Read penalty factors f_j >= 0, where 0 leaves feature j unpenalised.

    Parameters
    ----------
    path : path
        ``.npy`` with d numbers, text with one number a line, or a CSV with the header
        ``feature,factor``, where a feature that is not named keeps the factor 1.
    feature_names : sequence of str, length d
    n_covariates : int
        Of them, the last: their factor is 0 unless they are named, or have numbers too.

    Returns
    -------
    (d,) float64

    Raises
    ------
    OptionError
        Names the file and the line or feature, what was found and what was expected.
    """
    path = Path(input_place(path, "penalty_factor"))
    try:
        check_regular(path)
        if path.suffix == ".npy":
            factors = _from_npy(path)
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            named = bool(lines) and [cell.strip() for cell in lines[0].split(",")] == HEADER
            if named:
                factors = _from_named(path, lines, feature_names, n_covariates)
            else:
                factors = _numbers(path, lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"{path}: the penalty factors cannot be read: {why(error)}.") from error
    if factors.shape == (len(feature_names) - n_covariates,):
        factors = np.concatenate([factors, np.zeros(n_covariates)])
    if factors.shape != (len(feature_names),):
        raise OptionError(
            f"{path} has {factors.size} penalty factors, expected {len(feature_names)}: "
            "one per feature."
        )
    bad = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
    if bad.size:
        j = bad[0]
        raise OptionError(
            f"{path}: the penalty factor of {feature_names[j]!r} is {factors[j]}, "
            "expected a finite number, 0 or more."
        )
    return factors


def _from_npy(path: Path) -> np.ndarray:
    try:
        # mapped: an array is not allocated before the file is known to be as long as it says
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            kind = getattr(array, "dtype", "an archive")
            raise ValueError(f"found {kind}, expected real numbers")
        return np.asarray(array, dtype=np.float64).ravel()
    except OSError:
        raise
    except Exception as error:  # whatever NumPy and Python's parser say of a header
        said = " ".join(str(error).split())
        raise OptionError(f"{path} is not an NPY file of numbers: {said}.") from error


def _numbers(path: Path, lines: list[str]) -> np.ndarray:
    filled = [(i, line.strip()) for i, line in enumerate(lines, start=1) if line.strip()]
    return np.array([_number(path, i, text) for i, text in filled], dtype=np.float64)


def _from_named(
    path: Path, lines: list[str], feature_names: Sequence[str], n_covariates: int
) -> np.ndarray:
    column = {name: j for j, name in enumerate(feature_names)}
    factors = np.ones(len(feature_names))
    factors[len(factors) - n_covariates :] = 0.0
    seen: set[str] = set()
    for i, row in enumerate(csv.reader(lines[1:]), start=2):
        if not row:
            continue
        if len(row) != 2:
            raise OptionError(f"{path}, line {i}: {len(row)} fields, expected {','.join(HEADER)}.")
        name = row[0].strip()
        if name not in column:
            raise OptionError(f"{path}, line {i}: the data have no feature {name!r}.")
        if name in seen:
            raise OptionError(f"{path}, line {i}: {name!r} is named twice.")
        seen.add(name)
        factors[column[name]] = _number(path, i, row[1])
    return factors


def _number(path: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{path}, line {line}: {text!r} is not a number.") from None
