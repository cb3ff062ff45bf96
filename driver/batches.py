"""INSERTs of many rows around tables in column format, bulk load off: in batches as far as they are sound.

The program's own iterator of rows may run statements between two rows, and must find the rows before them stored:
whoever runs a statement asks for `bring_in` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.parameters import bindable
from colonnade.plan import Plan
from colonnade.rows import BUSY
from colonnade.sql.statement import Insert, Statement
from colonnade.sql.volatile import is_volatile
from colonnade.types import NATIVE, convert_binding

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.loader.immediate import BatchInsert, Target
    from colonnade.loader.rows import Chunk
    from colonnade.session import Session
    from colonnade.sql.objects import TableDef
    from colonnade.store.values import Column, SQLiteValue
    from colonnade.writing import Writing

_FEW_ROWS = 3  # fewer are as quickly inserted one by one
_FEW_RESULTS = 16  # of a query, which SQLite inserts in one go


def adapt_value(place: int, value: Any) -> SQLiteValue:
    """For a value that is not plainly one of SQLite's; `place` counts from 0."""
    adapted: Any = value if isinstance(value, NATIVE) else convert_binding(None, place + 1, value)
    return bytes(adapted) if isinstance(adapted, bytearray | memoryview) else adapted


def batch_target(session: Session, statement: Statement) -> Target | None:
    """What the rows of an executemany go to in batches; None where they have to be inserted one by one."""
    insert = statement.insert
    one_row_each = insert is not None and insert.row_params and statement.first == "INSERT"
    return _target(session, statement) if one_row_each else None


def query_target(session: Session, statement: Statement) -> Target | None:
    """What an INSERT … SELECT writes, if sound rows may be appended there, whatever is to become of others."""
    insert = statement.insert
    if insert is None or insert.upsert or statement.returning:
        return None
    return _target(session, statement, insert._replace(plain=True), temporary=True)


def _target(
    session: Session, statement: Statement, insert: Insert | None = None, *, temporary: bool = False
) -> Target | None:
    """What an INSERT writes, if rows may be appended there; None where SQLite has to insert them.

    temporary  the table may be a temporary one
    """
    insert = insert or statement.insert
    if insert is None or session.hooked or session.hears_rows or session.bulk.pending:
        return None
    from colonnade.loader.immediate import find_target

    enforced = session.foreign_keys()
    return find_target(session.db, insert, session.router.schema, foreign_keys=enforced, temporary=temporary)


class Batch:
    """One executemany under way.

    row_count  rows inserted so far
    failed     what ended it while the program's iterator was running
    """

    def __init__(
        self, session: Session, writing: Writing, cursor: Cursor, plan: Plan, target: Target
    ) -> None:
        from colonnade.loader.immediate import BatchInsert

        self._session, self._writing = session, writing
        self._cursor, self._plan, self._target = cursor, plan, target
        self._runs = cursor._cursor
        self._insert = BatchInsert(session.store, target, adapt_value, bindable, session.bulk.stats)
        self._storing = False
        self.row_count = 0
        self.failed: Exception | None = None

    def run(self, rows: Iterator[Any]) -> int:
        """Insert all rows; returns how many. Raises what ended it, the rows before it inserted."""
        while self._next(rows):
            pass
        return self.row_count + self._insert.forgotten

    def run_columns(self, parts: Iterable[Sequence[Column]]) -> int:
        """The same for rows that come as columns, batch by batch."""
        for columns in parts:
            self._store(self._insert.given(columns))
            del columns
            self._insert.release_unused()
        return self.row_count

    def _next(self, rows: Iterator[Any]) -> bool:
        """Insert a batch of them; False where there are no more."""
        with self._cursor._lent(BUSY):
            chunk = self._insert.read(rows)
        if self.failed is not None:
            raise self.failed
        self._store(chunk)
        if chunk.error is not None:
            raise chunk.error
        return chunk.row_count > 0

    def bring_in(self) -> None:
        """Store the rows read so far. Never raises: what is wrong with one of them ends the executemany."""
        if self._storing or self.failed is not None:
            return
        try:
            self._store(self._insert.waiting())
        except Exception as error:
            self.failed = error

    def forget(self) -> None:
        """A rollback undid the rows that wait."""
        self._insert.forget()

    def _store(self, chunk: Chunk) -> None:
        if not chunk.row_count:
            return
        self._storing = True
        try:
            with self._writing.transaction(self._plan):
                rest = self._append(chunk)
            with self._cursor._lent(self._runs):  # also where `bring_in` is called
                for row in rest:
                    self.row_count += self._writing.run_row(self._cursor, self._plan, row)
        finally:
            self._storing = False

    def _append(self, chunk: Chunk) -> Iterator[Any]:
        """Append what is sound of a chunk; returns the other rows."""
        session, count = self._session, 0
        if chunk.row_count >= _FEW_ROWS and may_append(session):
            with session.changes.kept():
                count, lastrowid = self._insert.append(chunk)
        if count:
            self.row_count += count
            appended(session, count, lastrowid, last=1)
            self._writing.after(self._plan.statement, self._insert.ready(self._plan.text))
        return self._insert.parameters(chunk, count)


