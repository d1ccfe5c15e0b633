"""The certificate scan: objective and duality gap of any solutions, from one read in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, to_numpy
from dasklasso.errors import ValueFound
from dasklasso.objective.duality import (
    RATIO,
    Certificate,
    column_sums,
    combine_column_sums,
    smooth_certificate,
    squared_certificate,
    together,
    widened,
)
from dasklasso.objective.duality_softmax import offsets, softmax_certificate
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import Problem, gradient_query, penalty_at
from dasklasso.problem.unpenalised import Unpenalised, dual_direction
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import Frame, PlacedFrame
from dasklasso.scan.gather import Answers, gather
from dasklasso.scan.graph import BlockArray
from dasklasso.scan.queries.gradient import LossGradient
from dasklasso.scan.tasks import PartAnswer

POINT_BYTES = 48  # for each feature of a point that is certified: gradients and partial sums too
POINTS_BYTES = 512 << 20  # of all points of one certificate scan


@dataclass(frozen=True)
class Certified:
    """What a scan showed of K points.

    Attributes
    ----------
    found : Answers
        The points, their gradients and the bytes read.
    certificate : Certificate
    relative_gap : (K,)
        Gap over the loss of the null model.
    """

    found: Answers
    certificate: Certificate
    relative_gap: np.ndarray

    @property
    def bytes_read(self) -> int:
        return self.found.bytes_read


@dataclass(frozen=True)
class CertificateQuestion:
    """One scan in float64 at K points: objective and duality gap of each.

    Attributes
    ----------
    problem : Problem
    frame : as the engine placed it
    free : Unpenalised or None
    points : (n_features, K) in standardised coordinates, chunked like the frame
    targets, alphas : (K,)
    device : as in :func:`dasklasso.backend.backend_for`
    intercepts : (K,), where the intercept is a coordinate
    """

    problem: Problem
    frame: PlacedFrame
    free: Unpenalised | None
    points: BlockArray
    targets: np.ndarray
    alphas: np.ndarray
    device: str = "cpu"
    intercepts: np.ndarray | None = None

    def ask(self, engine: ScanEngine) -> Certified:
        """Run the scan.

        Raises
        ------
        ValueFound
            When X holds values that are not finite.
        """
        problem, free, points, targets = self.problem, self.free, self.points, self.targets
        query = gradient_query(problem, targets.tolist(), "float64", self.device, self.intercepts)
        scan = engine.gradient(query, points, self.frame)
        arrays, extra = [points, self.frame], []
        if free is not None:
            penalty = problem.objective.penalty
            c = free.coefficients(points, scan.gradient, len(targets), penalty)
            arrays.append(free.projection(c, self.device))
            extra = [c, free.rows(scan.gradient)]
        summarise = partial(_of_part, problem, self.alphas, self.device)
        sums = scan.map_parts("certificate", summarise, *arrays)
        found = gather(engine, points, scan, [*sums, *extra])
        check_finite(found.sums.finite)
        n_parts = len(sums)
        columns = combine_column_sums(np.stack(found.extra[:n_parts]))
        certificate = certificate_of(
            problem, found.sums, columns, free, found.extra[n_parts:], targets, self.intercepts
        )
        relative = certificate.gap / problem.null_loss[targets]
        # a point beyond all numbers has no gap: nothing is known of how far it is from optimal
        return Certified(found, certificate, np.where(np.isnan(relative), np.inf, relative))


def points_at_once(n_features: int, n_outputs: int = 1) -> int:
    """Tell how many points one scan certifies: the outputs of a problem are never parted."""
    most = max(16, n_outputs, POINTS_BYTES // (POINT_BYTES * n_features))
    return most // n_outputs * n_outputs


def certificate_here(
    problem: Problem,
    points: np.ndarray,
    gradient: np.ndarray,
    sums: LossSums,
    targets: np.ndarray,
    alphas: np.ndarray,
    intercepts: np.ndarray | None = None,
) -> Certificate:
    """Return the certificate of K points whose gradient is here, where every column has a penalty.

    Parameters
    ----------
    points, gradient : (n_features, K)
    sums, targets, alphas, intercepts :
        As for :func:`certificate_of` and :class:`CertificateQuestion`.
    """
    at = LossGradient(gradient, sums)
    columns = _column_sums(problem, alphas, "cpu", at, points, problem.frame)
    return certificate_of(problem, sums, columns, None, [], targets, intercepts)


def certificate_of(
    problem: Problem,
    sums: LossSums,
    columns: np.ndarray,
    free: Unpenalised | None,
    projection: list[np.ndarray],
    targets: np.ndarray,
    intercepts: np.ndarray | None = None,
) -> Certificate:
    """Return the certificate from the sums of a scan.

    Parameters
    ----------
    sums : of the K points, over rows
    columns : (5, K), over columns
    projection : c of each point and its gradient at unpenalised columns, or empty
    intercepts : (K,), where the intercept is a coordinate
    """
    quadratic = bool(problem.objective.penalty.l2 > 0)
    if problem.loss.n_outputs > 1:
        joint = together(columns, problem.loss.n_outputs, RATIO)
        return softmax_certificate(
            sums, joint, intercepts, problem.loss.n_outputs, problem.frequency
        )
    if not problem.loss.quadratic:
        return smooth_certificate(
            sums,
            columns,
            intercepts,
            quadratic=quadratic,
            slack_ratio=problem.loss.slack_ratio,
            overshoot=problem.loss.overshoot(sums.loss, sums.slope_squares),
        )
    squares = sums.slope_squares
    if problem.objective.fit_intercept:
        squares = squares - sums.slope**2
    projected: dict[str, np.ndarray] = {}
    if projection and free is not None:
        c, gradient = projection
        reduced, product = free.corrected(squares, squares + columns[1], -gradient, c, targets)
        projected = {"projected_squares": reduced, "projected_product": product}
    return squared_certificate(squares, columns, quadratic=quadratic, **projected)


def without_slope(
    v: Array,
    sums: LossSums,
    penalty: Penalty,
    frequency: np.ndarray | None,
    backend: Backend,
    widest: float = 1.0,
) -> Array:
    """Return what no ``|v_j|`` exceeds once slopes sum to zero, as an intercept needs.

    Parameters
    ----------
    v : (n_columns, K) float64
    sums : of the K points, over rows
    frequency : of classes, where slopes must sum to zero in each, else None
    widest : as in :class:`~dasklasso.problem.problem.Problem`
    """
    if frequency is None:
        return widened(v, sums, penalty, widest)
    moved = math.sqrt(widest) * offsets(sums.slope, backend.asarray(frequency))
    return penalty.enlarged(v, moved)


def check_finite(finite: np.ndarray | bool) -> None:
    """Refuse a scan's answers where X spoiled them.

    Parameters
    ----------
    finite : whether each of them is a finite number

    Raises
    ------
    ValueFound
    """
    if not np.all(finite):
        raise ValueFound(
            "the scan met values that are not finite numbers: X holds NaN or infinities, or "
            "numbers too large for its precision. dasklasso verify STORE finds them."
        )


def _of_part(
    problem: Problem, alphas: np.ndarray, device: str, answer: PartAnswer, *arrays: Any
) -> Any:
    return _column_sums(problem, alphas, device, answer.values[0], *arrays)


def _column_sums(
    problem: Problem,
    alphas: np.ndarray,
    device: str,
    at: LossGradient,
    points: Array,
    frame: Frame,
    projection: Array | None = None,
) -> Any:
    backend = backend_for(device)
    points, frame = backend.asarray(points), frame.on(backend)
    gradient = backend.asarray(at.gradient)
    alpha = backend.asarray(np.asarray(alphas, dtype=np.float64)[None, :])
    penalty = penalty_at(frame, alpha, problem.objective.penalty)
    dual = dual_direction(gradient, frame, projection)
    if problem.steps_intercept:
        sums = at.sums.map(backend.asarray)
        dual = without_slope(-gradient, sums, penalty, problem.frequency, backend, problem.widest)
    return to_numpy(column_sums(points, -gradient, penalty, dual))
