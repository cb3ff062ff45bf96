"""The catalog: which tables are in column format, and what their shadow tables say about them.

Nothing here is trusted: what a damaged file can get wrong is Corrupt.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import apsw

from colonnade.store import format as disk
from colonnade.store.errors import Corrupt
from colonnade.store.keycode import KeySpec
from colonnade.store.presence import quote as quote
from colonnade.store.switches import Guards
from colonnade.store.values import SQLiteValue

ROWID_NAMES = ("rowid", "_rowid_", "oid")


def fetch_all(db: apsw.Connection, sql: str, values: Sequence[SQLiteValue] = ()) -> list[Any]:
    """The rows of a query on the schema or a shadow table; callers check the types that matter."""
    return db.execute(sql, values).fetchall()


def fetch_one(db: apsw.Connection, sql: str, values: Sequence[SQLiteValue] = ()) -> Any:
    """The value of a query that gives one or none; None for none."""
    return db.execute(sql, values).get


class ColumnAffinity(Enum):
    """What decides how a column's values compare: INTEGER, REAL and NUMERIC do not differ in that."""

    NUMERIC = "numeric"
    TEXT = "text"
    NONE = "none"


def column_affinity(decl_type: str, *, strict: bool) -> ColumnAffinity:
    """The affinity of a declared type (sqlite.org/datatype3.html 3.1; stricttables.html for ANY)."""
    upper = decl_type.upper()
    if "INT" in upper:
        return ColumnAffinity.NUMERIC
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return ColumnAffinity.TEXT
    if not upper or "BLOB" in upper or (strict and upper == "ANY"):
        return ColumnAffinity.NONE
    return ColumnAffinity.NUMERIC


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a table in column format.

    first_group  row groups with a smaller id have no chunk of it, and the value `default` in all rows
    """

    column_id: int
    name: str
    decl_type: str
    collation: str
    not_null: bool = False
    first_group: int = 0
    default: SQLiteValue = None


@dataclass(frozen=True, slots=True)
class ShadowNames:
    """The tables behind one table in column format: plain names, and quoted ones for SQL."""

    schema: str
    name: str
    key: str = field(init=False)
    rows: str = field(init=False)
    meta: str = field(init=False)
    groups: str = field(init=False)
    chunks: str = field(init=False)
    tombstones: str = field(init=False)
    keys: str = field(init=False)

    def __post_init__(self) -> None:
        def put(attribute: str, value: str) -> None:
            object.__setattr__(self, attribute, value)

        put("key", f"{self.schema}.{self.name}".lower())
        for attribute in ("rows", "meta", "groups", "chunks", "tombstones", "keys"):
            suffix = getattr(disk, attribute.upper())
            put(attribute, f"{quote(self.schema)}.{quote(self.name + suffix)}")

    @property
    def rows_name(self) -> str:
        return self.name + disk.ROWS


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What is fixed about a table for as long as its schema stands.

    affinities    of each column
    rowid_column  0, or the id of the INTEGER PRIMARY KEY column
    rowid_name    what SQL calls the rowid of the row part
    guards        what notices rows that come and go
    """

    names: ShadowNames
    columns: tuple[StoredColumn, ...]
    affinities: tuple[ColumnAffinity, ...]
    rowid_column: int
    rowid_name: str
    strict: bool
    autoincrement: bool
    guards: Guards
    key_specs: tuple[KeySpec, ...]


def read_infos(db: apsw.Connection, schema: str, names: Collection[str]) -> list[TableInfo]:
    """Everything about these tables in column format that the schema and their meta tables say."""
    if not names:
        return []
    relations = _relations(db, schema)
    return [_read_info(db, ShadowNames(schema, name), relations) for name in names]


def _read_info(db: apsw.Connection, names: ShadowNames, relations: _Relations) -> TableInfo:
    described = describe(db, names.schema, names.rows_name)
    entries = _column_entries(db, names)
    if [name.lower() for _, name, _ in entries] != [column.name.lower() for column in described]:
        raise Corrupt(f"the columns of table {names.name} are not those of its row part")
    columns = tuple(
        replace(
            column,
            column_id=column_id,
            first_group=first,
            default=read_meta(db, names, f"{disk.DEFAULT}{column_id}") if first else None,
        )
        for (column_id, _, first), column in zip(entries, described, strict=True)
    )
    alias = rowid_alias(db, names.schema, names.rows_name)
    by_name = {column.name.lower(): column.column_id for column in columns}
    rowid_column = disk.ROWID_COLUMN if alias is None else by_name[alias.lower()]
    rowid_name = alias or visible_rowid([c.name for c in columns])
    if rowid_name is None:
        raise Corrupt(f"the rowid of table {names.name} cannot be named")
    strict = is_strict(db, names.schema, names.rows_name)
    return TableInfo(
        names=names,
        columns=columns,
        affinities=tuple(column_affinity(column.decl_type, strict=strict) for column in columns),
        rowid_column=rowid_column,
        rowid_name=rowid_name,
        strict=strict,
        autoincrement=alias is not None and db.column_metadata(names.schema, names.rows_name, alias)[4],
        guards=_guards(db, names, relations),
        key_specs=_key_specs(db, names, by_name, rowid_column),
    )


