"""sql.schema over many ways of writing a table, against what SQLite reports and does."""

# ruff: noqa: E501 - the CREATE TABLE texts are data

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.sql.affinity import Affinity
from colonnade.sql.ddl import UnreadableDDL, dequote, read_ddl
from colonnade.sql.objects import Schema, TableDef
from colonnade.sql.schema import read_schema
from colonnade.store.format import KEYS, META, ROWS


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    yield connection
    connection.close()


def table_of(db: apsw.Connection, ddl: str, name: str = "t") -> TableDef:
    db.execute(ddl)
    table = read_schema(db).table(name)
    assert table is not None
    return table


WAYS = [
    "CREATE TABLE t(a)",
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
    "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b CHECK (b))",
    "CREATE TABLE t(a INTEGER, CHECK (a), PRIMARY KEY (a AUTOINCREMENT))",
    "CREATE TABLE t(a INTEGER PRIMARY KEY DESC CHECK (a))",
    "CREATE TABLE t(a INT PRIMARY KEY CHECK (a))",
    "CREATE TABLE t(a INTEGER PRIMARY KEY ASC ON CONFLICT REPLACE UNIQUE, b CHECK (b) UNIQUE)",
    "CREATE TABLE t(a UNIQUE, b, CONSTRAINT n UNIQUE (a), CONSTRAINT m PRIMARY KEY (a, b) ON CONFLICT IGNORE)",
    "CREATE TABLE t(a PRIMARY KEY CHECK (a), b) WITHOUT ROWID",
    "CREATE TABLE t(a INT, b ANY CHECK (b), PRIMARY KEY (b, a)) WITHOUT ROWID, STRICT",
    'CREATE TABLE t("a b" CHECK ("a b" > 5), [c d] INT, `e``f` TEXT, \'g\' REAL, "h""i" BLOB)',
    "CREATE TABLE t(a CHECK(a IN (1, (2), ')', \"(\")), b CHECK (b <> '''') , c CHECK (c/*)*/))",
    "CREATE TABLE t(a --, b CHECK (\n CHECK (a -- )\n) /* , c */, d)",
    "CREATE TABLE t(a DECIMAL(10, 2) CHECK (a), b DOUBLE PRECISION, c UNSIGNED BIG INT, d NATIVE CHARACTER(70))",
    "CREATE TABLE t(a varchar(-5, +3) CHECK (a), b 'odd type' , c \"quoted type\" (3), d [x y] z)",
    "CREATE TABLE t(a DEFAULT 5 CHECK (a) DEFAULT (7), b DEFAULT -1.5e3, c DEFAULT +2, d DEFAULT 'x''y', e DEFAULT x'00')",
    'CREATE TABLE t(a DEFAULT CURRENT_TIMESTAMP, b DEFAULT true CHECK (b), c DEFAULT abc, d DEFAULT "q", e DEFAULT (1+(2)))',
    "CREATE TABLE t(a NOT NULL ON CONFLICT REPLACE DEFAULT 5, b NULL ON CONFLICT FAIL, c CONSTRAINT x NOT NULL, d NULL)",
    "CREATE TABLE t(a INT, b INT AS (a + 1) STORED CHECK (b > 0), c TEXT GENERATED ALWAYS AS (b || ')') VIRTUAL, d)",
    'CREATE TABLE t(a COLLATE NOCASE CHECK (a), b TEXT COLLATE rtrim UNIQUE, c COLLATE "nocase", UNIQUE (a COLLATE BINARY))',
    "CREATE TABLE t(a REFERENCES p, b REFERENCES p(x) ON DELETE SET NULL ON UPDATE NO ACTION MATCH FULL CHECK (b))",
    "CREATE TABLE t(a REFERENCES p DEFERRABLE, b CONSTRAINT f REFERENCES p(x) NOT DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE t(a, b, CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES p(x, y) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)",
    'CREATE TABLE t(a, FOREIGN KEY (a) REFERENCES "t" (a) FOREIGN KEY (a) REFERENCES p, CHECK (a) CHECK (1) UNIQUE (a))',
    "CREATE TABLE t(a CONSTRAINT one CONSTRAINT two CHECK (a), CONSTRAINT three, CHECK (a > 1), CONSTRAINT four)",
    "CREATE TABLE t(a CONSTRAINT one CHECK (a), CHECK (a > 1) ON CONFLICT IGNORE, CHECK (a > 2))",
    "CREATE TABLE t(key, replace, conflict, deferred, abort, action, 'check' CHECK (1), \"primary\", [constraint])",
    "CREATE TABLE IF NOT EXISTS main . t (a CHECK (a))",
    'create table T(A check(A), b constraint "c""d" check(b))',
    "CREATE TABLE t(a CHECK (a > 5 AND (SELECT_ IS NULL OR b)), SELECT_, b)",
    "CREATE TABLE t(été CHECK (été > 5), Ñ, ñ UNIQUE)",
    "CREATE TABLE t(a CHECK (CASE WHEN a THEN 1 ELSE cast(a AS text) END LIKE '%x' ESCAPE '!'))",
    "CREATE TABLE t AS SELECT 1 AS a, 'CHECK (' AS \"b c\", x'00' AS \"CONSTRAINT\"",
    "CREATE TABLE t(a\tCHECK\t(\ta\t)\n,\r\nb\fCHECK(\fb\f))",
    "CREATE TABLE t(a CHECK (a->>'$.x' = 5 AND a->'y' IS NOT NULL), b CHECK (b || 'x' <> \"a\" AND 1_0 = 10 AND 0xF))",
    "CREATE TABLE t(a CHECK ('it''s'), b CHECK (\"a\" || 'x'), c CHECK (`a`), d CHECK ([a] > 5), e CHECK (x'00'))",
]


