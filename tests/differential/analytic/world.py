"""Random small tables to ask questions of: columns of every affinity and class, rows in every place a row can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.differential.model import Step
from tests.differential.values import Value, quote

_WORDS = (
    "apple",
    "Apple",
    "pear",
    "PEAR",
    "fig",
    "fig ",
    "plum",
    "",
    "Zebra",
    "zebra",
    "été",
    "ÉTÉ",
    "日本",
    "a_b",
    "50%",
)
_FLAGS = ("A", "N", "R", "F", "O")
_EXTREMES = (2**63 - 1, -(2**63), 2**53, 2**53 + 1, 2**53 - 1, -(2**53) - 1, 2**62, 2**31, -1, 0, 1)
_WILD = (
    0.0,
    -0.0,
    1e308,
    -1e308,
    5e-324,
    0.1,
    1e15,
    9007199254740993.0,
    -2.5,
    3.0,
    9e999,
    1e-10,
    123456789.125,
)
_DIGITS = ("12", "007", "1.5", "1e3", " 5", "x1", "-3", "0", "12abc", "", "9223372036854775808")
_BLOBS = (b"", b"a", b"A", b"\x00\xff", b"12", "é".encode(), b"apple")
_MIXED = (1, 1.0, "1", b"1", 2, 2.5, "apple", "Apple", None, 0, -1, 10, "10", 1e15, "2024-01-31", b"")
_BAD_DATES = ("2024-02-30", "not a date", "", "2024-13-01", "0000-01-01", "2024-1-5", "12:30")


def _small(r: Random) -> Value:
    return r.randint(-5, 20)


def _money(r: Random) -> Value:
    """Decimals of two digits; one in four is integral."""
    return float(r.randint(-50, 400)) if r.random() < 0.25 else round(r.uniform(-100, 1000), 2)


def _date(r: Random) -> Value:
    if r.random() < 0.02:
        return r.choice(_BAD_DATES)
    return f"{r.randint(1992, 1998)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"


def _stamp(r: Random) -> Value:
    fraction = f".{r.randint(0, 999):03}" if r.random() < 0.2 else ""
    clock = f"{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}{fraction}"
    return f"{_date(r)}{r.choice('  T')}{clock}"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is in a column.

    value     makes one
    decls     what it may be declared as
    family    what an expression over it is: int, real, text, date or any
    tame      reals that can be added up in any order without losing more than the last digits
    """

    value: Callable[[Random], Value]
    decls: tuple[str, ...]
    family: str
    tame: bool = True


