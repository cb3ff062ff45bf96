"""Two connections in lockstep: sqlite3 and Colonnade in bulk load get the same calls and must agree on each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import colonnade
from tests.driver.twins import outcome, typed

Make = Callable[..., "Lockstep"]
Rows = Iterable[Any] | Callable[[Any], Iterable[Any]]


KEYED = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, price DECIMAL(10, 2));
    CREATE TABLE c(a TEXT, b REAL, p REFERENCES p, q INTEGER DEFAULT 7, PRIMARY KEY(a, b));
    CREATE TABLE plain(a, b INTEGER, c TEXT);
"""


def parents(count: int, start: int = 1) -> list[tuple[Any, ...]]:
    return [(n, f"name {n}", f"{n}.50" if n % 2 else n) for n in range(start, start + count)]


def class_of(call: Callable[[], Any]) -> str:
    """Only the class of an error: the messages of mixed styles differ between versions of Python."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "fine"


class Lockstep:
    """Every call goes to both; what can be seen of it is compared at once.

    Rows that can be read only once, or that need the connection, are given as a function of it.
    """

    def __init__(
        self,
        script: str = "",
        *,
        storage_format: str = "auto",
        batch_size: int = 0,
        foreign_keys: bool = True,
        isolation_level: str | None = "",
        database: str = ":memory:",
    ) -> None:
        self.theirs = sqlite3.connect(":memory:", isolation_level=isolation_level)
        self.ours = colonnade.connect(database, isolation_level=isolation_level)
        self.apart: dict[Any, int] = {}  # changes that one of them alone was told to make
        self.cursors = (self.theirs.cursor(), self.ours.cursor())
        for connection in (self.theirs, self.ours):
            connection.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
            connection.executescript(script)
        self.ours.execute(f"PRAGMA storage_format = {storage_format}")
        self.ours.execute(f"PRAGMA batch_size = {batch_size}")
        self.ours.execute("PRAGMA bulk_load = on")

    def both(self, call: Callable[[Any], Any]) -> Any:
        """`call(cursor)` on both; an equal outcome, and equal facts afterwards."""
        seen = []
        # sqlite3 may not look at foreign keys before COMMIT either.
        self.theirs.execute("PRAGMA defer_foreign_keys = ON")
        for cursor in self.cursors:
            result = typed(outcome(lambda cursor=cursor: call(cursor)))
            connection = cursor.connection
            seen.append(
                {
                    "result": result,
                    "description": cursor.description,
                    "rowcount": cursor.rowcount,
                    "lastrowid": cursor.lastrowid,
                    "in_transaction": connection.in_transaction,
                    "total_changes": connection.total_changes - self.apart.get(connection, 0),
                }
            )
        expected, got = seen
        wrong = {name: (expected[name], got[name]) for name in expected if got[name] != expected[name]}
        assert not wrong, f"{{what: (sqlite3's, Colonnade's)}} = {wrong}"
        return expected["result"]

    def ours_alone(self, sql: str, parameters: Any = ()) -> Any:
        before = self.ours.total_changes
        cursor = self.ours.execute(sql, parameters)
        self.apart[self.ours] = self.apart.get(self.ours, 0) + self.ours.total_changes - before
        return cursor

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        return self.both(lambda cursor: cursor.execute(sql, parameters))

    def many(self, sql: str, rows: Rows) -> Any:
        def call(cursor: Any) -> Any:
            return cursor.executemany(sql, rows(cursor.connection) if callable(rows) else rows)

        return self.both(call)

    def script(self, sql: str) -> Any:
        return self.both(lambda cursor: cursor.executescript(sql))

    def query(self, sql: str, parameters: Any = ()) -> Any:
        return self.both(lambda cursor: cursor.execute(sql, parameters).fetchall())

    def commit(self) -> None:
        assert self.both(lambda cursor: cursor.connection.commit()) is None
        self.check()

    def rollback(self) -> None:
        self.both(lambda cursor: cursor.connection.rollback())
        self.check()

    def check(self) -> None:
        """Every table of every schema holds the same rows under the same rowids, in the same order."""
        listed = self.theirs.execute("PRAGMA table_list").fetchall()
        for schema, name, kind, _, without_rowid, _ in listed:
            if kind != "table" or name.endswith(("sqlite_schema", "sqlite_temp_schema")):
                continue
            columns = "*" if without_rowid or name == "sqlite_sequence" else "rowid, *"
            quoted = name.replace('"', '""')
            query = f'SELECT {columns} FROM {schema}."{quoted}"'
            expected, got = (typed(c.execute(query).fetchall()) for c in (self.theirs, self.ours))
            assert got == expected, (name, sorted(set(expected) ^ set(got), key=str)[:6])

    def done(self) -> None:
        """Commit, check, and check again after bulk load was switched off."""
        self.commit()
        self.ours.execute("PRAGMA bulk_load = off")
        self.check()
        assert self.ours.execute("PRAGMA constraint_check").fetchall() == []
        assert self.ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        self.close()

    def close(self) -> None:
        self.theirs.close()
        self.ours.close()
