"""What a connection remembers of a table between statements, and how it knows that it still holds.

t_cln_meta has a `stamp`, which every change of the row groups replaces by a value never used before.
Reading it costs one look-up and tells of every way in which the row groups can have changed: this
connection's writes, ROLLBACK, ROLLBACK TO, and other connections.

Chunks stay readable by (row group id, column id) for longer: a connection never uses a group id twice, not
even after a rollback (`ids`), so only a stamp of another connection makes it forget them.
"""

from __future__ import annotations

import itertools
import os
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from colonnade.store.keyindex import KeyZone
from colonnade.store.pager import RowGroupInfo
from colonnade.store.zonemap import ZoneMap

if TYPE_CHECKING:
    from colonnade.store.hints import WriteHints
    from colonnade.store.keyranges import GroupRanges
    from colonnade.store.scan import GroupReader


@dataclass(slots=True)
class TableState:
    """The small facts about the row groups of a table under one stamp: one entry a row group each.

    tombstones  the exception: one bit a row, of the row groups that have any
    unchecked   some row group still owes the checks of a bulk load, so that a rowid may stand twice in it
    look_ups    readers of row groups for a few rows (ColumnTable.look_up), by row group id
    hints       the table's write hints; None: not asked yet
    ranges      those of the keys that batches were looked up in, by signature
    """

    stamp: str
    groups: list[RowGroupInfo]
    tombstones: dict[int, bytes | bytearray]
    zones: dict[int, dict[int, ZoneMap]] = field(default_factory=dict)
    key_zones: dict[str, dict[int, KeyZone]] = field(default_factory=dict)
    ranges: dict[str, GroupRanges] = field(default_factory=dict)
    unchecked: bool = field(init=False)
    look_ups: dict[int, GroupReader] = field(default_factory=dict)
    hints: WriteHints | None = None
    _firsts: list[int] | None = field(init=False)

    def __post_init__(self) -> None:
        groups = self.groups
        self.unchecked = not all(group.checked for group in groups)
        apart = all(a.last_rowid < b.first_rowid for a, b in itertools.pairwise(groups))
        self._firsts = [group.first_rowid for group in groups] if apart else None

    def holding(self, rowid: int) -> Sequence[RowGroupInfo]:
        """The row groups that may have a live row with this rowid."""
        if self._firsts is None:
            return [g for g in self.groups if g.first_rowid <= rowid <= g.last_rowid and g.live_count]
        at = bisect_right(self._firsts, rowid) - 1
        if at < 0 or rowid > self.groups[at].last_rowid or not self.groups[at].live_count:
            return ()
        return (self.groups[at],)

    def buried(self, stamp: str, dead: Mapping[int, tuple[bytes | bytearray, int]]) -> TableState:
        """The state with other tombstones: bitmap and number of dead rows by row group id."""
        after = TableState.__new__(TableState)  # not by __init__: the rest follows from what stays as it is
        after.stamp, after.groups, after.tombstones = stamp, list(self.groups), dict(self.tombstones)
        after.zones, after.key_zones, after.hints = self.zones, self.key_zones, self.hints
        after.ranges = {}
        after.unchecked, after._firsts = self.unchecked, self._firsts
        after.look_ups = dict(self.look_ups)
        for group_id, (bitmap, dead_count) in dead.items():
            at = bisect_left(self.groups, group_id, key=attrgetter("group_id"))
            group = after.groups[at] = self.groups[at].with_dead(dead_count)
            after.tombstones[group_id] = bitmap
            if group_id in after.look_ups:
                after.look_ups[group_id] = after.look_ups[group_id].buried(group, bitmap)
        return after

    def bury_one(self, stamp: str, group: RowGroupInfo, bitmap: bytearray) -> None:
        """The same in this very state, which no scan may hold: so that it costs nothing a row group."""
        group_id = group.group_id
        self.stamp = stamp
        self.groups[bisect_left(self.groups, group_id, key=attrgetter("group_id"))] = group
        self.tombstones[group_id] = bitmap
        reader = self.look_ups.get(group_id)
        if reader is not None:
            reader.bury(group, bitmap)

    def inherit(
        self,
        older: TableState,
        new_zones: Mapping[int, ZoneMap] | None = None,
        new_keys: Mapping[str, KeyZone] | None = None,
    ) -> None:
        """Takes over what an older state of the same connection knew of the row groups that are still there.

        new_zones, new_keys  of the last row group, where it was just written
        """
        ids = [group.group_id for group in self.groups]
        self.zones = _carried(older.zones, new_zones or {}, ids)
        self.key_zones = _carried(older.key_zones, new_keys or {}, ids)


K = TypeVar("K")
V = TypeVar("V")


def _carried(
    known: Mapping[K, Mapping[int, V]], new: Mapping[K, V], ids: Sequence[int]
) -> dict[K, dict[int, V]]:
    """What is known of exactly the row groups `ids`; `new` is about the last of them."""
    carried = {}
    for which, by_group in known.items():
        full = {**by_group, ids[-1]: new[which]} if which in new and ids else by_group
        if all(group_id in full for group_id in ids):
            carried[which] = {group_id: full[group_id] for group_id in ids}
    return carried


class Stamps:
    """Makes the stamps of one connection and knows them again."""

    def __init__(self) -> None:
        self._mine = os.urandom(8).hex() + "-"
        self._numbers = itertools.count(1)

    def fresh(self) -> str:
        return f"{self._mine}{next(self._numbers)}"

    def is_mine(self, stamp: str) -> bool:
        return stamp.startswith(self._mine)


class GroupIds:
    """The largest row group id that this connection has used, by table."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def take(self, key: str, recorded_next: int) -> int:
        """A new id, at least `recorded_next` (the one that t_cln_meta has)."""
        taken = self._last[key] = max(recorded_next, self._last.get(key, 0) + 1)
        return taken
