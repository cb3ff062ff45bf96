"""Which rows of the row groups have one of some keys: for thaws, and for checks of foreign keys.

Key zones and zone maps leave out most row groups. Of the others the keys are decoded once and kept, within the
limit of the connection's cache, in the form in which they are searched: integers as sorted 64-bit codes, anything
else as canonical bytes (store.keycode).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.keycode import KeySpec, encode_key, exact_integers, key_bytes
from colonnade.store.keyprobe import with_all_parts
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    IntArray,
    Kind,
    SQLiteValue,
    from_python,
    sorted_distinct,
    to_python,
)

if TYPE_CHECKING:
    from colonnade.store.pager import RowGroupInfo
    from colonnade.store.table import ColumnTable


BoolArray = npt.NDArray[np.bool_]
_FEW = 16  # rowids that are looked up one by one


class WantedKeys:
    """Keys to look for; those with a NULL part are left out, as they equal nothing.

    columns     one Column a part of the key, n values each, affinity applied
    collations  one a part, those by which the keys are compared
    """

    def __init__(self, columns: Sequence[Column], collations: Sequence[str]) -> None:
        columns, _ = with_all_parts(columns)
        self._columns, self._collations = columns, collations
        self._codes: pa.Array | None = None
        self._sorted: pa.Array | None = None
        self._ints: list[IntArray] | None = None

    def __len__(self) -> int:
        """How many keys, those that are equal included."""
        return len(self._columns[0])

    @property
    def codes(self) -> pa.Array:
        """The canonical bytes of the keys, each once: a binary array."""
        if self._codes is None:
            self._codes = pc.unique(key_bytes(self._columns, self._collations))
        return self._codes

    def rows(self) -> Iterator[tuple[SQLiteValue, ...]]:
        """The keys as Python values."""
        return zip(*map(to_python, self._columns), strict=True)

    def any_between(self, lo: bytes, hi: bytes | None) -> bool:
        """Whether some key is from lo to hi, both included; no hi: from lo on."""
        if self._sorted is None:
            self._sorted = self.codes.take(pc.array_sort_indices(self.codes))
        codes = self._sorted
        at = bisect_left(range(len(codes)), lo, key=lambda number: codes[number].as_py())
        return at < len(codes) and (hi is None or codes[at].as_py() <= hi)

    def first_parts(self) -> IntArray | tuple[str, ...] | None:
        """The values of the first part for SQLite's carray(); None where that cannot have all of them."""
        column = self._columns[0]
        if column.kind is Kind.TEXT:
            texts = [value for value in to_python(column) if isinstance(value, str) and "\0" not in value]
            return tuple(texts) if len(texts) == len(column) else None
        return exact_integers(column)

    def first_of(self, columns: Sequence[Column]) -> int | None:
        """The first of some other keys that is one of these; None if none is."""
        mask = pc.is_in(key_bytes(columns, self._collations), value_set=self.codes, skip_nulls=True)
        at: int = pc.index(mask, True).as_py()
        return at if at >= 0 else None

    def ints(self) -> list[IntArray]:
        """The parts of those keys of which every part equals an integer, (m,) int64 each."""
        if self._ints is None:
            parts = [exact_integers(column) for column in self._columns]
            known = [part for part in parts if part is not None]
            self._ints = known if len(known) == len(parts) else self._integral_rows()
        return self._ints

    def _integral_rows(self) -> list[IntArray]:
        kept = [row for row in self.rows() if all(map(_is_int64, row))]
        columns = [from_python([int(v) for v in part]) for part in zip(*kept, strict=True)]
        if not columns:
            return [np.zeros(0, np.int64) for _ in self._columns]
        return [column.data.to_numpy() for column in columns]


@dataclass(frozen=True, slots=True)
class IntKeys:
    """The keys of a row group whose parts are all integers, as (n,) int64 codes in ascending order.

    code = the sum of (part - low) * weight; positions of the codes in the row group, None: 0 to n - 1
    """

    codes: IntArray
    positions: IntArray | None
    lows: tuple[int, ...]
    highs: tuple[int, ...]
    weights: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + (0 if self.positions is None else self.positions.nbytes)

    def find(self, wanted: WantedKeys) -> IntArray:
        parts = wanted.ints()
        inside = np.ones(len(parts[0]), bool)
        for part, low, high in zip(parts, self.lows, self.highs, strict=True):
            inside &= (part >= low) & (part <= high)
        codes = np.zeros(int(inside.sum()), np.int64)
        for part, low, weight in zip(parts, self.lows, self.weights, strict=True):
            codes += (part[inside] - low) * weight
        starts = np.searchsorted(self.codes, codes, "left")
        counts = np.searchsorted(self.codes, codes, "right") - starts
        at = np.repeat(starts, counts) + _counted_up(counts)
        return at if self.positions is None else self.positions[at]


