"""Differences that random sequences found, each reduced to its smallest case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.sql.pragmas import check_labels
from tests.differential.compare import compare
from tests.differential.model import Step
from tests.differential.sequences import Sequence
from tests.differential.shrink import show


def assert_equal(*statements: str | Step, **options: Any) -> None:
    """The statements give the same on both sides, and the same database. See Sequence for the options."""
    steps = tuple(Step("given", given) if isinstance(given, str) else given for given in statements)
    sequence = Sequence(steps, **options)
    found = compare(sequence)
    assert found is None, show(sequence, found)


def test_the_schema_asked_for_in_row_format_is_shown_in_column_format_by_the_same_text() -> None:
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    assert_equal("CREATE TABLE t(a UNIQUE)", schema, "INSERT INTO t VALUES(1), (2)", schema)


def test_the_rowid_is_called_as_the_column_that_stands_for_it() -> None:
    assert_equal(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        "INSERT INTO t VALUES(1, 2), (2, 3)",
        "SELECT rowid, oid, b FROM t",
    )


def test_renaming_a_child_leaves_its_references_as_they_were_written() -> None:
    assert_equal(
        "CREATE TABLE p(a PRIMARY KEY)",
        "CREATE TABLE c(b REFERENCES p)",
        "INSERT INTO p VALUES(1)",
        "ALTER TABLE c RENAME TO d",
        "UPDATE p SET a = 2",
        "SELECT sql FROM sqlite_master WHERE name = 'd'",
    )


def test_the_checks_of_a_table_are_read_anew_after_it_was_made_anew() -> None:
    """SQLite lists the program of a cached EXPLAIN as it was, with texts that may be freed memory by now."""
    db = apsw.Connection(":memory:")
    for check in ("a < 1", "a > 2"):
        db.execute(f"CREATE TABLE t(a, CHECK({check}))")
        assert check_labels(db, "main", "t", triggered=False) == [check]
        db.execute("DROP TABLE t")
    db.close()


def test_a_table_with_a_blob_that_is_no_text_for_a_default_turns_to_column_format() -> None:
    assert_equal(
        "CREATE TABLE t(a, b DEFAULT x'fffe', CHECK(a < 5))",
        "INSERT INTO t(a) VALUES(1), (2)",
        "INSERT INTO t(a) VALUES(7)",
    )


def test_foreign_keys_deferred_outside_a_transaction_are_deferred_in_the_next() -> None:
    assert_equal(
        "CREATE TABLE p(a INTEGER PRIMARY KEY)",
        "CREATE TABLE c(b REFERENCES p)",
        "INSERT INTO p VALUES(1), (2)",
        "PRAGMA defer_foreign_keys = on",
        "BEGIN",
        "INSERT INTO c VALUES(7)",
        "INSERT INTO p VALUES(7)",
        "COMMIT",
    )


def test_vacuum_leaves_the_rows_of_a_table_without_a_key_apart() -> None:
    assert_equal(
        "CREATE TABLE t(a)",
        "INSERT INTO t VALUES(1), (2), (3)",
        "VACUUM",
        "INSERT INTO t VALUES(4)",
        "SELECT rowid AS n, * FROM t",
    )


def test_a_statement_that_fails_has_changed_no_row() -> None:
    assert_equal(
        "CREATE TABLE t1(a, b, c, UNIQUE(b))",
        "CREATE TABLE t2(a PRIMARY KEY, b, c VARCHAR(10) CHECK(c < 'blob')) WITHOUT ROWID",
        "INSERT INTO t1(a, b, c) VALUES(7, 9007199254740993, 'x')",
        "INSERT INTO t2(a, b, c) VALUES('b', 1, 'A')",
        "INSERT INTO t2(a, b, c) VALUES('1', 4, 'b')",
        "CREATE VIEW v5 AS SELECT(o)",
        "INSERT INTO t2(a, b, c) SELECT c, b, b FROM t2 ORDER BY 1",
        "SELECT changes(), total_changes(), last_insert_rowid()",
        foreign_keys=False,
    )


_ROWS = ("CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2), (3, 4)")


@pytest.mark.parametrize("change", ["ALTER TABLE t ADD COLUMN c", "DROP TABLE t"])
def test_a_table_changes_though_the_cursor_has_not_read_all_its_rows_before(change: str) -> None:
    """The cursor that runs the change was reading the table itself: nobody can read these rows any more."""
    db = colonnade.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA storage_format = column")
    cursor = db.cursor()
    for statement in (*_ROWS, "SELECT * FROM t", change):
        cursor.execute(statement)
    db.close()


def test_a_table_back_in_column_format_after_a_rollback_is_known_to_be_read() -> None:
    frozen = Step("freeze", "t", (), "freeze", tables=("t",))
    assert_equal(
        *("CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE t(a, b REFERENCES p)", "CREATE INDEX i ON t(a)"),
        *("INSERT INTO t VALUES(1, NULL), (2, NULL)", frozen, "BEGIN", "DROP INDEX i", "ROLLBACK"),
        Step("open cursor", "SELECT * FROM t", (), "open", True),
        "PRAGMA foreign_key_check",
        storage_format="auto",
    )


def test_a_statement_of_which_sqlite_keeps_no_journal_leaves_no_row_when_it_fails() -> None:
    """A value of the wrong type is an error whatever the conflict clause says."""
    assert_equal(
        "CREATE TABLE t(a INTEGER, b TEXT PRIMARY KEY) STRICT",
        "INSERT INTO t VALUES(0, 'x'), (1, 'y')",
        "INSERT OR IGNORE INTO t VALUES(2, 'a'), ('two', 'b')",
        "SELECT changes(), total_changes(), last_insert_rowid()",
        "SELECT * FROM t",
    )


@pytest.mark.parametrize(
    "returned",
    [
        *(
            "t.a",
            "*, T.b",
            "t.a AS x, t.a + 1 AS y",
            "t.a + 1",
            "(t.a)",
            "t.a z",
            "u.a",
            "main.t.a",
            "t.rowid",
        ),
        *(
            "x.t.a",
            "t.zz",
            "(SELECT count(*) FROM t WHERE t.a = 1)",
            "(SELECT t.a)",
            "(SELECT max(t.b) FROM o) AS x",
        ),
    ],
)
@pytest.mark.parametrize(
    "head",
    ["UPDATE t SET b = 5 WHERE a = 1", "INSERT INTO t VALUES(3, 4)", "DELETE FROM main.t AS u WHERE a"],
)
def test_returning_may_call_the_table_by_its_name(head: str, returned: str) -> None:
    assert_equal(
        *("CREATE TABLE t(a, b)", "CREATE TABLE o(x)", "INSERT INTO t VALUES(1, 2), (3, 4)"),
        f"{head} RETURNING {returned}",
    )


def test_rows_with_text_that_is_not_utf8_are_written() -> None:
    assert_equal(
        *("CREATE TABLE p(a UNIQUE)", "CREATE TABLE t(a UNIQUE, b REFERENCES p(a))"),
        *("INSERT INTO p VALUES(CAST(x'c3' AS TEXT)), (1)", "INSERT INTO t VALUES(1, CAST(x'c3' AS TEXT))"),
        *("INSERT INTO t VALUES(CAST(x'ff' AS TEXT), 1)", "UPDATE t SET a = CAST(x'fe' AS TEXT) WHERE a = 1"),
        *("DELETE FROM t WHERE a = CAST(x'ff' AS TEXT)", "DELETE FROM p", "SELECT hex(a), b FROM t"),
    )


def test_returning_of_text_that_is_not_utf8_leaves_no_statement_open() -> None:
    assert_equal(
        *("CREATE TABLE t(a)", "INSERT INTO t VALUES(1), (2)"),
        *("UPDATE t SET a = CAST(x'ff' AS TEXT) WHERE a = 1 RETURNING a", "SELECT hex(a) FROM t"),
    )


@pytest.mark.parametrize(
    "source",
    [
        "SELECT count(*), (SELECT count(*) FROM t AS o WHERE o.a = s.a) FROM t AS s GROUP BY a",
        "SELECT x.a, y.b FROM t AS x, t AS y",
        "SELECT (SELECT count(*) FROM v), 1 FROM t WHERE true ON CONFLICT DO NOTHING",
        "VALUES ((SELECT count(*) FROM t), 1), ((SELECT count(*) FROM t), 2)",
        "WITH w AS (SELECT count(*) AS n FROM t) SELECT n, n FROM w UNION ALL SELECT count(*), 1 FROM t RETURNING t.b",
    ],
)
def test_rows_inserted_from_the_table_itself_are_read_before_the_first_is_inserted(source: str) -> None:
    assert_equal(
        *(
            "CREATE TABLE t(a, b)",
            "CREATE VIEW v AS SELECT a FROM t",
            "INSERT INTO t VALUES(1, 1), (2, 2), (3, 2)",
        ),
        *(f"INSERT INTO t {source}", "SELECT * FROM t"),
        f"INSERT INTO main.t(b, a) {source}",
    )


def test_a_subquery_of_returning_sees_each_row_as_it_is_inserted() -> None:
    assert_equal(
        *("CREATE TABLE t(a)", "INSERT INTO t VALUES(1), (2)"),
        "INSERT INTO t VALUES(3), (4) RETURNING (SELECT count(*) FROM t)",
    )


@pytest.mark.parametrize("place", ["t", "main.t", "aux.s"])
def test_a_wrong_column_is_told_with_the_schema_if_that_was_given(place: str) -> None:
    made = [f"CREATE TABLE {table}(a UNIQUE)" for table in ("t", "aux.s")]
    rows = [f"INSERT INTO {table} VALUES(1), (2)" for table in ("t", "aux.s")]
    upserts = [
        f"INSERT INTO {place}({column}) VALUES(1) ON CONFLICT(a) DO UPDATE SET a = {new}"
        for column, new in (("b", "4"), ("b", "excluded.a"), ("a", "excluded.a + t.a"), ("a", "s.a + 7"))
    ]
    assert_equal(*made, *rows, f"INSERT INTO {place}(b) VALUES(3)", *upserts, attached=True)


_FAMILY = (
    "CREATE TABLE p(a INTEGER PRIMARY KEY ON CONFLICT REPLACE)",
    "CREATE TABLE c(b INTEGER PRIMARY KEY, a REFERENCES p DEFERRABLE INITIALLY DEFERRED, "
    "d REFERENCES p ON DELETE CASCADE)",
    "INSERT INTO p VALUES(1), (2)",
    "INSERT INTO c VALUES(1, 1, 1), (2, 1, 1)",
)
_COUNTERS = "SELECT changes(), total_changes(), last_insert_rowid()"


def test_a_row_returned_by_a_statement_that_fails_at_its_end_is_not_counted() -> None:
    assert_equal(*_FAMILY, "INSERT INTO c(a) VALUES(7) RETURNING b", _COUNTERS)


def test_a_row_that_lacks_its_parent_is_no_last_row_whatever_its_values_come_from() -> None:
    assert_equal(*_FAMILY, "INSERT INTO c(b, d) VALUES(9, 7 + (SELECT count(*) FROM p))", _COUNTERS)


@pytest.mark.parametrize("foreign_keys", [True, False])
@pytest.mark.parametrize("storage_format", ["column", "auto"])
def test_executemany_counts_no_row_that_a_foreign_key_deletes(
    foreign_keys: bool, storage_format: str
) -> None:
    rows = [(1,), (2,), (3,)]
    assert_equal(
        *_FAMILY,
        Step("given", "INSERT INTO p VALUES(?)", rows, "many"),
        _COUNTERS,
        *(
            "DROP TABLE c",
            "CREATE TABLE q(a PRIMARY KEY, b)",
            "CREATE TABLE c(a REFERENCES q ON DELETE CASCADE)",
        ),
        *("INSERT INTO q VALUES(1, 2), (2, 3)", "INSERT INTO c VALUES(1), (2)"),
        Step("given", "INSERT OR REPLACE INTO q VALUES(?, 4)", rows, "many"),
        storage_format=storage_format,
        foreign_keys=foreign_keys,
    )


def test_executemany_into_a_parent_that_a_child_refers_to_wrongly_is_no_error() -> None:
    frozen = Step("freeze", "q", "main", "freeze")
    assert_equal(
        *("CREATE TABLE q(a INTEGER PRIMARY KEY)", "INSERT INTO q VALUES(1), (2), (3), (4)", frozen),
        *("CREATE TABLE t(a REFERENCES q)", "CREATE TABLE c(a REFERENCES t)"),
        Step("given", "INSERT INTO t VALUES(?)", [(1,), (2,), (3,), (4,)], "many"),
        storage_format="auto",
    )


@pytest.mark.parametrize(
    "statement",
    [
        *(
            "INSERT INTO main.t VALUES(5, 6)",
            "INSERT INTO o VALUES(1), (2)",
            "CREATE TRIGGER g AFTER INSERT ON o BEGIN SELECT 1; END",
        ),
        *(
            "CREATE TRIGGER g AFTER DELETE ON main.t BEGIN SELECT 1; END",
            "ALTER TABLE o ADD COLUMN n",
        ),
        *(
            "ALTER TABLE main.t ADD COLUMN n",
            "ALTER TABLE main.t RENAME TO u",
            "DROP TABLE main.t",
            "UPDATE o SET a = 8",
        ),
        *("CREATE INDEX main.j ON t(a)", "DROP INDEX i", "CREATE TABLE x(a REFERENCES t)", "REINDEX"),
    ],
)
def test_a_temporary_table_may_have_the_name_of_a_table_with_an_index(statement: str) -> None:
    assert_equal(
        *(
            "CREATE TABLE t(a, b)",
            "CREATE INDEX i ON t(b)",
            "CREATE TABLE o(a REFERENCES t(b))",
            "CREATE INDEX k ON o(a)",
        ),
        *("INSERT INTO t VALUES(1, 2), (3, 4)", "INSERT INTO o VALUES(2), (4)", "CREATE TEMP TABLE t(x)"),
        *(
            statement,
            "INSERT INTO main.t VALUES(7, 8)",
            "SELECT * FROM main.t",
            "DROP TABLE temp.t",
            "SELECT * FROM t",
        ),
        foreign_keys=False,
    )


def test_figures_of_analyze_are_no_rows_of_the_program() -> None:
    assert_equal(
        *(
            "CREATE TABLE t(a, b)",
            "CREATE INDEX i ON t(a)",
            "INSERT INTO t VALUES(1, 2), (3, 4), (5, 6)",
            "ANALYZE",
        ),
        *("ALTER TABLE t RENAME COLUMN b TO c", "SELECT last_insert_rowid()"),
    )


@pytest.mark.parametrize(
    "sources", ["(SELECT rowid AS n, * FROM s) AS f", "s AS f LEFT JOIN s AS n USING (n)", "s AS f -- all"]
)
def test_update_from_finds_its_rows_in_bulk_load(sources: str) -> None:
    insert = Step("given", "INSERT INTO t VALUES(?, ?)", [(4, 4), (5, 5)], "many")
    assert_equal(
        *("CREATE TABLE t(a UNIQUE, b)", "CREATE TABLE s(n, b)", "INSERT INTO s VALUES(2, 1), (4, 3)"),
        "INSERT INTO t VALUES(1, 1), (2, 2)",
        Step(
            "bulk",
            "",
            (insert, Step("given", f"UPDATE t AS u SET b = f.b FROM {sources}\nWHERE u.a = f.n")),
            "bulk",
        ),
        f"UPDATE t AS u SET b = f.b + 5 FROM {sources}\nWHERE u.a = f.n",
    )


@pytest.mark.parametrize("returned", ["", " RETURNING a"])
def test_rows_that_actions_changed_count_though_a_deferred_foreign_key_forbids_the_statement(
    returned: str,
) -> None:
    assert_equal(
        "CREATE TABLE p(a INTEGER PRIMARY KEY, b REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE c(b REFERENCES p ON UPDATE CASCADE ON DELETE SET NULL)",
        *("INSERT INTO p VALUES(1, NULL), (2, 1)", "INSERT INTO c VALUES(1), (1), (2)"),
        *(
            f"UPDATE p SET a = a + 5, b = 9{returned}",
            _COUNTERS,
            f"DELETE FROM p WHERE a = 1{returned}",
            _COUNTERS,
        ),
    )


def test_parents_thaw_though_a_child_refers_to_them_wrongly() -> None:
    assert_equal(
        *("CREATE TABLE p(a UNIQUE, b)", "CREATE TABLE c(a REFERENCES p DEFERRABLE INITIALLY DEFERRED)"),
        *(
            "INSERT OR IGNORE INTO p VALUES(1, 2)",
            "PRAGMA foreign_keys = off",
            "INSERT INTO p VALUES(3, 4), (5, 6)",
        ),
        *(
            "PRAGMA foreign_keys = on",
            "CREATE TRIGGER g AFTER INSERT ON p BEGIN SELECT 1; END",
            "SELECT * FROM p",
        ),
    )


def test_a_text_that_is_not_utf8_is_looked_for() -> None:
    assert_equal(
        *("CREATE TABLE t(a, b)", "INSERT INTO t VALUES(CAST(x'fe' AS TEXT), 1), ('a', 2), (3, 3)"),
        *(
            f"SELECT hex(a), b FROM t WHERE a {op} CAST(x'fe' AS TEXT)"
            for op in ("=", "<", ">=", "IS", "IS NOT")
        ),
        "UPDATE t SET b = 7 WHERE a = CAST(x'fe' AS TEXT)",
        "SELECT b FROM t WHERE rowid < CAST(x'fe' AS TEXT)",
    )


def test_rows_that_actions_changed_count_though_one_of_them_cannot_be() -> None:
    assert_equal(
        *("CREATE TABLE p(a INTEGER PRIMARY KEY)", "CREATE TABLE c(b REFERENCES p ON DELETE SET NULL)"),
        "CREATE TABLE d(a INTEGER PRIMARY KEY REFERENCES p ON DELETE SET NULL)",
        *("INSERT INTO p VALUES(1), (2)", "INSERT INTO c VALUES(1), (1)", "INSERT INTO d VALUES(1), (2)"),
        *("DELETE FROM p WHERE a = 1", _COUNTERS, "SELECT * FROM c"),
    )


def test_keys_are_compared_with_the_rows_of_the_batch_before_that_turned_the_table_to_column_format() -> None:
    rows = [(9, 1), (6, "x"), (4, 1), (7, 3), (2, 1e300), (256, "1"), (4, 7.5), (4, 1.5), (5, 0), (2, 9)]
    assert_equal(
        *(
            "CREATE TABLE p(a INTEGER PRIMARY KEY, b)",
            "CREATE TABLE t(a, b, c INTEGER REFERENCES p, UNIQUE(a))",
        ),
        "INSERT INTO p(b) VALUES('61')",
        Step("given", "INSERT INTO t(a, b) VALUES(?, ?)", rows, "many"),
        batch_size=5,
    )


@pytest.mark.parametrize("foreign_keys", [True, False])
@pytest.mark.parametrize(
    "statement",
    [
        *("PRAGMA foreign_key_check", "PRAGMA main.foreign_key_check(t)", "PRAGMA integrity_check"),
        *("INSERT INTO o VALUES(1, 2)", "INSERT INTO o(nope) VALUES(1)", "UPDATE o SET nope = 1"),
        *("UPDATE o", "DELETE FROM t WHERE nope", "INSERT INTO t VALUES(1, 2, 3)"),
        *("INSERT INTO t(a) VALUES(-1)", "UPDATE t SET a = -1", "INSERT INTO c VALUES(9, 9)"),
        *("INSERT INTO c VALUES(abs(-9223372036854775808), 1)", "SELECT * FROM o"),
        Step("given", "INSERT INTO o VALUES(?, ?)", [], "many"),
        Step("given", "INSERT INTO t VALUES(?, ?)", [], "many"),
        Step("given", "INSERT INTO o VALUES(?, ?)", [(1, 2)], "many"),
        Step("given", "INSERT INTO c VALUES(?, ?)", [(1, 1), (9, 9)], "many"),
        Step("given", "INSERT INTO t(nope) VALUES(?)", [(1,)], "many"),
        Step("given", "UPDATE o SET nope = ?", [(1,)], "many"),
    ],
)
def test_changes_is_what_the_last_write_that_sqlite_ran_has_changed(
    statement: str | Step, foreign_keys: bool
) -> None:
    """To read the CHECKs of a table that is new to the connection counts as a write, but is none of the program's."""
    assert_equal(
        *("CREATE TABLE t(a INTEGER PRIMARY KEY CHECK(a > 0), b)", "INSERT INTO t VALUES(1, 2), (3, 4)"),
        *("CREATE TABLE o(a CHECK(a < 5), b)", "CREATE TABLE c(a REFERENCES t, b CHECK(b <> 3))"),
        *("INSERT INTO t VALUES(5, 6), (7, 8)", "CREATE TABLE n(a CHECK(a <> 3))"),
        *(statement, _COUNTERS),
        foreign_keys=foreign_keys,
    )


