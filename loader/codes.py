"""Coders: keys as one int64 each, so that a validator sorts, probes and spills nothing but integers.

IntCoder packs integers of known ranges exactly. HashCoder hashes canonical key bytes; equal codes then
mean "perhaps equal", and whoever uses them compares the bytes before a word is said about a violation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.loader.keysource import NO_INTS, Segment
from colonnade.store.keycode import Mask, integers, key_bytes
from colonnade.store.values import Column, IntArray

WordArray = npt.NDArray[np.uint64]
IntRange = tuple[int, int]

_WORDS = 8  # of a key's bytes, this many words of 8 are hashed one by one; a longer tail as a polynomial
_HASHED_ROWS = 16_384  # at a time: scratch arrays stay in the second-level cache
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ODD = np.uint64(0x9E3779B97F4A7C15)


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


def hash_bytes(keys: pa.Array) -> IntArray:
    """A 64-bit hash of each byte string, (n,) int64; `keys` is a binary array without nulls.

    Cost: for keys of up to 64 bytes some 10 ns a row and word, without a loop over rows.
    """
    hashes = np.empty(len(keys), np.int64)
    for start in range(0, len(keys), _HASHED_ROWS):
        hashes[start : start + _HASHED_ROWS] = _hash_some(keys.slice(start, _HASHED_ROWS))
    return hashes


def _hash_some(keys: pa.Array) -> IntArray:
    """The same for a few thousand."""
    _, offset_buffer, data = keys.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[keys.offset : keys.offset + len(keys) + 1]
    base = int(offsets[0])
    raw = (
        np.frombuffer(data, np.uint8)[base : int(offsets[-1])] if data is not None else np.zeros(0, np.uint8)
    )
    starts = (offsets[:-1] - base).astype(np.int64)
    lengths = np.diff(offsets).astype(np.int64)
    state = mix(lengths.astype(np.uint64), 0)
    padded = np.concatenate([raw, np.zeros(8, np.uint8)])
    words = np.lib.stride_tricks.as_strided(padded.view(), (len(raw) + 1, 8), (1, 1))
    for word in range(_WORDS):
        rows = np.flatnonzero(lengths > 8 * word)
        if not len(rows):
            break
        whole = len(rows) == len(lengths)
        left = (lengths if whole else lengths[rows]) - 8 * word
        values = words[(starts if whole else starts[rows]) + 8 * word].copy().view("<u8")[:, 0]
        cut = (np.maximum(8 - left, 0) * 8).astype(np.uint64)
        values = (values << cut) >> cut if (left < 8).any() else values
        if whole:
            state = mix(state ^ values, word + 1)
        else:
            state[rows] = mix(state[rows] ^ values, word + 1)
    _hash_tails(state, raw, starts, lengths)
    return state.view(np.int64)


def _hash_tails(state: WordArray, raw: npt.NDArray[np.uint8], starts: IntArray, lengths: IntArray) -> None:
    """What is beyond the first words: a polynomial in an odd number modulo 2**64."""
    rows = np.flatnonzero(lengths > 8 * _WORDS)
    for first in range(0, len(rows), 4096):
        some = rows[first : first + 4096]
        sizes = lengths[some] - 8 * _WORDS
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        powers = np.cumprod(np.full(int(sizes.max()), _ODD))
        places = within + np.repeat(starts[some] + 8 * _WORDS, sizes)
        terms = (raw[places].astype(np.uint64) + np.uint64(1)) * powers[within]
        state[some] = mix(state[some] ^ np.add.reduceat(terms, ends - sizes), _WORDS + 1)


def mix(values: WordArray, salt: int) -> WordArray:
    """A bijection of the 64-bit words that spreads every bit over all (splitmix64's finaliser)."""
    mixed = values + np.uint64((int(_ODD) * (salt + 1)) % 2**64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed
