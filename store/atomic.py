"""Blocks of the store's own statements that are undone together, and so short that each statement counts."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import apsw


class Atomic:
    """A savepoint, as `with db:` is one, whose statements SQLite does not prepare anew each time: 4 microseconds
    in place of 9. Only to be entered in a transaction; blocks nest.
    """

    def __init__(self, db: apsw.Connection, undone: Callable[[], None]) -> None:
        self._db, self._undone = db, undone

    def __enter__(self) -> None:
        self._db.execute("SAVEPOINT colonnade_rows")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._db.execute("RELEASE colonnade_rows")
            return
        if self._db.in_transaction:  # else SQLite has rolled all of it back itself
            self._db.execute("ROLLBACK TO colonnade_rows")
            self._db.execute("RELEASE colonnade_rows")
        self._undone()
