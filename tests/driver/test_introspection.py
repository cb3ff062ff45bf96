"""What a program can ask about its schema and its statements is the same in row and in column format."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

import colonnade
from tests.driver.twins import outcome

SCRIPT = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, price DECIMAL(10, 2) DEFAULT 7);
    CREATE TABLE "odd name"(a PRIMARY KEY, b NOT NULL, c REFERENCES p(id), UNIQUE(b, a DESC));
    CREATE TABLE c(x INTEGER, y TEXT, p REFERENCES p ON UPDATE SET NULL, PRIMARY KEY(x, y));
    CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
    CREATE TABLE keyed(k PRIMARY KEY, v) WITHOUT ROWID;
    CREATE INDEX c_p ON c(p) WHERE p IS NOT NULL;
    CREATE INDEX c_long ON c(length(y), p DESC);
    CREATE VIEW v AS SELECT p.name, c.x FROM p JOIN c ON c.p = p.id;
    INSERT INTO p VALUES(1, 'one', 1.5), (2, 'two', 2), (3, NULL, 3), (4, NULL, NULL), (9, 'nine', 9);
    INSERT INTO "odd name" VALUES('a', 'b', 1), ('b', 'b', 2), ('c', 'd', NULL);
    INSERT INTO c VALUES(1, 'a', 1), (2, 'b', 2), (3, 'c', NULL), (3, 'dd', 7);
    INSERT INTO counted(v) VALUES('a'), ('b');
    INSERT INTO keyed VALUES(1, 2), (3, 4);
    ATTACH ':memory:' AS other;
    CREATE TABLE other.p(id INTEGER PRIMARY KEY, q UNIQUE);
    INSERT INTO other.p VALUES(1, 'x'), (2, 'y'), (3, 'z');
"""


class Both:
    """One database in row format and one in column format."""

    def __init__(self) -> None:
        self.sides: list[Any] = []
        for storage_format in ("row", "column"):
            db = colonnade.connect(":memory:", isolation_level=None)
            db.execute(f"PRAGMA storage_format = {storage_format}")
            for statement in SCRIPT.split(";"):
                db.execute(statement)
            self.sides.append(db)
        assert {row[1] for row in self.columns.execute("PRAGMA storage_report")} == {"row", "column"}

    @property
    def columns(self) -> Any:
        return self.sides[1]

    def run(self, sql: str, *parameters: Any) -> list[Any]:
        """What both say: names, rows in any order, or the error."""
        return [outcome(lambda db=db: _answer(db, sql, parameters)) for db in self.sides]

    def same(self, sql: str, *parameters: Any) -> Any:
        row, column = self.run(sql, *parameters)
        assert column == row
        return row

    def close(self) -> None:
        for db in self.sides:
            db.close()


def _answer(db: Any, sql: str, parameters: Any) -> Any:
    cursor = db.execute(sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    return names, sorted(cursor.fetchall(), key=repr)


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    yield made
    made.close()


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Both]:
    """For questions alone."""
    made = Both()
    yield made
    made.close()


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT rowid, oid, _rowid_, ROWID, "rowid", [oid] FROM p',
        "SELECT rowid AS n, oid 'm', rowid + 1, (rowid), -rowid, max(rowid) FROM p",
        "SELECT t.*, t.rowid, * FROM p AS t",
        "SELECT main.p.rowid, other.p.rowid FROM main.p, other.p",
        "SELECT p.rowid, c.rowid FROM p JOIN c ON c.p = p.id",
        "SELECT rowid FROM p UNION SELECT oid FROM c",
        "SELECT s.rowid FROM (SELECT rowid FROM p) AS s",
        "WITH w AS (SELECT rowid FROM p) SELECT * FROM w",
        "SELECT rowid /* the key */, ? FROM p",
        "SELECT rowid FROM c",
        "SELECT (SELECT count(*) FROM sqlite_master), (SELECT group_concat(name) FROM pragma_table_info('p'))",
    ],
)
def test_result_columns_have_the_names_that_sqlite_gives_them(unchanged: Both, sql: str) -> None:
    unchanged.same(sql, *([1] if "?" in sql else []))


