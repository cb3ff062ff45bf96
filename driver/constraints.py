"""What a connection counts and keeps for its constraints: the figures of their checks, and the keys in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colonnade.loader.stats import ConstraintStats
from colonnade.loader.violations import Constraint
from colonnade.sql.objects import KeyDef, TableDef, fold
from colonnade.store.errors import OperationalError
from colonnade.store.keycode import KeySpec

if TYPE_CHECKING:
    from colonnade.session import Session
    from colonnade.store.table import ColumnTable


def stats(session: Session) -> list[dict[str, Any]]:
    """A dict a constraint; `cache_bytes` is what checks hold, and what look-ups keep of its keys.

    Constraints in the order in which they were first checked, then those of which only keys are kept.
    """
    shown = ConstraintStats()
    shown.add(session.bulk.stats)
    for table, definition in _column_tables(session):
        kept = session.store.cache.key_bytes(table.names.key)
        for key in definition.keys if kept else ():
            size = kept.get(_signature(table, key), 0)
            if size:
                shown.of(Constraint(definition.name, key.kind, key.columns, key.name)).hold(size)
    return shown.rows()


def clear(session: Session, table: str | None, schema: str | None = None) -> int:
    """Let go of what is in memory about the keys of a table (None: of all tables); returns its bytes.

    Raises OperationalError for a table that is not there
    """
    named = [schema] if schema is not None else [name for name in session.db.db_names() if name != "temp"]
    if table is not None and all(session.router.schema(name).table(table) is None for name in named):
        raise OperationalError(f"no such table: {table}")
    freed = 0
    for found, _ in _column_tables(session):
        if fold(found.schema) in map(fold, named) and (table is None or fold(found.name) == fold(table)):
            freed += found.forget_keys()
    return freed


def _column_tables(session: Session) -> list[tuple[ColumnTable, TableDef]]:
    found = []
    for name in session.db.db_names():
        if name == "temp" or not session.store.tables(name):
            continue
        for definition in session.router.schema(name).tables.values():
            table = session.store.table(definition.name, name)
            if table is not None:
                found.append((table, definition))
    return found


def _signature(table: ColumnTable, key: KeyDef) -> str:
    ids = {fold(column.name): column.column_id for column in table.columns}
    folds = tuple(map(str.upper, key.collations))
    return KeySpec(tuple(ids[fold(name)] for name in key.columns), folds).signature
