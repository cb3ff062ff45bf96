"""Columns that are compared and picked from as they lie in memory, narrowed, and decoded when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.store.encodings.base import Numbers, empty
from colonnade.store.encodings.narrowed import Distances, Narrowed, NarrowLane
from colonnade.store.values import Column, IntArray, Kind

BoolArray = npt.NDArray[np.bool_]
_WIDEST_WINDOW = 1 << 20  # distances up to here are looked up in a part of an array made for them


class NarrowColumn(Column):
    """A column without NULL whose values are decoded when `data` is first asked for.

    parts  those of row groups that follow each other, all narrowed in the same way
    """

    __slots__ = ("_bounds", "_decoded", "parts")
    parts: tuple[Narrowed, ...]
    _bounds: list[int]
    _decoded: pa.Array | None

    def __init__(self, kind: Kind, parts: Sequence[Narrowed]) -> None:
        bounds = [0]
        for part in parts:
            bounds.append(bounds[-1] + len(part.distances.low))
        attributes = {"kind": kind, "parts": tuple(parts), "_bounds": bounds, "_decoded": None}
        for name, value in attributes.items():  # the class above is frozen
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return self._bounds[-1]

    @property
    def data(self) -> pa.Array:
        """The values, decoded."""
        if self._decoded is None:
            numbers = [part.distances.numbers() for part in self.parts]
            object.__setattr__(self, "_decoded", _decoded(self.parts, numbers))
        return self._decoded

    def at(self, positions: IntArray) -> Column:
        """The values at ascending positions."""
        if len(self.parts) == 1:
            numbers = [self.parts[0].distances.take(positions)]
        else:
            cuts = np.searchsorted(positions, self._bounds).tolist()
            numbers = [
                part.distances.take(positions[start:stop] - first)
                for part, first, (start, stop) in zip(self.parts, self._bounds, pairwise(cuts), strict=False)
            ]
        return Column(self.kind, _decoded(self.parts, numbers))

    def compared(self, op: str, value: float) -> BoolArray | None:
        """The rows whose number (of a DATE: its day since 1970-01-01) is = <> < <= > >= a number; None: all."""
        return self._test(lambda part, into: _compare(part, op, value, into))

    def among(self, low: int, present: BoolArray) -> BoolArray | None:
        """The rows of an INTEGER column whose value is `low` + the place of a true value in `present`."""
        return self._test(lambda part, into: _find(part, low, present, into))

    def passing(self, table: Callable[[Narrowed], BoolArray]) -> BoolArray:
        """The rows whose distance has a true value at its place in the table of its part, (highest + 1,) bool."""
        found = self._test(lambda part, into: _look_up(table(part), part.distances, into))
        assert found is not None
        return found

    def _test(self, test: Callable[[Narrowed, BoolArray], bool | None]) -> BoolArray | None:
        """What `test` says of each part: True or False for all of its rows, or None: then it has written them."""
        mask = np.empty(len(self), bool)
        everything = True
        for part, (start, stop) in zip(self.parts, pairwise(self._bounds), strict=True):
            found = test(part, mask[start:stop])
            if found is not None:
                mask[start:stop] = found
            everything = everything and found is True
        return None if everything else mask


def _decoded(parts: Sequence[Narrowed], numbers: Sequence[Numbers]) -> pa.Array:
    """One array of some distances of each part."""
    first, *others = parts
    if not others:
        return first.array(numbers[0])
    if not all(map(first.alike, others)):
        arrays = [part.array(each) for part, each in zip(parts, numbers, strict=True)]
        return pa.concat_arrays(pa.chunked_array(arrays).unify_dictionaries().chunks)
    values, start = empty(sum(map(len, numbers)), first.dtype), 0
    for part, each in zip(parts, numbers, strict=True):
        part.write(each, values[start : start + len(each)])
        start += len(each)
    return first.wrap(values)


def _compare(part: Narrowed, op: str, value: float, into: BoolArray) -> bool | None:
    assert isinstance(part, NarrowLane)
    below, upto = _counts(part, value)
    distances = part.distances
    if op in ("=", "<>"):
        return _equal(distances, below, upto, into, op == "=")
    count = below if op in ("<", ">=") else upto
    less = op in ("<", "<=")
    if count == 0:
        return not less
    if count > distances.highest:
        return less
    numbers = distances.numbers()
    (np.less if less else np.greater_equal)(numbers, numbers.dtype.type(count), out=into)
    return None


def _equal(distances: Distances, below: int, upto: int, into: BoolArray, wanted: bool) -> bool | None:
    if below == upto:
        return not wanted
    numbers = distances.numbers()
    if upto - below == 1:
        (np.equal if wanted else np.not_equal)(numbers, numbers.dtype.type(below), out=into)
        return None
    np.greater_equal(numbers, numbers.dtype.type(below), out=into)
    into &= numbers <= numbers.dtype.type(upto - 1)
    if not wanted:
        np.logical_not(into, out=into)
    return None


def _counts(lane: NarrowLane, value: float) -> tuple[int, int]:
    """How many of the distances 0 to `highest` stand for a number below `value`, and how many for one up to it.

    Numbers do not fall as distances rise, so that these are the first ones.
    """
    base, divisor, stop = lane.base, lane.divisor, lane.distances.highest + 1
    guess = value * (divisor or 1)
    near = math.ceil(guess) if abs(guess) < 1 << 63 else math.copysign(1 << 64, guess)
    below = min(max(int(near) - base, 0), stop)

    def number(distance: int) -> float:
        return base + distance if divisor is None else (base + distance) / divisor

    while below > 0 and number(below - 1) >= value:
        below -= 1
    while below < stop and number(below) < value:
        below += 1
    upto = below
    while upto < stop and number(upto) <= value:
        upto += 1
    return below, upto


def _find(part: Narrowed, low: int, present: BoolArray, into: BoolArray) -> bool | None:
    assert isinstance(part, NarrowLane)
    start, stop = part.base - low, part.base - low + part.distances.highest + 1
    inside = slice(max(start, 0), min(max(stop, 0), len(present)))
    if inside.start >= inside.stop:
        return False
    if start >= 0 and stop <= len(present):
        return _look_up(present[start:stop], part.distances, into)
    if stop - start <= _WIDEST_WINDOW:
        window = np.zeros(stop - start, bool)
        window[inside.start - start : inside.stop - start] = present[inside]
        return _look_up(window, part.distances, into)
    places = part.distances.numbers().astype(np.int64) + start
    within = (places >= 0) & (places < len(present))
    into[:] = present[np.where(within, places, 0)] & within
    return None


def _look_up(table: BoolArray, distances: Distances, into: BoolArray) -> bool | None:
    # In the mode "raise" numpy writes to a copy first.
    table.take(distances.numbers(), out=into, mode="clip")
    return None
