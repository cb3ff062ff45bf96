"""Views that read the schema, such as `CREATE VIEW v AS SELECT name FROM sqlite_master`: what to read in their place.

SQLite expands a view by itself, and would show shadow tables. So `sql.names` puts the view's SELECT, with the names of
`sql.shown` in it, where a statement names the view. Views of main and temp only, and of these none whose SELECT
could mean another table where it is put: that is, none of main that mentions something of temp.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import apsw

from colonnade.sql.statement import parse
from colonnade.sql.tokens import Reader, quote

SHOWING = ("sqlite_master", "sqlite_schema", "sqlite_sequence", "pragma_", "dbstat")


class SchemaView(NamedTuple):
    """One view: the schema that it is in, its SELECT, and the names of its columns."""

    schema: str
    select: str
    columns: tuple[str, ...]


def schema_views(db: apsw.Connection) -> dict[str, SchemaView]:
    """The views that read the schema, also by way of others, by their names in lower case."""
    temporary = _names(db, "temp")
    found: dict[str, SchemaView] = {}
    waiting = {name: view for schema in ("main", "temp") for name, view in _views(db, schema).items()}
    while True:
        more = {
            name: view
            for name, view in waiting.items()
            if any(word in view.select.lower() for word in SHOWING) or parse(view.select).mentions(*found)
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


def _views(db: apsw.Connection, schema: str) -> dict[str, SchemaView]:
    place = quote(schema)
    listed: list[Any] = db.execute(
        f"SELECT name, sql FROM {place}.sqlite_schema WHERE type = 'view'"
    ).fetchall()
    if not any(word in sql.lower() for _, sql in listed for word in SHOWING):
        return {}
    found = {}
    for name, sql in listed:
        try:
            columns: list[Any] = db.execute(f"PRAGMA {place}.table_info({quote(name)})").fetchall()
        except apsw.SQLError:
            continue  # of what is gone: SQLite says so when the view is read
        start = next(token.stop for _, token in Reader(sql).outside(0) if token.key == "AS")
        found[name.lower()] = SchemaView(schema, sql[start:], tuple(row[1] for row in columns))
    return found
