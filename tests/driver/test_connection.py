"""Connections: where databases are, threads, transactions of several connections, and how they end."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import colonnade
from tests.driver.twins import connect, outcome, same


def opened(module: Any, *arguments: Any, **options: Any) -> Any:
    def first_look() -> Any:
        connection = module.connect(*arguments, **options)
        try:
            return connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        finally:
            connection.close()

    return outcome(first_look)


def test_databases_are_opened_as_by_sqlite3(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is no database, but long enough to be one " * 20)
    places = [":memory:", "", tmp_path / "a.db", str(tmp_path / "b.db"), os.fsencode(tmp_path / "c.db")]
    places += [tmp_path, text, tmp_path / "missing" / "d.db", "nul\0.db", 5, None]
    for place in places:
        same(lambda module, place=place: opened(module, place))


def test_uris_are_opened_as_by_sqlite3(tmp_path: Path) -> None:
    file = tmp_path / "a b.db"
    for uri in (
        f"file:{file}?mode=ro",
        f"file:{file}",
        f"file:{file}?mode=ro",
        f"file:{file}?mode=memory",
        "file::memory:",
        "file:///nothing/here?mode=rw",
        f"file:{file}?mode=odd",
        f"file:{file}?vfs=odd",
        ":memory:",
    ):
        same(lambda module, uri=uri: opened(module, uri, uri=True))


def test_connections_to_one_shared_memory_database_see_the_same_rows() -> None:
    first, second = (
        colonnade.connect("file:shared_by_two?mode=memory&cache=shared", uri=True) for _ in range(2)
    )
    with first:
        first.execute("CREATE TABLE t(a)")
        first.execute("INSERT INTO t VALUES(1)")
    assert second.execute("SELECT * FROM t").fetchall() == [(1,)]
    first.close()
    second.close()


def test_a_locked_database_gives_the_error_of_sqlite3(tmp_path: Path) -> None:
    def program(module: Any) -> Any:
        path = tmp_path / f"{module.__name__}.db"
        holder = module.connect(path, isolation_level=None)
        holder.executescript("CREATE TABLE t(a); BEGIN IMMEDIATE")
        other = module.connect(path, timeout=0)
        refused = outcome(lambda: other.execute("INSERT INTO t VALUES(1)")), other.in_transaction
        holder.close()
        other.rollback()
        done = outcome(lambda: other.execute("INSERT INTO t VALUES(1)"))
        other.close()
        return refused, done

    same(program)


def test_a_read_that_was_finished_by_fetchone_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    reader, writer = colonnade.connect(path), colonnade.connect(path, timeout=0)
    with writer:
        writer.execute("CREATE TABLE t(a)")
    cursor = reader.execute("SELECT count(*) FROM t")
    assert cursor.fetchone() == (0,)
    with writer:
        writer.execute("INSERT INTO t VALUES(1)")
    reader.close()
    writer.close()


def test_a_table_that_another_connection_changed_is_described_anew(tmp_path: Path) -> None:
    def program(module: Any) -> Any:
        path = tmp_path / f"{module.__name__}.db"
        first, second = module.connect(path), module.connect(path)
        first.executescript("CREATE TABLE t(a)")
        names = []
        for change in ("ADD COLUMN b", "RENAME COLUMN a TO z", "ADD COLUMN c"):
            cursor = second.execute("SELECT * FROM t")
            names.append(cursor.description)
            cursor.close()
            first.executescript(f"ALTER TABLE t {change}")
        first.close()
        second.close()
        return names

    same(program)


def in_thread(call: Any) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(outcome(call)))
    thread.start()
    thread.join()
    return results[0]


def test_another_thread_is_refused() -> None:
    connection = colonnade.connect(":memory:")
    cursor = connection.execute("SELECT 1")
    calls = [connection.commit, connection.rollback, connection.cursor, connection.close]
    calls += [cursor.fetchone, cursor.fetchall, cursor.fetchmany, cursor.close]
    calls += [lambda: cursor.execute("SELECT 1"), lambda: cursor.executemany("DELETE FROM t", [])]
    for call in calls:
        name, message, _ = in_thread(call)
        assert name == "ProgrammingError"
        assert message.startswith("SQLite objects created in a thread can only be used in that same thread.")
    connection.close()


def test_threads_may_share_a_connection_that_allows_it() -> None:
    connection = colonnade.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE TABLE t(a)")

    def work() -> None:
        for number in range(200):
            connection.execute("INSERT INTO t VALUES(?)", (number,))
            connection.execute("SELECT count(*) FROM t").fetchone()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (800,)
    connection.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files through /proc")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_a_connection_that_is_dropped_is_closed(tmp_path: Path, in_a_cycle: bool) -> None:
    path = tmp_path / "a.db"
    before = descriptors()
    for _ in range(5 if in_a_cycle else 40):
        connection = colonnade.connect(path)
        connection.execute("CREATE TABLE IF NOT EXISTS t(a)")
        cursor = connection.execute("INSERT INTO t VALUES(1) RETURNING a")
        cycle = [connection, cursor]
        if in_a_cycle:
            cycle.append(cycle)
        del connection, cursor, cycle
        if in_a_cycle:
            gc.collect()
    assert descriptors() == before


def test_many_connections_can_be_open_at_once() -> None:
    connections = [colonnade.connect(":memory:") for _ in range(100)]
    assert [c.execute("SELECT 1").fetchone() for c in connections] == [(1,)] * 100
    for connection in connections:
        connection.close()


def test_factories_make_rows_as_with_sqlite3() -> None:
    def program(module: Any) -> Any:
        connection = connect(module, ":memory:")
        connection.row_factory = lambda cursor, row: dict(
            zip([column[0] for column in cursor.description], row, strict=True)
        )
        made = connection.execute("SELECT 1 AS a, 'x' AS b").fetchone()
        cursor = connection.cursor()
        cursor.row_factory = None
        plain = cursor.execute("SELECT 1 AS a, 'x' AS b").fetchall()
        connection.row_factory = module.Row
        row = connection.execute("SELECT 1 AS a, 'x' AS B").fetchone()
        values = [row["a"], row["b"], row[0], row[-1], row[0:1], tuple(row), len(row), row.keys()]
        errors = [outcome(lambda: row["c"]), outcome(lambda: row[5]), outcome(lambda: row[1.5])]
        connection.row_factory, connection.text_factory = None, bytes
        raw = connection.execute("SELECT 'ä', 1, x'00'").fetchall()
        connection.text_factory = lambda text: text.decode().upper()
        loud = connection.execute("SELECT 'ä', 1").fetchall()
        return made, plain, values, errors, raw, loud

    same(program)


def test_the_module_has_the_names_of_pep_249() -> None:
    assert (colonnade.apilevel, colonnade.paramstyle) == ("2.0", "qmark")
    for name in ("Warning", "Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError"):
        assert getattr(colonnade.Connection, name) is getattr(colonnade, name)
    assert colonnade.Binary(b"x") == b"x"
    assert colonnade.DateFromTicks(0).year in (1969, 1970)
    assert colonnade.STRING == "VARCHAR(5)"
    assert colonnade.NUMBER != "TEXT"


def test_an_adapter_may_be_for_a_type_that_sqlite_takes_as_it_is() -> None:
    from colonnade import types

    ready, known = set(types.READY), dict(types.adapters)
    try:

        class Money(int):
            pass

        colonnade.register_adapter(Money, lambda money: f"{int(money)} EUR")
        connection = colonnade.connect(":memory:")
        assert connection.execute("SELECT ?, ?", (Money(5), 5)).fetchone() == ("5 EUR", 5)
        connection.execute("CREATE TABLE t(a)")
        connection.executemany("INSERT INTO t VALUES(:a)", [{"a": Money(1)}, {"a": 2}])
        assert connection.execute("SELECT a FROM t").fetchall() == [("1 EUR",), (2,)]
        connection.close()
    finally:
        types.READY.update(ready)
        types.adapters.clear()
        types.adapters.update(known)
