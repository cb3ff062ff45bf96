"""The schema as its user wrote it: table-valued functions that stand for sqlite_schema and the PRAGMAs.

A table t in column format is three kinds of names in the file: the virtual table t, its row part t_cln_rows
with the user's constraints and indexes, and the other shadow tables. `colonnade_schema('main')` and the
functions beside it give the rows that SQLite would give if t were an ordinary table. `sql.names` puts them
into statements. They look at the file anew on each use: nothing is cached, so nothing can be stale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import apsw

from colonnade.sql.tablefunctions import Function, Row, register
from colonnade.sql.tokens import quote, spell
from colonnade.store.catalog import ShadowNames, read_meta
from colonnade.store.format import PIN, ROWS, SHADOW_SUFFIXES
from colonnade.store.presence import column_table_names

PREFIX = "colonnade_"
_AUTOMATIC = "sqlite_autoindex_"
_PAGES = (
    *("name", "path", "pageno", "pagetype", "ncell", "payload"),
    *("unused", "mx_payload", "pgoffset", "pgsize"),
)
# What SQLite compares with the argument of PRAGMA table_list.
_LISTED = {"sqlite_schema": "sqlite_master", "sqlite_temp_schema": "sqlite_temp_master"}


class UserNames:
    """The tables in column format of one schema, and what their parts are called for the user."""

    def __init__(self, db: apsw.Connection, schema: str) -> None:
        self.db, self.schema = db, schema
        self.tables = {name.lower(): name for name in column_table_names(db, schema)}

    def _split(self, name: str) -> tuple[str | None, str]:
        lower = name.lower()
        for suffix in SHADOW_SUFFIXES:
            base = lower.removesuffix(suffix)
            if base != lower and base in self.tables:
                return self.tables[base], suffix
        return None, ""

    def is_virtual(self, name: str) -> bool:
        """Whether it is a table in column format."""
        return name.lower() in self.tables

    def is_hidden(self, name: str) -> bool:
        """Whether it is a shadow table other than a row part."""
        base, suffix = self._split(name)
        return base is not None and suffix != ROWS

    def is_part(self, name: str) -> bool:
        """Whether it is a table of Colonnade's own: no user knows it."""
        return self._split(name)[0] is not None

    def is_pin(self, index: str) -> bool:
        """Whether it is the index of Colonnade's own that keeps VACUUM from numbering a row part anew."""
        base = index.lower().removesuffix(PIN)
        return base != index.lower() and base in self.tables

    def table(self, name: str) -> str:
        """The user's name for a table: of a row part the table's, else the same."""
        base, suffix = self._split(name)
        return base if base is not None and suffix == ROWS else name

    def index(self, name: str, table: str) -> str:
        """The user's name for an index of `table`: SQLite names automatic ones after the row part."""
        prefix = f"{_AUTOMATIC}{table}_"
        if not name.startswith(prefix):
            return name
        return f"{_AUTOMATIC}{self.table(table)}_{name[len(prefix) :]}"

    def shown(self, name: str, table: str) -> str:
        """The user's name for a table, or for an index of `table`; of other parts of a table the table's."""
        base, suffix = self._split(table)
        if base is None:
            return name
        return base if suffix != ROWS or self.is_pin(name) or name == table else self.index(name, table)

    def stored(self, table: str) -> str:
        """The name by which SQLite's PRAGMAs know the user's table."""
        return self.tables.get(table.lower(), "") + ROWS if self.is_virtual(table) else table

    def stored_index(self, name: str) -> str:
        """The name by which SQLite's PRAGMAs know an index with this name for the user."""
        base, _, number = name[len(_AUTOMATIC) :].rpartition("_")
        if not name.lower().startswith(_AUTOMATIC) or not self.is_virtual(base):
            return name
        return f"{_AUTOMATIC}{self.stored(base)}_{number}"


class Spellings:
    """The texts of a schema with each row part's name as the user spelt the table's."""

    def __init__(self, names: UserNames) -> None:
        self._by_table = {
            table: _spellings(names.db, ShadowNames(names.schema, table)) for table in names.tables.values()
        }

    def restore(self, sql: str, kind: str, *names: str) -> str:
        """`sql` of the object of this kind that goes by `names`."""
        if ROWS not in sql:
            return sql
        for table, known in self._by_table.items():
            parts = sql.split(quote(table + ROWS))
            if len(parts) == 1:
                continue
            spelt = next((known[kind, name] for name in names if (kind, name) in known), [])
            if len(spelt) != len(parts) - 1:
                spelt = [spell(table)] * (len(parts) - 1)
            sql = parts[0] + "".join(form + part for form, part in zip(spelt, parts[1:], strict=True))
        return sql


def _spellings(db: apsw.Connection, names: ShadowNames) -> dict[tuple[str, str], list[str]]:
    try:
        entries = json.loads(str(read_meta(db, names, "spelling")))
        return {(str(kind), str(name)): [str(form) for form in forms] for kind, name, forms in entries}
    except (TypeError, ValueError):
        return {}  # only the quotes in the text that is shown depend on it


