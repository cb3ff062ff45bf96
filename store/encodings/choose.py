"""The choice of an encoding for a column, and with it the zone map, from one look at the values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.encodings.base import Encoded, Numbers
from colonnade.store.encodings.dictionary import DICTIONARY
from colonnade.store.encodings.integers import DELTA, NARROW, SEQUENCE
from colonnade.store.encodings.lane import LANE_KINDS, to_lane
from colonnade.store.encodings.mixed import MIXED
from colonnade.store.encodings.nulls import NULLS
from colonnade.store.encodings.text import PLAIN, bytes_and_offsets
from colonnade.store.values import Column, Kind, StorageClass
from colonnade.store.zonemap import ZoneMap, bytes_zone, lane_zone, mixed_zone, null_zone

LANE_ENCODINGS = (SEQUENCE, DELTA, NARROW)  # the first that will; NARROW always does

_SAMPLE = 512
_FEW = 4  # DICTIONARY where there are at least this many rows for each word
_ISO_BYTES = {Kind.DATE: 10, "s": 19, "ms": 23, "us": 26}


@dataclass(frozen=True, slots=True)
class Choice:
    """An encoded column, its zone map and the bytes of its values."""

    encoded: Encoded
    zone: ZoneMap
    raw_bytes: int


def choose(column: Column) -> Choice:
    """Encodes a column of at least one row."""
    kind, data = column.kind, column.data
    if kind is Kind.MIXED:
        return _mixed(data)
    if data.null_count == len(data):
        return Choice(NULLS.encode(kind, data), null_zone(len(data)), 0)
    if kind in LANE_KINDS:
        return _lane(kind, data)
    return _bytes(data)


def _lane(kind: Kind, data: pa.Array) -> Choice:
    lane = to_lane(kind, data)
    zone = lane_zone(kind, lane, data.null_count)
    each = 8
    if kind is Kind.DATE:
        each = _ISO_BYTES[kind]
    elif kind is Kind.DATETIME:
        each = _ISO_BYTES[data.type.unit]
    encoded = None
    for encoding in LANE_ENCODINGS:
        encoded = encoding.encode(lane)
        if encoded is not None:
            break
    assert encoded is not None
    return Choice(encoded, zone, each * (len(data) - data.null_count))


def _bytes(data: pa.Array) -> Choice:
    if not pa.types.is_dictionary(data.type) and pa.types.is_string(data.type) and _repeats(data):
        data = data.dictionary_encode()
    if pa.types.is_dictionary(data.type):
        if _FEW * len(data.dictionary) <= len(data) or len(data.dictionary) == 1:
            return _dictionary(data)
        data = data.dictionary_decode()
    _, offsets = bytes_and_offsets(data)
    return Choice(PLAIN.encode(data), bytes_zone(data, data.null_count), int(offsets[-1]) - int(offsets[0]))


def _repeats(data: pa.Array) -> bool:
    """Whether a sample from all over repeats itself as one of some thousand different values would."""
    step = max(1, len(data) // _SAMPLE)
    sample = data.take(pa.array(np.arange(0, len(data), step)[:_SAMPLE]))
    return 8 * int(pc.count_distinct(sample).as_py()) <= 7 * len(sample)


def _dictionary(data: pa.Array) -> Choice:
    indices, words = data.indices, data.dictionary
    if indices.null_count:
        indices = indices.fill_null(pc.min(indices))
    codes: Numbers = indices.to_numpy()
    counts = np.bincount(codes, minlength=len(words))
    used = counts > 0
    if not used.all():
        codes = (np.cumsum(used) - 1)[codes]
        words, counts = words.filter(pa.array(used)), counts[used]
    _, offsets = bytes_and_offsets(words)
    lengths = np.diff(offsets)
    raw_bytes = int(np.dot(lengths, counts)) - data.null_count * int(lengths[0])  # NULLs have code 0 here
    return Choice(DICTIONARY.encode(codes, words), bytes_zone(words, data.null_count), raw_bytes)


def _mixed(data: pa.Array) -> Choice:
    tags = data.field("tag").to_numpy()
    numbers = int(np.count_nonzero((tags == StorageClass.INTEGER) | (tags == StorageClass.REAL)))
    _, offsets = bytes_and_offsets(data.field("bytes"))
    raw_bytes = 8 * numbers + int(offsets[-1]) - int(offsets[0])
    return Choice(MIXED.encode(data), mixed_zone(data), raw_bytes)
