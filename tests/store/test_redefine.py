"""Columns that come and go under row groups."""

from __future__ import annotations

import pytest

from colonnade.store.catalog import read_meta
from colonnade.store.database import Store
from colonnade.store.errors import Corrupt
from colonnade.store.redefine import NotCoverable, uncovered
from colonnade.store.table import ColumnTable
from tests.store.conftest import Open


def frozen(store: Store) -> ColumnTable:
    store.db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    store.db.execute("INSERT INTO t VALUES(1, 'x'), (2, 'y'), (3, 'z')")
    table = store.convert("t")
    table.freeze()
    return table


def change(store: Store, *statements: str) -> ColumnTable:
    """Runs statements, each on the bare tables; the table as it is then."""
    for sql in statements:
        with uncovered(store, store.tables()):
            store.db.execute(sql)
    return store.tables()[0]


def test_a_row_group_without_a_chunk_of_a_column_has_its_default_and_a_zone_map(store: Store) -> None:
    frozen(store)
    table = change(store, "ALTER TABLE t ADD COLUMN c INT DEFAULT '5'", "ALTER TABLE t ADD COLUMN d")
    added = {column.name: column for column in table.columns}
    assert [(c.column_id, c.first_group, c.default) for c in table.columns] == [
        (1, 0, None),
        (2, 0, None),
        (3, 2, 5),
        (4, 2, None),
    ]
    assert (table.zones(3)[1].min, table.zones(3)[1].max, table.zones(3)[1].null_count) == (5, 5, 0)
    assert table.zones(4)[1].null_count == 2
    assert table.counters.chunks_read == 0
    assert store.db.execute("SELECT * FROM t WHERE c = 5 AND d IS NULL").fetchall() == [
        (1, "x", 5, None),
        (2, "y", 5, None),
        (3, "z", 5, None),
    ]
    assert added["c"].not_null is False


def test_only_a_table_with_such_row_groups_has_the_newer_format_version(
    store: Store, open_store: Open
) -> None:
    store.db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    table = store.convert("t")
    table = change(store, "ALTER TABLE t ADD COLUMN c DEFAULT 1")
    assert read_meta(store.db, table.names, "version") == 2
    store.db.execute("INSERT INTO t_cln_rows VALUES(1, 'x', 1), (2, 'y', 2)")
    table.freeze()
    table = change(store, "ALTER TABLE t ADD COLUMN d DEFAULT x'07'", "ALTER TABLE t RENAME COLUMN d TO e")
    assert read_meta(store.db, table.names, "version") == 3
    again = open_store()
    assert again.db.execute("SELECT * FROM t").fetchall() == [(1, "x", 1, b"\x07"), (2, "y", 2, b"\x07")]
    table = change(store, "ALTER TABLE t DROP COLUMN e")
    assert read_meta(store.db, table.names, "version") == 2
    assert read_meta(store.db, table.names, "default 4") is None


def test_ids_of_columns_are_not_used_again(store: Store) -> None:
    frozen(store)
    change(store, "ALTER TABLE t ADD COLUMN c DEFAULT 1", "ALTER TABLE t DROP COLUMN b")
    table = change(store, "ALTER TABLE t ADD COLUMN b DEFAULT 2")
    assert [column.column_id for column in table.columns] == [1, 3, 4]
    assert store.db.execute("SELECT * FROM t").fetchall() == [(1, 1, 2), (2, 1, 2), (3, 1, 2)]


def test_what_cannot_be_covered_again_changes_nothing(store: Store) -> None:
    frozen(store)
    for statement in (
        "ALTER TABLE t ADD COLUMN c AS (a)",
        "ALTER TABLE t RENAME TO t_cln_rows",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
    ):
        with pytest.raises(NotCoverable):
            change(store, statement)
    assert [column.name for column in store.tables()[0].columns] == ["a", "b"]
    assert store.db.execute("SELECT * FROM t").fetchall() == [(1, "x"), (2, "y"), (3, "z")]


def test_a_column_that_lacks_chunks_of_row_groups_to_come_is_corrupt(store: Store, open_store: Open) -> None:
    """Such an entry would hide the values that are written from now on."""
    frozen(store)
    store.expect_damage = True  # type: ignore[attr-defined]
    store.db.execute("UPDATE t_cln_meta SET value = '[[1, \"a\"], [2, \"b\", 9]]' WHERE key = 'columns'")
    damaged = open_store()
    damaged.expect_damage = True  # type: ignore[attr-defined]
    with pytest.raises(Corrupt, match="lack chunks of row groups to come"):
        damaged.tables()
