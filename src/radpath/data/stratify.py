"""Deals groups out to sides so that every column's total is shared as asked, and no column is missing from a side.

In: a sparse table of amounts, one row a group and one column a quantity to balance (for example the images of a
class), and each side's share. Out: the number of a side for each group. Nothing here knows images, cases or names.

The method is greedy: groups are dealt largest first, in random order among equals, each to the side where it lowers
the chi-square distance from the shares most. Then columns that a side lacks are brought there from a side that can
spare them. Few groups are refined further, by moves and exchanges (a local search; the best split of many groups is an
NP-hard partition problem, and no solver is needed to come near it).
"""

import itertools
import math
from collections.abc import Sequence
from typing import Final, Literal, final

import numpy as np
from jaxtyping import Int
from scipy import sparse

from radpath.seeding import generator_for

_MOST_ATTEMPTS = 10  # other random orders, tried only while a column is missing from a side that it could be on
MOST_REFINED: Final = 200
"""Exchanging two groups is tried for every two, which is 20,000 times for 200 groups."""
_SMALLEST_GAIN = 1e-9  # less is rounding, and would go on for ever
_FIRST = 0  # the side that must never lack a column: nobody can learn a class without training images


def assign_groups(
    amounts: sparse.csr_array, shares: Sequence[float], *, seed: int, refined: bool = False
) -> Int[np.ndarray, " groups"]:
    """Return the side of each group, an index into ``shares``.

    A column with at least as many groups as there are sides is on every side if each group has one column; where
    groups mix columns that can be impossible, and only the first side is sure to have all. A column with fewer groups
    comes to the first side first.

    Args:
        amounts: shape (groups, columns), zero or positive, no empty row or column.
        shares: the share of each side, in (0, 1), with a sum of 1; the first side is the one to learn from.
        seed: the same seed gives the same result.
        refined: whether to go on moving and exchanging groups while that brings the shares nearer; for few groups
            (sites), where the greedy order matters most. Up to ``MOST_REFINED`` groups.
    """
    of_column = sparse.csr_array(amounts / amounts.sum(axis=0))
    num_groups = np.diff(of_column.tocsc().indptr)
    unavoidable = int(np.maximum(len(shares) - num_groups, 0).sum())
    best = _Plan(of_column, shares)
    for attempt in range(_MOST_ATTEMPTS):
        plan = _Plan(of_column, shares)
        plan.deal(_largest_first(of_column, generator_for(seed, "split", attempt)))
        plan.cover_columns()
        if refined and len(plan.side_of) <= MOST_REFINED:
            plan.refine()
        if attempt == 0 or plan.num_missing() < best.num_missing():
            best = plan
        if best.num_missing() == unavoidable:
            break
    return np.array(best.side_of)


def _largest_first(amounts: sparse.csr_array, generator: np.random.Generator) -> list[int]:
    """Return the groups by their largest share of any column, descending; equals in random order."""
    sizes = np.maximum.reduceat(amounts.data, amounts.indptr[:-1])
    shuffled = generator.permutation(len(sizes))
    order: list[int] = shuffled[np.argsort(-sizes[shuffled], kind="stable")].tolist()
    return order