def test_columns_of_returning_have_the_names_that_sqlite_gives_them(both: Both) -> None:
    both.same(
        "INSERT INTO p(name) VALUES('x') RETURNING rowid, oid + 1, (SELECT count(*) FROM sqlite_master)"
    )
    both.same("DELETE FROM p WHERE id = 9 RETURNING rowid, oid + 1")


def test_a_name_stays_right_after_the_schema_changed(both: Both) -> None:
    assert both.same("SELECT rowid FROM p")[0] == ["id"]
    both.same("ALTER TABLE p RENAME COLUMN id TO number")
    assert both.same("SELECT rowid FROM p")[0] == ["number"]
    both.same("BEGIN")
    both.same("ALTER TABLE p RENAME COLUMN number TO n")
    both.same("SELECT rowid FROM p")
    both.same("ROLLBACK")
    assert both.same("SELECT rowid FROM p")[0] == ["number"]


def test_converters_go_by_the_shown_names() -> None:
    """PARSE_DECLTYPES and PARSE_COLNAMES look at the names and types that the program sees."""

    def program(module: Any) -> Any:
        db = module.connect(":memory:", isolation_level=None, detect_types=module.PARSE_DECLTYPES)
        if module is colonnade:
            db.execute("PRAGMA storage_format = column")
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, d DATE)")
        db.execute("INSERT INTO t VALUES(1, '2020-01-02'), (2, '2021-03-04')")
        cursor = db.execute("SELECT rowid, d, max(d) FROM t GROUP BY rowid ORDER BY 1")
        found = cursor.description, cursor.fetchall()
        db.close()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "warnings.warn", lambda *_, **__: None
        )  # the default converters of dates are deprecated
        assert program(colonnade) == program(sqlite3)


# --- ANALYZE -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "ANALYZE",
        "ANALYZE main",
        "ANALYZE other",
        "ANALYZE p",
        "ANALYZE other.p",
        'ANALYZE "odd name"',
        "ANALYZE c_p",
        "ANALYZE main.c_long",
        "ANALYZE sqlite_autoindex_p_1",
        "ANALYZE keyed",
        "ANALYZE sqlite_schema",
        "ANALYZE absent",
    ],
)
def test_statistics_are_those_of_whole_tables_under_their_names(both: Both, sql: str) -> None:
    figures = "SELECT tbl, idx, stat FROM {}.sqlite_stat1"
    for _ in range(2):
        both.same(sql)
        both.same(figures.format("main"))
        both.same(figures.format("other"))
        for statement in ("DELETE FROM p WHERE id = 9", "INSERT INTO c VALUES(8, 'e', 1), (8, 'f', 1)"):
            both.same(statement)
    both.same("SELECT name FROM sqlite_master")
    assert both.columns.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_statistics_of_an_empty_table_are_gone(both: Both) -> None:
    both.same("ANALYZE")
    both.same("DELETE FROM c")
    both.same("ANALYZE c")
    both.same("SELECT tbl, idx, stat FROM sqlite_stat1")


def test_statistics_can_be_written_by_the_program(both: Both) -> None:
    both.same("ANALYZE")
    both.same("DELETE FROM sqlite_stat1 WHERE tbl = 'p'")
    both.same("UPDATE sqlite_stat1 SET stat = '100 1' WHERE idx = 'c_p'")
    both.same("ANALYZE sqlite_schema")
    both.same("SELECT tbl, idx, stat FROM sqlite_stat1")
    both.same("SELECT changes(), total_changes()")


def test_analyze_is_undone_with_its_transaction(both: Both) -> None:
    for sql in (
        "BEGIN",
        "ANALYZE",
        "ROLLBACK",
        "SELECT * FROM sqlite_stat1",
        "SELECT name FROM sqlite_master",
    ):
        both.same(sql)


def test_no_figures_of_shadow_tables_mislead_sqlites_planner(both: Both) -> None:
    both.same("ANALYZE")
    raw = both.columns._db.execute("SELECT DISTINCT tbl FROM sqlite_stat1 UNION SELECT tbl FROM sqlite_stat4")
    assert not [tbl for (tbl,) in raw if "_cln_" in tbl]


