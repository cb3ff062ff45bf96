"""DELETE and UPDATE on rows that share a rowid or a key, as rows that are not validated yet may.

Such rows cannot stand in the row part together. All rows with the rowids that matched are copied to a scratch
table without constraints, the user's own text runs on that, and what it leaves goes back as row groups that
owe their validation as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.sql.checks import check_batch
from colonnade.sql.objects import fold
from colonnade.sql.schema import read_schema
from colonnade.sql.tokens import quote
from colonnade.store.freeze import batch_key_zones, copies
from colonnade.store.rowgroup import encode_row_group
from colonnade.store.rowpart import to_batch
from colonnade.store.values import IntArray, RowBatch, to_python

if TYPE_CHECKING:
    from colonnade.sql.write import Matches, Write

_SCRATCH = "colonnade scratch"  # in the table's schema, where the user's text may say main.t.a
_HIT, _PLACE = '"colonnade hit"', '"colonnade place"'
_ROWIDS = ("rowid", "oid", "_rowid_")


def rewrite(write: Write, matches: Matches) -> tuple[int, list[tuple[Any, ...]]]:
    """Runs the statement on the rows that matched; returns how many it changed, and what RETURNING gave.

    Raises IntegrityError for an UPDATE that breaks NOT NULL, CHECK or a STRICT type
    """
    rowids = matches.rowids
    with _scratch(write, rowids) as scratch:
        _mark_hits(write, scratch, matches)
        cursor = write.natively_on(_SCRATCH, _HIT)
        returned = _without_own(write, cursor.fetchall())
        count = write.db.changes()
        write.table.delete(rowids)
        write.delete_rows(rowids)
        for batch in _left(write, scratch):
            _put(write, batch)
    return count, returned


@contextmanager
def _scratch(write: Write, rowids: IntArray) -> Iterator[str]:
    """The scratch table with all rows that have these rowids: its name."""
    table, db = write.table, write.db
    scratch = f"{quote(table.schema)}.{quote(_SCRATCH)}"
    columns = [f"{quote(c.name)} {c.decl_type} COLLATE {quote(c.collation)}" for c in table.columns]
    taken = {fold(column.name) for column in table.columns}
    own_rowids = [name for name in _ROWIDS if name not in taken]
    columns += [f"{name} INTEGER" for name in own_rowids]
    db.execute(f"CREATE TABLE {scratch} ({', '.join(columns)}, {_HIT}, {_PLACE} INTEGER PRIMARY KEY)")
    try:
        marks = ", ".join("?" * len(columns)) + ", 1, NULL"
        for batch in copies(table, rowids):
            assert batch.rowids is not None
            values = [*map(to_python, batch.columns), *[batch.rowids.tolist()] * len(own_rowids)]
            db.executemany(f"INSERT INTO {scratch} VALUES ({marks})", zip(*values, strict=True))
        listed = [*(quote(column.name) for column in table.columns), *[write.rowid] * len(own_rowids)]
        db.execute(
            f"INSERT INTO {scratch} SELECT {', '.join(listed)}, 1, NULL FROM {write.rows}"
            f" WHERE {write.rowid} IN carray(?)",
            (apsw.carray(rowids),),
        )
        yield scratch
    finally:
        db.execute(f"DROP TABLE {scratch}")


def _mark_hits(write: Write, scratch: str, matches: Matches) -> None:
    """Of rows that share a rowid, those that did not match are no hits."""
    if matches.rows is None:
        return
    left = matches.rows.copy()
    missed = []
    columns = ", ".join(quote(column.name) for column in write.table.columns)
    for place, *row in write.db.execute(f"SELECT {_PLACE}, {write.rowid}, {columns} FROM {scratch}"):
        key = repr(tuple(row))
        if left[key]:
            left[key] -= 1
        else:
            missed.append((place,))
    write.db.executemany(f"UPDATE {scratch} SET {_HIT} = 0 WHERE {_PLACE} = ?", missed)


def _without_own(write: Write, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What RETURNING gave, without the columns that * shows of the scratch table alone."""
    names = [column[0] for column in write.description]
    taken = {fold(column.name) for column in write.table.columns}
    own = [*(name for name in _ROWIDS if name not in taken), _HIT.strip('"'), _PLACE.strip('"')]
    kept: list[int] = []
    for position, name in enumerate(names):
        kept.append(position)
        if name == own[-1] and names[: position + 1][-len(own) :] == own:
            del kept[-len(own) :]
    write.description = tuple(write.description[position] for position in kept)
    return [tuple(row[position] for position in kept) for row in rows]


def _left(write: Write, scratch: str) -> Iterator[RowBatch]:
    """What is in the scratch table, in rowid order."""
    table = write.table
    columns = ", ".join(quote(column.name) for column in table.columns)
    rows = write.db.execute(f"SELECT {write.rowid}, {columns} FROM {scratch} ORDER BY {write.rowid}")
    size = table.store.batch_rows(table.name, table.schema)
    while some := list(islice(rows, size)):
        yield to_batch(some, len(table.columns))


def _put(write: Write, batch: RowBatch) -> None:
    table = write.table
    if not write.deletes:
        definition = read_schema(write.db, table.schema).table(table.name)
        assert definition is not None
        problem = check_batch(write.db, definition, batch)
        if problem is not None:
            raise problem.error()
    group = encode_row_group(batch, table.column_ids, table.rowid_column)
    table.put(group, batch_key_zones(table, batch), checked=False)
