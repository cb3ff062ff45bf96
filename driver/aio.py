"""aio: asyncio's face of a connection, with the names and the behaviour of aiosqlite.

Each connection has a thread of its own that makes every call on the driver's connection, one after the
other. apsw's own asyncio support is not used: it gives asynchronous versions of apsw's objects, while what
Colonnade adds (plans, bulk load, tables in column format) is ordinary code around a synchronous connection,
which stays on one thread this way.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from functools import partial, wraps
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

import colonnade
from colonnade import (
    DatabaseError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Row,
    Warning,  # noqa: A004 - the name is PEP 249's
    paramstyle,
    register_adapter,
    register_converter,
    sqlite_version,
    sqlite_version_info,
)

if TYPE_CHECKING:
    from colonnade.loader.report import LoadReport

__all__ = [
    "Connection",
    "Cursor",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Row",
    "Warning",
    "connect",
    "paramstyle",
    "register_adapter",
    "register_converter",
    "sqlite_version",
    "sqlite_version_info",
]

_T = TypeVar("_T")
_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_Job = tuple["asyncio.Future[Any] | None", Callable[[], Any]]

_DUMP_LINES = 256  # lines of iterdump fetched from the thread at a time


class _Stop(Exception):
    """Ends the thread of a connection; never seen by a caller."""


def _close_and_stop(connection: colonnade.Connection | None) -> None:
    """A job: the last one."""
    try:
        if connection is not None:
            connection.close()
    finally:
        raise _Stop


class Result(Coroutine[Any, Any, _T], Generic[_T]):
    """What is awaited for a value, or entered with `async with` to have a cursor closed after the block."""

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, None, _T]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    async def __aenter__(self) -> _T:
        self._value = await self._coroutine
        return self._value

    async def __aexit__(self, *_error: object) -> None:
        if isinstance(self._value, Cursor):
            await self._value.close()


def _enterable(
    method: Callable[Concatenate[_Self, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[_Self, _P], Result[_T]]:
    """A coroutine method whose call may also be entered with `async with`."""

    @wraps(method)
    def call(self: _Self, /, *arguments: _P.args, **options: _P.kwargs) -> Result[_T]:
        return Result(method(self, *arguments, **options))

    return call


class Cursor:
    """A cursor of the driver, used on its connection's thread; iterates with `async for`."""

    def __init__(self, connection: Connection, cursor: colonnade.Cursor) -> None:
        self.iter_chunk_size = connection._iter_chunk_size
        self._owner = connection
        self._cursor = cursor

    async def execute(self, sql: str, parameters: Any = None) -> Cursor:
        """Run one statement."""
        await self._owner._call(self._cursor.execute, sql, () if parameters is None else parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        """Run one statement for each set of parameters."""
        await self._owner._call(self._cursor.executemany, sql, parameters)
        return self

    async def executescript(self, sql_script: str) -> Cursor:
        """Run statement after statement."""
        await self._owner._call(self._cursor.executescript, sql_script)
        return self

    async def fetchone(self) -> Any:
        """The next row, or None."""
        return await self._owner._call(self._cursor.fetchone)

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next `size` rows, `arraysize` if not given."""
        return await self._owner._call(self._cursor.fetchmany, *(() if size is None else (size,)))

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return await self._owner._call(self._cursor.fetchall)

    async def close(self) -> None:
        """Give up the statement."""
        await self._owner._call(self._cursor.close)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while rows := await self.fetchmany(self.iter_chunk_size):
            for row in rows:
                yield row

    async def __aenter__(self) -> Cursor:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def arraysize(self) -> int:
        return self._cursor.arraysize

    @arraysize.setter
    def arraysize(self, rows: int) -> None:
        self._cursor.arraysize = rows

    @property
    def row_factory(self) -> Any:
        return self._cursor.row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._cursor.row_factory = factory

    @property
    def connection(self) -> colonnade.Connection:
        """The driver's connection, as with aiosqlite."""
        return self._cursor.connection


class Connection:
    """A connection and its thread; made by `connect`, opened by `await` or `async with`.

    Calls are made in the order in which they were awaited. A call whose awaiter is cancelled is skipped if
    it has not begun, and goes on to its end otherwise (`interrupt` stops it): the thread is free again
    after it, whatever happened.
    """

    def __init__(self, connector: Callable[[], colonnade.Connection], iter_chunk_size: int) -> None:
        self._connector = connector
        self._connection: colonnade.Connection | None = None
        self._running = True
        self._iter_chunk_size = iter_chunk_size
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread = Thread(target=_work, args=(self._jobs,), name="colonnade.aio", daemon=True)

    # Opening and closing

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def _open(self) -> Connection:
        self._thread.start()
        try:
            await self._submit(self._connect)
        except BaseException:
            self.stop()
            raise
        return self

    def _connect(self) -> None:
        # Kept here, on the thread: whoever opens it may be cancelled, and then `stop` closes it.
        self._connection = self._connector()

    async def __aenter__(self) -> Connection:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what waits, then close the connection and end its thread; nothing to do a second time."""
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        self._running = False
        closing = self._submit(connection.close)
        self._jobs.put((None, partial(_close_and_stop, None)))
        await asyncio.shield(closing)  # to the end, also if the awaiter is cancelled

    def stop(self) -> None:
        """Close the connection and end its thread after what waits, without waiting for it; `close` is better."""
        self._running = False
        self._jobs.put((None, self._end))

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        _close_and_stop(connection)

    def __del__(self) -> None:
        if self._connection is not None:
            warnings.warn(f"unclosed connection {self!r}", ResourceWarning, stacklevel=1, source=self)
            self._jobs.put((None, partial(_close_and_stop, self._connection)))

    # Calls on the thread

    @property
    def _conn(self) -> colonnade.Connection:
        if self._connection is None:
            raise ValueError("no active connection")
        return self._connection

    def _submit(self, function: Callable[[], _T]) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._jobs.put((future, function))
        return future

    async def _call(self, function: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
        if not self._running or self._connection is None:
            raise ValueError("Connection closed")
        return await self._submit(partial(function, *arguments, **options))

    async def run(self, function: Callable[[colonnade.Connection], _T]) -> _T:
        """What `function` returns, called on the connection's thread with the driver's connection."""
        return await self._call(function, self._conn)

    # Statements

    @_enterable
    async def cursor(self) -> Cursor:
        """A new cursor."""
        return Cursor(self, await self._call(self._conn.cursor))

    @_enterable
    async def execute(self, sql: str, parameters: Any = None) -> Cursor:
        """A new cursor that has executed `sql`."""
        given = () if parameters is None else parameters
        return Cursor(self, await self._call(self._conn.execute, sql, given))

    @_enterable
    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        """A new cursor that has executed `sql` for each set of parameters."""
        return Cursor(self, await self._call(self._conn.executemany, sql, parameters))

    @_enterable
    async def executescript(self, sql_script: str) -> Cursor:
        """A new cursor that has executed the statements of `sql_script`."""
        return Cursor(self, await self._call(self._conn.executescript, sql_script))

    @_enterable
    async def execute_insert(self, sql: str, parameters: Any = None) -> Any:
        """Run an INSERT; a row with last_insert_rowid()."""

        def insert(connection: colonnade.Connection) -> Any:
            cursor = connection.execute(sql, () if parameters is None else parameters)
            return cursor.execute("SELECT last_insert_rowid()").fetchone()

        return await self.run(insert)

    @_enterable
    async def execute_fetchall(self, sql: str, parameters: Any = None) -> list[Any]:
        """All rows of a query."""
        given = () if parameters is None else parameters
        return await self.run(lambda connection: connection.execute(sql, given).fetchall())

    async def load(self, *sources: Any, **options: Any) -> LoadReport:
        """Load files or frames with every key checked: colonnade.Connection.load, on the thread."""
        return await self._call(self._conn.load, *sources, **options)

    async def constraint_stats(self) -> list[dict[str, Any]]:
        """colonnade.Connection.constraint_stats, on the thread."""
        return await self._call(self._conn.constraint_stats)

    async def clear_constraint_cache(self, table: str | None = None) -> int:
        """colonnade.Connection.clear_constraint_cache, on the thread."""
        return await self._call(self._conn.clear_constraint_cache, table)

    async def commit(self) -> None:
        """End the transaction, if there is one."""
        await self._call(self._conn.commit)

    async def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        await self._call(self._conn.rollback)

    async def interrupt(self) -> None:
        """Make the statement that is running fail soon; does not wait for its turn."""
        self._conn.interrupt()

    # What is called by SQLite, on the thread

    async def create_function(
        self, name: str, num_params: int, func: Callable[..., Any] | None, deterministic: bool = False
    ) -> None:
        """A function for SQL."""
        await self._call(self._conn.create_function, name, num_params, func, deterministic=deterministic)

    async def set_progress_handler(self, handler: Callable[[], int | None] | None, n: int) -> None:
        """Call `handler` after every `n` instructions of SQLite's machine."""
        await self._call(self._conn.set_progress_handler, handler, n)

    async def set_trace_callback(self, handler: Callable[[str], object] | None) -> None:
        """Call `handler` with each statement that is run."""
        await self._call(self._conn.set_trace_callback, handler)

    async def set_authorizer(self, authorizer_callback: Callable[..., int] | None) -> None:
        """Ask `authorizer_callback` for each access that a statement is prepared for."""
        await self._call(self._conn.set_authorizer, authorizer_callback)

    async def enable_load_extension(self, value: bool) -> None:
        """Whether extensions may be loaded."""
        await self._call(self._conn.enable_load_extension, value)

    async def load_extension(self, path: str) -> None:
        """Load an extension of SQLite."""
        await self._call(self._conn.load_extension, path)

    # Copies

    async def iterdump(self) -> AsyncIterator[str]:
        """The database as SQL, line by line."""
        lines = await self._call(lambda: iter(self._conn.iterdump()))
        while some := await self._call(lambda: list(islice(lines, _DUMP_LINES))):
            for line in some:
                yield line

    async def backup(
        self,
        target: Connection | colonnade.Connection,
        *,
        pages: int = 0,
        progress: Callable[[int, int, int], object] | None = None,
        name: str = "main",
        sleep: float = 0.250,
    ) -> None:
        """Copy the database into another one; a plain connection must allow use from other threads."""
        into = target._conn if isinstance(target, Connection) else target
        await self._call(self._conn.backup, into, pages=pages, progress=progress, name=name, sleep=sleep)

    # Properties, which ask without waiting for their turn

    @property
    def in_transaction(self) -> bool:
        return self._conn.in_transaction

    @property
    def total_changes(self) -> int:
        return self._conn.total_changes

    @property
    def isolation_level(self) -> str | None:
        return self._conn.isolation_level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self._conn.isolation_level = level

    @property
    def row_factory(self) -> Any:
        return self._conn.row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._conn.row_factory = factory

    @property
    def text_factory(self) -> Any:
        return self._conn.text_factory

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._conn.text_factory = factory


def connect(
    database: str | bytes | os.PathLike[str], *, iter_chunk_size: int = 64, **options: Any
) -> Connection:
    """A connection to await, or to enter with `async with`.

    iter_chunk_size  rows that `async for` fetches at a time
    options          those of colonnade.connect
    """
    path = database.decode() if isinstance(database, bytes) else os.fspath(database)
    # Closing at the end of the program, backups and properties come from other threads; a lock guards them.
    options = {**options, "check_same_thread": False}
    return Connection(partial(colonnade.connect, path, **options), iter_chunk_size)


def _work(jobs: SimpleQueue[_Job]) -> None:
    """The thread: each job in turn, until one stops it."""
    while True:
        future, function = jobs.get()
        try:
            _do(future, function)
        except _Stop:
            return
        del future, function  # nothing of a job outlives it while the thread waits for the next


def _do(future: asyncio.Future[Any] | None, function: Callable[[], Any]) -> None:
    """Make a call and tell its awaiter, if there is one."""
    if future is not None and future.cancelled():
        return
    settle: Callable[[asyncio.Future[Any]], None]
    try:
        settle = partial(_set_result, value=function())
    except _Stop:
        raise
    except BaseException as error:
        settle = partial(_set_exception, error=error)
    if future is not None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            future.get_loop().call_soon_threadsafe(settle, future)


def _set_result(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if isinstance(error, StopIteration):  # which a future refuses: its awaiter would wait for ever
        cause, error = error, RuntimeError("a call raised StopIteration")
        error.__cause__ = cause
    if not future.done():
        future.set_exception(error)
