"""The exception tree: PEP 249's classes, and the few of ours that callers tell apart.

At the bottom of the layers so that every layer may raise. The text of an error that SQLite also
raises is SQLite's own, with the user's table names in it.
"""

from __future__ import annotations

from typing import TypeVar

import apsw

__all__ = [
    "Corrupt",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "as_sqlite",
]


class Warning(Exception):  # noqa: A001 - the name is PEP 249's
    """Important warnings (PEP 249); raised by nothing here, kept for code that names it."""


class Error(Exception):
    """Base of all errors. `sqlite_errorcode` and `sqlite_errorname` are set where SQLite spoke."""

    sqlite_errorcode: int
    sqlite_errorname: str


class InterfaceError(Error):
    """The program used the driver wrongly."""


class DatabaseError(Error):
    """Something about the database."""


class DataError(DatabaseError):
    """A value is out of range or too large."""


class OperationalError(DatabaseError):
    """The database or the machine could not do it: locked, full disk, missing file, bad SQL."""


class IntegrityError(DatabaseError):
    """The data breaks a constraint."""


class InternalError(DatabaseError):
    """SQLite is in a state it should not be in."""


class ProgrammingError(DatabaseError):
    """The program is wrong: closed cursor, wrong number of parameters."""


class NotSupportedError(DatabaseError):
    """SQLite was built without it."""


_Error = TypeVar("_Error", bound=Error)


def as_sqlite(error: _Error, code_name: str) -> _Error:
    """`error`, which SQLite would have raised itself, with its result code, such as SQLITE_CONSTRAINT_CHECK."""
    error.sqlite_errorcode = getattr(apsw, code_name)
    error.sqlite_errorname = code_name
    return error


class Corrupt(DatabaseError):
    """The file is wrong: restore it, or find what is left with `colonnade check`. Raised by store."""
