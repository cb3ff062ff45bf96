"""Vectorised queries through cursors: what a program sees is what it sees of sqlite3."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.sql.select import Answer, NotVectorizable, Vector
from colonnade.store.columnscan import scan_columns
from colonnade.store.values import Kind
from tests.driver.twins import connect

SCRIPT = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL, d DATE, price DECIMAL(10,2), e BLOB);
    CREATE TABLE u(k INT, n TEXT, UNIQUE(k, n));
    CREATE VIEW v AS SELECT a, b FROM t;
"""
ROWS = [
    (i, i % 7, f"b{i % 3}", i / 4, f"1995-0{i % 9 + 1}-01", i / 2, None if i % 5 else bytes([i % 256]))
    for i in range(1, 3001)
]


@pytest.fixture
def db(tmp_path: Path) -> Any:
    """Two tables in column format with some row groups."""
    db = connect(colonnade, tmp_path / "t.db")
    db.executescript(SCRIPT)
    db.execute("PRAGMA batch_size = 1000")
    db.execute("PRAGMA storage_format = column")
    for start in range(0, 3000, 1000):
        db.executemany("INSERT INTO t VALUES(?, ?, ?, ?, ?, ?, ?)", ROWS[start : start + 1000])
    db.executemany("INSERT INTO u VALUES(?, ?)", [(i // 3, f"n{i}") for i in range(3000)])
    db.commit()
    db.execute("PRAGMA storage_format = auto")
    assert [table.name for table in db.store.tables()] == ["t", "u"]
    return db


@pytest.fixture
def plain() -> Any:
    db = connect(sqlite3, ":memory:")
    db.executescript(SCRIPT)
    db.executemany("INSERT INTO t VALUES(?, ?, ?, ?, ?, ?, ?)", ROWS)
    db.executemany("INSERT INTO u VALUES(?, ?)", [(i // 3, f"n{i}") for i in range(3000)])
    db.commit()
    return db


def taken(db: Any) -> int:
    count: int = db.execute("PRAGMA vectorized_stats").fetchall()[0][2]
    return count


def fallen_back(db: Any) -> dict[str, int]:
    return {reason: count for _, reason, count in db.execute("PRAGMA vectorized_stats").fetchall()[1:]}


Fake = Callable[..., Any]


def answering(db: Any, fake: Fake) -> Any:
    """Puts an answer of the test's own in the place of the engine."""
    db._session.columns.queries.answer = fake
    return db


def streaming(db: Any, threads: int = 1) -> Any:
    """Answers every query with the column a of t, row group by row group."""

    def answer(context: Any, text: str, parameters: Any) -> Answer:
        table = context.store.table("t")
        scan = scan_columns(table, (2,), checkpoint=context.checkpoint, threads=threads)
        return Answer(1, ((Vector(b.columns[0].kind, b.columns[0].data),) for b in scan))

    return answering(db, answer)


def one_batch(*vectors: Vector) -> Fake:
    return lambda context, text, parameters: Answer(len(vectors), iter((vectors,)))


def refusing(reason: str) -> Fake:
    def answer(*_: object) -> Answer:
        raise NotVectorizable(reason)

    return answer


QUERIES = [
    ("SELECT a, count(*), sum(c), min(d) AS first FROM t GROUP BY a ORDER BY 1", ()),
    ("SELECT id, a, b, c, d, price, e FROM t WHERE c > ? AND b = ? ORDER BY id", (700, "b1")),
    ("SELECT a + 1, b || 'x' FROM v WHERE a < 3", ()),
    ("WITH few AS (SELECT a, price FROM t WHERE a < 2) SELECT a, sum(price) FROM few GROUP BY a", ()),
    ("SELECT t.id, n FROM t JOIN u ON u.k = t.id WHERE t.a = 1 ORDER BY 1, 2", ()),
    ("SELECT count(*) FROM t WHERE a = :x", {"x": 3}),
    ("SELECT id FROM t WHERE a > 100", ()),
]


@pytest.mark.parametrize(("sql", "parameters"), QUERIES)
def test_rows_names_and_the_rest_are_those_of_sqlite3(db: Any, plain: Any, sql: str, parameters: Any) -> None:
    before = taken(db)
    ours, theirs = db.execute(sql, parameters), plain.execute(sql, parameters)
    assert ours.description == theirs.description
    assert (ours.rowcount, db.total_changes) == (theirs.rowcount, db.total_changes)
    expected = theirs.fetchall()
    found = ours.fetchall()
    assert [list(map(repr, row)) for row in found] == [list(map(repr, row)) for row in expected]
    assert taken(db) == before + 1, fallen_back(db)
    assert ours.fetchall() == []
    assert ours.fetchone() is None
    db.execute("PRAGMA vectorized = off")
    assert db.execute(sql, parameters).fetchall() == expected
    assert taken(db) == before + 1


def test_the_pragma_says_and_sets_whether_queries_are_vectorised(db: Any) -> None:
    assert db.execute("PRAGMA vectorized").fetchall() == [(1,)]
    db.execute("PRAGMA vectorized = off")
    assert db.execute("PRAGMA vectorized").fetchall() == [(0,)]
    answering(db, refusing("nothing of the sort"))
    assert db.execute("SELECT count(*) FROM t").fetchall() == [(3000,)]
    assert fallen_back(db) == {}
    db.execute("PRAGMA vectorized = on")
    with pytest.raises(colonnade.OperationalError, match="takes on or off"):
        db.execute("PRAGMA vectorized = perhaps")


def test_what_fell_back_is_answered_by_sqlite_and_not_looked_at_again(db: Any) -> None:
    asked: list[Any] = []

    def answer(context: Any, text: str, parameters: Any) -> Answer:
        asked.append(parameters)
        if parameters == ("late",):

            def batches() -> Iterator[tuple[Vector, ...]]:
                raise NotVectorizable("seen in the first batch")
                yield

            return Answer(1, batches())
        raise NotVectorizable("a test")

    answering(db, answer)
    for _ in range(2):
        db.execute("SELECT k FROM u").fetchall()  # what other connections did is noticed with the second run
    asked.clear()
    for value in (1, 2, 3.5, 4, 2.5, True, "late", "late"):
        sql = "SELECT count(*) FROM t WHERE a < ?"
        assert db.execute(sql, (value,)).fetchall()[0][0] > 0
    assert asked == [(1,), (3.5,), ("late",)]
    assert fallen_back(db) == {"a test": 8, "seen in the first batch": 2}
    db.execute("CREATE TABLE other(a)")  # another schema: what was found out holds no longer
    db.execute("SELECT count(*) FROM t WHERE a < ?", (9,))
    assert asked[-1] == (9,)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM t WHERE id = ?", (5,)),
        ("SELECT * FROM t WHERE rowid = 5", ()),
        ("SELECT * FROM u WHERE k = 5 AND n = 'n15'", ()),
        ("SELECT * FROM u WHERE k = ?", (5,)),
        ("SELECT t.id, t2.a FROM t JOIN t AS t2 ON t2.id = t.a + 1 WHERE t.id = 9", ()),
        ("SELECT max(id) FROM t", ()),
        ("SELECT min(rowid) FROM t", ()),
        ("SELECT * FROM t LIMIT 5 OFFSET 20", ()),
        ("SELECT * FROM t WHERE id BETWEEN ? AND ?", (100, 199)),
        ("SELECT count(*) FROM t WHERE id >= 100 AND id < 200", ()),
        ("SELECT * FROM t LIMIT 5", ()),
        ("SELECT a, b FROM t WHERE id > ? ORDER BY id LIMIT ?", (7, 10)),
        ("SELECT * FROM t ORDER BY id DESC LIMIT 3", ()),
        ("SELECT 1", ()),
        ("SELECT count(*) FROM sqlite_master", ()),
    ],
)
def test_look_ups_are_left_to_sqlite(db: Any, plain: Any, sql: str, parameters: Any) -> None:
    def answer(*_: object) -> Answer:
        raise AssertionError(sql)

    answering(db, answer)
    plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    for _ in range(2):
        rows = db.execute(sql, parameters).fetchall()
        if "sqlite_master" not in sql:
            assert rows == plain.execute(sql, parameters).fetchall()
    assert fallen_back(db) == {}
    # Nor do the words by which a look-up is known stay in a statement that SQLite keeps.
    assert db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall() == plan
    assert not any("LOOK-UP" in row[3] for row in plan)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM t WHERE id BETWEEN ? AND ?", (100, 9000)),
        ("SELECT count(*) FROM t WHERE id >= -5000 AND id < 2000", ()),
        ("SELECT a FROM t WHERE id > 3", ()),
        ("SELECT a FROM t WHERE id > 3 AND b = 'b1' LIMIT 5", ()),
        ("SELECT a FROM t ORDER BY a, id LIMIT 5", ()),
        ("SELECT sum(a) FROM t LIMIT 1", ()),
        ("SELECT a FROM t LIMIT 2000", ()),
        ("SELECT a FROM t LIMIT 5 OFFSET 2000", ()),
        ("SELECT a FROM t LIMIT 2000, 5", ()),
        ("SELECT * FROM t LIMIT 5 OFFSET ?", (2000,)),
        ("SELECT max(a) FROM t", ()),
        ("SELECT min(d) FROM t", ()),
        ("SELECT count(*) FROM t, u WHERE u.k = t.id", ()),
    ],
)
def test_what_reads_many_rows_is_no_look_up(db: Any, plain: Any, sql: str, parameters: Any) -> None:
    assert db.execute(sql, parameters).fetchall() == plain.execute(sql, parameters).fetchall()
    assert taken(db) == 1, fallen_back(db)


def test_explain_query_plan_names_the_path(db: Any) -> None:
    sql = "EXPLAIN QUERY PLAN SELECT a, count(*) FROM t WHERE c > ? GROUP BY a"
    details = [row[3] for row in db.execute(sql, (1,))]
    assert details[:2] == ["VECTORISED", "SCAN t USING COLUMN FORMAT ZONE MAPS (c>?)"]
    answering(db, refusing("a test"))
    assert next(db.execute(sql, (1,)))[3] == "NOT VECTORISED: a test"
    details = [row[3] for row in db.execute("EXPLAIN QUERY PLAN SELECT * FROM t WHERE id = 3")]
    assert details == ["SEARCH t USING COLUMN FORMAT ROWID (rowid=?)"]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT a, nosuch FROM t", ()),
        ("SELECT sum(a) FROM t GROUP BY", ()),
        ("SELECT count(*) FROM t WHERE a = ?", ()),
        ("SELECT count(*) FROM t WHERE a = ?", (1, 2)),
        ("SELECT count(*) FROM t WHERE a = :a", {"b": 1}),
        ("SELECT count(*) FROM t WHERE a = ?", (2**70,)),
        ("SELECT count(*) FROM t WHERE a = ?", (object(),)),
    ],
)
def test_errors_are_those_of_sqlite3(db: Any, plain: Any, sql: str, parameters: Any) -> None:
    with pytest.raises(Exception) as ours:
        db.execute(sql, parameters)
    with pytest.raises(Exception) as theirs:
        plain.execute(sql, parameters)
    assert (type(ours.value).__name__, str(ours.value)) == (type(theirs.value).__name__, str(theirs.value))


