"""Which statements of a connection are the program's: its hooks see these and no others.

Colonnade runs statements of its own on the same apsw connection: it looks at the schema, reads shadow tables,
converts tables. Statements of the program run on cursors made by `program_cursor`. All others come from the
connection's `cursor()`, `execute()` and `pragma()`; once a hook is set, what these use is a class of cursor that
marks what it does as internal. With no hook set, nothing is different and nothing costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import apsw

from colonnade.callbacks import coded, show
from colonnade.expand import expanded
from colonnade.sql.messages import user_message
from colonnade.store.errors import DataError
from colonnade.store.format import ROWS, SHADOW_SUFFIXES

if TYPE_CHECKING:
    from colonnade.connection import Connection

Trace = Callable[[str], object]
Authorizer = Callable[[int, str | None, str | None, str | None, str | None], object]
Progress = Callable[[], object]
Update = Callable[[int, str, str, int], object]

_INT = range(-(2**31), 2**31)


def program_cursor(db: apsw.Connection) -> apsw.Cursor:
    """A cursor for statements of the program."""
    factory = db.cursor_factory
    if isinstance(factory, _Factory):
        return factory.for_program(db)
    return db.cursor()


def run_seen(db: apsw.Connection, sql: str) -> None:
    """Run a statement that sqlite3 would run too, such as COMMIT: the program's hooks see it."""
    program_cursor(db).execute(sql)


