"""The checker: re-derives every invariant of a table in column format and yields what does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from colonnade.store import format as disk
from colonnade.store.catalog import fetch_all, read_meta
from colonnade.store.chunk import decode_chunk, encode_chunk
from colonnade.store.errors import Corrupt, DatabaseError
from colonnade.store.keyindex import KeyZone, key_zone
from colonnade.store.pager import RowGroupInfo
from colonnade.store.prune import compare_values
from colonnade.store.scan import rowid_values
from colonnade.store.values import Column, SQLiteValue
from colonnade.store.zonemap import ZoneMap

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.table import ColumnTable


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold. `group` is None where it is about the whole table."""

    table: str
    group: int | None
    what: str

    def __str__(self) -> str:
        place = "" if self.group is None else f", row group {self.group}"
        return f"{self.table}{place}: {self.what}"


def check(store: Store, schema: str = "main") -> Iterator[Finding]:
    """What does not hold in any column-format table of a schema."""
    for table in store.tables(schema):
        yield from check_table(table)


def check_table(table: ColumnTable, *, values: bool = True) -> Iterator[Finding]:
    """What does not hold in one table.

    values  also decode every chunk; without, only the records about them are compared
    Memory  one row group
    """
    try:
        groups = table.groups()
        for group in groups:
            for rule in GROUP_RULES:
                yield from _findings(table, group, rule(table, group))
            if values:
                yield from _findings(table, group, _values(table, group))
        for table_rule in TABLE_RULES:
            yield from _findings(table, None, table_rule(table))
        if values:
            yield from _findings(table, None, _rowid_order(table))
    except DatabaseError as error:
        yield Finding(table.name, None, str(error))


def _findings(table: ColumnTable, group: RowGroupInfo | None, found: Iterator[str]) -> Iterator[Finding]:
    group_id = None if group is None else group.group_id
    try:
        for what in found:
            yield Finding(table.name, group_id, what)
    except Corrupt as error:
        yield Finding(table.name, group_id, str(error))


# --- one row group ---------------------------------------------------------------------------------------


def _chunk_sizes(table: ColumnTable, group: RowGroupInfo) -> Iterator[str]:
    first = disk.chunk_id(group.group_id, 0)
    found = fetch_all(
        table.store.db,
        f"SELECT chunk_id - ?, length(data) FROM {table.names.chunks} WHERE chunk_id BETWEEN ? AND ?",
        (first, first, first + disk.COLUMN_ID_SPAN - 1),
    )
    expected = {*table.column_ids, table.rowid_column} - {*table.added.missing(group.group_id)}
    for column_id in sorted({column_id for column_id, _ in found} ^ expected):
        missing = column_id in expected
        yield f"column {column_id} has no chunk" if missing else f"chunk of no column {column_id}"
    size = sum(length for _, length in found)
    if size != group.bytes:
        yield f"its chunks have {size} bytes, its record says {group.bytes}"


def _tombstones(table: ColumnTable, group: RowGroupInfo) -> Iterator[str]:
    bitmap = table.state().tombstones.get(group.group_id)
    if bitmap is None:
        if group.dead_count:
            yield f"{group.dead_count} rows are dead, but it has no tombstones"
        return
    if len(bitmap) != (group.row_count + 7) // 8:
        yield f"its tombstones have {len(bitmap)} bytes for {group.row_count} rows"
        return
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    if bits[group.row_count :].any():
        yield "its tombstones mark rows beyond its last"
    if int(bits.sum()) != group.dead_count:
        yield f"its tombstones mark {int(bits.sum())} rows, its record says {group.dead_count}"


def _checked(table: ColumnTable, group: RowGroupInfo) -> Iterator[str]:
    if not group.checked and table.store.db.get_autocommit():
        yield "it was committed before its keys were checked"


GROUP_RULES: tuple[Callable[[ColumnTable, RowGroupInfo], Iterator[str]], ...] = (
    _chunk_sizes,
    _tombstones,
    _checked,
)


