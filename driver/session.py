"""Session: the statements of a connection that do not go to SQLite as they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.plan import Plan
from colonnade.sql.statement import split

if TYPE_CHECKING:
    from colonnade.connection import Connection
    from colonnade.cursor import Cursor


class Session:
    """What a connection has beyond SQLite."""

    def __init__(self, connection: Connection, db: apsw.Connection) -> None:
        self._connection = connection
        self._db = db
        self.batch_size = 0

    def switch_bulk_load(self, on: bool) -> None: ...

    def refresh(self) -> None:
        self._connection._plain = True

    def execute(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        if plan.empty:
            return
        cursor._run_native(plan, parameters)
        if plan.schema:
            self._connection._schema_changed()

    def execute_many(self, cursor: Cursor, plan: Plan, rows: Iterator[Any]) -> int:
        return cursor._run_many(plan, rows)

    def execute_script(self, script: str) -> None:
        for text, _line in split(script):
            deque(self._db.execute(text), maxlen=0)
        self._connection._schema_changed()

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        self._db.execute("ROLLBACK")
        self._connection._schema_changed()

    def close(self) -> None: ...
