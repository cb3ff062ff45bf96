"""Scripts: when SQLite can run a whole one, and its statements when it cannot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import apsw

from colonnade.errors import bindings_count
from colonnade.sql.statement import split

# PRAGMAs may be Colonnade's, savepoints are kept track of, and parameters that have no name cannot be NULL.
_CARE = ("pragma", "savepoint", "release", "?")


class _Nulls(dict[str, None]):
    """NULL for every parameter: nothing is bound to the statements of a script."""

    def __missing__(self, name: str) -> None:
        return None


def needs_care(text: str) -> bool:
    """Whether a script must be run statement by statement."""
    folded = text.lower()
    return any(word in folded for word in _CARE)


def run_whole(db: apsw.Connection, text: str) -> None:
    """All statements, by SQLite itself."""
    deque(db.execute(text, _Nulls()), maxlen=0)


def statements(text: str) -> Iterator[str]:
    """The statements of a script, one by one."""
    return (statement for statement, _line in split(text))


def nulls(db: apsw.Connection, statement: str) -> tuple[None, ...]:
    """A NULL for each parameter of a statement."""
    cursor = db.cursor()
    cursor.exec_trace = lambda *_: False
    try:
        cursor.execute(statement)
    except apsw.BindingsError as error:
        return (None,) * bindings_count(error)
    except apsw.ExecTraceAbort:
        pass
    return ()
