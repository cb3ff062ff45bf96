"""Rows of PRAGMA integrity_check, quick_check and foreign_key_check where tables are in column format.

What SQLite says itself comes first: it sees the row parts, the shadow tables and everything else in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import apsw

from colonnade.callbacks import coded
from colonnade.loader.checking import ValidateLimits
from colonnade.loader.validate import check_foreign_key
from colonnade.loader.violations import ViolationBatch
from colonnade.sql.messages import user_message
from colonnade.sql.objects import Schema, TableDef
from colonnade.sql.shown import schema_rows
from colonnade.sql.statement import Pragma
from colonnade.sql.tokens import quote
from colonnade.store.check import check, check_table
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError

Row = tuple[Any, ...]

FOREIGN_KEY_CHECK = ("table", "rowid", "parent", "fkid")
_MOST = 100  # rows of PRAGMA integrity_check, unless a number is given


def integrity(store: Store, pragma: Pragma, schemas: list[str]) -> list[Row]:
    """At most as many findings as asked for, one a row; "ok" where there is none.

    schemas  those to look at: the one named, or all; the table named is in the first
    """
    limit = _limit(pragma.value)
    named = pragma.value if limit is None else None
    table = None if named is None else store.table(named, schemas[0])
    asked = table.rows_name if table is not None else pragma.value
    place = f"{quote(schemas[0])}." if pragma.schema or table is not None else ""
    argument = "" if asked is None else f"({quote(asked) if named else asked})"
    native = store.db.execute(f"PRAGMA {place}{pragma.name}{argument}").fetchall()
    found: list[Row] = [(user_message(str(text)),) for (text,) in native if text != "ok"]
    if table is not None:
        found += ((str(finding),) for finding in islice(check_table(table), limit or _MOST))
    elif named is None:
        own = (finding for schema in schemas for finding in check(store, schema))
        found += ((str(finding),) for finding in islice(own, limit or _MOST))
    return found[: limit or _MOST] or [("ok",)]


def _limit(value: str | None) -> int | None:
    """The number given as the argument, as SQLite takes it; None for none, or for a table's name."""
    try:
        limit = int(value or "")
    except ValueError:
        return None
    return limit if limit > 0 else _MOST


def foreign_keys(store: Store, schema: Schema, only: str | None) -> list[Row]:
    """(table, rowid, parent, fkid) of every row without its parent row, in SQLite's order.

    only    the table asked for; None: all of the schema
    Raises  OperationalError for a foreign key whose parent has no such key, whether there are rows or not
    """
    tables = _hashed(store.db, schema.name) if only is None else [only]
    definitions = [found for name in tables if (found := schema.table(name)) is not None]
    for definition in definitions:
        for key in reversed(definition.foreign_keys):  # the newest first, as in `_orphans`
            if key.mismatch:
                raise coded(OperationalError, key.mismatch, apsw.SQLITE_ERROR)
    return [row for definition in definitions for row in _orphans(store, schema, definition)]


def _orphans(store: Store, schema: Schema, child: TableDef) -> Iterator[Row]:
    """Of one table, in the order of its rows and then of its foreign keys: the newest has number 0."""
    parents = {key.parent for key in child.foreign_keys}
    if not any(store.table(name, schema.name) for name in (child.name, *parents)):
        yield from store.db.execute(f"PRAGMA {quote(schema.name)}.foreign_key_check({quote(child.name)})")
        return
    rows = []
    for number, key in enumerate(reversed(child.foreign_keys)):
        orphans = _Orphans()
        check_foreign_key(store, schema, child, key, ValidateLimits(store.working_memory()), orphans)
        rows += [(place, number, rowid, key.parent) for place, rowid in orphans.rows]
    rows.sort(key=lambda row: row[:2])
    for _, number, rowid, parent in rows:
        yield child.name, rowid, parent, number


@dataclass(slots=True)
class _Orphans:
    """A sink: where each row is, and its rowid, None for a table WITHOUT ROWID."""

    rows: list[tuple[int, int | None]] = field(default_factory=list)

    def add(self, batch: ViolationBatch) -> None:
        positions = batch.positions.tolist()
        rowids = None if batch.rowids is None else batch.rowids.tolist()
        self.rows += zip(rowids or positions, rowids or [None] * len(positions), strict=True)


def _hashed(db: apsw.Connection, schema: str) -> list[str]:
    """The names of a schema's tables in the order of SQLite's hash table of them.

    No interface tells it: a database with the same names made in the same order has it too.
    """
    names = [name for _, kind, name, *_ in schema_rows(db, schema) if kind in ("table", "view")]
    own = [name for name in names if not name.lower().startswith("sqlite_")]
    twin = apsw.Connection(":memory:")
    try:
        for name in own:
            twin.execute(f"CREATE TABLE {quote(name)}(a REFERENCES {quote(name + ' parent')})")
            twin.execute(f"INSERT INTO {quote(name)} VALUES(1)")
        return [row[0] for row in twin.execute("PRAGMA foreign_key_check")]
    finally:
        twin.close()
