"""Which of a batch of keys the row groups hold: what checks of a whole batch ask, never row by row.

Zone maps and key zones leave out row groups, and prove keys of row groups whose integers have no gap. Of the others
the key run is asked, and where there is none the columns of the key are decoded, a row group at a time, and searched.
Nothing of them is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.chunk import decode_chunk
from colonnade.store.errors import Corrupt
from colonnade.store.keycode import KeySpec, Mask, exact_integers, key_bytes
from colonnade.store.keyhash import HashedKeys
from colonnade.store.keyranges import int_range
from colonnade.store.keyrun import KeyRun, pack, packed, within
from colonnade.store.scan import live_mask
from colonnade.store.values import Column, IntArray, Kind

if TYPE_CHECKING:
    from colonnade.store.pager import RowGroupInfo
    from colonnade.store.table import ColumnTable

_HASHED = (
    256  # keys of a batch from which on it is cheaper to hash them once than those of each row group anew
)


@dataclass(slots=True)
class Effort:
    """What a look-up cost.

    rows_read      keys that were decoded, or compared with
    rows_scanned   those of them that were decoded, of row groups without a key run
    groups_proven  row groups decided by their zones alone, those that can hold none of the keys included
    groups_read    row groups of which keys were read
    indexes        key runs, zone maps of gap-free keys and indexes of SQLite's that were asked
    most_bytes     the most that was held at a time, beside the keys looked for
    """

    rows_read: int = 0
    rows_scanned: int = 0
    groups_proven: int = 0
    groups_read: int = 0
    indexes: int = 0
    most_bytes: int = 0

    def held(self, count: int) -> None:
        """So many bytes were held."""
        self.most_bytes = max(self.most_bytes, count)


class KeyBatch:
    """Keys to look for, every part of each there.

    columns     one Column a part of the key, n values each, affinity applied, no NULL
    collations  one a part, those by which the keys are compared
    """

    def __init__(self, columns: Sequence[Column], collations: Sequence[str]) -> None:
        self.columns, self.collations = columns, tuple(collations)
        ints = [exact_integers(column) for column in columns]
        known = [part for part in ints if part is not None]
        self.ints = known if len(known) == len(ints) else None
        self._codes: pa.Array | None = None
        self._hashed: HashedKeys | None = None
        self._by_code: tuple[list[bytes], IntArray] | None = None

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the keys, and of what was derived from them."""
        derived = (self._codes, self._hashed, *(self.ints or ()))
        columns = sum(int(column.data.nbytes) for column in self.columns)
        return columns + sum(int(part.nbytes) for part in derived if part is not None)

    def take(self, rows: IntArray) -> KeyBatch:
        """Some of the keys."""
        return KeyBatch([column.take(rows) for column in self.columns], self.collations)

    @property
    def codes(self) -> pa.Array:
        """The canonical bytes of each key: a binary array."""
        if self._codes is None:
            self._codes = key_bytes(self.columns, self.collations)
        return self._codes

    def between_codes(self, lo: bytes, hi: bytes) -> IntArray:
        """Which keys are from lo to hi, both included."""
        if self._by_code is None:
            order = pc.sort_indices(self.codes)
            self._by_code = self.codes.take(order).to_pylist(), order.to_numpy().astype(np.int64)
        in_order, rows = self._by_code
        return rows[bisect_left(in_order, lo) : bisect_right(in_order, hi)]

    def among(self, columns: Sequence[Column], rows: IntArray | None = None) -> Mask:
        """Which of the keys `rows` (None: all) equal one of those in `columns`, whose NULLs equal nothing."""
        columns = with_all_parts(columns)[0]
        count = len(self) if rows is None else len(rows)
        if not count or not len(columns[0]):
            return np.zeros(count, bool)
        if self.ints is not None:
            theirs = [exact_integers(column) for column in columns]
            known = [part for part in theirs if part is not None]
            if len(known) == len(theirs):
                mine = self.ints if rows is None else [part[rows] for part in self.ints]
                found = _among_integers(mine, known)
                if found is not None:
                    return found
        held = key_bytes(columns, self.collations)
        if self._hashed is None and len(self) >= _HASHED:
            self._hashed = HashedKeys(self.codes)
        if self._hashed is not None and self._hashed.exact:
            among = self._hashed.among(held)
            return among if rows is None else among[rows]
        codes = self.codes if rows is None else self.codes.take(pa.array(rows))
        mask: Mask = pc.is_in(codes, value_set=held, skip_nulls=True).to_numpy(zero_copy_only=False)
        return mask

    def firsts(self) -> IntArray:
        """For each key the first position in the batch that has it, (n,) int64."""
        if self.ints is not None:
            one_each = pack(self.ints)
            if one_each is not None:
                codes = one_each[0]
                if (codes[1:] > codes[:-1]).all():
                    return np.arange(len(codes))
                _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
                firsts: IntArray = first[inverse]
                return firsts
        encoded = self.codes.dictionary_encode()
        numbers = encoded.indices.to_numpy()
        first = np.full(len(encoded.dictionary), len(numbers))
        np.minimum.at(first, numbers, np.arange(len(numbers)))
        found: IntArray = first[numbers]
        return found


