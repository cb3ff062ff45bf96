"""Cursors of the virtual table: rows one by one out of batches, and look-ups by rowid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from colonnade.store.plan import Plan
from colonnade.store.prune import Op, integer_bound, numeric_text
from colonnade.store.values import RowBatch, SQLiteValue, to_python

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable

Values = list[SQLiteValue]
_NOTHING: Values = []


class TableCursor:
    """One pass over a table, or one row of it.

    The current batch is a list of Python values per wanted column; Column and Next only index and count.
    """

    __slots__ = ("_alias", "_at", "_batches", "_columns", "_count", "_open", "_rowids", "_table", "_wanted")

    def __init__(self, table: ColumnTable) -> None:
        self._table = table
        self._open = False
        self._stop()

    def _stop(self) -> None:
        if self._open:
            self._table.open_scans -= 1
        self._open = False
        self._at = self._count = 0
        self._rowids: Values = _NOTHING
        self._alias: int | None = None
        self._columns: list[Values] = []
        self._batches: Iterator[RowBatch] = iter(())
        self._wanted: tuple[int, ...] = ()

    def Filter(self, number: int, text: str | None, arguments: tuple[SQLiteValue, ...]) -> None:  # noqa: N802
        self._stop()
        plan = Plan.decode(text)
        self._wanted = plan.positions
        self._columns = [_NOTHING] * len(self._table.columns)
        self._alias = self._table.alias_position
        ids = [self._table.column_ids[position] for position in plan.positions]
        if plan.rowid_at is not None:
            self._look_up(arguments[plan.rowid_at], ids)
            return
        self._batches = plan.scan(self._table, ids, arguments)
        self._table.open_scans += 1
        self._open = True
        self._advance()

    def _look_up(self, rowid: SQLiteValue, ids: Sequence[int]) -> None:
        # A rowid has INTEGER affinity: TEXT that looks like a number is compared as one.
        number = numeric_text(rowid) if isinstance(rowid, str) else rowid
        if not isinstance(number, int | float):
            return
        bounds = integer_bound(Op.EQ, number)
        row = None if bounds is None else self._table.row(bounds[0], ids)
        if row is not None:
            self._rowids, self._count = [row[0]], 1
            if self._alias is not None:
                self._columns[self._alias] = self._rowids
            for position, value in zip(self._wanted, row[1:], strict=True):
                self._columns[position] = [value]

    def _advance(self) -> None:
        self._at = 0
        batch = next(self._batches, None)
        if batch is None:
            self._stop()
            return
        assert batch.rowids is not None
        self._count = batch.row_count
        self._rowids = batch.rowids.tolist()
        if self._alias is not None:
            self._columns[self._alias] = self._rowids
        for position, column in zip(self._wanted, batch.columns, strict=True):
            self._columns[position] = to_python(column)

    def Eof(self) -> bool:  # noqa: N802
        return self._at >= self._count

    def Next(self) -> None:  # noqa: N802
        self._at += 1
        if self._at >= self._count and self._open:
            self._advance()

    def Column(self, position: int) -> SQLiteValue:  # noqa: N802
        if position < 0:
            return self._rowids[self._at]
        return self._columns[position][self._at]

    def Rowid(self) -> SQLiteValue:  # noqa: N802
        return self._rowids[self._at]

    def Close(self) -> None:  # noqa: N802
        self._stop()
