"""Rows of one table in bulk: checked for themselves, encoded in any thread, put as row groups.

`Appender.prepare` is pure and runs in worker threads: NOT NULL, STRICT types and CHECK, rowid order,
chunk encoding and key zones. `Appender.put` runs on the connection's thread: it assigns rowids and
writes. What a row owes to other rows (uniqueness, foreign keys) is not looked at here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from colonnade.sql.objects import TableDef
from colonnade.store.errors import IntegrityError, OperationalError, as_sqlite
from colonnade.store.format import ROWID_COLUMN
from colonnade.store.keycode import KeySpec
from colonnade.store.keyindex import KeyZone, key_zone
from colonnade.store.rowgroup import EncodedRowGroup, encode_row_group, number
from colonnade.store.table import ColumnTable
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    IntArray,
    Kind,
    RowBatch,
    from_python,
    integer_column,
    to_python,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row group ready to be put.

    order       (n,) int64: order[k] is the position in the input batch of the group's row k; None: unchanged
    last_rowid  of the last row of the input batch; without an INTEGER PRIMARY KEY its position
    by          whose columns and keys it was prepared for
    """

    group: EncodedRowGroup
    keys: dict[str, KeyZone]
    order: IntArray | None
    last_rowid: int
    by: Appender


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
            batch = self._narrowed(batch)
            rowids = self.rowids(batch)
            if batch.row_count > 1 and not (rowids[1:] >= rowids[:-1]).all():
                order = np.argsort(rowids, kind="stable")
                batch, rowids = batch.take(order), rowids[order]
        last_rowid = int(rowids[-1]) if order is None else int(rowids[np.argmax(order)])
        batch = replace(batch, rowids=rowids)
        with self.table.store.spans("encode", table=self.table.name, rows=batch.row_count) as span:
            numbered = self.alias_position is not None
            group = encode_row_group(batch, self.column_ids, self.table.rowid_column, numbered=numbered)
            zones = self.key_zones(batch)
            span.note(bytes=group.byte_count)
        return Prepared(group, zones, order, last_rowid, self)

    def has_rowids(self, batch: RowBatch) -> bool:
        """Whether nothing is amiss with the INTEGER PRIMARY KEY; rows may not be checked yet."""
        if self.alias_position is None:
            return True
        column = batch.columns[self.alias_position]
        return column.kind is Kind.INTEGER and not column.null_count

    def needs_rowids(self, batch: RowBatch) -> bool:
        """Whether the INTEGER PRIMARY KEY has NULLs, for which SQLite chooses rowids in row order."""
        return self.alias_position is not None and batch.columns[self.alias_position].null_count > 0

    def fill_rowids(self, batch: RowBatch) -> RowBatch:
        """`batch` with the NULLs of its INTEGER PRIMARY KEY replaced. On the connection's thread, in order."""
        assert self.alias_position is not None
        batch = self._narrowed(batch)
        column = batch.columns[self.alias_position]
        nulls = column.data.is_null().to_numpy(zero_copy_only=False)
        filled = column.data.fill_null(0) if column.kind is not Kind.NULL else None
        none = np.zeros(batch.row_count, np.int64)
        values = none if filled is None else alias_rowids(Column(column.kind, filled))
        largest: int | None = self.reserve(0) - 1
        if largest == 0 and not self.table.row_count():
            largest = None
        rowids = fill_rowids(values, nulls, largest, self._random_rowid)
        self.saw_rowid(int(rowids.max()))
        columns = list(batch.columns)
        columns[self.alias_position] = integer_column(rowids)
        return replace(batch, columns=tuple(columns))

    def rowids(self, batch: RowBatch) -> IntArray:
        """The INTEGER PRIMARY KEY of rows that have it in full."""
        assert self.alias_position is not None
        return alias_rowids(self._narrowed(batch).columns[self.alias_position])

    def _narrowed(self, batch: RowBatch) -> RowBatch:
        """`batch`, its INTEGER PRIMARY KEY as integers if rows that had something else in it were taken out."""
        assert self.alias_position is not None
        columns = list(batch.columns)
        if columns[self.alias_position].kind not in (Kind.INTEGER, Kind.NULL):
            columns[self.alias_position] = from_python(to_python(columns[self.alias_position]))
        return replace(batch, columns=tuple(columns))

    def key_zones(self, batch: RowBatch) -> dict[str, KeyZone]:
        columns = dict(zip(self.column_ids, batch.columns, strict=True))
        return {
            spec.signature: key_zone([columns[column_id] for column_id in spec.column_ids], spec)
            for spec in self.specs
        }

    def put(self, prepared: Prepared, *, checked: bool = False) -> tuple[int, int]:
        """Write the row group; returns its id and the rowid of the last row of the input batch.

        On the connection's thread.
        checked  whether its keys are known to hold; else it owes a validation
        """
        group, last_rowid = prepared.group, prepared.last_rowid
        if self.alias_position is None:
            group = number(group, self.reserve(group.row_count))
            last_rowid = group.last_rowid
        else:
            self.saw_rowid(group.last_rowid)
        self.table.row_part.keep_sequence(max(group.last_rowid, 0))
        return self.table.put(group, prepared.keys, checked=checked), last_rowid

    def reserve(self, count: int) -> int:
        """The first of `count` consecutive new rowids; 2**63 for none where the largest there can be is taken.

        SQLite then draws rowids at random, and so does this; should one be taken, validation finds it.
        AUTOINCREMENT says "database or disk is full".
        """
        if self.next_rowid is None:
            self.next_rowid = self.table.next_rowid()
        first = self.next_rowid
        if first + count - 1 > INT64_MAX:
            return self._random_rowid()
        self.next_rowid = first + count
        return first

    def _random_rowid(self) -> int:
        if self.definition.autoincrement:
            raise as_sqlite(OperationalError("database or disk is full"), "SQLITE_FULL")
        return int.from_bytes(os.urandom(8), "little") % (INT64_MAX // 2) + 1

    def saw_rowid(self, rowid: int) -> None:
        """Keep `next_rowid` above a rowid that the rows brought themselves."""
        if self.next_rowid is not None and rowid >= self.next_rowid:
            self.next_rowid = rowid + 1
        elif self.next_rowid == 1 and rowid < 0:
            self.next_rowid = None  # of a table that was empty: it is not 1 any more


def fill_rowids(
    values: IntArray, nulls: npt.NDArray[np.bool_], largest: int | None, at_random: Callable[[], int]
) -> IntArray:
    """The rowids of rows inserted one after another, where a NULL takes the largest rowid so far plus one.

    values     (n,) int64, any value where `nulls` is set
    largest    the largest rowid in the table before these rows; None if it has none, which counts as 0
               unless the first rows bring negative ones
    at_random  for NULLs once there is no larger rowid
    Source     sqlite.org/autoinc.html: "one more than the largest ROWID in the table".
    The largest so far obeys M[i] = max(M[i-1] + nulls[i], values[i]), so M - cumsum(nulls) is a running
    maximum.
    """
    given = values[~nulls]
    top = max(largest or 0, int(given.max(initial=0)))
    if top > INT64_MAX - len(values) or (largest is None and given.min(initial=0) < 0):
        return _fill_one_by_one(values, nulls, largest, at_random)
    largest = largest or 0
    taken = np.cumsum(nulls)
    floor = np.where(nulls, np.int64(INT64_MIN // 2), np.maximum(values, INT64_MIN // 2)) - taken
    so_far = np.maximum(np.maximum.accumulate(floor), largest) + taken
    result: IntArray = np.where(nulls, so_far, values)
    return result


def _fill_one_by_one(
    values: IntArray, nulls: npt.NDArray[np.bool_], largest: int | None, at_random: Callable[[], int]
) -> IntArray:
    """fill_rowids where the numbers run out, or begin below 0."""
    rowids = values.copy()
    for row in range(len(values)):
        if nulls[row]:
            following = 1 if largest is None else largest + 1
            rowids[row] = following if following <= INT64_MAX else at_random()
        largest = int(rowids[row]) if largest is None else max(largest, int(rowids[row]))
    return rowids


def alias_rowids(column: Column) -> IntArray:
    """The rowids in an INTEGER PRIMARY KEY column; IntegrityError where one is no integer."""
    if column.kind is not Kind.INTEGER or column.data.null_count:
        raise IntegrityError("datatype mismatch")
    rowids: IntArray = column.data.to_numpy()
    return rowids
