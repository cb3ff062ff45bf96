"""Write hints: how many rows make a good row group for a table, and where each figure comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from colonnade.store.catalog import StoredColumn
from colonnade.store.format import MAX_GROUP_ROWS

# A row group is the unit of reading, of pruning and of memory. Per column it should be some hundred KB
# encoded, so that SQLite reads a BLOB of many pages in one run; as decoded values it should stay in the
# low MB, so that a few of them fit a small memory limit and a core's cache holds a column. 11 MiB of
# values is 79k rows of TPC-H's lineitem (146 bytes), within the 64k to 128k that DuckDB and Parquet use. Against
# 8 MiB a quarter of the calls of Python a row are gone, for each of which threads wait for one another.
TARGET_GROUP_BYTES = 11 * 1024 * 1024
MIN_ROWS = 4096  # one block: below it the fixed cost of a chunk outweighs its values
MAX_RECOMMENDED_ROWS = 131_072  # narrow tables: longer groups prune worse and gain no speed
LEAST_SHARE = 16  # of the recommended rows: fewer are no row group of their own unless nothing else comes
# Decoded values of one batch may take this much at most; a batch exists about twice while it is encoded.
MAX_GROUP_BYTES = 64 * 1024 * 1024

_NUMBER_BYTES = 8
_TEXT_BYTES = 24  # the mean of a text column with no declared length, over TPC-H and common open data
_LENGTH = re.compile(r"\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Hint:
    """A figure and where it came from."""

    value: int
    source: str


@dataclass(frozen=True, slots=True)
class WriteHints:
    """What the store tells writers about one table (rows and bytes are per row group)."""

    target_bytes: Hint
    bytes_per_row: Hint  # of values, as counted by raw_bytes in store.format
    stored_bytes_per_row: Hint  # encoded; 0 before anything is stored
    recommended_rows: Hint
    maximum_rows: Hint
    least_rows: Hint

    def rows(self) -> list[tuple[str, int, str]]:
        """(name, figure, where it came from) for each hint."""
        return [(name, getattr(self, name).value, getattr(self, name).source) for name in self.__slots__]


def declared_bytes(columns: Sequence[StoredColumn]) -> int:
    """Bytes of values in a row, guessed from the declared types."""
    return max(1, sum(_column_bytes(column.decl_type) for column in columns))


@lru_cache
def _column_bytes(decl_type: str) -> int:
    upper = decl_type.upper()
    if not any(word in upper for word in ("CHAR", "CLOB", "TEXT", "BLOB")):
        return _NUMBER_BYTES
    length = _LENGTH.search(upper)
    if length is None:
        return _TEXT_BYTES
    declared = int(length[1])
    # CHAR(n) is filled; VARCHAR(n) is a limit that values seldom reach.
    return max(1, min(declared, 4096) if "VAR" not in upper else min(declared // 2 + 1, 4096))


def sampled_bytes(columns: Sequence[StoredColumn], seen: float) -> int:
    """Bytes of values in a row whose text in the input takes `seen` bytes: of short numbers that says too little."""
    numbers = sum(_column_bytes(column.decl_type) == _NUMBER_BYTES for column in columns)
    return max(1, int(seen), numbers * _NUMBER_BYTES)


def write_hints(
    declared: int, measured: tuple[int, int, int] | None, sampled: int | None = None
) -> WriteHints:
    """The hints of a table.

    declared  declared_bytes of its columns
    measured  rows, bytes of values and bytes stored of its row groups; None if it has none
    sampled   sampled_bytes of rows that are about to come; None if none were looked at
    """
    if measured is None:
        per_row = Hint(declared, "declared types")
        if sampled is not None:
            per_row = Hint(sampled, "a sample of the input")
        stored = Hint(0, "no row group written yet")
    else:
        rows, raw, size = measured
        per_row = Hint(max(1, raw // rows), f"{rows} rows in row groups")
        stored = Hint(max(1, size // rows), f"{rows} rows in row groups")
    maximum = _maximum(per_row.value)
    recommended, why = _recommended(per_row.value)
    limit = "format" if maximum == MAX_GROUP_ROWS else f"{MAX_GROUP_BYTES} bytes of values"
    return WriteHints(
        target_bytes=Hint(TARGET_GROUP_BYTES, "built in"),
        bytes_per_row=per_row,
        stored_bytes_per_row=stored,
        recommended_rows=Hint(recommended, why),
        maximum_rows=Hint(maximum, limit),
        least_rows=Hint(_least(recommended), "below it the row part serves better"),
    )


def makes_group(row_count: int, byte_count: int) -> bool:
    """Whether rows with so many bytes of values are enough for a row group of their own.

    As `least_rows` says of rows as long as these are: what is at hand need not be guessed from the declared types, nor
    from other rows.
    """
    return row_count > 0 and row_count >= _least(_recommended(max(1, byte_count // row_count))[0])


def _maximum(bytes_per_row: int) -> int:
    return max(1, min(MAX_GROUP_ROWS, MAX_GROUP_BYTES // bytes_per_row))


def _recommended(bytes_per_row: int) -> tuple[int, str]:
    """Rows that make a good row group, and why."""
    fitting = TARGET_GROUP_BYTES // bytes_per_row
    if fitting > MAX_RECOMMENDED_ROWS:
        return MAX_RECOMMENDED_ROWS, "longer row groups prune worse"
    if fitting < MIN_ROWS:
        return min(MIN_ROWS, _maximum(bytes_per_row)), "shorter row groups cost more than their values"
    return fitting, "target bytes / bytes per row"


def _least(recommended: int) -> int:
    return max(1, min(recommended // LEAST_SHARE, MIN_ROWS))


def clamp_batch(asked: int, hints: WriteHints) -> tuple[int, str | None]:
    """Rows in a batch: as asked, or as the hints say for 0; and a warning if that was above the maximum."""
    if asked <= 0:
        return hints.recommended_rows.value, None
    maximum = hints.maximum_rows.value
    if asked > maximum:
        return maximum, f"batch_size {asked} is above the maximum of {maximum}; using {maximum}"
    return asked, None