@pytest.mark.parametrize("ddl", WAYS)
def test_a_table_is_read_exactly_however_it_is_written(db: apsw.Connection, ddl: str) -> None:
    db.execute("CREATE TABLE p(x PRIMARY KEY, y, UNIQUE (x, y))")
    table = table_of(db, ddl)
    assert table.exact
    columns = list(db.execute("PRAGMA table_xinfo(t)"))
    assert [(c.name, c.decl_type, c.not_null, c.default, c.pk, c.generated) for c in table.columns] == [
        (name, decl, bool(not_null), default, pk, hidden > 0)
        for _, name, decl, not_null, default, pk, hidden in columns
    ]
    words = ddl.upper()
    assert len(table.checks) == check_count(db)
    assert table.strict == ("STRICT" in words)
    assert table.without_rowid == ("WITHOUT ROWID" in words)
    assert table.autoincrement == ("AUTOINCREMENT" in words)
    assert len(table.foreign_keys) == words.count("REFERENCES")
    assert all(key.mismatch is None or key.parent == "t" for key in table.foreign_keys)


def check_count(db: apsw.Connection) -> int:
    """How many CHECKs SQLite knows of t: each ends the program of an INSERT in a Halt of its own."""
    program = db.execute("EXPLAIN INSERT INTO t DEFAULT VALUES")
    return sum(row[1] == "Halt" and row[2] == apsw.SQLITE_CONSTRAINT_CHECK for row in program)


def test_keys_come_in_the_order_in_which_sqlite_checks_them(db: apsw.Connection) -> None:
    table = table_of(
        db,
        """CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE ON CONFLICT REPLACE, c CONSTRAINT uc UNIQUE,
        d COLLATE NOCASE, UNIQUE (c, d)); CREATE UNIQUE INDEX extra ON t(d COLLATE RTRIM, b)""",
    )
    assert [
        (k.kind, k.columns, k.collations, k.name, k.is_rowid, k.on_conflict, k.index) for k in table.keys
    ] == [
        ("PRIMARY KEY", ("a",), ("BINARY",), None, True, None, None),
        ("UNIQUE", ("d", "b"), ("RTRIM", "BINARY"), None, False, None, "extra"),
        ("UNIQUE", ("c", "d"), ("BINARY", "NOCASE"), None, False, None, "sqlite_autoindex_t_3"),
        ("UNIQUE", ("c",), ("BINARY",), "uc", False, None, "sqlite_autoindex_t_2"),
        ("UNIQUE", ("b",), ("BINARY",), None, False, "REPLACE", "sqlite_autoindex_t_1"),
    ]
    db.execute("DROP INDEX extra; INSERT INTO t VALUES(1, 1, 1, 1)")
    with pytest.raises(apsw.ConstraintError, match=r"UNIQUE constraint failed: t\.c, t\.d"):
        db.execute("INSERT INTO t VALUES(2, 1, 1, 1)")


