"""Single rows of row groups: read without decoding blocks, thawed without reading the table's facts again."""

from __future__ import annotations

import apsw
import numpy as np
import pyarrow as pa
import pytest

from colonnade.store.check import check
from colonnade.store.chunk import ChunkReader, encode_chunk
from colonnade.store.database import Store
from colonnade.store.freeze import thaw_rows
from colonnade.store.pager import SqlitePager
from colonnade.store.values import Column, Kind, from_python, to_python

VALUES = {
    "a sequence": [10 + 3 * i for i in range(100)],
    "a falling sequence": [5 - 2**40 * i for i in range(100)],
    "narrow integers": [i * 7919 % 1000 - 300 for i in range(100)],
    "one bit": [i * i % 3 % 2 for i in range(100)],
    "planes of 8 and 4 bits": [i * 7919 % 4000 for i in range(100)],
    "the largest integers": [(-1) ** i * (2**63 - 1 - i * i) for i in range(100)],
    "sorted integers": [i * i for i in range(100)],
    "decimals": [i * 77 % 100 / 4 for i in range(100)],
    "doubles": [1 / (i + 1) for i in range(100)],
    "NULLs between": [None if i % 3 == 0 else i * 7919 % 1000 for i in range(100)],
    "words": [f"wörd {i * i % 7}" for i in range(100)],
    "words and NULLs": [None if i % 5 == 0 else f"word {i * i % 7}" for i in range(100)],
    "texts": [f"text {i * 7919}" * (i % 4) for i in range(100)],
    "texts that are worth compressing": [f"ein längerer Text mit der Nummer {i}" for i in range(100)],
    "long texts and NULLs": [None if i % 7 == 0 else f"text {i % 5} " * (i * 31 % 50) for i in range(100)],
    "blobs that are worth compressing": [b"blob" * (i % 20) for i in range(100)],
    "blobs": [bytes([i]) * (i % 5) for i in range(100)],
    "dates": [f"2024-01-{1 + i * 7 % 28:02}" for i in range(100)],
    "only NULL": [None] * 100,
    "all classes": [(None, 1, 2.5, "x", b"y")[i % 5] for i in range(100)],
}


@pytest.mark.parametrize("block_rows", [8, 64, 8192])
@pytest.mark.parametrize("what", VALUES)
def test_one_value_is_the_value_of_the_decoded_chunk(what: str, block_rows: int) -> None:
    reader = ChunkReader(encode_chunk(from_python(VALUES[what]), block_rows).data)
    expected = to_python(reader.column())
    assert [repr(reader.value(row)) for row in range(100)] == [repr(value) for value in expected]


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_one_numeric_value_is_an_integer_where_it_is_integral(scale: float) -> None:

    doubles = pa.array([i * 25 * 7 % 1000 * scale for i in range(100)] + [None, 2.0**53, 1e300])
    reader = ChunkReader(encode_chunk(Column(Kind.NUMERIC, doubles)).data)
    expected = to_python(reader.column())
    assert [repr(reader.value(row)) for row in range(103)] == [repr(value) for value in expected]


@pytest.fixture
def points(store: Store) -> Store:
    store.db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT)")
    rows = [(i, i * 7919 % 1000, f"c{i % 9}") for i in range(1000)]
    store.db.executemany("INSERT INTO t VALUES(?, ?, ?)", rows)
    store.convert("t").freeze()
    return store


def test_a_row_is_read_without_decoding_a_block(points: Store) -> None:
    table = points.table("t")
    assert table is not None
    before = table.counters.blocks_decoded
    assert points.db.execute("SELECT * FROM t WHERE a = 77").fetchall() == [(77, 77 * 7919 % 1000, "c5")]
    assert table.counters.blocks_decoded == before


def test_thaws_do_not_read_the_row_groups_again(points: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = points.table("t")
    assert table is not None
    table.state()

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(SqlitePager, "read_groups", refuse)
    monkeypatch.setattr(SqlitePager, "read_tombstones", refuse)
    for rowid in (5, 6, 500):
        assert table.thaw(np.array([rowid])) == 1
        assert table.thaw(np.array([rowid])) == 0
    assert [group.dead_count for group in table.groups()] == [3]
    assert points.db.execute("SELECT count(*), sum(a) FROM t").get == (1000, 499_500)


def test_text_that_is_compressed_is_read_without_making_an_array_of_its_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [f"ein längerer Text mit der Nummer {i}" for i in range(5000)]
    reader = ChunkReader(encode_chunk(from_python(texts)).data)

    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ChunkReader, "_decode", refuse)
    assert [reader.value(row) for row in (0, 1, 2500, 4999)] == [texts[row] for row in (0, 1, 2500, 4999)]


