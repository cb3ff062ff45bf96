"""DELETE, and UPDATE of very many rows, at once: tombstones, and new chunks of the columns assigned.

For a DELETE of any number of rows (`sql.deletes`), and for an UPDATE of so many that to bring them into the row part
would cost more than to go over the row groups. Only where nothing has to be looked at row by row: no RETURNING, no
trigger, for a DELETE no row that refers to one that goes, and for an UPDATE no column of a key. The rows that match,
and their new values, are those of a query: a vectorised one if possible, else SQLite evaluates the statement's own
clauses over the virtual table. It sees the table as it was until all is known; then everything changes at once. Memory
of an UPDATE: the new values of the row groups that the scan stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np

from colonnade.sql.affinity import apply_affinity
from colonnade.sql.checks import bulk_reason, check_batch
from colonnade.sql.deletes import Delete
from colonnade.sql.finding import Finder
from colonnade.sql.objects import ForeignKeyDef, Schema, TableDef, fold
from colonnade.sql.rowidrange import Bound, rowid_range
from colonnade.sql.splice import Pieces, highest_parameter, spliced
from colonnade.sql.statement import Change, Statement
from colonnade.sql.tokens import quote, tokens
from colonnade.sql.volatile import has_subquery, is_volatile
from colonnade.sql.writeplan import ROWID_NAMES, NotThawable, WritePlan
from colonnade.store.catalog import visible_rowid
from colonnade.store.database import Store
from colonnade.store.pager import RowGroupInfo
from colonnade.store.regroup import Regrouping
from colonnade.store.table import ColumnTable
from colonnade.store.values import Column, IntArray, Kind, RowBatch, concat_columns, from_python, to_python

if TYPE_CHECKING:
    from colonnade.sql.select import Answer

_READ_ROWS = 16_384  # rows that are Python objects at a time


@dataclass(slots=True)
class SetPlan:
    """How to run one text set-wise.

    table       the target
    deletes     else it is an UPDATE
    once        `query` may find other rows when it is evaluated again
    columns     that are assigned, as TableDef spells them, each once
    query       SELECT of the rowids that match and of the new values, in the order of rowids
    unordered   the same for a vectorised query, which reads a table in that order
    all_rows    it is a DELETE of all rows
    bounds      the range of rowids that alone says which rows `query` would find, if that is so
    parameters  how many values `query` takes, and the whole text, if they come by position
    children    enforced foreign keys that refer to the table
    has_parents the table has foreign keys that are enforced
    was_read    SQLite has looked at the text
    """

    schema: Schema
    table: TableDef
    deletes: bool
    once: bool
    columns: tuple[str, ...]
    query: str
    unordered: str
    all_rows: bool
    bounds: tuple[Bound, ...]
    parameters: tuple[int, int]
    children: tuple[tuple[TableDef, ForeignKeyDef], ...]
    has_parents: bool
    was_read: bool = False

    @property
    def looks_for_rows(self) -> bool:
        """Whether `query` has to be asked which rows match."""
        return not (self.all_rows or self.bounds)


def plan_set(
    statement: Statement, schema: Schema, plan: WritePlan, *, named: bool, foreign_keys: bool
) -> SetPlan | None:
    """How to run an UPDATE or DELETE set-wise, as far as its text and the schema tell; None: not at all.

    plan  of the same statement, without triggers on its target
    """
    table, change = plan.table, statement.change
    if change is None or statement.returning or not table.is_column:
        return None
    children = tuple(schema.children_of(table.name)) if foreign_keys else ()
    columns: tuple[str, ...] = ()
    deletes, query = bool(plan.deletes), plan.query
    if not deletes:
        if plan.rowid is not None:
            return None  # one row
        pieces = Pieces(statement, named=named)
        found = _assignments(table, change, pieces, once=plan.once)
        if found is None:
            return None
        columns = tuple(found)
        query = _update_query(statement, change, table, pieces, list(found.values()))
    assert query is not None
    unordered, ordered = query, ""
    if not deletes:
        target = statement.target
        assert target is not None
        ordered = f"\nORDER BY {quote(change.alias or target.name)}.{_rowid(table)}"
    all_rows = deletes and change.where is None and change.order is None
    counts = (0, 0)
    if not named:
        counts = (highest_parameter(query), highest_parameter(statement.text[: statement.stop]))
    has_parents = foreign_keys and bool(table.foreign_keys)
    return SetPlan(
        schema,
        table,
        deletes,
        plan.once,
        columns,
        query + ordered,
        unordered,
        all_rows,
        plan.bounds,
        counts,
        children,
        has_parents,
    )


def _assignments(table: TableDef, change: Change, pieces: Pieces, *, once: bool) -> dict[str, str] | None:
    """The expression for each column; None where rows have to be looked at one by one.

    once  the WHERE may not be evaluated again: then what is assigned need not be fit for it either
    """
    plain = change.conflict in (None, "ABORT") and change.from_ is None and change.order is None
    if not plain or bulk_reason(table) is not None:
        return None
    assigned = set(map(fold, change.assigned))
    keys = {fold(name) for key in table.keys for name in key.columns}
    keys |= {fold(name) for foreign_key in table.foreign_keys for name in foreign_key.columns}
    keys |= {*ROWID_NAMES, fold(table.rowid_alias or "rowid")}
    if assigned & keys or len(assigned) < len(change.assigned):
        return None
    found = pieces.assignments()
    if found is None or any((is_volatile(text) and not once) or has_subquery(text) for _, text in found):
        return None
    try:
        return {table.column(name).name: text for name, text in found}
    except KeyError:
        return None  # SQLite says that there is no such column


def _update_query(
    statement: Statement, change: Change, table: TableDef, pieces: Pieces, expressions: Sequence[str]
) -> str:
    target = statement.target
    assert target is not None
    alias = quote(change.alias or target.name)
    rowid = f"{alias}.{_rowid(table)}"
    where = "" if change.where is None else pieces.cut(change.where, pieces.behind(change.where))
    values = ", ".join([rowid, *(f"({text}\n)" for text in expressions)])
    sources = f"{statement.text[target.start : target.stop]} AS {alias}"
    return f"{pieces.cut(0, change.verb)} SELECT {values} FROM {sources} {where}"


def _rowid(table: TableDef) -> str:
    if table.rowid_alias:
        return quote(table.rowid_alias)
    return visible_rowid([column.name for column in table.columns]) or "rowid"


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that match, each rowid once; for an UPDATE with their new values, in the order of rowids.

    rowids  (n,) int64, its own
    values  for each column assigned n values, no affinity applied
    """

    rowids: IntArray
    values: list[Column]