def _values(table: ColumnTable, group: RowGroupInfo) -> Iterator[str]:
    """What the chunks themselves say: checksums, rowids, zone maps and key zones."""
    decoded: dict[int, Column] = {}
    for column_id in dict.fromkeys((table.rowid_column, *table.column_ids)):
        data = table.chunk(group, column_id)
        try:
            column = decode_chunk(data)
        except Corrupt as error:
            yield f"column {column_id}: {error}"
            continue
        if len(column) != group.row_count:
            yield f"column {column_id} has {len(column)} rows, its record says {group.row_count}"
            continue
        decoded[column_id] = column
        zone = table.zones(column_id).get(group.group_id)
        if zone is not None:
            yield from (f"column {column_id}: {what}" for what in _zone(zone, encode_chunk(column).zone))
    if table.rowid_column in decoded:
        rowids = rowid_values(decoded[table.rowid_column], group)
        if (int(rowids[0]), int(rowids[-1])) != (group.first_rowid, group.last_rowid):
            yield f"its rowids are {rowids[0]} to {rowids[-1]}, its record says otherwise"
    for spec in table.key_specs():
        recorded = table.key_zones(spec.signature).get(group.group_id)
        if recorded is not None and all(i in decoded for i in spec.column_ids):
            true = key_zone([decoded[i] for i in spec.column_ids], spec)
            yield from (f"key zone {spec.signature}: {what}" for what in _key_zone(recorded, true))
            if table.key_run(spec.signature, group.group_id) not in (None, true.run):
                yield f"key run {spec.signature}: other keys than the columns have"


def _zone(recorded: ZoneMap, true: ZoneMap) -> Iterator[str]:
    if recorded.null_count != true.null_count:
        yield f"{true.null_count} NULLs, its zone map says {recorded.null_count}"
    missing = true.classes & ~disk.CLASSES_INEXACT & ~recorded.classes
    if missing:
        yield f"its zone map lacks storage classes {missing}"
    if true.min is None:
        return
    # An inexact bound was cut the same way from the same value: the cut keeps the order.
    if recorded.min is None or compare_values(recorded.min, true.min) > 0:
        yield f"the smallest value {_shown(true.min)} is below its zone map's"
    if recorded.max is not None and (true.max is None or compare_values(recorded.max, true.max) < 0):
        yield f"the largest value {_shown(true.max)} is above its zone map's"


def _shown(value: SQLiteValue) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _key_zone(recorded: KeyZone, true: KeyZone) -> Iterator[str]:
    if recorded.unique and not true.unique:
        yield "a key occurs twice, the zone says none does"
    if true.lo is None or true.hi is None:
        return
    if recorded.lo is None or recorded.lo > true.lo:
        yield "a key lies below it"
    if recorded.hi is None or recorded.hi < true.hi:
        yield "a key lies above it"


# --- the whole table -------------------------------------------------------------------------------------


def _orphans(table: ColumnTable) -> Iterator[str]:
    names, db = table.names, table.store.db
    known = f"(SELECT group_id FROM {names.groups})"
    parts = (
        ("column chunks", names.chunks, f"chunk_id / {disk.COLUMN_ID_SPAN}"),
        ("tombstones", names.tombstones, "group_id"),
        ("key zones", names.keys, "group_id"),
    )
    for what, shadow, group_id in parts:
        found = fetch_all(db, f"SELECT DISTINCT {group_id} FROM {shadow} WHERE {group_id} NOT IN {known}")
        for (orphan,) in found:
            yield f"{what} of row group {orphan}, which is not there"


def _next_group(table: ColumnTable) -> Iterator[str]:
    following = read_meta(table.store.db, table.names, "next_group")
    largest = max((group.group_id for group in table.groups()), default=0)
    if not isinstance(following, int) or following <= largest:
        yield f"the next row group id is {following!r}, row group {largest} is there"


def _largest_rowid(table: ColumnTable) -> Iterator[str]:
    largest, span = table.largest_frozen(), table.row_part.min_max()
    if largest is None or any(not group.checked for group in table.groups()):
        return  # a bulk load settles it at its end
    if span is None or span[1] < largest:
        yield f"the row with the largest rowid, {largest}, is not in the row part"


TABLE_RULES: tuple[Callable[[ColumnTable], Iterator[str]], ...] = (_orphans, _next_group, _largest_rowid)


def _rowid_order(table: ColumnTable) -> Iterator[str]:
    """A rowid that occurs twice, in whichever parts of the table."""
    if table.unchecked_groups():
        return
    last: int | None = None
    for batch in table.scan(()):
        assert batch.rowids is not None
        rowids = batch.rowids if last is None else np.concatenate(([last], batch.rowids))
        repeated = rowids[1:][rowids[1:] == rowids[:-1]]
        for rowid in repeated.tolist():
            yield f"rowid {rowid} occurs twice"
        last = int(rowids[-1])
