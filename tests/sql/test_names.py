"""The user's names: what a program sees of the schema is what plain SQLite would show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

from colonnade.sql.messages import user_message
from colonnade.sql.names import introspection, register_schema_module
from colonnade.sql.statement import parse
from colonnade.store.database import Store

DDL = """
CREATE TABLE p(a integer primary key autoincrement, b text collate nocase unique);
CREATE TABLE c(x references p, y default 'a', z, foreign key(y) references 'p'(b));
CREATE TABLE d(x references [c](x), primary key(x), foreign key(x) references "or der"(x));
CREATE TABLE "or der"(x references p(b) on delete cascade, y references "or der");
CREATE VIEW v AS select * from p;
CREATE INDEX pi ON p(b);
CREATE TABLE w(a primary key, b) without rowid;
INSERT INTO p VALUES(1,'x'),(2,'y');
INSERT INTO c VALUES(1,'X',3);
ATTACH ':memory:' AS aux;
CREATE TABLE aux.p(q unique);
CREATE TEMP TABLE c2(a);
"""


class Pair:
    """A database with tables in column format, and plain SQLite with the same ones."""

    def __init__(self) -> None:
        self.db, self.plain = apsw.Connection(""), apsw.Connection("")
        register_schema_module(self.db)
        self.store = Store(self.db, memory_limit=1 << 24)
        for db in (self.db, self.plain):
            db.execute(DDL)
        for name in ("p", "or der", "c"):
            self.store.convert(name)
        self.store.convert("p", "aux")

    def both(self, sql: str) -> tuple[object, object]:
        rewrite = introspection(parse(sql), self.store)
        return answer(self.db, rewrite.sql if rewrite else sql), answer(self.plain, sql)


def answer(db: apsw.Connection, sql: str) -> object:
    cursor = db.cursor()
    try:
        cursor.execute(sql)
        names = [column[0] for column in cursor.get_description()]
        return names, cursor.fetchall()
    except apsw.ExecutionCompleteError:
        return "no rows"
    except apsw.Error as error:
        return type(error), user_message(str(error))


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.store.close()
    made.db.close()
    made.plain.close()


@pytest.mark.parametrize(
    "sql",
    [
        "select type, name, tbl_name, sql from sqlite_master",
        "select * from (select type, name, sql from sqlite_schema m where m.name = 'p')",
        "select name from MAIN.sqlite_master order by rowid",
        "select name, sql from aux.sqlite_master",
        "select count(*) from sqlite_master, aux.sqlite_schema",
        "select sqlite_master.name, type from sqlite_master where tbl_name like 'p'",
        "select main.sqlite_master.name from main.sqlite_master",
        'select \'sqlite_master\', "sqlite_master".name from "sqlite_master" natural join (select 1)'
        " where name in ('sqlite_master', 'p')",
        "with m as (select * from sqlite_master) select name from m union select name from main.sqlite_schema"
        " union select name from sqlite_temp_master",
        "select name from (sqlite_master)",
        "select name from temp.sqlite_master",
        "select name from nope.sqlite_master",
        "select nope from sqlite_master",
        "select a.name from sqlite_master a left join sqlite_master as b on a.name = b.tbl_name",
        "select name, seq from sqlite_sequence",
        "select m.name, i.* from sqlite_master m, pragma_table_info(m.name) i where m.type = 'table'",
        "select m.name, i.*, x.* from sqlite_master as m join pragma_index_list(m.name) as i,"
        " pragma_index_xinfo(i.name) x",
        "select * from pragma_foreign_key_list('c')",
        "select pragma_foreign_key_list.[table] from pragma_foreign_key_list('or der', 'main') where 1",
        "select * from pragma_table_info where arg = 'p'",
        "select * from pragma_table_info('p', 'aux')",
        "select schema, name, type, ncol, wr, strict from pragma_table_list"
        " where name not like 'sqlite%' order by schema, name",
        "select sql from sqlite_master where name = (select min(name) from pragma_table_list)",
    ],
)
def test_a_query_of_the_schema_gives_the_users_own(pair: Pair, sql: str) -> None:
    got, expected = pair.both(sql)
    assert got == expected


@pytest.mark.parametrize(
    "pragma",
    [
        "table_info(p)",
        "table_info = 'p'",
        "aux.table_info(p)",
        "temp.table_info(p)",
        "table_xinfo('c')",
        "table_info(v)",
        "table_info(w)",
        "table_info(nope)",
        "table_info",
        "nope.table_info(p)",
        "index_list(p)",
        "main.index_list([or der])",
        "aux.index_list(p)",
        "index_info(sqlite_autoindex_p_1)",
        "aux.index_xinfo('sqlite_autoindex_p_1')",
        "index_xinfo('SQLITE_AUTOINDEX_P_1')",
        "index_info(pi)",
        "index_info(nope)",
        "foreign_key_list(c)",
        "foreign_key_list(d)",
        "foreign_key_list('or der')",
        "table_list(p)",
        "main.table_list(c)",
    ],
)
def test_a_pragma_about_a_table_gives_the_users_own(pair: Pair, pragma: str) -> None:
    got, expected = pair.both("PRAGMA " + pragma)
    assert got == expected


def test_the_list_of_all_tables_has_no_shadow_tables(pair: Pair) -> None:
    got, expected = pair.both("PRAGMA table_list")
    assert isinstance(got, tuple)
    assert isinstance(expected, tuple)
    assert sorted(got[1]) == sorted(expected[1])


def test_a_table_can_be_made_from_the_schema(pair: Pair) -> None:
    for sql in ("create table k as select name, sql from sqlite_master", "select * from k"):
        got, expected = pair.both(sql)
        assert got == expected
    assert pair.both("insert into k select name, sql from sqlite_master returning name")


def test_writing_sqlite_sequence_is_left_to_sqlite(pair: Pair) -> None:
    assert introspection(parse("delete from sqlite_sequence where name='p'"), pair.store) is None
    assert introspection(parse("insert into sqlite_sequence values('p', 1)"), pair.store) is None


def test_other_statements_are_left_alone(pair: Pair) -> None:
    for sql in (
        "select a from p",
        "select 'sqlite_master' from p",
        "select a from p where b in ('sqlite_master')",
        "pragma foreign_keys",
        "create view q as select * from sqlite_master",
        "select sqlite_master from p",
    ):
        assert introspection(parse(sql), pair.store) is None, sql


def test_without_tables_in_column_format_nothing_is_rewritten() -> None:
    db = apsw.Connection("")
    store = Store(db, memory_limit=1 << 24)
    db.execute("create table t(a)")
    for sql in ("select * from sqlite_master", "pragma table_info(t)", "select * from pragma_table_list"):
        assert introspection(parse(sql), store) is None
    store.close()
    db.close()


def test_the_ddl_of_a_table_is_the_users_whatever_was_converted_first() -> None:
    ddl = 'CREATE TABLE c(x REFERENCES [p], y references P (a) , z references "p")'
    for order in (("p", "c"), ("c", "p"), ("p",), ("c",)):
        db = apsw.Connection("")
        register_schema_module(db)
        store = Store(db, memory_limit=1 << 24)
        db.execute("CREATE TABLE p(a integer primary key)")
        db.execute(ddl)
        for name in order:
            store.convert(name)
        rewrite = introspection(parse("select sql from sqlite_master where name = 'c'"), store)
        assert rewrite is not None
        assert db.execute(rewrite.sql).get == ddl, order
        store.close()
        db.close()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("UNIQUE constraint failed: t_cln_rows.a, t_cln_rows.b", "UNIQUE constraint failed: t.a, t.b"),
        ("index sqlite_autoindex_t_cln_rows_1 is bad", "index sqlite_autoindex_t_1 is bad"),
        ('foreign key mismatch - "c" referencing "p_cln_rows"', 'foreign key mismatch - "c" referencing "p"'),
        ("no such table: x", "no such table: x"),
    ],
)
def test_a_message_has_the_users_names(message: str, shown: str) -> None:
    assert user_message(message) == shown


def test_a_schema_function_takes_any_argument(pair: Pair) -> None:
    def names(argument: Any) -> list[Any]:
        sql = "select name from colonnade_table_info(?)"
        return [row[0] for row in pair.db.execute(sql, (argument,))]

    assert names("P") == ["a", "b"]
    assert names(None) == names(1) == []
