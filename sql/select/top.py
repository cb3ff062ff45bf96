"""LIMIT and OFFSET over one table: the rows they let through, told by the columns of WHERE and ORDER BY alone.

All other columns are read of these rows only, and not of a whole table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.sql.affinity import Affinity
from colonnade.sql.select.block import BlockRun
from colonnade.sql.select.express import BatchRows, full
from colonnade.sql.select.order import keys_in_order, sorted_places
from colonnade.sql.select.query import Order, Query
from colonnade.sql.select.reading import KeyFilter, is_column_table, key_filter
from colonnade.sql.select.terms import ROWID, Column, Subquery, Term, Window, has
from colonnade.sql.select.vector import Vector, concat, integers
from colonnade.store.encodings.text import bytes_and_offsets
from colonnade.store.values import IntArray, Kind

if TYPE_CHECKING:
    from colonnade.sql.select.run import Run

_MOST = 1 << 14  # rows up to which LIMIT and OFFSET are looked for so
_WORTH = 4  # times as many rows as are wanted, from which on most are left out before the others are sorted
_PREFIX = 8  # bytes of a text
_WAITING = 1 << 18  # candidates that wait to be compared with each other


def top_rows(run: Run, query: Query, first: int, last: int) -> KeyFilter | None:
    """What tells the rows from place `first` to `last` of the query's order, or without ORDER BY of the table's;
    where there is an ORDER BY those before `first` are among them. None: they are to be found in another way.
    """
    column = _rowid(run, query)
    if column is None or not 0 <= first < last or (query.ordering and last > _MOST) or last - first > _MOST:
        return None
    terms = [order.term for order in query.ordering]
    rows = BlockRun(run, query.blocks[0], [*terms, column]).streamed()
    if rows is None:
        return None
    with closing(rows):
        found = (
            _sorted(run, query.ordering, rows, column, last) if terms else _counted(rows, column, first, last)
        )
    return key_filter(column, integers(found))


def _rowid(run: Run, query: Query) -> Column | None:
    """The rowid of the only table of a query that is the rows of that table, in column format."""
    block = query.blocks[0]
    if query.outer or not block.is_plain or not is_column_table(run.store, block.sources):
        return None
    terms = [*block.items, *(order.term for order in query.ordering)]
    if any(has(term, Subquery) or has(term, Window) for term in terms):
        return None
    return Column(block.sources[0].number, ROWID, Affinity.INTEGER, None)


def _counted(rows: Iterator[BatchRows], column: Column, first: int, last: int) -> IntArray:
    """The rowids of the rows from place `first` to `last`."""
    found: list[IntArray] = []
    start = 0
    for batch in rows:
        if start + batch.count > first:
            rowids = batch.column(column).data.to_numpy()
            found.append(rowids[max(0, first - start) : last - start])
        start += batch.count
        if start >= last:
            break
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _sorted(
    run: Run, ordering: Sequence[Order], rows: Iterator[BatchRows], column: Column, count: int
) -> IntArray:
    """The rowids of the first `count` rows in an order, those that are equal in it as they stand."""
    terms: list[Term] = [*(order.term for order in ordering), column]
    kept: list[list[Vector]] = []
    waiting = 0
    for batch in rows:
        vectors = [full(term, batch, run.values) for term in terms]
        kept.append(_first(ordering, vectors, count))
        waiting += len(kept[-1][-1])
        if waiting > _WAITING:
            kept = [_first(ordering, _together(kept), count)]
            waiting = count
    if not kept:
        return np.zeros(0, np.int64)
    rowids: IntArray = _first(ordering, _together(kept), count)[-1].data.to_numpy()
    return rowids


def _together(parts: Sequence[list[Vector]]) -> list[Vector]:
    return [concat(list(column)) for column in zip(*parts, strict=True)] if len(parts) > 1 else parts[0]


def _first(ordering: Sequence[Order], vectors: list[Vector], count: int) -> list[Vector]:
    """The first `count` of some rows in an order, in the order in which they stand."""
    codes = _prefixes(vectors[0], ordering[0]) if len(vectors[-1]) > _WORTH * count else None
    if codes is not None:
        chosen = pa.array(np.flatnonzero(codes <= np.partition(codes, count - 1)[count - 1]))
        vectors = [vector.take(chosen) for vector in vectors]
    if len(vectors[-1]) <= count:
        return vectors
    keys = keys_in_order(vectors, ordering)
    candidates = np.arange(len(vectors[-1]))
    if len(keys[0]) > _WORTH * count:  # most are told by the first key
        last = np.partition(keys[0], count - 1)[count - 1]
        candidates = np.flatnonzero(keys[0] <= last)
    places = candidates[sorted_places([key[candidates] for key in keys])[:count]]
    chosen = pa.array(np.sort(places))
    return [vector.take(chosen) for vector in vectors]


def _prefixes(vector: Vector, order: Order) -> npt.NDArray[np.uint64] | None:
    """What texts begin with, as numbers in their order or equal, so that few texts have to be sorted; None where there
    is nothing like it."""
    if vector.kind is not Kind.TEXT or (order.term.collation or "BINARY") != "BINARY":
        return None
    if vector.data.null_count or pa.types.is_dictionary(vector.data.type):
        return None
    raw, offsets = bytes_and_offsets(vector.data)
    starts, lengths = offsets[:-1], offsets[1:] - offsets[:-1]
    codes = np.zeros(len(starts), np.uint64)
    for place in range(_PREFIX if len(raw) else 0):
        long = lengths > place
        byte = raw.take(np.where(long, starts + place, 0))
        codes = (codes << np.uint64(8)) | np.where(long, byte, 0).astype(np.uint64)
    return ~codes if order.descending else codes