def test_a_default_that_is_not_utf8_is_inserted() -> None:
    assert_equal(
        *(
            "CREATE TABLE t(a, b DEFAULT(CAST(x'ff' AS TEXT)), c DEFAULT(1 + 1))",
            "INSERT INTO t(a) VALUES(1), (2)",
        ),
        Step("given", "INSERT INTO t(a) VALUES(?)", [(3,), (4,), (5,), (6,)], "many"),
        "SELECT a, hex(b), c FROM t",
    )


def test_a_schema_without_sqlite_sequence_leaves_the_name_to_the_next() -> None:
    read = "SELECT * FROM sqlite_sequence"
    assert_equal(
        *("CREATE TABLE t(a)", "INSERT INTO t VALUES(1), (2)", read),
        *(
            "CREATE TABLE aux.s(a INTEGER PRIMARY KEY AUTOINCREMENT)",
            "INSERT INTO aux.s VALUES(7), (8)",
            read,
        ),
        *("UPDATE sqlite_sequence SET seq = 30 WHERE name = 's'", "INSERT INTO aux.s VALUES(NULL)", read),
        *("SELECT * FROM main.sqlite_sequence", "SELECT * FROM aux.sqlite_sequence"),
        *("CREATE TABLE u(a INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO u VALUES(3), (4)", read),
        *(
            "SAVEPOINT x",
            "CREATE TEMP TABLE s(a INTEGER PRIMARY KEY AUTOINCREMENT)",
            read,
            "ROLLBACK TO x",
            read,
        ),
        attached=True,
    )


