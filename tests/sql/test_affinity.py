"""sql.affinity against SQLite itself: whatever is inserted in a column must come back the same."""

from __future__ import annotations

import math
import random
import sqlite3
import struct
from decimal import Decimal
from functools import cache
from typing import Any

import apsw
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.sql import numbertext
from colonnade.sql.affinity import Affinity, affinity_of, apply_affinity, narrow_text, settle
from colonnade.store.values import Column, Kind, from_python, to_mixed, to_python

NUMBERS = [Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL]


def _tables(db: Any) -> Any:
    for affinity in Affinity:
        decl = "" if affinity is Affinity.BLOB else affinity.value
        db.execute(f"CREATE TABLE {affinity.value}_t(v {decl})")
    return db


@cache
def _library(name: str) -> Any:
    if name == "apsw":
        return _tables(apsw.Connection(":memory:"))
    return _tables(sqlite3.connect(":memory:", isolation_level=None))


def stored(values: list[Any], affinity: Affinity, library: str = "apsw") -> list[Any]:
    """What SQLite stores: the reference implementation."""
    db = _library(library)
    db.execute("BEGIN")
    db.executemany(f"INSERT INTO {affinity.value}_t VALUES(?)", [(value,) for value in values])
    found = [value for (value,) in db.execute(f"SELECT v FROM {affinity.value}_t ORDER BY rowid")]
    db.execute("ROLLBACK")
    return found


def same(ours: list[Any], theirs: list[Any]) -> bool:
    return list(map(_bits, ours)) == list(map(_bits, theirs))


def _bits(value: Any) -> Any:
    return (type(value), struct.pack("<d", value) if isinstance(value, float) else value)


def assert_stored(values: list[Any], affinity: Affinity) -> Column:
    column = apply_affinity(from_python(values), affinity)
    ours, theirs = to_python(column), stored(values, affinity)
    wrong = [(v, o, t) for v, o, t in zip(values, ours, theirs, strict=True) if _bits(o) != _bits(t)]
    assert not wrong, wrong[:5]
    return column


NASTY = """5 -5 +5 -0 0 +0 007 -007
1e3 1E3 1e+3 1e-3 1e .5 5. -.5 +.5 . - + -. +- +-5 -+5 --5 0x10 0X1F -0x10
inf -inf Inf infinity nan NaN nan(1) 1_000 1,000 1d5 1f 0b1
\uff11\uff12 \u0663 1e999 -1e999 1e-400 4.9e-324 5e-324
9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551616
9007199254740992 9007199254740993 9007199254740994 -9007199254740993 9007199254740993.0 1e18 1e19 9.3e18
123456789012345678901234567890 0.1 0.10 88.00 -0.0 0.0 00.50 3.14159265358979 3.141592653589793238
0.30000000000000004 1.7976931348623157e308 2.2250738585072014e-308 179769313486231570000000 1995-01-01
1995-01-01T00:00 1.2.3 1e5.5 1e5e5 e5 E abc 12abc 1a 0e0 -0e5 999999999999999 9999999999999999
99999999999999.5 1e15 1e16 123456789012345.5 .1e1 5.e2 true null x'05' '5' "5" 1..2 1- 1+ -e5""".split()  # noqa: SIM905
SPACED = [
    "",
    " ",
    " 5",
    "5 ",
    "\t5\n",
    "\v5",
    "\f5",
    "\r5",
    "5\v",
    "\u00a05",
    "5\u00a0",
    "\u20035",
    "\x1c5",
    "\x855",
    "- 5",
    "5 5",
    " 5.5 ",
    "1e5 ",
    " 1e 5",
    "5\0",
    "5\0abc",
    "\x005",
    "5 \0",
    "5.5\0",
    "\0",
    "5\0\0",
    " -0 ",
    "1e\0",
    "5 abc",
    "x" * 300,
    "1" * 300,
    "0" * 300 + "5",
    "0." + "0" * 40 + "5",
    "1" + "0" * 308,
    "é",
    "\ufeff5",
]


