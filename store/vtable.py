"""The virtual table: SQLite's way into a table in column format.

xBestIndex (`plan`) turns constraints into a Plan, which travels as the text of idxStr; xFilter (`cursor`)
reads it back and opens a scan or a look-up. SQLite checks every row again, so a plan only has to be
complete, never exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from colonnade.store.catalog import ShadowNames, fetch_all, is_strict, quote
from colonnade.store.cursor import TableCursor
from colonnade.store.errors import OperationalError
from colonnade.store.plan import best_index

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.table import ColumnTable


def connect(store: Store, schema: str, name: str) -> tuple[str, VirtualTable]:
    """What SQLite asks about a table before it reads it."""
    db, names = store.db, ShadowNames(schema, name)
    if not db.table_exists(schema, names.rows_name):
        raise OperationalError(f"no such table: {schema}.{names.rows_name}")
    return declaration(db, names, strict=is_strict(db, schema, names.rows_name)), VirtualTable(store, names)


def declaration(db: apsw.Connection, names: ShadowNames, *, strict: bool) -> str:
    """CREATE TABLE text that gives the virtual table's columns the row part's types, collations, NOT NULL."""
    parts = []
    for _, name, decl_type, not_null, *_ in fetch_all(
        db, f"PRAGMA {quote(names.schema)}.table_xinfo({quote(names.rows_name)})"
    ):
        collation = db.column_metadata(names.schema, names.rows_name, name)[1]
        null = " NOT NULL" if not_null else ""
        parts.append(f"{quote(name)} {decl_type} COLLATE {quote(collation)}{null}")
    # STRICT makes ANY mean what it means in the row part, and changes nothing else for a virtual table.
    return f"CREATE TABLE x({', '.join(parts)}){' STRICT' if strict else ''}"


class VirtualTable:
    """One virtual table of one connection."""

    def __init__(self, store: Store, names: ShadowNames) -> None:
        self._store, self._names = store, names
        self._found: ColumnTable | None = None
        self._epoch = -1

    def table(self) -> ColumnTable:
        """What the store has. It looks again when SQLite connects the table anew after another connection changed
        the schema, and when it was told itself, not for each statement.
        """
        store = self._store
        if self._epoch == store.epoch and self._found is not None:
            return self._found
        found = store.table(self._names.name, self._names.schema)
        if found is None:
            raise OperationalError(f"no such table: {self._names.name}")
        self._found, self._epoch = found, store.epoch
        return found

    def BestIndexObject(self, info: apsw.IndexInfo) -> bool:  # noqa: N802 - the names are apsw's
        store = self._store
        if best_index(self.table(), info, constants_only=store.constants_only):
            store.varying = True
        if self._store.explains is not None:
            info.idxStr = self._store.explains(self.table(), info.idxStr or "")
        return True

    def Open(self) -> TableCursor:  # noqa: N802
        return TableCursor(self.table())

    def Disconnect(self) -> None:  # noqa: N802
        """Nothing is held."""

    def Destroy(self) -> None:  # noqa: N802
        """The shadow tables are for `convert` to drop: it keeps the row part."""
