"""Cursors of the virtual table: rows one by one out of batches, and look-ups by rowid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from colonnade.store import reads
from colonnade.store.plan import Plan
from colonnade.store.prune import Op, integer_bound, numeric_text
from colonnade.store.values import RowBatch, SQLiteValue, to_python

if TYPE_CHECKING:
    from colonnade.store.state import TableState
    from colonnade.store.table import ColumnTable

Values = Sequence[SQLiteValue]
_NOTHING: Values = ()
_NO_BATCHES: Iterator[RowBatch] = iter(())
_FIRST_ROWS, _GROWTH, _MOST_ROWS = 64, 4, 4096  # rows turned into Python objects at a time


class TableCursor:
    """One pass over a table, or one row of it.

    The current batch is a list of Python values per wanted column; Column and Next only index and count.
    """

    __slots__ = (
        "_alias",
        "_at",
        "_batches",
        "_columns",
        "_count",
        "_done",
        "_open",
        "_rest",
        "_table",
        "_wanted",
    )

    def __init__(self, table: ColumnTable) -> None:
        self._table = table
        self._alias = table.alias_position
        self._open, self._done = False, True
        self._at = self._count = 0
        self._columns: list[Values] = []
        self._batches: Iterator[RowBatch] = _NO_BATCHES
        self._rest: RowBatch | None = None
        self._wanted: tuple[int, ...] = ()

    def _stop(self) -> None:
        self._done = True
        if self._open:
            self._open = False
            self._table.open_scans -= 1
            self._batches, self._rest = _NO_BATCHES, None
        self._columns = []

    def Filter(self, number: int, text: str | None, arguments: tuple[SQLiteValue, ...]) -> None:  # noqa: N802
        if self._open:
            self._stop()
        self._done = True
        plan = Plan.decode(text)
        self._wanted = plan.positions
        # One more list for the rowids: SQLite's column number for them, -1, is then an index like the others.
        self._columns = [_NOTHING] * (len(self._table.columns) + 1)
        known = self._table.column_ids
        ids = [known[position] for position in plan.positions]
        if plan.rowid_at is not None:
            state = self._table.state()
            if not state.unchecked:
                self._look_up(state, arguments[plan.rowid_at], ids)
                return
            plan = plan.without_look_up()  # rows that are not validated may share a rowid
        self._begin(plan.scan(self._table, ids, arguments))

    def _look_up(self, state: TableState, rowid: SQLiteValue, ids: Sequence[int]) -> None:
        if not isinstance(rowid, int):
            # A rowid has INTEGER affinity: TEXT that looks like a number is compared as one.
            number = numeric_text(rowid) if isinstance(rowid, str) else rowid
            bounds = integer_bound(Op.EQ, number) if isinstance(number, int | float) else None
            if bounds is None:
                return
            rowid = bounds[0]
        row = reads.row(self._table, state, rowid, ids)
        if row is None:
            return
        self._at, self._count, self._done = 0, 1, False
        columns, rowids = self._columns, (rowid,)
        columns[-1] = rowids
        if self._alias is not None:
            columns[self._alias] = rowids
        for position, value in zip(self._wanted, row, strict=True):
            columns[position] = (value,)

    def _begin(self, batches: Iterator[RowBatch]) -> None:
        self._batches, self._count = batches, 0
        self._table.open_scans += 1
        self._open = True
        self._advance()

    def _show(self, rowids: Values, columns: Iterable[Values]) -> None:
        """Stands before the first of some rows."""
        self._at, self._count, self._done = 0, len(rowids), False
        self._columns[-1] = rowids
        if self._alias is not None:
            self._columns[self._alias] = rowids
        for position, values in zip(self._wanted, columns, strict=True):
            self._columns[position] = values

    def _advance(self) -> None:
        """Goes on with the next rows: few at first, for LIMIT and EXISTS, then more at a time."""
        batch = self._rest or next(self._batches, None)
        if batch is None:
            self._stop()
            return
        count = min(max(self._count * _GROWTH, _FIRST_ROWS), _MOST_ROWS)
        if batch.row_count > count:
            self._rest = batch.slice(count, batch.row_count - count)
            batch = batch.slice(0, count)
        else:
            self._rest = None
        assert batch.rowids is not None
        self._show(batch.rowids.tolist(), map(to_python, batch.columns))

    def Eof(self) -> bool:  # noqa: N802
        return self._done

    def Next(self) -> None:  # noqa: N802
        self._at = at = self._at + 1
        if at == self._count:
            if self._open:
                self._advance()
            else:
                self._done = True

    def Column(self, position: int) -> SQLiteValue:  # noqa: N802
        return self._columns[position][self._at]

    def Rowid(self) -> SQLiteValue:  # noqa: N802
        return self._columns[-1][self._at]

    def Close(self) -> None:  # noqa: N802
        if self._open:
            self._stop()
