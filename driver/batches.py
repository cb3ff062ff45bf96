"""executemany of an INSERT around tables in column format, bulk load off: in batches as far as they are sound.

The program's own iterator of rows may run statements between two rows, and must find the rows before them stored:
whoever runs a statement asks for `bring_in` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.parameters import bindable
from colonnade.plan import Plan
from colonnade.sql.statement import Statement
from colonnade.types import NATIVE, convert_binding

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.loader.immediate import Target
    from colonnade.loader.rows import Chunk
    from colonnade.session import Session
    from colonnade.store.values import SQLiteValue
    from colonnade.writing import Writing

_FEW_ROWS = 3  # so many are as quickly inserted one by one


def adapt_value(place: int, value: Any) -> SQLiteValue:
    """For a value that is not plainly one of SQLite's; `place` counts from 0."""
    adapted: Any = value if isinstance(value, NATIVE) else convert_binding(None, place + 1, value)
    return bytes(adapted) if isinstance(adapted, bytearray | memoryview) else adapted


def batch_target(session: Session, statement: Statement) -> Target | None:
    """What the rows of an executemany go to in batches; None where they have to be inserted one by one."""
    insert = statement.insert
    if insert is None or statement.first != "INSERT" or session.hooked or session.bulk.pending:
        return None
    from colonnade.loader.immediate import find_target

    return find_target(session.db, insert, session.router.schema, foreign_keys=session.foreign_keys())


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
        self._insert = BatchInsert(session.store, target, adapt_value, session.bulk.stats)
        self._storing = False
        self.row_count = 0
        self.failed: Exception | None = None

    def run(self, rows: Iterator[Any]) -> int:
        """Insert all rows; returns how many. Raises what ended it, the rows before it inserted."""
        while self._next(rows):
            pass
        return self.row_count + self._insert.forgotten

    def _next(self, rows: Iterator[Any]) -> bool:
        """Insert a batch of them; False where there are no more."""
        chunk = self._insert.read(rows, bindable)
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
            self._store(self._insert.waiting(bindable))
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
            with self._writing.transaction(self._plan.statement):
                rest = self._append(chunk)
            for row in rest:
                self.row_count += self._writing.run_row(self._cursor, self._plan, row)
        except apsw.ConstraintError:
            self._session.changes.note(0)
            raise
        finally:
            self._storing = False

    def _append(self, chunk: Chunk) -> Iterator[Any]:
        """Append what is sound of a chunk; returns the other rows."""
        session, db = self._session, self._session.db
        # While violations are counted a new parent takes some off the count, which only SQLite can do.
        counted = bool(db.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])
        few = chunk.row_count < _FEW_ROWS
        with session.changes.kept():
            done = self._insert.append(chunk, trusted=not (few or counted or session.busy()))
        if done.row_count:
            assert done.lastrowid is not None
            self.row_count += done.row_count
            db.set_last_insert_rowid(done.lastrowid)
            session.changes.unseen -= done.row_count
            session.changes.note(1)
            self._writing.after(self._plan.statement, self._insert.ready(self._plan.text), ran=False)
        return done.rest


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

    def bring_in(self) -> None:
        """Another statement runs: the rows that were read so far must be there."""
        for batch in self.running:
            batch.bring_in()

    def forget(self) -> None:
        """A rollback undid the rows that were read so far."""
        for batch in self.running:
            batch.forget()
