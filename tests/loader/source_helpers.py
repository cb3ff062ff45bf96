"""What the tests of sources share: load a file through a source, and through SQLite itself."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import apsw

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources import LoadedRows, find_sources, open_arrow, open_source
from colonnade.sql.objects import TableDef
from colonnade.sql.schema import read_schema
from colonnade.store.values import concat_batches, to_python


def table_of(ddl: str) -> TableDef:
    """The one table of a CREATE TABLE statement."""
    db = apsw.Connection(":memory:")
    db.execute(ddl)
    return next(iter(read_schema(db).tables.values()))


def load(
    path: Path | str, ddl: str, *, batch_rows: int = 1000, **options: Any
) -> tuple[list[tuple[Any, ...]], list[LoadedRows]]:
    """All rows that the source gives, as Python values, and the parts they came in."""
    db = apsw.Connection(":memory:")
    db.execute(ddl)
    schema, chosen = read_schema(db), LoadOptions(**options)
    table = next(iter(schema.tables.values()))
    (file,) = find_sources([f"{table.name}={path}"], schema, chosen)
    parts = []
    for task in open_source(file, table, chosen).tasks(lambda: batch_rows):
        parts += task.run()
    return rows_of(parts), parts


def load_arrow(data: Any, ddl: str, *, batch_rows: int = 1000, **options: Any) -> list[tuple[Any, ...]]:
    source = open_arrow(data, table_of(ddl), LoadOptions(**options))
    return rows_of([part for task in source.tasks(lambda: batch_rows) for part in task.run()])


def rows_of(parts: list[LoadedRows]) -> list[tuple[Any, ...]]:
    batches = [part.batch for part in parts if part.batch.row_count]
    if not batches:
        return []
    joined = concat_batches(batches)
    return list(zip(*(to_python(column) for column in joined.columns), strict=True))


def in_sqlite(rows: list[Any], ddl: str) -> list[tuple[Any, ...]]:
    """The rows as SQLite holds them after executemany."""
    db = apsw.Connection(":memory:")
    db.execute(ddl)
    name = table_of(ddl).name
    db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return [tuple(row) for row in db.execute(f"SELECT * FROM {name} ORDER BY rowid")]


def csv_rows(text: str, **dialect: Any) -> list[list[str]]:
    """The fields as Python's csv module reads them."""
    return list(csv.reader(io.StringIO(text, newline=""), **dialect))


def same(got: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """Equal, types included: 1 is not 1.0, and 0.0 is not -0.0."""
    assert [[repr(value) for value in row] for row in got] == [
        [repr(value) for value in row] for row in expected
    ]
