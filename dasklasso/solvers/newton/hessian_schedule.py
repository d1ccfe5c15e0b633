"""Which Hessians the next scan of a proximal Newton fit takes, where, and over which columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import Problem, hessian_query
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.solvers.base import Jobs
from dasklasso.solvers.newton.hessian_model import (
    NODE_LARGEST_MOVE,
    Hessians,
    Node,
    Quadric,
    quadric,
)
from dasklasso.solvers.newton.iterate import Iterate

CANDIDATE_SHARE = 0.7  # of the gradient at which a column comes into use
RIDGE = {"float32": 2e-7, "float64": 1e-15}  # of a diagonal, for each other column


@dataclass(frozen=True)
class Wanted:
    """A Hessian that a scan is to take.

    Attributes
    ----------
    iterate : number of the problem at whose point, and over whose rows
    columns : ascending
    node : of the target's path, or None for one that is the problem's own
    """

    iterate: int
    columns: np.ndarray
    node: int | None


@dataclass(frozen=True)
class Limits:
    """How many Hessians may be held, and how large they may be.

    Attributes
    ----------
    nodes : alphas of each target at which Hessians are held
    columns : of each Hessian
    """

    nodes: int
    columns: int


class Nodes:
    """The Hessians of all targets.

    Parameters
    ----------
    problem : Problem
    jobs : Jobs
    limits : Limits
    noise : float
        By how much entries of a first gradient may be off, where it comes from a sample of rows.
    outside : of each fold its problem, in the same coordinates
    """

    def __init__(
        self,
        problem: Problem,
        jobs: Jobs,
        limits: Limits,
        noise: float,
        outside: Mapping[int, Problem] = MappingProxyType({}),
    ) -> None:
        self.problem, self.jobs, self.limits, self.noise = problem, jobs, limits, noise
        self._frames = {ALL: problem.frame, **{k: one.frame for k, one in outside.items()}}
        self.hessians = [Hessians(jobs.alphas, limits.nodes) for _ in range(jobs.n_targets)]
        self.own: dict[int, Node | None] = {}  # of iterates, by their numbers

    def copied(self) -> Nodes:
        """Copy the nodes, for the next state to change; matrices are shared, and never changed."""
        found = copy(self)
        found.hessians, found.own = [one.copied() for one in self.hessians], dict(self.own)
        return found

    def matters(self, iterate: Iterate, gradient: np.ndarray | None = None) -> np.ndarray:
        """(n_features,) bool: columns in use, and those that may come into use.

        The margin is that of the strong rule.

        Parameters
        ----------
        gradient : (n_features,) at the trial, more or less; by default the point's
        """
        u = iterate.trial[0]
        if gradient is None:
            u, gradient = iterate.point.u, iterate.point.gradient
        penalty = self._penalty(iterate)
        found = (u != 0) | penalty.may_enter(-gradient, CANDIDATE_SHARE, self.noise)
        for secant in iterate.secants:
            found |= secant.step[:-1] != 0
        useful = self._frames[iterate.fold].matters
        found &= useful
        most = self.limits.columns
        if np.count_nonzero(found) > most:  # those that violate their conditions most, for now
            excess = np.where(found, penalty.scaling(-gradient), -1.0)
            excess[u != 0] = np.inf
            found = np.zeros_like(found)
            found[np.argsort(-excess, kind="stable")[:most]] = True
            found &= useful
        return found

    def wanted(self, iterates: Sequence[Iterate], matters: Sequence[np.ndarray]) -> list[Wanted]:
        """Return what the next scan takes.

        Parameters
        ----------
        iterates : all, those of all rows first
        matters : what :meth:`matters` says of each
        """
        in_flight = [
            k for k, iterate in enumerate(iterates) if not iterate.certified and not iterate.resting
        ]
        self._own(iterates, in_flight)
        users: dict[tuple[int, int], list[int]] = {}
        for k in in_flight:
            if k not in self.own:
                for node, _ in self.hessians[iterates[k].target].around(iterates[k].index):
                    users.setdefault((iterates[k].target, node), []).append(k)
        for target, hessians in enumerate(self.hessians if self.own else []):
            for node in range(hessians.places.size):
                if (target, node) not in users:  # memory is for as many as there are places
                    hessians.nodes[node] = None
        found = []
        for (target, node), served in sorted(users.items()):
            at, known = self._at_node(target, node), self.hessians[target].nodes[node]
            columns = self._lacking(iterates, at, known, served, matters)
            if columns is not None:
                found.append(Wanted(at, columns, node))
        for k, known in sorted(self.own.items()):
            columns = self._lacking(iterates, k, known, [k], matters)
            if columns is not None:
                found.append(Wanted(k, columns, None))
        return found

    def query(
        self, wanted: Sequence[Wanted], iterates: Sequence[Iterate], dtype: str, device: str
    ) -> tuple[WeightedGrams, list[tuple[np.ndarray, float]]]:
        """Return what to ask for them, and at which points and intercepts."""
        at = [_serving(iterates[one.iterate]) for one in wanted]
        query = hessian_query(
            self.problem,
            [iterates[one.iterate].target for one in wanted],
            [b for _, b in at],
            [one.columns for one in wanted],
            dtype,
            device,
            [iterates[one.iterate].damping for one in wanted],
        )
        return query, at

    def keep(
        self,
        wanted: Sequence[Wanted],
        query: WeightedGrams,
        at: Sequence[tuple[np.ndarray, float]],
        iterates: Sequence[Iterate],
        matrices: Sequence[np.ndarray],
    ) -> None:
        """Take what a scan answered, once its trials are settled.

        What was asked at a trial that is refused is not taken, unless there is nothing else: the
        problem goes on from elsewhere.
        """
        asked = zip(wanted, at, query.dampings, matrices, strict=True)
        for one, (u, b), damping, matrix in asked:
            iterate = iterates[one.iterate]
            nodes = self.hessians[iterate.target].nodes
            known = self.own[one.iterate] if one.node is None else nodes[one.node]
            here = np.array_equal(u, iterate.point.u) and b == iterate.point.b
            refused = u is iterate.trial[0] and not here
            # where it is not finite, a step too far was tried
            if not np.all(np.isfinite(matrix)) or (refused and known is not None):
                continue
            whole = np.array(matrix)
            # rounding must not leave a direction along which the model falls without end
            whole.flat[:: len(whole) + 1] *= 1.0 + RIDGE[query.dtype] * len(whole)
            node = Node(one.columns, whole, u, b, damping)
            if one.node is None:
                self.own[one.iterate] = node
            else:
                nodes[one.node] = node
            if here and iterate.damping <= damping:  # a model that the last step lacked
                iterate.step_share = 1.0
            for k in self._served(iterates, one):  # it knows better than secants of the way there
                iterates[k].secants = []

    def quadric(self, k: int, iterate: Iterate, matters: np.ndarray) -> Quadric | None:
        """Return the model of iterate number k; None where no Hessian of it is known yet."""
        own = self.own.get(k)
        parts = self.hessians[iterate.target].parts(iterate.index) if own is None else [(own, 1.0)]
        return None if parts is None else quadric(parts, matters, iterate.secants)

    def _own(self, iterates: Sequence[Iterate], in_flight: Sequence[int]) -> None:
        """Give each slow problem a Hessian of its own, once few problems are left."""
        for target, hessians in enumerate(self.hessians):
            left = [k for k in in_flight if iterates[k].target == target]
            if len(left) <= hessians.places.size:
                for k in left:
                    if iterates[k].slow:
                        self.own.setdefault(k, None)
        self.own = {k: node for k, node in self.own.items() if k in set(in_flight)}

    def _served(self, iterates: Sequence[Iterate], one: Wanted) -> list[int]:
        if one.node is None:
            return [one.iterate]
        target = iterates[one.iterate].target
        return [
            k
            for k, iterate in enumerate(iterates)
            if iterate.target == target
            and k not in self.own
            and any(node == one.node for node, _ in self.hessians[target].around(iterate.index))
        ]

    def _lacking(
        self,
        iterates: Sequence[Iterate],
        at: int,
        node: Node | None,
        users: Sequence[int],
        matters: Sequence[np.ndarray],
    ) -> np.ndarray | None:
        """The columns to take a node of, at an iterate; None where it still serves its users."""
        columns = np.logical_or.reduce([matters[k] for k in users])
        if node is None:
            return np.flatnonzero(columns)
        iterate = iterates[at]
        moved = node.moved(*_serving(iterate))
        slow = moved > 0 and all(iterates[k].slow for k in users)
        if not (moved > NODE_LARGEST_MOVE or iterate.damping > node.damping or slow):
            lacks = np.ones(self.problem.n_features, bool)
            lacks[node.columns] = False
            whole = node.columns.size >= self.limits.columns
            if whole or not any(np.any(self._needs(iterates[k]) & lacks) for k in users):
                return None
        if np.count_nonzero(columns) < self.limits.columns:
            columns[node.columns] = True
        return np.flatnonzero(columns)

    def _needs(self, iterate: Iterate) -> np.ndarray:
        """Columns in use, and those whose gradient is larger than their penalty allows."""
        exceeds = self._penalty(iterate).excess(-iterate.point.gradient) > 0
        return (exceeds | (iterate.point.u != 0)) & self._frames[iterate.fold].matters

    def _penalty(self, iterate: Iterate) -> Penalty:
        """Of (n_features,) coefficients."""
        alpha, frame = self.jobs.alphas[iterate.index], self._frames[iterate.fold]
        return self.problem.objective.penalty.at(alpha, frame.l1_factor, frame.l2_factor)

    def _at_node(self, target: int, node: int) -> int:
        return int(self.hessians[target].places[node]) * self.jobs.n_targets + target


def _serving(iterate: Iterate) -> tuple[np.ndarray, float]:
    """Where an iterate's Hessian is taken: at its trial; where it stays if its last was refused."""
    return (iterate.point.u, iterate.point.b) if iterate.step_share < 1.0 else iterate.trial
