"""Schema objects: tables with their columns, keys, foreign keys and CHECKs, under the user's names.

SQLite's PRAGMAs are the truth (sql.pragmas); the text of the DDL adds what they leave out (sql.ddl).
Where the two disagree a table is marked `exact=False`, and stays in row format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import apsw

from colonnade.sql import ddl, pragmas
from colonnade.sql.affinity import Affinity, affinity_of
from colonnade.sql.objects import (
    PRIMARY_KEY,
    UNIQUE,
    CheckDef,
    ColumnDef,
    ForeignKeyDef,
    KeyDef,
    Schema,
    TableDef,
    TriggerDef,
    fold,
    resolve_parents,
)
from colonnade.sql.tokens import quote
from colonnade.store.format import META, ROWS, SHADOW_SUFFIXES

__all__ = [
    "CheckDef",
    "ColumnDef",
    "ForeignKeyDef",
    "KeyDef",
    "Schema",
    "TableDef",
    "TriggerDef",
    "fold",
    "read_schema",
]


def read_schema(db: apsw.Connection, schema: str = "main") -> Schema:
    """Every table of a schema. Cost: some 100 µs a table; callers cache it by PRAGMA schema_version."""
    listed = pragmas.objects(db, schema)
    options = pragmas.table_options(db, schema)
    stored = _StoredNames((name, sql) for kind, name, _, sql in listed if kind == "table")
    triggered = {fold(table) for kind, _, table, _ in listed if kind == "trigger"}
    tables: list[TableDef] = []
    virtual: list[str] = []
    for kind, name, _, sql in listed:
        if kind != "table" or fold(name).startswith("sqlite_"):
            continue
        user_name = stored.user_name(name)
        if user_name == name and (stored.is_hidden(name) or name not in options or options[name].shadow):
            if name not in options and fold(name) not in stored.in_columns:
                virtual.append(name)
            continue
        if user_name != name:
            sql = _stored_ddl(db, schema, user_name)
        tables.append(
            _TableReader(db, schema, options[name], stored, fold(name) in triggered).read(user_name, sql)
        )
    views = [name for kind, name, _, _ in listed if kind == "view"]
    resolved = resolve_parents(tables, [*views, *virtual])
    children: dict[str, list[tuple[TableDef, ForeignKeyDef]]] = {}
    for table in resolved:
        for foreign_key in table.foreign_keys:
            children.setdefault(fold(foreign_key.parent), []).append((table, foreign_key))
    return Schema(
        schema,
        {fold(table.name): table for table in resolved},
        tuple(TriggerDef(name, table, sql) for kind, name, table, sql in listed if kind == "trigger"),
        tuple(views),
        tuple(virtual),
        children,
    )


class _StoredNames:
    """Which names in the file are shadow tables, and the user's name for each row part."""

    def __init__(self, tables: Iterable[tuple[str, str]]) -> None:
        texts = {fold(name): (name, sql) for name, sql in tables}
        self.in_columns = {
            lower: name
            for lower, (name, sql) in texts.items()
            if sql.startswith("CREATE VIRTUAL") and lower + ROWS in texts and lower + META in texts
        }

    def _split(self, name: str) -> tuple[str | None, str]:
        lower = fold(name)
        for suffix in SHADOW_SUFFIXES:
            base = lower[: -len(suffix)]
            if lower.endswith(suffix) and base in self.in_columns:
                return self.in_columns[base], suffix
        return None, ""

    def is_hidden(self, name: str) -> bool:
        return self._split(name)[0] is not None

    def user_name(self, name: str) -> str:
        """The user's name for a table: that of the row part's table, else the same."""
        base, suffix = self._split(name)
        return base if base is not None and suffix == ROWS else name

    def index_name(self, name: str, table: str) -> str:
        """The user's name for an index: SQLite names automatic ones after the row part."""
        prefix = f"sqlite_autoindex_{table}_"
        user = self.user_name(table)
        return f"sqlite_autoindex_{user}_{name[len(prefix) :]}" if name.startswith(prefix) else name


def _stored_ddl(db: apsw.Connection, schema: str, name: str) -> str:
    sql = f"SELECT value FROM {quote(schema)}.{quote(name + META)} WHERE key = 'ddl'"
    row = db.cursor().execute(sql).fetchone()
    return str(row[0]) if row else ""


_WORTH_READING = re.compile(r"CHECK|CONSTRAINT|DEFERRABLE|CONFLICT", re.IGNORECASE)


