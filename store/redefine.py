"""Row parts under their tables' own names for as long as SQLite redefines them, and what that does to row groups.

A row group keeps its chunks: a column with another name is the same column, one that is gone takes its own chunks
along, and one that is new has none (store.added).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from colonnade.store import format as disk
from colonnade.store.added import LONGEST_DEFAULT
from colonnade.store.catalog import (
    ShadowNames,
    StoredColumn,
    describe,
    fetch_one,
    quote,
    read_meta,
    write_columns,
    write_meta,
)
from colonnade.store.convert import cover, rename_shadows, uncover
from colonnade.store.eligible import why_row_format
from colonnade.store.errors import Corrupt
from colonnade.store.switches import unnoticed

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.table import ColumnTable


class NotCoverable(Exception):
    """A table as it is now cannot be in column format."""


@dataclass(frozen=True, slots=True)
class _Uncovered:
    """A table that is an ordinary one for now: its name and columns before, and where SQLite keeps its rows."""

    names: ShadowNames
    columns: tuple[StoredColumn, ...]
    root: int


@contextmanager
def uncovered(store: Store, tables: Sequence[ColumnTable]) -> Iterator[None]:
    """Within, ordinary tables stand for tables in column format: with the user's names and texts, and the rows of
    the row parts, one at least if the table has any. Then they are in column format again, as one ALTER TABLE has
    left them.

    Raises  NotCoverable if one of them cannot be. Whatever is raised, nothing has changed.
    Cost    some 10 ms a table; a column that is gone costs reading the pages of its chunks, which are freed
    """
    db = store.db
    try:
        with unnoticed(db), db:
            for table in tables:
                table.keep_largest()
            for table in tables:
                uncover(db, table.names)
            standing = [_Uncovered(table.names, table.columns, _root(store, table.names)) for table in tables]
            yield
            for each in standing:
                _cover(store, each)
    finally:
        store.invalidate()
        for table in tables:  # what is added, undone and added again has the same column id
            store.cache.forget(table.names.key)


def _root(store: Store, names: ShadowNames) -> int:
    """Where the table's b-tree begins: that stays, whatever ALTER TABLE does."""
    root: int = fetch_one(
        store.db,
        f"SELECT rootpage FROM {quote(names.schema)}.sqlite_schema WHERE type='table' AND name=?",
        (names.name,),
    )
    return root


def _cover(store: Store, before: _Uncovered) -> None:
    db, old = store.db, before.names
    name: str = fetch_one(
        db,
        f"SELECT name FROM {quote(old.schema)}.sqlite_schema WHERE type='table' AND rootpage=?",
        (before.root,),
    )
    new = ShadowNames(old.schema, name)
    reason = why_row_format(db, new.schema, new.name, shadows=new.name == old.name)
    if reason is not None:
        raise NotCoverable(reason)
    columns = _columns(store, before, new)
    if new.name != old.name:
        rename_shadows(db, old, new)
        store.renamed()
    write_columns(db, new, columns)
    write_meta(db, new, "stamp", store.stamps.fresh())
    cover(db, new)


def _columns(store: Store, before: _Uncovered, new: ShadowNames) -> list[StoredColumn]:
    """The columns with their ids as they are now; chunks of a column that is gone are freed."""
    now, known = describe(store.db, new.schema, new.name), before.columns
    names = {column.name.lower() for column in now}
    if len(now) < len(known):
        for column in known:
            if column.name.lower() not in names:
                store.pager.free_column(before.names, column.column_id)
        known = tuple(column for column in known if column.name.lower() in names)
    columns = [
        replace(column, column_id=was.column_id, first_group=was.first_group, default=was.default)
        for column, was in zip(now, known, strict=False)
    ]
    return columns + [_added(store, before, new, column) for column in now[len(known) :]]


def _added(store: Store, before: _Uncovered, new: ShadowNames, column: StoredColumn) -> StoredColumn:
    db, old = store.db, before.names
    number, following = read_meta(db, old, "next_column"), read_meta(db, old, "next_group")
    if not (isinstance(number, int) and isinstance(following, int)):
        raise Corrupt(f"table {old.name} has no next column id or row group id")
    if not 0 < number < disk.COLUMN_ID_SPAN:
        raise NotCoverable("it has had too many columns")
    write_meta(db, old, "next_column", number + 1)
    if fetch_one(db, f"SELECT 1 FROM {old.groups} LIMIT 1") is None:
        return replace(column, column_id=number)
    # What SQLite makes of the DEFAULT: the same for all rows that are there, of which the row part has one.
    default = fetch_one(db, f"SELECT {quote(column.name)} FROM {quote(new.schema)}.{quote(new.name)} LIMIT 1")
    if isinstance(default, str | bytes) and len(default) > LONGEST_DEFAULT:
        raise NotCoverable(f"the default of column {column.name} is too long")
    return replace(column, column_id=number, first_group=following, default=default)
