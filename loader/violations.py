"""Violations: what a constraint check found, as batches of rows on the way and as objects for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from colonnade.store.values import Column, IntArray, SQLiteValue, to_python

PRIMARY_KEY, UNIQUE, FOREIGN_KEY = "PRIMARY KEY", "UNIQUE", "FOREIGN KEY"

# (table, group id or None for the row part, positions in the group) -> (source, lines or None), or None if unknown
Locate = Callable[[str, int | None, IntArray], tuple[str, IntArray | None] | None]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One PRIMARY KEY, UNIQUE or FOREIGN KEY of one table; the names are the user's."""

    table: str
    kind: str
    columns: tuple[str, ...]
    name: str | None = None
    parent: str | None = None
    parent_columns: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name if it has one, else what it says: "UNIQUE (a, b)", "FOREIGN KEY (a) REFERENCES p (b)"."""
        return self.name or self.description

    @property
    def description(self) -> str:
        """Kind, name if it has one, columns, and what they refer to."""
        text = f"{self.kind}{f' {self.name}' if self.name else ''} ({', '.join(self.columns)})"
        if self.parent is not None:
            text += f" REFERENCES {self.parent} ({', '.join(self.parent_columns)})"
        return text

    @property
    def message(self) -> str:
        """SQLite's own message when a row breaks it."""
        if self.kind == FOREIGN_KEY:
            return "FOREIGN KEY constraint failed"
        return "UNIQUE constraint failed: " + ", ".join(f"{self.table}.{column}" for column in self.columns)


@dataclass(frozen=True, slots=True)
class ViolationBatch:
    """Rows of one segment that break one constraint; parallel arrays of n rows.

    group_id   the row group, None for the row part or a table in row format
    positions  (n,) int64, of the rows within the row group or, without one, in the order read
    rowids     (n,) int64; None for a table WITHOUT ROWID
    values     the constraint's columns, in its order
    """

    constraint: Constraint
    group_id: int | None
    positions: IntArray
    rowids: IntArray | None
    values: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def slice(self, start: int, count: int) -> ViolationBatch:
        stop = start + count
        rowids = None if self.rowids is None else self.rowids[start:stop]
        values = tuple(column.slice(start, count) for column in self.values)
        return ViolationBatch(self.constraint, self.group_id, self.positions[start:stop], rowids, values)


@dataclass(frozen=True, slots=True)
class Violation:
    """One row that breaks one constraint."""

    table: str
    constraint: str
    kind: str
    rowid: int | None
    source: str | None
    line: int | None
    columns: tuple[str, ...]
    values: tuple[SQLiteValue, ...]
    parent: str | None
    message: str

    def describe(self) -> str:
        """One line: where the row is, what it breaks, and with which key."""
        where = f"{self.source}:{self.line}: " if self.source and self.line else ""
        if not where and self.source:
            where = f"{self.source}: "
        row = self.table if self.rowid is None else f"{self.table} row {self.rowid}"
        key = ", ".join(f"{c} = {_short(v)}" for c, v in zip(self.columns, self.values, strict=True))
        missing = f", not in {self.parent}" if self.parent is not None else ""
        named = ""
        if self.kind in (PRIMARY_KEY, UNIQUE, FOREIGN_KEY) and not self.constraint.startswith(self.kind):
            named = f": {self.constraint}"
        given = f" ({key}{missing})" if self.columns else ""
        return f"{where}{row}: {self.message}{named}{given}"


def _short(value: SQLiteValue) -> str:
    text = "NULL" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class ViolationSink(Protocol):
    """Takes what the validators find, on the connection's thread, one batch after another."""

    def add(self, batch: ViolationBatch) -> None:
        """Called once per batch; a row comes once per constraint that it breaks."""


def violations(batch: ViolationBatch, locate: Locate | None = None) -> Iterator[Violation]:
    """The rows of `batch` as objects."""
    of = batch.constraint
    rowids = [None] * len(batch) if batch.rowids is None else batch.rowids.tolist()
    values = zip(*(to_python(column) for column in batch.values), strict=True)
    found = locate(of.table, batch.group_id, batch.positions) if locate and len(batch) else None
    source, known = found or (None, None)
    lines = [None] * len(batch) if known is None else known.tolist()
    label, message = of.label, of.message
    for rowid, line, key in zip(rowids, lines, values, strict=True):
        yield Violation(of.table, label, of.kind, rowid, source, line, of.columns, key, of.parent, message)


class Kept(Protocol):
    """Violations that are kept: a list, or a ViolationLog where there may be any number."""

    def extend(self, found: Iterable[Violation], /) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Violation]: ...

    def __getitem__(self, place: int, /) -> Violation: ...


@dataclass(slots=True)
class CountedViolations:
    """A sink that counts all and keeps the first `keep` as objects. `keep=None` keeps all."""

    keep: int | None = 100
    locate: Locate | None = None
    kept: Kept = field(default_factory=list[Violation])
    counts: dict[Constraint, int] = field(default_factory=dict)

    def add(self, batch: ViolationBatch) -> None:
        self.counts[batch.constraint] = self.counts.get(batch.constraint, 0) + len(batch)
        room = len(batch) if self.keep is None else self.keep - len(self.kept)
        if room > 0:
            self.kept.extend(violations(batch.slice(0, min(room, len(batch))), self.locate))

    @property
    def total(self) -> int:
        return sum(self.counts.values())
