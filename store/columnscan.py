"""Scans for vectorised queries: whole row groups at a time, decoded and filtered by several threads where that pays.

What a scan gives is the table as it was when it began, whatever the connection writes between two batches: row
groups are immutable, `open_scans` keeps them from being freed, a statement that is not read to its end keeps
SQLite's snapshot, and the row part is read at the beginning.

1. The thread of the connection reads chunks, some row groups ahead: first those of filter columns, and the others
   once some row has passed (`grouppipe`).
2. Workers, or the same thread where there is none (`cores`), decode and filter (`groupscan`).
3. Batches are given in the order of rowids. Row groups that overlap, or in between whose rows lie some of the row
   part, are merged (`scan.merge`); all others come as they are, and nobody looks at their rowids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apsw
import numpy as np

from colonnade.store import format as disk
from colonnade.store.chunk import ChunkReader
from colonnade.store.cores import query_threads
from colonnade.store.errors import Corrupt, OperationalError
from colonnade.store.grouppipe import Job, Pipeline, Wish
from colonnade.store.groupscan import BatchSource, GroupSource, RowFilter, Selection
from colonnade.store.pager import Blob, RowGroupInfo
from colonnade.store.prune import Condition
from colonnade.store.scan import Source, live_mask, merge
from colonnade.store.table import ColumnTable
from colonnade.store.values import INT64_MAX, TEXT_KINDS, Kind, RowBatch, concat_batches

__all__ = ["ColumnScan", "RowFilter", "scan_columns"]

_AHEAD = 2  # row groups read ahead of those that workers have in hand
_SHARE = 4  # of the memory limit, what the row groups in hand may take
_VALUE_BYTES = 16  # a decoded value, about, with what it is decoded from
_AT_HAND_BYTES = 8  # one that is decoded from what the cache has
_MOST_TOGETHER = 1 << 18  # rows


def _nothing() -> None:
    """The checkpoint of a scan that nobody stops."""


def scan_columns(
    table: ColumnTable,
    column_ids: Sequence[int],
    *,
    conditions: Sequence[Condition] = (),
    filters: Sequence[RowFilter] = (),
    checkpoint: Callable[[], None] = _nothing,
    threads: int | None = None,
    again: bool = False,
) -> ColumnScan:
    """The rows of a table that pass all filters, in ascending rowid order, with the columns asked for.

    column_ids  0 stands for the rowid: then RowBatch.rowids is set, and no Column given for it
    conditions  rule out row groups by their zone maps, before any chunk is read; no row is tested for them
    filters     in the order given; see RowFilter
    checkpoint  called at least every 50 ms from this thread while workers are waited for; may raise
    threads     that decode and filter; None: see `cores`; 1: this one
    again       what is read will soon be read again: the cache is to keep it now
    Memory      a few decoded row groups (a quarter of the memory limit, but at least one), and the rows of the row
                part that pass
    Raises      Corrupt, OperationalError if a ROLLBACK took away what was to be read, and what filters and
                checkpoint raise
    """
    workers = threads or query_threads()
    return ColumnScan(table, column_ids, conditions, filters, checkpoint, workers, again)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A row group with its tombstones, and the range in which the rowids of its live rows lie."""

    group: RowGroupInfo
    bitmap: bytes | None
    first: int
    last: int


