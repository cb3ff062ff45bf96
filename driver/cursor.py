"""Cursor: PEP 249's cursor with sqlite3's rules, over one apsw cursor.

A statement that has nothing to do with the column store goes to apsw at once. Every other one goes through
the connection's Session, which hands back a Result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from operator import index
from threading import get_ident
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.errors import CLOSED_CURSOR, translate, undecodable
from colonnade.parameters import bindable, bindable_rows
from colonnade.plan import Description, Plan, describe
from colonnade.store.errors import ProgrammingError
from colonnade.types import READY

if TYPE_CHECKING:
    from colonnade.connection import Connection

RowFactory = Callable[["Cursor", tuple[Any, ...]], Any]

_NO_ROW: Any = object()


class Cursor:
    """Executes statements and fetches their rows.

    description  one 7-tuple a column, the name first; None if the last statement had no rows to give
    rowcount     rows changed by the last INSERT, UPDATE, DELETE or REPLACE (executemany: their sum); else -1
    lastrowid    the connection's last inserted rowid as of the last `execute`; None before
    arraysize    how many rows `fetchmany` gives if not told
    row_factory  called with cursor and tuple for each row; None: the tuple is the row
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_closed",
        "_counting",
        "_cursor",
        "_rows",
        "arraysize",
        "connection",
        "description",
        "lastrowid",
        "row_factory",
        "rowcount",
    )

    def __init__(self, connection: Connection, /) -> None:
        self.connection = connection
        try:
            self._cursor = connection._db.cursor()
        except apsw.Error as error:
            raise translate(error) from None
        self._rows: Iterator[Any] | None = None  # what is still to fetch; never None while _ahead is a row
        self._ahead: Any = None  # a row read before it was asked for: SQLite is done with the last row then
        self._counting = False  # a RETURNING statement sets rowcount when its last row was read
        self._closed = False
        self.arraysize = 1
        self.description: Description | None = None
        self.lastrowid: int | None = None
        self.row_factory: RowFactory | None = None
        self.rowcount = -1

    # Statements

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Run one statement."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.execute, sql, parameters)
        self._rows = self._ahead = self.description = None
        self.rowcount = -1
        db = connection._db
        began = False
        try:
            plan = connection._plans.get(sql) or connection._plan(sql)
            if type(parameters) not in READY:
                parameters = bindable(parameters)
            if plan.dml and (not db.in_transaction or connection._unverified):
                began = connection._begin_writing()
            if not (plan.native and connection._plain):
                connection._session.execute(self, plan, parameters)
            elif plan.returns:
                self._run_query(plan, parameters)
            else:  # _run_native, written out
                self._cursor.execute(sql, parameters)
                self.lastrowid = db.last_insert_rowid()
                if plan.dml:
                    self.rowcount = db.changes()
        except apsw.SchemaChangeError:
            self._run_anew(plan, parameters)
        except Exception as error:
            raise self._failed(error, sql if began else None) from None
        return self

    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> Cursor:
        """Run one INSERT, UPDATE, DELETE or REPLACE for each set of parameters."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.executemany, sql, seq_of_parameters)
        self._rows = self._ahead = self.description = None
        self.rowcount = -1
        began = False
        try:
            plan = connection._plans.get(sql) or connection._plan(sql)
            rows = iter(seq_of_parameters)
            if not plan.dml and connection._reads_only(sql):
                raise ProgrammingError("executemany() can only execute DML statements.")
            if plan.dml and (not connection._db.in_transaction or connection._unverified):
                began = connection._begin_writing()
            if plan.native and connection._plain:
                count = self._run_many(plan, rows)
            else:
                count = connection._session.execute_many(self, plan, rows)
            if plan.dml:
                self.rowcount = count
        except Exception as error:
            raise self._failed(error, sql if began else None) from None
        return self

    def executescript(self, sql_script: str, /) -> Cursor:
        """Commit, then run statement after statement; rows are thrown away."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.executescript, sql_script)
        if not isinstance(sql_script, str):
            kind = "None" if sql_script is None else type(sql_script).__name__
            raise TypeError(f"executescript() argument must be str, not {kind}")
        if "\0" in sql_script:
            raise ValueError("embedded null character")
        self._check_open()
        try:
            connection.commit()
            connection._session.execute_script(sql_script)
        except Exception as error:
            raise self._failed(error) from None
        return self

    def _run_anew(self, plan: Plan, parameters: Any) -> None:
        """A table turned to another format under the statement, by another connection: look, and try again.

        SQLite cannot read the schema again while a virtual table reads it.
        """
        try:
            self.connection._session.refresh()
            self.connection._session.execute(self, plan, parameters)
        except Exception as error:
            raise self._failed(error) from None

    def _run_native(self, plan: Plan, parameters: Any) -> None:
        """Any statement, as it is."""
        if plan.returns:
            self._run_query(plan, parameters)
        else:
            self._cursor.execute(plan.text, parameters)
            self.lastrowid = self.connection._db.last_insert_rowid()
            if plan.dml:
                self.rowcount = self.connection._db.changes()

    def _run_query(self, plan: Plan, parameters: Any) -> None:
        """A statement that may have rows, as it is."""
        connection = self.connection
        self._cursor.execute(plan.text, parameters)
        self.lastrowid = connection._db.last_insert_rowid()
        if plan.dml:
            self._start_returning(plan)
        elif plan.generation == connection._generation and not connection._changed_outside():
            self.description = plan.description
            self._rows = self._cursor
        else:
            self._start_rows(plan)

    def _start_rows(self, plan: Plan) -> None:
        """Take the rows of the apsw cursor, and remember what they are called."""
        connection = self.connection
        generation = connection._generation
        self.description = plan.description = self._columns(plan)
        plan.generation = generation
        if self.description is not None:
            self._rows = self._cursor

    def _start_returning(self, plan: Plan) -> None:
        self._start_rows(plan)
        self._counting = True
        self.rowcount = 0
        try:
            self._cursor.getdescription()
        except apsw.ExecutionCompleteError:
            self._finish()

    def _columns(self, plan: Plan) -> Description | None:
        try:
            return describe(self._cursor.getdescription())
        except apsw.ExecutionCompleteError:
            return self.connection._describe(plan.text)

    def _run_many(self, plan: Plan, rows: Iterator[Any]) -> int:
        first = next(rows, _NO_ROW)
        if first is _NO_ROW:
            self.connection._prepare(plan.text)
            return 0
        supplied = bindable_rows(chain((first,), rows))
        db = self.connection._db
        if plan.returns:
            self.description = self.connection._describe(plan.text)
            return self._run_each(plan.text, supplied)
        if self.connection._counts_more_than_changes(plan):
            return _run_counting(self._cursor, db, plan.text, supplied)
        before = db.total_changes()
        self._cursor.executemany(plan.text, supplied)
        return db.total_changes() - before

    def _run_each(self, sql: str, rows: Iterable[Any]) -> int:
        """Run a statement with RETURNING and throw its rows away, which sqlite3 does not count."""
        cursor, db, count = self._cursor, self.connection._db, 0
        for parameters in rows:
            cursor.execute(sql, parameters)
            if not list(cursor):
                count += db.changes()
        return count

    def _show(self, rows: Iterator[Any] | None, description: Description | None) -> None:
        """Take the rows of a statement that did not go to SQLite as it was."""
        self._rows = rows
        self.description = description

    def _read_ahead(self) -> None:
        """Read the rows that are left, as they are now, so that tables can be changed under the statement."""
        if self._rows is not self._cursor:
            return
        rows: list[Any] = []
        rest: Iterator[Any] = iter(())
        try:
            rows.extend(self._cursor)
        except Exception as error:
            rest = _Unreadable(translate(error))
        self._rows = chain(rows, rest)
        if self._counting:
            self._counting = False
            self.rowcount = self.connection._db.changes()

    def _failed(self, error: Exception, began_for: str | None = None) -> Exception:
        self._rows = self._ahead = None
        self._counting = False
        if self._closed:
            return ProgrammingError(CLOSED_CURSOR)
        connection = self.connection
        if began_for is not None:
            # sqlite3 begins a transaction only for a statement that could be prepared.
            connection._take_back_begin(began_for)
        return translate(error)

    # Rows

    def fetchone(self) -> Any:
        """The next row, or None."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.fetchone)
        rows = self._rows
        if rows is None:
            self._check_open()
            return None
        row = self._ahead
        try:
            if row is None:
                row = next(rows, None)
            if row is not None:
                self._ahead = next(rows, None)
        except Exception as error:
            self._break(row, error)
        else:
            if self._ahead is None:
                self._finish()
        if row is None or (self.row_factory is None and connection._text_factory is str):
            return row
        return self._shaped(row)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next `size` rows, `arraysize` if not given; fewer at the end."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.fetchmany, size)
        wanted = self.arraysize if size is None else index(size)
        if wanted < 1:
            return self.fetchall()
        rows = self._rows
        if rows is None:
            self._check_open()
            return []
        fetched = [] if self._ahead is None else [self._ahead]
        try:
            fetched.extend(islice(rows, wanted - len(fetched)))
            self._ahead = next(rows, None)
        except Exception as error:
            raise self._failed_fetch(error) from None
        if self._ahead is None:
            self._finish()
        if self.row_factory is None and connection._text_factory is str:
            return fetched
        return list(map(self._shaped, fetched))

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.fetchall)
        rows = self._rows
        if rows is None:
            self._check_open()
            return []
        try:
            fetched = list(rows)
        except Exception as error:
            raise self._failed_fetch(error) from None
        if self._ahead is not None:
            fetched.insert(0, self._ahead)
        self._finish()
        if self.row_factory is None and connection._text_factory is str:
            return fetched
        return list(map(self._shaped, fetched))

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None and self._rows is None:
            raise StopIteration
        return row

    def _shaped(self, row: tuple[Any, ...]) -> Any:
        """The row as text_factory and row_factory want it."""
        text_factory = self.connection._text_factory
        if text_factory is bytes:
            row = tuple(value.encode() if type(value) is str else value for value in row)
        elif text_factory is not str:
            row = tuple(text_factory(value.encode()) if type(value) is str else value for value in row)
        return row if self.row_factory is None else self.row_factory(self, row)

    def _finish(self) -> None:
        """The last row was read: SQLite has ended the statement."""
        self._rows = self._ahead = None
        if self._counting:
            self._counting = False
            self.rowcount = self.connection._db.changes()

    def _break(self, row: Any, error: Exception) -> None:
        """A row could not be read. The one before it is still given if the new one only lacks its text."""
        failed = self._failed_fetch(error)
        if row is None or not isinstance(error, UnicodeDecodeError):
            raise failed from None

    def _failed_fetch(self, error: Exception) -> Exception:
        failed = self._failed(error)
        if not isinstance(failed, UnicodeDecodeError):
            return failed
        unreadable = undecodable(failed, [column[0] for column in self.description or ()])
        self._rows = _Unreadable(unreadable)
        return unreadable

    # The rest of PEP 249

    def close(self) -> None:
        """Give up the statement; nothing else can be done with the cursor afterwards."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.close)
        connection._check_open()
        self._closed = True
        self._rows = self._ahead = None
        self._counting = False
        self._cursor.close(True)
        return None

    def setinputsizes(self, sizes: Any, /) -> None:
        """Nothing to do: SQLite needs no sizes."""

    def setoutputsize(self, size: Any, column: Any = None, /) -> None:
        """Nothing to do: SQLite needs no sizes."""

    def _check_open(self) -> None:
        if self._closed:
            raise ProgrammingError(CLOSED_CURSOR)
        self.connection._check_open()


class _Unreadable:
    """Rows from one on whose text is not UTF-8: sqlite3 gives the same error at each try."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        raise self._error


def _run_counting(cursor: apsw.Cursor, db: apsw.Connection, sql: str, rows: Iterable[Any]) -> int:
    """executemany that asks for the changes of each run: rows changed by triggers do not count."""
    count = 0

    def supply() -> Iterator[Any]:
        nonlocal count
        rest = iter(rows)
        yield next(rest)
        for parameters in rest:
            count += db.changes()
            yield parameters

    cursor.executemany(sql, supply())
    return count + db.changes()
