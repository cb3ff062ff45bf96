"""A RowBatch as a table that SQLite can query: an eponymous virtual table, which leaves no trace in a schema.

One module is registered for each set of columns and connection, and holds a batch only while it is queried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakKeyDictionary

import apsw

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import TableDef, fold
from colonnade.sql.tokens import quote
from colonnade.store.values import RowBatch, SQLiteValue, to_python

_modules: WeakKeyDictionary[apsw.Connection, dict[str, _Module]] = WeakKeyDictionary()


@contextmanager
def batch_table(db: apsw.Connection, table: TableDef, batch: RowBatch) -> Iterator[tuple[str, str]]:
    """While it lasts, `batch` is a table of `db`: its name, and that of its column of row positions.

    Columns have the names, affinities and collations of `table`; the rowid is the batch's where it has
    rowids. Only columns that the query reads become Python values. For the thread of `db` alone.
    """
    names = {fold(column.name) for column in table.columns}
    position = "colonnade position"  # no column's name, nor a text in double quotes that a CHECK may hold
    while position in names:
        position += "_"
    columns = [
        f"{quote(column.name)} {'' if column.affinity is Affinity.BLOB else column.affinity.value}"
        f" COLLATE {quote(column.collation)}"
        for column in table.columns
    ]
    declaration = f"CREATE TABLE x({', '.join(columns)}, {quote(position)} INTEGER HIDDEN)"
    known = _modules.setdefault(db, {})
    module = known.get(declaration)
    if module is None:
        module = known[declaration] = _Module(f"colonnade_batch_{len(known)}", declaration)
        # apsw asks for no more than these methods of a module that has only its eponymous table.
        db.create_module(module.name, cast(Any, module), eponymous=True, eponymous_only=True, read_only=True)
    module.rows = _Rows(batch)
    try:
        yield module.name, position
    finally:
        module.rows = None


class _Rows:
    """The values of a batch, column by column."""

    def __init__(self, batch: RowBatch) -> None:
        self.count = batch.row_count
        self._batch = batch

    def column(self, number: int) -> list[SQLiteValue]:
        """The values of a column; of the rowid for -1, of the positions behind the last column."""
        if number < 0:
            rowids = self._batch.rowids
            return list(range(1, self.count + 1)) if rowids is None else rowids.tolist()
        if number == len(self._batch.columns):
            return list(range(self.count))
        return to_python(self._batch.columns[number])


class _Module:
    """apsw's interface of a virtual table module, of its table and of the cursor's factory in one."""

    def __init__(self, name: str, declaration: str) -> None:
        self.name = name
        self.declaration = declaration
        self.rows: _Rows | None = None

    def Connect(self, db: apsw.Connection, module: str, schema: str, table: str, *_: Any) -> Any:  # noqa: N802
        return self.declaration, self

    def BestIndex(self, constraints: Any, orders: Any) -> None:  # noqa: N802
        return None

    def Disconnect(self) -> None:  # noqa: N802
        pass

    def Open(self) -> _Cursor:  # noqa: N802
        if self.rows is None:
            raise apsw.SQLError(f"no such table: {self.name}")
        return _Cursor(self.rows)


class _Cursor:
    """apsw's interface of a virtual table's cursor."""

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows
        self.at = 0
        self.columns: dict[int, list[SQLiteValue]] = {}

    def Filter(self, number: int, name: str, arguments: Any) -> None:  # noqa: N802
        self.at = 0

    def Eof(self) -> bool:  # noqa: N802
        return self.at >= self.rows.count

    def Next(self) -> None:  # noqa: N802
        self.at += 1

    def Column(self, number: int) -> SQLiteValue:  # noqa: N802
        try:
            return self.columns[number][self.at]
        except KeyError:
            self.columns[number] = self.rows.column(number)
            return self.columns[number][self.at]

    def Rowid(self) -> Any:  # noqa: N802
        return self.Column(-1)

    def Close(self) -> None:  # noqa: N802
        pass