def _piece(group: RowGroupInfo, bitmap: bytes | bytearray | None) -> _Piece:
    # Most often the last row is in the row part: so much is certain of a range without a look at the rowids.
    live = live_mask(bitmap, group.row_count)
    if live is None or bitmap is None:
        return _Piece(group, None, group.first_rowid, group.last_rowid)
    before, after = (int(live.argmax()), int(live[::-1].argmax())) if group.checked else (0, 0)
    # A copy, as the next tombstones may be set in place.
    return _Piece(group, bytes(bitmap), group.first_rowid + before, group.last_rowid - after)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Row groups in the order of their first rowids: those whose ranges of rowids meet, each with some other, or
    `together` some that follow each other.
    """

    pieces: list[_Piece]
    first: int
    last: int
    together: bool = False


def _clusters(pieces: Sequence[_Piece]) -> list[_Cluster]:
    """All row groups, in the order of their rowids."""
    found: list[_Cluster] = []
    for piece in sorted(pieces, key=lambda piece: (piece.first, piece.group.group_id)):
        if found and piece.first <= found[-1].last:
            before = found.pop()
            pieces = [*before.pieces, piece]
            found.append(_Cluster(pieces, before.first, max(before.last, piece.last)))
        else:
            found.append(_Cluster([piece], piece.first, piece.last))
    return found


class ColumnScan(Iterator[RowBatch]):
    """The iterator that scan_columns gives. To be closed, or read to its end."""

    def __init__(
        self,
        table: ColumnTable,
        column_ids: Sequence[int],
        conditions: Sequence[Condition],
        filters: Sequence[RowFilter],
        checkpoint: Callable[[], None],
        threads: int,
        again: bool,
    ) -> None:
        self._open = False
        self._batches: Iterator[RowBatch] = iter(())
        self._table, self._with_rowids = table, 0 in column_ids
        wish = Wish([column_id for column_id in column_ids if column_id], filters, table.rowid_column)
        state = table.state()
        groups = _that_may_match(table, conditions, [group for group in state.groups if group.live_count])
        table.counters.groups_skipped += len(state.groups) - len(groups)
        pieces = [_piece(group, state.tombstones.get(group.group_id)) for group in groups]
        self._pipeline: Pipeline | None = None
        # A statement that has not ended: SQLite keeps its snapshot, and so do other connections the chunks.
        self._snapshot = table.store.db.execute(f"SELECT key FROM {table.names.meta}")
        table.open_scans += 1
        self._open = True
        self._groups, self._ids = groups, [column_id for column_id in column_ids if column_id]
        try:
            hot = _row_part(table, wish, checkpoint)
            self._hot = hot.batch
            self._chunks = _Chunks(table, wish, again)
            clusters = _clusters(pieces)
            parts = [hot.upto(cluster.first, cluster.last) for cluster in clusters]
            clusters, parts = self._put_together(clusters, parts, threads)
            jobs: list[Job] = []
            self._merges = False
            for cluster, (_, among) in zip(clusters, parts, strict=True):
                merged = among is not None or (len(cluster.pieces) > 1 and not cluster.together)
                self._merges = self._merges or merged
                rowids = self._with_rowids or merged
                if cluster.together:
                    jobs.append(Job([piece.group for piece in cluster.pieces], None, rowids))
                else:
                    jobs += [Job([piece.group], piece.bitmap, rowids) for piece in cluster.pieces]
            ahead = _most_ahead(table, jobs, wish, threads)
            self._pipeline = Pipeline(
                jobs,
                wish,
                self._chunks.read,
                self._chunks.done,
                checkpoint,
                threads=threads,
                ahead=ahead,
            )
            self._batches = _in_order(self._pipeline, clusters, parts, hot.rest())
        except BaseException:
            self.close()
            raise

    def _put_together(
        self, clusters: Sequence[_Cluster], parts: Sequence[_Parts], threads: int
    ) -> tuple[list[_Cluster], list[_Parts]]:
        """The same with row groups whose chunks are at hand made one piece of work, as far as memory allows: what is
        done with a piece costs something of itself, in Python, that is as much as for 100,000 rows.
        """
        most = _rows_together(self._table, self._chunks.columns, threads)
        found: list[tuple[_Cluster, _Parts]] = []
        rows, form = 0, None
        for cluster, part in zip(clusters, parts, strict=True):
            piece = cluster.pieces[0]
            lone = len(cluster.pieces) == 1 and piece.bitmap is None and part[1] is None
            here = self._chunks.form(piece.group) if lone else None
            rows += piece.group.row_count
            if here is not None and here == form and part[0] is None and rows <= most:
                last, before = found.pop()
                pieces = [*last.pieces, piece]
                found.append((_Cluster(pieces, last.first, cluster.last, together=True), before))
            else:
                found.append((cluster, part))
                rows, form = piece.group.row_count, here
        return [cluster for cluster, _ in found], [part for _, part in found]

    def kinds(self) -> list[set[Kind]]:
        """For each column asked for, the kinds that its values have, known before any is decoded. MIXED is among them
        where batches of several kinds are merged into one."""
        table, found = self._table, []
        file = table.store.pager.read_many(table.names)
        try:
            for place, column_id in enumerate(self._ids):
                kinds = set() if self._hot is None else {self._hot.columns[place].kind}
                for group in self._groups:
                    added = table.added.chunk(group, column_id)
                    if added is None:
                        kinds.add(Kind(file.kind(disk.chunk_id(group.group_id, column_id))))
                    else:
                        kinds.add(ChunkReader(added.data).kind)
                met = kinds - {Kind.NULL}
                if self._merges and len(met) > 1 and not met <= TEXT_KINDS:
                    kinds.add(Kind.MIXED)
                found.append(kinds)
        except (apsw.Error, ValueError) as error:
            raise Corrupt(f"table {table.name}: {error}") from None
        finally:
            file.close()
        return found

    def __next__(self) -> RowBatch:
        try:
            batch = next(self._batches)
        except BaseException:
            self.close()
            raise
        return batch if self._with_rowids else RowBatch(batch.row_count, batch.columns)

    def close(self) -> None:
        """Ends the scan: its threads, its snapshot, and what they keep others from."""
        if not self._open:
            return
        self._open = False
        self._batches = iter(())
        if self._pipeline is not None:
            self._pipeline.close()
            self._chunks.close()
        self._table.open_scans -= 1
        self._snapshot.close(True)

    def __del__(self) -> None:
        self.close()


def _that_may_match(
    table: ColumnTable, conditions: Sequence[Condition], groups: list[RowGroupInfo]
) -> list[RowGroupInfo]:
    """The row groups that zone maps do not rule out."""
    for condition in conditions:
        zones = table.zones(condition.column_id or table.rowid_column)
        groups = [
            group
            for group in groups
            if (zone := zones.get(group.group_id)) is None or condition.zone_may_match(zone, group.row_count)
        ]
    return groups


class _Chunks:
    """The chunks of a scan: out of the connection's cache, or out of the file and then into it."""

    def __init__(self, table: ColumnTable, wish: Wish, again: bool) -> None:
        self._table, self._epoch = table, table.store.epoch
        self._file = table.store.pager.read_many(table.names)
        self._scanned = [*wish.filtered(), *wish.others(rowids=False)]
        self.columns = len(self._scanned)
        self._kept = table.store.cache.columns.use(table.names.key, self._scanned, again=again)
        self._known = table.store.cache.columns

    def form(self, group: RowGroupInfo) -> tuple[object, ...] | None:
        """How the chunks of a row group are held, which is the same where columns can follow each other; None where
        some is not at hand, or there is nothing to read."""
        found = []
        for column_id in self._scanned:
            chunk = self._known.get(self._table.names.key, group.group_id, column_id)
            if chunk is None or chunk.narrowed is None:
                return None
            found.append(chunk.narrowed.form)
        return tuple(found) or None

    def read(self, group: RowGroupInfo, column_ids: Sequence[int]) -> dict[int, Blob | ChunkReader]:
        """Chunks by column. Raises OperationalError if something was rolled back that they were part of."""
        try:
            return {column_id: self._one(group, column_id) for column_id in column_ids}
        except Corrupt:
            if self._table.store.epoch != self._epoch:
                raise OperationalError("abort due to ROLLBACK") from None
            raise

    def _one(self, group: RowGroupInfo, column_id: int) -> Blob | ChunkReader:
        table = self._table
        added = table.added.chunk(group, column_id)
        if added is not None:
            return added.data
        known = table.store.cache.columns.get(table.names.key, group.group_id, column_id)
        return self._file.read(disk.chunk_id(group.group_id, column_id)) if known is None else known

    def done(self, source: GroupSource) -> None:
        """A row group was read."""
        table, group = self._table, source.group
        table.counters.blocks_decoded += source.blocks_decoded
        own = {
            column_id: chunk
            for column_id, chunk in source.opened.items()
            if column_id in self._kept and table.added.chunk(group, column_id) is None
        }
        if own and table.store.epoch == self._epoch:
            table.store.cache.keep_columns(table.names.key, group.group_id, own, self._scanned)

    def close(self) -> None:
        self._file.close()


