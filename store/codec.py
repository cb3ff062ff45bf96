"""The codecs of blocks: zstd and snappy where they pay, and sizes that are checked before memory is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from colonnade.store.errors import Corrupt
from colonnade.store.format import CODEC_SNAPPY, CODEC_ZSTD
from colonnade.store.memory import pool

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to compress a block; what it makes states the size of its content.

    id          as in `format`
    arrow       Arrow's codec, which does the work
    best_ratio  no content is more than this many times longer than its compressed bytes
    stated      the size that compressed bytes state, None where they state none
    """

    id: int
    arrow: pa.Codec
    best_ratio: int
    stated: Callable[[memoryview], int | None]

    def compress(self, data: bytes | memoryview) -> bytes:
        """The block compressed; it may come out longer."""
        result: bytes = self.arrow.compress(data, asbytes=True)
        return result

    def check_size(self, data: memoryview, size: int) -> None:
        """Raises Corrupt for a content that states another size, or can have none of so many bytes."""
        if self.stated(data) != size or size > self.best_ratio * len(data):
            raise Corrupt("column chunk: a compressed block of another size than its directory says")

    def decompress(self, data: memoryview, size: int) -> memoryview:
        """The content. Raises Corrupt unless it has `size` bytes."""
        self.check_size(data, size)
        try:
            return memoryview(self.arrow.decompress(data, decompressed_size=size, memory_pool=pool()))
        except (OSError, MemoryError) as error:
            raise Corrupt(f"column chunk: {error}") from None


def _zstd_size(frame: memoryview) -> int | None:
    """The content size in the header of a zstd frame (RFC 8878, section 3.1.1.1)."""
    if len(frame) < 6 or frame[:4] != _ZSTD_MAGIC:
        return None
    descriptor = frame[4]
    single_segment = descriptor >> 5 & 1
    start = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    width = (single_segment, 2, 4, 8)[descriptor >> 6]
    if not width or len(frame) < start + width:
        return None
    return int.from_bytes(frame[start : start + width], "little") + (256 if width == 2 else 0)


def _snappy_size(stream: memoryview) -> int | None:
    """The varint before the elements of a snappy stream (snappy's format_description.txt, section 1)."""
    size = 0
    for place, byte in enumerate(stream[:5]):
        size |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return size
    return None


# Level 1. Its densest block is 128 KB of one byte in 4 bytes.
ZSTD = Codec(CODEC_ZSTD, pa.Codec("zstd", compression_level=1), 32 * 1024, _zstd_size)
# Its densest element copies 64 bytes and takes 3.
SNAPPY = Codec(CODEC_SNAPPY, pa.Codec("snappy"), 22, _snappy_size)
BY_ID = {codec.id: codec for codec in (ZSTD, SNAPPY)}

# Compress where a trial leaves at most this share: at 0.9, five columns of TPC-H's lineitem would save 2 % of its
# size for 10 % more time, and be read at half the speed.
_WORTH = 0.65
_TRIAL_BYTES = 64  # smaller blocks are not worth a trial
# Less than half a byte a row is no gain either: of lineitem's order keys, packed distances, zstd saves 0.43 bytes a
# row, 1 % of the file, and takes 8 ns a row to decompress, where unpacking takes 1.
_LEAST_GAIN = 0.5
# zstd where it leaves at most this share of snappy's bytes. TPC-H's comments, 26 to 123 bytes each, in blocks of
# 56 KB, ns to compress and decompress a byte, bytes left: zstd level 1 4.8 to 7.3, 2.2, 24 to 29 %; snappy 2.2
# to 3.5, 2.0, 32 to 39 %; lz4 2.7 to 3.6, 0.7, 39 to 47 %. zstd leaves 0.73 to 0.76 of snappy's bytes there, 0.62
# of packed numbers, which are few bytes anyway, and still less of text that repeats itself.
_ZSTD_WORTH = 2 / 3


def choose(block: bytes, rows: int) -> tuple[Codec, bytes] | None:
    """The codec for blocks like this one, of so many rows, and this one compressed; None where they are better left
    alone.
    """
    if len(block) < _TRIAL_BYTES or len(block) < _LEAST_GAIN * rows:
        return None
    small = ZSTD.compress(block)
    if len(small) > min(_WORTH * len(block), len(block) - _LEAST_GAIN * rows):
        return None
    quick = SNAPPY.compress(block)
    return (ZSTD, small) if len(small) <= _ZSTD_WORTH * len(quick) else (SNAPPY, quick)
