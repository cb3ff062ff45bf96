"""From row format to column format and back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import apsw
import pytest

from colonnade.store.database import Store
from colonnade.store.errors import OperationalError

SCHEMA = """
CREATE TABLE [p](a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT COLLATE NOCASE UNIQUE, s REFERENCES p(a));
CREATE TABLE c(x REFERENCES p, y TEXT REFERENCES "P"(b) ON DELETE CASCADE, z INT DEFAULT 5);
CREATE VIEW v AS SELECT a, b FROM p;
CREATE INDEX pi ON P(b, s);
INSERT INTO p VALUES(1, 'A', NULL), (2, 'b', 1), (9, 'c', 2);
INSERT INTO c VALUES(1, 'a', 0), (2, NULL, 1);
"""


def schema_texts(store: Store) -> list[tuple[object, ...]]:
    rows = store.db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")
    return rows.fetchall()


@pytest.fixture
def parents(store: Store) -> Store:
    store.db.execute(SCHEMA)
    return store


@pytest.mark.parametrize("foreign_keys", [0, 1])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_there_and_back_leaves_the_users_schema_text(parents: Store, foreign_keys: int, inside: bool) -> None:
    db = parents.db
    before, version = schema_texts(parents), db.execute("PRAGMA schema_version").get
    db.execute(f"PRAGMA foreign_keys={foreign_keys}")
    if inside:
        db.execute("BEGIN")
    table = parents.convert("P")
    assert table.name == "p"
    table.freeze()
    parents.restore("p")
    if inside:
        db.execute("COMMIT")
    assert schema_texts(parents) == before
    assert db.execute("PRAGMA schema_version").get > version
    assert db.execute("SELECT * FROM p").fetchall() == [(1, "A", None), (2, "b", 1), (9, "c", 2)]
    assert db.execute("PRAGMA foreign_keys").get == foreign_keys
    assert db.execute("PRAGMA legacy_alter_table").get == 0
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_two_neighbours_there_and_back_in_any_order_leave_the_users_schema_text(parents: Store) -> None:
    before = schema_texts(parents)
    for order in (["p", "c"], ["c", "p"]):
        for name in order:
            parents.convert(name).freeze()
        for name in ("p", "c"):
            parents.restore(name)
        assert schema_texts(parents) == before


def test_references_follow_the_rename_and_are_still_enforced(parents: Store) -> None:
    parents.db.execute("PRAGMA foreign_keys=1")
    parents.convert("p")
    references = parents.db.execute("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list('c')").get
    assert references == "p_cln_rows"
    with pytest.raises(apsw.ConstraintError):
        parents.db.execute("INSERT INTO c VALUES(77, NULL, 1)")


def test_views_read_the_column_format_table(parents: Store) -> None:
    parents.convert("p").freeze()
    assert parents.db.execute("SELECT b FROM v ORDER BY a").fetchall() == [("A",), ("b",), ("c",)]


def test_rollback_of_the_transaction_undoes_a_conversion(parents: Store) -> None:
    before = schema_texts(parents)
    parents.db.execute("BEGIN")
    parents.convert("p").freeze()
    assert parents.has_column_tables()
    parents.db.execute("ROLLBACK")
    assert schema_texts(parents) == before
    assert not parents.has_column_tables()
    assert parents.table("p") is None


def test_rollback_to_a_savepoint_undoes_a_conversion(parents: Store) -> None:
    before = schema_texts(parents)
    parents.db.execute("BEGIN; SAVEPOINT s")
    parents.convert("p").freeze()
    parents.db.execute("ROLLBACK TO s")
    parents.invalidate()
    assert schema_texts(parents) == before
    assert parents.table("p") is None
    parents.db.execute("COMMIT")


def test_a_failed_conversion_leaves_nothing(parents: Store) -> None:
    before = schema_texts(parents)
    parents.db.execute("BEGIN")
    parents.db.set_authorizer(
        lambda action, *_: apsw.SQLITE_DENY if action == apsw.SQLITE_CREATE_VTABLE else apsw.SQLITE_OK
    )
    with pytest.raises(apsw.AuthError):
        parents.convert("p")
    parents.db.set_authorizer(None)
    assert schema_texts(parents) == before
    assert parents.db.execute("PRAGMA legacy_alter_table").get == 0
    parents.db.execute("COMMIT")


def test_another_connection_sees_the_converted_table_after_the_commit(parents: Store, open_store) -> None:  # type: ignore[no-untyped-def]
    other = open_store()
    query = "SELECT b FROM p ORDER BY a"
    expected = other.db.execute(query).fetchall()
    parents.db.execute("BEGIN")
    parents.convert("p").freeze()
    assert other.db.execute(query).fetchall() == expected
    assert not other.has_column_tables()
    parents.db.execute("COMMIT")
    assert other.has_column_tables()
    assert other.db.execute(query).fetchall() == expected
    parents.restore("p")
    assert other.db.execute(query).fetchall() == expected


def test_a_program_without_the_store_gets_no_such_module_and_never_half_of_the_rows(
    parents: Store, tmp_path: Path
) -> None:
    parents.convert("p").freeze()
    plain = sqlite3.connect(tmp_path / "test.db")
    with pytest.raises(sqlite3.OperationalError, match="no such module: colonnade"):
        plain.execute("SELECT * FROM p")
    plain.close()


def test_sqlite_sequence_survives(parents: Store) -> None:
    parents.db.execute("DELETE FROM p WHERE a=9")
    parents.convert("p").freeze()
    assert parents.table("p").next_rowid() == 10  # type: ignore[union-attr]
    parents.restore("p")
    parents.db.execute("INSERT INTO p(b) VALUES('new')")
    assert parents.db.execute("SELECT max(a) FROM p").get == 10


@pytest.mark.parametrize("name", ['od"d', "select", "ta ble", "tä", "t'q"])
def test_any_table_name_works(store: Store, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    store.db.execute(f'CREATE TABLE {quoted}(a INTEGER PRIMARY KEY, "b c" TEXT UNIQUE, "x""y" INT)')
    store.db.execute(f"INSERT INTO {quoted} VALUES(1, 'a', 2), (2, 'b', 3), (3, 'c', 4)")
    before = schema_texts(store)
    store.convert(name).freeze()
    assert store.db.execute(f'SELECT "x""y" FROM {quoted} WHERE "b c"=?', ("b",)).get == 3
    store.restore(name)
    assert schema_texts(store) == before


def test_attached_databases_have_column_tables_too(store: Store, tmp_path: Path) -> None:
    store.db.execute("ATTACH ? AS other", (str(tmp_path / "other.db"),))
    store.db.execute(
        "CREATE TABLE other.t(a, b); INSERT INTO other.t VALUES(1, 2), (3, 4); CREATE TABLE t(z)"
    )
    store.convert("t", "other").freeze()
    assert [t.name for t in store.tables("other")] == ["t"]
    assert store.tables() == []
    assert store.db.execute("SELECT * FROM other.t").fetchall() == [(1, 2), (3, 4)]
    store.restore("t", "other")


REASONS = [
    ("CREATE VIEW t AS SELECT 1", "it is a view"),
    ("CREATE TABLE u(t)", "there is no such table"),
    ("CREATE TABLE t(a PRIMARY KEY) WITHOUT ROWID", "it is a WITHOUT ROWID table"),
    ("CREATE TABLE t(rowid, _rowid_, oid)", "its columns hide every name of the rowid"),
    ("CREATE TABLE t(a, b AS (a+1))", "column b is generated"),
    ("CREATE TABLE t(a); CREATE UNIQUE INDEX i ON t(a+1)", "the UNIQUE index i is on an expression"),
    ("CREATE TABLE t(a); CREATE UNIQUE INDEX i ON t(a) WHERE a>1", "the UNIQUE index i is partial"),
    ("CREATE TABLE t(a COLLATE own)", "column a uses the collation own"),
    (
        "CREATE TABLE t(a); CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        "the trigger g refers to it",
    ),
    (
        "CREATE TABLE t(a); CREATE TABLE u(a);CREATE TRIGGER g AFTER INSERT ON u BEGIN DELETE FROM [T]; END",
        "the trigger g refers to it",
    ),
    ("CREATE TABLE t(a); CREATE TABLE T_cln_meta(a)", "the name T_cln_meta is taken"),
    ("CREATE VIRTUAL TABLE t USING fts5(a)", "it is a virtual table"),
]


@pytest.mark.parametrize(("ddl", "reason"), REASONS, ids=[reason for _, reason in REASONS])
def test_a_table_that_must_stay_in_row_format_says_why(store: Store, ddl: str, reason: str) -> None:
    store.db.create_collation("own", lambda a, b: (a > b) - (a < b))
    store.db.execute(ddl)
    assert store.ineligible("t") == reason
    with pytest.raises(OperationalError, match="cannot turn to column format: "):
        store.convert("t")


def test_tables_of_utf16_databases_and_temporary_tables_stay_in_row_format(open_store) -> None:  # type: ignore[no-untyped-def]
    store = open_store("wide.db")
    store.db.execute("PRAGMA encoding='UTF-16le'; CREATE TABLE t(a); CREATE TEMP TABLE tt(a)")
    assert store.ineligible("t") == "the database stores text as UTF-16le"
    assert store.ineligible("tt", "temp") == "it is a temporary table"


def test_an_ordinary_table_may_turn_to_column_format(parents: Store) -> None:
    assert parents.ineligible("p") is None
    assert parents.ineligible("C") is None
    parents.convert("p")
    assert parents.ineligible("p") == "it is a virtual table"
    assert parents.ineligible("p_cln_rows") == "it is part of a table in column format"
    assert parents.ineligible("p_cln_keys") == "it is part of a table in column format"


def test_no_trigger_and_no_foreign_key_action_runs_while_rows_move(parents: Store) -> None:
    db = parents.db
    db.execute("PRAGMA foreign_keys=1")
    parents.convert("p").freeze()
    parents.convert("c").freeze()
    inserted = db.last_insert_rowid()
    parents.restore("p")
    parents.restore("c")
    assert db.execute("SELECT x, y FROM c").fetchall() == [(1, "a"), (2, None)]
    assert db.last_insert_rowid() == inserted


def test_dropping_the_user_view_of_an_open_cursor_is_refused(parents: Store) -> None:
    parents.convert("p").freeze()
    cursor = parents.db.execute("SELECT * FROM p")
    next(cursor)
    with pytest.raises(apsw.LockedError):
        parents.restore("p")
    assert len(cursor.fetchall()) == 2
    assert parents.db.execute("SELECT count(*) FROM p").get == 3


def test_a_table_named_like_another_and_a_suffix_may_turn_and_a_shadow_table_may_not() -> None:
    db = apsw.Connection(":memory:")
    store = Store(db, memory_limit=1 << 20)
    db.execute("CREATE TABLE a(x); CREATE TABLE a_b(x); CREATE TABLE f_data(id INTEGER PRIMARY KEY, block)")
    store.convert("a")
    assert store.ineligible("a_b") is None
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    db.execute("PRAGMA writable_schema = on")
    db.execute(
        "INSERT INTO sqlite_schema VALUES('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING fts5(x)')"
    )
    assert store.ineligible("f_data") == "it may be a shadow table"


def test_the_keys_of_a_schema_are_read_once_for_all_of_its_tables(store: Store) -> None:
    for number in range(5):
        store.db.execute(f"CREATE TABLE t{number}(a INTEGER PRIMARY KEY, b REFERENCES t{number // 2}(a))")
        store.convert(f"t{number}")
    store.invalidate()
    seen: list[str] = []
    store.db.exec_trace = lambda _cursor, sql, _bindings: bool(seen.append(sql)) or True
    assert len(store.tables()) == 5
    store.db.exec_trace = None
    assert sum("foreign_key_list" in sql for sql in seen) == 1
    assert all(table.info.guards.child and table.info.guards.foreign_keys for table in store.tables())
