"""The dialect behind `colonnade://`: SQLAlchemy's own SQLite dialect on Colonnade's driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import util
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

import colonnade

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ConnectArgsType, DBAPIModule
    from sqlalchemy.engine.url import URL

# What connect() takes and sqlite3 does not, with the type of its value in a URL.
OWN_OPTIONS: tuple[tuple[str, type], ...] = (("bulk_load", bool), ("batch_size", int))


class ColonnadeDialect(SQLiteDialect_pysqlite):
    """`colonnade:///path.db`, `colonnade://` for memory; `sqlite+colonnade://` is the same.

    URLs take what those of `sqlite://` take, and `bulk_load` and `batch_size`, as in
    `colonnade:///shop.db?bulk_load=true&batch_size=50000`. The dialect's name stays "sqlite": types, DDL options
    (`sqlite_autoincrement` …), `sqlalchemy.dialects.sqlite.insert` and migrations written for SQLite work unchanged.
    """

    driver = "colonnade"
    supports_statement_cache = True

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
