"""Column chunks: one column of one row group as bytes and back; the bytes are those of `format`."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colonnade.store import codec
from colonnade.store.encodings import decoder_for
from colonnade.store.encodings.base import Block, Encoded, require
from colonnade.store.encodings.choose import choose
from colonnade.store.errors import Corrupt
from colonnade.store.format import (
    BLOCK_ENTRY,
    CHUNK_HEADER,
    CHUNK_MAGIC,
    CODEC_STORED,
    CODEC_ZSTD,
    FLAG_NULLS,
    MAX_GROUP_ROWS,
)
from colonnade.store.values import Column, IntArray, Kind
from colonnade.store.zonemap import ZoneMap

__all__ = ["BLOCK_ROWS", "ChunkReader", "EncodedChunk", "ZoneMap", "decode_chunk", "encode_chunk"]

BLOCK_ROWS = 4096
MIN_BLOCK_ROWS = 8
_BLOCK_BYTES = 1 << 20  # blocks of long values have fewer rows, so that a point read stays small
_WORTH = 0.9  # compress where that leaves less than this share
_CHECKED = CHUNK_HEADER.size - 4  # the header's own CRC comes last


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk ready to be stored. raw_bytes: see `format`."""

    data: bytes
    zone: ZoneMap
    raw_bytes: int


def encode_chunk(column: Column, block_rows: int | None = None) -> EncodedChunk:
    """Encodes 1 to MAX_GROUP_ROWS values. Pure: any thread may run it, and it seldom holds the GIL.

    block_rows  a power of two from MIN_BLOCK_ROWS; None leaves the choice to the measured default
    """
    rows = len(column)
    if not 1 <= rows <= MAX_GROUP_ROWS:
        raise ValueError(f"a column chunk has 1 to {MAX_GROUP_ROWS} rows, not {rows}")
    block_rows = block_rows or _block_rows(column)
    choice = choose(column, block_rows)
    bitmap = _bitmap(column)
    blocks = [
        _spans(choice.encoded, bitmap, start, min(rows, start + block_rows))
        for start in range(0, rows, block_rows)
    ]
    header = (choice.encoded.encoding_id, column.kind, FLAG_NULLS if bitmap else 0, rows, block_rows)
    return EncodedChunk(_assemble(header, choice.encoded.params, blocks), choice.zone, choice.raw_bytes)


def _block_rows(column: Column) -> int:
    rows = BLOCK_ROWS
    if column.kind in (Kind.TEXT, Kind.BLOB, Kind.MIXED):
        each = column.data.nbytes // len(column)
        while rows > MIN_BLOCK_ROWS and rows * each > _BLOCK_BYTES:
            rows //= 2
    return rows


def _bitmap(column: Column) -> memoryview | None:
    """The presence bits of all rows, None where no NULL is present or the encoding has its own."""
    data = column.data
    if column.kind is Kind.MIXED or data.null_count in (0, len(data)):
        return None
    return memoryview(data.is_valid().buffers()[1])


