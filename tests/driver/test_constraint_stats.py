"""Counters of constraints, and the keys that a connection keeps: what they say, and when they are let go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
import colonnade.aio

pytestmark = pytest.mark.storage_format("auto", "column", reason="batches look into row groups")

ROWS = 20_000
SCHEMA = """
CREATE TABLE number(id INTEGER PRIMARY KEY, odd INTEGER UNIQUE);
CREATE TABLE word(name TEXT PRIMARY KEY);
CREATE TABLE plain(id INTEGER PRIMARY KEY);
CREATE TABLE child(
  id INTEGER PRIMARY KEY, n INTEGER REFERENCES number(odd), w TEXT REFERENCES word, p INTEGER REFERENCES plain
);
"""


@pytest.fixture
def connection() -> Iterator[colonnade.Connection]:
    connection = colonnade.connect(":memory:")
    connection.executescript(SCHEMA)
    connection.execute("PRAGMA foreign_keys = on")
    connection.execute("PRAGMA bulk_load = on")
    connection.executemany("INSERT INTO number VALUES (?, ?)", ((n, 7 * n % 200_003) for n in range(ROWS)))
    words = ((f"word {n * 7919 % ROWS}",) for n in range(ROWS))
    connection.executemany("INSERT INTO word VALUES (?)", words)
    connection.executemany("INSERT INTO child VALUES (?, NULL, NULL, NULL)", ((n,) for n in range(ROWS)))
    connection.commit()
    connection.execute("PRAGMA bulk_load = off")
    connection.executemany("INSERT INTO plain VALUES (?)", ((n,) for n in range(1000)))
    connection.commit()
    yield connection
    connection.close()


def figures(connection: colonnade.Connection, table: str = "child") -> dict[str, dict[str, Any]]:
    return {row["columns"]: row for row in connection.constraint_stats() if row["table"] == table}


def test_a_batch_is_looked_up_in_indexes_and_scans_only_a_parent_that_has_none(
    connection: colonnade.Connection,
) -> None:
    rows = [(ROWS + n, 7 * n % 200_003, f"word {n}", n) for n in range(900)]
    before = figures(connection)
    connection.executemany("INSERT INTO child VALUES (?, ?, ?, ?)", rows)
    found = figures(connection)
    for column in ("n", "w", "p"):
        for figure in ("rows_checked", "hits"):
            assert found[column][figure] - before[column][figure] == 900, column
        assert found[column]["cache_bytes"] == 0
        assert found[column]["cache_peak"] > 900
    assert "index" in found["n"]["path"]
    assert found["n"]["unindexed_rows"] == 0
    assert found["n"]["parent_rows_read"] <= 8 * 900
    # Texts have no key run: each batch reads them once, one row group after another.
    assert "scan" in found["w"]["path"]
    batches = -(-900 // connection.store.batch_rows("child"))
    assert found["w"]["unindexed_rows"] == batches * (ROWS - 1)  # the last row is in the row part
    assert "proven" in found["id"]["path"] or "index" in found["id"]["path"]


def test_the_pragma_and_the_method_say_the_same(connection: colonnade.Connection) -> None:
    connection.executemany("INSERT INTO child VALUES (?, ?, NULL, 5)", [(ROWS + n, 7 * n) for n in range(50)])
    cursor = connection.execute("PRAGMA constraint_stats")
    names = [column[0] for column in cursor.description or ()]
    assert [dict(zip(names, row, strict=True)) for row in cursor] == connection.constraint_stats()


def test_a_load_counts_for_its_connection_too(connection: colonnade.Connection, tmp_path: Path) -> None:
    (tmp_path / "child.csv").write_text(
        "".join(f"{ROWS + n},{7 * n % 200003},word {n},{n}\n" for n in range(700))
    )
    before = figures(connection)["w"]["rows_checked"]
    report = connection.load(str(tmp_path))
    assert report.committed
    (loaded,) = [row for row in report.constraints if row["columns"] == "w"]
    assert loaded["rows_checked"] == figures(connection)["w"]["rows_checked"] - before >= 700
    assert loaded["path"]


def kept(connection: colonnade.Connection) -> dict[tuple[str, str], int]:
    rows = connection.constraint_stats()
    return {(row["table"], row["columns"]): row["cache_bytes"] for row in rows if row["cache_bytes"]}


def test_kept_keys_are_counted_and_let_go_table_by_table(connection: colonnade.Connection) -> None:
    assert kept(connection) == {}
    connection.execute("DELETE FROM word WHERE name = 'word 77'")
    connection.execute(f"INSERT INTO child VALUES ({ROWS}, 21, NULL, NULL)")
    connection.commit()
    assert {table for table, _ in kept(connection)} >= {"word", "number"}
    assert kept(connection)["word", "name"] > 8 * ROWS
    assert connection.clear_constraint_cache("WORD") > 8 * ROWS
    assert "word" not in {table for table, _ in kept(connection)}
    assert "number" in {table for table, _ in kept(connection)}
    (freed,) = connection.execute("PRAGMA main.clear_constraint_cache(number)").fetchone()
    assert freed > 8 * ROWS
    connection.execute("PRAGMA clear_constraint_cache")
    assert kept(connection) == {}
    assert connection.execute("PRAGMA clear_constraint_cache").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM word WHERE name = 'word 78'").fetchone() == (1,)
    with pytest.raises(colonnade.IntegrityError, match=r"UNIQUE constraint failed: word\.name"):
        connection.execute("INSERT INTO word VALUES ('word 78')")


@pytest.mark.parametrize("database", ["main", "missing"])
def test_clearing_what_is_not_there_is_an_error(connection: colonnade.Connection, database: str) -> None:
    with pytest.raises(colonnade.OperationalError, match=r"no such table: nothing|unknown database missing"):
        connection.execute(f"PRAGMA {database}.clear_constraint_cache(nothing)")
    with pytest.raises(colonnade.OperationalError, match="no such table: nothing"):
        connection.clear_constraint_cache("nothing")


def test_asyncio_programs_have_both() -> None:
    async def work() -> tuple[list[dict[str, Any]], int]:
        async with colonnade.aio.connect(":memory:") as db:
            return await db.constraint_stats(), await db.clear_constraint_cache()

    assert asyncio.run(work()) == ([], 0)
