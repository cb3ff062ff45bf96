"""Keys in random order at twenty times the memory limit: spilled, within the limit, and with SQLite's answer."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
import pytest

import colonnade

TIMES = 20  # the keys of one column take so many times the memory limit
KINDS = ("single", "composite", "text", "blob")
TYPES = {"single": "INTEGER", "composite": "INTEGER, b INTEGER", "text": "TEXT", "blob": "BLOB"}
KEY_BYTES = {"single": 8, "composite": 16, "text": 11, "blob": 16}


def keys_of(kind: str, numbers: Any) -> list[tuple[Any, ...]]:
    """A key for each number, in its order."""
    if kind == "single":
        return [(n * 1_000_003,) for n in numbers.tolist()]
    if kind == "composite":
        return [(n // 7 * 1_000_003, n % 7) for n in numbers.tolist()]
    if kind == "text":
        return [(f"k{n:010d}",) for n in numbers.tolist()]
    return [(n.to_bytes(8, "big") * 2,) for n in numbers.tolist()]


def made(kind: str, count: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Keys of a parent, of which some repeat, and of a child, of which some have no parent."""
    rng = np.random.default_rng(5)
    parents = rng.permutation(count)
    parents[rng.integers(0, count, 9)] = parents[:9]
    children = rng.integers(0, count, count)
    children[rng.integers(0, count, 7)] = count + np.arange(7)
    return keys_of(kind, parents), keys_of(kind, children)


def ddl(kind: str) -> str:
    names = "a, b" if kind == "composite" else "a"
    return (
        f"CREATE TABLE parent (a {TYPES[kind]}, PRIMARY KEY ({names}));"
        f"CREATE TABLE child (a {TYPES[kind]}, FOREIGN KEY ({names}) REFERENCES parent ({names}));"
    ).replace("a INTEGER, PRIMARY KEY (a)", "a INT, PRIMARY KEY (a)")


def expected(kind: str, parents: list[Any], children: list[Any]) -> tuple[set[Any], set[Any]]:
    """The rowids of parents whose key was there before, and of children without a parent, by sqlite3."""
    oracle = sqlite3.connect(":memory:")
    marks = ", ".join("?" * len(parents[0]))
    oracle.executescript(ddl(kind))
    repeated = set()
    for rowid, key in enumerate(parents, 1):
        try:
            oracle.execute(f"INSERT INTO parent VALUES ({marks})", key)
        except sqlite3.IntegrityError:
            repeated.add(rowid)
    oracle.executemany(f"INSERT INTO child VALUES ({marks})", children)
    orphans = {rowid for _, rowid, _, _ in oracle.execute("PRAGMA foreign_key_check")}
    oracle.close()
    return repeated, orphans


def check(kind: str, count: int) -> None:
    parents, children = made(kind, count)
    repeated, orphans = expected(kind, parents, children)
    assert repeated
    assert orphans
    limit = KEY_BYTES[kind] * count // TIMES
    marks = ", ".join("?" * len(parents[0]))
    for bulk_load in ("on", "off"):
        connection = colonnade.connect(":memory:")
        connection.executescript(ddl(kind))
        connection.execute("PRAGMA foreign_keys = on")
        connection.execute(f"PRAGMA memory_limit = {limit}")
        connection.execute("PRAGMA bulk_load = on")
        connection.executemany(f"INSERT INTO parent VALUES ({marks})", parents)
        connection.executemany(f"INSERT INTO child VALUES ({marks})", children)
        if bulk_load == "on":  # at COMMIT
            with pytest.raises(colonnade.IntegrityError) as caught:
                connection.commit()
            found = caught.value.violations
        else:  # and on demand
            cursor = connection.execute("PRAGMA constraint_check")
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
        rowids = {
            table: {v["rowid"] if isinstance(v, dict) else v.rowid for v in found if table == table_of(v)}
            for table in ("parent", "child")
        }
        assert rowids == {"parent": repeated, "child": orphans}
        stats = connection.constraint_stats()
        assert len(stats) == 2
        for figures in stats:
            assert figures["spilled_bytes"] > 0, figures
            assert 0 == figures["cache_bytes"] < figures["cache_peak"] <= limit, figures
        connection.rollback()
        connection.close()


def table_of(violation: Any) -> str:
    table: str = violation["table"] if isinstance(violation, dict) else violation.table
    return table


@pytest.mark.storage_format("auto", "column", reason="SQLite's own index checks a table in row format")
@pytest.mark.parametrize("kind", KINDS)
def test_keys_at_twenty_times_the_limit_are_validated_by_spilling(kind: str) -> None:
    check(kind, 30_000)


@pytest.mark.slow
@pytest.mark.storage_format("auto", "column", reason="SQLite's own index checks a table in row format")
@pytest.mark.parametrize("kind", KINDS)
def test_a_million_keys_at_twenty_times_the_limit(kind: str) -> None:
    check(kind, 1_000_000)
