"""executemany with bulk load off around tables in column format: batch by batch, and as sqlite3 does it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import colonnade
from colonnade.loader.rows import Intake, RowShape
from colonnade.sql.schema import read_schema
from colonnade.store.table import ColumnTable
from colonnade.store.values import Kind
from tests.driver.twins import outcome, same, typed

ROWS = 200
PARENTS = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, x REAL);
    CREATE TABLE q(a INTEGER, b INTEGER, c TEXT, PRIMARY KEY(a, b), UNIQUE(c));
"""
CHILD = """
    CREATE TABLE c(
        id INTEGER PRIMARY KEY,
        p INTEGER REFERENCES p,
        pname TEXT COLLATE NOCASE REFERENCES p(name),
        qa INTEGER, qb INTEGER,
        qc TEXT REFERENCES q(c) DEFERRABLE INITIALLY DEFERRED,
        up INTEGER REFERENCES c,
        u TEXT COLLATE RTRIM UNIQUE,
        n NUMERIC NOT NULL DEFAULT 7 CHECK(n < 1000),
        FOREIGN KEY(qa, qb) REFERENCES q(a, b)
    );
"""
INSERT = "INSERT INTO c(id, p, pname, qa, qb, qc, up, u, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def parents_p(count: int) -> list[tuple[Any, ...]]:
    return [(3 * n, f"Name {n}", n / 4) for n in range(1, count + 1)]


