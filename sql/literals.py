"""INSERTs whose values are literals, read from the text itself: one row as Python values, many as columns.

A dump consists of them. What is read here is exactly what SQLite would insert before affinity; whatever is
not proven to be so, by the rules of sqlite.org/lang_expr.html#literal_values_constants_, is left to SQLite:
hexadecimal and underscored numbers, expressions, functions, comments, names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import apsw

from colonnade.sql.statement import Insert, parse
from colonnade.sql.tokens import tokens
from colonnade.store.values import INT64_MAX, SQLiteValue

_B = r"[ \t\n\f\r]*+"
# Of names without quotes, what a character is not: with IGNORECASE, a class up to U+10FFFF takes 0.1 s to compile.
_FIRST = r"[^\x00-@\[-^`{-\x7f]"
_NEXT = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
_NAME = rf'(?:{_FIRST}{_NEXT}*+|"(?:[^"]|"")++"|`[^`]++`|\[[^\]]++\])'
_COLUMNS = rf"\({_B}{_NAME}(?:{_B},{_B}{_NAME})*+{_B}\)"
_HEAD = re.compile(
    rf"{_B}(INSERT[ \t\n\f\r]++INTO{_B}{_NAME}(?:{_B}\.{_B}{_NAME})?+{_B}(?:{_COLUMNS}{_B})?+VALUES{_B})(?=\()",
    re.IGNORECASE,
)
_STRING = r"'[^']*+(?:''[^']*+)*+'"
_NUMBER = r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+"
_BLOB = r"[xX]'(?:[0-9a-fA-F]{2})*+'"
_LITERAL = rf"(?:{_STRING}|{_NUMBER}|[nN][uU][lL][lL]|{_BLOB})"
_ROW = re.compile(rf"\({_B}{_LITERAL}{_B}(?:,{_B}{_LITERAL}{_B})*+\){_B};?+{_B}\Z")
_EACH = re.compile(_LITERAL)
_SURE_DIGITS = 15  # a decimal no longer than this is the same double to Python and to SQLite


@dataclass(frozen=True, slots=True)
class Head:
    """All of an INSERT in front of its rows. The INSERT is at text[start:], its first row at text[stop:]."""

    text: str
    start: int
    stop: int

    def insert(self, width: int) -> Insert | None:
        """The INSERT of rows of `width` parameters, the same object each time; None if SQLite must look."""
        return _insert(self.text, width)


def head(text: str, start: int = 0) -> Head | None:
    """The head of the INSERT … VALUES at text[start:]; None for any other statement."""
    match = _HEAD.match(text, start)
    return None if match is None else Head(match[1], match.start(1), match.end())


_BLANKS = re.compile(_B)


def behind_blanks(text: str, start: int) -> int:
    """Where the blanks at text[start:] end."""
    match = _BLANKS.match(text, start)
    return match.end() if match else start


@lru_cache(maxsize=256)
def _insert(text: str, width: int) -> Insert | None:
    names = [token for token in tokens(text) if token.key.isidentifier()]
    known = {"INSERT", "INTO", "VALUES"}
    if sum(token.key in apsw.keywords for token in names) > len(known):
        return None  # a keyword where a name should be: perhaps an error
    insert = parse(f"{text}({','.join('?' * width)})").insert
    return insert if insert is not None and insert.row_params and insert.plain else None


def row(text: str, start: int) -> list[SQLiteValue] | None:
    """The values of the only row of an INSERT, at text[start:], up to the end of the text; None: ask SQLite.

    Cost: half a microsecond a value.
    """
    if _ROW.match(text, start) is None:
        return None
    values: list[SQLiteValue] = []
    for found in _EACH.findall(text, start):
        first = found[0]
        if first == "'":
            values.append(found[1:-1].replace("''", "'"))
        elif first in "nN":
            values.append(None)
        elif first in "xX":
            values.append(bytes.fromhex(found[2:-1]))
        else:
            values.append(_number(found))
    return values


def _number(text: str) -> int | float:
    try:
        value = int(text)
    except ValueError:
        if len(text) <= _SURE_DIGITS and "e" not in text and "E" not in text:
            return float(text)
    else:
        if -INT64_MAX - 1 <= value <= INT64_MAX:
            return value
    return _number_of_sqlite(text)


@lru_cache(maxsize=1024)
def _number_of_sqlite(text: str) -> int | float:
    number: int | float = apsw.Connection(":memory:").execute(f"SELECT {text}").get
    return number


# -- rows that SQLite is to compute: what dumps write for text with newlines

_SIMPLE = rf"(?:{_LITERAL}|char\({_B}[0-9]++{_B}\))"


def _call(argument: str) -> str:
    return rf"(?:replace|char|unistr)\({_B}{argument}(?:{_B},{_B}{argument})*+{_B}\)"


@lru_cache(maxsize=1)
def _computed_row() -> re.Pattern[str]:
    """A row of literals and of what dumps write for text, such as replace(replace('…','\\r',char(13)),'\\n',char(10)),
    and the comma or semicolon that follows it."""
    inner = rf"(?:{_SIMPLE}|{_call(_SIMPLE)})"
    value = rf"(?:{_SIMPLE}|{_call(inner)})"
    return re.compile(rf"(\({_B}{value}{_B}(?:,{_B}{value}{_B})*+\)){_B}([,;]){_B}", re.IGNORECASE)


_SOME = 16  # statements of one head in a row, from which on reading them as columns pays


def is_run(text: str, head: Head) -> bool:
    """Whether more statements with this head follow."""
    row, at = _computed_row(), head.start
    for _ in range(_SOME):
        if not text.startswith(head.text, at):
            return False
        at += len(head.text)
        match = row.match(text, at)
        while match is not None and match[2] == ",":
            match = row.match(text, match.end())
        if match is None:
            return False
        at = match.end()
    return True


def computed_rows(text: str, head: Head, stop: int) -> tuple[list[str], int]:
    """The rows, as text, of the statements with this head from text[head.start] on that end before `stop`,
    have one row each and no more in it than literals and the functions that dumps use; and where they end.
    """
    row, at, rows = _computed_row(), head.start, []
    while text.startswith(head.text, at):
        match = row.match(text, at + len(head.text), stop)
        if match is None or match[2] != ";":
            break
        rows.append(match[1])
        at = match.end()
    return rows, at
