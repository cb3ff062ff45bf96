"""Session: the statements of a connection that do not simply go to SQLite, and how each of them runs.

1. Colonnade's own PRAGMAs are answered by `pragmas`.
2. BEGIN, COMMIT, ROLLBACK and savepoints are SQLite's; bulk load validates before what would commit.
3. Where no table is in column format and bulk load is off, every other statement is SQLite's as well.
4. Else `sql.names` rewrites what reads the schema, bulk load takes the INSERTs that it can append, and
   the router makes tables ready for the rest: all of that is the `columnside`, imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet, proxy

import apsw

from colonnade import pragmas, script, tracing
from colonnade.bulk import Bulk
from colonnade.changes import Changes
from colonnade.plan import READING, SINGLE_WRITES, Description, Plan, describe
from colonnade.rows import BUSY, in_filter
from colonnade.savepoints import Savepoints, savepoint_name
from colonnade.sql.messages import user_rows
from colonnade.sql.statement import Statement
from colonnade.store.presence import Presence, register, unregister
from colonnade.watch import run_seen

if TYPE_CHECKING:
    from colonnade.columnside import ColumnSide
    from colonnade.connection import Connection
    from colonnade.cursor import Cursor
    from colonnade.sql.route import Router
    from colonnade.store.database import Store


class Session:
    """What a connection has beyond SQLite.

    storage_format   "auto", "row" or "column"
    changes          how many rows the program changed
    spans            what its work is told by
    """

    def __init__(self, connection: Connection, db: apsw.Connection) -> None:
        # Not a reference: SQLite's hooks hold the session, and a connection that is dropped must be closed.
        self.connection: Connection = cast("Connection", proxy(connection))
        self.db = db
        self.storage_format = pragmas.first_format()
        self.spans = tracing.spans()
        self.changes = Changes(db)
        self._presence = Presence(db)
        self._columns: ColumnSide | None = None
        self.bulk = Bulk(self)
        self._savepoints = Savepoints()
        self._deferring = False  # whether foreign keys are to be deferred in the transaction that comes next
        self._reading: WeakSet[Cursor] = WeakSet()  # cursors that may be in the middle of their rows
        self._bounds: dict[str, Callable[[Cursor, Plan, Any], None]] = {
            "BEGIN": self._begin,
            **dict.fromkeys(("COMMIT", "END"), self._commit),
            "ROLLBACK": self._rollback,
            "SAVEPOINT": self._savepoint,
            "RELEASE": self._release,
        }
        db.set_rollback_hook(self._rolled_back, id=self)
        register(db, lambda: self.store)

    @property
    def columns(self) -> ColumnSide:
        """What tables in column format and bulk load need, imported and made when it is first asked for."""
        if self._columns is None:
            from colonnade.columnside import ColumnSide

            self._columns = ColumnSide(self)
        return self._columns

    @property
    def store(self) -> Store:
        return self.columns.store

    @property
    def router(self) -> Router:
        return self.columns.router

    def has_column_tables(self) -> bool:
        """Whether any table is in column format."""
        return self._presence.any() if self._columns is None else self._columns.store.has_column_tables()

    def foreign_keys(self) -> bool:
        """Whether the connection enforces foreign keys."""
        return bool(self.db.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, -1))

    def close(self) -> None:
        """Let go of the connection."""
        self.db.set_rollback_hook(None, id=self)
        self.bulk.forget()
        unregister(self.db)
        if self._columns is not None:
            self._columns.close()

    def refresh(self) -> None:
        """Look again whether all statements may go to SQLite as they are."""
        connection = self.connection
        stored = self.has_column_tables()
        free = not (stored or self.bulk.active or self.storage_format == "column")
        plain = free and not self.changes.differs()  # then until a statement has counts of its own
        if plain != connection._plain:
            connection._plain = plain
            self._forget_rewritten()
        connection._direct = plain and not self.spans.heard
        if not plain:
            self.changes.show()
            connection._note_views(self.columns.views())
        connection._unverified = free and not plain

    def hear_anew(self) -> None:
        """Others than before are told of spans, or nobody: the next statement looks which way it goes."""
        with suppress(ReferenceError):  # the connection is being dropped
            self.connection._direct = False
            self.connection._unverified = True

    def _rolled_back(self) -> None:
        """SQLite's hook, for whatever ended the transaction. No statement may be run here."""
        self.bulk.forget()
        self._savepoints.clear()
        self._presence.forget()
        self._forget_rewritten()
        self.connection._generation += 1
        self.connection._unverified = True
        self.connection._plain = False  # tables may be in column format again: the next statement looks
        self.connection._direct = False

    def _forget_rewritten(self) -> None:
        if self._columns is not None:
            self._columns.forget_rewritten()

    def replaced(self) -> None:
        """A database of the connection has another content: nothing that was remembered of it holds."""
        self._presence.forget()
        if self._columns is not None:
            self.store.cache.clear()
            self.store.invalidate()
            self.router.forget()

    # --- statements --------------------------------------------------------------------------------------

    def execute(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        """Run one statement on a cursor."""
        if self.spans.heard:
            with tracing.statement(self.spans, cursor, plan.text):
                self._execute(cursor, plan, parameters)
        else:
            self._execute(cursor, plan, parameters)

    def _execute(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        if plan.reads and not (self.connection._unverified or self.bulk.active):
            self._deferring = False
            columns = self._columns  # written out, as look-ups of rows come here
            if (columns is not None and plan.never == columns.store.epoch) or not self._vectorised(
                cursor, plan, parameters
            ):
                cursor._run_query(plan, parameters)
            self.note_reading(cursor)
            return
        if plan.empty or (plan.point and self.columns.points.run(cursor, plan, parameters)):
            return
        if self._columns is not None and plan.first not in SINGLE_WRITES:
            self._columns.store.steady.end()
        self.bulk.batches.bring_in()
        if plan.first == "PRAGMA" and self._own_pragma(cursor, plan):
            return
        bound = self._bounds.get(plan.first)
        if bound is not None:
            bound(cursor, plan, parameters)
            return
        self._deferring = plan.first == "PRAGMA" and self._defers(plan)
        connection = self.connection
        if connection._unverified or (connection._plain and not connection._private):
            self.refresh()  # else the long way is gone, which is right for every table
        if self.connection._plain:
            cursor._run_native(plan, parameters)
        else:
            self._run(cursor, plan, parameters)
        if plan.schema:
            if plan.first in ("ATTACH", "DETACH"):
                self.replaced()  # another database can have the name, and the schema version
            self.connection._schema_changed()

    def _defers(self, plan: Plan) -> bool:
        """Whether it is PRAGMA defer_foreign_keys = on outside a transaction.

        That holds until a statement ends outside a transaction, and Colonnade's own reads end there too.
        """
        pragma = plan.statement.pragma
        if pragma is None or pragma.name != "defer_foreign_keys" or self.db.in_transaction:
            return False
        return self._deferring if pragma.value is None else pragmas.is_on(pragma.value)

    def defer_again(self) -> None:
        """To be called before BEGIN: foreign keys are deferred if the program asked for it just before."""
        if self._deferring and not self.connection._plain:
            self.db.execute("PRAGMA defer_foreign_keys = on")
        self._deferring = False

    def execute_many(self, cursor: Cursor, plan: Plan, rows: Iterator[Any]) -> int:
        """Run one statement for each row of parameters; returns the sum of the rows changed."""
        with self.spans("query", text=plan.text) as span:
            count = self._execute_many(cursor, plan, rows)
            span.note(rows=count)
        return count

    def _execute_many(self, cursor: Cursor, plan: Plan, rows: Iterator[Any]) -> int:
        self._deferring = False
        if self._columns is not None:
            self._columns.store.steady.end()
        self.bulk.batches.bring_in()
        connection = self.connection
        if connection._unverified or (connection._plain and not connection._private):
            self.refresh()  # else the long way is gone, which is right for every table
        if self.connection._plain:
            count = cursor._run_many(plan, rows)
        else:
            statement = plan.statement
            insert = statement.insert if statement.verb == "INSERT" else None
            if insert is not None and self.bulk.takes(insert):
                self._announce(plan, None)
                with self._savepoints.marked(), cursor._lent(BUSY):
                    return self.bulk.insert(insert, rows, many=True).rowcount
            if self._owing(statement):
                self._announce(plan, None)
                with cursor._lent(BUSY):
                    return self.columns.owing.run_many(statement, rows)
            count = self.columns.writing.run_many(cursor, plan, rows)
        if plan.schema:
            self.connection._schema_changed()
        return count

    def execute_script(self, blocks: Iterable[str], hooks: script.Hooks = script.NO_HOOKS) -> None:
        """Run statement after statement of a text in blocks. Raises ScriptError"""
        if self._columns is not None:
            self._columns.store.steady.end()
        self.bulk.batches.bring_in()
        self.refresh()
        try:
            with self.spans("query", text="script"):
                script.run(self, blocks, hooks)
        finally:
            self.connection._schema_changed()

    def _run(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        if self.bulk.enabled and plan.first == "INSERT" and not parameters and not self.hooked:
            appended = self.columns.texts.one(plan.text)
            if appended is not None:
                self._show_count(cursor, plan, appended.rowcount)
                return
        statement = plan.statement
        insert = statement.insert if statement.verb == "INSERT" else None
        if insert is not None and self.bulk.takes(insert):
            self._announce(plan, parameters)
            result = self.bulk.insert_one(plan, insert, parameters)
            self._show_count(cursor, plan, result.rowcount)
            return
        if self._owing(statement):
            self._announce(plan, parameters)
            self.columns.owing.run(cursor, plan, parameters)
            return
        if not statement.is_select:
            self.columns.writing.run(cursor, plan, parameters)
            if plan.first == "EXPLAIN" and cursor._rows is not None:
                cursor._show(user_rows(cursor._rows), cursor.description)
            return
        if not self._vectorised(cursor, plan, parameters):
            with self.instead(plan, plan, parameters) as run:
                cursor._run_native(run, parameters)
        self.note_reading(cursor)

    def _vectorised(self, cursor: Cursor, plan: Plan, parameters: Any) -> bool:
        """Answer a query from columns, if that is certain to be what SQLite would answer."""
        if self.connection._plain or plan.first not in READING:
            return False
        return self.columns.queries.run(cursor, plan, parameters)

    # --- hooks -------------------------------------------------------------------------------------------

    @property
    def hooked(self) -> bool:
        """Whether the program has set a hook, and must hear of each of its statements."""
        return self.connection._watch is not None

    @property
    def hears_rows(self) -> bool:
        """Whether the program wants to hear of each row that is written."""
        watch = self.connection._watch
        return watch is not None and watch.hears_rows

    def _announce(self, plan: Plan, parameters: Any) -> None:
        """Hooks hear of a statement that SQLite does not run."""
        watch = self.connection._watch
        if watch is not None:
            watch.announce(plan.text, parameters)

    @contextmanager
    def instead(self, plan: Plan, spliced: Plan, parameters: Any) -> Iterator[Plan]:
        """What to run for a statement; hooks hear of the statement itself, whatever that is.

        spliced  the statement on row parts, or the plan itself
        """
        run, watch = self.columns.as_run(spliced), self.connection._watch
        with self._counted(plan):
            if run is plan or watch is None:
                yield run
                return
            watch.announce(plan.text, parameters)
            with watch.in_place():
                yield run

    @contextmanager
    def _counted(self, plan: Plan) -> Iterator[None]:
        """Around SQLite's run of a statement of the program's: changes() is what SQLite says of it, failed or not.

        What SQLite could not even prepare, or bind values to, leaves changes() as it is.
        """
        try:
            yield
        except Exception as error:
            self.failed(plan, error)
            raise
        if plan.statement.sets_changes:
            self.changes.ran()

    def failed(self, plan: Plan, error: Exception) -> None:
        """SQLite did not run a statement to its end: changes() is what it says, if it began."""
        if plan.statement.sets_changes and self._ran(plan, error):
            self.changes.ran()

    def _ran(self, plan: Plan, error: Exception) -> bool:
        """Whether SQLite ran some of a statement that failed."""
        if isinstance(error, apsw.SQLError):
            return self.connection._twin().error(plan.asked) is None
        if isinstance(error, apsw.BindingsError | apsw.AuthError):
            return False
        return isinstance(error, apsw.Error) or hasattr(error, "sqlite_errorcode")

    def varies(self, plan: Plan) -> bool:
        """Whether a virtual table may compare with values that only the run of the statement knows."""
        plan.varying = plan.varying or self.store.varying
        self.store.varying = False
        return plan.varying

    def reads_again(self, error: BaseException | None) -> bool:
        """Whether a statement that failed so goes well when it is prepared and run again: a virtual table was to
        compare with a text that is not UTF-8, which SQLite from now on does itself.
        """
        if self._columns is None or not in_filter(error):
            return False
        self.store.constants_only = True
        from colonnade.store.switches import FOREIGN_KEYS, switched  # it has a dataclass, slow to import

        with switched(self.db, FOREIGN_KEYS, not self.foreign_keys()):
            pass  # SQLite prepares each statement anew after a switch
        return True

    @contextmanager
    def unseen(self, plan: Plan, parameters: Any) -> Iterator[None]:
        """Hooks hear of a statement, and of nothing that is run for it within."""
        self._announce(plan, parameters)
        watch = self.connection._watch
        with watch.hidden() if watch is not None else nullcontext():
            yield

    def to_row_format(self, statement: Statement) -> None:
        """The tables that a statement would write are in row format."""
        self.columns.writing.make_ready(statement, (), thaw=False)

    def note_reading(self, cursor: Cursor) -> None:
        """The cursor may be in the middle of its rows from now on."""
        if not cursor._noted:
            cursor._noted = True
            self._reading.add(cursor)

    def let_go(self, cursor: Cursor) -> None:
        """A cursor runs another statement: of the one before, which nobody reads any more, SQLite holds no table."""
        if cursor._noted:
            cursor._noted = False
            self._reading.discard(cursor)
            cursor._let_go()

    def read_ahead(self) -> None:
        """Read what open statements have left, so that tables can change under them."""
        for cursor in self._reading:
            cursor._read_ahead()

    def _show_count(self, cursor: Cursor, plan: Plan, count: int) -> None:
        """What a statement that SQLite did not run leaves in the cursor."""
        cursor.lastrowid = self.db.last_insert_rowid()
        if plan.dml:
            cursor.rowcount = count

    def busy(self) -> bool:
        """Whether a statement of the connection is still being read."""
        return bool(self._reading) and any(cursor._rows is not None for cursor in self._reading)

    def _owing(self, statement: Statement) -> bool:
        """Whether a statement writes a table in column format, which rows that are not validated keep there."""
        return self.bulk.pending and self.columns.owing.takes(statement)

    def _changed(self, count: int) -> None:
        """A statement that SQLite did not run changed so many rows."""
        self.changes.unseen -= count
        self.changes.note(count)

    # --- PRAGMAs -------------------------------------------------------------------------------------------

    def _own_pragma(self, cursor: Cursor, plan: Plan) -> bool:
        pragma = plan.statement.pragma
        own = pragmas.answering(self, pragma)
        if own is None or pragma is None:
            return False
        self._announce(plan, None)
        self.bulk.flush()
        with self.changes.kept():
            answer = own(self, pragma)
        if answer is not None:
            columns: Description | None = describe((name,) for name in answer.columns)
            cursor._show(iter(answer.rows), columns)
        cursor.lastrowid = self.db.last_insert_rowid()
        return True

    # --- transactions --------------------------------------------------------------------------------------

    def commit(self) -> None:
        """COMMIT, after bulk load validated what it owes."""
        with self.spans("commit"):
            self.bulk.validate()
            self.settle()
            run_seen(self.db, "COMMIT")
        self._after_transaction()

    def rollback(self) -> None:
        run_seen(self.db, "ROLLBACK")

    def _begin(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        self.defer_again()
        cursor._run_native(plan, parameters)
        self.connection._unverified = True

    def _commit(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        with self.spans("commit"):
            self.bulk.validate()
            self.settle()
            cursor._run_native(plan, parameters)
        self._after_transaction()

    def settle(self) -> None:
        """What the freeze policy wants to happen before COMMIT."""
        if self._columns is not None and self.store.policy.waiting and self.db.in_transaction:
            with self.changes.kept():
                self.router.before_commit(self.busy)

    def _after_transaction(self) -> None:
        self._savepoints.clear()
        if not self.connection._plain:
            self.refresh()

    def _rollback(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        name = savepoint_name(plan.text)
        if name is not None:
            self.bulk.flush()
        cursor._run_native(plan, parameters)
        if name is not None:
            if self._savepoints.before_mark(name):
                self.bulk.forget_intakes()
            self._savepoints.rolled_back(name)
            self._presence.forget()
            self._forget_rewritten()
            if self._columns is not None:
                self.router.after(plan.statement)
            self.connection._schema_changed()

    def _savepoint(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        self.bulk.flush()
        began = not self.db.in_transaction
        self.defer_again()
        cursor._run_native(plan, parameters)
        self._savepoints.opened(savepoint_name(plan.text) or "", began=began)
        if began:
            self.connection._unverified = True

    def _release(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        name = savepoint_name(plan.text) or ""
        if self._savepoints.commits(name):
            self.bulk.validate()
            self.settle()
        else:
            self.bulk.flush()
        cursor._run_native(plan, parameters)
        self._savepoints.released(name)
        if not self.db.in_transaction:
            self._after_transaction()
