"""What a statement is: its verb, the table it changes, the parts of it that others splice.

`parse` reads as few tokens as it needs: a SELECT's first word, an INSERT up to its VALUES. It never
fails; a text that SQLite will refuse gets a Statement too, and SQLite gives the message.

To find whether a text can concern some name at all, ask `statement.mentions(name)`; `identifiers` is
the set behind it. Both are worked out when first asked for, and both may say yes too often (words in
strings count, as SQLite takes strings for names in places), never too seldom.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from colonnade.sql.clauses import NOTHING, READERS, Change, Insert, Parts, Pragma, Target, behind_semicolon
from colonnade.sql.tokens import Kind, Reader, Token, unquote

__all__ = ["Change", "Insert", "Pragma", "Statement", "Target", "parse", "split", "statement_stop"]

CACHED_CHARACTERS = 65_536  # longer texts are parsed anew each time, so that the cache stays small

_SELECTS = frozenset({"SELECT", "VALUES"})
_DML = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_DDL = frozenset({"CREATE", "ALTER", "DROP"})


class Statement(NamedTuple):
    """One statement.

    verb        its first word in upper case; for WITH the verb behind the WITH clause; "EXPLAIN" stays;
                "" for nothing but comments
    inner       the verb of what EXPLAIN explains; else the same as `verb`
    first       the first word in upper case even if it is WITH (the verb for sqlite3's transaction rules)
    subject     for CREATE, DROP, ALTER: "TABLE", "INDEX", "TRIGGER", "VIEW", "VIRTUAL TABLE"; else ""
    object      the table, index, trigger or view that CREATE makes, DROP drops or ALTER alters
    target      the table of DML, ALTER TABLE, CREATE INDEX, CREATE TRIGGER, ANALYZE, REINDEX; the object that
                CREATE TABLE or VIEW makes and DROP drops. EXPLAIN: that of what it explains
    where       offset of WHERE in an UPDATE or DELETE
    returning   whether there is a RETURNING clause
    stop        offset behind the statement in the text, its semicolon included
    """

    text: str
    verb: str
    inner: str
    first: str
    subject: str = ""
    object: Target | None = None
    target: Target | None = None
    insert: Insert | None = None
    change: Change | None = None
    pragma: Pragma | None = None
    returning: bool = False
    stop: int = 0

    @property
    def is_dml(self) -> bool:
        return self.verb in _DML

    @property
    def sets_changes(self) -> bool:
        """Whether SQLite's changes() is about this statement once it ran; a write that is only explained changes 0."""
        return self.inner in _DML

    @property
    def is_ddl(self) -> bool:
        return self.verb in _DDL

    @property
    def is_select(self) -> bool:
        return self.verb in _SELECTS

    @property
    def where(self) -> int | None:
        return self.change.where if self.change else None

    @property
    def identifiers(self) -> frozenset[str]:
        """Every name in the text, in lower case and without quotes; words in strings are there too."""
        return _identifiers(self.text) if len(self.text) <= CACHED_CHARACTERS else _words(self.text)

    def mentions(self, *names: str) -> bool:
        """Whether one of these names, in any case, may occur in the text."""
        if len(self.text) <= CACHED_CHARACTERS:
            return not _identifiers(self.text).isdisjoint([name.lower() for name in names])
        folded = self.text.lower()
        return any(_as_written(name) in folded for name in names)

    @property
    def more(self) -> bool:
        """Whether another statement follows in the text."""
        return any(token.key != ";" for token in _until_end(Reader(self.text, self.stop)))


def parse(text: str) -> Statement:
    """The first statement of `text`.

    Cost: a dictionary look-up when seen before; else 6 microseconds for a SELECT, 30 to 40 for
    an INSERT or UPDATE of a few columns. Of long VALUES lists only the head is read.
    """
    return _cached(text) if len(text) <= CACHED_CHARACTERS else _parse(text)


def statement_stop(text: str, start: int) -> int:
    """The offset behind the statement that starts at text[start:], by the rules of `split`."""
    return _statement_stop(Reader(text, start))


def split(script: str) -> Iterator[tuple[str, int]]:
    """The statements of a script and the line (from 1) on which each starts.

    A statement runs from its first token to its semicolon; the rules are those of sqlite3_complete, so
    a trigger ends at `; END;`. Statements of nothing but comments are left out.
    """
    position, line, counted = 0, 1, 0
    while True:
        reader = Reader(script, position)
        token = reader[0]
        if token.kind is Kind.END:
            return
        position = _statement_stop(reader)
        if token.key != ";":
            line += script.count("\n", counted, token.start)
            counted = token.start
            yield script[token.start : position], line


@lru_cache(maxsize=1024)
def _cached(text: str) -> Statement:
    return _parse(text)


def _parse(text: str) -> Statement:
    reader = Reader(text)
    start = 0
    while reader[start].key == ";":
        start += 1
    at = start
    first = verb = reader[at].key or ("" if reader[at].kind is Kind.END else reader[at].text)
    if verb == "EXPLAIN":
        at += 3 if reader[at + 1].key == "QUERY" else 1
    with_start = reader[at].start
    with_span = None
    if reader[at].key == "WITH":
        at = _behind_with(reader, at)
        with_span = (with_start, reader[at - 1].stop)
    inner = reader[at].key
    if verb != "EXPLAIN":
        verb = inner if with_span else verb
        inner = verb
    read = READERS.get(inner)
    facts = read(Parts(reader, at, text, with_span)) if read else NOTHING
    return Statement(
        text=text,
        verb=verb,
        inner=inner,
        first=first,
        subject=facts.subject,
        object=facts.object,
        target=facts.target,
        insert=facts.insert,
        change=facts.change,
        pragma=facts.pragma,
        returning=facts.returning,
        stop=_statement_stop(reader, start),
    )


def _behind_with(reader: Reader, at: int) -> int:
    """The number of the verb behind the WITH clause that starts at token `at`."""
    at += 2 if reader[at + 1].key == "RECURSIVE" and reader[at + 2].key not in ("AS", "(") else 1
    while True:
        at += 1  # the name
        if reader[at].key == "(":
            at = reader.skip_parentheses(at)
        while reader[at].key in ("AS", "NOT", "MATERIALIZED"):
            at += 1
        if reader[at].key != "(":
            return at
        at = reader.skip_parentheses(at)
        if reader[at].key != ",":
            return at
        at += 1


def _statement_stop(reader: Reader, at: int = 0) -> int:
    """The offset behind the statement that starts with token `at` (sqlite3_complete's rules)."""
    first = reader[at]
    if first.key == ";":
        return first.stop
    if first.key == "EXPLAIN":
        at += 3 if reader[at + 1].key == "QUERY" else 1
    if reader[at].key == "CREATE":
        at += 1
        while reader[at].key in ("TEMP", "TEMPORARY"):
            at += 1
        if reader[at].key == "TRIGGER":
            return _trigger_stop(reader, at)
    return behind_semicolon(reader.text, first.start)


def _trigger_stop(reader: Reader, at: int) -> int:
    """The offset behind `; END` and the semicolon that follows it, if one does."""
    while True:
        token = reader[at]
        if token.kind is Kind.END:
            return token.start
        last = reader[at + 2]
        if token.key == ";" and reader[at + 1].key == "END" and (last.key == ";" or last.kind is Kind.END):
            return last.stop
        at += 1


_WORDS = re.compile(r"[^\x00-#%-/:-@\[-^`{-\x7f]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(text.lower()))


@lru_cache(maxsize=1024)
def _identifiers(text: str) -> frozenset[str]:
    names = set(_words(text))
    if '"' in text or "'" in text or "`" in text or "[" in text:
        reader = Reader(text)
        names.update(
            unquote(t.text).lower() for t in _until_end(reader) if t.kind in (Kind.QUOTED, Kind.STRING)
        )
    return frozenset(names)


def _as_written(name: str) -> str:
    """The part of a name that no quoting changes: up to its first quote character."""
    return re.split("[\"`'\\]]", name.lower(), maxsplit=1)[0]


def _until_end(reader: Reader) -> Iterator[Token]:
    number = 0
    while reader[number].kind is not Kind.END:
        yield reader[number]
        number += 1
