"""A table that takes rows of a bulk load: those that wait, and the checking, encoding and storing of more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from colonnade.loader.append import Prepared
from colonnade.loader.rowcheck import RowChecker
from colonnade.loader.rows import FIRST_ROWS, Adapt, Chunk, Intake, QuickRow, RowShape, chunks
from colonnade.loader.rowtwin import RowTwin, make_twin
from colonnade.loader.writer import TableWriter, become_writer
from colonnade.sql.objects import TableDef, fold
from colonnade.store.database import Store
from colonnade.store.hints import MAX_GROUP_BYTES
from colonnade.store.values import INT64_MAX, RowBatch, SQLiteValue


@dataclass(frozen=True, slots=True)
class Ready:
    """A chunk after its work in a thread: the rows before the first bad one, and its error.

    prepared  None where TableWriter.write must decide on the connection's thread
    epoch     of the chunk
    """

    batch: RowBatch
    prepared: Prepared | None
    error: Exception | None
    epoch: int


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
        # Rows may wait in memory: what is known of the schema must stay true until they are stored.
        with unseen():
            become_writer(store, definition)
        self._shaped(None)

    def reshape(self, names: tuple[str, ...] | None) -> None:
        """From now on rows have values for the columns `names`; None: for all."""
        if names != self.shape.names:
            self.flush()
            self._shaped(names)

    def _shaped(self, names: tuple[str, ...] | None) -> None:
        self.shape = RowShape(self.definition, names, self._adapt, threads=True)
        self._quick = QuickRow(self.definition, self.shape)
        self._twin_text = ""

    @cached_property
    def _twin(self) -> RowTwin | None:
        return make_twin(self.definition, self._store.db)

    def batch_rows(self) -> int:
        """Rows in a batch, asked of the write hints anew."""
        return self._store.batch_rows(self.definition.name, self.definition.schema)

    # --- rows one by one -------------------------------------------------------------------------------

    def take(self, row: Sequence[Any]) -> int:
        """One row, which waits for more; returns its rowid. Raises what SQLite would raise."""
        row = self.shape.completed(self._store.db, self.shape.adapted(row))
        given = self._quick.rowid(row) if self._quick.passes(row) else self._checked_rowid(row)
        rowid = self._next_rowid() if given is None else given
        if self.largest is not None and rowid > self.largest:
            self.largest = rowid
        self._waiting.extend(row)
        if rowid > INT64_MAX:
            rowid = self.flush()
        elif len(self._waiting) >= self._may_wait * self.shape.waiting_width:
            self._look_at_bytes()
        return rowid

    @cached_property
    def few(self) -> int:
        """How many rows are so few that they are best taken one by one; at most a batch."""
        if self.definition.checks and self._twin is None:  # only this connection can evaluate them
            return 0
        return min(FIRST_ROWS, self.batch_rows())

    def _checked_rowid(self, row: Sequence[SQLiteValue]) -> int | None:
        """The rowid that the row brings. Raises what SQLite would."""
        if self._twin is None:
            return self._rowid_in_batch(row)
        if not self._twin_text:
            self._twin_text = self._twin.insert_text(self.shape)
        rowid = self._twin.check(self._twin_text, row)
        return None if self._quick.chooses(row) else rowid

    def _rowid_in_batch(self, row: Sequence[SQLiteValue]) -> int | None:
        shape = self._waiting_shape()
        batch = shape.shape(shape.chunk(self._store.db, (row,), tuple, Intake(shape.width)))
        problem = self.checker.first(batch, late=self.checker.late)
        if problem is not None:
            raise problem[1]
        return self.writer.given_rowid(batch)

    def _waiting_shape(self) -> RowShape:
        """How the rows that wait fall on the columns: their DEFAULTs are computed."""
        shape = self.shape
        return RowShape(self.definition, tuple(shape.waiting_names), self._adapt) if shape.computed else shape

    def _look_at_bytes(self) -> None:
        """Store the rows that wait if they make a batch; else let four times as many wait."""
        count = len(self._waiting) // self.shape.waiting_width
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
        if not values:
            return 0
        shape, rowid = self._waiting_shape(), 0
        width = shape.width
        rows = (values[start : start + width] for start in range(0, len(values), width))
        for chunk in chunks(shape, self._store.db, rows, tuple, Intake(width), lambda: len(values)):
            if chunk.error is not None:
                raise chunk.error
            # Each row was checked when it was taken: a CHECK that calls random() is not asked again.
            batch = shape.shape(chunk)
            rowid = self.put(Ready(batch, self.writer.prepare(batch), None, chunk.epoch))
        return rowid

    # --- rows in chunks --------------------------------------------------------------------------------

    def open_groups(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """The chunks, the table ready for those that make row groups; on the connection's thread."""
        for chunk in chunks:
            with self._unseen():
                self.writer.open_groups(chunk.row_count, chunk.byte_count)
            yield chunk

    def ready(self, shape: RowShape, chunk: Chunk) -> Ready:
        """Check and encode a chunk, in any thread."""
        if not chunk.row_count:
            return Ready(RowBatch(0, ()), None, chunk.error, chunk.epoch)
        batch = shape.shape(chunk)
        return self._checked(Ready(batch, None, chunk.error, chunk.epoch), late=False)

    def late(self, ready: Ready) -> Ready:
        """The checks that belong to the connection's thread."""
        if not self.checker.late or not ready.batch.row_count:
            return ready
        if self.checker.first(ready.batch, late=True) is None:
            return ready
        return self._checked(ready, late=True)

    def _checked(self, ready: Ready, *, late: bool) -> Ready:
        problem = self.checker.first(ready.batch, late=late)
        batch, error = ready.batch, ready.error
        if problem is not None:
            batch, error = batch.slice(0, problem[0]), problem[1]
        return Ready(batch, self.writer.prepare(batch), error, ready.epoch)

    def put(self, ready: Ready) -> int:
        """Store rows, with none waiting; returns the rowid of the last."""
        self.largest = None
        with self._unseen():
            if ready.prepared is not None and self.writer.prepared(ready.prepared):
                return self.writer.put(ready.prepared).last_rowid
            return self.writer.write(ready.batch).last_rowid
