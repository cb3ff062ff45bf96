"""Window functions (sqlite.org/windowfunctions.html): values of rows around each row, in the order of a window.

Rows come out in the order in which SQLite computes them: by partition, then by the window's order, equal rows as they
stood before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.sql.select.aggregate import extreme_of, sum_of
from colonnade.sql.select.bins import Bins
from colonnade.sql.select.express import Values, evaluate, full, passing
from colonnade.sql.select.order import keys_of, sorted_places
from colonnade.sql.select.relation import Relation, gathered
from colonnade.sql.select.rules.conditional import choose
from colonnade.sql.select.terms import Term, Window, walk
from colonnade.sql.select.vector import (
    NUMBERS,
    NotVectorizable,
    Vector,
    constant,
    doubles,
    integers,
    ints,
    nulls,
    spread,
    whole_of,
)
from colonnade.store.values import EXACT_INT, IntArray, Kind

_MOST_PARTITIONS = 20_000  # that are computed one by one
_DEFAULT = ("RANGE", None, 0)
_TO_THE_END = ("ROWS", None, None)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The rows of a window, sorted: for each the bounds of its partition, and of the rows equal to it in the order."""

    count: int
    first: IntArray
    stop: IntArray
    equal: IntArray
    unequal: IntArray
    partitions: IntArray  # where each begins
    ties: bool

    @property
    def places(self) -> IntArray:
        return np.arange(self.count)


def windowed(terms: Sequence[Term], rows: Relation, values: Values, *, settled: bool) -> Relation:
    """The rows in the order of their window, with the values of its functions known.

    settled  the rows have an order before: else equal rows may come in another one in SQLite
    """
    functions = list(dict.fromkeys(p for t in terms for p in walk(t) if isinstance(p, Window)))
    if not functions:
        return rows
    # The first window is the outermost query of those that SQLite makes of them (window.c, sqlite3WindowRewrite).
    windows = list(dict.fromkeys((function.partition, function.ordering) for function in functions))
    computed: dict[Term, Vector] = {}
    for window in reversed(windows):
        own = [function for function in functions if (function.partition, function.ordering) == window]
        keys, divided = _keys(own[0], rows, values)
        if keys:
            places = sorted_places(keys)
            rows = rows.take(places)
            computed = {term: gathered(vector, places) for term, vector in computed.items()}
            keys, divided = _keys(own[0], rows, values)
        found = _sorted(keys, divided, rows.count)
        if found.ties and not settled:
            raise NotVectorizable("a window over rows without an order")
        computed |= {term: spread(_value(term, rows, values, found), rows.count) for term in own}
    rows.known.update(computed)
    return rows


def _keys(window: Window, rows: Relation, values: Values) -> tuple[list[npt.NDArray[Any]], int]:
    """Arrays to sort by, and how many of them divide the partitions."""
    keys = [k for t in window.partition for k in keys_of(full(t, rows, values), "BINARY", False, True)]
    divided = len(keys)
    for term, descending, nulls_first in window.ordering:
        keys += keys_of(full(term, rows, values), "BINARY", descending, nulls_first)
    return keys, divided


def _sorted(keys: Sequence[npt.NDArray[Any]], divided: int, count: int) -> Sorted:
    first, partitions = _runs(keys[:divided], count)
    equal, peers = _runs(keys, count) if len(keys) > divided else (first, partitions)
    stop = np.append(partitions[1:], count)[np.searchsorted(partitions, first)] if count else first
    unequal = np.append(peers[1:], count)[np.searchsorted(peers, equal)] if count else first
    return Sorted(count, first, stop, equal, unequal, partitions, bool(len(peers) < count))


def _runs(keys: Sequence[npt.NDArray[Any]], count: int) -> tuple[IntArray, IntArray]:
    """For each row where its run of equal rows begins, and where each run begins."""
    new = np.zeros(count, bool)
    if count:
        new[0] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    begins = np.flatnonzero(new)
    return begins[np.cumsum(new) - 1] if count else begins, begins


def _value(function: Window, rows: Relation, values: Values, window: Sorted) -> Vector:
    ranking = _RANKS.get(function.name)
    if ranking is not None:
        if function.condition is not None:
            raise NotVectorizable("FILTER of a rank")
        arguments = [evaluate(term, rows, values) for term in function.operands]
        return ranking(window, arguments)
    operands = [full(term, rows, values) for term in function.operands]
    if function.name in ("lag", "lead"):
        return _shifted(function, rows, values, window, operands)
    low, high = _bounds(function, window)
    if function.name in ("first_value", "last_value", "nth_value"):
        return _picked(function, rows, values, operands[0], low, high)
    if function.name in ("count", "sum", "avg", "total", "min", "max") and len(operands) <= 1:
        return _aggregated(function, rows, values, operands, window, low, high)
    raise NotVectorizable(f"{function.name}() OVER")


