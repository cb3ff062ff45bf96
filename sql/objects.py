"""Schema objects: tables with their columns, keys and foreign keys as plain values, and their order.

`sql.schema` reads them from a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from colonnade.sql.affinity import Affinity

PRIMARY_KEY, UNIQUE = "PRIMARY KEY", "UNIQUE"


def fold(name: str) -> str:
    """`name` as SQLite compares names: only ASCII letters lose their case."""
    return name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)


@dataclass(frozen=True, slots=True)
class ColumnDef:
    """A column. `not_null_conflict` is the ON CONFLICT clause of its NOT NULL, if there is one."""

    name: str
    decl_type: str
    affinity: Affinity
    not_null: bool
    default: str | None  # SQL text
    collation: str  # upper case
    generated: bool
    pk: int  # 0, or the ordinal within the primary key
    not_null_conflict: str | None = None


@dataclass(frozen=True, slots=True)
class KeyDef:
    """A PRIMARY KEY, a UNIQUE constraint or a CREATE UNIQUE INDEX, on columns alone.

    is_rowid  the key is the rowid under another name: INTEGER PRIMARY KEY
    index     SQLite's name of the index behind it; None for the rowid and WITHOUT ROWID's primary key
    """

    kind: str
    columns: tuple[str, ...]
    collations: tuple[str, ...]
    name: str | None
    is_rowid: bool
    on_conflict: str | None
    index: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKeyDef:
    """A foreign key. `parent` is spelt as the parent table is, if that exists.

    mismatch  SQLite's message for a parent without such a key, which every write of rows with a
              foreign key then raises (sqlite.org/foreignkeys.html, 3); None where all is well. A parent
              table that does not exist is no mismatch: it holds no keys.
    """

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    name: str | None
    on_update: str
    on_delete: str
    deferred: bool
    mismatch: str | None = None


@dataclass(frozen=True, slots=True)
class CheckDef:
    """A CHECK constraint: the text of its expression, and what SQLite calls it in its message."""

    name: str | None
    expr: str
    label: str


@dataclass(frozen=True, slots=True)
class TableDef:
    """A table under its user's name.

    keys       in the order in which SQLite checks them
    odd_keys   UNIQUE indexes that are partial or on an expression: no key of columns stands for them
    sql        the user's CREATE TABLE text
    exact      False: the DDL's text and SQLite disagree, or the text could not be read
    is_column  the table is in column format
    """

    schema: str
    name: str
    columns: tuple[ColumnDef, ...]
    keys: tuple[KeyDef, ...]
    foreign_keys: tuple[ForeignKeyDef, ...]
    checks: tuple[CheckDef, ...]
    strict: bool
    without_rowid: bool
    rowid_alias: str | None
    autoincrement: bool
    sql: str
    exact: bool
    is_column: bool = False
    odd_keys: tuple[str, ...] = ()

    def column_position(self, name: str) -> int:
        """Where in `columns` the column of this name is. Raises KeyError."""
        wanted = fold(name)
        for position, column in enumerate(self.columns):
            if fold(column.name) == wanted:
                return position
        raise KeyError(name)

    def column(self, name: str) -> ColumnDef:
        """The column of this name, in any case. Raises KeyError."""
        return self.columns[self.column_position(name)]

    @property
    def primary_key(self) -> KeyDef | None:
        """The primary key, if there is one."""
        return next((key for key in self.keys if key.kind == PRIMARY_KEY), None)


@dataclass(frozen=True, slots=True)
class TriggerDef:
    """A trigger: its name, the table or view it is on, and its text."""

    name: str
    table: str
    sql: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one schema (main, temp or an attached database) in order of creation."""

    name: str
    tables: dict[str, TableDef]  # by name in lower case
    triggers: tuple[TriggerDef, ...] = ()
    views: tuple[str, ...] = ()
    virtual: tuple[str, ...] = ()  # virtual tables of other modules
    _children: dict[str, list[tuple[TableDef, ForeignKeyDef]]] = field(default_factory=dict, repr=False)

    def table(self, name: str) -> TableDef | None:
        """The table of this name, in any case."""
        return self.tables.get(fold(name))

    def children_of(self, name: str) -> list[tuple[TableDef, ForeignKeyDef]]:
        """The foreign keys that refer to a table, with the tables they belong to."""
        return self._children.get(fold(name), [])

    def load_order(self, names: Iterable[str], sizes: Mapping[str, int] | None = None) -> list[list[str]]:
        """`names` in groups, parents before children; tables that refer to each other share a group.

        Only references among `names` count. Of groups that could come next the largest does, else the one created
        first.
        sizes  bytes to load, by folded name
        """
        wanted = {fold(name) for name in names}
        missing = wanted - self.tables.keys()
        if missing:
            raise KeyError(min(missing))
        nodes = [key for key in self.tables if key in wanted]
        parents = {
            key: {fold(fk.parent) for fk in self.tables[key].foreign_keys} & wanted - {key} for key in nodes
        }
        ordered = _components(nodes, parents, sizes or {})
        return [[self.tables[key].name for key in group] for group in ordered]


