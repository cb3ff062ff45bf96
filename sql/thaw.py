"""Thaw, then native: before SQLite runs a write on row parts, the rows that it has to see are brought there.

Those are, of the tables in column format:
    the rows that the statement changes
    the rows with keys that new rows have: SQLite then refuses, ignores or replaces as it does on any table
    the parents of new rows, and of rows whose foreign key changes
    the children of rows that are deleted or given other keys, and what actions set off from there
"What SQLite looks at" follows fkey.c: while a violation is counted, the parent of a row that goes is looked up
too, and a parent that is not seen there would be counted as one violation less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np

from colonnade.sql.affinity import apply_affinity
from colonnade.sql.finding import Finder
from colonnade.sql.objects import ForeignKeyDef, Schema, TableDef, fold
from colonnade.sql.pointwrite import is_by_rowid
from colonnade.sql.tokens import quote
from colonnade.sql.volatile import is_volatile
from colonnade.sql.writeplan import ROWID_NAMES, NotThawable, Probe, WritePlan, check_comparison
from colonnade.store.catalog import visible_rowid
from colonnade.store.database import Store
from colonnade.store.keycode import KeySpec
from colonnade.store.keyfind import WantedKeys
from colonnade.store.table import ColumnTable
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    IntArray,
    concat_columns,
    from_python,
    integer_column,
    null_column,
    sorted_distinct,
)

if TYPE_CHECKING:
    from colonnade.sql.select import Answer

Params = Sequence[Any] | Mapping[str, Any]
_NO_ACTIONS = frozenset({"NO ACTION", "RESTRICT"})
_NO_ROWS = np.zeros(0, np.int64)


class ManyRows(Exception):
    """The statement changes more rows than are to be thawed. Caught where writes are routed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides about a write, apart from the schema.

    foreign_keys  whether the connection enforces them
    counted       whether violations of deferred foreign keys are counted in this transaction
    triggered     folded names of the tables with triggers
    finder        vectorised queries, if there are any
    """

    foreign_keys: bool
    counted: bool
    triggered: frozenset[str] = frozenset()
    finder: Finder | None = None


class Thaw:
    """The rows to thaw for one statement.

    touched  the tables in column format of which rows may go or get other rowids
    """

    def __init__(self, store: Store, schema: Schema, settings: Settings) -> None:
        self._store, self._db, self._schema = store, store.db, schema
        self._foreign_keys, self._counted = settings.foreign_keys, settings.counted
        self._triggered, self._finder = settings.triggered, settings.finder
        self._rows: dict[str, list[IntArray]] = {}
        self._seen: dict[str, set[int]] = {}
        self.touched: dict[str, ColumnTable] = {}

    def prepare(self, plan: WritePlan, params: Params, *, at_most: int | None = None) -> None:
        """Works out which rows the statement needs, and thaws them.

        at_most  rows that it may change: with more, ManyRows
        Raises   NotThawable, before anything was changed
        """
        rows = self._ask(plan, params, at_most)
        table = plan.table
        if plan.deletes is not None and rows:
            rowids = sorted_distinct(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
            self._need(table, rowids)
            if plan.deletes:
                self._deleted(table, rowids, counting=self._counted)
            else:
                self._updated(table, rowids, plan.assigned)
        if rows:
            for probe in plan.probes:
                self._probe(probe, rows, plan)
        for name, parts in self._rows.items():
            column_table = self._column_table(name)
            if column_table is not None:
                column_table.thaw(sorted_distinct(np.concatenate(parts)))

    def _ask(self, plan: WritePlan, params: Params, at_most: int | None) -> list[tuple[Any, ...]]:
        """The rows of the plan's query, or the one row that was supplied; constants at the end, reversed."""
        rows: list[tuple[Any, ...]]
        row = None if plan.rowid is None else _named_row(params, plan.rowid)
        if row is not None:
            rows = [row]
        elif plan.query is not None:
            values = params if isinstance(params, Mapping) else tuple(params)[: plan.parameters]
            rows = self._found(plan.query, values, at_most)
        elif plan.supplied:
            rows = [_supplied(params, plan.supplied)]
        else:
            rows = [()]
        if plan.constants:
            sql = f"SELECT {', '.join(f'({text})' for text in reversed(plan.constants))}"
            constants = next(iter(self._db.execute(sql)))
            rows = [(*row, *constants) for row in rows]
        return rows

    def _found(self, query: str, params: Params, at_most: int | None) -> list[tuple[Any, ...]]:
        """The rows that a query finds. Raises ManyRows"""
        rows: list[tuple[Any, ...]] = []

        def use(answer: Answer) -> None:
            from colonnade.sql.select.rules.asked import python_values  # who only writes needs no queries

            rows.clear()
            for batch in answer.batches:
                rows.extend(zip(*map(python_values, batch), strict=True))
                if at_most is not None and len(rows) > at_most:
                    raise ManyRows

        if self._finder is not None and self._finder.find(query, params, use):
            return rows
        found = self._db.execute(query, params)
        rows = list(found if at_most is None else islice(found, at_most + 1))
        if at_most is not None and len(rows) > at_most:
            found.close(True)
            raise ManyRows
        return rows

    def _probe(self, probe: Probe, rows: Sequence[tuple[Any, ...]], plan: WritePlan) -> None:
        if probe.drawn is not None and any(row[probe.drawn] is None for row in rows):
            raise NotThawable("a foreign key of the rowid that SQLite draws")
        if len(rows) == 1 and self._probe_rowid(probe, rows[0], plan):
            return
        columns = [
            apply_affinity(from_python(values), affinity)
            for values, affinity in zip(
                zip(*map(probe.values, rows), strict=True), probe.affinities, strict=True
            )
        ]
        found = self.find(probe.table, probe.columns, probe.collations, columns)
        self._need(probe.table, found)
        if probe.table is plan.table and plan.replaces:
            if self._foreign_keys and plan.table.foreign_keys:
                # Parents of rows of the row part may be frozen.
                hot = self.hot(probe.table, probe.columns, probe.collations, columns)
                found = np.concatenate([found, hot])
            self._deleted(plan.table, found, counting=True)

    def _probe_rowid(self, probe: Probe, row: tuple[Any, ...], plan: WritePlan) -> bool:
        """The same for one row whose key is the rowid of the table, given as an integer; whether it is so."""
        if not is_by_rowid(probe, plan):
            return False
        value = row[probe.places[0]]
        if value is not None and not (type(value) is int and INT64_MIN <= value <= INT64_MAX):
            return False
        if value is not None:
            self._need(probe.table, np.array([value]))  # if there is such a row
        return True

    # --- what a change sets off ------------------------------------------------------------------------------

    def _deleted(self, table: TableDef, rowids: IntArray, *, counting: bool) -> None:
        """Rows of a table will be deleted.

        counting  violations may be counted when that happens
        """
        self._touch(table)
        if not self._foreign_keys or not len(rowids):
            return
        children = self._schema.children_of(table.name)
        if children or counting:
            self._parents(table, rowids, table.foreign_keys)
        for child, key in children:
            self._children(table, rowids, child, key, deletes=True)

    def _updated(self, table: TableDef, rowids: IntArray, assigned: frozenset[str]) -> None:
        """Rows of a table will get other values in the columns `assigned`."""
        if assigned & {fold(table.rowid_alias or "rowid"), *ROWID_NAMES}:
            self._touch(table)
        if not self._foreign_keys:
            return
        changed = [key for key in table.foreign_keys if not assigned.isdisjoint(map(fold, key.columns))]
        children = [
            (child, key)
            for child, key in self._schema.children_of(table.name)
            if not assigned.isdisjoint(map(fold, key.parent_columns))
        ]
        if changed or children:  # then SQLite looks at what refers to the table itself, changed or not
            own = (key for key in table.foreign_keys if fold(key.parent) == fold(table.name))
            changed += (key for key in own if key not in changed)
        self._parents(table, rowids, changed)
        for child, key in children:
            self._children(table, rowids, child, key, deletes=False)

    def _children(
        self, parent: TableDef, rowids: IntArray, child: TableDef, key: ForeignKeyDef, *, deletes: bool
    ) -> None:
        """The rows of a child that refer to these rows of its parent, and what the key's action does to them."""
        if key.mismatch is not None:
            raise NotThawable(key.mismatch)
        action = (key.on_delete if deletes else key.on_update).upper()
        if action in _NO_ACTIONS and not child.is_column:
            return
        collations = check_comparison(child, key, parent)
        keys = self.values(parent, rowids, key.parent_columns)
        found = self.find(child, key.columns, collations, keys)
        self._need(child, found)
        if action in _NO_ACTIONS:
            return
        hot = self.hot(child, key.columns, collations, keys)
        found = self._unseen(child, np.concatenate([found, hot]))
        if not len(found):
            return
        if fold(child.name) in self._triggered:
            raise NotThawable("an action that sets off triggers")
        if deletes and action == "CASCADE":
            self._deleted(child, found, counting=True)
            return
        self._keyed_anew(child, found, key)
        if action == "SET DEFAULT":
            self._default_parent(parent, child, key)

    def _keyed_anew(self, child: TableDef, rowids: IntArray, key: ForeignKeyDef) -> None:
        """An action gives the columns of a foreign key other values in these rows of the child."""
        changed = set(map(fold, key.columns))
        keys = [*(k.columns for k in child.keys), *(k.columns for k in child.foreign_keys if k is not key)]
        keys += [k.parent_columns for _, k in self._schema.children_of(child.name)]
        if any(not changed.isdisjoint(map(fold, names)) for names in keys):
            raise NotThawable("an action that changes a key")
        self._parents(child, rowids, child.foreign_keys)

    def _default_parent(self, parent: TableDef, child: TableDef, key: ForeignKeyDef) -> None:
        """The parent of rows of which an action sets the foreign key to its defaults."""
        columns = [child.column(name) for name in key.columns]
        texts = [column.default for column in columns if column.default is not None]
        if len(texts) < len(columns):
            return  # NULL is among them
        if is_volatile(" ".join(texts)):
            raise NotThawable("the default of a key may differ when it is evaluated again")
        values = next(iter(self._db.execute(f"SELECT {', '.join(f'({text})' for text in texts)}")))
        parts = [
            apply_affinity(from_python([value]), column.affinity)
            for value, column in zip(values, columns, strict=True)
        ]
        self._need(parent, self.find(parent, key.parent_columns, check_comparison(child, key, parent), parts))

    def _parents(self, table: TableDef, rowids: IntArray, keys: Iterable[ForeignKeyDef]) -> None:
        """The parents of these rows."""
        for key in keys:
            if key.mismatch is not None:
                raise NotThawable(key.mismatch)
            parent = self._schema.table(key.parent)
            if parent is None or not parent.is_column or not len(rowids):
                continue
            collations = check_comparison(table, key, parent)
            wanted = self.values(table, rowids, key.columns)
            self._need(parent, self.find(parent, key.parent_columns, collations, wanted))

    # --- rows ------------------------------------------------------------------------------------------------

    def _need(self, table: TableDef, rowids: IntArray) -> None:
        if table.is_column and len(rowids):
            self._rows.setdefault(fold(table.name), []).append(rowids)

    def _touch(self, table: TableDef) -> None:
        column_table = self._column_table(table.name)
        if column_table is not None:
            self.touched[fold(table.name)] = column_table

    def _unseen(self, table: TableDef, rowids: IntArray) -> IntArray:
        """Those of the rows that were not followed yet; they count as followed from now on."""
        seen = self._seen.setdefault(fold(table.name), set())
        fresh = [rowid for rowid in dict.fromkeys(rowids.tolist()) if rowid not in seen]
        seen.update(fresh)
        return np.array(fresh, np.int64)

    def _column_table(self, name: str) -> ColumnTable | None:
        return self._store.table(name, self._schema.name)

    def find(
        self, table: TableDef, names: Sequence[str], collations: Sequence[str], keys: Sequence[Column]
    ) -> IntArray:
        """The rowids of rows of row groups with these keys."""
        column_table = self._column_table(table.name)
        if column_table is None:
            return _NO_ROWS
        ids = tuple(column_id_of(column_table, name) for name in names)
        return column_table.find_keys(KeySpec(ids, tuple(collations)), WantedKeys(keys, collations))

    def hot(
        self, table: TableDef, names: Sequence[str], collations: Sequence[str], keys: Sequence[Column]
    ) -> IntArray:
        """The rowids of rows of the row part, or of a table in row format, with these keys."""
        if table.without_rowid:
            raise NotThawable("an action on a table without rowid")
        codes = WantedKeys(keys, collations)
        if not len(codes):
            return _NO_ROWS
        where = " AND ".join(
            f"{self._name(table, name)} = ? COLLATE {collation}"
            for name, collation in zip(names, collations, strict=True)
        )
        sql = f"SELECT {self.rowid(table)} FROM {self.ordinary(table)} WHERE {where}"
        found: list[int] = []
        for row in codes.rows():
            found += (rowid for (rowid,) in self._db.execute(sql, row))
        return np.array(found, np.int64)

    def values(self, table: TableDef, rowids: IntArray, names: Sequence[str]) -> list[Column]:
        """The values of some columns in the rows with these rowids, in any order."""
        columns = [[null_column(0)] for _ in names]
        column_table = self._column_table(table.name)
        if column_table is not None:
            ids = [column_id_of(column_table, name) for name in names]
            for batch in column_table.values_at(rowids, [i for i in ids if i]):
                assert batch.rowids is not None
                stored = iter(batch.columns)
                for parts, column_id in zip(columns, ids, strict=True):
                    parts.append(next(stored) if column_id else integer_column(batch.rowids))
        selected = ", ".join(self._name(table, name) for name in names)
        sql = f"SELECT {selected} FROM {self.ordinary(table)} WHERE {self.rowid(table)} IN carray(?)"
        hot = list(self._db.execute(sql, (apsw.carray(rowids),)))
        for parts, values in zip(columns, zip(*hot, strict=True), strict=False):
            parts.append(from_python(values))
        return [concat_columns(parts) for parts in columns]

    def _name(self, table: TableDef, column: str) -> str:
        """What SQLite knows a column by, or the rowid of a table without INTEGER PRIMARY KEY."""
        return self.rowid(table) if fold(column) == "rowid" else quote(column)

    def ordinary(self, table: TableDef) -> str:
        """The ordinary SQLite table that holds rows of the table: all of them, or its row part."""
        column_table = self._column_table(table.name)
        name = table.name if column_table is None else column_table.rows_name
        return f"{quote(self._schema.name)}.{quote(name)}"

    def rowid(self, table: TableDef) -> str:
        if table.rowid_alias:
            return quote(table.rowid_alias)
        name = visible_rowid([column.name for column in table.columns])
        if name is None or table.without_rowid:
            raise NotThawable("rows without a rowid to name them by")
        return name


def _supplied(params: Params, places: Sequence[int | str]) -> tuple[Any, ...]:
    """The values of a row of parameters. Raises LookupError where some are missing."""
    if isinstance(params, Mapping):
        return tuple(params[place] if isinstance(place, str) else params[str(place + 1)] for place in places)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(places))}
    return tuple(params[numbers[place] if isinstance(place, str) else place] for place in places)


def _named_row(params: Params, place: int | str) -> tuple[Any, ...] | None:
    """The rowid that a parameter gives; None where it is for SQLite to say what the value means."""
    try:
        value = params[place]  # type: ignore[index]
    except LookupError:
        return None
    return (value,) if type(value) is int and INT64_MIN <= value <= INT64_MAX else None


def column_id_of(table: ColumnTable, name: str) -> int:
    """The id of a column; 0 for the rowid of a table without INTEGER PRIMARY KEY."""
    for column in table.columns:
        if fold(column.name) == fold(name):
            return column.column_id
    return 0
