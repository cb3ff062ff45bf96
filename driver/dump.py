"""Dumps: the SQL that makes a database anew, as sqlite3's iterdump gives it.

The schema is the user's: a table in column format is dumped with its own CREATE TABLE and its rows as INSERTs.
Rows are read as they are asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from colonnade.sql.tokens import quote

if TYPE_CHECKING:
    from colonnade.statements import Statements

_VIRTUAL = "CREATE VIRTUAL TABLE"


def statements(connection: Statements, pattern: str | None) -> Iterator[str]:
    """The statements in order: tables with their rows, then indexes, triggers and views.

    pattern  of LIKE, for the names of what to dump; None: everything
    """
    cursor = _cursor(connection)
    if sys.version_info >= (3, 13) and _has_orphans(connection):
        yield "PRAGMA foreign_keys=OFF;"
    yield "BEGIN TRANSACTION;"
    schema_edited = False
    sequence: list[str] = []
    for name, sql in _objects(cursor, "= 'table'", pattern, 'ORDER BY "name"'):
        if name == "sqlite_sequence":
            sequence = list(_sequence(cursor))
            continue
        if name.startswith("sqlite_") and name != "sqlite_stat1":
            continue
        if sql.startswith(_VIRTUAL) and not schema_edited:
            schema_edited = True
            yield "PRAGMA writable_schema=ON;"
        yield _creation(name, sql)
        yield from _rows(connection, name)
    for _, sql in _objects(cursor, "IN ('index', 'trigger', 'view')", pattern):
        yield f"{sql};"
    if schema_edited:
        yield "PRAGMA writable_schema=OFF;"
    yield from sequence
    yield "COMMIT;"


def _cursor(connection: Any) -> Any:
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def _has_orphans(connection: Any) -> bool:
    """Whether a foreign key is broken somewhere: then the dump could not be read back with them on."""
    session = connection._session
    if connection._plain:
        return bool(_cursor(connection).execute("PRAGMA foreign_key_check").fetchone())
    from colonnade import reports

    found = reports.check(session.store, session.router.schema("main"), [], session.bulk.stats)
    return any(kind == "FOREIGN KEY" for _, _, _, kind, *_ in found)


def _objects(cursor: Any, kinds: str, pattern: str | None, order: str = "") -> Iterator[tuple[str, str]]:
    """Name and text of the objects of some kinds."""
    named, parameters = ('AND "name" LIKE ?', (pattern,)) if pattern else ("", ())
    found = cursor.execute(
        f'SELECT "name", "sql" FROM "sqlite_master" WHERE "sql" NOT NULL AND "type" {kinds} {named} {order}',
        parameters,
    )
    return iter(found.fetchall())


def _creation(name: str, sql: str) -> str:
    if name == "sqlite_stat1":
        return 'ANALYZE "sqlite_master";'
    if sql.startswith(_VIRTUAL):
        # Its own CREATE would make the shadow tables, which are dumped as the tables that they are.
        return (
            "INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)"
            f"VALUES('table',{_text(name)},{_text(name)},0,{_text(sql)});"
        )
    return f"{sql};"


def _rows(connection: Any, table: str) -> Iterator[str]:
    """An INSERT for each row."""
    cursor, place = _cursor(connection), quote(table)
    columns = [str(row[1]) for row in cursor.execute(f"PRAGMA table_info({place})").fetchall()]
    values = "||','||".join(f"quote({quote(column)})" for column in columns)
    head = _text(f"INSERT INTO {place} VALUES(")
    for (statement,) in cursor.execute(f"SELECT {head}||{values}||');' FROM {place}"):
        yield statement


def _sequence(cursor: Any) -> Iterator[str]:
    yield 'DELETE FROM "sqlite_sequence";'
    for name, number in cursor.execute('SELECT * FROM "sqlite_sequence"').fetchall():
        yield f'INSERT INTO "sqlite_sequence" VALUES({_text(name)},{number});'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
