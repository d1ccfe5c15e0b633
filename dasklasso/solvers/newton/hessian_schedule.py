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
from dasklasso.solvers.newton.hessian_model import MOVED, Hessians, Node, Quadric, quadric
from dasklasso.solvers.newton.iterate import Track

CANDIDATE = 0.7  # of the gradient at which a column comes into use
RIDGE = {"float32": 2e-7, "float64": 1e-15}  # of a diagonal, for each column beside it


@dataclass(frozen=True)
class Wanted:
    """A Hessian that a scan is to take.

    Attributes
    ----------
    track : number of the problem at whose point, and over whose rows
    columns : ascending
    node : of the target's path, or None for one that is the problem's own
    """

    track: int
    columns: np.ndarray
    node: int | None


@dataclass(frozen=True)
class Limits:
    """What Hessians may take.

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
        self.own: dict[int, Node | None] = {}  # of tracks, by their numbers

    def copied(self) -> Nodes:
        """The same, for the next state to change: matrices are shared, and never changed."""
        found = copy(self)
        found.hessians, found.own = [one.copied() for one in self.hessians], dict(self.own)
        return found

    def matters(self, track: Track, gradient: np.ndarray | None = None) -> np.ndarray:
        """(n_features,) bool: columns in use, and those that may come into use.

        The margin is that of the strong rule.

        Parameters
        ----------
        gradient : (n_features,) at the trial, more or less; by default the point's
        """
        u = track.trial[0]
        if gradient is None:
            u, gradient = track.point.u, track.point.gradient
        penalty = self._penalty(track)
        found = (u != 0) | penalty.may_enter(-gradient, CANDIDATE, self.noise)
        for secant in track.secants:
            found |= secant.step[:-1] != 0
        useful = self._frames[track.fold].matters
        found &= useful
        most = self.limits.columns
        if np.count_nonzero(found) > most:  # those that violate their conditions most, for now
            excess = np.where(found, penalty.scaling(-gradient), -1.0)
            excess[u != 0] = np.inf
            found = np.zeros_like(found)
            found[np.argsort(-excess, kind="stable")[:most]] = True
            found &= useful
        return found

    def wanted(self, tracks: Sequence[Track], matters: Sequence[np.ndarray]) -> list[Wanted]:
        """What the next scan takes.

        Parameters
        ----------
        tracks : all, those of all rows first
        matters : what :meth:`matters` says of each
        """
        flying = [k for k, track in enumerate(tracks) if not track.certified and not track.resting]
        self._own(tracks, flying)
        users: dict[tuple[int, int], list[int]] = {}
        for k in flying:
            if k not in self.own:
                for node, _ in self.hessians[tracks[k].target].around(tracks[k].index):
                    users.setdefault((tracks[k].target, node), []).append(k)
        for target, hessians in enumerate(self.hessians if self.own else []):
            for node in range(hessians.places.size):
                if (target, node) not in users:  # memory is for as many as there are places
                    hessians.nodes[node] = None
        found = []
        for (target, node), served in sorted(users.items()):
            at, known = self._at_node(target, node), self.hessians[target].nodes[node]
            columns = self._lacking(tracks, at, known, served, matters)
            if columns is not None:
                found.append(Wanted(at, columns, node))
        for k, known in sorted(self.own.items()):
            columns = self._lacking(tracks, k, known, [k], matters)
            if columns is not None:
                found.append(Wanted(k, columns, None))
        return found

    def query(
        self, wanted: Sequence[Wanted], tracks: Sequence[Track], dtype: str, device: str
    ) -> tuple[WeightedGrams, list[tuple[np.ndarray, float]]]:
        """What to ask for them, and at which points and intercepts."""
        at = [_serving(tracks[one.track]) for one in wanted]
        query = hessian_query(
            self.problem,
            [tracks[one.track].target for one in wanted],
            [b for _, b in at],
            [one.columns for one in wanted],
            dtype,
            device,
            [tracks[one.track].caution for one in wanted],
        )
        return query, at

    def keep(
        self,
        wanted: Sequence[Wanted],
        query: WeightedGrams,
        at: Sequence[tuple[np.ndarray, float]],
        tracks: Sequence[Track],
        matrices: Sequence[np.ndarray],
    ) -> None:
        """Take what a scan answered, once its trials are settled.

        What was asked at a trial that is refused is not taken, unless there is nothing else: the
        problem goes on from elsewhere.
        """
        asked = zip(wanted, at, query.cautions, matrices, strict=True)
        for one, (u, b), caution, matrix in asked:
            track = tracks[one.track]
            nodes = self.hessians[track.target].nodes
            known = self.own[one.track] if one.node is None else nodes[one.node]
            here = np.array_equal(u, track.point.u) and b == track.point.b
            refused = u is track.trial[0] and not here
            # where it is not finite, a step too far was tried
            if not np.all(np.isfinite(matrix)) or (refused and known is not None):
                continue
            whole = np.array(matrix)
            # rounding must not leave a direction along which the model falls without end
            whole.flat[:: len(whole) + 1] *= 1.0 + RIDGE[query.dtype] * len(whole)
            node = Node(one.columns, whole, u, b, caution)
            if one.node is None:
                self.own[one.track] = node
            else:
                nodes[one.node] = node
            if here and track.caution <= caution:  # a model that the last step lacked
                track.damping = 1.0
            for k in self._served(tracks, one):  # it knows better than secants of the way there
                tracks[k].secants = []

    def quadric(self, k: int, track: Track, matters: np.ndarray) -> Quadric | None:
        """The model of track number k; None where no Hessian of it is known yet."""
        own = self.own.get(k)
        parts = self.hessians[track.target].parts(track.index) if own is None else [(own, 1.0)]
        return None if parts is None else quadric(parts, matters, track.secants)

    def _own(self, tracks: Sequence[Track], flying: Sequence[int]) -> None:
        """Once few problems are left, each that gets on slowly has a Hessian of its own."""
        for target, hessians in enumerate(self.hessians):
            left = [k for k in flying if tracks[k].target == target]
            if len(left) <= hessians.places.size:
                for k in left:
                    if tracks[k].slow:
                        self.own.setdefault(k, None)
        self.own = {k: node for k, node in self.own.items() if k in set(flying)}

    def _served(self, tracks: Sequence[Track], one: Wanted) -> list[int]:
        if one.node is None:
            return [one.track]
        target = tracks[one.track].target
        return [
            k
            for k, track in enumerate(tracks)
            if track.target == target
            and k not in self.own
            and any(node == one.node for node, _ in self.hessians[target].around(track.index))
        ]

    def _lacking(
        self,
        tracks: Sequence[Track],
        at: int,
        node: Node | None,
        users: Sequence[int],
        matters: Sequence[np.ndarray],
    ) -> np.ndarray | None:
        """The columns to take a node of, at a track; None where it still serves its users."""
        columns = np.logical_or.reduce([matters[k] for k in users])
        if node is None:
            return np.flatnonzero(columns)
        track = tracks[at]
        moved = node.moved(*_serving(track))
        slow = moved > 0 and all(tracks[k].slow for k in users)
        if not (moved > MOVED or track.caution > node.caution or slow):
            lacks = np.ones(self.problem.n_features, bool)
            lacks[node.columns] = False
            whole = node.columns.size >= self.limits.columns
            if whole or not any(np.any(self._needs(tracks[k]) & lacks) for k in users):
                return None
        if np.count_nonzero(columns) < self.limits.columns:
            columns[node.columns] = True
        return np.flatnonzero(columns)

    def _needs(self, track: Track) -> np.ndarray:
        """Columns in use, and those whose gradient is larger than their penalty allows."""
        exceeds = self._penalty(track).excess(-track.point.gradient) > 0
        return (exceeds | (track.point.u != 0)) & self._frames[track.fold].matters

    def _penalty(self, track: Track) -> Penalty:
        """Of (n_features,) coefficients."""
        alpha, frame = self.jobs.alphas[track.index], self._frames[track.fold]
        return self.problem.objective.penalty.at(alpha, frame.l1_factor, frame.l2_factor)

    def _at_node(self, target: int, node: int) -> int:
        return int(self.hessians[target].places[node]) * self.jobs.n_targets + target


def _serving(track: Track) -> tuple[np.ndarray, float]:
    """Where a track's Hessian is taken: at its trial; where it stays if its last was refused."""
    return (track.point.u, track.point.b) if track.damping < 1.0 else track.trial
