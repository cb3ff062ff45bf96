"""Texts that are joined and cut apart again are the texts that they were, and what cannot be joined is not."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.loader.joined import concat_texts, joined
from colonnade.store.rawtext import text_value
from colonnade.store.values import from_python

TEXTS = st.one_of(
    st.sampled_from(["", "a", "\r", "\n", "a\n", "é", "\x00", "\u2028", "𝄞"]), st.text(max_size=5)
)
ODD = st.sampled_from([None, 1, 2.5, b"x", text_value(b"\xff"), text_value(b"a\xc3"), "\ud800"])


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=8), min_size=1, max_size=4))
@settings(deadline=None)
def test_texts_come_out_as_they_went_in(parts: list[list[str]]) -> None:
    pieces = [joined(part) for part in parts]
    assert [piece is None for piece in pieces] == [any("\n" in text for text in part) for part in parts]
    whole = [piece for piece in pieces if piece is not None]
    values = [text for part, piece in zip(parts, pieces, strict=True) if piece is not None for text in part]
    if whole:
        texts = concat_texts(whole)
        column, expected = texts.column(), from_python(values)
        assert (column.kind, len(texts), texts.nbytes) == (
            expected.kind,
            len(values),
            sum(len(v.encode()) for v in values) + len(values) - len(whole) + 4 * len(values),
        )
        assert column.data.equals(expected.data)
        column.data.validate(full=True)


@given(st.lists(TEXTS, max_size=4), ODD, st.lists(TEXTS, max_size=4))
@settings(deadline=None)
def test_what_is_no_text_that_arrow_can_hold_is_not_joined(
    before: list[str], odd: Any, after: list[str]
) -> None:
    assert joined([*before, odd, *after]) is None
