"""Violations without end: the first in memory, the others in a temporary database of SQLite's, in the order found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, overload

import apsw

from colonnade.loader.violations import Violation
from colonnade.store.rawtext import read_rows

_IN_MEMORY = 10_000
_FIXED = ("what", "rowid_", "source", "line", "message", "width")
_AT_ONCE = 1000  # rows that are given to SQLite in one go

# table, constraint, kind, columns, parent: of as many kinds as there are constraints, not rows
_What = tuple[str, str, str, tuple[str, ...], str | None]


class ViolationLog(Sequence[Violation]):
    """Takes any number of violations in bounded memory. SQLite deletes its file with the log."""

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        """in_memory: how many are kept as they are."""
        self._first: list[Violation] = []
        self._in_memory = in_memory
        self._db: apsw.Connection | None = None
        self._stored = 0
        self._width = 0  # columns for key values
        self._whats: dict[_What, int] = {}
        self._by_number: list[_What] = []

    def extend(self, found: Iterable[Violation]) -> None:
        """Add violations behind those that are there."""
        found = iter(found)
        self._first.extend(islice(found, self._in_memory - len(self._first)))
        while some := list(islice(found, _AT_ONCE)):
            self._store(some)

    def append(self, violation: Violation) -> None:
        self.extend((violation,))

    def _store(self, some: Sequence[Violation]) -> None:
        if self._db is None:
            self._db = apsw.Connection("")
            self._db.execute("PRAGMA journal_mode = off")
            self._db.execute(f"CREATE TABLE found(place INTEGER PRIMARY KEY, {', '.join(_FIXED)})")
        widest = max(len(violation.values) for violation in some)
        for number in range(self._width, widest):
            self._db.execute(f"ALTER TABLE found ADD COLUMN value{number}")
        self._width = max(self._width, widest)
        marks = ", ".join("?" * (1 + len(_FIXED) + self._width))
        rows = (self._row(place, each) for place, each in enumerate(some, len(self)))
        with self._db:
            self._db.executemany(f"INSERT INTO found VALUES ({marks})", rows)
        self._stored += len(some)

    def _row(self, place: int, v: Violation) -> tuple[Any, ...]:
        what = v.table, v.constraint, v.kind, v.columns, v.parent
        number = self._whats.setdefault(what, len(self._by_number))
        if number == len(self._by_number):
            self._by_number.append(what)
        rest = (None,) * (self._width - len(v.values))
        return place, number, v.rowid, v.source, v.line, v.message, len(v.values), *v.values, *rest

    def __len__(self) -> int:
        return len(self._first) + self._stored

    @overload
    def __getitem__(self, place: int) -> Violation: ...
    @overload
    def __getitem__(self, place: slice) -> list[Violation]: ...
    def __getitem__(self, place: int | slice) -> Violation | list[Violation]:
        places = range(len(self))[place]
        if isinstance(places, range):
            if places.step == 1:
                return list(self._between(places.start, places.stop))
            return [self[each] for each in places]
        return next(self._between(places, places + 1))

    def __iter__(self) -> Iterator[Violation]:
        return self._between(0, len(self))

    def _between(self, start: int, stop: int) -> Iterator[Violation]:
        yield from self._first[start:stop]
        if self._db is None or stop <= len(self._first):
            return
        names = [*_FIXED, *(f"value{number}" for number in range(self._width))]
        clauses = "FROM found WHERE place >= ? AND place < ? ORDER BY place"
        for row in read_rows(self._db, names, clauses, (start, stop)):
            number, rowid, source, line, message, width, *values = row
            table, constraint, kind, columns, parent = self._by_number[number]
            yield Violation(
                table, constraint, kind, rowid, source, line, columns, tuple(values[:width]), parent, message
            )
