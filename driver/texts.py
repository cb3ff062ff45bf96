"""INSERTs of literals in bulk mode: read from the text as values, never token by token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np

from colonnade.script import Feed, ScriptError, run_next
from colonnade.sql import literals
from colonnade.sql.literals import Head
from colonnade.sql.statement import split
from colonnade.store.values import from_python

if TYPE_CHECKING:
    from colonnade.loader.bulk import InsertResult
    from colonnade.loader.given import Part
    from colonnade.session import Session
    from colonnade.sql.statement import Insert

_LONG = 2_000  # characters of a statement, from which on it is read as columns
_LEAST, _MOST = 1 << 14, 1 << 19  # characters that are read at a time
_ROWS_AT_ONCE = 1_000  # that SQLite computes


class _NotLiteral(Exception):
    """A row in the middle of a statement is not proven to be literals."""


class Texts:
    """What a session asks about the text of INSERTs while bulk load is on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._window = _LEAST

    def one(self, text: str) -> InsertResult | None:
        """Append the rows of one statement; None if that must be done otherwise."""
        head = literals.head(text)
        if head is None:
            return None
        if len(text) - head.stop > _LONG:
            return self._long(text, head)
        values = literals.row(text, head.stop)
        insert = self._taken(head, len(values)) if values is not None else None
        return None if insert is None else self._session.bulk.insert(insert, iter((values,)), many=False)

    def _taken(self, head: Head, width: int) -> Insert | None:
        insert = head.insert(width)
        return insert if insert is not None and self._session.bulk.takes(insert) else None

    # --- one statement with many rows ----------------------------------------------------------------------

    def _long(self, text: str, head: Head) -> InsertResult | None:
        from colonnade.loader.given import GivenRows

        parts = _rows_of(text, head)
        try:
            first = next(parts)
            insert = self._taken(head, len(first.columns))
            if insert is None:
                return None
            given = GivenRows(_chained(first, parts), atomic=True)
            result = self._session.bulk.insert(insert, given, many=True)
        except _NotLiteral:
            return None
        return result

    # --- many statements in a script -------------------------------------------------------------------------

    def run(self, feed: Feed) -> bool:
        """Append the rows of the INSERTs that come next in a script; False if that must be done otherwise.

        Raises ScriptError
        """
        feed.ensure(_LEAST)
        head = literals.head(feed.text, feed.at)
        known, feed.head = feed.head, ""
        if head is None:
            return False
        if head.text == known:  # nothing has run since but INSERTs with it
            feed.head = known
            return False
        if not literals.is_run(feed.text, head):
            return False
        reading = _Reading(self._session.db, feed, head)
        part = reading.part()
        if part is None:
            return False
        insert = self._taken(head, len(part.columns))
        if insert is None:
            feed.at, feed.head = reading.start, head.text
            return False
        if self._session.db.in_transaction:
            self._append(insert, part, reading.parts())
        else:
            self._append_alone(insert, part)
        return True

    def _append(self, insert: Insert, first: Part, others: Iterator[Part]) -> None:
        """Append what was read. Raises ScriptError, for the first statement if no other is at fault"""
        from colonnade.loader.given import GivenRows

        given = GivenRows(_chained(first, others))
        try:
            self._session.bulk.insert(insert, given, many=True)
        except Exception as error:
            part, number = given.failed or (first, 0)
            text, line = part.origin
            statement, behind = next(found for n, found in enumerate(split(text)) if n == number)
            raise ScriptError(error, line + behind - 1, statement) from None

    def _append_alone(self, insert: Insert, part: Part) -> None:
        """Outside a transaction each statement is one. All are tried in one, and each for itself if keys do not
        hold: then none of their rows is there."""
        try:
            self._append(insert, part, iter(()))
        except ScriptError as failed:
            if not hasattr(failed.cause, "violations"):
                raise
            text, line = part.origin
            alone = Feed((text,))
            while alone.more():
                run_next(self._session, alone, line=line)


def _chained(first: Part, others: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from others


def _rows_of(text: str, head: Head) -> Iterator[Part]:
    """The rows of one statement that is all of `text`. Raises _NotLiteral"""
    from colonnade.loader.given import Part
    from colonnade.sql import literalscan

    if not text.rstrip(" \t\r\n\f").endswith(";"):
        text += ";"
    at, window, begun = head.stop, _MOST, [0]
    while True:
        data = text[at : at + window].encode()
        rows = literalscan.scan(data, 0, partial=True)
        if rows is None:
            if at + window >= len(text):
                raise _NotLiteral
            window *= 2
            continue
        yield Part(rows.columns, rows.row_count, np.array(begun, np.int64))
        at, begun = at + _characters(data, rows.stop), []
        if rows.done:
            break
        at = literals.behind_blanks(text, at)
    if text[at:].strip(" \t\r\n\f"):
        raise _NotLiteral


def _characters(data: bytes, stop: int) -> int:
    """How many characters data[:stop] are."""
    return stop if data.isascii() else len(data[:stop].decode())


class _Reading:
    """Reads statements with the same head, a window of text at a time.

    start  where in the feed's text the part began that was read last
    """

    def __init__(self, db: apsw.Connection, feed: Feed, head: Head) -> None:
        self._db = db
        self._feed = feed
        self._head = head
        self._window = _LEAST
        self._computed_until = 0  # in the feed's text: SQLite is asked for rows in front of this
        self.start = 0

    def parts(self) -> Iterator[Part]:
        """All parts that follow."""
        while (part := self.part()) is not None:
            yield part

    def part(self) -> Part | None:
        """The rows of the next statements, behind which the feed moves; None: other statements, or not proven."""
        feed = self._feed
        if len(feed.text) - feed.at < self._window:
            self._computed_until -= feed.at
            feed.ensure(self._window)
            self._computed_until += feed.at
        head = literals.head(feed.text, feed.at)
        if head is None or head.text != self._head.text:
            return None
        self.start = feed.at
        if head.start < self._computed_until:
            return self._computed(head, self._computed_until)
        return self._scanned(head) or self._computed(head, head.start + self._window)

    def _scanned(self, head: Head) -> Part | None:
        from colonnade.sql import literalscan

        stop = head.start + self._window
        data = self._feed.text[head.start : stop].encode()
        rows = literalscan.scan(data, len(head.text.encode()))
        if rows is None:
            return None
        if rows.stop > len(data) // 2:
            self._window = min(_MOST, self._window * 2)
        else:
            self._computed_until = stop
        return self._part(
            rows.columns, rows.row_count, rows.first_rows, head.start + _characters(data, rows.stop)
        )

    def _computed(self, head: Head, stop: int) -> Part | None:
        """Rows with functions in them, as dumps write them, which SQLite computes."""
        texts, stop = literals.computed_rows(self._feed.text, head, stop)
        found: list[Any] = []
        try:
            for start in range(0, len(texts), _ROWS_AT_ONCE):
                found += self._db.execute("VALUES" + ",".join(texts[start : start + _ROWS_AT_ONCE]))
        except apsw.Error:
            return None  # one of them fails, or has more values than others: one by one
        if not found:
            return None
        columns = [from_python(values) for values in zip(*found, strict=True)]
        return self._part(columns, len(found), np.arange(len(found)), stop)

    def _part(self, columns: list[Any], count: int, first_rows: Any, stop: int) -> Part:
        from colonnade.loader.given import Part

        feed = self._feed
        origin = feed.text[feed.at : stop], feed.line_of(feed.at)
        feed.at = stop
        return Part(columns, count, first_rows, origin)
