"""The intercept as one more coordinate, where centring does not take it out of the problem.

Standardised columns are centred, so the intercept b and the coefficients u do not meet in
``[X̃ 1]ᵀP[X̃ 1]``: with the loss's curvature at most c, the loss is majorised by the quadratic with
``c λ I`` for u and ``c`` for b, where λ is the largest eigenvalue of X̃ᵀPX̃. So b takes steps of
1/c of its own, in the same iterations, with the same momentum and restarts as u (FISTA in that
metric: Tseng, 2008, On accelerated proximal gradient methods for convex-concave optimization,
section 2). A b is one number for each point, so all of it is arithmetic on the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.solvers.fista.step import CURVATURE, RESTART, STEP, ZERO, Plan


@dataclass(frozen=True)
class Intercepts:
    """Intercepts of the points that are evaluated next: arrays of shape (K,) float64.

    Attributes
    ----------
    u, z : at the iterates, and at the points that momentum leads to
    previous : at the iterates before
    holds : whether those are among the points
    """

    u: np.ndarray
    z: np.ndarray
    previous: np.ndarray
    holds: bool = False

    @property
    def points(self) -> np.ndarray:
        """In the order of a plan's points."""
        return np.concatenate([self.u, self.z, *([self.previous] if self.holds else [])])

    def to_json(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name).tolist() for name in ("u", "z", "previous")}
        return {**arrays, "holds": self.holds}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Intercepts:
        arrays = {name: np.asarray(data[name], dtype=float) for name in ("u", "z", "previous")}
        return cls(**arrays, holds=data["holds"])

    def in_stepwise(
        self,
        stepwise: np.ndarray,
        slope: np.ndarray,
        lipschitz: np.ndarray,
        curvature: np.ndarray | float,
    ) -> np.ndarray:
        """Add the intercepts' share to the tests in the summary of a scan.

        Parameters
        ----------
        stepwise : (9, K)
            Of the coefficients alone.
        slope : (n_points,)
            Of the mean loss in the intercept, at u, z and further points.
        lipschitz : (K,)
            What steps of coefficients were divided by.
        curvature : (K,) or a number
            The largest of the loss, what steps of intercepts are divided by.
        """
        k = self.u.size
        at_u, at_z = slope[:k], slope[k : 2 * k]
        between = self.z - self.u
        following = self.z - at_z / curvature
        restart = (self.z - following) * (following - self.u)
        found = stepwise.copy()
        # both in the metric of u, so that coefficients' shares are what they are without b
        found[RESTART] += restart * (curvature / lipschitz)
        # b's curvature is known to be within its bound: what exceeds it is coefficients'
        found[CURVATURE] += (at_z - at_u) * between - curvature * between**2
        if self.holds:
            found[STEP] += (curvature / lipschitz) * (self.u - self.previous) ** 2
        return found


@dataclass(frozen=True)
class Evaluated:
    """Intercepts of the points that a scan evaluated, and the slope of the loss in them.

    Attributes
    ----------
    at, slope : (n_points,)
        Intercepts of the points last evaluated, and the slope of the mean loss in them.
    null : (n_targets,)
        Intercepts of the null models, where a job begins that starts at zero.
    """

    at: np.ndarray
    slope: np.ndarray
    null: np.ndarray

    def step(self, plan: Plan, targets: np.ndarray, curvature: np.ndarray | float) -> Intercepts:
        """Take for intercepts the step that a plan takes for coefficients."""
        null = self.null[targets]
        begins = plan.base == ZERO
        u = np.where(begins, null, self.at[plan.base] - self.slope[plan.base] / curvature)
        previous = np.where(plan.previous == ZERO, null, self.at[plan.previous])
        return Intercepts(u, u + plan.momentum * (u - previous), previous, plan.holds)
