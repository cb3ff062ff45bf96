"""A load of TPC-H holds exactly what sqlite3 holds after inserting the same files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import colonnade
from colonnade.loader.load import load_files
from colonnade.loader.options import LoadOptions
from colonnade.loader.tpch import TPCH_DDL, TPCH_TABLES
from tests.conftest import tbl_rows

JOINS = [
    "SELECT count(*), sum(l_quantity) FROM lineitem JOIN orders ON l_orderkey = o_orderkey WHERE o_orderkey < 500",
    "SELECT n_name, count(*) FROM customer JOIN nation ON n_nationkey = c_nationkey GROUP BY n_name ORDER BY 1",
    "SELECT s_name, ps_availqty FROM partsupp JOIN supplier ON s_suppkey = ps_suppkey WHERE ps_partkey = 17 ORDER BY 1",
    "SELECT r_name, n_name FROM region LEFT JOIN nation ON n_regionkey = r_regionkey ORDER BY 1, 2",
    "SELECT count(*) FROM lineitem WHERE l_shipdate BETWEEN '1994-01-01' AND '1994-12-31' AND l_discount >= 0.05",
    "SELECT l_returnflag, l_linestatus, count(*), typeof(sum(l_quantity)) FROM lineitem GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT * FROM lineitem WHERE rowid IN (1, 777, 60000, 60001, 100000) ORDER BY rowid",
    "SELECT max(o_orderkey), min(o_orderkey), count(DISTINCT o_custkey) FROM orders",
]


def same(ours: tuple[object, ...], theirs: tuple[object, ...]) -> bool:
    """Equal, but for the last digits of sums of doubles: the two SQLite versions may add differently."""
    return len(ours) == len(theirs) and all(
        a == pytest.approx(b, rel=1e-12) if isinstance(a, float) and isinstance(b, float) else a == b
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, tpch_folder: Path) -> Path:
    path = tmp_path_factory.mktemp("loaded") / "tpch.db"
    connection = colonnade.connect(str(path))
    report = load_files(connection.store, [str(tpch_folder)], LoadOptions(batch_size=5000), script=TPCH_DDL)
    connection.close()
    assert report.committed
    assert report.rows == sum(1 for table in TPCH_TABLES for _ in tbl_rows(tpch_folder / f"{table}.tbl"))
    return path


@pytest.mark.parametrize(
    ("before", "page_bytes"),
    [((), 16_384), (("PRAGMA page_size = 8192",), 8192), (("CREATE TABLE t(a)",), 4096)],
    ids=["new", "asked for", "there already"],
)
def test_a_file_that_begins_with_a_load_has_large_pages(
    tmp_path: Path, before: tuple[str, ...], page_bytes: int
) -> None:
    (tmp_path / "p.csv").write_text("a\n1\n2\n")
    connection = colonnade.connect(str(tmp_path / "t.db"))
    for statement in before:
        connection.execute(statement)
    connection.load(str(tmp_path / "p.csv"), script="CREATE TABLE p(a INTEGER)")
    connection.close()
    with sqlite3.connect(tmp_path / "t.db") as theirs:
        assert theirs.execute("PRAGMA page_size").fetchone() == (page_bytes,)
        assert theirs.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    theirs.close()


@pytest.fixture
def connection(loaded: Path) -> Iterator[colonnade.Connection]:
    connection = colonnade.connect(str(loaded))
    yield connection
    connection.close()


@pytest.mark.parametrize("table", TPCH_TABLES)
def test_every_row_and_type_is_sqlite3s(
    connection: colonnade.Connection, tpch_oracle: sqlite3.Connection, table: str
) -> None:
    ours = connection.execute(f"SELECT rowid, * FROM {table}").fetchall()
    theirs = tpch_oracle.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()
    assert ours == theirs
    assert [list(map(type, row)) for row in ours] == [list(map(type, row)) for row in theirs]


@pytest.mark.parametrize("table", TPCH_TABLES)
def test_aggregates_of_every_column_are_sqlite3s(
    connection: colonnade.Connection, tpch_oracle: sqlite3.Connection, table: str
) -> None:
    columns = [row[1] for row in tpch_oracle.execute(f"PRAGMA table_info({table})")]
    text = ", ".join(f"count({c}), min({c}), max({c}), sum({c}), count(DISTINCT {c})" for c in columns)
    query = f"SELECT count(*), {text} FROM {table}"
    ours, theirs = connection.execute(query).fetchone(), tpch_oracle.execute(query).fetchone()
    assert same(ours, theirs)


@pytest.mark.parametrize("query", JOINS)
def test_queries_are_sqlite3s(
    connection: colonnade.Connection, tpch_oracle: sqlite3.Connection, query: str
) -> None:
    ours, theirs = connection.execute(query).fetchall(), tpch_oracle.execute(query).fetchall()
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert same(mine, other)


@pytest.mark.parametrize("key", [1, 7, 59_997, 60_000, 2, 10**15, -1])
def test_point_look_ups_by_primary_key(
    connection: colonnade.Connection, tpch_oracle: sqlite3.Connection, key: int
) -> None:
    for query in (
        "SELECT * FROM orders WHERE o_orderkey = ?",
        "SELECT * FROM lineitem WHERE l_orderkey = ? ORDER BY l_linenumber",
        "SELECT count(*) FROM partsupp WHERE ps_partkey = ?",
    ):
        assert connection.execute(query, (key,)).fetchall() == tpch_oracle.execute(query, (key,)).fetchall()


def test_the_schema_looks_as_the_user_wrote_it(
    connection: colonnade.Connection, tpch_oracle: sqlite3.Connection
) -> None:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    assert connection.execute(query).fetchall() == tpch_oracle.execute(query).fetchall()
    for table in TPCH_TABLES:
        for pragma in ("table_info", "foreign_key_list", "index_list"):
            ours = connection.execute(f"PRAGMA {pragma}({table})").fetchall()
            assert ours == tpch_oracle.execute(f"PRAGMA {pragma}({table})").fetchall(), (pragma, table)


def test_large_tables_are_in_column_format_and_the_store_is_sound(connection: colonnade.Connection) -> None:
    formats = {row[0]: row[1] for row in connection.execute("PRAGMA storage_report")}
    assert formats["lineitem"] == formats["orders"] == "column"
    assert connection.execute("PRAGMA constraint_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