class SetWrite:
    """One statement to be run set-wise. Raises NotThawable, before anything was changed, where it cannot be."""

    def __init__(
        self, store: Store, plan: SetPlan, statement: Statement, params: Any, finder: Finder | None = None
    ) -> None:
        self._store, self._db, self._plan = store, store.db, plan
        self._statement, self._params, self._finder = statement, params, finder
        table = store.table(plan.table.name, plan.table.schema)
        if table is None:
            raise NotThawable("a table in row format")
        self._table = table
        # An UPDATE of rows that a vectorised query will probably find, as of those that may be asked for only once,
        # finds out here how many they are.
        self.brings_few = plan.once or (not plan.deletes and self._likely())

    def _likely(self) -> bool:
        finder, plan = self._finder, self._plan
        return finder is not None and plan.looks_for_rows and finder.likely(plan.unordered, self._values())

    def suits(self, *, counted: bool) -> bool:
        """Whether the tables are so now that the statement can run set-wise.

        counted  violations of deferred foreign keys are counted: then each row that goes may be one less
        """
        plan = self._plan
        if self._table.rowids_repeat or self._table.unchecked_groups():
            return False
        if not isinstance(self._params, Mapping) and len(self._params) != plan.parameters[1]:
            return False
        return not (plan.deletes and counted and (plan.has_parents or plan.children))

    @property
    def few(self) -> int:
        """So many rows are better thawed for an UPDATE, by the table's write hints: those of a row group."""
        return self._store.batch_rows(self._table.name, self._table.schema)

    def run(self) -> int:
        """Runs the statement: how many rows it changed. Raises IntegrityError as SQLite does, nothing changed."""
        try:
            with self._db:
                self._have_it_read()
                count = self._run()
        except (apsw.SQLError, apsw.BindingsError, UnicodeDecodeError) as error:
            raise NotThawable(str(error)) from None
        return count

    def _run(self) -> int:
        plan = self._plan
        if plan.deletes:
            delete = Delete(self._store, plan.schema, plan.table, plan.children)
            if plan.all_rows and delete.may_take_all():
                return delete.all()
            span = rowid_range(plan.bounds, self._params) if plan.bounds else None
            if span is not None:
                return delete.span(*span)
        count: list[int] = []

        def use(answer: Answer) -> None:
            with self._db:
                count.append(self._change(_of_vectors(answer)))

        if self._finder is not None and self._finder.find(plan.unordered, self._values(), use):
            return count[-1]
        return self._change(self._found())

    def _change(self, found: Iterator[Found]) -> int:
        """Changes the rows that match; how many these are."""
        if not self._plan.deletes:
            return self._update(found)
        delete = Delete(self._store, self._plan.schema, self._plan.table, self._plan.children)
        return delete.rows(some.rowids for some in found)

    def _values(self) -> Any:
        """The parameters of the query."""
        params = self._params
        return params if isinstance(params, Mapping) else tuple(params)[: self._plan.parameters[0]]

    def _have_it_read(self) -> None:
        """SQLite itself looks at a text first: an aggregate in SET is an error, though not in a SELECT."""
        if not self._plan.was_read:
            text = spliced(self._statement, self._table.schema, self._table.rows_name)
            self._db.execute(f"EXPLAIN {text}", self._params)
            self._plan.was_read = True

    def _found(self) -> Iterator[Found]:
        """What SQLite finds, some rows at a time: one flat list, as many tuples at once would have the garbage
        collector look at all of them again and again."""
        width = 1 + len(self._plan.columns)
        cursor = self._db.cursor()
        try:
            cursor.execute(self._plan.query, self._values())
            while flat := list(chain.from_iterable(islice(cursor, _READ_ROWS))):
                rowids, *values = (flat[at::width] for at in range(width))
                yield Found(np.array(rowids, np.int64), list(map(from_python, values)))
        finally:
            cursor.close(True)

    # --- UPDATE ----------------------------------------------------------------------------------------------

    def _update(self, found: Iterator[Found]) -> int:
        if not self.brings_few:  # those are not for here
            return self._update_many(found)
        held: list[Found] = []
        count = 0
        for some in found:
            held.append(some)
            count += len(some.rowids)
            if count > self.few:
                return self._update_many(chain(held, found))
        for some in held:
            self._table.thaw(some.rowids)
            self._update_hot(some)
        return count

    def _update_many(self, found: Iterable[Found]) -> int:
        table, definition = self._table, self._plan.table
        groups, regrouping, count = table.groups(), Regrouping(table), 0
        news = _NewValues(self._db, table, definition, self._plan.columns, regrouping)
        hot: list[Found] = []
        for some in found:
            count += len(some.rowids)
            columns = [
                apply_affinity(values, definition.column(name).affinity)
                for name, values in zip(self._plan.columns, some.values, strict=True)
            ]
            frozen = np.zeros(len(some.rowids), bool)
            for group in groups:
                if group.last_rowid < some.rowids[0] or group.first_rowid > some.rowids[-1]:
                    continue
                positions, among = table.look_up(group).positions(some.rowids)
                if len(among):
                    news.add(group, positions, [column.take(among) for column in columns])
                    frozen[among] = True
            left = np.flatnonzero(~frozen)
            if len(left):
                hot.append(Found(some.rowids[left], [values.take(left) for values in some.values]))
            news.flush(int(some.rowids[-1]))
        news.flush(None)
        regrouping.finish()
        for some in hot:
            self._update_hot(some)
        return count

    def _update_hot(self, rows: Found) -> None:
        """Gives rows of the row part their new values."""
        assigned = ", ".join(f"{quote(name)} = ?{at}" for at, name in enumerate(self._plan.columns, 2))
        rows_table = f"{quote(self._table.schema)}.{quote(self._table.rows_name)}"
        sql = f"UPDATE {rows_table} SET {assigned} WHERE {_rowid(self._plan.table)} = ?1"
        values = zip(rows.rowids.tolist(), *map(to_python, rows.values), strict=True)
        self._db.executemany(sql, values)


