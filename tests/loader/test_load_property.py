"""Random tables with random keys and rows that collide: the violations found are those of a plain SQLite."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import colonnade
from colonnade.loader.options import LoadOptions

NULL = "\\N"
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

# Few values of each type, so that rows collide, and some that are equal in one way and not in another.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": st.one_of(st.integers(-2, 12), st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)])),
    "TEXT": st.sampled_from(["a", "A", "b", "B ", "b", "", "1", "01", "1.0", "é", "É", "x" * 40]),
    "REAL": st.one_of(st.integers(-2, 6), st.sampled_from([0.5, 2.5, -0.0, 1e300, float(2**53)])),
    "DECIMAL(10,2)": st.one_of(st.integers(-2, 6), st.sampled_from(["1.50", "2.00", "2", "0.1"])),
    "DATE": st.sampled_from(["2024-02-29", "2024-03-01", "1999-12-31", "2024-02-29 "]),
    "BLOB": st.one_of(st.integers(0, 5), st.sampled_from(["a", "A", "1"])),
}
COLLATIONS = ["", "", "COLLATE NOCASE", "COLLATE RTRIM"]


@dataclass
class Table:
    """A table: columns as (name, type, collation), keys and foreign keys by column names, and its rows."""

    name: str
    columns: list[tuple[str, str, str]]
    primary: list[str] = field(default_factory=list)
    unique: list[list[str]] = field(default_factory=list)
    foreign: list[tuple[list[str], str, list[str]]] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def has_rowid_key(self) -> bool:
        return len(self.primary) == 1 and self.type_of(self.primary[0]) == "INTEGER"

    def type_of(self, column: str) -> str:
        return next(kind for name, kind, _ in self.columns if name == column)

    def declared(self, column: str) -> str:
        return next(" ".join(parts) for parts in self.columns if parts[0] == column)

    @property
    def keys(self) -> list[list[str]]:
        return [key for key in (self.primary, *self.unique) if key]

    def ddl(self, *, keyed: bool) -> str:
        parts = [self.declared(name) for name, _, _ in self.columns]
        if keyed:
            if self.primary:
                parts.append(f"PRIMARY KEY ({', '.join(self.primary)})")
            parts += [f"UNIQUE ({', '.join(key)})" for key in self.unique]
        parts += [
            f"FOREIGN KEY ({', '.join(own)}) REFERENCES {parent} ({', '.join(theirs)})"
            for own, parent, theirs in self.foreign
            if keyed
        ]
        return f"CREATE TABLE {self.name} ({', '.join(parts)});"


@st.composite
def tables_strategy(draw: st.DrawFn, most_rows: int) -> list[Table]:
    tables = []
    for name in ("one", "two", "three")[: draw(st.integers(1, 3))]:
        count = draw(st.integers(1, 4))
        columns = []
        for column in "abcd"[:count]:
            kind = draw(st.sampled_from(sorted(VALUES)))
            columns.append((column, kind, draw(st.sampled_from(COLLATIONS)) if kind == "TEXT" else ""))
        names = [column for column, _, _ in columns]
        subset = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
        table = Table(name, columns)
        if draw(st.booleans()):
            table.primary = draw(subset)
        table.unique = draw(st.lists(subset, max_size=2, unique_by=frozenset))
        table.unique = [key for key in table.unique if set(key) != set(table.primary)]
        tables.append(table)
    parents = [(table.name, key) for table in tables for key in table.keys]
    for table in tables:
        for parent, key in draw(st.lists(st.sampled_from(parents), max_size=2)) if parents else ():
            if len(key) <= len(table.columns):
                names = [name for name, _, _ in table.columns]
                own = draw(
                    st.lists(st.sampled_from(names), min_size=len(key), max_size=len(key), unique=True)
                )
                table.foreign.append((own, parent, key))
    for table in tables:
        values = [st.one_of(st.none(), VALUES[kind]) if table.primary != [name] or kind != "INTEGER" else VALUES[kind]
                  for name, kind, _ in table.columns]  # fmt: skip
        table.rows = draw(st.lists(st.tuples(*values), max_size=most_rows))
    return tables


class Oracle:
    """The same rows in a plain SQLite without keys, and what breaks them by its own comparisons."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = {table.name: table for table in tables}
        self.db = apsw.Connection(":memory:")
        for table in tables:
            self.db.execute(table.ddl(keyed=False))

    def insert(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * len(table.columns))
        self.db.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)

    def violations(self) -> Counter[tuple[str, str, tuple[str, ...]]]:
        """How many rows break each constraint: (table, kind, columns)."""
        found: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
        for table in self.tables.values():
            for key in table.keys:
                kind = "PRIMARY KEY" if key == table.primary else "UNIQUE"
                found[table.name, kind, tuple(key)] += self._repeated(table, key)
            for foreign in table.foreign:
                found[table.name, "FOREIGN KEY", tuple(foreign[0])] += self._orphans(table, *foreign)
        return +found

    def _repeated(self, table: Table, key: Sequence[str]) -> int:
        present = " AND ".join(f"{name} IS NOT NULL" for name in key)
        counts = f"SELECT count(*) AS n FROM {table.name} WHERE {present} GROUP BY {', '.join(key)}"
        return int(self.db.execute(f"SELECT ifnull(sum(n - 1), 0) FROM ({counts})").get)

    def _orphans(self, table: Table, own: Sequence[str], parent: str, theirs: Sequence[str]) -> int:
        """By PRAGMA foreign_key_check, on a parent that has each key once and a child with these columns alone."""
        to = self.tables[parent]
        key = "PRIMARY KEY" if theirs == to.primary and to.has_rowid_key else "UNIQUE"
        parents, children = ", ".join(map(to.declared, theirs)), ", ".join(map(table.declared, own))
        listed = ", ".join(theirs)
        self.db.execute(
            f"""CREATE TABLE parent_keys ({parents}, {key} ({listed}));
                CREATE TABLE child_keys ({children}, FOREIGN KEY ({", ".join(own)}) REFERENCES parent_keys ({listed}));
                INSERT OR IGNORE INTO parent_keys SELECT {listed} FROM {parent};
                INSERT INTO child_keys SELECT {", ".join(own)} FROM {table.name};"""
        )
        found = len(self.db.execute("PRAGMA foreign_key_check(child_keys)").fetchall())
        self.db.execute("DROP TABLE child_keys; DROP TABLE parent_keys;")
        return found