@pytest.mark.parametrize(
    ("body", "alias"),
    [
        ("(a INTEGER PRIMARY KEY)", "a"),
        ("(a integer, PRIMARY KEY (A))", "a"),
        ("(a INTEGER PRIMARY KEY ASC)", "a"),
        ("(a INTEGER PRIMARY KEY DESC)", None),
        ("(a INTEGER, PRIMARY KEY (a DESC))", "a"),
        ("(a INT PRIMARY KEY)", None),
        ("(a BIGINT PRIMARY KEY)", None),
        ("(a INTEGER PRIMARY KEY) WITHOUT ROWID", None),
        ("(a INTEGER, b, PRIMARY KEY (a, b))", None),
        ("(a INTEGER UNIQUE)", None),
        ("(a INTEGER PRIMARY KEY UNIQUE)", "a"),
        ("(a INTEGER PRIMARY KEY) STRICT", "a"),
    ],
)
def test_the_rowid_alias_is_the_column_that_is_the_rowid(
    db: apsw.Connection, body: str, alias: str | None
) -> None:
    table = table_of(db, f"CREATE TABLE t{body}")
    assert table.rowid_alias == alias
    if not table.without_rowid:
        db.execute(
            "INSERT INTO t(rowid, a) VALUES(77, 5)" if alias is None else "INSERT INTO t(rowid) VALUES(77)"
        )
        assert (db.execute("SELECT a FROM t").fetchone() == (77,)) == (alias is not None)


DEFERRALS = [
    "",
    "DEFERRABLE",
    "DEFERRABLE INITIALLY DEFERRED",
    "DEFERRABLE INITIALLY IMMEDIATE",
    "NOT DEFERRABLE",
    "NOT DEFERRABLE INITIALLY DEFERRED",
    "INITIALLY_ DEFERRABLE INITIALLY DEFERRED",
]


@pytest.mark.parametrize(
    "form",
    [
        "(a REFERENCES p {})",
        "(a, FOREIGN KEY (a) REFERENCES p {})",
        "(a REFERENCES p, b {})",
        "(a REFERENCES p DEFERRABLE INITIALLY DEFERRED {})",
    ],
)
@pytest.mark.parametrize("words", DEFERRALS)
def test_deferred_is_what_sqlite_defers(db: apsw.Connection, form: str, words: str) -> None:
    db.execute("PRAGMA foreign_keys = on; CREATE TABLE p(x PRIMARY KEY)")
    try:
        table = table_of(db, f"CREATE TABLE t{form.format(words)}")
    except apsw.SQLError:
        return
    assert table.exact
    db.execute("BEGIN")
    try:
        db.execute("INSERT INTO t(a) VALUES(1)")
        deferred = True
    except apsw.ConstraintError:
        deferred = False
    assert [key.deferred for key in table.foreign_keys] == [deferred]


@pytest.mark.parametrize(
    "child",
    [
        "REFERENCES p",
        "REFERENCES P(K)",
        "REFERENCES p(u)",
        "REFERENCES p(c)",
        "REFERENCES p(no)",
        "REFERENCES p(plain)",
        "REFERENCES q",
        "REFERENCES q(x)",
        "REFERENCES v",
        "REFERENCES v(k)",
        "REFERENCES nowhere",
        "REFERENCES partial(a)",
        "REFERENCES expr(a)",
        "REFERENCES coll(a)",
        "REFERENCES coll(b)",
        "REFERENCES made(a)",
        "REFERENCES rowid_(rowid)",
    ],
)
def test_a_foreign_key_without_a_parent_key_is_a_mismatch_as_for_sqlite(
    db: apsw.Connection, child: str
) -> None:
    db.execute(
        """PRAGMA foreign_keys = on;
        CREATE TABLE p(k INTEGER PRIMARY KEY, u UNIQUE, c TEXT COLLATE NOCASE UNIQUE, plain);
        CREATE TABLE q(x, y, PRIMARY KEY (x, y)); CREATE VIEW v AS SELECT * FROM p;
        CREATE TABLE partial(a); CREATE UNIQUE INDEX pi ON partial(a) WHERE a > 1;
        CREATE TABLE expr(a); CREATE UNIQUE INDEX ei ON expr(a + 0);
        CREATE TABLE coll(a COLLATE NOCASE, b); CREATE UNIQUE INDEX ci ON coll(a COLLATE BINARY);
        CREATE UNIQUE INDEX cj ON coll(b COLLATE NOCASE);
        CREATE TABLE made(a); CREATE UNIQUE INDEX mi ON made(a); CREATE TABLE rowid_(z)"""
    )
    (key,) = table_of(db, f"CREATE TABLE t(a {child})").foreign_keys
    message = None
    try:
        db.execute("INSERT INTO t VALUES(1)")
    except apsw.ConstraintError:
        pass
    except apsw.SQLError as error:
        message = str(error) if "mismatch" in str(error) else None
    assert key.mismatch == message
    assert len(key.parent_columns) == 1