def _of_vectors(answer: Answer) -> Iterator[Found]:
    from colonnade.sql.select.vector import to_column  # who only writes starts faster without queries

    for batch in answer.batches:
        rowids, *values = map(to_column, batch)
        yield Found(np.array(rowids.data.to_numpy(), np.int64), values)


class _NewValues:
    """The new values of the row groups that a scan in rowid order stands in."""

    def __init__(
        self,
        db: apsw.Connection,
        table: ColumnTable,
        definition: TableDef,
        names: Sequence[str],
        into: Regrouping,
    ) -> None:
        self._db, self._table, self._into, self._names = db, table, into, names
        self._definition = _checked_part(definition, names)
        ids = {fold(column.name): column.column_id for column in table.columns}
        self._ids = {name: ids[fold(name)] for name in names}
        self._all_ids = {column.name: ids[fold(column.name)] for column in definition.columns}
        self._open: dict[int, tuple[RowGroupInfo, list[IntArray], list[Sequence[Column]]]] = {}

    def add(self, group: RowGroupInfo, positions: IntArray, columns: Sequence[Column]) -> None:
        """New values of rows of a row group. Raises IntegrityError where they break a constraint"""
        self._check(group, positions, dict(zip(self._names, columns, strict=True)))
        _, places, parts = self._open.setdefault(group.group_id, (group, [], []))
        places.append(positions)
        parts.append(columns)

    def flush(self, last_rowid: int | None) -> None:
        """The scan is behind this rowid, or at its end: stores the chunks of the row groups before it."""
        for group_id, (group, places, parts) in list(self._open.items()):
            if last_rowid is not None and group.last_rowid > last_rowid:
                continue
            del self._open[group_id]
            columns = map(concat_columns, zip(*parts, strict=True))
            positions, reader = np.concatenate(places), self._table.reader(group)
            chunks = {}
            for name, column in zip(self._names, columns, strict=True):
                column_id = self._ids[name]
                if len(positions) < group.row_count:
                    order = np.arange(group.row_count)
                    order[positions] = group.row_count + np.arange(len(positions))
                    old = reader.span(column_id, 0, group.row_count)
                    column = concat_columns([old, column]).take(order)
                chunks[column_id] = self._settled(name, column)
            self._into.stage(group, chunks)

    def _settled(self, name: str, column: Column) -> Column:
        if column.kind is not Kind.MIXED:
            return column
        return apply_affinity(column, self._definition.column(name).affinity)

    def _check(self, group: RowGroupInfo, positions: IntArray, new: Mapping[str, Column]) -> None:
        columns = []
        for definition in self._definition.columns:
            if definition.name in new:
                columns.append(new[definition.name])
            else:
                reader = self._table.reader(group)
                columns.append(reader.take(self._all_ids[definition.name], positions))
        rowids = self._table.reader(group).rowids_at(positions)
        problem = check_batch(self._db, self._definition, RowBatch(len(positions), tuple(columns), rowids))
        if problem is not None:
            raise problem.error()


def _checked_part(table: TableDef, assigned: Sequence[str]) -> TableDef:
    """The table with no more constraints, and columns for them, than an UPDATE of these columns looks at: others
    may be broken already (PRAGMA ignore_check_constraints), which nobody then minds."""
    names = set(map(fold, assigned))
    checks = tuple(check for check in table.checks if _mentions(check.expr, names))
    columns = tuple(
        replace(column, not_null=column.not_null and fold(column.name) in names)
        for column in table.columns
        if checks or fold(column.name) in names
    )
    return replace(table, columns=columns, checks=checks, rowid_alias=table.rowid_alias if checks else None)


def _mentions(expression: str, names: set[str]) -> bool:
    return any(token.is_name and fold(token.name) in names for token in tokens(expression))