def schema_rows(db: apsw.Connection, schema: str) -> Iterator[Row]:
    """rowid and columns of sqlite_schema; a table in column format is where its row part is."""
    names = UserNames(db, schema)
    texts = Spellings(names)
    objects: list[Row] = db.execute(
        f"SELECT rowid, type, name, tbl_name, rootpage, sql FROM {quote(schema)}.sqlite_schema"
    ).fetchall()
    for rowid, kind, name, table, root, sql in objects:
        if kind is None:  # the place kept for a table that CREATE TABLE AS is just making
            yield rowid, kind, name, table, root, sql
            continue
        if names.is_hidden(table) or (kind == "table" and names.is_virtual(name)) or names.is_pin(name):
            continue
        shown = names.table(table)
        if shown == table:
            yield rowid, kind, name, table, root, sql and texts.restore(sql, kind, name, name + ROWS)
        elif kind == "table":
            ddl = read_meta(db, ShadowNames(schema, shown), "ddl") or sql
            yield rowid, kind, shown, shown, root, texts.restore(str(ddl), kind, shown, table)
        else:
            text = sql and texts.restore(sql, kind, name)
            yield rowid, kind, names.index(name, table), shown, root, text


def sequence_rows(db: apsw.Connection, schema: str) -> Iterator[Row]:
    """rowid and columns of sqlite_sequence."""
    names = UserNames(db, schema)
    rows: list[Row] = db.execute(f"SELECT rowid, name, seq FROM {quote(schema)}.sqlite_sequence").fetchall()
    return ((rowid, names.table(name), seq) for rowid, name, seq in rows)


def page_rows(db: apsw.Connection, schema: object = None, aggregate: object = None) -> Iterator[Row]:
    """rowid and columns of dbstat: the pages of shadow tables are their table's."""
    place, whole = known_schema(db, str(schema or "main")), bool(aggregate)
    names = UserNames(db, place)
    listed: list[Any] = db.execute(f"SELECT name, tbl_name FROM {quote(place)}.sqlite_schema").fetchall()
    tables: dict[str, str] = dict(listed)
    sql = f"SELECT {', '.join(_PAGES)} FROM dbstat WHERE schema = ? AND aggregate = ?"
    found: list[Any] = db.execute(sql, (place, whole)).fetchall()
    rows = [(names.shown(name, tables.get(name, name)), *figures) for name, *figures in found]
    return _numbered(_summed(rows) if whole else rows)


def _summed(rows: Iterable[Row]) -> list[Row]:
    """Those of the same name as one; every figure is a number of something, but mx_payload the largest of all."""
    found: dict[str, Row] = {}
    for row in rows:
        other = found.get(row[0])
        if other is not None:
            pairs = zip(other[1:], row[1:], _PAGES[1:], strict=True)
            figures = (
                _both(left, right, max if name == "mx_payload" else sum) for left, right, name in pairs
            )
            row = (row[0], *figures)
        found[row[0]] = row
    return list(found.values())


def _both(left: Any, right: Any, of: Callable[..., Any]) -> Any:
    return None if left is None or right is None else of((left, right))


def _numbered(rows: Iterable[Row]) -> Iterator[Row]:
    return ((number, *row) for number, row in enumerate(rows, 1))


def _pragma(db: apsw.Connection, schema: str | None, pragma: str, argument: str) -> list[Row]:
    place = "" if schema is None else quote(schema) + "."
    rows: list[Row] = db.execute(f"PRAGMA {place}{pragma}({quote(argument)})").fetchall()
    return rows


def schemas_in_order(db: apsw.Connection) -> list[str]:
    """The schemas in the order in which SQLite looks for a name without one: temp comes first."""
    names = db.db_names()
    return ["temp", *(name for name in names if name != "temp")]


def known_schema(db: apsw.Connection, name: str) -> str:
    """The schema as SQLite spells it. Raises apsw.SQLError where there is none."""
    for known in db.db_names():
        if known.lower() == name.lower():
            return known
    in_quotes = "'" + name.replace("'", "''") + "'"
    db.execute(f"PRAGMA {in_quotes}.table_info(x)")  # SQLite's own error, with SQLite's own quotes
    return name


def home_of(db: apsw.Connection, table: str, schema: str | None = None) -> str | None:
    """The schema in which SQLite finds a table or view; None if there is none of this name."""
    for place in [schema] if schema else schemas_in_order(db):
        found = db.execute(
            f"SELECT 1 FROM {quote(place)}.sqlite_schema"
            " WHERE name=? COLLATE NOCASE AND type IN ('table','view')",
            (table,),
        ).get
        if found:
            return place
    return None


