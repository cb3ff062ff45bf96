"""DELETE and UPDATE on a table in column format that must stay so: it has rows that are not validated yet.

The rows are found once, by a SELECT of their rowids made of the user's own clauses. A DELETE then sets
tombstones; an UPDATE thaws the rows and runs the user's text with the row part in the target's place and the
rowids found in place of its WHERE, which must not be evaluated twice (it may call random()). Where rows share
rowids or keys, which only rows that are not validated can, `sql.rewrite` does it instead.
Foreign keys are off meanwhile: SQLite sees the row part alone, and whoever holds rows that are not validated
owes their checks anyway: afterwards too for the children of rows deleted or given other keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np

from colonnade.sql.rewrite import rewrite
from colonnade.sql.schema import Schema, fold
from colonnade.sql.shown import home_of
from colonnade.sql.splice import Pieces, highest_parameter, returning_of
from colonnade.sql.statement import Change, Statement, Target
from colonnade.sql.tokens import quote
from colonnade.store.catalog import visible_rowid
from colonnade.store.database import Store
from colonnade.store.errors import ProgrammingError
from colonnade.store.switches import FOREIGN_KEYS, switched
from colonnade.store.table import ColumnTable
from colonnade.store.values import IntArray, SQLiteValue

Params = Sequence[SQLiteValue] | Mapping[str, SQLiteValue]
_ROWIDS = "colonnade_rowids"  # the parameter's name where the user's own have names
_NO_ACTIONS = frozenset({"NO ACTION", "RESTRICT"})
_ABORTS = frozenset({None, "ABORT"})


@dataclass(frozen=True, slots=True)
class Matches:
    """Rows that a statement changes.

    rowids     (n,) int64, sorted, each once
    row_count  how many rows have them; more than n where rows share a rowid (or, for an UPDATE … FROM, where
               a row matches more than once)
    rows       where rowids may repeat: rowid and values of each row, as repr() writes them, and how often
    """

    rowids: IntArray
    row_count: int
    rows: Counter[str] | None


def suits(store: Store, statement: Statement, schema: Schema) -> bool:
    """Whether an UPDATE or DELETE can run here: on a table in column format, plain, and without foreign key
    actions, which would need rows of other tables that SQLite cannot see.

    schema  of the table
    """
    change, target = statement.change, statement.target
    if change is None or target is None or change.conflict not in _ABORTS:
        return False
    if store.table(target.name, schema.name) is None:
        return False
    return not (store.db.config(FOREIGN_KEYS, -1) and _acts(statement, change, target, schema))


def _acts(statement: Statement, change: Change, target: Target, schema: Schema) -> bool:
    deletes = statement.verb == "DELETE"
    assigned = {*map(fold, change.assigned)}
    return any(
        (key.on_delete if deletes else key.on_update).upper() not in _NO_ACTIONS
        and (deletes or not assigned.isdisjoint(map(fold, key.parent_columns)))
        for _, key in schema.children_of(target.name)
    )


def delete(store: Store, statement: Statement, params: Params = ()) -> int:
    """Runs a DELETE without RETURNING that `suits`; returns how many rows went."""
    return _changed(store, statement, params, _tombstone)


def update(store: Store, statement: Statement, params: Params = ()) -> int:
    """Runs an UPDATE without RETURNING that `suits`; returns how many rows matched."""
    return _changed(store, statement, params, _natively)


def _changed(store: Store, statement: Statement, params: Params, run: Callable[[Write, Matches], int]) -> int:
    write = Write(store, statement, params)
    matches = write.matching()
    if not len(matches.rowids):
        return 0
    with switched(store.db, FOREIGN_KEYS, False):
        try:
            with store.db:
                count = run(write, matches)
        except (_Shared, apsw.ConstraintError) as error:
            _refuse_others(error)
            with store.db:
                count = rewrite(write, matches)[0]
    return count


def _tombstone(write: Write, matches: Matches) -> int:
    gone = write.table.delete(matches.rowids) + write.delete_rows(matches.rowids)
    if gone != matches.row_count:
        raise _Shared
    return gone


def _natively(write: Write, matches: Matches) -> int:
    write.thaw(matches.rowids)
    write.natively(matches.rowids)
    return write.db.changes()


def returning(
    store: Store, statement: Statement, params: Params = ()
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Runs a DELETE or UPDATE with RETURNING that `suits`: names of the columns, a row for each row changed."""
    write = Write(store, statement, params)
    matches = write.matching()
    with switched(store.db, FOREIGN_KEYS, False):
        try:
            with store.db:
                write.thaw(matches.rowids)
                rows = write.natively(matches.rowids).fetchall()
        except (_Shared, apsw.ConstraintError) as error:
            _refuse_others(error)
            with store.db:
                rows = rewrite(write, matches)[1]
    return [column[0] for column in write.description], rows


