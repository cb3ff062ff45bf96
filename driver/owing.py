"""UPDATE and DELETE while rows owe a validation: they leave their table in column format.

So that rows that break a key can be repaired. For any other write SQLite needs the tables that it touches in row
format, which holds no row that breaks a PRIMARY KEY or UNIQUE.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from colonnade.plan import Plan, describe
from colonnade.sql import write
from colonnade.sql.objects import fold
from colonnade.sql.shown import home_of
from colonnade.sql.statement import Statement

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session


class Owing:
    """How one session runs them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def takes(self, statement: Statement) -> bool:
        """Make buffered rows visible; then: must an UPDATE or DELETE leave its table in column format?

        Of the tables that any other write touches PRIMARY KEY and UNIQUE are validated now; foreign keys
        stay owed. Raises IntegrityError
        """
        session = self._session
        session.bulk.flush()
        target = statement.target
        if target is not None and statement.verb in ("UPDATE", "DELETE"):
            home = home_of(session.db, target.name, target.schema)
            if home is not None and write.suits(session.store, statement, session.router.schema(home)):
                return True
        session.bulk.validate_keys(session.router.touched(statement), statement.verb)
        return False

    def run(self, cursor: Cursor, plan: Plan, parameters: Any) -> None:
        """Run one statement."""
        session, statement = self._session, plan.statement
        if statement.returning:
            with session.changes.kept():
                names, rows = write.returning(session.store, statement, parameters)
            cursor._show(iter(rows), describe((name,) for name in names))
            count = len(rows)
            session._changed(count)
        else:
            count = self._run_one(statement, parameters)
        self._wrote(statement)
        session._show_count(cursor, plan, count)

    def run_many(self, statement: Statement, rows: Iterator[Any]) -> int:
        """Run one statement for each row of parameters; returns the sum of the rows changed."""
        try:
            return sum(self._run_one(statement, parameters) for parameters in rows)
        finally:
            self._wrote(statement)

    def _run_one(self, statement: Statement, parameters: Any) -> int:
        session = self._session
        change = write.delete if statement.verb == "DELETE" else write.update
        with session.changes.kept():
            count = change(session.store, statement, parameters)
        session._changed(count)
        return count

    def _wrote(self, statement: Statement) -> None:
        """The rows that were deleted or changed, and those that refer to them, owe a check."""
        target = statement.target
        if target is not None:
            home = home_of(self._session.db, target.name, target.schema) or "main"
            self._session.bulk.recheck(fold(home), fold(target.name))