def may_append(session: Session) -> bool:
    """Whether rows may be appended by other means than the program's own statement, as things are.

    While violations are counted a new parent takes some off the count, which only SQLite can do; and what is being
    read would not outlive the switches that appending turns.
    """
    return not (session.db.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] or session.busy())


def turn_to_column_format(session: Session, table: TableDef, row_count: int, byte_count: int) -> bool:
    """Rows come in bulk: their table turns to column format, if it may and these make a row group; whether it did."""
    from colonnade.sql.checks import bulk_reason
    from colonnade.store.hints import makes_group

    store, name, schema = session.store, table.name, table.schema
    if session.storage_format == "row" or not may_append(session) or store.table(name, schema) is not None:
        return False
    if bulk_reason(table) is not None or not makes_group(row_count, byte_count):
        return False
    if store.ineligible(name, schema) is not None:
        return False
    with session.changes.kept():
        store.convert(name, schema)
    session.connection._schema_changed()
    return True


def appended(session: Session, count: int, lastrowid: int, *, last: int) -> None:
    """Rows were appended that SQLite's counters do not know; `last` is what changes() says from now on."""
    session.db.set_last_insert_rowid(lastrowid)
    session.changes.unseen -= count
    session.changes.note(last)


class _Unsound(Exception):
    """Some rows may break something, or are too few to matter."""


def _append_all(insert: BatchInsert, parameters: Any) -> tuple[int, int]:
    """Append all rows of a query; returns how many, and the rowid of the last. Raises _Unsound, or what SQLite does."""
    rows = insert.results(parameters)
    total = lastrowid = 0
    try:
        while (chunk := insert.read(rows)).row_count:
            if total == 0 and chunk.row_count < _FEW_RESULTS:
                raise _Unsound
            count, lastrowid = insert.append(chunk)
            if count < chunk.row_count or chunk.error is not None:
                raise chunk.error or _Unsound
            total += count
    finally:
        rows.close(True)  # a query that has not ended holds its tables
    if chunk.error is not None or not total:
        raise chunk.error or _Unsound
    return total, lastrowid


class Batches:
    """The executemanys of a session that run so, the innermost last."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.running: list[Batch] = []

    def run(self, writing: Writing, cursor: Cursor, plan: Plan, target: Target, rows: Iterator[Any]) -> int:
        """Insert the rows of an executemany; returns how many. See Batch.run."""
        batch = Batch(self._session, writing, cursor, plan, target)
        self.running.append(batch)
        try:
            return batch.run(rows)
        finally:
            self.running.remove(batch)

    def run_columns(
        self, writing: Writing, cursor: Cursor, plan: Plan, target: Target, parts: Iterable[Sequence[Column]]
    ) -> int:
        """Insert rows that come as columns; returns how many. See Batch.run."""
        return Batch(self._session, writing, cursor, plan, target).run_columns(parts)

    def run_query(self, writing: Writing, plan: Plan, parameters: Any) -> int | None:
        """Insert the rows that SQLite computes for an INSERT … SELECT or VALUES, if all of them are sound: then how
        many. None: nothing was done, for there are few, or one may be bad, and the statement is SQLite's.
        """
        session, statement = self._session, plan.statement
        insert = statement.insert
        if insert is None or (insert.source == "VALUES" and insert.source_text.count("(") < _FEW_RESULTS):
            return None
        target = _target(session, statement)
        if target is None or not may_append(session):
            return None
        if is_volatile(insert.source_text):  # it would be computed again for SQLite
            return None
        from colonnade.loader.immediate import BatchInsert

        batch = BatchInsert(session.store, target, adapt_value, bindable, session.bulk.stats)
        try:
            with session.changes.kept(), session.db:
                count, lastrowid = _append_all(batch, parameters)
        except Exception:  # whatever it is, SQLite says it of the program's own text
            return None
        appended(session, count, lastrowid, last=count)
        writing.after(statement, batch.ready(plan.text))
        return count

    def bring_in(self) -> None:
        """Another statement runs: the rows that were read so far must be there."""
        for batch in self.running:
            batch.bring_in()

    def forget(self) -> None:
        """A rollback undid the rows that were read so far."""
        for batch in self.running:
            batch.forget()
