"""Many rows of one INSERT with bulk load off: a batch is checked at once, and appended as far as it is sound.

The rows of an executemany, or of a query, become a batch; types, NOT NULL and CHECK are evaluated for all of it, and
its keys are looked up set by set (loader.batchkeys). The rows in front of the first that may break something are
appended: as a row group if they make one, else to the row part, or to a table in row format. That row, and those behind
it in the batch, are the caller's to insert as SQLite does, so that SQLite itself raises what there is to raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import apsw
import pyarrow as pa

from colonnade.loader.append import Appender
from colonnade.loader.batchkeys import BatchKeys, provable
from colonnade.loader.rowcheck import RowChecker
from colonnade.loader.rows import Adapt, Chunk, Intake, Pick, RowShape
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.writer import become_writer, rowid_name
from colonnade.sql.checks import bulk_reason
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.route import Ready
from colonnade.sql.shown import home_of
from colonnade.sql.statement import Insert
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.hints import makes_group
from colonnade.store.switches import FOREIGN_KEYS, checks_ignored, switched
from colonnade.store.table import ColumnTable
from colonnade.store.values import Column, RowBatch, to_python

_MANY_ROWS = 4096  # rows of a batch whose memory is worth giving back


@dataclass(frozen=True, slots=True)
class Target:
    """An INSERT, and the table that it writes.

    foreign_keys  whether the connection enforces them
    """

    insert: Insert
    schema: Schema
    table: TableDef
    foreign_keys: bool


def find_target(
    db: apsw.Connection,
    insert: Insert,
    schema_of: Callable[[str], Schema],
    *,
    foreign_keys: bool,
    temporary: bool = False,
) -> Target | None:
    """What an INSERT writes, if its rows can be checked and appended in batches.

    foreign_keys  whether the connection enforces them
    temporary     it may be a temporary table
    """
    if not insert.plain or insert.source == "DEFAULT":
        return None
    home = home_of(db, insert.target.name, insert.target.schema)
    if home is None or (fold(home) == "temp" and not temporary):
        return None
    schema = schema_of(home)
    table = schema.table(insert.target.name)
    if table is None or not _suits(insert, table):
        return None
    triggers = (*schema.triggers, *schema_of("temp").triggers)
    if any(fold(trigger.table) == fold(table.name) for trigger in triggers):
        return None
    target = Target(insert, schema, table, foreign_keys)
    return target if provable(table, schema, foreign_keys=foreign_keys) else None


def _suits(insert: Insert, table: TableDef) -> bool:
    """Whether the rows are certain to fit the columns; where not, SQLite says what is wrong."""
    if bulk_reason(table) is not None:
        return False
    names = {fold(column.name) for column in table.columns}
    given = [column.name for column in table.columns] if insert.columns is None else insert.columns
    fits = len(given) == len(insert.params) or not insert.row_params
    return fits and names.issuperset(map(fold, given))


class BatchInsert:
    """The rows of one INSERT, or of an executemany of it; alive for that statement."""

    def __init__(
        self,
        store: Store,
        target: Target,
        adapt: Adapt,
        bindable: Callable[[Any], Any],
        stats: ConstraintStats,
    ) -> None:
        """
        adapt     see RowShape
        bindable  a list, tuple or mapping with the parameters of one row, whatever they came as; or raises
        stats     where the checks of constraints are counted
        """
        self._store, self._target = store, target
        table = target.table
        self._shape = RowShape(table, target.insert.columns, adapt)
        self._pick: Pick = tuple
        if target.insert.row_params:
            self._pick = self._shape.picker(target.insert, bindable)
        self._intake = Intake(self._shape.width)
        self._checker = RowChecker(store.db, table)
        self._much_unused = False
        self._keys = BatchKeys(store, target.schema, table, stats, foreign_keys=target.foreign_keys)

    # --- rows in ---------------------------------------------------------------------------------------

    def read(self, source: Iterator[Any]) -> Chunk:
        """The rows that wait and more of `source`, a batch of them; no row at its end."""
        self.release_unused()
        table = self._target.table
        most = self._store.batch_rows(table.name, table.schema)
        return self._chunk(islice(source, max(0, most - self._intake.row_count)))

    def release_unused(self) -> None:
        """Give back what the batch before took: Arrow would keep it, for another of that size."""
        if self._much_unused:
            self._much_unused = False
            pa.default_memory_pool().release_unused()

    def waiting(self) -> Chunk:
        """The rows read so far: another statement, of the program's own iterator, wants to see them."""
        return self._chunk(())

    def given(self, columns: Sequence[Column]) -> Chunk:
        """Rows that come as columns, one for each parameter of the INSERT, no affinity applied."""
        count = len(columns[0])
        return Chunk(columns, count, self._shape.computed_defaults(self._store.db, count))

    def check_width(self, count: int) -> None:
        """Raises SQLite's error where a row has not as many values."""
        self._shape.check_width(count)

    def results(self, parameters: Any) -> apsw.Cursor:
        """The rows of an INSERT … SELECT or VALUES, as SQLite computes them; none that the INSERT adds is among them.

        Raises what SQLite does, also for a wrong number of columns
        """
        text = f"WITH colonnade_rows AS MATERIALIZED ({self._target.insert.source_text}\n) SELECT * FROM colonnade_rows"
        cursor = self._store.db.cursor()
        cursor.exec_trace = lambda c, _text, _parameters: self._shape.check_width(len(c.getdescription()))
        cursor.execute(text, parameters)
        return cursor

    def forget(self) -> None:
        """The rows that wait are undone, by a rollback."""
        self._intake.forget()

    @property
    def forgotten(self) -> int:
        """How many rows were undone so: sqlite3 counts them."""
        return self._intake.forgotten

    def _chunk(self, rows: Iterable[Any]) -> Chunk:
        with self._store.spans("parse", table=self._target.table.name) as span:
            chunk = self._shape.chunk(self._store.db, rows, self._pick, self._intake)
            span.note(rows=chunk.row_count)
        return chunk

    # --- rows out --------------------------------------------------------------------------------------

    def append(self, chunk: Chunk, *, more: bool = False) -> tuple[int, int]:
        """Append the rows in front of the first that may break something. In a transaction.

        more  other rows come behind these before anybody else looks at the table: none of these has to be in the row
              part for its largest rowid
        Returns how many these are, and the rowid of the last.
        """
        become_writer(self._store, self._target.table)
        with self._store.db:
            count, lastrowid = self._append(self._shape.shape(chunk), more=more)
        self._much_unused = count >= _MANY_ROWS
        return count, lastrowid

    def _column_table(self) -> ColumnTable | None:
        return self._store.table(self._target.table.name, self._target.table.schema)

    def _rows_of(self, column_table: ColumnTable | None) -> str:
        name = self._target.table.name if column_table is None else column_table.rows_name
        return f"{quote(self._target.table.schema)}.{quote(name)}"

    def _append(self, batch: RowBatch, *, more: bool) -> tuple[int, int]:
        """How many rows were appended, and the rowid of the last."""
        problem = self._checker.first(batch, late=self._checker.late)
        if problem is not None:
            batch = batch.slice(0, problem[0])
        column_table = self._column_table()
        appender = None if column_table is None else Appender(column_table, self._target.table)
        if appender is not None and batch.row_count and appender.needs_rowids(batch):
            batch = appender.fill_rowids(batch)
        batch = batch.slice(0, self._keys.sound_rows(batch))
        if not batch.row_count:
            return 0, 0
        if appender is None or not makes_group(batch.row_count, batch.byte_count):
            return self._insert(batch, column_table, appender)
        self._store.policy.appended(self._target.table.schema, self._target.table.name, batch.row_count)
        return self._append_group(batch, appender, more=more)

    def _append_group(self, batch: RowBatch, appender: Appender, *, more: bool) -> tuple[int, int]:
        """A row group; the row with the largest rowid goes to the row part, where it belongs."""
        count = batch.row_count
        if more:
            return count, appender.put(appender.prepare(batch), checked=True)[1]
        if appender.alias_position is not None:
            rowids = appender.rowids(batch)
            if not (rowids[1:] > rowids[:-1]).all():  # Router.after brings the largest to the row part
                return count, appender.put(appender.prepare(batch), checked=True)[1]
        lastrowid = 0
        if count > 1:
            lastrowid = appender.put(appender.prepare(batch.slice(0, count - 1)), checked=True)[1]
        inserted, last = self._insert(batch.slice(count - 1, 1), appender.table, appender)
        return count - 1 + inserted, last if inserted else lastrowid

    def _insert(
        self, batch: RowBatch, column_table: ColumnTable | None, appender: Appender | None
    ) -> tuple[int, int]:
        """Insert natively, up to the first row that SQLite refuses. Foreign keys are known to hold."""
        db, table = self._store.db, self._target.table
        columns = [quote(column.name) for column in table.columns if not column.generated]
        values: list[Sequence[Any]] = [to_python(column) for column in batch.columns]
        if appender is not None and appender.alias_position is None:
            # SQLite would number these rows after the row part alone; the row groups may hold larger rowids.
            first = appender.reserve(batch.row_count)
            columns.append(rowid_name(table))
            values.append(range(first, first + batch.row_count))
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {self._rows_of(column_table)} ({', '.join(columns)}) VALUES ({marks})"
        before = db.total_changes()
        with ExitStack() as stack:
            stack.enter_context(self._store.spans("append", table=table.name, rows=batch.row_count))
            # The row that is refused comes to the caller, who inserts it once more, to be told why.
            stack.enter_context(suppress(apsw.ConstraintError))
            stack.enter_context(switched(db, FOREIGN_KEYS, False))
            if table.checks:  # each is evaluated once, for it may call random()
                stack.enter_context(checks_ignored(db))
            db.executemany(sql, zip(*values, strict=True))
        count = db.total_changes() - before
        return count, db.last_insert_rowid()

    def ready(self, text: str) -> Ready:
        """What is to be looked after, as if `text` had inserted the rows."""
        table = self._column_table()
        return Ready(text) if table is None else Ready(text, (table,), written=(table.schema, table.name))

    def parameters(self, chunk: Chunk, start: int) -> Iterator[Any]:
        """The rows of a chunk from `start` on as parameters of the INSERT."""
        params = self._target.insert.params
        columns = [to_python(column.slice(start, chunk.row_count - start)) for column in chunk.columns()]
        rows = zip(*columns, strict=True)
        if isinstance(params[0], str):
            return (dict(zip(params, row, strict=True)) for row in rows)
        by_place = {place: index for index, place in enumerate(params)}
        order = [by_place.get(place) for place in range(max(map(int, params)) + 1)]
        return (tuple(None if index is None else row[index] for index in order) for row in rows)