def test_optimize_names_no_shadow_table(both: Both) -> None:
    for sql in ("PRAGMA optimize(-1)", "PRAGMA optimize"):
        for db in both.sides:
            db.execute(sql).fetchall()
    rows = both.columns.execute("PRAGMA optimize(-1)").fetchall()
    figures = both.columns.execute(
        "SELECT tbl FROM sqlite_stat1 UNION ALL SELECT tbl FROM other.sqlite_stat1"
    )
    assert not [text for (text,) in [*rows, *figures] if "_cln_" in text]
    both.same("ANALYZE")
    both.same("PRAGMA optimize(-1)")


# --- EXPLAIN QUERY PLAN --------------------------------------------------------------------------------------


def _plan(both: Both, sql: str) -> list[str]:
    """What EXPLAIN QUERY PLAN says in column format, where it has the columns that it has in row format."""
    cursors = [db.execute(f"EXPLAIN QUERY PLAN {sql}") for db in both.sides]
    assert cursors[1].description == cursors[0].description
    rows = [cursor.fetchall() for cursor in cursors]
    assert {tuple(map(type, row)) for row in rows[1]} <= {(int, int, int, str)}
    ids = [row[0] for row in rows[1]]
    assert len(set(ids)) == len(ids)
    assert all(row[1] in (0, *ids) for row in rows[1])
    return [row[3] for row in rows[1]]


