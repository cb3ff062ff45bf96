"""Which of a batch of keys an ordinary SQLite table holds: a table in row format, or the row part of another.

A table of few rows is read and searched here; of any other SQLite's own index is asked for the whole batch at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np
import pyarrow.compute as pc

from colonnade.store.keycode import Mask
from colonnade.store.keyprobe import Effort, KeyBatch
from colonnade.store.keyrun import pack
from colonnade.store.rawtext import read_rows
from colonnade.store.values import Column, Kind, as_text, from_python, to_python

_LEAST_ROWS = 64  # a smaller table is read rather than asked
_SHARE = 16  # so is one with fewer rows than this part of the keys: a look-up costs some 16 rows read


def held_by_rows(
    db: apsw.Connection, table: str, columns: Sequence[str], keys: KeyBatch, effort: Effort
) -> Mask:
    """Which of the keys a row of the table has, (n,) bool.

    table, columns  as SQL; an index of SQLite's is on these columns with the collations of the keys
    """
    most = max(_LEAST_ROWS, len(keys) // _SHARE)
    count: Any = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {most})").get
    if not count:
        return np.zeros(len(keys), bool)
    effort.indexes += 1
    if count < most:
        rows = list(read_rows(db, columns, f"FROM {table}"))
        effort.rows_read += len(rows)
        return keys.among([from_python(values) for values in zip(*rows, strict=True)])
    found = _ask(db, table, columns, keys)
    effort.rows_read += int(found.sum())
    return found


def _ask(db: apsw.Connection, table: str, columns: Sequence[str], keys: KeyBatch) -> Mask:
    values = _as_array(keys)
    if values is None:
        where = _equal(columns, keys, ["?"] * len(columns))
        sql = f"SELECT EXISTS (SELECT 1 FROM {table} AS held WHERE {where})"
        rows = zip(*map(to_python, keys.columns), strict=True)
        return np.fromiter((hit for (hit,) in db.executemany(sql, rows)), bool, len(keys))
    array, parts, numbers = values
    where = _equal(columns, keys, parts)
    sql = f"SELECT wanted.rowid FROM carray(?1) AS wanted WHERE EXISTS (SELECT 1 FROM {table} AS held WHERE {where})"
    found = np.zeros(len(keys), bool)
    hits = np.fromiter((row for (row,) in db.execute(sql, (apsw.carray(array), *numbers))), np.int64)
    found[hits - 1] = True
    return found


def _equal(columns: Sequence[str], keys: KeyBatch, parts: Sequence[str]) -> str:
    return " AND ".join(
        f"held.{column} = {part} COLLATE {collation}"
        for column, part, collation in zip(columns, parts, keys.collations, strict=True)
    )


def _as_array(keys: KeyBatch) -> tuple[Any, list[str], list[int]] | None:
    """The keys as one array for carray, SQL for the parts of a key, and the numbers that are in it from ?2 on.

    None where an array cannot hold them.
    """
    if len(keys.columns) == 1:
        array = _one_array(keys.columns[0])
        return None if array is None else (array, ["wanted.value"], [])
    if keys.ints is None or any(column.kind is not Kind.INTEGER for column in keys.columns):
        return None
    one_each = pack(keys.ints)
    if one_each is None:
        return None
    codes, ranges = one_each
    parts: list[str] = []
    numbers: list[int] = []
    weight = 1
    for low, high in reversed(ranges):
        at = len(numbers) + 2
        parts.append(f"wanted.value / ?{at} % ?{at + 1} + ?{at + 2}")
        numbers += [weight, high - low + 1, low]
        weight *= high - low + 1
    return codes, [f"({part})" for part in reversed(parts)], numbers


def _one_array(column: Column) -> Any:
    if column.kind in (Kind.INTEGER, Kind.REAL):
        return np.ascontiguousarray(column.data.to_numpy())
    if column.kind is Kind.BLOB:
        return tuple(column.data.to_pylist())
    if column.kind not in (Kind.TEXT, Kind.DATE, Kind.DATETIME):
        return None
    if pc.any(pc.match_substring(as_text(column), "\0")).as_py():  # where carray's texts end
        return None
    return tuple(to_python(column))
