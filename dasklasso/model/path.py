"""A fitted path: coefficients for every alpha, each with its certified gap; save, load, predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.schema import Schema
from dasklasso.errors import ModelError, OptionError
from dasklasso.files.atomic import read_whole
from dasklasso.files.places import input_place
from dasklasso.model.frames import by_name, encoded_sums, encodes
from dasklasso.model.record import PathRecord
from dasklasso.model.store import ARRAYS, DOCUMENT, MEANS, SCALES, read_model, write_model
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.registry import loss_named

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_SAME_ALPHA = 1e-7  # relative; an alpha typed from a table of 8 digits means the one on the grid
_ON_DISK = {"alphas": "alphas", "intercepts": "intercept", "dual_gaps": "dual_gap",
            "objectives": "objective"}  # fmt: skip


@dataclass(frozen=True, repr=False)
class FittedPath(PathRecord):
    """Solutions along a decreasing grid of alphas, that predict, tell their figures, and are saved.

    Attributes are those of :class:`~dasklasso.model.record.PathRecord`.
    """

    def __repr__(self) -> str:
        """Two lines: what was fitted, and how well; the arrays would fill pages."""
        used = self.n_nonzero
        span = f"{self.n_alphas} alphas from {self.alphas[0]:.4g} to {self.alphas[-1]:.4g}"
        if self.n_alphas == 1:
            span = f"alpha {self.alphas[0]:.4g}"
        return (
            f"FittedPath(loss {self.loss}, {span}, {used.min():,} to {used.max():,} of "
            f"{self.n_features:,} features,\n           worst gap {self.dual_gap.max():.2g}, "
            f"asked for {self.tol:.2g}, solver {self.solver})"
        )

    def coefficients_at(self, alpha: float | None = None) -> tuple[csr_array, np.ndarray]:
        """Coefficients and intercepts at one alpha.

        On the grid they are the certified ones. Between two alphas of the grid they are
        interpolated linearly, as R's ``predict.glmnet(exact = FALSE)`` does (Friedman, Hastie,
        Tibshirani 2010), and have no certificate.

        Parameters
        ----------
        alpha : float or None
            None: ``alpha_selected``, or the only alpha.

        Returns
        -------
        coef : (n_targets, n_features) csr_array
        intercept : (n_targets,) float64

        Raises
        ------
        OptionError
            When no alpha is given and none was selected, or it is outside the grid.
        """
        alpha = self.resolve_alpha(alpha)
        k = self.n_targets
        at = self.grid_index(alpha)
        if at is not None:
            return self.coef_rows[at * k : (at + 1) * k], self.intercepts[at]
        if not self.alphas[-1] < alpha < self.alphas[0]:
            raise OptionError(
                f"alpha={alpha:.8g} is outside the fitted alphas, "
                f"{self.alphas[-1]:.8g} to {self.alphas[0]:.8g}."
            )
        i = int(np.searchsorted(-self.alphas, -alpha)) - 1  # alphas[i] > alpha > alphas[i + 1]
        share = (self.alphas[i] - alpha) / (self.alphas[i] - self.alphas[i + 1])
        above, below = (self.coef_rows[j * k : (j + 1) * k] for j in (i, i + 1))
        coef = (1 - share) * above + share * below
        return coef.tocsr(), (1 - share) * self.intercepts[i] + share * self.intercepts[i + 1]

    def grid_index(self, alpha: float) -> int | None:
        """Which alpha of the grid this is (to 1e-7), None where it lies between two or outside."""
        nearest = int(np.argmin(np.abs(self.alphas - alpha)))
        same = abs(self.alphas[nearest] - alpha) <= _SAME_ALPHA * self.alphas[nearest]
        return nearest if same else None

    def resolve_alpha(self, alpha: float | None) -> float:
        """Return the alpha itself; for None the selected or only one.

        Raises
        ------
        OptionError
            When there is none.
        """
        if alpha is not None:
            return float(alpha)
        if self.alpha_selected is not None:
            return self.alpha_selected
        if self.n_alphas == 1:
            return float(self.alphas[0])
        raise OptionError(
            f"alpha is needed: the model has {self.n_alphas} alphas, "
            f"{self.alphas[-1]:.8g} to {self.alphas[0]:.8g}, and none was selected."
        )

    def predict(self, X: Any, alpha: float | None = None, offset: Any = None) -> np.ndarray:
        """Predictions for rows in memory: ``Xw + b``, or labels of the most probable classes.

        Of a loss of counts: the mean that the model expects, ``exp(Xw + b)`` for poisson.

        Parameters and errors are those of :meth:`linear_prediction`.

        Returns
        -------
        (n_rows,) or (n_rows, n_targets) float64; of classes (n_rows,) labels
        """
        prediction = self.linear_prediction(X, alpha, offset)
        if self.predicts_classes:
            return self.labels[prediction.argmax(axis=1)]
        return self.loss_value.mean(prediction) if self.loss_value.predicts_mean else prediction

    def linear_prediction(
        self, X: Any, alpha: float | None = None, offset: Any = None
    ) -> np.ndarray:
        """``Xw + b``, and any offset, for rows in memory.

        Parameters
        ----------
        X : (n_rows, n_features) NumPy array or pandas DataFrame
            Columns of a DataFrame are found by name, in any order; others are ignored. It may
            have the columns of the training table instead of the features, where the model has a
            schema.
        alpha : float or None
            As in :meth:`coefficients_at`.
        offset : (n_rows,) array-like
            What is added to each row's prediction; needed where the model was fitted with some.

        Returns
        -------
        (n_rows,) or (n_rows, n_targets) float64

        Raises
        ------
        ModelError
            When X does not fit the model, or it needs offsets and there are none.
        OptionError
            As in :meth:`coefficients_at`.
        """
        coef, intercept = self.coefficients_at(alpha)
        frame = hasattr(X, "columns")
        if frame and self.covariates is None and encodes(self.schema, X, self.feature_names):
            assert self.schema is not None
            prediction = encoded_sums(X, self.schema, coef) + intercept
        else:
            table = np.asarray(by_name(X, self.feature_names) if frame else X)
            self._check_shape(table)
            used = np.unique(coef.indices)
            weights = coef[:, used].toarray().T
            prediction = table[:, used].astype(np.float64, copy=False) @ weights + intercept
        if offset is not None:
            prediction = prediction + np.asarray(offset, dtype=np.float64).reshape(-1, 1)
        elif self.has_offset:
            raise ModelError("the model was fitted with offsets: expected an offset for each row.")
        return prediction[:, 0] if self.y_is_vector else prediction

    def predict_proba(self, X: Any, alpha: float | None = None, offset: Any = None) -> np.ndarray:
        """Probabilities for rows in memory: of the greater label, or of each class.

        Parameters and errors are those of :meth:`linear_prediction`.

        Returns
        -------
        (n_rows,) or (n_rows, n_targets) float64

        Raises
        ------
        ModelError
            Also where the model's loss has no probabilities.
        """
        loss = self.loss_of_probabilities()
        return loss.mean(self.linear_prediction(X, alpha, offset))

    def loss_of_probabilities(self) -> Loss:
        """Return the model's loss, which turns predictions into probabilities by its ``mean``.

        Raises
        ------
        ModelError
            Where it has none.
        """
        loss = loss_named(self.loss)
        if not loss.gives_probabilities:
            raise ModelError(
                f"loss {self.loss} has no probabilities: they are of models fitted by logistic and "
                "softmax."
            )
        return loss

    def _check_shape(self, table: np.ndarray) -> None:
        if table.ndim != 2 or table.shape[1] != self.n_features:
            raise ModelError(
                f"X has shape {table.shape}, expected (n_rows, {self.n_features}): "
                f"the model has {self.n_features} features."
            )

    def table(self) -> list[dict[str, float | int]]:
        """One row for each alpha, in plain numbers; with errors where it was cross-validated.

        Intercepts are the last columns, one for each target.
        """
        figures = (self.n_nonzero, self.dual_gap, self.objective, self.deviance_explained)
        rows: list[dict[str, float | int]] = [
            {
                "alpha": float(alpha),
                "n_nonzero": int(n),
                "dual_gap": float(gap),
                "objective": float(value),
                "deviance_explained": float(explained),
            }
            for alpha, n, gap, value, explained in zip(self.alphas, *figures, strict=True)
        ]
        if self.cross_validation is not None:
            curve = self.cross_validation.best.table()
            rows = [row | more for row, more in zip(rows, curve, strict=False)]
        names = ["intercept"] if self.y_is_vector else [f"intercept_{t}" for t in self.target_names]
        return [
            row | dict(zip(names, values, strict=True))
            for row, values in zip(rows, self.intercepts.tolist(), strict=False)
        ]

    def summary(self) -> dict[str, Any]:
        """Return what ``--json`` prints, in plain JSON types (all but the model's folder).

        Gaps and objectives that no scan has certified are None: JSON has no infinity.
        """
        return {
            "solver": self.solver,
            "scans": self.scans,
            "bytes_read": self.bytes_read,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "alphas": self.alphas.tolist(),
            "alpha_selected": self.alpha_selected,
            "n_nonzero": self.n_nonzero.tolist(),
            "dual_gap": _known(self.dual_gap),
            "objective": _known(self.objective),
            "deviance_explained": _known(self.deviance_explained),
            "intercepts": self.intercepts.tolist(),
            **self._chosen(),
            "plan": self.plan,
        }

    def _chosen(self) -> dict[str, Any]:
        if self.cross_validation is None:
            return {}
        best = self.cross_validation.best
        return {
            "l1_ratio": best.l1_ratio,
            "alpha_min": best.alpha_min,
            "alpha_1se": best.alpha_1se,
            "criterion": best.criterion,
            f"mean_{best.shown_as}": _known(best.mean_score),
            "standard_error": _known(best.standard_error),
            **{name: _known(means) for name, means in best.mean_scores.items()},
        }

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Save as a folder of JSON and Zarr (see :mod:`dasklasso.model.store`).

        Raises
        ------
        OptionError
            When the folder exists and ``overwrite`` is false, or it is not a model.
        """
        in_json = {
            name: _plain(getattr(self, name))
            for name in (f.name for f in fields(self))
            if name not in _ON_DISK and name not in ("coef_rows", "feature_names", SCALES)
        }
        if self.covariates is not None:
            in_json["covariates"] = self.covariates.to_document()
        arrays = {on_disk: getattr(self, name) for name, on_disk in _ON_DISK.items()}
        if self.schema is not None:
            arrays[MEANS] = self.schema.means
        in_json[SCALES] = self.feature_scales is not None
        if self.feature_scales is not None:
            arrays[SCALES] = self.feature_scales
        write_model(
            folder, in_json, arrays, self.coef_rows, self.feature_names, overwrite=overwrite
        )


def load_model(folder: str | Path) -> FittedPath:
    """Load a model that :meth:`FittedPath.save` wrote. Needs NumPy, SciPy and Zarr, not Dask.

    Raises
    ------
    ModelError
        Names the file that is missing, foreign, damaged or inconsistent.
    """
    place = Path(input_place(folder, "model"))
    document, arrays, coef_rows = read_whole(
        place, lambda: read_model(place, list(_ON_DISK.values()))
    )
    values: dict[str, Any] = {name: arrays[on_disk] for name, on_disk in _ON_DISK.items()}
    values |= {"coef_rows": coef_rows, SCALES: arrays.get(SCALES)}
    for field in fields(FittedPath):
        if field.name in values or (field.name not in document and field.default is None):
            continue
        if field.name not in document:
            raise ModelError(f"{Path(folder) / DOCUMENT} has no entry {field.name!r}.")
        value = document[field.name]
        values[field.name] = tuple(value) if isinstance(value, list) else value
    if values.get("classes") is not None:
        values["classes"] = tuple(one and tuple(one) for one in values["classes"])
    if values.get("cross_validation") is not None:
        try:
            values["cross_validation"] = CvRecord.from_json(values["cross_validation"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{Path(folder) / DOCUMENT}: cross_validation cannot be read ({error})."
            ) from None
    for name in ("covariates", "schema"):
        if values.get(name) is None:
            continue
        try:
            if name == "covariates":
                values[name] = Schema.from_document(values[name])
            else:
                own = _own_features(values["feature_names"], values.get("covariates"))
                values[name] = Schema.from_json(
                    values[name], feature_names=own, means=arrays[MEANS]
                )
        except ValueError as error:
            raise ModelError(f"{Path(folder) / DOCUMENT}: {name}: {error}.") from None
    try:
        return FittedPath(**values)
    except ModelError as error:
        raise ModelError(f"{Path(folder) / ARRAYS} does not fit {DOCUMENT}: {error}") from None


def _own_features(names: Sequence[str], covariates: Schema | None) -> Sequence[str]:
    """Return the features before the covariates, which are the last ones.

    Raises
    ------
    ValueError
        They are not.
    """
    if covariates is None:
        return names
    n = len(names) - len(covariates.feature_names)
    if tuple(names[max(n, 0) :]) != tuple(covariates.feature_names):
        raise ValueError("covariates are not the last of the features")
    return names[:n]


def _known(values: np.ndarray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, at any depth, as JSON types."""
    if isinstance(value, CvRecord | Schema):
        return value.to_json()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def check_features(path: FittedPath, feature_names: Sequence[str], store: str) -> None:
    """Refuse a store whose features are not the model's, name by name.

    Raises
    ------
    ModelError
    """
    if feature_names == path.feature_names:
        return
    if len(feature_names) != path.n_features:
        raise ModelError(
            f"{store} has {len(feature_names)} features, the model expects {path.n_features}."
        )
    for j, (found, expected) in enumerate(zip(feature_names, path.feature_names, strict=True)):
        if found != expected:
            raise ModelError(
                f"{store}: feature {j} is {found!r}, the model expects {expected!r}. "
                "Features must have the model's names and order."
            )
