"""Statements that write, or redefine, tables in column format: made ready by the router, then run by SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.batches import batch_target, query_target
from colonnade.defining import define
from colonnade.errors import is_interrupt
from colonnade.parameters import AdaptedNames, bindable, warn_of_names
from colonnade.plan import READING, Plan
from colonnade.rows import BUSY
from colonnade.sql import statistics
from colonnade.sql.explain import QUERY_PLAN, as_sqlite_says, explained
from colonnade.sql.made import made_table
from colonnade.sql.objects import fold
from colonnade.sql.route import Ready
from colonnade.sql.sets import SetWrite
from colonnade.sql.statement import Statement, parse
from colonnade.sql.writeplan import NotThawable
from colonnade.store.errors import IntegrityError
from colonnade.types import NATIVE, convert_binding

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session

_NO_ROW: Any = object()


class Writing:
    """How one session runs them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._plans: dict[str, Plan] = {}

    def run(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        """Run one statement."""
        if plan.first == "EXPLAIN":
            self._run_one(cursor, plan, parameters)
            return
        with self.interruptible():
            self._run_one(cursor, plan, parameters)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A write that is interrupted ends the transaction too (sqlite.org/c3ref/interrupt.html), also where what was
        stopped was no statement of SQLite's that writes."""
        try:
            yield
        except Exception as error:
            db = self._session.db
            if is_interrupt(error) and db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _run_one(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        session, statement = self._session, plan.statement
        session.let_go(cursor)
        special = _SPECIAL.get(statement.verb)
        if special is not None:
            special(self, cursor, plan, parameters)
            return
        if session.db.in_transaction:
            try:
                self._run(cursor, plan, parameters, own=False)
            except BaseException:
                session.store.steady.end()
                raise
            return
        with self.transaction(plan, begin=self._begins(plan)) as own:
            self._run(cursor, plan, parameters, own=own)

    def _source(self, plan: Plan) -> Plan | None:
        """Of an INSERT … SELECT, or CREATE TABLE … AS, the query by itself, if its rows may come as vectors."""
        session, statement = self._session, plan.statement
        if plan.source is None:
            made = made_table(statement)
            if made is not None:
                plan.source = Plan(made.source)
            elif statement.insert is not None and statement.insert.source == "SELECT":
                plan.source = Plan(statement.insert.source_text)
            else:
                return None
        if session.hooked or not session.columns.queries.may_write(plan.source):
            return None
        if statement.insert is not None and query_target(session, statement) is None:
            return None
        return plan.source

    def _begins(self, plan: Plan) -> str | None:
        """How a transaction begins in which rows of vectors are inserted; None: there will be no such rows."""
        session, statement = self._session, plan.statement
        if self._source(plan) is None:
            return None
        target = query_target(session, statement)
        made = statement.object if target is None else None
        schema = target.table.schema if target is not None else made.schema if made is not None else None
        # What is temporary may be written where nothing else may.
        return "BEGIN" if schema is not None and fold(schema) == "temp" else "BEGIN IMMEDIATE"

    def _run(self, cursor: Cursor, plan: Plan, parameters: Any, *, own: bool) -> None:
        """The same; `own`: in a transaction that ends with it."""
        session, statement = self._session, plan.statement
        if statement.insert is not None and self._insert_rows(cursor, plan, parameters):
            session.store.steady.end()
            return
        with self._steady():
            ready = self._point(plan, parameters)
            if ready is not None:
                session.store.steady.keep()
                plan.point = plan.native and not plan.returns
            else:
                session.store.steady.end()
                values = _adapted(parameters) if session.router.looks_at(statement) else ()
                ready = self.make_ready(statement, values, sets=not session.hears_rows)
        if ready.set_wise is not None:
            done = self._set_wise(plan, ready.set_wise, parameters)
            if done is not None:
                session._show_count(cursor, plan, done)
                self.after(statement, ready)
                return
            ready = self.make_ready(statement, _adapted(parameters))
        with session.instead(plan, self.as_run(plan, ready), parameters) as run:
            cursor._run_native(run, parameters)
        if statement.returning and (own or ready.touched):
            cursor._read_returning()  # COMMIT would end it, and no row can move while it writes
        if cursor._rows is not None:
            session.note_reading(cursor)
        self.after(statement, ready)

    def _insert_rows(self, cursor: Cursor, plan: Plan, parameters: Any) -> bool:
        """Insert the many rows of a query in batches; whether that was done."""
        session, statement = self._session, plan.statement
        if statement.insert is None or statement.insert.row_params:
            return False
        source, count = self._source(plan), None
        if source is not None:
            from colonnade.copying import insert_vectors

            count = insert_vectors(session, self, plan, source, parameters)
        if count is None and statement.verb == "INSERT" and session.router.looks_at(statement):
            count = session.bulk.batches.run_query(self, plan, _adapted(parameters))
        if count is not None:
            session._show_count(cursor, plan, count)
        return count is not None

    def _point(self, plan: Plan, parameters: Any) -> Ready | None:
        """What SQLite shall run, for the few kinds of statements that need no more than a look at rowids."""
        session = self._session
        if session.bulk.pending or not session.db.in_transaction or session.busy():
            return None
        return session.columns.points.ready(plan, parameters)

    def _define(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        begin = self._begins(plan)
        if begin is None:
            define(self._session, cursor, plan, parameters, self.make_ready(plan.statement, ()))
            return
        with self.transaction(plan, begin=begin):
            if not self._create(cursor, plan, parameters):
                define(self._session, cursor, plan, parameters, self.make_ready(plan.statement, ()))

    def _create(self, cursor: Cursor, plan: Plan, parameters: Any) -> bool:
        """Make a table of the rows of a query in batches; whether that was done."""
        source, made = self._source(plan), made_table(plan.statement)
        if source is None or made is None:
            return False
        from colonnade.copying import create_with_vectors

        return create_with_vectors(self._session, cursor, plan, source, made, parameters)

    def _analyze(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        """ANALYZE: SQLite's own, and then the figures of whole tables. See sql.statistics."""
        session = self._session
        run = self._plan(statistics.analyze(session.db, plan.statement), plan)
        with session.changes.kept(), session.db, session.unseen(plan, parameters):
            cursor._run_native(run, parameters)
            statistics.settle(session.store, plan.statement)

    def _explain(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        """EXPLAIN: of what would be run, in words where SQLite would show the virtual table's own plan."""
        session = self._session
        run = self._plan(self.make_ready(plan.statement, ()).text, plan)
        session.store.explains = explained
        try:
            with session.instead(plan, run, parameters) as seen:
                cursor._run_native(seen, parameters)
        finally:
            session.store.explains = None
        target = plan.statement.target
        if cursor.description is not None and len(cursor.description) == QUERY_PLAN:
            thaw = f"THAW ROWS OF {target.name}" if target is not None and run is not plan else None
            rows = list(cursor._rows or ())  # before other statements are asked about
            headings = [self._vectorised(plan, parameters), thaw]
            cursor._show(as_sqlite_says(rows, headings), cursor.description)
        session.note_reading(cursor)

    def _vectorised(self, explained: Plan, parameters: Any) -> str | None:
        """What EXPLAIN QUERY PLAN says of the query of a statement, or of the rows that it writes."""
        from colonnade.queries import as_explained  # who only writes starts faster without queries

        queries, statement = self._session.columns.queries, explained.statement
        if statement.inner in READING:
            return queries.heading(explained, parameters)
        source = self._source(explained)
        if source is not None:
            return queries.heading_to_write(source, parameters)
        search = self._session.router.search(parse(as_explained(explained.text)), parameters)
        return None if search is None else queries.heading_to_write(Plan(search), parameters, settled=False)

    def _set_wise(self, plan: Plan, write: SetWrite, parameters: Any) -> int | None:
        """Run a statement on all of its rows at once; how many rows it changed, None where that cannot be done."""
        session = self._session
        watch = session.connection._watch
        if watch is not None:
            watch.ask(plan.text)
        count = 0
        try:
            with session.changes.kept(), self._steady():
                count = write.run()
        except NotThawable:
            return None  # hooks hear of the statement when SQLite runs it
        except (IntegrityError, apsw.ConstraintError):
            session.changes.note(0)
            self._say(plan, parameters)
            raise
        session._changed(count)
        self._say(plan, parameters)
        return count

    def _say(self, plan: Plan, parameters: Any) -> None:
        watch = self._session.connection._watch
        if watch is not None:
            watch.say(plan.text, parameters)

    def run_many(self, cursor: Cursor, plan: Plan, rows: Iterator[Any]) -> int:
        """Run one statement for each row of parameters; returns the sum of the rows changed."""
        with self.interruptible():
            return self._run_each(cursor, plan, rows)

    def _run_each(self, cursor: Cursor, plan: Plan, rows: Iterator[Any]) -> int:
        session, statement = self._session, plan.statement
        session.let_go(cursor)
        with cursor._lent(BUSY):
            first = next(rows, _NO_ROW)
        if first is _NO_ROW:
            session.connection._prepare(plan.text)
            return 0
        rows = chain((first,), rows)
        reads = "select" in plan.text.lower()  # and so may have to be run again: see Session.reads_again
        if not (reads or session.router.looks_at(statement)):
            ready = self.make_ready(statement, ())
            with session.instead(plan, self.as_run(plan, ready), None) as run:
                count = cursor._run_many(run, rows)
            self.after(statement, ready)
            return count
        target = None if session.hears_rows else batch_target(session, statement)
        if target is not None:
            if plan.named:
                warn_of_names(session.connection, plan, first)
            return session.bulk.batches.run(self, cursor, plan, target, rows)
        return sum(self.run_row(cursor, plan, row) for row in _supplied(cursor, rows))

    def run_row(self, cursor: Cursor, plan: Plan, row: Any) -> int:
        """Run a statement for one row of parameters; returns how many rows that changed."""
        session, statement, parameters = self._session, plan.statement, bindable(row)
        with self.transaction(plan):
            with self._steady():
                ready = self.make_ready(statement, _adapted(parameters), sets=not session.hears_rows)
            if ready.set_wise is not None:
                done = self._set_wise(plan, ready.set_wise, parameters)
                if done is not None:
                    self.after(statement, ready)
                    return done
                ready = self.make_ready(statement, _adapted(parameters))
            with session.instead(plan, self.as_run(plan, ready), parameters) as run:
                try:
                    count = cursor._run_many(run, iter((row,)))
                except UnicodeDecodeError as error:
                    if not session.reads_again(error):
                        raise
                    count = cursor._run_many(run, iter((row,)))
            self.after(statement, ready)
        return count

    @contextmanager
    def transaction(self, plan: Plan, *, begin: str | None = None) -> Iterator[bool]:
        """Without a transaction: one for the statement and the rows that it needs brought near, together.

        begin  how it begins where the statement writes no table in column format; None: then there is none
        Gives whether there is one of its own.
        """
        session = self._session
        db = session.db
        if not db.in_transaction and session.router.looks_at(plan.statement):
            begin = "BEGIN IMMEDIATE"
        if db.in_transaction or begin is None:
            yield False
            return
        db.execute(begin)
        before = session.changes.total_changes()
        try:
            yield True
        except BaseException as error:
            if db.in_transaction:
                self._end_failed(before, error)
            raise
        if db.in_transaction:
            self._end(before, plan)

    def _end_failed(self, before: int, error: BaseException) -> None:
        """What failed by a constraint is undone as its conflict clause says: OR FAIL keeps rows. Everything else
        that fails in autocommit mode leaves nothing, even where SQLite keeps no journal of the statement itself.
        """
        code = getattr(error, "extendedresult", 0)
        if isinstance(error, apsw.ConstraintError) and code != apsw.SQLITE_CONSTRAINT_DATATYPE:
            self._end(before)
        elif isinstance(error, apsw.Error):
            self._undo(max(before, self._session.changes.total_changes()))  # what its actions changed counts
        else:
            self._undo(before)

    def _end(self, before: int, ran: Plan | None = None) -> None:
        """COMMIT. If a deferred foreign key forbids it the statement has failed, and changed nothing.

        ran   the statement, if it went well; what its foreign key actions changed SQLite counts all the same
        """
        changes = self._session.changes
        if ran is not None:
            held = ran.dml and ran.statement.returning  # its own rows are not counted before they are fetched
            before = max(before, changes.total_changes() - (0 if held else changes.changes()))
        try:
            self._session.settle()
            self._session.db.execute("COMMIT")
        except apsw.Error:
            changes.note(0)
            self._undo(before)
            raise

    def _undo(self, before: int) -> None:
        """ROLLBACK, with total_changes() as before."""
        db, changes = self._session.db, self._session.changes
        count = changes.changes()
        db.execute("ROLLBACK")
        changes.unseen = db.total_changes() - before
        changes.note(count)

    def _steady(self) -> AbstractContextManager[None]:
        """A block in which what was looked at once holds; nothing where others may change the tables."""
        store = self._session.store
        return store.steady if store.db.in_transaction else nullcontext()

    def make_ready(
        self, statement: Statement, parameters: Any, *, thaw: bool = True, sets: bool = False
    ) -> Ready:
        """What SQLite shall run, once all is ready for it. See Router.before."""
        session = self._session
        if session.busy() and session.router.touched(statement):
            session.read_ahead()  # SQLite drops no table while a statement is being read
        with session.changes.kept():
            thaw = thaw and not session.bulk.pending
            return session.router.before(statement, parameters, thaw=thaw, sets=sets)

    def as_run(self, plan: Plan, ready: Ready) -> Plan:
        """The plan of what SQLite shall run for another."""
        return self._plan(ready.text, plan)

    def _plan(self, text: str, plan: Plan) -> Plan:
        """The plan of a text that is run in place of another plan's."""
        if text == plan.text:
            return plan
        found = self._plans.get(text)
        if found is None:
            if len(self._plans) >= 512:
                self._plans.clear()
            found = self._plans[text] = Plan(text, plan.asked)
            if not plan.native:
                found.native = found.reads = False
        return found

    def after(self, statement: Statement, ready: Ready) -> None:
        """What follows a statement."""
        session = self._session
        if session.router.settles(statement, ready):
            return
        with session.changes.kept(), self._steady():
            session.router.after(statement, ready, busy=session.busy())


_SPECIAL = {
    "ANALYZE": Writing._analyze,
    "EXPLAIN": Writing._explain,
    **dict.fromkeys(("ALTER", "CREATE", "DROP"), Writing._define),
}


def _supplied(cursor: Cursor, rows: Iterator[Any]) -> Iterator[Any]:
    """The rows of parameters, each of which code of the program may make."""
    while True:
        with cursor._lent(BUSY):
            row = next(rows, _NO_ROW)
        if row is _NO_ROW:
            return
        yield row


def _adapted(parameters: Any) -> Any:
    """The values as they will be bound."""
    if isinstance(parameters, Mapping):
        return AdaptedNames(parameters)
    return tuple(
        value if isinstance(value, NATIVE) else convert_binding(None, place, value)
        for place, value in enumerate(parameters, 1)
    )
