"""Conditions on one column, tested on its narrowed values.

A comparison of a number or a day with a constant is one of small integers with another. Any other condition is
evaluated once for each word of a dictionary, and looked up by the codes of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from colonnade.sql.select.express import BatchRows, Values, evaluate, is_fixed, passing
from colonnade.sql.select.rules.compare import MIRRORED, day_of
from colonnade.sql.select.terms import Column, Op, Term
from colonnade.sql.select.vector import NUMBERS, BoolArray, Vector
from colonnade.store.encodings.narrowed import Narrowed, NarrowWords
from colonnade.store.narrowcolumn import NarrowColumn
from colonnade.store.values import EXACT_INT, Kind

_EPOCH = date(1970, 1, 1)


class NarrowTest:
    """A condition on one column."""

    def __init__(self, term: Term, column: Column, values: Values) -> None:
        self._term, self._column, self._values = term, column, values
        self._op = ""
        self._number: int | float | None = None
        self._day: int | None = None
        if isinstance(term, Op) and term.name in MIRRORED:
            self._compare(term)
        self._table: tuple[pa.Array, BoolArray] | None = None

    def _compare(self, term: Op) -> None:
        """Notes what constant the column is compared with, if nothing has to be converted for it."""
        (left, right), (to_column, to_other, collation), op = term.operands, term.extra, term.name
        if not isinstance(left, Column):
            left, right, to_column, to_other, op = right, left, to_other, to_column, MIRRORED[op]
        if not isinstance(left, Column) or not is_fixed(right):
            return
        other = evaluate(right, BatchRows(1, {}), self._values)
        value = other.value()
        if isinstance(value, str) and to_column != "numeric" and collation == "BINARY":
            day = day_of(value)
            self._day = None if day is None else (day - _EPOCH).days
        elif isinstance(value, int | float) and "text" not in (to_column, to_other):
            self._number = value if isinstance(value, float) or abs(value) <= EXACT_INT else None
        self._op = op

    def applies(self, column: NarrowColumn) -> bool:
        """Whether `mask` can tell."""
        if isinstance(column.parts[0], NarrowWords):
            return True
        wanted = self._number if column.kind in NUMBERS else self._day if column.kind is Kind.DATE else None
        return wanted is not None

    def mask(self, column: NarrowColumn) -> BoolArray | None:
        """The rows for which the condition is true, (n,) bool; None: all."""
        if isinstance(column.parts[0], NarrowWords):
            return column.passing(self._passing_words)
        wanted = self._number if column.kind in NUMBERS else self._day
        assert wanted is not None
        return column.compared(self._op, wanted)

    def _passing_words(self, part: Narrowed) -> BoolArray:
        """The words for which it is true. Row groups that follow each other often have the same."""
        assert isinstance(part, NarrowWords)
        words, known = part.words, self._table
        if known is not None and known[0].equals(words):
            return known[1]
        found = passing(
            self._term, BatchRows(len(words), {self._column: Vector(Kind.TEXT, words)}), self._values
        )
        table = np.ones(len(words), bool) if found is None else found
        self._table = (words, table)
        return table


def narrow_test(term: Term, columns: Sequence[Column], values: Values) -> NarrowTest | None:
    """A test for a condition that needs these columns; None where they are not one."""
    return NarrowTest(term, columns[0], values) if len(columns) == 1 else None
