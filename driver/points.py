"""Writes about single rows in an open transaction, on the shortest way there is.

What Session and Writing ask one after another before and after each write is asked here all at once, of a statement
that has gone their way and was found to be such a write (`sql.pointwrite`). Where any answer is not the usual one it
goes their way again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colonnade.plan import Plan

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session
    from colonnade.sql.route import Ready


class Points:
    """How one session runs them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, cursor: Cursor, plan: Plan, parameters: Any) -> bool:
        """Run a statement whose `plan.point` is set; False: nothing was done."""
        session = self._session
        connection, columns = session.connection, session.columns
        if (
            connection._watch is not None
            or connection._unverified
            or connection._plain
            or session.storage_format != "auto"
            or not session.db.in_transaction
            or session.bulk.active
        ):
            return False
        session.let_go(cursor)
        if session.busy():
            return False
        steady = columns.store.steady
        try:
            with steady:
                ready = self.ready(plan, parameters)
                if ready is None:
                    return False
                steady.keep()
            run = columns.writing.as_run(plan, ready)
            try:
                cursor._run_native(run, parameters)
            except Exception as error:
                session.failed(plan, error)
                raise
        except BaseException:
            steady.end()
            raise
        session.changes.ran()
        if ready.written is not None:
            columns.store.policy.wrote(*ready.written)
        return True

    def ready(self, plan: Plan, parameters: Any) -> Ready | None:
        """What SQLite shall run, the rows thawed; None where that takes more than a look at rowids."""
        session = self._session
        with session.changes.kept():
            return session.router.point(plan.statement, parameters)