def with_all_parts(columns: Sequence[Column]) -> tuple[Sequence[Column], IntArray | None]:
    """The rows in which no column is NULL, and which these are; None: all."""
    if not any(column.null_count for column in columns):
        return columns, None
    rows = np.flatnonzero(np.logical_and.reduce([_present(column) for column in columns]))
    return [column.take(rows) for column in columns], rows


def _present(column: Column) -> Mask:
    if column.kind is Kind.MIXED:
        there: Mask = np.not_equal(column.data.field("tag").to_numpy(), 0)
        return there
    valid: Mask = column.data.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _among_integers(wanted: Sequence[IntArray], held: Sequence[IntArray]) -> Mask | None:
    """Which of the wanted keys are held; None where an int64 cannot stand for the keys."""
    if len(held) == 1:
        return _in_sorted(wanted[0], _ascending(held[0]))
    codes = pack(held)
    if codes is None:
        return None
    in_order, ranges = _ascending(codes[0]), codes[1]
    found = np.zeros(len(wanted[0]), bool)
    rows = within(wanted, ranges)
    if len(rows):
        found[rows] = _in_sorted(packed([part[rows] for part in wanted], ranges), in_order)
    return found


def _ascending(codes: IntArray) -> IntArray:
    # Stable: a merge of the runs that keys nearly in order consist of.
    return codes if (codes[1:] >= codes[:-1]).all() else np.sort(codes, kind="stable")


def _in_sorted(wanted: IntArray, in_order: IntArray) -> Mask:
    places = np.searchsorted(in_order, wanted)
    np.minimum(places, len(in_order) - 1, out=places)
    found: Mask = in_order[places] == wanted
    return found


def held_by_groups(
    table: ColumnTable, spec: KeySpec, keys: KeyBatch, effort: Effort, runs: KeyRuns | None = None
) -> Mask:
    """Which of the keys a live row of the row groups has, (n,) bool.

    spec  of a key of the table, its columns in the order of the batch's: no two live rows have the same
    runs  where key runs are kept from one batch to the next
    """
    found, groups, read = np.zeros(len(keys), bool), table.state().groups, 0
    runs = KeyRuns(0) if runs is None else runs
    for position, rows, full in _candidates(table, spec, keys, found):
        rows = rows[~found[rows]]
        if len(rows):
            found[rows] = _held_by(table, groups[position], spec, keys, rows, effort, runs, full=full)
            read += 1
    effort.groups_read += read
    effort.groups_proven += sum(group.live_count > 0 for group in groups) - read
    return found


def _held_by(
    table: ColumnTable,
    group: RowGroupInfo,
    spec: KeySpec,
    keys: KeyBatch,
    rows: IntArray,
    effort: Effort,
    runs: KeyRuns,
    *,
    full: bool,
) -> Mask:
    """Which of the keys `rows` a live row of the row group has: by its key run, or by decoding it.

    full  some row of it has each of these keys, be it a dead one
    """
    run = None if full or keys.ints is None else runs.get(table, group, spec)
    if not full and (run is None or keys.ints is None):
        effort.rows_read += group.live_count
        effort.rows_scanned += group.live_count
        columns = _live_columns(table, group, spec)
        effort.held(sum(column.data.nbytes for column in columns))
        return keys.among(columns, rows)
    held = np.ones(len(rows), bool)
    if run is not None and keys.ints is not None:
        held = run.holds([part[rows] for part in keys.ints])
        effort.rows_read += run.comparisons * len(rows)
        effort.held(run.nbytes)
    effort.indexes += 1
    hits = np.flatnonzero(held)
    if group.dead_count and len(hits):
        dead = _dead_columns(table, group, spec)
        effort.rows_read += group.dead_count
        held[hits[keys.among(dead, rows[hits])]] = False
    return held


