"""ANALYZE where tables are in column format: sqlite_stat1 has the user's names, and figures of whole tables.

SQLite's own ANALYZE looks at the ordinary tables of the file, so at the row part and the other shadow tables. Their
figures are taken away again: those of a row part, which may hold one row today and a million tomorrow, would mislead
SQLite's planner. In their place comes what SQLite would say of the whole table, under the user's names. SQLite takes
rows for the virtual table's name as the number of its rows, which changes no plan.

sqlite_stat4 stays without samples of tables in column format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from colonnade.sql.shown import UserNames, schemas_in_order
from colonnade.sql.statement import Statement, Target
from colonnade.sql.tokens import Kind, Reader, quote, unquote
from colonnade.store.database import Store
from colonnade.store.format import SHADOW_SUFFIXES

_TABLES = ("sqlite_stat1", "sqlite_stat4")
_OF_OPTIMIZE = 2000  # rows of a table that PRAGMA optimize looks at


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The tables in column format of one schema whose figures are to be found; of one, perhaps one index alone."""

    names: UserNames
    tables: tuple[str, ...]
    index: str | None = None


def analyze(db: apsw.Connection, statement: Statement) -> str:
    """The text of SQLite's ANALYZE to run before `settle` for one of the user's."""
    wanted = _wanted(db, statement.target)
    if len(wanted) != 1 or wanted[0].index is None:
        return statement.text
    names = wanted[0].names
    return f"ANALYZE {quote(names.schema)}.{quote(names.stored_index(wanted[0].index))}"


def settle(store: Store, statement: Statement) -> None:
    """After SQLite's ANALYZE: its figures of shadow tables go, those of the whole tables come.

    Cost: a scan of each table and index column, as for SQLite; PRAGMA analysis_limit holds.
    """
    limit: int = store.db.execute("PRAGMA analysis_limit").get
    for wanted in _wanted(store.db, statement.target):
        _replace(store, wanted, limit)


def settle_optimized(store: Store) -> None:
    """After PRAGMA optimize, which may have looked at shadow tables: the same for the tables that these are of, if
    they have no figures yet.
    """
    db = store.db
    for schema in _analyzed(db):
        names = UserNames(db, schema)
        known = _with_figures(db, schema)
        looked = [t for t in names.tables.values() if not known.isdisjoint(_shadows(t.lower()))]
        if looked:
            limit: int = db.execute("PRAGMA analysis_limit").get or _OF_OPTIMIZE
            missing = tuple(table for table in looked if table.lower() not in known)
            _replace(store, _Wanted(names, missing), limit)


