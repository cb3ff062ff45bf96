"""Group ranges: which row groups may hold which of a batch of integer keys, decided for all row groups at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from colonnade.store.keyindex import KeyZone
from colonnade.store.pager import RowGroupInfo
from colonnade.store.values import IntArray, StorageClass
from colonnade.store.zonemap import ZoneMap

_FEW_GROUPS = 32  # one look at all keys for each of so many row groups is cheaper than to sort the keys


@dataclass(frozen=True, slots=True)
class GroupRanges:
    """The row groups of a table by the first part of one key, as far as that is all integers.

    groups       (g,) int64: positions in TableState.groups, ascending by low
    lows, highs  (g,) int64: the smallest and the largest first part
    full         (g,) bool: each integer of the range is the key of one row, dead or alive
    sure         (g,) bool: and no row of the row group is dead
    apart        no two ranges share an integer
    others       positions of the other row groups that have live rows with a key
    """

    groups: IntArray
    lows: IntArray
    highs: IntArray
    full: npt.NDArray[np.bool_]
    sure: npt.NDArray[np.bool_]
    apart: bool
    others: Sequence[int]

    def candidates(self, firsts: IntArray) -> Iterator[tuple[int, IntArray]]:
        """For each row group that may hold some of the keys: its place in `groups`, and which keys.

        firsts  (n,) int64, the first part of each key
        Cost    n * log g comparisons where the ranges are apart; else a look at all keys for each row group
                between the smallest and the largest, or one sort of the keys
        """
        if not len(firsts) or not len(self.lows):
            return iter(())
        if self.apart and len(self.lows) > 1:
            return self._by_place(firsts)
        near = np.flatnonzero((self.lows <= firsts.max()) & (self.highs >= firsts.min()))
        return self._one_by_one(firsts, near) if len(near) <= _FEW_GROUPS else self._by_order(firsts, near)

    def _by_place(self, firsts: IntArray) -> Iterator[tuple[int, IntArray]]:
        places = np.searchsorted(self.lows, firsts, "right") - 1
        inside = firsts <= self.highs[places]
        inside &= places >= 0
        rows = np.flatnonzero(inside)
        if not len(rows):
            return
        if len(rows) < len(firsts):
            places = places[rows]
        # In 16 bits numpy sorts by radix, which is ten times as fast.
        order = np.argsort(places.astype(np.uint16 if len(self.lows) <= 1 << 16 else np.int64), kind="stable")
        met, starts = np.unique(places[order], return_index=True)
        yield from zip(met.tolist(), np.split(rows[order], starts[1:]), strict=True)

    def _one_by_one(self, firsts: IntArray, near: IntArray) -> Iterator[tuple[int, IntArray]]:
        for place in near.tolist():
            rows = np.flatnonzero((firsts >= self.lows[place]) & (firsts <= self.highs[place]))
            if len(rows):
                yield place, rows

    def _by_order(self, firsts: IntArray, near: IntArray) -> Iterator[tuple[int, IntArray]]:
        order = np.argsort(firsts, kind="stable")
        in_order = firsts[order]
        starts = np.searchsorted(in_order, self.lows[near], "left")
        stops = np.searchsorted(in_order, self.highs[near], "right")
        for place, start, stop in zip(near.tolist(), starts.tolist(), stops.tolist(), strict=True):
            if start < stop:
                yield place, order[start:stop]


def group_ranges(
    groups: Sequence[RowGroupInfo], zones: Sequence[Mapping[int, ZoneMap]], keys: Mapping[int, KeyZone]
) -> GroupRanges:
    """The ranges of the row groups of a table for one key.

    zones  the zone maps of each part of the key
    keys   the key zones
    """
    found: list[tuple[int, int, int, bool, bool]] = []
    others: list[int] = []
    alone = len(zones) == 1
    for position, group in enumerate(groups):
        key = keys.get(group.group_id)
        if not group.live_count or (key is not None and key.lo is None):
            continue
        zone = zones[0].get(group.group_id)
        bounds = None if zone is None else int_range(zone)
        if zone is None or bounds is None:
            others.append(position)
            continue
        low, high = bounds
        full = alone and key is not None and key.unique and not zone.null_count
        full = full and high - low + 1 == group.row_count
        found.append((low, high, position, full, full and not group.dead_count))
    found.sort()
    lows, highs, positions = (np.array([entry[i] for entry in found], np.int64) for i in range(3))
    full_ones, sure = (np.array([entry[i] for entry in found], bool) for i in (3, 4))
    apart = bool((lows[1:] > highs[:-1]).all())
    return GroupRanges(positions, lows, highs, full_ones, sure, apart, others)


def int_range(zone: ZoneMap) -> tuple[int, int] | None:
    """(min, max) of a chunk of integers and NULLs."""
    if zone.classes & ~StorageClass.NULL != StorageClass.INTEGER:
        return None
    return (zone.min, zone.max) if isinstance(zone.min, int) and isinstance(zone.max, int) else None
