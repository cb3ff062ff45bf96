"""The bulk load of one connection: PRAGMA bulk_load = on behind plain DB-API INSERTs.

INSERTs append without looking at keys; what they owe is validated at COMMIT, at PRAGMA bulk_load = off
and at the end of a statement outside a transaction. Rows given one by one are buffered until they make a
batch, or until anything else wants to see the table. What is owed is written in the database itself
(row groups with checked = 0), so that ROLLBACK TO a savepoint forgets it with the rows; the lists kept
here may name too many tables, never too few.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import apsw

from colonnade.loader.given import GivenRows
from colonnade.loader.opentable import OpenTable, Ready
from colonnade.loader.pipeline import in_order
from colonnade.loader.rows import Adapt, Chunk, Intake, Pick, RowShape, chunks
from colonnade.loader.settle import Debt, KeyViolation, TableKey, finish, validate_debt
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.violations import CountedViolations
from colonnade.sql.checks import bulk_reason
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.statement import Insert
from colonnade.store.database import Store
from colonnade.store.errors import IntegrityError, OperationalError

Parameters = Sequence[Any] | Mapping[str, Any]

_OF_THE_LAST = ("last_insert_rowid", "changes")  # SQL functions that tell of the execution before
_MOST_TARGETS = 256  # INSERTs remembered: programs with more have their values in the text


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """What the connection decides, asked anew each time.

    bindable  a list, tuple or mapping with the parameters of one row, whatever they came as; or raises
    unseen    around writes that the program must not see in total_changes() and last_insert_rowid()
    appended  told what an INSERT did, for changes() and total_changes()
    """

    schema: Callable[[str], Schema]
    foreign_keys: Callable[[], bool]
    storage_format: Callable[[], str]
    adapt: Adapt
    bindable: Callable[[Any], Any]
    unseen: Callable[[], AbstractContextManager[None]]
    appended: Callable[[InsertResult], None]


@dataclass(slots=True)
class InsertResult:
    """What an INSERT did.

    lastrowid  None: no row
    last       how many rows the last execution inserted; None: there was none
    error      what ended an executemany whose rows before it stay
    """

    rowcount: int = 0
    lastrowid: int | None = None
    last: int | None = None
    error: Exception | None = None

    def add(self, later: InsertResult) -> None:
        """What the next execution did."""
        self.rowcount += later.rowcount
        if later.lastrowid is not None:
            self.lastrowid = later.lastrowid
        if later.last is not None:
            self.last = later.last
        self.error = later.error


@dataclass(frozen=True, slots=True)
class _Target:
    """An INSERT and the table that is open for it; holds as long as the table keeps this shape.

    pick  turns one set of parameters into a row, for an INSERT of parameters alone
    """

    insert: Insert
    table: OpenTable
    shape: RowShape
    pick: Pick


class BulkLoad:
    """One per connection; `enabled` follows PRAGMA bulk_load."""

    def __init__(self, store: Store, settings: BulkSettings, stats: ConstraintStats) -> None:
        """stats: where the checks of constraints are counted."""
        self.store = store
        self.stats = stats
        self.settings = settings
        self.enabled = False
        self.debt = Debt()
        self._open: dict[TableKey, OpenTable] = {}
        self._intakes: list[Intake] = []  # of the executemanys that are reading the program's iterators
        # By the identity of the INSERT, which parsing caches by text; valid until the tables are closed.
        self._targets: dict[int, _Target] = {}

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
        if self.settings.foreign_keys() and self._is_counted(definition):
            return False
        names = {fold(column.name) for column in definition.columns}
        if insert.columns is not None and not names.issuperset(map(fold, insert.columns)):
            return False
        return (
            (fold(definition.schema), fold(definition.name)) in self._open
            or self.store.table(definition.name, definition.schema) is not None
            or self.store.ineligible(definition.name, definition.schema) is None
        )

    def _is_counted(self, definition: TableDef) -> bool:
        """Whether SQLite itself must see new rows of the table.

        It says whether a foreign key that refers to no key of the table is an error, and when; and a parent that
        comes takes the children that SQLite has counted, in tables that are in row format, off its count.
        """
        children = self.settings.schema(definition.schema).children_of(definition.name)
        if any(key.mismatch is not None for _, key in children):
            return True
        return bool(children and self.store.db.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])

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
        with self.statement():
            result = self._insert(insert, rows, many=many)
        if result.error is not None:
            if isinstance(result.error, IntegrityError | apsw.ConstraintError):
                self.settings.appended(InsertResult(last=0))
            raise result.error
        return result

    @contextmanager
    def statement(self) -> Iterator[None]:
        """Around one statement: outside a transaction it is one, and is validated at its own end."""
        try:
            with nullcontext() if self.store.db.in_transaction else self._transaction():
                yield
        except (IntegrityError, apsw.ConstraintError):
            self.settings.appended(InsertResult(last=0))
            raise

    def _insert(self, insert: Insert, rows: Iterable[Parameters], *, many: bool) -> InsertResult:
        target = self._target(insert)
        if not insert.row_params:
            return self._append_results(target, iter(rows), many=many)
        if isinstance(rows, GivenRows):
            return self._told(self._append_given(target.table, rows))
        if many:
            result = self._append_many(target, rows)
            result.last = 1 if result.rowcount else None
        else:
            result = InsertResult(1, target.table.take(target.pick(next(iter(rows)))), 1)
        return self._told(result)

    def _told(self, result: InsertResult) -> InsertResult:
        """`result`, as the program can see it from now on."""
        self.settings.appended(result)
        if result.lastrowid is not None:
            self.store.db.set_last_insert_rowid(result.lastrowid)
        return result

    def _append_many(self, target: _Target, rows: Iterable[Any]) -> InsertResult:
        """The rows of an executemany: a handful wait one by one for more; many become chunks."""
        table, source = target.table, iter(rows)
        intake = Intake(target.shape.width)
        self._intakes.append(intake)
        try:
            few = table.few
            error = intake.read(islice(source, few), target.pick)
            if error is None and intake.row_count + intake.forgotten == few:
                result = self._append(target, source, target.pick, intake)
            else:
                result = self._take_each(table, target, intake)
                result.error = result.error or error
            result.rowcount += intake.forgotten  # sqlite3 counts rows that were undone
            return result
        finally:
            self._intakes.remove(intake)

    def _take_each(self, table: OpenTable, target: _Target, intake: Intake) -> InsertResult:
        """Rows that wait for more, up to the first bad one."""
        result = InsertResult()
        if intake.epoch or self._open.get(table.key) is not table or table.shape is not target.shape:
            table = self._again(table)
            table.reshape(target.insert.columns)
        try:
            for row in intake.rows():
                result.lastrowid = table.take(row)
                result.rowcount += 1
        except Exception as error:
            result.error = error
        return result

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

    def _target(self, insert: Insert) -> _Target:
        """Where the rows go, shaped for this INSERT. Nothing is looked up for one that came before."""
        known = self._targets.get(id(insert))
        if known is not None and known.table.shape is known.shape:
            return known
        definition = self._definition(insert)
        assert definition is not None
        table = self._open.get((fold(definition.schema), fold(definition.name))) or self._opened(definition)
        table.reshape(insert.columns)
        pick: Pick = tuple
        if insert.row_params:
            table.shape.check_width(len(insert.params))
            pick = table.shape.picker(insert, self.settings.bindable)
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        self._targets[id(insert)] = target = _Target(insert, table, table.shape, pick)
        return target

    def _opened(self, definition: TableDef) -> OpenTable:
        always_groups = self.settings.storage_format() == "column"
        table = OpenTable(
            self.store, definition, self.settings.adapt, self.settings.unseen, always_groups=always_groups
        )
        self._open[table.key] = table
        self.debt.tables.add(table.key)
        return table

    def _append(
        self, target: _Target, rows: Iterable[Any], pick: Pick, intake: Intake, *, keep_good: bool = True
    ) -> InsertResult:
        """Append rows of any number, those of `intake` first, up to the first bad one.

        keep_good: the rows before it stay, as sqlite3's executemany leaves them; else its error is raised.
        """
        table, shape = target.table, target.shape
        table.flush()
        result = InsertResult()
        pieces = chunks(shape, self.store.db, rows, pick, intake, table.batch_rows)
        pieces = self.store.spans.each("parse", pieces, table=table.definition.name)
        with closing(_in_threads(table, shape, pieces)) as chunks_ready:
            for ready in chunks_ready:
                ready = table.late(ready)
                if ready.error is not None and not keep_good:
                    raise ready.error
                if ready.epoch == intake.epoch:
                    self._store_next(table, ready, result)
                else:
                    result.rowcount += ready.batch.row_count
                if ready.error is not None:
                    result.error = ready.error
                    break
        return result

    def _append_given(self, table: OpenTable, given: GivenRows) -> InsertResult:
        """Append rows that come as columns; if they are one execution, all or none."""
        table.flush()
        if not given.atomic:
            return self._append_parts(table, given)
        try:
            with self.store.db:
                result = self._append_parts(table, given)
                if result.error is not None:
                    raise result.error
        except BaseException:
            # With its rows the table's turn to column format may be undone.
            self._close()
            self.store.invalidate()
            raise
        return result

    def _append_parts(self, table: OpenTable, given: GivenRows) -> InsertResult:
        """Append parts up to the first execution with a bad row, whose error is in the result."""
        result, shape = InsertResult(), table.shape
        pieces = given.chunks(shape, self.store.db, table.batch_rows)
        with closing(_in_threads(table, shape, pieces)) as chunks_ready:
            for ready in map(table.late, chunks_ready):
                if ready.error is not None:
                    good = given.fail(result.rowcount + ready.batch.row_count) - result.rowcount
                    batch = ready.batch.slice(0, max(0, good))
                    ready = replace(ready, batch=batch, prepared=table.writer.prepare(batch))
                self._store_next(table, ready, result)
                if ready.error is not None:
                    result.error = ready.error
                    break
                given.stored(result.rowcount)
        result.last = given.last(result.rowcount)
        return result

    def _store_next(self, table: OpenTable, ready: Ready, result: InsertResult) -> None:
        """Store the next rows of an executemany, whatever the program's own iterator did meanwhile."""
        if not ready.batch.row_count:
            return
        if self.store.db.in_transaction:
            result.lastrowid = self._again(table).put(ready)
        else:
            with self._transaction():
                result.lastrowid = self._again(table).put(ready)
        result.rowcount += ready.batch.row_count

    def _again(self, table: OpenTable) -> OpenTable:
        """The table, with no rows waiting: `table` itself unless other statements have closed it."""
        current = self._open.get(table.key)
        if current is not None:
            current.flush()
            return current
        old = table.definition
        definition = self.settings.schema(old.schema).table(old.name)
        if definition is None or definition.columns != old.columns:
            raise OperationalError(f"table {old.name} was changed while rows were inserted into it")
        return self._opened(definition)

    def _append_results(self, target: _Target, rows: Iterator[Parameters], *, many: bool) -> InsertResult:
        """INSERT … SELECT and VALUES with expressions: SQLite computes the rows, each execution atomic."""
        insert, total = target.insert, InsertResult()
        text = insert.source_text
        reads = insert.source == "SELECT" or "SELECT" in text.upper()
        if reads:
            # The target may be read by the query: all its rows must be there before the first is stored.
            text = f"WITH colonnade_rows AS MATERIALIZED ({text}\n) SELECT * FROM colonnade_rows"
        each = reads or any(name in text.lower() for name in _OF_THE_LAST)
        for parameters in rows:
            if reads:
                self.flush(close=False)
            try:
                result = self._append_result(target, text, parameters)
            except Exception as error:
                total.error = error
                break
            total.add(self._told(result))
            if many and not each and result.rowcount == 1:  # and so it will be each time
                computing = self.store.db.cursor()
                computed = iter(computing.executemany(text, rows))
                later = self._append(target, computed, tuple, Intake(target.shape.width))
                if later.error is not None:
                    computing.close(True)  # it may have rows yet, and an open statement keeps tables locked
                later.last = 1 if later.rowcount else None
                total.add(self._told(later))
                break
        return total

    def _append_result(self, target: _Target, text: str, parameters: Parameters) -> InsertResult:
        """One execution. A single row waits for more like one that was given."""
        table = target.table
        cursor = self.store.db.cursor()
        cursor.exec_trace = lambda c, _text, _parameters: target.shape.check_width(len(c.getdescription()))
        results: Iterator[Any] = iter(cursor.execute(text, parameters))
        first = list(islice(results, 2))
        if not first:
            table.writer.count_none()
            return InsertResult(last=0)
        if len(first) == 1 and self._open.get(table.key) is table and table.shape is target.shape:
            return InsertResult(1, table.take(first[0]), 1)
        table.flush()
        try:
            with self.store.db:
                intake = Intake(target.shape.width)
                appended = self._append(target, chain(first, results), tuple, intake, keep_good=False)
        except BaseException:
            cursor.close(True)  # what was raised may hold it, and an open statement keeps tables locked
            # With its rows the table's turn to column format may be undone.
            self._close()
            self.store.invalidate()
            raise
        appended.last = appended.rowcount
        return appended

    def flush(self, *, close: bool = True) -> None:
        """Bring buffered rows to their tables: before any statement that is not such an INSERT.

        close: others may change the tables now, so nothing known about them is kept.
        """
        for table in self._open.values():
            table.flush()
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

    def validate_keys(self, tables: Iterable[TableKey], verb: str) -> None:
        """Check PRIMARY KEY and UNIQUE of tables that return to row format for a statement.

        What their rows owe to other tables they go on owing.
        Raises IntegrityError as `validate` does, which says that `verb` has to wait
        """
        touched = {(fold(schema), fold(table)) for schema, table in tables} & self.debt.tables
        if not touched:
            return
        found = CountedViolations()
        with self.settings.unseen():
            validate_debt(
                self.store, self.settings.schema, Debt(touched), self.stats, found, foreign_keys=False
            )
        if found.total:
            raise KeyViolation(
                found, f"; {verb} needs them repaired by plain UPDATE or DELETE, or rolled back"
            )

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
        self.forget_intakes()
        self._close()
        self.debt = Debt()

    def forget_intakes(self) -> None:
        """Rows that executemanys have read so far, and not stored, are undone."""
        for intake in self._intakes:
            intake.forget()


def _in_threads(table: OpenTable, shape: RowShape, pieces: Iterator[Chunk]) -> Generator[Ready, None, None]:
    """The chunks checked and encoded, in order: by a thread if there are several.

    By one thread: it and the program's own iterator take turns with Python's lock, a third would only wait.
    """
    few = list(islice(pieces, 2))
    if len(few) < 2:
        yield from (table.ready(shape, chunk) for chunk in few)
        return
    with ThreadPoolExecutor(1) as pool:
        opened = table.open_groups(chain(few, pieces))
        yield from in_order(pool, lambda chunk: table.ready(shape, chunk), opened, 1)
