"""Whether a connection has tables in column format: all that is asked of the store while there is none.

The store brings numpy and pyarrow along, which take longer to import than everything else together. So it is
imported and made when there is such a table, or a use for it. SQLite may meet such a table before anybody else
does, which is why the module of the virtual tables is registered from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.store.format import MODULE_NAME

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.vtable import VirtualTable

_USES_MODULE = re.compile(rf"\busing\s+{MODULE_NAME}\s*(\(\s*\))?\s*$", re.IGNORECASE)


def quote(name: str) -> str:
    """The name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def column_table_names(db: apsw.Connection, schema: str) -> list[str]:
    """The names of the tables of a schema that are in column format, as their DDL spells them."""
    rows = db.execute(
        f"SELECT name, sql FROM {quote(schema)}.sqlite_schema WHERE type='table' AND rootpage=0 ORDER BY name"
    )
    return [name for name, sql in rows if _USES_MODULE.search(sql or "")]


class Presence:
    """What is known of one connection before its store is made."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._known: dict[str, tuple[int, bool]] = {}  # by schema: its version, whether it has such a table

    def forget(self) -> None:
        """After a rollback a schema version can come back with another meaning; so it can by ATTACH."""
        self._known.clear()

    def any(self) -> bool:
        """Whether any schema of the connection has a table in column format."""
        return any(self._has(schema) for schema in self._db.db_names() if schema != "temp")

    def _has(self, schema: str) -> bool:
        version: int = self._db.execute(f"PRAGMA {quote(schema)}.schema_version").get
        known = self._known.get(schema)
        if known is None or known[0] != version:
            known = self._known[schema] = (version, bool(column_table_names(self._db, schema)))
        return known[1]


def register(db: apsw.Connection, store: Callable[[], Store]) -> None:
    """Makes the connection able to read tables in column format; `store` is called when it reads one."""
    module: Any = _Module(store)  # apsw's protocols also demand the methods of tables that are written
    db.create_module(MODULE_NAME, module, use_bestindex_object=True, read_only=True)


def unregister(db: apsw.Connection) -> None:
    """The connection can read no table in column format from now on."""
    db.create_module(MODULE_NAME, None)


class _Module:
    """What SQLite asks first about a virtual table."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def Connect(  # noqa: N802 - the names are apsw's
        self, db: apsw.Connection, module: str, schema: str, name: str, *arguments: Any
    ) -> tuple[str, VirtualTable]:
        from colonnade.store.vtable import connect

        return connect(self._store(), schema, name)

    # No ShadowName: apsw has room for 33 modules with one in a process, and each connection registers its own.
    Create = Connect
