"""What the driver remembers about a statement's text, so that the next run of it costs a look-up."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from colonnade.sql.statement import Statement, parse
from colonnade.store.errors import ProgrammingError

if TYPE_CHECKING:
    from colonnade.lookups import Access

Column = tuple[str, str | None]
Columns = tuple[Column, ...]
Description = tuple[tuple[str, None, None, None, None, None, None], ...]

_BLANK = re.compile(r"(?:[ \t\n\f\r\ufeff]+|--[^\n]*(?:\n|\Z)|/\*(?:(?!\*/).)*(?:\*/|\Z))*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]*")
_DML = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_QUERIES = frozenset({"SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"})
READING = frozenset({"SELECT", "WITH", "VALUES"})
SINGLE_WRITES = frozenset({"INSERT", "UPDATE"})  # of which `points` and `writing` know whether they are short
_BOUNDS = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})
_NAMED_BY_POSITION = sys.version_info >= (3, 12)
_NAMED = re.compile(r"[:@$]\w")
_SYSTEM = re.compile("sqlite_|pragma_", re.IGNORECASE)  # what may show how tables are stored
_STORED = re.compile(r"\b(?:dbstat|indexed)\b", re.IGNORECASE)  # what more a query may name of that

# Statements after which tables, or what they are called, may be others.
_SCHEMA = frozenset({"CREATE", "ALTER", "DROP", "ATTACH", "DETACH", "REINDEX", "VACUUM", "PRAGMA"})


class Plan:
    """One statement text and how the driver runs it.

    text         the statement, without what comments follow it
    asked        the program's text, where this is run in its place; else the same
    dml          sqlite3's notion: the first word is INSERT, UPDATE, DELETE or REPLACE; such a statement
                 opens a transaction and has a rowcount
    empty        there is nothing but comments
    returns      whether it can have rows at all
    native       goes to SQLite as it is, with nothing before and nothing after
    reads        a native SELECT, which may read tables in column format too
    schema       whether it may change the schema, or what statements mean
    named        whether it may have parameters with names, and giving them by position is deprecated
    point        it has been a write about a single row: see `points`
    never        while the store is in this epoch it is not vectorised
    looked_in    when it was last looked at for that
    access       what SQLite would do for it, as it was found then
    refused      why it was not vectorised since then, by the types of its parameters
    columns      name and declared type of each column of its rows, as they were in `generation` of the
                 connection's schema
    description  made of them; None: no rows
    source       of an INSERT … SELECT the query by itself, once that was looked at
    varying      virtual tables compare with values that only the run knows: see Session.varies
    """

    __slots__ = (
        "_statement",
        "access",
        "asked",
        "columns",
        "description",
        "dml",
        "empty",
        "first",
        "generation",
        "looked_in",
        "named",
        "native",
        "never",
        "point",
        "reads",
        "refused",
        "returns",
        "schema",
        "source",
        "text",
        "varying",
    )

    def __init__(self, text: str, asked: str | None = None) -> None:
        if "\0" in text:
            raise ProgrammingError("the query contains a null character")
        self.text = text
        self.asked = asked or text
        start = blank_end(text, 0)
        hidden = text.startswith(";", start)  # sqlite3 looks no further
        while text.startswith(";", start):
            start = blank_end(text, start + 1)
        match = _WORD.match(text, start)
        self.first = match[0].upper() if match else ""
        self.dml = self.first in _DML and not hidden
        self.empty = start == len(text)
        self.returns = self.first in _QUERIES or (self.dml and "returning" in text.lower())
        self.schema = self.first in _SCHEMA and (self.first != "PRAGMA" or "=" in text or "(" in text)
        self.native = not (
            self.schema
            or self.empty
            or self.first == "PRAGMA"
            or self.first in _BOUNDS
            or ("_" in text and _SYSTEM.search(text))
            or (self.first in READING and _STORED.search(text))
        )
        self.reads = self.native and self.first == "SELECT"
        self.named = _NAMED_BY_POSITION and _NAMED.search(text) is not None
        self.columns: Columns = ()
        self.description: Description | None = None
        self.generation = -1
        self.varying = self.point = False
        self.never: int | None = None
        self.looked_in: tuple[int, int] | None = None
        self.access: Access | None = None
        self.refused: dict[tuple[Any, ...], str] = {}
        self.source: Plan | None = None
        self._statement: Statement | None = None

    @property
    def statement(self) -> Statement:
        if self._statement is None:
            self._statement = parse(self.text)
        return self._statement

    def goes_on(self) -> bool:
        """Whether the text goes on behind its first statement, as sqlite3 sees it: comments are nothing."""
        text = self.text
        at = text.find(";")
        if at < 0 or at == len(text) - 1:
            return False
        stop = self.statement.stop
        if text[blank_end(text, stop) :]:
            return True
        self.text = text[:stop]  # a comment that never ends is too much for apsw
        return False


def blank_end(text: str, start: int) -> int:
    """The offset behind white space and comments."""
    if text[start : start + 1].isalpha():  # most often there is nothing
        return start
    match = _BLANK.match(text, start)
    return match.end() if match else start


def describe(columns: Any) -> Description | None:
    """PEP 249's description from tuples that start with a name; None where a statement has no columns."""
    return tuple((column[0], None, None, None, None, None, None) for column in columns) or None
