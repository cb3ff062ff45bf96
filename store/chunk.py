"""Column chunks: one column of one row group as bytes and back; the bytes are those of `format`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colonnade.store import codec
from colonnade.store.codec import Codec
from colonnade.store.encodings import decoder_for
from colonnade.store.encodings.base import Block, One, Packed, require
from colonnade.store.encodings.choose import choose
from colonnade.store.encodings.integers import SEQUENCE
from colonnade.store.encodings.narrowed import Narrowed, NarrowWords
from colonnade.store.encodings.text import PlainDecoder
from colonnade.store.errors import Corrupt
from colonnade.store.format import (
    BLOCK_ENTRY,
    CHUNK_HEADER,
    CHUNK_MAGIC,
    CODEC_STORED,
    FLAG_NULLS,
    MAX_GROUP_ROWS,
)
from colonnade.store.narrowcolumn import NarrowColumn
from colonnade.store.values import Column, IntArray, Kind, SQLiteValue, StorageClass, value_at
from colonnade.store.zonemap import ZoneMap

__all__ = ["BLOCK_ROWS", "ChunkReader", "EncodedChunk", "ZoneMap", "decode_chunk", "encode_chunk"]

# lineitem, 65,536 rows, 1,024 to 16,384 rows a block: whole reads gain 40 % up to 8,192 and nothing beyond,
# point reads of numbers cost the same up to 4,096, a third more at 8,192 and half more at 16,384.
BLOCK_ROWS = 8192
MIN_BLOCK_ROWS = 8
# Text is slower to decompress: 64 KB keep a point read below 0.5 ms for 3 % more bytes than 200 KB.
_BLOCK_BYTES = 1 << 16
_CHECKED = CHUNK_HEADER.size - 4  # the header's own CRC comes last


Spans = tuple[bytes | memoryview, ...]  # the bytes of one block, in pieces


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
    choice = choose(column)
    bitmap = _bitmap(column)
    parts = choice.encoded.parts if bitmap is None else (bitmap, *choice.encoded.parts)
    bounds = [*range(0, rows, block_rows), rows]
    blocks: list[Spans] = list(zip(*[part.spans(bounds) for part in parts], strict=True))
    if not parts:
        blocks = [()] * (len(bounds) - 1)
    flags = 0 if bitmap is None else FLAG_NULLS
    header = (choice.encoded.encoding_id, column.kind, flags, rows, block_rows)
    return EncodedChunk(_assemble(header, choice.encoded.params, blocks), choice.zone, choice.raw_bytes)


def encode_count(first: int, rows: int) -> EncodedChunk:
    """The chunk of the integers first, first + 1, and so on, as encode_chunk makes it but in no time that grows
    with `rows`."""
    bounds = [*range(0, rows, BLOCK_ROWS), rows]
    encoded = SEQUENCE.counted(first, bounds)
    blocks: list[Spans] = [(span,) for span in encoded.parts[0].spans(range(len(bounds)))]
    header = (encoded.encoding_id, Kind.INTEGER, 0, rows, BLOCK_ROWS)
    zone = ZoneMap(0, int(StorageClass.INTEGER), first, first + rows - 1)
    return EncodedChunk(_assemble(header, encoded.params, blocks), zone, 8 * rows)


def _block_rows(column: Column) -> int:
    rows = BLOCK_ROWS
    if column.kind in (Kind.TEXT, Kind.BLOB, Kind.MIXED):
        bytes_each = column.data.nbytes // len(column)
        while rows > MIN_BLOCK_ROWS and rows * bytes_each > _BLOCK_BYTES:
            rows //= 2
    return rows


def _bitmap(column: Column) -> Packed | None:
    """The presence bits of all rows, None where no NULL is present or the encoding has its own."""
    data = column.data
    if column.kind is Kind.MIXED or data.null_count in (0, len(data)):
        return None
    return Packed(np.frombuffer(data.is_valid().buffers()[1], np.uint8), 1)


def _assemble(fields: tuple[int, int, int, int, int], params: bytes, blocks: list[Spans]) -> bytes:
    encoding_id, kind, flags, rows, block_rows = fields
    sizes = [sum(map(len, spans)) for spans in blocks]
    middle = len(blocks) // 2
    trial = codec.choose(b"".join(blocks[middle]), min(block_rows, rows - middle * block_rows))
    codec_id = CODEC_STORED
    if trial is not None:
        codec_id = trial[0].id
        blocks = [
            (trial[1],) if number == middle else _compressed(spans, trial[0])
            for number, spans in enumerate(blocks)
        ]
    directory, end = bytearray(), 0
    stored: list[bytes | memoryview] = []
    for spans, size in zip(blocks, sizes, strict=True):
        crc = 0
        for span in spans:
            crc = zlib.crc32(span, crc)
            end += len(span)
        directory += BLOCK_ENTRY.pack(end, size, crc)
        stored += spans
    fixed = CHUNK_HEADER.pack(
        CHUNK_MAGIC, encoding_id, kind, codec_id, flags, rows, block_rows, len(params), 0
    )
    head = fixed[:_CHECKED]
    crc = zlib.crc32(params, zlib.crc32(directory, zlib.crc32(head)))
    return b"".join((head, crc.to_bytes(4, "little"), directory, params, *stored))


def _compressed(spans: Spans, method: Codec) -> Spans:
    raw = b"".join(spans)
    smaller = method.compress(raw)
    return (smaller if len(smaller) < len(raw) else raw,)


def decode_chunk(data: bytes | memoryview) -> Column:
    """All values of a chunk. Raises Corrupt."""
    return ChunkReader(data).column()


class ChunkReader:
    """Reads a chunk whole or by blocks. Every method raises Corrupt where the bytes are damaged.

    kind, rows, block_rows  as in the header
    block_count             blocks of the chunk
    held_bytes              what it keeps in memory once `hold` was called
    narrowed                its values, once they are held so: see `narrowed`
    """

    __slots__ = (
        "_blocks_at",
        "_codec",
        "_data",
        "_decoder",
        "_directory",
        "_held",
        "_nulls",
        "block_count",
        "block_rows",
        "held_bytes",
        "kind",
        "narrowed",
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
        require(kind <= max(Kind), f"unknown kind {kind}")
        require(codec_id == CODEC_STORED or codec_id in codec.BY_ID, f"unknown codec {codec_id}")
        require(flags in (0, FLAG_NULLS), f"unknown flags {flags}")
        self.kind, self._codec, self._nulls = Kind(kind), codec.BY_ID.get(codec_id), bool(flags)
        self._directory = memoryview(view[CHUNK_HEADER.size : params_at]).cast("I")  # 3 fields a block
        self._held: list[tuple[int, memoryview]] | Column | None = None
        self.narrowed: Narrowed | None = None
        self.held_bytes = len(view)
        self._decoder = decoder_for(encoding_id, self.kind, view[params_at : self._blocks_at])

    @property
    def holds(self) -> bool:
        """Whether its values are at hand."""
        return self._held is not None or self.narrowed is not None

    def hold(self) -> None:
        """Checks and decompresses all blocks, and keeps what is quickest to decode: values narrowed, texts as they
        are, or else the blocks. Any thread may do so.
        """
        if self.holds:
            return
        if self.kind in (Kind.TEXT, Kind.BLOB) and self._decoder.block_bytes(1) is None:
            self._held = column = self.column()
            self.held_bytes = column.data.nbytes
            self._data = self._directory = memoryview(b"")
            return
        if not self._nulls:
            narrowed = self._narrow()
            if narrowed is not None:
                words = len(self._data) if isinstance(narrowed, NarrowWords) else 0
                self.held_bytes = narrowed.distances.nbytes + words
                self.narrowed = narrowed
                self._data = self._directory = memoryview(b"")
                return
        held = [(block.rows, block.data) for block in self._read(range(self.block_count))]
        if self._codec is not None:
            self.held_bytes = len(self._data) + sum(len(data) for _, data in held)
        self._held = held

    def _narrow(self) -> Narrowed | None:
        blocks = self._read(range(self.block_count))
        narrowed = self._decoder.narrow(blocks)
        require(narrowed is None or not any(block.left for block in blocks), "bytes left over in a block")
        return narrowed

    def column(self) -> Column:
        """All values."""
        if isinstance(self._held, Column):
            return self._held
        if self.narrowed is not None:
            return NarrowColumn(self.kind, [self.narrowed])
        return self._decode(range(self.block_count))

    def block(self, number: int) -> Column:
        """The values of one block, 0 to block_count - 1."""
        if self.narrowed is not None or isinstance(self._held, Column):
            return self.column().slice(number * self.block_rows, self.block_rows)
        return self._decode((number,))

    def value(self, row: int) -> SQLiteValue:
        """One value, as Python has it."""
        number, at = divmod(row, self.block_rows)
        found = self.one(number)
        return value_at(self.block(number), at) if found is None else found[0](at)

    def one(self, number: int) -> tuple[One, int] | None:
        """Reads single values of a block without making an array of them, and the bytes that it holds beyond those
        of the chunk; None where the encoding cannot do that.
        """
        block = self._read((number,))[0]
        held = 0 if self._codec is None else len(block.data)
        if self._decoder.block_bytes(block.rows) is None:
            held += (4 if len(block.data) >> 16 else 2) * block.rows  # where each value ends
        if not self._nulls:
            read = self._decoder.one(block.data, block.rows)
            return None if read is None else (read, held)
        valid = block.take((block.rows + 7) // 8)
        read = self._decoder.one(block.data[block.at :], block.rows)
        if read is None:
            return None
        present = read
        return (lambda row: present(row) if valid[row >> 3] >> (row & 7) & 1 else None), held

    def take(self, positions: IntArray) -> Column:
        """The values at `positions`, (n,) int64 0 to rows - 1, in their order; decodes only their blocks."""
        if not len(positions):
            return self.block(0).slice(0, 0)
        first, last = int(positions.min()) // self.block_rows, int(positions.max()) // self.block_rows
        if len(positions) == 1:  # a key look-up: a slice costs a fifth of Arrow's take
            return self.block(first).slice(int(positions[0]) - first * self.block_rows, 1)
        if first == last:
            return self.block(first).take(positions - first * self.block_rows)
        if (positions[1:] > positions[:-1]).all():
            return self.gather(positions)[0]
        numbers, which = np.unique(positions // self.block_rows, return_inverse=True)
        column = self._decode(numbers.tolist())
        return column.take(which * self.block_rows + positions % self.block_rows)

    def share_of(self, positions: IntArray) -> float:
        """The share of its blocks in which ascending positions lie."""
        if not len(positions):
            return 0.0
        numbers = positions >> (self.block_rows.bit_length() - 1)
        return (1 + int(np.count_nonzero(numbers[1:] != numbers[:-1]))) / float(self.block_count)

    def gather(self, positions: IntArray) -> tuple[Column, int]:
        """The values at ascending positions, and how many blocks were decoded for them."""
        if self.narrowed is not None:
            return NarrowColumn(self.kind, [self.narrowed]).at(positions), 0
        if isinstance(self._held, Column):
            return self._held.take(positions), 0
        counts = np.bincount(positions >> (self.block_rows.bit_length() - 1), minlength=self.block_count)
        numbers = np.flatnonzero(counts)
        if not len(numbers):
            return self.block(0).slice(0, 0), 1
        # What lies in blocks that are left out is taken from each position.
        left_out = (numbers - np.arange(len(numbers))) * self.block_rows
        at = positions - np.repeat(left_out, counts[numbers])
        return self._decode(numbers.tolist()).take(at), len(numbers)

    def _decode(self, numbers: Sequence[int]) -> Column:
        """The values of blocks of ascending number."""
        try:
            if self._codec is not None and isinstance(self._decoder, PlainDecoder) and self._held is None:
                return Column(self.kind, self._decode_each(self._decoder, self._codec, numbers))
            blocks = self._read(numbers)
            validity = None
            if self._nulls:
                bits = [block.take((block.rows + 7) // 8) for block in blocks]
                validity = pa.py_buffer(bits[0] if len(bits) == 1 else b"".join(bits))
            array = self._decoder.decode(blocks, validity)
        except (pa.ArrowException, ValueError, OverflowError, MemoryError) as error:
            raise Corrupt(f"column chunk: {error}") from None
        require(not any(block.left for block in blocks), "bytes left over in a block")
        return Column(self.kind, array)

    def _decode_each(self, decoder: PlainDecoder, method: Codec, numbers: Sequence[int]) -> pa.Array:
        """The values of blocks that are compressed."""
        byte_count = 0
        for number in numbers:  # before there is memory for all of them
            stored, size, _ = self._stored(number)
            byte_count += size
            if len(stored) != size:
                method.check_size(stored, size)
        return decoder.decode_each(self._checked(numbers), byte_count, nulls=self._nulls)

    def _read(self, numbers: Sequence[int]) -> list[Block]:
        """Blocks of ascending number, decompressed and checked."""
        if isinstance(self._held, list):
            return [Block(*self._held[number]) for number in numbers]
        return list(self._checked(numbers))

    def _stored(self, number: int) -> tuple[memoryview, int, int]:
        """A block as it is stored, its bytes once decompressed, and its checksum."""
        directory, entry = self._directory, 3 * number
        start = directory[entry - 3] if number else 0
        stored = self._data[self._blocks_at + start : self._blocks_at + directory[entry]]
        require(len(stored) == directory[entry] - start, "a block that lies outside")
        return stored, directory[entry + 1], directory[entry + 2]

    def _checked(self, numbers: Sequence[int]) -> Iterator[Block]:
        """Blocks of ascending number, decompressed and checked, each when its turn comes."""
        full = self._block_bytes(self.block_rows)
        for number in numbers:
            rows, expected = self.block_rows, full
            if number == self.block_count - 1:
                rows = self.rows - number * self.block_rows
                expected = self._block_bytes(rows)
            stored, size, crc = self._stored(number)
            require(zlib.crc32(stored) == crc, "a block does not match its checksum")
            require(expected is None or size == expected, "a block of an unexpected size")
            if len(stored) != size:
                if self._codec is None:
                    raise Corrupt("column chunk: a block of another size than its directory says")
                stored = self._codec.decompress(stored, size)
            yield Block(rows, stored)

    def _block_bytes(self, rows: int) -> int | None:
        """Bytes of a block of `rows` rows once decompressed, None where they vary."""
        size = self._decoder.block_bytes(rows)
        return size + (rows + 7) // 8 if self._nulls and size is not None else size
