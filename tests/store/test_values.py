"""Columns stand for exactly the Python values that SQLite would give."""

from __future__ import annotations

import struct
import time
from datetime import date, datetime, timedelta
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.values import (
    EXACT_INT,
    INT64_MAX,
    INT64_MIN,
    Column,
    Kind,
    RowBatch,
    SQLiteValue,
    as_text,
    concat_batches,
    concat_columns,
    from_python,
    integer_column,
    null_column,
    sorted_distinct,
    to_mixed,
    to_python,
)

INTEGERS = st.integers(INT64_MIN, INT64_MAX)
REALS = st.floats(allow_nan=False)
VALUES = st.one_of(st.none(), INTEGERS, REALS, st.text(max_size=8), st.binary(max_size=8))
LISTS = st.one_of(
    st.lists(VALUES, max_size=12),
    *(
        st.lists(st.one_of(st.none(), each), max_size=12)
        for each in (INTEGERS, REALS, st.text(max_size=8), st.binary(max_size=8))
    ),
)


def exactly(values: list[SQLiteValue]) -> list[object]:
    return [(type(v), struct.pack("<d", v) if isinstance(v, float) else v) for v in values]


@settings(max_examples=300, deadline=None)
@given(LISTS, st.integers(0, 12), st.integers(0, 12))
def test_python_values_survive_a_column_and_its_slices(
    values: list[SQLiteValue], start: int, count: int
) -> None:
    column = from_python(values)
    assert exactly(to_python(column)) == exactly(values)
    assert exactly(to_python(to_mixed(column))) == exactly(values)
    assert column.null_count == values.count(None)
    part = column.slice(start, count) if start <= len(values) else column
    expected = values[start : start + count] if start <= len(values) else values
    assert exactly(to_python(part)) == exactly(expected)
    assert exactly(to_python(to_mixed(part))) == exactly(expected)
    assert part.null_count == expected.count(None)


@settings(max_examples=200, deadline=None)
@given(st.lists(LISTS, min_size=1, max_size=4))
def test_columns_concatenate_to_the_concatenated_values(lists: list[list[SQLiteValue]]) -> None:
    joined = concat_columns([from_python(values) for values in lists])
    assert exactly(to_python(joined)) == exactly([value for values in lists for value in values])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.none(), INTEGERS.map(float), REALS, st.integers(-100, 100).map(float)), max_size=20)
)
def test_numeric_gives_integers_for_whole_doubles_up_to_two_to_the_53(values: list[float | None]) -> None:
    values = [0.0 if value == 0 else value for value in values]
    expected: list[SQLiteValue] = [
        int(value) if value is not None and abs(value) <= EXACT_INT and value == int(value) else value
        for value in (v if v is None or abs(v) != float("inf") else 2.0**80 for v in values)
    ]
    doubles = [v if v is None or abs(v) != float("inf") else 2.0**80 for v in values]
    column = Column(Kind.NUMERIC, pa.array(doubles, pa.float64()))
    assert exactly(to_python(column)) == exactly(expected)
    assert exactly(to_python(to_mixed(column))) == exactly(expected)


def test_numeric_infinity_is_real() -> None:
    column = Column(Kind.NUMERIC, pa.array([float("inf"), float("-inf"), 2.0]))
    assert exactly(to_python(column)) == exactly([float("inf"), float("-inf"), 2])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], Kind.NULL),
        ([None, None], Kind.NULL),
        ([True, 2, None], Kind.INTEGER),
        ([IntEnum("One", "a").a, 5], Kind.INTEGER),  # type: ignore[attr-defined]
        ([1.5, np.float64(2.5)], Kind.REAL),
        (["a", None], Kind.TEXT),
        ([b"a", bytearray(b"b"), memoryview(b"c")], Kind.BLOB),
        ([1, 1.5], Kind.MIXED),
        ([None, 1, "a", b"a", float("nan")], Kind.MIXED),
    ],
)
def test_kinds_follow_the_classes_of_the_values(values: list[SQLiteValue], kind: Kind) -> None:
    column = from_python(values)
    assert column.kind is kind
    expected = [
        None if v is None or v != v else bytes(v) if isinstance(v, bytearray | memoryview) else v
        for v in values
    ]
    assert to_python(column) == expected


def test_nan_becomes_null_in_every_kind() -> None:
    assert to_python(from_python([float("nan"), 1.0])) == [None, 1.0]
    assert to_python(from_python([float("nan"), 1])) == [None, 1]


