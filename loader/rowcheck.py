"""What a row owes to itself, on the way into a table: where in a load it is checked, and by which thread."""

from __future__ import annotations

import apsw

from colonnade.sql.checks import CHECK, MISMATCH, NOT_NULL, STRICT_TYPE, RowProblem, check_batch, row_problems
from colonnade.sql.objects import TableDef
from colonnade.store.errors import IntegrityError, as_sqlite
from colonnade.store.values import RowBatch

_CODES = {
    MISMATCH: "SQLITE_MISMATCH",
    NOT_NULL: "SQLITE_CONSTRAINT_NOTNULL",
    STRICT_TYPE: "SQLITE_CONSTRAINT_DATATYPE",
    CHECK: "SQLITE_CONSTRAINT_CHECK",
}


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
        if problem is None:
            return None
        return problem.row, as_sqlite(IntegrityError(problem.message), _CODES[problem.kind])
