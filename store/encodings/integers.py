"""SEQUENCE, NARROW and DELTA: the encodings of lanes, see `colonnade.store.encodings.lane`.

SEQUENCE (2): row k of the chunk's block b is base[b] + k*step.
parameters  0   1   digits
            1   8   step, signed
a block     0   8   base, unsigned, modulo 2**64

NARROW (3)
parameters  0   1   digits
            1   9   Frame of the integers
a block     its planes

DELTA (4): each integer as its distance from the one before, modulo 2**64.
parameters  0   1   digits
            1   9   Frame of the distances
a block     0   8   the block's first integer, unsigned, modulo 2**64
            8   ..  planes of the distances; the first row's means nothing
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.store.encodings.base import (
    Block,
    Blocks,
    Encoded,
    Numbers,
    One,
    PerBlock,
    as_ints,
    cut,
    empty,
    require,
    row_total,
)
from colonnade.store.encodings.frame import Frame, signed, width_for
from colonnade.store.encodings.lane import (
    LANE_KINDS,
    Lane,
    check_digits,
    divisor_of,
    from_lane,
    lane_dtype,
    one_of_lane,
)
from colonnade.store.encodings.narrowed import (
    Distances,
    Narrowed,
    NarrowLane,
    narrow_lane,
    narrowed_integers,
)
from colonnade.store.values import Kind

_MASK64 = 2**64 - 1
_STEP = struct.Struct("<Bq")
_DELTA_GAIN = 3  # bits a row that DELTA must save; below, its slower decoding is not worth it
_SAMPLE = 2048
_TWO_BYTES, _THREE_BYTES = 16, 24  # bits
_UINT32 = 1 << 32


def _take_base(block: Block) -> np.int64:
    base: np.int64 = np.frombuffer(block.take(8), "<i8")[0]
    return base


@dataclass(frozen=True, slots=True)
class Sequence:
    """Constants and arithmetic progressions, such as rowids without gaps."""

    id: int = 2
    name: str = "sequence"
    kinds: frozenset[Kind] = LANE_KINDS

    def encode(self, lane: Lane) -> Encoded | None:
        values, rows = lane.values, len(lane.values)
        first, last = int(values[0]), int(values[-1])
        step = int(values[1]) - first if rows > 1 else 0
        # The ends and the bounds decide nearly always; only then is every row looked at.
        if first + step * (rows - 1) != last or abs(last - first) != lane.high - lane.low:
            return None
        if not -(2**63) <= step < 2**63 or not np.array_equal(
            values[1:] - values[:-1], np.full(rows - 1, step)
        ):
            return None
        return Encoded(self.id, _STEP.pack(lane.digits, step), (PerBlock(as_ints(values)),))

    def counted(self, first: int, bounds: list[int]) -> Encoded:
        """Of first, first + 1, and so on; its part has one row for each block, which begin at bounds[:-1]."""
        step = int(bounds[-1] > 1)
        return Encoded(
            self.id, _STEP.pack(0, step), (PerBlock(np.array(bounds[:-1], np.int64) + np.int64(first)),)
        )

    def decoder(self, kind: Kind, params: memoryview) -> SequenceDecoder:
        require(len(params) == _STEP.size, "parameters of a sequence")
        digits, step = _STEP.unpack(params)
        check_digits(kind, digits)
        return SequenceDecoder(kind, digits, step)


@dataclass(frozen=True, slots=True)
class SequenceDecoder:
    kind: Kind
    digits: int
    step: int

    def block_bytes(self, rows: int) -> int | None:
        return 8

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        values = self._integers(blocks, lane_dtype(self.kind))
        return from_lane(self.kind, self.digits, values, validity)

    def narrow(self, blocks: Blocks) -> Narrowed | None:
        return narrowed_integers(self.kind, self.digits, self._integers(blocks, np.int64))

    def _integers(self, blocks: Blocks, dtype: npt.DTypeLike) -> Numbers:
        longest = max(block.rows for block in blocks)
        steps = np.arange(longest, dtype=np.int64) * np.int64(self.step)
        values = empty(row_total(blocks), dtype)
        for block, piece in cut(blocks, values):
            base = _take_base(block)
            np.add(steps[: block.rows], base, out=piece, dtype=piece.dtype, casting="unsafe")
        return values

    def one(self, data: memoryview, rows: int) -> One | None:
        base, step = int.from_bytes(data[:8], "little", signed=True), self.step
        return one_of_lane(self.kind, self.digits, lambda row: signed(base + row * step))


@dataclass(frozen=True, slots=True)
class Narrow:
    """Integers from a minimum on, in as few bits as their range needs."""

    id: int = 3
    name: str = "narrow"
    kinds: frozenset[Kind] = LANE_KINDS

    def encode(self, lane: Lane) -> Encoded | None:
        frame = Frame.around(lane.low, lane.high)
        return Encoded(self.id, bytes([lane.digits]) + frame.to_bytes(), frame.pack(lane.values))

    def decoder(self, kind: Kind, params: memoryview) -> NarrowDecoder:
        require(len(params) > 0, "parameters of narrowed integers")
        check_digits(kind, params[0])
        return NarrowDecoder(kind, params[0], Frame.from_bytes(params[1:]))


@dataclass(frozen=True, slots=True)
class NarrowDecoder:
    kind: Kind
    digits: int
    frame: Frame

    def block_bytes(self, rows: int) -> int | None:
        return self.frame.block_bytes(rows)

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        divisor = divisor_of(self.kind, self.digits)
        if divisor is not None and self.frame.fits_double:
            values = self.frame.unpack_doubles(blocks, divisor)
            return pa.Array.from_buffers(pa.float64(), len(values), [validity, pa.py_buffer(values)])
        values = self.frame.unpack(blocks, lane_dtype(self.kind))
        return from_lane(self.kind, self.digits, values, validity)

    def narrow(self, blocks: Blocks) -> Narrowed | None:
        frame = self.frame
        if _TWO_BYTES < frame.width <= _THREE_BYTES:  # their planes are the parts that distances are kept in
            distances = Distances.split(*frame.planes(blocks))
        else:
            whole = frame.distances(blocks)
            distances = Distances.of(np.zeros(row_total(blocks), np.uint8) if whole is None else whole)
        return narrow_lane(self.kind, self.digits, frame.base, distances)

    def one(self, data: memoryview, rows: int) -> One | None:
        return one_of_lane(self.kind, self.digits, self.frame.one(data, rows))


@dataclass(frozen=True, slots=True)
class Delta:
    """Integers close to the one before: sorted and nearly sorted columns."""

    id: int = 4
    name: str = "delta"
    kinds: frozenset[Kind] = LANE_KINDS

    def encode(self, lane: Lane) -> Encoded | None:
        width = width_for(lane.high - lane.low)
        if width <= _DELTA_GAIN or not _promising(lane.values, width):
            return None
        values = as_ints(lane.values)
        distances = np.empty_like(values)
        np.subtract(values[1:], values[:-1], out=distances[1:])  # wraps around, and so does decoding
        distances[0] = distances[-1]
        frame = Frame.around(int(distances.min()), int(distances.max()))
        if frame.width > width - _DELTA_GAIN:
            return None
        params = bytes([lane.digits]) + frame.to_bytes()
        return Encoded(self.id, params, (PerBlock(values), *frame.pack(distances)))

    def decoder(self, kind: Kind, params: memoryview) -> DeltaDecoder:
        require(len(params) > 0, "parameters of deltas")
        check_digits(kind, params[0])
        return DeltaDecoder(kind, params[0], Frame.from_bytes(params[1:]))


def _promising(values: Numbers, width: int) -> bool:
    """Whether distances within a piece from the middle leave hope that all are small."""
    middle = max(0, len(values) // 2 - _SAMPLE // 2)
    sample = as_ints(values[middle : middle + _SAMPLE])
    if len(sample) < 2:
        return False
    distances = sample[1:] - sample[:-1]
    return width_for(int(distances.max()) - int(distances.min())) <= width - _DELTA_GAIN


@dataclass(frozen=True, slots=True)
class DeltaDecoder:
    kind: Kind
    digits: int
    frame: Frame

    def block_bytes(self, rows: int) -> int | None:
        return 8 + self.frame.block_bytes(rows)

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        values = self._integers(blocks, *self._taken(blocks)).astype(lane_dtype(self.kind), copy=False)
        return from_lane(self.kind, self.digits, values, validity)

    def narrow(self, blocks: Blocks) -> Narrowed | None:
        firsts, steps = self._taken(blocks)
        narrowed = self._narrow_rising(blocks, firsts, steps)
        if narrowed is not None:
            return narrowed
        return narrowed_integers(self.kind, self.digits, self._integers(blocks, firsts, steps))

    def _taken(self, blocks: Blocks) -> tuple[list[np.int64], Numbers | None]:
        """The first integer of each block, and all distances from the frame's base; None: all are 0."""
        return [_take_base(block) for block in blocks], self.frame.distances(blocks)

    def _integers(self, blocks: Blocks, firsts: list[np.int64], steps: Numbers | None) -> Numbers:
        values = self.frame.integers(steps, row_total(blocks))
        for first, (_, piece) in zip(firsts, cut(blocks, values), strict=True):
            piece[0] = first
            np.cumsum(piece, out=piece)
        return values

    def _narrow_rising(
        self, blocks: Blocks, firsts: list[np.int64], steps: Numbers | None
    ) -> NarrowLane | None:
        """Integers of which none is smaller than the one before in its block, without the eight bytes that each would
        take first; None where they are not so, or too far apart.
        """
        base, longest = self.frame.base, max(block.rows for block in blocks)
        furthest = (base + (1 << self.frame.width)) * longest
        low = min(map(int, firsts))
        if base < 0 or steps is None or furthest + max(map(int, firsts)) - low >= _UINT32:
            return None
        distances = empty(len(steps), np.uint32)
        ramp = np.arange(longest, dtype=np.uint32) * np.uint32(base) if base else None
        for first, (block, part), (_, piece) in zip(
            firsts, cut(blocks, steps), cut(blocks, distances), strict=True
        ):
            np.cumsum(part, out=piece, dtype=np.uint32)
            start = int(first) - low - int(part[0])  # the first row's distance means nothing
            piece += np.uint32(start % _UINT32)
            if ramp is not None:
                piece += ramp[: block.rows]
        return narrow_lane(self.kind, self.digits, low, Distances.of(distances))

    def one(self, data: memoryview, rows: int) -> One | None:
        return None


SEQUENCE, NARROW, DELTA = Sequence(), Narrow(), Delta()
