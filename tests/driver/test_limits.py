"""Limits, switches, constants and the functions of the module, compared with sqlite3's."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

import pytest

import colonnade
import colonnade.dbapi2
from tests.driver.twins import connect, outcome, same


def test_every_name_of_sqlite3_is_there_with_the_same_value() -> None:
    names = {name for name in dir(sqlite3) if not name.startswith("_")} - {"collections", "datetime", "time"}
    names -= {"version", "version_info"} if sys.version_info >= (3, 12) else set()
    assert len(names) > 180
    assert sorted(name for name in names if not hasattr(colonnade, name)) == []
    for name in names:
        if name.startswith(("SQLITE_", "PARSE_", "LEGACY_")):
            assert getattr(colonnade, name) == getattr(sqlite3, name), name
        assert hasattr(colonnade.dbapi2, name), name


def test_all_names_are_exported() -> None:
    found: dict[str, Any] = {}
    exec("from colonnade import *", found)
    assert found["SQLITE_DENY"] == sqlite3.SQLITE_DENY
    assert set(colonnade.__all__) <= set(found)


def test_the_version_of_sqlite3_is_deprecated_from_3_12_on() -> None:
    if sys.version_info < (3, 12):
        assert (colonnade.version, colonnade.version_info) == ("2.6.0", (2, 6, 0))
        return
    with pytest.warns(DeprecationWarning, match="version is deprecated") as caught:
        assert colonnade.version == "2.6.0"
    assert caught[0].filename == __file__


@pytest.mark.parametrize("category", [-1, 0, 3, 11, 12, 1111, 2**40, "x"])
def test_limits_by_category(category: Any) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        if category in (0, 3, 11):
            return db.setlimit(category, 100), db.getlimit(category), db.setlimit(category, -1)
        if category == 12:  # of a newer SQLite
            return None
        return outcome(lambda: db.getlimit(category))

    if category in (0, 3, 11):
        assert program(colonnade)[1:] == program(sqlite3)[1:]
    else:
        same(program)


def test_a_limit_holds() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.setlimit(module.SQLITE_LIMIT_LENGTH, 100)
        db.setlimit(module.SQLITE_LIMIT_VARIABLE_NUMBER, 1)
        return outcome(lambda: db.execute("SELECT zeroblob(101)").fetchall()), outcome(
            lambda: db.execute("SELECT ?2")
        )

    assert same(program)[0][0] == "DataError"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="getconfig() is of 3.12")
def test_switches() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        found: list[Any] = []
        for name in [name for name in dir(sqlite3) if name.startswith("SQLITE_DBCONFIG_")]:
            if name.endswith("RESET_DATABASE"):
                continue
            code = getattr(module, name)
            before = db.getconfig(code)
            db.setconfig(code, not before)
            found.append((name, db.getconfig(code) == (not before)))
            db.setconfig(code, before)
        wrong = [outcome(lambda op=op: db.getconfig(op)) for op in (-1, 1000, 1001, 5000, 2**40)]
        db.setconfig(module.SQLITE_DBCONFIG_ENABLE_FKEY)
        return found, wrong, db.execute("PRAGMA foreign_keys").fetchall()

    assert same(program)[2] == [(1,)]


def test_complete_statements() -> None:
    texts = ["", "SELECT 1", "SELECT 1;", "SELECT ';", "-- ;", "CREATE TRIGGER t BEGIN SELECT 1;", 1, None]

    def program(module: Any) -> Any:
        return [outcome(lambda text=text: module.complete_statement(text)) for text in texts]

    same(program)


def test_closed_connections_have_no_limits() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.close()
        return [outcome(call) for call in (lambda: db.getlimit(0), lambda: db.setlimit(0, 1), db.interrupt)]

    same(program)
