"""Which tables may turn to column format, and why the others may not."""

from __future__ import annotations

import re
from collections.abc import Callable

import apsw

from colonnade.store import format as disk
from colonnade.store.catalog import fetch_all, fetch_one, quote, rowid_alias, visible_rowid
from colonnade.store.keycode import COLLATIONS


class _Candidate:
    """A table under examination: what several rules look at, read once."""

    def __init__(self, db: apsw.Connection, schema: str, name: str) -> None:
        self.db, self.schema, self.name = db, schema, name
        self.place = quote(schema)
        listed = fetch_all(db, f"PRAGMA {self.place}.table_list({quote(name)})")
        mine = [row for row in listed if row[0].lower() == schema.lower()]
        self.kind: str | None = mine[0][2] if mine else None
        self.without_rowid = bool(mine and mine[0][4])

    def pragma(self, pragma: str, argument: str | None = None) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = fetch_all(
            self.db, f"PRAGMA {self.place}.{pragma}({quote(argument or self.name)})"
        )
        return rows


def _not_a_table(table: _Candidate) -> str | None:
    if table.kind is None:
        return "there is no such table"
    if table.schema.lower() == "temp":
        return "it is a temporary table"
    if table.kind != "table":
        return {"view": "it is a view", "virtual": "it is a virtual table"}.get(
            table.kind, "it is a shadow table"
        )
    if table.name.lower().startswith("sqlite_"):
        return "its name is reserved by SQLite"
    return None


def _may_be_a_shadow(table: _Candidate) -> bool:
    """Whether the name is that of a virtual table and a suffix. SQLite itself knows a shadow table only once it
    has read the schema again, which it has not while a dump is replayed (sqlite.org/vtab.html, 1.4)."""
    texts = fetch_all(
        table.db,
        f"SELECT name FROM {table.place}.sqlite_schema WHERE type='table' AND sql LIKE 'CREATE VIRTUAL %'"
        f" AND sql NOT LIKE '% USING {disk.MODULE_NAME}%'",
    )
    return any(table.name.lower().startswith(f"{name.lower()}_") for (name,) in texts)


def _part_of_another(table: _Candidate) -> str | None:
    for suffix in disk.SHADOW_SUFFIXES:
        if not table.name.lower().endswith(suffix):
            continue
        meta = table.name[: -len(suffix)] + disk.META
        if fetch_one(table.db, f"PRAGMA {table.place}.table_info({quote(meta)})") is not None:
            return "it is part of a table in column format"
    return "it may be a shadow table" if _may_be_a_shadow(table) else None


def _encoding(table: _Candidate) -> str | None:
    encoding = fetch_one(table.db, "PRAGMA encoding")
    return None if encoding == "UTF-8" else f"the database stores text as {encoding}"


def _rowid(table: _Candidate) -> str | None:
    if table.without_rowid:
        return "it is a WITHOUT ROWID table"
    columns = [str(row[1]) for row in table.pragma("table_xinfo")]
    alias = rowid_alias(table.db, table.schema, table.name)
    if alias is None and visible_rowid(columns) is None:
        return "its columns hide every name of the rowid"
    return None


def _generated(table: _Candidate) -> str | None:
    hidden = [row[1] for row in table.pragma("table_xinfo") if row[6]]
    return f"column {hidden[0]} is generated" if hidden else None


def _keys(table: _Candidate) -> str | None:
    for _, index, unique, _, partial in table.pragma("index_list"):
        if not unique:
            continue
        if partial:
            return f"the UNIQUE index {index} is partial"
        for _, column_number, _, _, collation, key in table.pragma("index_xinfo", str(index)):
            if key and column_number == -2:
                return f"the UNIQUE index {index} is on an expression"
            if key and str(collation).upper() not in COLLATIONS:
                return f"a key uses the collation {collation}"
    return None


def _collations(table: _Candidate) -> str | None:
    """A column's own collation also orders it in queries and foreign keys."""
    for row in table.pragma("table_xinfo"):
        collation = table.db.column_metadata(table.schema, table.name, str(row[1]))[1]
        if collation.upper() not in COLLATIONS:
            return f"column {row[1]} uses the collation {collation}"
    return None


def _triggers(table: _Candidate) -> str | None:
    """Simple and safe: a trigger that only mentions the table's name anywhere keeps it in row format."""
    word = re.compile(rf"(?<![0-9a-z_$]){re.escape(table.name.lower())}(?![0-9a-z_$])")
    for schema in {table.schema, "temp"}:
        for name, on, sql in fetch_all(
            table.db, f"SELECT name, tbl_name, sql FROM {quote(schema)}.sqlite_schema WHERE type='trigger'"
        ):
            if on.lower() == table.name.lower() or word.search(sql.lower()):
                return f"the trigger {name} refers to it"
    return None


def _hidden(table: _Candidate) -> str | None:
    """ALTER TABLE RENAME takes the temporary table for the one that the table's indexes are on."""
    if fetch_one(table.db, "SELECT 1 FROM temp.sqlite_schema WHERE name=? COLLATE NOCASE", (table.name,)):
        return "a temporary table or view of that name hides it"
    return None


def _names_taken(table: _Candidate) -> str | None:
    for suffix in (*disk.SHADOW_SUFFIXES, disk.PIN):
        name = table.name + suffix
        taken = fetch_one(
            table.db, f"SELECT name FROM {table.place}.sqlite_schema WHERE name=? COLLATE NOCASE", (name,)
        )
        if taken is not None:
            return f"the name {taken} is taken"
    return None


RULES: tuple[Callable[[_Candidate], str | None], ...] = (
    _not_a_table,
    _part_of_another,
    _encoding,
    _rowid,
    _generated,
    _collations,
    _keys,
    _triggers,
    _hidden,
    _names_taken,
)


def why_row_format(db: apsw.Connection, schema: str, name: str, *, shadows: bool = False) -> str | None:
    """Why a table must stay in row format, as a short phrase; None if it may turn to column format.

    shadows  its shadow tables are there already (store.redefine)
    """
    table = _Candidate(db, schema, name)
    rules = [rule for rule in RULES if not (shadows and rule is _names_taken)]
    return next((reason for rule in rules if (reason := rule(table)) is not None), None)
