"""Canonical key bytes order and compare as SQLite does."""

from __future__ import annotations

import sqlite3

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.keycode import KeySpec, encode_key, exact_integers, integers, key_bytes
from colonnade.store.keyindex import BOUND_BYTES, EMPTY_ZONE, key_zone
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    Kind,
    SQLiteValue,
    from_python,
    to_mixed,
)

EDGES = [
    0,
    -1,
    1,
    2**53,
    2**53 + 1,
    2**53 - 1,
    -(2**53) - 1,
    INT64_MAX,
    INT64_MAX - 1,
    INT64_MIN,
    INT64_MIN + 1,
]
FLOATS = [0.0, -0.0, 0.5, 2.0**53, 2.0**63, -(2.0**63), 9.3e18, float("inf"), float("-inf"), 5e-324]
TEXTS = ["", "a", "A", "a ", "a  ", " a", "ab", "a\0b", "A\0C", "a\0", "Á", "á", "[", "{", "z\t "]
numbers = st.one_of(
    st.sampled_from(EDGES),
    st.sampled_from(FLOATS),
    st.integers(INT64_MIN, INT64_MAX),
    st.floats(allow_nan=False),
)
texts = st.one_of(st.sampled_from(TEXTS), st.text("aAbB \0é", max_size=4))
blobs = st.binary(max_size=4)
values = st.one_of(numbers, texts, blobs)
collations = st.sampled_from(["BINARY", "NOCASE", "RTRIM"])


def sqlite_compare(a: SQLiteValue, b: SQLiteValue, collation: str) -> int:
    """-1, 0 or 1, from SQLite; columns without affinity, so that nothing is converted."""
    db = sqlite3.connect(":memory:")
    try:
        db.execute(f"CREATE TABLE t(a COLLATE {collation}, b COLLATE {collation})")
        db.execute("INSERT INTO t VALUES (?, ?)", (a, b))
        row: tuple[int] = db.execute("SELECT (a > b) - (a < b) FROM t").fetchone()
        return row[0]
    finally:
        db.close()


@given(values, values, collations)
@settings(max_examples=300, deadline=None)
def test_bytes_compare_as_sqlite_compares_the_values(a: SQLiteValue, b: SQLiteValue, collation: str) -> None:
    x, y = encode_key([a], [collation]), encode_key([b], [collation])
    assert x is not None
    assert y is not None
    assert (x > y) - (x < y) == sqlite_compare(a, b, collation)


