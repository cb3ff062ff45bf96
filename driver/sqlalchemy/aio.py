"""The dialect behind `colonnade+aio://`: SQLAlchemy's aiosqlite dialect on `colonnade.aio`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
    SQLiteExecutionContext_aiosqlite,
)
from sqlalchemy.util import await_only

import colonnade
import colonnade.aio
from colonnade.sqlalchemy.dialect import ColonnadeDialect, ReturnedInOrder


class AsyncConnection(AsyncAdapt_aiosqlite_connection):
    """A DBAPI connection over a colonnade.aio.Connection."""

    __slots__ = ()

    @property
    def isolation_level(self) -> str | None:
        level: str | None = self._connection.isolation_level
        return level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        # On the connection's thread: None commits.
        await_only(self._connection.run(lambda connection: setattr(connection, "isolation_level", level)))


class AsyncDBAPI(AsyncAdapt_aiosqlite_dbapi):
    """The module that SQLAlchemy sees."""

    def connect(self, *arguments: Any, **options: Any) -> AsyncConnection:
        creator = options.pop("async_creator_fn", self.aiosqlite.connect)
        return AsyncConnection(self, await_only(creator(*arguments, **options)))


class AsyncExecutionContext(ReturnedInOrder, SQLiteExecutionContext_aiosqlite):
    """aiosqlite's, with rows returned in order."""


class ColonnadeAsyncDialect(SQLiteDialect_aiosqlite, ColonnadeDialect):
    """`colonnade+aio:///path.db`, for create_async_engine."""

    driver = "aio"
    supports_statement_cache = True
    execution_ctx_cls = AsyncExecutionContext

    @classmethod
    def import_dbapi(cls) -> AsyncDBAPI:
        return AsyncDBAPI(colonnade.aio, colonnade)

    def leave_bulk_load(self, dbapi_connection: Any) -> None:
        await_only(dbapi_connection.driver_connection.run(super().leave_bulk_load))


dialect = ColonnadeAsyncDialect
