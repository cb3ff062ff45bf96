"""What every source gives: tasks that turn into rows in any thread, and where each row came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from colonnade.store.errors import DatabaseError
from colonnade.store.values import IntArray, RowBatch


class LoadError(DatabaseError):
    """The input cannot be loaded: fix the file, or load with on_violation='quarantine'. Raised by loader.

    The message is "path:line: column name: value 'x': reason", without the parts that are not known.
    `line` counts from 1; for sources without lines it is the row.
    """

    def __init__(
        self,
        reason: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: str | None = None,
        value: str | None = None,
    ) -> None:
        self.path, self.line, self.column, self.value, self.reason = path, line, column, value, reason
        where = "" if path is None else path if line is None else f"{path}:{line}"
        parts = [where, f"column {column}" if column is not None else ""]
        parts.append(f"value {shortened(value)!r}" if value is not None else "")
        super().__init__(": ".join(part for part in [*parts, reason] if part))


def shortened(text: str, limit: int = 80) -> str:
    """`text`, cut for a message."""
    return text if len(text) <= limit else text[:limit] + "…"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One thing to load.

    path        as the user gave it; '-' is standard input
    format      a key of sources.find.FORMATS
    table       name of the table it goes to, spelt as in the schema
    byte_count  its size where that is known, as stored (compressed)
    """

    path: str
    format: str
    table: str
    byte_count: int | None = None


class Provenance(Protocol):
    """Where the rows of one LoadedRows are in the input. Small: one is kept for each row group."""

    @property
    def path(self) -> str:
        """The source, as the user gave it."""
        ...

    def lines_of(self, positions: IntArray) -> IntArray | None:
        """The lines, from 1, of rows at (n,) positions of the batch; may read the file again. None: not known.

        For sources without lines (parquet, Arrow) it is the row's number, from 1.
        """
        ...


def line_of(provenance: Provenance, position: int) -> int | None:
    """The line of one row: see Provenance.lines_of."""
    lines = provenance.lines_of(np.array([position], np.int64))
    return None if lines is None else int(lines[0])


def counting_in(numbers: IntArray, skipped: tuple[int, ...]) -> IntArray:
    """Numbers of rows counted without the skipped ones (ascending), as numbers counted with them."""
    if not skipped:
        return numbers
    before = np.array(skipped, np.int64) - np.arange(len(skipped))
    counted: IntArray = numbers + np.searchsorted(before, numbers, side="right")
    return counted


@dataclass(frozen=True, slots=True)
class RowProvenance:
    """Provenance in a source whose rows are numbered from 1: of a run of rows that begins at `first_row`.

    skipped  numbers of rows of the run that were rejected, ascending
    offset   rows of the run, without the rejected ones, before the batch's first
    """

    path: str
    first_row: int
    skipped: tuple[int, ...] = ()
    offset: int = 0

    def lines_of(self, positions: IntArray) -> IntArray | None:
        return counting_in(self.first_row + self.offset + positions, self.skipped)


@dataclass(frozen=True, slots=True)
class Reject:
    """A malformed row, kept for the quarantine. `text` is the row as it stands in the source.

    The line is worked out when asked for: ask after the LoadedRows before this one have been handled.
    """

    provenance: Provenance
    position: int
    reason: str
    text: str
    column: str | None = None
    value: str | None = None

    @property
    def line(self) -> int | None:
        return line_of(self.provenance, self.position)

    @property
    def path(self) -> str:
        return self.provenance.path


@dataclass(frozen=True, slots=True)
class LoadedRows:
    """Rows read from a source, ready to be checked and encoded.

    batch         every column of the table in its order, affinity applied; no rowids. May have no rows
    text_numbers  by column name, how many values of a numeric column are TEXT; only columns that have some
    rejects       malformed rows that stood among these; empty unless the options keep rejects
    """

    batch: RowBatch
    provenance: Provenance
    text_numbers: dict[str, int] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()


class Task(Protocol):
    """One piece of a source: about a batch of rows as bytes or Arrow data, to be parsed in any thread."""

    @property
    def input_bytes(self) -> int:
        """Bytes of the source that this piece stands for, uncompressed where it is text."""
        ...

    def run(self) -> list[LoadedRows]:
        """Parse, once. Each item has at most the rows that were asked for, in the source's order. LoadError."""
        ...


class Source(Protocol):
    """A source that was opened: its columns are known to fit the table."""

    @property
    def path(self) -> str: ...

    @property
    def bytes_per_row(self) -> float:
        """Bytes of a row in the input, decompressed, as far as it was looked into; 0: not yet."""
        ...

    def tasks(self, batch_rows: Callable[[], int]) -> Iterator[Task]:
        """The source piece by piece, in order; `batch_rows()` is asked anew for each. Call once.

        Runs on one thread, the reading thread. Memory: the pieces that are alive.
        """
        ...
