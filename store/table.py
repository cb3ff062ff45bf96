"""A table in column format: the face of the store. Row part and row groups as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from colonnade.store import format as disk
from colonnade.store import freeze as moves
from colonnade.store import reads
from colonnade.store.added import AddedColumns
from colonnade.store.cache import BlockCache
from colonnade.store.catalog import StoredColumn, read_meta, user_ddl, write_meta
from colonnade.store.counters import Usage
from colonnade.store.errors import Corrupt, OperationalError
from colonnade.store.hints import WriteHints, declared_bytes, write_hints
from colonnade.store.keycode import KeySpec
from colonnade.store.keyfind import WantedKeys, find_keys
from colonnade.store.keyindex import KeyZone
from colonnade.store.keyranges import GroupRanges, group_ranges
from colonnade.store.keytable import read_groups_with_run, read_key_run, read_key_zones, write_key_zones
from colonnade.store.pager import Blob, RowGroupInfo
from colonnade.store.reads import RawRowGroup
from colonnade.store.rowgroup import EncodedRowGroup
from colonnade.store.rowpart import RowPart
from colonnade.store.scan import GroupReader, RowidRange
from colonnade.store.state import TableState
from colonnade.store.switches import unnoticed
from colonnade.store.values import INT64_MAX, INT64_MIN, IntArray, RowBatch
from colonnade.store.zonemap import ZoneMap

if TYPE_CHECKING:
    from colonnade.store.catalog import TableInfo
    from colonnade.store.database import Store

__all__ = ["ColumnTable", "RawRowGroup", "RowGroupInfo", "StoredColumn"]


class ColumnTable:
    """One table in column format, as one connection sees it."""

    def __init__(self, store: Store, info: TableInfo) -> None:
        self.store, self.info, self.names = store, info, info.names
        self.name, self.schema = info.names.name, info.names.schema
        self.columns: tuple[StoredColumn, ...] = info.columns
        self.column_ids = tuple(column.column_id for column in info.columns)
        self.rowid_column = info.rowid_column
        self.rows_name = info.names.rows_name
        self.row_part = RowPart(store.db, info)
        self.added = AddedColumns(info.columns)
        self.counters = store.pager.counters.of(info.names.key)
        positions = [i for i, column in enumerate(info.columns) if column.column_id == info.rowid_column]
        self.alias_position = positions[0] if positions else None  # of the INTEGER PRIMARY KEY column
        self.open_scans = 0  # cursors of the virtual table that are being read
        self._state: TableState | None = None
        self._known_in = 0  # the steady block in which its stamp was compared
        self._stamped_in = 0  # a kept one in which it was stamped
        self._stamp = f"SELECT value FROM {info.names.meta} WHERE key='stamp'"
        self._set_stamp = f"UPDATE {info.names.meta} SET value=? WHERE key='stamp'"

    @property
    def ddl(self) -> str:
        """The CREATE TABLE text as the user wrote it."""
        return user_ddl(self.store.db, self.names)

    def key_specs(self) -> tuple[KeySpec, ...]:
        """The keys of the table: INTEGER PRIMARY KEY first, then one for each UNIQUE index."""
        return self.info.key_specs

    # --- what is known of the row groups -------------------------------------------------------------

    def state(self) -> TableState:
        """The current facts about the row groups; callers must not change them."""
        store, names, known = self.store, self.names, self._state
        block = store.steady.number
        if known is not None and block and block == self._known_in:
            return known
        stamp = store.db.execute(self._stamp).get
        if not isinstance(stamp, str):
            raise Corrupt(f"table {self.name} has no stamp")
        if known is None or known.stamp != stamp:
            groups = store.pager.read_groups(names)
            tombstones = store.pager.read_tombstones(names) if any(g.dead_count for g in groups) else {}
            self._state = TableState(stamp, groups, tombstones)
            if not store.stamps.is_mine(stamp):
                store.cache.forget(names.key)
            elif known is not None:
                self._state.inherit(known)
            known = self._state
        self._known_in = block
        return known

    def changed(self) -> None:
        """Stamps the table anew; the facts are read again when next wanted."""
        self._known_in = 0
        write_meta(self.store.db, self.names, "stamp", self.store.stamps.fresh())

    def buried(self, dead: Mapping[int, tuple[bytes | bytearray, int]]) -> None:
        """Stamps the table anew after tombstones were written: bitmap and number of dead rows by row group."""
        before, stamp = self.state(), self.store.stamps.fresh()
        write_meta(self.store.db, self.names, "stamp", stamp)
        self._state = before.buried(stamp, dead)

    def buried_one(self, state: TableState, group: RowGroupInfo, bitmap: bytearray) -> None:
        """The same for one row of a row group; `state` is the present one, of which no cursor reads."""
        stamp, steady = state.stamp, self.store.steady
        if not steady.kept or self._stamped_in != steady.number:  # else nobody has seen that stamp yet
            stamp = self.store.stamps.fresh()
            self.store.db.execute(self._set_stamp, (stamp,))
            self._stamped_in = steady.number if steady.kept else 0
        state.bury_one(stamp, group, bitmap)

    def undone(self) -> None:
        """Rows that were buried one by one are not any more, of which the stamp may not tell."""
        if self._stamped_in and self._stamped_in == self.store.steady.number:
            self._state = None

    def groups(self) -> list[RowGroupInfo]:
        """All row groups, by id."""
        return list(self.state().groups)

    def group(self, group_id: int) -> RowGroupInfo:
        for info in self.state().groups:
            if info.group_id == group_id:
                return info
        raise OperationalError(f"table {self.name} has no row group {group_id}")

    def hints(self) -> WriteHints:
        """The write hints of the table, from its newest row groups."""
        state = self.state()
        if state.hints is None:
            state.hints = write_hints(declared_bytes(self.columns), self.store.pager.measure(self.names))
        return state.hints

    def is_measured(self) -> bool:
        """Whether the hints come from row groups."""
        return bool(self.state().groups)

    def zones(self, column_id: int) -> dict[int, ZoneMap]:
        """The zone maps of a column by row group id, without reading a chunk."""
        known = self.state().zones
        if column_id not in known:
            stored = self.store.pager.read_zones(self.names, column_id)
            known[column_id] = {**stored, **self.added.zones(self.state().groups, column_id)}
        return known[column_id]

    def chunk(self, group: RowGroupInfo, column_id: int) -> Blob:
        """A column chunk of a row group; of a column added since, what it would be. Raises Corrupt."""
        added = self.added.chunk(group, column_id)
        if added is not None:
            return added.data
        return self.store.pager.read_chunk(self.names, disk.chunk_id(group.group_id, column_id))

    def key_zones(self, signature: str) -> dict[int, KeyZone]:
        """The key zones of a key by row group id; groups without one are missing."""
        known = self.state().key_zones
        if signature not in known:
            known[signature] = read_key_zones(self.store.db, self.names, signature)
        return known[signature]

    def group_ranges(self, spec: KeySpec) -> GroupRanges:
        """Which row groups may hold which integers as the first part of a key."""
        known = self.state().ranges
        if spec.signature not in known:
            zones = [self.zones(column_id) for column_id in spec.column_ids]
            known[spec.signature] = group_ranges(self.state().groups, zones, self.key_zones(spec.signature))
        return known[spec.signature]

    def key_run(self, signature: str, group_id: int) -> bytes | None:
        """The key run of a key in a row group (store.keyrun); None where there is none."""
        return read_key_run(self.store.db, self.names, signature, group_id)

    def groups_with_run(self, signature: str) -> set[int]:
        """The ids of the row groups that have a key run of a key."""
        return read_groups_with_run(self.store.db, self.names, signature)

    def put_key_zones(self, signature: str, zones: Mapping[int, KeyZone]) -> None:
        """Records key zones of row groups that are there already."""
        with unnoticed(self.store.db):
            write_key_zones(self.store.db, self.names, signature, zones)
        self.changed()
        self.state().key_zones.pop(signature, None)
        self.state().ranges.pop(signature, None)

    def forget_keys(self) -> int:
        """Lets go of keys, and of chunks that look-ups read; returns the bytes of both. All of it can be read again."""
        if self._state is not None:
            self._state.key_zones.clear()
            self._state.ranges.clear()
        return self.store.cache.forget(self.names.key)

    def row_count(self) -> int:
        return self.row_part.count() + sum(group.live_count for group in self.state().groups)

    @property
    def rowids_repeat(self) -> bool:
        """Whether a rowid may stand twice: an INTEGER PRIMARY KEY that a bulk load has not validated yet."""
        return self.alias_position is not None and self.state().unchecked

    def next_rowid(self) -> int:
        """The rowid that SQLite would give to the next row: the largest of both parts, plus 1.

        AUTOINCREMENT counts on from the largest ever used. 2**63 if there is no larger one: SQLite then
        looks for a free rowid at random, and AUTOINCREMENT says that the table is full.
        """
        span, frozen = self.row_part.min_max(), self.largest_frozen()
        largest = [span[1]] if span else []
        largest += [rowid for rowid in (frozen, self.row_part.sequence()) if rowid is not None]
        return max(largest, default=0) + 1

    def largest_frozen(self) -> int | None:
        """The largest rowid of a live row of the row groups."""
        best: int | None = None
        for group in sorted(self.state().groups, key=lambda group: -group.last_rowid):
            if best is not None and group.last_rowid <= best:
                break
            if not group.live_count:
                continue
            last = group.last_rowid
            if group.dead_count:
                rowids = self.fetch(group.group_id, ()).decode().rowids
                assert rowids is not None
                last = int(rowids[-1])
            best = last if best is None else max(best, last)
        return best

    # --- writing ---------------------------------------------------------------------------------------

    def put(self, group: EncodedRowGroup, keys: Mapping[str, KeyZone], *, checked: bool) -> int:
        """Stores a row group with its key zones by signature; returns its id."""
        db, names, store = self.store.db, self.names, self.store
        before = self.state()
        recorded = read_meta(db, names, "next_group")
        if not isinstance(recorded, int) or recorded < 1:
            raise Corrupt(f"table {self.name} has no next row group id")
        group_id = store.group_ids.take(names.key, recorded)
        size = group.byte_count
        info = RowGroupInfo(group_id, group.row_count, 0, group.first_rowid, group.last_rowid, checked, size)
        span = store.spans("append", table=self.name, rows=group.row_count, bytes=size)
        with span, store.pager.counters.phase(names.key, "append"), unnoticed(db), db:
            for column_id, chunk in group.chunks.items():
                store.pager.write_chunk(names, disk.chunk_id(group_id, column_id), chunk)
            store.pager.write_group(names, info)
            for signature, zone in keys.items():
                write_key_zones(db, names, signature, {group_id: zone})
            write_meta(db, names, "next_group", group_id + 1)
            stamp = store.stamps.fresh()
            write_meta(db, names, "stamp", stamp)
        # Scans hold the list they began with: a new list, never an append.
        self._state = TableState(stamp, [*before.groups, info], before.tombstones)
        known = {signature: zone.without_run() for signature, zone in keys.items()}
        self._state.inherit(before, {i: chunk.zone for i, chunk in group.chunks.items()}, known)
        return group_id

    def unchecked_groups(self) -> list[int]:
        """Ids of the row groups that a bulk load still has to validate."""
        return [group.group_id for group in self.state().groups if not group.checked]

    def mark_checked(self) -> None:
        """All row groups are validated."""
        if self.unchecked_groups():
            self.store.db.execute(f"UPDATE {self.names.groups} SET checked=1 WHERE checked=0")
            self.changed()

    def delete(self, rowids: IntArray) -> int:
        """Tombstones the rows of row groups that have these rowids; returns how many there were."""
        return moves.delete(self, rowids)

    def bury(self, places: Mapping[int, IntArray]) -> None:
        """Tombstones live rows by their positions, (n,) int64 ascending, in row groups, by id."""
        moves.bury(self, places)

    def thaw(self, rowids: IntArray) -> int:
        """Moves the rows of row groups that have these rowids into the row part; returns how many."""
        with self.store.spans("thaw", table=self.name) as span:
            moved = moves.thaw(self, rowids)
            span.note(rows=moved)
        self.store.policy.thawed(self, rowids.tolist(), moved)
        return moved

    def freeze(self, *, keep_last: bool = True) -> int:
        """Moves the row part into row groups, all but the row with the largest rowid; returns how many."""
        return moves.freeze(self, keep_last=keep_last)

    def settle_last(self) -> None:
        """Makes sure that the row with the largest rowid is in the row part, as after a bulk load."""
        moves.settle_last(self)

    def keep_largest(self) -> None:
        """The same after any write that may have taken that row away. Costs two look-ups if it did not."""
        moves.keep_largest(self)

    # --- reading ---------------------------------------------------------------------------------------

    def fetch(self, group_id: int, column_ids: Sequence[int]) -> RawRowGroup:
        """The chunks of some columns of a row group, and of its rowids, as stored."""
        return reads.fetch(self, group_id, column_ids)

    def read_rows(self, column_ids: Sequence[int], *, batch_rows: int) -> Iterator[RowBatch]:
        """The row part alone, in rowid order."""
        return self.row_part.batches(column_ids, batch_rows=batch_rows)

    def scan(
        self,
        column_ids: Sequence[int],
        first_rowid: int | None = None,
        last_rowid: int | None = None,
        prune: reads.Prune | None = None,
    ) -> Iterator[RowBatch]:
        """All rows in ascending rowid order, row part merged in, a batch at a time.

        prune   row groups it is true for are left out
        Memory  a block per wanted column of each row group that overlaps the place where the scan is, and
                their chunks within a share of the memory limit
        """
        first = INT64_MIN if first_rowid is None else first_rowid
        last = INT64_MAX if last_rowid is None else last_rowid
        return reads.scan(self, column_ids, RowidRange(first, last), prune)

    def reader(self, group: RowGroupInfo) -> GroupReader:
        """A block-wise reader of one row group."""
        bitmap = self.state().tombstones.get(group.group_id)
        return reads.open_group(self, group, bitmap, BlockCache(INT64_MAX))

    def look_up(self, group: RowGroupInfo) -> GroupReader:
        """The same with the connection's cache: for a few rows, which may be asked for again."""
        return reads.look_up(self, self.state(), group)

    def find_keys(self, spec: KeySpec, wanted: WantedKeys) -> IntArray:
        """The rowids of live rows of row groups that have one of the keys, (n,) int64, ascending, each once."""
        return find_keys(self, spec, wanted)

    def values_at(self, rowids: IntArray, column_ids: Sequence[int]) -> Iterator[RowBatch]:
        """Some columns, and the rowids, of the rows of row groups with these rowids."""
        return moves.values_at(self, rowids, column_ids)

    def usage(self) -> Usage:
        """How many bytes the row groups take."""
        groups = self.state().groups
        dead = sum(group.bytes * group.dead_count // group.row_count for group in groups)
        return Usage(sum(group.bytes for group in groups), dead)

    def estimated_rows(self) -> int:
        """About how many rows there are, at no more than the cost of a few pages."""
        return self.row_part.count(limit=1000) + sum(group.live_count for group in self.state().groups)