def test_names_with_quotation_marks_are_told_with_them_doubled() -> None:
    assert_equal(
        *(
            'CREATE TABLE "q""t"(a, b)',
            'CREATE TABLE c(a REFERENCES "q""t"(b), b)',
            "PRAGMA foreign_keys = off",
        ),
        *("INSERT INTO c VALUES(1, 2), (3, 4)", "PRAGMA foreign_key_check", "PRAGMA foreign_key_check(c)"),
    )


_MISMATCHED = (
    "CREATE TABLE p(a PRIMARY KEY)",
    "CREATE TABLE c(a UNIQUE REFERENCES p ON DELETE CASCADE)",
    "CREATE TABLE m(a REFERENCES c)",
)


@pytest.mark.parametrize("more", [(), ("INSERT INTO p VALUES(1), (2)",)])
def test_rows_inserted_at_once_ask_no_more_of_foreign_keys_than_an_insert_does(more: tuple[str, ...]) -> None:
    """A DELETE from p would be an error."""
    rows = Step("given", "INSERT INTO p VALUES(?)", [(3,), (4,), (5,), (6,)], "many")
    assert_equal(
        *_MISMATCHED, *more, rows, Step("bulk", "", (replace(rows, parameters=[(7,), (8,)]),), "bulk")
    )


