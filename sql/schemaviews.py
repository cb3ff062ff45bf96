"""Views that read the schema, such as `CREATE VIEW v AS SELECT name FROM sqlite_master`: what to read in their place.

SQLite expands a view by itself, and would show shadow tables. So `sql.names` puts the view's SELECT, with the names of
`sql.shown` in it, where a statement names the view. Views that read a rowid are among them, as SQLite names their
columns after the INTEGER PRIMARY KEY. Views of main and temp only, and of these none whose SELECT
could mean another table where it is put: that is, none of main that mentions something of temp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import apsw

from colonnade.sql.statement import parse
from colonnade.sql.tokens import Reader, quote
from colonnade.sql.twin import Twin

_SHOWING = re.compile(
    r"sqlite_master|sqlite_schema|sqlite_sequence|pragma_|\b(?:dbstat|rowid|oid|_rowid_)\b", re.IGNORECASE
)


class SchemaView(NamedTuple):
    """One view: the schema that it is in, its SELECT, and the names of its columns."""

    schema: str
    select: str
    columns: tuple[str, ...]


def schema_views(db: apsw.Connection, twin: Callable[[], Twin]) -> dict[str, SchemaView]:
    """The views that read the schema, also by way of others, by their names in lower case.

    twin  says what their columns are called
    """
    temporary = _names(db, "temp")
    found: dict[str, SchemaView] = {}
    waiting = {name: view for schema in ("main", "temp") for name, view in _views(db, schema, twin).items()}
    while True:
        more = {
            name: view
            for name, view in waiting.items()
            if _SHOWING.search(view.select) or parse(view.select).mentions(*found)
        }
        if not more:
            break
        for name, view in more.items():
            del waiting[name]
            if view.schema == "temp" or not parse(view.select).mentions(*temporary):
                found[name] = view
    return found


def _names(db: apsw.Connection, schema: str) -> list[str]:
    listed: list[Any] = db.execute(f"SELECT name FROM {quote(schema)}.sqlite_schema").fetchall()
    return [name for (name,) in listed]


def _views(db: apsw.Connection, schema: str, twin: Callable[[], Twin]) -> dict[str, SchemaView]:
    place = quote(schema)
    listed: list[Any] = db.execute(
        f"SELECT name, sql FROM {place}.sqlite_schema WHERE type = 'view'"
    ).fetchall()
    if not any(_SHOWING.search(sql) for _, sql in listed):
        return {}
    found = {}
    for name, sql in listed:
        columns = twin().table_columns(schema, name)
        if not columns:
            continue  # it reads what is gone: SQLite says so when it is read
        start = next(token.stop for _, token in Reader(sql).outside(0) if token.key == "AS")
        found[name.lower()] = SchemaView(schema, sql[start:], columns)
    return found
