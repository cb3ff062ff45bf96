"""What must be known of a write before SQLite runs it on row parts: worked out once for each text.

A WritePlan says which rows of its target a statement changes, and which keys its new rows may have, as texts to
ask SQLite, so that `sql.thaw` can bring the rows concerned into the row parts. Asking for more rows than the
statement turns out to touch is always right; asking for fewer never is. Where that cannot be promised there is no
plan: NotThawable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import ForeignKeyDef, Schema, TableDef, fold
from colonnade.sql.rowidrange import Bound, Key, rowid_bounds
from colonnade.sql.splice import Pieces, highest_parameter, returns_plainly, single_row
from colonnade.sql.statement import Insert, Statement
from colonnade.sql.tokens import Kind, Reader, quote
from colonnade.sql.volatile import has_subquery, is_volatile
from colonnade.store.catalog import visible_rowid
from colonnade.store.keycode import COLLATIONS

ROWID_NAMES = ("rowid", "oid", "_rowid_")
_NUMBERS = (Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC)


class NotThawable(Exception):
    """The statement needs its tables in row format. The reason is its text. Caught where writes are routed."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Rows of a table whose key may equal that of a new row.

    table       the target itself, for its own keys, or a parent
    columns     the key's columns, in the order of `places`
    collations  by which SQLite compares them
    places      where the values are in a row of the plan's query, or of `supplied`
    affinities  of the columns that the values are stored in first: those of the target
    drawn       of the places, that of the rowid in a foreign key: for NULL SQLite draws one, which nobody knows yet
    defaults    for each of the places, that of the value that REPLACE takes for NULL; None: NULL stays
                (sqlite.org/lang_conflict.html)
    """

    table: TableDef
    columns: tuple[str, ...]
    collations: tuple[str, ...]
    places: tuple[int, ...]
    affinities: tuple[Affinity, ...]
    drawn: int | None = None
    defaults: tuple[int | None, ...] = ()

    def values(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """The key that a row of the plan's query has when it is stored."""
        values = tuple(row[place] for place in self.places)
        if not self.defaults or None not in values:
            return values
        taken = zip(values, self.defaults, strict=True)
        return tuple(row[place] if value is None and place is not None else value for value, place in taken)


@dataclass(frozen=True, slots=True)
class WritePlan:
    """How to prepare one text.

    table       the target
    deletes     it deletes the rows that match; else it updates them; None for an INSERT
    assigned    columns that an UPDATE assigns, folded
    query       SELECT of the rows that match (their rowid first) and of the values of new rows; None: the
                statement needs nothing but its text spliced
    parameters  how many values `query` takes, if they come by position
    supplied    an INSERT of one row of parameters: their places or names in the order of the row, no query
    constants   SQL of the values that have no place in a row: place -1 is the first of them
    probes      keys of the new rows
    replaces    rows with the keys of new rows may be deleted
    bounds      the range of rowids that alone says which rows `query` would find; none: it is no such range
    once        `query` may find other rows when it is evaluated again: nothing but its answer may be used then
    """

    table: TableDef
    deletes: bool | None
    assigned: frozenset[str]
    query: str | None
    parameters: int
    supplied: tuple[int | str, ...]
    constants: tuple[str, ...]
    probes: tuple[Probe, ...]
    replaces: bool
    bounds: tuple[Bound, ...] = ()
    once: bool = False

    @property
    def rowid(self) -> Key | None:
        """The parameter that is the rowid of the only row that `query` would find."""
        if len(self.bounds) != 1 or self.bounds[0].operator != "=":
            return None
        return self.bounds[0].parameter


def plan_write(
    statement: Statement, table: TableDef, schema: Schema, *, foreign_keys: bool, named: bool
) -> WritePlan:
    """The plan of an INSERT, UPDATE, DELETE or REPLACE.

    foreign_keys  whether the connection enforces them
    named         whether values are bound by name
    Raises NotThawable
    """
    if not returns_plainly(statement, _written(table, schema)):
        raise NotThawable("RETURNING with the table's name in an expression, or with a subquery")
    planner = _Planner(statement, table, schema, foreign_keys, named)
    return planner.insert(statement.insert) if statement.insert is not None else planner.change()


