"""Cursor: PEP 249's cursor with sqlite3's rules, over one apsw cursor.

A statement that has nothing to do with the column store goes to apsw at once. Every other one goes through
the connection's Session, which hands back a Result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from operator import index
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn

import apsw

from colonnade.arrowresults import ArrowResults
from colonnade.base import Base, NoConnection
from colonnade.errors import CLOSED_CURSOR, RECURSIVE, translate, undecodable
from colonnade.ingests import Ingests
from colonnade.many import run_many
from colonnade.parameters import bindable, warn_of_names
from colonnade.plan import Columns, Description, Plan
from colonnade.rows import BUSY, Converters, Rereading, Unreadable, shape
from colonnade.script import ScriptError, blocks_of
from colonnade.store.errors import ProgrammingError
from colonnade.types import READY
from colonnade.watch import program_cursor

if TYPE_CHECKING:
    from colonnade.connection import Connection
    from colonnade.vectorised import Batches

RowFactory = Callable[["Cursor", tuple[Any, ...]], Any]

_ARRAYSIZE: Any = object()
_INT_MAX = 2**31 - 1


class Cursor(Ingests, ArrowResults):
    """Executes statements and fetches their rows.

    description  one 7-tuple a column, the name first; None if the last statement had no rows to give
    rowcount     rows changed by the last INSERT, UPDATE, DELETE or REPLACE (executemany: their sum); else -1
    lastrowid    the connection's last inserted rowid as of the last `execute`; None before
    row_factory  called with cursor and tuple for each row; None: the tuple is the row
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_arraysize",
        "_batches",
        "_closed",
        "_converters",
        "_counting",
        "_cursor",
        "_held_count",
        "_noted",
        "_rows",
        "connection",
        "description",
        "lastrowid",
        "row_factory",
        "rowcount",
    )

    def __init__(self, connection: Connection, /) -> None:
        if getattr(self, "_cursor", None) is BUSY:
            raise ProgrammingError(RECURSIVE)
        self.connection = connection
        try:
            self._cursor = program_cursor(connection._db)
        except apsw.Error as error:
            raise translate(error) from None
        except AttributeError:
            if isinstance(connection, Base):
                connection._check_initialised()
            kind = type(connection).__name__
            raise TypeError(f"Cursor() argument 1 must be sqlite3.Connection, not {kind}") from None
        self._rows: Iterator[Any] | None = None  # what is still to fetch; never None while _ahead is a row
        self._batches: Batches | None = None  # what _rows are made of, where the statement was vectorised
        self._ahead: Any = None  # a row read before it was asked for: SQLite is done with the last row then
        self._converters: Converters | None = None
        self._counting = False  # a RETURNING statement sets rowcount when its last row was read
        self._held_count: int | None = None  # to this, where its rows were read ahead
        self._noted = False  # the session knows that it may be in the middle of its rows
        self._closed = False
        self._arraysize = 1
        self.description: Description | None = None
        self.lastrowid: int | None = None
        self.row_factory: RowFactory | None = None
        self.rowcount = -1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__new__" not in vars(cls):
            cls.__new__ = _new_without_connection  # type: ignore[method-assign, assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__module__}.{type(self).__qualname__}' object")

    @property
    def arraysize(self) -> int:
        """How many rows `fetchmany` gives if not told."""
        return self._arraysize

    @arraysize.setter
    def arraysize(self, size: int) -> None:
        self._arraysize = index(size)

    # Statements

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Run one statement."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.execute, sql, parameters)
        self._rows = self._ahead = self._batches = self.description = None
        self.rowcount = -1
        db = connection._db
        began = False
        try:
            plan = connection._plans.get(sql) or connection._plan(sql)
            if type(parameters) not in READY:
                parameters = bindable(parameters)
            if plan.named and type(parameters) is not dict:
                warn_of_names(connection, plan, parameters)
            if plan.dml and (not db.in_transaction or connection._unverified):
                began = connection._begin_writing()
            if not (plan.native and connection._direct):
                connection._session.execute(self, plan, parameters)
            elif plan.returns:
                self._run_query(plan, parameters)
            else:  # _run_native, written out
                self._cursor.execute(plan.text, parameters)
                self.lastrowid = db.last_insert_rowid()
                if plan.dml:
                    self.rowcount = db.changes()
        except apsw.SchemaChangeError:
            self._run_anew(plan, parameters)
        except Exception as error:
            raise self._failed(error, sql, began=began) from None
        return self

    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> Cursor:
        """Run one INSERT, UPDATE, DELETE or REPLACE for each set of parameters."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.executemany, sql, seq_of_parameters)
        self._ahead = self.description = None
        self._rows = BUSY  # until the rows of parameters, which may be a generator of the program, are run
        self.rowcount = -1
        began = False
        try:
            plan = connection._plans.get(sql) or connection._plan(sql, "executemany")
            rows = iter(seq_of_parameters)
            if not plan.dml and connection._reads_only(sql):
                raise ProgrammingError("executemany() can only execute DML statements.")
            if plan.dml and (not connection._db.in_transaction or connection._unverified):
                began = connection._begin_writing()
            if plan.native and connection._direct:
                count = self._run_many(plan, rows)
            else:
                count = connection._session.execute_many(self, plan, rows)
            if plan.dml:
                self.rowcount = count
            self._rows = None
        except Exception as error:
            raise self._failed(error, sql, began=began) from None
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
        connection._check_length(sql_script)
        try:
            connection._before_script()
            connection._session.execute_script(blocks_of(sql_script))
        except ScriptError as failed:
            raise failed.located(self._failed(failed.cause)) from None
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
            try:
                self._cursor.execute(plan.text, parameters)
            except UnicodeDecodeError as error:
                self._start_again(plan, parameters, error)
            self.lastrowid = self.connection._db.last_insert_rowid()
            if plan.dml:
                self.rowcount = self.connection._db.changes()

    def _start_again(self, plan: Plan, parameters: Any, error: UnicodeDecodeError) -> None:
        """The statement failed before its first row; it is run once more if that helps."""
        if not self.connection._session.reads_again(error):
            raise error
        self._cursor.execute(plan.text, parameters)

    def _run_query(self, plan: Plan, parameters: Any) -> None:
        """A statement that may have rows, as it is."""
        connection = self.connection
        try:
            self._cursor.execute(plan.text, parameters)
        except UnicodeDecodeError as error:
            self._start_again(plan, parameters, error)
        self.lastrowid = connection._db.last_insert_rowid()
        if plan.dml:
            self._start_returning(plan)
        elif plan.generation == connection._generation and not connection._changed_outside():
            self.description = plan.description
            self._rows = self._cursor
        else:
            self._start_rows(plan)
        if self._rows is not None and not (connection._raw and connection._plain):
            self._converters = connection._converters(plan)
            self._rows = connection._rereadable(self._rows, plan, parameters)

    def _start_rows(self, plan: Plan) -> None:
        """Take the rows of the apsw cursor, and remember what they are called."""
        connection = self.connection
        generation = connection._generation
        columns = self._columns(plan)
        plan.columns = columns if connection._plain else connection._named(plan, columns)
        self.description = plan.description = connection._description(plan.columns)
        plan.generation = generation
        if self.description is not None:
            self._rows = self._cursor

    def _start_returning(self, plan: Plan) -> None:
        self._start_rows(plan)
        self._counting, self._held_count = True, None
        self.rowcount = 0
        try:
            self._cursor.getdescription()
        except apsw.ExecutionCompleteError:
            self._finish()

    def _columns(self, plan: Plan) -> Columns:
        try:
            return self._cursor.getdescription()
        except apsw.ExecutionCompleteError:
            return self.connection._describe(plan.text)

    def _run_many(self, plan: Plan, rows: Iterator[Any]) -> int:
        """The statement for each row of parameters, as it is; returns the sum of the rows changed."""
        connection, cursor = self.connection, self._cursor
        if plan.returns:
            self.description = connection._description(connection._describe(plan.text))
        with self._lent(BUSY):
            return run_many(connection, cursor, plan, rows)

    @contextmanager
    def _lent(self, cursor: Any) -> Iterator[None]:
        """Another apsw cursor for the block: BUSY where code of the program may run, which must not use this one."""
        held, self._cursor = self._cursor, cursor
        try:
            yield
        finally:
            self._cursor = held

    def _show(self, rows: Iterator[Any] | None, description: Description | None) -> None:
        """Take the rows of a statement that did not go to SQLite as it was."""
        self._rows, self._batches = rows, None
        self._converters = None
        self.description = description

    def _let_go(self, unread: Iterator[Any] | None = None) -> None:
        """End the statement that SQLite would go on with, and its second run if that gave the rows unread."""
        if isinstance(unread, Rereading):
            unread.close()
        if not self._closed:
            self._cursor.close(True)
            self._cursor = program_cursor(self.connection._db)

    def _read_ahead(self) -> None:
        """Read the rows that are left, as they are now, so that tables can be changed under the statement."""
        unread = self._rows
        if unread is None or unread is BUSY:
            return
        rows: list[Any] = []
        rest: Iterator[Any] = iter(())
        try:
            rows.extend(unread)
        except Exception as error:
            rest = Unreadable(translate(error))
            self._let_go(unread)  # the statement has not ended
        self._rows, self._batches = chain(rows, rest), None
        if self._counting:
            self._counting = False
            self.rowcount = self.connection._db.changes()

    def _read_returning(self) -> None:
        """The same for a statement that writes, whose rows and rowcount are then shown as if read later."""
        counting = self._counting
        self._read_ahead()
        if counting:
            self._held_count, self.rowcount, self._counting = self.rowcount, 0, True
            self.connection._session.changes.unseen += self._held_count

    def _failed(self, error: Exception, sql: str = "", *, began: bool = False) -> Exception:
        """What to raise for `error`; `began`: a transaction was begun for the statement."""
        self._rows = self._ahead = self._batches = None
        self._counting = False
        if self._closed:
            return ProgrammingError(CLOSED_CURSOR)
        connection = self.connection
        if began:
            # sqlite3 begins a transaction only for a statement that could be prepared.
            connection._take_back_begin(sql, error)
        return translate(connection._as_said(error, sql))

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
        if row is None or (self.row_factory is None and connection._raw):
            return row
        return self._shaped(row)

    def fetchmany(self, size: Any = _ARRAYSIZE) -> list[Any]:
        """The next `size` rows, `arraysize` if not given; fewer at the end. All if `size` is not positive."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.fetchmany, size)
        wanted = self._arraysize if size is _ARRAYSIZE else index(size)
        if wanted > _INT_MAX:
            raise OverflowError("Python int too large to convert to C int")
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
        if self.row_factory is None and connection._raw:
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
        if self.row_factory is None and connection._raw:
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
        """The row as converters, text_factory and row_factory want it."""
        connection = self.connection
        if not connection._raw:
            rows, cursor = self._rows, self._cursor
            self._rows = self._cursor = BUSY
            try:
                row = shape(connection._db, row, self._converters, connection._text_factory)
            finally:
                self._rows, self._cursor = rows, cursor
        return row if self.row_factory is None else self.row_factory(self, row)

    def _finish(self) -> None:
        """The last row was read: SQLite has ended the statement."""
        self._rows = self._ahead = self._batches = None
        if self._counting:
            self._counting = False
            self.rowcount = self.connection._db.changes()
            if self._held_count is not None:
                self.rowcount = self._show_held()

    def _show_held(self) -> int:
        """The rows changed by the statement whose rows were read ahead, which count from now on."""
        count, self._held_count = self._held_count or 0, None
        self.connection._session.changes.unseen -= count
        return count

    def _break(self, row: Any, error: Exception) -> None:
        """A row could not be read. The one before it is still given if the new one only lacks its text."""
        failed = self._failed_fetch(error)
        if row is None or not isinstance(error, UnicodeDecodeError):
            raise failed from None

    def _failed_fetch(self, error: Exception) -> Exception:
        unread, failed = self._rows, self._failed(error)
        if not isinstance(failed, UnicodeDecodeError):
            return failed
        if self._held_count is not None:
            self._show_held()
        self._let_go(unread)  # the statement has not ended
        unreadable = undecodable(failed, [column[0] for column in self.description or ()])
        self._rows = Unreadable(unreadable)
        return unreadable

    # The rest of PEP 249

    def close(self) -> None:
        """Give up the statement; nothing else can be done with the cursor afterwards."""
        connection = self.connection
        if get_ident() != connection._thread:
            return connection._elsewhere(self.close)
        connection._check_open()
        if self._cursor is BUSY:
            raise ProgrammingError(RECURSIVE)
        self._closed = True
        self._rows = self._ahead = self._batches = None
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


def _new_without_connection(kind: type[Cursor], *_: object, **__: object) -> Cursor:
    """`__new__` of subclasses, whose `__init__` may forget that of Cursor."""
    cursor = object.__new__(kind)
    cursor.connection = _NO_CONNECTION
    return cursor


_NO_CONNECTION: Any = NoConnection()
