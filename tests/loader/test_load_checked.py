"""Loads with bulk load off: pieces are checked before they are stored, and what is wrong is what sqlite3 would say."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

import colonnade
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import LoadReport
from colonnade.loader.tpch import TPCH_DDL
from tests.loader.test_load_violations import edit, found, make_dirty, put

FAMILY = (
    "CREATE TABLE node (id INTEGER PRIMARY KEY, code TEXT UNIQUE, up INTEGER REFERENCES node);"
    "CREATE TABLE leaf (id INTEGER PRIMARY KEY, node TEXT REFERENCES node (code) DEFERRABLE INITIALLY DEFERRED);"
)


@pytest.fixture
def dirty(tmp_path: Path, tpch_folder: Path) -> Path:
    folder = tmp_path / "dirty"
    shutil.copytree(tpch_folder, folder)
    return folder


def load(folder: Path, database: Path, mode: str, script: str = TPCH_DDL, batch: int = 3000) -> LoadReport:
    connection = colonnade.connect(str(database))
    try:
        options = LoadOptions(on_violation=mode, batch_size=batch, bulk_load=False)
        report: LoadReport = connection.load(folder, options=options, script=script)
        return report
    finally:
        connection.close()


def test_sound_rows_are_checked_once_and_owe_nothing_when_they_are_stored(
    tpch_folder: Path, tmp_path: Path
) -> None:
    report = load(tpch_folder, tmp_path / "t.db", "abort")
    assert report.committed
    rows = {table.table: table.rows for table in report.tables}
    assert len(report.constraints) == 18
    for figures in report.constraints:
        assert figures["rows_checked"] == figures["index_probes"] == rows[figures["table"]], figures
        assert figures["cache_bytes"] == 0 < figures["cache_peak"], figures
    connection = colonnade.connect(str(tmp_path / "t.db"))
    assert connection.execute("PRAGMA constraint_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM lineitem").fetchone() == (rows["lineitem"],)
    connection.close()


@pytest.mark.parametrize("mode", ["report", "quarantine"])
def test_the_violations_are_those_of_a_bulk_load(dirty: Path, tmp_path: Path, mode: str) -> None:
    make_dirty(dirty)
    report = load(dirty, tmp_path / "t.db", mode)
    connection = colonnade.connect(str(tmp_path / "bulk.db"))
    options = LoadOptions(on_violation=mode, batch_size=3000)
    bulk = connection.load(dirty, options=options, script=TPCH_DDL)
    connection.close()
    assert report.violation_count
    assert found(report) == found(bulk)
    assert report.violation_counts == bulk.violation_counts
    assert report.committed == (mode == "quarantine")


def test_abort_ends_at_the_row_at_which_sqlite3_would(dirty: Path, tmp_path: Path) -> None:
    first = (dirty / "orders.tbl").read_text().split("|", 1)[0]
    edit(dirty, "orders", {5001: put(_1="999999"), 5000: put(_0=first), 14_000: put(_1="999999")})
    edit(dirty, "lineitem", {1: put(_1="-1")})
    report = load(dirty, tmp_path / "t.db", "abort")
    assert not report.committed
    assert found(report) == {("orders", "PRIMARY KEY", ("o_orderkey",), 5000)}
    assert report.violation_count == 1
    oracle = sqlite3.connect(":memory:")
    oracle.executescript("PRAGMA foreign_keys = on;" + TPCH_DDL)
    tables = ("region", "nation", "customer", "orders")
    for name in tables:
        lines = (dirty / f"{name}.tbl").read_text().splitlines()
        rows = [line.split("|")[:-1] for line in lines]
        insert = f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})"
        if name != tables[-1]:
            oracle.executemany(insert, rows)
            continue
        with pytest.raises(sqlite3.IntegrityError) as caught:
            oracle.executemany(insert, rows)
        assert oracle.execute("SELECT count(*) FROM orders").fetchone() == (4999,)
        assert str(caught.value) == report.violations[0].message
    oracle.close()


def test_rows_that_refer_to_rows_behind_them_wait_for_the_end_of_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "family"
    folder.mkdir()
    count = 500
    nodes = [f"{i},c{i},{count - i - 1}" for i in range(count)]
    (folder / "node.csv").write_text("id,code,up\n" + "\n".join(nodes) + "\n")
    (folder / "leaf.csv").write_text("id,node\n" + "\n".join(f"{i},c{i}" for i in range(count)) + "\n")
    report = load(folder, tmp_path / "t.db", "abort", FAMILY, batch=50)
    assert report.committed, report.violations
    nodes[450] = "450,c7,3"
    nodes[460] = "460,c460,1000"
    (folder / "node.csv").write_text("id,code,up\n" + "\n".join(nodes) + "\n")
    report = load(folder, tmp_path / "u.db", "abort", FAMILY, batch=50)
    assert not report.committed
    assert {(v.table, v.columns, v.line) for v in report.violations} == {
        ("node", ("code",), 452),
        ("node", ("up",), 462),
    }


def test_rows_without_a_rowid_get_sqlites(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,code\n" + ",a\n7,b\n,c\n" + "".join(f",x{i}\n" for i in range(100)))
    connection = colonnade.connect(":memory:")
    options = LoadOptions(bulk_load=False, null="", batch_size=10)
    report = connection.load(
        tmp_path / "t.csv",
        options=options,
        script="CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT UNIQUE);",
    )
    assert report.committed
    rows = connection.execute("SELECT id, code FROM t ORDER BY id").fetchall()
    assert rows == [(1, "a"), (7, "b"), (8, "c"), *((9 + i, f"x{i}") for i in range(100))]
    connection.close()