@dataclass(slots=True)
class _TableReader:
    """Puts one table together from its PRAGMAs and its DDL."""

    db: apsw.Connection
    schema: str
    fact: pragmas.TableFact
    stored: _StoredNames
    triggered: bool

    def read(self, user_name: str, sql: str) -> TableDef:
        where = (self.db, self.schema, self.fact.name)
        columns = pragmas.columns(*where)
        indexes = pragmas.unique_indexes(*where)
        keys, odd = self._keys(columns, indexes)
        foreign_keys = [self._foreign_key(fact) for fact in pragmas.foreign_keys(*where)]
        autoincrement = any(column.autoincrement for column in columns)
        facts: ddl.TableFacts | None = ddl.TableFacts()
        exact = True
        if _WORTH_READING.search(sql):  # else the text has nothing to add
            try:
                facts = ddl.read_ddl(sql)
            except ddl.UnreadableDDL:
                facts = None
            exact = facts is not None and (
                _fold(facts.columns) == _fold(column.name for column in columns)
                and facts.autoincrement == autoincrement
                and _same_keys(facts, keys)
                and _same_foreign_keys(facts, foreign_keys, self.stored)
                and self._same_checks(facts)
            )
        if facts is None or not exact:
            facts = ddl.TableFacts()
        rowid_key = next((key for key in keys if key.is_rowid), None)
        return TableDef(
            schema=self.schema,
            name=user_name,
            columns=tuple(self._column(column, facts, rowid_key) for column in columns),
            keys=tuple(_with_text(key, facts) for key in keys),
            foreign_keys=tuple(_with_names(foreign_keys, facts)),
            checks=tuple(CheckDef(check.name, check.expr, check.label) for check in facts.checks),
            strict=self.fact.strict,
            without_rowid=self.fact.without_rowid,
            rowid_alias=rowid_key.columns[0] if rowid_key else None,
            autoincrement=autoincrement,
            sql=sql,
            exact=exact,
            is_column=user_name != self.fact.name,
            odd_keys=tuple(odd),
        )

    def _column(self, fact: pragmas.ColumnFact, facts: ddl.TableFacts, rowid_key: KeyDef | None) -> ColumnDef:
        aliases_rowid = rowid_key is not None and rowid_key.columns == (fact.name,)
        any_type = self.fact.strict and fact.decl_type.upper() == "ANY"
        return ColumnDef(
            fact.name,
            fact.decl_type,
            Affinity.BLOB if any_type else affinity_of(fact.decl_type),
            fact.not_null,
            None if aliases_rowid else fact.default,  # SQLite chooses a rowid, whatever the DEFAULT says
            fact.collation,
            fact.generated,
            fact.pk,
            facts.not_null_conflicts.get(fact.name),
        )

    def _keys(
        self, columns: list[pragmas.ColumnFact], indexes: list[pragmas.IndexFact]
    ) -> tuple[list[KeyDef], list[str]]:
        keys: list[KeyDef] = []
        odd: list[str] = []
        primary = [c for c in sorted(columns, key=lambda c: c.pk) if c.pk]
        if len(primary) == 1 and not self.fact.without_rowid and all(i.origin != "pk" for i in indexes):
            keys.append(KeyDef(PRIMARY_KEY, (primary[0].name,), ("BINARY",), None, True, None))
        for index in indexes:
            name = self.stored.index_name(index.name, self.fact.name)
            if index.partial or None in index.columns:
                odd.append(name)
                continue
            names = tuple(column for column in index.columns if column is not None)
            kind = PRIMARY_KEY if index.origin == "pk" else UNIQUE
            keys.append(KeyDef(kind, names, index.collations, None, False, None, name))
        return keys, odd

    def _foreign_key(self, fact: pragmas.ForeignKeyFact) -> ForeignKeyDef:
        parent = self.stored.user_name(fact.parent)
        parents = fact.parent_columns or ()
        return ForeignKeyDef(fact.columns, parent, parents, None, fact.on_update, fact.on_delete, False)

    def _same_checks(self, facts: ddl.TableFacts) -> bool:
        labels = pragmas.check_labels(self.db, self.schema, self.fact.name, triggered=self.triggered)
        return labels is None or labels == [check.label for check in facts.checks]


def _fold(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(fold, names))


def _same_keys(facts: ddl.TableFacts, keys: list[KeyDef]) -> bool:
    """Whether the text and the PRAGMAs name the same keys. SQLite keeps equal keys once."""
    written = {_fold(key.columns) for key in facts.keys}
    kept = {_fold(key.columns) for key in keys if key.is_rowid or key.index is None or _automatic(key)}
    return written == kept


def _automatic(key: KeyDef) -> bool:
    return key.index is not None and key.index.startswith("sqlite_autoindex_")


def _same_foreign_keys(facts: ddl.TableFacts, keys: list[ForeignKeyDef], stored: _StoredNames) -> bool:
    written = [(_fold(key.columns), fold(stored.user_name(key.parent))) for key in facts.foreign_keys]
    return written == [(_fold(key.columns), fold(key.parent)) for key in keys]


def _with_text(key: KeyDef, facts: ddl.TableFacts) -> KeyDef:
    """The key with its constraint's name and conflict clause."""
    if not (key.is_rowid or _automatic(key)):
        return key
    same = [fact for fact in facts.keys if _fold(fact.columns) == _fold(key.columns)]
    same.sort(key=lambda fact: fact.kind != key.kind)
    name = next((fact.name for fact in same if fact.name is not None), None)
    conflict = next((fact.on_conflict for fact in same if fact.on_conflict is not None), None)
    return replace(key, name=name, on_conflict=conflict)


def _with_names(keys: list[ForeignKeyDef], facts: ddl.TableFacts) -> list[ForeignKeyDef]:
    if not facts.foreign_keys:
        return keys
    return [
        replace(key, name=fact.name, deferred=fact.deferred)
        for key, fact in zip(keys, facts.foreign_keys, strict=True)
    ]