@pytest.mark.parametrize("deferred", ["on", "off"])
def test_bulk_load_of_a_parent_that_a_child_refers_to_wrongly_is_what_it_is_in_sqlite(deferred: str) -> None:
    rows = Step("given", "INSERT INTO p VALUES(?, ?)", [(1, 2), (3, 4)], "many")
    assert_equal(
        *("CREATE TABLE p(a, b, PRIMARY KEY(a, b))", "CREATE TABLE c(a REFERENCES p)"),
        Step("bulk", "", (Step("given", f"PRAGMA defer_foreign_keys = {deferred}"), rows), "bulk"),
        "SELECT * FROM p",
    )


def test_a_query_that_inserts_text_that_is_not_utf8_holds_no_table() -> None:
    assert_equal(
        *("CREATE TABLE t(a, b, UNIQUE(a))", "INSERT INTO t VALUES('b', NULL), ('a', CAST(x'6180' AS TEXT))"),
        "INSERT INTO t(a, b) SELECT (SELECT count(*)), s.b FROM t AS s WHERE s.b IS NOT '2.5'",
        foreign_keys=False,
    )


@pytest.mark.parametrize("storage_format", ["row", "column"])
@pytest.mark.parametrize("explained", ["", "QUERY PLAN"])
@pytest.mark.parametrize("statement", ["INSERT INTO t VALUES(9)", "UPDATE t SET a = 5", "SELECT * FROM t"])
def test_a_write_that_is_only_explained_changes_no_row(
    statement: str, explained: str, storage_format: str
) -> None:
    theirs, ours = apsw.Connection(":memory:"), colonnade.connect(":memory:", isolation_level=None)
    ours.execute(f"PRAGMA storage_format = {storage_format}")
    made = ("CREATE TABLE t(a)", "INSERT INTO t VALUES(1), (2), (3)", "CREATE TABLE o(a CHECK(a <> 3))")
    found = []
    for db in (theirs, ours):
        for sql in (*made, "PRAGMA foreign_key_check", f"EXPLAIN {explained} {statement}"):
            db.execute(sql).fetchall()
        found.append(db.execute("SELECT changes(), total_changes()").fetchall())
        db.close()
    assert found[0] == found[1]
    assert found[0] == [(3 if statement.startswith("SELECT") else 0, 3)]


