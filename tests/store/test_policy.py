"""The freeze policy: cold rows freeze at COMMIT, hot rows stay, small and worn row groups are merged."""

from __future__ import annotations

import tracemalloc
from math import log

import numpy as np
import pytest

from colonnade.store.database import Store
from colonnade.store.freeze import freeze_cold
from colonnade.store.merge import FAN_IN, compact
from colonnade.store.policy import Heat
from colonnade.store.table import ColumnTable

WANTED = 64


def idle() -> bool:
    return False


def reading() -> bool:
    return True


@pytest.fixture
def table(store: Store) -> ColumnTable:
    """1,000 rows, all but the last in row groups of 64."""
    store.batch_size = WANTED
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT UNIQUE)")
    add(store, "t", 1, 1000)
    table = store.convert("t")
    table.freeze()
    return table


def add(store: Store, name: str, first: int, last: int) -> None:
    with store.db:
        store.db.executemany(
            f"INSERT INTO {name}(id, a, b) VALUES(?, ?, ?)",
            [(i, i % 7, f"b{i}") for i in range(first, last + 1)],
        )
    store.policy.wrote("main", "t")


def commit(store: Store, busy: bool = False) -> None:
    with store.db:
        store.policy.settle(reading if busy else idle)


def hot_rowids(table: ColumnTable) -> list[int]:
    return [rowid for (rowid,) in table.store.db.execute("SELECT id FROM t_cln_rows ORDER BY id")]


def rows(store: Store) -> list[tuple[object, ...]]:
    return store.db.execute("SELECT * FROM t ORDER BY id").fetchall()


def array(*values: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values, np.int64)


def test_rows_freeze_at_commit_once_they_fill_a_row_group_oldest_first(
    store: Store, table: ColumnTable
) -> None:
    add(store, "t_cln_rows", 1001, 1063)
    commit(store)
    assert table.row_part.count() == 64  # 63 and the last of before: no row group without the largest rowid
    before, groups = rows(store), len(table.groups())
    add(store, "t_cln_rows", 1064, 1074)
    commit(store)
    assert len(table.groups()) == groups + 1
    newest = table.groups()[-1]
    assert (newest.row_count, newest.first_rowid, newest.last_rowid) == (WANTED, 1000, 1063)
    assert hot_rowids(table) == list(range(1064, 1075))
    assert rows(store)[: len(before)] == before


def test_a_commit_while_a_statement_is_being_read_leaves_the_rows_for_the_next(
    store: Store, table: ColumnTable
) -> None:
    add(store, "t_cln_rows", 1001, 1100)
    commit(store, busy=True)
    assert table.row_part.count() == 101
    cursor = store.db.execute("SELECT id FROM t")
    assert next(cursor) == (1,)
    assert table.open_scans == 1
    commit(store)
    assert table.row_part.count() == 101
    assert [1, *(rowid for (rowid,) in cursor)] == list(range(1, 1101))
    commit(store)
    assert table.row_part.count() == 37


def test_rows_thawed_since_the_last_freeze_stay(store: Store, table: ColumnTable) -> None:
    table.thaw(array(5, 6, 7))
    add(store, "t_cln_rows", 1001, 1080)
    commit(store)
    assert hot_rowids(table)[:4] == [5, 6, 7, 1064]
    add(store, "t_cln_rows", 1081, 1150)
    commit(store)
    assert hot_rowids(table)[0] > 1000, "they were not asked for again"


def test_a_row_that_comes_back_stays_twice_as_long_each_time() -> None:
    heat, thaws = Heat(), 0
    frozen = True
    for _ in range(200):
        if frozen:
            heat.thawed(array(7))
            thaws += 1
        frozen = 7 not in heat.hot(10).tolist()
        heat.froze()
    assert thaws < 12  # about log2(64), and then once in 64
    heat.asked_for(array(8))
    assert 8 not in heat.hot(10).tolist()


def test_heat_remembers_few_rows_and_ignores_statements_about_many() -> None:
    heat = Heat()
    heat.thawed(np.arange(5000))
    assert not len(heat.hot(100))
    for start in range(0, 40_000, 1000):
        heat.thawed(np.arange(start, start + 1000))
    assert 16_384 * 7 // 8 <= len(heat.hot(1 << 20)) <= 16_384
    assert heat.hot(3).tolist() == [39_997, 39_998, 39_999]


def test_more_hot_rows_than_half_a_row_group_do_not_stay(store: Store, table: ColumnTable) -> None:
    for start in range(1, 121, 20):
        table.thaw(np.arange(start, start + 20))
    commit(store)
    kept = hot_rowids(table)
    assert len(kept) < WANTED
    assert kept[-33:-1] == list(range(89, 121))  # those thawed last


def test_freezing_leaves_what_is_hot_or_fills_no_row_group(store: Store, table: ColumnTable) -> None:
    add(store, "t_cln_rows", 1001, 1029)
    before = rows(store)
    assert freeze_cold(table, array(1003, 1011, 5), 10) == 20
    assert hot_rowids(table) == [1003, 1011, *range(1022, 1030)]
    assert [group.row_count for group in table.groups()[-2:]] == [10, 10]
    assert rows(store) == before
    assert store.db.execute("SELECT id FROM t WHERE b = 'b1004'").fetchall() == [(1004,)]