def shown_to_optimize(db: apsw.Connection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What PRAGMA optimize says that it would do, with the user's names: a text for each table."""
    shown: dict[str, None] = {}
    known = {quote(schema): UserNames(db, schema) for schema in db.db_names()}
    done = {(quote(schema), table) for schema in _analyzed(db) for table in _with_figures(db, schema)}
    for (text,) in rows:
        place, _, table = text.removeprefix("ANALYZE ").partition(".")
        names = known.get(place)
        if names is not None and table.startswith('"'):
            name = unquote(table)
            if names.is_hidden(name) or (names.is_part(name) and (place, names.table(name).lower()) in done):
                continue
            text = f"ANALYZE {place}.{quote(names.table(name))}"
        shown[text] = None
    return [(text,) for text in shown]


def _analyzed(db: apsw.Connection) -> Iterator[str]:
    """The schemas with statistics and with tables in column format."""
    for schema in db.db_names():
        if schema != "temp" and UserNames(db, schema).tables and _stored(db, schema):
            yield schema


def _with_figures(db: apsw.Connection, schema: str) -> set[str]:
    """The tables that are in sqlite_stat1, in lower case."""
    listed: list[Any] = db.execute(f"SELECT DISTINCT tbl FROM {quote(schema)}.sqlite_stat1").fetchall()
    return {str(name).lower() for (name,) in listed}


def _stored(db: apsw.Connection, schema: str) -> list[str]:
    found: Any = db.execute(
        f"SELECT name FROM {quote(schema)}.sqlite_schema WHERE name IN (?, ?) AND type = 'table'", _TABLES
    )
    return [name for (name,) in found.fetchall()]


def _wanted(db: apsw.Connection, target: Target | None) -> list[_Wanted]:
    """What an ANALYZE of `target` concerns: sqlite.org/lang_analyze.html; of a name, an index comes before a table."""
    schemas = [name for name in db.db_names() if name != "temp"]
    if target is not None and target.schema is None:
        named = [name for name in schemas if name.lower() == target.name.lower()]
        target, schemas = (None, named) if named else (target, schemas)
    if target is None:
        return [_all_of(UserNames(db, schema)) for schema in schemas]
    places = [name for name in schemas_in_order(db) if target.schema in (None, name)]
    for place in [p for p in places if target.schema is None or p.lower() == target.schema.lower()]:
        names = UserNames(db, place)
        for table in names.tables.values():
            for index in _indexes(names, table):
                if index.name.lower() == target.name.lower():
                    return [_Wanted(names, (table,), index.name)]
    for place in places:
        names = UserNames(db, place)
        if names.is_virtual(target.name):
            return [_Wanted(names, (names.tables[target.name.lower()],))]
    return []


def _all_of(names: UserNames) -> _Wanted:
    return _Wanted(names, tuple(names.tables.values()))


def _shadows(table: str) -> list[str]:
    return [table + suffix for suffix in SHADOW_SUFFIXES]


def _replace(store: Store, wanted: _Wanted, limit: int) -> None:
    db, names = store.db, wanted.names
    place = quote(names.schema)
    stored = _stored(db, names.schema)
    if not stored or not names.tables:
        return
    hidden = [(shadow,) for table in names.tables.values() for shadow in _shadows(table)]
    mine = [(table, wanted.index) for table in wanted.tables]
    for name in stored:
        db.executemany(f"DELETE FROM {place}.{name} WHERE tbl = ? COLLATE NOCASE", hidden)
        db.executemany(f"DELETE FROM {place}.{name} WHERE tbl = ?1 AND (?2 IS NULL OR idx = ?2)", mine)
    rows = [row for table in wanted.tables for row in _figures(store, names, table, wanted.index, limit)]
    db.executemany(f"INSERT INTO {place}.sqlite_stat1(tbl, idx, stat) VALUES(?, ?, ?)", rows)
    # SQLite has read the figures of the shadow tables already: it reads all of them again.
    db.execute(f"ANALYZE {place}.sqlite_schema")


# --- the figures of one table --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Index:
    """An index by the user's name for it.

    terms    what it is on, as SQL
    unique   no two rows without NULL are the same in it
    where    the condition of a partial index, as SQL
    """

    name: str
    terms: tuple[str, ...]
    unique: bool
    where: str | None


def _indexes(names: UserNames, table: str) -> Iterator[_Index]:
    db, place, stored = names.db, quote(names.schema), names.stored(table)
    listed: list[Any] = db.execute(f"PRAGMA {place}.index_list({quote(stored)})").fetchall()
    for _, name, unique, _, partial in listed:
        if names.is_pin(name):
            continue
        parts: list[Any] = db.execute(f"PRAGMA {place}.index_xinfo({quote(name)})").fetchall()
        keys = [(column, collation) for _, _, column, _, collation, key in parts if key]
        sql = db.execute(
            f"SELECT sql FROM {place}.sqlite_schema WHERE type = 'index' AND name = ?", (name,)
        ).get
        written, where = _written(sql) if sql else ([], None)
        terms = tuple(
            f"{quote(column) if column else written[number]} COLLATE {quote(collation)}"
            for number, (column, collation) in enumerate(keys)
        )
        yield _Index(names.index(name, stored), terms, bool(unique), where if partial else None)


def _written(sql: str) -> tuple[list[str], str | None]:
    """The terms of a CREATE INDEX without ASC and DESC, each in parentheses, and its WHERE."""
    reader = Reader(sql)
    start = next(n for n in range(len(sql)) if reader[n].key == "(")
    behind = reader.skip_parentheses(start)
    terms, first, depth = [], start + 1, 0
    for number in range(start + 1, behind):
        key = reader[number].key
        if depth == 0 and (key == "," or number == behind - 1):
            last = number - 1 if reader[number - 1].key in ("ASC", "DESC") else number
            terms.append(f"({sql[reader[first].start : reader[last].start]})")
            first = number + 1
        depth += (key == "(") - (key == ")")
    follows = reader[behind]
    return terms, sql[follows.stop :] if follows.kind is Kind.WORD and follows.key == "WHERE" else None


def _figures(
    store: Store, names: UserNames, table: str, only: str | None, limit: int
) -> Iterator[tuple[str, str | None, str]]:
    """The rows of sqlite_stat1 for one table: tbl, idx, stat."""
    source = f"{quote(names.schema)}.{quote(table)}"
    stored = store.table(table, names.schema)
    rows = stored.row_count() if stored is not None else 0
    indexes = list(_indexes(names, table))
    for index in indexes:
        if only in (None, index.name) and (rows or index.where):
            yield table, index.name, _figure(names.db, source, index, rows, limit)
    if rows and only is None and all(index.where is not None for index in indexes):
        yield table, None, str(rows)


def _figure(db: apsw.Connection, source: str, index: _Index, rows: int, limit: int) -> str:
    """How many rows an index has, and on average for each value of its first 1, 2, ... columns."""
    where = f" WHERE {index.where}" if index.where else ""
    if where:
        rows = db.execute(f"SELECT count(*) FROM {source}{where}").get
    if not rows:
        return " ".join("0" for _ in range(len(index.terms) + 1))
    sampled = min(rows, limit) if limit > 0 else rows
    shares = []
    for count in range(1, len(index.terms) + 1):
        whole = index.unique and count == len(index.terms) and not _with_null(db, source, index.terms, where)
        distinct = sampled if whole else _distinct(db, source + where, index.terms[:count], limit)
        shares.append(_average(sampled, distinct))
    return " ".join(map(str, (rows, *shares)))


def _average(rows: int, distinct: int) -> int:
    """Rows for each value, rounded as SQLite rounds: up, but 2 is 1 while hardly any value repeats."""
    average = -(-rows // max(distinct, 1))
    return 1 if average == 2 and rows * 10 <= distinct * 11 else average


def _with_null(db: apsw.Connection, source: str, terms: Sequence[str], where: str) -> bool:
    """Whether a row may repeat in a UNIQUE index: rows with a NULL do. Zone maps answer where there is none."""
    any_null = " OR ".join(f"{term} IS NULL" for term in terms)
    condition = f"{where} AND ({any_null})" if where else f" WHERE {any_null}"
    return db.execute(f"SELECT 1 FROM {source}{condition} LIMIT 1").get is not None


def _distinct(db: apsw.Connection, source: str, terms: Sequence[str], limit: int) -> int:
    columns = ", ".join(f"{term} AS c{number}" for number, term in enumerate(terms))
    if limit > 0:
        source = f"{source} LIMIT {limit}"
    names = ", ".join(f"c{number}" for number in range(len(terms)))
    count: int = db.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM (SELECT {columns} FROM {source}))"
    ).get
    return count
