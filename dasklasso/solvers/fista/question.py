"""What FISTA asks of a scan: gradients at the points of the next steps, and a summary of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.problem.unpenalised import Unpenalised
from dasklasso.scan.engine import GradientScan, ScanEngine
from dasklasso.scan.frame import Frame, PlacedFrame
from dasklasso.scan.gather import Answers, gather
from dasklasso.scan.graph import BlockArray
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.tasks import PartAnswer
from dasklasso.solvers.certificate_scan import check_finite
from dasklasso.solvers.fista.step import Plan, summarise


@dataclass(frozen=True)
class Steps:
    """One scan at the points of the next steps, and in the same graph what is made of it.

    Attributes
    ----------
    query : Gradient
    points : (n_features, n_points), the prox of the last answer, chunked by the layout's parts
    frame : as the engine placed it
    plan, options : of the step
    free : Unpenalised or None
    device : as in :func:`dasklasso.backend.backend_for`
    """

    query: Gradient
    points: BlockArray
    frame: PlacedFrame
    plan: Plan
    options: dict[str, Any]
    free: Unpenalised | None
    device: str

    def ask(self, engine: ScanEngine) -> Stepped:
        """Run the scan."""
        scan = engine.gradient(self.query, self.points, self.frame)
        arrays, extra = self._projection(scan)
        summarised = partial(_summarise, self.plan, self.options, bool(self.query.intercepts))
        summary = scan.map_parts("summary", summarised, self.points, self.frame, *arrays)
        found = gather(engine, self.points, scan, [*summary, *extra])
        k, n_parts = self.plan.base.size, len(summary)
        # from where a step went too far for numbers, a problem can go back if it holds a point
        held = slice(2 * k, 3 * k) if self.plan.holds else slice(None)
        check_finite(found.sums[held].finite)
        return Stepped(found, np.concatenate(found.extra[:n_parts]), found.extra[n_parts:])

    def _projection(self, scan: GradientScan) -> tuple[list[BlockArray], list[BlockArray]]:
        """What projecting on unpenalised columns takes: for the summary, and for the client."""
        if self.free is None:
            return [], []
        k, gradient = self.plan.base.size, scan.gradient
        c = self.free.coefficients(self.points, gradient, k, self.options["penalty"])
        return [self.free.projection(c, self.device)], [c, self.free.rows(gradient.columns(0, k))]


@dataclass(frozen=True)
class Stepped:
    """What a scan of steps showed.

    Attributes
    ----------
    found : Answers
    summary : (n_parts, n_numbers) of each part
    projected : c of each point and its gradient at unpenalised columns, or empty
    """

    found: Answers
    summary: np.ndarray
    projected: list[np.ndarray]

    @property
    def bytes_read(self) -> int:
        return self.found.bytes_read


def _summarise(
    plan: Plan,
    options: dict[str, Any],
    with_intercept: bool,
    answer: PartAnswer,
    points: np.ndarray,
    frame: Frame,
    projection: np.ndarray | None = None,
) -> np.ndarray:
    at = answer.values[0]
    options = {**options, "sums": at.sums if with_intercept else None}
    return to_numpy(summarise(points, at.gradient, frame, projection, plan, **options))
