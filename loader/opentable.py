"""A table that takes rows of a bulk load: those that wait, and the checking, encoding and storing of more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from colonnade.loader.append import Prepared
from colonnade.loader.rowcheck import RowChecker
from colonnade.loader.rows import FIRST_ROWS, Adapt, Chunk, QuickRow, RowShape, chunks
from colonnade.loader.writer import TableWriter
from colonnade.sql.objects import TableDef, fold
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.hints import MAX_GROUP_BYTES
from colonnade.store.values import INT64_MAX, RowBatch, SQLiteValue


@dataclass(frozen=True, slots=True)
class Ready:
    """A chunk after its work in a thread: the rows before the first bad one, and its error.

    prepared  None where TableWriter.write must decide on the connection's thread
    """

    batch: RowBatch
    prepared: Prepared | None
    error: Exception | None


class OpenTable:
    """Alive until another statement may have changed the table.

    shape    how rows of the INSERT that came last fall on the columns
    largest  the largest rowid, rows that wait included; None until SQLite must choose one
    """

    def __init__(
        self,
        store: Store,
        definition: TableDef,
        adapt: Adapt,
        unseen: Callable[[], AbstractContextManager[None]],
        *,
        always_groups: bool,
    ) -> None:
        """unseen: around writes that the program must not see; always_groups: see TableWriter."""
        self.definition = definition
        self.key = (fold(definition.schema), fold(definition.name))
        self.writer = TableWriter(store, definition, column_format=True, always_groups=always_groups)
        self.checker = RowChecker(store.db, definition)
        self._store = store
        self._adapt = adapt
        self._unseen = unseen
        self._waiting: list[SQLiteValue] = []  # values of rows given one by one, row behind row
        self._may_wait = FIRST_ROWS  # how many rows, until their bytes are looked at
        self.largest: int | None = None
        self._become_writer()
        self._shaped(None)

    def _become_writer(self) -> None:
        # Rows may wait in memory: what is known of the schema must stay true until they are stored, so the
        # connection becomes the writer now, as SQLite makes it by the first INSERT.
        schema, name = self.definition.schema, self.definition.name
        table = self._store.table(name, schema)
        rows_name = name if table is None else table.rows_name
        self._store.db.execute(f"DELETE FROM {quote(schema)}.{quote(rows_name)} WHERE 0")

    def reshape(self, names: tuple[str, ...] | None) -> None:
        """From now on rows have values for the columns `names`; None: for all."""
        if names != self.shape.names:
            self.flush()
            self._shaped(names)

    def _shaped(self, names: tuple[str, ...] | None) -> None:
        self.shape = RowShape(self.definition, names, self._adapt)
        self._quick = QuickRow(self.definition, self.shape)

    def batch_rows(self) -> int:
        """Rows in a batch, asked of the write hints anew."""
        return self._store.batch_rows(self.definition.name, self.definition.schema)

    # --- rows one by one -------------------------------------------------------------------------------

    def take(self, row: Sequence[Any]) -> int:
        """One row, which waits for more; returns its rowid. Raises what SQLite would raise."""
        if self._quick.passes(row):
            given = self._quick.rowid(row)
        else:
            row = self.shape.adapted(row)
            batch = self.shape.shape(self.shape.chunk(self._store.db, (row,), tuple))
            problem = self.checker.first(batch, late=self.checker.late)
            if problem is not None:
                raise problem[1]
            given = self.writer.given_rowid(batch)
        rowid = self._next_rowid() if given is None else given
        if self.largest is not None:
            self.largest = max(self.largest, rowid)
        self._waiting.extend(row)
        if rowid > INT64_MAX:
            rowid = self.flush()
        elif len(self._waiting) >= self._may_wait * self.shape.width:
            self._look_at_bytes()
        return rowid

    def _look_at_bytes(self) -> None:
        """Store the rows that wait if they make a batch; else let four times as many wait."""
        count = len(self._waiting) // self.shape.width
        held = sum(len(value) for value in self._waiting if isinstance(value, str | bytes))
        most = min(self.batch_rows(), max(1, MAX_GROUP_BYTES * count // max(1, held)))
        if count >= most:
            self.flush()
        else:
            self._may_wait = min(most, count * 4)

    def _next_rowid(self) -> int:
        """What SQLite will give to a row without a rowid, when the rows that wait are stored.

        2**63 if there is no larger one: then that is only known once the row is stored.
        """
        if self.largest is None:
            self.flush()
            self.largest = self.writer.next_rowid() - 1
        return self.largest + 1

    def flush(self) -> int:
        """Store the rows that wait; returns the rowid of the last, 0 if there is none."""
        values, self._waiting, self.largest = self._waiting, [], None
        width, rowid = self.shape.width, 0
        rows = (values[start : start + width] for start in range(0, len(values), width))
        for chunk in chunks(self.shape, self._store.db, rows, tuple, lambda: len(values)):
            rowid = self.put(self.ready(self.shape, chunk))
        return rowid

    # --- rows in chunks --------------------------------------------------------------------------------

    def open_groups(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """The chunks, the table ready for those that make row groups; on the connection's thread."""
        for chunk in chunks:
            with self._unseen():
                self.writer.open_groups(chunk.row_count)
            yield chunk

    def ready(self, shape: RowShape, chunk: Chunk) -> Ready:
        """Check and encode a chunk, in any thread."""
        if not chunk.row_count:
            return Ready(RowBatch(0, ()), None, chunk.error)
        return self._checked(shape.shape(chunk), chunk.error, late=False)

    def late(self, ready: Ready) -> Ready:
        """The checks that belong to the connection's thread."""
        if not self.checker.late or not ready.batch.row_count:
            return ready
        if self.checker.first(ready.batch, late=True) is None:
            return ready
        return self._checked(ready.batch, ready.error, late=True)

    def _checked(self, batch: RowBatch, error: Exception | None, *, late: bool) -> Ready:
        problem = self.checker.first(batch, late=late)
        if problem is not None:
            batch, error = batch.slice(0, problem[0]), problem[1]
        return Ready(batch, self.writer.prepare(batch), error)

    def put(self, ready: Ready) -> int:
        """Store rows, with none waiting; returns the rowid of the last."""
        self.largest = None
        with self._unseen():
            if ready.prepared is not None and self.writer.prepared(ready.prepared):
                return self.writer.put(ready.prepared).last_rowid
            return self.writer.write(ready.batch).last_rowid
