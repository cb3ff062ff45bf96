"""Table-valued functions of a connection whose rows Python code makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from colonnade.sql.tokens import quote

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A table-valued function: its columns, its arguments as hidden columns, and what reads its rows.

    `read(db, *arguments)` gives the rowid in front of the columns; arguments not given are None.
    """

    columns: tuple[str, ...]
    arguments: tuple[str, ...]
    read: Callable[..., Iterator[Row]]


def register(db: apsw.Connection, functions: Mapping[str, Function]) -> None:
    """Makes functions known to a connection by name. To be called once for each."""
    for name, function in functions.items():
        module: Any = _Module(function)  # apsw's protocol asks for methods that SQLite does not
        db.create_module(
            name,
            module,
            use_bestindex_object=True,
            eponymous=True,
            eponymous_only=True,
            read_only=True,
        )


class _Module:
    """The virtual table module of one function."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def Connect(self, db: apsw.Connection, *_: str) -> tuple[str, _Table]:  # noqa: N802 - apsw's names
        visible = [quote(name) for name in self.function.columns]
        hidden = [quote(name) + " HIDDEN" for name in self.function.arguments]
        return f"CREATE TABLE x({', '.join(visible + hidden)})", _Table(db, self.function)


class _Table:
    def __init__(self, db: apsw.Connection, function: Function) -> None:
        self.db, self.function = db, function

    def BestIndexObject(self, info: apsw.IndexInfo) -> bool:  # noqa: N802
        """Takes every argument; idxStr says which ones, in their order. Without them it would read on."""
        first, taken = len(self.function.columns), ""
        for number in range(info.nConstraint):
            column = info.get_aConstraint_iColumn(number)
            if column < first or info.get_aConstraint_op(number) != apsw.SQLITE_INDEX_CONSTRAINT_EQ:
                continue
            if not info.get_aConstraint_usable(number):
                return False
            if str(column - first) not in taken:
                taken += str(column - first)
                info.set_aConstraintUsage_argvIndex(number, len(taken))
                info.set_aConstraintUsage_omit(number, True)
        info.idxStr = taken
        info.estimatedCost, info.estimatedRows = (10.0, 10) if taken else (10_000.0, 1_000)
        return True

    def Open(self) -> _Cursor:  # noqa: N802
        return _Cursor(self)

    def Disconnect(self) -> None:  # noqa: N802
        pass

    Destroy = Disconnect


class _Cursor:
    def __init__(self, table: _Table) -> None:
        self.table = table
        self.given: list[object] = []
        self.rows: Iterator[Row] = iter(())
        self.row: Row | None = None

    def Filter(self, _number: int, taken: str | None, values: Row) -> None:  # noqa: N802
        self.given = [None] * len(self.table.function.arguments)
        for place, value in zip(taken or "", values, strict=True):
            self.given[int(place)] = value
        self.rows = iter(self.table.function.read(self.table.db, *self.given))
        self.Next()

    def Next(self) -> None:  # noqa: N802
        self.row = next(self.rows, None)

    def Eof(self) -> bool:  # noqa: N802
        return self.row is None

    def Rowid(self) -> int:  # noqa: N802
        return int(self.row[0]) if self.row else 0

    def Column(self, number: int) -> Any:  # noqa: N802
        width = len(self.table.function.columns)
        if number >= width:
            return self.given[number - width]
        return self.row[number + 1] if self.row else None

    def Close(self) -> None:  # noqa: N802
        pass
