"""Runs a sqllogictest file on Colonnade and on plain SQLite, and reports where Colonnade differs.

What a file expects was recorded with the SQLite of its day, and since then a few results changed on purpose or
by chance: the order of rows without ORDER BY, the last digits of a REAL, which statements are errors. So what
counts is plain SQLite of the version that Colonnade uses (apsw's), which runs every record next to it. Where
both agree, a result that the file does not expect is only counted (`Outcome.outdated`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import apsw

import colonnade
from tests.slt.script import Query, Record, Statement
from tests.slt.values import Row, digest, lines, shown

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
SHOWN = 5  # failures of a file that its report spells out
_SHOWN_CHARACTERS = 600


class Engine(Protocol):
    """What runs the records of one file."""

    def execute(self, sql: str) -> None:
        """Run what may be several statements. Raises the engine's own errors, as `query` does"""

    def query(self, sql: str) -> list[Row]:
        """Run a query; all its rows."""


class Sqlite:
    """Plain SQLite, the oracle."""

    def __init__(self) -> None:
        self._db = apsw.Connection(":memory:")

    def execute(self, sql: str) -> None:
        for _ in self._db.execute(sql):
            pass

    def query(self, sql: str) -> list[Row]:
        return self._db.execute(sql).fetchall()

    def close(self) -> None:
        self._db.close()


class Colonnade:
    """A Colonnade connection with one storage format.

    storage_format   "row", "auto" or "column"
    load_first       with "column": whatever comes before the first query runs in row format, as there a
                     table is frozen anew after each INSERT, then all tables turn to column format
    batch_size       rows of a row group; 0: what the write hints say

    In column format a look at PRAGMA storage_report precedes the first query after a statement: each table that
    can be in column format and has rows must be. `frozen` counts, by the table's name, the queries for which one
    was. A write that changes nothing is sent ahead of that where no write comes by itself: after loading, after a
    statement that failed, and after DROP TRIGGER, which lets a table into column format that the trigger kept out.
    """

    def __init__(self, storage_format: str, *, load_first: bool = False, batch_size: int = 0) -> None:
        self._connection = colonnade.connect(":memory:", isolation_level=None)
        self._format = storage_format
        self._loading = self._unfrozen = load_first
        self._changed = True
        self._frozen_now: list[str] = []
        self.frozen: Counter[str] = Counter()
        self._connection.execute(f"PRAGMA storage_format = {'row' if load_first else storage_format}")
        self._connection.execute(f"PRAGMA batch_size = {batch_size}")

    def execute(self, sql: str) -> None:
        self._changed = True
        self._unfrozen |= sql.upper().startswith("DROP TRIGGER")
        try:
            if ";" in sql.rstrip().rstrip(";"):
                self._connection.executescript(sql)
            else:
                self._connection.execute(sql).fetchall()
        except colonnade.Error:
            self._unfrozen = True
            raise

    def query(self, sql: str) -> list[Row]:
        if self._format == "column":
            if self._changed:
                self._freeze()
                self._frozen_now = self.tables_in_column_format()
                self._changed = False
            self.frozen.update(self._frozen_now)
        return self._connection.execute(sql).fetchall()

    def close(self) -> None:
        self._connection.close()

    def _freeze(self) -> None:
        if self._loading:
            self._connection.execute("PRAGMA storage_format = column")
        if self._unfrozen:
            for name, *_ in self._connection.execute("PRAGMA storage_report").fetchall():
                self._connection.execute(f'DELETE FROM "{name}" WHERE 0')
        self._loading = self._unfrozen = False

    def tables_in_column_format(self) -> list[str]:
        """Their names. Raises AssertionError for a table that should be one of them, if all should"""
        frozen = []
        for name, storage_format, rows, *_, reason in self._connection.execute("PRAGMA storage_report"):
            if storage_format == "column":
                frozen.append(name)
            elif self._format == "column":
                assert reason is not None or not rows, f"{name} is in {storage_format} format"
        return frozen