@pytest.mark.parametrize("affinity", list(Affinity))
def test_each_odd_text_is_stored_as_sqlite_stores_it(affinity: Affinity) -> None:
    for text in NASTY + SPACED:
        assert_stored([text], affinity)
        assert_stored(["1.25"] * 20 + [text, None], affinity)
        assert_stored(["12"] * 20 + [None, text], affinity)


@pytest.mark.parametrize("affinity", list(Affinity))
def test_all_odd_texts_together_are_stored_as_sqlite_stores_them(affinity: Affinity) -> None:
    texts = NASTY + SPACED
    assert_stored([*texts, None], affinity)
    words = pa.array([*texts, None, *texts]).dictionary_encode()
    column = apply_affinity(Column(Kind.TEXT, words), affinity)
    assert same(to_python(column), stored([*texts, None, *texts], affinity))


@pytest.mark.parametrize("affinity", NUMBERS)
def test_the_standard_library_s_sqlite_agrees_on_plain_numbers(affinity: Affinity) -> None:
    texts = ["5", "-5", " 5 ", "1e3", ".5", "5.", "88.00", "0x10", "9223372036854775808", "", "abc", "1.5"]
    ours = to_python(apply_affinity(from_python(texts), affinity))
    assert same(ours, stored(texts, affinity, "stdlib"))


number_text = st.from_regex(r"\A[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?\Z")
garbage = st.text(st.sampled_from("0123456789.+-eExX_ \t\0naif"), max_size=9)
scalars = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.floats(-1e6, 1e6).map(lambda x: round(x, 2)),
    st.integers(-(2**70), 2**70).map(float),
    number_text,
    garbage,
    st.text(max_size=5),
    st.binary(max_size=5),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(scalars, max_size=12), st.sampled_from(list(Affinity)))
def test_any_mixture_is_stored_as_sqlite_stores_it(values: list[Any], affinity: Affinity) -> None:
    assert_stored(values, affinity)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), number_text), max_size=40), st.sampled_from(NUMBERS))
def test_numbers_in_text_are_stored_as_sqlite_stores_them(values: list[Any], affinity: Affinity) -> None:
    assert_stored(values, affinity)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=40), st.sampled_from(list(Affinity))
)
def test_doubles_are_stored_as_sqlite_stores_them(values: list[Any], affinity: Affinity) -> None:
    assert_stored(values, affinity)


def test_short_decimals_become_the_doubles_that_sqlite_reads() -> None:
    rng = random.Random(1)
    texts = [
        f"{rng.choice(['', '-', '+'])}{rng.randrange(10 ** rng.randint(1, 14))}"[: rng.randint(2, 14)]
        for _ in range(30_000)
    ]
    for at in range(0, len(texts), 3):
        cut = rng.randrange(len(texts[at]) + 1)
        texts[at] = texts[at][:cut] + "." + texts[at][cut:]
    for affinity in (Affinity.REAL, Affinity.NUMERIC):
        assert_stored(texts, affinity)


def test_long_decimals_become_the_doubles_that_sqlite_reads() -> None:
    rng = random.Random(3)
    texts = [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-3, 14)) for _ in range(10_000)]
    texts += [f"{rng.randrange(10 ** rng.randint(1, 9))}.{rng.randrange(10**12):012d}" for _ in range(10_000)]
    for _ in range(10_000):  # at, and next to, the middle between two doubles
        double = rng.uniform(0.1, 1) * 2.0 ** rng.randint(-2, 40)
        middle = Decimal(double) + Decimal(math.ulp(double)) / 2
        digits = rng.randint(16, 19)
        texts.append(f"{middle:.{max(1, digits - max(0, middle.adjusted()) - 1)}f}"[: digits + 1])
    for affinity in (Affinity.REAL, Affinity.NUMERIC):
        assert_stored(texts, affinity)
        assert_stored([text for text in texts if "e" not in text], affinity)