def test_each_kind_of_vector_becomes_the_values_of_sqlite(db: Any) -> None:
    vectors = (
        Vector(Kind.INTEGER, pa.array([True, None, False]), truth=True),
        Vector(Kind.NUMERIC, pa.array([1.0, None, 2.5])),
        Vector(Kind.NUMERIC, pa.array([1.0, 2.0, 3.0]), whole=pa.array([True, False, True])),
        Vector(Kind.NUMERIC, pa.array([4.0, None, 6.0]), whole=pa.array([True, True, True])),
        Vector(Kind.TEXT, pa.array(["x", None, "y"]).dictionary_encode()),
        Vector(Kind.DATE, pa.array([0, None, 1], pa.date32())),
        Vector(Kind.NULL, pa.nulls(3)),
    )
    answering(db, one_batch(*vectors))
    rows = db.execute("SELECT a, a, a, a, a, a, a FROM t").fetchall()
    assert [list(map(repr, column)) for column in zip(*rows, strict=True)] == [
        ["1", "None", "0"],
        ["1", "None", "2.5"],
        ["1", "2.0", "3"],
        ["4", "None", "6"],
        ["'x'", "None", "'y'"],
        ["'1970-01-01'", "None", "'1970-01-02'"],
        ["None", "None", "None"],
    ]


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT sum(a), sum(c) FROM t", [6, 6, 0]),
        ("SELECT sum(a), (SELECT sum(c) FROM t WHERE a > 1) FROM t", [6, 0, 0]),
    ],
)
def test_columns_are_kept_in_memory_once_they_are_asked_for_again(
    db: Any, sql: str, reads: list[int]
) -> None:
    """A query that reads a table in two places is going to ask again."""
    counters, found, before = db.store.table("t").counters, [], taken(db)
    for _ in reads:
        start = counters.chunks_read
        db.execute(sql).fetchall()
        found.append(counters.chunks_read - start)
    assert found == reads
    assert taken(db) == before + len(reads)


