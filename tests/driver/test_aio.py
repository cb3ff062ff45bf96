"""colonnade.aio beside aiosqlite: the same calls give the same answers; threads end and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

import aiosqlite
import pytest

import colonnade
from colonnade import aio

Scenario = Callable[[ModuleType, Path], Coroutine[Any, Any, list[Any]]]
SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def settled() -> Any:
        found = await asyncio.wait_for(work, 20)
        for thread in threading.enumerate():  # aiosqlite's, which may still have something to tell the loop
            if "_connection_worker_thread" in thread.name:
                await asyncio.to_thread(thread.join, 5)
        return found

    return asyncio.run(settled())


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "colonnade.aio"]


def threads_end() -> bool:
    for thread in workers():
        thread.join(5)
    return not workers()


async def statements(module: ModuleType, path: Path) -> list[Any]:
    found: list[Any] = []
    async with module.connect(path, check_same_thread=False) as db:  # the setter of isolation_level checks it
        async with db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)") as cursor:
            found.append((cursor.rowcount, cursor.description))
        cursor = await db.executemany("INSERT INTO t VALUES (?, ?)", [(i, str(i)) for i in range(200)])
        found.append((cursor.rowcount, cursor.lastrowid, db.in_transaction, db.total_changes))
        found.append(tuple(await db.execute_insert("INSERT INTO t (b) VALUES (?)", ("x",))))
        await db.commit()
        found.append(
            (await (await db.execute("SELECT * FROM t WHERE a > ?", (195,))).fetchall(), db.in_transaction)
        )
        found.append(list(await db.execute_fetchall("SELECT b FROM t LIMIT 2")))
        async with db.execute("SELECT a FROM t ORDER BY a") as cursor:
            found.append([row async for row in cursor][-3:])
        async with db.cursor() as cursor:
            await cursor.execute("SELECT a, b FROM t ORDER BY a")
            found.append(
                (
                    await cursor.fetchone(),
                    await cursor.fetchmany(),
                    await cursor.fetchmany(3),
                    cursor.arraysize,
                )
            )
            cursor.arraysize = 2
            found.append((await cursor.fetchmany(), len(await cursor.fetchall()), await cursor.fetchone()))
            await cursor.executescript("DELETE FROM t WHERE a > 3; INSERT INTO t VALUES (9, NULL);")
        await db.execute("DELETE FROM t")
        await db.rollback()
        db.row_factory = module.Row
        row = await (await db.execute("SELECT a AS n, b FROM t")).fetchone()
        found.append((row.keys(), row["n"], tuple(row)))
        db.row_factory, db.text_factory = None, bytes
        found.append(await (await db.execute("SELECT b FROM t")).fetchall())
        found.append((db.isolation_level, db.row_factory, db.text_factory))
        db.isolation_level = None
        await db.execute("DELETE FROM t")
        found.append(db.in_transaction)
    return found


async def hooks(module: ModuleType, path: Path) -> list[Any]:
    found: list[Any] = []
    traced: list[str] = []
    async with module.connect(path) as db, module.connect(":memory:") as copy:
        await db.create_function("twice", 1, lambda x: 2 * x, deterministic=True)
        await db.set_trace_callback(traced.append)
        found.append(await (await db.execute("SELECT twice(21)")).fetchone())
        await db.set_trace_callback(None)
        await db.set_authorizer(lambda *_: 1)
        try:
            await db.execute("SELECT 1")
        except module.DatabaseError as error:
            found.append(str(error))
        await db.set_authorizer(None)
        await db.set_progress_handler(lambda: 1, 10)
        try:
            await db.execute_fetchall(SLOW)
        except module.OperationalError as error:
            found.append(str(error))
        await db.set_progress_handler(None, 0)
        await db.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1), ('it''s');")
        found.append([line async for line in db.iterdump()])
        await db.backup(copy)
        found.append(await (await copy.execute("SELECT * FROM t")).fetchall())
    return [*found, traced]


async def failures(module: ModuleType, path: Path) -> list[Any]:
    found: list[Any] = []

    async def fails(work: Any) -> None:
        try:
            await work
        except Exception as error:
            found.append((type(error).__name__, str(error)))
        else:
            found.append("no error")

    await fails(module.connect(path / "no" / "folder"))
    db = await module.connect(path)
    await fails(db.execute("SELEC 1"))
    await fails(db.execute("SELECT ?", (1, 2)))
    await fails(db.executemany("SELECT ?", [(1,)]))
    await db.execute("CREATE TABLE t (a UNIQUE)")
    await fails(db.executemany("INSERT INTO t VALUES (?)", [(1,), (1,)]))
    cursor = await db.execute("SELECT 1")
    await cursor.close()
    await fails(cursor.fetchone())
    await db.close()
    await fails(db.close())
    await fails(cursor.fetchall())

    async def after_close() -> None:
        await db.execute("SELECT 1")

    await fails(after_close())
    return found


@pytest.mark.parametrize("scenario", [statements, hooks, failures])
def test_what_aiosqlite_gives(scenario: Scenario, tmp_path: Path) -> None:
    ours = run(scenario(aio, tmp_path / "ours.db"))
    assert ours == run(scenario(aiosqlite, tmp_path / "theirs.db"))
    assert threads_end()


def test_every_method_of_aiosqlite_is_there() -> None:
    for ours, theirs in (
        (aio.Connection, aiosqlite.Connection),
        (aio.Cursor, aiosqlite.Cursor),
        (aio, aiosqlite),
    ):
        missing = {name for name in vars(theirs) if not name.startswith("_")} - set(dir(ours))
        assert missing <= {"context", "core", "cursor"}, missing  # submodules


def test_an_error_shows_where_it_was_raised_and_awaited() -> None:
    def fail() -> None:
        raise ZeroDivisionError("in the thread")

    async def work() -> str:
        async with aio.connect(":memory:") as db:
            try:
                await db.run(lambda _: fail())
            except ZeroDivisionError as error:
                return "".join(traceback.format_exception(error))
        return ""

    shown = run(work())
    assert ", in fail" in shown
    assert ", in work" in shown


def test_what_waits_is_done_before_the_connection_closes() -> None:
    async def work() -> list[Any]:
        db = await aio.connect(":memory:")
        await db.execute("CREATE TABLE t (a)")
        inserts = [asyncio.ensure_future(db.execute("INSERT INTO t VALUES (?)", (i,))) for i in range(5)]
        counts = asyncio.ensure_future(db.execute_fetchall("SELECT count(*) FROM t"))
        await asyncio.sleep(0)
        await db.close()
        await asyncio.gather(*inserts)
        with pytest.raises(ValueError, match="no active connection"):
            await db.commit()
        return await counts

    assert run(work()) == [(5,)]
    assert threads_end()


def test_a_cancelled_call_leaves_the_thread_free() -> None:
    async def work() -> list[Any]:
        async with aio.connect(":memory:") as db:
            await db.execute("CREATE TABLE t (a)")
            slow = asyncio.ensure_future(db.execute_fetchall(SLOW))
            skipped = asyncio.ensure_future(db.execute("INSERT INTO t VALUES (1)"))
            await asyncio.sleep(0.05)
            skipped.cancel()
            slow.cancel()
            await asyncio.gather(slow, skipped, return_exceptions=True)
            assert slow.cancelled()
            await db.interrupt()
            return await db.execute_fetchall("SELECT * FROM t")

    assert run(work()) == []
    assert threads_end()


def test_an_opening_that_is_cancelled_closes_what_it_opened(tmp_path: Path) -> None:
    opened: list[Slow] = []

    class Slow(colonnade.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            begun.set()
            assert go_on.wait(10)
            super().__init__(*arguments, **options)
            opened.append(self)

    begun, go_on = threading.Event(), threading.Event()

    async def work() -> None:
        async def enter() -> None:
            async with aio.connect(tmp_path / "x.db", factory=Slow):
                raise AssertionError

        opening = asyncio.ensure_future(enter())
        while not begun.is_set():
            await asyncio.sleep(0.001)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        go_on.set()

    run(work())
    assert threads_end()
    with pytest.raises(colonnade.ProgrammingError, match="closed database"):
        opened[0].execute("SELECT 1")


def test_a_call_that_raises_stop_iteration_does_not_wait_for_ever() -> None:
    async def work() -> None:
        async with aio.connect(":memory:") as db:
            with pytest.raises(RuntimeError, match="StopIteration"):
                await db.run(lambda _: next(iter(())))

    run(work())


def test_a_connection_that_is_dropped_warns_and_ends_its_thread() -> None:
    async def work() -> None:
        db = await aio.connect(":memory:")
        assert workers()
        with pytest.warns(ResourceWarning, match="unclosed connection"):  # noqa: PT031
            del db
            gc.collect()

    run(work())
    assert threads_end()


def test_load_is_awaited_like_the_rest(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")

    async def work() -> list[Any]:
        async with aio.connect(":memory:") as db:
            report = await db.load(tmp_path / "t.csv", script="CREATE TABLE t (a INTEGER PRIMARY KEY, b);")
            assert report.committed
            return await db.execute_fetchall("SELECT * FROM t")

    assert run(work()) == [(1, "x"), (2, "y")]