def test_long_decimals_need_sqlite_only_near_the_middle_between_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    ask = numbertext.stored_by_sqlite

    def counted(values: list[Any], affinity: str) -> list[Any]:
        asked.append(len(values))
        return ask(values, affinity)

    monkeypatch.setattr(numbertext, "stored_by_sqlite", counted)
    rng = random.Random(4)
    texts = [f"{rng.uniform(-180, 180):.14f}" for _ in range(10_000)]
    assert assert_stored(texts, Affinity.REAL).kind is Kind.REAL
    assert sum(asked) < 800


def test_doubles_are_written_as_sqlite_writes_them() -> None:
    rng = random.Random(2)
    doubles = [
        round(rng.uniform(-1, 1) * 10 ** rng.randint(-8, 20), rng.randint(0, 17)) for _ in range(20_000)
    ]
    assert_stored(doubles, Affinity.TEXT)


EDGES = [2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**62, 2.0**63, -(2.0**63), 2.0**63 - 1024, -(2.0**63) + 1024]


@pytest.mark.parametrize("edge", [*EDGES, -0.0, math.inf, -math.inf, 1e300, 5e-324])
@pytest.mark.parametrize("affinity", list(Affinity))
def test_doubles_at_the_edges_are_stored_as_sqlite_stores_them(edge: float, affinity: Affinity) -> None:
    for others in ([], [0.5], [7.0], [None], [1, "x"]):
        assert_stored([edge, *others], affinity)


@pytest.mark.parametrize(
    ("values", "affinity", "kind"),
    [
        (["1.50", "2.25", None], Affinity.NUMERIC, Kind.NUMERIC),
        (["1.00", "2", None], Affinity.NUMERIC, Kind.INTEGER),
        (["1", "2"], Affinity.REAL, Kind.REAL),
        (["1", "2.5"], Affinity.INTEGER, Kind.NUMERIC),
        ([1, 2.5, None], Affinity.NUMERIC, Kind.NUMERIC),
        ([1, 2.5], Affinity.REAL, Kind.REAL),
        ([1, 2.0], Affinity.NUMERIC, Kind.INTEGER),
        ([1, 2.0], Affinity.BLOB, Kind.MIXED),
        (["a", "2"], Affinity.NUMERIC, Kind.MIXED),
        (["a", "b"], Affinity.NUMERIC, Kind.TEXT),
        (["a", 2, 2.5], Affinity.TEXT, Kind.TEXT),
        ([2.0**60, 0.5], Affinity.NUMERIC, Kind.MIXED),
        ([2.0**60, 1.0], Affinity.NUMERIC, Kind.INTEGER),
        ([2.0**70, 0.5], Affinity.NUMERIC, Kind.NUMERIC),
        (["9223372036854775807", "1"], Affinity.NUMERIC, Kind.INTEGER),
    ],
)
def test_the_narrowest_kind_is_chosen(values: list[Any], affinity: Affinity, kind: Kind) -> None:
    assert assert_stored(values, affinity).kind is kind


def test_slices_and_nulls_are_read_where_they_are() -> None:
    data = pa.array(["x", "1.5", None, "2.5", "0x10", "3", "é"]).slice(1, 3)
    column = apply_affinity(Column(Kind.TEXT, data), Affinity.NUMERIC)
    assert to_python(column) == [1.5, None, 2.5]
    ints = pa.array(["x", "15", None, "25", "0x10"]).slice(1, 3)
    assert to_python(apply_affinity(Column(Kind.TEXT, ints), Affinity.INTEGER)) == [15, None, 25]


@settings(max_examples=100, deadline=None)
@given(st.lists(scalars, max_size=10))
def test_settling_changes_no_value(values: list[Any]) -> None:
    column = to_mixed(from_python(values))
    assert same(to_python(settle(column)), to_python(column))


