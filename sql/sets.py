"""DELETE and UPDATE of very many rows at once: tombstones, and new chunks of the columns assigned.

For statements that match so many rows that to bring them into the row part would cost more than to go over the row
groups. Only where nothing has to be looked at row by row: no RETURNING, no trigger, no foreign key with rows that
refer to the table, and for an UPDATE no column of a key. SQLite evaluates the statement's own clauses over the
virtual table, in rowid order, and sees the table as it was until all is known; then everything changes at once.
Memory: a bit a row of the row groups for a DELETE; for an UPDATE the new values of the row groups that the scan
stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import apsw
import numpy as np
import numpy.typing as npt

from colonnade.sql.affinity import apply_affinity
from colonnade.sql.checks import bulk_reason, check_batch
from colonnade.sql.objects import ForeignKeyDef, Schema, TableDef, fold
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
from colonnade.store.values import Column, IntArray, Kind, RowBatch, concat_columns, from_python

_READ_ROWS = 16_384  # rows that are Python objects at a time
_DELETE_SHARE = 16  # a tombstone costs so much less than the move of a row into the row part


@dataclass(frozen=True, slots=True)
class SetPlan:
    """How to run one text set-wise.

    table       the target
    deletes     else it is an UPDATE
    columns     that are assigned, as TableDef spells them, each once
    query       SELECT of the rowids that match and of the new values; None: a DELETE of all rows
    parameters  how many values `query` takes, and the whole text, if they come by position
    children    enforced foreign keys that refer to the table: a DELETE runs here only while none has a row
    has_parents the table has foreign keys that are enforced
    """

    table: TableDef
    deletes: bool
    columns: tuple[str, ...]
    query: str | None
    parameters: tuple[int, int]
    children: tuple[tuple[TableDef, ForeignKeyDef], ...]
    has_parents: bool


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
        pieces = Pieces(statement, named=named)
        found = _assignments(table, change, pieces)
        if found is None:
            return None
        columns = tuple(found)
        query = _update_query(statement, change, table, pieces, list(found.values()))
    elif change.where is None and change.order is None:
        query = None
    counts = (0, 0)
    if not named:
        counts = (highest_parameter(query or ""), highest_parameter(statement.text[: statement.stop]))
    return SetPlan(
        table, deletes, columns, query, counts, children, foreign_keys and bool(table.foreign_keys)
    )


def _assignments(table: TableDef, change: Change, pieces: Pieces) -> dict[str, str] | None:
    """The expression for each column; None where rows have to be looked at one by one."""
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
    if found is None or any(is_volatile(text) or has_subquery(text) for _, text in found):
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
    return f"{pieces.cut(0, change.verb)} SELECT {values} FROM {sources} {where}\nORDER BY {rowid}"


def _rowid(table: TableDef) -> str:
    if table.rowid_alias:
        return quote(table.rowid_alias)
    return visible_rowid([column.name for column in table.columns]) or "rowid"


class SetWrite:
    """One statement to be run set-wise. Raises NotThawable, before anything was changed, where it cannot be."""

    def __init__(self, store: Store, plan: SetPlan, statement: Statement, params: Any) -> None:
        self._store, self._db, self._plan = store, store.db, plan
        self._statement, self._params = statement, params
        table = store.table(plan.table.name, plan.table.schema)
        if table is None:
            raise NotThawable("a table in row format")
        self._table = table
        self._rows = f"{quote(table.schema)}.{quote(table.rows_name)}"
        self._key = _rowid(plan.table)

    def suits(self, *, counted: bool) -> bool:
        """Whether the tables are so now that the statement can run set-wise.

        counted  violations of deferred foreign keys are counted: then each row that goes may be one less
        """
        plan = self._plan
        if self._table.rowids_repeat or self._table.unchecked_groups():
            return False
        if not isinstance(self._params, Mapping) and len(self._params) != plan.parameters[1]:
            return False
        if not plan.deletes:
            return True
        if counted and (plan.has_parents or plan.children):
            return False
        return all(self._is_empty(child) for child, _ in plan.children)

    @property
    def all_rows(self) -> bool:
        """Whether it is a DELETE of all rows, which need not be found."""
        return self._plan.query is None

    @property
    def few(self) -> int:
        """So many rows are better thawed, by the table's write hints: those of a row group for an UPDATE."""
        rows = self._store.batch_rows(self._table.name, self._table.schema)
        return max(1, rows // _DELETE_SHARE) if self._plan.deletes else rows

    def _is_empty(self, child: TableDef) -> bool:
        name = f"{quote(child.schema)}.{quote(child.name)}"
        return self._db.execute(f"SELECT 1 FROM {name} LIMIT 1").get is None

    def run(self) -> int:
        """Runs the statement: how many rows it changed. Raises IntegrityError as SQLite does, nothing changed."""
        try:
            with self._db:
                # SQLite itself looks at the text first: an aggregate in SET is an error, though not in a SELECT.
                text = spliced(self._statement, self._table.schema, self._table.rows_name)
                self._db.execute(f"EXPLAIN {text}", self._params)
                if self._plan.query is None:
                    count = self._delete_all()
                else:
                    count = self._delete() if self._plan.deletes else self._update()
        except (apsw.SQLError, apsw.BindingsError, UnicodeDecodeError) as error:
            raise NotThawable(str(error)) from None
        return count

    def _found(self) -> Iterator[list[tuple[Any, ...]]]:
        """What the query gives, some rows at a time."""
        assert self._plan.query is not None
        params = self._params
        values = params if isinstance(params, Mapping) else tuple(params)[: self._plan.parameters[0]]
        cursor = self._db.cursor()
        try:
            cursor.execute(self._plan.query, values)
            while rows := list(islice(cursor, _READ_ROWS)):
                yield rows
        finally:
            cursor.close(True)

    # --- DELETE ----------------------------------------------------------------------------------------------

    def _delete_all(self) -> int:
        """Frees every row group, none of which is read."""
        table = self._table
        count = table.row_count()
        if table.open_scans:
            raise NotThawable("a scan that has not ended")
        for group in table.groups():
            self._store.pager.free_group(table.names, group.group_id)
        table.changed()
        self._db.execute(f"DELETE FROM {self._rows}")
        return count

    def _delete(self) -> int:
        places, count = _Places(self._table), 0
        gone: dict[int, npt.NDArray[np.uint8]] = {}
        hot: list[IntArray] = []
        for rows in self._found():
            rowids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            count += len(rowids)
            frozen = np.zeros(len(rowids), bool)
            for group, positions, among in places.of(rowids):
                bits = np.zeros(group.row_count, bool)
                if group.group_id in gone:
                    bits[:] = np.unpackbits(gone[group.group_id], count=group.row_count)
                bits[positions] = True
                gone[group.group_id] = np.packbits(bits)
                frozen[among] = True
            if not frozen.all():
                hot.append(rowids[~frozen])
        for group_id, packed in gone.items():
            positions = np.flatnonzero(np.unpackbits(packed))
            self._table.bury(group_id, positions)
        for rowids in hot:
            self._db.execute(
                f"DELETE FROM {self._rows} WHERE {self._key} IN carray(?)", (apsw.carray(rowids),)
            )
        return count

    # --- UPDATE ----------------------------------------------------------------------------------------------

    def _update(self) -> int:
        table, definition = self._table, self._plan.table
        places, regrouping, count = _Places(table), Regrouping(table), 0
        news = _NewValues(self._db, table, definition, self._plan.columns, regrouping)
        hot: list[tuple[Any, ...]] = []
        for rows in self._found():
            count += len(rows)
            rowids, *values = zip(*rows, strict=True)
            numbers = np.array(rowids, np.int64)
            columns = [
                apply_affinity(from_python(part), definition.column(name).affinity)
                for name, part in zip(self._plan.columns, values, strict=True)
            ]
            frozen = np.zeros(len(rows), bool)
            for group, positions, among in places.of(numbers):
                news.add(group, positions, [column.take(among) for column in columns])
                frozen[among] = True
            hot += (rows[at] for at in np.flatnonzero(~frozen).tolist())
            news.flush(int(numbers[-1]))
        news.flush(None)
        regrouping.finish()
        if hot:
            assigned = ", ".join(f"{quote(name)} = ?{at}" for at, name in enumerate(self._plan.columns, 2))
            self._db.executemany(f"UPDATE {self._rows} SET {assigned} WHERE {self._key} = ?1", hot)
        return count


class _Places:
    """Where the live rows of row groups are."""

    def __init__(self, table: ColumnTable) -> None:
        self._table, self._groups = table, table.groups()
        self._rowids: dict[int, IntArray] = {}

    def of(self, rowids: IntArray) -> Iterator[tuple[RowGroupInfo, IntArray, IntArray]]:
        """For each row group with some of the rows: their positions in it, and which of `rowids` they are."""
        least, most = int(rowids.min()), int(rowids.max())
        for group in self._groups:
            if group.last_rowid < least or group.first_rowid > most or not group.live_count:
                continue
            inside = np.flatnonzero((rowids >= group.first_rowid) & (rowids <= group.last_rowid))
            if not len(inside):
                continue
            own = self._of_group(group)
            at = np.searchsorted(own, rowids[inside])
            hit = own[np.minimum(at, len(own) - 1)] == rowids[inside] if len(own) else np.zeros(0, bool)
            live = self._table.reader(group).live
            if live is not None:
                hit &= live[np.minimum(at, len(own) - 1)]
            if hit.any():
                yield group, at[hit], inside[hit]

    def _of_group(self, group: RowGroupInfo) -> IntArray:
        known = self._rowids.get(group.group_id)
        if known is None:
            known = self._table.reader(group).rowids(0, group.row_count)
            if len(self._rowids) >= 4:
                del self._rowids[next(iter(self._rowids))]
            self._rowids[group.group_id] = known
        return known


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
