"""Frames of reference: integers as their distance from a base, in as few bits as the largest needs.

A width in bits is the sum of at most two powers of two: 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 16, 17, 18, 20,
24, 32, 33, 34, 36, 40, 48, 64. The distances of a block are written as one plane per power, the larger
first: it holds the low bits of every row, the smaller the bits above. In a plane of 8 bits and more each row
has a little-endian unsigned integer; below, a byte holds 8/bits rows, the first in its lowest bits.
Arithmetic is modulo 2**64, so that any base fits any int64. At width 64 the base is 0.

    bytes of a Frame in the parameters of an encoding
    0   8   base, signed
    8   1   width in bits
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from colonnade.store.encodings.base import (
    Blocks,
    ByteArray,
    Numbers,
    Packed,
    empty,
    gather,
    require,
    row_total,
)
from colonnade.store.values import EXACT_INT

FRAME = struct.Struct("<qB")
_POWERS = (1, 2, 4, 8, 16, 32, 64)
WIDTHS = (0, *sorted({*_POWERS, *(a + b for a in _POWERS[:-1] for b in _POWERS[:-1] if a > b)}))
_PLANES = {width: tuple(p for p in reversed(_POWERS) if width & p) for width in WIDTHS}
_FORMATS: dict[int, Literal["B", "H", "I", "Q"]] = {8: "B", 16: "H", 32: "I", 64: "Q"}  # of planes, to struct
_MASK64 = 2**64 - 1


def width_for(distance: int) -> int:
    """The smallest width that holds 0 to `distance`, an int from 0 to 2**64 - 1."""
    return WIDTHS[bisect_left(WIDTHS, distance.bit_length())]


@dataclass(frozen=True, slots=True)
class Frame:
    """Integers from base to base + 2**width - 1."""

    base: int
    width: int

    @classmethod
    def around(cls, low: int, high: int) -> Frame:
        """The frame for integers from low to high."""
        width = width_for(high - low)
        return cls(0 if width == 64 else low, width)

    @classmethod
    def from_bytes(cls, params: memoryview) -> Frame:
        """Reads FRAME.size bytes. Raises Corrupt for an unknown width."""
        require(len(params) == FRAME.size, "truncated frame")
        base, width = FRAME.unpack(params)
        require(width in _PLANES, f"unknown width {width}")
        return cls(base, width)

    def to_bytes(self) -> bytes:
        return FRAME.pack(self.base, self.width)

    def block_bytes(self, rows: int) -> int:
        """Bytes of the planes of a block of `rows` rows."""
        return sum((rows * bits + 7) // 8 for bits in _PLANES[self.width])

    def pack(self, values: Numbers) -> tuple[Packed, ...]:
        """The planes of `values`, (n,) of any integer type, each within the frame."""
        if not self.width:
            return ()
        unsigned = _unsigned(self.width)
        distances = values.astype(unsigned)
        if self.base:
            distances -= unsigned.type(self.base & (_MASK64 >> (64 - 8 * unsigned.itemsize)))
        planes, shift = [], 0
        for bits in _PLANES[self.width]:
            planes.append(Packed(_pack_plane(distances, shift, bits), bits))
            shift += bits
        return tuple(planes)

    def one(self, data: memoryview, rows: int) -> Callable[[int], int]:
        """Reads single integers of a block of `rows` rows, whose planes `data` begins with: as unpack gives them."""
        base, planes, start = self.base, [], 0
        for bits in _PLANES[self.width]:
            size = (rows * bits + 7) // 8
            planes.append(_one_of_plane(data[start : start + size], bits))
            start += size
        if not planes:
            return lambda row: base
        low = planes[0]
        if len(planes) == 2:
            high, shift = planes[1], _PLANES[self.width][0]
            if base + (1 << self.width) > 1 << 63:
                return lambda row: signed(base + (low(row) | high(row) << shift))
            return lambda row: base + (low(row) | high(row) << shift)
        if base + (1 << self.width) > 1 << 63:
            return lambda row: signed(base + low(row))
        return lambda row: base + low(row)

    def unpack(self, blocks: Blocks, dtype: npt.DTypeLike = np.int64) -> Numbers:
        """The integers of all `blocks` as one array of `dtype`: what pack was given."""
        return self.integers(self.distances(blocks), row_total(blocks), dtype)

    def integers(self, distances: Numbers | None, count: int, dtype: npt.DTypeLike = np.int64) -> Numbers:
        """The integers at these distances from the base, (count,) of `dtype`."""
        values, base = empty(count, dtype), np.int64(self.base).astype(dtype)
        if distances is None:
            values.fill(base)
        elif self.base:
            np.add(distances, base, out=values, dtype=values.dtype, casting="unsafe")
        else:
            np.copyto(values, distances, casting="unsafe")
        return values

    @property
    def fits_double(self) -> bool:
        """Whether each integer, and its distance from the base, is a double without loss."""
        return abs(self.base) + (1 << self.width) <= EXACT_INT

    def unpack_doubles(self, blocks: Blocks, divisor: float) -> npt.NDArray[np.float64]:
        """The integers of all `blocks` as doubles, divided by `divisor`. Only if `fits_double`."""
        values, distances = empty(row_total(blocks), np.float64), self.distances(blocks)
        if distances is None:
            values.fill(self.base / divisor)
            return values
        np.copyto(values, distances, casting="unsafe")
        if self.base:
            values += float(self.base)
        if divisor != 1:
            values /= divisor
        return values

    def distances(self, blocks: Blocks) -> Numbers | None:
        """Takes the planes of all `blocks`: the distances from the base, (n,) unsigned, read-only; None if all
        are 0."""
        if not self.width:
            return None
        low, *high = self.planes(blocks)
        if not high:
            return low
        unsigned = _unsigned(self.width)
        joined = empty(len(low), unsigned)
        np.copyto(joined, high[0])
        joined <<= unsigned.type(_PLANES[self.width][0])
        joined |= low
        return joined

    def planes(self, blocks: Blocks) -> list[Numbers]:
        """Takes the planes of all `blocks`, each (n,) of the smallest unsigned type: the lowest bits first."""
        count = row_total(blocks)
        return [_unpack_plane(gather(blocks, bits), bits, count) for bits in _PLANES[self.width]]


def _one_of_plane(data: memoryview, bits: int) -> Callable[[int], int]:
    """Reads single integers of `bits` bits each."""
    if bits >= 8:
        return data.cast(_FORMATS[bits]).__getitem__
    mask = (1 << bits) - 1

    def read(row: int) -> int:
        place = row * bits
        return data[place >> 3] >> (place & 7) & mask

    return read


def signed(integer: int) -> int:
    """The int64 that an integer is modulo 2**64."""
    integer &= _MASK64
    return integer - (1 << 64) if integer >> 63 else integer


def _unsigned(width: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(f"<u{next(size for size in (1, 2, 4, 8) if 8 * size >= width)}")


def _pack_plane(distances: Numbers, shift: int, bits: int) -> ByteArray:
    shifted = distances >> distances.dtype.type(shift) if shift else distances
    if bits >= 8:
        plane = shifted.astype(f"<u{bits // 8}", copy=False)
        return plane.view(np.uint8)
    # Above the last plane all bits are zero, but a first plane has the second's bits above it.
    small = shifted.astype(np.uint8, copy=False)
    if not shift:
        small = small & np.uint8((1 << bits) - 1)
    return _squeeze(small, bits)


def _squeeze(small: ByteArray, bits: int) -> ByteArray:
    """Values below 2**bits, one a byte, as 8/bits a byte: neighbours are merged, log2(8/bits) times."""
    if bits == 1:
        return np.packbits(small, bitorder="little")
    used = (len(small) * bits + 7) // 8
    if len(small) % 4:
        small = np.concatenate((small, np.zeros(-len(small) % 4, np.uint8)))
    while bits < 8:
        pairs = small.view("<u2")
        small = (pairs | (pairs >> np.uint16(8 - bits))).astype(np.uint8)
        bits *= 2
    return small[:used]


def _unpack_plane(data: memoryview | bytes, bits: int, count: int) -> Numbers:
    if bits >= 8:
        return np.frombuffer(data, f"<u{bits // 8}")
    small = np.frombuffer(data, np.uint8)
    if bits == 1:
        return np.unpackbits(small, count=count, bitorder="little")
    have = 8
    while have > bits:
        have //= 2
        pairs = small.astype("<u2")
        pairs |= pairs << np.uint16(8 - have)
        pairs &= np.uint16(((1 << have) - 1) * 0x0101)
        small = pairs.view(np.uint8)
    return small[:count]