@pytest.mark.parametrize(
    ("sql", "plan"),
    [
        ("SELECT * FROM p", ["VECTORISED", "SCAN p USING COLUMN FORMAT"]),
        ("SELECT * FROM p AS x WHERE id = 3", ["SEARCH x USING COLUMN FORMAT ROWID (rowid=?)"]),
        ("SELECT * FROM p WHERE rowid > 3", ["VECTORISED", "SEARCH p USING COLUMN FORMAT ROWID (rowid>?)"]),
        ("SELECT * FROM p WHERE name = 'a'", ["SEARCH p USING COLUMN FORMAT KEY (name=?)"]),
        (
            "SELECT * FROM p WHERE price >= 3 AND price < 9",
            ["VECTORISED", "SCAN p USING COLUMN FORMAT ZONE MAPS (price>=? AND price<?)"],
        ),
        ("SELECT max(id) FROM p", ["SEARCH p USING COLUMN FORMAT"]),
        (
            "SELECT * FROM other.p WHERE q IS NULL",
            ["VECTORISED", "SCAN other.p USING COLUMN FORMAT ZONE MAPS (q IS NULL)"],
        ),
        (
            "SELECT * FROM v",
            ["VECTORISED", "SCAN c USING COLUMN FORMAT", "SEARCH p USING COLUMN FORMAT ROWID (rowid=?)"],
        ),
        ("SELECT k FROM keyed WHERE k = 1", ["SEARCH keyed USING PRIMARY KEY (k=?)"]),
        ("SELECT name FROM sqlite_master", ["SCAN sqlite_master"]),
        (
            "UPDATE p SET price = 1 WHERE id = 3",
            ["THAW ROWS OF p", "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        ("INSERT INTO p(name) VALUES('x')", ["THAW ROWS OF p"]),
    ],
)
def test_a_query_plan_has_the_users_names_and_the_path_taken(
    unchanged: Both, sql: str, plan: list[str]
) -> None:
    assert _plan(unchanged, sql) == plan


def test_explaining_changes_nothing_and_the_statement_runs_afterwards(both: Both) -> None:
    for sql in ("SELECT * FROM p WHERE id = 3", "DELETE FROM p WHERE id = 3", "SELECT count(*) FROM p"):
        assert both.columns.execute(f"EXPLAIN {sql}").fetchall()
        assert _plan(both, sql)
        both.same(sql)
    assert both.columns.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- the schema in any query -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "WITH sqlite_master AS (SELECT 1 AS name) SELECT name FROM sqlite_master",
        "WITH sqlite_master(name) AS MATERIALIZED (SELECT 1) SELECT name FROM sqlite_master",
        "WITH sqlite_schema AS (SELECT 1 AS name) SELECT name FROM main.sqlite_schema",
        "SELECT type, name FROM sqlite_master NOT INDEXED",
        "SELECT m.name FROM sqlite_master AS m NOT INDEXED WHERE type = 'index'",
        "SELECT m.name FROM sqlite_master m NOT INDEXED, pragma_table_info(m.name) AS i",
        "SELECT name FROM sqlite_master INDEXED BY absent",
        "SELECT name FROM sqlite_master('main')",
        "SELECT * FROM pragma_table_info('p', 'main', 'more')",
        "SELECT * FROM pragma_table_list('p', 'main')",
        "SELECT * FROM pragma_table_info('p', 'absent')",
        "PRAGMA main.table_list",
        "PRAGMA table_list(sqlite_master)",
        "PRAGMA table_list(sqlite_schema)",
        "PRAGMA table_info(p_cln_groups)",
        "PRAGMA index_list(p_cln_rows)",
        "PRAGMA index_info(sqlite_autoindex_p_cln_rows_1)",
        "SELECT m.name, i.name FROM sqlite_master m, pragma_table_info(m.name) i",
        "SELECT m.name, l.name, x.name FROM sqlite_master m JOIN pragma_index_list(m.name) l"
        " JOIN pragma_index_xinfo(l.name) x",
        "SELECT m.name, f.* FROM sqlite_master m, pragma_foreign_key_list(m.name) f",
        *(
            sql.format(check)
            for check in ("foreign_key_check", "integrity_check", "quick_check")
            for sql in (
                "SELECT * FROM pragma_{}",
                "SELECT *, arg, schema FROM pragma_{}('c')",
                "SELECT * FROM pragma_{}('p', 'other')",
                "SELECT * FROM pragma_{} WHERE schema = 'other'",
                "SELECT * FROM pragma_{}('absent')",
                "SELECT * FROM pragma_{}('1')",
                "SELECT * FROM pragma_{}('c', 'absent')",
                "SELECT m.name, i.* FROM sqlite_master m, pragma_{}(m.name) i WHERE m.type = 'table'",
                "PRAGMA absent.{}",
                "PRAGMA {}(absent)",
                "PRAGMA other.{}(c)",
                "PRAGMA {}(p_cln_groups)",
                "PRAGMA other.{}(p_cln_groups)",
            )
        ),
        "PRAGMA foreign_key_check(sqlite_master)",
        "SELECT name FROM dbstat GROUP BY name",
        "SELECT DISTINCT name FROM dbstat('other') WHERE pagetype = 'leaf'",
        "SELECT name, count(*) FROM dbstat WHERE schema = 'main' AND aggregate = TRUE GROUP BY name",
        "SELECT * FROM p INDEXED BY sqlite_autoindex_p_1 WHERE name = 'one'",
        "SELECT x.p FROM c AS x INDEXED BY c_p WHERE p IS NOT NULL",
        "SELECT x.p FROM c AS x INDEXED BY absent",
        "SELECT * FROM p(1)",
        "SELECT * FROM p('one')",
        "DROP INDEX sqlite_autoindex_p_1",
        "DROP INDEX sqlite_autoindex_absent_1",
    ],
)
def test_the_schema_is_shown_as_the_user_wrote_it(unchanged: Both, sql: str) -> None:
    unchanged.same(sql)


