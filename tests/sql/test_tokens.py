"""Tokens as SQLite cuts them."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.sql.tokens import Kind, quote, spell, tokens, unquote

K = Kind


OPERATORS = [
    (K.OPERATOR, w)
    for w in ("->>", "->", "-", "||", "|", "<>", "<=", "<<", "<", ">=", ">>", ">", "==", "=", "!=", "~", "%")
]


def cut(text: str) -> list[tuple[Kind, str]]:
    return [(token.kind, token.text) for token in tokens(text)][:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select a$1", [(K.WORD, "select"), (K.WORD, "a$1")]),
        ("'it''s'", [(K.STRING, "'it''s'")]),
        ('"a""b" [c "d] `e``f`', [(K.QUOTED, '"a""b"'), (K.QUOTED, '[c "d]'), (K.QUOTED, "`e``f`")]),
        ("1_000 0x1F .5e-3 1.e4 1e+5", [(K.NUMBER, w) for w in ("1_000", "0x1F", ".5e-3", "1.e4", "1e+5")]),
        ("12abc 1_ 1__0", [(K.ILLEGAL, w) for w in ("12abc", "1_", "1__0")]),
        ("x'0aFF' X''", [(K.BLOB, "x'0aFF'"), (K.BLOB, "X''")]),
        ("x'0' x'zz'", [(K.ILLEGAL, "x'0'"), (K.ILLEGAL, "x'zz'")]),
        ("x xy X", [(K.WORD, "x"), (K.WORD, "xy"), (K.WORD, "X")]),
        ("? ?12 :a @b $c::d(e f", [(K.VARIABLE, w) for w in ("?", "?12", ":a", "@b", "$c::d")]
         + [(K.OPERATOR, "("), (K.WORD, "e"), (K.WORD, "f")]),
        ("$a::b(c)", [(K.VARIABLE, "$a::b(c)")]),
        ("a-- b\nc", [(K.WORD, "a"), (K.WORD, "c")]),
        ("a/* b */c/* d", [(K.WORD, "a"), (K.WORD, "c")]),
        ("a -- b", [(K.WORD, "a")]),
        ("->> -> - || | <> <= << < >= >> > == = != ~ %",
         OPERATORS),
        ("'no end", [(K.ILLEGAL, "'no end")]),
        ("! \\ : \0", [(K.ILLEGAL, w) for w in "!\\:\0"]),
        ("é表\U0001f600 \ufeffa", [(K.WORD, "é表\U0001f600"), (K.WORD, "a")]),
    ],
)  # fmt: skip
def test_a_text_is_cut_as_sqlite_cuts_it(text: str, expected: list[tuple[Kind, str]]) -> None:
    assert cut(text) == expected


@given(st.text(alphabet=st.sampled_from("ab1_.x'\"`[]-/*\n ;:$?@()=|<>é!\0e+"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_it_fail_and_tokens_cover_all_but_blanks(text: str) -> None:
    position = 0
    for token in tokens(text):
        gap = text[position : token.start]
        assert not gap.strip(" \n") or gap.lstrip(" \n").startswith(("--", "/*"))
        assert text[token.start : token.stop] == token.text
        position = token.stop
    assert position == len(text)


@pytest.mark.parametrize("name", ["a", 'a"b', "select", "a b", "", "1a", "é", "a`]'"])
def test_a_spelled_name_is_the_name_to_sqlite(name: str) -> None:
    db = apsw.Connection("")
    for spelled in (quote(name), spell(name)):
        assert unquote(spelled) == name
        if name:
            db.execute(f"create table {spelled}(x)")
            assert db.execute("select name from sqlite_schema").get == name
            db.execute(f"drop table {spelled}")


def test_only_names_that_need_quotes_get_them() -> None:
    assert [spell(n) for n in ("abc", "a1", "order", "A b")] == ["abc", "a1", '"order"', '"A b"']
