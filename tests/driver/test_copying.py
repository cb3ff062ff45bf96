"""INSERT … SELECT and CREATE TABLE … AS from tables in column format: all that can be seen of them is sqlite3's."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.queries import UNSOUND
from tests.driver.twins import outcome, typed

pytestmark = pytest.mark.storage_format("auto", reason="the tests say which tables are in column format")

SCRIPT = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT, c REAL, d DATE, price DECIMAL(10,2), e BLOB);
    CREATE TABLE u(k INT, n TEXT);
    CREATE TABLE own(x);
    CREATE TABLE plain(a, b INT, c TEXT, d REAL, e NUMERIC);
    CREATE TABLE keyed(k INTEGER PRIMARY KEY, n TEXT NOT NULL DEFAULT 'none', v INT UNIQUE CHECK(v < 100000));
    CREATE TABLE child(k INTEGER REFERENCES t, n DEFAULT (1 + 1));
    CREATE TABLE counted(k INTEGER PRIMARY KEY AUTOINCREMENT, n);
    CREATE TABLE strict(k INT, n TEXT) STRICT;
    CREATE TABLE fired(k);
    CREATE TRIGGER fires AFTER INSERT ON fired BEGIN INSERT INTO own VALUES(new.k); END;
    CREATE VIEW v AS SELECT a, b FROM t;
"""
ROWS = 5000  # of which those of `plain` and of wider tables make a row group
TARGETS = ("sqlite_sequence", "t", "u", "own", "plain", "keyed", "child", "counted", "strict", "fired")


def rows(count: int) -> list[tuple[Any, ...]]:
    return [
        (
            i,
            i % 7,
            f"b{i % 3}" if i % 11 else None,
            i / 4,
            f"1995-0{i % 9 + 1}-01",
            i / 2,
            None if i % 5 else bytes([i % 256]),
        )
        for i in range(1, count + 1)
    ]


