"""Aggregates (sqlite.org/lang_aggfunc.html): states of groups that are merged batch by batch.

A sum of INTEGERs is an INTEGER, exact, or SQLite's to compute where it could overflow; any other sum is a REAL, and a
sum of a NUMERIC column is what its values are. Floating-point sums may differ from SQLite's in their last digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.bindterm import CONCATENATIONS
from colonnade.sql.select.bins import Bins
from colonnade.sql.select.concatenate import concatenation, joined_texts, separator_of
from colonnade.sql.select.express import Rows, Values, full, passing
from colonnade.sql.select.keys import Groups, coded, grouped
from colonnade.sql.select.order import keys_of, ranks, sorted_places
from colonnade.sql.select.relation import Relation
from colonnade.sql.select.terms import Aggregate, Column, Term
from colonnade.sql.select.vector import (
    NUMBERS,
    SAMPLE_ROWS,
    BoolArray,
    NotVectorizable,
    Vector,
    concat,
    doubles,
    integers,
    ints,
    nulls,
    whole_of,
)
from colonnade.store.values import EXACT_INT, IntArray, Kind

_HALF = 32  # bits of the lower half of an integer that is summed in two halves
_EXACT_ROWS = 1 << 20  # of which sums of halves are exact in doubles


@dataclass(eq=False, slots=True)
class Partial:
    """Groups of some rows: their keys, and the state of each aggregate as vectors of one value a group."""

    count: int
    keys: list[Vector]
    states: list[list[Vector]]


class Grouping:
    """The groups of one SELECT, collected from batches of rows."""

    def __init__(
        self,
        groups: Sequence[Term],
        aggregates: Sequence[Aggregate],
        extra: Sequence[Term],
        follows: Collection[Term] = (),
    ) -> None:
        """extra    terms that have one value in each group
        follows  terms of `groups` that are the same in rows in which the others are
        """
        self._groups, self._aggregates = list(groups), list(aggregates)
        self._extra, self._follows = list(extra), follows
        self.streams = not any(aggregate.distinct or aggregate.ordering for aggregate in aggregates)
        # SQLite shows a group as it is in the row of the extreme, else as in its first row.
        self._of_extremes = any(aggregate.name in ("min", "max") for aggregate in aggregates)

    def partial(self, rows: Rows, values: Values) -> Partial:
        """The groups of a batch."""
        telling = {term: full(term, rows, values) for term in self._groups if term not in self._follows}
        groups = grouped(list(telling.values()), rows.count)
        self._refuse_mixed(telling.values(), groups)
        places = pa.array(groups.firsts)
        known_keys = {term: vector.take(places) for term, vector in telling.items()}
        if len(known_keys) < len(self._groups) + len(self._extra):
            firsts = rows.take(groups.firsts)
            known_keys |= {term: full(term, firsts, values) for term in (*self._follows, *self._extra)}
        keys = [known_keys[term] for term in (*self._groups, *self._extra)]
        known: dict[tuple[object, ...], list[Vector]] = {}  # sum() and avg() of the same have the same state
        states = []
        for aggregate in self._aggregates:
            key = _state_key(aggregate)
            if key not in known:
                known[key] = _state(aggregate, rows, values, groups)
            states.append(known[key])
        return Partial(groups.count, keys, states)

    def merged(self, partials: Sequence[Partial]) -> Partial:
        """The groups of several batches together."""
        if len(partials) == 1:
            return partials[0]
        keys = [concat([p.keys[n] for p in partials]) for n in range(len(self._groups) + len(self._extra))]
        telling = [key for term, key in zip(self._groups, keys, strict=False) if term not in self._follows]
        groups = grouped(telling, sum(partial.count for partial in partials))
        self._refuse_mixed(telling, groups)
        places = pa.array(groups.firsts)
        states = []
        for number, aggregate in enumerate(self._aggregates):
            parts = [
                concat([partial.states[number][place] for partial in partials])
                for place in range(len(partials[0].states[number]))
            ]
            states.append(_merge(aggregate, parts, groups))
        return Partial(groups.count, [key.take(places) for key in keys], states)

    def _refuse_mixed(self, keys: Iterable[Vector], groups: Groups) -> None:
        """1 and 1.0 are one group, as are 0.0 and -0.0: which is shown is not known where an extreme decides it."""
        if not self._of_extremes:
            return
        for vector in keys:
            if vector.kind not in (Kind.NUMERIC, Kind.REAL):
                continue
            computed = vector.kind is Kind.NUMERIC and not vector.stored
            if computed and groups.mixed(vector.whole.to_numpy(zero_copy_only=False)):
                raise NotVectorizable("a value that is an integer and a real number")
            if groups.mixed(np.signbit(vector.data.fill_null(0.0).to_numpy())):
                raise NotVectorizable("a group of 0.0 and -0.0 beside an extreme")

    def result(self, partials: Sequence[Partial]) -> Relation:
        """The groups in the order of their keys, with a vector for each group term and aggregate."""
        if not partials or (self._groups and not sum(partial.count for partial in partials)):
            return self._empty()
        partial = self.merged(partials)
        if not partial.count:
            return self._empty()
        known: dict[Term, Vector] = dict(zip((*self._groups, *self._extra), partial.keys, strict=True))
        for aggregate, state in zip(self._aggregates, partial.states, strict=True):
            known[aggregate] = _value(aggregate, state)
        if self._groups:
            places = pa.array(self._in_key_order(known))
            known = {term: vector.take(places) for term, vector in known.items()}
        return Relation(partial.count, {}, known)

    def _in_key_order(self, known: dict[Term, Vector]) -> IntArray:
        """The groups in the order of their keys; most often the first key tells it."""
        keys = keys_of(known[self._groups[0]], "BINARY", False, True)
        places = sorted_places(keys)
        ordered = [key[places] for key in keys]
        if len(self._groups) == 1 or np.logical_or.reduce([key[1:] != key[:-1] for key in ordered]).all():
            return places
        for term in self._groups[1:]:
            keys += keys_of(known[term], "BINARY", False, True)
        return sorted_places(keys)

    def _empty(self) -> Relation:
        if self._groups:
            terms = (*self._groups, *self._extra, *self._aggregates)
            return Relation(0, {}, {term: nulls(0) for term in terms})
        known: dict[Term, Vector] = {a: empty_value(a) for a in self._aggregates}
        known |= {term: nulls(1) for term in self._extra}
        return Relation(1, {}, known)


def empty_value(aggregate: Aggregate) -> Vector:
    """The value over no rows, as one row."""
    if aggregate.name == "count":
        return integers(np.zeros(1, np.int64))
    if aggregate.name == "total":
        return Vector(Kind.REAL, pa.array([0.0]))
    return nulls(1)


def _state_key(aggregate: Aggregate) -> tuple[object, ...]:
    name = "sum" if aggregate.name in ("sum", "avg", "total") else aggregate.name
    return name, aggregate.operands, aggregate.distinct, aggregate.condition, aggregate.ordering


# --- states ----------------------------------------------------------------------------------------------------


def _state(aggregate: Aggregate, rows: Rows, values: Values, groups: Groups) -> list[Vector]:
    bins, kept = groups.bins, None
    if aggregate.condition is not None:
        kept = passing(aggregate.condition, rows, values)
    if not aggregate.operands:
        return [integers((bins if kept is None else _chosen(bins, kept)).sizes)]
    if aggregate.name in CONCATENATIONS:
        return [concatenation(aggregate, rows, values, groups, kept)]
    vector = full(aggregate.operands[0], rows, values)
    if kept is not None:
        vector, bins = vector.filter(pa.array(kept)), _chosen(bins, kept)
    if vector.kind is not Kind.NULL and vector.data.null_count:
        valid = vector.valid()
        vector, bins = vector.filter(pa.array(valid)), _chosen(bins, valid)
    if vector.kind is Kind.NULL:
        vector, bins = nulls(0), Bins(bins.numbers[:0], groups.count)
    if aggregate.distinct:
        vector, bins = _distinct(vector, bins)
    if aggregate.name == "count":
        return [integers(bins.sizes)]
    if aggregate.name in ("min", "max"):
        return [extreme_of(aggregate.name, vector, bins.numbers, groups.count)]
    return [sum_of(vector, bins), integers(bins.sizes)]


def _chosen(bins: Bins, rows: Any) -> Bins:
    """Some of the rows, by a mask or by their places."""
    return Bins(bins.numbers[rows], bins.count)


def _distinct(vector: Vector, bins: Bins) -> tuple[Vector, Bins]:
    """Each value of a group once."""
    numbers = bins.numbers
    if not len(numbers):
        return vector, bins
    if vector.kind is Kind.NUMERIC and not vector.stored:
        raise NotVectorizable("DISTINCT of computed decimals")
    codes = coded(vector)
    found = grouped([integers(numbers), integers(codes.codes)], len(numbers))
    return vector.take(pa.array(found.firsts)), _chosen(bins, found.firsts)


def _merge(aggregate: Aggregate, parts: list[Vector], groups: Groups) -> list[Vector]:
    if aggregate.name == "count":
        return [_count_sum(parts[0], groups)]
    if aggregate.name in CONCATENATIONS:
        vector, numbers = _present(parts[0], groups.numbers)
        return [joined_texts(vector, numbers, groups.count, separator_of(aggregate))]
    if aggregate.name in ("min", "max"):
        vector, numbers = _present(parts[0], groups.numbers)
        return [extreme_of(aggregate.name, vector, numbers, groups.count)]
    vector, numbers = _present(parts[0], groups.numbers)
    return [sum_of(vector, Bins(numbers, groups.count)), _count_sum(parts[1], groups)]


def _count_sum(counts: Vector, groups: Groups) -> Vector:
    data = np.bincount(groups.numbers, weights=counts.data.to_numpy(), minlength=groups.count)
    return integers(data.astype(np.int64))


def _present(vector: Vector, numbers: IntArray) -> tuple[Vector, IntArray]:
    if vector.kind is Kind.NULL:
        return nulls(0), numbers[:0]
    if not vector.data.null_count:
        return vector, numbers
    valid = vector.valid()
    return vector.filter(pa.array(valid)), numbers[valid]


def sum_of(vector: Vector, bins: Bins) -> Vector:
    """The sum of each group: NULL where it has no value."""
    numbers, count = bins.numbers, bins.count
    if vector.kind is Kind.NULL or not len(numbers):
        return nulls(count)
    if vector.kind not in NUMBERS:
        raise NotVectorizable("the sum of texts")
    missing = bins.sizes == 0
    if vector.kind is Kind.INTEGER:
        exact = _integer_sums(ints(vector).to_numpy(), bins)
        return Vector(Kind.INTEGER, pa.array(exact, mask=missing))
    data = vector.data.to_numpy()
    sums = bins.sums(data)
    if not np.isfinite(sums).all():
        raise NotVectorizable("a sum that is no number")
    if vector.kind is Kind.REAL:
        return Vector(Kind.REAL, pa.array(sums, mask=missing))
    integral = _integral(vector, numbers, count, missing)
    if integral.any() and float(np.abs(data).max()) * len(data) > EXACT_INT:
        within = bins.sums(np.abs(data))
        if (within[integral] > EXACT_INT).any():
            raise NotVectorizable("a sum of integers beyond 2**53 in a column of decimals")
    return Vector(Kind.NUMERIC, pa.array(sums, mask=missing), pa.array(integral))


def _integral(vector: Vector, numbers: IntArray, count: int, missing: BoolArray) -> BoolArray:
    """The groups of which all values are INTEGER. Most often a few rows show that there is none."""
    for rows in (SAMPLE_ROWS, len(vector)):
        part = vector if rows >= len(vector) else vector.slice(0, rows)
        whole = whole_of(part)
        mask = np.full(len(part), whole) if isinstance(whole, bool) else whole.to_numpy(zero_copy_only=False)
        real = np.bincount(numbers[: len(part)], weights=~mask, minlength=count) > 0
        if (real | missing).all():
            break
    return ~real


def _integer_sums(values: npt.NDArray[np.int64], bins: Bins) -> IntArray:
    """Exact sums of integers. Raises NotVectorizable where one could leave 64 bits."""
    numbers, count = bins.numbers, bins.count
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * len(values) <= EXACT_INT:
        return bins.sums(values).astype(np.int64)
    if largest * len(values) >= 1 << 63:
        raise NotVectorizable("a sum of integers that may overflow")
    sums = np.zeros(count, np.int64)
    for start in range(0, len(values), _EXACT_ROWS):
        part, of = values[start : start + _EXACT_ROWS], numbers[start : start + _EXACT_ROWS]
        high, low = part >> _HALF, part & ((1 << _HALF) - 1)
        upper = np.bincount(of, weights=high, minlength=count).astype(np.int64)
        lower = np.bincount(of, weights=low, minlength=count).astype(np.int64)
        sums += (upper << _HALF) + lower
    return sums


def extreme_of(name: str, vector: Vector, numbers: IntArray, count: int) -> Vector:
    """The least or greatest value of each group, NULL where it has none."""
    if vector.kind is Kind.NULL or not len(numbers):
        return nulls(count)
    if count == 1 and vector.kind is Kind.TEXT and not pa.types.is_dictionary(vector.data.type):
        # To rank the values costs a sort of them.
        return Vector(Kind.TEXT, pa.array([pc.min_max(vector.data)[name].as_py()], pa.string()))
    order: npt.NDArray[Any] = ranks(vector)
    if name == "max":
        order = ~order if order.dtype.kind in "iu" else -order
    first = np.full(count, np.iinfo(order.dtype).max if order.dtype.kind in "iu" else np.inf, order.dtype)
    np.minimum.at(first, numbers, order)
    chosen = order == first[numbers]
    places = np.full(count, -1, np.int64)
    rows = np.flatnonzero(chosen)
    places[numbers[rows[::-1]]] = rows[::-1]
    if vector.kind is Kind.NUMERIC and not vector.stored:
        _refuse_ties(vector, numbers, rows, count)
    return vector.take(pa.array(places, mask=places < 0))


def _refuse_ties(vector: Vector, numbers: IntArray, rows: IntArray, count: int) -> None:
    """1 and 1.0 are equal: which of them is the extreme depends on the order of rows."""
    whole = vector.whole.to_numpy(zero_copy_only=False)[rows]
    of = numbers[rows]
    whole_ones = np.bincount(of, weights=whole, minlength=count)
    if ((whole_ones > 0) & (whole_ones < np.bincount(of, minlength=count))).any():
        raise NotVectorizable("a value that is an integer and a real number")


def _value(aggregate: Aggregate, state: list[Vector]) -> Vector:
    if aggregate.name in ("count", "min", "max", *CONCATENATIONS):
        return state[0]
    sums, counts = state
    if aggregate.name == "sum":
        return sums
    if aggregate.name == "total":
        if sums.kind is Kind.NULL:
            return Vector(Kind.REAL, pa.array(np.zeros(len(counts))))
        return Vector(Kind.REAL, doubles(sums, exact=False).fill_null(0.0))
    if sums.kind is Kind.NULL:
        return sums
    divisor = pc.cast(counts.data, pa.float64())
    return Vector(Kind.REAL, pc.divide(doubles(sums, exact=False), divisor))


def bare_columns(terms: Sequence[Term], groups: Sequence[Term]) -> set[Column]:
    """Columns that terms use outside of aggregates and groups."""
    found: set[Column] = set()

    def look(term: Term) -> None:
        if term in groups or isinstance(term, Aggregate):
            return
        if isinstance(term, Column):
            found.add(term)
        for part in term.parts:
            look(part)

    for term in terms:
        look(term)
    return found
