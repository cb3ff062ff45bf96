"""Narrowed columns compare, look up, pick and decode as their decoded values do."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.chunk import ChunkReader, decode_chunk, encode_chunk
from colonnade.store.codec import Codec
from colonnade.store.encodings.base import Block
from colonnade.store.encodings.integers import NARROW, DeltaDecoder
from colonnade.store.encodings.lane import DOUBLE_BITS
from colonnade.store.encodings.narrowed import Distances, NarrowLane, narrow_lane
from colonnade.store.errors import Corrupt
from colonnade.store.narrowcolumn import NarrowColumn
from colonnade.store.values import EXACT_INT, INT64_MAX, INT64_MIN, Column, Kind, from_python, to_python

OPS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
INTEGERS = st.one_of(
    st.integers(-300, 300), st.integers(-(10**6), 10**6), st.sampled_from([INT64_MAX, INT64_MIN, EXACT_INT])
)
DECIMALS = st.decimals(-9999, 9999, places=2, allow_nan=False).map(float)


def held(column: Column) -> ChunkReader:
    reader = ChunkReader(encode_chunk(column, 8).data)
    reader.hold()
    return reader


def narrow(*columns: Column) -> NarrowColumn:
    """One column of several chunks."""
    readers = [held(column) for column in columns]
    return NarrowColumn(columns[0].kind, [r.narrowed for r in readers if r.narrowed is not None])


def mask_of(column: NarrowColumn, op: str, value: float) -> list[bool]:
    found = column.compared(op, value)
    return [True] * len(column) if found is None else found.tolist()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(INTEGERS, min_size=1, max_size=40), st.sampled_from(sorted(OPS)), st.one_of(INTEGERS, DECIMALS)
)
def test_integers_compare_as_they_do_in_python(values: list[int], op: str, value: float) -> None:
    column = narrow(from_python(values))
    if column.parts:
        assert mask_of(column, op, value) == [OPS[op](each, value) for each in values]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(DECIMALS, min_size=1, max_size=40),
    st.sampled_from(sorted(OPS)),
    st.one_of(DECIMALS, st.integers(-9999, 9999), st.floats(allow_nan=False)),
)
def test_decimals_compare_as_their_doubles_do(values: list[float], op: str, value: float) -> None:
    column = narrow(from_python(values))
    if column.parts:  # -0.0 is kept as it is
        assert mask_of(column, op, value) == [OPS[op](each, value) for each in values]
        assert mask_of(column, op, values[0]) == [OPS[op](each, values[0]) for each in values]


def test_doubles_that_several_integers_stand_for_are_all_found() -> None:
    base = EXACT_INT - 64
    numbers = np.arange(60, dtype=np.uint8)
    lane = narrow_lane(Kind.REAL, 9, base, Distances.of(numbers))
    assert lane is not None
    column = NarrowColumn(Kind.REAL, [lane])
    doubles = (base + np.arange(60, dtype=np.int64)) / 1e9
    assert len(set(doubles.tolist())) < 60
    assert column.data.to_numpy().tolist() == doubles.tolist()
    for op, holds in OPS.items():
        for value in doubles[20:24].tolist():
            assert mask_of(column, op, value) == holds(doubles, value).tolist()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-50, 70_000), min_size=1, max_size=40),
    st.integers(-60, 70_000),
    st.lists(st.booleans(), min_size=1, max_size=60),
)
def test_look_ups_find_the_values_that_are_present(values: list[int], low: int, present: list[bool]) -> None:
    column = narrow(from_python(values), from_python(values[::-1]))
    wanted = {low + place for place, there in enumerate(present) if there}
    found = column.among(low, np.array(present))
    mask = [True] * len(column) if found is None else found.tolist()
    assert mask == [each in wanted for each in (*values, *values[::-1])]


def test_a_look_up_in_a_range_wider_than_any_window() -> None:
    values = [0, 5, 1 << 30]
    found = narrow(from_python(values)).among(4, np.array([False, True, True]))
    assert found is not None
    assert found.tolist() == [False, True, False]


COLUMNS = [
    from_python([3, 1, 2, 250] * 5),
    from_python([3, 1, 2, 250_000] * 5),
    from_python([3, 1, 2, 250_000_000] * 5),
    from_python([INT64_MIN, INT64_MIN + 5, INT64_MIN + 2] * 5),
    from_python(list(range(100))),
    from_python([n * 100 + n % 7 for n in range(100)]),
    from_python([1.25, -3.5, 0.0] * 7),
    Column(Kind.NUMERIC, pa.array([1.25, 3.0, 99_999.99] * 7)),
    from_python(["a", "b", "ä"] * 9),
    Column(Kind.DATE, pa.array([0, 20_000, -719_528, 2_932_896], pa.int32()).cast(pa.date32())),
    Column(Kind.DATETIME, pa.array([0, 123_456, -5], pa.timestamp("us"))),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.kind.name)
def test_narrowed_values_decode_to_what_they_were(column: Column) -> None:
    reader = held(column)
    assert reader.narrowed is not None
    assert reader.column().data.type == decode_chunk(encode_chunk(column, 8).data).data.type
    assert to_python(reader.column()) == to_python(column)
    assert to_python(reader.block(1)) == to_python(column)[8:16]
    places = np.array([0, len(column) // 2, len(column) - 1])
    both = narrow(column, column)
    assert to_python(both) == 2 * to_python(column)
    wanted = [to_python(column)[place] for place in places]
    assert to_python(reader.gather(places)[0]) == wanted
    assert to_python(both.at(np.concatenate([places, places + len(column)]))) == wanted * 2
    assert len(both.at(places[:0])) == 0


def test_words_of_several_row_groups_stay_codes() -> None:
    one, other = from_python(["a", "b"] * 20), from_python(["b", "c", "b"] * 20)
    column = narrow(one, other)
    assert pa.types.is_dictionary(column.data.type)
    assert to_python(column) == to_python(one) + to_python(other)
    assert column.passing(lambda part: np.asarray([w == "b" for w in part.words.to_pylist()])).tolist() == [  # type: ignore[attr-defined]
        word == "b" for word in to_python(column)
    ]


@pytest.mark.parametrize("highest", [255, 256, 65_535, 65_536, (1 << 24) - 1, 1 << 24, (1 << 40) + 3])
def test_distances_of_any_width_come_back(highest: int) -> None:
    numbers = np.array([0, highest, highest // 3, 1], np.uint64)
    distances = Distances.of(numbers)
    assert distances.numbers().tolist() == numbers.tolist()
    assert distances.take(np.array([1, 3])).tolist() == [highest, 1]
    assert distances.nbytes == 4 * (3 if 65_536 <= highest < 1 << 24 else distances.low.itemsize)


def test_what_cannot_be_narrowed_is_kept_as_it_is() -> None:
    for values in (
        [1, None, 2],
        [1.5, None],
        ["a", None] * 30,
        [0.1 + 0.2, 1e300, 3.0],
        [INT64_MIN, INT64_MAX, 5],
    ):
        column = from_python(values)
        reader = held(column)
        assert reader.narrowed is None
        assert reader.holds
        assert to_python(reader.column()) == to_python(column)
    assert narrow_lane(Kind.REAL, DOUBLE_BITS, 0, Distances.of(np.array([1], np.uint8))) is None
    assert narrow_lane(Kind.REAL, 2, EXACT_INT, Distances.of(np.array([1], np.uint8))) is None
    assert narrow_lane(Kind.INTEGER, 0, INT64_MAX, Distances.of(np.array([1], np.uint8))) is None


def test_damage_is_found_when_a_chunk_is_held() -> None:
    with pytest.raises(Corrupt, match="outside years"):
        narrow_lane(Kind.DATE, 0, 2_932_890, Distances.of(np.array([9], np.uint8)))
    decoder = NARROW.decoder(Kind.INTEGER, memoryview(bytes(9) + b"\x08"))
    with pytest.raises(Corrupt, match="ends before"):
        decoder.narrow([Block(8, memoryview(bytes(7)))])
    words = encode_chunk(from_python(["a", "b", "c"] * 5)).data
    reader = ChunkReader(words)
    codes = bytearray(words)
    codes[-1] = 0xFF
    with pytest.raises(Corrupt, match="checksum"):
        ChunkReader(bytes(codes)).hold()
    block = Block(15, memoryview(b"\xff" * 4))
    with pytest.raises(Corrupt, match="beyond its dictionary"):
        reader._decoder.narrow([block])


def test_long_texts_are_held_decoded() -> None:
    texts = [f"some text {n}" * 3 for n in range(100)]
    reader = held(from_python(texts))
    assert reader.held_bytes == reader.column().data.nbytes
    assert to_python(reader.gather(np.array([1, 99]))[0]) == [texts[1], texts[99]]
    assert to_python(reader.block(2)) == texts[16:24]


def test_long_texts_are_decompressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"some text, again and again, {n}" for n in range(4000)]
    data = encode_chunk(from_python(texts)).data
    decompressed: list[int] = []
    decompress = Codec.decompress

    def counted(self: Codec, data: memoryview, size: int) -> memoryview:
        decompressed.append(size)
        return decompress(self, data, size)

    monkeypatch.setattr(Codec, "decompress", counted)
    reader = ChunkReader(data)
    reader.hold()
    assert to_python(reader.column()) == texts
    assert 1 < len(decompressed) == reader.block_count


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([0, -5, EXACT_INT, INT64_MAX - 90_000, INT64_MIN, INT64_MAX - 3]),
    st.lists(st.integers(0, 30), min_size=20, max_size=60),
    st.sampled_from([1, 3, 1000, 1 << 20, 1 << 27, 1 << 40]),
    st.sampled_from([0, 7, 1 << 33]),
)
def test_integers_that_rise_are_narrowed_to_what_they_are(
    first: int, steps: list[int], step: int, least: int
) -> None:
    """By their distances from the one before, with values of which the 64 bits overflow among them."""
    numbers = first + np.cumsum([least + each * step for each in steps], dtype=object)
    values = [int(number) for number in numbers if number <= INT64_MAX] or [first]
    reader = held(from_python(values))
    assert to_python(reader.column()) == values
    if values[-1] - values[0] < 1 << 32:
        assert reader.narrowed is not None


def test_rising_integers_are_not_decoded_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.repeat(np.arange(20_000, dtype=np.int64) * 4, 4) + 10**12
    reader = ChunkReader(encode_chunk(Column(Kind.INTEGER, pa.array(values))).data)
    assert isinstance(reader._decoder, DeltaDecoder)

    def never(*_: object) -> None:
        raise AssertionError("eight bytes each")

    monkeypatch.setattr(DeltaDecoder, "_integers", never)
    reader.hold()
    assert np.array_equal(reader.column().data.to_numpy(), values)


def test_narrowed_integers_of_a_lane_know_their_divisor() -> None:
    lane = narrow_lane(Kind.NUMERIC, 2, 5, Distances.of(np.array([0, 95], np.uint8)))
    assert isinstance(lane, NarrowLane)
    assert lane.divisor == 100.0
    assert lane.array(lane.distances.numbers()).to_pylist() == [0.05, 1.0]
