"""Backtracking for a loss of unbounded curvature: each problem finds its own, and may step back.

A problem divides its steps by ``c λ``, where λ is the largest eigenvalue of X̃ᵀPX̃ and c a
curvature of the loss that its rows are hoped not to exceed. Whether they did, the next scan says,
in which the iterate h before the step is evaluated once more: an iterate u is accepted where its
objective is below that of h, by as much as the step promised if it began at h (Beck and Teboulle,
2009, A fast iterative shrinkage-thresholding algorithm, lemma 2.3 and section 4; monotone:
O'Donoghue and Candès, 2015, Adaptive restart for accelerated gradient schemes, section 3.2). Where
it is not, the problem steps again from h, without momentum, and with twice the curvature if
momentum was not to blame. So no scan is made for a line search alone, and no bad step is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dasklasso.problem.problem import Problem
from dasklasso.solvers.fista.step import STEP, ZERO, Plan

SUFFICIENT_GAIN = (
    0.25  # of L‖u − h‖²: what a step from h has to gain; ½ where L is no less than the curvature
)
AMPLE_GAIN = (
    0.95  # of L‖u − h‖²: gained by steps along which the curvature is less than a tenth of L
)
CURVATURE_GROWTH = 2.0  # of c, after a step that was not accepted
OVERFLOW_GROWTH = 16.0  # of c, after a step to an objective that is no finite number
MOMENTUM_GROWTH = 1.5  # of c, where momentum met more curvature
OBJECTIVE_ROUNDING = {"float32": 1e-6, "float64": 1e-13}  # of an objective, relative to it


@dataclass(frozen=True)
class Backtracking:
    """The curvature and the objective that each problem compares its next step with: (K,) arrays.

    Attributes
    ----------
    curvature : c of the plan's steps
    objective : at the iterates before them, or above it
    noise : float
        How far rounding may move objectives, relative to them.
    """

    curvature: np.ndarray
    objective: np.ndarray
    noise: float

    def to_json(self) -> dict[str, Any]:
        objective = [None if np.isinf(value) else value for value in self.objective.tolist()]
        return {
            "curvature": self.curvature.tolist(),
            "objective": objective,
            "noise": self.noise,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Backtracking:
        objective = [np.inf if value is None else value for value in data["objective"]]
        curvature = np.asarray(data["curvature"], dtype=float)
        return cls(curvature, np.asarray(objective, dtype=float), data["noise"])

    def of(self, places: np.ndarray) -> Backtracking:
        """Take the figures of problems that begin at the iterates of others, or at ZERO.

        An objective is at most what it was for the larger alpha; at zero it is not known here.
        """
        objective = np.where(places == ZERO, np.inf, self.objective[places])
        return replace(self, curvature=self.curvature[places], objective=objective)

    def accepted(self, plan: Plan, stepwise: np.ndarray, objective: np.ndarray) -> np.ndarray:
        """Decide which iterates are better than those before, as a scan showed.

        Parameters
        ----------
        stepwise : (9, K)
            The summary of the scan.
        objective : (K,)
            At the new iterates.

        Returns
        -------
        (K,) bool
        """
        promised = np.where(
            self._from_held(plan), SUFFICIENT_GAIN * plan.lipschitz * stepwise[STEP], 0.0
        )
        return objective <= self.objective - promised + self.noise * np.abs(objective)

    def after(
        self,
        plan: Plan,
        stepwise: np.ndarray,
        objective: np.ndarray,
        accepted: np.ndarray,
        steep: np.ndarray,
    ) -> Backtracking:
        """Update curvatures and objectives for the next step.

        Parameters
        ----------
        steep : (K,) bool
            Where more curvature was met between u and the point that momentum leads to.
        """
        gain = self.objective - objective
        ample = np.isfinite(gain) & (gain > AMPLE_GAIN * plan.lipschitz * stepwise[STEP])
        steeper = np.where(np.isfinite(objective), CURVATURE_GROWTH, OVERFLOW_GROWTH)
        factor = np.where(accepted, np.where(ample, 0.5, 1.0), steeper)
        factor = np.where(self._from_held(plan), factor, np.where(steep, MOMENTUM_GROWTH, 1.0))
        return replace(
            self,
            curvature=self.curvature * factor,
            objective=np.where(accepted, objective, self.objective),
        )

    def _from_held(self, plan: Plan) -> np.ndarray:
        return (plan.base == plan.previous) | (plan.base == ZERO)


def begin(
    problem: Problem,
    targets: np.ndarray,
    dtype: str,
    slope: np.ndarray | float = 0.0,
    objective: Mapping[int, float] = MappingProxyType({}),
) -> Backtracking | None:
    """Begin for all jobs of a problem; None where the loss has a largest curvature.

    Parameters
    ----------
    targets : (n_jobs,)
    dtype : of products
    slope : (n_targets,)
        Of the mean loss in the null model's prediction. Where there is no intercept to make it 0,
        the mean of counts is less by it, and with that their curvature.
    objective : where jobs begin, for those that do not begin at the null model
    """
    if not problem.loss.unbounded:
        return None
    null = problem.null_intercept
    curvature = np.maximum(problem.loss.curvature(null, np.zeros_like(null)), -slope)
    begins = problem.null_loss[targets]
    begins[list(objective)] = list(objective.values())
    return Backtracking(curvature[targets], begins, OBJECTIVE_ROUNDING[dtype])
