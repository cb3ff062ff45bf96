"""executemany: one statement for each set of parameters, and the rows it changed in all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.parameters import bindable_rows, warn_of_names
from colonnade.plan import Plan

if TYPE_CHECKING:
    from colonnade.connection import Connection

_NO_ROW: Any = object()


def run_many(connection: Connection, cursor: apsw.Cursor, plan: Plan, rows: Iterator[Any]) -> int:
    """Run the statement for each row of parameters; returns the sum of the rows changed."""
    first = next(rows, _NO_ROW)
    if first is _NO_ROW:
        connection._prepare(plan.text)
        return 0
    if plan.named:
        warn_of_names(connection, plan, first)
    supplied = bindable_rows(chain((first,), rows))
    db = connection._db
    if plan.returns:
        return _run_each(cursor, db, plan.text, supplied)
    if connection._counts_more_than_changes(plan):
        return _run_counting(cursor, db, plan.text, supplied)
    before = db.total_changes()
    cursor.executemany(plan.text, supplied)
    return db.total_changes() - before


def _run_each(cursor: apsw.Cursor, db: apsw.Connection, sql: str, rows: Iterable[Any]) -> int:
    """Run a statement with RETURNING and throw its rows away, which sqlite3 does not count."""
    count = 0
    for parameters in rows:
        cursor.execute(sql, parameters)
        if not list(cursor):
            count += db.changes()
    return count


def _run_counting(cursor: apsw.Cursor, db: apsw.Connection, sql: str, rows: Iterable[Any]) -> int:
    """executemany that asks for the changes of each run: rows changed by triggers do not count."""
    count = 0

    def supply() -> Iterator[Any]:
        nonlocal count
        rest = iter(rows)
        yield next(rest)
        for parameters in rest:
            count += db.changes()
            yield parameters

    cursor.executemany(sql, supply())
    return count + db.changes()
