"""INSERT … SELECT and CREATE TABLE … AS whose rows are vectorised: columns go in batch by batch, all or none.

The rows come in the order in which SQLite gives them, as their rowids follow from it. Each batch is checked and
appended as that of an executemany is (loader.immediate); a table in row format that may turns to column format for a
first batch that makes a row group. What the query reads is as it was when it began, also of the table written. If one
row may break something, or a later batch is not known to be SQLite's, all is undone, and the statement is SQLite's:
so any OR clause will do, as no row that it says something of is inserted here. Of a table that is made SQLite says the
columns: it runs the program's own text with LIMIT 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np

from colonnade.batches import adapt_value, appended, may_append, query_target, turn_to_column_format
from colonnade.errors import is_interrupt
from colonnade.loader.bulk import BulkLoad, InsertResult
from colonnade.loader.given import GivenRows, Part
from colonnade.loader.immediate import BatchInsert, Target
from colonnade.parameters import bindable
from colonnade.plan import Plan
from colonnade.sql.made import Made
from colonnade.sql.route import Ready
from colonnade.sql.select import Answer
from colonnade.sql.select.vector import to_column
from colonnade.sql.splice import highest_parameter
from colonnade.sql.statement import Insert, Statement, parse
from colonnade.sql.tokens import quote
from colonnade.store.values import RowBatch, concat_batches

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session
    from colonnade.writing import Writing


class _Unsound(Exception):
    """A row may break something."""


def insert_vectors(
    session: Session, writing: Writing, plan: Plan, source: Plan, parameters: Any
) -> int | None:
    """Insert the rows of an INSERT … SELECT; how many these are. None: nothing was done, and it is SQLite's.

    source  the query by itself
    Raises  what ends a statement that is interrupted
    """
    copy = Copy(session, plan.statement)
    if not (copy.possible and copy.run(source, parameters)):
        return None
    if copy.count:
        appended(session, copy.count, copy.lastrowid, last=copy.count)
        writing.after(plan.statement, copy.ready(plan.text))
    else:
        session.changes.note(0)
    return copy.count


def create_with_vectors(
    session: Session, cursor: Cursor, plan: Plan, source: Plan, made: Made, parameters: Any
) -> bool:
    """Run a CREATE TABLE … AS; false: nothing was done, and it is SQLite's. Raises as `insert_vectors`"""
    if not may_append(session) or _exists(session, made):
        return False

    def create() -> None:
        values = parameters
        if not isinstance(parameters, Mapping):
            values = tuple(parameters)[: highest_parameter(made.empty)]
        cursor._run_native(session.columns.as_run(Plan(made.empty, plan.asked)), values)

    copy = Copy(session, parse(made.insert), create)
    if not copy.run(source, parameters):
        return False
    with session.changes.kept():
        ready = copy.ready(plan.text) if copy.count else Ready(plan.text)
        session.router.after(plan.statement, ready, busy=session.busy())
    return True


def _exists(session: Session, made: Made) -> bool:
    """Whether something has the name, so that no table is made or SQLite refuses."""
    text = f"SELECT 1 FROM {quote(made.schema)}.sqlite_schema WHERE name = ? COLLATE NOCASE"
    try:
        return session.db.execute(text, (made.name,)).get is not None
    except apsw.SQLError:  # there is no such database
        return True


def append_vectors(
    session: Session, load: BulkLoad, plan: Plan, insert: Insert, parameters: Any
) -> InsertResult | None:
    """Append the rows of an INSERT … SELECT under bulk load; None: nothing was done, SQLite has to compute them."""
    queries = session.columns.queries
    source = plan.source = plan.source or Plan(insert.source_text)
    results: list[InsertResult] = []

    def write(answer: Answer) -> bool:
        given = insert._replace(source="VALUES", row_params=True, params=tuple(range(answer.width)))
        rows: Iterable[Any] = GivenRows(_parts(answer), atomic=True)
        results.append(load.insert(given, rows, many=True))
        if not results[-1].rowcount:
            load.settings.appended(InsertResult(last=0))
        return True

    if not queries.may_write(source):
        return None
    with session.columns.writing.interruptible(), load.statement():
        return results[-1] if queries.write(source, parameters, write) else None


