"""Colonnade's own PRAGMAs: what each answers and what it sets, per connection.

What a PRAGMA needs of the loader and the column side is imported when it is asked for: most programs never do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from colonnade.callbacks import coded
from colonnade.sql.statement import Pragma
from colonnade.sql.tokens import quote, whole_number
from colonnade.store.errors import Error, OperationalError, ProgrammingError

if TYPE_CHECKING:
    from colonnade.session import Session


class Answer(NamedTuple):
    """The rows of a PRAGMA that gives some."""

    columns: Sequence[str]
    rows: Iterable[tuple[Any, ...]]


Own = Callable[["Session", Pragma], Answer | None]

_DIGITS = re.compile(r"0[xX]([0-9a-fA-F]+)|[0-9]+")
_SWITCH = {
    **dict.fromkeys(("on", "1", "true", "yes"), True),
    **dict.fromkeys(("off", "0", "false", "no"), False),
}


def is_on(value: str) -> bool:
    """What SQLite makes of a value that is on or off (sqlite.org/pragma.html); a number at its start counts, and is 0
    where it has more than 31 bits."""
    digits = _DIGITS.match(value)
    if digits is None:
        return _SWITCH.get(value.lower(), False)
    number = int(digits[1], 16) if digits[1] else whole_number(digits[0])
    return 0 < number < 1 << 31


_FORMATS = ("auto", "row", "column")
FORMAT_VARIABLE = "COLONNADE_STORAGE_FORMAT"


def first_format() -> str:
    """The storage format that a new connection has: the environment's, else "auto". Raises OperationalError.

    So a program, or its test suite, runs in another format as it is, with all the processes that it starts.
    """
    wanted = os.environ.get(FORMAT_VARIABLE) or "auto"
    if wanted.lower() not in _FORMATS:
        raise OperationalError(f"{FORMAT_VARIABLE} takes {_listed(_FORMATS)}, not {wanted!r}")
    return wanted.lower()


def _bulk_load(session: Session, pragma: Pragma) -> Answer | None:
    if pragma.value is None:
        return Answer(("bulk_load",), [(int(session.bulk.enabled),)])
    on = _SWITCH.get(pragma.value.lower())
    if on is None:
        raise OperationalError(f"PRAGMA bulk_load takes on or off, not {pragma.value!r}")
    session.bulk.switch(on)
    return None


def _batch_size(session: Session, pragma: Pragma) -> Answer | None:
    if pragma.value is None:
        return Answer(("batch_size",), [(session.store.batch_size,)])
    if not pragma.value.isdecimal():
        raise OperationalError(f"PRAGMA batch_size takes a number of rows, or 0, not {pragma.value!r}")
    session.store.batch_size = whole_number(pragma.value)
    return None


def _write_hints(session: Session, pragma: Pragma) -> Answer:
    schema, table = _table(session, pragma)
    return Answer(("figure", "value", "source"), session.store.hints(table, schema).rows())


def _storage_format(session: Session, pragma: Pragma) -> Answer | None:
    if pragma.value is None:
        return Answer(("storage_format",), [(session.storage_format,)])
    if pragma.value.lower() not in _FORMATS:
        raise OperationalError(f"PRAGMA storage_format takes {_listed(_FORMATS)}, not {pragma.value!r}")
    session.storage_format = pragma.value.lower()
    session.refresh()
    return None


def _storage_report(session: Session, pragma: Pragma) -> Answer:
    from colonnade import reports

    schema = _schema(session, pragma)
    return Answer(
        reports.STORAGE, reports.storage(session.store, session.router.schema(schema), pragma.value)
    )


def _memory_limit(session: Session, pragma: Pragma) -> Answer | None:
    from colonnade.loader.options import parse_size

    if pragma.value is None:
        return Answer(("memory_limit",), [(session.store.memory_limit,)])
    try:
        limit = parse_size(pragma.value)
    except ProgrammingError:
        limit = 0
    if limit < 1:
        raise OperationalError(
            f"PRAGMA memory_limit takes bytes, or a size such as 64MB, not {pragma.value!r}"
        )
    session.store.memory_limit = limit
    return None


def _constraint_check(session: Session, pragma: Pragma) -> Answer:
    from colonnade import reports

    schema = _schema(session, pragma)
    tables = [] if pragma.value is None else [_table(session, pragma)[1]]
    found = reports.check(session.store, session.router.schema(schema), tables, session.bulk.stats)
    return Answer(reports.CHECK, found)


def _constraint_stats(session: Session, pragma: Pragma) -> Answer:
    from colonnade import constraints, reports

    rows = [tuple(row[name] for name in reports.CONSTRAINTS) for row in constraints.stats(session)]
    return Answer(reports.CONSTRAINTS, rows)


def _clear_constraint_cache(session: Session, pragma: Pragma) -> Answer:
    from colonnade import constraints

    schema = None if pragma.schema is None else _schema(session, pragma)
    return Answer(("bytes",), [(constraints.clear(session, pragma.value, schema),)])


def _advise(session: Session, pragma: Pragma) -> Answer:
    from colonnade import reports

    schema = session.router.schema(_schema(session, pragma))
    return Answer(reports.ADVICE, reports.advice(session.store, schema, session.bulk.stats))


def _vectorized(session: Session, pragma: Pragma) -> Answer | None:
    queries = session.columns.queries
    if pragma.value is None:
        return Answer(("vectorized",), [(int(queries.on),)])
    on = _SWITCH.get(pragma.value.lower())
    if on is None:
        raise OperationalError(f"PRAGMA vectorized takes on or off, not {pragma.value!r}")
    queries.on = on
    return None


def _vectorized_stats(session: Session, pragma: Pragma) -> Answer:
    return Answer(("outcome", "reason", "count"), session.columns.queries.stats())


def _pager_stats(session: Session, pragma: Pragma) -> Answer:
    from colonnade import reports

    return Answer(reports.PAGER, reports.pager(session.store))


def _integrity_check(session: Session, pragma: Pragma) -> Answer:
    from colonnade import soundness
    from colonnade.sql.shown import UserNames, home_of

    schemas = [name for name in session.db.db_names() if name != "temp"]
    if pragma.schema is not None:
        schemas = [_schema(session, pragma)]
    elif pragma.value is not None and (home := home_of(session.db, pragma.value)) is not None:
        schemas = [home]
    if pragma.value is not None and UserNames(session.db, schemas[0]).is_part(pragma.value):
        raise _sqlite_error(f"no such table: {_qualified(pragma)}")
    return Answer((pragma.name,), soundness.integrity(session.store, pragma, schemas))


def _foreign_key_check(session: Session, pragma: Pragma) -> Answer:
    from colonnade import soundness
    from colonnade.sql.shown import UserNames, home_of

    schema, value = _schema(session, pragma), pragma.value
    if value is not None and value.lower() not in _OF_SCHEMA:
        home = home_of(session.db, value, pragma.schema and schema)
        if home is None or UserNames(session.db, home).is_part(value):
            raise _sqlite_error(f"no such table: {_qualified(pragma)}")
        schema = home
    rows = soundness.foreign_keys(session.store, session.router.schema(schema), value)
    return Answer(soundness.FOREIGN_KEY_CHECK, rows)


def checked_rows(session: Session, name: str, argument: object, schema: object) -> Iterable[tuple[Any, ...]]:
    """The rows of the table-valued functions of the PRAGMAs in SHARED that check: their answers."""
    from colonnade.sql.shown import known_schema

    given = None if argument is None else str(argument)
    place = None if schema is None else known_schema(session.db, str(schema))
    if given is not None and given.isdecimal():  # it is a name here, where the PRAGMA takes it for a limit
        raise _sqlite_error(f"no such table: {given}")
    answer = SHARED[name](session, Pragma(place, name, given))
    return answer.rows if answer is not None else ()


def _optimize(session: Session, pragma: Pragma) -> Answer:
    """SQLite's own, which looks at shadow tables: their names and figures become those of the user's tables."""
    from colonnade.sql import statistics

    place = f"{quote(_schema(session, pragma))}." if pragma.schema else ""
    argument = "" if pragma.value is None else f"({quote(pragma.value)})"
    with session.changes.kept(), session.db:
        rows = session.db.execute(f"PRAGMA {place}optimize{argument}").fetchall()
        statistics.settle_optimized(session.store)
    return Answer(("optimize",), statistics.shown_to_optimize(session.db, rows))


def _qualified(pragma: Pragma) -> str:
    return f"{pragma.schema}.{pragma.value}" if pragma.schema else str(pragma.value)


def _sqlite_error(message: str) -> Error:
    return coded(OperationalError, message, apsw.SQLITE_ERROR)


def _schema(session: Session, pragma: Pragma) -> str:
    """The database that a PRAGMA is about: named before it, or main."""
    wanted = (pragma.schema or "main").lower()
    for name in session.db.db_names():
        if name.lower() == wanted:
            return name
    raise _sqlite_error(f"unknown database {pragma.schema}")


def _table(session: Session, pragma: Pragma) -> tuple[str, str]:
    """The schema and the name of the table given as the value."""
    if pragma.value is None:
        raise OperationalError(f"PRAGMA {pragma.name} needs a table: PRAGMA {pragma.name}(t)")
    schema = _schema(session, pragma)
    found = session.router.schema(schema).table(pragma.value)
    if found is None:
        raise OperationalError(f"no such table: {pragma.value}")
    return schema, found.name


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


OWN: dict[str, Own] = {
    "bulk_load": _bulk_load,
    "batch_size": _batch_size,
    "write_hints": _write_hints,
    "storage_format": _storage_format,
    "storage_report": _storage_report,
    "memory_limit": _memory_limit,
    "constraint_check": _constraint_check,
    "constraint_stats": _constraint_stats,
    "clear_constraint_cache": _clear_constraint_cache,
    "advise": _advise,
    "pager_stats": _pager_stats,
    "vectorized": _vectorized,
    "vectorized_stats": _vectorized_stats,
}
# SQLite's own, answered here where tables are in column format.
SHARED: dict[str, Own] = {
    **dict.fromkeys(("integrity_check", "quick_check"), _integrity_check),
    "foreign_key_check": _foreign_key_check,
    "optimize": _optimize,
}
_OF_SCHEMA = frozenset({"sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"})


def answering(session: Session, pragma: Pragma | None) -> Own | None:
    """What answers a PRAGMA; None for those that are SQLite's."""
    if pragma is None:
        return None
    own = OWN.get(pragma.name)
    if own is None and pragma.name in SHARED and session.has_column_tables():
        own = SHARED[pragma.name]
    return own
