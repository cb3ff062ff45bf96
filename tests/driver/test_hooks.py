"""Hooks see what they would see of sqlite3: the program's statements, also on tables in column format."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colonnade
from tests.driver.twins import MODULES, close_all, connect, outcome, same

SCHEMA = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE u(x);"
Hook = Callable[..., Any]


@pytest.fixture(params=["row", "column"])
def open_(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Opens a database with rows in t; Colonnade's in the storage format of the test."""

    def start(module: Any) -> Any:
        db = connect(module, ":memory:")
        if module is colonnade:
            db.execute(f"PRAGMA storage_format = {request.param}")
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO t VALUES (?, ?)", [(i, str(i)) for i in range(500)])
        db.commit()
        if module is colonnade:
            stored = db.store.table("t") is not None
            assert stored == (request.param == "column")
        return db

    return start


def traced(db: Any) -> list[str]:
    lines: list[str] = []
    db.set_trace_callback(lines.append)
    return lines


def reads(db: Any) -> list[Any]:
    return [
        db.execute("SELECT b FROM t WHERE a = ?", (5,)).fetchall(),
        db.execute("SELECT count(*), sum(a) FROM t WHERE b > :b", {"b": "3"}).fetchall(),
        db.execute("SELECT name, sql FROM sqlite_master WHERE type = ?", ("table",)).fetchall(),
        db.execute("PRAGMA table_info(t)").fetchall(),
    ]


def test_trace_shows_the_programs_statements_with_their_parameters_and_no_others(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        lines = traced(db)
        found = reads(db)
        db.execute("INSERT INTO u VALUES (?)", ("it's",))
        db.commit()
        db.executemany("INSERT INTO u VALUES (?)", [(1.5,), (None,), (b"\x00\xff",)])
        db.rollback()
        db.execute("SAVEPOINT s")
        db.execute("RELEASE s")
        db.executescript("INSERT INTO u VALUES (1);SELECT * FROM t LIMIT 2;")
        db.set_trace_callback(None)
        db.execute("SELECT 1")
        return found, lines

    assert "COMMIT" in same(program)[1]


def test_trace_shows_writes_to_a_table_as_the_program_wrote_them(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        lines = traced(db)
        db.execute("INSERT INTO t VALUES (:a, @b)", {"a": 1000, "b": "x"})
        db.execute("UPDATE t SET b = ? WHERE a = 1", ("z",))
        db.execute("DELETE FROM t WHERE a = 3")
        db.commit()
        return lines

    same(program)


def test_trace_says_a_statement_again_for_each_statement_of_its_triggers() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.executescript(
            SCHEMA + "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (new.a);"
            " INSERT INTO u VALUES (2); END"
        )
        lines = traced(db)
        db.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, "b")])
        return lines

    assert len(same(program)) == 9