@dataclass(frozen=True, slots=True)
class Failure:
    """A record on which Colonnade differs from plain SQLite, or labelled results differ."""

    line: int
    sql: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        expected, got = (_cut(repr(value)) for value in (self.expected, self.got))
        return f"line {self.line}: {_cut(self.sql)}\n  expected {expected}\n  got      {got}"


@dataclass(slots=True)
class Outcome:
    """What came of a file: records run, results that only the file has otherwise, failures."""

    file: str
    run: int = 0
    outdated: int = 0
    failures: list[Failure] = field(default_factory=list)

    def report(self) -> str:
        """The first failures, for an assertion; empty if there is none."""
        if not self.failures:
            return ""
        head = f"{len(self.failures)} of {self.run} records of {self.file} failed"
        return "\n".join([head, *(f"{self.file}, {failure}" for failure in self.failures[:SHOWN])])


def run(file: str, records: Iterable[Record], ours: Engine, oracle: Engine) -> Outcome:
    """Run all records on both engines, in one pass; then compare the schemas and all rows with their rowids."""
    outcome = Outcome(file)
    labelled: dict[str, str] = {}
    record: Record = Statement(0, "", fails=False)
    for record in records:
        outcome.run += 1
        if isinstance(record, Statement):
            _run_statement(record, ours, oracle, outcome)
        else:
            _run_query(record, ours, oracle, outcome, labelled)
    for sql in (SCHEMA, *(f'SELECT rowid, * FROM "{name}"' for name in tables(oracle))):
        expected, got = _rows(oracle, sql), _rows(ours, sql)
        if got != expected:
            outcome.failures.append(Failure(record.line, f"{sql} -- at the end", expected, got))
    return outcome


def tables(engine: Engine) -> list[str]:
    """The names of all tables."""
    return [name for kind, name, *_ in engine.query(SCHEMA) if kind == "table"]


def _run_statement(record: Statement, ours: Engine, oracle: Engine, outcome: Outcome) -> None:
    expected, got = _error(oracle, record.sql), _error(ours, record.sql)
    if got != expected:
        outcome.failures.append(Failure(record.line, record.sql, expected or "success", got or "success"))
    elif (expected is not None) != record.fails:
        outcome.outdated += 1


def _run_query(
    record: Query, ours: Engine, oracle: Engine, outcome: Outcome, labelled: dict[str, str]
) -> None:
    expected, got = _result(oracle, record), _result(ours, record)
    if got != expected:
        outcome.failures.append(Failure(record.line, record.sql, expected, got))
    # A query that fails counts as one without rows: the format has no word for it.
    values = [] if isinstance(got, str) else got[0]
    if shown(values, record.threshold) != record.expected:
        outcome.outdated += got == expected
    if record.label:
        mark = digest(values)
        if labelled.setdefault(record.label, mark) != mark:
            outcome.failures.append(
                Failure(record.line, record.sql, f"the values of label {record.label}", values)
            )


def _error(engine: Engine, sql: str) -> str | None:
    """The message with which the SQL fails, or None."""
    try:
        engine.execute(sql)
    except (apsw.Error, colonnade.Error) as error:
        return f"error: {error}"
    return None


def _result(engine: Engine, record: Query) -> tuple[list[str], list[str]] | str:
    """The values as a file would hold them and their types, or the message with which the query fails."""
    rows = _rows(engine, record.sql)
    if isinstance(rows, str):
        return rows
    try:
        values = lines(rows, record.types, record.sort)
    except ValueError as error:
        return f"error: {error}"
    classes = [type(value).__name__ for row in rows for value in row]
    return values, classes if record.sort == "nosort" else sorted(classes)


def _rows(engine: Engine, sql: str) -> list[Row] | str:
    """The rows of a query, or the message with which it fails."""
    try:
        return engine.query(sql)
    except (apsw.Error, colonnade.Error) as error:
        return f"error: {error}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
