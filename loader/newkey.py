"""A UNIQUE index that is made on a table in column format: its key is checked in row groups and row part together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from colonnade.loader.checking import ValidateLimits
from colonnade.loader.validate import check_key
from colonnade.loader.violations import ViolationBatch
from colonnade.sql.objects import fold
from colonnade.sql.schema import read_schema
from colonnade.store.chunk import decode_chunk
from colonnade.store.database import Store
from colonnade.store.errors import IntegrityError, as_sqlite
from colonnade.store.keycode import KeySpec
from colonnade.store.keyindex import key_zone
from colonnade.store.redefine import NotCoverable
from colonnade.store.table import ColumnTable

_GROUPS = 64  # row groups whose key zones are in memory at a time


@contextmanager
def with_new_key(store: Store, before: ColumnTable) -> Iterator[None]:
    """For SQLite to make a UNIQUE index of a row part within; then its key zones are made, and the key is checked.

    Raises  IntegrityError, as SQLite does, for a key that is there twice; NotCoverable for an index that is no key
            of columns. Nothing has changed then
    Memory  a row group's key columns, and what checking a UNIQUE constraint takes
    """
    try:
        with store.db:
            yield
            _take_in(store, before)
    except BaseException:
        store.invalidate()
        raise


def _take_in(store: Store, before: ColumnTable) -> None:
    table = store.table(before.name, before.schema)
    schema = read_schema(store.db, before.schema)
    definition = schema.table(before.name)
    assert table is not None
    assert definition is not None
    if definition.odd_keys:
        raise NotCoverable(f"the UNIQUE index {definition.odd_keys[0]} is no key of columns")
    ids = {fold(column.name): column.column_id for column in table.columns}
    known = before.key_specs()
    for key in definition.keys:
        spec = KeySpec(tuple(ids[fold(name)] for name in key.columns), key.collations)
        if spec not in known:
            _make_zones(table, spec)
            check_key(store, schema, definition, key, ValidateLimits(store.working_memory()), _First())


def _make_zones(table: ColumnTable, spec: KeySpec) -> None:
    """The key zones are those of all rows of a row group, tombstoned ones included, as when it was written."""
    groups = table.groups()
    for start in range(0, len(groups), _GROUPS):
        zones = {}
        for group in groups[start : start + _GROUPS]:
            columns = [decode_chunk(table.chunk(group, column_id)) for column_id in spec.column_ids]
            zones[group.group_id] = key_zone(columns, spec)
        table.put_key_zones(spec.signature, zones)


@dataclass(frozen=True, slots=True)
class _First:
    """A sink that takes no violation."""

    def add(self, batch: ViolationBatch) -> None:
        raise as_sqlite(IntegrityError(batch.constraint.message), "SQLITE_CONSTRAINT_UNIQUE")
