"""Each encoding is chosen where it is the best, and is exact at the edges of what it holds."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store import format as format_module
from colonnade.store.chunk import ChunkReader, decode_chunk, encode_chunk
from colonnade.store.encodings import ENCODINGS
from colonnade.store.encodings.base import Block, row_total
from colonnade.store.encodings.frame import WIDTHS, Frame, width_for
from colonnade.store.encodings.integers import DELTA, NARROW, SEQUENCE
from colonnade.store.encodings.lane import to_lane
from colonnade.store.errors import Corrupt
from colonnade.store.values import (
    EXACT_INT,
    INT64_MAX,
    INT64_MIN,
    Column,
    Kind,
    from_python,
    null_column,
    to_python,
)

NAMES = {encoding.id: encoding.name for encoding in ENCODINGS}
RNG = np.random.default_rng(7)


def integers(values: object) -> Column:
    return Column(Kind.INTEGER, pa.array(np.asarray(values, np.int64)))


def chosen(column: Column) -> str:
    """The name of the encoding a column gets, once it is proven to give the values back."""
    data = encode_chunk(column, 64).data
    decoded = decode_chunk(data)
    assert to_python(decoded) == to_python(column)
    return NAMES[data[4]]


def test_encoding_ids_and_names_are_unique() -> None:
    assert len(NAMES) == len({encoding.name for encoding in ENCODINGS}) == len(ENCODINGS)
    assert all(0 < number < 256 for number in NAMES)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (null_column(100), "nulls"),
        (Column(Kind.DATETIME, pa.nulls(3, pa.timestamp("us"))), "nulls"),
        (integers([7] * 100), "sequence"),
        (integers(np.arange(1000)), "sequence"),
        (integers(1000 - 3 * np.arange(1000)), "sequence"),
        (integers([INT64_MIN, -1, INT64_MAX - 1]), "sequence"),
        (integers(RNG.integers(0, 50, 1000)), "narrow"),
        (integers([INT64_MIN, INT64_MAX, 0, 5]), "narrow"),
        (integers(np.cumsum(RNG.integers(0, 4, 1000))), "delta"),
        (integers(np.arange(1000) * 100 + RNG.integers(0, 30, 1000)), "delta"),
        (Column(Kind.DATE, pa.array(np.arange(100, dtype=np.int32), pa.date32())), "sequence"),
        (from_python([1.5] * 50), "sequence"),
        (from_python([1.5, 2.25, -0.01] * 50), "narrow"),
        (from_python([float("inf"), -0.0, 0.1 + 0.2]), "narrow"),
        (from_python(["a", "b", None] * 50), "dictionary"),
        (from_python(["same"] * 50), "dictionary"),
        (from_python([f"text {n}" for n in range(500)]), "plain"),
        (Column(Kind.TEXT, pa.array([f"text {n}" for n in range(500)]).dictionary_encode()), "plain"),
        (from_python([bytes([n]) for n in range(100)]), "plain"),
        (from_python([1, "a"] * 50), "mixed"),
    ],
)
def test_each_kind_of_data_gets_its_encoding(column: Column, name: str) -> None:
    assert chosen(column) == name


def test_a_dictionary_stays_a_dictionary_and_forgets_words_that_do_not_occur() -> None:
    data = pa.array(["a", "unused", "b"] * 50).dictionary_encode().filter(pa.array([True, False, True] * 50))
    assert len(data.dictionary) == 3
    chunk = encode_chunk(Column(Kind.TEXT, data))
    decoded = decode_chunk(chunk.data)
    assert decoded.data.type == pa.dictionary(pa.int32(), pa.string())
    assert decoded.data.dictionary.to_pylist() == ["a", "b"]
    assert (chunk.zone.min, chunk.zone.max) == ("a", "b")


def test_decimals_take_the_bytes_of_their_digits() -> None:
    prices = Column(Kind.NUMERIC, pa.array(RNG.integers(0, 2**16, 10_000) / 100))
    assert len(encode_chunk(prices).data) < 2.1 * len(prices)


@pytest.mark.parametrize("odd", [-0.0, 0.1 + 0.2, 5e-324, float("-inf"), 2.0**53 + 2, 1e-10])
def test_one_value_that_is_no_short_decimal_costs_size_but_no_bits(odd: float) -> None:
    values = [1.25, 2.5] * 40
    values[33] = odd
    decoded = decode_chunk(encode_chunk(from_python(values), 64).data)
    assert decoded.data.to_numpy().tobytes() == np.array(values).tobytes()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=50), st.integers(0, 9))
def test_decimals_of_any_length_keep_their_bits(floats: list[float], digits: int) -> None:
    values = [round(x, digits) for x in floats]
    decoded = decode_chunk(encode_chunk(from_python(values), 8).data)
    assert decoded.data.to_numpy().tobytes() == np.array(values).tobytes()


def test_a_null_does_not_widen_the_frame_of_the_others() -> None:
    column = Column(Kind.INTEGER, pa.array([10**12 + n % 7 if n % 5 else None for n in range(8000)]))
    assert len(encode_chunk(column).data) < 8000  # 3 bits of value, 1 of presence


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("rows", [1, 7, 8, 64, 77])
def test_a_frame_of_any_width_gives_back_its_extremes(width: int, rows: int) -> None:
    base = 0 if width == 64 else -5
    distances = [RNG.integers(0, 2**width, dtype=np.uint64, endpoint=False) if width < 64 else 2**64 - 1
                 for _ in range(rows)]  # fmt: skip
    distances[0] = 2**width - 1
    wrapped = [(int(d) + base + 2**63) % 2**64 - 2**63 for d in distances]
    values = np.array(wrapped, np.int64)
    frame = Frame(base, width)
    bounds = [*range(0, rows, 16), rows]
    blocks = [
        Block(stop - start, memoryview(b"".join(part.spans(bounds)[index] for part in frame.pack(values))))
        for index, (start, stop) in enumerate(pairwise(bounds))
    ]
    assert [len(block.data) for block in blocks] == [frame.block_bytes(block.rows) for block in blocks]
    assert row_total(blocks) == rows
    assert frame.unpack(blocks).tolist() == wrapped


@given(st.integers(0, 2**64 - 1))
def test_a_width_holds_its_distance_and_wastes_few_bits(distance: int) -> None:
    width = width_for(distance)
    assert 2**width > distance
    assert bin(width).count("1") <= 2
    assert width <= distance.bit_length() * 4 / 3 + 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(INT64_MIN, INT64_MAX), min_size=2, max_size=40))
def test_integer_encodings_are_exact_wherever_they_accept(values: list[int]) -> None:
    lane = to_lane(Kind.INTEGER, pa.array(values, pa.int64()))
    bounds = [*range(0, len(values), 8), len(values)]
    for encoding in (SEQUENCE, DELTA, NARROW):
        encoded = encoding.encode(lane)
        if encoded is None or not encoded.parts:
            continue  # width 0: a chunk of one constant, which SEQUENCE takes
        decoder = encoding.decoder(Kind.INTEGER, memoryview(encoded.params))
        spans = zip(*[part.spans(bounds) for part in encoded.parts], strict=True)
        blocks = [Block(min(8, len(values) - 8 * n), memoryview(b"".join(s))) for n, s in enumerate(spans)]
        assert decoder.decode(blocks, None).to_pylist() == values


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.DATE, pa.array([0, 10**7], pa.int32()).view(pa.date32())),
        (Kind.DATETIME, pa.array([0, 10**17], pa.int64()).view(pa.timestamp("ms"))),
    ],
)
def test_a_year_beyond_9999_is_corrupt(kind: Kind, data: pa.Array) -> None:
    reader = ChunkReader(encode_chunk(Column(kind, data[:1])).data)
    assert len(reader.column()) == 1
    lane = to_lane(kind, data)
    encoded = NARROW.encode(lane)
    assert encoded is not None
    block = Block(2, memoryview(b"".join(part.spans([0, 2])[0] for part in encoded.parts)))
    with pytest.raises(Corrupt, match="0000 to 9999"):
        NARROW.decoder(kind, memoryview(encoded.params)).decode([block], None)


def test_integers_beyond_what_a_double_holds_stay_integers() -> None:
    values = [EXACT_INT + 1, EXACT_INT + 2, INT64_MAX, 0]
    assert to_python(decode_chunk(encode_chunk(from_python(values)).data)) == values


def test_the_format_lists_every_encoding_with_its_kinds_and_module() -> None:
    listed = re.findall(
        r"^    (\d)       (\w+) +([^;]*?)(?:;.*?)?  +(store\.encodings\.\w+)$",
        format_module.__doc__ or "",
        re.M,
    )
    assert len(listed) == len(ENCODINGS)
    for (number, name, kinds, module), encoding in zip(listed, ENCODINGS, strict=True):
        assert (int(number), name) == (encoding.id, encoding.name)
        assert type(encoding).__module__ == f"colonnade.{module}"
        expected = (
            frozenset(Kind) - {Kind.MIXED}
            if kinds.startswith("all but MIXED")
            else {Kind[k] for k in kinds.split()}
        )
        assert encoding.kinds == expected
