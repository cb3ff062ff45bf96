"""What a connection remembers of a table between statements, and how it knows that it still holds.

t_cln_meta has a `stamp`, which every change of the row groups replaces by a value never used before.
Reading it costs one look-up and tells of every way in which the row groups can have changed: this
connection's writes, ROLLBACK, ROLLBACK TO, and other connections.

Chunks stay readable by (row group id, column id) for longer: a connection never uses a group id twice, not
even after a rollback (`ids`), so only a stamp of another connection makes it forget them.
"""

from __future__ import annotations

import itertools
import secrets
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from colonnade.store.chunk import ChunkReader
from colonnade.store.encodings.base import One
from colonnade.store.keyindex import KeyZone
from colonnade.store.pager import RowGroupInfo
from colonnade.store.values import SCALAR_KINDS, Column, IntArray, SQLiteValue, value_at
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
    tombstones: dict[int, bytes]
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

    def buried(self, stamp: str, dead: Mapping[int, tuple[bytes, int]]) -> TableState:
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
        self._mine = secrets.token_hex(8) + "-"
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


_Entry = tuple[str, int, int | str, int]  # table, row group, column, block; block -1 is the whole chunk
_KEYS = -2  # in the place of a block: the keys of a row group, by signature in the place of the column


class Sized(Protocol):
    """Something whose bytes are known."""

    @property
    def nbytes(self) -> int: ...


class BlockCache:
    """Chunks, decoded blocks and keys of point look-ups, least recently used out first, within a byte limit.

    The one of the connection is for look-ups: a scan, which would only push out what they come back to, has a
    small one of its own for the chunks that it has open.

    dropped  another number once anything has been dropped: whoever keeps a chunk at hand, which is quicker than
             to ask for it, has to ask again then
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = self.dropped = 0
        self._entries: OrderedDict[_Entry, tuple[Any, int]] = OrderedDict()

    def chunk(self, key: str, group_id: int, column_id: int) -> CachedChunk | None:
        """A chunk that was put."""
        entry = key, group_id, column_id, -1
        found = self._entries.get(entry)
        if found is None:
            return None
        self._entries.move_to_end(entry)
        chunk: CachedChunk = found[0]
        return chunk

    def put_chunk(
        self, key: str, group_id: int, column_id: int, chunk: ChunkReader, size: int
    ) -> CachedChunk:
        """Keeps a chunk of `size` bytes; returns it."""
        entry = key, group_id, column_id
        cached = CachedChunk(self, entry, chunk)
        self._put((*entry, -1), cached, size)
        return cached

    def block(self, key: str, group_id: int, column_id: int, number: int) -> Column | None:
        found = self._get((key, group_id, column_id, number))
        return found if isinstance(found, Column) else None

    def put_block(self, key: str, group_id: int, column_id: int, number: int, block: Column) -> None:
        self._put((key, group_id, column_id, number), block, block.data.nbytes)

    def keys(self, key: str, group_id: int, signature: str) -> Any:
        return self._get((key, group_id, signature, _KEYS))

    def put_keys(self, key: str, group_id: int, signature: str, keys: Sized) -> None:
        self._put((key, group_id, signature, _KEYS), keys, keys.nbytes)

    def key_bytes(self, key: str) -> dict[str, int]:
        """The bytes of the keys of one table that are kept, by signature."""
        kept: dict[str, int] = {}
        for (of, _, signature, block), (_, size) in self._entries.items():
            if of == key and block == _KEYS:
                kept[str(signature)] = kept.get(str(signature), 0) + size
        return kept

    def _get(self, entry: _Entry) -> Any:
        found = self._entries.get(entry)
        if found is None:
            return None
        self._entries.move_to_end(entry)
        return found[0]

    def _put(self, entry: _Entry, value: Any, size: int) -> None:
        old = self._entries.pop(entry, None)
        self.bytes += size - (old[1] if old else 0)
        self._entries[entry] = (value, size)
        while self.bytes > self.limit and self._entries:
            (*of, block), (_, freed) = self._entries.popitem(last=False)
            self.bytes -= freed
            self._lost(tuple(of), block)

    def _lost(self, of: tuple[Any, ...], block: int) -> None:
        """What leads to an entry without asking for it goes with it."""
        self.dropped += 1
        chunk = self._entries.get((*of, -1))
        if chunk is not None and block >= 0:
            chunk[0].forget(block)

    def forget(self, key: str, group_id: int | None = None) -> int:
        """Drops everything about one table, or about one of its row groups; returns its bytes."""
        before = self.bytes
        of = [entry for entry in self._entries if entry[0] == key and group_id in (None, entry[1])]
        for entry in of:
            self.bytes -= self._entries.pop(entry)[1]
        self.dropped += 1
        return before - self.bytes

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0
        self.dropped += 1


class CachedChunk:
    """A chunk whose decoded blocks go through the cache.

    reader   the chunk without the cache
    """

    __slots__ = ("_cache", "_id", "_last", "_ones", "_shift", "block_rows", "reader", "rows")

    def __init__(self, cache: BlockCache, chunk_id: tuple[str, int, int], chunk: ChunkReader) -> None:
        self._cache, self._id, self.reader = cache, chunk_id, chunk
        self.rows, self.block_rows = chunk.rows, chunk.block_rows
        self._shift, self._last = chunk.block_rows.bit_length() - 1, chunk.block_rows - 1  # a power of two
        self._ones: dict[int, One] = {}

    def block(self, number: int) -> Column:
        block = self._cache.block(*self._id, number)
        if block is None:
            block = self.reader.block(number)
            self._cache.put_block(*self._id, number, block)
        return block

    def take(self, positions: IntArray) -> Column:
        return self.reader.take(positions)

    def value(self, row: int) -> SQLiteValue:
        """One value: out of the bytes of its block where the encoding can, else of the decoded block."""
        number = row >> self._shift
        one = self._ones.get(number)
        if one is None:
            dropped = self._cache.dropped
            one = self.reader.one(number) or _of_decoded(self.block(number))
            if dropped == self._cache.dropped:  # else the block may be gone from the cache again
                self._ones[number] = one
        return one(row & self._last)

    def forget(self, number: int) -> None:
        """The cache has dropped a decoded block."""
        self._ones.pop(number, None)


def _of_decoded(block: Column) -> One:
    """Reads single values of a decoded block."""
    if block.kind not in SCALAR_KINDS:
        return lambda row: value_at(block, row)
    data = block.data
    return lambda row: data[row].as_py()