def test_tables_and_views_made_of_a_rowid_have_the_columns_that_sqlite_gives_them(both: Both) -> None:
    for sql in (
        "CREATE TABLE made AS SELECT rowid, oid, name, rowid + 1 FROM p",
        "CREATE TEMP TABLE passing AS SELECT p.rowid, c.rowid FROM p, c -- both",
        "CREATE TABLE numbers(rowid, oid)",
        "CREATE VIEW ids AS SELECT rowid, name FROM p",
        "CREATE VIEW through AS SELECT * FROM ids WHERE id > 1",
        "SELECT name, sql FROM sqlite_master UNION ALL SELECT name, sql FROM sqlite_temp_master",
        "SELECT * FROM made",
        "SELECT * FROM passing",
        "SELECT * FROM ids",
        "SELECT id FROM ids AS i JOIN p USING(id)",
        "SELECT rowid FROM ids",
        "SELECT * FROM through",
        "UPDATE p SET price = 3 WHERE id IN (SELECT id FROM through)",
    ):
        both.same(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM names",
        "SELECT n.t, n.k FROM main.names AS n WHERE t LIKE '%_%' ORDER BY t",
        "SELECT count(*) FROM names, parts AS p WHERE p.t = names.t",
        "SELECT * FROM deep",
        "SELECT * FROM passing",
        "WITH names AS (SELECT 1 AS t) SELECT * FROM names",
        "SELECT names, names.t FROM (SELECT 1 AS names), names",
        "SELECT * FROM p WHERE name IN (SELECT t FROM names)",
        "SELECT EXISTS(SELECT 1 FROM names WHERE t GLOB '*_cln_*')",
        "INSERT INTO p(name) SELECT t FROM names WHERE k = 'view' RETURNING name",
        "SELECT * FROM gone",
        "SELECT rowid FROM names",
        "SELECT names FROM names",
    ],
)
def test_views_that_read_the_schema_show_what_the_user_wrote(both: Both, sql: str) -> None:
    for view in (
        "VIEW names(t, k) AS SELECT name, type FROM sqlite_master -- all of them",
        "VIEW parts AS SELECT m.name AS t, i.name AS c FROM sqlite_schema m, pragma_table_info(m.name) i",
        "VIEW deep AS WITH w AS (SELECT * FROM names) SELECT w.t, count(*) AS n FROM w JOIN parts USING(t) GROUP BY 1",
        "TEMP VIEW passing AS SELECT t FROM deep WHERE n > 1",
        "VIEW gone AS SELECT * FROM sqlite_master, absent",
    ):
        both.same(f"CREATE {view}")
    both.same(sql)


def test_views_that_read_the_schema_come_and_go(both: Both) -> None:
    query = "SELECT * FROM names"
    both.same(query)
    both.same("CREATE VIEW names AS SELECT name FROM sqlite_master")
    both.same(query)
    both.same("DROP VIEW names")
    both.same("CREATE VIEW names AS SELECT type, name FROM sqlite_master")
    both.same(query)
    both.same("BEGIN")
    both.same("DROP VIEW names")
    both.same("CREATE TABLE names(a)")
    both.same(query)
    both.same("ROLLBACK")
    both.same(query)


def test_the_functions_of_the_checks_read_row_groups(both: Both) -> None:
    """c has a row whose parent is missing, deep in a row group."""
    both.same("INSERT INTO c VALUES(100, 'z', NULL)")  # the newest row, which stays in the row part
    names, rows = both.same('SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check')
    assert names == ["table", "rowid", "parent", "fkid"]
    assert ("c", 4, "p", 0) in rows
    both.columns._db.execute("UPDATE c_cln_chunks SET data = zeroblob(length(data))")
    assert both.columns.execute("SELECT * FROM pragma_integrity_check").fetchall() != [("ok",)]
    assert both.columns.execute("SELECT * FROM pragma_quick_check('c')").fetchall() != [("ok",)]


def test_a_foreign_key_mismatch_has_sqlites_code(both: Both) -> None:
    both.same("CREATE TABLE bad(a REFERENCES p(price))")
    both.same("INSERT INTO bad VALUES(1), (2)")
    error = both.same("PRAGMA foreign_key_check")
    assert error[0] == "OperationalError"
    assert error[2] == "SQLITE_ERROR"
    both.same("SELECT * FROM pragma_foreign_key_check('bad')")


# --- hooks and counters ------------------------------------------------------------------------------------------

STATEMENTS = """
    SELECT rowid, name FROM p WHERE id = 2
    SELECT p.oid, c.rowid FROM p JOIN c ON c.p = p.rowid
    SELECT * FROM v
    INSERT INTO p(name) VALUES('x') RETURNING rowid
    INSERT INTO p SELECT id + 100, name || 'x', price FROM p
    INSERT OR REPLACE INTO p VALUES(2, 'zz', 1)
    INSERT INTO p VALUES(2, 'yy', 1) ON CONFLICT(id) DO UPDATE SET name = excluded.name
    UPDATE p SET price = price + 1 WHERE rowid IN (1, 2)
    UPDATE c SET y = y || '!'
    UPDATE p SET absent = 1
    DELETE FROM c WHERE x = 3 RETURNING *
    DELETE FROM p WHERE id > 100
    UPDATE other.p SET q = q || 'q' WHERE id > 1
    SELECT name FROM sqlite_master
    SELECT * FROM p INDEXED BY absent
    CREATE INDEX more ON c(x)
    DROP INDEX more
    CREATE TABLE copied AS SELECT rowid AS r, * FROM p
"""


