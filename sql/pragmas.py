"""What SQLite itself reports about tables: PRAGMAs, column metadata and the labels of CHECKs.

Everything here goes by the names in the file: a table in column format is asked for by its row part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import apsw

from colonnade.sql.tokens import quote

_PLAIN, _VIRTUAL_GENERATED, _STORED_GENERATED = 0, 2, 3  # `hidden` of PRAGMA table_xinfo


@dataclass(frozen=True, slots=True)
class ColumnFact:
    """One row of PRAGMA table_xinfo, with the collation."""

    name: str
    decl_type: str
    not_null: bool
    default: str | None
    pk: int
    generated: bool
    collation: str
    autoincrement: bool


@dataclass(frozen=True, slots=True)
class IndexFact:
    """A UNIQUE index: `columns` has None where the index is on the rowid or on an expression."""

    name: str
    origin: str  # "pk", "u", or "c" for CREATE UNIQUE INDEX
    partial: bool
    columns: tuple[str | None, ...]
    collations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKeyFact:
    """One id of PRAGMA foreign_key_list; `parent_columns` is None where the DDL leaves them out."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...] | None
    on_update: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class TableFact:
    """One row of PRAGMA table_list, for an ordinary table or one that belongs to a virtual table."""

    name: str
    without_rowid: bool
    strict: bool
    shadow: bool


def _rows(db: apsw.Connection, schema: str, pragma: str, *names: str) -> Iterator[tuple[Any, ...]]:
    argument = f"({', '.join(map(quote, names))})" if names else ""
    return iter(db.cursor().execute(f"PRAGMA {quote(schema)}.{pragma}{argument}").fetchall())


def objects(db: apsw.Connection, schema: str) -> list[tuple[str, str, str, str]]:
    """(type, name, table, sql) of every object of a schema that has a text, in order of creation."""
    return [
        (kind, name, table, sql)
        for kind, name, table, sql in db.cursor().execute(
            f"SELECT type, name, tbl_name, sql FROM {quote(schema)}.sqlite_master ORDER BY rowid"
        )
        if sql is not None
    ]


def table_options(db: apsw.Connection, schema: str) -> dict[str, TableFact]:
    """Every table and shadow table of a schema, by its name."""
    return {
        row[1]: TableFact(row[1], bool(row[4]), bool(row[5]), row[2] == "shadow")
        for row in _rows(db, schema, "table_list")
        if row[0].lower() == schema.lower() and row[2] in ("table", "shadow")
    }


def columns(db: apsw.Connection, schema: str, table: str) -> list[ColumnFact]:
    """The columns of a table, generated ones included."""
    found = []
    for _, name, decl_type, not_null, default, pk, hidden in _rows(db, schema, "table_xinfo", table):
        _, collation, _, _, counts_up = db.column_metadata(schema, table, name)
        generated = hidden in (_VIRTUAL_GENERATED, _STORED_GENERATED)
        found.append(
            ColumnFact(
                name, decl_type or "", bool(not_null), default, pk, generated, collation.upper(), counts_up
            )
        )
    return found


def unique_indexes(db: apsw.Connection, schema: str, table: str) -> list[IndexFact]:
    """The UNIQUE indexes of a table in the order in which SQLite checks them."""
    found = []
    for _, name, unique, origin, partial in _rows(db, schema, "index_list", table):
        if not unique:
            continue
        parts = [row for row in _rows(db, schema, "index_xinfo", name) if row[5]]
        found.append(
            IndexFact(
                name,
                origin,
                bool(partial),
                tuple(row[2] for row in parts),
                tuple(str(row[4]).upper() for row in parts),
            )
        )
    return found


def foreign_keys(db: apsw.Connection, schema: str, table: str) -> list[ForeignKeyFact]:
    """The foreign keys of a table in the order in which they were declared."""
    parts: dict[int, list[tuple[Any, ...]]] = {}
    for row in _rows(db, schema, "foreign_key_list", table):
        parts.setdefault(row[0], []).append(row)
    found = []
    for _, rows in sorted(parts.items(), reverse=True):  # the newest has id 0
        rows.sort(key=lambda row: int(row[1]))
        parents = tuple(row[4] for row in rows)
        found.append(
            ForeignKeyFact(
                tuple(row[3] for row in rows),
                rows[0][2],
                None if None in parents else parents,
                rows[0][5],
                rows[0][6],
            )
        )
    return found


def _readable(program: apsw.Cursor) -> list[tuple[Any, ...]]:
    """The rows of an EXPLAIN less those that show a BLOB which is no text; a CHECK's is none of them."""
    rows: list[tuple[Any, ...]] = []
    while True:
        with suppress(UnicodeDecodeError):
            row = next(program, None)
            if row is None:
                return rows
            rows.append(row)


def check_labels(db: apsw.Connection, schema: str, table: str, *, triggered: bool) -> list[str] | None:
    """What SQLite would print for each CHECK of a table, in order; None if CHECKs are switched off.

    An INSERT that is only prepared, not run, ends in one Halt instruction for each CHECK, which
    carries the text of the message. No other interface tells the CHECKs of a table.
    triggered  the table has triggers: their programs would be listed too, with other tables' CHECKs
    """
    if db.pragma("ignore_check_constraints"):
        return None
    sql = f"EXPLAIN INSERT INTO {quote(schema)}.{quote(table)} DEFAULT VALUES"
    enabled = db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, -1) if triggered else 0
    try:
        if enabled:
            db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        # Not from the statement cache: listing a program does not look whether the schema is still the one
        # that it was made for, and its texts may be freed memory by now.
        program = _readable(db.cursor().execute(sql, can_cache=False))
    except apsw.Error:
        return []  # and so the schema's reader cannot trust what it read
    finally:
        if enabled:
            db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    return [str(row[5]) for row in program if row[1] == "Halt" and row[2] == apsw.SQLITE_CONSTRAINT_CHECK]
