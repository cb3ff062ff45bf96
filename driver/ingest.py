"""adbc_ingest: Arrow data into a table, as ADBC's DB-API cursors have it, all rows or none.

The columns go where those of an INSERT of many rows go: under bulk load they are appended; else each batch has its keys
looked up at once and is appended as far as it is sound (loader.immediate). A table that may turns to column format for
the first batch that makes a row group. Rows that neither can take are inserted by SQLite one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from colonnade.batches import batch_target, turn_to_column_format
from colonnade.loader.given import GivenRows, Part
from colonnade.loader.sources.arrowvalues import Unsuitable, is_supported, to_column
from colonnade.loader.sources.tabular import rebatched, streamable
from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import fold
from colonnade.sql.tokens import quote
from colonnade.store.errors import DataError, NotSupportedError, ProgrammingError
from colonnade.store.values import Column, to_python

if TYPE_CHECKING:
    from colonnade.connection import Connection
    from colonnade.cursor import Cursor
    from colonnade.plan import Plan

MODES = ("append", "create", "replace", "create_append")
_SAVEPOINT = "colonnade_ingest"
_FIRST_ROWS = 65_536  # in a batch, where no table says how many make a row group


@dataclass(frozen=True, slots=True)
class IngestTarget:
    """Where the rows go. `schema` None: where an unqualified name leads."""

    table: str
    schema: str | None
    mode: str
    temporary: bool

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ProgrammingError(f"mode is {', '.join(MODES[:-1])} or {MODES[-1]}, not {self.mode!r}")
        if self.temporary and self.schema is not None and fold(self.schema) != "temp":
            raise ProgrammingError(f"a temporary table has no place in {self.schema}")

    @property
    def text(self) -> str:
        schema = "temp" if self.temporary else self.schema
        return quote(self.table) if schema is None else f"{quote(schema)}.{quote(self.table)}"


def ingest(cursor: Cursor, target: IngestTarget, data: Any) -> int:
    """Insert the rows of `data`, a stream of Arrow record batches or what can be one; returns how many.

    Raises  what SQLite does for rows that it would refuse, DataError for values, and NotSupportedError for types, that
            it has no values for. The table is then as it was, the transaction as after an INSERT that failed
    """
    connection = cursor.connection
    reader = pa.RecordBatchReader.from_stream(streamable(data))
    try:
        for name, arrow_type in zip(reader.schema.names, reader.schema.types, strict=True):
            if not is_supported(arrow_type):
                raise NotSupportedError(f"column {name}: values of type {arrow_type} have no SQLite value")
        connection._begin_writing()
        with _all_or_none(connection):
            _make_table(connection, target, reader.schema)
            with connection._session.spans("query", text=f"adbc_ingest into {target.table}") as span:
                count = _Ingest(cursor, target, reader).run()
                span.note(rows=count)
            return count
    finally:
        reader.close()


@contextmanager
def _all_or_none(connection: Connection) -> Iterator[None]:
    """A savepoint; outside a transaction it is one, and ends with a COMMIT."""
    inside = connection._db.in_transaction
    connection._scratch_cursor().execute(f"SAVEPOINT {_SAVEPOINT}")
    try:
        yield
        connection._scratch_cursor().execute(f"RELEASE {_SAVEPOINT}")
    except BaseException:
        if connection._db.in_transaction:  # SQLite may have rolled it back
            undo = (f"ROLLBACK TO {_SAVEPOINT}", f"RELEASE {_SAVEPOINT}") if inside else ("ROLLBACK",)
            for text in undo:
                connection._scratch_cursor().execute(text)
        raise


def _make_table(connection: Connection, target: IngestTarget, schema: pa.Schema) -> None:
    if target.mode == "append":
        return
    run = connection._scratch_cursor().execute
    if target.mode == "replace":
        run(f"DROP TABLE IF EXISTS {target.text}")
    unless = "IF NOT EXISTS " if target.mode == "create_append" else ""
    columns = ", ".join(
        f"{quote(name)} {_declared(kind)}".rstrip()
        for name, kind in zip(schema.names, schema.types, strict=True)
    )
    run(f"CREATE TABLE {unless}{target.text} ({columns})")


def _declared(arrow_type: pa.DataType) -> str:
    """The declared type of a column for the SQLite values of an Arrow type."""
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _declared(arrow_type.storage_type)
    types = pa.types
    if types.is_dictionary(arrow_type) or types.is_run_end_encoded(arrow_type):
        return _declared(arrow_type.value_type)
    if types.is_integer(arrow_type) or types.is_boolean(arrow_type):
        return "INTEGER"
    if types.is_floating(arrow_type):
        return "REAL"
    if types.is_decimal(arrow_type):
        return "NUMERIC"
    if types.is_null(arrow_type):
        return ""
    binary = types.is_binary(arrow_type) or types.is_large_binary(arrow_type)
    binary = binary or types.is_fixed_size_binary(arrow_type) or types.is_binary_view(arrow_type)
    return "BLOB" if binary else "TEXT"


class _Ingest:
    """The rows on their way in."""

    def __init__(self, cursor: Cursor, target: IngestTarget, reader: Any) -> None:
        self._cursor, self._target, self._reader = cursor, target, reader
        self._connection = cursor.connection
        self._session = cursor.connection._session
        names = reader.schema.names
        columns, marks = ", ".join(map(quote, names)), ", ".join("?" * len(names))
        self._bytes_per_row = 0.0  # of the data, once some was read
        self._text = f"INSERT INTO {target.text} ({columns}) VALUES ({marks})"

    def run(self) -> int:
        connection, session = self._connection, self._session
        plan = connection._plans.get(self._text) or connection._plan(self._text, "executemany")
        connection._prepare(plan.text)
        session.refresh()
        parts = self._parts(plan)
        insert = plan.statement.insert
        if insert is not None and session.bulk.takes(insert):
            with session._savepoints.marked():
                return session.bulk.insert(insert, GivenRows(parts, atomic=True), many=True).rowcount
        first = next(parts, None)
        if first is None:
            return 0
        self._to_column_format(plan, first)
        parts = chain((first,), parts)
        target = None if session.hears_rows or connection._plain else batch_target(session, plan.statement)
        if target is None:
            return session.execute_many(self._cursor, plan, _rows(parts))
        writing = session.columns.writing
        return session.bulk.batches.run_columns(
            writing, self._cursor, plan, target, (part.columns for part in parts)
        )

    def _parts(self, plan: Plan) -> Iterator[Part]:
        """The rows batch by batch."""
        starts = np.zeros(1, np.int64)
        for rows in rebatched(self._batches(), self._reader.schema, lambda: self._batch_rows(plan)):
            yield Part([self._column(rows, name) for name in range(rows.num_columns)], rows.num_rows, starts)
            starts = starts[:0]

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            if batch.num_rows:
                self._bytes_per_row = batch.nbytes / batch.num_rows
            yield batch

    def _column(self, rows: pa.Table, number: int) -> Column:
        try:
            return to_column(rows.column(number), Affinity.BLOB)
        except Unsuitable as error:
            raise DataError(f"column {rows.column_names[number]}: {error}") from None

    def _batch_rows(self, plan: Plan) -> int:
        home = self._home(plan)
        if home is None:
            return _FIRST_ROWS
        return self._session.store.batch_rows(home[1], home[0], self._bytes_per_row)

    def _home(self, plan: Plan) -> tuple[str, str] | None:
        """The schema and the name of the table; None for a temporary one."""
        from colonnade.sql.shown import home_of

        insert = plan.statement.insert
        home = None if insert is None else home_of(self._session.db, insert.target.name, insert.target.schema)
        found = (
            None
            if home is None or fold(home) == "temp"
            else self._session.router.schema(home).table(self._target.table)
        )
        return None if home is None or found is None else (home, found.name)

    def _to_column_format(self, plan: Plan, first: Part) -> None:
        """Rows come in bulk: the table turns to column format, if it may and they make a row group."""
        home = self._home(plan)
        definition = None if home is None else self._session.router.schema(home[0]).table(home[1])
        if definition is not None:
            byte_count = sum(column.data.nbytes for column in first.columns)
            turn_to_column_format(self._session, definition, first.row_count, byte_count)


def _rows(parts: Iterator[Part]) -> Iterator[tuple[Any, ...]]:
    """The rows one by one, as parameters."""
    for part in parts:
        yield from zip(*map(to_python, part.columns), strict=True)
