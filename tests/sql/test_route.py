"""The router: which tables return to row format, and that SQLite then gives its own answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import apsw
import pytest

from colonnade.sql.messages import user_message
from colonnade.sql.redefine import redefined
from colonnade.sql.route import Router
from colonnade.sql.statement import parse
from colonnade.store.database import Store

DDL = """
CREATE TABLE region(r integer primary key, name text unique);
CREATE TABLE nation(n integer primary key, name text, r references region on delete cascade);
CREATE TABLE person(p integer primary key, n int references nation(n), boss int references person, note text);
CREATE TABLE badge(p int unique references person(p) on update cascade on delete set null, code text, x int);
CREATE TABLE alone(a integer primary key, b text);
CREATE TABLE loud(a, b);
CREATE TABLE log(what, who);
CREATE TRIGGER shout AFTER INSERT ON loud BEGIN INSERT INTO log VALUES('in', new.a); END;
CREATE VIEW staff AS SELECT * FROM person;
CREATE INDEX person_note ON person(note);
INSERT INTO region VALUES(1,'a'),(2,'b'),(3,'c');
INSERT INTO nation VALUES(1,'x',1),(2,'y',1),(3,'z',2);
INSERT INTO person VALUES(1,1,NULL,'q'),(2,2,1,'w'),(3,3,1,'e'),(4,3,3,'r');
INSERT INTO badge VALUES(1,'one',1),(2,'two',2),(4,'four',4);
INSERT INTO alone VALUES(1,'1'),(2,'2'),(5,'5');
"""
TABLES = ("region", "nation", "person", "badge", "alone")
ALL = "SELECT 'r', r, name, 0 FROM region UNION ALL SELECT 'n', n, name, r FROM nation"


class Routed:
    """A database whose statements go through a router, beside plain SQLite."""

    def __init__(self, foreign_keys: bool = True) -> None:
        self.db, self.plain = apsw.Connection(""), apsw.Connection("")
        self.store = Store(self.db, memory_limit=1 << 24)
        self.format = "auto"
        for db in (self.db, self.plain):
            db.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, int(foreign_keys))
            db.execute(DDL)
        self.router = Router(
            self.store, foreign_keys=lambda: foreign_keys, storage_format=lambda: self.format
        )
        self.to_columns()

    def to_columns(self) -> None:
        for name in TABLES:
            if self.store.ineligible(name) is None:
                self.store.convert(name)
                table = self.store.table(name)
                assert table
                table.freeze()

    def columns(self) -> set[str]:
        return {table.name for table in self.store.tables()}

    def touched(self, sql: str) -> set[str]:
        return {name for _, name in self.router.touched(parse(sql))}

    def run(self, sql: str, params: tuple[object, ...] = ()) -> object:
        statement = parse(sql)
        try:
            ready = self.router.before(statement, params)
            with redefined(self.store, ready.redefines, statement) if ready.redefines else nullcontext():
                result = self.db.execute(ready.text, params).fetchall()
        except apsw.Error as error:
            self.router.failed(statement)
            return type(error), user_message(str(error))
        self.router.after(statement, ready)
        return result, self.db.last_insert_rowid()

    def same(self, sql: str, params: tuple[object, ...] = ()) -> None:
        try:
            expected: object = (self.plain.execute(sql, params).fetchall(), self.plain.last_insert_rowid())
        except apsw.Error as error:
            expected = (type(error), str(error))
        assert self.run(sql, params) == expected, sql

    def check(self) -> None:
        for name in (*TABLES, "loud", "log"):
            sql = f"SELECT rowid, * FROM {name} ORDER BY rowid"
            assert self.db.execute(sql).fetchall() == self.plain.execute(sql).fetchall(), name

    def close(self) -> None:
        self.router.close()
        self.store.close()
        self.db.close()
        self.plain.close()


@pytest.fixture
def routed() -> Iterator[Routed]:
    made = Routed()
    assert made.columns() == set(TABLES)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select * from person", ""),
        ("insert into alone values(9, 9)", "alone"),
        ("insert into loud values(1, 1)", ""),
        ("insert into nope values(1)", ""),
        # an insert looks at its parents only
        ("insert into badge values(3, 'c', 1)", "badge person"),
        ("insert into nation values(9, 'q', 1)", "nation region"),
        ("insert into region values(9, 'q')", "region"),
        ("insert into region select 10, 'q' from person", "region"),
        ("with w as (select 1) insert into main.region select 11, 'q' from w", "region"),
        # what deletes or updates rows follows the actions, with the parents of all
        ("insert or replace into region values(1, 'q')", "region nation person"),
        ("insert into region values(1, 'q') on conflict do update set name = 'y'", "region nation"),
        ("delete from badge", "badge"),
        ("delete from person where p = 1", "person badge nation"),
        ("delete from nation where n = 1", "nation person region"),
        ("delete from region where r = 1", "region nation person"),
        ("explain delete from region where r = 1", "region nation person"),
        # an update follows the columns that it assigns
        ("update person set note = 'x'", "person"),
        ("update person set n = 2", "person nation"),
        ("update person set p = p + 10", "person badge"),
        ("update person set rowid = 9 where p = 1", "person badge"),
        ("update person set (note, boss) = (1, 2)", "person"),
        ("update or replace person set note = 1", "person badge nation"),
        ("update badge set x = 1, code = 2", "badge"),
        ("update badge set x = 1, p = 2", "badge person"),
        ("update region set name = 'x' from person where person.p = region.r", "region"),
        # DDL
        ("alter table person rename to people", "person badge nation"),
        ("alter table region add column z", "region"),
        ("alter table loud add column z references alone", "alone"),
        ("drop table badge", "badge"),
        ("drop table region", "region nation person"),
        ("drop index person_note", ""),
        ("drop view staff", ""),
        ("create index i on badge(code)", ""),
        ("create unique index i on badge(code)", "badge"),
        ("create index if not exists person_note on person(note)", ""),
        ("create table if not exists person(x references badge)", ""),
        ("create table new(x references badge(p))", "badge"),
        ("create table new as select * from badge", ""),
        ("create view new as select * from badge", ""),
        ("create trigger t after insert on loud begin delete from alone; end", "alone"),
        ("create temp trigger t after insert on badge begin select 1; end", "badge"),
        ("pragma table_info(person)", ""),
        ("vacuum", ""),
        ("analyze person", ""),
        ("begin", ""),
    ],
)
def test_only_what_a_statement_can_concern_returns_to_row_format(
    routed: Routed, sql: str, tables: str
) -> None:
    assert routed.touched(sql) == set(tables.split())


def test_without_foreign_keys_only_the_target_counts() -> None:
    routed = Routed(foreign_keys=False)
    assert routed.touched("delete from region") == {"region"}
    assert routed.touched("insert or replace into badge values(1, 2, 3)") == {"badge"}
    routed.close()


def test_triggers_count_as_writing_what_they_mention(routed: Routed) -> None:
    """A row in `loud` writes `log`, and through it, at first, nothing in column format."""
    assert routed.touched("insert into loud values(1, 2)") == set()
    routed.same("create table child(x references alone)")
    routed.to_columns()
    for db in (routed.db, routed.plain):
        db.execute("create trigger more after insert on log begin insert into child values(new.who); end")
    assert routed.touched("insert into loud values(1, 2)") == {"alone"}
    routed.same("insert into loud values(2, 2)")
    routed.same("insert into loud values(3, 77)")


def test_a_view_with_triggers_writes_what_they_mention(routed: Routed) -> None:
    routed.same("create trigger hire instead of insert on staff begin"
                " insert into person values(new.p, new.n, new.boss, new.note); end")  # fmt: skip
    assert routed.columns() == {"region", "nation", "badge", "alone"}
    routed.same("insert into staff values(7, 1, 2, 'n')")
    routed.same("insert into staff values(8, 77, 2, 'n')")
    routed.check()


def test_deferred_violations_make_an_insert_look_at_the_children(routed: Routed) -> None:
    sql = "insert into region values(8, 'h')"
    assert routed.touched(sql) == {"region"}
    routed.same("create table later(x references region deferrable initially deferred)")
    routed.to_columns()
    routed.same("begin")
    routed.same("insert into later values(8)")
    assert routed.touched("insert into person values(9, 1, 1, 1)") >= {"person", "nation"}
    routed.same(sql)
    routed.same("commit")
    routed.check()


SCRIPT = [
    "insert into alone values(9, 'x') returning *",
    "insert into alone values(9, 'again')",
    "insert into badge values(99, 'no such person', 1)",
    "insert into badge values(1, 'twice', 1)",
    "insert into badge values(3, 'ok', 1)",
    "update person set n = 77 where p = 1",
    "update person set p = 11 where p = 1",
    "update person set p = 12 where p = 2",
    "update nation set n = 10 where n = 3",
    "delete from person where p = 4",
    "delete from region where r = 2",
    "delete from nation where n = 1",
    "replace into region values(1, 'aa')",
    "insert into region(name) values('new') on conflict(name) do nothing returning r",
    "insert into region(name) values('new') on conflict(name) do update set name = 'newer' returning r, name",
    "insert into alone select r, name from region where true on conflict do nothing",
    "with w(k) as (select max(a) from alone) update alone set b = 'max' from w where a = w.k returning a, b",
    "delete from alone where a in (select r from region) returning b",
    "alter table alone rename column b to bb",
    "select sum(a), max(bb) from alone",
    "alter table alone rename bb to b",
    "create unique index one on badge(code)",
    "insert into badge values(NULL, 'ok', 1)",
    "drop index one",
    "drop table nope",
    "insert into nation values(20, 'k', 3)",
    "delete from region where r = 3",
    "drop table region",
]


@pytest.mark.parametrize("storage_format", ["auto", "column"])
@pytest.mark.parametrize("again", [False, True])
def test_statements_give_what_sqlite_gives(storage_format: str, again: bool) -> None:
    routed = Routed()
    routed.format = storage_format
    for sql in SCRIPT:
        routed.same(sql)
        if again:
            routed.to_columns()
        if "alone rename" not in sql and sql != "drop table region":
            routed.check()
    routed.close()


def test_storage_format_column_freezes_what_was_written(routed: Routed) -> None:
    routed.run("alter table alone add column c as (a)")
    routed.run("alter table alone drop column c")
    assert "alone" not in routed.columns()
    routed.format = "column"
    routed.run("insert into region values(10, 'x')")
    assert {"alone", "region"} <= routed.columns()  # the one from before too
    table = routed.store.table("region")
    assert table
    assert sum(group.live_count for group in table.groups()) == 3  # the newest row stays in the row part
    routed.run("create table copy as select * from region")
    routed.run("create table empty(a)")
    assert "copy" in routed.columns()
    assert "empty" not in routed.columns()
    routed.run("insert into loud values(1, 2)")
    assert "loud" not in routed.columns()


def test_busy_and_deferred_violations_put_the_freeze_off(routed: Routed) -> None:
    routed.format = "column"
    statement = parse("insert into alone values(10, 'x'), (11, 'y')")
    ready = routed.router.before(statement)
    routed.db.execute(ready.text)
    routed.router.after(statement, ready, busy=True)
    table = routed.store.table("alone")
    assert table
    assert table.row_part.count() == 3
    routed.run("delete from badge where x = 1")
    assert {"alone", "badge"} <= routed.columns()
    assert table.row_part.count() == 1


def test_a_rollback_brings_the_schema_back(routed: Routed) -> None:
    routed.run("begin")
    routed.run("alter table alone add column c as (a)")
    assert "alone" not in routed.columns()
    routed.run("rollback")
    assert "alone" in routed.columns()
    assert routed.touched("insert into alone values(10, 'x')") == {"alone"}
    routed.run("begin")
    routed.run("savepoint s")
    routed.run("create table t1(a, b, c)")
    assert len(routed.router.schema().tables["t1"].columns) == 3
    routed.run("rollback to s")
    routed.run("create table t1(a)")
    assert len(routed.router.schema().tables["t1"].columns) == 1
    routed.run("rollback")


def test_attached_databases_have_their_own_tables(routed: Routed) -> None:
    for sql in ("attach ':memory:' as aux", "create table aux.alone(a integer primary key, k)",
                "insert into aux.alone values(1, 2), (3, 4)"):  # fmt: skip
        routed.same(sql)
    routed.store.convert("alone", "aux")
    statement = parse("delete from AUX.alone where a = 1")
    assert routed.router.touched(statement) == [("aux", "alone")]
    routed.same(statement.text)
    routed.same("select * from aux.alone")
    assert routed.router.touched(parse("create unique index aux.i on alone(k)")) == [("aux", "alone")]
    assert routed.columns() == set(TABLES)


def test_sqlite_sequence_is_written_on_ordinary_tables(routed: Routed) -> None:
    for sql in ("create table auto(a integer primary key autoincrement, b)",
                "insert into auto(b) values(1), (2), (3)"):  # fmt: skip
        routed.same(sql)
    routed.store.convert("auto")
    routed.same("update sqlite_sequence set seq = 100 where name = 'auto'")
    routed.same("insert into auto(b) values(4) returning a")