KINDS: dict[str, Kind] = {
    "small": Kind(_small, ("INTEGER", "INT", "BIGINT"), "int"),
    "extreme": Kind(lambda r: r.choice(_EXTREMES), ("INTEGER",), "int", tame=False),
    "money": Kind(_money, ("REAL", "DOUBLE", "FLOAT"), "real"),
    "wild": Kind(lambda r: r.choice(_WILD), ("REAL",), "real", tame=False),
    "decimal": Kind(_money, ("DECIMAL(15,2)", "NUMERIC"), "real"),
    "messy": Kind(
        lambda r: r.choice(("abc", "12 apples", "1e2")) if r.random() < 0.1 else _money(r),
        ("NUMERIC",),
        "any",
    ),
    "word": Kind(
        lambda r: r.choice(_WORDS),
        ("TEXT", "VARCHAR(20)", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM"),
        "text",
    ),
    "flag": Kind(lambda r: r.choice(_FLAGS), ("TEXT", "CHAR(1)"), "text"),
    "digits": Kind(lambda r: r.choice(_DIGITS), ("TEXT",), "text"),
    "date": Kind(_date, ("DATE", "TEXT"), "date"),
    "stamp": Kind(_stamp, ("DATETIME", "TEXT"), "date"),
    "blob": Kind(lambda r: r.choice(_BLOBS), ("BLOB",), "any"),
    "mixed": Kind(
        lambda r: r.choice(_MIXED), ("", "NUMERIC", "TEXT", "BLOB", "INTEGER", "REAL"), "any", tame=False
    ),
    "nothing": Kind(lambda r: None, ("INTEGER", "TEXT", "REAL"), "any"),
}
_COMMON = ("small", "money", "decimal", "word", "flag", "date", "small", "money", "word", "stamp")
_ODD = ("extreme", "wild", "messy", "digits", "blob", "mixed", "nothing")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `nulls`: the share of NULL in it."""

    name: str
    decl: str
    kind: str
    nulls: float

    @property
    def family(self) -> str:
        return KINDS[self.kind].family

    @property
    def tame(self) -> bool:
        return KINDS[self.kind].tame


@dataclass(slots=True)
class Table:
    """A table. Its first column is `id`, an ascending number without NULL; `frozen`: some rows are in row groups."""

    name: str
    columns: list[Column]
    rows: list[tuple[Value, ...]]
    frozen: bool = True


@dataclass(slots=True)
class World:
    """Tables, the largest first, views of it with their columns, and the steps that make them on both sides."""

    tables: list[Table]
    batch_size: int
    steps: list[Step] = field(default_factory=list)
    views: dict[str, list[str]] = field(default_factory=dict)


def world(r: Random) -> World:
    sizes = (r.randint(30, 120), r.randint(8, 40), r.choice((0, 1, r.randint(5, 25), r.randint(5, 25))))
    made = World([], r.choice((5, 16, 40)))
    for number, size in enumerate(sizes):
        made.tables.append(_table(r, f"t{number + 1}", size))
    for table in made.tables:
        made.steps += _steps(r, table, made.batch_size)
    _view(r, made)
    return made


def _table(r: Random, name: str, size: int) -> Table:
    kinds = [r.choice(_ODD if r.random() < 0.25 else _COMMON) for _ in range(r.randint(3, 6))]
    columns = [
        Column(
            "id", r.choice(("INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY", "INTEGER NOT NULL")), "small", 0
        ),
        Column("ref", r.choice(("INTEGER", "INT NOT NULL", "INTEGER")), "small", 0.1),
        Column("grp", "TEXT", "flag", r.choice((0, 0.1))),
    ]
    if "NOT NULL" in columns[1].decl:
        columns[1] = Column("ref", columns[1].decl, "small", 0)
    for number, kind in enumerate(kinds):
        decl = r.choice(KINDS[kind].decls)
        between = r.choice(("_", " ")) if r.random() < 0.1 else ""
        columns.append(Column(f"{kind}{between}{number}", decl, kind, r.choice((0, 0.05, 0.3))))
    rows: list[tuple[Value, ...]] = []
    identity = 0
    for _ in range(size):
        identity += r.choice((1, 1, 1, 2))
        rest = [None if r.random() < column.nulls else KINDS[column.kind].value(r) for column in columns[3:]]
        ref = None if r.random() < columns[1].nulls else r.randint(1, 30)
        grp = None if r.random() < columns[2].nulls else r.choice(_FLAGS)
        rows.append((identity, ref, grp, *rest))
    return Table(name, columns, rows, frozen=size > 1)


def _steps(r: Random, table: Table, batch_size: int) -> list[Step]:
    """Most rows in row groups, some of them deleted or thawed since, the last ones in the row part."""
    columns = ", ".join(f"{quote(column.name)} {column.decl}" for column in table.columns)
    steps = [Step("create table", f"CREATE TABLE {table.name} ({columns})")]
    insert = f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"
    frozen = len(table.rows) * r.choice((7, 9, 10, 10)) // 10
    for start in range(0, frozen, batch_size):
        part = table.rows[start : min(start + batch_size, frozen)]
        steps.append(Step("executemany", insert, part, "many"))
        if table.frozen:
            steps.append(Step("freeze", table.name, (), "freeze"))
    if frozen < len(table.rows):
        steps.append(Step("executemany", insert, table.rows[frozen:], "many"))
    if r.random() < 0.4:
        gone = {r.randint(1, len(table.rows) + 1) for _ in range(3)}
        steps += [Step("delete", f"DELETE FROM {table.name} WHERE id = {identity}") for identity in gone]
    if r.random() < 0.4:
        steps.append(Step("update", f"UPDATE {table.name} SET ref = 7 WHERE id IN (2, 11)"))
    if r.random() < 0.1:
        steps.append(
            Step("index", f"CREATE INDEX i_{table.name} ON {table.name}({r.choice(('ref', 'grp, ref'))})")
        )
    return steps


def _view(r: Random, made: World) -> None:
    table = made.tables[0]
    shown = [table.columns[0], *r.sample(table.columns[1:], 3)]
    names = ", ".join(quote(column.name) for column in shown)
    made.views["v1"] = [quote(column.name) for column in shown]
    made.steps.append(
        Step(
            "create view", f"CREATE VIEW v1 AS SELECT {names} FROM {table.name} WHERE ref > {r.randint(0, 6)}"
        )
    )
