"""The schema as it would be if no table were in column format: an empty database to ask SQLite about statements.

What SQLite says of a statement before it runs (names of result columns, errors, the authorizer's questions) depends
on the schema alone. Where it would say something else of a virtual table than of the user's table, the twin is asked.
It has the user's own DDL, and the names of the program's functions and collations, and never a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import apsw

from colonnade.sql.shown import schema_rows
from colonnade.sql.splice import highest_parameter
from colonnade.sql.statement import parse
from colonnade.sql.tokens import quote

Column = tuple[str, str | None]
Authorizer = Callable[[int, str | None, str | None, str | None, str | None], int]

_SWITCHES = (
    apsw.SQLITE_DBCONFIG_DQS_DDL,
    apsw.SQLITE_DBCONFIG_DQS_DML,
    apsw.SQLITE_DBCONFIG_ENABLE_FKEY,
    apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER,
    apsw.SQLITE_DBCONFIG_ENABLE_VIEW,
)
_STATISTICS = "sqlite_stat1"


class Twins:
    """The twin of one connection's schemas, made when it is first asked for and again when they have changed."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._twin: Twin | None = None
        self._key: tuple[object, ...] = ()

    def __call__(self, generation: int) -> Twin:
        """`generation`: another number after whatever else may have given the schema another meaning."""
        db = self._db
        names = ["temp", *(name for name in db.db_names() if name != "temp")]
        versions = [db.execute(f"PRAGMA {quote(name)}.schema_version").get for name in names]
        key = (
            generation,
            *zip(names, versions, strict=True),
            *(db.config(switch, -1) for switch in _SWITCHES),
        )
        if self._twin is None or key != self._key:
            self._twin, self._key = Twin(db, names), key
        return self._twin


class Twin:
    """An empty database with the user's tables, views, indexes and triggers, all of them in row format.

    Cost: about 30 microseconds for each of them.
    """

    def __init__(self, db: apsw.Connection, schemas: list[str]) -> None:
        self._db = apsw.Connection(":memory:")
        for name in schemas:
            if name not in ("main", "temp"):
                self._db.execute(f"ATTACH ':memory:' AS {quote(name)}")
        self._take_names(db)
        wanted = [text for name in schemas for text in _texts(db, name)]
        # A temporary trigger, say, is about a table of another schema, which comes later.
        while (left := [text for text in wanted if not self._made(text)]) and len(left) < len(wanted):
            wanted = left
        # What cannot be made, as it needs a module that is not here, is missing: then there is no certain answer.
        self._complete = not left
        for switch in _SWITCHES:
            self._db.config(switch, db.config(switch, -1))

    def _take_names(self, db: apsw.Connection) -> None:
        """The program's functions and collations: only their names are asked for."""
        own = "SELECT name, type, narg FROM pragma_function_list WHERE NOT builtin"
        for name, kind, arguments in db.execute(own):
            if kind == "s":
                self._db.create_scalar_function(name, _nothing, arguments)
            elif kind == "w":
                window: Any = lambda: (None, _nothing, _nothing, _nothing, _nothing)  # noqa: E731
                self._db.create_window_function(name, window, arguments)
            else:
                aggregate: Any = lambda: (None, _nothing, _nothing)  # noqa: E731
                self._db.create_aggregate_function(name, aggregate, arguments)
        known = {name for _, name in self._db.execute("PRAGMA collation_list")}
        for _, name in db.execute("PRAGMA collation_list"):
            if name not in known:
                self._db.create_collation(name, _equal)

    def _made(self, text: str) -> bool:
        try:
            self._db.execute(text)
        except apsw.Error:
            return False
        return True

    def columns(self, text: str) -> tuple[Column, ...] | None:
        """Name and declared type of each result column; None where the twin cannot prepare the statement."""
        found: list[tuple[Column, ...]] = []

        def note(cursor: apsw.Cursor) -> None:
            with suppress(apsw.ExecutionCompleteError):  # there are no columns
                found.append(tuple((column[0], column[1]) for column in cursor.getdescription()))

        if self._prepare(text, note) is not None:
            return None
        return found[0] if found else ()

    def table_columns(self, schema: str, name: str) -> tuple[str, ...]:
        """The columns of a table or view; none where it cannot be read."""
        try:
            rows: list[Any] = self._db.execute(f"PRAGMA {quote(schema)}.table_info({quote(name)})").fetchall()
        except apsw.SQLError:
            return ()
        return tuple(row[1] for row in rows)

    def columns_made(self, text: str) -> tuple[str, ...]:
        """The columns of the table that a CREATE TABLE AS would make; none where the twin cannot make it."""
        made = parse(text).object
        if made is None:
            return ()
        self._db.execute("SAVEPOINT made")
        try:
            self._db.execute(text, self._nulls(text), can_cache=False)
            rows: list[Any] = self._db.execute(f"PRAGMA table_info({quote(made.name)})").fetchall()
        except apsw.Error:
            return ()
        finally:
            self._db.execute("ROLLBACK TO made")
            self._db.execute("RELEASE made")
        return tuple(row[1] for row in rows)

    def error(self, text: str) -> apsw.Error | None:
        """What SQLite would say against the statement; None if it could prepare it, or where that is not known."""
        return self._prepare(text, lambda cursor: None) if self._complete else None

    def ask(self, text: str, authorizer: Authorizer) -> None:
        """Lets the authorizer have its say on the statement. Raises apsw.AuthError where it denies it."""
        self._db.set_authorizer(authorizer)
        try:
            error = self._prepare(text, lambda cursor: None)
        finally:
            self._db.set_authorizer(None)
        if isinstance(error, apsw.AuthError):
            raise error

    def _nulls(self, text: str) -> tuple[None, ...]:
        """A value for each parameter; a text with a number that SQLite does not take is not prepared at all."""
        most = self._db.limit(apsw.SQLITE_LIMIT_VARIABLE_NUMBER)
        return (None,) * min(highest_parameter(text), most)

    def _prepare(self, text: str, note: Callable[[apsw.Cursor], None]) -> apsw.Error | None:
        def stop(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            note(cursor)
            return False

        cursor = self._db.cursor()
        cursor.exec_trace = stop
        try:
            cursor.execute(text, self._nulls(text), can_cache=False)
        except apsw.ExecTraceAbort:
            return None
        except apsw.Error as error:
            return error
        return None


def _texts(db: apsw.Connection, schema: str) -> Iterator[str]:
    """The statements that make what is in a schema, as the user wrote them."""
    for _, _, name, _, _, sql in list(schema_rows(db, schema)):
        made = parse(sql).object if sql else None
        if name == _STATISTICS:
            yield f"ANALYZE {quote(schema)}"
        elif sql and made is not None and not name.lower().startswith("sqlite_"):
            yield f"{sql[: made.start]}{quote(schema)}.{sql[made.start :]}"


def _nothing(*_: object) -> None:
    """The body of every function."""


def _equal(_left: str, _right: str) -> int:
    return 0