@pytest.mark.parametrize(
    ("decl_type", "affinity"),
    [
        ("INT", "INTEGER"), ("BIGINT", "INTEGER"), ("POINT", "INTEGER"), ("FLOATING POINT", "INTEGER"),
        ("CHARINT", "INTEGER"), ("VARCHAR(9)", "TEXT"), ("nclob", "TEXT"), ("TEXTBLOB", "TEXT"), ("", "BLOB"),
        ("BLOB", "BLOB"), ("REALBLOB", "BLOB"), ("DOUBLE PRECISION", "REAL"), ("FLOAT", "REAL"),
        ("DECIMAL(10,2)", "NUMERIC"), ("DATE", "NUMERIC"), ("STRING", "NUMERIC"), ("ANY", "NUMERIC"),
    ],
)  # fmt: skip
def test_affinity_follows_from_the_declared_type(decl_type: str, affinity: str) -> None:
    assert affinity_of(decl_type) is Affinity(affinity)
    value = "500.0"
    db = apsw.Connection(":memory:")
    db.execute(f"CREATE TABLE t(v {decl_type})")
    db.execute("INSERT INTO t VALUES(?), (500)", (value,))
    theirs = [v for (v,) in db.execute("SELECT v FROM t")]
    ours = to_python(apply_affinity(from_python([value, 500]), affinity_of(decl_type)))
    assert same(ours, theirs)


TIMES = [
    "1995-01-01",
    "0000-02-29",
    "1900-02-29",
    "9999-12-31",
    "1995-13-01",
    "1995-1-1",
    "1995-01-32",
    "1995/01/01",
    "+995-01-01",
    "-995-01-01",
    " 1995-01-0",
    "19950101",
    "1995-01-0\uff11",
    "1995-W01-1",
    "1995-001-1",
]
CLOCKS = [
    "",
    " 00:00:00",
    " 23:59:59.123",
    " 23:59:59.123456",
    " 23:59:59.1",
    " 23:59:59.000",
    "T10:00:00",
    " 24:00:00",
    " 10:00:60",
    " 10:00",
    " 10:00:00Z",
    " 10:00:00+01",
    " 10:00:00.1+01:00",
    " 10:00:00.1+0100",
    " 10:00:00,123",
    " 23:59:59.1234567",
    " 10-00-00",
]


@pytest.mark.parametrize("day", TIMES)
def test_narrowed_times_give_the_same_text_back(day: str) -> None:
    for clock in CLOCKS:
        narrowed_gives_back(day, clock)


def narrowed_gives_back(day: str, clock: str) -> None:
    for values in ([day + clock], [day + clock, None], ["2000-01-01", day + clock], [day + clock] * 2000):
        column = narrow_text(from_python(values))
        assert to_python(column) == values
        wanted = len(day + clock) in (10, 19, 23, 26) and day in ("1995-01-01", "0000-02-29", "9999-12-31")
        if wanted and clock in ("", " 00:00:00", " 23:59:59.123") and len(set(map(str, values))) == 1:
            assert column.kind in (Kind.DATE, Kind.DATETIME)


def test_dates_narrow_in_slices_and_dictionaries() -> None:
    texts = ["no", *["1995-01-01", "1996-02-29", None] * 700]
    plain = narrow_text(Column(Kind.TEXT, pa.array(texts).slice(1)))
    words = narrow_text(Column(Kind.TEXT, pa.array(texts[1:]).dictionary_encode()))
    assert plain.kind is words.kind is Kind.DATE
    assert to_python(plain) == to_python(words) == texts[1:]
    late = Column(Kind.TEXT, pa.array([*texts[1:], "1995-02-3x"]))
    assert narrow_text(late) is late


def test_affinity_that_changes_nothing_shares_the_memory() -> None:
    data = pa.array(np.arange(5))
    for affinity in (Affinity.INTEGER, Affinity.NUMERIC, Affinity.BLOB):
        assert apply_affinity(Column(Kind.INTEGER, data), affinity).data is data
