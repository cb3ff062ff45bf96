"""Pager: the only module that reads or writes column chunks and row group records, and it counts each one.

SQLite is underneath: every call is one or two statements on the shadow tables (store.format), inside
whatever transaction the connection is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import apsw
import numpy as np

from colonnade.store import format as disk
from colonnade.store.catalog import ShadowNames, fetch_all, fetch_one
from colonnade.store.chunk import EncodedChunk, ZoneMap
from colonnade.store.counters import Counters
from colonnade.store.encodings.base import empty
from colonnade.store.errors import Corrupt

Blob = bytes | memoryview
_MEASURED_GROUPS = 4  # each costs one page read per column, at every batch


class RowGroupInfo(NamedTuple):
    """The record of one row group (ROW_GROUPS_DDL in store.format). A tuple, as a thawed row makes one anew, in a third
    of the time that a frozen dataclass takes."""

    group_id: int
    row_count: int
    dead_count: int
    first_rowid: int
    last_rowid: int
    checked: bool
    bytes: int

    @property
    def live_count(self) -> int:
        return self.row_count - self.dead_count

    def with_dead(self, dead_count: int) -> RowGroupInfo:
        """The same with another number of tombstones."""
        return RowGroupInfo(
            self.group_id,
            self.row_count,
            dead_count,
            self.first_rowid,
            self.last_rowid,
            self.checked,
            self.bytes,
        )


class Pager(Protocol):
    """What the store asks of its backend; tests put failing ones in its place."""

    counters: Counters

    def read_chunk(self, table: ShadowNames, chunk_id: int) -> Blob: ...
    def write_chunk(self, table: ShadowNames, chunk_id: int, chunk: EncodedChunk) -> None: ...
    def read_many(self, table: ShadowNames) -> ChunkFile: ...
    def read_zones(self, table: ShadowNames, column_id: int) -> dict[int, ZoneMap]: ...
    def read_groups(self, table: ShadowNames) -> list[RowGroupInfo]: ...
    def measure(self, table: ShadowNames) -> tuple[int, int, int] | None: ...
    def write_group(self, table: ShadowNames, group: RowGroupInfo) -> None: ...
    def copy_group(self, table: ShadowNames, group_id: int, new_id: int, replaced: Sequence[int]) -> None: ...
    def free_group(self, table: ShadowNames, group_id: int) -> None: ...
    def free_column(self, table: ShadowNames, column_id: int) -> None: ...
    def read_tombstones(self, table: ShadowNames) -> dict[int, bytes | bytearray]: ...
    def write_tombstones(
        self,
        table: ShadowNames,
        group_id: int,
        bitmap: bytes | bytearray,
        dead_count: int,
        changed: slice | None,
    ) -> None: ...


class ChunkFile:
    """Reads chunks of one table one after the other, in a third of the time that a query for each takes."""

    def __init__(self, pager: SqlitePager, table: ShadowNames) -> None:
        self._pager, self._table = pager, table
        self._blob: apsw.Blob | None = None

    def read(self, chunk_id: int) -> Blob:
        """The BLOB of a chunk. Raises Corrupt if there is none."""
        try:
            blob = self._at(chunk_id)
            data = empty(blob.length(), np.uint8).data
            blob.read_into(data)
        except (
            apsw.Error
        ):  # no such chunk, or the one that was read last has changed: then it cannot be moved
            self.close()
            return self._pager.read_chunk(self._table, chunk_id)
        counters = self._pager.counters.of(self._table.key)
        counters.chunks_read += 1
        counters.bytes_read += len(data)
        return data

    def kind(self, chunk_id: int) -> int:
        """The kind that the header of a chunk tells, of which nothing else is read or checked."""
        blob = self._at(chunk_id)
        head = blob.read(disk.CHUNK_HEADER.size)
        if len(head) < disk.CHUNK_HEADER.size:
            raise Corrupt(f"table {self._table.name}: a chunk without a header")
        kind: int = disk.CHUNK_HEADER.unpack(head)[2]
        return kind

    def _at(self, chunk_id: int) -> apsw.Blob:
        """The BLOB of a chunk, at its beginning. Raises apsw.Error if there is none."""
        blob = self._blob
        if blob is None:
            table = self._table
            blob = self._pager.db.blob_open(table.schema, table.name + disk.CHUNKS, "data", chunk_id, False)
            self._blob = blob
        else:
            blob.reopen(chunk_id)
        return blob

    def close(self) -> None:
        """Ends its statement."""
        if self._blob is not None:
            self._blob.close(True)
            self._blob = None


class SqlitePager:
    """The pager over an apsw connection."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self.counters = Counters(db)

    def read_chunk(self, table: ShadowNames, chunk_id: int) -> Blob:
        """The BLOB of a chunk. Raises Corrupt if there is none."""
        data = fetch_one(self.db, f"SELECT data FROM {table.chunks} WHERE chunk_id=?", (chunk_id,))
        if not isinstance(data, bytes):
            group_id, column_id = divmod(chunk_id, disk.COLUMN_ID_SPAN)
            raise Corrupt(f"table {table.name}: row group {group_id} has no chunk of column {column_id}")
        counters = self.counters.of(table.key)
        counters.chunks_read += 1
        counters.bytes_read += len(data)
        return data

    def read_many(self, table: ShadowNames) -> ChunkFile:
        """What reads many chunks; to be closed."""
        return ChunkFile(self, table)

    def write_chunk(self, table: ShadowNames, chunk_id: int, chunk: EncodedChunk) -> None:
        """Puts a chunk, over an older one of the same id if there is one."""
        counters, zone, size = self.counters.of(table.key), chunk.zone, len(chunk.data)
        old = fetch_one(self.db, f"SELECT length(data) FROM {table.chunks} WHERE chunk_id=?", (chunk_id,))
        if old is not None:
            counters.chunks_overwritten += 1
            counters.bytes_overwritten += old
        self.db.execute(
            f"REPLACE INTO {table.chunks}(chunk_id, null_count, classes, min, max, raw_bytes, data)"
            " VALUES(?, ?, ?, ?, ?, ?, ?)",
            (chunk_id, zone.null_count, int(zone.classes), zone.min, zone.max, chunk.raw_bytes, chunk.data),
        )
        counters.chunks_put += 1
        counters.bytes_put += size

    def read_zones(self, table: ShadowNames, column_id: int) -> dict[int, ZoneMap]:
        """The zone maps of a column by row group. Touches the first page of each chunk, not its BLOB."""
        rows = self.db.execute(
            f"SELECT g.group_id, c.null_count, c.classes, c.min, c.max FROM {table.groups} g"
            f" JOIN {table.chunks} c ON c.chunk_id = g.group_id * {disk.COLUMN_ID_SPAN} + ?",
            (column_id,),
        )
        zones = {}
        for group_id, null_count, classes, low, high in rows:
            if not (isinstance(null_count, int) and isinstance(classes, int) and null_count >= 0):
                raise Corrupt(f"table {table.name}: the zone map of row group {group_id} is damaged")
            zones[group_id] = ZoneMap(null_count, classes, low, high)
        return zones

    def read_groups(self, table: ShadowNames) -> list[RowGroupInfo]:
        """All row groups, by id."""
        rows = self.db.execute(
            "SELECT group_id, row_count, dead_count, first_rowid, last_rowid, checked, bytes"
            f" FROM {table.groups} ORDER BY group_id"
        )
        return [_group(table, row) for row in rows]

    def measure(self, table: ShadowNames) -> tuple[int, int, int] | None:
        """Rows, bytes of values and bytes stored of the newest row groups; None if there are none."""
        rows, size, first = fetch_all(
            self.db,
            "SELECT sum(row_count), sum(bytes), min(group_id) FROM"
            f" (SELECT * FROM {table.groups} ORDER BY group_id DESC LIMIT {_MEASURED_GROUPS})",
        )[0]
        if not rows:
            return None
        raw = fetch_one(
            self.db,
            f"SELECT sum(raw_bytes) FROM {table.chunks} WHERE chunk_id>=?",
            (disk.chunk_id(first, 0),),
        )
        return rows, raw, size

    def write_group(self, table: ShadowNames, group: RowGroupInfo) -> None:
        """Adds the record of a new row group."""
        self.db.execute(
            f"INSERT INTO {table.groups}"
            "(group_id, row_count, dead_count, first_rowid, last_rowid, checked, bytes)"
            " VALUES(?, ?, ?, ?, ?, ?, ?)",
            (
                group.group_id,
                group.row_count,
                group.dead_count,
                group.first_rowid,
                group.last_rowid,
                int(group.checked),
                group.bytes,
            ),
        )
        self.counters.of(table.key).groups_put += 1

    def copy_group(self, table: ShadowNames, group_id: int, new_id: int, replaced: Sequence[int]) -> None:
        """Adds a row group with all that another has, but for the chunks of the columns `replaced`, which are
        there already. The BLOBs do not leave SQLite."""
        first, target = disk.chunk_id(group_id, 0), disk.chunk_id(new_id, 0)
        span, own = disk.COLUMN_ID_SPAN - 1, ", ".join(str(first + column_id) for column_id in replaced)
        self.db.execute(
            f"INSERT INTO {table.chunks}(chunk_id, null_count, classes, min, max, raw_bytes, data)"
            f" SELECT chunk_id + ?, null_count, classes, min, max, raw_bytes, data FROM {table.chunks}"
            f" WHERE chunk_id BETWEEN ? AND ? AND chunk_id NOT IN ({own})",
            (target - first, first, first + span),
        )
        self.counters.of(table.key).chunks_put += self.db.changes()
        size = fetch_one(
            self.db,
            f"SELECT sum(length(data)) FROM {table.chunks} WHERE chunk_id BETWEEN ? AND ?",
            (target, target + span),
        )
        self.db.execute(
            f"INSERT INTO {table.groups}(group_id, row_count, dead_count, first_rowid, last_rowid, checked, bytes)"
            f" SELECT ?, row_count, dead_count, first_rowid, last_rowid, checked, ? FROM {table.groups}"
            " WHERE group_id=?",
            (new_id, size, group_id),
        )
        self.db.execute(
            f"INSERT INTO {table.tombstones}(group_id, bitmap)"
            f" SELECT ?, bitmap FROM {table.tombstones} WHERE group_id=?",
            (new_id, group_id),
        )
        self.db.execute(
            f"INSERT INTO {table.keys}(signature, group_id, lo, hi, flags, run)"
            f" SELECT signature, ?, lo, hi, flags, run FROM {table.keys} WHERE group_id=?",
            (new_id, group_id),
        )
        self.counters.of(table.key).groups_put += 1

    def free_group(self, table: ShadowNames, group_id: int) -> None:
        """Removes a row group: its chunks, tombstones, key zones and record."""
        counters = self.counters.of(table.key)
        first = disk.chunk_id(group_id, 0)
        span = (first, first + disk.COLUMN_ID_SPAN - 1)
        where = "WHERE chunk_id BETWEEN ? AND ?"
        chunks, size = fetch_all(
            self.db, f"SELECT count(*), coalesce(sum(length(data)), 0) FROM {table.chunks} {where}", span
        )[0]
        self.db.execute(f"DELETE FROM {table.chunks} {where}", span)
        for name in (table.tombstones, table.keys, table.groups):
            self.db.execute(f"DELETE FROM {name} WHERE group_id=?", (group_id,))
        counters.chunks_freed += chunks
        counters.bytes_freed += size
        counters.groups_freed += 1

    def free_column(self, table: ShadowNames, column_id: int) -> None:
        """Removes the chunks of a column. Reads their pages, to free them, and none of other columns' chunks."""
        counters, of_column = self.counters.of(table.key), f"group_id * {disk.COLUMN_ID_SPAN} + ?"
        chunks, size = fetch_all(
            self.db,
            f"SELECT count(*), coalesce(sum(length(data)), 0) FROM {table.groups}"
            f" JOIN {table.chunks} ON chunk_id = {of_column}",
            (column_id,),
        )[0]
        self.db.execute(
            f"UPDATE {table.groups} SET bytes = bytes - length(data)"
            f" FROM {table.chunks} WHERE chunk_id = {of_column}",
            (column_id,),
        )
        self.db.execute(
            f"DELETE FROM {table.chunks} WHERE chunk_id IN (SELECT {of_column} FROM {table.groups})",
            (column_id,),
        )
        counters.chunks_freed += chunks
        counters.bytes_freed += size

    def read_tombstones(self, table: ShadowNames) -> dict[int, bytes | bytearray]:
        """The tombstone bitmaps of the row groups that have any: one bit a row of those groups."""
        rows = self.db.execute(f"SELECT group_id, bitmap FROM {table.tombstones}")
        return {group_id: bytes(bitmap) for group_id, bitmap in _bitmaps(table, rows)}

    def write_tombstones(
        self,
        table: ShadowNames,
        group_id: int,
        bitmap: bytes | bytearray,
        dead_count: int,
        changed: slice | None,
    ) -> None:
        """Replaces the tombstones of a row group.

        changed  the only bytes of the bitmap in which it differs from what is stored; None: none is stored
        """
        if changed is None:
            put = f"REPLACE INTO {table.tombstones}(group_id, bitmap) VALUES(?, ?)"
            self.db.execute(put, (group_id, bitmap))
        else:
            name = table.name + disk.TOMBSTONES
            with self.db.blob_open(table.schema, name, "bitmap", group_id, True) as stored:
                stored.seek(changed.start)
                stored.write(bitmap[changed])
        self.db.execute(f"UPDATE {table.groups} SET dead_count=? WHERE group_id=?", (dead_count, group_id))


def _bitmaps(table: ShadowNames, rows: Iterable[tuple[object, object]]) -> Iterable[tuple[int, bytes]]:
    for group_id, bitmap in rows:
        if not (isinstance(group_id, int) and isinstance(bitmap, bytes)):
            raise Corrupt(f"table {table.name}: the tombstones of row group {group_id} are damaged")
        yield group_id, bitmap


def _group(table: ShadowNames, row: tuple[object, ...]) -> RowGroupInfo:
    group_id, row_count, dead_count, first, last, checked, size = row
    if not (
        isinstance(group_id, int)
        and isinstance(row_count, int)
        and isinstance(dead_count, int)
        and isinstance(first, int)
        and isinstance(last, int)
        and isinstance(checked, int)
        and isinstance(size, int)
        and 0 < row_count <= disk.MAX_GROUP_ROWS
        and 0 <= dead_count <= row_count
        and first <= last
    ):
        raise Corrupt(f"table {table.name}: the record of row group {group_id} is damaged")
    return RowGroupInfo(group_id, row_count, dead_count, first, last, bool(checked), size)
