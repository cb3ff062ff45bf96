"""Narrowed values: what a chunk without NULL keeps in memory, 1 to 4 bytes for most values.

Each value is a small unsigned integer: its distance from a base, or its code in a dictionary. Comparisons with
constants and look-ups need no more than that; some rows are picked from it as from any array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.store.encodings.base import Numbers, empty
from colonnade.store.encodings.lane import DOUBLE_BITS, arrow_type, check_years, divisor_of
from colonnade.store.values import EXACT_INT, INT64_MAX, INT64_MIN, IntArray, Kind

_LOW_BITS = 16
_SPLIT = 1 << 24  # distances below take three bytes: two, and one apart


@dataclass(frozen=True, slots=True)
class Distances:
    """Unsigned integers up to `highest`, those of 17 to 24 bits as the lower two bytes and the third apart."""

    low: Numbers
    high: Numbers | None
    highest: int

    @classmethod
    def of(cls, numbers: Numbers) -> Distances:
        """numbers  (n,) of any unsigned type, n at least 1"""
        highest = int(numbers.max())
        if not 1 << _LOW_BITS <= highest < _SPLIT:
            return cls(_bytes_of(numbers, 0, _unsigned(highest)), None, highest)
        return cls(_bytes_of(numbers, 0, np.uint16), _bytes_of(numbers, 2, np.uint8), highest)

    @classmethod
    def split(cls, low: Numbers, high: Numbers) -> Distances:
        """Of those of 17 to 24 bits the lower two bytes, (n,) uint16, and the third, (n,) uint8."""
        top = int(high.max())
        if not top:
            return cls.of(low)
        return cls(low, high, top << _LOW_BITS | int(low[high == top].max()))

    @property
    def lowest(self) -> int:
        if self.high is None:
            return int(self.low.min())
        bottom = int(self.high.min())
        return bottom << _LOW_BITS | int(self.low[self.high == bottom].min())

    @property
    def nbytes(self) -> int:
        return self.low.nbytes + (0 if self.high is None else self.high.nbytes)

    def numbers(self) -> Numbers:
        """All of them."""
        return self.low if self.high is None else _joined(self.low, self.high)

    def take(self, positions: IntArray) -> Numbers:
        """Those at positions."""
        low = self.low.take(positions)
        return low if self.high is None else _joined(low, self.high.take(positions))


def _unsigned(highest: int) -> type[np.unsignedinteger[Any]]:
    for each in (np.uint8, np.uint16, np.uint32):
        if highest <= np.iinfo(each).max:
            return each
    return np.uint64


def _bytes_of(numbers: Numbers, first: int, wanted: type[np.unsignedinteger[Any]]) -> Numbers:
    """The bytes of each number from `first` on that make one of a narrower type: little-endian, as Arrow's are.

    Without an array between the two: pages that are new to the process cost more than the rest.
    """
    whole, size = numbers.dtype.itemsize, np.dtype(wanted).itemsize
    if whole == size:
        return numbers
    narrow = empty(len(numbers), wanted)
    np.copyto(narrow, numbers.view(wanted)[first // size :: whole // size])
    return narrow


def _joined(low: Numbers, high: Numbers) -> Numbers:
    numbers = empty(len(low), np.uint32)
    np.copyto(numbers, high)
    numbers <<= np.uint32(_LOW_BITS)
    numbers |= low
    return numbers


class Narrowed(Protocol):
    """The values of a chunk without NULL."""

    @property
    def distances(self) -> Distances: ...

    @property
    def form(self) -> tuple[object, ...]:
        """What has to be the same in two chunks for both to become parts of one column."""

    def array(self, numbers: Numbers) -> pa.Array:
        """The values that these of its distances stand for."""

    def write(self, numbers: Numbers, into: Numbers) -> None:
        """The same as they lie in the memory of an Arrow array: of words their codes."""

    def wrap(self, values: Numbers) -> pa.Array:
        """The array of what was written, by this or by others that are `alike`."""

    def alike(self, other: Narrowed) -> bool:
        """Whether what another of its form writes may stand in one array with what this one does."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Of what is written."""


@dataclass(frozen=True, slots=True)
class NarrowLane:
    """Integers of a lane (see `lane`), each base + its distance."""

    kind: Kind
    digits: int
    base: int
    distances: Distances

    @property
    def divisor(self) -> float | None:
        """What the integers are divided by to give the doubles that they stand for; None if they do not."""
        return divisor_of(self.kind, self.digits)

    @property
    def form(self) -> tuple[object, ...]:
        return self.kind, self.digits if self.kind is Kind.DATETIME else 0

    @property
    def dtype(self) -> npt.DTypeLike:
        if self.kind is Kind.DATE:
            return np.int32
        return np.int64 if self.divisor is None else np.float64

    def alike(self, other: Narrowed) -> bool:
        return True

    def write(self, numbers: Numbers, into: Numbers) -> None:
        np.copyto(into, numbers, casting="unsafe")
        if self.base:
            into += into.dtype.type(self.base)
        divisor = self.divisor
        if divisor not in (None, 1.0):
            into /= divisor

    def wrap(self, values: Numbers) -> pa.Array:
        buffers = [None, pa.py_buffer(values)]
        return pa.Array.from_buffers(arrow_type(self.kind, self.digits), len(values), buffers)

    def array(self, numbers: Numbers) -> pa.Array:
        values = empty(len(numbers), self.dtype)
        self.write(numbers, values)
        return self.wrap(values)


@dataclass(frozen=True, slots=True)
class NarrowWords:
    """Codes into the words of a dictionary, a string array without NULLs."""

    words: pa.Array
    distances: Distances

    @property
    def form(self) -> tuple[object, ...]:
        return Kind.TEXT, "words"

    @property
    def dtype(self) -> npt.DTypeLike:
        return np.int32

    def alike(self, other: Narrowed) -> bool:
        return isinstance(other, NarrowWords) and self.words.equals(other.words)

    def write(self, numbers: Numbers, into: Numbers) -> None:
        np.copyto(into, numbers, casting="unsafe")

    def wrap(self, values: Numbers) -> pa.Array:
        indices = pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])
        return pa.DictionaryArray.from_arrays(indices, self.words, safe=False)

    def array(self, numbers: Numbers) -> pa.Array:
        codes = empty(len(numbers), np.int32)
        self.write(numbers, codes)
        return self.wrap(codes)


def narrow_lane(kind: Kind, digits: int, base: int, distances: Distances) -> NarrowLane | None:
    """Integers as distances from a base; None where some would not come back, or stand for the bits of doubles.

    Raises Corrupt for what the kind cannot hold.
    """
    if kind in (Kind.REAL, Kind.NUMERIC) and digits == DOUBLE_BITS:
        return None
    last = base + distances.highest
    # A double holds the base, each distance and each sum of them without loss.
    fits = max(abs(base), abs(last), distances.highest) <= EXACT_INT
    if not (base >= INT64_MIN and last <= INT64_MAX) or (divisor_of(kind, digits) is not None and not fits):
        return None
    if kind in (Kind.DATE, Kind.DATETIME):
        check_years(kind, digits, base + distances.lowest, last)
    return NarrowLane(kind, digits, base, distances)


def narrowed_integers(kind: Kind, digits: int, values: Numbers) -> NarrowLane | None:
    """The same of decoded integers, (n,) int64, in whose place their distances are put."""
    low, high = int(values.min()), int(values.max())
    if high - low > INT64_MAX:
        return None
    values -= np.int64(low)
    return narrow_lane(kind, digits, low, Distances.of(values.view(np.uint64)))
