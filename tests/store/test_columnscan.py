"""Column scans give the rows of an ordinary table in the order of rowids, as they were when the scan began."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.check import check
from colonnade.store.columnscan import RowFilter, scan_columns
from colonnade.store.database import Store
from colonnade.store.errors import Corrupt, OperationalError
from colonnade.store.freeze import batch_key_zones
from colonnade.store.prune import Compared, Condition, Op, condition
from colonnade.store.redefine import uncovered
from colonnade.store.rowgroup import encode_row_group
from colonnade.store.scan import BoolArray
from colonnade.store.table import ColumnTable
from colonnade.store.values import (
    Column,
    IntArray,
    Kind,
    RowBatch,
    SQLiteValue,
    from_python,
    integer_column,
    to_python,
)

Row = tuple[SQLiteValue, ...]

VALUES = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.sampled_from([2**63 - 1, -(2**63), 1.5, -0.0, 1e300, "", "a", "ä", "1998-01-02", b"", b"\xff"]),
)
ROWIDS = st.one_of(st.integers(-10, 60), st.sampled_from([2**63 - 2, -(2**63), 2**40]))


def rows_of(batches: Iterable[RowBatch], *, rowids: bool = False) -> list[Row]:
    rows: list[Row] = []
    for batch in batches:
        columns: list[Sequence[SQLiteValue]] = [to_python(column) for column in batch.columns]
        assert all(len(column) == batch.row_count for column in columns)
        assert (batch.rowids is not None) == rowids
        if batch.rowids is not None:
            columns.insert(0, batch.rowids.tolist())
        rows += zip(*columns, strict=True)
    return rows


def put(table: ColumnTable, rowids: Sequence[int], *columns: Column) -> None:
    """Stores a row group."""
    batch = RowBatch(len(rowids), columns, np.array(rowids, np.int64))
    group = encode_row_group(batch, table.column_ids, table.rowid_column)
    table.put(group, batch_key_zones(table, batch), checked=True)


def numbers(*values: int) -> IntArray:
    return np.array(values, np.int64)


def at_least(column_id: int, bound: int) -> RowFilter:
    def test(columns: Sequence[Column]) -> BoolArray:
        (column,) = columns
        assert column.kind is Kind.INTEGER
        return np.asarray(column.data.to_numpy() >= bound, bool)

    return RowFilter((column_id,), test)


@pytest.fixture
def table(store: Store) -> ColumnTable:
    """30,000 rows in three row groups, but for the last: id and a from 1 to 30,000, word one of three."""
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, word TEXT)")
    table = store.convert("t")
    for first in (1, 10_001, 20_001):
        ids = np.arange(first, first + 10_000)
        words = pa.array(["one", "two", "three"]).take(pa.array(ids % 3))
        put(table, ids.tolist(), integer_column(ids), integer_column(ids), Column(Kind.TEXT, words))
    table.settle_last()
    return table


def test_rows_come_with_the_columns_asked_for_in_rowid_order(table: ColumnTable) -> None:
    rows = rows_of(scan_columns(table, (3, 2)))
    assert rows == [(("one", "two", "three")[i % 3], i) for i in range(1, 30_001)]
    assert rows_of(scan_columns(table, (0, 3)), rowids=True) == [(i, word) for word, i in rows]
    assert [b.row_count for b in scan_columns(table, ())] == [10_000, 10_000, 9_999, 1]
    assert rows_of(scan_columns(table, (1, 1))) == [(i, i) for i in range(1, 30_001)]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_filters_run_in_order_and_each_on_what_is_left(table: ColumnTable, threads: int) -> None:
    seen: list[int] = []

    def second(columns: Sequence[Column]) -> BoolArray | None:
        seen.append(len(columns[0]))
        assert pa.types.is_dictionary(columns[1].data.type) or len(columns[1]) == 1
        return np.asarray(pc.equal(columns[1].data, "two").to_numpy(zero_copy_only=False), bool)

    filters = (at_least(2, 19_990), RowFilter((0, 3), second), RowFilter((1,), lambda columns: None))
    rows = rows_of(scan_columns(table, (3, 0), filters=filters, threads=threads), rowids=True)
    assert rows == [(i, "two") for i in range(19_990, 30_001) if i % 3 == 1]
    assert sorted(seen) == [1, 11, 10_000]


def test_a_row_group_without_a_passing_row_decodes_nothing_more(table: ColumnTable) -> None:
    counters = table.store.pager.counters.of(table.names.key)
    before = counters.copy()
    assert rows_of(scan_columns(table, (3,), filters=(at_least(2, 40_000),))) == []
    work = counters - before
    assert (work.chunks_read, work.blocks_decoded, work.groups_skipped) == (3, 6, 0)


def test_few_rows_decode_their_blocks_only(table: ColumnTable) -> None:
    counters = table.store.pager.counters.of(table.names.key)
    before = counters.copy()
    assert len(rows_of(scan_columns(table, (3, 2), filters=(at_least(2, 29_900),)))) == 101
    work = counters - before
    assert (work.chunks_read, work.blocks_decoded) == (4, 7)  # two blocks a row group, and one


def test_zone_maps_rule_out_row_groups_before_a_chunk_is_read(table: ColumnTable) -> None:
    counters = table.store.pager.counters.of(table.names.key)
    before = counters.copy()
    above = condition(Compared(2, numeric=True, binary=True), Op.GT, 20_000, certain=True)
    below = condition(Compared(0, numeric=True, binary=True), Op.LT, 20_500, certain=True)
    assert len(rows_of(scan_columns(table, (2,), conditions=(above,)))) == 10_000
    assert (counters - before).groups_skipped == 2
    assert (counters - before).chunks_read == 1
    assert len(rows_of(scan_columns(table, (2,), conditions=(above, below)))) == 10_000
    never = Condition(2, ())
    assert rows_of(scan_columns(table, (2,), conditions=(never,))) == [(30_000,)]


def test_deleted_rows_are_left_out(table: ColumnTable) -> None:
    gone = {1, 5, 10_000, *range(10_001, 20_001), *range(20_001, 29_990)}
    table.delete(numbers(*sorted(gone)))
    left = [i for i in range(1, 30_001) if i not in gone]
    assert rows_of(scan_columns(table, (0, 2)), rowids=True) == [(i, i) for i in left]
    rows = rows_of(scan_columns(table, (2,), filters=(at_least(2, 9_999),)))
    assert rows == [(i,) for i in left if i >= 9_999]


def test_a_scan_shows_the_table_as_it_was_when_it_began(table: ColumnTable) -> None:
    db = table.store.db
    scan = scan_columns(table, (0, 2), threads=1)
    rows = rows_of((next(scan),), rowids=True)
    table.delete(numbers(*range(10_001, 20_001)))  # a whole row group
    table.thaw(numbers(25_000, 25_001))
    db.execute("UPDATE t_cln_rows SET a=-1; INSERT INTO t_cln_rows VALUES(30001, 1, 'new'), (-7, 1, 'new')")
    put(table, [40_000], *(from_python([value]) for value in (40_000, 1, "new")))
    table.settle_last()
    table.store.cache.clear()
    rows += rows_of(scan, rowids=True)
    assert rows == [(i, i) for i in range(1, 30_001)]
    assert len(rows_of(scan_columns(table, (2,)))) == 20_003
    assert table.open_scans == 0


def test_one_row_at_a_time_can_be_thawed_under_a_scan(table: ColumnTable) -> None:
    """Tombstones of a single row are set in place where no scan is counted."""
    table.delete(numbers(20_005))
    scan = scan_columns(table, (2,), threads=1)
    next(scan)
    table.thaw(numbers(20_006))
    assert table.open_scans == 1
    rows = rows_of(scan)
    assert (20_006,) in rows
    assert (20_005,) not in rows
    assert len(rows) == 19_999


def test_other_connections_wait_or_leave_the_snapshot_alone(table: ColumnTable) -> None:
    db = table.store.db
    db.execute("PRAGMA journal_mode=wal")
    scan = scan_columns(table, (2,), threads=1)
    first = rows_of((next(scan),))
    other = Store(apsw.Connection(db.filename), memory_limit=1 << 22)
    changed = other.table("t")
    assert changed is not None
    changed.delete(numbers(*range(10_001, 20_001)))
    other.db.close()
    assert len(first) + len(rows_of(scan)) == 30_000
    assert len(rows_of(scan_columns(table, (2,)))) == 20_000


def test_a_rollback_that_takes_row_groups_away_ends_the_scan(table: ColumnTable) -> None:
    db = table.store.db
    db.execute("BEGIN")
    for start in range(50_000, 60_000, 1000):
        put(table, [start], *(from_python([value]) for value in (start, 1, "new")))
    scan = scan_columns(table, (2,), threads=1)
    next(scan)
    db.execute("ROLLBACK")
    with pytest.raises(OperationalError, match="abort due to ROLLBACK"):
        rows_of(scan)
    assert table.open_scans == 0
    assert len(rows_of(scan_columns(table, (2,)))) == 30_000


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_filter_raises_reaches_the_reader(table: ColumnTable, threads: int) -> None:
    class OwnError(Exception):
        pass

    def test(columns: Sequence[Column]) -> BoolArray | None:
        if columns[0].data[0].as_py() == 10_001:
            raise OwnError
        return None

    before = threading.active_count()
    scan = scan_columns(table, (2,), filters=(RowFilter((2,), test),), threads=threads)
    assert next(scan).row_count == 10_000
    with pytest.raises(OwnError):
        next(scan)
    assert table.open_scans == 0
    assert threading.active_count() == before
    with pytest.raises(StopIteration):
        next(scan)


def test_a_checkpoint_stops_a_scan(table: ColumnTable) -> None:
    def checkpoint() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_columns(table, (2,), checkpoint=checkpoint)
    assert table.open_scans == 0


def test_a_scan_that_is_given_up_lets_go_of_all(table: ColumnTable) -> None:
    before = threading.active_count()
    scan = scan_columns(table, (2,), threads=2)
    next(scan)
    assert table.open_scans == 1
    assert threading.active_count() > before
    scan.close()
    assert table.open_scans == 0
    assert threading.active_count() == before
    assert list(scan) == []
    unread = scan_columns(table, (2,))
    assert table.open_scans == 1
    del unread
    assert table.open_scans == 0
    table.store.db.execute("DROP TABLE t")  # no statement is open


def test_damage_is_found(table: ColumnTable) -> None:
    table.store.expect_damage = True  # type: ignore[attr-defined]
    table.store.db.execute("UPDATE t_cln_chunks SET data=zeroblob(100) WHERE chunk_id=2*4096+2")
    with pytest.raises(Corrupt):
        rows_of(scan_columns(table, (2,)))
    table.store.db.execute("DELETE FROM t_cln_chunks WHERE chunk_id=2*4096+2")
    with pytest.raises(Corrupt, match="no chunk"):
        rows_of(scan_columns(table, (2,)))


def test_columns_added_later_have_their_default(table: ColumnTable) -> None:
    store = table.store
    with uncovered(store, [table]):
        store.db.execute("ALTER TABLE t ADD COLUMN late TEXT DEFAULT 'x'")
    later = store.table("t")
    assert later is not None
    rows = rows_of(scan_columns(later, (later.column_ids[-1], 2), filters=(at_least(2, 29_999),)))
    assert rows == [("x", 29_999), ("x", 30_000)]


def test_kinds_are_known_before_anything_is_decoded(table: ColumnTable) -> None:
    scan = scan_columns(table, (2, 3))
    assert scan.kinds() == [{Kind.INTEGER}, {Kind.TEXT}]
    scan.close()
    table.store.db.execute("UPDATE t_cln_rows SET a='text'")  # behind all row groups: a batch of its own
    scan = scan_columns(table, (2, 3))
    assert scan.kinds() == [{Kind.INTEGER, Kind.TEXT}, {Kind.TEXT}]
    scan.close()
    table.thaw(numbers(15_000))
    table.store.db.execute("UPDATE t_cln_rows SET a='text' WHERE id=15000")
    scan = scan_columns(table, (2, 3))
    assert Kind.MIXED in scan.kinds()[0]
    assert Kind.MIXED in {batch.columns[0].kind for batch in scan}


def test_what_was_scanned_is_not_read_again(table: ColumnTable) -> None:
    cache, counters = table.store.cache, table.store.pager.counters.of(table.names.key)
    first = rows_of(scan_columns(table, (1, 2, 3), again=True))
    before = counters.copy()
    assert rows_of(scan_columns(table, (1, 2, 3), threads=2)) == first
    assert (counters - before).chunks_read == 0
    assert 0 < cache.columns.bytes < 160_000  # narrowed: 9 x 10,000 values of one or two bytes
    assert table.forget_keys() > 0
    assert cache.columns.bytes == 0
    assert rows_of(scan_columns(table, (1, 2, 3))) == first
    assert (counters - before).chunks_read == 9


def test_what_is_asked_for_once_is_not_kept(table: ColumnTable) -> None:
    cache, counters = table.store.cache, table.store.pager.counters.of(table.names.key)
    before, found = counters.copy(), []
    for _ in range(3):
        assert len(rows_of(scan_columns(table, (1, 3)))) == 30_000
        found.append(((counters - before).chunks_read, cache.columns.bytes > 0))
    assert found == [(6, False), (12, True), (12, True)]
    rows_of(scan_columns(table, (2, 3)))  # the one for the first time
    assert (counters - before).chunks_read == 15
    rows_of(scan_columns(table, (2, 3)))
    rows_of(scan_columns(table, (2, 3)))
    assert (counters - before).chunks_read == 18


def test_the_cache_of_scans_keeps_to_its_share_and_makes_room(store: Store) -> None:
    store.db.execute("CREATE TABLE r(a, b)")
    table, random = store.convert("r"), np.random.default_rng(1)
    for first in (1, 10_001, 20_001):  # 20,000 bytes a chunk
        columns = [integer_column(random.integers(0, 1 << 16, 10_000)) for _ in range(2)]
        put(table, range(first, first + 10_000), *columns)
    table.settle_last()
    store.memory_limit = 90_000  # 3/4 for both caches, of which 7/8 for scans: room for two chunks
    counters = store.pager.counters.of(table.names.key)

    def chunks_read(column_id: int) -> int:
        before = counters.copy()
        assert len(rows_of(scan_columns(table, (column_id,), again=True))) == 30_000
        return (counters - before).chunks_read

    assert [chunks_read(1), chunks_read(1), chunks_read(1)] == [3, 1, 1]  # going round does not empty it
    assert 40_000 <= store.cache.columns.bytes <= 45_000
    assert [chunks_read(2), chunks_read(2), chunks_read(1)] == [3, 1, 3]
    store.working_memory()
    assert store.cache.columns.bytes + store.cache.bytes <= 90_000 // 4


def test_another_connections_row_groups_are_not_taken_for_those_in_the_cache(table: ColumnTable) -> None:
    db = table.store.db
    other = Store(apsw.Connection(db.filename), memory_limit=1 << 22)
    theirs = other.table("t")
    assert theirs is not None
    assert len(rows_of(scan_columns(theirs, (2,), again=True))) == 30_000
    db.execute("BEGIN")
    put(table, [50_000], *(from_python([value]) for value in (50_000, 1, "mine")))
    assert rows_of(scan_columns(table, (3, 2), again=True))[-1] == ("mine", 1)
    db.execute("ROLLBACK")
    put(theirs, [50_000], *(from_python([value]) for value in (50_000, 2, "theirs")))
    theirs.settle_last()
    assert rows_of(scan_columns(table, (3, 2)))[-1] == ("theirs", 2)
    other.db.close()


def test_a_chunk_that_changes_between_two_reads_is_found_again(table: ColumnTable) -> None:
    """The handle that reads one chunk after the other cannot be moved once its chunk has changed."""
    scan = scan_columns(table, (2,), threads=1)
    next(scan)
    table.store.db.execute("UPDATE t_cln_chunks SET raw_bytes=raw_bytes+1 WHERE chunk_id=4096+2")
    assert len(rows_of(scan)) == 20_000
    table.store.db.execute("UPDATE t_cln_chunks SET raw_bytes=raw_bytes-1 WHERE chunk_id=4096+2")


@given(
    st.dictionaries(ROWIDS, st.tuples(VALUES, VALUES, st.integers(0, 9)), min_size=1, max_size=40),
    st.lists(st.integers(1, 15), max_size=4),
    st.booleans(),
    st.sets(ROWIDS),
    st.sets(ROWIDS),
    st.integers(0, 12),
    st.sampled_from([1, 2]),
)
@settings(max_examples=80, deadline=None)
def test_any_table_gives_what_sqlite_gives(
    rows: dict[int, tuple[SQLiteValue, SQLiteValue, int]],
    batches: list[int],
    alias: bool,
    deleted: set[int],
    thawed: set[int],
    bound: int,
    threads: int,
) -> None:
    """Row groups that overlap, rows of the row part among them, tombstones, every kind of value."""
    store = Store(apsw.Connection(":memory:"), memory_limit=1 << 22)
    store.db.execute(f"CREATE TABLE t({'k INTEGER PRIMARY KEY,' if alias else ''} a, b, c INT)")
    table = store.convert("t")
    left = [(rowid, *values) for rowid, values in rows.items()]
    while left:
        count = batches.pop() if batches else len(left)
        store.db.executemany("INSERT INTO t_cln_rows(rowid, a, b, c) VALUES(?, ?, ?, ?)", left[:count])
        left = left[count:]
        table.freeze()
    table.settle_last()
    table.delete(np.array(sorted(deleted - {max(rows)}), np.int64))
    table.thaw(np.array(sorted(thawed), np.int64))
    a, b, c = table.column_ids[-3:]
    expected = store.db.execute("SELECT rowid, b, a FROM t WHERE c >= ? ORDER BY rowid", (bound,)).fetchall()
    for _ in range(3):  # out of the file, with and without keeping what was read, and out of what was kept
        scan = scan_columns(table, (b, 0, a), filters=(at_least(c, bound),), threads=threads)
        assert list(map(repr, rows_of(scan, rowids=True))) == list(map(repr, expected))
    assert (
        rows_of(scan_columns(table, (c,), threads=threads)) == store.db.execute("SELECT c FROM t").fetchall()
    )
    assert [str(finding) for finding in check(store)] == []
    store.db.close()


def test_kinds_are_told_before_anything_is_decoded(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT)")
    store.db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, i / 2, f"c{i}") for i in range(100)])
    table = store.convert("t")
    table.freeze()
    store.db.execute("INSERT INTO t_cln_rows VALUES(1000, x'00', NULL)")
    decoded = table.counters.blocks_decoded
    scan = scan_columns(table, [*table.column_ids, 0])
    first, second, third = scan.kinds()
    assert first == {Kind.INTEGER}
    assert Kind.REAL in second
    assert len(second) == 2
    assert Kind.TEXT in third
    assert table.counters.blocks_decoded == decoded
    assert sum(batch.row_count for batch in scan) == 101


def test_row_groups_at_hand_are_one_piece_of_work(table: ColumnTable) -> None:
    """But for those that tombstones, rows of the row part or another form of their chunks keep apart."""
    expected = [(i, ("one", "two", "three")[i % 3]) for i in range(1, 30_001)]

    def sizes(*filters: RowFilter, threads: int = 2) -> list[int]:
        batches = list(scan_columns(table, (0, 1, 3), filters=filters, threads=threads, again=True))
        rows = rows_of(batches, rowids=True)
        passed = [(i, i, word) for i, word in expected if not filters or i >= 9_990]
        assert rows == passed
        return [batch.row_count for batch in batches]

    assert sizes() == [10_000, 10_000, 9_999, 1]
    assert sizes() == sizes(threads=1) == [20_000, 9_999, 1]  # the last one has a tombstone
    assert sizes(at_least(2, 9_990)) == [11, 10_000, 9_999, 1]
    assert sizes(at_least(2, 9_990)) == [10_011, 9_999, 1]
    table.thaw(numbers(10_001))
    assert sizes(at_least(2, 9_990)) == [11, 1, 9_999, 9_999, 1]


def test_row_groups_at_hand_are_apart_where_memory_is_short(table: ColumnTable) -> None:
    for expected in ([10_000, 10_000], [20_000, 9_999]):
        assert [batch.row_count for batch in scan_columns(table, (2,), threads=2, again=True)][:2] == expected
    table.store.memory_limit = 1_000_000
    assert [batch.row_count for batch in scan_columns(table, (2,), threads=2)][:2] == [10_000, 10_000]


def test_row_groups_of_other_kinds_stay_apart(store: Store) -> None:
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    table = store.convert("t")
    columns = [[1, 2, 3], [4, 5, 6], [1.5, 2.5, 3.5], [None] * 3, ["a", "b", "a"], ["c", "a", "c"], [7, 8, 9]]
    columns = [[values[i % 3] for i in range(99)] for values in columns]
    for number, values in enumerate(columns):
        ids = range(100 * number, 100 * number + 99)
        put(table, ids, integer_column(numbers(*ids)), from_python(values))
    table.settle_last()
    rows = [(value,) for values in columns for value in values]
    for expected in ([*[99] * 6, 98, 1], [198, 99, 99, 198, 98, 1]):
        batches = list(scan_columns(table, (2,), again=True))
        assert [batch.row_count for batch in batches] == expected
        assert rows_of(batches) == rows


def test_wide_columns_take_the_room_that_is_left_and_go_first(store: Store) -> None:
    store.db.execute("CREATE TABLE r(a, b)")
    table, random = store.convert("r"), np.random.default_rng(1)
    for first in (1, 10_001, 20_001):
        texts = from_python([f"a text of {n:030}" for n in random.integers(0, 10**9, 10_000).tolist()])
        put(table, range(first, first + 10_000), integer_column(random.integers(0, 1 << 16, 10_000)), texts)
    table.settle_last()
    counters = store.pager.counters.of(table.names.key)

    def chunks_read(*column_ids: int) -> int:
        before = counters.copy()
        assert len(rows_of(scan_columns(table, column_ids, again=True))) == 30_000
        return (counters - before).chunks_read

    store.memory_limit = 2_000_000  # two thirds for scans: room for two chunks of texts and three of numbers
    assert [chunks_read(2), chunks_read(2)] == [3, 1]
    assert [chunks_read(1), chunks_read(1)] == [3, 0]
    store.memory_limit = 1_050_000  # for one of texts
    assert [chunks_read(1), chunks_read(2)] == [0, 2]
    store.memory_limit = 130_000  # for none
    assert [chunks_read(1, 2), chunks_read(1, 2)] == [3, 3]
