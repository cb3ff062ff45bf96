"""The same program on the standard library's sqlite3 and on Colonnade, and what came of each step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import colonnade

NEWER = {"SQLITE_CONSTRAINT_DATATYPE"}  # sqlite3 says "unknown" for it
MODULES = (sqlite3, colonnade)


_opened: list[Any] = []


def connect(module: Any, *arguments: Any, **options: Any) -> Any:
    """A connection that is closed when the test is over."""
    connection = module.connect(*arguments, **options)
    _opened.append(connection)
    return connection


def close_all() -> None:
    while _opened:
        _opened.pop().close()


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, made comparable: rows as they are, an error as class name, message and code."""
    try:
        value = call()
    except Exception as error:
        name = getattr(error, "sqlite_errorname", None)
        return type(error).__name__, str(error), "unknown" if name in NEWER else name
    if isinstance(value, sqlite3.Cursor | colonnade.Cursor):
        return "cursor"
    return value


def facts(cursor: Any) -> tuple[Any, ...]:
    """All that a cursor and its connection say after a statement."""
    connection = cursor.connection
    return (
        cursor.description,
        cursor.rowcount,
        cursor.lastrowid,
        connection.in_transaction,
        connection.total_changes,
    )


def typed(rows: Any) -> Any:
    """Rows with the types of their values, as 1, 1.0 and True are equal."""
    if not isinstance(rows, list):
        return rows
    return [tuple((type(value), value) for value in row) for row in rows]


def run(cursor: Any, sql: str, parameters: Any = ()) -> Any:
    """Execute, and all that can be seen before, between and after the fetches."""
    executed = outcome(lambda: cursor.execute(sql, parameters))
    before = facts(cursor)
    first = outcome(cursor.fetchone)
    between = facts(cursor)
    rest = typed(outcome(cursor.fetchall))
    return executed, before, first, between, rest, facts(cursor)


def same(program: Callable[[Any], Any]) -> Any:
    """Run `program(module)` on both modules; their results must be equal, and are returned."""
    expected, got = (program(module) for module in MODULES)
    assert got == expected
    return got
