"""Freeze, thaw, tombstones: rows change parts, the table stays the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.check import check
from colonnade.store.database import Store
from colonnade.store.freeze import batch_key_zones
from colonnade.store.rowgroup import encode_row_group
from colonnade.store.table import ColumnTable
from colonnade.store.values import RowBatch, from_python, to_python

Open = Callable[..., Store]


@pytest.fixture
def table(store: Store) -> ColumnTable:
    """1,000 rows with rowids 10, 20, ... in five row groups, the last row in the row part."""
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT UNIQUE)")
    with store.db:
        store.db.executemany(
            "INSERT INTO t VALUES(?, ?, ?)", [(i * 10, i % 7, f"b{i}") for i in range(1, 1001)]
        )
    converted = store.convert("t")
    for stop in (2000, 4000, 6000, 8000, 10000):
        part = converted.row_part
        batch = next(part.batches(converted.column_ids, 0, min(stop, 9990), 1000))
        group = encode_row_group(batch, converted.column_ids, converted.rowid_column)
        converted.put(group, batch_key_zones(converted, batch), checked=True)
        part.remove(0, min(stop, 9990))
    return converted


def contents(table: ColumnTable) -> list[tuple[object, ...]]:
    return table.store.db.execute("SELECT * FROM t").fetchall()


def rowids(*values: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values, np.int64)


def test_freeze_leaves_only_the_row_with_the_largest_rowid(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2), (3)")
    table = store.convert("t")
    assert table.freeze() == 2
    assert store.db.execute("SELECT rowid, a FROM t_cln_rows").fetchall() == [(3, 3)]
    assert table.freeze() == 0
    assert [to_python(b.columns[0]) for b in table.scan((1,))] == [[1, 2], [3]]
    assert table.row_count() == 3


def test_an_empty_table_can_be_frozen_read_and_restored(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a)")
    table = store.convert("t")
    assert table.freeze() == 0
    assert list(table.scan((1,))) == []
    assert table.next_rowid() == 1
    table.settle_last()
    store.restore("t")


def test_deleted_rows_are_gone_and_counted(table: ColumnTable) -> None:
    before = contents(table)
    assert table.delete(rowids(10, 20, 15, 5000, 5000, 10000, 77777)) == 3
    assert contents(table) == [row for row in before if row[0] not in (10, 20, 5000)]
    assert table.row_count() == 997
    assert table.delete(rowids(10, 20)) == 0
    assert [g.dead_count for g in table.groups()] == [2, 0, 1, 0, 0]


def test_a_row_group_without_live_rows_is_removed_with_its_chunks(table: ColumnTable) -> None:
    before = table.store.pager.counters.snapshot()
    assert table.delete(np.arange(0, 2001)) == 200
    assert table.delete(np.arange(2001, 3000)) == 99
    assert [g.group_id for g in table.groups()] == [2, 3, 4, 5]
    total = (table.store.pager.counters.snapshot() - before).total
    assert (total.groups_freed, total.chunks_freed, total.bytes_freed > 0) == (1, 3, True)


def test_thawed_rows_are_in_the_row_part_and_only_there(table: ColumnTable) -> None:
    before = contents(table)
    assert table.thaw(rowids(10, 4000, 7770, 10000)) == 3
    assert contents(table) == before
    assert table.store.db.execute("SELECT id FROM t_cln_rows ORDER BY id").fetchall() == [
        (10,),
        (4000,),
        (7770,),
        (10000,),
    ]
    table.store.db.execute("UPDATE t_cln_rows SET a = 99 WHERE id = 4000")
    assert table.store.db.execute("SELECT a FROM t WHERE id = 4000").get == 99
    assert table.freeze() == 3
    assert [row[0] for row in contents(table)] == [row[0] for row in before]


def test_thawing_is_no_insert_to_the_program(table: ColumnTable) -> None:
    db = table.store.db
    db.set_last_insert_rowid(12345)
    table.thaw(rowids(10, 20))
    table.freeze()
    assert db.last_insert_rowid() == 12345


def test_a_cursor_sees_the_table_as_it_was_when_it_started(table: ColumnTable) -> None:
    before = contents(table)
    cursor = table.store.db.execute("SELECT * FROM t")
    seen = [next(cursor) for _ in range(3)]
    table.thaw(np.arange(0, 9000, 30))
    table.store.db.execute("UPDATE t_cln_rows SET a = 99")
    table.delete(np.arange(5000, 8000))
    seen += cursor.fetchall()
    assert seen == before


def test_moving_rows_does_not_stop_a_statement_that_is_being_read(table: ColumnTable) -> None:
    db = table.store.db
    db.execute("PRAGMA foreign_keys=1; CREATE TABLE u(a); INSERT INTO u VALUES(1), (2)")
    cursor = db.execute("SELECT id, (SELECT count(*) FROM u WHERE u.a >= t.a) FROM t")
    next(cursor)
    table.thaw(rowids(10, 4000))
    table.freeze()
    assert len(cursor.fetchall()) == 999


def test_rollback_brings_tombstones_and_row_groups_back(table: ColumnTable) -> None:
    db, before, groups = table.store.db, contents(table), table.groups()
    for undo in ("ROLLBACK", "ROLLBACK TO s; COMMIT"):
        db.execute("BEGIN; SAVEPOINT s")
        table.thaw(np.arange(0, 3000))
        table.delete(np.arange(4000, 6000))
        table.freeze()
        assert table.row_count() < 1000
        db.execute(undo)
        assert table.groups() == groups
        assert contents(table) == before


def test_row_group_ids_are_not_used_again_after_a_rollback(table: ColumnTable) -> None:
    db = table.store.db
    written = []
    for _ in range(2):
        db.execute("BEGIN; INSERT INTO t_cln_rows VALUES(20000, 1, 'x'), (20001, 1, 'y')")
        table.freeze()
        written.append(table.groups()[-1].group_id)
        assert table.store.db.execute("SELECT b FROM t WHERE id = 20000").get == "x"
        db.execute("ROLLBACK")
    assert written == [6, 7]


def test_other_connections_see_changes_of_the_row_groups_after_the_commit(
    table: ColumnTable, open_store: Open
) -> None:
    other = open_store().table("t")
    assert other is not None
    before = contents(other)
    table.store.db.execute("BEGIN")
    table.delete(np.arange(0, 5000))
    table.thaw(rowids(6000))
    assert contents(other) == before
    table.store.db.execute("COMMIT")
    assert contents(other) == contents(table) != before
    assert other.groups() == table.groups()


def test_a_process_that_opens_the_file_later_reads_everything(table: ColumnTable, tmp_path: Path) -> None:
    table.delete(rowids(10))
    program = (
        "import sys, apsw; from colonnade.store.database import Store;"
        "db = apsw.Connection(sys.argv[1]); Store(db, memory_limit=1 << 24);"
        "print(db.execute('SELECT count(*), sum(id), min(b) FROM t').fetchall())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "test.db")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[(999, 5004990, 'b10')]"


def test_a_check_constraint_does_not_stop_rows_on_their_way_back(store: Store) -> None:
    db = store.db
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT CHECK(b <> 'no'))")
    table = store.convert("t")
    db.execute("PRAGMA ignore_check_constraints=1")
    db.execute("INSERT INTO t_cln_rows VALUES(20000, 'no'), (20001, 'end')")
    table.freeze()
    db.execute("PRAGMA ignore_check_constraints=0")
    table.thaw(rowids(20000))
    assert db.execute("PRAGMA ignore_check_constraints").get == 0
    table.store.restore("t")
    assert db.execute("SELECT id FROM t WHERE b = 'no'").get == 20000


@pytest.mark.parametrize("alias", ["", "id INTEGER PRIMARY KEY,", "id INTEGER PRIMARY KEY AUTOINCREMENT,"])
def test_next_rowid_is_what_sqlite_would_give(store: Store, alias: str) -> None:
    store.db.execute(f"CREATE TABLE t({alias} a)")
    table = store.convert("t")
    steps: list[Callable[[], object]] = [
        lambda: store.db.execute("INSERT INTO t_cln_rows(rowid, a) VALUES(-5, 1)"),
        lambda: store.db.execute("INSERT INTO t_cln_rows(rowid, a) VALUES(7, 1), (100, 2)"),
        table.freeze,
        lambda: store.db.execute("DELETE FROM t_cln_rows"),
        table.settle_last,
        lambda: table.thaw(rowids(7)),
        lambda: store.db.execute("DELETE FROM t_cln_rows WHERE rowid = 7"),
    ]
    for step in steps:
        step()
        table.settle_last()
        expected = table.next_rowid()
        store.db.execute("SAVEPOINT s; INSERT INTO t_cln_rows(a) VALUES(0)")
        assert store.db.last_insert_rowid() == expected
        store.db.execute("ROLLBACK TO s; RELEASE s")


def test_no_rowid_is_left_after_the_largest(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a); INSERT INTO t(rowid, a) VALUES(9223372036854775807, 1)")
    assert store.convert("t").next_rowid() == 2**63


def test_bulk_appended_row_groups_are_unchecked_until_marked(table: ColumnTable) -> None:
    db = table.store.db
    batch = RowBatch(2, tuple(map(from_python, ([30000, 30001], [1, 2], ["x", "y"]))), rowids(30000, 30001))
    db.execute("BEGIN")
    group = encode_row_group(batch, table.column_ids, table.rowid_column)
    group_id = table.put(group, batch_key_zones(table, batch), checked=False)
    assert table.unchecked_groups() == [group_id]
    assert table.key_zones("3:BINARY")[group_id].unique
    table.mark_checked()
    table.settle_last()
    db.execute("COMMIT")
    assert table.unchecked_groups() == []
    assert db.execute("SELECT id FROM t_cln_rows ORDER BY id").fetchall() == [(10000,), (30001,)]


def test_fetch_gives_live_rows_and_their_positions(table: ColumnTable) -> None:
    table.delete(rowids(20, 40))
    raw = table.fetch(1, (3, 2))
    batch = raw.decode()
    assert batch.rowids is not None
    assert batch.rowids[:3].tolist() == [10, 30, 50]
    assert raw.positions[:3].tolist() == [0, 2, 4]
    assert [to_python(c)[:2] for c in batch.columns] == [["b1", "b3"], [1, 3]]


def test_scan_takes_a_range_and_leaves_out_what_prune_names(table: ColumnTable) -> None:
    found = [b.rowids.tolist() for b in table.scan((), 1990, 2020)]  # type: ignore[union-attr]
    assert [rowid for part in found for rowid in part] == [1990, 2000, 2010, 2020]
    pruned = [b.rowids for b in table.scan((2,), prune=lambda group_id: group_id != 3)]
    assert np.concatenate(pruned).tolist() == [*range(4010, 6010, 10), 10000]  # type: ignore[arg-type]


def test_read_rows_gives_batches_of_the_size_asked_for(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a)")
    with store.db:
        store.db.executemany("INSERT INTO t VALUES(?)", [(i,) for i in range(10_000)])
    table = store.convert("t")
    sizes = [batch.row_count for batch in table.read_rows((1,), batch_rows=3000)]
    assert sizes == [3000, 3000, 3000, 1000]


def test_many_overlapping_row_groups_are_merged_within_the_memory_limit(open_store: Open) -> None:
    store = open_store("merge.db")
    store.memory_limit = 1 << 16
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT)")
    table = store.convert("t")
    for start in range(20):
        ids = np.arange(start, 20_000, 20)
        columns = (from_python(ids.tolist()), from_python([f"text {i * 7919}" for i in ids.tolist()]))
        batch = RowBatch(len(ids), columns, ids)
        group = encode_row_group(batch, table.column_ids, table.rowid_column)
        table.put(group, batch_key_zones(table, batch), checked=True)
    table.settle_last()
    assert store.db.execute("SELECT id FROM t").fetchall() == [(i,) for i in range(20_000)]
    assert next(b.row_count for b in table.scan((2,))) < 20_000


changes = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "thaw", "freeze", "native delete"]), st.sets(st.integers(1, 30))
    ),
    max_size=12,
)


@given(changes)
@settings(max_examples=60, deadline=None)
def test_any_sequence_of_moves_keeps_the_rows(steps: list[tuple[str, set[int]]]) -> None:
    store = Store(apsw.Connection(":memory:"), memory_limit=1 << 20)
    store.db.execute("CREATE TABLE t(a INT, b TEXT)")
    table, model = store.convert("t"), {}
    for step, chosen in steps:
        if step == "insert":
            for rowid in chosen - set(model):
                store.db.execute(
                    "INSERT INTO t_cln_rows(rowid, a, b) VALUES(?, ?, ?)", (rowid, rowid * 2, "x")
                )
                model[rowid] = rowid * 2
        elif step == "delete":
            hit = table.delete(np.array(sorted(chosen), np.int64))
            gone = {
                r
                for r in chosen & set(model)
                if not store.db.execute("SELECT 1 FROM t_cln_rows WHERE rowid = ?", (r,)).get
            }
            assert hit == len(gone)
            for rowid in gone:
                del model[rowid]
        elif step == "native delete":
            for rowid in chosen:
                if store.db.execute("DELETE FROM t_cln_rows WHERE rowid = ? RETURNING 1", (rowid,)).get:
                    del model[rowid]
        elif step == "thaw":
            table.thaw(np.array(sorted(chosen), np.int64))
        else:
            table.freeze()
        table.settle_last()
        assert dict(store.db.execute("SELECT rowid, a FROM t").fetchall()) == model
        assert table.row_count() == len(model)
        assert [str(finding) for finding in check(store)] == []
    store.db.close()


def test_a_large_row_part_is_read_backward_too(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a)")
    table = store.convert("t")
    with store.db:
        store.db.executemany("INSERT INTO t_cln_rows VALUES(?)", [(i,) for i in range(1, 10_001)])
    found = store.db.execute("SELECT rowid, a FROM t ORDER BY rowid DESC").fetchall()
    assert found == [(i, i) for i in range(10_000, 0, -1)]
    table.freeze()
    table.thaw(np.arange(1, 10_001, 2))
    assert store.db.execute("SELECT rowid, a FROM t ORDER BY rowid DESC").fetchall() == found
    assert store.db.execute("SELECT a FROM t WHERE rowid < 500 ORDER BY rowid DESC LIMIT 1").get == 499


@pytest.mark.parametrize("rowids", [[2**63 - 1], [2**63 - 3, 2**63 - 2, 2**63 - 1], [-(2**63), -(2**63) + 1]])
def test_the_largest_and_the_smallest_rowids_there_are_come_back_from_row_groups(
    store: Store, rowids: list[int]
) -> None:
    """The rowids of a row group without gaps are counted from its first; behind the last there may be none."""
    store.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    store.db.executemany("INSERT INTO t VALUES(?, ?)", [(rowid, f"a{rowid}") for rowid in rowids])
    table = store.convert("t")
    assert table.freeze(keep_last=False) == len(rowids)
    expected = [(rowid, f"a{rowid}") for rowid in rowids]
    assert store.db.execute("SELECT * FROM t ORDER BY id").fetchall() == expected
    assert store.db.execute("SELECT * FROM t ORDER BY id DESC").fetchall() == expected[::-1]
    assert store.db.execute("SELECT a FROM t WHERE id = ?", (rowids[-1],)).get == f"a{rowids[-1]}"
    store.restore("t")
    assert store.db.execute("SELECT * FROM t ORDER BY id").fetchall() == expected
