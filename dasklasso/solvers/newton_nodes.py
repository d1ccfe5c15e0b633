"""Which Hessians the next scan of a proximal Newton fit takes, where, and over which columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dasklasso.scan.kernels import INVERSE_SCALE, L1
from dasklasso.scan.weighted_gram import WeightedGrams
from dasklasso.solvers.hessians import MOVED, Hessians, Node
from dasklasso.solvers.problem import Problem, hessian_query
from dasklasso.solvers.slots import Jobs
from dasklasso.solvers.tracks import Track

CANDIDATE = 0.7  # of the gradient at which a column comes into use
RIDGE = {"float32": 2e-7, "float64": 1e-15}  # of a diagonal, for each column beside it

Wanted = tuple[int, int, np.ndarray]  # target, node, columns


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
    """

    def __init__(self, problem: Problem, jobs: Jobs, limits: Limits, noise: float) -> None:
        self.problem, self.jobs, self.limits, self.noise = problem, jobs, limits, noise
        self.hessians = [Hessians(jobs.alphas, limits.nodes) for _ in range(jobs.n_targets)]
        self._useful = problem.frame[:, INVERSE_SCALE] > 0

    def matters(self, track: Track, gradient: np.ndarray | None = None) -> np.ndarray:
        """(n_features,) bool: columns in use, and those that may come into use.

        The margin is that of the sequential strong rule: gradients change no faster than alpha
        (Tibshirani et al., 2012, Strong rules for discarding predictors in lasso-type problems).

        Parameters
        ----------
        gradient : (n_features,) at the trial, more or less; by default the point's
        """
        u = track.trial[0]
        if gradient is None:
            u, gradient = track.point.u, track.point.gradient
        size, l1 = self._pull(track, gradient)
        found = (u != 0) | (size >= CANDIDATE * l1 - self.noise)
        for secant in track.secants:
            found |= secant.step[:-1] != 0
        found &= self._useful
        most = self.limits.columns
        if np.count_nonzero(found) > most:  # those that violate their conditions most, for now
            with np.errstate(divide="ignore", invalid="ignore"):
                excess = np.where(found, size / l1, -1.0)
            excess[u != 0] = np.inf
            found = np.zeros_like(found)
            found[np.argsort(-excess, kind="stable")[:most]] = True
            found &= self._useful
        return found

    def wanted(self, tracks: Sequence[Track], matters: Sequence[np.ndarray]) -> list[Wanted]:
        """Nodes that the next scan takes.

        Parameters
        ----------
        tracks : all, those of all rows first
        matters : what :meth:`matters` says of each
        """
        users: dict[tuple[int, int], list[int]] = {}
        flying = [k for k, track in enumerate(tracks) if not track.certified and not track.resting]
        self._place([tracks[k] for k in flying])
        for k, track in enumerate(tracks):
            if not track.certified and not track.resting:
                for node, _ in self.hessians[track.target].around(track.index):
                    users.setdefault((track.target, node), []).append(k)
        found = []
        for (target, number), own in sorted(users.items()):
            columns = np.logical_or.reduce([matters[k] for k in own])
            if self._is_wanted(tracks, target, number, [tracks[k] for k in own]):
                known = self.hessians[target].nodes[number]
                if known is not None and np.count_nonzero(columns) < self.limits.columns:
                    columns[known.columns] = True
                found.append((target, number, np.flatnonzero(columns)))
        return found

    def query(
        self, wanted: Sequence[Wanted], tracks: Sequence[Track], dtype: str, device: str
    ) -> tuple[WeightedGrams, list[tuple[np.ndarray, float]]]:
        """What to ask for them, and at which points and intercepts."""
        at = [_serving(self._at_node(tracks, target, number)) for target, number, _ in wanted]
        query = hessian_query(
            self.problem,
            [target for target, _, _ in wanted],
            [b for _, b in at],
            [columns for _, _, columns in wanted],
            dtype,
            device,
            [self._at_node(tracks, target, number).caution for target, number, _ in wanted],
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
        for (target, number, columns), (u, b), caution, matrix in asked:
            track, known = self._at_node(tracks, target, number), self.hessians[target].nodes
            here = np.array_equal(u, track.point.u) and b == track.point.b
            refused = u is track.trial[0] and not here
            # where it is not finite, a step too far was tried
            if np.all(np.isfinite(matrix)) and (not refused or known[number] is None):
                whole = np.array(matrix)
                # rounding must not leave a direction along which the model falls without end
                whole.flat[:: len(whole) + 1] *= 1.0 + RIDGE[query.dtype] * len(whole)
                known[number] = Node(columns, whole, u, b, caution)
                if here and track.caution <= caution:  # a model that the last step lacked
                    track.damping = 1.0
                self._forget(tracks, target, number)

    def _forget(self, tracks: Sequence[Track], target: int, number: int) -> None:
        """A new node knows better than secants of the way there."""
        for track in tracks:
            if track.target == target:
                around = self.hessians[target].around(track.index)
                if any(number == other for other, _ in around):
                    track.secants = []

    def _place(self, flying: Sequence[Track]) -> None:
        """Once few problems are left, each that gets on slowly has a Hessian of its own."""
        for target, hessians in enumerate(self.hessians):
            own = {track.index for track in flying if track.target == target}
            if len(own) <= hessians.fewest:
                slow = {t.index for t in flying if t.target == target and t.slow}
                hessians.place_at(sorted(slow), own)

    def _is_wanted(
        self, tracks: Sequence[Track], target: int, number: int, users: Sequence[Track]
    ) -> bool:
        node = self.hessians[target].nodes[number]
        if node is None:
            return True
        track = self._at_node(tracks, target, number)
        moved = node.moved(*_serving(track))
        if (
            moved > MOVED
            or track.caution > node.caution
            or (moved > 0 and all(track.slow for track in users))
        ):
            return True
        lacks = np.ones(self.problem.n_features, bool)
        lacks[node.columns] = False
        return node.columns.size < self.limits.columns and any(
            np.any(self._needs(track) & lacks) for track in users
        )

    def _needs(self, track: Track) -> np.ndarray:
        """Columns in use, and those whose gradient is larger than their penalty allows."""
        size, l1 = self._pull(track, track.point.gradient)
        return ((size > l1) | (track.point.u != 0)) & self._useful

    def _pull(self, track: Track, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How much each column gains beside its penalty, and the penalty that it has to exceed."""
        objective = self.problem.objective
        l1 = self.problem.frame[:, L1] * (self.jobs.alphas[track.index] * objective.l1_ratio)
        return -gradient if objective.positive else np.abs(gradient), l1

    def _at_node(self, tracks: Sequence[Track], target: int, number: int) -> Track:
        place = self.hessians[target].places[number]
        return tracks[int(place) * self.jobs.n_targets + target]


def _serving(track: Track) -> tuple[np.ndarray, float]:
    """Where a track's Hessian is taken: at its trial; where it stays if its last was refused."""
    return (track.point.u, track.point.b) if track.damping < 1.0 else track.trial