@dataclass(frozen=True, slots=True)
class _Relations:
    """What concerns the tables of a schema from outside, by lower-case names, read for all of them at once.

    children   tables with foreign keys
    parents    tables that foreign keys refer to
    triggered  tables with triggers
    """

    children: frozenset[str]
    parents: frozenset[str]
    triggered: frozenset[str]


def _relations(db: apsw.Connection, schema: str) -> _Relations:
    """Foreign keys of others name the row part of a table in column format."""
    of_schema = f"{quote(schema)}.sqlite_schema"
    linked = fetch_all(
        db,
        f'SELECT DISTINCT s.name, f."table" FROM {of_schema} AS s JOIN pragma_foreign_key_list(s.name, ?) AS f'
        " WHERE s.type = 'table' AND s.rootpage > 0",
        (schema,),
    )
    triggered = fetch_all(db, f"SELECT DISTINCT tbl_name FROM {of_schema} WHERE type = 'trigger'")
    return _Relations(
        frozenset(child.lower() for child, _ in linked),
        frozenset(parent.lower() for _, parent in linked),
        frozenset(name.lower() for (name,) in triggered),
    )


def _guards(db: apsw.Connection, names: ShadowNames, relations: _Relations) -> Guards:
    rows_name = names.rows_name.lower()
    child = rows_name in relations.children
    return Guards(
        foreign_keys=child or rows_name in relations.parents,
        child=child,
        triggers=rows_name in relations.triggered,
        checks="check" in table_sql(db, names.schema, names.rows_name).lower(),
    )


def _column_entries(db: apsw.Connection, names: ShadowNames) -> list[tuple[int, str, int]]:
    """Id, name and first row group with a chunk of each column."""
    version = read_meta(db, names, "version")
    if version not in disk.VERSIONS:
        raise Corrupt(f"table {names.name} has format version {version!r}, this is {disk.VERSIONS[-1]}")
    try:
        entries = [
            (int(column_id), str(name), int(first[0]) if first else 0)
            for column_id, name, *first in json.loads(str(read_meta(db, names, "columns")))
        ]
    except (TypeError, ValueError):
        raise Corrupt(f"the list of columns of table {names.name} is damaged") from None
    following = read_meta(db, names, "next_group")
    if any(first and not (isinstance(following, int) and first <= following) for _, _, first in entries):
        raise Corrupt(f"columns of table {names.name} lack chunks of row groups to come")
    ids = [column_id for column_id, _, _ in entries]
    if len(set(ids)) != len(ids) or not all(0 < i < disk.COLUMN_ID_SPAN for i in ids):
        raise Corrupt(f"the column ids of table {names.name} are damaged")
    return entries


def write_columns(db: apsw.Connection, names: ShadowNames, columns: Sequence[StoredColumn]) -> None:
    """Puts what t_cln_meta says of the columns: ids, names, and what row groups have no chunk of."""
    added = [column for column in columns if column.first_group]
    entries = [
        [column.column_id, column.name, *([column.first_group] if column.first_group else [])]
        for column in columns
    ]
    write_meta(db, names, "version", disk.ADDED_COLUMNS_VERSION if added else disk.FIRST_VERSION)
    write_meta(db, names, "columns", json.dumps(entries))
    db.execute(f"DELETE FROM {names.meta} WHERE key GLOB '{disk.DEFAULT}*'")
    for column in added:
        if column.default is not None:
            write_meta(db, names, f"{disk.DEFAULT}{column.column_id}", column.default)


def read_meta(db: apsw.Connection, names: ShadowNames, key: str) -> SQLiteValue:
    """One fact of t_cln_meta, None where it is missing."""
    value: SQLiteValue = fetch_one(db, f"SELECT value FROM {names.meta} WHERE key=?", (key,))
    return value