@pytest.mark.parametrize("wanted", [(5, 6, 5), (5,), (999, 998, 3), (4000, 7)])
def test_single_rows_of_one_table_thaw_together(points: Store, wanted: tuple[int, ...]) -> None:
    table = points.table("t")
    assert table is not None
    points.db.execute("INSERT INTO t_cln_rows VALUES(5000, 1, '')")
    before = points.db.last_insert_rowid()
    thaw_rows(points, [(table, rowid) for rowid in wanted])
    frozen = {rowid for rowid in wanted if rowid < 999}  # the last row is in the row part anyway
    assert sum(group.dead_count for group in table.groups()) == len(frozen)
    in_part = {rowid for (rowid,) in points.db.execute("SELECT a FROM t_cln_rows")}
    assert in_part == {999, 5000} | frozen
    assert points.db.last_insert_rowid() == before
    assert points.db.execute("SELECT count(*), sum(a) FROM t").get == (1001, 504_500)


def test_a_scan_that_is_open_does_not_see_that_rows_thaw(points: Store) -> None:
    table = points.table("t")
    assert table is not None
    thaw_rows(points, [(table, 3)])  # so that there are tombstones before
    rows = points.db.execute("SELECT a FROM t")
    seen = [next(rows)[0]]
    thaw_rows(points, [(table, 4), (table, 900)])
    seen += [a for (a,) in rows]
    assert seen == list(range(1000))
    assert points.db.execute("SELECT count(*) FROM t_cln_rows").get == 4


def test_the_last_live_row_of_a_row_group_thaws_and_the_row_group_goes(points: Store) -> None:
    table = points.table("t")
    assert table is not None
    table.delete(np.arange(1, 999))
    thaw_rows(points, [(table, 0)])
    assert table.groups() == []
    assert [a for (a,) in points.db.execute("SELECT a FROM t")] == [0, 999]


def test_single_thaws_that_fail_leave_nothing(points: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = points.table("t")
    assert table is not None
    thaw_rows(points, [(table, 1)])
    write, calls = SqlitePager.write_tombstones, []

    def fail_second(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise apsw.FullError("disk full")
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SqlitePager, "write_tombstones", fail_second)
    points.db.execute("BEGIN")
    with pytest.raises(apsw.FullError):
        thaw_rows(points, [(table, 5), (table, 6)])
    monkeypatch.undo()
    assert points.db.execute("SELECT count(*) FROM t_cln_rows").get == 2
    assert points.db.execute("SELECT count(*), sum(a) FROM t").get == (1000, 499_500)
    thaw_rows(points, [(table, 5), (table, 6)])
    points.db.execute("COMMIT")
    assert points.db.execute("SELECT count(*) FROM t_cln_rows").get == 4


def test_a_thaw_that_is_rolled_back_is_forgotten(points: Store) -> None:
    table = points.table("t")
    assert table is not None
    for thaw in (lambda: table.thaw(np.array([5])), lambda: thaw_rows(points, [(table, 5)])):
        points.db.execute("SAVEPOINT s")
        thaw()
        points.db.execute("ROLLBACK TO s; RELEASE s")
        assert points.db.execute("SELECT count(*), sum(a) FROM t").get == (1000, 499_500)
    assert table.thaw(np.array([5])) == 1
    assert list(check(points)) == []


def test_a_parent_without_keys_thaws_under_enforced_foreign_keys(points: Store) -> None:
    table = points.table("t")
    assert table is not None
    points.db.execute("CREATE TABLE child(a REFERENCES t_cln_rows); PRAGMA foreign_keys = on")
    assert table.thaw(np.array([7])) == 1
    points.db.execute("INSERT INTO child VALUES(7)")
    assert points.db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_parent_thaws_without_a_switch_being_turned(points: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    points.db.execute("CREATE TABLE child(a REFERENCES t_cln_rows); PRAGMA foreign_keys = on")

    def refuse(*_: object) -> None:
        raise AssertionError("all statements would be prepared again")

    table = points.table("t")
    assert table is not None
    monkeypatch.setattr("colonnade.store.switches.switched", refuse)
    assert table.thaw(np.array([7])) == 1


def test_a_thaw_settles_no_violation_that_is_counted(points: Store) -> None:
    points.db.execute("CREATE TABLE child(a REFERENCES t_cln_rows DEFERRABLE INITIALLY DEFERRED)")
    points.db.execute("PRAGMA foreign_keys = on; BEGIN; INSERT INTO child VALUES(7)")
    table = points.table("t")
    assert table is not None
    assert table.thaw(np.array([7])) == 1
    with pytest.raises(apsw.ConstraintError):
        points.db.execute("COMMIT")
    points.db.execute("ROLLBACK")
