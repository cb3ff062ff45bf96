"""Pieces of a statement's text for use in other texts, and the text with another table in the target's place.

A piece that is run elsewhere has its parameters numbered as SQLite numbers them in the whole statement
(sqlite.org/lang_expr.html#varparam), so that the statement's own values can be bound to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from colonnade.sql.objects import fold
from colonnade.sql.statement import Statement
from colonnade.sql.tokens import Kind, Reader, quote, tokens


class Pieces:
    """One statement and where its parameters are.

    named  the values come by name: then parameters mean the same anywhere, and stay as they are
    """

    def __init__(self, statement: Statement, *, named: bool) -> None:
        self.text, self.named = statement.text, named
        self._statement = statement
        self._places = [] if named else list(_numbered(statement))

    @property
    def parameters(self) -> int:
        """How many values the statement takes, if they come by position."""
        return max((number for _, _, number in self._places), default=0)

    def cut(self, start: int, stop: int) -> str:
        """text[start:stop] with its parameters numbered."""
        pieces = []
        for at, length, number in self._places:
            if start <= at < stop:
                pieces += [self.text[start:at], f"?{number}"]
                start = at + length
        return "".join(pieces) + self.text[start:stop]

    def behind(self, clause: int) -> int:
        """Where the clause of an UPDATE or DELETE that starts there ends: at the start of the next."""
        change = self._statement.change
        assert change is not None
        starts = (change.set, change.from_, change.where, change.returning, change.order, change.stop)
        return min(start for start in starts if start is not None and start > clause)

    def assignments(self) -> list[tuple[str, str]] | None:
        """Column and expression of each assignment of an UPDATE; None where some have row values."""
        change = self._statement.change
        assert change is not None
        assert change.set is not None
        stop = self.behind(change.set)
        reader = Reader(self.text, change.set)
        found: list[tuple[str, str]] = []
        starts = [1, *(n + 1 for n, token in reader.outside(1) if token.key == "," and token.start < stop)]
        ends = [reader[n - 1].start for n in starts[1:]] + [stop]
        for number, end in zip(starts, ends, strict=True):
            if reader[number].key == "(" or reader[number + 1].key not in ("=", "=="):
                return None
            found.append((reader[number].name, self.cut(reader[number + 1].stop, end)))
        return found


def highest_parameter(sql: str) -> int:
    """How many values a text with plain and numbered parameters takes."""
    return max((number for _, _, number in _numbers(sql)), default=0)


def spliced(statement: Statement, schema: str, rows_name: str) -> str:
    """The user's text with a table of another name in the target's place, under the target's name or alias."""
    target = statement.target
    assert target is not None
    change, insert = statement.change, statement.insert
    alias = change.alias if change else insert.alias if insert else None
    table = f"{quote(schema)}.{quote(rows_name)}"
    if alias is None:
        table += f" AS {quote(target.name)}"
    text = statement.text
    head = _without_schema(text, 0, target.start, target.name)
    return head + table + _without_schema(text, target.stop, statement.stop or len(text), target.name)


def _without_schema(text: str, start: int, stop: int, table: str) -> str:
    """A piece of text with `schema.table.column` as `table.column`, as an alias has no schema."""
    piece = text[start:stop]
    if piece.count(".") < 2:
        return piece
    kept, at = [], 0
    run = list(tokens(piece))
    for schema, dot, name, second in zip(run, run[1:], run[2:], run[3:], strict=False):
        if (
            (dot.key, second.key) == (".", ".")
            and schema.is_name
            and name.is_name
            and fold(name.name) == fold(table)
        ):
            kept.append(piece[at : schema.start])
            at = name.start
    return "".join(kept) + piece[at:]


def _numbered(statement: Statement) -> Iterator[tuple[int, int, int]]:
    return _numbers(statement.text[: statement.stop])


def _numbers(text: str) -> Iterator[tuple[int, int, int]]:
    """Offset, length and number of each parameter."""
    names: dict[str, int] = {}
    highest = 0
    for token in tokens(text):
        if token.kind is not Kind.VARIABLE:
            continue
        if token.text == "?":
            number = highest + 1
        elif token.text[0] == "?":
            number = int(token.text[1:])
        else:
            number = names.setdefault(token.text, highest + 1)
        highest = max(highest, number)
        yield token.start, len(token.text), number
