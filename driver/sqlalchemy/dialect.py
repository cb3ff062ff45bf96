"""The dialect behind `colonnade://`: SQLAlchemy's own SQLite dialect on Colonnade's driver."""

from __future__ import annotations

from operator import lt
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import util
from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts, SQLCompiler

import colonnade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import ConnectArgsType, DBAPICursor, DBAPIModule
    from sqlalchemy.engine.url import URL

# What connect() takes and sqlite3 does not, with the type of its value in a URL.
OWN_OPTIONS: tuple[tuple[str, type], ...] = (("bulk_load", bool), ("batch_size", int))


class ReturnedInOrder(DefaultExecutionContext):
    """The rows of one INSERT … VALUES … RETURNING of many rows, in the order of their VALUES."""

    def fetchall_for_returning(self, cursor: DBAPICursor) -> Sequence[Any]:
        """The rows in the order in which SQLite inserted them, which is that of VALUES.

        SQLAlchemy sorts them by the key that SQLite gave, their last column, to match them with the objects
        inserted. New rowids ascend, but not once a table has the largest there is
        (https://www.sqlite.org/autoinc.html, section 2), nor where an upsert returns older rows: their positions
        stand for the keys then.
        """
        rows: Sequence[Any] = cursor.fetchall()
        sorts = cast("SQLCompiler", self.compiled)._insertmanyvalues
        if sorts is None or not sorts.implicit_sentinel:
            return rows
        keys = [row[-1] for row in rows]
        if all(map(lt, keys, keys[1:])):
            return rows
        return [(*row[:-1], position) for position, row in enumerate(rows)]


class ColonnadeExecutionContext(ReturnedInOrder, SQLiteExecutionContext):
    """SQLite's, with rows returned in order."""


class ColonnadeDialect(SQLiteDialect_pysqlite):
    """`colonnade:///path.db`, `colonnade://` for memory; `sqlite+colonnade://` is the same.

    URLs take what those of `sqlite://` take, and `bulk_load` and `batch_size`, as in
    `colonnade:///shop.db?bulk_load=true&batch_size=50000`. The dialect's name stays "sqlite": types, DDL options
    (`sqlite_autoincrement` …), `sqlalchemy.dialects.sqlite.insert` and migrations written for SQLite work unchanged.
    """

    driver = "colonnade"
    supports_statement_cache = True
    execution_ctx_cls: type[SQLiteExecutionContext] = ColonnadeExecutionContext
    # SQLAlchemy inserts the rows of a flush one by one into SQLite, whose documentation leaves the order of RETURNING
    # open (https://www.sqlite.org/lang_returning.html, section 3). This driver comes with its SQLite: see
    # ReturnedInOrder.
    insertmanyvalues_implicit_sentinel = InsertmanyvaluesSentinelOpts.AUTOINCREMENT

    @classmethod
    def import_dbapi(cls) -> DBAPIModule:
        return cast("DBAPIModule", colonnade)

    def create_connect_args(self, url: URL) -> ConnectArgsType:
        """The arguments of `colonnade.connect`."""
        own: dict[str, Any] = {}
        for name, kind in OWN_OPTIONS:
            util.coerce_kw_type(dict(url.query), name, kind, dest=own)
        arguments, options = super().create_connect_args(
            url.difference_update_query([name for name, _ in OWN_OPTIONS])
        )
        return arguments, {**options, **own}

    def leave_bulk_load(self, dbapi_connection: Any) -> None:
        """Bulk load off, on a DBAPI connection of this dialect; keys that were not validated are at COMMIT."""
        dbapi_connection._session.bulk.leave()


dialect = ColonnadeDialect
