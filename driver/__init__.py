"""Colonnade: a drop-in sqlite3 whose tables can hold their rows as columns."""

from __future__ import annotations

from typing import Any

import apsw

from colonnade.connection import Connection
from colonnade.cursor import Cursor
from colonnade.row import Row
from colonnade.store.errors import (
    Corrupt,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004 - the name is PEP 249's
)
from colonnade.types import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    PrepareProtocol,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    adapt,
    adapters,
    register_adapter,
)

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Corrupt",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "PrepareProtocol",
    "ProgrammingError",
    "Row",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "adapt",
    "adapters",
    "apilevel",
    "connect",
    "paramstyle",
    "register_adapter",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 3  # threads may share the module, connections (check_same_thread=False) and cursors
paramstyle = "qmark"

sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(map(int, sqlite_version.split(".")))


def connect(
    database: Any,
    timeout: float = 5.0,
    detect_types: int = 0,
    isolation_level: str | None = "",
    check_same_thread: bool = True,
    factory: type[Connection] = Connection,
    cached_statements: int = 128,
    uri: bool = False,
    **options: Any,
) -> Connection:
    """Open a connection; the parameters are those of sqlite3.connect, and two more.

    database           a path, ":memory:", "" for a temporary file, or with uri=True a file: URI
    timeout            seconds to wait for another connection's lock
    detect_types       0
    isolation_level    "", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", or None: the program says BEGIN itself
    check_same_thread  whether only the thread that opened the connection may use it
    factory            the class of the connection
    cached_statements  how many prepared statements are kept
    uri                whether `database` is a URI if it begins with file:
    bulk_load          start with PRAGMA bulk_load = on
    batch_size         as PRAGMA batch_size: rows in a row group, 0 for what the write hints recommend
    """
    return factory(
        database,
        timeout,
        detect_types,
        isolation_level,
        check_same_thread,
        factory,
        cached_statements,
        uri,
        **options,
    )