def _in_order(
    given: Iterator[RowBatch | None],
    clusters: Sequence[_Cluster],
    parts: Sequence[_Parts],
    rest: RowBatch | None,
) -> Iterator[RowBatch]:
    """Batches of row groups, as they are given, and of the row part. Not a method: a scan that nobody holds any
    more shall end at once, and not when garbage is collected."""
    for cluster, (before, among) in zip(clusters, parts, strict=True):
        if before is not None:
            yield before
        if among is None and (len(cluster.pieces) == 1 or cluster.together):
            batch = next(given)
            if batch is not None:
                yield batch
            continue
        # Opened one after the other, in this order: that of the pipeline.
        sources = [Source(piece.first, lambda: _one(next(given))) for piece in cluster.pieces]
        hot = _one(among)
        sources.append(Source(cluster.first, lambda hot=hot: hot))  # type: ignore[misc]
        yield from merge(sources)
    if rest is not None:
        yield rest


def _one(batch: RowBatch | None) -> Iterator[RowBatch]:
    return iter(()) if batch is None else iter((batch,))


_Parts = tuple[RowBatch | None, RowBatch | None]  # rows of the row part before a cluster, and among its rows


class _Hot:
    """The rows of the row part that passed, in rowid order, given away from the front."""

    def __init__(self, batch: RowBatch | None) -> None:
        self.batch, self._at = batch, 0

    def upto(self, first: int, last: int) -> _Parts:
        """Those before the rowid `first`, and those from there to `last`."""
        return self._below(first), self._below(last + 1)

    def rest(self) -> RowBatch | None:
        """All that are left."""
        return self._below(INT64_MAX + 1)

    def _below(self, rowid: int) -> RowBatch | None:
        batch, at = self.batch, self._at
        if batch is None:
            return None
        assert batch.rowids is not None
        whole = rowid > INT64_MAX
        self._at = batch.row_count if whole else int(np.searchsorted(batch.rowids, rowid))
        return batch.slice(at, self._at - at) if self._at > at else None


