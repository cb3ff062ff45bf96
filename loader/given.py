"""Rows of an INSERT that are given as columns, whatever they were read from, and appended by bulk load."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw

from colonnade.loader.rows import Chunk, RowShape
from colonnade.store.values import Column, IntArray, concat_columns


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows.

    columns     one Column of `row_count` values for each parameter of the INSERT; no affinity applied
    first_rows  (executions,) the first row of each execution that starts here, from 0; rows in front of
                them belong to the execution of the part before
    origin      for the caller: where the rows come from
    """

    columns: list[Column]
    row_count: int
    first_rows: IntArray
    origin: Any = None


class GivenRows:
    """Parts of the rows of consecutive executions of one INSERT.

    atomic  they are one execution: none of the rows stays if one of them is bad
    failed  the part and the number of the execution in it that an error ended
    """

    def __init__(self, parts: Iterable[Part], *, atomic: bool = False) -> None:
        self.atomic = atomic
        self._parts = iter(parts)
        self._read: deque[tuple[int, Part]] = deque()  # parts that are not stored yet, and their first rows
        self.failed: tuple[Part, int] | None = None
        self._last_first = 0  # the first row of the execution that was read last

    def __iter__(self) -> Iterator[Part]:
        return self._parts

    def chunks(self, shape: RowShape, db: apsw.Connection, batch_rows: Callable[[], int]) -> Iterator[Chunk]:
        """The rows in chunks of at most one batch."""
        waiting: list[list[Column]] = []
        count = position = 0
        for part in self:
            shape.check_width(len(part.columns))
            self._read.append((position, part))
            if len(part.first_rows):
                self._last_first = position + int(part.first_rows[-1])
            position += part.row_count
            start = 0
            while start < part.row_count:
                most = max(1, batch_rows())
                taken = max(0, min(part.row_count - start, most - count))
                waiting.append([column.slice(start, taken) for column in part.columns])
                start, count = start + taken, count + taken
                if count >= most:
                    yield _chunk(shape, db, waiting, count)
                    waiting, count = [], 0
        if count:
            yield _chunk(shape, db, waiting, count)

    def stored(self, count: int) -> None:
        """The first `count` rows are stored: forget the parts of them."""
        while self._read and self._read[0][0] + self._read[0][1].row_count <= count:
            self._read.popleft()

    def fail(self, row: int) -> int:
        """The execution that brought `row` failed; returns its first row, or a stored one if it began there."""
        for first, part in reversed(self._read):
            begun = [number for number, start in enumerate(part.first_rows.tolist()) if first + start <= row]
            if begun:
                self.failed = part, begun[-1]
                self._last_first = (
                    int(part.first_rows[begun[-1] - 1]) + first if begun[-1] else max(0, first - 1)
                )
                return first + int(part.first_rows[begun[-1]])
        return 0

    def last(self, count: int) -> int | None:
        """How many of the `count` rows stored the last execution brought; None if there are none."""
        return count - self._last_first if count else None


def _chunk(shape: RowShape, db: apsw.Connection, pieces: list[list[Column]], count: int) -> Chunk:
    given = [concat_columns(columns) for columns in zip(*pieces, strict=True)]
    return Chunk(given, count, shape.computed_defaults(db, count), None)