@pytest.mark.parametrize("before", [(), ("BEGIN",)])
@pytest.mark.parametrize("storage_format", ["column", "auto"])
@pytest.mark.parametrize(
    "statement",
    [
        *(
            "SELECT a, v FROM t, u WHERE k = b ORDER BY a",
            "SELECT a FROM t LEFT JOIN u ON u.rowid = b ORDER BY a",
        ),
        "SELECT a FROM t ORDER BY (SELECT max(v) FROM u WHERE k >= t.b)",
        "SELECT a, (SELECT count(*) FROM u WHERE k >= t.b) FROM t",
        "UPDATE t SET a = (SELECT count(*) FROM u WHERE k >= t.b)",
        "UPDATE t SET a = (SELECT count(*) FROM u WHERE k >= t.b) RETURNING a",
        *(
            "DELETE FROM t WHERE EXISTS(SELECT 1 FROM u WHERE k > t.b)",
            "INSERT INTO t SELECT 7, v FROM t JOIN u ON k = b",
        ),
        Step("given", "UPDATE t SET a = ? + (SELECT count(*) FROM u WHERE k >= t.b)", [(1,), (2,)], "many"),
    ],
)
def test_a_row_is_looked_for_by_a_text_of_another_that_is_not_utf8(
    statement: str | Step, storage_format: str, before: tuple[str, ...]
) -> None:
    """apsw can give no such text to xFilter, before the first row or between rows."""
    assert_equal(
        *("CREATE TABLE t(a, b TEXT)", "CREATE TABLE u(k PRIMARY KEY, v TEXT)"),
        "INSERT INTO u VALUES('x', 'y'), (CAST(x'ff' AS TEXT), 'w'), ('z', 'q')",
        *(
            "INSERT INTO t VALUES(1, 'x'), (2, CAST(x'ff' AS TEXT)), (3, 'z')",
            Step("freeze", "u", "main", "freeze"),
        ),
        *(*before, statement, statement, _COUNTERS, "SELECT a, hex(b) FROM t"),
        storage_format=storage_format,
    )