def test_trace_shows_statements_of_a_function_as_comments(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        db.create_function("f", 1, lambda x: db.execute("SELECT\n?", (x,)).fetchone()[0])
        lines = traced(db)
        return db.execute("SELECT f(a) FROM t WHERE a < 2").fetchall(), lines

    assert any(line.startswith("-- ") for line in same(program)[1])


def test_a_statement_too_long_to_expand_is_traced_as_it_is(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        limit = db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 300)
        lines = traced(db)
        db.execute("SELECT 1 WHERE 'a' = ?", ("b" * 290,)).fetchall()
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
        return lines

    assert same(program) == ["SELECT 1 WHERE 'a' = ?"]


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_trace_shows_colonnades_own_pragmas_and_rows_that_bulk_load_takes() -> None:
    db = connect(colonnade, ":memory:")
    db.executescript(SCHEMA)
    lines = traced(db)
    db.execute("PRAGMA bulk_load = on")
    db.execute("INSERT INTO t VALUES (?, ?)", (1, "it's"))
    db.executemany("INSERT INTO t VALUES (?, ?)", [(2, "b"), (3, "c")])
    db.executescript("INSERT INTO t VALUES (4, 'd'); INSERT INTO t VALUES (5, 'e');")
    db.execute("UPDATE t SET b = ? WHERE a = 1", (None,))
    assert db.execute("SELECT count(*), count(b) FROM t").fetchall() == [(5, 4)]
    assert [line for line in lines if not line.startswith("BEGIN")] == [
        "PRAGMA bulk_load = on",
        "INSERT INTO t VALUES (1, 'it''s')",
        "INSERT INTO t VALUES (?, ?)",
        *(["COMMIT"] if "COMMIT" in lines else []),
        "INSERT INTO t VALUES (4, 'd');",
        "INSERT INTO t VALUES (5, 'e');",
        "UPDATE t SET b = NULL WHERE a = 1",
        "SELECT count(*), count(b) FROM t",
    ]


def test_the_authorizer_is_asked_about_the_programs_statements_only(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        asked: list[Any] = []
        db.set_authorizer(lambda *what: asked.append(what) or module.SQLITE_OK)
        found = reads(db)
        return found, set(asked)

    assert same(program)[1]


@pytest.mark.parametrize("column", ["a", "b"])
@pytest.mark.parametrize("answer", ["SQLITE_DENY", "SQLITE_IGNORE"])
def test_the_authorizer_hides_a_column_of_a_table_in_any_format(
    open_: Hook, column: str, answer: str
) -> None:
    def program(module: Any) -> Any:
        db = open_(module)

        def allow(action: int, table: str | None, name: str | None, *_: Any) -> int:
            mine = action == module.SQLITE_READ and (table, name) == ("t", column)
            return int(getattr(module, answer)) if mine else 0

        db.set_authorizer(allow)
        query = "SELECT a, b, a + 1 FROM t WHERE b IN ('3', '4') OR a = 7"
        return outcome(lambda: db.execute(query).fetchall()), outcome(
            lambda: db.execute("SELECT 1").fetchall()
        )

    same(program)


@pytest.mark.parametrize("answer", [0, 1, 2, 3, -1, None, "x", 1.0, 2**40, 1 / 3, True, False], ids=repr)
def test_what_an_authorizer_may_answer(answer: Any) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.executescript(SCHEMA)
        db.set_authorizer(lambda *_: answer)
        return outcome(lambda: db.execute("SELECT a FROM t").fetchall())

    same(program)


def test_a_failing_authorizer_denies(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        db.set_authorizer(lambda *_: 1 // 0)
        denied = [
            outcome(lambda sql=sql: db.execute(sql)) for sql in ("SELECT * FROM t", "PRAGMA table_info(t)")
        ]
        db.set_authorizer(None)
        return denied, db.execute("SELECT count(*) FROM t").fetchall()

    assert same(program)[0][0][0] == "DatabaseError"


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (900, 'x')", "UPDATE t SET b = 1", "DELETE FROM t"])
def test_a_denied_write_changes_nothing(open_: Hook, sql: str) -> None:
    actions = {"I": "SQLITE_INSERT", "U": "SQLITE_UPDATE", "D": "SQLITE_DELETE"}

    def program(module: Any) -> Any:
        db = open_(module)
        denied = getattr(module, actions[sql[0]])
        db.set_authorizer(lambda action, *_: module.SQLITE_DENY if action == denied else module.SQLITE_OK)
        failed = outcome(lambda: db.execute(sql))
        return failed, db.in_transaction, db.execute("SELECT count(*), sum(length(b)) FROM t").fetchall()

    same(program)


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (900, 'x')", "UPDATE t SET b = 1", "DELETE FROM t"])
def test_what_bulk_load_would_write_can_be_denied_too(sql: str) -> None:
    db = connect(colonnade, ":memory:", bulk_load=True)
    db.executescript(SCHEMA)
    db.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, "b")])
    writes = (colonnade.SQLITE_INSERT, colonnade.SQLITE_UPDATE, colonnade.SQLITE_DELETE)
    db.set_authorizer(lambda action, *_: action in writes)
    with pytest.raises(colonnade.DatabaseError, match="not authorized"):
        db.execute(sql)
    assert db.execute("SELECT * FROM t").fetchall() == [(1, "a"), (2, "b")]


def test_the_progress_handler_stops_a_statement(open_: Hook) -> None:
    def program(module: Any) -> Any:
        db = open_(module)
        db.set_progress_handler(lambda: True, 50)
        stopped = outcome(lambda: db.execute("SELECT sum(x.a * y.a) FROM t x, t y").fetchall())
        db.set_progress_handler(None, 0)
        return stopped, db.execute("SELECT count(*) FROM t").fetchall()

    assert same(program)[0][1] == "interrupted"


def test_hooks_cost_nothing_until_one_is_set() -> None:
    db = connect(colonnade, ":memory:")
    db.execute("SELECT 1")
    assert db._watch is None
    assert db._db.exec_trace is None


def test_exceptions_in_hooks_are_shown_if_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(module: Any) -> Any:
        shown: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda u: shown.append((u.exc_type, u.object)))
        db = connect(module, ":memory:")
        hook = lambda *_: 1 // 0  # noqa: E731

        def run() -> Any:
            db.set_trace_callback(hook)
            done = [outcome(lambda: db.execute("SELECT 1").fetchall())]
            db.set_trace_callback(None)
            db.set_authorizer(hook)
            done.append(outcome(lambda: db.execute("SELECT 2")))
            db.set_authorizer(None)
            return done

        results = [run()]
        module.enable_callback_tracebacks(True)
        try:
            results.append(run())
        finally:
            module.enable_callback_tracebacks(False)
        return results, [(kind, given is hook) for kind, given in shown]

    assert set(same(program)[1]) == {(ZeroDivisionError, True)}