class Watch:
    """The hooks of one connection.

    internal     how many calls deep Colonnade is in work of its own
    standing_in  how many of these are for a statement that runs in place of the program's
    """

    def __init__(self, connection: Connection, db: apsw.Connection) -> None:
        self._connection, self._db = connection, db  # not a reference: SQLite's hooks hold the watch
        self.internal = self.standing_in = 0
        self._apsw_is_next = False  # the next statement is one that apsw runs for `with db`
        self._authorizer: Authorizer | None = None
        self._rowids: dict[tuple[str, str], str] = {}  # see learn()
        self._shadows: frozenset[str] = frozenset()
        self._trace: Trace | None = None
        self._progress: Progress | None = None
        self._update: Update | None = None
        self._starting: apsw.Cursor | None = None  # of the program; its statement is just about to run
        # By the id that SQLite's events have: which cursor runs the statement.
        self._running: WeakValueDictionary[int, apsw.Cursor] = WeakValueDictionary()
        db.cursor_factory = _Factory(self)
        db.exec_trace = self._starts

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """What runs within is none of the program's statements."""
        self.internal += 1
        try:
            yield
        finally:
            self.internal -= 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """What runs within is what the program asked for, but not by its words: only its rows are to be heard of."""
        self.standing_in += 1
        try:
            with self.hidden():
                yield
        finally:
            self.standing_in -= 1

    def _starts(self, cursor: Any, _sql: str, _bindings: object) -> bool:
        """apsw's tracer, before a statement runs."""
        self._apsw_is_next = not isinstance(cursor, apsw.Cursor)
        if not self.internal:
            self._starting = None if self._apsw_is_next or isinstance(cursor, _Internal) else cursor
        return True

    # --- authorizer --------------------------------------------------------------------------------------

    def authorize(self, callback: Authorizer | None) -> None:
        """Ask `callback` about each action of the program's statements; None: ask nobody."""
        self._authorizer = callback
        self.learn()
        self._db.set_authorizer(None if callback is None else self._allowed)

    @property
    def authorizes(self) -> bool:
        """Whether the program wants to be asked about each access."""
        return self._authorizer is not None

    def learn(self) -> None:
        """Look which columns stand for the rowids of tables in column format, which SQLite does not know, and which
        tables no program knows.

        To be called before a statement is prepared, as the authorizer's callback can run none.
        """
        session = self._connection._session
        if self._authorizer is None or not session.has_column_tables():
            return
        with self.hidden():
            tables = [table for name in self._db.db_names() for table in session.store.tables(name)]
        self._shadows = frozenset(
            table.name.lower() + suffix for table in tables for suffix in SHADOW_SUFFIXES if suffix != ROWS
        )
        self._rowids = {
            (table.schema.lower(), table.name.lower()): table.columns[table.alias_position].name
            for table in tables
            if table.alias_position is not None
        }

    def _allowed(
        self, action: int, first: str | None, second: str | None, schema: str | None, source: str | None
    ) -> int:
        if self._apsw_is_next:
            self._apsw_is_next = False
            return apsw.SQLITE_OK
        if (
            self.internal
            or self._authorizer is None
            or (first is not None and first.lower() in self._shadows)
        ):
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_READ and second == "ROWID":
            second = self._rowids.get(((schema or "").lower(), (first or "").lower()), second)
        first, second, source = (name and user_message(name) for name in (first, second, source))
        callback = self._authorizer
        try:
            answer = callback(action, first, second, schema, source)
            if not isinstance(answer, int):
                return apsw.SQLITE_DENY
            if answer not in _INT:
                raise OverflowError("Python int too large to convert to C int")
        except BaseException as error:
            show(error, callback)
            return apsw.SQLITE_DENY
        return int(answer)

    # --- trace -------------------------------------------------------------------------------------------

    def trace(self, callback: Trace | None) -> None:
        """Call `callback` with the text of each of the program's statements as it starts; None: no more."""
        self._trace = callback
        self._running.clear()
        self._db.trace_v2(
            0 if callback is None else apsw.SQLITE_TRACE_STMT, callback and self._traced, id=self
        )

    def _traced(self, event: dict[str, Any]) -> None:
        """SQLite's event. It comes for each statement of a trigger too: sqlite3 then says the same again."""
        if self.internal or self._trace is None:
            return
        cursor, self._starting = self._starting, None
        if cursor is not None:
            self._running[event["id"]] = cursor
        elif not event["trigger"]:  # apsw's own, for `with db`; SQLite uses ids again
            self._running.pop(event["id"], None)
            return
        cursor = self._running.get(event["id"])
        if cursor is not None:
            self._tell(self._expanded(cursor, event["sql"]))
        else:  # of a virtual table in C, such as FTS5: in comments
            self._tell("-- " + event["sql"].replace("\n", "\n-- "))

    def _expanded(self, cursor: apsw.Cursor, text: str) -> str:
        """The statement with its parameters; if that is longer than SQLite allows, `text`."""
        try:
            return cursor.expanded_sql
        except apsw.NoMemError:
            try:
                raise coded(
                    DataError, "Expanded SQL string exceeds the maximum string length", apsw.SQLITE_TOOBIG
                )
            except DataError as error:
                show(error, self._trace)
            return text

    def _tell(self, text: str) -> None:
        callback = self._trace
        if callback is not None:
            try:
                callback(text)
            except BaseException as error:
                show(error, callback)

    # --- progress ----------------------------------------------------------------------------------------

    def progress(self, callback: Progress | None, steps: int) -> None:
        """Call `callback` after so many steps of the program's statements; None: no more."""
        self._progress = None
        if callback is None:
            self._db.set_progress_handler(None)
            return

        def stop() -> bool:
            if self.internal:
                return False
            try:
                return bool(callback())
            except BaseException as error:
                show(error, callback)
                return True

        self._db.set_progress_handler(stop, steps)
        if steps > 0:
            self._progress = stop

    def stops(self) -> bool:
        """Asks the progress handler whether a statement that SQLite does not run shall end."""
        return self._progress is not None and bool(self._progress())

    # --- rows --------------------------------------------------------------------------------------------

    @property
    def hears_rows(self) -> bool:
        """Whether the program wants to hear of each row that a statement changes."""
        return self._update is not None

    def update(self, callback: Update | None) -> None:
        """Call `callback` for each row that the program's statements insert, update or delete; None: no more."""
        self._update = callback
        self._db.set_update_hook(None if callback is None else self._updated)

    def _updated(self, operation: int, schema: str, table: str, rowid: int) -> None:
        callback = self._update
        if callback is None or self.internal > self.standing_in:
            return
        try:
            callback(operation, schema, user_message(table), rowid)
        except BaseException as error:
            show(error, callback)

    # --- statements that SQLite does not run as they are ---------------------------------------------------

    def announce(self, text: str, parameters: Any) -> None:
        """Let the hooks have their say on a statement for which Colonnade runs something else, or nothing.

        parameters  None where they are many: the text is then traced as it is
        Raises      apsw.AuthError if the authorizer denies it
        """
        self.ask(text)
        self.say(text, parameters)

    def ask(self, text: str) -> None:
        """The authorizer's part of `announce`."""
        if self._authorizer is not None:
            with self.hidden():
                twin = self._connection._twin()
            twin.ask(text, self._allowed)

    def say(self, text: str, parameters: Any) -> None:
        """The trace callback's."""
        if self._trace is not None:
            with self._asked():
                self._say(text, parameters)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """The authorizer was asked already."""
        authorizer, self._authorizer = self._authorizer, None
        try:
            yield
        finally:
            self._authorizer = authorizer

    def _say(self, text: str, parameters: Any) -> None:
        """Trace a statement that SQLite shall only prepare, as it fills in parameters best."""
        cursor = program_cursor(self._db)
        said = False

        def stop(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            nonlocal said
            said = True
            self._tell(self._expanded(cursor, text))
            return False

        cursor.exec_trace = stop
        try:
            cursor.execute(text, parameters, can_cache=False)
        except Exception as error:
            # A table in column format cannot be written by SQLite itself; of a wrong statement nothing is traced.
            if said or isinstance(error, apsw.ExecTraceAbort):
                return
            with self.hidden():
                wrong = self._connection._twin().error(text)
            if wrong is None:
                self._tell(text if parameters is None else expanded(text, parameters))


class _Factory:
    """Makes the cursors of an apsw connection that has hooks."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._program = False

    def __call__(self, db: apsw.Connection) -> apsw.Cursor:
        return apsw.Cursor(db) if self._program else _Internal(db, self._watch)

    def for_program(self, db: apsw.Connection) -> apsw.Cursor:
        """One for statements of the program; by way of the connection, which must know all its cursors."""
        self._program = True
        try:
            return db.cursor()
        finally:
            self._program = False


class _Internal(apsw.Cursor):
    """A cursor for Colonnade's own statements."""

    __slots__ = ("_watch",)

    def __init__(self, db: apsw.Connection, watch: Watch) -> None:
        super().__init__(db)
        self._watch = watch

    def execute(self, *arguments: Any, **options: Any) -> Any:
        with self._watch.hidden():
            return super().execute(*arguments, **options)

    def executemany(self, *arguments: Any, **options: Any) -> Any:
        with self._watch.hidden():
            return super().executemany(*arguments, **options)

    def __next__(self) -> Any:
        with self._watch.hidden():
            return super().__next__()

    def fetchone(self) -> Any:
        with self._watch.hidden():
            return super().fetchone()

    def fetchall(self) -> Any:
        with self._watch.hidden():
            return super().fetchall()

    @property
    def get(self) -> Any:
        with self._watch.hidden():
            return super().get
