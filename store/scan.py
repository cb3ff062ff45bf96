"""Scans: the rows of row groups and row part in ascending rowid order, a batch at a time.

Every source is ascending in itself. A row group is opened only when the scan reaches its first rowid, so
row groups that do not overlap are read one after another, and only overlapping ones are merged.

A backward scan is the same thing over mirrored rowids: ~rowid (that is -1 - rowid, which has no overflow)
ascends where rowid descends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from colonnade.store.counters import ChunkCounters
from colonnade.store.errors import Corrupt
from colonnade.store.pager import RowGroupInfo
from colonnade.store.prune import Condition
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    IntArray,
    Kind,
    RowBatch,
    SQLiteValue,
    concat_batches,
    concat_columns,
)

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RowidRange:
    """first <= rowid <= last."""

    first: int = INT64_MIN
    last: int = INT64_MAX

    def meets(self, group: RowGroupInfo) -> bool:
        return self.first <= group.last_rowid and group.first_rowid <= self.last


EVERYTHING = RowidRange()


@dataclass(frozen=True, slots=True)
class Source:
    """A run of ascending batches, none of whose rowids is below `first_rowid`."""

    first_rowid: int
    open: Callable[[], Iterator[RowBatch]]


class _Head:
    """The batch of an open source that is being consumed."""

    __slots__ = ("batch", "batches", "last", "rowids")

    def __init__(self, source: Source) -> None:
        self.batches = source.open()
        self.advance()

    def advance(self) -> None:
        self.batch: RowBatch | None = None
        for batch in self.batches:
            if batch.row_count:
                self._hold(batch)
                return

    def _hold(self, batch: RowBatch) -> None:
        assert batch.rowids is not None
        self.batch, self.rowids, self.last = batch, batch.rowids, int(batch.rowids[-1])

    def take(self, bound: int) -> RowBatch | None:
        """Removes the rows up to `bound` from the head and returns them."""
        batch = self.batch
        assert batch is not None
        if self.last <= bound:
            self.advance()
            return batch
        count = int(np.searchsorted(self.rowids, bound, "right"))
        if not count:
            return None
        self._hold(batch.slice(count, batch.row_count - count))
        return batch.slice(0, count)


def merge(sources: Sequence[Source]) -> Iterator[RowBatch]:
    """All rows of the sources in ascending rowid order; equal rowids in the order of the sources.

    Memory: one batch of each source whose range the scan is in.
    """
    order = sorted(range(len(sources)), key=lambda i: (-sources[i].first_rowid, -i))
    pending = [sources[i] for i in order]  # popped from the end
    heads: list[_Head] = []
    while True:
        bound = min((head.last for head in heads), default=None)
        while pending and (bound is None or pending[-1].first_rowid <= bound):
            head = _Head(pending.pop())
            if head.batch is not None:
                heads.append(head)
                bound = head.last if bound is None else min(bound, head.last)
        if bound is None:
            return
        parts = [part for head in heads if (part := head.take(bound)) is not None]
        heads = [head for head in heads if head.batch is not None]
        yield parts[0] if len(parts) == 1 else _interleave(parts)


def _interleave(parts: Sequence[RowBatch]) -> RowBatch:
    batch = concat_batches(parts)
    assert batch.rowids is not None
    return batch.take(np.argsort(batch.rowids, kind="stable"))


def mirrored(batch: RowBatch) -> RowBatch:
    """The rows in the opposite order, each with ~rowid for its rowid; twice is nothing."""
    back = batch.take(np.arange(batch.row_count - 1, -1, -1))
    assert back.rowids is not None
    return RowBatch(back.row_count, back.columns, ~back.rowids)


def with_true_rowids(batches: Iterator[RowBatch]) -> Iterator[RowBatch]:
    """Batches of a backward scan with the rowids that their rows have."""
    for batch in batches:
        assert batch.rowids is not None
        yield RowBatch(batch.row_count, batch.columns, ~batch.rowids)


def live_mask(bitmap: bytes | bytearray | None, row_count: int) -> BoolArray | None:
    """True where a row of a row group is not tombstoned; None if all are live."""
    if bitmap is None:
        return None
    check_bitmap(bitmap, row_count)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=row_count, bitorder="little")
    return np.equal(bits, 0)


def check_bitmap(bitmap: bytes | bytearray, row_count: int) -> None:
    """Raises Corrupt unless a tombstone bitmap has a bit for each row."""
    if len(bitmap) != (row_count + 7) // 8:
        raise Corrupt("a tombstone bitmap does not fit its row group")


class Chunk(Protocol):
    """A column chunk to read from: a ChunkReader, or one with a cache before it."""

    @property
    def rows(self) -> int: ...
    @property
    def block_rows(self) -> int: ...
    def block(self, number: int) -> Column: ...
    def take(self, positions: IntArray) -> Column: ...
    def value(self, row: int) -> SQLiteValue: ...


class GroupReader:
    """Block-wise reading of one row group: rowids first, then the filter columns, then the rest.

    open_chunk  gives the chunk of a column id, and may give a new one each time
    at_hand     what reads single values, by column id, while the cache is as in `kept_since` (BlockCache.dropped)
    """

    def __init__(
        self,
        group: RowGroupInfo,
        rowid_column: int,
        bitmap: bytes | bytearray | None,
        open_chunk: Callable[[int], Chunk],
        counters: ChunkCounters,
    ) -> None:
        self.group, self._rowid_column, self._open = group, rowid_column, open_chunk
        self._counters, self._bitmap = counters, bitmap
        self._live: BoolArray | None = None
        self.at_hand: dict[int, Callable[[int], SQLiteValue]] = {}
        self.kept_since = -1

    def bury(self, group: RowGroupInfo, bitmap: bytes | bytearray) -> None:
        """The same row group has other tombstones; for a reader of which nobody reads a scan."""
        self.group, self._bitmap, self._live = group, bitmap, None

    def buried(self, group: RowGroupInfo, bitmap: bytes | bytearray) -> GroupReader:
        """A reader of the same row group with other tombstones."""
        reader = GroupReader(group, self._rowid_column, bitmap, self._open, self._counters)
        reader.at_hand, reader.kept_since = self.at_hand, self.kept_since
        return reader

    @property
    def live(self) -> BoolArray | None:
        """Which rows are live, (row_count,) bool; None if all are."""
        if self._live is None and self._bitmap is not None:
            self._live = live_mask(self._bitmap, self.group.row_count)
        return self._live

    def _live_rows(self, start: int, stop: int) -> BoolArray | None:
        """The same of rows start, a multiple of 8, to stop."""
        if self._bitmap is None:
            return None
        check_bitmap(self._bitmap, self.group.row_count)
        part = np.frombuffer(self._bitmap, np.uint8)[start >> 3 : (stop + 7) >> 3]
        return np.equal(np.unpackbits(part, count=stop - start, bitorder="little"), 0)

    def is_live(self, row: int) -> bool:
        """The same of one row, without looking at the others."""
        bitmap = self._bitmap
        if bitmap is None:
            return True
        check_bitmap(bitmap, self.group.row_count)
        return not bitmap[row >> 3] >> (row & 7) & 1

    def _chunk(self, column_id: int) -> Chunk:
        chunk = self._open(column_id)
        if chunk.rows != self.group.row_count:
            raise Corrupt(f"row group {self.group.group_id}: column {column_id} has {chunk.rows} rows")
        return chunk

    def span(self, column_id: int, start: int, stop: int) -> Column:
        """The values of rows start to stop of one column."""
        chunk = self._chunk(column_id)
        size = chunk.block_rows
        first, last = start // size, (stop - 1) // size
        column = concat_columns([chunk.block(number) for number in range(first, last + 1)])
        self._counters.blocks_decoded += last + 1 - first
        return column.slice(start - first * size, stop - start)

    def rowids(self, start: int, stop: int) -> IntArray:
        """The rowids of rows start to stop, checked to be integers in ascending order."""
        first = self.group.first_rowid
        if (
            self._is_dense
            and self._rowid(start) == first + start
            and self._rowid(stop - 1) == first + stop - 1
        ):
            # All between follow from these; the one behind the last may be no int64.
            return np.arange(stop - start, dtype=np.int64) + (first + start)
        return rowid_values(self.span(self._rowid_column, start, stop), self.group)

    @property
    def _is_dense(self) -> bool:
        """Whether, by its record, the row group has no gap and none twice: places follow from the rowids."""
        group = self.group
        return group.checked and group.last_rowid - group.first_rowid == group.row_count - 1

    def _rowid(self, row: int) -> SQLiteValue:
        """One rowid as it is stored."""
        read = self.at_hand.get(self._rowid_column)
        if read is None:
            read = self.at_hand[self._rowid_column] = self.single(self._rowid_column)
        return read(row)

    def batches(
        self,
        column_ids: Sequence[int],
        span: RowidRange = EVERYTHING,
        conditions: Sequence[Condition] = (),
        *,
        backward: bool = False,
    ) -> Iterator[RowBatch]:
        """The live rows of the group in the span that may satisfy the conditions, a block at a time.

        backward  from the last to the first, and with mirrored rowids
        """
        step = max(self._chunk(i).block_rows for i in {*column_ids, self._rowid_column})
        for number in self._steps(span, step, backward):
            start, stop = number * step, min((number + 1) * step, self.group.row_count)
            rowids = self.rowids(start, stop)
            if int(rowids[-1]) < span.first if backward else int(rowids[0]) > span.last:
                return
            keep = self._keep(start, stop, rowids, span)
            columns: dict[int, Column] = {}
            for condition in conditions:
                if condition.column_id not in columns:
                    columns[condition.column_id] = self.span(condition.column_id, start, stop)
                mask = condition.rows(columns[condition.column_id])
                if mask is not None:
                    keep = mask if keep is None else keep & mask
                if keep is not None and not keep.any():
                    break
            batch = self._collect(column_ids, columns, rowids, keep, start, stop)
            if batch is not None:
                yield mirrored(batch) if backward else batch

    def _steps(self, span: RowidRange, step: int, backward: bool) -> Sequence[int]:
        """Numbers of the steps to read in order, from the first that can have rows of the span."""
        if not backward:
            return range(self._first_step(span.first, step), -(-self.group.row_count // step))
        beyond = span.last < self.group.last_rowid
        last = self._first_step(span.last + 1, step) if beyond else (self.group.row_count - 1) // step
        return range(last, -1, -1)

    def _keep(self, start: int, stop: int, rowids: IntArray, span: RowidRange) -> BoolArray | None:
        keep = self._live_rows(start, stop)
        if int(rowids[0]) < span.first or int(rowids[-1]) > span.last:
            inside = (rowids >= span.first) & (rowids <= span.last)
            keep = inside if keep is None else keep & inside
        return keep

    def _collect(
        self,
        column_ids: Sequence[int],
        columns: dict[int, Column],
        rowids: IntArray,
        keep: BoolArray | None,
        start: int,
        stop: int,
    ) -> RowBatch | None:
        positions = None
        if keep is not None:
            positions = np.flatnonzero(keep)
            if not len(positions):
                return None
            if len(positions) == stop - start:
                positions = None
        wanted = []
        for column_id in column_ids:
            column = columns.get(column_id)
            if column is None:
                column = columns[column_id] = self.span(column_id, start, stop)
            wanted.append(column)
        batch = RowBatch(stop - start, tuple(wanted), rowids)
        return batch if positions is None else batch.take(positions)

    def _first_step(self, first_rowid: int, step: int) -> int:
        """The step that holds the first row with rowid >= first_rowid, by binary search."""
        at = first_rowid - self.group.first_rowid
        if at <= 0:
            return 0
        if self._is_dense and at < self.group.row_count and self._rowid(at) == first_rowid:
            return at // step
        low, high = 0, (self.group.row_count - 1) // step
        while low < high:
            middle = (low + high) // 2
            stop = min((middle + 1) * step, self.group.row_count)
            if int(self.rowids(stop - 1, stop)[0]) < first_rowid:
                low = middle + 1
            else:
                high = middle
        return low

    def take(self, column_id: int, positions: IntArray) -> Column:
        """The values of one column at ascending positions; decodes only their blocks."""
        return self._chunk(column_id).take(positions)

    def rowids_at(self, positions: IntArray) -> IntArray:
        """The rowids at ascending positions."""
        return rowid_values(self.take(self._rowid_column, positions), self.group)

    def value(self, column_id: int, row: int) -> SQLiteValue:
        """One value, as Python has it."""
        return self._chunk(column_id).value(row)

    def single(self, column_id: int) -> Callable[[int], SQLiteValue]:
        """Reads single values of a column."""
        return self._chunk(column_id).value

    def positions(self, rowids: IntArray) -> tuple[IntArray, IntArray]:
        """Where the live rows with these rowids are, (n,) int64, and which of `rowids` they have, (n,) int64.

        rowids  ascending, each once, at least one; only where a rowid cannot stand twice
        """
        group = self.group
        which = np.arange(len(rowids))[
            np.searchsorted(rowids, group.first_rowid) : np.searchsorted(rowids, group.last_rowid, "right")
        ]
        if not len(which):
            return which, which
        inside, rows = rowids[which], self._chunk(self._rowid_column).block_rows
        start = self._first_step(int(inside[0]), rows) * rows
        stop = min((self._first_step(int(inside[-1]), rows) + 1) * rows, group.row_count)
        own = self.rowids(start, stop)
        at = np.minimum(np.searchsorted(own, inside), len(own) - 1)
        hit = own[at] == inside
        at, which = at[hit] + start, which[hit]
        live = self._live_at(at)
        return at[live], which[live]

    def positions_between(self, first: int, last: int) -> IntArray:
        """Where the live rows with rowids from `first` to `last` are, (n,) int64; only where none stands twice."""
        group = self.group
        first, last = max(first, group.first_rowid), min(last, group.last_rowid)
        if first > last:
            return np.zeros(0, np.int64)
        rows = self._chunk(self._rowid_column).block_rows
        start = self._first_step(first, rows) * rows
        own = self.rowids(start, min((self._first_step(last, rows) + 1) * rows, group.row_count))
        at = np.arange(start + np.searchsorted(own, first), start + np.searchsorted(own, last, "right"))
        return at[self._live_at(at)]

    def _live_at(self, at: IntArray) -> BoolArray:
        """At which of some positions a live row is."""
        if self._bitmap is None:
            return np.ones(len(at), bool)
        check_bitmap(self._bitmap, self.group.row_count)
        live: BoolArray = np.frombuffer(self._bitmap, np.uint8)[at >> 3] >> (at & 7) & 1 == 0
        return live

    def position(self, rowid: int) -> int | None:
        """Where the live row with this rowid is."""
        if self._is_dense:
            at = rowid - self.group.first_rowid
            if not 0 <= at < self.group.row_count:
                return None
            if self._rowid(at) == rowid:
                return at if self.is_live(at) else None
        block_rows = self._chunk(self._rowid_column).block_rows
        start = self._first_step(rowid, block_rows) * block_rows
        rowids = self.rowids(start, min(start + block_rows, self.group.row_count))
        at = int(np.searchsorted(rowids, rowid))
        while at < len(rowids) and int(rowids[at]) == rowid:
            if self.is_live(start + at):
                return start + at
            at += 1
        return None


def rowid_values(column: Column, group: RowGroupInfo) -> IntArray:
    """The rowids of a row group as an array. Raises Corrupt where they cannot be."""
    if column.kind is not Kind.INTEGER or column.data.null_count:
        raise Corrupt(f"row group {group.group_id}: its rowids are not integers")
    rowids: IntArray = column.data.to_numpy()
    if len(rowids) > 1 and not (rowids[1:] >= rowids[:-1]).all():
        raise Corrupt(f"row group {group.group_id}: its rowids are not in ascending order")
    return rowids
