"""Coders: keys as one int64 each, so that a validator sorts, probes and spills nothing but integers.

IntCoder packs integers of known ranges exactly. HashCoder hashes canonical key bytes; equal codes then
mean "perhaps equal", and whoever uses them compares the bytes before a word is said about a violation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from colonnade.loader.keysource import NO_INTS, Segment
from colonnade.store.keycode import Mask, integers, key_bytes
from colonnade.store.keyhash import hash_bytes
from colonnade.store.values import Column, IntArray

IntRange = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Codes:
    """The keys of n rows.

    codes  (m,) int64, of the m rows that have a key the coder can hold
    rows   (m,) int64, which rows these are; None: all
    alien  rows with a key without NULL that no row on the coder's other side can equal; None: no such row
    keys   (m,) their canonical bytes, where equal codes do not yet mean equal keys; None: they do
    """

    codes: IntArray
    rows: IntArray | None
    alien: IntArray | None
    keys: pa.Array | None

    def positions(self, hits: IntArray) -> IntArray:
        """Row numbers of some of the codes."""
        return hits if self.rows is None else self.rows[hits]


class Coder(Protocol):
    """Turns key columns into codes."""

    @property
    def exact(self) -> bool:
        """Whether equal codes are equal keys."""

    def encode(self, columns: Sequence[Column]) -> Codes: ...


@dataclass(frozen=True, slots=True)
class IntCoder:
    """Integer keys within `ranges`, one (min, max) per column, packed into an int64 of `room` values."""

    ranges: tuple[IntRange, ...]
    room: int
    exact: bool = True

    def encode(self, columns: Sequence[Column]) -> Codes:
        """Codes 0 to room - 1, in the order of the keys; keys outside the ranges are alien."""
        count = len(columns[0])
        codes: IntArray | None = None
        keyed: Mask | None = None
        fits: Mask | None = None
        for column, (low, high) in zip(columns, self.ranges, strict=True):
            values, null, other = integers(column)
            if null is not None:
                keyed = ~null if keyed is None else keyed & ~null
            inside = _inside(values, low, high)
            if other is not None:
                inside = ~other if inside is None else inside & ~other
            if inside is not None:
                fits = inside if fits is None else fits & inside
                values = np.where(inside, values, low)
            if codes is None:
                codes = values if low == 0 else values - np.int64(low)
            else:
                codes = codes * np.int64(high - low + 1) + (values - np.int64(low))
        assert codes is not None
        return _select(codes, keyed, fits, count)


def _inside(values: IntArray, low: int, high: int) -> Mask | None:
    """Which values are within the range; None if all are."""
    if not len(values) or (values.min() >= low and values.max() <= high):
        return None
    inside: Mask = (values >= low) & (values <= high)
    return inside


def _select(codes: IntArray, keyed: Mask | None, fits: Mask | None, count: int) -> Codes:
    if keyed is None and fits is None:
        return Codes(codes, None, None, None)
    keyed = np.ones(count, bool) if keyed is None else keyed
    if fits is None:
        rows = np.flatnonzero(keyed)
        return Codes(codes[rows], rows, None, None)
    rows = np.flatnonzero(keyed & fits)
    alien = np.flatnonzero(keyed & ~fits)
    return Codes(codes[rows], rows, alien if len(alien) else None, None)


def int_coder(ranges: Sequence[IntRange | None]) -> IntCoder | None:
    """The coder for these ranges; None if a column holds other things or an int64 cannot hold the keys."""
    known = [(0, 0) if r == NO_INTS else r for r in ranges if r is not None]
    room = 1
    for low, high in known:
        room *= high - low + 1
    return IntCoder(tuple(known), room) if len(known) == len(ranges) and room < 2**63 else None


def joint_ranges(segments: Sequence[Segment], width: int) -> list[IntRange | None]:
    """Per key column the range over all segments, None where one of them is not integers alone."""
    joint: list[IntRange | None] = []
    for column in range(width):
        ranges = [segment.ranges[column] for segment in segments]
        known = [r for r in ranges if r is not None]
        if len(known) < len(ranges):
            joint.append(None)
            continue
        real = [r for r in known if r != NO_INTS]
        joint.append((min(r[0] for r in real), max(r[1] for r in real)) if real else NO_INTS)
    return joint


@dataclass(frozen=True, slots=True)
class HashCoder:
    """Keys of any type; `keys` comes with the codes, to be compared where codes are equal."""

    collations: tuple[str, ...]
    exact: bool = False

    def encode(self, columns: Sequence[Column]) -> Codes:
        keys = key_bytes(columns, self.collations)
        rows = None
        if keys.null_count:
            rows = np.flatnonzero(keys.is_valid().to_numpy(zero_copy_only=False))
            keys = keys.take(pa.array(rows))
        return Codes(hash_bytes(keys), rows, None, keys)
