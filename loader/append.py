"""Rows of one table in bulk: checked for themselves, encoded in any thread, put as row groups.

`Appender.prepare` is pure and runs in worker threads: NOT NULL, STRICT types and CHECK, rowid order,
chunk encoding and key zones. `Appender.put` runs on the connection's thread: it assigns rowids and
writes. What a row owes to other rows (uniqueness, foreign keys) is not looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from colonnade.sql.objects import TableDef
from colonnade.store.chunk import encode_chunk
from colonnade.store.database import Store
from colonnade.store.errors import IntegrityError, OperationalError
from colonnade.store.format import ROWID_COLUMN
from colonnade.store.keycode import KeySpec
from colonnade.store.keyindex import KeyZone, key_zone
from colonnade.store.rowgroup import EncodedRowGroup, encode_row_group
from colonnade.store.table import ColumnTable
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    IntArray,
    Kind,
    RowBatch,
    integer_column,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row group ready to be put.

    order  (n,) int64: order[k] is the position in the input batch of the group's row k; None: unchanged
    """

    group: EncodedRowGroup
    keys: dict[str, KeyZone]
    order: IntArray | None


class Appender:
    """Appends to one table in column format; alive for one load or one bulk statement of it."""

    def __init__(self, table: ColumnTable, definition: TableDef) -> None:
        self.table = table
        self.definition = definition
        self.column_ids = [column.column_id for column in table.columns]
        self.specs: Sequence[KeySpec] = table.key_specs()
        self.next_rowid: int | None = None
        alias = table.rowid_column
        self.alias_position = self.column_ids.index(alias) if alias != ROWID_COLUMN else None

    def prepare(self, batch: RowBatch) -> Prepared:
        """Encode `batch` (all columns of the table, affinity applied, rows already checked).

        Rows of a table with an INTEGER PRIMARY KEY are put in its order. Without one, rowids count from 0
        until `put` moves them. A NULL in the INTEGER PRIMARY KEY must have been replaced before.
        Raises IntegrityError "datatype mismatch" for an INTEGER PRIMARY KEY that is no integer.
        """
        order = None
        if self.alias_position is None:
            rowids = np.arange(batch.row_count, dtype=np.int64)
        else:
            rowids = alias_rowids(batch.columns[self.alias_position])
            if batch.row_count > 1 and not (rowids[1:] >= rowids[:-1]).all():
                order = np.argsort(rowids, kind="stable")
                batch, rowids = batch.take(order), rowids[order]
        batch = replace(batch, rowids=rowids)
        group = encode_row_group(batch, self.column_ids, self.table.rowid_column)
        return Prepared(group, self.key_zones(batch), order)

    def needs_rowids(self, batch: RowBatch) -> bool:
        """Whether the INTEGER PRIMARY KEY has NULLs, for which SQLite chooses rowids in row order."""
        return self.alias_position is not None and batch.columns[self.alias_position].null_count > 0

    def fill_rowids(self, batch: RowBatch) -> RowBatch:
        """`batch` with the NULLs of its INTEGER PRIMARY KEY replaced. On the connection's thread, in order."""
        assert self.alias_position is not None
        column = batch.columns[self.alias_position]
        nulls = column.data.is_null().to_numpy(zero_copy_only=False)
        filled = column.data.fill_null(0) if column.kind is not Kind.NULL else None
        none = np.zeros(batch.row_count, np.int64)
        values = none if filled is None else alias_rowids(Column(column.kind, filled))
        rowids = fill_rowids(values, nulls, self.reserve(0) - 1)
        self.saw_rowid(int(rowids.max()))
        columns = list(batch.columns)
        columns[self.alias_position] = integer_column(rowids)
        return replace(batch, columns=tuple(columns))

    def key_zones(self, batch: RowBatch) -> dict[str, KeyZone]:
        columns = dict(zip(self.column_ids, batch.columns, strict=True))
        return {
            spec.signature: key_zone([columns[column_id] for column_id in spec.column_ids], spec)
            for spec in self.specs
        }

    def put(self, prepared: Prepared) -> int:
        """Write the row group, unchecked; returns its id. On the connection's thread."""
        group = prepared.group
        if self.alias_position is None:
            first = self.reserve(group.row_count)
            rowids = np.arange(first, first + group.row_count, dtype=np.int64)
            chunks = {**group.chunks, ROWID_COLUMN: encode_chunk(integer_column(rowids))}
            group = replace(group, first_rowid=first, last_rowid=first + group.row_count - 1, chunks=chunks)
        else:
            self.saw_rowid(group.last_rowid)
        return self.table.put(group, prepared.keys, checked=False)

    def reserve(self, count: int) -> int:
        """The first of `count` consecutive new rowids."""
        if self.next_rowid is None:
            self.next_rowid = self.table.next_rowid()
        first = self.next_rowid
        if first > INT64_MAX - count:
            raise OperationalError("database or disk is full")
        self.next_rowid = first + count
        return first

    def saw_rowid(self, rowid: int) -> None:
        """Keep `next_rowid` above a rowid that the rows brought themselves."""
        if self.next_rowid is not None and rowid >= self.next_rowid:
            self.next_rowid = min(rowid + 1, INT64_MAX)


def fill_rowids(values: IntArray, nulls: npt.NDArray[np.bool_], largest: int) -> IntArray:
    """The rowids of rows inserted one after another, where a NULL takes the largest rowid so far plus one.

    values   (n,) int64, any value where `nulls` is set
    largest  the largest rowid in the table before these rows
    Source   sqlite.org/autoinc.html: "one more than the largest ROWID in the table".
    The largest so far obeys M[i] = max(M[i-1] + nulls[i], values[i]), so M - cumsum(nulls) is a running
    maximum.
    """
    taken = np.cumsum(nulls)
    floor = np.where(nulls, np.int64(INT64_MIN // 2), np.maximum(values, INT64_MIN // 2)) - taken
    so_far = np.maximum(np.maximum.accumulate(floor), largest) + taken
    result: IntArray = np.where(nulls, so_far, values)
    return result


def alias_rowids(column: Column) -> IntArray:
    """The rowids in an INTEGER PRIMARY KEY column; IntegrityError where one is no integer."""
    if column.kind is not Kind.INTEGER or column.data.null_count:
        raise IntegrityError("datatype mismatch")
    rowids: IntArray = column.data.to_numpy()
    return rowids


def ensure_column_format(store: Store, definition: TableDef) -> ColumnTable:
    """The table in column format, converted if need be."""
    table = store.table(definition.name, definition.schema)
    if table is None:
        table = store.convert(definition.name, definition.schema)
    return table