@given(st.lists(st.tuples(values, values, collations), min_size=1, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_composite_bytes_compare_part_by_part(
    parts: list[tuple[SQLiteValue, SQLiteValue, str]], data: st.DataObject
) -> None:
    same = data.draw(st.integers(0, len(parts)))
    pairs = [(a, a if i < same else b, c) for i, (a, b, c) in enumerate(parts)]
    folds = [c for _, _, c in pairs]
    x, y = encode_key([a for a, _, _ in pairs], folds), encode_key([b for _, b, _ in pairs], folds)
    assert x is not None
    assert y is not None
    expected = next((r for r in (sqlite_compare(*pair) for pair in pairs) if r), 0)
    assert (x > y) - (x < y) == expected


@given(st.lists(st.one_of(st.none(), values), max_size=20), collations)
@settings(max_examples=100, deadline=None)
def test_a_mixed_column_gives_the_bytes_of_its_values_one_by_one(
    rows: list[SQLiteValue], collation: str
) -> None:
    column = to_mixed(from_python(rows))
    assert key_bytes([column], [collation]).to_pylist() == [encode_key([v], [collation]) for v in rows]


@pytest.mark.parametrize(
    "column",
    [
        Column(Kind.TEXT, pa.array(["b", "A ", None, "b"]).dictionary_encode()),
        Column(Kind.DATE, pa.array([0, None, 19000], pa.int32()).cast(pa.date32())),
        Column(Kind.DATETIME, pa.array([0, None, 10**9], pa.timestamp("ms"))),
        Column(Kind.NUMERIC, pa.array([1.0, None, 1.5])),
        Column(Kind.BLOB, pa.array([b"\0", None, b""])),
        Column(Kind.NULL, pa.nulls(3)),
        Column(Kind.TEXT, pa.array(["x", "b", "c\0"]).slice(1)),
    ],
)
def test_every_kind_gives_the_bytes_of_its_mixed_form(column: Column) -> None:
    for collation in ("BINARY", "NOCASE", "RTRIM"):
        pair = [collation, collation]
        mixed = to_mixed(column)
        assert key_bytes([column], pair[:1]).equals(key_bytes([mixed], pair[:1]))
        assert key_bytes([column, column], pair).equals(key_bytes([mixed, mixed], pair))


def test_a_collation_that_is_not_sqlites_is_refused() -> None:
    with pytest.raises(ValueError, match="GERMAN"):
        key_bytes([from_python([1])], ["GERMAN"])


@given(st.lists(st.one_of(st.none(), values), max_size=20))
@settings(max_examples=100, deadline=None)
def test_integers_finds_exactly_the_values_equal_to_an_integer(rows: list[SQLiteValue]) -> None:
    for column in (from_python(rows), to_mixed(from_python(rows))):
        ints, null, other = integers(column)
        for i, value in enumerate(rows):
            assert (null is not None and bool(null[i])) == (value is None)
            whole = isinstance(value, int | float) and INT64_MIN <= value <= INT64_MAX and value == value // 1
            assert (other is not None and bool(other[i])) == (value is not None and not whole)
            if whole:
                assert int(ints[i]) == value


def test_exact_integers_refuses_nulls_and_fractions() -> None:
    assert exact_integers(from_python([1, None])) is None
    assert exact_integers(from_python([1, 1.5])) is None
    found = exact_integers(from_python([3, 1.0]))
    assert found is not None
    assert found.tolist() == [3, 1]


key_rows = st.lists(
    st.one_of(
        st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
        st.tuples(st.one_of(st.none(), numbers), st.one_of(st.none(), st.integers(-2, 2))),
        st.tuples(st.one_of(st.none(), texts), st.one_of(values, st.none())),
    ),
    max_size=12,
)


@given(key_rows, st.integers(1, 2), collations)
@settings(max_examples=200, deadline=None)
def test_a_key_zone_holds_the_extremes_and_tells_duplicates(
    rows: list[tuple[SQLiteValue, SQLiteValue]], width: int, collation: str
) -> None:
    spec = KeySpec(tuple(range(1, width + 1)), (collation,) * width)
    columns = [from_python([row[i] for row in rows]) for i in range(width)]
    keys = [key for key in (encode_key(row[:width], spec.collations) for row in rows) if key is not None]
    zone = key_zone(columns, spec)
    if not keys:
        assert zone == EMPTY_ZONE
        return
    assert (zone.lo, zone.hi) == (min(keys), max(keys))
    assert zone.unique == (len(set(keys)) == len(keys))


@pytest.mark.parametrize("step", [1, -1, 7])
def test_integer_zones_agree_whatever_the_order(step: int) -> None:
    rng = np.random.default_rng(step + 1)
    a = np.repeat(np.arange(100), 4) * step
    b = np.tile(np.array([3, 1, 2**62, -(2**62)]), 100)
    shuffled = rng.permutation(400)
    spec = KeySpec((1, 2), ("BINARY", "BINARY"))
    columns = [from_python(a.tolist()), from_python(b.tolist())]
    assert key_zone(columns, spec) == key_zone([c.take(shuffled) for c in columns], spec)
    assert key_zone(columns, spec).unique
    again = np.append(shuffled, shuffled[5])
    assert not key_zone([c.take(again) for c in columns], spec).unique


def test_long_keys_are_cut_to_bounds_that_still_hold() -> None:
    keys = ["a" * 1000, "b" * 1000, "b" + "\U0010ffff" * 300]
    spec = KeySpec((1,), ("BINARY",))
    zone = key_zone([from_python(keys)], spec)
    found = [encode_key([key], spec.collations) for key in keys]
    assert zone.lo is not None
    assert zone.hi is not None
    assert all(key is not None and zone.lo <= key <= zone.hi for key in found)
    assert max(len(zone.lo), len(zone.hi)) <= BOUND_BYTES


def test_a_signature_names_columns_and_collations() -> None:
    assert KeySpec((1, 4), ("binary", "NOCASE")).signature == "1:BINARY,4:NOCASE"
