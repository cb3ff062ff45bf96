"""Blocks of code in which nobody else can change what was looked at once.

What a connection knows of schemas and row groups holds as long as schema versions and stamps are the same, which
costs a statement each to find out. In a transaction other connections change nothing that it has read, and between
two statements of the program neither does this one but by the store's own methods, which say so.
"""

from __future__ import annotations

from itertools import count

import apsw


class Steady:
    """The present block of one connection. Only to be entered in a transaction.

    number    another one for each block, and once something had to be looked at anew; 0: no block
    kept      whether it goes on until the end of the transaction
    versions  of schemas, as far as they were looked at in the block
    all       those of all schemas, once somebody wanted them
    stored    whether there is a table in column format, likewise
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db, self._numbers, self._depth = db, count(1), 0
        self.kept = self._hears = False
        self.number = 0
        self.versions: dict[str, int] = {}
        self.all: tuple[int, ...] | None = None
        self.stored: bool | None = None

    def __enter__(self) -> None:
        if not self._db.in_transaction:
            raise AssertionError("a block in which others may change the tables")
        self._depth += 1
        if not self.kept:
            self._anew()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self.kept:
            self._anew()

    def keep(self) -> None:
        """The present block goes on until the transaction has ended, or `end` is called.

        To be called where the next statement may be as short as this one, so that to look anew would take longer
        than all of it. Whatever redefines tables, or goes wrong half-way, must call `end`. Of a transaction that has
        written nothing SQLite does not tell the end: then the block is not kept.
        """
        if self.kept or self._db.txn_state() != apsw.SQLITE_TXN_WRITE:
            return
        if not self._hears:
            self._db.set_commit_hook(self._committed, id=self)
            self._hears = True
        self.kept = True

    def end(self) -> None:
        """What was looked at does not hold any more: the schema has changed, or something was rolled back."""
        self.kept = False
        self._anew()

    def _committed(self) -> bool:
        self.end()
        return False  # SQLite's commit goes on

    def close(self) -> None:
        """Hears of the connection no more."""
        if self._hears:
            self._db.set_commit_hook(None, id=self)

    def _anew(self) -> None:
        self.number = next(self._numbers) if self._depth else 0
        self.versions.clear()
        self.all = self.stored = None
