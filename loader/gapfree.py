"""Gap-free runs: ranges in which every integer is a key of a parent, which prove a child without reading it.

A row group whose unique integers are as many as its range is wide has no gap: its zones say so. Where a row
was deleted, or thawed (the row with the largest rowid always is), zones cannot tell; such a group is read,
if that is little work beside reading the child.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from colonnade.loader.checking import Check
from colonnade.loader.codes import IntRange
from colonnade.loader.keysource import NO_INTS, KeyRows, KeySource, Segment
from colonnade.store.keycode import integers
from colonnade.store.values import sorted_distinct

MUCH_LESS = 4  # rows to recount times this are fewer than the child's rows
_MOST_RUNS = 1000  # of one recounted batch; a parent with more gaps proves nothing


def known_runs(parents: Sequence[Segment]) -> list[IntRange]:
    """Gap-free runs by zones alone; adjacent segments make one run. Single-column keys."""
    return merged([segment.ranges[0] for segment in parents if _is_full(segment) and segment.ranges[0]])


def _is_full(segment: Segment) -> bool:
    found = segment.ranges[0]
    if not segment.whole or segment.zone is None or not segment.zone.unique or found in (None, NO_INTS):
        return False
    assert found is not None
    return segment.row_count == found[1] - found[0] + 1


def recounted_runs(
    check: Check, parent: KeySource, parents: Sequence[Segment], child_rows: int
) -> list[IntRange]:
    """Gap-free runs in the segments of which zones leave it open, by reading them; none if that is too much."""
    doubtful = [segment for segment in parents if not _is_full(segment) and _is_dense(segment)]
    if not doubtful or MUCH_LESS * sum(segment.row_count for segment in doubtful) > child_rows:
        return []
    runs: list[IntRange] = []
    for count, found in check.workers.scan(parent, doubtful, _runs_of):
        check.counters.parent_rows_read += count
        runs += found
    return runs


def _is_dense(segment: Segment) -> bool:
    found = segment.ranges[0]
    if found is None or found == NO_INTS:
        return False
    return found[1] - found[0] < 2 * segment.row_count


def _runs_of(_: Segment, rows: KeyRows) -> tuple[int, list[IntRange]]:
    values, null, other = integers(rows.columns[0])
    for absent in (null, other):
        if absent is not None:
            return len(rows), []
    keys = sorted_distinct(values.copy())
    gaps = np.flatnonzero(keys[1:] != keys[:-1] + 1)
    if not len(keys) or len(gaps) >= _MOST_RUNS:
        return len(rows), []
    lows = keys[np.concatenate([[0], gaps + 1])].tolist()
    highs = keys[np.concatenate([gaps, [len(keys) - 1]])].tolist()
    return len(rows), list(zip(lows, highs, strict=True))


def merged(runs: Sequence[IntRange]) -> list[IntRange]:
    """Runs that touch or overlap joined, ascending."""
    joined: list[IntRange] = []
    for low, high in sorted(runs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined


def is_inside(runs: Sequence[IntRange], child: IntRange | None) -> bool:
    """Whether every integer that the child can hold is a key; `runs` as `merged` gives them."""
    if child is None or not runs:
        return False
    place = bisect_right(runs, child[0], key=lambda run: run[0]) - 1
    return place >= 0 and child[1] <= runs[place][1]
