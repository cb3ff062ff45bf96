"""Columns that ALTER TABLE added when there were row groups: these have no chunk of them, but one value.

What a row group would have is made when it is asked for, so that readers need not know: a chunk of one value over
and over again, in the form in which chunks are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from colonnade.store.catalog import StoredColumn
from colonnade.store.chunk import EncodedChunk, encode_chunk
from colonnade.store.pager import RowGroupInfo
from colonnade.store.values import from_python
from colonnade.store.zonemap import ZoneMap

LONGEST_DEFAULT = 256  # bytes of TEXT or BLOB; the values of a chunk are all in memory when it is encoded
_KEPT = 64  # chunks of one value: some hundred bytes each, and row groups of one size share them


class AddedColumns:
    """Those of one table."""

    def __init__(self, columns: Iterable[StoredColumn]) -> None:
        self._columns = {column.column_id: column for column in columns if column.first_group}
        self._chunks: dict[tuple[int, int], EncodedChunk] = {}

    def missing(self, group_id: int) -> list[int]:
        """The ids of the columns of which a row group has no chunk."""
        return [i for i, column in self._columns.items() if group_id < column.first_group]

    def chunk(self, group: RowGroupInfo, column_id: int) -> EncodedChunk | None:
        """What the row group would have; None if it has a chunk of its own."""
        column = self._columns.get(column_id)
        if column is None or group.group_id >= column.first_group:
            return None
        key = column_id, group.row_count
        found = self._chunks.get(key)
        if found is None:
            if len(self._chunks) >= _KEPT:
                self._chunks.clear()
            values = from_python([column.default]).take(np.zeros(group.row_count, np.int64))
            found = self._chunks[key] = encode_chunk(values)
        return found

    def zones(self, groups: Iterable[RowGroupInfo], column_id: int) -> Mapping[int, ZoneMap]:
        """The zone maps of the column in the row groups without a chunk of it."""
        if column_id not in self._columns:
            return {}
        chunks = ((group.group_id, self.chunk(group, column_id)) for group in groups)
        return {group_id: chunk.zone for group_id, chunk in chunks if chunk is not None}
