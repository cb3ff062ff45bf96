"""Key runs: the integer keys of one row group in ascending order, of which some are found without decoding the others.

A key run is a BLOB in t_cln_keys. Integers are little-endian.
    offset  bytes  field
    0       4      magic b"CLR1"
    4       4      CRC-32 of all bytes after it
    8       4      keys n
    12      1      parts of a key p, 1 to 63
    13      1      s: a step is 2**s keys
    14      1      w, bytes of a distance: 1, 2, 4 or 8
    15      1      0
    16      16*p   per part: the smallest and the largest value, signed
    ...     8*m    m = ceil(n / 2**s): the first code of each step
    ...     w*n    for each code its distance from the first of its step, unsigned
A code is a key as one integer from 0: the parts less their smallest value, as the digits of a number whose bases
are how many values each part may have. Rows with a NULL in the key are left out, deleted rows are not.

A look-up finds the step by binary search in the first codes, and the code by s comparisons in the step.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from colonnade.store.errors import Corrupt
from colonnade.store.values import IntArray

Mask = npt.NDArray[np.bool_]
Ranges = list[tuple[int, int]]

_MAGIC = b"CLR1"
_HEADER = struct.Struct("<4sIIBBBB")
_CHECKED = 8  # bytes before those that the CRC covers
_LEAST_KEYS = 1024  # fewer are decoded as quickly
_SHIFTS = (5, 6)  # smaller steps take more bytes, larger ones more comparisons
_WIDTHS = (1, 2, 4, 8)


def pack(parts: Sequence[IntArray]) -> tuple[IntArray, Ranges] | None:
    """Keys of several integers as one int64 each, in the same order, and the (min, max) of each part.

    None where their ranges do not fit; one part is always itself.
    """
    ranges = [(int(part.min()), int(part.max())) for part in parts]
    if len(parts) == 1:
        return parts[0], ranges
    return (packed(parts, ranges), ranges) if _fit(ranges) else None


def _fit(ranges: Ranges) -> bool:
    room = 1
    for low, high in ranges:
        room *= high - low + 1
    return room < 1 << 63


def packed(parts: Sequence[IntArray], ranges: Ranges) -> IntArray:
    """The codes of keys within the ranges."""
    codes = parts[0] - ranges[0][0]
    for part, (low, high) in zip(parts[1:], ranges[1:], strict=True):
        codes = codes * (high - low + 1) + (part - low)
    return codes


def within(parts: Sequence[IntArray], ranges: Ranges) -> IntArray:
    """Which of the keys are within the ranges, (m,) int64."""
    inside = np.ones(len(parts[0]), bool)
    for part, (low, high) in zip(parts, ranges, strict=True):
        inside &= (part >= low) & (part <= high)
    return np.flatnonzero(inside)


def make_run(parts: Sequence[IntArray]) -> bytes | None:
    """The key run of the keys of a row group, in any order, none with a NULL; None where none is worth it.

    Cost: 1 to 3 ns a key; 50 if they are in no order, to sort them.
    """
    count = len(parts[0])
    ranges = [(int(part.min()), int(part.max())) for part in parts] if count >= _LEAST_KEYS else []
    if not ranges or not _fit(ranges) or len(ranges) > 63:
        return None
    codes = packed(parts, ranges)
    if not (codes[1:] >= codes[:-1]).all():
        codes = np.sort(codes, kind="stable")
    if int(codes[-1]) == count - 1:  # no gap: the zone map says it all
        return None
    shift, width = min(((s, _width(codes, s)) for s in _SHIFTS), key=lambda way: _bytes(count, *way))
    firsts = codes[:: 1 << shift]
    distances = (codes - np.repeat(firsts, 1 << shift)[:count]).astype(f"<u{width}")
    bounds = np.array(ranges, "<i8").tobytes()
    head = _HEADER.pack(_MAGIC, 0, count, len(ranges), shift, width, 0)
    rest = b"".join((head[_CHECKED:], bounds, firsts.astype("<i8").tobytes(), distances.tobytes()))
    return _MAGIC + zlib.crc32(rest).to_bytes(4, "little") + rest


def _width(codes: IntArray, shift: int) -> int:
    """Bytes that the largest distance needs in steps of 2**shift codes."""
    step = 1 << shift
    firsts = codes[::step]
    lasts = np.append(codes[step - 1 :: step], codes[-1])[: len(firsts)]
    return next(width for width in _WIDTHS if int((lasts - firsts).max()) < 1 << 8 * width)


def _bytes(count: int, shift: int, width: int) -> int:
    return 8 * -(-count // (1 << shift)) + width * count


class KeyRun:
    """A key run as stored. Raises Corrupt where its bytes are damaged."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size:
            raise Corrupt("a key run is shorter than its header")
        magic, crc, self.count, parts, self.shift, width, _ = _HEADER.unpack_from(data)
        if magic != _MAGIC or zlib.crc32(memoryview(data)[_CHECKED:]) != crc:
            raise Corrupt("a key run does not match its checksum")
        steps = -(-self.count // (1 << self.shift))
        if len(data) != _HEADER.size + 16 * parts + 8 * steps + width * self.count:
            raise Corrupt("a key run of another size than its header says")
        bounds = np.frombuffer(data, "<i8", 2 * parts, _HEADER.size).tolist()
        self.ranges: Ranges = list(zip(bounds[::2], bounds[1::2], strict=True))
        at = _HEADER.size + 16 * parts
        self._firsts = np.frombuffer(data, "<i8", steps, at)
        self._distances = np.frombuffer(data, f"<u{width}", self.count, at + 8 * steps)
        self.nbytes = len(data)

    @property
    def comparisons(self) -> int:
        """How many keys a look-up compares with."""
        return int(self.shift) + 1

    def holds(self, parts: Sequence[IntArray]) -> Mask:
        """Which of the keys are in the run, (n,) bool."""
        found = np.zeros(len(parts[0]), bool)
        rows = within(parts, self.ranges)
        if not len(rows):
            return found
        codes = packed([part[rows] for part in parts], self.ranges)
        steps = np.searchsorted(self._firsts, codes, "right") - 1
        near = steps >= 0
        if not near.all():
            rows, codes, steps = rows[near], codes[near], steps[near]
        wanted = codes - self._firsts[steps]
        places = steps << self.shift
        last = self.count - 1
        for bit in reversed(range(self.shift)):
            ahead = places + (1 << bit)
            passed = (self._distances[np.minimum(ahead, last)] <= wanted) & (ahead <= last)
            places = np.where(passed, ahead, places)
        found[rows] = self._distances[places] == wanted
        return found