def test_foreign_keys_name_their_parents_as_they_are(db: apsw.Connection) -> None:
    db.execute('CREATE TABLE "Par ent"(Id INTEGER PRIMARY KEY, "X y", z, UNIQUE ("X y", z))')
    table = table_of(
        db,
        """CREATE TABLE t(a CONSTRAINT one REFERENCES "par ENT", b, c, up REFERENCES T,
        CONSTRAINT two FOREIGN KEY (C, b) REFERENCES [PAR ENT] (Z, "x Y") ON UPDATE CASCADE, PRIMARY KEY (b))""",
    )
    keys = [
        (k.columns, k.parent, k.parent_columns, k.name, k.on_update, k.on_delete) for k in table.foreign_keys
    ]
    assert keys == [
        (("a",), "Par ent", ("Id",), "one", "NO ACTION", "NO ACTION"),
        (("up",), "t", ("b",), None, "NO ACTION", "NO ACTION"),
        (("c", "b"), "Par ent", ("z", "X y"), "two", "CASCADE", "NO ACTION"),
    ]
    schema = read_schema(db)
    assert [(child.name, key.columns) for child, key in schema.children_of("PAR ent")] == [
        ("t", ("a",)),
        ("t", ("c", "b")),
    ]
    assert schema.load_order(["t", "par ent"]) == [["Par ent"], ["t"]]


def test_columns_have_the_affinity_and_collation_of_their_declaration(db: apsw.Connection) -> None:
    table = table_of(db, "CREATE TABLE t(a INT, b TEXT COLLATE nocase, c ANY, d, e DECIMAL(3), f DOUBLE)")
    assert [(c.affinity.value, c.collation) for c in table.columns] == [
        ("INTEGER", "BINARY"),
        ("TEXT", "NOCASE"),
        ("NUMERIC", "BINARY"),
        ("BLOB", "BINARY"),
        ("NUMERIC", "BINARY"),
        ("REAL", "BINARY"),
    ]
    strict = table_of(db, "CREATE TABLE s(a INT, c ANY) STRICT", "s")
    assert [c.affinity for c in strict.columns] == [Affinity.INTEGER, Affinity.BLOB]
    assert table.column("B").name == "b"
    with pytest.raises(KeyError):
        table.column("nosuch")


def test_added_and_renamed_columns_are_seen(db: apsw.Connection) -> None:
    db.execute(
        """CREATE TABLE t(a CHECK (a > 5), b); ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7 CHECK (c <> 3);
        ALTER TABLE t RENAME COLUMN a TO "new name"; ALTER TABLE t DROP COLUMN b; ALTER TABLE t RENAME TO u"""
    )
    table = read_schema(db).table("u")
    assert table is not None
    assert table.exact
    assert [c.name for c in table.columns] == ["new name", "c"]
    assert [c.expr for c in table.checks] == ['"new name" > 5', "c <> 3"]


def test_a_schema_lists_tables_in_order_and_knows_the_rest_by_name(db: apsw.Connection) -> None:
    db.execute(
        """CREATE TABLE zeta(a UNIQUE); CREATE TABLE alpha(b INTEGER PRIMARY KEY AUTOINCREMENT);
        CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5(x);
        CREATE TRIGGER tr AFTER INSERT ON zeta WHEN 0 BEGIN INSERT INTO alpha VALUES(1); END;
        CREATE TRIGGER vt INSTEAD OF INSERT ON v BEGIN SELECT 1; END; ANALYZE;
        CREATE TEMP TABLE tmp(a CHECK (a)); ATTACH ':memory:' AS "oth er"; CREATE TABLE "oth er".far(x CHECK (x))"""
    )
    schema = read_schema(db)
    assert list(schema.tables) == ["zeta", "alpha"]
    assert schema.views == ("v",)
    assert schema.virtual == ("f",)
    assert [(t.name, t.table) for t in schema.triggers] == [("tr", "zeta"), ("vt", "v")]
    for name, table in (("temp", "tmp"), ("oth er", "far")):
        other = read_schema(db, name)
        assert list(other.tables) == [table]
        assert other.tables[table].schema == name
        assert len(other.tables[table].checks) == 1