class Pair:
    """The same rows in sqlite3 and in Colonnade, where t and u, and perhaps the others, are in column format."""

    def __init__(self, path: Path | str = ":memory:", *, columns: tuple[str, ...] = ("t", "u")) -> None:
        self.theirs = sqlite3.connect(":memory:", isolation_level=None)
        self.ours = colonnade.connect(str(path), isolation_level=None)
        for connection in (self.theirs, self.ours):
            connection.execute("PRAGMA foreign_keys = on")
            connection.executescript(SCRIPT)
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO t VALUES(?, ?, ?, ?, ?, ?, ?)", rows(ROWS))
            connection.executemany("INSERT INTO u VALUES(?, ?)", [(i // 3, f"n{i}") for i in range(ROWS)])
            connection.execute("INSERT INTO own VALUES(1), (2)")
            connection.execute("INSERT INTO keyed VALUES(-5, 'five', NULL)")
            connection.execute("COMMIT")
        session = self.ours._session
        self.ours.execute("PRAGMA batch_size = 1000")
        with session.changes.kept():
            for name in columns:
                session.store.convert(name).freeze()
        session.refresh()
        self.ours.execute("PRAGMA batch_size = 0")

    def both(self, sql: str, parameters: Any = ()) -> Any:
        """The statement on both; outcome and counters are equal. Gives the outcome.

        What it did to PRAGMA vectorized_stats is `done`: queries taken, and why others were not.
        """
        seen, before = [], self._stats()
        for connection in (self.theirs, self.ours):
            cursor = connection.cursor()
            result = typed(outcome(lambda c=cursor: c.execute(sql, parameters).fetchall()))
            counters = [
                *connection.execute("SELECT changes(), last_insert_rowid()"),
                connection.total_changes,
            ]
            counted = cursor.rowcount, cursor.lastrowid
            seen.append((result, counted, connection.in_transaction, counters))
        assert seen[1] == seen[0], sql
        taken, refused = self._stats()
        self.done = taken - before[0], dict(Counter(refused) - Counter(before[1]))
        return seen[0][0]

    def check(self) -> None:
        """All tables hold the same."""
        for name in TARGETS:
            query = f"SELECT rowid, * FROM {name}"
            theirs, ours = (c.execute(query).fetchall() for c in (self.theirs, self.ours))
            if repr(ours) != repr(theirs):
                wrong = [both for both in zip(theirs, ours, strict=False) if repr(both[0]) != repr(both[1])]
                assert (len(ours), wrong[:3]) == (len(theirs), []), name

    def _stats(self) -> tuple[int, dict[str, int]]:
        found = self.ours.execute("PRAGMA vectorized_stats").fetchall()
        return found[0][2], {reason: count for _, reason, count in found[1:]}

    def format_of(self, name: str) -> str:
        return "row" if self.ours._session.store.table(name) is None else "column"

    def close(self) -> None:
        assert self.ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        self.theirs.close()
        self.ours.close()


@pytest.fixture(params=["rows", "columns"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """What is written is in row format, or in column format."""
    more = ("plain", "keyed", "child", "counted", "strict") if request.param == "columns" else ()
    made = Pair(columns=("t", "u", *more))
    yield made
    made.close()


TAKEN = [
    ("INSERT INTO plain SELECT a, a, a, a, a FROM t", ()),
    ("INSERT INTO plain SELECT c, c, c, c, c FROM t WHERE id > ?", (50,)),
    ("INSERT INTO plain SELECT b, b, b, b, b FROM t WHERE id % 2", ()),
    ("INSERT INTO plain SELECT d, d, d, d, d FROM t WHERE a = :a", {"a": 3}),
    ("INSERT INTO plain SELECT e, e, e, e, e FROM t", ()),
    ("INSERT INTO plain SELECT price, price, price, price, price FROM t", ()),
    ("INSERT INTO plain SELECT price + 0.5, price * 2, price - 1, price / 2, price + 1 FROM t", ()),
    ("INSERT INTO plain SELECT a > 2, a IS NULL, b = 'b1', NULL, e IS NOT NULL FROM t", ()),
    ("INSERT INTO plain(e, a) SELECT a, count(*) FROM t GROUP BY a", ()),
    ("INSERT INTO plain(a, b, d) SELECT a, sum(price), avg(c) FROM t GROUP BY a, b HAVING count(*) > 5", ()),
    ("INSERT INTO plain(a) SELECT DISTINCT d FROM t", ()),
    ("INSERT INTO plain(a, b) SELECT b, id FROM t WHERE a < 3 ORDER BY c DESC, id LIMIT 500 OFFSET 3", ()),
    ("INSERT INTO plain(a) SELECT b FROM t UNION SELECT n FROM u WHERE k < 10", ()),
    ("INSERT INTO plain(a) SELECT b FROM t UNION ALL SELECT n FROM u", ()),
    ("WITH few AS (SELECT a, price FROM t WHERE a < 2) INSERT INTO plain(b, e) SELECT * FROM few", ()),
    ("INSERT INTO plain(b, e) WITH few AS (SELECT a, price FROM t WHERE a < 2) SELECT * FROM few;", ()),
    ("INSERT INTO plain(a, c) SELECT t.id, n FROM t JOIN u ON u.k = t.id ORDER BY t.id, n", ()),
    ("INSERT INTO plain(a, c) SELECT * FROM v WHERE b > 'b0'", ()),
    ("INSERT INTO plain(a) SELECT strftime('%m', d) FROM t", ()),
    ("INSERT INTO plain(a, b) SELECT id, row_number() OVER (PARTITION BY a ORDER BY id) FROM t", ()),
    ("INSERT INTO plain(a) SELECT id FROM t WHERE a IN (SELECT k FROM u WHERE n < 'n2')", ()),
    ("INSERT INTO plain(a, a, c) SELECT a, b, c FROM t WHERE a = 1", ()),
    ("INSERT INTO plain(a) SELECT a FROM t WHERE a > 100", ()),
    ("INSERT INTO main.plain AS p SELECT a, id, b, c, price FROM t -- all of them", ()),
    ("INSERT OR ABORT INTO keyed(v) SELECT id FROM t", ()),
    ("INSERT OR IGNORE INTO keyed SELECT id, b || '', id FROM t WHERE b > ''", ()),
    ("REPLACE INTO keyed(n, v, k) SELECT d, -id, id + 7 FROM t", ()),
    ("INSERT OR FAIL INTO keyed SELECT id, '', a + 1000 * id % 7 FROM t WHERE id < 0", ()),
    ("INSERT INTO keyed(k, v) SELECT CASE WHEN a > 3 THEN id ELSE NULL END, NULL FROM t", ()),
    ("INSERT INTO keyed(k, v) SELECT id, NULL FROM t ORDER BY id DESC", ()),
    ("INSERT INTO child SELECT id, a FROM t", ()),
    ("INSERT INTO child(k) SELECT id + 0.0 FROM t", ()),
    ("INSERT INTO counted(n) SELECT b FROM t", ()),
    ("INSERT INTO counted SELECT 2 * id, b FROM t", ()),
    ("INSERT INTO strict SELECT a, d FROM t", ()),
    ("INSERT INTO strict SELECT price, id FROM t WHERE id % 2 = 0", ()),
    ("INSERT INTO t(a, b) SELECT a, b FROM t", ()),
    ("INSERT INTO t SELECT id + 20000, a, b, c, d, price, e FROM t WHERE a <> 1", ()),
    ("INSERT INTO u SELECT * FROM u", ()),
]


@pytest.mark.parametrize(("sql", "parameters"), TAKEN)
def test_rows_of_vectors_are_those_of_sqlite3(pair: Pair, sql: str, parameters: Any) -> None:
    pair.both(sql, parameters)
    assert pair.done == (1, {})
    pair.check()
    pair.both("BEGIN")
    pair.both(sql, parameters)  # its rows may be there by now
    pair.both("INSERT INTO counted(n) VALUES('next')")
    pair.check()
    pair.both("ROLLBACK")


REFUSED = [
    "INSERT INTO keyed SELECT a, b, c FROM t",  # the key repeats
    "INSERT OR IGNORE INTO keyed SELECT a, d, id FROM t",
    "INSERT OR REPLACE INTO keyed SELECT a, d, id FROM t",
    "INSERT INTO keyed(k, v) SELECT id, id / 2 FROM t",
    "INSERT INTO keyed(k, n) SELECT id, b FROM t",  # NULL in NOT NULL
    "INSERT OR IGNORE INTO keyed(k, n) SELECT id, b FROM t",
    "INSERT OR REPLACE INTO keyed(k, n) SELECT id, b FROM t",
    "INSERT INTO keyed(k, v) SELECT id, id * 100 FROM t",  # the CHECK
    "INSERT INTO keyed(k) SELECT d FROM t",  # no integer
    "INSERT INTO child SELECT id + 5, a FROM t",  # without a parent
    "INSERT INTO strict SELECT b, b FROM t",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_sqlite_refuses_is_refused_by_its_own_words(pair: Pair, sql: str) -> None:
    for around in (("BEGIN", "ROLLBACK"), ("BEGIN", "COMMIT"), ()):
        for bound in around[:1]:
            pair.both(bound)
        pair.both("INSERT INTO own VALUES('before')")
        pair.both(sql)
        assert pair.done[1] == {UNSOUND: 1}
        pair.both("INSERT INTO own VALUES('behind')")
        for bound in around[1:]:
            pair.both(bound)
        pair.check()


LEFT = [
    ("INSERT INTO plain(a) SELECT sum(9223372036854775807 - a) FROM t", None),  # an integer overflow
    ("INSERT INTO plain(a) SELECT a, b FROM t", None),
    ("INSERT INTO plain(nothing) SELECT a FROM t", None),
    ("INSERT INTO nothing SELECT a FROM t", None),
    ("INSERT INTO plain(a) SELECT nothing FROM t", None),
    ("INSERT INTO fired SELECT id FROM t", None),  # a trigger
    ("INSERT INTO keyed(k, v) SELECT id, id FROM t WHERE true ON CONFLICT DO UPDATE SET v = v + 1", None),
    ("INSERT INTO plain(a) SELECT x FROM own", None),
    (
        "INSERT INTO counted SELECT id, a FROM t WHERE a > 100",
        UNSOUND,
    ),  # which SQLite notes in sqlite_sequence
    ("INSERT INTO plain(a) SELECT a FROM t WHERE id = 7", None),
    ("INSERT INTO plain(a, b) SELECT abs(random()) >= 0, changes() FROM t WHERE id < 4", None),
    (
        "INSERT INTO plain(a) SELECT DISTINCT n FROM t JOIN u ON u.k = t.id WHERE t.id < 100",
        "the rows of a join in no order",
    ),
    (
        "INSERT INTO plain(a) SELECT * FROM (SELECT n FROM t JOIN u ON u.k = t.id WHERE t.id < 100)",
        "the rows of a join in no order",
    ),
    (
        "INSERT INTO plain(a, b) SELECT t.id, n FROM t JOIN u ON u.k = t.id WHERE t.id < 100 ORDER BY t.id",
        "the rows of a join that are equal in the order",
    ),
]


@pytest.mark.parametrize(("sql", "reason"), LEFT)
def test_what_is_not_certain_is_left_to_sqlite(pair: Pair, sql: str, reason: str | None) -> None:
    pair.both(sql)
    assert pair.done[0] == 0 or reason == UNSOUND  # then the rows are asked for once more, to be thawed
    assert reason is None or pair.done[1] == {reason: 1}
    pair.check()


def test_a_table_that_gets_many_rows_turns_to_column_format() -> None:
    pair = Pair()
    pair.both("INSERT INTO plain(a) SELECT id FROM t WHERE id < 1000")
    assert pair.format_of("plain") == "row"
    pair.both("INSERT INTO plain(a, c) SELECT id, b FROM t")
    assert pair.format_of("plain") == "column"
    assert len(pair.ours._session.store.table("plain").groups()) == 1
    pair.ours.execute("PRAGMA storage_format = row")
    pair.both("INSERT INTO child SELECT id, a FROM t")
    assert pair.format_of("child") == "row"
    assert pair.done == (1, {})
    pair.check()
    pair.close()


def test_one_row_of_many_batches_is_in_the_row_part() -> None:
    pair = Pair(columns=("t", "u", "keyed", "counted"))
    pair.ours.execute("PRAGMA batch_size = 1000")
    wide = "d || '-' || d || '-' || d || '-' || d || '-' || d || '-' || d || '-' || d || '-' || d"
    for _ in range(4):
        wide = f"{wide} || {wide}"  # 2 KB: few rows make a row group
    for sql in (
        f"CREATE TABLE made AS SELECT id, {wide} AS w FROM t",
        f"INSERT INTO made SELECT id, {wide} FROM t",
        f"INSERT INTO counted(n) SELECT {wide} FROM t",
        f"INSERT INTO keyed(k, n) SELECT id, {wide} FROM t ORDER BY id DESC",
    ):
        pair.both(sql)
        assert pair.done == (1, {})
    for name, groups in (("made", 8), ("counted", 4), ("keyed", 4)):
        table = pair.ours._session.store.table(name)
        assert len(table.groups()) >= groups
        assert table.row_part.count() <= 3, name
    same_tables(pair, "made")
    pair.both("INSERT INTO keyed(n) VALUES('next')")
    pair.both("INSERT INTO counted(n) VALUES('next')")
    pair.check()
    pair.close()


def test_a_turn_to_column_format_is_undone_with_the_rows() -> None:
    pair = Pair()
    pair.both("BEGIN")
    # The last batches are not known to be SQLite's, when rows of the first have been appended.
    pair.ours.execute("PRAGMA batch_size = 4500")
    pair.both("INSERT INTO keyed(k, v) SELECT id, CASE WHEN id < 4900 THEN id ELSE 1 END FROM t")
    assert pair.done == (0, {UNSOUND: 1})
    assert pair.format_of("keyed") == "row"
    pair.ours.execute("PRAGMA batch_size = 0")
    pair.both("INSERT INTO keyed(v) SELECT id FROM t")
    assert pair.format_of("keyed") == "column"
    pair.both("ROLLBACK")
    assert pair.format_of("keyed") == "row"
    pair.check()
    pair.close()


def test_it_is_switched_off_with_vectorised_queries(pair: Pair) -> None:
    pair.ours.execute("PRAGMA vectorized = off")
    pair.both("INSERT INTO plain(a, c) SELECT id, b FROM t")
    assert pair.done == (0, {})
    pair.check()


def test_hooks_hear_of_the_statement_and_no_other(pair: Pair) -> None:
    heard: list[list[str]] = []
    for connection in (pair.theirs, pair.ours):
        heard.append([])
        connection.set_trace_callback(heard[-1].append)
        connection.execute("INSERT INTO plain(a, c) SELECT id, b FROM t")
        connection.set_trace_callback(None)
    assert heard[1] == heard[0]
    pair.check()


def test_explain_query_plan_says_so(pair: Pair) -> None:
    def said(sql: str) -> list[str]:
        return [row[3] for row in pair.ours.execute(f"EXPLAIN QUERY PLAN {sql}")]

    assert said("INSERT INTO plain(a) SELECT count(*) FROM t GROUP BY a")[0] == "VECTORISED"
    refused = "NOT VECTORISED: the rows of a join in no order"
    assert said("INSERT INTO plain(a) SELECT DISTINCT n FROM t JOIN u ON u.k = t.a")[0] == refused
    assert "VECTORISED" not in "".join(said("INSERT INTO fired SELECT id FROM t"))
    pair.check()


def test_an_interrupt_undoes_the_transaction_as_in_sqlite3(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.both("BEGIN")
    pair.both("INSERT INTO own VALUES('before')")
    queries = pair.ours._session.columns.queries
    checkpoint, calls = queries._checkpoint, []

    def interrupted() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            pair.ours.interrupt()
        checkpoint()

    monkeypatch.setattr(queries, "_checkpoint", interrupted)
    with pytest.raises(colonnade.OperationalError, match="interrupted"):
        pair.ours.execute("INSERT INTO plain(a) SELECT a FROM t")
    pair.theirs.create_function("stop", 0, pair.theirs.interrupt)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        pair.theirs.execute("INSERT INTO plain(a) SELECT coalesce(stop(), a) FROM t")
    assert (pair.ours.in_transaction, pair.theirs.in_transaction) == (False, False)
    pair.check()
    pair.both("INSERT INTO own VALUES('behind')")


def test_an_open_query_is_read_to_its_end_whatever_is_inserted(pair: Pair) -> None:
    cursors = [c.execute("SELECT id, b FROM t ORDER BY id") for c in (pair.theirs, pair.ours)]
    first = [cursor.fetchmany(10) for cursor in cursors]
    pair.both("INSERT INTO t(a, b) SELECT a, b FROM t")
    rest = [cursor.fetchall() for cursor in cursors]
    assert first[1] + rest[1] == first[0] + rest[0][: ROWS - 10]
    pair.check()


def test_rows_of_another_database_are_read(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "t.db")
    other = Pair(tmp_path / "other.db")
    other.ours.close()
    pair.ours.execute(f"ATTACH '{tmp_path / 'other.db'}' AS other")
    pair.theirs.execute("ATTACH ':memory:' AS other")
    pair.theirs.execute("CREATE TABLE other.t AS SELECT * FROM main.t")
    pair.both("INSERT INTO plain(a, c) SELECT id, b FROM other.t WHERE a < 5")
    assert pair.done == (1, {})
    pair.check()
    pair.close()


# --- CREATE TABLE … AS ---------------------------------------------------------------------------------------


def same_tables(pair: Pair, *names: str) -> None:
    """Tables that were made: text, rows with their classes, and rowids."""
    for name in names:
        found = []
        for connection in (pair.theirs, pair.ours):
            texts = connection.execute(
                "SELECT sql FROM sqlite_master WHERE name = ?1 UNION ALL"
                " SELECT sql FROM sqlite_temp_master WHERE name = ?1",
                (name,),
            ).fetchall()
            found.append((texts, connection.execute(f'SELECT rowid, * FROM "{name}"').fetchall()))
        assert repr(found[1]) == repr(found[0]), name
        assert found[0][0] or "." in name


MADE = [
    ("CREATE TABLE made AS SELECT * FROM t", ()),
    ('CREATE TABLE made AS SELECT id, a AS "of it", b, c, d, price, e FROM t WHERE a > ?', (3,)),
    ('create table if not exists "made" as select a, count(*), sum(price) s, avg(c) from t group by a;', ()),
    ("CREATE TEMP TABLE made AS SELECT b, a FROM t -- all", ()),
    ("CREATE TEMPORARY TABLE IF NOT EXISTS made AS SELECT a + 1, a FROM t WHERE c > 3 LIMIT 3", ()),
    ("CREATE TABLE main.made AS SELECT DISTINCT a, a, b FROM t ORDER BY a, b LIMIT ? OFFSET 1", (9,)),
    ("CREATE TABLE made AS SELECT d FROM t ORDER BY c DESC LIMIT :n", {"n": 4}),
    ("CREATE TABLE made AS WITH few AS (SELECT a, price FROM t WHERE a < 2 LIMIT 7) SELECT * FROM few", ()),
    ("CREATE TABLE made AS SELECT a, b FROM t UNION SELECT k, n FROM u WHERE k < 9", ()),
    ("CREATE TABLE made AS SELECT rowid, rowid + 1, CAST(a AS TEXT), a || b, price / 2 FROM t", ()),
    ("CREATE TABLE made AS SELECT * FROM t JOIN u ON k = id WHERE k < 50 ORDER BY id, n", ()),
    (
        "CREATE TABLE made AS SELECT (SELECT max(k) FROM u), CASE WHEN a > 3 THEN a ELSE -a END AS m FROM v",
        (),
    ),
    ("CREATE TABLE made AS SELECT a FROM t WHERE a > 100", ()),
    ("CREATE TABLE made(a) AS SELECT 1", None),
    ("CREATE TABLE made AS SELECT a FROM t UNION ALL VALUES(1)", None),
    ("CREATE TABLE made AS SELECT sum(9223372036854775807 - a) FROM t", None),
    ("CREATE TABLE made AS SELECT nothing FROM t", None),
    ("CREATE TABLE nowhere.made AS SELECT a FROM t", None),
    ("CREATE TABLE own AS SELECT a FROM t", None),
    ("CREATE TABLE IF NOT EXISTS own AS SELECT a FROM t", None),
    ("CREATE TABLE made AS SELECT DISTINCT a FROM t JOIN u ON k = id WHERE k < 50", None),
    ("CREATE TABLE made AS SELECT x FROM own", None),
    ("CREATE TABLE made AS SELECT a FROM t WHERE a > ?", None),
    ("CREATE TABLE made AS SELECT abs(random()) >= 0 AS r FROM t", None),
]


@pytest.mark.parametrize(("sql", "parameters"), MADE)
def test_tables_made_of_queries_are_those_of_sqlite3(sql: str, parameters: Any) -> None:
    pair = Pair()
    for around in (("BEGIN", "ROLLBACK"), ()):
        pair.both("INSERT INTO own VALUES('before')")
        for bound in around[:1]:
            pair.both(bound)
        failed = isinstance(pair.both(sql, parameters or ()), tuple)
        assert pair.done[0] == (parameters is not None)
        if not failed and "own" not in sql:
            same_tables(pair, "made")
            pair.both("INSERT INTO made SELECT * FROM made LIMIT 2")
            same_tables(pair, "made")
        for bound in around[1:]:
            pair.both(bound)
        assert not pair.ours.in_transaction
    pair.check()
    pair.close()


def test_a_table_made_of_many_rows_is_in_column_format() -> None:
    pair = Pair()
    pair.both("CREATE TABLE many AS SELECT * FROM t")
    pair.both("CREATE TABLE few AS SELECT * FROM t WHERE a = 1")
    pair.both("CREATE TEMP TABLE passing AS SELECT * FROM t")
    assert (pair.format_of("many"), pair.format_of("few")) == ("column", "row")
    same_tables(pair, "many", "few", "passing")
    pair.ours.execute("PRAGMA storage_format = column")
    pair.both("CREATE TABLE more AS SELECT b FROM t WHERE a = 1")
    assert pair.format_of("more") == "column"
    pair.ours.execute("PRAGMA storage_format = row")
    pair.both("CREATE TABLE less AS SELECT * FROM t")
    assert pair.format_of("less") == "row"
    pair.both("INSERT INTO passing SELECT * FROM many")
    assert pair.done == (1, {})
    same_tables(pair, "many", "few", "passing", "more", "less")
    pair.close()


def test_a_table_that_is_not_made_leaves_nothing_behind() -> None:
    """What the first batches hold is in the table when a later one turns out not to be for vectors."""
    pair = Pair()
    pair.ours.execute("PRAGMA batch_size = 4500")
    pair.both("BEGIN")
    sql = "CREATE TABLE made AS SELECT id, CASE WHEN id > 4900 THEN b ELSE a END AS m FROM t"
    pair.both(sql)
    assert pair.done[0] == 0
    same_tables(pair, "made")
    pair.both("ROLLBACK")
    pair.both(sql)
    same_tables(pair, "made")
    pair.close()


def test_a_temporary_table_is_made_beside_a_database_that_is_read_only(tmp_path: Path) -> None:
    Pair(tmp_path / "t.db").close()
    ours = colonnade.connect(f"file:{tmp_path / 't.db'}?mode=ro", uri=True, isolation_level=None)
    ours.execute("CREATE TEMP TABLE made AS SELECT a, count(*) AS n FROM t GROUP BY a")
    assert ours.execute("SELECT sum(n) FROM made").fetchall() == [(ROWS,)]
    ours.execute("INSERT INTO made SELECT b, 1 FROM t")
    assert ours.execute("SELECT count(*) FROM made").fetchall() == [(ROWS + 7,)]
    assert ours.execute("PRAGMA vectorized_stats").fetchall()[0][2] >= 2
    with pytest.raises(colonnade.OperationalError, match="readonly"):
        ours.execute("CREATE TABLE made AS SELECT a, count(*) AS n FROM t GROUP BY a")
    ours.close()


def test_explain_query_plan_of_a_table_made() -> None:
    pair = Pair()
    rows = pair.ours.execute("EXPLAIN QUERY PLAN CREATE TABLE made AS SELECT a, sum(c) FROM t GROUP BY a")
    assert next(rows)[3] == "VECTORISED"
    pair.close()


JOINS = [
    "SELECT k, n, t.b FROM u JOIN t ON t.id = u.k",
    "SELECT t.b, u.k, n FROM t, u WHERE t.id = u.k AND t.a < 5 AND u.n > 'n2'",
    "SELECT u.n, t.b, o.c FROM u JOIN t ON t.id = u.k JOIN t AS o ON o.id = t.a WHERE o.a > 1",
    "SELECT t.b, n FROM u LEFT JOIN t ON t.id = u.k + 1000",
    "SELECT x, t.b, u.n FROM u JOIN t ON t.id = u.k CROSS JOIN own WHERE u.k < 30",
    "SELECT a, keyed.n, keyed.k FROM t JOIN keyed ON keyed.k = -t.a WHERE t.id % 3",
    "SELECT u.n, t.b FROM u JOIN t ON t.id = u.k LIMIT 1000 OFFSET 10",
]


@pytest.mark.parametrize("query", JOINS)
def test_the_rows_of_a_join_come_in_the_order_of_sqlites_loops(query: str) -> None:
    pair = Pair()
    pair.both(f"CREATE TABLE made AS {query}")
    assert pair.done == (1, {})
    same_tables(pair, "made")
    pair.ours.execute("PRAGMA vectorized = off")
    pair.ours.execute(f"CREATE TABLE again AS {query}")
    found = [pair.ours.execute(f"SELECT rowid, * FROM {name}").fetchall() for name in ("made", "again")]
    assert found[0] == found[1]
    pair.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM (SELECT k, n, b FROM u JOIN t ON t.id = u.k)",
        "SELECT DISTINCT n FROM u JOIN t ON t.id = u.k",
        "SELECT n FROM u JOIN t ON t.id = u.k UNION ALL SELECT n FROM u",
        "SELECT n, row_number() OVER (ORDER BY u.k) FROM u JOIN t ON t.id = u.k",
        "SELECT n FROM u JOIN t ON t.id = u.k ORDER BY t.a",
        "SELECT n FROM u JOIN plain ON plain.b = u.k",  # by an index that SQLite makes for it
    ],
)
def test_other_joins_have_no_order_that_is_known(query: str) -> None:
    pair = Pair()
    pair.both("INSERT INTO plain(b, c) SELECT k, n FROM u WHERE k < 300 ORDER BY n")
    pair.ours.execute(f"CREATE TABLE made AS {query}")
    stats = pair.ours.execute("PRAGMA vectorized_stats").fetchall()
    assert "a join" in stats[1][1]
    pair.close()


# --- bulk load -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize(("sql", "parameters"), TAKEN[::3])
def test_rows_of_vectors_under_bulk_load(sql: str, parameters: Any, autocommit: bool) -> None:
    pair = Pair()
    pair.ours.execute("PRAGMA bulk_load = on")
    if not autocommit:
        pair.both("BEGIN")
    pair.both(sql, parameters)
    assert pair.done == (1, {})
    pair.both("INSERT INTO plain(a) SELECT a FROM t WHERE a > 100")
    if not autocommit:
        pair.both("COMMIT")
    pair.check()
    pair.close()


def test_keys_that_do_not_hold_under_bulk_load() -> None:
    pair = Pair()
    pair.ours.execute("PRAGMA bulk_load = on")
    for sql, message in (
        ("INSERT INTO keyed(k, v) SELECT id, id / 2 FROM t WHERE c > 0", "UNIQUE constraint failed: keyed.v"),
        ("INSERT INTO keyed(k, n) SELECT id, b FROM t", "NOT NULL constraint failed: keyed.n"),
    ):
        with pytest.raises(colonnade.IntegrityError, match=message):
            pair.ours.execute(sql)
        assert not pair.ours.in_transaction
    pair.check()
    for connection in (pair.theirs, pair.ours):
        assert connection.execute("INSERT INTO keyed(k, v) SELECT id, id FROM t").rowcount == ROWS
    pair.check()
    pair.close()


def test_a_batch_that_is_not_for_vectors_under_bulk_load() -> None:
    pair = Pair()
    pair.ours.execute("PRAGMA bulk_load = on")
    pair.ours.execute("PRAGMA batch_size = 900")
    pair.both("INSERT INTO plain(a) SELECT CASE WHEN id > 4900 THEN b ELSE a END FROM t")
    assert pair.done[0] == 0
    pair.check()
    pair.close()
