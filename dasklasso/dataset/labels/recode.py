"""Labels of one data set as the codes of a model that was fitted on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import Classes
from dasklasso.errors import ModelError, ValueFound
from dasklasso.storage.blocks import BlockSource, Derived


def recoded(
    data: Dataset, classes: Sequence[Classes | None], *, probabilities: bool = True
) -> Dataset:
    """The data with targets as codes of a model's classes; the fingerprint is that of the data.


    Parameters
    ----------
    classes : for each target its labels in the order of the model's codes, or None
    probabilities : bool
        Whether targets of a model of the numbers 0 and 1 may be any from 0 to 1, and so stay as
        they are.

    Raises
    ------
    ModelError
        Labels are text in the one and numbers in the other.

    The targets that are returned raise ValueFound where they have a label that is none of the
    model's, naming its row.
    """
    assert data.y is not None
    values: list[np.ndarray | None] = []
    for target, labels in enumerate(classes):
        stays = probabilities and labels == (0, 1) and not _names(data, target)
        values.append(None if labels is None or stays else _values(data, target, labels))
    if not any(found is not None for found in values):
        return data
    return replace(data, y=_Recoded(data.y, values, data))


def _names(data: Dataset, target: int) -> tuple[str, ...] | None:
    return data.target_classes[target] if data.target_classes else None


def _values(data: Dataset, target: int, labels: Classes) -> np.ndarray:
    """(n_classes,) what the data have for each label; NaN for those that they do not know."""
    names = _names(data, target)
    if isinstance(labels[0], str) != (names is not None):
        found, expected = ("text", "numbers") if names is not None else ("numbers", "text")
        raise ModelError(
            f"{data.location}: the labels of target {data.target_names[target]} are {found}, "
            f"those of the model are {expected} ({', '.join(str(one) for one in labels[:3])}"
            f"{', ...' if len(labels) > 3 else ''})."
        )
    if names is None:
        return np.asarray(labels, dtype=np.float64)
    return np.asarray([names.index(str(one)) if one in names else np.nan for one in labels])


class _Recoded(Derived):
    """Targets with values replaced by the places they have in ``values``."""

    def __init__(
        self, source: BlockSource, values: Sequence[np.ndarray | None], data: Dataset
    ) -> None:
        super().__init__(source)
        self.values, self.data = values, data

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of the source, coded."""
        coded = np.array(self.source.block(i, j), dtype=np.float64)
        for k, column in enumerate(coded.T, start=self.column_bounds[j]):
            values = self.values[k]
            if values is None:
                continue
            order = np.argsort(values)  # NaN last
            place = np.searchsorted(values[order], column)
            code = order[np.minimum(place, len(values) - 1)]
            unknown = values[code] != column
            if unknown.any():
                self._refuse(k, self.row_bounds[i], unknown, column)
            column[:] = code
        return coded

    def _refuse(self, target: int, start: int, unknown: np.ndarray, column: np.ndarray) -> None:
        at, names = int(np.argmax(unknown)), _names(self.data, target)
        found = f"{column[at]:g}" if names is None else names[int(column[at])]
        raise ValueFound(
            f"{self.data.location}: row {start + at:,}: target {self.data.target_names[target]} "
            f"is {found}, which is none of the model's classes."
        )