@pytest.mark.parametrize(
    "text",
    ["INSERT INTO t(a b) VALUES(?, ?)", "INSERT INTO t(a, b,) VALUES(?, ?)", "INSERT INTO t() VALUES(?, ?)"],
)
def test_a_list_of_columns_that_is_wrong_is_an_error(text: str) -> None:
    rows = [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert_equal(
        "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2), (3, 4)", Step("given", text, rows, "many")
    )


@pytest.mark.parametrize(
    "collations", [("NOCASE", "BINARY"), ("NOCASE", "NOCASE"), ("RTRIM", "RTRIM"), ("BINARY", "NOCASE")]
)
def test_a_row_is_its_own_parent_only_if_both_texts_are_the_same(collations: tuple[str, str]) -> None:
    key, reference = collations
    made = f"CREATE TABLE t(a TEXT COLLATE {key} PRIMARY KEY, b TEXT COLLATE {reference} REFERENCES t)"
    for rows in (
        [("x", "x"), ("B", "B"), ("C", "c")],
        [("x", "x"), ("B", "b"), ("C", "C")],
        [("x", "x"), ("y", "y "), ("z", "z")],
        [("x", "x"), ("y", "X"), ("z", "y ")],
    ):
        insert = Step("given", "INSERT INTO t VALUES(?, ?)", rows, "many")
        assert_equal(made, "INSERT INTO t VALUES('m', NULL), ('n', 'm')", insert, "SELECT * FROM t")


@pytest.mark.parametrize(("place", "name"), [("t", "t"), ("main.t", "t"), ('aux."it\'s"', '"it\'s"')])
@pytest.mark.parametrize("upsert", ["", " ON CONFLICT(a) DO UPDATE SET b = excluded.b"])
@pytest.mark.parametrize("returned", ["", " RETURNING {}.a"])
def test_a_column_that_is_not_there_is_told_as_the_statement_calls_the_table(
    place: str, name: str, upsert: str, returned: str
) -> None:
    returning = returned.format(name)
    assert_equal(
        *(f"CREATE TABLE {place}(a UNIQUE, b)", f"INSERT INTO {place} VALUES(1, 2), (3, 4)"),
        f"INSERT INTO {place}(a, b, e) VALUES(1, 2, 3){upsert}{returning}",
        f"UPDATE {place} SET e = 3{returning}",
        attached=True,
    )


@pytest.mark.parametrize("counters", [("70",), ("0",), ("'12abc'",), ("NULL",), ("-5",), ("2.9", "90")])
def test_of_several_counters_of_a_table_the_first_counts(counters: tuple[str, ...]) -> None:
    assert_equal(
        *("CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)", "INSERT INTO t(b) VALUES(1), (2)"),
        *(f"INSERT INTO sqlite_sequence VALUES('t', {counter})" for counter in counters),
        *("INSERT INTO t(b) VALUES(3), (4)", "DELETE FROM sqlite_sequence WHERE rowid = 1"),
        *("INSERT INTO t(b) VALUES(5), (6)", "SELECT * FROM t", "SELECT * FROM sqlite_sequence"),
        Step("given", "INSERT INTO t(b) VALUES(?)", [(7,), (8,), (9,), (10,)], "many"),
    )


def test_columns_of_views_are_counted_though_a_temporary_table_hides_one_in_column_format() -> None:
    listed = "SELECT schema, name, ncol FROM pragma_table_list ORDER BY 1, 2"
    assert_equal(
        *(
            "CREATE TABLE t(a, b)",
            "CREATE VIEW v AS SELECT a, b, a FROM t",
            "CREATE VIEW w AS SELECT a FROM v",
        ),
        *("INSERT INTO t VALUES(1, 2), (3, 4)", "CREATE TEMP TABLE t(x)", listed, "ANALYZE main.t", listed),
        *("BEGIN", "CREATE TABLE u(a REFERENCES t)", "ROLLBACK", listed),
    )


def test_an_update_of_no_row_in_bulk_load_takes_its_parameters() -> None:
    insert = Step("given", "INSERT INTO t VALUES(?, ?)", [(4, 4), (5, 5)], "many")
    update = Step("given", "UPDATE t SET b = ?1 WHERE a = ?2 RETURNING *", (b"a", 50))
    assert_equal(
        *("CREATE TABLE t(a UNIQUE, b)", "INSERT INTO t VALUES(1, 1), (2, 2)"),
        Step("bulk", "", (insert, update, replace(update, parameters=(7, 2))), "bulk"),
        "SELECT * FROM t",
    )


@pytest.mark.parametrize("assigned", ["c = 40", "b = 5", "b = NULL", "v = 7", "a = a + 100"])
def test_an_update_of_one_key_looks_at_what_refers_to_the_table_itself(assigned: str) -> None:
    rows = ", ".join(f"({n}, {max(n - 5, 1)}, {n + 60}, 0)" for n in range(1, 13))
    assert_equal(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b REFERENCES t ON UPDATE SET NULL, c UNIQUE, v)",
        *("CREATE TABLE c(a REFERENCES t(c))", f"INSERT INTO t VALUES {rows}", "INSERT INTO c VALUES(61)"),
        *(f"UPDATE t SET {assigned} WHERE a = 12", f"UPDATE t SET {assigned} WHERE a = 7", "SELECT * FROM t"),
    )


@pytest.mark.parametrize("children", ["SELECT 1", "INSERT INTO c VALUES('b')"])
def test_a_set_wise_delete_of_keys_with_embedded_zeros_looks_for_their_children(children: str) -> None:
    assert_equal(
        *("CREATE TABLE p(a TEXT UNIQUE)", "CREATE TABLE c(b TEXT REFERENCES p(a))"),
        *(
            "INSERT INTO p VALUES(CAST(x'00' AS TEXT)), (CAST(x'6100' AS TEXT)), ('b'), ('c'), ('d')",
            children,
        ),
        *("DELETE FROM p WHERE a < 'c'", "SELECT hex(a) FROM p", "SELECT * FROM c"),
    )


@pytest.mark.parametrize("rows", [(), ("INSERT INTO t(b) VALUES(1), (2), (3)",)])
@pytest.mark.parametrize("schema", ["main", "aux"])
def test_an_insert_select_of_no_row_in_bulk_load_makes_the_counter(
    rows: tuple[str, ...], schema: str
) -> None:
    given = [f"{row.replace('t(', f'{schema}.t(')}" for row in rows]
    none = Step("given", f"INSERT INTO {schema}.t(b) SELECT b FROM {schema}.t WHERE b > 7")
    assert_equal(
        f"CREATE TABLE {schema}.t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)",
        *given,
        Step("bulk", "", (none,), "bulk"),
        *(f"SELECT * FROM {schema}.sqlite_sequence", f"INSERT INTO {schema}.t(b) VALUES(1)"),
        f"SELECT * FROM {schema}.t",
        attached=schema == "aux",
    )


@pytest.mark.parametrize("change", ["DELETE FROM c WHERE a > 50", "INSERT INTO c(a, e) VALUES(1, 1)"])
def test_changes_are_those_of_the_last_statement_though_no_table_is_in_column_format_any_more(
    change: str,
) -> None:
    counts = "SELECT changes(), total_changes(), last_insert_rowid()"
    assert_equal(
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)",
        "CREATE TABLE c(a INTEGER PRIMARY KEY AUTOINCREMENT, b DEFAULT(0.0), c DEFAULT('B'), d, e,"
        " CONSTRAINT link FOREIGN KEY(e) REFERENCES t(a) ON DELETE RESTRICT)",
        *("INSERT INTO t VALUES(17, 3.0)", Step("given", "c", "main", "freeze", tables=("c",))),
        *("UPDATE sqlite_sequence SET seq = 't'", "SELECT", change, counts),
        storage_format="auto",
        on_file=True,
    )


def test_what_sqlite_has_not_run_leaves_changes_alone_beside_a_temporary_trigger() -> None:
    counts = "SELECT changes(), total_changes(), last_insert_rowid()"
    assert_equal(
        *("CREATE TABLE t(a)", "CREATE VIEW v AS SELECT 1 AS b"),
        "CREATE TEMP TRIGGER g INSTEAD OF DELETE ON v BEGIN SELECT old.b; END",
        *(Step("given", "t", "main", "freeze", tables=("t",)), "INSERT", counts),
        *("INSERT INTO t VALUES(1), (2), (3)", "INSERT INTO t VALUES(1, 2)", counts),
        storage_format="auto",
    )