def _spans(encoded: Encoded, bitmap: memoryview | None, start: int, stop: int) -> list[memoryview]:
    spans = [part.span(start, stop) for part in encoded.parts]
    if bitmap is not None:
        spans.insert(0, bitmap[start // 8 : (stop + 7) // 8])
    return spans


def _assemble(fields: tuple[int, int, int, int, int], params: bytes, blocks: list[list[memoryview]]) -> bytes:
    encoding_id, kind, flags, rows, block_rows = fields
    compress = _pays(blocks[len(blocks) // 2])
    directory, stored, end = bytearray(), [], 0
    for spans in blocks:
        size = sum(len(span) for span in spans)
        if compress:
            raw = b"".join(spans)
            packed = codec.compress(raw)
            spans = [packed if len(packed) < size else raw]  # noqa: PLW2901
        crc = 0
        for span in spans:
            crc = zlib.crc32(span, crc)
            end += len(span)
        directory += BLOCK_ENTRY.pack(end, size, crc)
        stored += spans
    codec_id = CODEC_ZSTD if compress else CODEC_STORED
    head = CHUNK_HEADER.pack(
        CHUNK_MAGIC, encoding_id, kind, codec_id, flags, rows, block_rows, len(params), 0
    )[:_CHECKED]
    crc = zlib.crc32(params, zlib.crc32(directory, zlib.crc32(head)))
    return b"".join((head, crc.to_bytes(4, "little"), directory, params, *stored))


def _pays(spans: list[memoryview]) -> bool:
    """Whether one block, taken for all, shrinks enough."""
    raw = b"".join(spans)
    return len(raw) > 64 and len(codec.compress(raw)) < _WORTH * len(raw)


def decode_chunk(data: bytes | memoryview) -> Column:
    """All values of a chunk. Raises Corrupt."""
    return ChunkReader(data).column()


class ChunkReader:
    """Reads a chunk whole or by blocks. Every method raises Corrupt where the bytes are damaged.

    kind, rows, block_rows  as in the header
    block_count             blocks of the chunk
    """

    __slots__ = (
        "_blocks_at",
        "_data",
        "_decoder",
        "_directory",
        "_nulls",
        "_zstd",
        "block_count",
        "block_rows",
        "kind",
        "rows",
    )

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = view = memoryview(data).cast("B")
        require(len(view) >= CHUNK_HEADER.size, "shorter than its header")
        magic, encoding_id, kind, codec_id, flags, rows, block_rows, params_bytes, crc = (
            CHUNK_HEADER.unpack_from(view)
        )
        require(magic == CHUNK_MAGIC, "unknown magic")
        require(1 <= rows <= MAX_GROUP_ROWS, f"{rows} rows")
        power_of_two = block_rows & (block_rows - 1) == 0
        require(power_of_two and block_rows >= MIN_BLOCK_ROWS, f"blocks of {block_rows} rows")
        self.rows, self.block_rows = rows, block_rows
        self.block_count = -(-rows // block_rows)
        params_at = CHUNK_HEADER.size + BLOCK_ENTRY.size * self.block_count
        self._blocks_at = params_at + params_bytes
        require(self._blocks_at <= len(view), "shorter than its head")
        found = zlib.crc32(view[CHUNK_HEADER.size : self._blocks_at], zlib.crc32(view[:_CHECKED]))
        require(found == crc, "its head does not match its checksum")
        require(kind in Kind.__members__.values(), f"unknown kind {kind}")
        require(codec_id in (CODEC_STORED, CODEC_ZSTD), f"unknown codec {codec_id}")
        require(flags in (0, FLAG_NULLS), f"unknown flags {flags}")
        self.kind, self._zstd, self._nulls = Kind(kind), codec_id == CODEC_ZSTD, bool(flags)
        self._directory = np.frombuffer(view[CHUNK_HEADER.size : params_at], "<u4").reshape(-1, 3)
        self._decoder = decoder_for(encoding_id, self.kind, view[params_at : self._blocks_at])

    def column(self) -> Column:
        """All values."""
        return self._decode(range(self.block_count))

    def block(self, number: int) -> Column:
        """The values of one block, 0 to block_count - 1."""
        return self._decode((number,))

    def take(self, positions: IntArray) -> Column:
        """The values at `positions`, (n,) int64 from 0 to rows - 1, in their order; decodes only their blocks."""
        numbers, which = np.unique(positions // self.block_rows, return_inverse=True)
        if not len(numbers):
            return self.block(0).slice(0, 0)
        column = self._decode(numbers.tolist())
        return column.take(which * self.block_rows + positions % self.block_rows)

    def _decode(self, numbers: Sequence[int]) -> Column:
        """The values of blocks of ascending number."""
        blocks = [self._block(number) for number in numbers]
        validity = None
        if self._nulls:
            bits = [block.take((block.rows + 7) // 8) for block in blocks]
            validity = pa.py_buffer(bits[0] if len(bits) == 1 else b"".join(bits))
        try:
            array = self._decoder.decode(blocks, validity)
        except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
            raise Corrupt(f"column chunk: {error}") from None
        require(not any(block.left for block in blocks), "bytes left over in a block")
        return Column(self.kind, array)

    def _block(self, number: int) -> Block:
        rows = min(self.block_rows, self.rows - number * self.block_rows)
        start = int(self._directory[number - 1, 0]) if number else 0
        stop, size, crc = self._directory[number].tolist()
        start, stop = start + self._blocks_at, stop + self._blocks_at
        require(start <= stop <= len(self._data), "a block that lies outside")
        expected = self._decoder.block_bytes(rows)
        if expected is not None:
            expected += (rows + 7) // 8 if self._nulls else 0
            require(size == expected, "a block of an unexpected size")
        data = self._data[start:stop]
        require(zlib.crc32(data) == crc, "a block does not match its checksum")
        if self._zstd and len(data) != size:
            data = codec.decompress(data, size)
        require(len(data) == size, "a block of another size than its directory says")
        return Block(rows, data)
