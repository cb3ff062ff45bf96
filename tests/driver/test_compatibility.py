"""What programs for sqlite3 rely on and CPython's own tests do not reach: column format, bulk load, bad text."""

from __future__ import annotations

import datetime
import gc
import sqlite3
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import colonnade
from tests.driver.twins import MODULES, connect, outcome, same

NOT_UTF8 = b"caf\xe9"


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __conform__(self, protocol: Any) -> str | None:
        return (
            f"{self.x};{self.y}" if protocol in (sqlite3.PrepareProtocol, colonnade.PrepareProtocol) else None
        )


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        made = lambda value: Point(*map(int, value.split(b";")))  # noqa: E731
        monkeypatch.setitem(module.converters, "POINT", made)
        monkeypatch.setitem(module.converters, "NUMBER", lambda value: (b"number", value))


@pytest.mark.usefixtures("point")
@pytest.mark.parametrize("storage_format", ["row", "column"])
def test_converters_see_the_same_bytes_in_both_formats(storage_format: str) -> None:
    def program(module: Any) -> Any:
        flags = module.PARSE_DECLTYPES | module.PARSE_COLNAMES
        connection = connect(module, ":memory:", detect_types=flags)
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, p point, n number(10, 2), plain, e)")
        rows = [(1, Point(3, -4), 7, "x;1", "1;2"), (2, None, 2.50, b"", "3;4"), (3, Point(0, 0), "t", 1, "")]
        if module is colonnade:
            connection.execute(f"PRAGMA storage_format = {storage_format}")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
        if module is colonnade:
            (report,) = connection.execute("PRAGMA storage_report(t)").fetchall()
            assert report[1] == storage_format
        cursor = connection.execute('SELECT id, p, n, plain, e AS "e [point]" FROM t ORDER BY id')
        names = [column[0] for column in cursor.description]
        return names, cursor.fetchone(), cursor.fetchmany(1), list(cursor)

    names, first, _, rest = same(program)
    assert names[4] == "e"
    assert first == (1, Point(3, -4), (b"number", b"7"), "x;1", Point(1, 2))
    assert rest[0][4] is None  # a converter is not asked about nothing


@pytest.mark.parametrize("factory", [bytes, bytearray, lambda text: text.decode("latin-1")])
def test_text_that_is_not_utf8_reaches_the_text_factory(factory: Any) -> None:
    def program(module: Any) -> Any:
        connection = connect(module, ":memory:")
        connection.execute("CREATE TABLE t(a, b)")
        connection.executemany(
            "INSERT INTO t VALUES (?, CAST(? AS TEXT))", [(1, b"ok"), (2, NOT_UTF8), (3, b"end")]
        )
        connection.text_factory = factory
        cursor = connection.execute("SELECT a, b, 'x', x'ff' FROM t WHERE a > ? ORDER BY a DESC;", (0,))
        return cursor.fetchone(), cursor.fetchone(), cursor.fetchall()

    _, second, _ = same(program)
    assert second[:2] == (2, factory(NOT_UTF8))


def test_converters_get_the_bytes_of_text_that_is_not_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(module: Any) -> Any:
        monkeypatch.setitem(module.converters, "RAW", lambda value: ("raw", value))
        connection = connect(module, ":memory:", detect_types=module.PARSE_COLNAMES)
        query = "SELECT CAST(? AS TEXT) AS 'a [raw]', CAST(? AS TEXT) AS b"
        return outcome(lambda: connection.execute(query, (NOT_UTF8, b"fine")).fetchall())

    assert same(program) == [(("raw", NOT_UTF8), "fine")]


def violation(connection: Any) -> None:
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    connection.commit()
    connection.execute("PRAGMA bulk_load = on")
    connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,), (1,)])


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_commit_validates_bulk_load_under_autocommit_false() -> None:
    connection = connect(colonnade, ":memory:", autocommit=False)
    violation(connection)
    with pytest.raises(colonnade.IntegrityError, match=r"UNIQUE constraint failed: t\.id"):
        connection.commit()
    assert connection.in_transaction
    connection.rollback()
    assert connection.in_transaction
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_switching_autocommit_on_validates_bulk_load() -> None:
    connection = connect(colonnade, ":memory:", autocommit=False)
    violation(connection)
    with pytest.raises(colonnade.IntegrityError):
        connection.autocommit = True
    assert connection.autocommit is False
    connection.rollback()