def _of_table(pragma: str, cell: int | None = None) -> Callable[..., Iterator[Row]]:
    """A PRAGMA whose argument is a table; in column `cell` of its rows there is a name to translate."""

    def read(db: apsw.Connection, argument: object = None, schema: object = None) -> Iterator[Row]:
        if argument is None:
            return iter(())
        table = str(argument)
        place = home_of(db, table, None if schema is None else known_schema(db, str(schema)))
        if place is not None and UserNames(db, place).is_part(table):
            return iter(())
        if place is None:
            return _numbered(_pragma(db, None if schema is None else str(schema), pragma, table))
        names = UserNames(db, place)
        stored = names.stored(table)
        rows = _pragma(db, place, pragma, stored)
        if cell is None:
            return _numbered(rows)
        if pragma == "index_list":
            rows = [(place, *row[1:]) for place, row in enumerate(r for r in rows if not names.is_pin(r[1]))]
        translate = names.table if pragma == "foreign_key_list" else lambda name: names.index(name, stored)
        return _numbered((*row[:cell], translate(row[cell]), *row[cell + 1 :]) for row in rows)

    return read


def _of_index(pragma: str) -> Callable[..., Iterator[Row]]:
    """A PRAGMA whose argument is an index."""

    def read(db: apsw.Connection, argument: object = None, schema: object = None) -> Iterator[Row]:
        if argument is None:
            return iter(())
        for place in [known_schema(db, str(schema))] if schema else schemas_in_order(db):
            names = UserNames(db, place)
            stored = names.stored_index(str(argument))
            rows = [] if names.is_pin(stored) else _pragma(db, place, pragma, stored)
            if rows and not (stored == str(argument) and names.is_part(_indexed(stored))):
                return _numbered(rows)
        return iter(())

    return read


def _indexed(name: str) -> str:
    """The table whose name an automatic index has in its own."""
    return name[len(_AUTOMATIC) :].rpartition("_")[0]


def table_list_rows(db: apsw.Connection, argument: object = None) -> Iterator[Row]:
    """Rows of PRAGMA table_list: a table in column format is an ordinary one, without shadow tables."""
    known: dict[str, UserNames] = {}
    shown: list[Row] = []
    listed: list[Row] = db.execute("PRAGMA table_list").fetchall()
    # Behind a virtual table that is not connected yet, and that a temporary table hides, SQLite counts no columns.
    waiting = [(place, name) for place, name, kind, count, *_ in listed if kind == "virtual" and not count]
    for place, name in waiting:
        with suppress(apsw.Error):  # its module may not be here
            db.execute(f"SELECT 1 FROM {quote(place)}.{quote(name)} LIMIT 0")
    if waiting:
        listed = db.execute("PRAGMA table_list").fetchall()
    for place, name, kind, *rest in listed:
        names = known.setdefault(place, UserNames(db, place))
        if names.is_virtual(name) or names.is_hidden(name):
            continue
        user_name = names.table(name)
        if argument is None or _LISTED.get(user_name, user_name).lower() == str(argument).lower():
            shown.append((place, user_name, kind if user_name == name else "table", *rest))
    return _numbered(shown)


def _function(columns: str, read: Callable[..., Iterator[Row]], arguments: str = "arg schema") -> Function:
    return Function(tuple(columns.split()), tuple(arguments.split()), read)


_SCHEMA = "schema_name"  # a column of table_list is called schema
PRAGMAS = {
    "table_info": _function("cid name type notnull dflt_value pk", _of_table("table_info")),
    "table_xinfo": _function("cid name type notnull dflt_value pk hidden", _of_table("table_xinfo")),
    "index_list": _function("seq name unique origin partial", _of_table("index_list", 1)),
    "index_info": _function("seqno cid name", _of_index("index_info")),
    "index_xinfo": _function("seqno cid name desc coll key", _of_index("index_xinfo")),
    "foreign_key_list": _function(
        "id seq table from to on_update on_delete match", _of_table("foreign_key_list", 2)
    ),
    "table_list": _function("schema name type ncol wr strict", table_list_rows, "arg"),
}
# What reads all rows; who registers the functions says how.
CHECKS = {
    "integrity_check": ("integrity_check",),
    "quick_check": ("quick_check",),
    "foreign_key_check": ("table", "rowid", "parent", "fkid"),
}
Check = Callable[[str, object, object], Iterable[Row]]  # name, argument, schema
TABLES = {
    "schema": _function(
        "type name tbl_name rootpage sql", lambda db, s=None: schema_rows(db, s or "main"), _SCHEMA
    ),
    "sequence": _function("name seq", lambda db, s=None: sequence_rows(db, s or "main"), _SCHEMA),
}
STATISTICS = {"dbstat": Function(_PAGES, ("schema", "aggregate"), page_rows)}


def register_schema_module(db: apsw.Connection, check: Check | None = None) -> None:
    """Makes the table-valued functions known to a connection. To be called once, before any statement.

    check  gives the rows of those in CHECKS
    """
    functions = PRAGMAS | TABLES | STATISTICS
    if check is not None:
        functions |= {
            name: Function(columns, ("arg", "schema"), _checking(name, check))
            for name, columns in CHECKS.items()
        }
    register(db, {PREFIX + name: function for name, function in functions.items()})


def _checking(name: str, check: Check) -> Callable[..., Iterator[Row]]:
    def read(_db: apsw.Connection, argument: object = None, schema: object = None) -> Iterator[Row]:
        if argument is None and schema is not None:
            return iter(())  # as with SQLite's, for which a schema alone is no argument
        return _numbered(check(name, argument, schema))

    return read
