"""Filtering the rows of one row group, or of some rows of a row part, column by column, on any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa

from colonnade.store.chunk import ChunkReader
from colonnade.store.errors import Corrupt
from colonnade.store.narrowcolumn import NarrowColumn
from colonnade.store.pager import Blob, RowGroupInfo
from colonnade.store.scan import BoolArray, live_mask, rowid_values
from colonnade.store.values import Column, IntArray, RowBatch, concat_columns, integer_column

# Where fewer than 1 in so many rows have passed, the other columns are decoded at the rows that have.
_FEW = 8
# Where more of its blocks than this are decoded for some rows, all of a chunk is kept for the next scan.
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A test of rows.

    column_ids  what it reads; 0 is the rowid
    test        gets these columns, n values each, in this order, and gives the rows that pass, (n,) bool, or None
                for all. It is asked about rows that are gone too, and not about rows that an earlier filter ruled
                out. Runs on worker threads; what it raises reaches the reader of the scan as it is
    """

    column_ids: tuple[int, ...]
    test: Callable[[Sequence[Column]], BoolArray | None]


class Source(Protocol):
    """Columns of some rows, by id."""

    @property
    def row_count(self) -> int: ...
    def whole(self, column_id: int) -> Column: ...
    def at(self, column_id: int, positions: IntArray) -> Column: ...


class BatchSource:
    """Rows in memory; column id 0, and `rowid_column`, are their rowids."""

    def __init__(self, batch: RowBatch, column_ids: Sequence[int], rowid_column: int) -> None:
        assert batch.rowids is not None
        self.row_count = batch.row_count
        self._columns = dict(zip(column_ids, batch.columns, strict=True))
        self._columns[0] = self._columns[rowid_column] = integer_column(batch.rowids)

    def whole(self, column_id: int) -> Column:
        return self._columns[column_id]

    def at(self, column_id: int, positions: IntArray) -> Column:
        return self._columns[column_id].take(positions)


class GroupSource:
    """A row group, whose chunks are given as they are read. Column id 0 are the rowids, whichever column has them.

    blocks_decoded  so far
    opened          chunks that hold their blocks now, and did not when they were given, by column
    """

    def __init__(self, group: RowGroupInfo, rowid_column: int) -> None:
        self.group, self.row_count = group, group.row_count
        self._rowid_column = rowid_column
        self._chunks: dict[int, Blob | ChunkReader] = {}
        self.opened: dict[int, ChunkReader] = {}
        self.blocks_decoded = 0

    def give(self, chunks: Mapping[int, Blob | ChunkReader]) -> None:
        """Chunks by the id of their column in the file, as they are stored or opened already."""
        self._chunks.update(chunks)

    def whole(self, column_id: int) -> Column:
        reader = self._reader(column_id)
        self._hold(column_id, reader)
        self.blocks_decoded += reader.block_count
        return self._checked(column_id, reader.column())

    def at(self, column_id: int, positions: IntArray) -> Column:
        reader = self._reader(column_id)
        if not reader.holds and reader.share_of(positions) > _MOST:
            self._hold(column_id, reader)
            self.blocks_decoded += reader.block_count
        column, blocks = reader.gather(positions)
        self.blocks_decoded += blocks
        return self._checked(column_id, column)

    def narrowed(self, column_id: int) -> bool:
        """Whether a column is narrowed already."""
        return column_id != 0 and self._reader(column_id).narrowed is not None

    def _hold(self, column_id: int, reader: ChunkReader) -> None:
        if not reader.holds:
            reader.hold()
            self.opened[column_id or self._rowid_column] = reader

    def _checked(self, column_id: int, column: Column) -> Column:
        if column_id == 0:
            rowid_values(column, self.group)
        return column

    def _reader(self, column_id: int) -> ChunkReader:
        stored = column_id or self._rowid_column
        chunk = self._chunks[stored]
        if not isinstance(chunk, ChunkReader):
            chunk = self._chunks[stored] = ChunkReader(chunk)
            if chunk.rows != self.row_count:
                raise Corrupt(f"row group {self.group.group_id}: column {stored} has {chunk.rows} rows")
        return chunk


