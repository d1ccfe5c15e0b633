"""What a selection of features is asked: by which method, and what the method needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.options import CvOptions
from dasklasso.selection.relaxed_adaptive import InitialMethod
from dasklasso.selection.stability_bounds import Bound, expected_false

By = Literal["aic", "bic", "ebic", "relaxed", "adaptive", "stability"]
BY = ("aic", "bic", "ebic", "relaxed", "adaptive", "stability")
INITIAL = ("least_squares", "ridge", "lasso")
CRITERIA = ("aic", "bic", "ebic")
CROSS_VALIDATED = ("relaxed", "adaptive")


@dataclass(frozen=True)
class SelectOptions:
    """How features are selected.

    Attributes
    ----------
    by : {"aic", "bic", "ebic", "relaxed", "adaptive", "stability"}
    cv : CvOptions
        Folds and rule of "relaxed" and "adaptive"; its seed also draws half-samples.
    noise_variance, ebic_gamma : of "aic", "bic" and "ebic"
        As in :func:`dasklasso.selection.criteria.information_criteria`.
    gammas : of "relaxed"
        Shares of the lasso to choose from, 0 … 1: 0 is least squares on its support.
    initial, initial_alpha, power : of "adaptive"
        As in ``initial_estimate`` and ``adaptive_factors`` of
        :mod:`dasklasso.selection.relaxed_adaptive`.
    threshold, bound : of "stability"
        The share of half-samples that must select a feature, and which bound is meant
        (:mod:`dasklasso.selection.stability_bounds`).
    expected_false : float or None, of "stability"
        The grid of alphas ends where the bound on the expected number of noise features that
        reach the threshold would exceed this; None: the grid is as long as asked.
    half_samples : even, of "stability"

    Raises
    ------
    OptionError
        Names the option that has a value that cannot be used, when options are made.
    """

    by: By = "bic"
    cv: CvOptions = field(default_factory=CvOptions)
    noise_variance: float | Literal["estimated"] | None = None
    ebic_gamma: float = 1.0
    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    initial: InitialMethod = "least_squares"
    initial_alpha: float | None = None
    power: float = 1.0
    threshold: float = 0.75
    bound: Bound = "unimodal"
    expected_false: float | None = 1.0
    half_samples: int = 100

    @property
    def n_pairs(self) -> int:
        """Complementary pairs of half-samples."""
        return self.half_samples // 2

    @property
    def is_cross_validated(self) -> bool:
        return self.by in CROSS_VALIDATED

    @property
    def is_criterion(self) -> bool:
        return self.by in CRITERIA

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise OptionError(f"by: {self.by!r} is none of {', '.join(BY)}")
        if self.is_cross_validated and self.cv.l1_ratios is not None:
            raise OptionError("l1_ratios: found, but a selection has the one l1_ratio")
        if self.by == "relaxed":
            self._check_gammas()
        elif self.by == "adaptive":
            self._check_adaptive()
        elif self.by == "stability":
            self._check_stability()
        else:
            self._check_criteria()

    def _check_gammas(self) -> None:
        bad = [gamma for gamma in self.gammas if not 0.0 <= gamma <= 1.0]
        if bad or not self.gammas:
            what = f"{bad[0]}" if bad else "none"
            raise OptionError(f"gammas: {what} found, expected numbers from 0 to 1")

    def _check_adaptive(self) -> None:
        if self.initial not in INITIAL:
            raise OptionError(f"initial: {self.initial!r} is none of {', '.join(INITIAL)}")
        given = self.initial_alpha
        if self.initial == "least_squares":
            if given is not None:
                raise OptionError("initial_alpha: found, but least_squares has none")
        elif given is None or not 0.0 < given < np.inf:
            raise OptionError(
                f"initial_alpha: {given} found, expected a positive number for a {self.initial}"
            )
        if not 0.0 < self.power < np.inf:
            raise OptionError(f"power: {self.power} found, expected a positive number")

    def _check_stability(self) -> None:
        if self.half_samples < 2 or self.half_samples % 2:
            raise OptionError(
                f"half_samples: {self.half_samples} found, expected an even number of at least 2"
            )
        if self.cv.seed < 0:
            raise OptionError(f"seed: {self.cv.seed} found, expected a number >= 0")
        if self.expected_false is not None and not self.expected_false > 0:
            raise OptionError(
                f"expected_false: {self.expected_false} found, expected a positive number"
            )
        expected_false(self.threshold, 0.0, 1, self.n_pairs, self.bound)  # names what is not right

    def _check_criteria(self) -> None:
        if not 0.0 <= self.ebic_gamma <= 1.0:
            raise OptionError(f"ebic_gamma: {self.ebic_gamma} found, expected a number from 0 to 1")
        given = self.noise_variance
        if given is None or given == "estimated":
            return
        if isinstance(given, str) or not 0.0 < given < np.inf:
            raise OptionError(
                f"noise_variance: {given!r} found, expected a positive number, 'estimated' or None"
            )
