"""Statements that change the schema where tables are in column format: SQLite runs them; a failure undoes all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from colonnade.plan import Plan
from colonnade.sql.redefine import NotCoverable, redefined
from colonnade.sql.route import Ready

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session


def define(session: Session, cursor: Cursor, plan: Plan, parameters: Any, ready: Ready) -> None:
    """Run a CREATE, DROP or ALTER that the router has made ready."""
    statement = plan.statement
    try:
        with _around(session, plan, ready):
            _run(session, cursor, plan, parameters, ready)
    except NotCoverable:  # the table as it would be has to be in row format
        session.router.failed(statement)
        with session.changes.kept():
            session.router.restore(session.router.touched(statement))
        _run(session, cursor, plan, parameters, Ready(plan.text))
    except BaseException:
        session.router.failed(statement)
        raise
    session.note_reading(cursor)
    with session.changes.kept():
        session.router.after(statement, ready, busy=session.busy())


@contextmanager
def _around(session: Session, plan: Plan, ready: Ready) -> Iterator[None]:
    """What is done before and after SQLite runs it."""
    if ready.redefines:
        with session.changes.kept(), redefined(session.store, ready.redefines, plan.statement):
            yield
    elif ready.indexes is not None:
        # Here, as programs that make no such index start faster without the loader.
        from colonnade.loader.newkey import with_new_key

        with session.changes.kept(), with_new_key(session.store, ready.indexes):
            yield
    else:
        yield


def _run(session: Session, cursor: Cursor, plan: Plan, parameters: Any, ready: Ready) -> None:
    run = plan if ready.text == plan.text else Plan(ready.text, plan.asked)
    with session.instead(plan, run, parameters) as seen:
        cursor._run_native(seen, parameters)
