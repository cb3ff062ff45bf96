"""Zone maps: what is known about a column chunk without reading it; the fields are those of `format`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.encodings.lane import DOUBLE_BITS, Lane, arrow_type
from colonnade.store.format import CLASSES_INEXACT, ZONE_BOUND_BYTES
from colonnade.store.values import EXACT_INT, Kind, SQLiteValue, StorageClass, is_integer, iso_text, utf8_rows

_SAMPLE = 1024
_SURROGATES = range(0xD800, 0xE000)
_LAST_CHARACTER = 0x10FFFF


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """Counts and bounds of one column chunk.

    null_count  NULLs in the chunk
    classes     bits of StorageClass that occur, plus CLASSES_INEXACT
    min, max    bounds in SQLite's order of what is not NULL; None where there is none
    """

    null_count: int
    classes: int
    min: SQLiteValue
    max: SQLiteValue


def null_zone(null_count: int) -> ZoneMap:
    """The zone of a chunk of NULLs."""
    return ZoneMap(null_count, int(StorageClass.NULL), None, None)


def lane_zone(kind: Kind, lane: Lane, null_count: int) -> ZoneMap:
    """The zone of numbers, DATE and DATETIME."""
    null = StorageClass.NULL if null_count else 0
    if kind is Kind.INTEGER:
        return ZoneMap(null_count, StorageClass.INTEGER | null, lane.least, lane.greatest)
    if kind is Kind.REAL:
        return ZoneMap(null_count, StorageClass.REAL | null, lane.least, lane.greatest)
    if kind is Kind.NUMERIC:
        least, greatest = (_numeric(float(bound)) for bound in (lane.least, lane.greatest))
        return ZoneMap(null_count, _numeric_classes(lane) | null, least, greatest)
    bounds = pa.array([lane.low, lane.high], pa.int32() if kind is Kind.DATE else pa.int64())
    least, greatest = iso_text(bounds.view(arrow_type(kind, lane.digits))).to_pylist()
    return ZoneMap(null_count, StorageClass.TEXT | null, least, greatest)


def _numeric(value: float) -> int | float:
    return int(value) if abs(value) <= EXACT_INT and value.is_integer() else value


def _numeric_classes(lane: Lane) -> int:
    """INTEGER and REAL, as far as they occur."""
    if lane.digits == 0:
        return StorageClass.INTEGER
    # Most columns of decimals show both classes at once: the whole column is looked at only for others.
    for values in (lane.values[:_SAMPLE], lane.values):
        if lane.digits == DOUBLE_BITS:
            integral = is_integer(values.view(np.float64))
        else:
            integral = values % values.dtype.type(10**lane.digits) == 0
        if integral.any() and not integral.all():
            return StorageClass.INTEGER | StorageClass.REAL
    return StorageClass.INTEGER if integral[0] else StorageClass.REAL


def bytes_zone(words: pa.Array, null_count: int) -> ZoneMap:
    """The zone of TEXT or BLOB; `words` has every value that occurs, once or more, and may have NULLs."""
    text = pa.types.is_string(words.type)
    bounds = pc.min_max(_extreme_words(words))
    classes = int(StorageClass.TEXT if text else StorageClass.BLOB)
    if null_count:
        classes |= StorageClass.NULL
    return _cut(ZoneMap(null_count, classes, bounds["min"].as_py(), bounds["max"].as_py()))


def _extreme_words(words: pa.Array) -> pa.Array:
    """A part of `words` that has the smallest and the largest: those with the least or greatest first byte.

    Ten times cheaper than comparing all words where first bytes vary, and next to nothing where not.
    """
    _, offsets_buffer, raw_buffer = words.buffers()
    if words.null_count or raw_buffer is None or len(words) < _SAMPLE:
        return words
    offsets = np.frombuffer(offsets_buffer, np.int32)[words.offset : words.offset + len(words) + 1]
    starts = offsets[:-1]
    if (starts == offsets[1:]).any():
        return words  # an empty word has no first byte
    first = np.frombuffer(raw_buffer, np.uint8)[starts]
    extreme = (first == first.min()) | (first == first.max())
    return words.filter(pa.array(extreme))


def mixed_zone(data: pa.Array) -> ZoneMap:
    """The zone of a MIXED array: numbers before TEXT before BLOB; no bounds if a TEXT is not UTF-8."""
    tags, nums = data.field("tag").to_numpy(), data.field("num").to_numpy()
    classes = int(np.bitwise_or.reduce(tags))
    null_count = int(np.count_nonzero(tags == 0))
    null = StorageClass.NULL if null_count else 0
    text = data.field("bytes").filter(pa.array(tags == StorageClass.TEXT))
    if utf8_rows(text) is not None:  # a bound is text that can be compared
        return ZoneMap(null_count, classes | null | CLASSES_INEXACT, None, None)
    bounds: list[SQLiteValue] = []
    numbers = [nums[tags == StorageClass.INTEGER], nums[tags == StorageClass.REAL].view(np.float64)]
    found = [bound.item() for part in numbers if len(part) for bound in (part.min(), part.max())]
    if found:  # Python compares int with float exactly, as SQLite does
        bounds += [min(found), max(found)]
    for storage_class, arrow in ((StorageClass.TEXT, pa.string()), (StorageClass.BLOB, pa.binary())):
        if classes & storage_class:
            extremes = pc.min_max(data.field("bytes").filter(pa.array(tags == storage_class)).cast(arrow))
            bounds += [extremes["min"].as_py(), extremes["max"].as_py()]
    if not bounds:
        return null_zone(null_count)
    return _cut(ZoneMap(null_count, classes | null, bounds[0], bounds[-1]))


def _cut(zone: ZoneMap) -> ZoneMap:
    least, greatest = _lower(zone.min), _upper(zone.max)
    if least is zone.min and greatest is zone.max:
        return zone
    return ZoneMap(zone.null_count, zone.classes | CLASSES_INEXACT, least, greatest)


def _lower(bound: SQLiteValue) -> SQLiteValue:
    """A short value that is not above `bound`: itself, or a prefix."""
    if isinstance(bound, bytes) and len(bound) > ZONE_BOUND_BYTES:
        return bound[:ZONE_BOUND_BYTES]
    if isinstance(bound, str) and _utf8_length(bound) > ZONE_BOUND_BYTES:
        return _text_prefix(bound)
    return bound


def _upper(bound: SQLiteValue) -> SQLiteValue:
    """A short value that is not below `bound`: itself, or a prefix counted up; None if there is none."""
    if isinstance(bound, bytes) and len(bound) > ZONE_BOUND_BYTES:
        prefix = bound[:ZONE_BOUND_BYTES].rstrip(b"\xff")
        return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None
    if isinstance(bound, str) and _utf8_length(bound) > ZONE_BOUND_BYTES:
        return _next_text(_text_prefix(bound))
    return bound


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _text_prefix(text: str) -> str:
    return text[:ZONE_BOUND_BYTES].encode()[:ZONE_BOUND_BYTES].decode(errors="ignore")


def _next_text(prefix: str) -> str | None:
    prefix = prefix.rstrip(chr(_LAST_CHARACTER))
    if not prefix:
        return None
    following = ord(prefix[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    counted_up = prefix[:-1] + chr(following)
    return counted_up if _utf8_length(counted_up) <= ZONE_BOUND_BYTES else _next_text(prefix[:-1])
