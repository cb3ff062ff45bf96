"""Freeze and thaw: rows on their way between the row part and the row groups, and tombstones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from colonnade.store import reads
from colonnade.store.keyindex import KeyZone, key_zone
from colonnade.store.pager import RowGroupInfo
from colonnade.store.rowgroup import encode_row_group
from colonnade.store.spans import Span
from colonnade.store.switches import unnoticed
from colonnade.store.values import (
    INT64_MAX,
    IntArray,
    RowBatch,
    SQLiteValue,
    concat_batches,
    sorted_distinct,
)

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.scan import GroupReader
    from colonnade.store.state import TableState
    from colonnade.store.table import ColumnTable

_FEW = 16  # rows that are looked up one by one, a block each, in place of all rowids of their row group
_THAW_ROWS = 16_384  # rows that are Python objects at a time


def batch_key_zones(table: ColumnTable, batch: RowBatch) -> dict[str, KeyZone]:
    """The key zones of a batch of rows by signature; its columns are all those of the table."""
    by_id = dict(zip(table.column_ids, batch.columns, strict=True))
    return {spec.signature: key_zone([by_id[i] for i in spec.column_ids], spec) for spec in table.key_specs()}


def freeze(table: ColumnTable, *, keep_last: bool) -> int:
    """Moves the row part into row groups. See ColumnTable.freeze."""
    span, db = table.row_part.min_max(), table.store.db
    if span is None:
        return 0
    wanted, moved = table.store.batch_rows(table.name, table.schema), 0
    rows = table.row_part.batches(table.column_ids, span[0], span[1] - keep_last, wanted)
    with _freezing(table) as told, unnoticed(db), db:
        for batch in rows:
            assert batch.rowids is not None
            write_group(table, batch)
            table.row_part.remove(int(batch.rowids[0]), int(batch.rowids[-1]))
            moved += batch.row_count
        told.note(rows=moved)
    return moved


def freeze_cold(table: ColumnTable, hot: IntArray, wanted: int) -> int:
    """Moves rows of the row part into row groups of `wanted` rows each, the smallest rowids first; what does not
    fill one stays, as do the row with the largest rowid and those with rowids `hot`. Returns how many it moved.
    """
    span, db = table.row_part.min_max(), table.store.db
    if span is None:
        return 0
    moved, held, parts = 0, 0, []
    with _freezing(table) as told, unnoticed(db), db:
        for batch in table.row_part.batches(table.column_ids, span[0], span[1] - 1):
            assert batch.rowids is not None
            cold = batch.take(np.flatnonzero(~np.isin(batch.rowids, hot)))
            parts.append(cold)
            held += cold.row_count
            while held >= wanted:
                whole = concat_batches(parts)
                group, rest = whole.slice(0, wanted), whole.slice(wanted, held - wanted)
                assert group.rowids is not None
                write_group(table, group)
                table.row_part.remove_rows(group.rowids)
                moved, held, parts = moved + wanted, held - wanted, [rest]
        told.note(rows=moved)
    return moved


@contextmanager
def _freezing(table: ColumnTable) -> Iterator[Span]:
    store = table.store
    with (
        store.spans("freeze", table=table.name) as span,
        store.pager.counters.phase(table.names.key, "freeze"),
    ):
        yield span


def write_group(table: ColumnTable, batch: RowBatch) -> None:
    """Puts validated rows, all columns, into a new row group."""
    with table.store.spans("encode", table=table.name, rows=batch.row_count) as span:
        group = encode_row_group(batch, table.column_ids, table.rowid_column)
        zones = batch_key_zones(table, batch)
        span.note(bytes=group.byte_count)
    table.put(group, zones, checked=True)


@dataclass(frozen=True, slots=True)
class _Hit:
    """Live rows of one row group: their positions, (n,) int64, ascending."""

    group: RowGroupInfo
    positions: IntArray


def _find(table: ColumnTable, rowids: IntArray) -> Iterator[_Hit]:
    """The live rows of the row groups with these rowids, row group by row group."""
    wanted = sorted_distinct(np.array(rowids, np.int64))
    for group in table.groups():
        inside = wanted[(wanted >= group.first_rowid) & (wanted <= group.last_rowid)]
        if not len(inside) or not group.live_count:
            continue
        if not table.rowids_repeat:
            positions = table.look_up(group).positions(inside)[0]
        else:
            reader = table.reader(group)
            positions = np.flatnonzero(np.isin(reader.rowids(0, group.row_count), inside))
            if reader.live is not None:
                positions = positions[reader.live[positions]]
        if len(positions):
            yield _Hit(group, positions)


def delete(table: ColumnTable, rowids: IntArray) -> int:
    """Tombstones rows. See ColumnTable.delete."""
    db = table.store.db
    with unnoticed(db), db:
        hits = list(_find(table, rowids))
        _bury(table, hits)
    return sum(len(hit.positions) for hit in hits)


def bury(table: ColumnTable, places: Mapping[int, IntArray]) -> None:
    """Tombstones rows by their positions, ascending. See ColumnTable.bury."""
    with table.store.db:
        _bury(table, [_Hit(table.group(group_id), positions) for group_id, positions in places.items()])


def _bury(table: ColumnTable, hits: list[_Hit]) -> None:
    """Sets tombstones; a row group without a live row is removed, unless a cursor may still come to it."""
    if not hits:
        return
    pager, names, known = table.store.pager, table.names, table.state().tombstones
    dead: dict[int, tuple[bytes | bytearray, int]] = {}
    for group, positions in ((hit.group, hit.positions) for hit in hits):
        dead_count = group.dead_count + len(positions)
        if dead_count == group.row_count and not table.open_scans:
            pager.free_group(names, group.group_id)
            continue
        before = known.get(group.group_id)
        bitmap, changed = with_tombstones(before, group.row_count, positions)
        pager.write_tombstones(names, group.group_id, bitmap, dead_count, None if before is None else changed)
        dead[group.group_id] = bitmap, dead_count
    table.store.policy.buried(table, sum(len(hit.positions) for hit in hits))
    if len(dead) < len(hits):
        table.changed()
    else:
        table.buried(dead)


def with_tombstones(
    bitmap: bytes | bytearray | None, row_count: int, positions: IntArray
) -> tuple[bytes, slice]:
    """A tombstone bitmap (None: no row is dead) with more rows marked, and which of its bytes are others now.

    positions  (n,) int64, ascending, at least one
    """
    marks = bytearray((row_count + 7) // 8 if bitmap is None else bitmap)
    changed = slice(int(positions[0]) >> 3, (int(positions[-1]) >> 3) + 1)
    part = np.frombuffer(marks, np.uint8)[changed]
    bits = np.unpackbits(part, bitorder="little")
    bits[positions - 8 * changed.start] = 1
    part[:] = np.packbits(bits, bitorder="little")
    return bytes(marks), changed


def thaw(table: ColumnTable, rowids: IntArray) -> int:
    """Moves rows into the row part. See ColumnTable.thaw."""
    db = table.store.db
    if len(rowids) <= _FEW and not table.rowids_repeat:
        rows, hits = _few_rows(table, rowids)
        if hits:
            program_rowid = db.last_insert_rowid()
            try:
                with db:
                    table.row_part.insert_rows(rows)
                    _bury(table, hits)
            finally:
                db.set_last_insert_rowid(program_rowid)
        return len(rows)
    with unnoticed(db), db:
        hits = list(_find(table, rowids))
        for hit in hits:
            for batch in _rows(table, hit, table.column_ids):
                table.row_part.insert(batch)
        _bury(table, hits)
    return sum(len(hit.positions) for hit in hits)


class Frozen(NamedTuple):
    """A live row of a row group: where it stands in the present state of its table."""

    table: ColumnTable
    state: TableState
    group: RowGroupInfo
    at: int
    reader: GroupReader

    def thaw(self, rowid: int) -> None:
        """Moves it into the row part. To be called in a savepoint, with last_insert_rowid() kept."""
        table, group = self.table, self.group
        dead_count = group.dead_count + 1
        if self.state.unchecked or table.open_scans or dead_count == group.row_count:
            table.thaw(np.array([rowid]))
            return
        before = self.state.tombstones.get(group.group_id)
        bitmap = before if isinstance(before, bytearray) else bytearray(before or (group.row_count + 7) // 8)
        table.row_part.insert_row(reads.values(table, self.reader, table.row_part.inserted_ids, self.at))
        bitmap[self.at >> 3] |= 1 << (self.at & 7)
        changed = None if before is None else slice(self.at >> 3, (self.at >> 3) + 1)
        table.store.pager.write_tombstones(table.names, group.group_id, bitmap, dead_count, changed)
        table.buried_one(self.state, group.with_dead(dead_count), bitmap)
        table.store.policy.thawed_one(table, rowid)


def frozen_row(table: ColumnTable, rowid: int) -> Frozen | None:
    """The row of the row groups with this rowid; None if there is none."""
    state = table.state()
    for group in state.holding(rowid):
        reader = reads.look_up(table, state, group)
        at = reader.position(rowid)
        if at is not None:
            return Frozen(table, state, group, at, reader)
    return None


def thaw_rows(store: Store, wanted: Sequence[tuple[ColumnTable, int]]) -> None:
    """Moves single rows, each a table and a rowid, into the row parts, if they are in row groups."""
    found = []
    for table, rowid in wanted:
        row = frozen_row(table, rowid)
        if row is None:
            store.policy.thawed(table, (rowid,), 0)
        else:
            found.append((row, rowid))
    if not found:
        return
    program_rowid = store.db.last_insert_rowid()
    try:
        with store.spans("thaw", rows=len(found)), store.atomic:
            changed = None
            for row, rowid in found:
                now = frozen_row(row.table, rowid) if row.table is changed else row
                if now is not None:
                    now.thaw(rowid)
                changed = row.table
    finally:
        store.db.set_last_insert_rowid(program_rowid)


def _few_rows(table: ColumnTable, rowids: IntArray) -> tuple[list[Sequence[SQLiteValue]], list[_Hit]]:
    """Rows of row groups, each found by its rowid, as the row part takes them, and where they are."""
    state = table.state()
    found: dict[int, tuple[RowGroupInfo, list[int]]] = {}
    rows: list[Sequence[SQLiteValue]] = []
    for rowid in rowids.tolist():
        for group in state.holding(rowid):
            reader = reads.look_up(table, state, group)
            at = reader.position(rowid)
            if at is not None:
                rows.append(reads.values(table, reader, table.row_part.inserted_ids, at))
                found.setdefault(group.group_id, (group, []))[1].append(at)
                break
    return rows, [_Hit(group, np.array(sorted(places), np.int64)) for group, places in found.values()]


def copies(table: ColumnTable, rowids: IntArray) -> Iterator[RowBatch]:
    """The rows of row groups with these rowids, all columns."""
    for hit in list(_find(table, rowids)):
        yield from _rows(table, hit, table.column_ids)


def values_at(table: ColumnTable, rowids: IntArray, column_ids: Sequence[int]) -> Iterator[RowBatch]:
    """Some columns of the rows of row groups with these rowids. See ColumnTable.values_at."""
    for hit in list(_find(table, rowids)):
        yield from _rows(table, hit, column_ids)


def _rows(table: ColumnTable, hit: _Hit, column_ids: Sequence[int]) -> Iterator[RowBatch]:
    reader = table.look_up(hit.group) if len(hit.positions) <= _FEW else table.reader(hit.group)
    for start in range(0, len(hit.positions), _THAW_ROWS):
        positions = hit.positions[start : start + _THAW_ROWS]
        columns = tuple(reader.take(column_id, positions) for column_id in column_ids)
        yield RowBatch(len(positions), columns, reader.rowids_at(positions))


def thaw_all(table: ColumnTable) -> int:
    """Moves every row of the row groups into the row part, and frees the row groups."""
    thawed, db = 0, table.store.db
    with unnoticed(db), db:
        for group in table.groups():
            reader = table.reader(group)
            for batch in reader.batches(table.column_ids):
                table.row_part.insert(batch)
                thawed += batch.row_count
            table.store.pager.free_group(table.names, group.group_id)
        table.changed()
    return thawed


def settle_last(table: ColumnTable) -> None:
    """Keeps the largest rowid in the row part, and AUTOINCREMENT's counter. See ColumnTable.settle_last."""
    groups = table.state().groups
    if not groups:
        return
    keep_largest(table)
    used = max(group.last_rowid for group in groups)
    table.row_part.keep_sequence(min(used, INT64_MAX))


def keep_largest(table: ColumnTable) -> None:
    """Thaws the row with the largest rowid if no row of the row part has a larger one. See ColumnTable."""
    live = [group.last_rowid for group in table.state().groups if group.live_count]
    span = table.row_part.min_max() if live else None
    if not live or (span is not None and span[1] >= max(live)):
        return
    largest = table.largest_frozen()
    if largest is not None and (span is None or span[1] < largest):
        thaw(table, np.array([largest]))