def counted(violations: Sequence[Any]) -> Counter[tuple[str, str, tuple[str, ...]]]:
    return Counter((v.table, v.kind, v.columns) for v in violations)


def connect(
    tables: Sequence[Table], memory: int, batch: int, storage_format: str = "auto"
) -> colonnade.Connection:
    connection = colonnade.connect(":memory:")
    connection.execute("PRAGMA foreign_keys = on")
    connection.execute(f"PRAGMA memory_limit = {memory}")
    connection.execute(f"PRAGMA batch_size = {batch}")
    connection.execute(f"PRAGMA storage_format = {storage_format}")
    connection.executescript("".join(table.ddl(keyed=True) for table in tables))
    return connection


def text_of(value: Any) -> str:
    return NULL if value is None else str(value)


def as_csv(rows: Sequence[tuple[Any, ...]]) -> str:
    out = io.StringIO()
    for row in rows:
        # A quoted field is never NULL, an unquoted empty one is the empty text.
        out.write(",".join(text_of(v) if v is None or "," not in str(v) else f'"{v}"' for v in row) + "\n")
    return out.getvalue()


def rows_of(db: Any, table: Table) -> list[tuple[Any, ...]]:
    order = ", ".join(f"typeof({name}), {name} COLLATE BINARY" for name, _, _ in table.columns)
    rows = db.execute(f"SELECT * FROM {table.name} ORDER BY {order}").fetchall()
    return [tuple((type(value), value) for value in row) for row in rows]


