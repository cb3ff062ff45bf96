"""Rows and Arrow columns of vectorised answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from colonnade.plan import Columns
from colonnade.sql.select import Vector
from colonnade.sql.select.rules.asked import python_values

_ROWS = 2048
Batch = tuple[Vector, ...]


class Batches:
    """The batches of an answer, given once.

    columns  name and declared type of each column
    touched  some were given
    """

    __slots__ = ("_batches", "columns", "touched")

    def __init__(self, columns: Columns, batches: Iterator[Batch]) -> None:
        self.columns, self._batches, self.touched = columns, batches, False

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        self.touched = True
        return next(self._batches)


def to_rows(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch as SQLite's own types, of which few are made at a time: a row group may have many bytes."""
    count = len(batch[0])
    if count <= _ROWS:
        return zip(*map(python_values, batch), strict=True)
    starts = range(0, count, _ROWS)
    slices = ([vector.slice(start, min(_ROWS, count - start)) for vector in batch] for start in starts)
    return chain.from_iterable(zip(*map(python_values, some), strict=True) for some in slices)