def _components(nodes: list[str], parents: dict[str, set[str]], sizes: Mapping[str, int]) -> list[list[str]]:
    """Strongly connected components, those without parents left first, of them the largest, else in the order of
    `nodes`."""
    reach = {node: _reachable(node, parents) for node in nodes}
    groups: list[list[str]] = []
    placed: set[str] = set()
    for node in nodes:
        if node not in placed:
            groups.append([other for other in nodes if other == node or _mutual(reach, node, other)])
            placed.update(groups[-1])
    ordered: list[list[str]] = []
    done: set[str] = set()
    while groups:
        able = (g for g in groups if all(parents[node] <= done.union(g) for node in g))
        ready = max(able, key=lambda g: sum(sizes.get(node, 0) for node in g))  # the first of equals
        groups.remove(ready)
        ordered.append(ready)
        done.update(ready)
    return ordered


def _mutual(reach: dict[str, set[str]], one: str, other: str) -> bool:
    return other in reach[one] and one in reach[other]


def _reachable(node: str, parents: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = list(parents[node])
    while stack:
        other = stack.pop()
        if other not in seen:
            seen.add(other)
            stack.extend(parents[other])
    return seen


def resolve_parents(tables: list[TableDef], not_tables: Iterable[str]) -> list[TableDef]:
    """The tables with every foreign key's parent spelt as it is, and its parent columns filled in."""
    by_name = {fold(table.name): table for table in tables}
    others = set(map(fold, not_tables))
    return [
        replace(
            table, foreign_keys=tuple(_resolve(table, key, by_name, others) for key in table.foreign_keys)
        )
        if table.foreign_keys
        else table
        for table in tables
    ]


def _resolve(
    table: TableDef, key: ForeignKeyDef, tables: dict[str, TableDef], others: set[str]
) -> ForeignKeyDef:
    names = (name.replace('"', '""') for name in (table.name, key.parent))
    mismatch = 'foreign key mismatch - "{}" referencing "{}"'.format(*names)
    parent = tables.get(fold(key.parent))
    if parent is None:
        missing = None if fold(key.parent) not in others else mismatch
        return replace(key, parent_columns=key.parent_columns or key.columns, mismatch=missing)
    wanted = key.parent_columns
    primary = parent.primary_key
    if not wanted and primary is not None and len(primary.columns) == len(key.columns):
        return replace(key, parent=parent.name, parent_columns=primary.columns)
    if wanted and any(_answers(candidate, parent, wanted) for candidate in parent.keys):
        spelt = tuple(parent.column(name).name for name in wanted)
        return replace(key, parent=parent.name, parent_columns=spelt)
    return replace(key, parent=parent.name, parent_columns=wanted or key.columns, mismatch=mismatch)


def _answers(key: KeyDef, parent: TableDef, wanted: tuple[str, ...]) -> bool:
    """Whether SQLite accepts a key as the one a foreign key refers to: same columns, own collations."""
    if sorted(map(fold, key.columns)) != sorted(map(fold, wanted)):
        return False
    return key.is_rowid or all(
        collation == parent.column(name).collation
        for name, collation in zip(key.columns, key.collations, strict=True)
    )