def _heard(db: Any, listen: Any) -> list[tuple[str, list[Any]]]:
    """What a hook hears of each statement."""
    heard: list[Any] = []
    listen(db, heard)
    found = []
    for statement in STATEMENTS.strip().splitlines():
        heard.clear()
        outcome(lambda statement=statement: db.execute(statement).fetchall())
        found.append((statement, list(heard)))
    return found


def _authorize(db: Any, heard: list[Any]) -> None:
    db.set_authorizer(lambda *asked: heard.append(asked) or 0)


def _trace(db: Any, heard: list[Any]) -> None:
    db.set_trace_callback(heard.append)


def _updates(db: Any, heard: list[Any]) -> None:
    db.set_update_hook(lambda *row: heard.append(row))


@pytest.mark.parametrize("listen", [_authorize, _trace, _updates])
def test_hooks_hear_the_same_in_both_formats(both: Both, listen: Any) -> None:
    """Neither thaws and freezes nor shadow names: in place of the program's statements something else runs."""
    row, column = (_heard(db, listen) for db in both.sides)
    assert column == row
    assert any(heard for _, heard in row)


def test_an_authorizer_denies_what_is_written_in_column_format(both: Both) -> None:
    def deny(db: Any) -> None:
        def asked(action: int, table: str | None, column: str | None, *_: Any) -> int:
            denied = (table, column) in (("p", "price"), ("c", "y")) or action == colonnade.SQLITE_DELETE
            return colonnade.SQLITE_DENY if denied else colonnade.SQLITE_OK

        db.set_authorizer(asked)

    for db in both.sides:
        deny(db)
    for sql in (
        "UPDATE p SET price = 1 WHERE id = 1",
        "UPDATE p SET name = 'n' WHERE price > 1",
        "INSERT INTO p(name) SELECT y FROM c",
        "INSERT INTO p(name) VALUES('x') RETURNING price",
        "DELETE FROM p WHERE id = 1",
        "UPDATE p SET name = 'm' WHERE id = 1",
        "SELECT count(*) FROM p",
    ):
        both.same(sql)


def test_the_update_hook_hears_of_each_row_of_executemany(both: Both) -> None:
    lists: list[list[Any]] = []
    for db in both.sides:
        lists.append([])
        _updates(db, lists[-1])
        db.executemany("INSERT INTO c VALUES(?, 'n', NULL)", [(n,) for n in range(1000, 1200)])
        db.executemany("UPDATE c SET y = 'm' WHERE x = ?", [(n,) for n in range(1000, 1003)])
    assert lists[0] == lists[1]
    assert len(lists[0]) > 200


def test_the_update_hook_is_let_go(both: Both) -> None:
    heard: list[Any] = []
    _updates(both.columns, heard)
    both.columns.execute("UPDATE p SET price = 1 WHERE id = 1")
    both.columns.set_update_hook(None)
    both.columns.execute("UPDATE p SET price = 2 WHERE id = 1")
    assert heard == [(colonnade.SQLITE_UPDATE, "main", "p", 1)]


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.parametrize(
    "wrong",
    [
        "INSERT INTO p(absent) VALUES(1)",
        "INSERT INTO p VALUES(1)",
        "UPDATE p SET absent = 1",
        "DELETE FROM p WHERE absent(1)",
        "INSERT INTO p(name) VALUES('x') RETURNING absent",
        "INSERT INTO p VALUES(1, 2, 3)",
        "UPDATE p SET name = 1 + abs(-9223372036854775807 - 1)",
    ],
)
def test_changes_stay_where_a_statement_cannot_be_prepared(both: Both, wrong: str, transaction: bool) -> None:
    if transaction:
        both.same("BEGIN")
    both.same("UPDATE p SET price = price WHERE id IN (1, 2)")
    both.same(wrong)
    both.same("SELECT changes(), total_changes()")
