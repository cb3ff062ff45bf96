"""LIKE with a pattern of parts between % (sqlite.org/lang_expr.html, section 5; func.c, patternCompare).

Only ASCII letters are the same in both cases, and no byte of another character is an ASCII one, so that bytes are
compared. A part is looked for in all texts at once, as if they were one: first the places of its rarest byte, then
which of them have the other bytes around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.encodings.base import ByteArray, Numbers, empty
from colonnade.store.encodings.text import bytes_and_offsets
from colonnade.store.values import IntArray

_BLOCK = 1 << 18  # bytes looked at together, so that they stay in the processor's cache
_SAMPLE = 1 << 12
_FEW = 8  # of so many texts one has the first part: copying those is quicker than to look at all again
_CASE = np.uint8(0x20)  # what tells a small ASCII letter from a capital


def has_nul(data: pa.Array) -> bool:
    """Whether there is a NUL in a text of a string array: there LIKE takes it for ended."""
    if not len(data):
        return False
    raw, offsets = bytes_and_offsets(data)
    used = raw[int(offsets[0]) : int(offsets[-1])]
    return bool(len(used)) and not int(used.min())


def like(data: pa.Array, parts: Sequence[str]) -> Any:
    """Texts that begin with the first part and end with the last, with the others between in their order.

    data   string array without a NUL in its texts
    parts  ASCII, without _
    """
    parts = [part.lower() for part in parts]
    if not any(parts[1:-1]) or not len(data):
        return _at_the_ends(data, parts)
    found = np.zeros(len(data), bool)
    found[_rows(data, [part.encode() for part in parts])] = True
    matching = pa.array(found)
    return (
        matching
        if not data.null_count
        else pc.if_else(data.is_valid(), matching, pa.scalar(None, pa.bool_()))
    )


def _at_the_ends(data: pa.Array, parts: Sequence[str]) -> Any:
    folded = pc.ascii_lower(data) if any(c.isalpha() for part in parts for c in part) else data
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return pc.equal(folded, first)
    if not last:
        return pc.starts_with(folded, first)  # of "" all but NULL
    if not first:
        return pc.ends_with(folded, last)
    long_enough = pc.greater_equal(pc.binary_length(folded), len(first) + len(last))
    return pc.and_(pc.and_(pc.starts_with(folded, first), pc.ends_with(folded, last)), long_enough)


def _rows(data: pa.Array, parts: Sequence[bytes]) -> IntArray:
    """The texts that match, by number, where at least one part stands between the first and the last."""
    raw, narrow = bytes_and_offsets(data)
    offsets = narrow.astype(np.int64)
    first, *inner, last = parts
    begins, ends = offsets[:-1], offsets[1:]
    one, *more = [part for part in inner if part]
    starts = _occurrences(raw, int(offsets[0]), int(offsets[-1]), one)
    rows = np.searchsorted(offsets, starts, side="right") - 1
    inside = (starts >= begins[rows] + len(first)) & (starts + len(one) <= ends[rows])
    starts, rows = starts[inside], rows[inside]
    earliest = np.diff(rows, prepend=-1) > 0
    rows, at = rows[earliest], starts[earliest] + len(one)
    if more and 0 < _FEW * len(rows) < len(data):  # the other parts are looked for in these alone
        return rows[_rows(data.take(pa.array(rows)), parts)]
    for part in more:
        starts = _occurrences(raw, int(offsets[0]), int(offsets[-1]), part)
        places = np.searchsorted(starts, at)
        there = places < len(starts)
        rows, at = rows[there], starts[places[there]] + len(part)
        there = at <= ends[rows]
        rows, at = rows[there], at[there]
    rows = rows[at + len(last) <= ends[rows]]
    rows = rows[_stands(raw, ends[rows] - len(last), last)]
    return rows[_stands(raw, begins[rows], first)]


def _stands(raw: ByteArray, at: IntArray, part: bytes) -> npt.NDArray[np.bool_]:
    """Whether a part stands at each place."""
    found = np.ones(len(at), bool)
    for place, byte in enumerate(part):
        found &= _is(raw[at + place], byte)
    return found


def _occurrences(raw: ByteArray, start: int, stop: int, part: bytes) -> IntArray:
    """All places from `start` on at which a part begins that ends by `stop`, ascending."""
    sample = raw[start : min(stop, start + _SAMPLE)]
    rarest = min(range(len(part)), key=lambda place: np.count_nonzero(_is(sample, part[place])))
    places = _places(raw, start + rarest, stop - len(part) + rarest + 1, part[rarest]) - rarest
    for place, byte in enumerate(part):
        if place != rarest:
            places = places[_is(raw[places + place], byte)]
    return places


def _places(raw: ByteArray, start: int, stop: int, byte: int) -> IntArray:
    """The places of a byte from `start` to `stop`, in either case."""
    folded, equal = empty(_BLOCK, np.uint8), empty(_BLOCK, np.bool_)
    found: list[Numbers] = []
    for at in range(start, stop, _BLOCK):
        block = raw[at : min(at + _BLOCK, stop)]
        same = _is(block, byte, folded[: len(block)], equal[: len(block)])
        found.append(np.flatnonzero(same) + at)
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _is(
    values: ByteArray, byte: int, folded: ByteArray | None = None, into: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Which bytes are the same character as `byte`, which is no capital."""
    if chr(byte).isalpha():
        values = np.bitwise_or(values, _CASE, out=folded)
    return np.equal(values, np.uint8(byte), out=into)
