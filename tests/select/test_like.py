"""LIKE finds in columns what SQLite finds in each text."""

from __future__ import annotations

import apsw
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from colonnade.sql.select.rules.like import has_nul, like
from tests.select.test_found import assert_equal

DB = apsw.Connection(":memory:")
TEXTS = st.lists(st.one_of(st.none(), st.text("aAbB%q.zäÄ@`[{", max_size=12)), max_size=20)
PATTERNS = st.lists(st.text("aAbBqz.@`[{", max_size=3), min_size=1, max_size=5)


@settings(max_examples=500, deadline=None)
@given(TEXTS, PATTERNS, st.integers(0, 3))
@example(["aqa", "aaqq", "qa", "aq"], ["a", "q", "a"], 0)
@example(["abab", "ab", "aba", None], ["ab", "ab", ""], 0)
@example(["xab", "ab", "abc", "b"], ["", "ab", ""], 1)
def test_like_is_that_of_sqlite(texts: list[str | None], parts: list[str], skipped: int) -> None:
    data = pa.array(texts, pa.string())[skipped:]
    pattern = "%".join(parts)
    expected = [DB.execute("SELECT ? LIKE ?", (text, pattern)).get for text in texts[skipped:]]
    assert [None if x is None else int(x) for x in like(data, parts).to_pylist()] == expected


def test_parts_are_found_across_blocks_and_never_across_texts() -> None:
    texts = ["x" * ((1 << 18) - 3) + "needle" for _ in range(9)] + ["need", "le", "NEEDle"]
    assert like(pa.array(texts), ["", "needle", ""]).to_pylist() == [True] * 9 + [False, False, True]


def test_a_nul_is_seen_only_where_it_is() -> None:
    data = pa.array(["a\0b", "c"])
    assert has_nul(data)
    assert not has_nul(data[1:])
    assert not has_nul(data[:0])


@pytest.mark.parametrize("pattern", ["%x%", "a%", "a", "%5", "a%x%", "%"])
def test_a_text_ends_at_its_first_nul(pattern: str) -> None:
    """SQLite compares up to it."""
    assert_equal(
        f"SELECT a FROM t WHERE b LIKE '{pattern}'",
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)",
        "INSERT INTO t VALUES(1, 'a' || char(0) || 'x5'), (2, 'ax5'), (3, NULL), (4, 'a'), (5, char(0))",
    )