def test_unraisable_exceptions_are_printed_by_the_standard_hook(capsys: pytest.CaptureFixture[str]) -> None:
    from colonnade import callbacks

    colonnade.enable_callback_tracebacks(True)
    try:
        sys.__unraisablehook__(callbacks._Unraisable((KeyError, KeyError("k"), None, None, "cause")))
    finally:
        colonnade.enable_callback_tracebacks(False)
    assert "KeyError: 'k'" in capsys.readouterr().err


def test_a_missing_extension_is_an_operational_error(tmp_path: Path) -> None:
    db = connect(colonnade, ":memory:")
    with pytest.raises(colonnade.OperationalError, match="not authorized"):
        db.load_extension(str(tmp_path / "none"))
    db.enable_load_extension(True)
    with pytest.raises(colonnade.OperationalError, match="none"):
        db.load_extension(str(tmp_path / "none"), entrypoint="start")


def test_hooks_do_not_keep_the_connection_alive() -> None:
    db = connect(colonnade, ":memory:")
    db.set_trace_callback(print)
    db.set_authorizer(lambda *_: 0)
    db.set_progress_handler(lambda: 0, 10)
    close_all()
    with pytest.raises(colonnade.ProgrammingError):
        db.set_trace_callback(None)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="deprecated from 3.13 on")
@pytest.mark.parametrize("module", MODULES)
def test_naming_positional_parameters_warns(module: Any) -> None:
    db = connect(module, ":memory:")
    for method, arguments in (
        ("set_authorizer", {"authorizer_callback": None}),
        ("set_trace_callback", {"trace_callback": None}),
        ("set_progress_handler", {"progress_handler": None, "n": 1}),
        ("create_function", {"name": "f", "narg": 1, "func": int}),
        ("create_aggregate", {"name": "f", "n_arg": 1, "aggregate_class": int}),
    ):
        with pytest.warns(DeprecationWarning, match=f"{method}\\(\\) is deprecated") as caught:
            getattr(db, method)(**arguments)
        assert caught[0].filename == __file__