@pytest.mark.parametrize(
    ("condition", "groups"),
    [
        ("c IN (1.25, 2.5)", 1),
        ("c IN (1.25, 700.5, NULL)", 2),
        ("c IN (NULL)", 0),
        ("c IN (251, 'x', x'01')", 1),
        ("c = 1.25 OR c = 2.5 OR c = 700.5", 2),
        ("c IN ({many})", 1),
        ("c NOT IN (1.25, 2.5)", 3),
    ],
)
def test_an_in_reads_the_row_groups_that_zone_maps_leave(
    db: Any, plain: Any, condition: str, groups: int
) -> None:
    """Of c there are 1,000 values in each of three row groups, ascending."""
    sql = f"SELECT count(*), sum(id) FROM t WHERE {condition.format(many=', '.join(f'{n}.25' for n in range(90)))}"
    counters, before = db.store.table("t").counters, taken(db)
    start = counters.chunks_read
    assert db.execute(sql).fetchall() == plain.execute(sql).fetchall()
    read = counters.chunks_read - start
    assert (read // 2, taken(db)) == (groups, before + 1)


def test_row_factory_text_factory_and_converters_do_their_work(db: Any, tmp_path: Path) -> None:
    db.row_factory = colonnade.Row
    row = db.execute("SELECT b AS name, count(*) AS n FROM t GROUP BY b").fetchone()
    assert (row["name"], row["N"]) == ("b0", 1000)
    db.row_factory, db.text_factory = None, bytes
    assert db.execute("SELECT b FROM t WHERE a = 0 LIMIT 1").fetchall() == [(b"b1",)]
    colonnade.register_converter("decimal", lambda raw: f"<{raw.decode()}>")
    other = connect(colonnade, tmp_path / "t.db", detect_types=colonnade.PARSE_DECLTYPES)
    rows = other.execute("SELECT price, b FROM t WHERE id < 3 AND a < 9").fetchall()
    assert rows == [("<0.5>", "b1"), ("<1>", "b2")]
    assert taken(other) == 1
    del colonnade.converters["DECIMAL"]


def test_a_cursor_sees_the_table_as_it_was_whatever_is_written_between_its_rows(db: Any) -> None:
    streaming(db)
    rows = db.execute("SELECT a FROM t")
    first = rows.fetchmany(10)
    db.execute("DELETE FROM t WHERE id > 1500")
    db.execute("UPDATE t SET a = -1")
    db.executemany("INSERT INTO t(a) VALUES(?)", [(99,)] * 3000)
    assert first + rows.fetchall() == [(row[1],) for row in ROWS]
    assert db.store.table("t").open_scans == 0


def test_a_rollback_between_two_rows_leaves_the_rows_or_says_that_they_are_gone(db: Any) -> None:
    streaming(db)
    db.execute("DELETE FROM t WHERE id <= 10")
    rows = db.execute("SELECT a FROM t")
    rows.fetchone()
    db.rollback()
    assert len(rows.fetchall()) == 2989
    db.execute("PRAGMA storage_format = column")
    db.executemany("INSERT INTO t(a) VALUES(?)", [(5,)] * 5000)
    rows = db.execute("SELECT a FROM t")
    rows.fetchone()
    db.rollback()
    with pytest.raises(colonnade.OperationalError, match="abort due to ROLLBACK"):
        rows.fetchall()
    assert db.store.table("t").open_scans == 0
    assert len(db.execute("SELECT a FROM t").fetchall()) == 3000


def test_other_connections_keep_their_hands_off_while_rows_are_read(db: Any, tmp_path: Path) -> None:
    other = connect(colonnade, tmp_path / "t.db", timeout=0)
    streaming(db)
    rows = db.execute("SELECT a FROM t")
    rows.fetchone()
    other.execute("DELETE FROM t WHERE id < 2000")
    with pytest.raises(colonnade.OperationalError, match="database is locked"):
        other.commit()
    assert len(rows.fetchall()) == 2999
    other.commit()
    assert len(db.execute("SELECT a FROM t").fetchall()) == 1001


def test_a_cursor_that_is_given_up_lets_go_of_all(db: Any) -> None:
    engine = db._session.columns.queries.answer
    streaming(db, threads=2)
    table, before = db.store.table("t"), threading.active_count()
    gc.disable()
    try:
        for give_up in (
            lambda cursor: cursor.close(),
            lambda cursor: cursor.execute("SELECT 1"),
            lambda cursor: None,
        ):
            cursor = db.execute("SELECT a FROM t")
            cursor.fetchone()
            assert table.open_scans == 1
            assert db._session.busy()
            give_up(cursor)
            del cursor
            assert table.open_scans == 0
            assert threading.active_count() == before
    finally:
        gc.enable()
    db.execute("DROP TABLE t")  # no statement reads it
    answering(db, engine)
    unread = db.execute("SELECT count(*) FROM u")
    db.close()
    del unread


def test_interrupt_stops_a_query(db: Any) -> None:
    def answer(context: Any, text: str, parameters: Any) -> Answer:
        threading.Timer(0.05, db.interrupt).start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.01)
            context.checkpoint()
        raise AssertionError("not interrupted")

    engine = db._session.columns.queries.answer
    answering(db, answer)
    with pytest.raises(colonnade.OperationalError, match="interrupted") as caught:
        db.execute("SELECT a FROM t")
    assert caught.value.sqlite_errorname == "SQLITE_INTERRUPT"
    answering(db, engine)
    assert db.execute("SELECT count(*) FROM t WHERE a >= 0").fetchall() == [(3000,)]  # and no other one


