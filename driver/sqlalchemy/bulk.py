"""Bulk load for the length of a block, on the connections of a Session or on one Connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, scoped_session

from colonnade.sqlalchemy.dialect import ColonnadeDialect
from colonnade.store.errors import ProgrammingError


@contextmanager
def bulk_load(
    target: Session | scoped_session[Any] | Connection, batch_size: int | None = None
) -> Iterator[None]:
    """PRAGMA bulk_load = on within the block; keys are validated at its end, at the latest.

    target      a Session (what it has pending is flushed before the block, as usual, and at its end, in bulk),
                or a Connection. Of an AsyncSession: `await session.run_sync(f)`, with the block in `f`.
    batch_size  as PRAGMA batch_size within the block; None: as it is

    The block ends without COMMIT; one inside it is allowed. bulk_load and batch_size are what they were
    before, also after an error, and never stay on in a connection that goes back to its pool.
    INSERTs with RETURNING are not deferred (the ORM uses them for keys that the database makes): rows load
    fast whose keys the program knows.

    Raises sqlalchemy.exc.IntegrityError if a key does not hold; `.orig.violations` lists the first ones.
    The transaction stays open with all rows in it, and cannot be committed until they are repaired.
    """
    session = target() if isinstance(target, scoped_session) else target
    block = _Block(batch_size)
    if isinstance(session, Connection):
        block.switch_on(session)
    else:
        session.flush()
        block.switch_on(session.connection())
        event.listen(session, "after_begin", block.transaction_began)
    try:
        yield
        if isinstance(session, Session):
            session.flush()
        block.validate()
    finally:
        if isinstance(session, Session):
            event.remove(session, "after_begin", block.transaction_began)
        block.end()


@dataclass(frozen=True, slots=True)
class _Former:
    """What a DBAPI connection was set to before the block, and who uses it."""

    connection: Connection
    dbapi_connection: Any
    bulk_load: bool
    batch_size: int


class _Block:
    """The DBAPI connections that are in bulk load because of one block."""

    def __init__(self, batch_size: int | None) -> None:
        self._batch_size = batch_size
        self._switched: dict[
            int, _Former
        ] = {}  # by the identity of the DBAPI connection, which _Former keeps
        self._engines: list[Engine] = []

    def transaction_began(self, _session: Session, _transaction: object, connection: Connection) -> None:
        """Session event: after a COMMIT in the block the next transaction may have another connection."""
        if isinstance(connection.dialect, ColonnadeDialect):
            self.switch_on(connection)

    def switch_on(self, connection: Connection) -> None:
        if not isinstance(connection.dialect, ColonnadeDialect):
            raise ProgrammingError(
                f"bulk_load needs a connection of Colonnade, not of {connection.engine.url!r}"
            )
        dbapi = connection.connection.dbapi_connection
        if id(dbapi) in self._switched:
            return
        former = _Former(connection, dbapi, bool(_pragma(dbapi, "bulk_load")), _pragma(dbapi, "batch_size"))
        self._switched[id(dbapi)] = former
        if connection.engine not in self._engines:
            self._engines.append(connection.engine)
            event.listen(connection.engine, "checkin", self._returned)
        if self._batch_size is not None:
            _pragma(dbapi, f"batch_size = {int(self._batch_size)}")
        _pragma(dbapi, "bulk_load = on")

    def validate(self) -> None:
        """Check what the transactions that are open owe. Those that were committed in the block owe nothing."""
        for former in list(self._switched.values()):
            if former.connection.in_transaction():
                # Not on the DBAPI connection: SQLAlchemy shall wrap the error.
                former.connection.exec_driver_sql("PRAGMA bulk_load = off")

    def end(self) -> None:
        for former in list(self._switched.values()):
            self._restore(former)
        for engine in self._engines:
            event.remove(engine, "checkin", self._returned)

    def _returned(self, dbapi_connection: Any, _record: object) -> None:
        """Pool event: the connection may be someone else's next."""
        former = self._switched.get(id(dbapi_connection))
        if former is not None:
            self._restore(former)

    def _restore(self, former: _Former) -> None:
        del self._switched[id(former.dbapi_connection)]
        if former.connection.invalidated:
            return
        dialect = former.connection.dialect
        assert isinstance(dialect, ColonnadeDialect)
        if former.bulk_load:
            _pragma(former.dbapi_connection, "bulk_load = on")
        else:
            dialect.leave_bulk_load(former.dbapi_connection)
        _pragma(former.dbapi_connection, f"batch_size = {former.batch_size}")


def _pragma(dbapi_connection: Any, text: str) -> Any:
    """Run a PRAGMA and give its value, if it has one."""
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(f"PRAGMA {text}")
        row = cursor.fetchone()
        return None if row is None else row[0]
    finally:
        cursor.close()
