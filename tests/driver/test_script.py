"""Scripts: dumps replay to the same database in every format, errors name their line, memory is bounded."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade import script
from colonnade.sql import literalscan
from tests.driver.twins import connect

SETTINGS = {
    "row": ("PRAGMA storage_format = row",),
    "column": ("PRAGMA storage_format = column",),
    "bulk": ("PRAGMA bulk_load = on",),
}
OBJECTS = """
    CREATE TABLE plain(a, b TEXT, c REAL, d INTEGER, e NUMERIC, f BLOB);
    CREATE TABLE "odd name"(id INTEGER PRIMARY KEY, "select" TEXT DEFAULT 'x', [a,b] INT CHECK([a,b] > -5));
    CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL UNIQUE);
    CREATE TABLE child(id INTEGER PRIMARY KEY, p INT REFERENCES auto(id) ON DELETE CASCADE);
    CREATE TABLE bare(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE sharp(a INT, b TEXT) STRICT;
    CREATE TABLE log(t);
    CREATE INDEX by_b ON plain(b);
    CREATE VIEW seen AS SELECT a, ';' AS s FROM plain WHERE b <> 'x;y';
    CREATE TRIGGER noted AFTER INSERT ON bare BEGIN INSERT INTO log VALUES('a;b' || new.k); SELECT 1; END;
"""
VALUES = [
    *(None, 0, 1, -1, 2**63 - 1, -(2**63), 0.5, -2.25, 1e300, 1e-300, 3.0),
    *(
        "",
        "x",
        "it's",
        "a;b",
        "a\nb",
        "a\r\nb",
        "),(",
        "1",
        "01",
        "1.0",
        "\u00e9\U0001f600",
        "--",
        "NULL",
        "\\n",
    ),
    *(b"", b"\x00\xff", b"'"),
]


def rows_of_values(chosen: random.Random, count: int) -> list[list[Any]]:
    return [chosen.choices(VALUES, k=6) for _ in range(count)] + [[value] * 6 for value in VALUES]


def filled(rows: int = 60) -> sqlite3.Connection:
    """A database of sqlite3's with every kind of object and value in it."""
    db = connect(sqlite3, ":memory:")
    db.executescript(OBJECTS)
    chosen = random.Random(7)
    db.executemany(
        "INSERT INTO plain VALUES(?,?,?,?,?,?)",
        rows_of_values(chosen, rows),
    )
    db.executemany('INSERT INTO "odd name" VALUES(?,?,?)', [(n * 3, f"n {n}", n) for n in range(rows)])
    db.executemany("INSERT INTO auto(v) VALUES(?)", [(f"v{n}",) for n in range(rows)])
    db.execute("DELETE FROM auto WHERE id = (SELECT max(id) FROM auto)")
    db.executemany("INSERT INTO child VALUES(?,?)", [(n, n) for n in range(1, rows)])
    db.executemany("INSERT INTO bare VALUES(?,?)", [(f"k{n}", n) for n in range(9)])
    db.executemany("INSERT INTO sharp VALUES(?,?)", [(n, str(n)) for n in range(rows)])
    db.commit()
    return db


def content(db: Any) -> dict[str, Any]:
    """Objects and rows, with the storage class of each value."""
    found: dict[str, Any] = {
        "schema": sorted(
            db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
        )
    }
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [row[1] for row in db.execute(f'PRAGMA table_info("{name}")').fetchall()]
        if not columns:  # a virtual table that only a connection opened later sees
            continue
        listed = ", ".join(f'"{column}", typeof("{column}")' for column in columns)
        found[name] = sorted(map(repr, db.execute(f'SELECT {listed} FROM "{name}"').fetchall()))
    return found


def replayed(dump: str, setting: str) -> Any:
    db = connect(colonnade, ":memory:")
    for pragma in SETTINGS[setting]:
        db.execute(pragma)
    db.executescript(dump)
    return db


def by_program(folder: Path) -> str:
    """What the sqlite3 program dumps, with functions in it and `PRAGMA writable_schema`."""
    program = shutil.which("sqlite3")
    if program is None:
        pytest.skip("no sqlite3 program")
    path = folder / "source.db"
    target = connect(sqlite3, path)
    filled().backup(target)
    with suppress(sqlite3.OperationalError):  # SQLite without FTS5
        target.execute("CREATE VIRTUAL TABLE words USING fts5(t)")
        target.execute("INSERT INTO words VALUES('some words')")
        target.commit()
    return subprocess.run([program, path, ".dump"], capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_dump_of_iterdump_replays_to_the_same_database(setting: str) -> None:
    source = filled()
    db = replayed("\n".join(source.iterdump()), setting)
    assert content(db) == content(source)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_dump_of_the_sqlite3_program_replays_to_the_same_database(setting: str, tmp_path: Path) -> None:
    dump = by_program(tmp_path)
    db = replayed(dump, setting)
    expected = connect(sqlite3, ":memory:")
    expected.executescript(dump)
    found = content(db)
    for name, rows in content(expected).items():
        assert found[name] == rows, name
    assert found["plain"] == content(filled())["plain"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_counters_after_a_script_are_those_of_sqlite3(setting: str) -> None:
    text = "CREATE TABLE t(a INTEGER PRIMARY KEY, b);\nBEGIN;\n"
    text += (
        "".join(f"INSERT INTO t VALUES({n},'v{n}');\n" for n in range(3, 203))
        + "INSERT INTO t VALUES(900,1),(800,2);\n"
    )
    text += "CREATE TABLE counted AS SELECT changes() AS c, total_changes() AS t, last_insert_rowid() AS r;"
    found = []
    for module in (sqlite3, colonnade):
        db = connect(module, ":memory:")
        if module is colonnade:
            db.execute(SETTINGS[setting][0])
        db.executescript(text)
        found.append((db.execute("SELECT * FROM counted").fetchall(), db.in_transaction, db.total_changes))
    assert found[0] == found[1]


def lines(count: int) -> Iterator[str]:
    yield "CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL, CHECK(a <> 777777));"
    for n in range(count):
        yield f"INSERT INTO t VALUES({n},\n'v{n}');"


FAULTS = [
    "INSERT INTO t VALUES(1000000,\nNULL);",
    "INSERT INTO t VALUES(777777, 1);",
    "INSERT INTO t VALUES(1);",
    "INSERT INTO nope VALUES(1,2);",
    "INSERT INTO t VALUES(1000000, 1), (1000001, NULL);",
    "INSERT INTO t VALUES(1000000, nope);",
    "SELEC 1;",
    "PRAGMA bulk_load = maybe;",
    "-- comment\n/* one\n more */ INSERT INTO t VALUES('x',\n1);",
    "SELECT 1 FROM t WHERE abs(-9223372036854775807 - 1 + a * 0);",
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("before", [3, 100])
def test_an_error_names_statement_and_line_and_what_ran_before_stays(
    setting: str, fault: str, before: int
) -> None:
    text = "\n".join([*lines(before), fault, *(f"INSERT INTO t VALUES({n},9);" for n in range(2000, 2040))])
    db = connect(colonnade, ":memory:")
    db.execute(SETTINGS[setting][0])
    with pytest.raises(colonnade.Error) as raised:
        db.executescript(text)
    start = fault.index("INSERT") if fault.startswith("--") else 0
    line = 2 + 2 * before + fault.count("\n", 0, start)
    assert raised.value.script_line == line  # type: ignore[attr-defined]
    assert raised.value.script_statement == fault[start:]  # type: ignore[attr-defined]
    assert raised.value.__notes__[0].startswith(f"line {line} of the script: {fault[start:][:6]}")
    assert db.execute("SELECT count(*), max(a) FROM t").fetchall() == [(before, before - 1)]
    if "bulk_load" not in fault:
        plain = connect(sqlite3, ":memory:")
        with pytest.raises(sqlite3.Error) as expected:
            plain.executescript(text)
        assert (str(raised.value), type(raised.value).__name__) == (
            str(expected.value),
            type(expected.value).__name__,
        )


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_key_that_repeats_outside_a_transaction_ends_a_bulk_script_at_its_statement() -> None:
    text = "\n".join(
        [
            *lines(60),
            "INSERT INTO t VALUES(30,1);",
            *(f"INSERT INTO t VALUES({n},9);" for n in range(100, 140)),
        ]
    )
    db = connect(colonnade, ":memory:")
    db.execute("PRAGMA bulk_load = on")
    with pytest.raises(colonnade.IntegrityError, match=r"^UNIQUE constraint failed: t.a ") as raised:
        db.executescript(text)
    assert raised.value.script_line == 122  # type: ignore[attr-defined]
    assert db.execute("SELECT count(*) FROM t").fetchone() == (60,)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("size", [1, 2, 7, 40, 1000])
def test_a_statement_may_be_cut_by_a_block_at_any_place(
    setting: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "BLOCK_CHARACTERS", size)
    source = filled(rows=4)
    dump = "-- a;b\n" + "\n".join(source.iterdump()) + "\nSELECT 1; -- ; end"
    assert content(replayed(dump, setting)) == content(source)


def test_savepoints_parameters_and_pragmas_do_what_they_do_in_sqlite3() -> None:
    text = """
        CREATE TABLE t(a, b); BEGIN; INSERT INTO t VALUES('pragma ?', :x); SAVEPOINT s; INSERT INTO t VALUES(?, ?2);
        ROLLBACK TO s; RELEASE s; INSERT INTO t VALUES($a, @b); SELECT * FROM t; PRAGMA user_version = 7; COMMIT
    """
    found = []
    for module in (sqlite3, colonnade):
        db = connect(module, ":memory:")
        db.executescript(text)
        found.append((db.execute("SELECT * FROM t").fetchall(), db.execute("PRAGMA user_version").fetchall()))
    assert found[0] == found[1]


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_long_list_of_rows_is_read_as_columns_and_all_or_nothing() -> None:
    db = connect(colonnade, ":memory:")
    db.execute("PRAGMA bulk_load = on")
    db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL)")
    rows = ",".join(f"({n}, 'v{n}')" for n in range(5000))
    cursor = db.execute(f"INSERT INTO t VALUES {rows}")
    assert (cursor.rowcount, cursor.lastrowid) == (5000, 4999)
    more = ",".join(f"({n}, 'v')" for n in range(5000, 9000))
    with pytest.raises(colonnade.IntegrityError, match="NOT NULL constraint failed: t.b"):
        db.execute(f"INSERT INTO t VALUES {more}, (9000, NULL)")
    db.execute(f"INSERT INTO t VALUES {more}, (9000, abs(-1))")
    assert db.execute("SELECT count(*), sum(a), max(b) FROM t WHERE a < 9001").fetchone() == (
        9001,
        40504500,
        "v999",
    )
    db.commit()
    assert db.execute("PRAGMA storage_report(t)").fetchone()[1] == "column"


@pytest.mark.parametrize(("storage_format", "most"), [("row", 0), ("auto", 6)])
def test_statements_that_bulk_load_does_not_take_are_not_read_ahead_each_time(
    storage_format: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned = []
    scan = literalscan.scan
    monkeypatch.setattr(literalscan, "scan", lambda *args, **more: scanned.append(1) or scan(*args, **more))
    db = connect(colonnade, ":memory:")
    db.execute(f"PRAGMA storage_format = {storage_format}")
    db.execute("PRAGMA bulk_load = on")
    inserts = "".join(f"INSERT INTO t VALUES({n}, 'v{n}');" for n in range(500))
    # Of the same head, but into a table that bulk load takes; then into one that it does not take again.
    again = f"DROP TABLE t; CREATE TABLE t(a INTEGER PRIMARY KEY, b); {inserts} DELETE FROM t WHERE a > 99;"
    other = f"ALTER TABLE t RENAME TO u; CREATE TABLE t(a PRIMARY KEY, b) WITHOUT ROWID; {inserts}"
    for text in (f"CREATE TABLE t(a PRIMARY KEY, b) WITHOUT ROWID; {inserts}", again, other):
        db.executescript(f"BEGIN; {text} COMMIT;")
    assert len(scanned) <= most
    assert db.execute("SELECT (SELECT count(*) FROM t), count(*), max(b) FROM u").fetchone() == (
        500,
        100,
        "v99",
    )
    assert db._plain is (storage_format == "row")


def test_hooks_see_the_statements_of_a_script_and_no_others() -> None:
    text = "CREATE TABLE t(a); INSERT INTO t VALUES(1); PRAGMA user_version = 3;"
    text += "SAVEPOINT s; RELEASE s; SELECT * FROM t;"
    found = []
    for module in (sqlite3, colonnade):
        db = connect(module, ":memory:")
        seen: list[str] = []
        db.set_trace_callback(seen.append)
        db.executescript(text)
        found.append([statement.strip().rstrip(";") for statement in seen])
    assert found[0] == found[1]


MEASURE = """
import resource, sys, colonnade
from colonnade import script
from colonnade.sql import literalscan
db = colonnade.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "bulk":
    db.execute("PRAGMA bulk_load = on")
db.executescript("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);")
def blocks(count):
    yield "BEGIN;"
    for start in range(0, count, 1000):
        numbers = range(start, start + 1000)
        yield "".join(f"INSERT INTO t VALUES({n},'some text of the row {n}',{n}.25);\\n" for n in numbers)
    yield "COMMIT;"
db._session.execute_script(blocks(int(sys.argv[3])))
print(db.execute("SELECT count(*) FROM t").fetchone()[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["row", "bulk"])
def test_memory_does_not_grow_with_the_script(setting: str, tmp_path: Path) -> None:
    peaks = []
    for count in (400_000, 2_000_000):  # 25 and 125 MB of text
        database = str(tmp_path / f"{count}.db")
        command = [sys.executable, "-c", MEASURE, database, setting, str(count)]
        told = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        assert int(told[0]) == count
        peaks.append(int(told[1]))
    assert peaks[1] < peaks[0] + 40
