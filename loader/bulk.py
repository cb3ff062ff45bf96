"""The bulk load of one connection: PRAGMA bulk_load = on behind plain DB-API INSERTs.

INSERTs append without looking at keys; what they owe is validated at COMMIT, at PRAGMA bulk_load = off
and at the end of a statement outside a transaction. Rows given one by one are buffered until they make a
batch, or until anything else wants to see the table. What is owed is written in the database itself
(row groups with checked = 0), so that ROLLBACK TO a savepoint forgets it with the rows; the lists kept
here may name too many tables, never too few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from colonnade.loader.append import Prepared
from colonnade.loader.pipeline import in_order
from colonnade.loader.rowcheck import RowChecker
from colonnade.loader.rows import Adapt, Chunk, Pick, QuickRow, RowShape, chunks
from colonnade.loader.settle import Debt, KeyViolation, finish, validate_debt
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.violations import CountedViolations
from colonnade.loader.writer import TableWriter
from colonnade.sql.checks import bulk_reason
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.statement import Insert
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError
from colonnade.store.values import INT64_MAX, RowBatch, SQLiteValue

Parameters = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """What the connection decides, asked anew each time.

    bindable  a list, tuple or mapping with the parameters of one row, whatever they came as; or raises
    unseen    around writes that the program must not see in total_changes() and last_insert_rowid()
    appended  told how many rows went in, for total_changes()
    """

    schema: Callable[[str], Schema]
    foreign_keys: Callable[[], bool]
    storage_format: Callable[[], str]
    adapt: Adapt
    bindable: Callable[[Any], Any]
    unseen: Callable[[], AbstractContextManager[None]]
    appended: Callable[[int], None]


@dataclass(slots=True)
class InsertResult:
    """What an INSERT did. `error` ended an executemany whose rows before it stay; `lastrowid` None: no row."""

    rowcount: int = 0
    lastrowid: int | None = None
    error: Exception | None = None


@dataclass(slots=True)
class _Open:
    """A table that takes rows.

    pick        turns one set of parameters of the INSERT into a row
    waiting     values of the rows given one by one that do not make a batch yet, row behind row
    largest     the largest rowid, rows that wait included; None until SQLite must choose one
    batch_rows  how many may wait; 0 until that is asked for
    """

    writer: TableWriter
    checker: RowChecker
    shape: RowShape
    quick: QuickRow
    pick: Pick = tuple
    waiting: list[SQLiteValue] = field(default_factory=list)
    largest: int | None = None
    batch_rows: int = 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """A chunk after its work in a thread. `prepared` is None for few rows, which are inserted natively."""

    batch: RowBatch
    prepared: Prepared | None
    error: Exception | None


class BulkLoad:
    """One per connection; `enabled` follows PRAGMA bulk_load."""

    def __init__(self, store: Store, settings: BulkSettings, stats: ConstraintStats) -> None:
        """stats: where the checks of constraints are counted."""
        self.store = store
        self.stats = stats
        self.settings = settings
        self.enabled = False
        self.debt = Debt()
        self._open: dict[tuple[str, str], _Open] = {}
        # By the identity of the INSERT, which parsing caches by text; valid until the tables are closed.
        self._targets: dict[int, tuple[Insert, _Open, RowShape]] = {}

    @property
    def pending(self) -> bool:
        """Whether rows are buffered or owe a validation."""
        return bool(self._open) or bool(self.debt)

    def takes(self, insert: Insert) -> bool:
        """Whether this INSERT can be appended: plain, and into a table that may be in column format."""
        if not self.enabled:
            return False
        if id(insert) in self._targets:
            return True
        if not insert.plain or insert.source == "DEFAULT" or self.settings.storage_format() == "row":
            return False
        if insert.target.schema is None and self._hidden(insert.target.name):
            return False
        definition = self._definition(insert)
        if definition is None or bulk_reason(definition) is not None:
            return False
        names = {fold(column.name) for column in definition.columns}
        if insert.columns is not None and not names.issuperset(map(fold, insert.columns)):
            return False
        return (
            self.store.table(definition.name, definition.schema) is not None
            or self.store.ineligible(definition.name, definition.schema) is None
        )

    def _hidden(self, name: str) -> bool:
        """Whether an unqualified name means a temporary table or view, whatever else is called so."""
        query = "SELECT 1 FROM temp.sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')"
        return self.store.db.execute(query, (name,)).get is not None

    def _definition(self, insert: Insert) -> TableDef | None:
        schema = insert.target.schema or "main"
        if fold(schema) == "temp":
            return None
        return self.settings.schema(schema).table(insert.target.name)

    def insert(self, insert: Insert, rows: Iterable[Parameters], *, many: bool) -> InsertResult:
        """Append the rows of one INSERT, or of an executemany of it (`many`).

        rows  one set of parameters for each execution
        Raises IntegrityError for NOT NULL, CHECK and STRICT types, with the rows before the first bad
        one appended if `many`, none otherwise; what `adapt` raises for values that SQLite cannot hold.
        """
        if self.store.db.in_transaction:
            result = self._insert(insert, rows, many=many)
        else:
            with self._transaction():
                result = self._insert(insert, rows, many=many)
        self.settings.appended(result.rowcount)
        if result.lastrowid is not None:
            self.store.db.set_last_insert_rowid(result.lastrowid)
        if result.error is not None:
            raise result.error
        return result

    def _insert(self, insert: Insert, rows: Iterable[Parameters], *, many: bool) -> InsertResult:
        table = self._target(insert)
        if not insert.row_params:
            return self._append_results(table, insert, rows)
        if many:
            return self._append(table, rows, table.pick, keep_good=True)
        return self._append_one(table, table.pick(next(iter(rows))))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Outside a transaction the statement is one, and is validated at its own end."""
        db = self.store.db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.validate()
            if db.in_transaction:  # the program's own iterator may have ended it
                db.execute("COMMIT")
        except BaseException:
            self.rollback()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _target(self, insert: Insert) -> _Open:
        """The open table, shaped for this INSERT. Nothing is looked up for the INSERT that came last."""
        known = self._targets.get(id(insert))
        if known is not None and known[1].shape is known[2]:
            return known[1]
        definition = self._definition(insert)
        assert definition is not None
        key = (fold(definition.schema), fold(definition.name))
        opened = self._open.get(key)
        if opened is not None:
            self._flush(opened)
        else:
            opened = self._open[key] = self._open_table(definition)
        opened.shape = RowShape(definition, insert.columns, self.settings.adapt)
        opened.quick = QuickRow(definition, opened.shape)
        if insert.row_params:
            opened.shape.check_width(len(insert.params))
            opened.pick = opened.shape.picker(insert, self.settings.bindable)
        self._targets[id(insert)] = (insert, opened, opened.shape)
        self.debt.tables.add(key)
        return opened

    def _open_table(self, definition: TableDef) -> _Open:
        writer = TableWriter(
            self.store,
            definition,
            column_format=True,
            always_groups=self.settings.storage_format() == "column",
        )
        # Rows may wait in memory: what is known of the schema must stay true until they are stored, so the
        # connection becomes the writer now, as SQLite makes it by the first INSERT.
        table = self.store.table(definition.name, definition.schema)
        name = definition.name if table is None else table.rows_name
        self.store.db.execute(f"DELETE FROM {quote(definition.schema)}.{quote(name)} WHERE 0")
        shape = RowShape(definition, None, self.settings.adapt)
        return _Open(writer, RowChecker(self.store.db, definition), shape, QuickRow(definition, shape))

    def _append_one(self, table: _Open, row: Sequence[Any]) -> InsertResult:
        if table.quick.passes(row):
            given = table.quick.rowid(row)
        else:
            row = table.shape.adapted(row)
            batch = table.shape.shape(table.shape.chunk(self.store.db, (row,), tuple))
            problem = table.checker.first(batch, late=table.checker.late)
            if problem is not None:
                raise problem[1]
            given = table.writer.given_rowid(batch)
        if table.batch_rows == 0:
            table.batch_rows = self._batch_rows(table)
        rowid = self._next_rowid(table) if given is None else given
        if table.largest is not None:
            table.largest = max(table.largest, rowid)
        table.waiting.extend(row)
        if rowid > INT64_MAX:
            rowid = self._flush(table)
        elif len(table.waiting) >= table.batch_rows * table.shape.width:
            self._flush(table)
        return InsertResult(1, rowid)

    def _next_rowid(self, table: _Open) -> int:
        """What SQLite will give to a row without a rowid, when the rows that wait are stored.

        2**63 if there is no larger one: then that is only known once the row is stored.
        """
        if table.largest is None:
            self._flush(table)
            table.largest = table.writer.next_rowid() - 1
        return table.largest + 1

    def _batch_rows(self, table: _Open) -> int:
        definition = table.writer.definition
        return self.store.batch_rows(definition.name, definition.schema)

    def _append(self, table: _Open, rows: Iterable[Any], pick: Pick, *, keep_good: bool) -> InsertResult:
        """Append rows of any number up to the first bad one.

        keep_good: the rows before it stay, as sqlite3's executemany leaves them; else its error is raised.
        """
        self._flush(table)
        result, shape = InsertResult(), table.shape
        pieces = self._opened(
            table, chunks(shape, self.store.db, rows, pick, lambda: self._batch_rows(table))
        )
        # One thread: it and the program's own iterator take turns with Python's lock, a third would only wait.
        with ThreadPoolExecutor(1) as pool:
            for ready in in_order(pool, lambda chunk: self._ready(table, shape, chunk), pieces, 1):
                late = table.checker.late and ready.batch.row_count > 0
                if late and table.checker.first(ready.batch, late=True) is not None:
                    ready = self._checked(table, ready.batch, ready.error, late=True)
                if ready.error is not None and not keep_good:
                    raise ready.error
                self._store_next(table, ready, result)
                if ready.error is not None:
                    result.error = ready.error
                    break
        table.largest = None
        return result

    def _opened(self, table: _Open, pieces: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in pieces:
            with self.settings.unseen():
                table.writer.open_groups(chunk.row_count)
            yield chunk

    def _ready(self, table: _Open, shape: RowShape, chunk: Chunk) -> _Ready:
        if not chunk.row_count:
            return _Ready(RowBatch(0, ()), None, chunk.error)
        return self._checked(table, shape.shape(chunk), chunk.error, late=False)

    def _checked(self, table: _Open, batch: RowBatch, error: Exception | None, *, late: bool) -> _Ready:
        """The rows before the first bad one, encoded if they make a row group."""
        problem = table.checker.first(batch, late=late)
        if problem is not None:
            batch, error = batch.slice(0, problem[0]), problem[1]
        return _Ready(batch, table.writer.prepare(batch), error)

    def _store_next(self, table: _Open, ready: _Ready, result: InsertResult) -> None:
        """Store the next rows of an executemany, whatever the program's own iterator did meanwhile."""
        if not ready.batch.row_count:
            return
        if self.store.db.in_transaction:
            result.lastrowid = self._store(self._again(table), ready)
        else:
            with self._transaction():
                result.lastrowid = self._store(self._again(table), ready)
        result.rowcount += ready.batch.row_count

    def _again(self, table: _Open) -> _Open:
        """The table, with no rows waiting: `table` itself unless other statements have closed it."""
        old = table.writer.definition
        key = (fold(old.schema), fold(old.name))
        current = self._open.get(key)
        if current is not None:
            self._flush(current)
            return current
        definition = self.settings.schema(old.schema).table(old.name)
        if definition is None or definition.columns != old.columns:
            raise OperationalError(f"table {old.name} was changed while rows were inserted into it")
        self.debt.tables.add(key)
        self._open[key] = self._open_table(definition)
        return self._open[key]

    def _store(self, table: _Open, ready: _Ready) -> int:
        """Store rows; returns the rowid of the last."""
        with self.settings.unseen():
            if ready.prepared is not None and table.writer.prepared(ready.prepared):
                return table.writer.put(ready.prepared).last_rowid
            return table.writer.write(ready.batch).last_rowid

    def _append_results(self, table: _Open, insert: Insert, rows: Iterable[Parameters]) -> InsertResult:
        """INSERT … SELECT and VALUES with expressions: SQLite computes the rows, each execution atomic."""
        db, total = self.store.db, InsertResult()
        text = insert.source_text
        if insert.source == "SELECT":
            # The target may be read by the query: all its rows must be there before the first is stored.
            text = f"WITH colonnade_rows AS MATERIALIZED ({text}\n) SELECT * FROM colonnade_rows"
        self.flush(close=False)
        for parameters in rows:
            try:
                with db:
                    cursor = db.cursor()
                    cursor.exec_trace = lambda c, _text, _parameters: table.shape.check_width(
                        len(c.getdescription())
                    )
                    results = iter(cursor.execute(text, parameters))
                    result = self._append(table, results, tuple, keep_good=False)
            except BaseException:
                # With its rows the table's turn to column format may be undone.
                self._close()
                self.store.invalidate()
                raise
            total.rowcount += result.rowcount
            if result.rowcount:
                total.lastrowid = result.lastrowid
        return total

    def _flush(self, table: _Open) -> int:
        """Store the rows that wait; returns the rowid of the last, 0 if there is none."""
        values, table.waiting, table.largest = table.waiting, [], None
        if not values:
            return 0
        width = table.shape.width
        rows = (values[start : start + width] for start in range(0, len(values), width))
        chunk = table.shape.chunk(self.store.db, rows, tuple)
        return self._store(table, self._ready(table, table.shape, chunk))

    def flush(self, *, close: bool = True) -> None:
        """Bring buffered rows to their tables: before any statement that is not such an INSERT.

        close: others may change the tables now, so nothing known about them is kept.
        """
        for table in self._open.values():
            self._flush(table)
        if close:
            self._close()

    def _close(self) -> None:
        self._open.clear()
        self._targets.clear()

    def validate(self) -> None:
        """Check all that is owed; afterwards nothing is. Before COMMIT and at the end of bulk load.

        Raises IntegrityError with SQLite's message for the first violation and `violations`, a list of
        the first 100; the rows stay, and so does the debt.
        """
        self.flush()
        if not self.debt:
            return
        with self.settings.unseen():
            self._settle()

    def _settle(self) -> None:
        found = CountedViolations()
        foreign_keys = self.settings.foreign_keys()
        validate_debt(
            self.store, self.settings.schema, self.debt, self.stats, found, foreign_keys=foreign_keys
        )
        if found.total:
            raise KeyViolation(found)
        finish(self.store, self.debt.tables | self.debt.recheck)
        self.debt = Debt()

    def rollback(self) -> None:
        """The transaction is undone: forget all rows that wait and all that was owed."""
        self._close()
        self.debt = Debt()