@final
class _Plan:
    """Which group is on which side, and how far each side's share of each column is from the target.

    Plain lists instead of arrays: a group has few columns, and a list is several times faster on single numbers.
    """

    def __init__(self, amounts: sparse.csr_array, shares: Sequence[float]) -> None:
        num_groups, num_columns = amounts.shape
        self.side_of = [-1] * num_groups
        self._shares = list(shares)
        self._entries = _entries(amounts)
        self._excess = [[-share] * num_columns for share in shares]
        self._holders = [[0] * num_columns for _ in shares]

    def deal(self, order: list[int]) -> None:
        """Give each group, in this order, to the side where it costs least."""
        for group in order:
            costs = [self._cost(group, side, sign=1) for side in range(len(self._shares))]
            self._change(group, costs.index(min(costs)), sign=1)

    def cover_columns(self) -> None:
        """Bring columns to the sides that lack them, the rarest column first."""
        if not self.num_missing():
            return
        groups_of: list[list[int]] = [[] for _ in self._excess[_FIRST]]
        for group, entries in enumerate(self._entries):
            for column, _ in entries:
                groups_of[column].append(group)
        for column in sorted(range(len(groups_of)), key=lambda column: len(groups_of[column])):
            for side, holders in enumerate(self._holders):
                if not holders[column]:
                    self._bring(groups_of[column], side)

    def refine(self) -> None:
        """Move a group, or exchange two, as long as that lowers chi-square and takes no column from a side."""
        before = math.inf
        while self.distance() < before - _SMALLEST_GAIN:
            before = self.distance()
            for group in range(len(self.side_of)):
                for side in range(len(self._shares)):
                    self._try({group: side})
            for one, other in itertools.combinations(range(len(self.side_of)), 2):
                self._try({one: self.side_of[other], other: self.side_of[one]})

    def distance(self) -> float:
        """Return chi-square: the squared differences from the shares, over the shares, in sum over columns."""
        squares = (sum(value * value for value in excess) for excess in self._excess)
        return sum(square / share for square, share in zip(squares, self._shares, strict=True))

    def _try(self, wanted: dict[int, int]) -> None:
        """Bring groups to sides, and back again unless that is better."""
        earlier = {group: self.side_of[group] for group in wanted}
        if earlier == wanted:
            return
        before, missing = self.distance(), self.num_missing()
        self._place(wanted)
        if self.num_missing() > missing or self.distance() >= before - _SMALLEST_GAIN:
            self._place(earlier)

    def _place(self, wanted: dict[int, int]) -> None:
        for group, side in wanted.items():
            self._change(group, self.side_of[group], sign=-1)
            self._change(group, side, sign=1)

    def num_missing(self) -> int:
        """Count the pairs of a column and a side that lacks it."""
        return sum(holders.count(0) for holders in self._holders)

    def _bring(self, candidates: list[int], side: int) -> None:
        """Move the candidate that costs least to ``side``, unless each is the last of a column where it is."""
        movable = [group for group in candidates if self._can_be_spared(group)]
        if side == _FIRST:
            movable = movable or candidates
        if not movable:
            return
        costs = [self._cost(group, side, sign=1) + self._cost(group, self.side_of[group], sign=-1) for group in movable]
        group = movable[costs.index(min(costs))]
        self._change(group, self.side_of[group], sign=-1)
        self._change(group, side, sign=1)

    def _can_be_spared(self, group: int) -> bool:
        holders = self._holders[self.side_of[group]]
        return all(holders[column] > 1 for column, _ in self._entries[group])

    def _cost(self, group: int, side: int, *, sign: Literal[1, -1]) -> float:
        """Return by how much chi-square grows when the group comes to the side (sign 1) or leaves it (sign -1)."""
        excess = self._excess[side]
        growth = 0.0  # a plain loop: this is the innermost one, nearly twice as fast as sum() of a generator
        for column, amount in self._entries[group]:
            growth += amount * (2 * sign * excess[column] + amount)
        return growth / self._shares[side]

    def _change(self, group: int, side: int, *, sign: Literal[1, -1]) -> None:
        """Bring the group to the side (sign 1) or take it away (sign -1)."""
        excess, holders = self._excess[side], self._holders[side]
        for column, amount in self._entries[group]:
            excess[column] += sign * amount
            holders[column] += sign
        self.side_of[group] = side


def _entries(amounts: sparse.csr_array) -> list[list[tuple[int, float]]]:
    """Return, for each group, its columns with their amounts; groups that are alike share one list, to save memory."""
    columns, values = amounts.indices.tolist(), amounts.data.tolist()
    known: dict[tuple[int | float, ...], list[tuple[int, float]]] = {}
    entries = []
    for start, end in itertools.pairwise(amounts.indptr.tolist()):
        key = (*columns[start:end], *values[start:end])
        if key not in known:
            known[key] = list(zip(columns[start:end], values[start:end], strict=True))
        entries.append(known[key])
    return entries
