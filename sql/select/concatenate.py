"""group_concat() and string_agg(): the texts of a group, one after another in the order of its rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.affinity import Affinity
from colonnade.sql.select.express import Rows, Values, full
from colonnade.sql.select.keys import Groups, coded, grouped, stable_order
from colonnade.sql.select.order import keys_of, sorted_places
from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.terms import Aggregate, Constant, Op
from colonnade.sql.select.vector import TEXTS, BoolArray, NotVectorizable, Vector, integers, nulls, text_data
from colonnade.store.values import IntArray, Kind


def separator_of(aggregate: Aggregate) -> str:
    """What stands between two texts. Raises NotVectorizable unless that is a text of the query."""
    if len(aggregate.operands) == 1:
        return ","
    separator = aggregate.operands[1]
    if len(aggregate.operands) > 2 or not isinstance(separator, Constant) or type(separator.value) is not str:
        raise NotVectorizable("a separator that is no text")
    return separator.value


def concatenation(
    aggregate: Aggregate, rows: Rows, values: Values, groups: Groups, kept: BoolArray | None
) -> Vector:
    """The text of each group, NULL where it has none.

    kept  the rows that FILTER lets through; None: all
    """
    separator = separator_of(aggregate)
    vector, numbers = full(aggregate.operands[0], rows, values), groups.numbers
    if vector.kind is Kind.NULL:
        return nulls(groups.count)
    chosen = vector.valid() if kept is None else vector.valid() & kept
    places = np.flatnonzero(chosen)
    if aggregate.ordering:
        keys = [
            k
            for t, down, first in aggregate.ordering
            for k in keys_of(full(t, rows, values), "BINARY", down, first)
        ]
        places = places[sorted_places([key[places] for key in keys])]
    vector, numbers = vector.take(pa.array(places)), numbers[places]
    if aggregate.distinct:
        if vector.kind is Kind.NUMERIC and not vector.stored:
            raise NotVectorizable("DISTINCT of computed decimals")
        firsts = np.sort(grouped([integers(numbers), integers(coded(vector).codes)], len(numbers)).firsts)
        vector, numbers = vector.take(pa.array(firsts)), numbers[firsts]
    if vector.kind not in TEXTS:
        if vector.kind is Kind.BLOB:
            raise NotVectorizable("group_concat() of BLOBs")
        cast = Op("cast", (aggregate.operands[0],), extra=Affinity.TEXT)
        vector = values.ask(Operands(cast, [vector], len(vector), values.ask)) if len(vector) else nulls(0)
    return joined_texts(vector, numbers, groups.count, separator)


def joined_texts(vector: Vector, numbers: IntArray, count: int, separator: str) -> Vector:
    """The texts of each group in their order, with the separator between them; NULL where there is none."""
    if vector.kind is Kind.NULL or not len(vector):
        return nulls(count)
    order = stable_order(numbers, count)
    counts = np.bincount(numbers, minlength=count)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pc.take(text_data(vector), pa.array(order)))
    texts = pc.binary_join(lists, separator)
    return Vector(Kind.TEXT, pc.if_else(pa.array(counts > 0), texts, pa.scalar(None, pa.string())))
