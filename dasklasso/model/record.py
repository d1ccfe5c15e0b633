"""What a fitted path holds: coefficients for every alpha, certificates, where they are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.schema import Schema
from dasklasso.errors import ModelError
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.huber import HUBER_DELTA
from dasklasso.objective.losses.registry import loss_named

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PENALISED_COVARIATES = "penalised_covariates"  # among penalty options: whether some have a penalty


@dataclass(frozen=True)
class PathRecord:
    """Solutions along a decreasing grid of alphas, for one or several targets.

    The classes of a softmax loss are targets here: each has coefficients, and they are one problem.

    Attributes
    ----------
    alphas : (n_alphas,) float64, decreasing
    coef_rows : (n_alphas * n_targets, n_features) scipy.sparse.csr_array, float64
        Row ``i_alpha * n_targets + target``, in the units of the data.
    intercepts : (n_alphas, n_targets) float64
    dual_gaps : (n_alphas, n_problems) float64
        Relative: duality gap divided by the null model's loss.
    objectives : (n_alphas, n_problems) float64
    y_is_vector : bool
        Whether y was one vector: ``coef`` and ``intercept`` then have no axis of targets.
    feature_names : sequence of str, length n_features
    target_names : sequence of str, length n_targets
    loss : str
    l1_ratio : float
    penalty_options : dict
        ``fit_intercept``, ``standardize``, ``positive``, ...: JSON types.
    alpha_selected : float or None
        The alpha that :meth:`predict` takes when none is given.
    solver : str
    tol : float
        The relative gap asked for.
    scans : float
        Reads of X; a partial read counts by its share of the bytes.
    bytes_read, peak_memory_bytes : int
    seconds : float
    fingerprint : str
        Of the data that were fitted.
    versions : dict of str
        Of dasklasso and the libraries it computed with.
    cross_validation : CvRecord or None
        How ``alpha_selected`` was chosen.
    explained : n_alphas sequences of n_problems numbers, or None
        One less the loss over that of the model without features; None for one that is unknown.
    plan : dict or None
        What had been planned before the fit: scans, bytes, memory, ... in plain JSON types.
    refit : dict or None
        How coefficients differ from those of the options above, in plain JSON types: ``kind``
        "relaxed" with its ``gamma``, where gaps and objectives are those of the lasso that was
        relaxed; or "adaptive" with the ``penalty_factor`` of each feature, None where it is out.
    classes : tuple of (tuple of labels or None), or None
        For each target of the data. Of targets that are labels, those of class 0, 1, ...: numbers
        in ascending order, or the names of text targets. None for targets that are numbers or
        probabilities.
    has_offset : bool or None
        Whether rows had offsets, which predictions then need.
    schema : Schema or None
        How the columns of a table become the features; None where that is not known.
    covariates : Schema or None
        How the columns of a table of covariates become the last features; None without any.
    feature_scales : (n_features,) float64, or None
        Standard deviations of the columns of X where rows have weight, 0 for constant columns;
        None where they are not known, as of fits without an intercept.
    """

    alphas: np.ndarray
    coef_rows: csr_array
    intercepts: np.ndarray
    dual_gaps: np.ndarray
    objectives: np.ndarray
    y_is_vector: bool
    feature_names: Sequence[str]
    target_names: Sequence[str]
    loss: str
    l1_ratio: float
    penalty_options: dict[str, Any]
    alpha_selected: float | None
    solver: str
    tol: float
    scans: float
    bytes_read: int
    seconds: float
    peak_memory_bytes: int
    fingerprint: str
    versions: dict[str, str]
    cross_validation: CvRecord | None = None
    explained: Sequence[Sequence[float | None]] | None = None
    plan: dict[str, Any] | None = None
    refit: dict[str, Any] | None = None
    classes: tuple[tuple[int | float | str, ...] | None, ...] | None = None
    has_offset: bool | None = None
    schema: Schema | None = None
    covariates: Schema | None = None
    feature_scales: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (self.n_alphas, self.n_problems)
        expected: dict[str, tuple[int, ...]] = {
            "coef_rows": (self.n_alphas * self.n_targets, self.n_features),
            "intercepts": (self.n_alphas, self.n_targets),
            "dual_gaps": shape,
            "objectives": shape,
        }
        if self.feature_scales is not None:
            expected["feature_scales"] = (self.n_features,)
        for name, want in expected.items():
            found = getattr(self, name).shape
            if found != want:
                raise ModelError(f"{name} has shape {found}, expected {want}.")
        if self.n_alphas == 0 or not np.all(np.diff(self.alphas, prepend=np.inf) < 0):
            raise ModelError("alphas must be one or more numbers, strictly decreasing.")
        if self.y_is_vector and self.n_targets != 1:
            raise ModelError(f"y is a vector, but there are {self.n_targets} target names.")
        self._check_lists()

    def _check_lists(self) -> None:
        """Refuse lists that are not as long as there are alphas, problems or classes."""
        n_classes = self.n_targets if self.predicts_classes else 2
        if self.classes is not None and (
            len(self.classes) != self.n_problems
            or any(one is not None and len(one) != n_classes for one in self.classes)
        ):
            raise ModelError(
                f"classes are not {n_classes} labels for each of {self.n_problems} targets."
            )
        if self.explained is not None and (
            len(self.explained) != self.n_alphas
            or any(len(row) != self.n_problems for row in self.explained)
        ):
            raise ModelError(f"explained is not {self.n_alphas} rows of {self.n_problems} numbers.")

    @property
    def n_alphas(self) -> int:
        return len(self.alphas)

    @property
    def n_features(self) -> int:
        return len(self.feature_names)

    @property
    def n_covariates(self) -> int:
        """Features that are covariates: the last ones."""
        return 0 if self.covariates is None else len(self.covariates.feature_names)

    @property
    def n_targets(self) -> int:
        return len(self.target_names)

    @property
    def predicts_classes(self) -> bool:
        """Whether targets are the classes of one target, and predictions its labels."""
        return loss_named(self.loss).n_outputs != 1

    @property
    def n_problems(self) -> int:
        """Problems of one alpha: one for each target, one for all of the classes of one."""
        return 1 if self.predicts_classes else self.n_targets

    @property
    def coef(self) -> np.ndarray:
        """(n_alphas, n_features[, n_targets]) float64, dense (``coef_rows`` is sparse)."""
        dense = self.coef_rows.toarray().reshape(self.n_alphas, self.n_targets, self.n_features)
        return dense[:, 0] if self.y_is_vector else dense.transpose(0, 2, 1)

    @property
    def intercept(self) -> np.ndarray:
        """(n_alphas[, n_targets]) float64."""
        return self.intercepts[:, 0] if self.y_is_vector else self.intercepts

    @property
    def dual_gap(self) -> np.ndarray:
        """(n_alphas,) the worst relative gap over the targets."""
        return self.dual_gaps.max(axis=1)

    @property
    def objective(self) -> np.ndarray:
        """(n_alphas,) the objective, summed over the targets."""
        return self.objectives.sum(axis=1)

    @property
    def deviance_explained(self) -> np.ndarray:
        """(n_alphas,) share of the deviance that models explain, over all problems; NaN: unknown.

        One less the loss over that of the model without features; R² of a squared loss.
        """
        if self.explained is None:
            return np.full(self.n_alphas, np.nan)
        return np.mean(np.array(self.explained, dtype=np.float64), axis=1)

    @property
    def n_nonzero(self) -> np.ndarray:
        """(n_alphas,) int64, the number of features used by any target."""
        k = self.n_targets
        counts = [
            len(np.unique(part.indices[part.data != 0]))
            for part in (self.coef_rows[i * k : (i + 1) * k] for i in range(self.n_alphas))
        ]
        return np.asarray(counts, dtype=np.int64)

    @property
    def converged(self) -> bool:
        """Whether every gap is at most ``tol``."""
        return bool(np.all(self.dual_gaps <= self.tol))

    @property
    def loss_value(self) -> Loss:
        """The loss that was minimised."""
        delta = self.penalty_options.get("huber_delta", HUBER_DELTA)
        return loss_named(self.loss, self.n_targets, delta)

    @property
    def labels(self) -> np.ndarray:
        """(n_targets,) labels of the classes, where :attr:`predicts_classes`."""
        [labels] = self.classes or (None,)
        return np.asarray(self.target_names if labels is None else labels)