def test_a_connection_that_is_dropped_warns_where_sqlite3_does(tmp_path: Path) -> None:
    for module in MODULES:
        connection = module.connect(tmp_path / f"{module.__name__}.db")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del connection
            gc.collect()
        kinds = [warning.category for warning in caught]
        assert kinds == ([ResourceWarning] if sys.version_info >= (3, 13) else []), module


def test_warnings_point_at_the_program() -> None:
    connection = connect(colonnade, ":memory:")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection.execute("SELECT ?", (datetime.date(2024, 2, 29),))
        connection.cursor().execute("SELECT :a, $b, ?", (1, 2, 3))
    expected = ["adapter", "(':a')", "('$b')"] if sys.version_info >= (3, 12) else []
    assert len(caught) == len(expected)
    for warning, part in zip(caught, expected, strict=True):
        assert part in str(warning.message)
        assert warning.filename == __file__


def test_a_row_gives_the_first_column_of_a_name_in_any_case() -> None:
    def program(module: Any) -> Any:
        cursor = connect(module, ":memory:").execute("SELECT 1 AS a, 2 AS A, 3 AS ß, 4 AS b")
        row = module.Row(cursor, cursor.fetchone())
        short = module.Row(cursor, (1,))
        keys = ("a", "A", "ß", "B", "SS", "c", 3, -5, 1.5)
        return [outcome(lambda key=key: row[key]) for key in keys], outcome(lambda: short["b"]), row.keys()

    values, _, _ = same(program)
    assert values[:4] == [1, 1, 3, 4]


def test_a_callback_cannot_use_the_cursor_that_calls_it() -> None:
    def program(module: Any) -> Any:
        connection = connect(module, ":memory:")
        cursor = connection.cursor()
        connection.text_factory = lambda value: cursor.execute("SELECT 1")
        cursor.execute("SELECT 'x'")
        fetched = outcome(cursor.fetchone)
        connection.text_factory = str
        return fetched, outcome(lambda: cursor.execute("SELECT 2").fetchall())

    fetched, after = same(program)
    assert fetched[:2] == ("ProgrammingError", "Recursive use of cursors not allowed.")
    assert after == [(2,)]


def test_a_failed_write_leaves_no_lock_on_a_database_that_another_connection_writes(tmp_path: Path) -> None:
    def program(module: Any) -> Any:
        path = tmp_path / f"{module.__name__}.db"
        writer, other = (connect(module, path, timeout=0) for _ in range(2))
        writer.execute("CREATE TABLE t(a)")
        writer.execute("INSERT INTO t VALUES (1)")
        failed = outcome(lambda: other.execute("INSERT INTO t VALUES (2)"))
        return failed, other.in_transaction, outcome(writer.commit), outcome(other.commit)

    _, in_transaction, committed, _ = same(program)
    assert in_transaction
    assert committed is None


@pytest.mark.parametrize(
    ("sql", "parameters", "warned"),
    [
        ("INSERT INTO t VALUES('15:06')", (), []),
        ("UPDATE t SET a = ':x' || a", (), []),
        ("DELETE FROM t WHERE a = ?", ("a:1",), []),
        ("INSERT INTO t VALUES(:a)", (2,), ["Binding 1 (':a')"]),
        ("UPDATE t SET a = $b WHERE a = @c", (3, 1), ["Binding 1 ('$b')", "Binding 2 ('@c')"]),
    ],
)
@pytest.mark.parametrize("storage", ["row", "column"])
def test_names_given_by_position_are_deprecated_in_writes_of_each_format(
    storage: str, sql: str, parameters: tuple[Any, ...], warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colonnade.plan, "_NAMED_BY_POSITION", True)  # as from Python 3.12 on
    connection, oracle = colonnade.connect(":memory:"), sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA storage_format = {storage}")
    for database in (connection, oracle):
        database.execute("CREATE TABLE t(a)")
        database.execute("INSERT INTO t VALUES(1)")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection.execute(sql, parameters)
    assert [str(warning.message).split(" is ")[0] for warning in caught] == warned
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle.execute(sql, parameters)
    assert connection.execute("SELECT a FROM t").fetchall() == oracle.execute("SELECT a FROM t").fetchall()
    connection.close()
    oracle.close()
