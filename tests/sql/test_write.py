"""DELETE and UPDATE on tables that must stay in column format: same rows and counts as SQLite's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

from colonnade.sql import write
from colonnade.sql.schema import read_schema
from colonnade.sql.statement import parse
from colonnade.store.database import Store
from colonnade.store.errors import ProgrammingError

DDL = """
CREATE TABLE t(a integer primary key, b text, c real, d);
CREATE TABLE "odd name"("rowid", "x y" text unique, b);
CREATE TABLE u(k, v);
INSERT INTO t SELECT value, 'b' || value % 7, value / 3.0, NULL FROM generate_series(1, 400);
INSERT INTO "odd name" SELECT value, 'x' || value, value % 5 FROM generate_series(1, 100);
INSERT INTO u SELECT value, 'u' || value FROM generate_series(5, 300, 5);
"""
TAIL = "INSERT INTO t VALUES(500, 'tail', 1, 2); INSERT INTO t VALUES(501, 'tail', 1.5, x'00')"


class Pair:
    def __init__(self) -> None:
        self.db, self.plain = apsw.Connection(""), apsw.Connection("")
        ddl = DDL.replace("generate_series(", "series(")
        for db in (self.db, self.plain):
            for start, stop, step in ((1, 400, 1), (1, 100, 1), (5, 300, 5)):
                series = f"series({start}, {stop}" + (f", {step})" if step > 1 else ")")
                values = (
                    f"(WITH RECURSIVE n(value) AS (VALUES({start}) UNION ALL"
                    f" SELECT value + {step} FROM n WHERE value + {step} <= {stop}) SELECT value FROM n)"
                )
                ddl = ddl.replace(series, values)
            db.execute(ddl)
        self.store = Store(self.db, memory_limit=1 << 24)
        for name in ("t", "odd name"):
            table = self.store.convert(name)
            table.freeze()
        for db, place in ((self.db, "t_cln_rows"), (self.plain, "t")):
            db.execute(TAIL.replace("INTO t", f"INTO {place}"))

    def same(self, sql: str, params: Any = ()) -> None:
        statement = parse(sql)
        assert write.suits(self.store, statement, read_schema(self.db, "main")), sql
        expected = self.plain.execute(sql, params).fetchall()
        if statement.returning:
            names, rows = write.returning(self.store, statement, params)
            assert sorted(rows) == sorted(expected)
            assert len(names) == len(rows[0]) if rows else names
        else:
            run = write.delete if statement.verb == "DELETE" else write.update
            assert run(self.store, statement, params) == self.plain.changes(), sql
        for name in ("t", "[odd name]"):
            query = f"SELECT * FROM {name} ORDER BY 2, 1"
            assert self.db.execute(query).fetchall() == self.plain.execute(query).fetchall(), sql
        assert {table.name for table in self.store.tables()} == {"t", "odd name"}


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.store.close()
    made.db.close()
    made.plain.close()


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("delete from t where a = 5", ()),
        ("delete from t where a = ?", (501,)),
        ("DELETE FROM main.t WHERE b = ? AND a < ?2 or a=?", ("b1", 100, 400)),
        (
            "delete from t as x where x.b = :b and t_ = 1 or x.a = :a".replace("t_", "x.a"),
            {"b": "b2", "a": 9},
        ),
        ("delete from t", ()),
        ("delete from t where 0", ()),
        (
            "with w(n) as (select ? union select ?) delete from t where a in (select n from w) or a = ?",
            (1, 2, 3),
        ),
        ("delete from t where exists (select 1 from u where u.k = t.a) -- comment", ()),
        ("delete from t where a not in (select a from t order by a limit 10)", ()),
        ("delete from 'odd name' where \"x y\" like 'x1%'", ()),
        ("delete from t where b = 'tail' or a < 3 returning a, b || ?, d", ("!",)),
        ("delete from t where a = ? returning ? as x, a", (7, 8)),
        ("delete from t where a = 1234 returning a", ()),
        ("delete from t where b = :b returning :b, a", {"b": "b3"}),
    ],
)
def test_a_delete_takes_the_rows_that_sqlite_would(pair: Pair, sql: str, params: Any) -> None:
    pair.same(sql, params)


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("update t set d = 1 where a = 5", ()),
        ("update t set b = ?, c = ? where a = ? or a = ?", ("new", 2, 3, 501)),
        ("update t set b = ?2, c = ?1, d = ? where a = ?", (1, "two", 3, 4)),
        ("update t set b = @b, c = @c where a = $a", {"b": "x", "c": 1, "a": 7}),
        ("update t set d = a + 1, c = (select max(a) from t) where b = 'b4'", ()),
        ("update main.t as x set d = x.a, b = x.b || '!' where x.a % 2", ()),
        ("update t not indexed set (b, c) = (select v, k from u where k = a)"
         " where a in (select k from u)", ()),
        ("update t set d = u.v from u where u.k = t.a and t.a > ?", (50,)),
        ("update t set d = w.v || ? from (select k, v from u where k < ?) as w left join u as z on z.k = w.k"
         " where w.k = t.a or t.a = ? and w.k = 5", ("+", 30, 501)),
        ("with w(n) as (values(?)) update t set d = ? where a = (select n from w) or a = ?", (1, 2, 3)),
        ("update t set a = a + 1000 where a between 10 and 20", ()),
        ("update t set d = 'all'", ()),
        ("update t set d = 1 where 0", ()),
        ("update [odd name] set \"x y\" = \"x y\" || 'z', b = ? where b = ?", (99, 3)),
        ("update or abort t set d = 5 where a = 5", ()),
        ("update t set d = d is not distinct from null where a < 5 returning a, d, ?", ("r",)),
        ("update t set d = ? from u where k = a and v = ? returning a, ?, b", (1, "u25", 3)),
    ],
)  # fmt: skip
def test_an_update_changes_the_rows_that_sqlite_would(pair: Pair, sql: str, params: Any) -> None:
    pair.same(sql, params)


def test_a_where_is_evaluated_once(pair: Pair) -> None:
    before = pair.db.execute("select count(*) from t").get
    gone = write.delete(pair.store, parse("delete from t where random() % 2"))
    assert 0 < gone < before
    assert pair.db.execute("select count(*) from t").get == before - gone
    changed = write.update(pair.store, parse("update t set d = 'hit' where random() % 2"))
    assert pair.db.execute("select count(*) from t where d = 'hit'").get == changed


def test_a_wrong_number_of_parameters_is_refused_as_sqlite3_does(pair: Pair) -> None:
    with pytest.raises(ProgrammingError, match="The current statement uses 2, and there are 1 supplied"):
        write.update(pair.store, parse("update t set b = ? where a = ?"), (1,))


@pytest.mark.parametrize("conflict", ["replace", "ignore", "fail", "rollback"])
def test_what_would_need_the_keys_of_row_groups_does_not_suit(pair: Pair, conflict: str) -> None:
    statement = parse(f"update or {conflict} t set b = 1 where a = 1")
    assert not write.suits(pair.store, statement, read_schema(pair.db, "main"))


@pytest.mark.parametrize(
    ("sql", "suits"),
    [
        ("delete from p where a = 1", False),
        ("update p set A = 9", False),
        ("update p set b = 9, c = 9", True),
        ("update c set x = 77", True),
        ("delete from c", True),
        ("delete from other", False),
    ],
)
def test_foreign_key_actions_do_not_suit_and_other_children_are_left_to_the_validation(
    sql: str, suits: bool
) -> None:
    db = apsw.Connection("")
    store = Store(db, memory_limit=1 << 24)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
    db.execute("create table p(a integer primary key, b unique, c); create table other(a)")
    db.execute("create table c(x references p on delete cascade on update set null, y references p(b))")
    db.execute("insert into p values(1, 1, 1), (2, 2, 2), (3, 3, 3); insert into c values(1, 1)")
    for name in ("p", "c"):
        store.convert(name).freeze()
    assert write.suits(store, parse(sql), read_schema(db, "main")) is suits
    if suits:
        run = write.delete if sql.startswith("delete") else write.update
        assert run(store, parse(sql)) == (3 if " p " in sql else 1)
    assert db.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, -1) == 1
    store.close()
    db.close()


def test_a_failed_update_leaves_all_as_it_was(pair: Pair) -> None:
    pair.db.execute("create table w(a check(a < 10)); insert into w values(1), (2), (3)")
    pair.store.convert("w").freeze()
    with pytest.raises(apsw.ConstraintError):
        write.update(pair.store, parse("update w set a = a * 4"))
    assert pair.db.execute("select * from w").fetchall() == [(1,), (2,), (3,)]


def test_rows_given_the_same_key_wait_for_their_validation(pair: Pair) -> None:
    assert write.update(pair.store, parse("update [odd name] set \"x y\" = 'same' where b < 2")) == 40
    query = "select count(*), count(distinct rowid) from [odd name] where \"x y\" = 'same'"
    assert pair.db.execute(query).fetchall() == [(40, 40)]
    table = pair.store.table("odd name")
    assert table is not None
    assert table.unchecked_groups()
    names, rows = write.returning(
        pair.store, parse("delete from [odd name] where \"x y\" = 'same' returning b")
    )
    assert (names, len(rows)) == (["b"], 40)
    assert pair.db.execute("select count(*) from [odd name]").fetchall() == [(60,)]
