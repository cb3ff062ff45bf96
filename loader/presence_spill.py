"""A foreign key too large for the memory limit: both sides cut by hash, and compared part by part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from colonnade.loader.codes import Codes
from colonnade.loader.lookup import SortedCodes, sorted_codes
from colonnade.loader.presence_job import Job, Tally, collect
from colonnade.loader.spill import Partitions, partition_count
from colonnade.store.values import IntArray

_MAX_LEVEL = 2  # of cutting parts again
_CHILD_PARTS = 4  # a child's part streams, so it may be larger than the parent's

Missing = tuple[IntArray, pa.Array | None]


def check_spilled(job: Job) -> None:
    """Write both sides to partitions, find the keys without a parent, then read the child once more."""
    limits, counters = job.check.limits, job.check.counters
    keys = not job.coder.exact
    rows = sum(segment.row_count for segment in (*job.parents, *job.children))
    cuts = partition_count((40 if keys else 8) * rows, limits.partition_bytes)
    tally = Tally()
    reported = False
    with (
        Partitions(cuts, 0, keys=keys, directory=limits.spill_directory) as parents,
        Partitions(cuts, 0, keys=keys, directory=limits.spill_directory) as children,
    ):
        for codes in job.parent_codes():
            parents.add(codes.codes, codes.keys)
        for codes in job.child_codes(tally):
            children.add(codes.codes, codes.keys)
        counters.index_probes += tally.keys
        counters.hits += tally.keys
        counters.spilled_bytes += parents.bytes_written + children.bytes_written
        found = (part for number in range(cuts) for part in _missing_in(job, parents, children, number))
        for missing in _gathered(found, limits.memory_limit // 4):
            with counters.holding(missing.nbytes):
                job.report_missing(missing, aliens=not reported)
            reported = True
    if tally.aliens and not reported:
        job.report_missing(SortedCodes(np.zeros(0, np.int64)), aliens=True)


def _missing_in(job: Job, parents: Partitions, children: Partitions, number: int) -> Iterator[Missing]:
    """Child keys of one partition that its parent partition lacks, each once."""
    limits = job.check.limits
    if not children.rows[number]:
        return
    large = parents.bytes[number] > limits.partition_bytes
    large = large or children.bytes[number] > _CHILD_PARTS * limits.partition_bytes
    if large and parents.level < _MAX_LEVEL:
        yield from _cut_again(job, parents, children, number)
        return
    held = [Codes(part.codes, None, None, part.keys) for part in parents.read(number)]
    lookup = collect(held, parents.bytes[number] * 4 + 64)
    assert lookup is not None
    with job.check.counters.holding(lookup.nbytes):
        codes: list[IntArray] = []
        keys: list[pa.Array] = []
        for part in children.read(number):
            absent = ~lookup.contains(part.codes, part.keys)
            job.check.counters.hits -= int(absent.sum())
            codes.append(part.codes[absent])
            if part.keys is not None:
                keys.append(part.keys.filter(pa.array(absent)))
        missing = sorted_codes(np.concatenate(codes), pa.concat_arrays(keys) if keys else None)
    if len(missing.in_order):
        yield missing.in_order, missing.keys


def _cut_again(job: Job, parents: Partitions, children: Partitions, number: int) -> Iterator[Missing]:
    limits = job.check.limits
    keys = not job.coder.exact
    cuts = partition_count(max(parents.bytes[number], children.bytes[number]), limits.partition_bytes)
    level = parents.level + 1
    with (
        Partitions(cuts, level, keys=keys, directory=limits.spill_directory) as fewer_parents,
        Partitions(cuts, level, keys=keys, directory=limits.spill_directory) as fewer_children,
    ):
        for source, target in ((parents, fewer_parents), (children, fewer_children)):
            for part in source.read(number):
                target.add(part.codes, part.keys)
            job.check.counters.spilled_bytes += target.bytes_written
        for part_number in range(cuts):
            yield from _missing_in(job, fewer_parents, fewer_children, part_number)


def _gathered(found: Iterator[Missing], most_bytes: int) -> Iterator[SortedCodes]:
    """Disjoint sets of keys joined until they take `most_bytes`; none is empty."""
    codes: list[IntArray] = []
    keys: list[pa.Array] = []
    held = 0
    for part_codes, part_keys in found:
        codes.append(part_codes)
        held += part_codes.nbytes
        if part_keys is not None:
            keys.append(part_keys)
            held += part_keys.nbytes
        if held >= most_bytes:
            yield sorted_codes(np.concatenate(codes), pa.concat_arrays(keys) if keys else None)
            codes, keys, held = [], [], 0
    if codes:
        yield sorted_codes(np.concatenate(codes), pa.concat_arrays(keys) if keys else None)
