"""Tokens of SQL text after SQLite's own rules, with their positions; no text makes it fail.

The rules are those of sqlite.org/lang_comment.html, lang_expr.html and lang_keywords.html: a comment
may lack its end, a quote in a quoted text is doubled, digits may be separated by single underscores, every
character from U+0080 on is a letter. What SQLite would refuse is a token too, of kind ILLEGAL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import apsw


class Kind(IntEnum):
    """What a token is."""

    END = 0  # the end of the text; its token is empty
    WORD = 1  # a keyword or a plain identifier
    QUOTED = 2  # "id", [id] or `id`
    STRING = 3  # 'text'; SQLite takes it for an identifier where only an identifier can stand
    VARIABLE = 4  # ?, ?5, :a, @a, $a::b(c)
    NUMBER = 5
    BLOB = 6  # x'0a'
    OPERATOR = 7
    ILLEGAL = (
        8  # an unfinished quote up to the end of the text, a number with letters behind, an odd character
    )


class Token(NamedTuple):
    """One token. `key` is what to compare: a WORD in upper case, an operator as it is, else empty."""

    kind: Kind
    text: str
    start: int
    key: str

    @property
    def stop(self) -> int:
        """The offset behind the token."""
        return self.start + len(self.text)

    @property
    def is_name(self) -> bool:
        """Whether it can stand where SQLite wants a name."""
        return self.kind in _NAMES

    @property
    def name(self) -> str:
        """The name it stands for, without quotes."""
        return unquote(self.text)


_NAMES = (Kind.WORD, Kind.QUOTED, Kind.STRING)
_BLANK = r"[ \t\n\f\r\ufeff]*+"
_SPACE = rf"{_BLANK}(?:(?:--[^\n]*+|/\*(?s:.*?)(?:\*/|\Z)){_BLANK})*+"
_LETTER = r"[^\x00-@\[-^`{-\x7f]"  # negated: a set of 128 characters is one table look-up
_PLAIN_LETTER = r"[^\x00-@Xx\[-^`{-\x7f]"
_INNER = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
_VARIABLE = rf"\?\d*+|[$@#:](?:::)*{_INNER}(?:{_INNER}|::)*+(?:\([^\s)]*\))?"
_NUMBER = (
    r"(?:0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*+"
    r"|(?:\d(?:_?\d)*+(?:\.(?:\d(?:_?\d)*+)?)?|\.\d(?:_?\d)*+)(?:[eE][+-]?\d(?:_?\d)*+)?)"
    rf"(?!{_INNER})"
)
_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"|`[^`]*+(?:``[^`]*+)*+`|\[[^\]]*+\]'
_STRING = r"'[^']*+(?:''[^']*+)*+'"
_TOKEN = re.compile(
    _SPACE
    + "(?:"
    + "|".join(
        f"({pattern})"
        for pattern in (
            rf"{_PLAIN_LETTER}{_INNER}*+|[xX](?!'){_INNER}*+",
            r"==?|[(),;*+~%&]",
            _QUOTED,
            _STRING,
            _VARIABLE,
            _NUMBER,
            r"[xX]'(?:[0-9a-fA-F]{2})*+'",
            r"->>?|\|\|?|<[<>=]?|>[>=]?|!=|[-/.]",
            rf"(?s:[\"'`\[].*)|[xX]'[^']*+'?|\.?\d{_INNER}*+|(?s:.)",
        )
    )
    + r"|\Z)"
)
_KINDS = (
    Kind.END,
    Kind.WORD,
    Kind.OPERATOR,
    Kind.QUOTED,
    Kind.STRING,
    Kind.VARIABLE,
    Kind.NUMBER,
    Kind.BLOB,
    Kind.OPERATOR,
    Kind.ILLEGAL,
)
_PLAIN = re.compile(rf"{_LETTER}{_INNER}*\Z")


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `text` from offset `start` on, read as they are asked for; the last one is END.

    Cost: half a microsecond a token.
    """
    make = partial(tuple.__new__, Token)
    for match in _TOKEN.finditer(text, start):
        group = match.lastindex
        if group is None:
            break
        word = match[group]
        key = word.upper() if group == 1 else word if group in (2, 8) else ""
        yield make((_KINDS[group], word, match.start(group), key))
    yield Token(Kind.END, "", len(text), "")


class Reader:
    """The tokens of a text by their number, read only as far as somebody asked."""

    __slots__ = ("_more", "_seen", "text")

    def __init__(self, text: str, start: int = 0) -> None:
        self.text = text
        self._seen: list[Token] = []
        self._more = tokens(text, start)

    def __getitem__(self, index: int) -> Token:
        seen = self._seen
        while index >= len(seen):
            if seen and seen[-1].kind is Kind.END:
                return seen[-1]
            seen.append(next(self._more))
        return seen[index]

    def skip_parentheses(self, index: int) -> int:
        """The number of the token behind the `(` at `index` and its partner; END's if there is none."""
        depth = 0
        while True:
            token = self[index]
            if token.key == "(":
                depth += 1
            elif token.key == ")":
                depth -= 1
                if depth <= 0:
                    return index + 1
            elif token.kind is Kind.END or token.key == ";":
                return index
            index += 1

    def outside(self, index: int) -> Iterator[tuple[int, Token]]:
        """Number and token from `index` on, up to the statement's end, without what is in parentheses."""
        while True:
            token = self[index]
            if token.kind is Kind.END or token.key == ";":
                return
            if token.key == "(":
                index = self.skip_parentheses(index)
                continue
            yield index, token
            index += 1


def unquote(text: str) -> str:
    """The name in a WORD, QUOTED or STRING token's text."""
    first = text[:1]
    if first in ('"', "'", "`"):
        return text[1:-1].replace(first * 2, first)
    return text[1:-1] if first == "[" else text


def whole_number(digits: str) -> int:
    """What decimal digits stand for; beyond 64 bits some number beyond them.

    SQLite reads any number of digits, where int() refuses more than a few thousand (sys.set_int_max_str_digits).
    """
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MOST_DIGITS else 10**_MOST_DIGITS


_MOST_DIGITS = 20  # of numbers of 64 bits


def quote(name: str) -> str:
    """`name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def spell(name: str) -> str:
    """`name` as an identifier, quoted only where SQLite needs the quotes."""
    return name if _PLAIN.match(name) and name.upper() not in apsw.keywords else quote(name)
