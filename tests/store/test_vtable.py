"""SQLite reads a table in column format through the virtual table exactly as it reads an ordinary one."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.check import check
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError

DECLARED = (
    'k, i INT, t TEXT, r REAL, n DECIMAL(10,2), c TEXT COLLATE NOCASE, w TEXT COLLATE RTRIM, "b b" BLOB'
)
COLUMNS = ["k", "i", "t", "r", "n", "c", "w", '"b b"']

small_values = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1, 1.5, -0.0, 1e300, 2.0**53, 9.2e18]),
    st.sampled_from(
        ["", "a", "A", "a ", "b", "ä", "5", " 5", "5.0", "1e1", "x" * 70, "1998-01-02", "a\0b", "~"]
    ),
    st.sampled_from([b"", b"a", b"\xff" * 70, b"5"]),
)
rowids = st.one_of(st.integers(-10, 60), st.sampled_from([2**63 - 2, -(2**63), 2**40]))
tables = st.dictionaries(rowids, st.tuples(*[small_values] * len(COLUMNS)), min_size=1, max_size=40)
operators = st.sampled_from(["=", "<", "<=", ">", ">=", "IS", "<>", "IS NOT"])


class Twins:
    """A table in column format, `t`, and an ordinary one, `o`, with the same rows."""

    def __init__(self, *, alias: bool) -> None:
        self.store = Store(apsw.Connection(":memory:"), memory_limit=1 << 22)
        self.db = self.store.db
        key = "k INTEGER PRIMARY KEY" + DECLARED[1:] if alias else DECLARED
        self.db.execute(f"CREATE TABLE t({key}); CREATE TABLE o({key}); CREATE TABLE x(v INT, s TEXT, n)")
        self.db.executemany(
            "INSERT INTO x VALUES(?, ?, ?)", [(5, "5", "5"), ("5x", "a", 5), (None, "b", b"a")]
        )
        self.alias = alias

    def fill(self, rows: dict[int, tuple[object, ...]], batches: list[int]) -> None:
        """Puts the rows into both, and freezes the column-format one after each of the counts in `batches`."""
        names = ("rowid", *COLUMNS[1:]) if self.alias else ("rowid", *COLUMNS)
        marks = ", ".join("?" * len(names))
        values = [(rowid, *(row[1:] if self.alias else row)) for rowid, row in rows.items()]
        self.db.executemany(f"INSERT INTO o({', '.join(names)}) VALUES({marks})", values)
        self.store.convert("t")
        while values:
            count = batches.pop() if batches else len(values)
            insert = f"INSERT INTO t_cln_rows({', '.join(names)}) VALUES({marks})"
            self.db.executemany(insert, values[:count])
            values = values[count:]
            table = self.store.table("t")
            assert table is not None
            table.freeze()
        table.settle_last()

    def same(self, query: str, *values: object) -> None:
        mine = self.db.execute(query.replace("{t}", "t"), values).fetchall()
        ordinary = self.db.execute(query.replace("{t}", "o"), values).fetchall()
        assert list(map(repr, mine)) == list(map(repr, ordinary)), query

    def close(self) -> None:
        assert [str(finding) for finding in check(self.store)] == []
        self.db.close()


@given(tables, st.lists(st.integers(1, 15), max_size=4), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_any_comparison_gives_the_rows_of_an_ordinary_table(
    rows: dict[int, tuple[object, ...]], batches: list[int], alias: bool, data: st.DataObject
) -> None:
    twins = Twins(alias=alias)
    twins.fill(rows, batches)
    twins.same("SELECT rowid, * FROM {t}")
    for column in [*COLUMNS, "rowid"]:
        operator, value = data.draw(operators), data.draw(small_values)
        twins.same(f"SELECT rowid, * FROM {{t}} WHERE {column} {operator} ?", value)
        twins.same(f"SELECT rowid, * FROM {{t}} WHERE {column} {operator} ? COLLATE NOCASE", value)
        if not isinstance(value, str) or "\0" not in value:  # a literal, whose value the planner knows
            literal = apsw.format_sql_value(value)
            twins.same(f"SELECT rowid, * FROM {{t}} WHERE {column} {operator} {literal} AND t IS NOT NULL")
        order = data.draw(st.sampled_from(["rowid", "rowid DESC", "k DESC, rowid DESC"]))
        limit = data.draw(st.integers(1, 40))
        query = f"SELECT rowid, * FROM {{t}} WHERE {column} {operator} ? ORDER BY {order} LIMIT {limit}"
        twins.same(query, value)
        right = data.draw(st.sampled_from(["x.v", "x.s", "x.n"]))
        twins.same(f"SELECT x.rowid, a.rowid FROM x CROSS JOIN {{t}} a ON a.{column} {operator} {right}")
    twins.close()


QUERIES = [
    "SELECT count(*), sum(i), min(t), max(r), total(n) FROM {t}",
    "SELECT * FROM {t} WHERE rowid BETWEEN 20 AND 3000 AND i > 3",
    "SELECT * FROM {t} WHERE rowid IN (1, 5, 77, 100000, '12', 3.0)",
    "SELECT rowid FROM {t} WHERE i IN (1, 2) AND t = 'b'",
    "SELECT * FROM {t} WHERE i = 3 OR t = 'c'",
    "SELECT * FROM {t} WHERE i < 3 OR r > 0.9",
    "SELECT rowid, i FROM {t} ORDER BY rowid",
    "SELECT rowid, i FROM {t} ORDER BY rowid DESC LIMIT 20",
    "SELECT rowid, i FROM {t} WHERE i > 5 ORDER BY rowid DESC LIMIT 7 OFFSET 3",
    "SELECT rowid FROM {t} WHERE rowid < 500 AND rowid > 100 ORDER BY rowid DESC",
    "SELECT max(rowid) FROM {t}",
    "SELECT min(rowid) FROM {t}",
    "SELECT max(rowid) FROM {t} WHERE i = 4",
    "SELECT i, count(*) FROM {t} GROUP BY i",
    "SELECT DISTINCT t FROM {t} ORDER BY t",
    "SELECT a.rowid, b.rowid FROM {t} a JOIN {t} b ON a.i = b.rowid WHERE a.rowid < 50",
    "SELECT rowid FROM {t} WHERE t LIKE 'B%' AND c LIKE 'b%'",
    "SELECT rowid FROM {t} WHERE t GLOB 'b*'",
    "SELECT rowid FROM {t} WHERE i IS NULL OR i IS 3",
    "SELECT rowid FROM {t} WHERE c = 'B'",
    "SELECT rowid FROM {t} WHERE (i, t) = (3, 'b') LIMIT 5",
    "SELECT * FROM {t} LIMIT 3 OFFSET 4500",
    "SELECT rowid, (SELECT max(i) FROM {t} b WHERE b.rowid < a.rowid) FROM {t} a WHERE a.rowid < 12",
    "SELECT count(*) FROM {t} WHERE EXISTS (SELECT 1 FROM {t} b WHERE b.i = 7)",
    "WITH q AS (SELECT i, t FROM {t} WHERE r < 0.5) SELECT t, sum(i) FROM q GROUP BY t",
    "SELECT i, row_number() OVER (PARTITION BY i ORDER BY rowid) FROM {t} WHERE rowid < 100",
]


@pytest.fixture(scope="module", params=[False, True], ids=["rowid", "integer primary key"])
def thousands(request: pytest.FixtureRequest) -> Iterator[Twins]:
    twins = Twins(alias=request.param)
    twins.store.batch_size = 1000
    rows = {
        rowid: (
            None,
            None if rowid % 11 == 0 else rowid % 9,
            "abcd"[rowid % 4] if rowid % 13 else None,
            (rowid * 37 % 101) / 101,
            rowid % 50 / 4,
            "bBcC"[rowid % 4],
            "a" + " " * (rowid % 3),
            b"b" * (rowid % 5),
        )
        for rowid in ((i * 7919) % 5003 for i in range(1, 5001))
    }
    twins.fill(rows, [2000, 1500])  # row groups that overlap
    yield twins
    twins.close()


@pytest.mark.parametrize("query", QUERIES)
def test_query(thousands: Twins, query: str) -> None:
    thousands.same(query)


def test_the_declared_types_and_collations_are_those_of_the_table(store: Store) -> None:
    store.db.execute(
        "CREATE TABLE s(a ANY, b INT NOT NULL, c TEXT COLLATE NOCASE, id INTEGER PRIMARY KEY) STRICT;"
        "INSERT INTO s VALUES('5', 5, 'X', 1), (5, 5, 'x', 2), (5.0, 1, 'y', 3)"
    )
    queries = [
        "SELECT typeof(a), a = '5', a = 5, a = b, c = 'x' FROM s ORDER BY id",
        "SELECT name, type, \"notnull\" FROM pragma_table_info('s')",
        "SELECT count(DISTINCT c) FROM s",
    ]
    before = [store.db.execute(query).fetchall() for query in queries]
    store.convert("s").freeze()
    assert [store.db.execute(query).fetchall() for query in queries] == before


def test_integer_primary_key_desc_is_no_alias_of_the_rowid(store: Store) -> None:
    store.db.execute(
        "CREATE TABLE d(a INTEGER PRIMARY KEY DESC, b); INSERT INTO d VALUES(30, 1), (10, 2), (20, 3)"
    )
    table = store.convert("d")
    assert table.rowid_column == 0
    table.freeze()
    assert store.db.execute("SELECT rowid, a FROM d WHERE a = 10").fetchall() == [(2, 10)]


def test_inserting_a_table_into_itself_ends(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2), (3)")
    store.convert("t").freeze()
    store.db.executemany("INSERT INTO t_cln_rows VALUES(?)", [(i,) for i in range(9000)])
    store.db.execute("INSERT INTO t_cln_rows(a) SELECT a FROM t")
    assert store.db.execute("SELECT count(*) FROM t").get == 2 * 9003


def test_writing_through_the_virtual_table_is_refused(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a)")
    store.convert("t")
    for statement in ("INSERT INTO t VALUES(1)", "DELETE FROM t", "UPDATE t SET a = 1"):
        with pytest.raises((apsw.SQLError, OperationalError)):
            store.db.execute(statement)


def test_more_than_63_columns_are_all_read(store: Store) -> None:
    names = [f"c{i}" for i in range(80)]
    store.db.execute(f"CREATE TABLE t({', '.join(names)})")
    store.db.execute(f"INSERT INTO t VALUES({', '.join(map(str, range(80)))}), ({', '.join('9' * 80)})")
    store.convert("t").freeze()
    assert store.db.execute("SELECT c0, c63, c79 FROM t").fetchall() == [(0, 63, 79), (9, 9, 9)]


# --- what is read, by the counters -------------------------------------------------------------------


@pytest.fixture
def ascending(store: Store) -> Store:
    store.db.execute("CREATE TABLE t(a INT, b TEXT, c REAL, PRIMARY KEY(a, b))")
    store.batch_size = 8192
    store.db.executemany(
        "INSERT INTO t VALUES(?, ?, ?)", [(i // 4, "wxyz"[i % 4], i / 8) for i in range(20_001)]
    )
    store.convert("t").freeze()
    assert len(store.table("t").groups()) == 3  # type: ignore[union-attr]
    return store


def read_by(store: Store, query: str, *values: object) -> tuple[int, int, list[object]]:
    """(chunks read, row groups skipped, rows) of a query."""
    before = store.pager.counters.snapshot()
    rows = store.db.execute(query, values).fetchall()
    delta = (store.pager.counters.snapshot() - before).total
    return delta.chunks_read, delta.groups_skipped, rows


def test_only_the_wanted_columns_are_read(ascending: Store) -> None:
    assert read_by(ascending, "SELECT sum(c) FROM t")[0] == 3 * 2  # with the rowids


def test_a_rowid_look_up_reads_one_row_group_and_the_next_one_none(ascending: Store) -> None:
    assert read_by(ascending, "SELECT c FROM t WHERE rowid = ?", 9001)[::2] == (2, [(1125.0,)])
    assert read_by(ascending, "SELECT c FROM t WHERE rowid = ?", 9002)[::2] == (0, [(1125.125,)])


def test_a_rowid_range_skips_the_other_row_groups(ascending: Store) -> None:
    chunks, skipped, rows = read_by(ascending, "SELECT a FROM t WHERE rowid BETWEEN ? AND ?", 100, 103)
    assert (chunks, skipped, rows) == (2, 2, [(24,), (25,), (25,), (25,)])


def test_the_end_of_a_table_is_read_from_the_end(ascending: Store) -> None:
    expected = [(20001,), (20000,), (19999,)]
    assert read_by(ascending, "SELECT rowid FROM t ORDER BY rowid DESC LIMIT 3")[::2] == (1, expected)
    assert read_by(ascending, "SELECT max(rowid) FROM t")[::2] == (0, [(20001,)])


def test_zone_maps_skip_row_groups_that_cannot_match(ascending: Store) -> None:
    chunks, skipped, rows = read_by(ascending, "SELECT c FROM t WHERE a = ?", 5)
    assert (chunks, skipped, len(rows)) == (3, 2, 4)
    assert read_by(ascending, "SELECT count(*) FROM t WHERE c < ?", -1.0) == (0, 3, [(0,)])
    assert read_by(ascending, "SELECT count(*) FROM t WHERE b = 'q'")[1] == 3
    assert read_by(ascending, "SELECT count(*) FROM t WHERE a IS NULL") == (0, 3, [(0,)])


def test_a_row_group_without_a_match_is_not_read_beyond_the_filter_column(ascending: Store) -> None:
    assert read_by(ascending, "SELECT c, b FROM t WHERE a = 100000 / 200 AND a <> 500")[0] <= 4


def test_the_planner_joins_by_key_look_ups(ascending: Store) -> None:
    ascending.db.execute("CREATE TABLE few(x INT); INSERT INTO few VALUES(1), (700), (4000); ANALYZE few")
    plan = ascending.db.execute("EXPLAIN QUERY PLAN SELECT * FROM t, few WHERE t.a = few.x").fetchall()
    assert [row[3].split()[1] for row in plan] == ["few", "t"]