def test_a_progress_handler_stops_a_query(db: Any) -> None:
    calls: list[int] = []

    def progress() -> int:
        calls.append(1)
        return len(calls) > 1

    def answer(context: Any, text: str, parameters: Any) -> Answer:
        for _ in range(3):
            context.checkpoint()
        raise AssertionError("not stopped")

    answering(db, answer)
    db.set_progress_handler(progress, 10**9)
    with pytest.raises(colonnade.OperationalError, match="interrupted"):
        db.execute("SELECT a FROM t")
    db.set_progress_handler(None, 0)


def test_a_trace_callback_hears_of_a_query_once(db: Any, plain: Any) -> None:
    heard: dict[Any, list[str]] = {db: [], plain: []}
    sql, parameters = "SELECT sum(a) FROM t WHERE b = ?", ("b1",)
    for each in (db, plain):
        each.set_trace_callback(heard[each].append)
        each.execute(sql, parameters).fetchall()
        each.set_trace_callback(None)
    assert heard[db] == heard[plain]
    assert taken(db) == 1
    db.set_trace_callback(heard[db].append)
    answering(db, refusing("a test"))
    db.execute("SELECT sum(a) FROM t WHERE b = ?", ("b2",)).fetchall()
    assert heard[db][1:] == ["SELECT sum(a) FROM t WHERE b = 'b2'"]