def _row_part(table: ColumnTable, wish: Wish, checkpoint: Callable[[], None]) -> _Hot:
    """What passes of the row part, as it is now."""
    ids = [i for i in dict.fromkeys((*wish.column_ids, *wish.filtered())) if i and i != table.rowid_column]
    passed = []
    for batch in table.row_part.batches(ids):
        checkpoint()
        selection = Selection(BatchSource(batch, ids, table.rowid_column))
        selection.filter(wish.filters)
        if selection.count:
            passed.append(selection.batch(wish.column_ids, rowids=True))
    return _Hot(concat_batches(passed) if passed else None)


def _most_ahead(table: ColumnTable, jobs: Sequence[Job], wish: Wish, threads: int) -> int:
    """How many jobs may be in hand."""
    columns = len({*wish.column_ids, *wish.filtered()}) + 1
    largest = 1
    for job in jobs:
        each = _VALUE_BYTES if len(job.groups) == 1 else _AT_HAND_BYTES
        largest = max(largest, sum(group.row_count for group in job.groups) * each)
    room = table.store.memory_limit // _SHARE // (largest * columns)
    return max(1, min(room, threads + _AHEAD))


def _rows_together(table: ColumnTable, columns: int, threads: int) -> int:
    """How many rows of row groups that are at hand make one piece of work, so that each thread may have one, and one
    waits."""
    room = table.store.memory_limit // _SHARE // ((columns + 1) * _AT_HAND_BYTES)
    return min(_MOST_TOGETHER, room // (threads + 1))
