"""Colonnade: a drop-in sqlite3 whose tables can hold their rows as columns."""

from __future__ import annotations

import sys

import apsw

from colonnade.blob import Blob
from colonnade.callbacks import enable_callback_tracebacks
from colonnade.connection import Connection, connect
from colonnade.constants import complete_statement, constants, enable_shared_cache
from colonnade.converters import PARSE_COLNAMES, PARSE_DECLTYPES, converters, register_converter
from colonnade.cursor import Cursor
from colonnade.notices import deprecated
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
from colonnade.transactions import LEGACY_TRANSACTION_CONTROL
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
    "LEGACY_TRANSACTION_CONTROL",
    "NUMBER",
    "PARSE_COLNAMES",
    "PARSE_DECLTYPES",
    "ROWID",
    "STRING",
    "Binary",
    "Blob",
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
    "complete_statement",
    "connect",
    "converters",
    "enable_callback_tracebacks",
    "paramstyle",
    "register_adapter",
    "register_converter",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 3  # threads may share the module, connections (check_same_thread=False) and cursors
paramstyle = "qmark"

sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(map(int, sqlite_version.split(".")))

globals().update(constants())
__all__ += sorted(constants())
if sys.version_info < (3, 12):
    __all__ += ["enable_shared_cache"]

# What sqlite3 calls its own version; every Python since 2.7 says so.
_OLD_VERSION = "2.6.0"


def __getattr__(name: str) -> object:
    """The names that sqlite3 is giving up."""
    if name == "OptimizedUnicode" and sys.version_info < (3, 12):
        deprecated(
            "OptimizedUnicode is deprecated and will be removed in Python 3.12. Since Python 3.3 it has simply "
            "been an alias for 'str'."
        )
        return str
    if name not in ("version", "version_info"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if sys.version_info >= (3, 12):
        deprecated(f"{name} is deprecated and will be removed in Python 3.14")
    return _OLD_VERSION if name == "version" else tuple(map(int, _OLD_VERSION.split(".")))


from colonnade import dbapi2  # noqa: E402 - it takes all names from here

__all__ += ["dbapi2"]
