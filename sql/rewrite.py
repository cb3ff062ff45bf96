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
    from colonnade.sql.write import Write

_SCRATCH = 'temp."colonnade scratch"'
_ROWIDS = ("rowid", "oid", "_rowid_")


def rewrite(write: Write, rowids: IntArray) -> tuple[int, list[tuple[Any, ...]]]:
    """Runs the statement on the rows with these rowids; returns how many it changed, and what RETURNING gave.

    Raises IntegrityError for an UPDATE that breaks NOT NULL, CHECK or a STRICT type
    """
    with _scratch(write, rowids):
        cursor = write.on(_SCRATCH)
        returned = cursor.fetchall()
        count = write.db.changes()
        write.table.delete(rowids)
        write.delete_rows(rowids)
        for batch in _left(write):
            _put(write, batch)
    return count, returned


@contextmanager
def _scratch(write: Write, rowids: IntArray) -> Iterator[None]:
    table, db = write.table, write.db
    columns = [f"{quote(c.name)} {c.decl_type} COLLATE {quote(c.collation)}" for c in table.columns]
    taken = {fold(column.name) for column in table.columns}
    own_rowids = [name for name in _ROWIDS if name not in taken]
    columns += [f"{name} INTEGER" for name in own_rowids]
    db.execute(f"CREATE TABLE {_SCRATCH} ({', '.join(columns)})")
    try:
        marks = ", ".join("?" * len(columns))
        for batch in copies(table, rowids):
            assert batch.rowids is not None
            values = [*map(to_python, batch.columns), *[batch.rowids.tolist()] * len(own_rowids)]
            db.executemany(f"INSERT INTO {_SCRATCH} VALUES ({marks})", zip(*values, strict=True))
        listed = [*(quote(column.name) for column in table.columns), *[write.rowid] * len(own_rowids)]
        db.execute(
            f"INSERT INTO {_SCRATCH} SELECT {', '.join(listed)} FROM {write.rows} WHERE {write.rowid} IN carray(?)",
            (apsw.carray(rowids),),
        )
        yield
    finally:
        db.execute(f"DROP TABLE {_SCRATCH}")


def _left(write: Write) -> Iterator[RowBatch]:
    """What is in the scratch table, in rowid order."""
    table = write.table
    columns = ", ".join(quote(column.name) for column in table.columns)
    rows = write.db.execute(f"SELECT {write.rowid}, {columns} FROM {_SCRATCH} ORDER BY {write.rowid}")
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
