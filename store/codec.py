"""The codec of blocks: zstd where it pays, and sizes that are checked before memory is taken."""

from __future__ import annotations

import pyarrow as pa

from colonnade.store.errors import Corrupt

# lineitem's comments, 26 bytes each, blocks of 54 KB; bytes and ns a row on one busy core: level -10 11.8 and
# 165, -1 8.6 and 184, 1 7.6 and 196, 3 7.2 and 237. (lz4: 12.2 and 103, about 55 MB more for TPC-H SF1.)
LEVEL = 1
_ZSTD = pa.Codec("zstd", compression_level=LEVEL)
_MAGIC = b"\x28\xb5\x2f\xfd"
_BEST_RATIO = 32 * 1024  # zstd's densest block: 128 KB of one byte in 4 bytes


def compress(data: bytes | memoryview) -> bytes:
    """One zstd frame that states its content's size."""
    result: bytes = _ZSTD.compress(data, asbytes=True)
    return result


def decompress(data: memoryview, size: int) -> memoryview:
    """The content of a zstd frame. Raises Corrupt unless it has `size` bytes."""
    if _content_size(data) != size or size > _BEST_RATIO * len(data):
        raise Corrupt("column chunk: a compressed block of another size than its directory says")
    try:
        return memoryview(_ZSTD.decompress(data, decompressed_size=size))
    except (OSError, MemoryError) as error:
        raise Corrupt(f"column chunk: {error}") from None


def _content_size(frame: memoryview) -> int | None:
    """The size that a zstd frame's header states (RFC 8878, section 3.1.1.1), None where it does not."""
    if len(frame) < 6 or frame[:4] != _MAGIC:
        return None
    descriptor = frame[4]
    single_segment = descriptor >> 5 & 1
    start = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    width = (single_segment, 2, 4, 8)[descriptor >> 6]
    if not width or len(frame) < start + width:
        return None
    return int.from_bytes(frame[start : start + width], "little") + (256 if width == 2 else 0)
