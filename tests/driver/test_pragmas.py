"""Colonnade's own PRAGMAs: what they answer, what they take, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.pragmas import FORMAT_VARIABLE


@pytest.fixture
def connection() -> Iterator[colonnade.Connection]:
    connection = colonnade.connect(":memory:")
    connection.executescript(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE odd(a, b AS (a + 1));"
        "CREATE TABLE c(t INTEGER REFERENCES t(a))"
    )
    yield connection
    connection.close()


def pragma(connection: colonnade.Connection, text: str) -> Any:
    cursor = connection.execute(f"PRAGMA {text}")
    names = None if cursor.description is None else [column[0] for column in cursor.description]
    return names, cursor.fetchall()


@pytest.mark.storage_format("auto", reason="tells what the default is")
@pytest.mark.parametrize(
    ("name", "default", "given", "then"),
    [
        ("bulk_load", 0, "on", 1),
        ("bulk_load", 0, "1", 1),
        ("bulk_load", 0, "TRUE", 1),
        ("bulk_load", 0, "off", 0),
        ("batch_size", 0, "5000", 5000),
        ("memory_limit", 128 << 20, "'64MB'", 64 << 20),
        ("memory_limit", 128 << 20, "65536", 65536),
        ("storage_format", "auto", "column", "column"),
        ("storage_format", "auto", "ROW", "row"),
    ],
)
@pytest.mark.parametrize(
    "spelling", ["{name} = {given}", "{name}({given})", "main.{name}={given};", " {name} = {given} -- x"]
)
def test_a_setting_is_answered_and_set(
    connection: colonnade.Connection, name: str, default: Any, given: str, then: Any, spelling: str
) -> None:
    assert pragma(connection, name) == ([name], [(default,)])
    assert pragma(connection, spelling.format(name=name, given=given)) == (None, [])
    assert pragma(connection, name.upper()) == ([name], [(then,)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bulk_load = maybe", "PRAGMA bulk_load takes on or off, not 'maybe'"),
        ("batch_size = -1", "PRAGMA batch_size takes a number of rows, or 0, not '-1'"),
        ("batch_size = many", "PRAGMA batch_size takes a number of rows, or 0, not 'many'"),
        ("memory_limit = 0", "PRAGMA memory_limit takes bytes, or a size such as 64MB, not '0'"),
        ("memory_limit = 'much'", "PRAGMA memory_limit takes bytes, or a size such as 64MB, not 'much'"),
        ("storage_format = diagonal", "PRAGMA storage_format takes auto, row or column, not 'diagonal'"),
        ("write_hints", "PRAGMA write_hints needs a table: PRAGMA write_hints(t)"),
        ("write_hints(missing)", "no such table: missing"),
        ("constraint_check(missing)", "no such table: missing"),
        ("nowhere.storage_report", "unknown database nowhere"),
    ],
)
def test_what_a_pragma_cannot_take_is_refused(
    connection: colonnade.Connection, text: str, message: str
) -> None:
    with pytest.raises(colonnade.OperationalError) as caught:
        pragma(connection, text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("named", "given"),
    [(None, "auto"), ("", "auto"), ("row", "row"), ("column", "column"), ("COLUMN", "column")],
)
def test_the_environment_names_the_storage_format_of_new_connections(
    named: str | None, given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(FORMAT_VARIABLE, raising=False)
    if named is not None:
        monkeypatch.setenv(FORMAT_VARIABLE, named)
    for place in (":memory:", tmp_path / "new.db"):
        connection = colonnade.connect(place)
        assert pragma(connection, "storage_format") == (["storage_format"], [(given,)])
        connection.execute("CREATE TABLE t(a)")
        connection.execute("INSERT INTO t VALUES(1)")
        assert pragma(connection, "storage_report")[1][0][1] == ("column" if given == "column" else "row")
        connection.close()


def test_an_unknown_storage_format_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "diagonal")
    with pytest.raises(colonnade.OperationalError) as caught:
        colonnade.connect(":memory:")
    assert str(caught.value) == f"{FORMAT_VARIABLE} takes auto, row or column, not 'diagonal'"


def test_settings_belong_to_one_connection(connection: colonnade.Connection) -> None:
    pragma(connection, "bulk_load = on")
    other = colonnade.connect(":memory:", batch_size=7)
    assert pragma(other, "bulk_load")[1] == [(0,)]
    assert pragma(other, "batch_size")[1] == [(7,)]
    other.close()


def test_write_hints_name_figures_and_sources(connection: colonnade.Connection) -> None:
    names, rows = pragma(connection, "write_hints(T)")
    assert names == ["figure", "value", "source"]
    figures = {row[0]: row for row in rows}
    assert figures["bytes_per_row"][2] == "declared types"
    assert figures["recommended_rows"][1] <= figures["maximum_rows"][1]


@pytest.mark.storage_format(
    "auto", reason="a bulk load makes the row group, and it stays when half of it is gone"
)
def test_the_storage_report_says_what_is_stored_how_and_why(connection: colonnade.Connection) -> None:
    pragma(connection, "bulk_load = on")
    connection.executemany("INSERT INTO t VALUES(?, ?)", ((i, "x") for i in range(10_000)))
    connection.execute("INSERT INTO odd VALUES(1)")
    connection.commit()
    names, rows = pragma(connection, "storage_report")
    assert names == [
        "table",
        "format",
        "rows",
        "row_groups",
        "row_part_rows",
        "bytes",
        "dead_bytes",
        "reason",
    ]
    report = {row[0]: row for row in rows}
    assert report["t"][1:5] == ("column", 10_000, 1, 1)
    assert 0 < report["t"][5] < 100_000
    assert report["odd"][1:5] == ("row", 1, 0, 1)
    assert "generated" in report["odd"][7]
    assert report["t"][6] == 0
    assert pragma(connection, "storage_report(T)")[1] == [report["t"]]
    connection.execute("DELETE FROM t WHERE a < 5000")
    assert 0 < pragma(connection, "storage_report(t)")[1][0][6] < report["t"][5]


def test_constraint_check_reports_what_row_format_let_in(connection: colonnade.Connection) -> None:
    connection.execute("INSERT INTO c VALUES(5), (NULL), (6)")
    names, rows = pragma(connection, "constraint_check")
    assert names == ["table", "rowid", "constraint", "kind", "columns", "key", "parent", "message"]
    assert [row[:2] + row[3:] for row in rows] == [
        ("c", 1, "FOREIGN KEY", "t", "5", "t", "FOREIGN KEY constraint failed"),
        ("c", 3, "FOREIGN KEY", "t", "6", "t", "FOREIGN KEY constraint failed"),
    ]
    stats = pragma(connection, "constraint_stats")
    checked = {row[0]: dict(zip(stats[0], row, strict=True)) for row in stats[1]}
    assert checked["c"]["violations"] == 2


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_pager_stats_count_chunks_by_table_and_in_total(connection: colonnade.Connection) -> None:
    pragma(connection, "bulk_load = on")
    connection.executemany("INSERT INTO t VALUES(?, ?)", ((i, "x") for i in range(10_000)))
    connection.commit()
    names, rows = pragma(connection, "pager_stats")
    assert names == ["table", "phase", "figure", "value"]
    figures = {tuple(row[:3]): row[3] for row in rows}
    assert figures["main.t", None, "chunks_put"] == figures[None, None, "chunks_put"] == 2
    assert figures["main.t", "append", "chunks_put"] == figures["main.t", None, "chunks_fresh"] == 2
    assert figures["main.t", "append", "chunks_overwritten"] == figures["main.t", None, "dead_bytes"] == 1 - 1
    assert figures[None, None, "page_count"] > 0
    connection.execute("DELETE FROM t WHERE a < 2500")
    figures = {tuple(row[:3]): row[3] for row in pragma(connection, "pager_stats")[1]}
    stored = figures["main.t", "append", "bytes_put"]
    assert figures["main.t", None, "dead_bytes"] == stored * 2500 // 10_000
    assert figures["main.t", None, "live_bytes"] == stored - figures["main.t", None, "dead_bytes"]
    assert figures["main.t", None, "write_amplification"] == pytest.approx(4 / 3, abs=0.01)


def test_other_pragmas_are_sqlites_own(connection: colonnade.Connection) -> None:
    assert pragma(connection, "user_version") == (["user_version"], [(0,)])
    assert pragma(connection, "no_such_pragma = 5") == (None, [])
