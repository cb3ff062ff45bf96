"""Which tables SQLite reads and writes when a table is written: foreign keys, their actions, triggers.

SQLite looks at the other tables of a foreign key to check it (sqlite.org/foreignkeys.html):
    insert of a child row      its parents
    delete of a parent row     its children; with an action it writes them, and so on
    update                     as both, if a column of the foreign key or of the key that it names is assigned
    delete of a child row      its parents too, but only while some violation is counted: then it asks
                               whether the row was one of those counted
A trigger counts as writing every table that its text mentions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto

from colonnade.sql.schema import ForeignKeyDef, Schema, TableDef, fold
from colonnade.sql.statement import parse
from colonnade.sql.tokens import Kind, tokens

Place = tuple[str, str]  # schema, table; both as their schema spells them


class Effect(Flag):
    """What is done to the rows of a table."""

    INSERT = auto()
    UPDATE = auto()
    DELETE = auto()
    ANY = INSERT | UPDATE | DELETE


_ROWID_NAMES = frozenset({"rowid", "oid", "_rowid_"})
_NO_ACTIONS = frozenset({"NO ACTION", "RESTRICT"})


@dataclass(slots=True)
class Reach:
    """Follows what a write sets off, through the schemas of a connection.

    foreign_keys   SQLite enforces them
    counted        violations of deferred foreign keys are counted in this transaction
    places         every table that SQLite may read or write for it, apart from what the text itself reads
    """

    schemas: Mapping[str, Schema]
    foreign_keys: bool
    counted: bool = False
    places: dict[Place, None] = field(default_factory=dict)
    _seen: set[tuple[str, str, Effect, frozenset[str] | None]] = field(default_factory=set)

    def write(self, schema: str, name: str, effect: Effect, assigned: Iterable[str] | None = None) -> None:
        """Follows a write of a table or view; for an UPDATE `assigned` are its columns, None all of them."""
        columns = None if assigned is None else frozenset(map(fold, assigned))
        step = (schema, fold(name), effect, columns)
        if step in self._seen:
            return
        self._seen.add(step)
        table = self.schemas[schema].table(name)
        self._fire(schema, name)
        if table is None:
            return
        self.places[schema, table.name] = None
        if self.foreign_keys:
            self._check(schema, table, effect, columns)

    def _check(self, schema: str, table: TableDef, effect: Effect, columns: frozenset[str] | None) -> None:
        children = self.schemas[schema].children_of(table.name)
        if effect & Effect.DELETE:
            for child, key in children:
                self._act(schema, child, key, key.on_delete)
        if effect & Effect.UPDATE:
            for child, key in children:
                if _assigns(table, columns, key.parent_columns):
                    self._act(schema, child, key, key.on_update)
        looks_up = bool(effect & Effect.INSERT) or self.counted or bool(effect & Effect.DELETE and children)
        for key in table.foreign_keys:
            if looks_up or (effect & Effect.UPDATE and _assigns(table, columns, key.columns)):
                self._read(schema, key.parent)

    def _act(self, schema: str, child: TableDef, key: ForeignKeyDef, action: str) -> None:
        self._read(schema, child.name)
        if action.upper() in _NO_ACTIONS:
            return
        # From here on violations may be counted: the child's own parents are looked up in any case.
        for other in child.foreign_keys:
            self._read(schema, other.parent)
        if action.upper() == "CASCADE":
            self.write(schema, child.name, Effect.DELETE)
        self.write(schema, child.name, Effect.UPDATE, key.columns)

    def _read(self, schema: str, name: str) -> None:
        table = self.schemas[schema].table(name)
        if table is not None:
            self.places[schema, table.name] = None

    def _fire(self, schema: str, name: str) -> None:
        for home in {schema, "temp"} & self.schemas.keys():
            for trigger in self.schemas[home].triggers:
                if fold(trigger.table) == fold(name):
                    self.mentioned(trigger.sql, self.schemas if home == "temp" else [home])

    def mentioned(self, text: str, homes: Iterable[str]) -> None:
        """Counts every table and view of these schemas that the text mentions as written."""
        words = parse(text).identifiers
        for home in homes:
            schema = self.schemas[home]
            for name in [*(table.name for table in schema.tables.values()), *schema.views]:
                if name.lower() in words:
                    self.write(home, name, Effect.ANY)


def _assigns(table: TableDef, assigned: frozenset[str] | None, columns: Iterable[str]) -> bool:
    """Whether an UPDATE that assigns these columns can change one of `columns`."""
    if assigned is None:
        return True
    watched = set(map(fold, columns))
    known = {fold(column.name) for column in table.columns}
    if assigned & _ROWID_NAMES - known and table.rowid_alias and fold(table.rowid_alias) in watched:
        return True
    return not assigned.isdisjoint(watched) or bool(assigned - known - _ROWID_NAMES)


def replaces_rows(table: TableDef) -> bool:
    """Whether an INSERT or UPDATE may delete rows: a constraint says ON CONFLICT REPLACE."""
    if any(key.on_conflict == "REPLACE" for key in table.keys):
        return True
    return not table.exact and any(t.key == "REPLACE" for t in tokens(table.sql) if t.kind is Kind.WORD)
