"""TEXT and BLOB as lengths and bytes: the encoding PLAIN, and what MIXED and DICTIONARY share with it.

PLAIN (5)
parameters  0   9   Frame of the lengths in bytes
a block     planes of the lengths, then the bytes of all its values; a NULL has length 0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa

from colonnade.store.encodings.base import (
    MAX_TEXT_BYTES,
    Block,
    Blocks,
    ByteArray,
    Encoded,
    Numbers,
    One,
    Spread,
    empty,
    gather_rest,
    require,
)
from colonnade.store.encodings.frame import Frame
from colonnade.store.errors import Corrupt
from colonnade.store.values import Kind, SQLiteValue

_NO_BYTES = np.zeros(0, np.uint8)


def bytes_and_offsets(data: pa.Array) -> tuple[ByteArray, Numbers]:
    """The bytes of a string or binary array without NULLs, and the (n + 1,) int32 offsets into them."""
    _, offsets_buffer, bytes_buffer = data.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[data.offset : data.offset + len(data) + 1]
    raw = _NO_BYTES if bytes_buffer is None else np.frombuffer(bytes_buffer, np.uint8)
    return raw, offsets


def without_nulls(data: pa.Array) -> pa.Array:
    """The array with NULLs as empty values."""
    if not data.null_count:
        return data
    empty = "" if pa.types.is_string(data.type) else b""
    return data.fill_null(empty)


def read_values(blocks: Blocks, lengths: Numbers, validity: pa.Buffer | None, text: bool) -> pa.Array:
    """The string or binary array of values with these lengths, which are all that is left in the blocks.

    Raises Corrupt where lengths and bytes do not agree, or a text is not UTF-8.
    """
    offsets = _checked_offsets(lengths, [block.rows for block in blocks], [block.left for block in blocks])
    return bytes_array(offsets, gather_rest(blocks), validity, text)


def _checked_offsets(lengths: Numbers, rows: Sequence[int], byte_counts: Sequence[int]) -> Numbers:
    """The (n + 1,) int32 offsets of values of these lengths. Raises Corrupt unless those of each block, of so many
    rows, make its bytes."""
    total = sum(byte_counts)
    require(int(lengths.min()) >= 0, "negative length")
    require(int(lengths.max()) <= total <= MAX_TEXT_BYTES, "length beyond the bytes there are")
    ends = empty(len(lengths) + 1, np.int64)  # as int64, so that no sum can wrap around
    ends[0] = 0
    np.cumsum(lengths, out=ends[1:])
    require(
        ends[np.cumsum(rows)].tolist() == list(accumulate(byte_counts)),
        "lengths that do not fill their block",
    )
    offsets = empty(len(ends), np.int32)
    np.copyto(offsets, ends, casting="unsafe")
    return offsets


def words_array(lengths: Numbers, raw: memoryview) -> pa.Array:
    """The string array of a dictionary's words. Raises Corrupt as read_values does."""
    return bytes_array(_checked_offsets(lengths, [len(lengths)], [len(raw)]), raw, None, text=True)


def bytes_array(
    offsets: Numbers, raw: memoryview | bytes, validity: pa.Buffer | None, text: bool
) -> pa.Array:
    """The string or binary array with these int32 offsets. Raises Corrupt for a text that is not UTF-8."""
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(raw)]
    if not text or (len(raw) and int(np.frombuffer(raw, np.uint8).max()) < 0x80):
        return pa.Array.from_buffers(pa.string() if text else pa.binary(), len(offsets) - 1, buffers)
    # The cast checks every value; ASCII, the usual case, needs no such look.
    try:
        return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers).cast(pa.string())
    except pa.ArrowInvalid:
        raise Corrupt("column chunk: TEXT that is not UTF-8") from None


@dataclass(frozen=True, slots=True)
class Plain:
    """Values as they are; the codec of the blocks does the rest."""

    id: int = 5
    name: str = "plain"
    kinds: frozenset[Kind] = frozenset({Kind.TEXT, Kind.BLOB})

    def encode(self, data: pa.Array) -> Encoded:
        raw, offsets = bytes_and_offsets(without_nulls(data))
        lengths = offsets[1:] - offsets[:-1]
        frame = Frame.around(int(lengths.min()), int(lengths.max()))
        return Encoded(self.id, frame.to_bytes(), (*frame.pack(lengths), Spread(raw, offsets)))

    def decoder(self, kind: Kind, params: memoryview) -> PlainDecoder:
        return PlainDecoder(kind is Kind.TEXT, Frame.from_bytes(params))


@dataclass(frozen=True, slots=True)
class PlainDecoder:
    text: bool
    frame: Frame

    def block_bytes(self, rows: int) -> int | None:
        return None

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        return read_values(blocks, self.frame.unpack(blocks), validity, self.text)

    def decode_each(self, blocks: Iterable[Block], byte_count: int, *, nulls: bool) -> pa.Array:
        """What decode gives, of blocks that are decompressed one at a time: their bytes are many, and are in memory
        once in this way.

        byte_count  of all blocks
        nulls       each begins with its null bitmap
        """
        raw, at = empty(byte_count, np.uint8), 0
        bitmaps, heads, byte_counts = [], [], []
        for block in blocks:
            if nulls:
                bitmaps.append(bytes(block.take((block.rows + 7) // 8)))
            lengths = bytes(block.take(self.frame.block_bytes(block.rows)))
            heads.append(Block(block.rows, memoryview(lengths)))
            left = block.left
            raw[at : at + left] = np.frombuffer(block.take(left), np.uint8)
            byte_counts.append(left)
            at += left
        offsets = _checked_offsets(self.frame.unpack(heads), [head.rows for head in heads], byte_counts)
        validity = pa.py_buffer(b"".join(bitmaps)) if nulls else None
        return bytes_array(offsets, raw[:at].data, validity, self.text)

    def narrow(self, blocks: Blocks) -> None:
        return None

    def one(self, data: memoryview, rows: int) -> One | None:
        planes = self.frame.block_bytes(rows)
        require(planes <= len(data), "a block that ends before its lengths")
        lengths, raw = self.frame.unpack([Block(rows, data[:planes])], np.int32), data[planes:]
        ends = np.cumsum(lengths, dtype=np.int64)
        require(int(lengths.min()) >= 0 and int(ends[-1]) == len(raw), "lengths that do not fill their block")
        return _one_of_bytes(ends.astype(np.uint32 if len(raw) >> 16 else np.uint16).data, raw, self.text)


def _one_of_bytes(ends: memoryview, raw: memoryview, text: bool) -> One:
    """Reads single values of which each ends where `ends` says, and begins where the one before ends."""

    def value_at(row: int) -> SQLiteValue:
        value = raw[ends[row - 1] if row else 0 : ends[row]]
        if not text:
            return bytes(value)
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise Corrupt("column chunk: TEXT that is not UTF-8") from None

    return value_at


PLAIN = Plain()
