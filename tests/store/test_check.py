"""A damaged file gives Corrupt, and the checker says what is wrong."""

from __future__ import annotations

import pytest

from colonnade.store.check import check
from colonnade.store.database import Store
from colonnade.store.errors import Corrupt


@pytest.fixture
def damaged(store: Store) -> Store:
    """A sound store that a test is about to damage."""
    store.db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL UNIQUE)")
    store.db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, f"b{i}", i / 3) for i in range(500)])
    table = store.convert("t")
    table.freeze()
    assert list(check(store)) == []
    store.expect_damage = True  # type: ignore[attr-defined]
    return store


def reread(store: Store) -> None:
    """Makes the store read its records again, as another connection would."""
    store.db.execute("UPDATE t_cln_meta SET value = 'x' WHERE key = 'stamp'")


ONE = "WHERE chunk_id % 4096 = 2"
DAMAGE = {
    "a changed byte in a chunk": "UPDATE t_cln_chunks SET"
    f" data = CAST(substr(data, 1, length(data) - 1) || x'7f' AS BLOB) {ONE}",
    "a chunk cut short": f"UPDATE t_cln_chunks SET data = substr(data, 1, 40) {ONE}",
    "a chunk that is gone": f"DELETE FROM t_cln_chunks {ONE}",
    "a chunk of another column": "UPDATE t_cln_chunks SET"
    f" data = (SELECT data FROM t_cln_chunks {ONE}) WHERE chunk_id % 4096 = 1",
    "a chunk that is text": f"UPDATE t_cln_chunks SET data = 'abc' {ONE}",
    "a row count that is text": "UPDATE t_cln_groups SET row_count = 'many'",
    "a row count too large": "UPDATE t_cln_groups SET row_count = row_count + 1",
    "tombstones too short": "UPDATE t_cln_groups SET dead_count = 1; INSERT INTO t_cln_tombstones VALUES(1, x'01')",
    "no stamp": "DELETE FROM t_cln_meta WHERE key = 'stamp'",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_reading_damage_is_corrupt(damaged: Store, damage: str) -> None:
    damaged.db.execute(DAMAGE[damage])
    if damage != "no stamp":
        reread(damaged)
    with pytest.raises(Corrupt):
        damaged.db.execute("SELECT * FROM t").fetchall()
    with pytest.raises(Corrupt):
        damaged.db.execute("SELECT b FROM t WHERE a = 77").fetchall()
    assert list(check(damaged))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("version", 4),
        ("version", None),
        ("columns", "[[1"),
        ("columns", '[["x", 1]]'),
        ("columns", "[]"),
    ],
)
def test_meta_that_makes_no_sense_is_corrupt(damaged: Store, key: str, value: object) -> None:
    damaged.db.execute("UPDATE t_cln_meta SET value = ? WHERE key = ?", (value, key))  # type: ignore[arg-type]
    damaged.invalidate()
    with pytest.raises(Corrupt):
        damaged.db.execute("SELECT * FROM t").fetchall()


FINDINGS = {
    "UPDATE t_cln_chunks SET min = 'c' WHERE chunk_id % 4096 = 2": "column 2: the smallest value 'b0' is below",
    "UPDATE t_cln_chunks SET max = 1 WHERE chunk_id % 4096 = 1": "column 1: the largest value 498 is above",
    "UPDATE t_cln_chunks SET null_count = 3 WHERE chunk_id % 4096 = 3": "column 3: 0 NULLs, its zone map says 3",
    "UPDATE t_cln_chunks SET classes = 1 WHERE chunk_id % 4096 = 2": "column 2: its zone map lacks storage classes 4",
    "UPDATE t_cln_groups SET first_rowid = -1": "its rowids are 0 to 498",
    "UPDATE t_cln_groups SET dead_count = 2": "2 rows are dead, but it has no tombstones",
    "UPDATE t_cln_groups SET bytes = 1": "its record says 1",
    "UPDATE t_cln_groups SET checked = 0": "it was committed before its keys were checked",
    "UPDATE t_cln_keys SET hi = lo": "a key lies above it",
    "INSERT INTO t_cln_tombstones VALUES(9, x'00')": "tombstones of row group 9, which is not there",
    "UPDATE t_cln_chunks SET chunk_id = chunk_id + 40960 WHERE chunk_id % 4096 = 2": "column chunks of row group 11",
    "UPDATE t_cln_meta SET value = 1 WHERE key = 'next_group'": "the next row group id is 1",
    "DELETE FROM t_cln_rows": "the row with the largest rowid, 498, is not in the row part",
    "INSERT INTO t_cln_rows VALUES(7, 'again', 0.1)": "rowid 7 occurs twice",
}


@pytest.mark.parametrize("damage", FINDINGS)
def test_the_checker_finds(damaged: Store, damage: str) -> None:
    damaged.db.execute(damage)
    reread(damaged)
    assert FINDINGS[damage] in "\n".join(map(str, check(damaged)))
