"""What a row owes to itself, on the way into a table: where in a load it is checked, and by which thread."""

from __future__ import annotations

import apsw

from colonnade.sql.checks import RowProblem, check_batch, row_problems
from colonnade.sql.objects import TableDef
from colonnade.store.errors import IntegrityError
from colonnade.store.values import RowBatch


class RowChecker:
    """Types, NOT NULL and CHECK of one table's batches.

    CHECKs may call functions and collations of the connection, so a table that has some is checked on its
    thread (`late`); all others are checked in the worker threads.
    """

    def __init__(self, db: apsw.Connection, definition: TableDef) -> None:
        self.definition = definition
        self.late = bool(definition.checks)
        self._db = db

    def problems(self, batch: RowBatch, *, late: bool) -> list[RowProblem]:
        """All problems of all rows; none if the check belongs to the other kind of thread."""
        return row_problems(self._db, self.definition, batch) if late == self.late else []

    def first(self, batch: RowBatch, *, late: bool) -> tuple[int, IntegrityError] | None:
        """The first row that SQLite would refuse, and its error."""
        problem = check_batch(self._db, self.definition, batch) if late == self.late else None
        return None if problem is None else (problem.row, problem.error())
