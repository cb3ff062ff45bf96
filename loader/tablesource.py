"""Key sources over stored tables: row groups with their zones, the row part, and tables in row format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import apsw
import numpy as np

from colonnade.loader.keysource import NO_INTS, KeyRows, Segment
from colonnade.sql.objects import TableDef
from colonnade.store.catalog import quote, visible_rowid
from colonnade.store.chunk import decode_chunk
from colonnade.store.keycode import KeySpec
from colonnade.store.keyindex import KeyZone, key_zone
from colonnade.store.rawtext import read_rows
from colonnade.store.table import ColumnTable, RawRowGroup
from colonnade.store.values import IntArray, StorageClass, from_python
from colonnade.store.zonemap import ZoneMap

# As integers: the arithmetic of flags costs a microsecond.
_NULL, _INTEGER = int(StorageClass.NULL), int(StorageClass.INTEGER)
_READ_ROWS = 4096  # rows held as Python objects at a time


class EmptySource:
    """A table that does not exist: it holds no keys."""

    def segments(self) -> Sequence[Segment]:
        return ()

    def read(self, segment: Segment) -> Iterator[Callable[[], KeyRows]]:
        raise LookupError("an empty source has no segments")

    def rowids(self, segment: Segment, positions: IntArray) -> IntArray | None:
        raise LookupError("an empty source has no segments")


class RowSource:
    """Key columns of an ordinary SQLite table: a table in row format, or the row part of one that is not.

    `collations` are those of the key; None: its zone is not wanted, for it costs two look-ups.
    """

    def __init__(
        self,
        db: apsw.Connection,
        definition: TableDef,
        columns: Sequence[str],
        *,
        stored_name: str | None = None,
        collations: Sequence[str] | None = None,
    ) -> None:
        self._db = db
        self._table = f"{quote(definition.schema)}.{quote(stored_name or definition.name)}"
        self._columns = [quote(column) for column in columns]
        self._collations = collations
        rowid = None if definition.without_rowid else visible_rowid([c.name for c in definition.columns])
        self._rowid = None if rowid is None else quote(rowid)

    def segments(self) -> Sequence[Segment]:
        """One, unchecked, or none if there are no rows."""
        parts = ["count(*)"]
        for column in self._columns:
            parts.append(f"count({column})")
            parts.append(f"total(typeof({column}) NOT IN ('integer', 'null'))")
            integer = f"CASE typeof({column}) WHEN 'integer' THEN {column} END"
            parts += [f"min({integer})", f"max({integer})"]
        rows: list[Any] = self._db.execute(f"SELECT {', '.join(parts)} FROM {self._table}").fetchall()
        count: int = rows[0][0]
        facts = rows[0][1:]
        if not count:
            return ()
        ranges: list[tuple[int, int] | None] = []
        for present, others, least, greatest in zip(*(facts[i::4] for i in range(4)), strict=True):
            ranges.append(NO_INTS if not present else None if others else (least, greatest))
        whole = all(present == count for present in facts[::4])
        return (Segment(None, count, False, self._zone(), tuple(ranges), whole),)

    def _zone(self) -> KeyZone | None:
        """From the smallest and the largest key; SQLite's own index answers, and sees that no key repeats."""
        if self._collations is None:
            return None
        present = " AND ".join(f"{column} IS NOT NULL" for column in self._columns)
        pairs = list(zip(self._columns, self._collations, strict=True))
        ends: list[Sequence[object]] = []
        for way in ("ASC", "DESC"):
            order = ", ".join(f"{column} COLLATE {fold} {way}" for column, fold in pairs)
            clauses = f"FROM {self._table} WHERE {present} ORDER BY {order} LIMIT 1"
            ends.extend(read_rows(self._db, self._columns, clauses))
        columns = [from_python([row[i] for row in ends]) for i in range(len(pairs))]  # type: ignore[misc]
        zone = key_zone(columns, KeySpec(tuple(range(len(pairs))), tuple(self._collations)))
        return KeyZone(zone.lo, zone.hi, True)

    def read(self, segment: Segment) -> Iterator[Callable[[], KeyRows]]:
        order = "" if self._rowid is None else f" ORDER BY {self._rowid}"
        names, start = [self._rowid or "NULL", *self._columns], 0
        with closing(read_rows(self._db, names, f"FROM {self._table}{order}")) as rows:
            while some := list(islice(rows, _READ_ROWS)):
                rowids, *columns = zip(*some, strict=True)
                positions = np.arange(start, start + len(some))
                start += len(some)
                found = KeyRows(
                    tuple(from_python(column) for column in columns),
                    positions,
                    None if self._rowid is None else np.array(rowids, np.int64),
                )
                yield _given(found)

    def rowids(self, segment: Segment, positions: IntArray) -> IntArray | None:
        """None: `read` gives rowids where there are any."""
        return None


def _given(rows: KeyRows) -> Callable[[], KeyRows]:
    return lambda: rows


class ColumnSource:
    """Key columns of a table in column format; `spec` says which, and whose key zones count."""

    def __init__(self, table: ColumnTable, rows: RowSource, spec: KeySpec) -> None:
        self._table = table
        self._rows = rows
        self._spec = spec

    def segments(self) -> Sequence[Segment]:
        zones = self._table.key_zones(self._spec.signature)
        maps = [self._table.zones(column_id) for column_id in self._spec.column_ids]
        checked: list[Segment] = []
        owing: list[Segment] = []
        for group in self._table.groups():
            if not group.live_count:
                continue
            found = [known.get(group.group_id) for known in maps]
            whole = group.dead_count == 0 and all(m is not None and m.null_count == 0 for m in found)
            segment = Segment(
                group.group_id,
                group.live_count,
                group.checked,
                zones.get(group.group_id),
                tuple(int_range(m) for m in found),
                whole,
            )
            (checked if group.checked else owing).append(segment)
        return [*checked, *self._rows.segments(), *owing]

    def read(self, segment: Segment) -> Iterator[Callable[[], KeyRows]]:
        if segment.group_id is None:
            yield from self._rows.read(segment)
        else:
            yield _decoder(self._table.fetch(segment.group_id, self._spec.column_ids))

    def rowids(self, segment: Segment, positions: IntArray) -> IntArray | None:
        """Of rows that `read` gave without: another look at the row group, for violations only."""
        if segment.group_id is None:
            return self._rows.rowids(segment, positions)
        raw = self._table.fetch(segment.group_id, ())
        rowids = raw.decode().rowids
        assert rowids is not None
        return rowids[np.searchsorted(raw.positions, positions)]


def _decoder(raw: RawRowGroup) -> Callable[[], KeyRows]:
    def decode() -> KeyRows:
        columns = tuple(decode_chunk(raw.chunks[column_id]) for column_id in raw.column_ids)
        positions = raw.positions
        if len(positions) < raw.group.row_count:
            columns = tuple(column.take(positions) for column in columns)
        return KeyRows(columns, positions, None)

    return decode


def int_range(zone: ZoneMap | None) -> tuple[int, int] | None:
    """(min, max) of a chunk of integers and NULLs, NO_INTS of NULLs alone, None of others."""
    if zone is None:
        return None
    classes = zone.classes & ~_NULL
    if not classes:
        return NO_INTS
    if classes != _INTEGER or not isinstance(zone.min, int) or not isinstance(zone.max, int):
        return None
    return zone.min, zone.max
