"""Constraint counters: what checking each constraint cost and found, and what its caches hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from colonnade.loader.violations import Constraint

# How a constraint was checked, as `Counters.path` says it
PROVEN = "proven"  # from zones alone
INDEX = "index"  # key runs, or SQLite's own index, were asked
BITMAP = "bitmap"  # a bit or a byte for each key that there can be
SORTED_MERGE = "sorted merge"  # keys as exact codes, sorted
HASH = "hash"  # keys as hashes of their bytes, compared where these are equal
SCAN = "scan"  # row groups were decoded one by one, for no index answers for them


@dataclass(slots=True)
class Counters:
    """One constraint's figures, summed over every check since the registry was cleared.

    rows_checked      rows of groups that were scanned, or proven without a scan
    parent_rows_read  keys of the parent that were read, or compared with
    unindexed_rows    those of them that a batch had to read as no index answers for them
    index_probes      keys looked up in an index, a bitmap, sorted codes or a partition; `hits` were found
    groups_proven     segments (row groups, row part) decided from zones alone; `groups_scanned` were read
    path              every way in which it was checked so far, such as "proven, index"; words as above
    cache_bytes       bytes of arrays held for the constraint now; `cache_peak` the most at one time
    spilled_bytes     bytes written to temporary files
    """

    rows_checked: int = 0
    parent_rows_read: int = 0
    unindexed_rows: int = 0
    index_probes: int = 0
    hits: int = 0
    groups_proven: int = 0
    groups_scanned: int = 0
    violations: int = 0
    path: str = ""
    cache_bytes: int = 0
    cache_peak: int = 0
    spilled_bytes: int = 0
    seconds: float = 0.0

    def took(self, path: str) -> None:
        """The constraint was checked in this way."""
        if path not in self.path.split(", "):
            self.path = f"{self.path}, {path}" if self.path else path

    def add(self, other: Counters) -> None:
        """The figures of other checks of the same constraint, which are over."""
        for path in filter(None, other.path.split(", ")):
            self.took(path)
        self.cache_peak = max(self.cache_peak, other.cache_peak)
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def hold(self, count: int) -> None:
        """`count` more bytes are kept; a negative count gives them back."""
        self.cache_bytes += count
        self.cache_peak = max(self.cache_peak, self.cache_bytes)

    @contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """`count` bytes are kept during the block."""
        self.hold(count)
        try:
            yield
        finally:
            self.hold(-count)

    @contextmanager
    def timed(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started


_SUMMED = [field.name for field in fields(Counters) if field.name not in ("path", "cache_peak")]


@dataclass(slots=True)
class ConstraintStats:
    """The registry: counters by constraint, in the order in which they were first checked."""

    counters: dict[Constraint, Counters] = field(default_factory=dict)

    def of(self, constraint: Constraint) -> Counters:
        return self.counters.setdefault(constraint, Counters())

    def add(self, other: ConstraintStats) -> None:
        """The figures of checks that were counted elsewhere, and are over."""
        for constraint, counters in other.counters.items():
            self.of(constraint).add(counters)

    def rows(self) -> list[dict[str, Any]]:
        """For `PRAGMA constraint_stats` and the load report: one flat dict per constraint."""
        return [
            {
                "table": constraint.table,
                "constraint": constraint.label,
                "kind": constraint.kind,
                "columns": ", ".join(constraint.columns),
                "parent": constraint.parent,
                **asdict(counters),
            }
            for constraint, counters in self.counters.items()
        ]

    def cache_bytes(self, table: str | None = None) -> int:
        """Bytes held now, for one table's constraints or for all."""
        return sum(
            counters.cache_bytes
            for constraint, counters in self.counters.items()
            if table is None or constraint.table == table
        )

    def clear(self) -> None:
        self.counters.clear()
