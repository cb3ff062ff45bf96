"""Dirty copies of TPC-H with known violations at known lines: exactly those are found, nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import colonnade
from colonnade.loader.load import load_files
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import LoadReport
from colonnade.loader.sources import LoadError
from colonnade.loader.tpch import TPCH_DDL

Edit = Callable[[list[str]], None]


@pytest.fixture
def dirty(tmp_path: Path, tpch_folder: Path) -> Path:
    folder = tmp_path / "dirty"
    shutil.copytree(tpch_folder, folder)
    return folder


def edit(folder: Path, table: str, changes: dict[int, Callable[[list[str]], list[str]]]) -> None:
    """Change the fields of some lines (counted from 1) of a table's file."""
    path = folder / f"{table}.tbl"
    lines = path.read_text().splitlines()
    for line, change in changes.items():
        lines[line - 1] = "|".join([*change(lines[line - 1].split("|")[:-1]), ""])
    path.write_text("\n".join(lines) + "\n")


def put(**fields: str) -> Callable[[list[str]], list[str]]:
    """Fields by position: put(_0='7')."""

    def change(row: list[str]) -> list[str]:
        for place, value in fields.items():
            row[int(place[1:])] = value
        return row

    return change


def load(folder: Path, database: Path, mode: str, **more: object) -> LoadReport:
    connection = colonnade.connect(str(database))
    try:
        options = LoadOptions(on_violation=mode, batch_size=3000, **more)  # type: ignore[arg-type]
        return load_files(connection.store, [str(folder)], options, script=TPCH_DDL)
    finally:
        connection.close()


def found(report: LoadReport) -> set[tuple[str, str, tuple[str, ...], int | None]]:
    return {(v.table, v.kind, v.columns, v.line) for v in report.violations}


def make_dirty(folder: Path) -> set[tuple[str, str, tuple[str, ...], int | None]]:
    """Every kind of key violation; returns what should be found."""
    first_order = (folder / "orders.tbl").read_text().split("|", 1)[0]
    edit(folder, "customer", {700: put(_0="5"), 900: put(_3="77")})
    edit(folder, "orders", {14_000: put(_0=first_order), 20: put(_1="999999")})
    edit(folder, "partsupp", {5_000: put(_0="1", _1="2")})
    edit(folder, "lineitem", {
        40_000: put(_0="1", _3="1", _1="1", _2="2"),
        50_000: put(_1="3", _2="1"),
        100: put(_0="3"),
    })  # fmt: skip
    return {
        ("customer", "PRIMARY KEY", ("c_custkey",), 700),
        ("customer", "FOREIGN KEY", ("c_nationkey",), 900),
        ("orders", "PRIMARY KEY", ("o_orderkey",), 14_000),
        ("orders", "FOREIGN KEY", ("o_custkey",), 20),
        ("partsupp", "PRIMARY KEY", ("ps_partkey", "ps_suppkey"), 5_000),
        ("lineitem", "PRIMARY KEY", ("l_orderkey", "l_linenumber"), 40_000),
        ("lineitem", "FOREIGN KEY", ("l_partkey", "l_suppkey"), 50_000),
    }


def test_report_finds_exactly_the_violations_and_rolls_back(dirty: Path, tmp_path: Path) -> None:
    expected = make_dirty(dirty)
    report = load(dirty, tmp_path / "t.db", "report")
    assert not report.committed
    assert expected <= found(report)
    for table, kind, columns, line in found(report) - expected:
        # What follows from the edits: children of the two parents whose key was overwritten.
        assert kind == "FOREIGN KEY" or (table, line) == ("lineitem", 100), (table, kind, columns, line)
    assert all(Path(v.source or "").name == f"{v.table}.tbl" for v in report.violations)
    connection = colonnade.connect(str(tmp_path / "t.db"))
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


def test_report_equals_sqlites_own_foreign_key_check(dirty: Path, tmp_path: Path) -> None:
    from tests.conftest import load_with_sqlite3

    edit(dirty, "orders", {20: put(_1="999999"), 30: put(_1="-1")})
    edit(dirty, "lineitem", {n: put(_2="123456") for n in range(100, 200)})
    oracle = load_with_sqlite3(dirty)
    theirs = {(t, rowid, parent) for t, rowid, parent, _ in oracle.execute("PRAGMA foreign_key_check")}
    oracle.close()
    report = load(dirty, tmp_path / "t.db", "report")
    assert {(v.table, v.rowid, v.parent) for v in report.violations} == theirs
    assert report.violation_count == 202  # each of the lines breaks two foreign keys


def test_abort_names_at_most_100_and_counts_all(dirty: Path, tmp_path: Path) -> None:
    edit(dirty, "orders", {n: put(_1="999999") for n in range(1000, 1500)})
    report = load(dirty, tmp_path / "t.db", "abort")
    assert not report.committed
    assert report.violation_count == 500
    assert len(report.violations) == 100
    assert [v.line for v in report.violations] == list(range(1000, 1100))
    assert report.violations[0].message == "FOREIGN KEY constraint failed"