# --- frames ----------------------------------------------------------------------------------------------------


def _bounds(function: Window, window: Sorted) -> tuple[IntArray, IntArray]:
    """For each row the rows of its frame: from, and to but without."""
    frame = function.frame or (_DEFAULT if function.ordering else _TO_THE_END)
    kind, start, end = frame
    if kind != "ROWS" and (start not in (None, 0) or end not in (None, 0)):
        raise NotVectorizable("a frame by distances")
    if not function.ordering and kind != "ROWS":
        return window.first, window.stop
    places = window.places
    if start is None:
        low = window.first
    else:
        low = np.clip(places + start, window.first, window.stop) if kind == "ROWS" else window.equal
    if end is None:
        high = window.stop
    else:
        high = np.clip(places + end + 1, window.first, window.stop) if kind == "ROWS" else window.unequal
    return low, np.maximum(low, high)


# --- ranks -----------------------------------------------------------------------------------------------------


def _row_number(window: Sorted, _: Sequence[Vector]) -> Vector:
    return integers(window.places - window.first + 1)


def _rank(window: Sorted, _: Sequence[Vector]) -> Vector:
    return integers(window.equal - window.first + 1)


def _dense_rank(window: Sorted, _: Sequence[Vector]) -> Vector:
    new = np.zeros(window.count, np.int64)
    new[window.equal] = 1
    ranks = np.cumsum(new)
    return integers(ranks - (ranks[window.first] if window.count else ranks) + 1)


def _percent_rank(window: Sorted, _: Sequence[Vector]) -> Vector:
    size = window.stop - window.first
    ranks = window.equal - window.first
    return Vector(Kind.REAL, pa.array(np.where(size > 1, ranks / np.maximum(size - 1, 1), 0.0)))


def _cume_dist(window: Sorted, _: Sequence[Vector]) -> Vector:
    return Vector(Kind.REAL, pa.array((window.unequal - window.first) / (window.stop - window.first)))


def _ntile(window: Sorted, operands: Sequence[Vector]) -> Vector:
    """window.c, ntileValueFunc."""
    wanted = operands[0].value() if len(operands) == 1 and operands[0].constant else None
    if type(wanted) is not int or wanted < 1:
        raise NotVectorizable("ntile() of no positive integer")
    total, place = window.stop - window.first, window.places - window.first
    size = total // wanted
    larger = total - wanted * size
    split = larger * (size + 1)
    within = np.where(
        place < split, 1 + place // (size + 1), 1 + larger + (place - split) // np.maximum(size, 1)
    )
    return integers(np.where(size == 0, place + 1, within).astype(np.int64))


_RANKS: dict[str, Callable[[Sorted, Sequence[Vector]], Vector]] = {
    "row_number": _row_number,
    "rank": _rank,
    "dense_rank": _dense_rank,
    "percent_rank": _percent_rank,
    "cume_dist": _cume_dist,
    "ntile": _ntile,
}


# --- values of other rows --------------------------------------------------------------------------------------


def _at(vector: Vector, places: IntArray, there: npt.NDArray[np.bool_]) -> Vector:
    """The values at places, NULL where there is none."""
    if not len(vector):
        return nulls(len(places))
    return vector.take(pa.array(np.where(there, places, 0), mask=~there))


def _shifted(
    function: Window, rows: Relation, values: Values, window: Sorted, operands: list[Vector]
) -> Vector:
    """lag() and lead(), which know no frame."""
    if function.condition is not None:
        raise NotVectorizable("FILTER of lag() or lead()")
    distance = 1
    if len(operands) > 1:
        given = evaluate(function.operands[1], rows, values)
        found = given.value() if given.constant else None
        if type(found) is not int or found < 0:
            raise NotVectorizable("a distance that is no integer")
        distance = found
    places = window.places + (-distance if function.name == "lag" else distance)
    there = (places >= window.first) & (places < window.stop)
    shifted = _at(operands[0], places, there)
    if len(operands) < 3:
        return shifted
    return choose(pa.array(there), shifted, operands[2], rows.count)


def _picked(
    function: Window, rows: Relation, values: Values, vector: Vector, low: IntArray, high: IntArray
) -> Vector:
    if function.condition is not None:
        raise NotVectorizable("FILTER of first_value() and the like")
    if function.name == "first_value":
        places = low
    elif function.name == "last_value":
        places = high - 1
    else:
        given = evaluate(function.operands[1], rows, values)
        number = given.value() if given.constant else None
        if type(number) is not int or number < 1:
            raise NotVectorizable("nth_value() of no positive integer")
        places = low + number - 1
    return _at(vector, places, (low <= places) & (places < high))


