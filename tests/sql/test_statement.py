"""Statements: kinds, targets, clauses, and scripts cut into statements."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest

from colonnade.sql.statement import CACHED_CHARACTERS, Statement, parse, split


def insert_of(text: str) -> dict[str, object]:
    insert = parse(text).insert
    assert insert is not None
    return {
        "table": (insert.target.schema, insert.target.name),
        "alias": insert.alias,
        "columns": insert.columns,
        "conflict": insert.conflict,
        "source": (insert.source, insert.source_text),
        "params": insert.params if insert.row_params else None,
        "plain": insert.plain,
    }


KINDS = [
    ("", "", None),
    ("-- nothing\n /* at all", "", None),
    ("select 1", "SELECT", None),
    (" /* x */ -- y\n SELECT 1", "SELECT", None),
    (";;select 1", "SELECT", None),
    ("values(1)", "VALUES", None),
    ("WITH a AS (SELECT 1) SELECT * FROM a", "SELECT", None),
    ("with recursive a(x, y) as (values(1,2) union select 1,2), b as not materialized (select 3) "
     "insert into t select * from a", "INSERT", "t"),
    ("with replace as (select 1) delete from t", "DELETE", "t"),
    ("with recursive as (select 1) update t set a=1", "UPDATE", "t"),
    ("with a as materialized (select ')') replace into main.t select * from a", "REPLACE", "t"),
    ("insert into t values(1)", "INSERT", "t"),
    ("INSERT OR IGNORE INTO [a b] VALUES(1)", "INSERT", "a b"),
    ("REPLACE INTO 'q'(a) VALUES(1)", "REPLACE", "q"),
    ('insert into "main" . "t""x" default values', "INSERT", 't"x'),
    ("delete from t", "DELETE", "t"),
    ("update or fail t as x set a=1", "UPDATE", "t"),
    ("update t indexed by i set a=1", "UPDATE", "t"),
    ("EXPLAIN query plan delete from t where a", "EXPLAIN", "t"),
    ("explain select 1", "EXPLAIN", None),
    ("begin immediate", "BEGIN", None),
    ("commit", "COMMIT", None),
    ("end transaction", "END", None),
    ("rollback to x", "ROLLBACK", None),
    ("savepoint x", "SAVEPOINT", None),
    ("release x", "RELEASE", None),
    ("create table if not exists t(a)", "CREATE", "t"),
    ("create temp table t as select 1", "CREATE", "t"),
    ("create virtual table if not exists f using fts5(a)", "CREATE", "f"),
    ("create unique index if not exists s.i on t(a)", "CREATE", "t"),
    ("create index [on] on t(a)", "CREATE", "t"),
    ("create temp trigger if not exists r instead of update of a, \"b\" on s.v begin select 1; end",
     "CREATE", "v"),
    ("create view v as select 1", "CREATE", "v"),
    ("drop table if exists main.t", "DROP", "t"),
    ("drop index i", "DROP", "i"),
    ("alter table t rename to u", "ALTER", "t"),
    ("analyze t", "ANALYZE", "t"),
    ("analyze", "ANALYZE", None),
    ("reindex main.t", "REINDEX", "t"),
    ("vacuum into 'x'", "VACUUM", None),
    ("attach 'x' as y", "ATTACH", None),
    ("selec 1", "SELEC", None),
    ("!", "!", None),
    ("insert into", "INSERT", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "verb", "table"), KINDS)
def test_verb_and_table_are_found(text: str, verb: str, table: str | None) -> None:
    statement = parse(text)
    assert statement.verb == verb
    assert (statement.target.name if statement.target else None) == table
    if statement.target:
        spelled = text[statement.target.start : statement.target.stop]
        assert table in spelled.replace('""', '"')
    assert statement.is_dml == (verb in {"INSERT", "REPLACE", "UPDATE", "DELETE"})
    assert statement.is_ddl == (verb in {"CREATE", "ALTER", "DROP"})


def test_subjects_and_schemas() -> None:
    facts = []
    for text in (
        "create temp table t(a)",
        "create index aux.i on t(a)",
        "create temp trigger r after insert on t begin select 1; end",
        "drop trigger r",
        "create virtual table v using x",
        "delete from aux.t",
    ):
        statement = parse(text)
        assert statement.target
        facts.append((statement.subject, statement.target.schema, statement.target.name))
    assert facts == [
        ("TABLE", "temp", "t"),
        ("INDEX", "aux", "t"),
        ("TRIGGER", None, "t"),
        ("TRIGGER", None, "r"),
        ("VIRTUAL TABLE", None, "v"),
        ("", "aux", "t"),
    ]


def test_explain_keeps_what_it_explains() -> None:
    statement = parse("explain with a as (select 1) delete from t where x")
    assert (statement.verb, statement.inner, statement.first) == ("EXPLAIN", "DELETE", "EXPLAIN")
    assert parse("with a as (select 1) delete from t").first == "WITH"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pragma foreign_keys", (None, "foreign_keys", None)),
        ("PRAGMA Main.Table_Info('a b');", ("Main", "table_info", "a b")),
        ("pragma cache_size = -2000", (None, "cache_size", "-2000")),
        ("pragma cache_size(+7)", (None, "cache_size", "7")),
        ("pragma batch_size=1_000 -- x", (None, "batch_size", "1_000")),
        ("pragma bulk_load=ON", (None, "bulk_load", "ON")),
        ("pragma x()", (None, "x", None)),
        ("pragma x =", (None, "x", None)),
    ],
)
def test_pragmas(text: str, expected: tuple[str | None, str, str | None]) -> None:
    pragma = parse(text).pragma
    assert pragma is not None
    assert (pragma.schema, pragma.name, pragma.value) == expected


def test_a_plain_insert() -> None:
    assert insert_of('insert into main.t as x ("a b", c) values (?, ?);  -- end') == {
        "table": ("main", "t"),
        "alias": "x",
        "columns": ("a b", "c"),
        "conflict": None,
        "source": ("VALUES", "values (?, ?)"),
        "params": (0, 1),
        "plain": True,
    }


@pytest.mark.parametrize(
    ("values", "params"),
    [
        ("(?,?)", (0, 1)),
        ("(?2, ?1, ?)", (1, 0, 2)),
        ("( :a , @b, $c )", ("a", "b", "c")),
        ("(:a,:a)", ("a", "a")),
        ("(?, :a)", None),
        ("(?, 1)", None),
        ("(?),(?)", None),
        ("(?+1)", None),
        ("((?))", None),
        ("(?) returning a", None),
    ],
)
def test_one_row_of_parameters(values: str, params: tuple[int | str, ...] | None) -> None:
    assert insert_of("insert into t values " + values)["params"] == params


@pytest.mark.parametrize(
    ("text", "conflict", "plain"),
    [
        ("insert or replace into t values(1)", "REPLACE", False),
        ("insert or abort into t values(1)", "ABORT", False),
        ("replace into t values(1)", "REPLACE", False),
        ("insert into t values('returning', 'on conflict do nothing')", None, True),
        ("insert into t values(1) returning *", None, False),
        ("insert into t values(1) on conflict do nothing", None, False),
        ("insert into t default values returning a", None, False),
    ],
)
def test_what_makes_an_insert_not_plain(text: str, conflict: str | None, plain: bool) -> None:
    facts = insert_of(text)
    assert (facts["conflict"], facts["plain"]) == (conflict, plain)
    assert parse(text).returning == (" returning" in text)


@pytest.mark.parametrize(
    ("text", "source", "plain"),
    [
        ("insert into t select a from u where true on conflict(a) do update set a=excluded.a "
         "on conflict do nothing returning a", "select a from u where true", False),
        ("insert into t select a from u join v on conflict = 3",
         "select a from u join v on conflict = 3", True),
        ("insert into t select a from u join v on conflict", "select a from u join v on conflict", True),
        ("with w as (select 1) insert into t select * from w;", "with w as (select 1) select * from w", True),
        ("with w as (select 1) insert into t with x as (select 2) select * from w, x",
         "with w as (select 1) SELECT * FROM (with x as (select 2) select * from w, x\n)", True),
        ("insert into t with x as (select 2) select * from x", "with x as (select 2) select * from x", True),
        ("insert into t values (1, (select max(a) from u)), (2, ';') returning a",
         "values (1, (select max(a) from u)), (2, ';')", False),
        ("insert into t values (1) -- done", "values (1)", True),
        ("insert into t default values", "DEFAULT VALUES", True),
        ("insert into t select count(*) from u where (a in (1,2)) group by (b)",
         "select count(*) from u where (a in (1,2)) group by (b)", True),
    ],
)  # fmt: skip
def test_the_source_of_an_insert_can_run_alone(text: str, source: str, plain: bool) -> None:
    facts = insert_of(text)
    assert facts["source"][1] == source  # type: ignore[index]
    assert facts["plain"] == plain
    if source != "DEFAULT VALUES":
        db = sqlite3.connect(":memory:")
        db.executescript("create table u(a, b); create table v(conflict)")
        db.execute(source)
        db.close()


@pytest.mark.parametrize("end", ["", ";", " ; \n", " on conflict do nothing", " returning a", "; select 1"])
def test_a_long_values_list_ends_where_it_should(end: str) -> None:
    values = "values " + ",".join(f"({n}, 'a;b', \"c\")" for n in range(20_000))
    statement = parse("insert into t " + values + end)
    assert len(statement.text) > CACHED_CHARACTERS
    assert statement.insert
    assert statement.insert.source_text == values
    assert statement.insert.plain == (end.strip(" \n;") in ("", "select 1"))
    assert statement.returning == ("returning" in end)
    assert statement.more == (end == "; select 1")


def parts(text: str) -> dict[str, str | None]:
    change = parse(text).change
    assert change is not None
    places = {name: getattr(change, name) for name in ("set", "from_", "where", "returning", "order", "stop")}
    found = sorted((at, name) for name, at in places.items() if at is not None)
    cut = {name: text[at:stop].strip() for (at, name), (stop, _) in pairwise(found)}
    return {"alias": change.alias, "head": text[change.verb : change.head], **cut}


def test_the_clauses_of_an_update() -> None:
    assert parts(
        "with w as (select 1 where 2) update or ignore main.t as x not indexed "
        "set a = (select 1 from w where 1), b = c is distinct from d, (e, f) = (1, 2) "
        "from (select 1) as y where y.a = x.a and b returning a, b; -- done"
    ) == {
        "alias": "x",
        "head": "update or ignore main.t as x not indexed",
        "set": "set a = (select 1 from w where 1), b = c is distinct from d, (e, f) = (1, 2)",
        "from_": "from (select 1) as y",
        "where": "where y.a = x.a and b",
        "returning": "returning a, b",
    }


def test_what_an_update_assigns() -> None:
    def assigned(text: str) -> tuple[str, ...]:
        change = parse("update t set " + text).change
        assert change
        return change.assigned

    assert assigned('a = 1, "b c" = (2, 3), [d] = max(4, 5)') == ("a", "b c", "d")
    assert assigned("(a, 'b') = (select 1, 2), c = 3 from x, y where d = 4, e") == ("a", "b", "c")
    change = parse("update or ignore t set a = 1").change
    assert change
    assert change.conflict == "IGNORE"


def test_upserts_and_made_objects() -> None:
    insert = parse("insert into t values(1) on conflict do nothing returning a").insert
    assert insert
    assert insert.upsert
    insert = parse("insert into t values(1) returning a").insert
    assert insert
    assert not insert.upsert
    made = parse("create unique index if not exists aux.[i x] on t(a)").object
    assert made
    assert (made.schema, made.name) == ("aux", "i x")
    trigger = parse("create temp trigger r after insert on main.t begin select 1; end").object
    assert trigger
    assert (trigger.schema, trigger.name) == ("temp", "r")


def test_the_clauses_of_a_delete() -> None:
    assert parts("delete from t where a in (select 1 from u where 2) order by a limit 2") == {
        "alias": None,
        "head": "delete from t",
        "where": "where a in (select 1 from u where 2)",
        "order": "order by a",
    } | {"order": "order by a limit 2"}
    assert parse("delete from t").where is None
    assert parse("delete from t where 1").where == len("delete from t ")


def test_names_in_a_text_are_found_however_they_are_written() -> None:
    text = "select \"A b\", [c d].x, 'E' from `f``g` where h$1 = é"
    expected = {"a b", "c d", "e", "f`g", "h$1", "é", "x", "select", "from", "where"}
    assert expected <= parse(text).identifiers
    long_text = text + " -- " + "x" * CACHED_CHARACTERS
    for statement in (parse(text), parse(long_text)):
        assert statement.mentions("zz", "F`G")
        assert not statement.mentions("zz", "yy")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ; ; -- x", []),
        ("select 1", [("select 1", 1)]),
        ("select 1;\n\nselect ';' ; -- ;\nselect \"a;b\", [c;d], `e;f` /* ; */ ;x",
         [("select 1;", 1), ("select ';' ;", 3), ('select "a;b", [c;d], `e;f` /* ; */ ;', 4), ("x", 4)]),
        ("-- one\n/* two\n */ select\n1; select 2", [("select\n1;", 3), ("select 2", 4)]),
        ("create trigger r after insert on t begin insert into u values(1); delete from v; end; select 1",
         [("create trigger r after insert on t begin insert into u values(1); delete from v; end;", 1),
          ("select 1", 1)]),
        ("explain create temp trigger r after insert on t begin select case 1 when 2 then 3 end; end ; x",
         [("explain create temp trigger r after insert on t begin select case 1 when 2 then 3 end; end ;", 1),
          ("x", 1)]),
        ("create trigger r", [("create trigger r", 1)]),
        ("create table trigger(a); select 2", [("create table trigger(a);", 1), ("select 2", 1)]),
        ("select 'it''s; not'; select 4 - 2 / 1; select '", [
            ("select 'it''s; not';", 1), ("select 4 - 2 / 1;", 1), ("select '", 1)]),
    ],
)  # fmt: skip
def test_a_script_is_cut_at_its_semicolons(script: str, expected: list[tuple[str, int]]) -> None:
    assert list(split(script)) == expected
    for text, _ in expected[:-1]:
        assert sqlite3.complete_statement(text.strip())


def test_statements_are_cached_by_text() -> None:
    assert parse("select 'cached'") is parse("select 'cached'")


def test_a_second_statement_is_noticed() -> None:
    def more(text: str) -> bool:
        statement: Statement = parse(text)
        return statement.more

    assert not any(more(text) for text in ("select 1", "select 1;", "select 1; -- x\n;", "select ';'", ""))
    assert more("select 1; x")
