"""Statement by statement, Colonnade says what the standard library's sqlite3 says."""

from __future__ import annotations

import datetime
import decimal
import re
import sys
from collections import UserDict
from functools import partial
from itertools import islice
from typing import Any

import pytest

from tests.driver.twins import connect, facts, outcome, run, same, typed

# Python 3.12 deprecates the default adapters, and parameters in a sequence for names.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SETUP = """
    CREATE TABLE t(a PRIMARY KEY, b NOT NULL, c CHECK(c > 0), UNIQUE(a, b));
    CREATE TABLE parent(id INTEGER PRIMARY KEY);
    CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE);
    CREATE TABLE strict(i INTEGER, t TEXT) STRICT;
    CREATE TABLE log(what);
    CREATE TABLE watched(a);
    CREATE TRIGGER notice AFTER INSERT ON watched BEGIN INSERT INTO log VALUES(new.a), (new.a); END;
    CREATE TRIGGER refuse BEFORE DELETE ON watched BEGIN SELECT RAISE(ABORT, 'no way'); END;
    CREATE VIEW v AS SELECT a, b AS "odd [name]" FROM t;
    INSERT INTO t VALUES(1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
"""


class Missing(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "missing " + key


class Sequence:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: int) -> str:
        return "item"


class Conforming:
    def __conform__(self, protocol: type) -> str:
        return "conformed"


class Text(str):
    pass


@pytest.fixture(params=["auto", "column"], autouse=True)
def storage_format(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test twice: with all tables in row format, and with all that may in column format."""
    monkeypatch.setitem(globals(), "FORMAT", request.param)


FORMAT = "auto"


def database(module: Any) -> Any:
    connection = connect(module, ":memory:")
    connection.execute(f"PRAGMA storage_format = {FORMAT}")  # sqlite3 ignores it
    connection.executescript(SETUP)
    return connection


ODD = object()  # no value of SQLite's


def named(value: object) -> str:
    """A test's name that is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:60]


STATEMENTS: list[tuple[str, Any]] = [
    ("INSERT INTO t VALUES(4, 'four', 4)", ()),
    ("INSERT INTO t VALUES(1, 'one', 1)", ()),
    ("INSERT INTO t VALUES(5, NULL, 1)", ()),
    ("INSERT INTO t VALUES(5, 5, -1)", ()),
    ("INSERT INTO t VALUES(9, 9)", ()),
    ("INSERT OR IGNORE INTO t VALUES(1, 'one', 1)", ()),
    ("INSERT OR REPLACE INTO t VALUES(1, 'uno', 1)", ()),
    ("REPLACE INTO t VALUES(1, 'uno', 1)", ()),
    ("INSERT INTO t VALUES(1, 2, 3) ON CONFLICT(a) DO UPDATE SET c = 9", ()),
    ("INSERT INTO t VALUES(7, 2, 3), (8, 2, 3) RETURNING a AS k, b", ()),
    ("DELETE FROM t WHERE a = 99 RETURNING *", ()),
    ("UPDATE t SET c = c + 1", ()),
    ("UPDATE t SET a = 1", ()),
    ("DELETE FROM t", ()),
    ("DELETE FROM watched", ()),
    ("INSERT INTO watched VALUES(1)", ()),
    ("INSERT INTO strict VALUES('x', 'y')", ()),
    ("INSERT INTO parent VALUES('x')", ()),
    ("WITH x(n) AS (SELECT 5) INSERT INTO parent SELECT n FROM x", ()),
    ("  /* first */ -- then\n insert into t values(5, 5, 5)", ()),
    ("; INSERT INTO t VALUES(5, 5, 5)", ()),
    ("EXPLAIN QUERY PLAN SELECT 1", ()),
    ("SELECT * FROM t", ()),
    ("SELECT * FROM v", ()),
    ("SELECT * FROM t WHERE a = 99", ()),
    ("SELECT a, a, a + 1 FROM t ORDER BY a", ()),
    ("SELECT 1 WHERE 0", ()),
    ("SELECT NULL", ()),
    ("VALUES(1), (2), (3)", ()),
    ("SELECT 1, 1.0, 'x', x'00', NULL, 9223372036854775807, -9223372036854775808, 1e999, -0.0", ()),
    ("SELECT 'a\0b'", ()),
    ('SELECT "quoted"', ()),
    ("SELECT zeroblob(3)", ()),
    ("SELECT abs(-9223372036854775808)", ()),
    ("SELECT CAST(x'ff' AS TEXT)", ()),
    ("SELECT load_extension('x')", ()),
    ("SELECT * FROM absent", ()),
    ("SELECT absent FROM t", ()),
    ("nonsense", ()),
    ("SELECT 'open", ()),
    ("", ()),
    (";", ()),
    ("-- nothing", ()),
    ("/* nothing */", ()),
    ("SELECT 1; SELECT 2", ()),
    ("SELECT 1; nonsense", ()),
    ("nonsense; SELECT 1", ()),
    ("SELECT 1;", ()),
    ("SELECT 1;;", ()),
    ("SELECT ';'", ()),
    ("SELECT ';' ; -- end", ()),
    ("SELECT 1; /* end */", ()),
    ("SELECT 1 -- ; SELECT 2", ()),
    ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END", ()),
    ("CREATE TABLE t(a)", ()),
    ("CREATE TABLE u(a)", ()),
    ("CREATE TABLE u AS SELECT * FROM t", ()),
    ("DROP TABLE absent", ()),
    ("ALTER TABLE t ADD COLUMN d", ()),
    ("PRAGMA user_version", ()),
    ("PRAGMA user_version = 5", ()),
    ("PRAGMA foreign_keys", ()),
    ("PRAGMA recursive_triggers", ()),
    ("PRAGMA table_info(t)", ()),
    ("PRAGMA table_info(absent)", ()),
    ("PRAGMA absent", ()),
    ("SELECT name, type FROM sqlite_master ORDER BY name", ()),
    ("SELECT name FROM pragma_table_info('t')", ()),
    ("ATTACH ':memory:' AS other", ()),
    ("ATTACH '/absent/there' AS other", ()),
    ("DETACH absent", ()),
    ("COMMIT", ()),
    ("ROLLBACK", ()),
    ("BEGIN", ()),
    ("SAVEPOINT s", ()),
    ("RELEASE s", ()),
    ("VACUUM", ()),
    ("ANALYZE", ()),
    ("SELECT ?, ?", (1,)),
    ("SELECT ?", (1, 2)),
    ("SELECT ?", ()),
    ("SELECT 1", (1,)),
    ("INSERT INTO t VALUES(?, ?, ?)", (5, 5)),
    ("INSERT INTO absent VALUES(?, ?, ?)", (5, 5)),
    ("SELECT ?", (None,)),
    ("SELECT ?, ?, ?, ?", [1, 2.5, "x", b"y"]),
    ("SELECT ?", (True,)),
    ("SELECT ?", (float("nan"),)),
    ("SELECT ?", (float("inf"),)),
    ("SELECT ?", ("a\0b",)),
    ("SELECT ?", ("\ud800",)),
    ("SELECT ?", (2**63 - 1,)),
    ("SELECT ?", (-(2**63),)),
    ("SELECT ?", (2**63,)),
    ("SELECT ?", (-(2**63) - 1,)),
    ("SELECT ?", (10**30,)),
    ("SELECT ?", (bytearray(b"x"),)),
    ("SELECT ?", (memoryview(b"xyz"),)),
    ("SELECT ?", (memoryview(b"xyz")[::2],)),
    ("SELECT ?", (object(),)),
    ("SELECT ?, ?", (1, ODD)),
    ("SELECT ?", (decimal.Decimal(1),)),
    ("SELECT ?", (int,)),
    ("SELECT ?", ([],)),
    ("SELECT ?", (Conforming(),)),
    ("SELECT ?", (Text("text"),)),
    ("SELECT ?", (datetime.date(2024, 2, 29),)),
    ("SELECT ?", (datetime.datetime(2024, 2, 29, 1, 2, 3),)),
    ("SELECT ?", (datetime.time(1, 2, 3),)),
    ("SELECT :a", {"a": 1}),
    ("SELECT :a, @b, $c", {"a": 1, "b": 2, "c": 3, "d": 4}),
    ("SELECT :a, :a", {"a": 1}),
    ("SELECT :a", {}),
    ("SELECT :a, :b", {"a": 1}),
    ("SELECT :a", {"a": ODD}),
    ("SELECT ?", {"a": 1}),
    ("SELECT :a, ?", {"a": 1}),
    ("SELECT ?2", (1, 2)),
    ("SELECT ?1, ?1", (1,)),
    ("SELECT :a", Missing()),
    ("SELECT ?", Sequence()),
    ("SELECT ?, ?", "xy"),
    ("SELECT ?, ?", b"xy"),
    ("SELECT ?", range(1)),
    ("SELECT ?", 5),
    ("SELECT ?", None),
    ("SELECT ?", {1}),
    ("SELECT ?", iter([1])),
]


@pytest.mark.parametrize(("sql", "parameters"), STATEMENTS, ids=named)
def test_a_statement_is_answered_as_by_sqlite3(sql: str, parameters: Any) -> None:
    if sql == "VACUUM" and FORMAT == "column":
        pytest.skip("VACUUM leaves the number of objects in the schema as the last inserted rowid")

    def program(module: Any) -> Any:
        again = iter([1]) if hasattr(parameters, "__next__") else parameters
        return run(database(module).cursor(), sql, again)

    same(program)


@pytest.mark.parametrize(("sql", "parameters"), STATEMENTS, ids=named)
def test_a_statement_run_again_in_a_transaction_is_answered_as_by_sqlite3(sql: str, parameters: Any) -> None:
    def program(module: Any) -> Any:
        cursor = database(module).cursor()
        steps = [run(cursor, "INSERT INTO t VALUES(77, 77, 77)")]
        steps += [run(cursor, sql, parameters) for _ in range(3)]
        return steps, run(cursor, "SELECT * FROM t")

    same(program)


@pytest.mark.parametrize(("sql", "parameters"), STATEMENTS, ids=named)
def test_a_statement_in_autocommit_is_answered_as_by_sqlite3(sql: str, parameters: Any) -> None:
    if sql == "VACUUM" and FORMAT == "column":
        pytest.skip("VACUUM leaves the number of objects in the schema as the last inserted rowid")

    def program(module: Any) -> Any:
        connection = database(module)
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        return run(cursor, sql, parameters), run(cursor, "SELECT * FROM t")

    same(program)


MANY: list[tuple[str, Any]] = [
    ("INSERT INTO t VALUES(?, ?, ?)", [(4, 4, 4), (5, 5, 5)]),
    ("INSERT INTO t VALUES(?, ?, ?)", []),
    ("INSERT INTO absent VALUES(?, ?, ?)", []),
    ("INSERT INTO t VALUES(?, ?, ?)", [(4, 4, 4), (1, "one", 1), (5, 5, 5)]),
    ("INSERT INTO t VALUES(?, ?, ?)", [(4, 4, 4), (5, 5)]),
    ("INSERT INTO t VALUES(?, ?, ?)", [(4, 4, 4), 5]),
    ("INSERT INTO t VALUES(?, ?, ?)", [(4, 4, 4), (5, ODD, 5)]),
    ("INSERT INTO t VALUES(?, ?, ?)", [(4, 4, 2**64)]),
    ("INSERT INTO t VALUES(?, ?, ?)", ["abc", range(10, 13)]),
    ("INSERT INTO t VALUES(:a, :b, :c)", [{"a": 4, "b": 4, "c": 4}, {"a": 5, "b": 5, "c": 5}]),
    ("INSERT INTO t VALUES(:a, :b, :c)", [{"a": 4, "b": 4, "c": 4}, {"a": 5}]),
    ("INSERT INTO t VALUES(:a, :b, :c)", [{"a": 4, "b": 4, "c": 4}, (5, 5, 5)]),
    ("INSERT INTO t VALUES(?, ?, ?) RETURNING a", [(4, 4, 4), (5, 5, 5)]),
    ("DELETE FROM t WHERE a = ? RETURNING a", [(1,), (99,)]),
    ("INSERT OR IGNORE INTO t VALUES(?, ?, ?)", [(1, 4, 4), (5, 5, 5)]),
    ("REPLACE INTO t VALUES(?, ?, ?)", [(1, 4, 4), (5, 5, 5)]),
    ("INSERT INTO watched VALUES(?)", [(1,), (2,)]),
    ("UPDATE t SET c = ?", [(1,), (2,)]),
    ("DELETE FROM t WHERE a = ?", [(1,), (2,), (99,)]),
    ("INSERT INTO log SELECT a FROM t WHERE a > ?", [(0,), (1,)]),
    ("SELECT ?", [(1,)]),
    ("CREATE TABLE u(a)", [()]),
    ("WITH x(n) AS (SELECT ?) INSERT INTO parent SELECT n FROM x", [(5,)]),
    ("nonsense", [()]),
    ("INSERT INTO t VALUES(?, ?, ?); SELECT 1", [(4, 4, 4)]),
    ("INSERT INTO t VALUES(?, ?, ?)", 5),
    ("INSERT INTO t VALUES(?, ?, ?)", None),
]


@pytest.mark.parametrize(("sql", "rows"), MANY, ids=named)
@pytest.mark.parametrize("lazily", [False, True])
def test_executemany_does_what_sqlite3_does(sql: str, rows: Any, lazily: bool) -> None:
    if "RETURNING" in sql and sys.version_info >= (3, 13):
        pytest.skip("sqlite3 fails with SQLITE_MISUSE here since Python 3.13")

    def program(module: Any) -> Any:
        cursor = database(module).cursor()
        given = iter(rows) if lazily and isinstance(rows, list) else rows
        done = outcome(lambda: cursor.executemany(sql, given))
        return done, facts(cursor), outcome(cursor.fetchall), run(cursor, "SELECT * FROM t")

    same(program)


def test_executemany_counts_cascades_as_sqlite3_does() -> None:
    def program(module: Any) -> Any:
        connection = database(module)
        connection.execute("PRAGMA foreign_keys = ON")
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO parent VALUES(?)", [(1,), (2,)])
        cursor.executemany("INSERT INTO child VALUES(?, ?)", [(1, 1), (2, 1), (3, 2)])
        steps = [facts(cursor)]
        cursor.executemany("DELETE FROM parent WHERE id = ?", [(1,), (2,)])
        return steps, facts(cursor), run(cursor, "INSERT INTO child VALUES(9, 9)")

    same(program)


SCRIPTS = [
    "INSERT INTO t VALUES(4, 4, 4); SELECT 1; CREATE TABLE z(a); INSERT INTO z VALUES(1)",
    "BEGIN; INSERT INTO t VALUES(4, 4, 4); nonsense; INSERT INTO t VALUES(5, 5, 5)",
    "INSERT INTO t VALUES(4, 4, 4); INSERT INTO t VALUES(1, 'one', 1); INSERT INTO t VALUES(5, 5, 5);",
    "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO log VALUES(1); INSERT INTO log VALUES(2); END;"
    " INSERT INTO t VALUES(4, 4, 4);",
    "-- only a comment",
    "",
    ";;;",
    "SELECT * FROM t; ; SELECT 2 -- end",
    "PRAGMA user_version = 7; PRAGMA user_version",
    "INSERT INTO t VALUES(4, ';', 4); /* ; */ INSERT INTO t VALUES(5, '''', 5)",
    "SELECT 1\0",
    5,
    None,
]


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_executescript_does_what_sqlite3_does(script: Any) -> None:
    def program(module: Any) -> Any:
        cursor = database(module).cursor()
        cursor.execute("INSERT INTO t VALUES(44, 4, 4) RETURNING a").fetchall()
        done = outcome(lambda: cursor.executescript(script))
        state = facts(cursor), outcome(cursor.fetchall)
        steps = [run(cursor, f"SELECT * FROM {name}") for name in ("t", "log", "z")]
        steps.append(run(cursor, "SELECT type, name, tbl_name, sql FROM sqlite_master"))
        return done, state, steps, run(cursor, "PRAGMA user_version")

    same(program)


@pytest.mark.parametrize("size", [None, 0, 1, 2, 3, 4, -1, "x", 2.0])
def test_fetchmany_gives_what_sqlite3_gives(size: Any) -> None:
    def program(module: Any) -> Any:
        cursor = database(module).cursor()
        cursor.arraysize = 2
        cursor.execute("SELECT * FROM t ORDER BY a")
        sized = [outcome(lambda: cursor.fetchmany() if size is None else cursor.fetchmany(size))]
        sized += [outcome(cursor.fetchone), outcome(lambda: cursor.fetchmany(5)), outcome(cursor.fetchmany)]
        return sized, facts(cursor)

    same(program)


def test_fetches_can_be_mixed_as_with_sqlite3() -> None:
    def program(module: Any) -> Any:
        cursor = connect(module, ":memory:").cursor()
        cursor.execute("WITH r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 12) SELECT n FROM r")
        mixed = [cursor.fetchone(), next(cursor), cursor.fetchmany(3), list(islice(cursor, 2))]
        mixed += [cursor.fetchone(), cursor.fetchall(), cursor.fetchone(), outcome(lambda: next(cursor))]
        return mixed, cursor.fetchmany(2)

    same(program)


def test_text_that_is_not_utf8_fails_at_its_own_row() -> None:
    def program(module: Any) -> Any:
        cursor = connect(module, ":memory:").cursor()
        cursor.execute("SELECT 'fine' AS x UNION ALL SELECT CAST(x'fe' AS TEXT)")
        return [outcome(cursor.fetchone) for _ in range(2)]

    same(program)


@pytest.mark.parametrize("level", ["", "DEFERRED", "immediate", "EXCLUSIVE", None, "other", 5])
def test_isolation_levels_are_those_of_sqlite3(level: Any) -> None:
    def program(module: Any) -> Any:
        opened = outcome(lambda: connect(module, ":memory:", isolation_level=level).isolation_level)
        connection = database(module)
        connection.execute("INSERT INTO log VALUES(1)")
        changed = outcome(lambda: setattr(connection, "isolation_level", level))
        states = [connection.isolation_level, connection.in_transaction]
        for sql in ("INSERT INTO log VALUES(2)", "CREATE TABLE z(a)", "SELECT 1", "UPDATE log SET what = 3"):
            connection.execute(sql)
            states.append(connection.in_transaction)
        connection.rollback()
        return opened, changed, states, connection.execute("SELECT * FROM log").fetchall()

    same(program)


def test_a_block_commits_or_rolls_back_as_with_sqlite3() -> None:
    def program(module: Any) -> Any:
        connection = database(module)
        with connection as entered:
            assert entered is connection
            connection.execute("INSERT INTO log VALUES(1)")
        states = [connection.in_transaction]

        def failing() -> None:
            with connection:
                connection.execute("INSERT INTO log VALUES(2)")
                raise KeyError("x")

        states.append(outcome(failing))
        states.append(connection.in_transaction)
        return states, connection.execute("SELECT * FROM log").fetchall()

    same(program)


def test_a_commit_that_fails_in_a_block_is_rolled_back() -> None:
    def program(module: Any) -> Any:
        connection = connect(module, ":memory:")
        connection.executescript(
            "PRAGMA foreign_keys = ON; CREATE TABLE p(a PRIMARY KEY);"
            "CREATE TABLE c(a REFERENCES p DEFERRABLE INITIALLY DEFERRED)"
        )

        def block() -> None:
            with connection:
                connection.execute("INSERT INTO c VALUES(1)")

        return outcome(block), connection.in_transaction, connection.execute("SELECT * FROM c").fetchall()

    same(program)


def test_a_closed_cursor_says_so() -> None:
    def program(module: Any) -> Any:
        cursor = database(module).execute("SELECT * FROM t")
        cursor.close()
        steps = [outcome(cursor.close), facts(cursor), outcome(lambda: cursor.setinputsizes([1]))]
        steps += [
            outcome(getattr(cursor, name)) for name in ("fetchone", "fetchall", "fetchmany", "__next__")
        ]
        steps += [
            outcome(lambda: cursor.execute("SELECT 1")),
            outcome(lambda: cursor.executescript("SELECT 1")),
        ]
        steps.append(outcome(lambda: cursor.executemany("INSERT INTO log VALUES(?)", [(1,)])))
        return steps

    same(program)


def test_a_closed_connection_says_so() -> None:
    def program(module: Any) -> Any:
        connection = database(module)
        cursor, idle = connection.execute("SELECT * FROM t"), connection.cursor()
        connection.close()
        steps = [outcome(connection.close)]
        methods = ("commit", "rollback", "cursor", "interrupt", "__enter__")
        steps += [outcome(getattr(connection, name)) for name in methods]
        properties = ("in_transaction", "total_changes", "isolation_level")
        steps += [outcome(partial(getattr, connection, name)) for name in properties]
        for used in (connection, cursor, idle):
            steps.append(outcome(lambda used=used: used.execute("SELECT 1")))
            steps.append(outcome(lambda used=used: used.executemany("INSERT INTO log VALUES(?)", [(1,)])))
            steps.append(outcome(lambda used=used: used.executescript("SELECT 1")))
        steps += [outcome(cursor.fetchone), outcome(idle.fetchall), outcome(cursor.close)]
        return steps

    same(program)


@pytest.mark.parametrize("arguments", [(5,), (), ("SELECT 1", (), 3), (b"SELECT 1",), (["SELECT 1"],)])
def test_execute_takes_the_arguments_of_sqlite3(arguments: Any) -> None:
    def program(module: Any) -> Any:
        return outcome(lambda: database(module).cursor().execute(*arguments))[0]

    same(program)


def test_a_table_changed_by_ddl_is_described_anew() -> None:
    def program(module: Any) -> Any:
        connection = database(module)
        cursor = connection.cursor()
        steps = [run(cursor, "SELECT * FROM t")]
        connection.execute("ALTER TABLE t ADD COLUMN d DEFAULT 5")
        steps.append(run(cursor, "SELECT * FROM t"))
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE t RENAME COLUMN d TO e")
        steps.append(run(cursor, "SELECT * FROM t"))
        connection.rollback()
        steps.append(run(cursor, "SELECT * FROM t"))
        return steps

    same(program)


def test_rows_can_be_changed_while_they_are_read() -> None:
    def program(module: Any) -> Any:
        connection = database(module)
        seen = []
        for (a,) in connection.execute("SELECT a FROM t"):
            seen.append(a)
            connection.execute("UPDATE t SET c = c + 10 WHERE a = ?", (a,))
        return seen, typed(connection.execute("SELECT * FROM t").fetchall())

    same(program)


def test_user_dictionaries_bind_by_name() -> None:
    import colonnade

    row = connect(colonnade, ":memory:").execute("SELECT :a", UserDict(a=1)).fetchone()
    assert row == (1,)
