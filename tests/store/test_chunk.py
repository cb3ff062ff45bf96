"""Column chunks give back every value, by whole chunk and by block, and survive no damage unnoticed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.chunk import BLOCK_ROWS, ChunkReader, decode_chunk, encode_chunk
from colonnade.store.encodings import ENCODINGS
from colonnade.store.errors import Corrupt
from colonnade.store.format import (
    BLOCK_ENTRY,
    CHUNK_HEADER,
    CLASSES_INEXACT,
    CODEC_SNAPPY,
    CODEC_STORED,
    CODEC_ZSTD,
    ZONE_BOUND_BYTES,
)
from colonnade.store.values import (
    EXACT_INT,
    INT64_MAX,
    INT64_MIN,
    Column,
    Kind,
    SQLiteValue,
    StorageClass,
    from_python,
    null_column,
    to_mixed,
    to_python,
)

INTEGERS = st.one_of(
    st.integers(INT64_MIN, INT64_MAX),
    st.integers(-5, 300),
    st.sampled_from([INT64_MIN, INT64_MAX, 0, -1, EXACT_INT, EXACT_INT + 1]),
)
REALS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(10**6), 10**6).map(lambda n: n / 100),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, float("inf"), float("-inf"), 0.1 + 0.2, 1e300, 2.0**60]),
)
NUMERICS = REALS.map(lambda x: 0.0 if x == 0 else x)
TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["", "a\0b", "\U0010ffff" * 30, "ß" * 40, "x" * 300]))
BLOBS = st.one_of(st.binary(max_size=20), st.sampled_from([b"", b"\xff" * 70, b"\0" * 100]))
DAYS = st.integers(-719528, 2932896)
SECONDS = st.integers(-719528 * 86400, 2932897 * 86400 - 1)


KINDS: dict[str, tuple[Kind, pa.DataType, st.SearchStrategy[object]]] = {
    "integer": (Kind.INTEGER, pa.int64(), INTEGERS),
    "real": (Kind.REAL, pa.float64(), REALS),
    "numeric": (Kind.NUMERIC, pa.float64(), NUMERICS),
    "text": (Kind.TEXT, pa.string(), TEXTS),
    "words": (Kind.TEXT, pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "", "b\0", "ß" * 50])),
    "date": (Kind.DATE, pa.date32(), DAYS),
    "blob": (Kind.BLOB, pa.binary(), BLOBS),
    **{
        f"datetime {unit}": (
            Kind.DATETIME,
            pa.timestamp(unit),
            SECONDS.map(lambda s, f=factor: s * f + s % f),  # type: ignore[misc]
        )
        for unit, factor in {"s": 1, "ms": 10**3, "us": 10**6}.items()
    },
}


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """Any column: every kind, with and without NULLs, at an offset within its Arrow array, and repeated."""
    if draw(st.integers(0, 5)) == 0:
        anything = st.one_of(st.none(), INTEGERS, REALS, TEXTS, BLOBS)
        column = to_mixed(from_python(draw(st.lists(anything, min_size=1, max_size=30))))
    else:
        kind, arrow_type, values = KINDS[draw(st.sampled_from(sorted(KINDS)))]
        either = st.one_of(st.none(), values) if draw(st.booleans()) else values
        column = Column(kind, pa.array(draw(st.lists(either, min_size=1, max_size=30)), arrow_type))
    repeats = draw(st.sampled_from([1, 1, 3, 20]))
    column = column.take(np.tile(np.arange(len(column)), repeats))
    start = draw(st.integers(0, len(column) - 1))
    return column.slice(start, draw(st.integers(1, len(column) - start)))


def exactly(column: Column) -> list[object]:
    """The values with their types, and doubles by their bits."""
    return [
        (type(v), struct.pack("<d", v) if isinstance(v, float) else v, column.kind) for v in to_python(column)
    ]


@settings(max_examples=200, deadline=None)
@given(columns(), st.sampled_from([8, 16, 64, None]))
def test_every_value_comes_back_bit_for_bit(column: Column, block_rows: int | None) -> None:
    chunk = encode_chunk(column, block_rows)
    decoded = decode_chunk(chunk.data)
    decoded.data.validate(full=True)
    assert exactly(decoded) == exactly(column)
    if column.kind is Kind.DATETIME:
        assert decoded.data.type == column.data.type


@settings(max_examples=100, deadline=None)
@given(columns(), st.data())
def test_blocks_and_takes_agree_with_the_whole(column: Column, data: st.DataObject) -> None:
    reader = ChunkReader(encode_chunk(column, 8).data)
    whole = exactly(column)
    assert (reader.rows, reader.block_rows, reader.kind) == (len(column), 8, column.kind)
    for block in range(reader.block_count):
        assert exactly(reader.block(block)) == whole[8 * block : 8 * block + 8]
    positions = data.draw(st.lists(st.integers(0, len(column) - 1), max_size=20))
    assert exactly(reader.take(np.array(positions, np.int64))) == [whole[p] for p in positions]


def order_key(value: SQLiteValue) -> tuple[int, object]:
    if isinstance(value, int | float):
        return 1, value
    return (2, value.encode()) if isinstance(value, str) else (3, value)


@settings(max_examples=200, deadline=None)
@given(columns())
def test_the_zone_map_bounds_the_values(column: Column) -> None:
    values = to_python(column)
    zone = encode_chunk(column).zone
    present = [order_key(value) for value in values if value is not None]
    classes = {int: 1, float: 2, str: 4, bytes: 8, type(None): 16}
    expected = 0
    for value in values:
        expected |= classes[type(value)]
    assert zone.classes & ~CLASSES_INEXACT == expected
    assert zone.null_count == len(values) - len(present)
    if not present:
        assert zone.min is None
        assert zone.max is None
        return
    assert order_key(zone.min) <= min(present)
    assert zone.max is None or order_key(zone.max) >= max(present)
    if not zone.classes & CLASSES_INEXACT:
        assert (order_key(zone.min), order_key(zone.max)) == (min(present), max(present))
    for bound in (zone.min, zone.max):
        if isinstance(bound, str | bytes):
            assert len(bound.encode() if isinstance(bound, str) else bound) <= ZONE_BOUND_BYTES


@settings(max_examples=100, deadline=None)
@given(columns())
def test_raw_bytes_are_eight_a_number_and_the_length_of_text_and_blobs(column: Column) -> None:
    def size(value: SQLiteValue) -> int:
        if isinstance(value, int | float):
            return 8
        return 0 if value is None else len(value.encode() if isinstance(value, str) else value)

    assert encode_chunk(column).raw_bytes == sum(map(size, to_python(column)))


def seal(data: bytearray) -> bytes:
    """Makes all checksums of a damaged chunk right, as far as its layout still allows."""
    (*_, rows, block_rows, params_bytes, _) = CHUNK_HEADER.unpack_from(data)
    count = -(-rows // block_rows) if block_rows else 0
    at = CHUNK_HEADER.size + BLOCK_ENTRY.size * count
    first = at + params_bytes
    if first <= len(data):
        start = 0
        for block in range(count):
            entry = CHUNK_HEADER.size + BLOCK_ENTRY.size * block
            end, size, _ = BLOCK_ENTRY.unpack_from(data, entry)
            if start <= end <= len(data) - first:
                BLOCK_ENTRY.pack_into(data, entry, end, size, zlib.crc32(data[first + start : first + end]))
            start = end
    checked = CHUNK_HEADER.size - 4
    crc = zlib.crc32(data[CHUNK_HEADER.size : first], zlib.crc32(data[:checked]))
    struct.pack_into("<I", data, checked, crc)
    return bytes(data)


def try_reading(data: bytes) -> None:
    """Decodes a chunk and looks at each value; the only error may be Corrupt."""
    try:
        reader = ChunkReader(data)
        columns = [reader.column(), reader.block(reader.block_count - 1), reader.take(np.array([0]))]
    except Corrupt:
        return
    for column in columns:
        column.data.validate(full=True)
        to_python(column.slice(0, 2000))


@settings(max_examples=250, deadline=None)
@given(columns(), st.data())
def test_no_damaged_byte_goes_unnoticed(column: Column, data: st.DataObject) -> None:
    good = encode_chunk(column, data.draw(st.sampled_from([8, 64]))).data
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        decode_chunk(bytes(bad))
    with pytest.raises(Corrupt):
        decode_chunk(good[: data.draw(st.integers(0, len(good) - 1))])


@settings(max_examples=500, deadline=None)
@given(columns(), st.data())
def test_damage_with_right_checksums_is_corrupt_or_some_valid_column(
    column: Column, data: st.DataObject
) -> None:
    bad = bytearray(encode_chunk(column, data.draw(st.sampled_from([8, 64]))).data)
    for _ in range(data.draw(st.integers(1, 4))):
        # The head decides how the rest is read, so that most blows should fall there.
        last = data.draw(st.sampled_from([CHUNK_HEADER.size + 40, len(bad)])) - 1
        at = data.draw(st.integers(4, min(last, len(bad) - 1)))
        bad[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del bad[data.draw(st.integers(CHUNK_HEADER.size, len(bad))) :]
    try_reading(seal(bad))


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(ENCODINGS),
    st.sampled_from(list(Kind)),
    st.sampled_from([CODEC_STORED, CODEC_ZSTD, CODEC_SNAPPY]),
    st.integers(0, 1),
    st.integers(1, 200) | st.just(1_048_576),
    st.sampled_from([8, 64, 1 << 20]),
    st.binary(max_size=40),
    st.binary(max_size=80),
)
def test_any_head_before_any_bytes_is_corrupt_or_some_valid_column(
    encoding: object,
    kind: Kind,
    codec: int,
    flags: int,
    rows: int,
    block_rows: int,
    params: bytes,
    rest: bytes,
) -> None:
    block_rows = max(block_rows, 1 << (rows.bit_length() - 12)) if rows > 4096 else block_rows
    count = -(-rows // block_rows)
    head = CHUNK_HEADER.pack(b"CLN1", encoding.id, kind, codec, flags, rows, block_rows, len(params), 0)  # type: ignore[attr-defined]
    directory = b"".join(BLOCK_ENTRY.pack(len(rest), len(rest), 0) for _ in range(count))
    try_reading(seal(bytearray(head + directory + params + rest)))


TEXT = "furiously final slyly bold deposits among the blithely regular ironic requests sleep quick foxes"
WORDS = TEXT.split()
NOISE = np.random.default_rng(1)
REPEATING = ["some text, again and again"] * 5 + ["x" * 5000]
PROSE = [" ".join(NOISE.choice(WORDS, 6)) for _ in range(2000)]


@pytest.mark.parametrize(("values", "codec"), [(REPEATING, CODEC_ZSTD), (PROSE, CODEC_SNAPPY)])
@pytest.mark.parametrize("promised", [2**32 - 1, -1, 1])
def test_a_block_that_promises_another_size_is_corrupt_and_takes_no_memory(
    values: list[str], codec: int, promised: int
) -> None:
    data = bytearray(encode_chunk(from_python(values)).data)
    assert data[6] == codec
    end, size, crc = BLOCK_ENTRY.unpack_from(data, CHUNK_HEADER.size)
    size = promised if promised > 1 else size + promised
    BLOCK_ENTRY.pack_into(data, CHUNK_HEADER.size, end, size, crc)
    with pytest.raises(Corrupt, match="another size"):
        decode_chunk(seal(data))


@pytest.mark.parametrize("values", [REPEATING, PROSE])
@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 1 << 20), byte=st.integers(0, 255), resized=st.integers(-3, 3))
def test_compressed_bytes_that_changed_are_corrupt_or_some_text(
    values: list[str], at: int, byte: int, resized: int
) -> None:
    data = bytearray(encode_chunk(from_python(values)).data)
    first = CHUNK_HEADER.size
    end, size, _ = BLOCK_ENTRY.unpack_from(data, first)
    start = len(data) - BLOCK_ENTRY.unpack_from(data, first + BLOCK_ENTRY.size * (block_count(data) - 1))[0]
    data[start + at % end] = byte
    crc = zlib.crc32(data[start : start + end])
    BLOCK_ENTRY.pack_into(data, first, end, size + resized, crc)
    try_reading(seal(data))


def block_count(data: bytearray) -> int:
    rows, block_rows = struct.unpack_from("<II", data, 8)
    return -(-rows // block_rows)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, b"CLN2", "magic"),
        (4, b"\xff", "encoding 255"),
        (5, b"\x63", "kind 99"),
        (6, b"\x03", "codec 3"),
        (7, b"\x02", "flags 2"),
        (8, b"\0\0\0\0", "0 rows"),
        (8, b"\xff\xff\xff\xff", "4294967295 rows"),
        (12, b"\x0c\0\0\0", "blocks of 12 rows"),
        (12, b"\0\0\0\0", "blocks of 0 rows"),
        (16, b"\xff\xff\xff\x7f", "shorter"),
    ],
)
def test_an_unknown_header_field_is_corrupt(at: int, value: bytes, message: str) -> None:
    data = bytearray(encode_chunk(from_python([1, 2, 5, 9])).data)
    data[at : at + len(value)] = value
    with pytest.raises(Corrupt, match=message):
        decode_chunk(seal(data))


def test_text_that_is_not_utf8_is_corrupt() -> None:
    data = bytearray(encode_chunk(from_python(["aé", "bb"])).data)
    at = data.index("é".encode())
    data[at : at + 2] = b"\xff\xfe"
    with pytest.raises(Corrupt, match="UTF-8"):
        decode_chunk(seal(data))


def test_a_character_cut_in_two_values_is_corrupt() -> None:
    data = bytearray(encode_chunk(from_python(["aé", "", "bbbb"])).data)
    at = data.index(b"a\xc3\xa9bbbb")
    data[at : at + 7] = "aaébbb".encode()
    with pytest.raises(Corrupt, match="UTF-8"):
        decode_chunk(seal(data))


def test_long_values_come_back_and_live_in_small_blocks() -> None:
    column = from_python(["x" * 1_000_000, "", "ß" * 500_000, None] * 4)
    chunk = encode_chunk(column)
    assert to_python(decode_chunk(chunk.data)) == to_python(column)
    assert ChunkReader(chunk.data).block_rows == 8
    assert chunk.zone.classes & CLASSES_INEXACT


def test_incompressible_bytes_are_stored_and_text_is_compressed() -> None:
    noise = np.random.default_rng(1).bytes(60_000)
    stored = encode_chunk(from_python([noise[at : at + 30] for at in range(0, 60_000, 30)]))
    packed = encode_chunk(from_python([f"the {at} quick brown foxes of the field" for at in range(2000)]))
    assert stored.data[6] == CODEC_STORED
    assert packed.data[6] == CODEC_ZSTD
    assert len(packed.data) < packed.raw_bytes / 2
    prose = encode_chunk(from_python(PROSE))
    assert prose.data[6] == CODEC_SNAPPY
    assert to_python(decode_chunk(prose.data)) == PROSE


def test_a_null_may_hide_any_bytes() -> None:
    hidden = pa.Array.from_buffers(
        pa.string(),
        2,
        [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([0, 2, 3], np.int32)), pa.py_buffer(b"\xff\xfea")],
    )
    assert to_python(decode_chunk(encode_chunk(Column(Kind.TEXT, hidden)).data)) == [None, "a"]


def test_a_chunk_has_at_least_one_row_and_no_nan() -> None:
    with pytest.raises(ValueError, match="rows"):
        encode_chunk(null_column(0))
    with pytest.raises(ValueError, match="NaN"):
        encode_chunk(Column(Kind.REAL, pa.array([1.0, float("nan")])))


def test_a_point_read_decodes_one_block() -> None:
    column = Column(Kind.INTEGER, pa.array(np.arange(3 * BLOCK_ROWS) ** 2 % 1009))
    data = bytearray(encode_chunk(column).data)
    data[-1] ^= 1  # the last block is damaged, and nobody looks
    reader = ChunkReader(bytes(data))
    assert to_python(reader.take(np.array([BLOCK_ROWS + 5, 7]))) == [
        (BLOCK_ROWS + 5) ** 2 % 1009,
        49,
    ]
    with pytest.raises(Corrupt):
        reader.column()


def test_bounds_cut_to_a_prefix_still_bound() -> None:
    text = "ß" * 100
    zone = encode_chunk(from_python([text])).zone
    assert isinstance(zone.min, str)
    assert isinstance(zone.max, str)
    assert zone.min < text < zone.max
    assert zone.classes == StorageClass.TEXT | CLASSES_INEXACT
    endless = encode_chunk(from_python(["\U0010ffff" * 20, "a"])).zone
    assert (endless.min, endless.max) == ("a", None)
    assert encode_chunk(from_python([b"\xff" * 65])).zone.max is None


def test_a_block_is_compressed_only_where_that_saves_half_a_byte_a_row() -> None:
    """Else it would be read at a fraction of the speed for next to nothing."""
    steps = np.where(np.arange(BLOCK_ROWS) % 5 < 4, 1, 5)  # zstd leaves next to nothing of them
    for scale, codec_id in ((1, CODEC_STORED), (1000, CODEC_ZSTD)):  # 3 and 16 bits a row
        ids = np.cumsum(steps * scale + np.arange(BLOCK_ROWS) % 2)
        data = encode_chunk(Column(Kind.INTEGER, pa.array(ids))).data
        assert data[6] == codec_id
        assert decode_chunk(data).data.to_pylist() == ids.tolist()
