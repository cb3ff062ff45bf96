"""Quarantine: rows that break something, and rows whose parent was rejected, with what there is to say about them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import LoadReport, write_json
from colonnade.loader.violationlog import ViolationLog
from colonnade.loader.violations import Violation

CHAIN = """
CREATE TABLE a(id INTEGER PRIMARY KEY, size INTEGER NOT NULL);
CREATE TABLE b(id INTEGER PRIMARY KEY, a INTEGER CONSTRAINT b_of_a REFERENCES a);
CREATE TABLE c(id INTEGER PRIMARY KEY, b INTEGER REFERENCES b(id), code TEXT CONSTRAINT one_code UNIQUE);
CREATE TABLE d(id INTEGER PRIMARY KEY, c TEXT REFERENCES c(code));
"""


def write(folder: Path, **tables: list[tuple[Any, ...]]) -> str:
    folder.mkdir(exist_ok=True)
    for table, rows in tables.items():
        lines = (",".join("" if value is None else str(value) for value in row) for row in rows)
        (folder / f"{table}.csv").write_text("".join(f"{line}\n" for line in lines))
    return str(folder)


def load(connection: colonnade.Connection, folder: str, script: str | None, **more: Any) -> LoadReport:
    options = LoadOptions(**{"on_violation": "quarantine", "null": "", "header": "no", **more})
    report: LoadReport = connection.load(folder, script=script, options=options)
    return report


def rejected(connection: colonnade.Connection, table: str, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(f"reject_{column}" for column in columns)
    rows: list[tuple[Any, ...]] = connection.execute(
        f"SELECT id, {names} FROM {table}_rejects ORDER BY id"
    ).fetchall()
    return rows


def orphans_of(connection: colonnade.Connection) -> list[tuple[Any, ...]]:
    """What SQLite itself says of what was committed, row by row."""
    oracle = sqlite3.connect(":memory:")
    oracle.executescript("".join(connection.iterdump()))
    found = oracle.execute("PRAGMA foreign_key_check").fetchall()
    oracle.close()
    return found


@pytest.mark.parametrize("batch_size", [0, 2])
def test_rows_whose_parent_was_rejected_are_rejected_with_that_reason(
    tmp_path: Path, batch_size: int
) -> None:
    folder = write(
        tmp_path / "data",
        a=[(1, 5), (2, None), (3, 7)],
        b=[(10, 1), (11, 2), (12, 99), (13, None)],
        c=[(20, 10, "x"), (21, 11, "y"), (22, 12, "z"), (23, 13, "x")],
        d=[(30, "x"), (31, "y"), (32, "z"), (33, "nowhere"), (34, None)],
    )
    connection = colonnade.connect(str(tmp_path / "t.db"))
    report = load(connection, folder, CHAIN, batch_size=batch_size)
    assert report.committed
    what = ("line", "rowid", "kind", "constraint", "parent", "reason")
    assert rejected(connection, "a", *what) == [
        (2, 2, None, "NOT NULL", "size", None, "NOT NULL constraint failed: a.size")
    ]
    of_a, of_b = "FOREIGN KEY b_of_a (a) REFERENCES a (id)", "FOREIGN KEY (b) REFERENCES b (id)"
    assert rejected(connection, "b", *what) == [
        (11, 2, 11, "FOREIGN KEY", "b_of_a", "a", f"{of_a}: its row of a was rejected"),
        (12, 3, 12, "FOREIGN KEY", "b_of_a", "a", of_a),
    ]
    lost = f"{of_b}: its row of b was rejected"
    assert rejected(connection, "c", *what) == [
        (21, 2, 21, "FOREIGN KEY", of_b, "b", lost),
        (22, 3, 22, "FOREIGN KEY", of_b, "b", lost),
        (23, 4, 23, "UNIQUE", "one_code", None, "UNIQUE one_code (code)"),
    ]
    reasons = dict(rejected(connection, "d", "reason"))
    of_c = "FOREIGN KEY (c) REFERENCES c (code)"
    assert reasons == {
        31: f"{of_c}: its row of c was rejected",
        32: f"{of_c}: its row of c was rejected",
        33: of_c,
    }
    assert [row[0] for row in connection.execute("SELECT id FROM d ORDER BY id")] == [30, 34]
    assert orphans_of(connection) == []
    assert {(table.table, table.rejected) for table in report.tables} == {
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("d", 3),
    }
    assert connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%rejects_%'").fetchall() == []
    connection.close()


def test_rows_that_refer_to_their_own_table_go_link_by_link(tmp_path: Path) -> None:
    script = "CREATE TABLE e(id INTEGER PRIMARY KEY, boss INTEGER REFERENCES e, twin INTEGER UNIQUE)"
    chain = [(n, n - 1, n) for n in range(3, 9)]
    folder = write(tmp_path / "data", e=[(1, None, 1), (2, 77, 2), *chain, (20, 1, 20), (21, 20, 3)])
    connection = colonnade.connect(str(tmp_path / "t.db"))
    assert load(connection, folder, script).committed
    own = "FOREIGN KEY (boss) REFERENCES e (id)"
    expected = (
        {2: own} | dict.fromkeys(range(3, 9), f"{own}: its row of e was rejected") | {21: "UNIQUE (twin)"}
    )
    assert dict(rejected(connection, "e", "reason")) == expected
    assert connection.execute("SELECT id FROM e ORDER BY id").fetchall() == [(1,), (20,)]
    connection.close()


def test_a_row_that_breaks_several_constraints_moves_once_with_all_of_them(tmp_path: Path) -> None:
    script = (
        "CREATE TABLE p(id INTEGER PRIMARY KEY);"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER UNIQUE, y INTEGER REFERENCES p, z INTEGER REFERENCES p)"
    )
    folder = write(tmp_path / "data", p=[(1,)], t=[(1, 5, 1, 1), (2, 5, 8, 9)])
    connection = colonnade.connect(str(tmp_path / "t.db"))
    load(connection, folder, script)
    assert rejected(connection, "t", "kind", "constraint", "parent", "reason") == [
        (
            2,
            "UNIQUE; FOREIGN KEY; FOREIGN KEY",
            "UNIQUE (x); FOREIGN KEY (y) REFERENCES p (id); FOREIGN KEY (z) REFERENCES p (id)",
            "p; p",
            "UNIQUE (x); FOREIGN KEY (y) REFERENCES p (id); FOREIGN KEY (z) REFERENCES p (id)",
        )
    ]
    connection.close()


@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM"])
def test_a_lost_parent_is_known_by_the_parents_affinity_and_collation(tmp_path: Path, collation: str) -> None:
    script = (
        f"CREATE TABLE p(k TEXT COLLATE {collation} PRIMARY KEY, v INTEGER NOT NULL);"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, k NUMERIC REFERENCES p)"
    )
    folder = write(
        tmp_path / "data", p=[("7", None), ("Ab", None)], t=[(1, "7"), (2, "ab"), (3, "Ab  "), (4, "q")]
    )
    connection = colonnade.connect(str(tmp_path / "t.db"))
    load(connection, folder, script)
    lost = {key for key, reason in rejected(connection, "t", "reason") if reason.endswith("was rejected")}
    assert lost == {1} | {"BINARY": set(), "NOCASE": {2}, "RTRIM": {3}}[collation]
    connection.close()


def test_rows_of_the_row_part_and_of_row_format_are_moved_too(tmp_path: Path) -> None:
    script = (
        "CREATE TABLE p(id INTEGER PRIMARY KEY);"
        "CREATE TABLE odd(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, twice AS (id * 2))"
    )
    folder = write(tmp_path / "data", p=[(1,)], odd=[(n, n % 3) for n in range(10_000)])
    connection = colonnade.connect(str(tmp_path / "t.db"))
    connection.execute("PRAGMA foreign_keys = on")
    report = load(connection, folder, script)
    assert report.committed
    assert connection.execute("SELECT count(*), min(p), max(p) FROM odd").fetchone() == (3333, 1, 1)
    query = "SELECT count(*), sum(id), count(reject_line), max(reject_parent) FROM odd_rejects"
    assert connection.execute(query).fetchone() == (6667, sum(n for n in range(10_000) if n % 3 != 1), 0, "p")
    connection.close()


def test_a_rejects_table_of_another_time_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    connection = colonnade.connect(str(tmp_path / "t.db"))
    connection.execute("CREATE TABLE p_rejects(reject_source TEXT, reject_reason TEXT, id)")
    connection.execute("INSERT INTO p_rejects VALUES (NULL, 'long ago', 5)")
    connection.commit()
    script = (
        "CREATE TABLE p(id INTEGER PRIMARY KEY, v TEXT NOT NULL); CREATE TABLE t(id INT, p INT REFERENCES p)"
    )
    folder = write(tmp_path / "data", p=[(1, "x"), (2, None)], t=[(1, 1), (2, 2), (3, 5)])
    load(connection, folder, script)
    assert connection.execute("SELECT id, reject_line, v FROM p_rejects").fetchall() == [
        (5, None, None),
        (2, 2, None),
    ]
    reasons = [row[1] for row in rejected(connection, "t", "reason")]
    assert all(reason.endswith("its row of p was rejected") for reason in reasons)
    connection.close()


def test_rejects_of_a_load_before_may_be_in_column_format(tmp_path: Path) -> None:
    connection = colonnade.connect(str(tmp_path / "t.db"))
    script = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT NOT NULL)"
    load(connection, write(tmp_path / "one", t=[(1, None), (2, "x")]), script)
    connection.store.convert("t_rejects")
    load(connection, write(tmp_path / "two", t=[(3, None), (4, "x")]), None)
    assert [row[0] for row in connection.execute("SELECT id FROM t_rejects")] == [1, 3]
    connection.close()


CHILD = """
import json, sys
from pathlib import Path
import colonnade
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import write_json
def resident(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
count, mode, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
script = (
    "CREATE TABLE p(id INTEGER PRIMARY KEY);"
    "CREATE TABLE t(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, v INTEGER UNIQUE)"
)
connection = colonnade.connect(str(folder / f"{count}.db"))
options = LoadOptions(on_violation=mode, memory_limit=8 << 20)
(folder / "warm").mkdir(exist_ok=True)
(folder / "warm" / "p.csv").write_text("id\\n1\\n")
connection.load(str(folder / "warm"), script=script, options=options)
if mode == "report":
    connection.executescript(script.replace("TABLE", "TABLE IF NOT EXISTS"))
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
with open(folder / "t.csv", "w") as file:
    file.write("id,p,v\\n")
    for start in range(0, count, 10_000):
        file.writelines(f'{n},"{n + 5}",{n // 2}\\n' for n in range(start, start + 10_000))
report = connection.load(str(folder / "t.csv"), options=options)
with open(folder / "report.json", "w") as out:
    write_json(report, out)
figures = {"growth": resident("VmHWM") - before}
print(json.dumps(figures | {"found": report.violation_count, "named": len(report.violations)}))
"""


def growth(count: int, mode: str, folder: Path) -> dict[str, int]:
    """What a load of `count` rows does of which each breaks a foreign key, and half of them a UNIQUE as well."""
    folder.mkdir()
    command = [sys.executable, "-c", CHILD, str(count), mode, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["quarantine", "report"])
@pytest.mark.parametrize(
    ("few", "many"), [(20_000, 160_000), pytest.param(200_000, 1_400_000, marks=pytest.mark.slow)]
)
def test_memory_does_not_grow_with_the_number_of_violations(
    tmp_path: Path, mode: str, few: int, many: int
) -> None:
    small, large = growth(few, mode, tmp_path / "few"), growth(many, mode, tmp_path / "many")
    assert (small["found"], large["found"]) == (few * 3 // 2, many * 3 // 2)
    assert large["named"] == (100 if mode == "quarantine" else many * 3 // 2)
    # A Violation takes 500 bytes: these would be 100 MB in the small test, 900 in the large one.
    assert large["growth"] - small["growth"] < 60_000_000
    report = json.loads((tmp_path / "many" / "report.json").read_text())
    assert len(report["violations"]) == large["named"]
    first = report["violations"][0]
    assert (first["table"], first["line"] - first["rowid"], first["source"][-5:]) == ("t", 2, "t.csv")
    if mode == "quarantine":
        connection = colonnade.connect(str(tmp_path / "many" / f"{many}.db"))
        figures = "count(*), count(DISTINCT reject_line), min(reject_line - id), max(reject_line - id)"
        query = f"SELECT {figures} FROM t_rejects"
        assert connection.execute(query).fetchone() == (many, many, 2, 2)
        both = "SELECT count(*) FROM t_rejects WHERE reject_kind = 'UNIQUE; FOREIGN KEY'"
        assert connection.execute(both).fetchone() == (many // 2,)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        connection.close()


def test_a_report_as_json_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", a=[(1, 5)], b=[(10, 1), (11, 2), (12, 99)], c=[], d=[])
    connection = colonnade.connect(":memory:")
    report = load(connection, folder, CHAIN, on_violation="report")
    connection.close()
    with (tmp_path / "out.json").open("w") as out:
        write_json(report, out)
    written = json.loads((tmp_path / "out.json").read_text())
    assert written == json.loads(json.dumps(report.to_json()))
    assert [violation["rowid"] for violation in written["violations"]] == [11, 12]


def test_a_log_gives_back_what_it_took_in_order_from_memory_and_from_its_file() -> None:
    values = [(None,), (b"\0\xff", -1.5), ("text", 2**62, None), ("", float("inf")), (7,)]
    found = [
        Violation(
            f"t{n % 3}",
            "c",
            "UNIQUE",
            n or None,
            None if n % 2 else "f.csv",
            n,
            ("x",) * len(v),
            v,
            None,
            f"m{n}",
        )
        for n, v in enumerate(values * 50)
    ]
    for in_memory in (0, 3, 1000):
        log = ViolationLog(in_memory)
        for start in range(0, len(found), 7):
            log.extend(iter(found[start : start + 7]))
        assert len(log) == len(found)
        assert list(log) == found
        assert log[2:9] == found[2:9]
        assert log[::-50] == found[::-50]
        assert (log[0], log[5], log[-1]) == (found[0], found[5], found[-1])
        with pytest.raises(IndexError):
            log[len(found)]


ODD = """
CREATE TABLE p(id INTEGER PRIMARY KEY);
CREATE TABLE odd(id INTEGER PRIMARY KEY, v TEXT CONSTRAINT one UNIQUE, p INTEGER REFERENCES p, w AS (id * 2));
CREATE TRIGGER no_four AFTER INSERT ON odd WHEN new.id = 4 BEGIN SELECT RAISE(ABORT, 'no four'); END;
"""
ODD_ROWS = [
    (1, "a", 1),
    (2, "b", 1),
    (2, "c", 1),
    (3, "a", 1),
    (4, "d", 1),
    (5, "e", 7),
    (6, "e", 1),
    (7, "f", None),
]


@pytest.mark.parametrize("mode", ["abort", "report", "quarantine"])
def test_rows_that_sqlite_refuses_are_found_in_row_format_too(tmp_path: Path, mode: str) -> None:
    folder = write(tmp_path / "data", p=[(1,)], odd=ODD_ROWS)
    connection = colonnade.connect(str(tmp_path / "t.db"))
    if mode == "abort":
        with pytest.raises(colonnade.IntegrityError, match="UNIQUE constraint failed: odd.id"):
            load(connection, folder, ODD, on_violation=mode)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        connection.close()
        return
    report = load(connection, folder, ODD, on_violation=mode)
    assert report.committed == (mode == "quarantine")
    found = [(v.line, v.constraint, v.kind, v.columns, v.values, v.message) for v in report.violations]
    unique = "UNIQUE constraint failed: odd"
    assert found == [
        (3, "PRIMARY KEY (id)", "PRIMARY KEY", ("id",), (2,), f"{unique}.id"),
        (4, "one", "UNIQUE", ("v",), ("a",), f"{unique}.v"),
        (5, "TRIGGER", "TRIGGER", (), (), "no four"),
        (7, "one", "UNIQUE", ("v",), ("e",), f"{unique}.v"),
        (
            None,
            "FOREIGN KEY (p) REFERENCES p (id)",
            "FOREIGN KEY",
            ("p",),
            (7,),
            "FOREIGN KEY constraint failed",
        ),
    ]
    if mode == "quarantine":
        assert connection.execute("SELECT * FROM odd").fetchall() == [
            (1, "a", 1, 2),
            (2, "b", 1, 4),
            (7, "f", None, 14),
        ]
        assert rejected(connection, "odd", "line", "kind", "constraint", "reason") == [
            (2, 3, "PRIMARY KEY", "PRIMARY KEY (id)", "PRIMARY KEY (id)"),
            (3, 4, "UNIQUE", "one", "UNIQUE one (v)"),
            (4, 5, "TRIGGER", None, "no four"),
            (
                5,
                None,
                "FOREIGN KEY",
                "FOREIGN KEY (p) REFERENCES p (id)",
                "FOREIGN KEY (p) REFERENCES p (id)",
            ),
            (6, 7, "UNIQUE", "one", "UNIQUE one (v)"),
        ]
        (of_p, of_odd) = report.tables
        assert (of_p.rows, of_odd.rows, of_odd.rejected) == (1, 3, 5)
    connection.close()