class KeyRuns:
    """Key runs that were read, kept up to `limit` bytes; row groups never change, so that none goes out of date."""

    def __init__(self, limit: int) -> None:
        self.limit, self.nbytes = limit, 0
        self._kept: dict[tuple[str, str, int], KeyRun] = {}

    def get(self, table: ColumnTable, group: RowGroupInfo, spec: KeySpec) -> KeyRun | None:
        """The key run of a row group in which no key occurs twice, so that one of a dead row is gone with it."""
        entry = table.names.key, spec.signature, group.group_id
        kept = self._kept.get(entry)
        if kept is not None:
            return kept
        zone = table.key_zones(spec.signature).get(group.group_id)
        stored = table.key_run(spec.signature, group.group_id) if zone is not None and zone.unique else None
        if stored is None:
            return None
        run = KeyRun(stored)
        # The first ones stay: batches ask for all of them in turn.
        if self.nbytes + len(stored) <= self.limit:
            self.nbytes += len(stored)
            self._kept[entry] = run
        return run

    def clear(self) -> None:
        """Let go of all of them."""
        self._kept.clear()
        self.nbytes = 0


def unindexed_groups(table: ColumnTable, spec: KeySpec) -> list[RowGroupInfo]:
    """The row groups that a look-up of keys has to decode: no key run answers for theirs, nor do their zones."""
    groups, ranges = table.state().groups, table.group_ranges(spec)
    zones, runs = table.key_zones(spec.signature), table.groups_with_run(spec.signature)
    found = set(ranges.others)
    for position, full in zip(ranges.groups.tolist(), ranges.full.tolist(), strict=True):
        group_id = groups[position].group_id
        zone = zones.get(group_id)
        if not full and (zone is None or not zone.unique or group_id not in runs):
            found.add(position)
    return [groups[position] for position in sorted(found) if groups[position].live_count]


def _candidates(
    table: ColumnTable, spec: KeySpec, keys: KeyBatch, found: Mask
) -> Iterator[tuple[int, IntArray, bool]]:
    """By position, the row groups that may hold keys, which of them, and whether each of these is surely that of some
    row, dead or alive. Keys that zones alone prove are marked in `found`."""
    groups = table.state().groups
    others: Sequence[int] = range(len(groups))
    if keys.ints is not None:
        ranges = table.group_ranges(spec)
        others = ranges.others
        maps = [table.zones(column_id) for column_id in spec.column_ids[1:]]
        for place, rows in ranges.candidates(keys.ints[0]):
            if ranges.sure[place]:
                found[rows] = True
                continue
            position = int(ranges.groups[place])
            for part, zones in zip(keys.ints[1:], maps, strict=True):
                zone = zones.get(groups[position].group_id)
                bounds = None if zone is None else int_range(zone)
                if bounds is not None:
                    rows = rows[(part[rows] >= bounds[0]) & (part[rows] <= bounds[1])]
            yield position, rows, bool(ranges.full[place])
    key_zones = table.key_zones(spec.signature)
    for position in others:
        key_zone = key_zones.get(groups[position].group_id)
        if not groups[position].live_count or (key_zone is not None and key_zone.lo is None):
            continue
        if key_zone is not None and key_zone.lo is not None and key_zone.hi is not None:
            yield position, keys.between_codes(key_zone.lo, key_zone.hi), False
        else:
            yield position, np.arange(len(keys)), False


def _live_columns(table: ColumnTable, group: RowGroupInfo, spec: KeySpec) -> list[Column]:
    columns = [decode_chunk(table.chunk(group, column_id)) for column_id in spec.column_ids]
    if any(len(column) != group.row_count for column in columns):
        raise Corrupt(f"row group {group.group_id}: columns of a key with other than {group.row_count} rows")
    live = live_mask(table.state().tombstones.get(group.group_id), group.row_count)
    return columns if live is None else [column.take(np.flatnonzero(live)) for column in columns]


def _dead_columns(table: ColumnTable, group: RowGroupInfo, spec: KeySpec) -> list[Column]:
    live = live_mask(table.state().tombstones.get(group.group_id), group.row_count)
    dead = np.zeros(0, np.int64) if live is None else np.flatnonzero(~live)
    reader = table.reader(group)
    return [reader.take(column_id, dead) for column_id in spec.column_ids]
