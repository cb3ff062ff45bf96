"""Key sources: the key columns of one table's rows, segment by segment, however the rows are stored.

A validator sees a table only through this interface: row groups, the row part and a table in row format
are all segments with a zone, some integer ranges and a way to read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

from colonnade.loader.pipeline import in_order
from colonnade.store.keyindex import KeyZone
from colonnade.store.values import Column, IntArray

T = TypeVar("T")

NO_INTS = (1, 0)  # the range of a column whose every value is NULL


@dataclass(frozen=True, slots=True)
class Segment:
    """Some rows of a table: a row group, the row part, or the whole of a table in row format.

    group_id  None for the row part and for a table in row format
    row_count live rows
    checked   nobody owes them a check: a key occurs once among all checked segments together
    zone      bounds of the key; None: unknown
    ranges    per key column (min, max) if it holds only integers and NULLs (NO_INTS: only NULLs), else None
    whole     every row has all parts of its key, and none was deleted since `ranges` were taken
    """

    group_id: int | None
    row_count: int
    checked: bool
    zone: KeyZone | None
    ranges: tuple[tuple[int, int] | None, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class KeyRows:
    """Decoded rows of one segment: its key columns, and where the rows are (see ViolationBatch).

    rowids  None where they were not read; KeySource.rowids tells those that matter
    """

    columns: tuple[Column, ...]
    positions: IntArray
    rowids: IntArray | None

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, rows: IntArray) -> KeyRows:
        rowids = None if self.rowids is None else self.rowids[rows]
        return KeyRows(tuple(column.take(rows) for column in self.columns), self.positions[rows], rowids)


class KeySource(Protocol):
    """The key columns of one table."""

    def segments(self) -> Sequence[Segment]:
        """In the order that decides which of two equal keys came first: checked row groups, the row
        part, then unchecked row groups as written. A row that was valid before is never the second."""

    def read(self, segment: Segment) -> Iterator[Callable[[], KeyRows]]:
        """Fetches on the calling thread; each result decodes some of the rows, in any thread."""

    def rowids(self, segment: Segment, positions: IntArray) -> IntArray | None:
        """The rowids of rows that `read` gave without any; None if the table has no rowids."""


class Workers:
    """A few threads that decode and compare while the calling thread fetches; results come in order."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "colonnade-check") if threads > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def ordered(self, tasks: Iterable[Callable[[], T]]) -> Iterator[T]:
        """Each task's result. At most `threads + 1` tasks are under way, so memory does not pile up."""
        if self._pool is None:
            return (task() for task in tasks)
        return in_order(self._pool, _call, tasks, self.threads)

    def scan(
        self, source: KeySource, segments: Iterable[Segment], work: Callable[[Segment, KeyRows], T]
    ) -> Iterator[T]:
        """`work` over the rows of `segments`, its results in row order."""

        def tasks() -> Iterator[Callable[[], T]]:
            for segment in segments:
                for decode in source.read(segment):
                    yield _bound(work, segment, decode)

        return self.ordered(tasks())


def _call(task: Callable[[], T]) -> T:
    return task()


def _bound(
    work: Callable[[Segment, KeyRows], T], segment: Segment, decode: Callable[[], KeyRows]
) -> Callable[[], T]:
    return lambda: work(segment, decode())