def test_many_small_writes_make_few_row_groups_and_rewrite_each_row_a_few_times(store: Store) -> None:
    store.batch_size = 4096
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT UNIQUE)")
    table, moved, most = store.convert("t"), 0, 0
    for at in range(1, 301):
        add(store, "t_cln_rows", 2 * at - 1, 2 * at)
        moved += table.freeze()
        compact(table, store.batch_size)
        most = max(most, len(table.groups()))
    assert most <= (FAN_IN - 1) * log(600, 4) + FAN_IN
    assert [row[0] for row in rows(store)] == list(range(1, 601))
    written = sum(group.row_count for group in table.groups())
    assert written == moved == 599
    counters = table.counters
    assert counters.groups_put - counters.groups_freed == len(table.groups())
    assert counters.groups_put < 300 * (1 + 1 / (FAN_IN - 1)) + 1
    assert counters.chunks_overwritten == 0
    assert counters.chunks_freed == 3 * counters.groups_freed
    assert counters.bytes_put < 60 * 300 * 3 * 2  # chunks of a row or two are nearly all header


def test_row_groups_with_more_than_half_dead_rows_are_rewritten(store: Store, table: ColumnTable) -> None:
    dead = np.concatenate([np.arange(1, 41), np.arange(65, 110), np.arange(321, 351), np.arange(641, 705)])
    table.delete(dead)
    before, usage, groups = rows(store), table.usage(), len(table.groups())
    assert usage.dead_bytes > 0
    assert compact(table, WANTED) == 2  # the two of the beginning; of the third less than half is gone
    assert len(table.groups()) == groups - 1
    assert rows(store) == before
    assert (table.groups()[-1].row_count, table.groups()[-1].first_rowid) == (43, 41)
    assert table.usage().dead_bytes < usage.dead_bytes / 2
    assert store.db.execute("SELECT id FROM t WHERE b IN ('b50', 'b100', 'b128')").fetchall() == [
        (50,),
        (128,),
    ]


def test_tombstones_alone_bring_a_merge_at_commit(store: Store, table: ColumnTable) -> None:
    commit(store)
    table.delete(np.arange(1, 901))
    commit(store)
    assert table.usage().dead_bytes == 0 or table.usage().dead_bytes < table.usage().stored_bytes / 2
    assert [row[0] for row in rows(store)] == list(range(901, 1001))


def test_a_merge_of_many_worn_row_groups_holds_the_chunks_of_few(store: Store) -> None:
    store.batch_size, group_bytes = 500, 500 * 1000
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)")
    store.db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 10000)"
        " INSERT INTO t SELECT i, randomblob(1000) FROM n"
    )
    table = store.convert("t")
    table.freeze()
    table.delete(np.flatnonzero(np.arange(10_001) % 20))  # 25 rows of each row group are left
    store.memory_limit = 4 * group_bytes
    tracemalloc.start()
    try:
        assert compact(table, 500) == 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * group_bytes  # of 20


def test_nothing_is_merged_under_an_open_cursor(store: Store, table: ColumnTable) -> None:
    table.delete(np.arange(1, 41))
    cursor = store.db.execute("SELECT id FROM t")
    assert next(cursor) == (41,)
    assert compact(table, WANTED) == 0
    assert len(list(cursor)) == 959
    assert compact(table, WANTED) == 1


def test_rows_that_owe_a_validation_are_not_merged(store: Store, table: ColumnTable) -> None:
    store.db.execute("UPDATE t_cln_groups SET checked=0 WHERE group_id=3")
    table.changed()
    table.delete(np.arange(1, 41))
    assert compact(table, WANTED) == 0
    table.mark_checked()
    assert compact(table, WANTED) == 1


def test_merging_overlapping_row_groups_keeps_the_order_of_rowids(store: Store) -> None:
    store.batch_size = WANTED
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT UNIQUE)")
    table = store.convert("t")
    for start in (1, 2, 3, 4):
        with store.db:
            store.db.executemany(
                "INSERT INTO t_cln_rows VALUES(?, 1, NULL)", [(i,) for i in range(start, 100, 4)]
            )
        table.freeze(keep_last=False)
    store.db.execute("INSERT INTO t_cln_rows VALUES(100, 1, NULL)")
    assert len(table.groups()) == 4
    assert compact(table, WANTED) == 4
    assert [(g.row_count, g.first_rowid, g.last_rowid) for g in table.groups()] == [(50, 1, 50), (49, 51, 99)]
    assert [row[0] for row in rows(store)] == list(range(1, 101))


def test_a_hot_frozen_table_does_not_thrash(store: Store, table: ColumnTable) -> None:
    """Updates of the same rows, and new rows, with a commit after each: chunks are only written for new rows."""
    started = table.counters.copy()
    hot = np.arange(100, 130)
    commits, most, next_id = 200, 0, 1001
    for at in range(commits):
        before = table.counters.chunks_put
        wanted = hot[at % 20 : at % 20 + 10]
        table.thaw(wanted)
        ids = ",".join(map(str, wanted.tolist()))
        store.db.execute(f"UPDATE t_cln_rows SET a = a + 1 WHERE id IN ({ids})")
        add(store, "t_cln_rows", next_id, next_id + 1)
        next_id += 2
        commit(store)
        most = max(most, table.counters.chunks_put - before)
    work = table.counters - started
    new_groups = 2 * commits / WANTED
    assert most <= 2 * 3, "one row group of three columns, and one merged"
    assert new_groups * 3 * 0.8 <= work.chunks_put <= new_groups * 3 * 1.5
    assert work.chunks_overwritten == 0
    assert table.row_part.count() < 2 * WANTED
    assert sum(row[1] for row in rows(store)) == sum(i % 7 for i in range(1, next_id)) + 10 * commits  # type: ignore[misc]


def test_a_commit_with_nothing_to_do_asks_the_database_nothing(store: Store, table: ColumnTable) -> None:
    commit(store)
    asked: list[str] = []
    for at in range(5):
        add(store, "t_cln_rows", 2000 + at, 2000 + at)
        store.db.trace_v2(1, lambda event: asked.append(event["sql"]))
        store.policy.settle(idle)
        store.db.trace_v2(0, None)
    assert asked == []
    assert not store.policy.waiting