def _parts(answer: Answer) -> Iterator[Part]:
    starts = np.zeros(1, np.int64)
    for batch in answer.batches:
        yield Part(list(map(to_column, batch)), len(batch[0]), starts)
        starts = starts[:0]


def _with_more(batches: Iterator[RowBatch]) -> Iterator[tuple[RowBatch, bool]]:
    """Each batch, and whether another one follows."""
    batch = next(batches, None)
    while batch is not None:
        following = next(batches, None)
        yield batch, following is not None
        batch = following


def _sized(batches: Iterable[RowBatch], size: int) -> Iterator[RowBatch]:
    """The same rows in batches of about that many, half of them at least, without a copy of batches that are so."""
    held: list[RowBatch] = []
    for batch in batches:
        held.append(batch)
        count = sum(each.row_count for each in held)
        if 2 * count < size:
            continue
        whole, start = concat_batches(held), 0
        while count - start > size:
            yield whole.slice(start, size)
            start += size
        held = [whole.slice(start, count - start)]
        if 2 * held[0].row_count >= size:
            yield held.pop()
    if held:
        yield concat_batches(held)


class Copy:
    """The rows of one statement.

    count      that were inserted
    lastrowid  of the last of them
    """

    def __init__(
        self, session: Session, statement: Statement, create: Callable[[], None] | None = None
    ) -> None:
        """
        statement  the INSERT … SELECT
        create     makes the table, once it is known that there may be rows for it
        """
        self._session, self._statement, self._create = session, statement, create
        self.count = self.lastrowid = 0
        self._insert: BatchInsert | None = None

    @property
    def possible(self) -> bool:
        """Whether rows may be appended to the table, as things are."""
        return query_target(self._session, self._statement) is not None and may_append(self._session)

    def run(self, source: Plan, parameters: Any) -> bool:
        """Insert the rows of the query; false: nothing was done."""
        try:
            return self._session.columns.queries.write(source, parameters, self._all_or_none)
        except Exception as error:  # whatever else it is, SQLite says it of the program's own text
            if is_interrupt(error):
                raise
            return False

    def ready(self, text: str) -> Ready:
        """What is to be looked after, as if `text` had inserted the rows."""
        assert self._insert is not None
        return self._insert.ready(text)

    def _all_or_none(self, answer: Answer) -> bool:
        session = self._session
        known = session.store.epoch
        try:
            with session.changes.kept(), session.db:
                if self._create is not None:
                    self._create()
                    session.store.steady.end()
                self._append(answer)
        except BaseException as error:
            session.store.steady.end()
            if self._create is not None or session.store.epoch != known:  # the schema is the one before
                session.replaced()
                session.connection._schema_changed()
            if isinstance(error, _Unsound):
                return False
            raise
        return True

    def _append(self, answer: Answer) -> None:
        rows = (RowBatch(len(batch[0]), tuple(map(to_column, batch))) for batch in answer.batches)
        first = next(rows, None)
        if first is None:
            if self._target().table.autoincrement:
                raise _Unsound  # SQLite counts from 0 on in sqlite_sequence then
            return
        table = self._target().table
        size = self._session.store.batch_rows(table.name, table.schema, first.byte_count / first.row_count)
        for batch, more in _with_more(_sized(chain((first,), rows), size)):
            if self._insert is None:
                self._insert = self._opened(batch)
                self._insert.check_width(answer.width)
            count, self.lastrowid = self._insert.append(self._insert.given(batch.columns), more=more)
            if count < batch.row_count:
                raise _Unsound
            self.count += count
            self._insert.release_unused()

    def _opened(self, first: RowBatch) -> BatchInsert:
        """What inserts the rows, of which this is the first batch."""
        session, target = self._session, self._target()
        if turn_to_column_format(session, target.table, first.row_count, first.byte_count):
            target = self._target()
        return BatchInsert(session.store, target, adapt_value, bindable, session.bulk.stats)

    def _target(self) -> Target:
        target = query_target(self._session, self._statement)
        if target is None:
            raise _Unsound
        return target