def parents_q(count: int) -> list[tuple[Any, ...]]:
    return [(n // 4, 1000 - n, f"key {n}" if n % 5 else None) for n in range(1, count + 1)]


class Sides:
    """sqlite3 and Colonnade with the same tables and rows, some of them in column format; bulk load is off."""

    def __init__(
        self,
        columns: str,
        *,
        isolation_level: str | None = "",
        batch_size: int = 0,
        storage_format: str = "auto",
        script: str = PARENTS + CHILD,
    ) -> None:
        """columns: the names of the tables in column format, a letter each."""
        self.theirs = sqlite3.connect(":memory:", isolation_level=isolation_level)
        self.ours = colonnade.connect(":memory:", isolation_level=isolation_level)
        self.sides = (self.theirs, self.ours)
        self.cursors = [side.cursor() for side in self.sides]
        for side in self.sides:
            side.execute("PRAGMA foreign_keys = on")
            side.executescript(script)
        if script == PARENTS + CHILD:
            self.fill("p", parents_p(ROWS), column="p" in columns)
            self.fill("q", parents_q(ROWS), column="q" in columns)
            self.fill("c", first_children(ROWS), column="c" in columns)
        self.ours.execute(f"PRAGMA batch_size = {batch_size}")
        self.ours.execute(f"PRAGMA storage_format = {storage_format}")
        self.ours.commit()
        self.start = [side.total_changes for side in self.sides]

    def fill(self, table: str, rows: list[tuple[Any, ...]], *, column: bool) -> None:
        sql = f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"
        self.theirs.executemany(sql, rows)
        self.theirs.commit()
        if column:
            self.ours.execute("PRAGMA batch_size = 100")
            self.ours.execute("PRAGMA storage_format = column")
            self.ours.execute("PRAGMA bulk_load = on")
        self.ours.executemany(sql, rows)
        self.ours.commit()
        self.ours.execute("PRAGMA bulk_load = off")
        self.ours.execute("PRAGMA storage_format = auto")
        self.ours.execute("PRAGMA batch_size = 0")

    def both(self, call: Callable[[Any], Any]) -> Any:
        """`call(cursor)` on both: the same outcome, and the same to be seen afterwards."""
        seen = []
        for cursor, start in zip(self.cursors, self.start, strict=True):
            result = typed(outcome(lambda cursor=cursor: call(cursor)))
            connection = cursor.connection
            counted = outcome(lambda connection=connection: counts(connection))
            facts = (cursor.rowcount, cursor.lastrowid, connection.in_transaction)
            seen.append((result, *facts, counted, connection.total_changes - start))
        assert seen[1] == seen[0]
        return seen[0][0]

    def many(self, sql: str, rows: Any) -> Any:
        return self.both(lambda c: c.executemany(sql, rows(c.connection) if callable(rows) else rows))

    def check(self, *tables: str) -> None:
        for table in tables or ("p", "q", "c"):
            expected, got = (
                typed(side.execute(f"SELECT rowid, * FROM {table}").fetchall()) for side in self.sides
            )
            assert got == expected, sorted(set(got) ^ set(expected), key=str)[:5]

    def formats(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.ours.execute("PRAGMA storage_report")}

    def done(self) -> None:
        self.both(lambda c: c.connection.commit())
        self.check()
        assert self.ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert self.ours.execute("PRAGMA foreign_key_check").fetchall() == []
        self.close()

    def close(self) -> None:
        for side in self.sides:
            side.close()


def counts(connection: Any) -> Any:
    return connection.execute("SELECT changes(), last_insert_rowid()").fetchone()


def first_children(count: int) -> list[tuple[Any, ...]]:
    return [(n, 3 * n, None, None, None, None, None, f"u{n}", n) for n in range(1, count + 1)]


def good_child(choose: random.Random, number: int) -> list[Any]:
    """A row of c that keeps every key, whatever was inserted before it under a smaller number."""
    n = choose.randint(1, ROWS)
    qa, qb = (n // 4, 1000 - n) if choose.random() < 0.7 else (choose.choice([None, 5]), None)
    return [
        choose.choice([None, 10_000 + number]) if number % 7 else 10_000 + number,
        choose.choice([3 * n, str(3 * n), float(3 * n), None]),
        choose.choice([None, f"NAME {n}", f"name {n}"]),
        qa,
        qb,
        choose.choice([None, f"key {n}"]) if n % 5 else None,
        choose.choice([None, n]),
        choose.choice([None, f"v{number}"]),
        choose.choice([n, n / 3, str(n)]),
    ]


BREAKS: dict[str, Callable[[random.Random, list[Any]], None]] = {
    "taken id": lambda c, row: row.__setitem__(0, c.randint(1, ROWS)),
    "no parent": lambda c, row: row.__setitem__(1, 3 * c.randint(1, ROWS) + 1),
    "no integer parent": lambda c, row: row.__setitem__(1, "three"),
    "no parent by name": lambda c, row: row.__setitem__(2, "nobody"),
    "no pair": lambda c, row: row.__setitem__(slice(3, 5), [5, 5]),
    "deferred": lambda c, row: row.__setitem__(5, "no key"),
    "no row above": lambda c, row: row.__setitem__(6, 999_999),
    "taken text": lambda c, row: row.__setitem__(7, f"u{c.randint(1, ROWS)}  "),
    "not null": lambda c, row: row.__setitem__(8, None),
    "check": lambda c, row: row.__setitem__(8, 5000),
    "id of another type": lambda c, row: row.__setitem__(0, "x"),
    "too large": lambda c, row: row.__setitem__(1, 1 << 70),
    "no value": lambda c, row: row.__setitem__(2, object()),
    "too few": lambda c, row: row.pop(),
}


@pytest.fixture(params=["pqc", "pq", "c"])
def columns(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def thawed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of tables of which rows were thawed."""
    names: list[str] = []
    original = ColumnTable.thaw

    def thaw(table: ColumnTable, rowids: Any) -> int:
        names.append(table.name)
        return original(table, rowids)

    monkeypatch.setattr(ColumnTable, "thaw", thaw)
    return names


@pytest.mark.storage_format("auto", "row", reason="some of its tables are to be in row format")
@pytest.mark.parametrize("batch_size", [0, 30])
@pytest.mark.parametrize("isolation_level", ["", None])
def test_sound_rows_go_in_without_thawing_any(
    columns: str, batch_size: int, isolation_level: str | None, thawed: list[str]
) -> None:
    choose = random.Random(f"{columns} {batch_size}")
    sides = Sides(columns, batch_size=batch_size, isolation_level=isolation_level)
    for start in (0, 1000):
        rows = [good_child(choose, start + number) for number in range(100)]
        assert sides.many(INSERT, rows) == "cursor"
    sides.check()
    assert thawed == []
    assert {name for name, kind in sides.formats().items() if kind == "column"} == set(columns)
    sides.done()


@pytest.mark.parametrize("what", BREAKS)
def test_the_first_bad_row_ends_it_with_what_sqlite_says(columns: str, what: str) -> None:
    choose = random.Random(what)
    sides = Sides(columns, batch_size=choose.choice([0, 20]))
    for start in (0, 1000):
        rows = [good_child(choose, start + number) for number in range(60)]
        BREAKS[what](choose, rows[choose.randint(0, 59)])
        sides.many(INSERT, rows)
        sides.check()
    sides.both(lambda c: c.connection.rollback())
    sides.done()


@pytest.mark.parametrize("seed", range(8))
def test_random_rows_fare_as_in_sqlite3(columns: str, seed: int) -> None:
    choose = random.Random(seed)
    sides = Sides(
        columns,
        batch_size=choose.choice([0, 5, 40]),
        isolation_level=choose.choice(["", None]),
        storage_format=choose.choice(["auto", "auto", "column"]),
    )
    for step in range(5):
        rows = [good_child(choose, 1000 * step + number) for number in range(choose.choice([1, 5, 50]))]
        for row in choose.sample(rows, choose.choice([0, 0, 1, min(3, len(rows))])):
            choose.choice(list(BREAKS.values()))(choose, row)
        sides.many(INSERT, rows)
        sides.check()
        if choose.random() < 0.3:
            sides.both(lambda c: c.execute("DELETE FROM c WHERE id % 5 = 1"))
        if choose.random() < 0.2:
            sides.both(lambda c: c.execute("DELETE FROM p WHERE id > 450 AND id NOT IN (SELECT p FROM c)"))
        if choose.random() < 0.3:
            sides.both(lambda c: c.connection.rollback())
            sides.check()
    sides.both(lambda c: c.connection.rollback())
    sides.done()


def test_rows_refer_to_rows_of_their_own_batch_that_come_before_them_or_are_themselves(
    thawed: list[str],
) -> None:
    sides = Sides("pqc")
    rows = [(5000 + n, None, None, None, None, None, 5000 + n - n % 2, None, 1) for n in range(50)]
    assert sides.many(INSERT, rows) == "cursor"
    assert thawed == []
    late = [(6000 + n, None, None, None, None, None, 6000 + (n + 1) % 50, None, 1) for n in range(50)]
    assert sides.many(INSERT, late)[1] == "FOREIGN KEY constraint failed"
    sides.done()


def test_keys_that_repeat_in_the_batch_are_met(columns: str) -> None:
    sides = Sides(columns)
    rows = [(None, None, None, None, None, None, None, f"w{n % 30}" + " " * (n % 3), 1) for n in range(60)]
    assert sides.many(INSERT, rows)[1] == "UNIQUE constraint failed: c.u"
    sides.done()


def test_a_thawed_parent_counts_and_a_deleted_one_does_not(thawed: list[str]) -> None:
    sides = Sides("pqc")
    sides.both(lambda c: c.execute("UPDATE p SET x = 0 WHERE id = 30"))
    sides.both(lambda c: c.execute("DELETE FROM c WHERE p = 33"))
    sides.both(lambda c: c.execute("DELETE FROM p WHERE id = 33"))
    del thawed[:]
    rows = [(None, 30, "name 10", None, None, None, None, None, 1)] * 5
    assert sides.many(INSERT, rows) == "cursor"
    assert thawed == []
    gone = [*rows, (None, 33, None, None, None, None, None, None, 1), *rows]
    assert sides.many(INSERT, gone)[1] == "FOREIGN KEY constraint failed"
    sides.done()


def test_what_the_iterator_of_rows_does_sees_the_rows_before() -> None:
    sides = Sides("pqc")
    seen: list[Any] = []

    def rows(connection: Any) -> Iterator[tuple[Any, ...]]:
        for n in range(40):
            if n % 9 == 4:
                seen.append(connection.execute("SELECT count(*), max(id) FROM c").fetchone())
            if n == 20:
                connection.execute("INSERT INTO p VALUES (10001, 'new', 0)")
            yield (None, 10001 if n > 20 else 3, None, None, None, None, None, None, n)

    assert sides.many(INSERT, rows) == "cursor"
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    sides.done()


@pytest.mark.parametrize("end", ["ROLLBACK", "COMMIT", "ROLLBACK TO s", "RELEASE s"])
def test_the_iterator_of_rows_may_end_the_transaction(end: str) -> None:
    sides = Sides("pqc")

    def rows(connection: Any) -> Iterator[tuple[Any, ...]]:
        for n in range(40):
            if n == 5:
                connection.execute("SAVEPOINT s")
            if n == 25:
                connection.execute(end)
            yield (None, 3, None, None, None, None, None, None, n)

    sides.many(INSERT, rows)
    sides.done()


@pytest.mark.parametrize("setting", ["storage_format = column", "bulk_load = on"])
@pytest.mark.parametrize("table", ["t", "u"])
@pytest.mark.parametrize("rows_before", [0, 1, 4])
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {} VALUES(?, 1)",
        "INSERT OR REPLACE INTO {} VALUES(?, 1)",
        "UPDATE {} SET b = 2 WHERE a = ?",
    ],
)
def test_the_iterator_of_rows_may_not_use_the_cursor(
    sql: str, rows_before: int, table: str, setting: str
) -> None:
    def program(module: Any) -> Any:
        connection = module.connect(":memory:", isolation_level=None)
        connection.execute(f"PRAGMA {setting}")
        connection.execute("CREATE TABLE t(a PRIMARY KEY, b)")
        connection.execute("CREATE TABLE u(a PRIMARY KEY, b)")
        connection.execute("INSERT INTO t VALUES(1, 1), (2, 2)")
        cursor = connection.cursor()

        def rows() -> Iterator[tuple[int]]:
            yield from ((n,) for n in range(3, 3 + rows_before))
            cursor.execute("SELECT 1")
            yield (7,)

        connection.execute("BEGIN")  # else bulk load undoes all of the rows
        done = outcome(lambda: cursor.executemany(sql.format(table), rows()))
        return done, typed(connection.execute(f"SELECT * FROM {table} ORDER BY a").fetchall())

    assert same(program)[0][0] == "ProgrammingError"


def test_what_ends_it_within_the_iterator_of_rows_is_raised() -> None:
    sides = Sides("pqc")

    def rows(connection: Any) -> Iterator[tuple[Any, ...]]:
        for n in range(40):
            yield (None, 3 if n != 10 else 4, None, None, None, None, None, None, n)

    assert sides.many(INSERT, rows)[1] == "FOREIGN KEY constraint failed"

    def stops(connection: Any) -> Iterator[tuple[Any, ...]]:
        yield from ((None, 3, None, None, None, None, None, None, n) for n in range(20))
        raise ValueError("no more")

    assert sides.many(INSERT, stops)[0] == "ValueError"
    sides.done()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR IGNORE INTO c(id, p) VALUES (?, ?)",
        "REPLACE INTO c(id, p) VALUES (?, ?)",
        "INSERT INTO c(id, p) VALUES (?2, ?1)",
        "INSERT INTO c(id, p) VALUES (:i, :p)",
        "INSERT INTO c(id, p) VALUES (?, ?) ON CONFLICT DO NOTHING",
        "INSERT INTO c(id, p) VALUES (?, ? + 0)",
        "INSERT INTO main.c AS d(p, rowid) VALUES (?, ?)",
    ],
)
def test_other_inserts_do_what_they_always_did(sql: str) -> None:
    sides = Sides("pqc")
    named = ":i" in sql
    for bad in (3, 4):
        rows: Any = [(2000 + 2 * n if n % 5 else n + 1, bad if n == 9 else 3 * n + 3) for n in range(20)]
        if named:
            rows = [{"i": i, "p": p} for i, p in rows]
        sides.many(sql, rows)
        sides.check()
    sides.both(lambda c: c.connection.rollback())
    sides.done()


def test_with_foreign_keys_off_no_parent_is_looked_for(thawed: list[str]) -> None:
    sides = Sides("pqc")
    for side in sides.sides:
        side.execute("PRAGMA foreign_keys = off")
    rows = [(None, 1, "nobody", 1, 1, None, None, None, 1) for _ in range(20)]
    assert sides.many(INSERT, rows) == "cursor"
    assert thawed == []
    sides.both(lambda c: c.connection.commit())
    sides.check()
    sides.close()


def test_deferred_violations_are_counted_and_repaired_as_sqlite_does() -> None:
    sides = Sides("pqc")
    rows = [(None, 3, None, None, None, "later" if n == 7 else None, None, None, n) for n in range(20)]
    assert sides.many(INSERT, rows) == "cursor"
    assert sides.both(lambda c: c.connection.commit())[1] == "FOREIGN KEY constraint failed"
    sides.many("INSERT INTO q VALUES (?, ?, ?)", [(9000, n, "later" if n == 4 else None) for n in range(9)])
    assert sides.both(lambda c: c.connection.commit()) is None
    sides.done()


def test_a_trigger_sees_each_row() -> None:
    sides = Sides("p")
    for side in sides.sides:
        side.execute("CREATE TABLE log(x)")
        side.execute("CREATE TRIGGER t AFTER INSERT ON c BEGIN INSERT INTO log VALUES (new.n); END")
    assert (
        sides.many(INSERT, [(None, 3, None, None, None, None, None, None, n) for n in range(20)]) == "cursor"
    )
    sides.check("log", "c")
    sides.done()


def test_autoincrement_and_defaults_go_on_where_they_were() -> None:
    script = """
        CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT DEFAULT 'x', v DEFAULT (1 + 1));
        CREATE TABLE n(x);
    """
    sides = Sides("", script=script)
    sides.fill("a", [(n, "y", 1) for n in range(1, 50)], column=True)
    sides.fill("n", [(n,) for n in range(1, 50)], column=True)
    sides.start = [side.total_changes for side in sides.sides]
    sides.both(lambda c: c.execute("DELETE FROM a WHERE id > 40"))
    for _ in range(2):
        sides.many("INSERT INTO a(v) VALUES (?)", [(n,) for n in range(30)])
        sides.many("INSERT INTO a(id) VALUES (?)", [(n if n % 3 else None,) for n in range(500, 530)])
        sides.many("INSERT INTO n VALUES (?)", [(n,) for n in range(30)])
        sides.many("INSERT INTO n VALUES (?)", [])
        sides.both(lambda c: c.execute("INSERT INTO a(v) VALUES (0)"))
        sides.both(lambda c: c.execute("INSERT INTO n VALUES (0)"))
        sides.check("a", "n", "sqlite_sequence")
        sides.both(lambda c: c.execute("DELETE FROM a WHERE id >= 500"))
    sides.both(lambda c: c.connection.rollback())
    sides.check("a", "n", "sqlite_sequence")
    sides.close()


@pytest.mark.parametrize("last", ["1995-01-31", "1995-02-30", "soon", None, 7])
def test_dates_wait_for_one_another_in_four_bytes_and_come_back_as_written(last: Any) -> None:
    sides = Sides("", script="CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT, c NUMERIC);")
    days = [f"199{n % 7}-{n % 12 + 1:02}-{n % 28 + 1:02}" for n in range(9000)]
    sides.fill("t", [(n, day, day, day) for n, day in enumerate(days[:200])], column=True)
    sides.start = [side.total_changes for side in sides.sides]
    rows = [(n, day, day, day) for n, day in enumerate(days, 1000)]
    definition = read_schema(sides.ours._session.db).tables["t"]
    shape = RowShape(definition, None, lambda _place, value: value)
    waiting = shape.chunk(sides.ours._session.db, rows[:8000], lambda row: row, Intake(4)).columns()
    assert [column.kind for column in waiting] == [Kind.INTEGER, Kind.DATE, Kind.DATE, Kind.DATE]
    sides.many("INSERT INTO t VALUES (?, ?, ?, ?)", [*rows, (99_999, last, last, last)])
    sides.check("t")
    sides.close()


def test_many_rows_become_row_groups_and_the_largest_rowid_stays_in_the_row_part(thawed: list[str]) -> None:
    script = "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(a, b, UNIQUE(a, b));"
    sides = Sides("", script=script)
    for name in ("t", "u"):
        sides.fill(name, [(n, n) for n in range(1000)], column=True)
    sides.start = [side.total_changes for side in sides.sides]
    store = sides.ours._session.store
    groups = {name: len(store.table(name).groups()) for name in ("t", "u")}
    rows = [(n, "x") for n in range(2000, 12_000)]
    for name in groups:
        assert sides.many(f"INSERT INTO {name} VALUES (?, ?)", rows) == "cursor"
        table = store.table(name)
        assert len(table.groups()) == groups[name] + 1
        assert table.row_part.count() == 2
        assert not table.unchecked_groups()
    assert thawed == []
    random.Random(1).shuffle(rows)
    sides.many("INSERT INTO t VALUES (?, ?)", [(id_ + 20_000, v) for id_, v in rows])
    sides.many("INSERT INTO t VALUES (?, ?)", [(None, 1)])
    sides.both(lambda c: c.connection.commit())
    sides.check("t", "u")
    sides.close()


def test_a_row_that_cannot_be_bound_leaves_changes_as_they_were() -> None:
    sides = Sides("pqc")
    sides.both(lambda c: c.connection.rollback())
    sides.both(lambda c: c.execute("DELETE FROM c WHERE id > 190"))
    sides.both(lambda c: c.connection.rollback())
    assert sides.many(INSERT, [(None, 1 << 70, None, None, None, None, None, None, 1)])[0] == "OverflowError"
    sides.both(lambda c: c.connection.rollback())
    sides.done()


QUERY = "INSERT INTO c(id, p, qa, qb, u, n) SELECT"


@pytest.mark.parametrize("isolation_level", ["", None])
def test_the_rows_of_a_query_go_in_without_thawing_any(
    columns: str, isolation_level: str | None, thawed: list[str]
) -> None:
    sides = Sides(columns, isolation_level=isolation_level)
    for start in (1000, 2000):
        sides.both(
            lambda c, start=start: c.execute(
                f"{QUERY} p.id + ?, p.id, a, b, 'u' || (p.id + ?), 5 FROM p JOIN q ON q.b = 1000 - p.id / 3 ORDER BY 1",
                (start, start),
            )
        )
        sides.check("c")
    sides.both(lambda c: c.execute("INSERT INTO c(p, n) SELECT p, n + 1 FROM c WHERE p IS NOT NULL"))
    sides.both(lambda c: c.execute("INSERT INTO p SELECT id + 5000, name || '+', x FROM p"))
    values = ", ".join(f"(NULL, {3 * n}, {n})" for n in range(1, 60))
    sides.both(lambda c: c.execute(f"WITH w AS (SELECT 1) INSERT INTO c(id, p, n) VALUES {values}"))
    assert thawed == []
    sides.done()


@pytest.mark.parametrize(
    "bad",
    [
        "p.id % 200 + 200, p.id",
        "p.id + 1000, p.id + (p.id = 150)",
        "'x' || p.id, p.id",
        "p.id + 1000, p.id, 1",
    ],
)
def test_a_query_with_a_bad_row_adds_none_and_fails_as_in_sqlite(columns: str, bad: str) -> None:
    sides = Sides(columns)
    sides.both(lambda c: c.execute("INSERT INTO c(id, p) VALUES (9000, 3)"))
    error = sides.both(lambda c: c.execute(f"INSERT INTO c(id, p) SELECT {bad} FROM p ORDER BY p.id"))
    assert error[0] in ("IntegrityError", "OperationalError")
    sides.check()
    sides.done()


def test_counters_tell_what_was_looked_at() -> None:
    sides = Sides("pqc")
    rows = [(None, 3 * n, None, n // 4, 1000 - n, None, None, None, 1) for n in range(1, 101)]
    before = constraint_stats(sides.ours)
    sides.many(INSERT, rows)
    after = constraint_stats(sides.ours)
    names = ("rows_checked", "index_probes", "hits")
    for label in ("FOREIGN KEY (p) REFERENCES p (id)", "FOREIGN KEY (qa, qb) REFERENCES q (a, b)"):
        assert [after[label][name] - before[label][name] for name in names] == [100, 100, 100]
    label = "FOREIGN KEY (p) REFERENCES p (id)"
    assert after[label]["parent_rows_read"] - before[label]["parent_rows_read"] <= 101
    sides.done()


def constraint_stats(connection: Any) -> dict[str, dict[str, Any]]:
    cursor = connection.execute("PRAGMA constraint_stats")
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {row["constraint"]: row for row in rows}
