"""The rows of one task as LoadedRows: split evenly where they are more than a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from colonnade.loader.sources.base import LoadedRows, Provenance, Reject
from colonnade.loader.sources.textnumbers import text_numbers
from colonnade.sql.affinity import settle
from colonnade.sql.objects import TableDef
from colonnade.store.values import Kind, RowBatch


def loaded_rows(
    table: TableDef,
    batch: RowBatch,
    most_rows: int,
    provenance_from: Callable[[int], Provenance],
    rejects: tuple[Reject, ...] = (),
) -> list[LoadedRows]:
    """The batch in the fewest parts of at most `most_rows` rows, the rejects with the first.

    provenance_from(k) is the Provenance of a part that begins with the batch's row k.
    """
    parts = []
    for start, count in even_parts(batch.row_count, most_rows):
        part = batch if count == batch.row_count else _slice(batch, start, count)
        counts = text_numbers(table, part.columns)
        parts.append(LoadedRows(part, provenance_from(start), counts, rejects))
        rejects = ()
    return parts


def _slice(batch: RowBatch, start: int, count: int) -> RowBatch:
    """Some rows; a MIXED column may hold one kind of value among them, and is then of that kind."""
    part = batch.slice(start, count)
    columns = (settle(column) if column.kind is Kind.MIXED else column for column in part.columns)
    return replace(part, columns=tuple(columns))


def even_parts(row_count: int, most: int) -> list[tuple[int, int]]:
    """(start, count) of the fewest parts of equal size, within one row, of at most `most` rows each."""
    parts = max(1, -(-row_count // max(1, most)))
    edges = [row_count * part // parts for part in range(parts + 1)]
    return [(start, stop - start) for start, stop in pairwise(edges)]
