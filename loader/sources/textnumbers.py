"""Text in numeric columns: which columns are meant for numbers, how many of their values are text, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import ColumnDef, TableDef
from colonnade.store.values import Column, IntArray, Kind, StorageClass

# NUMERIC affinity is also that of DATE, BOOLEAN and STRING, whose values are meant to be text.
_DECIMAL = re.compile(r"\s*(DEC|DECIMAL|NUMERIC|NUMBER|FIXED|MONEY)\b", re.IGNORECASE)


def is_number_column(column: ColumnDef) -> bool:
    """Whether a column is declared for numbers: INTEGER or REAL affinity, or a DECIMAL by any name."""
    if column.affinity in (Affinity.INTEGER, Affinity.REAL):
        return True
    return column.affinity is Affinity.NUMERIC and _DECIMAL.match(column.decl_type) is not None


def text_numbers(table: TableDef, columns: Sequence[Column]) -> dict[str, int]:
    """By column name, how many values of a number column are TEXT; only columns with some."""
    counts = {}
    for definition, column in zip(table.columns, columns, strict=True):
        if column.kind in (Kind.INTEGER, Kind.REAL, Kind.NUMERIC) or not is_number_column(definition):
            continue
        count = len(text_rows(column))
        if count:
            counts[definition.name] = count
    return counts


def text_rows(column: Column) -> IntArray:
    """Positions of the values that are TEXT."""
    if column.kind is Kind.MIXED:
        return np.flatnonzero(column.data.field("tag").to_numpy() == StorageClass.TEXT)
    if column.kind in (Kind.TEXT, Kind.DATE, Kind.DATETIME):
        return np.flatnonzero(column.data.is_valid().to_numpy(zero_copy_only=False))
    return np.zeros(0, np.int64)
