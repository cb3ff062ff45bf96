"""Reading a table in column format: whole row groups, scans, filtered scans and single rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from colonnade.store.cache import BlockCache, CachedChunk
from colonnade.store.chunk import ChunkReader, decode_chunk
from colonnade.store.errors import Corrupt
from colonnade.store.pager import Blob, RowGroupInfo
from colonnade.store.prune import Condition
from colonnade.store.rowpart import to_batch
from colonnade.store.scan import (
    GroupReader,
    RowidRange,
    Source,
    live_mask,
    merge,
    rowid_values,
    with_true_rowids,
)
from colonnade.store.state import TableState
from colonnade.store.values import INT64_MIN, IntArray, RowBatch, SQLiteValue

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable

Prune = Callable[[int], bool]  # row group id -> whether a scan may leave it out

# Of the memory limit, what the chunks of one scan may take. Row groups that overlap are read block by block in
# turn; with too many of them, chunks are dropped and read again, so that memory stays what it is.
_SCAN_SHARE = 4
_LOOK_UP_GROUPS = 2  # a scan of so few row groups for one key is a look-up, and worth remembering


@dataclass(frozen=True, slots=True)
class RawRowGroup:
    """A row group as stored, read by the thread that owns the connection; any thread may decode it."""

    group: RowGroupInfo
    column_ids: tuple[int, ...]
    rowid_column: int
    chunks: dict[int, Blob]
    bitmap: bytes | bytearray | None

    @property
    def positions(self) -> IntArray:
        """Positions of the live rows in the group, (n,) int64, ascending."""
        live = live_mask(self.bitmap, self.group.row_count)
        return np.arange(self.group.row_count) if live is None else np.flatnonzero(live)

    def decode(self) -> RowBatch:
        """The live rows, with rowids; columns in the order of `column_ids`. Raises Corrupt."""
        decoded = {column_id: decode_chunk(data) for column_id, data in self.chunks.items()}
        for column_id, column in decoded.items():
            if len(column) != self.group.row_count:
                raise Corrupt(f"row group {self.group.group_id}: column {column_id} has {len(column)} rows")
        rowids = rowid_values(decoded[self.rowid_column], self.group)
        columns = tuple(decoded[column_id] for column_id in self.column_ids)
        batch = RowBatch(self.group.row_count, columns, rowids)
        return batch if self.bitmap is None else batch.take(self.positions)


def fetch(table: ColumnTable, group_id: int, column_ids: Sequence[int]) -> RawRowGroup:
    """See ColumnTable.fetch."""
    group = table.group(group_id)
    wanted = dict.fromkeys((*column_ids, table.rowid_column))
    chunks = {i: table.chunk(group, i) for i in wanted}
    bitmap = table.state().tombstones.get(group_id)
    return RawRowGroup(group, tuple(column_ids), table.rowid_column, chunks, bitmap)


def scan(
    table: ColumnTable, column_ids: Sequence[int], span: RowidRange, prune: Prune | None
) -> Iterator[RowBatch]:
    """See ColumnTable.scan."""
    groups = _chosen(table, span, lambda group: prune is not None and prune(group.group_id))
    rows = table.row_part.batches(column_ids, span.first, span.last)
    return _merged(table, groups, column_ids, span, (), rows)


def filtered(
    table: ColumnTable,
    column_ids: Sequence[int],
    span: RowidRange,
    conditions: Sequence[Condition],
    exact: Sequence[tuple[str, SQLiteValue]],
    *,
    backward: bool,
) -> Iterator[RowBatch]:
    """The rows in the span that may satisfy all conditions, in rowid order. The row part is held from now on
    if it is small, and in any case no row that it gets later at its end is read.

    exact     the equalities among the conditions as SQL for the row part, with their values
    backward  in descending order
    """
    zones = [(condition, table.zones(condition.column_id)) for condition in conditions]

    def ruled_out(group: RowGroupInfo) -> bool:
        return any(
            group.group_id in known and not condition.zone_may_match(known[group.group_id], group.row_count)
            for condition, known in zones
        )

    groups = _chosen(table, span, ruled_out)
    rows = table.row_part.held(column_ids, (span.first, span.last), exact, backward=backward)
    if not backward:
        return _merged(table, groups, column_ids, span, conditions, rows)
    mirror = with_true_rowids(rows)  # which is also the way there
    return with_true_rowids(_merged(table, groups, column_ids, span, conditions, mirror, backward=True))


def whole(table: ColumnTable, groups: Sequence[RowGroupInfo]) -> Iterator[RowBatch]:
    """All columns of the live rows of some row groups, in rowid order; of their chunks no more is held than of a
    scan's."""
    live = [group for group in groups if group.live_count]
    return _merged(table, live, table.column_ids, RowidRange(), (), iter(()))