def write_meta(db: apsw.Connection, names: ShadowNames, key: str, value: SQLiteValue) -> None:
    db.execute(f"REPLACE INTO {names.meta}(key, value) VALUES(?, ?)", (key, value))


def user_ddl(db: apsw.Connection, names: ShadowNames) -> str:
    """The CREATE TABLE text as the user wrote it."""
    text = read_meta(db, names, "ddl")
    return text if isinstance(text, str) else table_sql(db, names.schema, names.rows_name)


def describe(db: apsw.Connection, schema: str, table: str) -> list[StoredColumn]:
    """The columns of an ordinary table, numbered from 1."""
    rows = fetch_all(db, f"PRAGMA {quote(schema)}.table_xinfo({quote(table)})")
    return [
        StoredColumn(
            column_id=position + 1,
            name=name,
            decl_type=decl_type,
            collation=db.column_metadata(schema, table, name)[1],
            not_null=bool(not_null),
        )
        for position, (_, name, decl_type, not_null, _, _, _) in enumerate(rows)
    ]


def table_sql(db: apsw.Connection, schema: str, table: str) -> str:
    """The CREATE text of a table as its schema has it now."""
    return str(_schema_entry(db, "sql", schema, table))


def exact_name(db: apsw.Connection, schema: str, table: str) -> str:
    """The name of a table with the letters that its DDL has."""
    return str(_schema_entry(db, "name", schema, table))


def _schema_entry(db: apsw.Connection, what: str, schema: str, table: str) -> object:
    where = "type='table' AND name=? COLLATE NOCASE"
    return fetch_one(db, f"SELECT {what} FROM {quote(schema)}.sqlite_schema WHERE {where}", (table,))


def is_strict(db: apsw.Connection, schema: str, table: str) -> bool:
    """Whether a rowid table is STRICT: then that is the last word of its text, which ends in ")" otherwise.

    PRAGMA table_list, which also says it, connects every virtual table, so none could ask while it connects.
    """
    return table_sql(db, schema, table).rstrip().upper().endswith("STRICT")


def rowid_alias(db: apsw.Connection, schema: str, table: str) -> str | None:
    """The column that is the rowid of an ordinary rowid table, None where there is none.

    INTEGER PRIMARY KEY makes one, INTEGER PRIMARY KEY DESC does not (sqlite.org/lang_createtable.html,
    "ROWIDs and the INTEGER PRIMARY KEY"): SQLite then makes an index for the key, which tells them apart.
    """
    rows = fetch_all(db, f"PRAGMA {quote(schema)}.table_info({quote(table)})")
    keys = [(name, decl_type) for _, name, decl_type, _, _, pk in rows if pk]
    if len(keys) != 1 or keys[0][1].upper() != "INTEGER":
        return None
    indexes = db.execute(f"PRAGMA {quote(schema)}.index_list({quote(table)})")
    if any(origin == "pk" for _, _, _, origin, _ in indexes):
        return None
    return str(keys[0][0])


def visible_rowid(columns: Sequence[str]) -> str | None:
    """The first name of the rowid that no column hides."""
    taken = {name.lower() for name in columns}
    return next((name for name in ROWID_NAMES if name not in taken), None)


def _key_specs(
    db: apsw.Connection, names: ShadowNames, by_name: dict[str, int], rowid_column: int
) -> tuple[KeySpec, ...]:
    specs = []
    if rowid_column:
        specs.append(KeySpec((rowid_column,), ("BINARY",)))
    for columns, collations in unique_indexes(db, names.schema, names.rows_name):
        ids = tuple(by_name[name.lower()] for name in columns)
        spec = KeySpec(ids, tuple(collations))
        if spec not in specs:
            specs.append(spec)
    return tuple(specs)


def unique_indexes(db: apsw.Connection, schema: str, table: str) -> list[tuple[list[str], list[str]]]:
    """Columns and collations of every PRIMARY KEY, UNIQUE constraint and UNIQUE index that has an index."""
    found = []
    for _, index, unique, _, _ in fetch_all(db, f"PRAGMA {quote(schema)}.index_list({quote(table)})"):
        if not unique:
            continue
        parts = fetch_all(db, f"PRAGMA {quote(schema)}.index_xinfo({quote(index)})")
        keys = [(name, collation.upper()) for _, _, name, _, collation, key in parts if key]
        if any(name is None for name, _ in keys):
            continue  # the key of an index on an expression, or on the rowid
        found.append(([name for name, _ in keys], [collation for _, collation in keys]))
    return found
