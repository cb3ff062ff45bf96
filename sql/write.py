"""DELETE and UPDATE on a table in column format that must stay so: it has rows that are not validated yet.

The rows are found once, by a SELECT of their rowids made of the user's own clauses. A DELETE then sets
tombstones; an UPDATE thaws the rows and runs the user's text with the row part in the target's place and the
rowids found in place of its WHERE, which must not be evaluated twice (it may call random()). Where rows share
rowids or keys, which only rows that are not validated can, `sql.rewrite` does it instead.
Foreign keys are off meanwhile: SQLite sees the row part alone, and whoever holds rows that are not validated
owes their checks anyway: afterwards too for the children of rows deleted or given other keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import numpy as np

from colonnade.sql.rewrite import rewrite
from colonnade.sql.schema import Schema, fold, read_schema
from colonnade.sql.shown import home_of
from colonnade.sql.statement import Statement, Target
from colonnade.sql.tokens import Kind, quote, tokens
from colonnade.store.catalog import visible_rowid
from colonnade.store.database import Store
from colonnade.store.errors import NotSupportedError, ProgrammingError
from colonnade.store.switches import FOREIGN_KEYS, switched
from colonnade.store.table import ColumnTable
from colonnade.store.values import IntArray, SQLiteValue

Params = Sequence[SQLiteValue] | Mapping[str, SQLiteValue]
_ROWIDS = "colonnade_rowids"  # the parameter's name where the user's own have names
_NO_ACTIONS = frozenset({"NO ACTION", "RESTRICT"})
_CHECKED_LATER = frozenset({None, "ABORT", "FAIL", "ROLLBACK"})


def delete(store: Store, statement: Statement, params: Params = (), schema: Schema | None = None) -> int:
    """Runs a DELETE without RETURNING on a table in column format; returns how many rows went.

    schema  of the table, if the caller has it at hand
    Raises  NotSupportedError where a foreign key would cascade
    """
    write = Write(store, statement, params, schema)
    rowids = write.matching()
    if not len(rowids):
        return 0
    with switched(store.db, FOREIGN_KEYS, False):
        try:
            with store.db:
                gone = write.table.delete(rowids) + write.delete_rows(rowids)
                if gone != len(rowids):
                    raise _Shared
        except _Shared:
            with store.db:
                return rewrite(write, rowids)[0]
    return gone


def update(store: Store, statement: Statement, params: Params = (), schema: Schema | None = None) -> int:
    """Runs an UPDATE without RETURNING on a table in column format; returns how many rows matched.

    Raises  NotSupportedError as `delete` does, and for OR IGNORE and OR REPLACE: keys are not checked
            against rows of row groups before the validation
    """
    write = Write(store, statement, params, schema)
    rowids = write.matching()
    if not len(rowids):
        return 0
    with switched(store.db, FOREIGN_KEYS, False):
        try:
            with store.db:
                write.thaw(rowids)
                write.natively(rowids)
        except (_Shared, apsw.ConstraintError) as error:
            _refuse_others(error)
            with store.db:
                return rewrite(write, rowids)[0]
    return store.db.changes()


def returning(
    store: Store, statement: Statement, params: Params = (), schema: Schema | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Runs a DELETE or UPDATE with RETURNING: names of the columns, and a row for each row changed."""
    write = Write(store, statement, params, schema)
    rowids = write.matching()
    with switched(store.db, FOREIGN_KEYS, False):
        try:
            with store.db:
                write.thaw(rowids)
                rows = write.natively(rowids).fetchall()
        except (_Shared, apsw.ConstraintError) as error:
            _refuse_others(error)
            with store.db:
                rows = rewrite(write, rowids)[1]
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

    def __init__(self, store: Store, statement: Statement, params: Params, schema: Schema | None) -> None:
        change, target = statement.change, statement.target
        if change is None or target is None:
            raise ProgrammingError("neither an UPDATE nor a DELETE")
        self.db, self.text, self.change, self.target = store.db, statement.text, change, target
        self.table = _column_table(store, target)
        self.deletes = statement.verb == "DELETE"
        self.params, self._numbers = params, _numbered(statement, params)
        self.alias = quote(change.alias or target.name)
        self.rows = f"{quote(self.table.schema)}.{quote(self.table.rows_name)}"
        self.rowid = quote(_rowid_name(self.table))
        self.description: tuple[tuple[str, ...], ...] = ()
        if change.conflict not in _CHECKED_LATER:
            raise NotSupportedError(f"UPDATE OR {change.conflict} on {self.table.name}, {_NOT_VALIDATED}")
        if self.db.config(FOREIGN_KEYS, -1):
            self._refuse_actions(schema or read_schema(self.db, self.table.schema))

    def matching(self) -> IntArray:
        """The rowids of the rows that the statement changes, (n,) int64, sorted, each once for an UPDATE."""
        change = self.change
        sources = f"{self.text[self.target.start : self.target.stop]} AS {self.alias}"
        if change.from_ is not None:
            sources += f", ({self._cut(change.from_ + len('FROM'), self._behind(change.from_))}\n)"
        where = "" if change.where is None else self._cut(change.where, self._behind(change.where))
        order = "" if change.order is None else self._cut(change.order, change.stop)
        sql = f"{self._cut(0, change.verb)} SELECT {self.alias}.{self.rowid} FROM {sources} {where}\n{order}"
        # Not from the cache: there it could have been prepared when rowids were unique.
        rows = self.db.execute(sql, self._bound(sql), can_cache=False)
        rowids = np.fromiter((row[0] for row in rows), np.int64)
        rowids.sort()
        return rowids if self.deletes else np.unique(rowids)

    def natively(self, rowids: IntArray) -> apsw.Cursor:
        """Runs the user's text on the row part, on the rows with these rowids."""
        change = self.change
        spliced = f"{self.rows} AS {self.alias}"
        head = self._cut(0, self.target.start) + spliced
        if change.set is not None:
            head += " " + self._cut(change.set, self._behind(change.set))
        if change.from_ is not None:
            head += "\n" + self._cut(change.from_, self._behind(change.from_))
        found = f"carray({self._rowids_parameter()})" if len(rowids) else "()"
        where = f"\nWHERE {self.alias}.{self.rowid} IN {found}"
        if change.from_ is not None and change.where is not None:
            where += f" AND ({self._cut(change.where + len('WHERE'), self._behind(change.where))}\n)"
        tail = ""
        if change.returning is not None:
            tail = " " + self._cut(change.returning, self._behind(change.returning))
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

    def on(self, table: str) -> apsw.Cursor:
        """Runs the user's text as it stands on another table, which has the same columns."""
        clauses = self._cut(self._behind(self.target.stop - 1), self.change.stop)
        sql = f"{self._cut(0, self.target.start)}{table} AS {self.alias} {clauses}"
        cursor = self.db.cursor()
        cursor.exec_trace = self._describe
        cursor.execute(sql, self._bound(sql))
        return cursor

    def _behind(self, clause: int) -> int:
        """Where the clause that starts there ends: at the start of the next."""
        change = self.change
        starts = (change.set, change.from_, change.where, change.returning, change.order, change.stop)
        return min(start for start in starts if start is not None and start > clause)

    # --- parameters ------------------------------------------------------------------------------------

    def _cut(self, start: int, stop: int) -> str:
        """A piece of the user's text, its parameters by number so that they mean the same elsewhere."""
        pieces = []
        for at, length, number in self._numbers:
            if start <= at < stop:
                pieces += [self.text[start:at], f"?{number}"]
                start = at + length
        return "".join(pieces) + self.text[start:stop]

    def _rowids_parameter(self) -> str:
        if isinstance(self.params, Mapping):
            return ":" + _ROWIDS
        return f"?{len(self.params) + 1}"

    def _bound(self, sql: str, rowids: IntArray | None = None) -> Any:
        array = [] if rowids is None or not len(rowids) else [apsw.carray(rowids)]
        if isinstance(self.params, Mapping):
            return {**self.params, _ROWIDS: array[0]} if array else self.params
        if rowids is not None:
            return (*self.params, *array)
        used = [int(t.text[1:]) for t in tokens(sql) if t.kind is Kind.VARIABLE]
        return tuple(self.params[: max(used, default=0)])

    def _refuse_actions(self, schema: Schema) -> None:
        """Foreign key actions would need rows of other tables that SQLite cannot see."""
        for child, key in schema.children_of(self.table.name):
            action = key.on_delete if self.deletes else key.on_update
            changed = self.deletes or not {*map(fold, self.change.assigned)}.isdisjoint(
                map(fold, key.parent_columns)
            )
            if changed and action.upper() not in _NO_ACTIONS:
                raise NotSupportedError(f"{action} from {self.table.name} to {child.name}, {_NOT_VALIDATED}")


_NOT_VALIDATED = "while rows of a bulk load are not validated: end it, or roll back"


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


def _numbered(statement: Statement, params: Params) -> list[tuple[int, int, int]]:
    """Offset, length and number of each parameter in the text, as SQLite numbers them; with named
    parameters nothing, as names mean the same everywhere. Raises ProgrammingError for a wrong count."""
    if isinstance(params, Mapping):
        return []
    found: list[tuple[int, int, int]] = []
    names: dict[str, int] = {}
    highest = 0
    for token in tokens(statement.text[: statement.stop]):
        if token.kind is not Kind.VARIABLE:
            continue
        if token.text == "?":
            number = highest + 1
        elif token.text[0] == "?":
            number = int(token.text[1:])
        else:
            number = names.setdefault(token.text, highest + 1)
        highest = max(highest, number)
        found.append((token.start, len(token.text), number))
    if highest != len(params):
        raise ProgrammingError(
            "Incorrect number of bindings supplied. The current statement uses "
            f"{highest}, and there are {len(params)} supplied."
        )
    return found