def test_with_an_authorizer_sqlite_runs_the_query(db: Any) -> None:
    asked: list[Any] = []
    db.set_authorizer(lambda *arguments: asked.append(arguments) or colonnade.SQLITE_OK)
    assert db.execute("SELECT sum(a) FROM t").fetchall() == [(sum(row[1] for row in ROWS),)]
    assert (colonnade.SQLITE_READ, "t", "a", "main", None) in asked
    db.set_authorizer(None)
    assert taken(db) == 0


def test_while_rows_owe_their_validation_sqlite_runs_queries(db: Any) -> None:
    db.execute("PRAGMA bulk_load = on")
    db.executemany("INSERT INTO u VALUES(?, ?)", [(5, "new")] * 2000)
    assert db.execute("SELECT count(*) FROM u WHERE n = 'new'").fetchall() == [(2000,)]
    assert taken(db) == 0
    db.rollback()


@pytest.mark.storage_format("auto", "column", reason="the table turns to column format")
def test_tables_that_turn_to_column_format_are_noticed(tmp_path: Path) -> None:
    db = connect(colonnade, tmp_path / "new.db")
    db.execute("CREATE TABLE w(a)")
    sql = "SELECT sum(a) FROM w"
    assert db.execute(sql).fetchall() == [(None,)]
    db.execute("PRAGMA bulk_load = on")
    db.executemany("INSERT INTO w VALUES(?)", [(i,) for i in range(5000)])
    db.execute("PRAGMA bulk_load = off")
    db.commit()
    assert db.execute(sql).fetchall() == [(12_497_500,)]
    assert taken(db) == 1
    db.rollback()
