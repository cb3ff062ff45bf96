"""Row groups: a batch of rows as column chunks, ready to be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from colonnade.store.chunk import EncodedChunk, encode_chunk, encode_count
from colonnade.store.format import ROWID_COLUMN
from colonnade.store.values import RowBatch, integer_column


@dataclass(frozen=True, slots=True)
class EncodedRowGroup:
    """The chunks of a row group by column id, with the bounds of its rowids."""

    row_count: int
    first_rowid: int
    last_rowid: int
    chunks: dict[int, EncodedChunk]

    @property
    def byte_count(self) -> int:
        return sum(len(chunk.data) for chunk in self.chunks.values())


def encode_row_group(
    batch: RowBatch, column_ids: Sequence[int], rowid_column: int, *, numbered: bool = True
) -> EncodedRowGroup:
    """Encodes the rows of `batch`; pure, any thread may run it.

    batch         its rowids are set and ascending, ties allowed
    column_ids    the id of each column of the batch
    rowid_column  ROWID_COLUMN, or the id of the INTEGER PRIMARY KEY column, which equals the rowids
    numbered      False: without the chunk of rowids that have no column of their own; see `number`
    Raises        ValueError for a batch without rows or rowids, or with as many ids as it has not columns
    """
    if batch.rowids is None or not batch.row_count:
        raise ValueError("a row group needs rows, and their rowids")
    columns = dict(zip(column_ids, batch.columns, strict=True))
    if rowid_column == ROWID_COLUMN and numbered:
        columns[ROWID_COLUMN] = integer_column(batch.rowids)
    chunks = {column_id: encode_chunk(column) for column_id, column in columns.items()}
    return EncodedRowGroup(batch.row_count, int(batch.rowids[0]), int(batch.rowids[-1]), chunks)


def number(group: EncodedRowGroup, first: int) -> EncodedRowGroup:
    """The row group with consecutive rowids from `first` on."""
    chunks = {**group.chunks, ROWID_COLUMN: encode_count(first, group.row_count)}
    return EncodedRowGroup(group.row_count, first, first + group.row_count - 1, chunks)