@pytest.mark.parametrize("returned", ["t.a", "t.a, b", "b AS t, t.b AS c", "*", "a || ?1"])
@pytest.mark.parametrize("rows", ["(1, 1), (2, 2), (3, 3)", "(1, 1), (1, 2), (1, 3)"])
def test_returning_names_its_table_in_bulk_load(rows: str, returned: str) -> None:
    insert = Step("given", "INSERT INTO t VALUES(?, ?)", [(4, 4), (5, 5)], "many")
    update = Step("given", f"UPDATE t SET b = ?1 WHERE a < 3 RETURNING {returned}", (7,))
    delete = Step("given", "DELETE FROM main.t AS t WHERE a < 2 RETURNING t.b")
    assert_equal(
        *("CREATE TABLE t(a, b)", f"INSERT INTO t VALUES{rows}"),
        Step("bulk", "", (insert, update, delete), "bulk"),
        "SELECT * FROM t",
    )


@pytest.mark.parametrize("source", ["VALUES(4)", "SELECT 4", "SELECT 4 WHERE true ON CONFLICT(a) DO NOTHING"])
def test_rows_that_owe_a_validation_do_not_freeze_before_it(source: str) -> None:
    orphan = Step("given", "INSERT INTO c(b) VALUES(?)", (7,))
    other = Step("given", f"INSERT OR IGNORE INTO c(b) {source}")
    assert_equal(
        *("CREATE TABLE p(a INTEGER PRIMARY KEY)", "CREATE TABLE c(a INTEGER PRIMARY KEY, b REFERENCES p)"),
        *("INSERT INTO p VALUES(4), (5), (6)", "INSERT INTO c VALUES(1, 4), (2, 5), (3, 6)"),
        *(Step("bulk", "", (orphan, other), "bulk"), "SELECT * FROM c", "PRAGMA foreign_key_check"),
    )


@pytest.mark.parametrize("affinity", ["", "BLOB", "TEXT"])
@pytest.mark.parametrize("second", ["('x', 3), (2, 4)", "('4', 3), ('x', 4)"])
def test_texts_that_are_equal_to_keys_which_are_numbers_are_not_left_out(second: str, affinity: str) -> None:
    """The comparison converts them, as the other side has a numeric affinity."""
    assert_equal(
        *("CREATE TABLE t(a INT, b)", f"CREATE TABLE v(d {affinity}, e)", "INSERT INTO t VALUES(1, 1)"),
        *(
            "INSERT INTO t VALUES(4, 2)",
            "INSERT INTO v VALUES('1', 1), ('4.0', 2)",
            f"INSERT INTO v VALUES{second}",
        ),
        "SELECT *, * FROM t LEFT JOIN v ON t.a = v.d",
        "SELECT * FROM t JOIN v ON t.a = v.d WHERE t.b = 1",
        "SELECT * FROM v WHERE d IN (SELECT a FROM t)",
        "SELECT * FROM v LEFT JOIN t ON a = d",
    )


@pytest.mark.parametrize("joined", ["LEFT JOIN u AS y ON x.b = y.a", "JOIN u AS y ON y.rowid = x.rowid"])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_query_that_ends_at_a_text_which_is_not_utf8_holds_no_table(joined: str, count: int) -> None:
    fetches = [Step("fetch", "1", how="fetch")] * count
    assert_equal(
        *("CREATE TABLE t(a UNIQUE, b DEFAULT(CAST(x'6180' AS TEXT)))", "CREATE TABLE u(a, b)"),
        *("INSERT INTO t VALUES(1, 8), (2, 7), (0.5, 5)", "INSERT INTO u(b) VALUES(8), (9)"),
        *("INSERT INTO t DEFAULT VALUES", Step("open", f"SELECT * FROM t AS x {joined}", how="open")),
        *fetches,
        "INSERT INTO t VALUES(2.0, 1), (CAST(x'6180' AS TEXT), NULL), (2.0, 8)",
        *("ALTER TABLE t ADD COLUMN c", "SELECT hex(b) FROM t"),
        batch_size=5,
    )


def test_values_that_read_the_target_are_computed_before_a_row_of_them_is_stored_in_bulk_load() -> None:
    rows = ", ".join(f"({n})" for n in range(40))
    insert = Step("given", f"INSERT INTO t(a) VALUES {rows}, ((SELECT count(*) FROM t))")
    assert_equal(
        *("CREATE TABLE t(a, b)", "INSERT INTO t(b) VALUES(1)", Step("bulk", "", (insert, insert), "bulk")),
        "SELECT * FROM t",
        batch_size=17,
    )


@pytest.mark.parametrize("storage_format", ["auto", "column"])
def test_the_default_of_an_integer_primary_key_is_none(storage_format: str) -> None:
    """SQLite chooses the rowid all the same. The second table's rows have no parent, as none is called 8."""
    columns = "a INTEGER DEFAULT(8) PRIMARY KEY, b, e DEFAULT 8"
    rows = [(1,), (2,), (3,)]
    assert_equal(
        f"CREATE TABLE t({columns})",
        f"CREATE TABLE r({columns}, FOREIGN KEY(e) REFERENCES r)",
        Step("given", "INSERT INTO t(b) VALUES(?)", rows, "many"),
        Step("given", "INSERT INTO r(b) VALUES(?)", rows, "many"),
        Step("bulk", "", (Step("given", "INSERT INTO t(b) VALUES(?)", rows, "many"),), "bulk"),
        *("INSERT INTO t(b) VALUES(5), (6), (7)", "SELECT * FROM t"),
        storage_format=storage_format,
    )


def test_parents_that_come_in_bulk_load_take_their_children_off_the_count() -> None:
    """The child is in row format, so that SQLite counts its rows; the trigger keeps it there."""
    assert_equal(
        *(
            "CREATE TABLE p(a INTEGER PRIMARY KEY, b)",
            "CREATE TABLE c(a, b REFERENCES p)",
            "CREATE TABLE l(a)",
        ),
        "CREATE TRIGGER r AFTER UPDATE ON c BEGIN INSERT INTO l VALUES(new.a); END",
        "INSERT INTO p VALUES(1, 2)",
        Step(
            "bulk",
            "",
            (
                Step("given", "INSERT INTO c VALUES(?, ?)", [(1, 3)], "many"),
                Step("given", "INSERT INTO p(b) VALUES(?)", [(1,), (2,), (3,)], "many"),
            ),
            "bulk",
        ),
        *("SELECT * FROM p", "SELECT * FROM c"),
        storage_format="column",
    )