def test_quarantine_commits_the_rest_with_valid_keys(dirty: Path, tmp_path: Path) -> None:
    expected = make_dirty(dirty)
    edit(dirty, "supplier", {10: lambda row: row[:3]})
    report = load(dirty, tmp_path / "t.db", "quarantine")
    assert report.committed
    connection = colonnade.connect(str(tmp_path / "t.db"))
    assert connection.execute("PRAGMA constraint_check").fetchall() == []
    for table, _, _, line in expected:
        source, reason = connection.execute(
            f"SELECT reject_source, reject_reason FROM {table}_rejects WHERE reject_line = ?", (line,)
        ).fetchone()
        assert source.endswith(f"{table}.tbl")
        assert "KEY" in reason
    assert connection.execute("SELECT reject_text FROM supplier_rejects WHERE reject_line = 10").fetchone()[0]
    for table in report.tables:
        lines = len((dirty / f"{table.table}.tbl").read_text().splitlines())
        kept = connection.execute(f"SELECT count(*) FROM {table.table}").fetchone()[0]
        assert kept == table.rows
        assert kept + table.rejected == lines
    connection.close()


def test_malformed_input_names_file_line_and_what_is_wrong(dirty: Path, tmp_path: Path) -> None:
    edit(dirty, "orders", {777: lambda row: row[:-1]})
    with pytest.raises(LoadError, match=r"orders\.tbl:777: .*9 columns, .*8") as caught:
        load(dirty, tmp_path / "t.db", "abort")
    assert caught.value.line == 777
    connection = colonnade.connect(str(tmp_path / "t.db"))
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


def test_text_in_a_number_column_is_kept_and_counted_or_refused(dirty: Path, tmp_path: Path) -> None:
    edit(dirty, "part", {40: put(_5="big"), 41: put(_7="dear")})
    report = load(dirty, tmp_path / "t.db", "abort")
    part = next(table for table in report.tables if table.table == "part")
    assert part.text_values["p_size"] == 1
    connection = colonnade.connect(str(tmp_path / "t.db"))
    row = connection.execute("SELECT p_size, p_retailprice FROM part WHERE p_partkey = 40").fetchone()
    assert row[0] == "big"
    connection.close()
    with pytest.raises(LoadError, match=r"part\.tbl:40: column p_size: value 'big'"):
        load(dirty, tmp_path / "u.db", "abort", types="strict")


_CHECKED = """CREATE TABLE t (
    id INTEGER PRIMARY KEY, total DECIMAL CHECK (total >= 0), low INT, high INT, name TEXT NOT NULL,
    CHECK (low <= "HIGH")
)"""


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., LoadReport]:
    """Loads lines into a table with CHECKs."""

    def load_lines(mode: str, *lines: str) -> LoadReport:
        (tmp_path / "t.csv").write_text("\n".join(["id,total,low,high,name", *lines]) + "\n")
        connection = colonnade.connect(str(tmp_path / "t.db"))
        options = LoadOptions(on_violation=mode, null="")  # type: ignore[arg-type]
        try:
            return load_files(connection.store, [str(tmp_path / "t.csv")], options, script=_CHECKED)
        finally:
            connection.close()

    return load_lines


def test_a_row_that_breaks_a_check_is_told_with_the_values_that_the_check_reads(
    checked: Callable[..., LoadReport], tmp_path: Path
) -> None:
    report = checked("report", "1,2,3,4,a", "2,-5,1,2,b", "3,1,9,2,c", "4,1,1,1,", "5,1")
    told = {violation.describe().replace(f"{tmp_path}/", "") for violation in report.violations}
    assert told == {
        "t.csv:3: t: CHECK constraint failed: total >= 0 (total = -5)",
        't.csv:4: t: CHECK constraint failed: low <= "HIGH" (low = 9, high = 2)',
        "t.csv:5: t: NOT NULL constraint failed: t.name (name = NULL)",
        "t.csv:6: t: expected 5 columns, got 2",
    }


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2,-5,1,2,b", "column total: value '-5': CHECK constraint failed: total >= 0"),
        ("3,1,9,2,c", "column low, high: value '9, 2': CHECK constraint failed: low <= \"HIGH\""),
        ("4,1,1,1,", "NOT NULL constraint failed: t.name"),
    ],
)
def test_a_load_that_a_check_ends_names_line_column_and_value(
    checked: Callable[..., LoadReport], tmp_path: Path, line: str, what: str
) -> None:
    with pytest.raises(LoadError) as caught:
        checked("abort", "1,2,3,4,a", line)
    assert str(caught.value) == f"{tmp_path}/t.csv:3: {what}"