@pytest.mark.parametrize("values", [[INT64_MAX + 1], [INT64_MIN - 1, None], [INT64_MAX + 1, "a"]])
def test_integers_beyond_64_bits_overflow(values: list[SQLiteValue]) -> None:
    with pytest.raises(OverflowError, match="too large to convert to SQLite INTEGER"):
        from_python(values)


@pytest.mark.parametrize("values", [["\ud800"], ["\ud800", 1]])
def test_lone_surrogates_are_refused(values: list[SQLiteValue]) -> None:
    with pytest.raises(UnicodeEncodeError):
        from_python(values)


@pytest.mark.parametrize("values", [[object()], [1, object()], [date(2020, 1, 1)], [[1]]])
def test_other_types_are_refused_by_name(values: list[SQLiteValue]) -> None:
    with pytest.raises(TypeError, match="is not a SQLite value"):
        from_python(values)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.dates()), max_size=10))
def test_dates_are_their_iso_text(dates: list[date | None]) -> None:
    column = Column(Kind.DATE, pa.array(dates, pa.date32()))
    texts = [None if day is None else day.isoformat() for day in dates]
    assert to_python(column) == texts
    assert to_python(to_mixed(column)) == texts


@settings(max_examples=100, deadline=None)
@given(st.lists(st.datetimes(), max_size=10), st.sampled_from(["s", "ms", "us"]))
def test_datetimes_have_exactly_the_decimals_of_their_unit(times: list[datetime], unit: str) -> None:
    spec = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}[unit]
    step = timedelta(**{spec: 1})
    whole = [datetime.min + (time - datetime.min) // step * step for time in times]
    texts = [time.isoformat(" ", timespec=spec) for time in whole]
    assert to_python(Column(Kind.DATETIME, pa.array(whole, pa.timestamp(unit)))) == texts


def test_the_year_zero_has_four_digits() -> None:
    day = pa.array([-719528], pa.int32()).view(pa.date32())
    assert to_python(Column(Kind.DATE, day)) == ["0000-01-01"]
    second = pa.array([-719528 * 86400], pa.int64()).view(pa.timestamp("s"))
    assert to_python(Column(Kind.DATETIME, second)) == ["0000-01-01 00:00:00"]


def test_dictionaries_merge_when_columns_are_joined() -> None:
    first = Column(Kind.TEXT, pa.array(["a", "b"]).dictionary_encode())
    second = Column(Kind.TEXT, pa.array(["b", None, "c"]).dictionary_encode())
    joined = concat_columns([first, null_column(1), second])
    assert to_python(joined) == ["a", "b", None, "b", None, "c"]
    assert joined.data.dictionary.to_pylist() == ["a", "b", "c"]


def test_dates_and_text_meet_in_text() -> None:
    days = Column(Kind.DATE, pa.array([date(2020, 2, 29)]))
    words = Column(Kind.TEXT, pa.array(["x", None]).dictionary_encode())
    joined = concat_columns([days, null_column(1), words])
    assert joined.kind is Kind.TEXT
    assert to_python(joined) == ["2020-02-29", None, "x", None]
    assert as_text(joined).to_pylist() == to_python(joined)


def test_batches_slice_take_and_join_with_their_rowids() -> None:
    batch = RowBatch(3, (integer_column(np.array([5, 6, 7])), from_python(["a", "b", None])), np.arange(3))
    part, picked = batch.slice(1, 9), batch.take(np.array([2, 0]))
    assert part.row_count == 2
    joined = concat_batches([part, picked])
    assert [to_python(column) for column in joined.columns] == [[6, 7, 7, 5], ["b", None, None, "a"]]
    assert joined.rowids is not None
    assert joined.rowids.tolist() == [1, 2, 2, 0]
    assert concat_batches([part, RowBatch(0, (null_column(0), null_column(0)))]).rowids is None


def test_distinct_integers_of_a_large_array_cost_a_sort() -> None:
    """numpy's own unique takes 40 times as long, which this would notice."""
    numbers = np.random.default_rng(0).integers(0, 10**12, 300_000)
    numbers[::7] = numbers[0]
    copy = numbers.copy()
    started = time.process_time()
    found = sorted_distinct(copy)
    elapsed = time.process_time() - started
    assert found.tolist() == sorted(set(numbers.tolist()))
    started = time.process_time()
    np.sort(numbers)
    assert elapsed < 10 * (time.process_time() - started) + 0.05
    assert sorted_distinct(np.array([], np.int64)).tolist() == []
