"""Blocks of code in which nobody else can change what was looked at once.

What a connection knows of schemas and row groups holds as long as schema versions and stamps are the same, which
costs a statement each to find out. In a transaction other connections change nothing that it has read, and between
two statements of the program neither does this one but by the store's own methods, which say so.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import apsw


class Steady:
    """The present block of one connection. Only to be entered in a transaction.

    number    another one for each block, and once something had to be looked at anew; 0: no block
    versions  of schemas, as far as they were looked at in the block
    all       those of all schemas, once somebody wanted them
    stored    whether there is a table in column format, likewise
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db, self._numbers, self._depth = db, count(1), 0
        self.number = 0
        self.versions: dict[str, int] = {}
        self.all: tuple[int, ...] | None = None
        self.stored: bool | None = None

    def __enter__(self) -> None:
        if not self._db.in_transaction:
            raise AssertionError("a block in which others may change the tables")
        self._depth += 1
        self.anew()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self.anew()

    def anew(self) -> None:
        """What was looked at does not hold any more: the schema has changed, or something was rolled back."""
        self.number = next(self._numbers) if self._depth else 0
        self.versions.clear()
        self.all = self.stored = None
