"""Presence of a foreign key's parents: proven from zones, else one scan of the owing child segments.

1. A child segment whose key column is all NULL, or whose integers lie within a gap-free run of parent
   keys, is proven; nothing is read.
2. Of the parent only the segments that a child could refer to are read, and become a lookup: a byte or a
   bit per possible key, or sorted codes. The rest of the child streams past it.
3. Where the child is much smaller than the parent it is the child that is held, and the parent that
   streams. Where neither fits the memory limit, both are cut by hash into temporary files.

MATCH SIMPLE: a NULL part means no check. Child values are compared under the parent column's affinity and
collation (sqlite.org/foreignkeys.html section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from colonnade.loader.checking import Check
from colonnade.loader.codes import HashCoder, IntCoder, IntRange, int_coder, joint_ranges
from colonnade.loader.gapfree import is_inside, known_runs, merged, recounted_runs
from colonnade.loader.keysource import NO_INTS, Segment
from colonnade.loader.lookup import SORTED_BYTES, BitMap, ByteMap, is_dense
from colonnade.loader.presence_job import ForeignKey, Job, Tally, collect
from colonnade.loader.presence_spill import check_spilled
from colonnade.loader.stats import BITMAP, HASH, PROVEN, SORTED_MERGE

if TYPE_CHECKING:
    from colonnade.loader.heldparents import HeldParent

MUCH_SMALLER = 4  # child rows times this are fewer than the parent's: hold the child


def check_presence(check: Check, key: ForeignKey, held: HeldParent | None = None) -> None:
    """Find every child row whose key has no NULL and no equal in the parent; `held`: a lookup of all its keys."""
    counters = check.counters
    owing = [segment for segment in key.child.segments() if check.owes(segment)]
    parents = [segment for segment in key.parent.segments() if segment.row_count]
    children = [segment for segment in owing if NO_INTS not in segment.ranges]
    if len(key.convert) == 1:
        children = _without_proven(check, key, children, parents)
    counters.rows_checked += sum(segment.row_count for segment in owing)
    counters.groups_proven += len(owing) - len(children)
    if len(owing) > len(children):
        counters.took(PROVEN)
    if not children:
        return
    counters.groups_scanned += len(children)
    if held is not None:
        counters.took(held.path)
        Job(check, key, children, [], held.coder).probe(held.lookup.result())
        return
    ranges = joint_ranges(children, len(key.convert))
    parents = [segment for segment in parents if _may_hold(segment, ranges)]
    bounds = [_common(p, c) for p, c in zip(joint_ranges(parents, len(ranges)), ranges, strict=True)]
    coder = int_coder(bounds) or HashCoder(key.collations)
    _run(Job(check, key, children, parents, coder))


def _without_proven(
    check: Check, key: ForeignKey, children: list[Segment], parents: list[Segment]
) -> list[Segment]:
    """The child segments that do not lie within a gap-free run of parent keys."""
    runs = known_runs(parents)
    left = [segment for segment in children if not is_inside(runs, segment.ranges[0])]
    may_gain = [segment for segment in left if segment.ranges[0] is not None]
    rows = sum(segment.row_count for segment in may_gain)
    more = recounted_runs(check, key.parent, parents, rows) if may_gain else []
    if more:
        runs = merged([*runs, *more])
        left = [segment for segment in left if not is_inside(runs, segment.ranges[0])]
    return left


def _may_hold(parent: Segment, children: Sequence[IntRange | None]) -> bool:
    """Whether a child can refer to a key of the segment, by the ranges of both."""
    for mine, theirs in zip(parent.ranges, children, strict=True):
        if mine is None or theirs is None:
            continue
        if mine == NO_INTS or mine[1] < theirs[0] or theirs[1] < mine[0]:
            return False
    return True


def _common(parent: IntRange | None, child: IntRange | None) -> IntRange | None:
    if parent is None or child is None or NO_INTS in (parent, child):
        return parent
    low, high = max(parent[0], child[0]), min(parent[1], child[1])
    return (low, high) if low <= high else NO_INTS


def _run(job: Job) -> None:
    """Choose the cheapest way that fits the memory limit."""
    counters, coder = job.check.counters, job.coder
    room = job.check.limits.working_bytes
    parent_rows = sum(segment.row_count for segment in job.parents)
    child_rows = sum(segment.row_count for segment in job.children)
    if isinstance(coder, IntCoder):
        if coder.room <= room and is_dense(coder.room, parent_rows):
            return _by_map(job, ByteMap(coder.room), coder.room)
        if coder.room // 8 <= min(room, SORTED_BYTES * parent_rows):
            return _by_map(job, BitMap(coder.room), coder.room // 8)
    if child_rows * MUCH_SMALLER < parent_rows and _by_child(job):
        return None
    if _by_parent(job):
        return None
    if isinstance(coder, IntCoder) and coder.room // 8 <= room:
        return _by_map(job, BitMap(coder.room), coder.room // 8)
    counters.took(_merge(job))
    return check_spilled(job)


def _merge(job: Job) -> str:
    return SORTED_MERGE if job.coder.exact else HASH


def _by_map(job: Job, parents: ByteMap | BitMap, held: int) -> None:
    job.check.counters.took(BITMAP)
    with job.check.counters.holding(held):
        for codes in job.parent_codes():
            parents.add(codes.codes)
        job.probe(parents)


def _by_parent(job: Job) -> bool:
    """The parent sorted, the child streaming past; False if the parent is too large."""
    parents = collect(job.parent_codes(), job.check.limits.working_bytes)
    if parents is None:
        return False
    job.check.counters.took(_merge(job))
    with job.check.counters.holding(parents.nbytes):
        job.probe(parents)
    return True


def _by_child(job: Job) -> bool:
    """The child sorted, the parent streaming past; False if the child is too large."""
    tally = Tally()
    children = collect(job.child_codes(tally), job.check.limits.working_bytes)
    if children is None:
        return False
    job.check.counters.took(_merge(job))
    with job.check.counters.holding(children.nbytes + len(children.in_order)):
        found = np.zeros(len(children.in_order), bool)
        for places in job.parent_places(children):
            found[places] = True
        job.check.counters.index_probes += tally.keys
        job.check.counters.hits += int(found.sum())
        missing = children.without(found)
        if len(missing.in_order) or tally.aliens:
            job.report_missing(missing, aliens=True)
    return True
