"""What one constraint check works with: its limits, its threads, its counters and its sink."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from colonnade.loader.keysource import KeyRows, KeySource, Segment, Workers
from colonnade.loader.stats import Counters
from colonnade.loader.violations import Constraint, ViolationBatch, ViolationSink


@dataclass(frozen=True, slots=True)
class ValidateLimits:
    """How much a validator may use.

    memory_limit     bytes for what grows with the table: codes, maps, partitions. Row groups that are
                     being decoded, one more than there are threads, come on top
    threads          that decode and compare
    spill_directory  for temporary files; None: the system's
    """

    memory_limit: int
    threads: int = min(4, os.cpu_count() or 1)
    spill_directory: str | None = None

    @property
    def working_bytes(self) -> int:
        """For the largest single structure; sorting and cutting it need as much again."""
        return self.memory_limit // 2

    @property
    def partition_bytes(self) -> int:
        return max(4096, min(self.memory_limit // 8, 1 << 28))


@dataclass(frozen=True, slots=True)
class Check:
    """One run of one constraint's check.

    full     every segment is checked, not only those that owe it
    decided  ids of row groups that are known to keep the constraint
    """

    constraint: Constraint
    counters: Counters
    sink: ViolationSink
    workers: Workers
    limits: ValidateLimits
    full: bool = False
    decided: Collection[int] = ()

    def owes(self, segment: Segment) -> bool:
        if segment.group_id is not None and segment.group_id in self.decided:
            return False
        return segment.row_count > 0 and (self.full or not segment.checked)

    def report(self, source: KeySource, segment: Segment, bad: KeyRows) -> None:
        """Hand rows of a segment to the sink as violations. On the connection's thread."""
        if not len(bad):
            return
        rowids = source.rowids(segment, bad.positions) if bad.rowids is None else bad.rowids
        self.counters.violations += len(bad)
        self.sink.add(ViolationBatch(self.constraint, segment.group_id, bad.positions, rowids, bad.columns))
