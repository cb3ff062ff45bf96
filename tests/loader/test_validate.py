"""The validators on stored tables, in both formats, against what SQLite says of the same rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import apsw
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade.loader.stats import ConstraintStats
from colonnade.loader.validate import ValidateLimits, validate
from colonnade.loader.violations import CountedViolations, Locate
from colonnade.sql.schema import read_schema
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError
from colonnade.store.keyindex import key_zone
from colonnade.store.rowgroup import encode_row_group
from colonnade.store.values import IntArray, RowBatch, SQLiteValue, from_python

Row = tuple[SQLiteValue, ...]
Stored = tuple[Any, ...]  # rowid, columns
MEMORY = 1 << 28


class Database:
    """A database under test beside a plain one that holds the same rows under the same rowids.

    One is open at a time: making the next one closes it, for property tests make hundreds.
    """

    opened: Database | None = None

    def __init__(self, script: str, plain_script: str | None = None) -> None:
        if Database.opened is not None:
            Database.opened.close()
        Database.opened = self
        self.db, self.plain = apsw.Connection(":memory:"), apsw.Connection(":memory:")
        self.db.execute(script)
        self.plain.execute(plain_script or script)
        self.store = Store(self.db, memory_limit=MEMORY)
        self.stats = ConstraintStats()

    def close(self) -> None:
        self.store.close()
        self.db.close()
        self.plain.close()

    def fill(
        self,
        name: str,
        groups: Sequence[Sequence[Row]],
        checked: Collection[int] = (),
        *,
        ignore: bool = False,
    ) -> None:
        """groups[0] goes to the row part, each other one becomes a row group, with rowids in this order.

        ignore  leave out rows that break a key
        """
        table = self.store.convert(name)
        verb = "INSERT OR IGNORE" if ignore else "INSERT"
        for number, group in enumerate(groups):
            stored: list[Stored] = []
            for row in group:
                marks = ", ".join("?" * len(row))
                before = self.plain.total_changes()
                self.plain.execute(f"{verb} INTO {name} VALUES ({marks})", row)
                if self.plain.total_changes() > before:
                    rowid = self.plain.last_insert_rowid()
                    stored += self.plain.execute(
                        f"SELECT rowid, * FROM {name} WHERE rowid=?", (rowid,)
                    ).fetchall()
            if not number:
                for values in stored:
                    marks = ", ".join("?" * len(values))
                    names = ", ".join(["rowid", *(c.name for c in table.columns)])
                    self.db.execute(f"INSERT INTO {table.rows_name}({names}) VALUES ({marks})", values)
            elif stored:
                self.put(name, stored, checked=number in checked)

    def put(self, name: str, rows: Sequence[Stored], *, checked: bool = False) -> int:
        """A row group of rows (rowid, columns...)."""
        table = self.store.table(name)
        assert table is not None
        rowids, *columns = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
        batch = RowBatch(len(rows), tuple(from_python(c) for c in columns), np.array(rowids, np.int64))
        zones = {
            spec.signature: key_zone([batch.columns[i - 1] for i in spec.column_ids], spec)
            for spec in table.key_specs()
        }
        group = encode_row_group(batch, table.column_ids, table.rowid_column)
        return table.put(group, zones, checked=checked)

    def found(
        self,
        *tables: str,
        memory: int = MEMORY,
        full: bool = False,
        recheck: Collection[str] = (),
        locate: Locate | None = None,
        foreign_keys: bool = True,
    ) -> CountedViolations:
        sink = CountedViolations(keep=None, locate=locate)
        schema = read_schema(self.db)
        validate(
            self.store,
            schema,
            tables or tuple(schema.tables),
            ValidateLimits(memory, threads=1 if memory < MEMORY else 2),
            self.stats,
            foreign_keys=foreign_keys,
            sink=sink,
            full=full,
            recheck=recheck,
        )
        assert self.stats.cache_bytes() == 0
        return sink


def broken(sink: CountedViolations, kind: str | None = None) -> list[tuple[str, int | None]]:
    return sorted((v.table, v.rowid or 0) for v in sink.kept if kind in (None, v.kind))


number_values = st.one_of(st.integers(-2, 9), st.sampled_from([0.5, 2.0, 2**53, 2**53 + 1, 2.0**53, -1e300]))
text_values = st.sampled_from(
    ["1", " 1", "2.0", "1e0", "0x1", "a", "A", "a ", "A  ", "", "a\0b", "A\0c", "é", "É"]
)
any_values = st.one_of(st.none(), number_values, text_values, st.sampled_from([b"", b"a", b"1"]))
narrow_values = st.one_of(st.none(), st.integers(-2, 9), st.integers(0, 3).map(str))
declared_types = st.sampled_from(["INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", ""])
collations = st.sampled_from(["BINARY", "NOCASE", "RTRIM"])


def groups_of(width: int) -> st.SearchStrategy[list[list[Row]]]:
    row = st.one_of(st.tuples(*[any_values] * width), st.tuples(*[narrow_values] * width))
    return st.lists(st.lists(row, max_size=8), min_size=1, max_size=4)


@given(st.data(), st.integers(1, 2), st.sampled_from([4096, MEMORY]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_repeated_keys_are_those_sqlite_groups_together(data: st.DataObject, width: int, memory: int) -> None:
    parts = [(f"c{i}", data.draw(declared_types), data.draw(collations)) for i in range(width)]
    columns = ", ".join(f"{name} {kind} COLLATE {fold}" for name, kind, fold in parts)
    names = ", ".join(name for name, _, _ in parts)
    groups = [[], *data.draw(groups_of(width))]
    database = Database(f"CREATE TABLE t({columns}, UNIQUE({names}))", f"CREATE TABLE t({columns})")
    database.fill("t", groups)
    present = " AND ".join(f"{name} IS NOT NULL" for name, _, _ in parts)
    later = database.plain.execute(
        f"SELECT rowid FROM (SELECT rowid, row_number() OVER (PARTITION BY {names} ORDER BY rowid) AS n"
        f" FROM t WHERE {present}) WHERE n > 1 ORDER BY rowid"
    ).fetchall()
    sink = database.found(memory=memory)
    assert broken(sink) == [("t", rowid) for (rowid,) in later]
    stored = {rowid: row for rowid, *row in database.plain.execute("SELECT rowid, * FROM t")}
    for violation in sink.kept:
        assert violation.rowid is not None
        assert list(violation.values) == stored[violation.rowid]
        assert violation.message == "UNIQUE constraint failed: " + ", ".join(
            f"t.{name}" for name, _, _ in parts
        )


@given(st.data(), st.integers(1, 2), st.sampled_from([4096, MEMORY]), st.sampled_from(["row", "column"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_orphans_are_those_of_foreign_key_check(
    data: st.DataObject, width: int, memory: int, parent_format: str
) -> None:
    mine = [(f"c{i}", data.draw(declared_types), data.draw(collations)) for i in range(width)]
    theirs = [(f"p{i}", data.draw(declared_types), data.draw(collations)) for i in range(width)]
    key = ", ".join(name for name, _, _ in theirs)
    parent = ", ".join(f"{name} {kind} COLLATE {fold}" for name, kind, fold in theirs)
    child = ", ".join(f"{name} {kind} COLLATE {fold}" for name, kind, fold in mine)
    names = ", ".join(name for name, _, _ in mine)
    swapped = ", ".join(reversed(key.split(", "))) if data.draw(st.booleans()) else key
    if width == 1 and data.draw(st.booleans()):
        parent = "p0 INTEGER PRIMARY KEY"
        parents: list[list[Row]] = [
            [(i,) for i in group]
            for group in data.draw(st.lists(st.lists(st.integers(-2, 9), max_size=6), min_size=1, max_size=3))
        ]
    else:
        parent += f", UNIQUE({swapped})"
        parents = data.draw(groups_of(width))
    database = Database(
        f"CREATE TABLE p({parent}); CREATE TABLE c({child}, FOREIGN KEY({names}) REFERENCES p({key}))"
    )
    if parent_format == "column":
        database.fill("p", parents, ignore=True)
    else:
        rows = [row for group in parents for row in group]
        for db in (database.db, database.plain):
            db.executemany(f"INSERT OR IGNORE INTO p VALUES ({', '.join('?' * width)})", rows)
    if database.store.table("c") is None:
        database.fill("c", data.draw(groups_of(width)))
    orphans = database.plain.execute("SELECT \"table\", rowid FROM pragma_foreign_key_check('c')").fetchall()
    assert broken(database.found("c", memory=memory)) == sorted(orphans)


def test_rowids_given_twice_break_the_integer_primary_key() -> None:
    database = Database("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    database.fill("t", [[(5, "x")]])
    database.put("t", [(1, 1, "y"), (1, 1, "z"), (3, 3, "")])
    database.put("t", [(3, 3, "again"), (4, 4, ""), (5, 5, "")])
    sink = database.found()
    assert [(v.kind, v.rowid, v.values) for v in sink.kept] == [
        ("PRIMARY KEY", 1, (1,)),
        ("PRIMARY KEY", 3, (3,)),
        ("PRIMARY KEY", 5, (5,)),
    ]
    assert sink.kept[0].message == "UNIQUE constraint failed: t.a"


def test_rows_that_were_valid_before_are_never_the_violation() -> None:
    database = Database("CREATE TABLE t(a UNIQUE)", "CREATE TABLE t(a)")
    database.fill("t", [[(1,)], [(7,), (8,)], [(2,), (9,)]], checked=[2])
    rows = database.store.table("t")
    assert rows is not None
    database.db.execute(f"INSERT INTO {rows.rows_name} VALUES (9), (7)")
    sink = database.found()
    assert sorted(v.values for v in sink.kept) == [(7,), (9,)]
    by_value = {v.values[0]: v.rowid for v in sink.kept}
    assert by_value[7] == 2  # unchecked row group: the row part came first
    assert by_value[9] not in (4, 5)  # checked row group: the row part came second


def test_violations_disappear_when_their_rows_are_deleted() -> None:
    database = Database("CREATE TABLE t(a UNIQUE, b UNIQUE)", "CREATE TABLE t(a, b)")
    database.fill("t", [[], [(i % 50, i // 2) for i in range(100)], [(i, -i) for i in range(40, 60)]])
    table = database.store.table("t")
    assert table is not None
    for limit in (4096, MEMORY):
        sink = database.found(memory=limit)
        assert len(sink.kept) == 50 + 10 + 50
    table.delete(np.array(sorted({v.rowid for v in sink.kept if v.rowid is not None}), np.int64))
    assert database.found().kept == []


def test_checked_rows_are_checked_again_only_on_demand() -> None:
    script = "CREATE TABLE p(a INTEGER PRIMARY KEY); CREATE TABLE c(b REFERENCES p)"
    database = Database(script)
    database.fill("p", [[], [(i,) for i in range(1, 11)]])
    database.fill("c", [[], [(3,), (4,)], [(5,), (11,)]], checked=[1])
    parent = database.store.table("p")
    assert parent is not None
    parent.delete(np.array([4, 5], np.int64))
    assert broken(database.found("c")) == [("c", 3), ("c", 4)]
    assert broken(database.found("p")) == []
    assert broken(database.found("p", recheck=["P"])) == [("c", 2), ("c", 3), ("c", 4)]
    assert broken(database.found("c", full=True)) == [("c", 2), ("c", 3), ("c", 4)]
    assert broken(database.found("p", full=True)) == [("c", 2), ("c", 3), ("c", 4)]
    assert broken(database.found(full=True, foreign_keys=False)) == []


def test_a_gap_left_by_a_tombstone_is_noticed() -> None:
    database = Database("CREATE TABLE p(a INTEGER PRIMARY KEY); CREATE TABLE c(b REFERENCES p)")
    database.fill("p", [[(11,)], [(i,) for i in range(1, 11)]])
    database.fill("c", [[], [(i,) for i in range(1, 12)]])
    assert database.found().kept == []
    proven = database.stats.rows()[-1]
    assert (proven["groups_proven"], proven["groups_scanned"], proven["path"]) == (1, 0, "proven")
    table = database.store.table("p")
    assert table is not None
    table.delete(np.array([6], np.int64))
    assert [v.values for v in database.found().kept] == [(6,)]


def test_a_parent_group_with_a_thawed_row_still_proves_its_children() -> None:
    database = Database("CREATE TABLE p(a INTEGER PRIMARY KEY); CREATE TABLE c(b REFERENCES p)")
    database.fill("p", [[], [(i,) for i in range(1, 21)], [(i,) for i in range(21, 31)]])
    table = database.store.table("p")
    assert table is not None
    table.thaw(np.array([30], np.int64))
    database.fill("c", [[], [(i % 30 + 1,) for i in range(100)]])
    assert database.found("c").kept == []
    (figures,) = database.stats.rows()
    assert (figures["path"], figures["groups_proven"], figures["parent_rows_read"]) == ("proven", 1, 9)


def test_cycles_and_references_to_the_own_table_are_checked() -> None:
    database = Database(
        "CREATE TABLE a(x INTEGER PRIMARY KEY, y REFERENCES b, z REFERENCES a);"
        "CREATE TABLE b(x INTEGER PRIMARY KEY, y REFERENCES a)"
    )
    database.fill("a", [[(1, 1, 2)], [(2, 2, None), (3, 9, 3), (4, None, 8)]])
    database.fill("b", [[(1, 1)], [(2, 4), (5, 5)]])
    found = {(v.table, v.rowid, v.columns, v.parent) for v in database.found().kept}
    assert found == {("a", 3, ("y",), "b"), ("a", 4, ("z",), "a"), ("b", 5, ("y",), "a")}


def test_a_parent_without_such_a_key_is_sqlites_error() -> None:
    script = (
        "CREATE TABLE p(a, b UNIQUE); CREATE TABLE c(x REFERENCES p(a)); CREATE TABLE d(x REFERENCES q(a))"
    )
    database = Database(script)
    assert database.found().kept == []
    database.fill("c", [[], [(1,)]])
    with pytest.raises(OperationalError, match='^foreign key mismatch - "c" referencing "p"$'):
        database.found("c")
    database.fill("d", [[], [(1,), (None,)]])
    with pytest.raises(OperationalError, match=r"^no such table: main\.q$"):
        database.found("d")
    assert broken(database.found("d", full=True)) == [("d", 1)]


def test_a_child_in_row_format_is_checked_as_a_whole() -> None:
    database = Database(
        "CREATE TABLE p(a TEXT PRIMARY KEY); CREATE TABLE c(x TEXT REFERENCES p, y PRIMARY KEY) WITHOUT ROWID;"
        "CREATE TABLE d(x TEXT REFERENCES p)"
    )
    database.fill("p", [[("k0",)], [(f"k{i}",) for i in range(1, 100)]])
    database.db.executemany("INSERT INTO c VALUES (?, ?)", [(f"k{i}", i) for i in range(98, 102)])
    database.db.executemany("INSERT INTO d VALUES (?)", [(None,), ("k5",), ("K5",)])
    sink = database.found("c", "d")
    assert sorted((v.table, v.rowid or 0, v.values) for v in sink.kept) == [
        ("c", 0, ("k100",)),
        ("c", 0, ("k101",)),
        ("d", 3, ("K5",)),
    ]


def test_a_parent_with_a_collation_of_the_programs_own_is_asked_by_sqlite() -> None:
    database = Database("CREATE TABLE d(x)")

    def shorter(a: str, b: str) -> int:
        return (len(a) > len(b)) - (len(a) < len(b))

    database.db.create_collation("length", shorter)
    database.db.execute(
        "CREATE TABLE p(a TEXT COLLATE length UNIQUE); INSERT INTO p VALUES ('one'), ('four')"
    )
    database.db.execute("CREATE TABLE c(x REFERENCES p(a))")
    database.plain.execute("CREATE TABLE c(x)")
    database.fill("c", [[("two",)], [(None,), ("five",), (123,), ("seven",)]])
    assert [v.values for v in database.found("c").kept] == [("seven",)]


def test_a_violation_names_its_line_its_constraint_and_its_parent() -> None:
    database = Database(
        "CREATE TABLE p(a INTEGER PRIMARY KEY);"
        "CREATE TABLE c(x, y, CONSTRAINT twice UNIQUE(x, y), FOREIGN KEY(x) REFERENCES p(a))",
        "CREATE TABLE p(a INTEGER PRIMARY KEY); CREATE TABLE c(x, y)",
    )
    database.fill("p", [[(1,)]])
    database.fill("c", [[], [(1, b"\0"), (1, b"\0")], [(2, 3)]])

    def locate(table: str, group_id: int | None, positions: IntArray) -> tuple[str, IntArray | None]:
        assert table == "c"
        assert group_id is not None
        return f"file{group_id}", positions + 10

    unique, foreign = database.found(locate=locate).kept
    assert unique.describe() == (
        "file1:11: c row 2: UNIQUE constraint failed: c.x, c.y: twice (x = 1, y = b'\\x00')"
    )
    assert unique.constraint == "twice"
    assert foreign.describe() == "file2:10: c row 3: FOREIGN KEY constraint failed (x = 2, not in p)"
    assert foreign.constraint == "FOREIGN KEY (x) REFERENCES p (a)"
    counted = {(c.kind, n) for c, n in database.found().counts.items()}
    assert counted == {("UNIQUE", 1), ("FOREIGN KEY", 1)}


def test_a_sink_that_keeps_few_still_counts_all() -> None:
    sink = CountedViolations(keep=3)
    database = Database("CREATE TABLE t(a UNIQUE)", "CREATE TABLE t(a)")
    database.fill("t", [[], [(1,)] * 10, [(1,)] * 10])
    limits = ValidateLimits(MEMORY, 1)
    validate(
        database.store, read_schema(database.db), ["t"], limits, database.stats, foreign_keys=True, sink=sink
    )
    assert (len(sink.kept), sink.total, [v.rowid for v in sink.kept]) == (3, 19, [2, 3, 4])
    assert database.stats.rows()[0]["violations"] == 19
