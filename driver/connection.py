"""Connection: PEP 249's connection as sqlite3 has it, over one apsw connection."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import index
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn, Self

import apsw

from colonnade.blob import Blobs
from colonnade.copies import Copies
from colonnade.cursor import Cursor, RowFactory
from colonnade.errors import translate
from colonnade.functions import Functions
from colonnade.hooks import Hooks
from colonnade.limits import Limits
from colonnade.location import open_database
from colonnade.notices import positional, warns_of_positional
from colonnade.session import Session
from colonnade.shaping import Shaping
from colonnade.store import errors
from colonnade.tracing import Tracing
from colonnade.transactions import (
    LEGACY_TRANSACTION_CONTROL,
    Transactions,
    checked_autocommit,
    checked_level,
)
from colonnade.types import convert_binding
from colonnade.watch import run_seen

if TYPE_CHECKING:
    from colonnade.loader.load import Observer
    from colonnade.loader.options import LoadOptions
    from colonnade.loader.report import LoadReport
    from colonnade.store.database import Store

# What sqlite3 lets be given by position, in order.
_POSITIONAL = (
    "database",
    "timeout",
    "detect_types",
    "isolation_level",
    "check_same_thread",
    "factory",
    "cached_statements",
    "uri",
)
_INT_MAX = 2**31 - 1


class Connection(Transactions, Shaping, Functions, Hooks, Blobs, Copies, Limits, Tracing):
    """One connection to a database.

    row_factory  given to each new cursor
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

    row_factory: RowFactory | None = None

    @warns_of_positional
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
        autocommit: bool | int = LEGACY_TRANSACTION_CONTROL,
        bulk_load: bool = False,
        batch_size: int = 0,
    ) -> None:
        level = checked_level(isolation_level)
        autocommit = checked_autocommit(autocommit)
        detect_types, cached_statements = _c_int(detect_types), _c_int(cached_statements)
        sys.audit("sqlite3.connect", database)
        if self._initialised:  # called again
            self._thread, self._initialised = -1, False
            if not self._closed:
                self._let_go()  # cursors may go on reading the old database
        try:
            self._db = open_database(database, uri=uri, timeout=timeout, cached_statements=cached_statements)
        except apsw.Error as error:
            raise translate(error) from None
        self._db.convert_binding = convert_binding
        self._own(check_same_thread=check_same_thread)
        self._start_statements(cached_statements)
        self._start_shaping(detect_types)
        self.row_factory = None
        self._session = Session(self, self._db)
        # whether nothing of Colonnade's is in use: statements go to SQLite as they are
        self._plain = self._private and self._session.storage_format != "column"
        self._direct = self._plain and not self._session.spans.heard
        self._unverified = not self._plain  # tables may have changed their format since we looked
        self._closed = False
        self._initialised = True
        if batch_size:
            self._session.store.batch_size = batch_size
        if bulk_load:
            self._session.bulk.switch(True)
        self._start_transactions(level, autocommit)
        sys.audit("sqlite3.connect/handle", self)

    # Cursors and statements

    def cursor(self, factory: Callable[[Connection], Any] = Cursor) -> Any:
        """A new cursor."""
        if self._closed or get_ident() != self._thread:
            self._check_open()
        cursor = factory(self)
        if factory is not Cursor and not issubclass(type(cursor), Cursor):  # isinstance() can be lied to
            raise TypeError(f"factory must return a cursor, not {type(cursor).__name__}")
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

    def __enter__(self) -> Self:
        self._check_open()
        return self

    # Colonnade's own

    @property
    def store(self) -> Store:
        """The columnar store behind this connection."""
        self._check_open()
        self._session.store.steady.end()  # what is done by it no statement tells of
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
        from colonnade.loader.stats import ConstraintStats

        self._check_open()
        stats = ConstraintStats()
        paths = [source if isinstance(source, tuple) else os.fspath(source) for source in sources]
        try:
            return load_files(
                self.store,
                paths,
                options or LoadOptions(),
                script=script,
                script_path=script_path,
                observer=observer,
                convert=self._session.storage_format != "row",
                stats=stats,
            )
        except Exception as error:
            raise translate(error) from None
        finally:
            self._session.bulk.stats.add(stats)
            with suppress(apsw.Error):  # of a file that is no database: said already
                self._schema_changed()

    def constraint_stats(self) -> list[dict[str, Any]]:
        """What checking each constraint has cost on this connection so far, loads included: a dict a constraint.

        The figures are those of loader.stats.Counters, beside table, constraint, kind, columns and parent.
        """
        self._check_open()
        from colonnade import constraints

        return constraints.stats(self._session)

    def clear_constraint_cache(self, table: str | None = None) -> int:
        """Let go of what is in memory about the keys of a table (None: of all); returns its bytes.

        Nothing is lost by it but the time to read it again. Raises OperationalError for a table that is not there.
        """
        self._check_open()
        from colonnade import constraints

        return constraints.clear(self._session, table)

    # The rest

    @property
    def total_changes(self) -> int:
        """Rows inserted, updated and deleted since the connection was opened."""
        self._check_open()
        return self._db.total_changes() - self._session.changes.unseen

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        if get_ident() != self._thread:
            return self._elsewhere(self.close)
        if not self._closed:
            self._close()
        return None

    def _close(self) -> None:
        if self._autocommit is False and self._db.in_transaction:
            run_seen(self._db, "ROLLBACK")
        self._let_go()
        self._db.close(True)

    def _let_go(self) -> None:
        self._closed = True
        self._plans.clear()
        self._session.close()
        self._end_traces()

    def __del__(self) -> None:
        if not self._closed:
            # Its cursors are garbage too, and apsw lost sight of them; at the end of the program modules are gone.
            with suppress(Exception):
                self._close()
            if sys.version_info >= (3, 13):
                warnings.warn(f"unclosed database in {self!r}", ResourceWarning, stacklevel=2)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__module__}.{type(self).__qualname__}' object")

    # For the other modules of the driver

    def _scratch_cursor(self) -> Cursor:
        """A cursor that the program does not see."""
        return Cursor(self)


def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection: connect(database, timeout=5.0, ...), with the parameters of sqlite3 and two more.

    database           a path, ":memory:", "" for a temporary file, or with uri=True a file: URI
    timeout            seconds to wait for another connection's lock
    detect_types       PARSE_DECLTYPES, PARSE_COLNAMES or both: columns have converters
    isolation_level    "", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", or None: the program says BEGIN itself
    check_same_thread  whether only the thread that opened the connection may use it
    factory            the class of the connection, or what makes one; called with all arguments as they are
    cached_statements  how many prepared statements are kept
    uri                whether `database` is a URI if it begins with file:
    autocommit         True, False or LEGACY_TRANSACTION_CONTROL
    bulk_load          start with PRAGMA bulk_load = on
    batch_size         as PRAGMA batch_size: rows in a row group, 0 for what the write hints recommend
    """
    positional(len(arguments), "sqlite3.connect")
    at = _POSITIONAL.index("factory")
    factory = arguments[at] if len(arguments) > at else options.get("factory", Connection)
    return factory(*arguments, **options)


def _c_int(value: Any) -> int:
    """`value` as sqlite3's C code takes it; TypeError or OverflowError if it cannot."""
    number = index(value)
    if not -_INT_MAX - 1 <= number <= _INT_MAX:
        raise OverflowError("Python int too large to convert to C int")
    return number