def test_checks_of_what_a_trigger_writes_are_not_the_table_s(db: apsw.Connection) -> None:
    db.execute("CREATE TABLE other(x CHECK (x > 5) CHECK (x > 6))")
    table = table_of(
        db,
        """CREATE TABLE t(a CHECK (a > 1));
        CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO other VALUES(new.a); END""",
    )
    assert table.exact
    assert [check.label for check in table.checks] == ["a > 1"]
    assert db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, -1) == 1


def test_a_text_that_disagrees_with_sqlite_is_not_trusted(db: apsw.Connection) -> None:
    db.execute("CREATE TABLE t(a CHECK (a > 5), b NOT NULL)")
    text = "CREATE TABLE t(a CHECK (a > 5), b NOT NULL)"
    for lie in (
        "CREATE TABLE t(a, b CHECK (b > 5))",
        "CREATE TABLE t(x CHECK (a > 5), b)",
        "CHECK",
        text[:-1],
    ):
        column_format(db, "t", lie)
        table = read_schema(db).table("t")
        assert table is not None
        assert not table.exact
        assert table.checks == ()
        assert [c.name for c in table.columns] == ["a", "b"]
        row_format(db, "t")


# -- tables in column format


class StandIn:
    """A virtual table module under Colonnade's name, which nobody reads."""

    def Create(self, db: Any, module: str, schema: str, table: str, *_: Any) -> Any:  # noqa: N802
        return "CREATE TABLE x(a)", self

    Connect = Create

    def Destroy(self) -> None:  # noqa: N802
        pass

    Disconnect = Destroy

    def BestIndex(self, *_: Any) -> None:  # noqa: N802
        return None