def with_key(
    table: ColumnTable,
    column_ids: Sequence[int],
    span: RowidRange,
    rowids: IntArray,
    exact: Sequence[tuple[str, SQLiteValue]],
) -> Iterator[RowBatch]:
    """The rows of row groups with these rowids, and those of the row part that satisfy `exact`, in rowid order."""
    hot = table.row_part.held(column_ids, (span.first, span.last), exact)
    if not len(rowids):
        return hot
    state = table.state()
    rows = [(rowid, row(table, state, rowid, column_ids)) for rowid in rowids.tolist()]
    found = to_batch([(rowid, *values) for rowid, values in rows if values is not None], len(column_ids))
    return merge([Source(int(rowids[0]), lambda: iter((found,))), Source(INT64_MIN, lambda: hot)])


def _chosen(
    table: ColumnTable, span: RowidRange, ruled_out: Callable[[RowGroupInfo], bool]
) -> list[RowGroupInfo]:
    groups = table.state().groups
    chosen = [g for g in groups if g.live_count and span.meets(g) and not ruled_out(g)]
    table.counters.groups_skipped += len(groups) - len(chosen)
    return chosen


def _merged(
    table: ColumnTable,
    groups: Sequence[RowGroupInfo],
    column_ids: Sequence[int],
    span: RowidRange,
    conditions: Sequence[Condition],
    rows: Iterator[RowBatch],
    *,
    backward: bool = False,
) -> Iterator[RowBatch]:
    """The rows of the row groups and of the row part; `backward` with mirrored rowids, `rows` too."""
    look_up = len(groups) <= _LOOK_UP_GROUPS and any(condition.is_equality for condition in conditions)
    pool = table.store.cache if look_up else _scan_pool(table, groups)
    tombstones = table.state().tombstones  # now: the scan shows the table as it is when it begins

    def source(group: RowGroupInfo) -> Source:
        def batches() -> Iterator[RowBatch]:
            reader = open_group(table, group, tombstones.get(group.group_id), pool, blocks=look_up)
            yield from reader.batches(column_ids, span, conditions, backward=backward)
            if not look_up:
                pool.forget(table.names.key, group.group_id)

        return Source(~group.last_rowid if backward else group.first_rowid, batches)

    return merge([*(source(group) for group in groups), Source(INT64_MIN, lambda: rows)])


def _scan_pool(table: ColumnTable, groups: Sequence[RowGroupInfo]) -> BlockCache:
    largest = max((group.bytes for group in groups), default=0)
    return BlockCache(max(table.store.memory_limit // _SCAN_SHARE, 2 * largest))


def open_group(
    table: ColumnTable,
    group: RowGroupInfo,
    bitmap: bytes | bytearray | None,
    pool: BlockCache,
    *,
    blocks: bool = False,
) -> GroupReader:
    """A block-wise reader of a row group, whose chunks stay in the pool as long as that has room.

    blocks  decoded blocks stay there too
    """
    key, group_id = table.names.key, group.group_id

    def open_chunk(column_id: int) -> ChunkReader | CachedChunk:
        chunk = pool.chunk(key, group_id, column_id)
        if chunk is None:
            data = table.chunk(group, column_id)
            chunk = pool.put_chunk(key, group_id, column_id, ChunkReader(data), len(data))
        return chunk if blocks else chunk.reader

    return GroupReader(group, table.rowid_column, bitmap, open_chunk, table.counters)


def look_up(table: ColumnTable, state: TableState, group: RowGroupInfo) -> GroupReader:
    """See ColumnTable.look_up; `state` is the table's present one."""
    reader = state.look_ups.get(group.group_id)
    if reader is None:
        bitmap = state.tombstones.get(group.group_id)
        reader = open_group(table, group, bitmap, table.store.cache, blocks=True)
        state.look_ups[group.group_id] = reader
    return reader


def values(table: ColumnTable, reader: GroupReader, column_ids: Sequence[int], at: int) -> list[SQLiteValue]:
    """The values of some columns in one row, by a reader of `look_up`."""
    at_hand, cache = reader.at_hand, table.store.cache
    if reader.kept_since != cache.dropped:
        at_hand.clear()
    try:
        return [at_hand[column_id](at) for column_id in column_ids]
    except KeyError:
        found = []
        for column_id in column_ids:
            read = at_hand[column_id] = reader.single(column_id)
            found.append(read(at))
        reader.kept_since = cache.dropped
        return found


def row(
    table: ColumnTable, state: TableState, rowid: int, column_ids: Sequence[int]
) -> Sequence[SQLiteValue] | None:
    """One row by its rowid: the columns. Decodes one block a column at most.

    state  the table's present one
    """
    for group in state.holding(rowid):
        reader = look_up(table, state, group)
        at = reader.position(rowid)
        if at is not None:
            return values(table, reader, column_ids, at)
    found = table.row_part.row(rowid, column_ids)
    return None if found is None else found[1:]
