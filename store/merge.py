"""Merging: row groups that are small, or of which more than half the rows are gone, are written anew.

As a log-structured merge tree does it: row groups of about the same size, a factor of four, wait until there are
four of them and become one. So a row is rewritten at most log4(rows of a row group) times, and a table has at
most a few small row groups of each size, however many statements wrote them. Rewriting a row group of which more
than half is gone writes fewer rows than were deleted or thawed from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from colonnade.store import reads
from colonnade.store.freeze import write_group
from colonnade.store.pager import RowGroupInfo
from colonnade.store.switches import unnoticed
from colonnade.store.values import in_sizes

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable

FAN_IN = 4  # row groups of one size that become one
_RUN_GROUPS = 2  # row groups of rows that are rewritten together, where many tombstones are side by side


def compact(table: ColumnTable, group_rows: int) -> int:
    """Rewrites what is worth it; returns how many row groups went. Nothing while the table is being read
    or owes a validation.

    group_rows  rows that make a good row group
    """
    if table.open_scans or not (worth := _worth_it(table.state().groups, group_rows)):
        return 0
    if table.unchecked_groups():
        return 0
    db, gone = table.store.db, 0
    counted = table.store.pager.counters.phase(table.names.key, "merge")
    with table.store.spans("merge", table=table.name) as span, counted, unnoticed(db), db:
        while worth:
            for groups in worth:
                _rewrite(table, groups, group_rows)
                gone += len(groups)
            worth = _worth_it(table.state().groups, group_rows)
        span.note(row_groups=gone)
    return gone


def _worth_it(groups: Sequence[RowGroupInfo], group_rows: int) -> list[list[RowGroupInfo]]:
    """Row groups to rewrite, those together that become one."""
    return _worn(groups, group_rows) or _alike(groups, group_rows)


def _worn(groups: Sequence[RowGroupInfo], group_rows: int) -> list[list[RowGroupInfo]]:
    """Runs, in rowid order, of row groups of which more than half the rows are gone."""
    if not any(group.dead_count * 2 > group.row_count for group in groups):
        return []
    runs: list[list[RowGroupInfo]] = [[]]
    held = 0
    for group in sorted(groups, key=lambda group: group.first_rowid):
        worn = group.dead_count * 2 > group.row_count
        if runs[-1] and (not worn or held + group.live_count > _RUN_GROUPS * group_rows):
            runs.append([])
            held = 0
        if worn:
            runs[-1].append(group)
            held += group.live_count
    return [run for run in runs if run]


def _alike(groups: Sequence[RowGroupInfo], group_rows: int) -> list[list[RowGroupInfo]]:
    """The row groups of the smallest size of which there are enough: each of less than half of the hints' rows."""
    sizes: dict[int, list[RowGroupInfo]] = {}
    for group in groups:
        if group.live_count * 2 < group_rows:
            sizes.setdefault((group.live_count.bit_length() - 1) // 2, []).append(group)
    full = [size for size, alike in sizes.items() if len(alike) >= FAN_IN]
    return [sizes[min(full)]] if full else []


def _rewrite(table: ColumnTable, groups: Sequence[RowGroupInfo], group_rows: int) -> None:
    """Puts the live rows into new row groups of even size, and frees the old ones.

    Even: with more than one, each has at least half of group_rows, and is not small again.
    """
    live, store = sum(group.live_count for group in groups), table.store
    for batch in in_sizes(reads.whole(table, groups), -(-live // max(1, -(-live // group_rows)))):
        write_group(table, batch)
    for group in groups:
        store.pager.free_group(table.names, group.group_id)
        store.cache.forget(table.names.key, group.group_id)
    table.changed()