def column_format(db: apsw.Connection, name: str, ddl: str | None = None) -> None:
    """Lays a table out as store.format says, without its row groups."""
    db.create_module("colonnade", StandIn())
    (text,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    db.execute("PRAGMA legacy_alter_table = on")
    db.execute(f'ALTER TABLE "{name}" RENAME TO "{name}{ROWS}"')
    db.execute(f'CREATE TABLE "{name}{META}"(key TEXT PRIMARY KEY, value) WITHOUT ROWID')
    db.execute(f'CREATE TABLE "{name}{KEYS}"(a)')
    db.execute(f"INSERT INTO \"{name}{META}\" VALUES('ddl', ?)", (ddl or text,))
    db.execute(f'CREATE VIRTUAL TABLE "{name}" USING colonnade')
    db.execute("PRAGMA legacy_alter_table = off")


def row_format(db: apsw.Connection, name: str) -> None:
    db.execute(f'DROP TABLE "{name}"; DROP TABLE "{name}{META}"; DROP TABLE "{name}{KEYS}"')
    db.execute("PRAGMA legacy_alter_table = on")
    db.execute(f'ALTER TABLE "{name}{ROWS}" RENAME TO "{name}"')


def comparable(schema: Schema) -> list[Any]:
    return [
        (
            t.name,
            t.columns,
            t.keys,
            t.foreign_keys,
            t.checks,
            t.rowid_alias,
            t.autoincrement,
            t.strict,
            t.sql,
            t.exact,
        )
        for t in schema.tables.values()
    ]


def test_a_table_in_column_format_looks_as_it_did_before(db: apsw.Connection) -> None:
    db.execute(
        """CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT COLLATE NOCASE UNIQUE CHECK (code <> ''));
        CREATE TABLE "odd 'name"(a INT CONSTRAINT c1 CHECK (a > 0), b REFERENCES P, c REFERENCES p(CODE), d,
            up REFERENCES "odd 'name"(a) DEFERRABLE INITIALLY DEFERRED, UNIQUE (d, a), PRIMARY KEY (a));
        CREATE TABLE t_cln_rows(x REFERENCES p); CREATE TABLE last(a REFERENCES "odd 'name", b CHECK (b) UNIQUE)"""
    )
    before = read_schema(db)
    for name in ("p", "odd 'name"):
        column_format(db, name)
    after = read_schema(db)
    assert comparable(after) == comparable(before)
    assert [t.is_column for t in after.tables.values()] == [True, True, False, False]
    assert [c.name for c, _ in after.children_of("p")] == ["odd 'name", "odd 'name", "t_cln_rows"]
    assert after.load_order(after.tables) == before.load_order(before.tables)
    assert after.virtual == ()


# -- the order of loading


def test_tables_are_loaded_after_their_parents(db: apsw.Connection) -> None:
    db.execute(
        """CREATE TABLE lineitem(o REFERENCES orders, p, s, FOREIGN KEY (p, s) REFERENCES partsupp);
        CREATE TABLE orders(k PRIMARY KEY, c REFERENCES customer); CREATE TABLE region(k PRIMARY KEY);
        CREATE TABLE customer(k PRIMARY KEY, n REFERENCES nation); CREATE TABLE part(k PRIMARY KEY);
        CREATE TABLE partsupp(p REFERENCES part, s REFERENCES supplier, PRIMARY KEY (p, s));
        CREATE TABLE supplier(k PRIMARY KEY, n REFERENCES nation);
        CREATE TABLE nation(k PRIMARY KEY, r REFERENCES region);
        CREATE TABLE one(k PRIMARY KEY, o REFERENCES two, s REFERENCES one, g REFERENCES ghost);
        CREATE TABLE two(k PRIMARY KEY, o REFERENCES one, r REFERENCES region)"""
    )
    schema = read_schema(db)
    order = schema.load_order(schema.tables)
    assert order == [
        ["region"],
        ["part"],
        ["nation"],
        ["customer"],
        ["orders"],
        ["supplier"],
        ["partsupp"],
        ["lineitem"],
        ["one", "two"],
    ]
    assert schema.load_order(["LINEITEM", "Orders"]) == [["orders"], ["lineitem"]]
    sizes = {"part": 5, "customer": 3, "two": 4, "lineitem": 9}
    largest_first = schema.load_order(
        ["region", "part", "nation", "customer", "lineitem", "one", "two"], sizes
    )
    assert largest_first == [["lineitem"], ["part"], ["region"], ["one", "two"], ["nation"], ["customer"]]
    with pytest.raises(KeyError, match="nosuch"):
        schema.load_order(["nosuch"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
def test_any_references_come_in_an_order_that_loads(edges: list[tuple[int, int]]) -> None:
    db = apsw.Connection(":memory:")
    for node in range(7):
        parents = "".join(f", c{at} REFERENCES t{to}" for at, (of, to) in enumerate(edges) if of == node)
        db.execute(f"CREATE TABLE t{node}(k PRIMARY KEY{parents})")
    order = read_schema(db).load_order(f"t{node}" for node in range(7))
    db.close()
    group_of = {int(name[1:]): at for at, group in enumerate(order) for name in group}
    assert sorted(group_of) == list(range(7))
    reach = {node: {node} for node in range(7)}
    for _ in range(7):
        for of, to in edges:
            for seen in reach.values():
                seen |= {to} if of in seen else set()
    for one in range(7):
        for other in reach[one]:
            assert group_of[other] <= group_of[one]
            assert (group_of[other] == group_of[one]) == (one in reach[other])


# -- the reader of texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CREATE",
        "CREATE TABLE t",
        "CREATE TABLE t(",
        "CREATE TABLE t(a CHECK (a)",
        "CREATE TABLE t(a CHECK a)",
        "CREATE TABLE t(a UNIQUE ON CONFLICT NEVER)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE t()",
        "CREATE TABLE t(a REFERENCES)",
        "CREATE TABLE t(a, FOREIGN (a))",
        "CREATE TABLE t(a, UNIQUE a)",
        "CREATE TABLE t(a DEFAULT)",
        "CREATE TABLE t(a, UNIQUE (a + 1))",
        "CREATE TABLE t(a 'x",
        "CREATE TABLE t(a REFERENCES p ON DELETE NOTHING)",
    ],
)
def test_a_text_that_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(UnreadableDDL):
        read_ddl(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a > 5", "a > 5"),
        ('"a" > 5', "a"),
        ('"a""b" > 5', 'a"b'),
        ("[a] > [b]", "a"),
        ("'it''s'", "it's"),
        ("`x", "x"),
        ("", ""),
    ],
)
def test_a_label_loses_its_quotes_as_a_name_does(text: str, name: str) -> None:
    assert dequote(text) == name
