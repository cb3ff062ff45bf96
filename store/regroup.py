"""Row groups again, with other values in some columns: new chunks for these, the other chunks copied by SQLite.

A row group is never changed where it is, as decoded chunks are remembered by its id. New chunks are stored under
an id that no record names yet, so a scan of the same statement goes on seeing what it began with; `finish` makes
all of them visible at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from colonnade.store import format as disk
from colonnade.store.catalog import read_meta, write_meta
from colonnade.store.chunk import encode_chunk
from colonnade.store.errors import Corrupt
from colonnade.store.pager import RowGroupInfo
from colonnade.store.switches import unnoticed
from colonnade.store.values import Column

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable


class Regrouping:
    """New values for columns of some row groups of one table, inside a transaction of the caller's."""

    def __init__(self, table: ColumnTable) -> None:
        self._table = table
        self._staged: list[tuple[RowGroupInfo, int, tuple[int, ...]]] = []

    def stage(self, group: RowGroupInfo, columns: Mapping[int, Column]) -> None:
        """Stores chunks for a row group, one value for each of its rows, tombstoned ones included.

        columns  by column id; no column of a key, whose zones would not hold any more
        """
        store, names = self._table.store, self._table.names
        recorded = read_meta(store.db, names, "next_group")
        if not isinstance(recorded, int) or recorded < 1:
            raise Corrupt(f"table {names.name} has no next row group id")
        group_id = store.group_ids.take(names.key, recorded)
        with unnoticed(store.db):
            write_meta(store.db, names, "next_group", group_id + 1)
            with store.spans("encode", table=names.name, rows=group.row_count):
                chunks = {column_id: encode_chunk(column) for column_id, column in columns.items()}
            for column_id in self._table.added.missing(group.group_id):
                added = self._table.added.chunk(group, column_id)
                if added is not None:
                    chunks.setdefault(column_id, added)
            for column_id, chunk in chunks.items():
                store.pager.write_chunk(names, disk.chunk_id(group_id, column_id), chunk)
        self._staged.append((group, group_id, tuple(chunks)))

    def finish(self) -> None:
        """Puts the staged row groups in the places of the old ones."""
        store, names = self._table.store, self._table.names
        if not self._staged:
            return
        with unnoticed(store.db):
            for group, group_id, replaced in self._staged:
                store.pager.copy_group(names, group.group_id, group_id, replaced)
                store.pager.free_group(names, group.group_id)
            self._table.changed()
