"""The summation tree: partial sums are added in one fixed order, on whichever worker.

The leaves are band numbers 0 … n−1, and node (level, index) covers the bands from index·2^level
on. A task that covers any run of bands adds whatever nodes lie wholly inside its run and hands
over those *partials*; another adds them up further. Since addition of two floating-point numbers
commutes, the bits of the root depend on the shape of this tree only: not on who computed which
node, nor on the direction in which the bands were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Node = tuple[int, int]  # level, index
Partials = dict[Node, T]


def add_leaf(
    partials: Partials[T], band: int, value: T, n_bands: int, combine: Callable[[T, T], T]
) -> None:
    """Put the value of one band into ``partials``, joining nodes as they become complete."""
    _insert(partials, (0, band), value, n_bands, combine)


def merge(
    forests: Iterable[Partials[T]], n_bands: int, combine: Callable[[T, T], T]
) -> Partials[T]:
    """Join the partials of several runs."""
    joined: Partials[T] = {}
    for forest in forests:
        for node, value in sorted(forest.items()):
            _insert(joined, node, value, n_bands, combine)
    return joined


def root(partials: Partials[T], n_bands: int) -> T:
    """Return the sum over all bands.

    Raises
    ------
    ValueError
        When some bands are missing from ``partials``.
    """
    if len(partials) != 1 or (node := next(iter(partials)))[1] != 0 or (1 << node[0]) < n_bands:
        raise ValueError(f"the sum over {n_bands} bands is incomplete: {sorted(partials)}")
    return partials[node]


def _insert(
    partials: Partials[T], node: Node, value: T, n_bands: int, combine: Callable[[T, T], T]
) -> None:
    while True:
        level, index = node
        if (1 << level) >= n_bands:  # the root
            break
        sibling = (level, index ^ 1)
        if index % 2 == 0 and (sibling[1] << level) >= n_bands:
            pass  # an odd one out at the end: nothing to add, it rises as it is
        elif sibling in partials:
            other = partials.pop(sibling)
            value = combine(value, other) if index % 2 == 0 else combine(other, value)
        else:
            break
        node = (level + 1, index // 2)
    partials[node] = value
