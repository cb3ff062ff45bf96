"""Copies of whole databases: into another connection, into bytes and back, and as SQL."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import index
from typing import Any

import apsw

from colonnade import dump
from colonnade.base import Base
from colonnade.buffers import contiguous
from colonnade.errors import translate
from colonnade.statements import Statements
from colonnade.store.errors import OperationalError

Progress = Callable[[int, int, int], object]


class Copies(Statements, Base):
    """The mixin of Connection for copies. What bulk load owes is validated before a copy is made."""

    def backup(
        self,
        target: Statements,
        *,
        pages: int = -1,
        progress: Progress | None = None,
        name: str = "main",
        sleep: float = 0.250,
    ) -> None:
        """Copy a database into the main database of another connection.

        pages     how many to copy at a time; below 1: all at once
        progress  called after each step with SQLite's status, the pages left, and the pages in all
        name      of the database to copy: "main", "temp" or that of ATTACH
        sleep     seconds to wait when a step finds a database locked
        """
        if not isinstance(target, Statements):
            kind = type(target).__name__
            raise TypeError(f"backup() argument 'target' must be sqlite3.Connection, not {kind}")
        pages = index(pages)
        self._check_open()
        target._check_open()
        if target is self:
            raise ValueError("target cannot be the same connection instance")
        if progress is not None and not callable(progress):
            raise TypeError("progress argument must be a callable")
        try:
            self._session.bulk.validate()
            copy = target._db.backup("main", self._db, name)
            try:
                while (status := _step(copy, pages or -1)) != apsw.SQLITE_DONE or progress is not None:
                    if progress is not None:
                        progress(status, copy.remaining, copy.page_count)
                    if status == apsw.SQLITE_DONE:
                        break
                    if status != apsw.SQLITE_OK:
                        time.sleep(sleep)
            finally:
                copy.close()
        except apsw.Error as error:
            raise translate(error) from None
        finally:
            _replaced(target)

    def serialize(self, *, name: str = "main") -> bytes:
        """The bytes of a database, as they are, or would be, in a file."""
        self._check_open()
        try:
            self._session.bulk.validate()
            content = self._db.serialize(name)
        except apsw.Error as error:
            raise translate(error) from None
        if content is None:
            raise OperationalError(f"unable to serialize '{name}'")
        return content

    def deserialize(self, data: Any, /, *, name: str = "main") -> None:
        """Let a database be one in memory with the content of `data`, bytes that serialize() gave."""
        self._check_open()
        content = data.encode() if isinstance(data, str) else contiguous(data)
        if name.lower() not in map(str.lower, self._db.db_names()):
            raise OperationalError(f"unknown database {name}")
        try:
            self._db.deserialize(name, content)
        except apsw.Error as error:
            raise translate(error) from None
        _replaced(self)

    def _dump(self, pattern: str | None) -> Iterator[str]:
        self._check_open()
        return dump.statements(self, pattern)

    if sys.version_info >= (3, 13):

        def iterdump(self, *, filter: str | None = None) -> Iterator[str]:  # noqa: A002 - sqlite3's name
            """The SQL that makes the database anew, statement by statement.

            filter  a pattern of LIKE for the names of the tables, indexes, triggers and views to dump
            """
            return self._dump(filter)

    else:

        def iterdump(self) -> Iterator[str]:
            """The SQL that makes the database anew, statement by statement."""
            return self._dump(None)


def _step(copy: apsw.Backup, pages: int) -> int:
    """The status that sqlite3_backup_step() would give; apsw raises where it is worth another try."""
    try:
        return apsw.SQLITE_DONE if copy.step(pages) else apsw.SQLITE_OK
    except apsw.BusyError:
        return apsw.SQLITE_BUSY
    except apsw.LockedError:
        return apsw.SQLITE_LOCKED


def _replaced(connection: Statements) -> None:
    """A database of the connection has another content: nothing that was remembered of it holds."""
    connection._session.replaced()
    with suppress(apsw.Error):  # bytes that are no database: the next statement says so
        connection._schema_changed()