# --- aggregates ------------------------------------------------------------------------------------------------


def _aggregated(
    function: Window,
    rows: Relation,
    values: Values,
    operands: list[Vector],
    window: Sorted,
    low: IntArray,
    high: IntArray,
) -> Vector:
    kept = np.ones(rows.count, bool)
    if function.condition is not None:
        mask = passing(function.condition, rows, values)
        kept = kept if mask is None else mask
    vector = operands[0] if operands else integers(np.ones(rows.count, np.int64))
    if vector.kind is Kind.NULL:
        kept = np.zeros(rows.count, bool)
    elif vector.data.null_count:
        kept &= vector.valid()
    counts = _between(np.cumsum(kept), low, high)
    if function.name == "count":
        return integers(counts)
    if not rows.count or not kept.any():
        empty = Vector(Kind.REAL, pa.array(np.zeros(rows.count)))
        return empty if function.name == "total" else nulls(rows.count)
    if np.array_equal(low, window.first) and np.array_equal(high, window.stop):
        return _whole(function.name, vector, kept, window, counts)
    if function.name in ("min", "max"):
        raise NotVectorizable(f"{function.name}() over a frame")
    return _running(function.name, vector, kept, window, (low, high), counts)


def _between(sums: IntArray, low: IntArray, high: IntArray) -> IntArray:
    """Differences of running sums: of the rows from `low` to before `high`."""
    from_start = np.concatenate([[0], sums])
    found: IntArray = from_start[high] - from_start[low]
    return found


def _whole(
    name: str, vector: Vector, kept: npt.NDArray[np.bool_], window: Sorted, counts: IntArray
) -> Vector:
    """Over whole partitions: the same for all rows of each."""
    numbers = np.searchsorted(window.partitions, window.first)
    chosen, of = vector.filter(pa.array(kept)), numbers[kept]
    count = len(window.partitions)
    if name in ("min", "max"):
        return extreme_of(name, chosen, of, count).take(pa.array(numbers))
    sums = sum_of(chosen, Bins(of, count)).take(pa.array(numbers))
    return _finished(name, sums, counts)


def _running(
    name: str,
    vector: Vector,
    kept: npt.NDArray[np.bool_],
    window: Sorted,
    frame: tuple[IntArray, IntArray],
    counts: IntArray,
) -> Vector:
    """Sums over frames, by differences of running sums: exact for INTEGERs; of others only from the beginning on."""
    if vector.kind not in NUMBERS:
        raise NotVectorizable("the sum of texts")
    low, high = frame
    missing = counts == 0
    if vector.kind is Kind.INTEGER:
        data = np.where(kept, ints(vector).fill_null(0).to_numpy(zero_copy_only=False), 0)
        largest = max(abs(int(data.max())), abs(int(data.min())))
        if largest * len(data) >= 1 << 63:
            raise NotVectorizable("a sum of integers that may overflow")
        sums = Vector(Kind.INTEGER, pa.array(_between(np.cumsum(data), low, high), mask=missing))
        return _finished(name, sums, counts)
    if not np.array_equal(low, window.first) or len(window.partitions) > _MOST_PARTITIONS:
        raise NotVectorizable("a moving sum of real numbers")
    data = np.where(kept, vector.data.fill_null(0.0).to_numpy(), 0.0)
    running = np.concatenate(
        [np.cumsum(part) for part in np.split(data, window.partitions[1:])]  # each begins anew
    )
    found = np.where(high > low, running[np.maximum(high - 1, 0)], 0.0)
    if not np.isfinite(found).all():
        raise NotVectorizable("a sum that is no number")
    if vector.kind is Kind.REAL:
        return _finished(name, Vector(Kind.REAL, pa.array(found, mask=missing)), counts)
    whole = whole_of(vector)
    real = ~(np.full(len(data), whole) if isinstance(whole, bool) else whole.to_numpy(zero_copy_only=False))
    integral = _between(np.cumsum(real & kept), low, high) == 0
    if integral.any() and float(np.abs(data).sum()) > EXACT_INT:
        raise NotVectorizable("a sum of integers beyond 2**53 in a column of decimals")
    return _finished(name, Vector(Kind.NUMERIC, pa.array(found, mask=missing), pa.array(integral)), counts)


def _finished(name: str, sums: Vector, counts: IntArray) -> Vector:
    if name == "sum":
        return sums
    if sums.kind is Kind.NULL:
        return sums if name == "avg" else spread(constant(0.0), len(counts))
    data = doubles(sums, exact=False)
    if name == "total":
        return Vector(Kind.REAL, data.fill_null(0.0))
    means = data.fill_null(0.0).to_numpy(zero_copy_only=False) / np.maximum(counts, 1)
    return Vector(Kind.REAL, pa.array(means, mask=counts == 0))