@pytest.mark.parametrize("returning", ["", "RETURNING v"])
@pytest.mark.parametrize("first", ["", "WITH w(x) AS (SELECT NULL) "])
def test_an_update_that_a_deferred_foreign_key_refuses_counts_no_change(first: str, returning: str) -> None:
    assert_equal(
        "CREATE TABLE p(k PRIMARY KEY, v)",
        "CREATE TABLE c(k PRIMARY KEY, p REFERENCES p(k) DEFERRABLE INITIALLY DEFERRED)",
        *("INSERT INTO p VALUES('b', 1)", "INSERT INTO c VALUES(1, 'b'), (2, 'b'), (3, NULL), (4, 'b')"),
        Step("freeze", "c", "main", "freeze"),
        f"{first}UPDATE p SET k = NULL {returning}",
    )


@pytest.mark.parametrize(
    "write",
    [
        "REPLACE INTO t(a, b) VALUES(NULL, 9)",
        "INSERT OR REPLACE INTO t SELECT NULL, 9, 3",
        "INSERT OR IGNORE INTO t VALUES(NULL, 9, 4)",
        "INSERT INTO u VALUES(NULL, 9)",
        "INSERT OR ABORT INTO u VALUES(NULL, 9)",
        "UPDATE OR REPLACE t SET a = NULL WHERE a = 'x'",
        "UPDATE OR REPLACE t SET a = nullif(a, 'x')",
        "UPDATE u SET a = NULL WHERE b = 2",
        "REPLACE INTO c VALUES(1, NULL)",
        "REPLACE INTO r VALUES(1, NULL)",
    ],
)
def test_the_default_that_replaces_null_in_a_key_is_a_key(write: str) -> None:
    """sqlite.org/lang_conflict.html: REPLACE takes a column's default where NOT NULL is violated."""
    assert_equal(
        "CREATE TABLE t(a NOT NULL DEFAULT 'k', b, c DEFAULT 3, PRIMARY KEY(a))",
        "CREATE TABLE u(a NOT NULL ON CONFLICT REPLACE DEFAULT 'k' UNIQUE ON CONFLICT IGNORE, b)",
        "CREATE TABLE w(a PRIMARY KEY)",
        "CREATE TABLE c(a, b NOT NULL DEFAULT 'k' REFERENCES w)",
        "CREATE TABLE i(a INTEGER PRIMARY KEY)",
        "CREATE TABLE r(a, b INTEGER NOT NULL DEFAULT 2 REFERENCES i)",
        "INSERT INTO t(a, b) VALUES('k', 1), ('x', 2), ('y', 3)",
        "INSERT INTO u VALUES('k', 1), ('x', 2), ('y', 3)",
        *("INSERT INTO i VALUES(1), (2), (3)", "INSERT INTO w VALUES('k'), ('x'), ('y')"),
        *(Step("freeze", name, "main", "freeze") for name in "tuiw"),
        write,
        *(f"SELECT * FROM {name}" for name in "tucr"),
    )


def test_of_two_foreign_keys_that_refer_to_no_key_the_newer_is_told() -> None:
    assert_equal(
        *("CREATE TABLE p(a)", "CREATE TABLE q(a)", "CREATE TABLE s(a)", "INSERT INTO s VALUES(1), (2)"),
        "CREATE TABLE c(a REFERENCES p(a), b REFERENCES q(a))",
        *("PRAGMA foreign_key_check(c)", "PRAGMA foreign_key_check"),
        storage_format="column",
    )


@pytest.mark.parametrize("frozen", ["p", "pc", "pcr"])
@pytest.mark.parametrize(
    "write",
    [
        "REPLACE INTO c VALUES(20, 99), (8, 3)",
        "REPLACE INTO c VALUES(20, 99), (2, 3)",
        "INSERT OR REPLACE INTO c SELECT a + 20, 99 FROM p WHERE a = 1 UNION ALL VALUES(8, 3)",
        "REPLACE INTO c(rowid, a, e) VALUES(20, 20, 99), (8, 21, 3)",
        "UPDATE OR REPLACE c SET a = 8 - a, e = CASE a WHEN 1 THEN 99 ELSE e END",
        "REPLACE INTO r VALUES(20, 99), (8, 3)",
    ],
)
def test_the_parents_of_rows_that_are_replaced_are_seen_while_violations_are_counted(
    write: str, frozen: str
) -> None:
    """A row that goes without a parent that SQLite can see would be taken off the count."""
    children = ", ".join(f"({n}, {n % 4 + 1})" for n in range(1, 9))
    assert_equal(
        "CREATE TABLE p(a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE c(a PRIMARY KEY, e INTEGER REFERENCES p)",
        "CREATE TABLE r(a INTEGER PRIMARY KEY, e INTEGER REFERENCES p)",
        "INSERT INTO p(b) VALUES(1), (2), (3), (4), (5), (6), (7), (8)",
        *(f"INSERT INTO c VALUES {children}", f"INSERT INTO r VALUES {children}"),
        *(Step("freeze", name, "main", "freeze") for name in frozen),
        *(write, "SELECT * FROM c", "SELECT * FROM r", "PRAGMA foreign_key_check"),
    )


@pytest.mark.parametrize("index", ["c(lower(b))", "c(b) WHERE b <> ''"])
def test_the_parents_of_rows_that_no_key_of_columns_finds_are_seen_too(index: str) -> None:
    assert_equal(
        "CREATE TABLE p(a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE c(a INTEGER PRIMARY KEY, b, e INTEGER REFERENCES p)",
        f"CREATE UNIQUE INDEX i ON {index}",
        "INSERT INTO p VALUES(1, 1), (2, 2), (3, 3), (4, 4)",
        "INSERT INTO c VALUES(1, 'a', 1), (2, 'b', 2)",
        Step("freeze", "p", "main", "freeze"),
        "REPLACE INTO c VALUES(3, 'a', 98), (4, 'c', 99), (5, 'b', 3), (6, 'c', 4)",
        "REPLACE INTO c VALUES(7, 'x', 97), (8, 'a', 4)",
        "REPLACE INTO c VALUES(5, 'b', 1), (6, 'd', 2)",
        *("SELECT * FROM c", "PRAGMA foreign_key_check"),
    )
