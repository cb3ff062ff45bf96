"""TEXT that is not UTF-8 is in a table in column format what it is in SQLite: the same bytes, still TEXT."""

from __future__ import annotations

import sys

import apsw
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.store import rawtext
from colonnade.store.check import check
from colonnade.store.chunk import decode_chunk, encode_chunk
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError
from colonnade.store.keycode import key_bytes
from colonnade.store.rawtext import RawText, read_rows, text_value
from colonnade.store.values import Kind, from_python, to_python

BAD = [b"\xff", b"\x80", b"\xffA", b"A\xff", b"\xc3", b"a\0\xfe", b"\xed\xa0\x80", b"\xf0\x9f" * 5000]
LOOK = "typeof(b), hex(CAST(b AS BLOB)), length(b), b < 'x', upper(b) IS b, b IS NULL"


def same_as_row_format(store: Store, query: str) -> None:
    ordinary = query.replace("FROM t", "FROM o")
    assert store.db.execute(query).fetchall() == store.db.execute(ordinary).fetchall()


@pytest.fixture
def twins(store: Store) -> Store:
    """`t`, to be turned to column format, and `o`, an ordinary table with the same rows."""
    db = store.db
    db.execute(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c TEXT UNIQUE); CREATE TABLE o(a INTEGER PRIMARY KEY, b, c)"
    )
    values = [*BAD, b"x", "é".encode(), b"", b"\xff"]
    for name in "to":
        for number, raw in enumerate(values):
            db.execute(
                f"INSERT INTO {name} VALUES(?1, CAST(?2 AS TEXT), ?1 || CAST(?2 AS TEXT))", (number, raw)
            )
        db.execute(
            f"INSERT INTO {name} VALUES(100, 5, 'e'), (101, x'ff', 'f'), (102, NULL, 'g'), (103, 1.5, 'h')"
        )
    return store


@pytest.mark.parametrize("frozen", [False, True], ids=["row part", "row groups"])
def test_every_way_of_reading_it_gives_what_sqlite_gives(twins: Store, frozen: bool) -> None:
    table = twins.convert("t")
    if frozen:
        table.freeze()
        assert table.row_part.count() == 1
    for query in (
        f"SELECT a, {LOOK} FROM t ORDER BY a",
        f"SELECT {LOOK} FROM t WHERE a = 2",
        "SELECT hex(b), count(*) FROM t GROUP BY b ORDER BY b",
        "SELECT DISTINCT hex(c) FROM t WHERE b > 'A' ORDER BY c DESC",
        "SELECT count(*) FROM t AS l JOIN o AS r ON +l.b = r.b",
        "SELECT hex(max(b)), hex(min(c)) FROM t WHERE typeof(b) = 'text'",
    ):
        same_as_row_format(twins, query)
    assert list(check(twins)) == []
    twins.restore("t")
    same_as_row_format(twins, f"SELECT a, {LOOK} FROM t ORDER BY a")


def test_it_comes_back_from_thawing(twins: Store) -> None:
    table = twins.convert("t")
    table.freeze()
    assert table.thaw(np.arange(4)) == 4
    same_as_row_format(twins, f"SELECT a, {LOOK} FROM t ORDER BY a")


def test_reading_it_as_str_fails_as_on_an_ordinary_table(twins: Store) -> None:
    twins.convert("t").freeze()
    with pytest.raises(UnicodeDecodeError) as plain:
        twins.db.execute("SELECT b FROM o").fetchall()
    with pytest.raises(UnicodeDecodeError) as stored:
        twins.db.execute("SELECT b FROM t").fetchall()
    assert stored.value.object == plain.value.object == b"\xff"


@given(st.lists(st.one_of(st.none(), st.integers(-9, 9), st.binary(max_size=6).map(text_value)), min_size=1))
def test_a_chunk_keeps_any_bytes_as_text(values: list[object]) -> None:
    column = from_python(values)  # type: ignore[arg-type]
    chunk = encode_chunk(column)
    decoded = decode_chunk(chunk.data)
    back = to_python(decoded)
    assert [v.encode() if isinstance(v, str) else v for v in back] == [
        v.encode() if isinstance(v, str) else v for v in values
    ]
    assert (chunk.zone.min is None) == (
        any(type(v) is RawText for v in values) or not any(v is not None for v in values)
    )


@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM"])
@given(left=st.binary(max_size=4), right=st.binary(max_size=4))
def test_keys_are_equal_where_sqlite_says_so(collation: str, left: bytes, right: bytes) -> None:
    column = from_python([text_value(left + b"\xff"), text_value(right + b"\xff"), text_value(right)])
    keys = key_bytes([column], [collation]).to_pylist()
    equal = f"SELECT CAST(? AS TEXT) = CAST(? AS TEXT) COLLATE {collation}"
    db = apsw.Connection(":memory:")
    assert (keys[0] == keys[1]) == bool(db.execute(equal, (left + b"\xff", right + b"\xff")).get)
    assert (keys[0] == keys[2]) == bool(db.execute(equal, (left + b"\xff", right)).get)


def test_a_raw_text_is_made_anew_and_leaves_other_strings_alone() -> None:
    kept = chr(0xFF)  # CPython keeps one str for each such character
    raw = text_value(b"\xff")
    assert type(raw) is RawText
    assert (raw.encode(), kept, chr(0x78)) == (b"\xff", "\xff", "x")
    assert (str(raw), f"{raw}", repr(raw)) == ("\\xff", "\\xff", "RawText(b'\\xff')")
    assert type(text_value("é".encode())) is str
    assert from_python([raw, "a"]).kind is Kind.MIXED
    assert from_python([raw]).data.field("bytes").equals(pa.array([b"\xff"], pa.binary()))
    before = sys.getrefcount(None)
    for _ in range(1000):
        text_value(b"\xff\xfe")
    assert abs(sys.getrefcount(None) - before) < 100


def test_another_layout_of_strings_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawtext, "_CHARACTERS", rawtext._CHARACTERS + 1)
    assert not rawtext._layout_is_known()
    with pytest.raises(SystemError):
        text_value(b"\xff")


def test_rows_are_read_once_where_the_bad_one_comes_late() -> None:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 'x'), (2, CAST(x'ff' AS TEXT)), (3, x'ff')")
    rows = list(read_rows(db, ["a", "b"], "FROM t"))
    assert [(a, type(b)) for a, b in rows] == [(1, str), (2, RawText), (3, bytes)]


def test_utf16_text_without_an_utf8_form_is_an_error() -> None:
    db = apsw.Connection(":memory:")
    db.execute("PRAGMA encoding='UTF-16le'; CREATE TABLE t(a); INSERT INTO t VALUES(CAST(x'00d8' AS TEXT))")
    try:
        db.execute("SELECT a FROM t").fetchall()
    except UnicodeDecodeError:
        with pytest.raises(OperationalError, match="Could not decode to UTF-8"):
            list(read_rows(db, ["a"], "FROM t"))
    else:
        assert len(list(read_rows(db, ["a"], "FROM t"))) == 1