class ByteKeys:
    """The keys of a row group as canonical bytes, null where a part is NULL.

    They are sorted when they are searched for a few keys a second time, which pays from then on.
    """

    def __init__(self, keys: pa.Array) -> None:
        self._keys, self._searched = keys, False
        self._order: pa.Array | None = None

    @property
    def nbytes(self) -> int:
        return int(self._keys.nbytes) + 8 * len(self._keys)

    def find(self, wanted: WantedKeys) -> IntArray:
        """The positions of rows with these keys."""
        if len(wanted) <= _FEW:
            if self._searched:
                return self._search(wanted.codes.to_pylist())
            self._searched = True
        mask = pc.is_in(self._keys, value_set=wanted.codes, skip_nulls=True)
        return np.flatnonzero(mask.to_numpy(zero_copy_only=False))

    def _search(self, codes: Sequence[bytes]) -> IntArray:
        keys = self._keys
        if self._order is None:
            self._order = pc.array_sort_indices(keys, null_placement="at_end")
        order, present, found = self._order, len(keys) - keys.null_count, []
        for code in codes:
            at = bisect_left(range(present), code, key=lambda number: keys[order[number].as_py()].as_py())
            while at < present and keys[order[at].as_py()].as_py() == code:
                found.append(order[at].as_py())
                at += 1
        return np.array(found, np.int64)


def find_keys(table: ColumnTable, spec: KeySpec, wanted: WantedKeys) -> IntArray:
    """The rowids of the live rows of row groups that have one of the keys, (n,) int64, each once, ascending.

    spec  columns of the table, in the order of the parts, and the collations of the comparison
    """
    if not len(wanted):
        return np.zeros(0, np.int64)
    state = table.state()
    if spec.column_ids == (table.rowid_column,) and len(wanted) <= _FEW and not state.unchecked:
        return _find_rowids(table, sorted_distinct(np.array(wanted.ints()[0])))
    tombstones, found = state.tombstones, []
    for group in state.groups:
        if not group.live_count or not _may_hold(table, group, spec, wanted):
            continue
        positions = np.sort(_keys(table, group, spec).find(wanted))
        if len(positions) and group.group_id in tombstones:
            live = table.reader(group).live
            positions = positions if live is None else positions[live[positions]]
        if len(positions):
            found.append(table.look_up(group).rowids_at(positions))
    return sorted_distinct(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _find_rowids(table: ColumnTable, rowids: IntArray) -> IntArray:
    """Those of the rowids that a live row of the row groups has: the rowid leads to its row."""
    found = [
        rowid
        for rowid in rowids.tolist()
        if any(table.look_up(group).position(rowid) is not None for group in table.state().holding(rowid))
    ]
    return np.array(found, np.int64)


def _may_hold(table: ColumnTable, group: RowGroupInfo, spec: KeySpec, wanted: WantedKeys) -> bool:
    """Whether the zones of a row group leave room for one of the keys."""
    zone = table.key_zones(spec.signature).get(group.group_id)
    if zone is not None:
        return zone.lo is not None and wanted.any_between(zone.lo, zone.hi)
    if len(spec.column_ids) > 1 or spec.collations[0].upper() != "BINARY":
        return True
    chunk = table.zones(spec.column_ids[0]).get(group.group_id)
    if chunk is None:
        return True
    if chunk.min is None:
        return chunk.null_count < group.row_count
    lo = encode_key([chunk.min], spec.collations)
    hi = None if chunk.max is None else encode_key([chunk.max], spec.collations)
    return lo is None or wanted.any_between(lo, hi)


def _keys(table: ColumnTable, group: RowGroupInfo, spec: KeySpec) -> IntKeys | ByteKeys:
    cache, names = table.store.cache, table.names
    known: IntKeys | ByteKeys | None = cache.keys(names.key, group.group_id, spec.signature)
    if known is None:
        reader = table.reader(group)
        columns = [reader.span(i, 0, group.row_count) for i in spec.column_ids]
        known = _int_keys(columns) or ByteKeys(key_bytes(columns, spec.collations))
        cache.put_keys(names.key, group.group_id, spec.signature, known)
    return known


def _int_keys(columns: Sequence[Column]) -> IntKeys | None:
    """None where some part is no integer or NULL, or where the parts' ranges do not fit in 63 bits."""
    parts = [part for part in map(exact_integers, columns) if part is not None]
    if len(parts) < len(columns):
        return None
    lows = tuple(int(part.min()) for part in parts)
    highs = tuple(int(part.max()) for part in parts)
    weights, room = [], 1
    for low, high in zip(reversed(lows), reversed(highs), strict=True):
        weights.append(room)
        room *= high - low + 1
    if room >= 1 << 63:
        return None
    weights.reverse()
    codes = np.zeros(len(parts[0]), np.int64)
    for part, low, weight in zip(parts, lows, weights, strict=True):
        codes += (part - low) * weight
    if (codes[1:] >= codes[:-1]).all():
        return IntKeys(codes, None, lows, highs, tuple(weights))
    order = np.argsort(codes, kind="stable")
    return IntKeys(codes[order], order, lows, highs, tuple(weights))


def _is_int64(value: object) -> bool:
    return isinstance(value, int | float) and INT64_MIN <= value <= INT64_MAX and value == value // 1


def _counted_up(counts: IntArray) -> IntArray:
    """0 to c - 1 for each count c, one after another."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
