"""Connection: PEP 249's connection with sqlite3's default transaction control, over one apsw connection."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import RLock, get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import apsw

from colonnade.cursor import Cursor, RowFactory
from colonnade.errors import CLOSED_DATABASE, bindings_count, translate
from colonnade.location import open_database
from colonnade.plan import Description, Plan, describe
from colonnade.session import Session
from colonnade.sql.tokens import quote
from colonnade.store import errors
from colonnade.types import convert_binding

if TYPE_CHECKING:
    from colonnade.loader.load import Observer
    from colonnade.loader.options import LoadOptions
    from colonnade.loader.report import LoadReport
    from colonnade.store.database import Store

_Result = TypeVar("_Result")

_LEVELS = ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE")
_MULTIPLE = "You can only execute one statement at a time."


class Connection:
    """One connection to a database.

    isolation_level  "", "DEFERRED", "IMMEDIATE" or "EXCLUSIVE": the kind of transaction that INSERT, UPDATE,
                     DELETE and REPLACE open; None: none, the program says BEGIN itself
    row_factory      given to each new cursor
    text_factory     str, bytes, or what to call with the UTF-8 of each text
    """

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    _closed = True

    def __init__(
        self,
        database: Any,
        timeout: float = 5.0,
        detect_types: int = 0,
        isolation_level: str | None = "",
        check_same_thread: bool = True,
        factory: object = None,
        cached_statements: int = 128,
        uri: bool = False,
        *,
        bulk_load: bool = False,
        batch_size: int = 0,
    ) -> None:
        level = _checked_level(isolation_level)
        if detect_types:
            raise errors.NotSupportedError("detect_types is not supported yet")
        try:
            self._db = open_database(database, uri=uri, timeout=timeout, cached_statements=cached_statements)
        except apsw.Error as error:
            raise translate(error) from None
        self._db.convert_binding = convert_binding
        # The thread whose calls need no lock and no check; 0 if that is none.
        self._owner = get_ident()
        self._thread = self._owner if check_same_thread else 0
        self._lock = None if check_same_thread else RLock()
        self._plans: dict[str, Plan] = {}
        self._plans_kept = max(cached_statements, 128)
        # Descriptions of plans hold for one generation of the schema.
        self._generation = 0
        self._data_version = -1
        self._attached = False
        self._private = self._db.filename == ""
        self._unverified = not self._private  # tables may have changed their format since we looked
        self._plain = self._private  # nothing of Colonnade's is in use: statements go to SQLite as they are
        self._level = level
        self._begin = _begin_text(level)
        self.row_factory: RowFactory | None = None
        self._text_factory: Any = str
        self._session = Session(self, self._db)
        self._closed = False
        self._session.store.batch_size = batch_size
        if bulk_load:
            self._session.bulk.switch(True)

    # Cursors and statements

    def cursor(self, factory: Callable[[Connection], Any] = Cursor) -> Any:
        """A new cursor."""
        if self._closed or get_ident() != self._thread:
            self._check_open()
        cursor = factory(self)
        if factory is not Cursor and not isinstance(cursor, Cursor):
            name = type(cursor).__name__
            raise TypeError(f"factory must return a cursor, not {name}")
        if self.row_factory is not None:
            cursor.row_factory = self.row_factory
        return cursor

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """A new cursor that has executed `sql`."""
        cursor: Cursor = self.cursor()
        return cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """A new cursor that has executed `sql` for each set of parameters."""
        cursor: Cursor = self.cursor()
        return cursor.executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Cursor:
        """A new cursor that has executed the statements of `sql_script`."""
        cursor: Cursor = self.cursor()
        return cursor.executescript(sql_script)

    # Transactions

    def commit(self) -> None:
        """End the transaction, if there is one. In bulk load the keys of all new rows are checked first."""
        if get_ident() != self._thread:
            return self._elsewhere(self.commit)
        self._check_closed()
        if not self._db.in_transaction:
            return None
        try:
            self._session.commit()
        except Exception as error:
            raise translate(error) from None
        return None

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        if get_ident() != self._thread:
            return self._elsewhere(self.rollback)
        self._check_closed()
        if not self._db.in_transaction:
            return None
        try:
            self._session.rollback()
        except Exception as error:
            raise translate(error) from None
        return None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        self._check_closed()
        return self._db.in_transaction

    @property
    def isolation_level(self) -> str | None:
        self._check_closed()
        return self._level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self._check_closed()
        level = _checked_level(level)
        if level is None:
            self.commit()
        self._level = level
        self._begin = _begin_text(level)

    def __enter__(self) -> Connection:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Commit, or roll back if the block raised or the commit fails."""
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False

    # Colonnade's own

    @property
    def store(self) -> Store:
        """The columnar store behind this connection."""
        self._check_open()
        return self._session.store

    def load(
        self,
        *sources: str | os.PathLike[str] | tuple[str, Any],
        options: LoadOptions | None = None,
        script: str | None = None,
        script_path: str = "the schema",
        observer: Observer | None = None,
    ) -> LoadReport:
        """Load files, directories, or (table, frame) pairs, with every key checked; all or nothing.

        A frame is a pandas or polars frame, a pyarrow Table or RecordBatchReader, or anything else with
        `__arrow_c_stream__`. `script` holds CREATE TABLE statements to run first, `script_path` is what
        errors in it are blamed on. Violations of keys are in the report, whose `committed` says what became of
        the load. See loader.load.load_files.
        """
        # Here, as programs that load no files start faster without the loader.
        from colonnade.loader.load import load_files
        from colonnade.loader.options import LoadOptions

        self._check_open()
        paths = [source if isinstance(source, tuple) else os.fspath(source) for source in sources]
        try:
            return load_files(
                self.store,
                paths,
                options or LoadOptions(),
                script=script,
                script_path=script_path,
                observer=observer,
            )
        except Exception as error:
            raise translate(error) from None
        finally:
            with suppress(apsw.Error):  # of a file that is no database: said already
                self._schema_changed()

    # The rest

    @property
    def total_changes(self) -> int:
        """Rows inserted, updated and deleted since the connection was opened."""
        self._check_open()
        return self._db.total_changes() - self._session.changes_unseen

    @property
    def text_factory(self) -> Any:
        return self._text_factory

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._text_factory = factory

    def interrupt(self) -> None:
        """Make the statement that is running fail soon; from any thread."""
        self._check_closed()
        self._db.interrupt()

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        if get_ident() != self._thread:
            return self._elsewhere(self.close)
        if not self._closed:
            self._close()
        return None

    def _close(self) -> None:
        self._closed = True
        self._plans.clear()
        self._session.close()
        self._db.close(True)

    def __del__(self) -> None:
        if not self._closed:
            with suppress(apsw.BusyError):  # its cursors are garbage too, and apsw lost sight of them
                self._close()
            if sys.version_info >= (3, 13):
                warnings.warn(f"unclosed database in {self!r}", ResourceWarning, stacklevel=2)

    # For the other modules of the driver

    def _elsewhere(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        """A call from another thread than `_thread`: refused, or done under a shared connection's lock."""
        if self._lock is None:
            self._check_thread()
        assert self._lock is not None
        with self._lock:
            before, self._thread = self._thread, get_ident()
            try:
                return call(*arguments)
            finally:
                self._thread = before

    def _check_thread(self) -> None:
        if self._lock is None and get_ident() != self._owner:
            raise errors.ProgrammingError(
                "SQLite objects created in a thread can only be used in that same thread. "
                f"The object was created in thread id {self._owner} and this is thread id {get_ident()}."
            )

    def _check_closed(self) -> None:
        if self._closed:
            raise errors.ProgrammingError(CLOSED_DATABASE)

    def _check_open(self) -> None:
        self._check_thread()
        self._check_closed()

    def _plan(self, sql: str) -> Plan:
        """The plan of a text that is new; kept for the next time."""
        if not isinstance(sql, str):
            raise TypeError(f"execute() argument 1 must be str, not {type(sql).__name__}")
        self._check_closed()
        plan = Plan(sql)
        if plan.more:
            self._prepare(sql[: plan.statement.stop])
            raise errors.ProgrammingError(_MULTIPLE)
        if len(self._plans) >= self._plans_kept:
            self._plans.clear()
        self._plans[sql] = plan
        return plan

    def _begin_writing(self) -> bool:
        """What comes before a statement that writes: BEGIN, and a look whether tables changed their format.

        Returns whether a transaction was begun.
        """
        began = self._begin is not None and not self._db.in_transaction
        if self._begin is not None and began:
            self._db.execute(self._begin)
        if self._unverified or not self._private:
            try:
                self._session.refresh()
            except BaseException:
                if began and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        return began

    def _take_back_begin(self, sql: str) -> None:
        """Undo the BEGIN for a statement that could not even be prepared."""
        if self._db.in_transaction:
            try:
                self._prepare(sql)
            except Exception:
                self._session.rollback()

    def _prepare(self, sql: str) -> None:
        """Raise SQLite's error if it cannot prepare the statement; nothing is run."""
        try:
            self._describe(sql)
        except apsw.SQLError as error:
            if not _concerns_virtual_table(str(error)):
                raise

    def _describe(self, sql: str) -> Description | None:
        """The columns of a statement, without running it."""
        return self._probe(sql, lambda cursor: describe(cursor.getdescription()))

    def _reads_only(self, sql: str) -> bool:
        """Whether a statement writes nothing, by SQLite's own judgement; it is not run."""
        return self._probe(sql, lambda cursor: cursor.is_readonly)

    def _probe(self, sql: str, ask: Callable[[apsw.Cursor], _Result]) -> _Result:
        """What `ask` says of the prepared statement."""
        answers: list[_Result] = []

        def stop(cursor: apsw.Cursor, _sql: str, _parameters: object) -> bool:
            answers.append(ask(cursor))
            return False

        cursor = self._db.cursor()
        cursor.exec_trace = stop
        try:
            try:
                cursor.execute(sql)
            except apsw.BindingsError as error:
                cursor.execute(sql, (None,) * bindings_count(error))
        except apsw.ExecTraceAbort:
            pass
        return answers[0]

    def _changed_outside(self) -> bool:
        """Whether another connection may have changed the schema since the last call."""
        if self._private:
            return False
        if self._attached:
            return True
        version = self._db.data_version()
        if version == self._data_version:
            return False
        self._data_version = version
        self._generation += 1
        return True

    def _counts_more_than_changes(self, plan: Plan) -> bool:
        """Whether total_changes() may grow by rows that are not changed by the statement itself."""
        db = self._db
        if plan.first != "INSERT" and db.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, -1):
            return True  # foreign key actions
        return any(
            db.execute(f"SELECT 1 FROM {quote(name)}.sqlite_master WHERE type = 'trigger' LIMIT 1").get
            for name in db.db_names()
        )

    def _scratch_cursor(self) -> Cursor:
        """A cursor that the program does not see."""
        return Cursor(self)

    def _schema_changed(self) -> None:
        """Tables, or what statements mean, may have changed: what was remembered of them is void."""
        self._generation += 1
        self._attached = len(self._db.db_names()) > 2  # main and temp
        self._session.refresh()


def _concerns_virtual_table(message: str) -> bool:
    """Whether SQLite refused to write a table in column format: the statement is right, and routed elsewhere."""
    return message.endswith(("may not be modified", "for virtual table", "on virtual tables"))


def _checked_level(level: object) -> str | None:
    if level is None:
        return None
    if not isinstance(level, str):
        raise TypeError("isolation_level must be str or None")
    if level.upper() not in _LEVELS:
        raise ValueError("isolation_level string must be '', 'DEFERRED', 'IMMEDIATE', or 'EXCLUSIVE'")
    return level.upper()


def _begin_text(level: str | None) -> str | None:
    return None if level is None else f"BEGIN {level}"