def check_files(tables: list[Table], memory: int, batch: int, *, bulk_load: bool) -> None:
    """Loading CSV files in report mode."""
    oracle = Oracle(tables)
    with tempfile.TemporaryDirectory() as folder:
        for table in tables:
            path = Path(folder, f"{table.name}.csv")
            path.write_text(as_csv(table.rows), encoding="utf-8")
            fields = [tuple(map(text_of, row)) for row in table.rows]
            oracle.insert(table, [tuple(None if f == NULL else f for f in row) for row in fields])
        connection = connect(tables, memory, batch)
        options = LoadOptions(
            on_violation="report",
            null=NULL,
            header="no",
            memory_limit=memory,
            batch_size=batch,
            bulk_load=bulk_load,
        )
        report = connection.load(folder, options=options)
        expected = oracle.violations()
        note(f"expected {expected}")
        assert counted(report.violations) == expected
        assert report.violation_count == expected.total()
        assert report.committed == (not expected)
        for table in tables:
            theirs = rows_of(oracle.db, table) if report.committed else []
            assert rows_of(connection, table) == theirs
        assert_sound(connection)
        connection.close()
    oracle.db.close()


def check_bulk(tables: list[Table], memory: int, batch: int, storage_format: str) -> None:
    """executemany in bulk mode, children in any order, and COMMIT."""
    oracle = Oracle(tables)
    connection = connect(tables, memory, batch, storage_format)
    connection.execute("PRAGMA bulk_load = on")
    for table in reversed(tables):
        oracle.insert(table, table.rows)
        marks = ", ".join("?" * len(table.columns))
        half = len(table.rows) // 2
        connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", table.rows[:half])
        for row in table.rows[half:]:
            connection.execute(f"INSERT INTO {table.name} VALUES ({marks})", row)
    expected = oracle.violations()
    note(f"expected {expected}")
    if expected:
        with pytest.raises(colonnade.IntegrityError) as caught:
            connection.commit()
        error: Any = caught.value
        assert sum(error.counts.values()) == expected.total()
        if expected.total() <= 100:
            assert counted(error.violations) == expected
        connection.rollback()
        assert [rows_of(connection, table) for table in tables] == [[] for _ in tables]
    else:
        connection.commit()
        for table in tables:
            assert rows_of(connection, table) == rows_of(oracle.db, table)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert_sound(connection)
    connection.close()
    oracle.db.close()


def assert_sound(connection: colonnade.Connection) -> None:
    connection.execute("PRAGMA bulk_load = off")
    assert connection.execute("PRAGMA constraint_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


LIMITS = st.sampled_from([1 << 20, 16 << 20])
BATCHES = st.sampled_from([1, 3, 8, 0])


@given(tables_strategy(12), LIMITS, BATCHES, st.booleans())
@settings(max_examples=160, deadline=None, suppress_health_check=SUPPRESSED)
def test_files_report_exactly_the_violations(
    tables: list[Table], memory: int, batch: int, bulk_load: bool
) -> None:
    check_files(tables, memory, batch, bulk_load=bulk_load)


@given(tables_strategy(12), LIMITS, BATCHES, st.sampled_from(["auto", "column"]))
@settings(max_examples=120, deadline=None, suppress_health_check=SUPPRESSED)
def test_bulk_load_finds_exactly_the_violations(
    tables: list[Table], memory: int, batch: int, storage_format: str
) -> None:
    check_bulk(tables, memory, batch, storage_format)


@pytest.mark.slow
@given(tables_strategy(60), LIMITS, BATCHES, st.booleans())
@settings(max_examples=1500, deadline=None, suppress_health_check=SUPPRESSED)
def test_files_report_exactly_the_violations_of_many_rows(
    tables: list[Table], memory: int, batch: int, bulk_load: bool
) -> None:
    check_files(tables, memory, batch, bulk_load=bulk_load)


@pytest.mark.slow
@given(tables_strategy(60), LIMITS, BATCHES, st.sampled_from(["auto", "column"]))
@settings(max_examples=1500, deadline=None, suppress_health_check=SUPPRESSED)
def test_bulk_load_finds_exactly_the_violations_of_many_rows(
    tables: list[Table], memory: int, batch: int, storage_format: str
) -> None:
    check_bulk(tables, memory, batch, storage_format)
