"""How many rows the program changed, as changes() and total_changes() tell it in SQL and in Python.

SQLite's own counters miss the rows that bulk load appends and count those that only move between the parts of
a table. `unseen` is what total_changes() is off by; the last statement's count is kept beside what SQLite
said at that time, so that a statement that SQLite ran itself since, also in a trigger, counts by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from weakref import proxy

import apsw

_NAMES = ("changes", "total_changes")


class Changes:
    """The counters of one connection.

    unseen  what to take from SQLite's total_changes()
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self.unseen = 0
        self._last: tuple[int, int, int] | None = None  # rows, SQLite's changes(), SQLite's total_changes()
        self._shown = False
        self._keeping = False

    def total_changes(self) -> int:
        """Rows changed since the connection was opened."""
        return self._db.total_changes() - self.unseen

    def changes(self) -> int:
        """Rows changed by the last statement that can change some."""
        changes, last = self._db.changes(), self._last
        if last is not None and last[1] == changes and last[2] == self._db.total_changes():
            return last[0]
        return changes

    def differs(self) -> bool:
        """Whether changes() is not what SQLite says, until it runs a statement of the program's that sets it."""
        return self._last is not None and self.changes() != self._db.changes()

    def note(self, count: int) -> None:
        """A statement that SQLite did not run as it was changed so many rows."""
        self._last = count, self._db.changes(), self._db.total_changes()

    def ran(self) -> None:
        """SQLite ran a statement of the program's as it was."""
        self._last = None

    def kept(self) -> Kept:
        """Changes to tables within are none to the program; neither is the last inserted rowid.

        Within another such block it is that one which sees to it.
        """
        return Kept(self, self._db)

    def show(self) -> None:
        """Let SQL's functions answer from here; once, and only where the column store is in use.

        Not while a statement is being read, as SQLite forbids it then: the next call tries again. Functions
        of these names that the program made itself stay.
        """
        if self._shown:
            return
        me = proxy(self)  # SQLite holds the functions: they must not keep the connection alive
        with suppress(apsw.BusyError):
            for name in _NAMES:
                if self._is_builtin(name):
                    answer: Callable[..., int] = partial(_ask, me, name)
                    self._db.create_scalar_function(name, answer, 0, flags=apsw.SQLITE_INNOCUOUS)
            self._shown = True

    def _is_builtin(self, name: str) -> bool:
        query = "SELECT 1 FROM pragma_function_list WHERE name = ? AND narg = 0 AND NOT builtin"
        return self._db.execute(query, (name,)).get is None


class Kept:
    """A block of Changes.kept: a class and no generator, as each write enters one."""

    __slots__ = ("_before", "_changes", "_count", "_db", "_inner", "_rowid")

    def __init__(self, changes: Changes, db: apsw.Connection) -> None:
        self._changes, self._db, self._inner = changes, db, changes._keeping

    def __enter__(self) -> None:
        if self._inner:
            return
        db = self._db
        self._count, self._before, self._rowid = (
            self._changes.changes(),
            db.total_changes(),
            db.last_insert_rowid(),
        )
        self._changes._keeping = True

    def __exit__(self, *_: object) -> None:
        if self._inner:
            return
        changes, db = self._changes, self._db
        changes._keeping = False
        changes.unseen += db.total_changes() - self._before
        db.set_last_insert_rowid(self._rowid)
        changes.note(self._count)


def _ask(counters: Changes, name: str) -> int:
    return counters.changes() if name == "changes" else counters.total_changes()