class _Shared(Exception):
    """Rows that match share their rowid with others."""


_KEYS = (apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID)


def _refuse_others(error: Exception) -> None:
    """Raise what is not about keys, which are validated later."""
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", None) not in _KEYS:
        raise error


class Write:
    """One statement with its table, its parameters numbered, and the texts made of its clauses."""

    def __init__(self, store: Store, statement: Statement, params: Params) -> None:
        change, target = statement.change, statement.target
        if change is None or target is None:
            raise ProgrammingError("neither an UPDATE nor a DELETE")
        self.db, self.text, self.change, self.target = store.db, statement.text, change, target
        self.table = _column_table(store, target)
        self.deletes = statement.verb == "DELETE"
        self.params, self._pieces = params, _pieces(statement, params)
        self.alias = quote(change.alias or target.name)
        self.rows = f"{quote(self.table.schema)}.{quote(self.table.rows_name)}"
        self.rowid = quote(_rowid_name(self.table))
        self.description: tuple[tuple[str, ...], ...] = ()

    def matching(self) -> Matches:
        """The rows that the statement changes: the only time that its WHERE is evaluated on its own."""
        change = self.change
        sources = f"{self.text[self.target.start : self.target.stop]} AS {self.alias}"
        if change.from_ is not None:
            inner = self._pieces.cut(change.from_ + len("FROM"), self._pieces.behind(change.from_))
            sources = f"{inner}\n, {sources}"  # in parentheses a lone subquery would lose its alias
        where = (
            "" if change.where is None else self._pieces.cut(change.where, self._pieces.behind(change.where))
        )
        order = "" if change.order is None else self._pieces.cut(change.order, change.stop)
        wanted = f"{self.alias}.{self.rowid}"
        if self.table.rowids_repeat:  # the rowid alone does not tell which of several rows matched
            wanted += "".join(f", {self.alias}.{quote(column.name)}" for column in self.table.columns)
        sql = f"{self._pieces.cut(0, change.verb)} SELECT {wanted} FROM {sources} {where}\n{order}"
        # Not from the cache: there it could have been prepared when rowids were unique.
        found = self.db.execute(sql, self._bound(sql), can_cache=False)
        rows = Counter(map(repr, found)) if self.table.rowids_repeat else None
        if rows is None:
            rowids = np.fromiter((row[0] for row in found), np.int64)
        else:
            rowids = np.array([int(row[1:].split(",", 1)[0]) for row in rows.elements()], np.int64)
        rowids.sort()
        first = np.ones(len(rowids), bool)
        np.not_equal(rowids[1:], rowids[:-1], out=first[1:])
        return Matches(rowids[first], len(rowids), rows)

    def natively(self, rowids: IntArray) -> apsw.Cursor:
        """Runs the user's text on the row part, on the rows with these rowids."""
        found = f"carray({self._rowids_parameter()})" if len(rowids) else "()"
        return self._run(self.table.rows_name, f"{self.alias}.{self.rowid} IN {found}", rowids)

    def _run(self, name: str, condition: str, rowids: IntArray | None) -> apsw.Cursor:
        """The user's text with another table of the schema for its target and a condition for its WHERE.

        An UPDATE … FROM keeps its WHERE too: it says which row of the sources belongs to which.
        """
        change = self.change
        table = f"{quote(self.table.schema)}.{quote(name)}"
        head = f"{self._pieces.cut(0, self.target.start)}{table} AS {self.alias}"
        if change.set is not None:
            head += " " + self._pieces.cut(change.set, self._pieces.behind(change.set))
        if change.from_ is not None:
            head += "\n" + self._pieces.cut(change.from_, self._pieces.behind(change.from_))
        where = "\nWHERE " + condition
        if change.from_ is not None and change.where is not None:
            where += (
                f" AND ({self._pieces.cut(change.where + len('WHERE'), self._pieces.behind(change.where))}\n)"
            )
        tail = ""
        if change.returning is not None:
            clause = self._pieces.cut(change.returning, self._pieces.behind(change.returning))
            tail = " " + returning_of(clause, self.target.name, name)[0]
        sql = head + where + tail
        cursor = self.db.cursor()
        cursor.exec_trace = self._describe
        cursor.execute(sql, self._bound(sql, rowids))
        return cursor

    def _describe(self, cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        """Before the first step: afterwards a statement without rows has no description any more."""
        self.description = cursor.get_description()
        return True

    def thaw(self, rowids: IntArray) -> None:
        """Brings the rows into the row part."""
        if not len(rowids):
            return
        self.table.thaw(rowids)
        found = self.db.execute(
            f"SELECT count(*) FROM {self.rows} WHERE {self.rowid} IN carray(?)", (apsw.carray(rowids),)
        ).get
        if found != len(rowids):
            raise _Shared

    def delete_rows(self, rowids: IntArray) -> int:
        """Deletes the rows of the row part with these rowids; returns how many there were."""
        self.db.execute(f"DELETE FROM {self.rows} WHERE {self.rowid} IN carray(?)", (apsw.carray(rowids),))
        return self.db.changes()

    def natively_on(self, name: str, hits: str) -> apsw.Cursor:
        """Runs the user's text on another table with the same columns, on the rows where `hits` is true."""
        return self._run(name, f"{self.alias}.{hits}", None)

    # --- parameters ------------------------------------------------------------------------------------

    def _rowids_parameter(self) -> str:
        if isinstance(self.params, Mapping):
            return ":" + _ROWIDS
        return f"?{len(self.params) + 1}"

    def _bound(self, sql: str, rowids: IntArray | None = None) -> Any:
        array = [] if rowids is None or not len(rowids) else [apsw.carray(rowids)]
        if isinstance(self.params, Mapping):
            return {**self.params, _ROWIDS: array[0]} if array else self.params
        if array:
            return (*self.params, *array)
        return tuple(self.params[: highest_parameter(sql)])  # those of the WHERE may be gone


def _column_table(store: Store, target: Target) -> ColumnTable:
    home = home_of(store.db, target.name, target.schema)
    table = store.table(target.name, home) if home else None
    if table is None:
        raise ProgrammingError(f"table {target.name} is not in column format")
    return table


def _rowid_name(table: ColumnTable) -> str:
    for column in table.columns:
        if column.column_id == table.rowid_column:
            return column.name
    return visible_rowid([column.name for column in table.columns]) or "rowid"


def _pieces(statement: Statement, params: Params) -> Pieces:
    """The statement in pieces. Raises ProgrammingError for a wrong number of values."""
    named = isinstance(params, Mapping)
    pieces = Pieces(statement, named=named)
    if not named and pieces.parameters != len(params):
        raise ProgrammingError(
            "Incorrect number of bindings supplied. The current statement uses "
            f"{pieces.parameters}, and there are {len(params)} supplied."
        )
    return pieces
