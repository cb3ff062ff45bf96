"""The border where apsw's errors become PEP 249's, with the classes and messages of sqlite3."""

from __future__ import annotations

import re
from collections.abc import Sequence

import apsw

from colonnade.sql.messages import user_message
from colonnade.store.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

CLOSED_DATABASE = "Cannot operate on a closed database."
CLOSED_CURSOR = "Cannot operate on a closed cursor."
RECURSIVE = "Recursive use of cursors not allowed."

# Primary result code -> class: the table of sqlite3, all others are DatabaseError.
_CLASSES: dict[int, type[Error]] = {
    **dict.fromkeys((apsw.SQLITE_INTERNAL, apsw.SQLITE_NOTFOUND), InternalError),
    **dict.fromkeys(
        (
            apsw.SQLITE_ERROR,
            apsw.SQLITE_PERM,
            apsw.SQLITE_ABORT,
            apsw.SQLITE_BUSY,
            apsw.SQLITE_LOCKED,
            apsw.SQLITE_READONLY,
            apsw.SQLITE_INTERRUPT,
            apsw.SQLITE_IOERR,
            apsw.SQLITE_FULL,
            apsw.SQLITE_CANTOPEN,
            apsw.SQLITE_PROTOCOL,
            apsw.SQLITE_EMPTY,
            apsw.SQLITE_SCHEMA,
        ),
        OperationalError,
    ),
    apsw.SQLITE_TOOBIG: DataError,
    apsw.SQLITE_CONSTRAINT: IntegrityError,
    apsw.SQLITE_MISMATCH: IntegrityError,
    apsw.SQLITE_MISUSE: InterfaceError,
    apsw.SQLITE_RANGE: InterfaceError,
}

_COUNTS = re.compile(r"statement uses (\d+) and there are (\d+) supplied")
_NONE_SUPPLIED = re.compile(r"Statement has (\d+) bindings")
_LOST_SAVEPOINT = "no such savepoint: _apsw-"
_NAMELESS = re.compile(r"Binding (\d+) has no name")


def translate(error: Exception) -> Exception:
    """What sqlite3 would have raised where apsw or a binding raised `error`; itself where they agree."""
    if isinstance(error, apsw.Error):
        return _from_apsw(_origin(error))
    if isinstance(error, KeyError):  # a name that the mapping of parameters lacks
        return ProgrammingError(f"You did not supply a value for binding parameter :{error.args[0]}.")
    if isinstance(error, OverflowError):
        return OverflowError("Python int too large to convert to SQLite INTEGER")
    if isinstance(error, TypeError) and str(error).startswith("You must supply a dict or a sequence"):
        return ProgrammingError("parameters are of unsupported type")
    return error


def _origin(error: apsw.Error) -> apsw.Error:
    """What made SQLite roll back by itself, a full disk say: apsw then misses the savepoint of its `with`."""
    while _LOST_SAVEPOINT in str(error) and isinstance(error.__context__, apsw.Error):
        error = error.__context__
    return error


def _from_apsw(error: apsw.Error) -> Exception:
    code = getattr(error, "extendedresult", None)
    if code is None:
        return _from_misuse(error)
    primary = code & 0xFF
    if primary == apsw.SQLITE_NOMEM:
        return MemoryError()
    result = _CLASSES.get(primary, DatabaseError)(user_message(str(error)))
    result.sqlite_errorcode = code
    result.sqlite_errorname = error_name(code)
    return result


def _from_misuse(error: apsw.Error) -> Error:
    """For errors that apsw raises itself, before SQLite is asked."""
    message = str(error)
    if isinstance(error, apsw.BindingsError):
        return ProgrammingError(_bindings_message(message))
    if isinstance(error, apsw.ConnectionClosedError):
        return ProgrammingError(CLOSED_DATABASE)
    if isinstance(error, apsw.CursorClosedError):
        return ProgrammingError(CLOSED_CURSOR)
    if isinstance(error, apsw.ThreadingViolationError):
        return ProgrammingError(RECURSIVE)
    return ProgrammingError(message)


def _bindings_message(message: str) -> str:
    match = _COUNTS.search(message)
    if match:
        uses, supplied = match.groups()
        return (
            f"Incorrect number of bindings supplied. The current statement uses {uses}, "
            f"and there are {supplied} supplied."
        )
    match = _NONE_SUPPLIED.search(message)
    if match:
        return (
            f"Incorrect number of bindings supplied. The current statement uses {match[1]}, "
            "and there are 0 supplied."
        )
    match = _NAMELESS.search(message)
    if match:
        number = int(match[1]) + 1  # apsw counts from 0
        return f"Binding {number} has no name, but you supplied a dictionary (which has only names)."
    return message


def bindings_count(error: apsw.BindingsError) -> int:
    """How many parameters the statement has for which none were supplied."""
    match = _NONE_SUPPLIED.search(str(error))
    return int(match[1]) if match else 0


def error_name(code: int) -> str:
    """SQLite's name of an extended result code, such as SQLITE_CONSTRAINT_UNIQUE."""
    names = apsw.mapping_extended_result_codes
    name = names.get(code) or apsw.mapping_result_codes.get(code) or "unknown"
    return str(name)


def undecodable(error: UnicodeDecodeError, columns: Sequence[str]) -> OperationalError:
    """For a TEXT value that is not UTF-8; apsw does not say in which column, so a lone one is named."""
    text = bytes(error.object).decode("utf-8", "replace")
    name = f" '{columns[0]}'" if len(columns) == 1 else ""
    return OperationalError(f"Could not decode to UTF-8 column{name} with text '{text}'")


def is_interrupt(error: BaseException) -> bool:
    """Whether it ends a statement that `interrupt` or a progress handler has stopped."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, apsw.InterruptError) or code == apsw.SQLITE_INTERRUPT