class GroupsSource:
    """Row groups that follow each other, whose chunks of a column are all of one form, as one source."""

    def __init__(self, sources: Sequence[GroupSource]) -> None:
        self._sources = sources
        self._bounds = [0]
        for source in sources:
            self._bounds.append(self._bounds[-1] + source.row_count)
        self.row_count = self._bounds[-1]

    def whole(self, column_id: int) -> Column:
        columns = [source.whole(column_id) for source in self._sources]
        parts = [part for column in columns if isinstance(column, NarrowColumn) for part in column.parts]
        return NarrowColumn(columns[0].kind, parts) if len(parts) == len(columns) else concat_columns(columns)

    def at(self, column_id: int, positions: IntArray) -> Column:
        if all(source.narrowed(column_id) for source in self._sources):
            column = self.whole(column_id)
            assert isinstance(column, NarrowColumn)
            return column.at(positions)
        cuts = np.searchsorted(positions, self._bounds).tolist()
        return concat_columns(
            [
                source.at(column_id, positions[start:stop] - first)
                for source, first, (start, stop) in zip(
                    self._sources, self._bounds, pairwise(cuts), strict=False
                )
            ]
        )


class Selection:
    """The rows of a source that are still in question.

    count  how many
    """

    def __init__(self, source: Source, bitmap: bytes | bytearray | None = None) -> None:
        self._source = source
        self._keep: BoolArray | None = live_mask(bitmap, source.row_count)  # None: all rows
        self._positions: IntArray | None = None  # once there are few
        self._whole: dict[int, Column] = {}
        self._few: dict[int, Column] = {}
        self.count = source.row_count
        self._counted()

    def filter(self, filters: Sequence[RowFilter]) -> None:
        """Keeps the rows that pass all filters."""
        for each in filters:
            if not self.count:
                return
            columns = [self._asked(column_id) for column_id in each.column_ids]
            mask = each.test(columns)
            if mask is not None:
                self._narrow(mask)

    def _asked(self, column_id: int) -> Column:
        """A column as a filter gets it: at the few rows that are left, else whole."""
        if self._positions is None:
            found = self._whole.get(column_id)
            if found is None:
                found = self._whole[column_id] = self._source.whole(column_id)
            return found
        found = self._few.get(column_id)
        if found is None:
            found = self._few[column_id] = self._taken(column_id, self._positions)
        return found

    def _taken(self, column_id: int, positions: IntArray) -> Column:
        whole = self._whole.get(column_id)
        if isinstance(whole, NarrowColumn):
            return whole.at(positions)
        return self._source.at(column_id, positions) if whole is None else whole.take(positions)

    def _narrow(self, mask: BoolArray) -> None:
        if self._positions is None:
            self._keep = mask if self._keep is None else self._keep & mask
            self._counted()
            return
        passed = np.flatnonzero(mask)
        if len(passed) == self.count:
            return
        self._positions, self.count = self._positions[passed], len(passed)
        self._few = {column_id: column.take(passed) for column_id, column in self._few.items()}

    def _counted(self) -> None:
        if self._keep is None:
            return
        self.count = int(np.count_nonzero(self._keep))
        if self.count == self._source.row_count:
            self._keep = None
        elif self.count * _FEW < self._source.row_count:
            self._positions = np.flatnonzero(self._keep)

    def batch(self, column_ids: Sequence[int], *, rowids: bool) -> RowBatch:
        """The rows that are left, with these columns, and their rowids if wanted."""
        columns = self._collect([*column_ids, 0] if rowids else column_ids)
        if not rowids:
            return RowBatch(self.count, tuple(columns))
        numbers: IntArray = columns[-1].data.to_numpy()
        return RowBatch(self.count, tuple(columns[:-1]), numbers)

    def _collect(self, column_ids: Sequence[int]) -> list[Column]:
        if self._positions is not None or self._keep is None:
            columns = [self._asked(column_id) for column_id in column_ids]
            return [Column(c.kind, c.data) if isinstance(c, NarrowColumn) else c for c in columns]
        mask, positions = pa.array(self._keep), np.flatnonzero(self._keep)
        kept = {}
        for column_id in dict.fromkeys(column_ids):
            whole = self._asked(column_id)
            if isinstance(whole, NarrowColumn):
                kept[column_id] = whole.at(positions)
            else:
                kept[column_id] = Column(whole.kind, whole.data.filter(mask))
        return [kept[column_id] for column_id in column_ids]