def _written(table: TableDef, schema: Schema) -> set[str]:
    """The folded names of what a statement on the table may write, and of all views, which may read it."""
    names, waiting = {fold(table.name), *map(fold, schema.views)}, [table.name]
    while waiting:
        for child, _ in schema.children_of(waiting.pop()):
            if fold(child.name) not in names:
                names.add(fold(child.name))
                waiting.append(child.name)
    return names


@dataclass(slots=True)
class _Planner:
    statement: Statement
    table: TableDef
    schema: Schema
    foreign_keys: bool
    named: bool

    # --- INSERT --------------------------------------------------------------------------------------------

    def insert(self, insert: Insert) -> WritePlan:
        table = self.table
        replaces = insert.conflict == "REPLACE" or _may_replace(table)
        if replaces:
            self._refuse_children()
        if insert.upsert:
            self._check_upsert()
        names = insert.columns or tuple(column.name for column in table.columns if not column.generated)
        given = {self._column_name(name): place for place, name in enumerate(names)}
        if insert.source == "DEFAULT":
            given = {}
        places: dict[str, int] = {}
        constants: list[str] = []
        for name in self._wanted_columns({fold(column.name) for column in table.columns}):
            default = self._default(name)
            if name in given:
                places[name] = given[name]
            elif default is not None:
                places[name] = _constant(default, constants)
        probes = self._probes(places, self._defaults(given, insert.conflict, constants), replaces)
        looked_at = {place for probe in probes for place in probe.places if place >= 0}
        query = None
        if looked_at and not insert.row_params:
            self._check_source(insert, looked_at)
            query = insert.source_text
        supplied = insert.params if insert.row_params else ()
        return self._plan(query, supplied, tuple(constants), probes, replaces, None)

    def _check_source(self, insert: Insert, places: set[int]) -> None:
        """The rows must come out the same twice, in the columns that are looked at."""
        text = insert.source_text
        if not is_volatile(text):
            return
        values = single_row(text)
        if values is None or any(place >= len(values) or is_volatile(values[place]) for place in places):
            raise NotThawable("values that may differ when they are evaluated again")

    def _check_upsert(self) -> None:
        """What DO UPDATE assigns is not known beforehand: no key may be among it."""
        text = self.statement.text.lower()
        tail = text[text.rfind("conflict") :] if text.count("conflict") == 1 else text
        assigned = tail.partition("update")[2].partition("set")[2]
        if not assigned and "nothing" in tail:
            return
        keys = {fold(name) for key in self.table.keys for name in key.columns} | set(ROWID_NAMES)
        if self.foreign_keys:
            keys |= {fold(name) for key in self.table.foreign_keys for name in key.columns}
            keys |= {
                fold(n) for _, key in self.schema.children_of(self.table.name) for n in key.parent_columns
            }
        reader, number = Reader(assigned), 0
        while (token := reader[number]).kind is not Kind.END:
            after = reader[number + 1].key
            if token.is_name and fold(token.name) in keys and after in ("=", "==", ",", ")"):
                raise NotThawable("an upsert that assigns a key")
            number += 1

    def _default(self, name: str) -> str | None:
        return None if name in ROWID_NAMES else self.table.column(name).default

    def _defaults(self, written: Iterable[str], conflict: str | None, constants: list[str]) -> dict[str, int]:
        """The places of the values that are taken for NULL in columns of keys, which they join to `constants`."""
        found = {}
        for name in self._wanted_columns(set(written)):
            if name in ROWID_NAMES or name not in written:
                continue
            column = self.table.column(name)
            resolved = conflict or column.not_null_conflict or (None if self.table.exact else "REPLACE")
            if column.not_null and column.default is not None and resolved == "REPLACE":
                found[name] = _constant(column.default, constants)
        return found

    # --- UPDATE and DELETE -----------------------------------------------------------------------------------

    def change(self) -> WritePlan:
        statement, table = self.statement, self.table
        change, target = statement.change, statement.target
        if change is None or target is None:
            raise NotThawable("clauses that could not be read")
        if table.without_rowid:
            raise NotThawable("a table without rowid")
        pieces = Pieces(statement, named=self.named)
        deletes = statement.verb == "DELETE"
        replaces = not deletes and (change.conflict == "REPLACE" or _may_replace(table))
        if replaces:
            self._refuse_children()
        alias = quote(change.alias or target.name)
        with_clause = pieces.cut(0, change.verb)
        where = "" if change.where is None else pieces.cut(change.where, pieces.behind(change.where))
        order = "" if change.order is None else pieces.cut(change.order, change.stop)
        sources = f"{statement.text[target.start : target.stop]} AS {alias}"
        if change.from_ is not None:
            inner = pieces.cut(change.from_ + len("FROM"), pieces.behind(change.from_))
            sources = f"{inner}\n, {sources}"  # in parentheses a lone subquery would lose its alias
        once = is_volatile(f"{with_clause} {sources} {where} {order}")
        assigned = frozenset(self._column_name(name) for name in change.assigned)
        values: list[str] = []
        probes: tuple[Probe, ...] = ()
        constants: list[str] = []
        if not deletes:
            wanted = self._wanted_columns(assigned)
            if wanted:
                values = [*self._new_values(pieces, wanted, assigned, alias)]
            defaults = self._defaults(assigned, change.conflict, constants)
            probes = self._probes({name: place for place, name in enumerate(wanted, 1)}, defaults, replaces)
        selected = ", ".join([f"{alias}.{self._rowid()}", *values])
        query = f"{with_clause} SELECT {selected} FROM {sources} {where}\n{order}"
        made = self._plan(query, (), tuple(constants), probes, replaces, deletes, assigned)
        plan = replace(made, once=once)
        if values or with_clause.strip() or order or change.from_ is not None:
            return plan
        return replace(plan, bounds=rowid_bounds(where, fold(change.alias or target.name), self._is_rowid))

    def _is_rowid(self, name: str) -> bool:
        """Whether a column by this name is the rowid."""
        return self._column_name(name) == fold(self.table.rowid_alias or "rowid")

    def _new_values(
        self, pieces: Pieces, wanted: Sequence[str], assigned: frozenset[str], alias: str
    ) -> list[str]:
        """Expressions for the new values of columns of the keys that an UPDATE assigns."""
        assignments = pieces.assignments()
        if assignments is None:
            raise NotThawable("row values assigned to a key")
        expressions = {self._column_name(name): text for name, text in assignments}
        found = []
        for name in wanted:
            if name not in assigned:
                found.append(f"{alias}.{quote(name)}")
                continue
            text = expressions[name]
            if is_volatile(text) or has_subquery(text):
                raise NotThawable("a key assigned from what may change meanwhile")
            found.append(f"({text}\n)")
        return found

    # --- what both look at -----------------------------------------------------------------------------------

    def _column_name(self, name: str) -> str:
        """Folded; a name of the rowid as that of the INTEGER PRIMARY KEY, if there is one, or `rowid`."""
        folded = fold(name)
        if folded in ROWID_NAMES and all(fold(column.name) != folded for column in self.table.columns):
            return fold(self.table.rowid_alias) if self.table.rowid_alias else "rowid"
        return folded

    def _rowid(self) -> str:
        if self.table.rowid_alias:
            return quote(self.table.rowid_alias)
        name = visible_rowid([column.name for column in self.table.columns])
        if name is None:
            raise NotThawable("a rowid that no name reaches")
        return name

    def _wanted_columns(self, written: frozenset[str] | set[str]) -> list[str]:
        """The columns, folded, of every key and enforced foreign key with a column among those written."""
        wanted: dict[str, None] = {}
        for names, _ in self._key_columns():
            if not written.isdisjoint(names) or "rowid" in names:
                wanted.update(dict.fromkeys(names))
        if "rowid" in wanted and "rowid" not in written and self.statement.insert is None:
            del wanted["rowid"]
        return list(wanted)

    def _key_columns(self) -> list[tuple[tuple[str, ...], object]]:
        keys: list[tuple[tuple[str, ...], object]] = [
            (tuple(map(fold, key.columns)), key) for key in self.table.keys
        ]
        if not self.table.rowid_alias and not self.table.without_rowid:
            keys.append((("rowid",), None))
        if self.foreign_keys:
            keys += [(tuple(map(fold, key.columns)), key) for key in self.table.foreign_keys]
        return keys

    def _probes(self, places: dict[str, int], defaults: dict[str, int], replaces: bool) -> tuple[Probe, ...]:
        """One for each key whose columns all have a place; in a new row any other column is NULL."""
        counted = replaces and self._has_column_parents()
        if counted and self.table.odd_keys:
            raise NotThawable("rows replaced that an index on expressions, or on some rows, finds")
        own = self.table.is_column or counted
        found = []
        alias, inserts = fold(self.table.rowid_alias or "rowid"), self.statement.insert is not None
        for names, key in self._key_columns():
            if not all(name in places for name in names):
                if inserts and isinstance(key, ForeignKeyDef) and alias in names and alias not in places:
                    raise NotThawable("a foreign key of the rowid that SQLite draws")
                continue
            where = tuple(places[name] for name in names)
            affinities = tuple(self._affinity(name) for name in names)
            instead = tuple(map(defaults.get, names)) if not defaults.keys().isdisjoint(names) else ()
            if isinstance(key, ForeignKeyDef):
                parent = self._parent(key)
                if parent is not None and parent.is_column:
                    collations = check_comparison(self.table, key, parent)
                    drawn = places[alias] if inserts and alias in names else None
                    found.append(
                        Probe(parent, key.parent_columns, collations, where, affinities, drawn, instead)
                    )
            elif own:
                collations = ("BINARY",) if key is None else key.collations  # type: ignore[attr-defined]
                found.append(Probe(self.table, names, collations, where, affinities, None, instead))
        return tuple(found)

    def _has_column_parents(self) -> bool:
        """Whether SQLite, where it counts violations, looks up parents in column format of rows that go."""
        keys = self.table.foreign_keys if self.foreign_keys else ()
        parents = [self.schema.table(key.parent) for key in keys]
        return any(parent is not None and parent.is_column for parent in parents)

    def _affinity(self, name: str) -> Affinity:
        return Affinity.INTEGER if name == "rowid" else self.table.column(name).affinity

    def _parent(self, key: ForeignKeyDef) -> TableDef | None:
        if key.mismatch is not None:
            raise NotThawable(key.mismatch)
        return self.schema.table(key.parent)

    def _refuse_children(self) -> None:
        if self.foreign_keys and self.schema.children_of(self.table.name):
            raise NotThawable("rows replaced that others refer to")

    def _plan(
        self,
        query: str | None,
        supplied: tuple[int | str, ...],
        constants: tuple[str, ...],
        probes: tuple[Probe, ...],
        replaces: bool,
        deletes: bool | None,
        assigned: frozenset[str] = frozenset(),
    ) -> WritePlan:
        parameters = 0 if query is None or self.named else highest_parameter(query)
        return WritePlan(
            self.table, deletes, assigned, query, parameters, supplied, constants, probes, replaces
        )


def _constant(default: str, constants: list[str]) -> int:
    """The place of the value of a DEFAULT, which joins `constants`."""
    if is_volatile(default):
        raise NotThawable("the default of a key may differ when it is evaluated again")
    constants.append(default)
    return -len(constants)


def check_comparison(child: TableDef, key: ForeignKeyDef, parent: TableDef) -> tuple[str, ...]:
    """The collations by which SQLite compares a foreign key: those of the parent's columns
    (sqlite.org/foreignkeys.html, section 3).

    Raises NotThawable where values are converted for the comparison, or the collation is not known here
    """
    columns = [parent.column(name) for name in key.parent_columns]
    for ours, theirs in zip(map(child.column, key.columns), columns, strict=True):
        same = ours.affinity == theirs.affinity or {ours.affinity, theirs.affinity} <= {*_NUMBERS}
        if not same or theirs.collation.upper() not in COLLATIONS:
            raise NotThawable(f"{child.name}.{ours.name} refers to a column of another type")
    return tuple(column.collation for column in columns)


def _may_replace(table: TableDef) -> bool:
    return not table.exact or any(key.on_conflict == "REPLACE" for key in table.keys)
