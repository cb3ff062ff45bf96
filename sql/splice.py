"""Pieces of a statement's text for use in other texts, and the text with another table in the target's place.

A piece that is run elsewhere has its parameters numbered as SQLite numbers them in the whole statement
(sqlite.org/lang_expr.html#varparam), so that the statement's own values can be bound to it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from colonnade.sql.objects import fold
from colonnade.sql.statement import Insert, Statement
from colonnade.sql.tokens import Kind, Reader, quote, tokens, whole_number
from colonnade.sql.volatile import has_subquery

_OWN = '"colonnade rows"'


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
    # SQLite's message about a wrong column in the list of an INSERT has the alias, else the schema if it is given.
    nameless = insert is not None and target.schema is not None and not _qualifies(insert, statement)
    if alias is None and not nameless:
        table += f" AS {quote(target.name)}"
    text = statement.text
    stop, end = statement.stop or len(text), ""
    if statement.returning:
        stop = _returning_start(statement)
        end = _returning(statement, rows_name)[0]
    head = _without_schema(text, 0, target.start, target.name)
    if insert is not None and _may_read(insert, text):
        start, behind = insert.span
        columns, source = text[target.stop : start], text[start:behind]
        end = _without_schema(text, behind, stop, target.name) + end
        # SQLite reads all rows first where the target itself is read; it cannot tell that of a row part.
        rows = f"WITH {_OWN} AS MATERIALIZED ({source}\n) SELECT * FROM {_OWN} WHERE true "
        return f"{head}{table}{columns}{rows}{end}"
    return head + table + _without_schema(text, target.stop, stop, target.name) + end


def _qualifies(insert: Insert, statement: Statement) -> bool:
    """Whether an upsert may have the table's name before a column."""
    if not insert.upsert:
        return False
    name, clauses = fold(insert.target.name), statement.text[insert.span[1] : statement.stop]
    return any(fold(token.name) == name for token in tokens(clauses) if token.is_name)


def _may_read(insert: Insert, text: str) -> bool:
    """Whether the source of an INSERT may read tables after its first row."""
    if insert.source != "VALUES":
        return insert.source == "SELECT"
    source = text[slice(*insert.span)]
    return "select" in source.lower() and single_row(source) is None


def single_row(source: str) -> list[str] | None:
    """The expressions of a VALUES with one row; None for any other source."""
    reader = Reader(source)
    if reader[0].key != "VALUES" or reader[1].key != "(":
        return None
    stop = reader.skip_parentheses(1)
    if reader[stop].kind is not Kind.END and reader[stop].key != ";":
        return None
    found, start, number = [], reader[1].stop, 2
    while number < stop - 1:
        if reader[number].key == "(":
            number = reader.skip_parentheses(number)
            continue
        if reader[number].key == ",":
            found.append(source[start : reader[number].start])
            start = reader[number].stop
        number += 1
    return [*found, source[start : reader[stop - 1].start]]


def returns_plainly(statement: Statement, written: Container[str]) -> bool:
    """Whether RETURNING means the same, and calls its columns the same, once the text is spliced.

    written   folded names of what the statement changes: a subquery sees each change as it is made, but only in
              what SQLite knows to be the same table
    """
    if not statement.returning:
        return True
    text, plainly = _returning(statement, "")
    names = (token.name for token in tokens(text) if token.is_name)
    return plainly and not (has_subquery(text) and any(fold(name) in written for name in names))


def _returning_start(statement: Statement) -> int:
    if statement.change is not None and statement.change.returning is not None:
        return statement.change.returning
    reader = Reader(statement.text, statement.target.stop if statement.target else 0)
    return next(token.start for _, token in reader.outside(0) if token.key == "RETURNING")


def _returning(statement: Statement, rows_name: str) -> tuple[str, bool]:
    """The RETURNING clause for a table of another name; and whether nothing else can tell. See `returning_of`."""
    assert statement.target is not None
    clause = statement.text[_returning_start(statement) : statement.stop or len(statement.text)]
    return returning_of(clause, statement.target.name, rows_name)


def returning_of(clause: str, name: str, rows_name: str) -> tuple[str, bool]:
    """A RETURNING clause with the other table's name before columns that the target's `name` stands before, as no
    alias is known there; and whether nothing else can tell.

    A subquery may have a table of that name itself, and an expression without a name is called by its text.
    """
    reader, plainly = Reader(clause), True
    commas = [number for number, token in reader.outside(1) if token.key == ","]
    kept, at, number = [], 0, 1
    while reader[number].kind is not Kind.END:
        token, follows = reader[number], reader[number + 1]
        if (token.is_name and follows.key == "." and reader[number - 1].key != ".") and fold(
            token.name
        ) == fold(name):
            kept += [clause[at : token.start], quote(rows_name)]
            at = token.stop
            first = max((comma + 1 for comma in commas if comma < number), default=1)
            plainly = plainly and _is_named(reader, first)
        number += 1
    return "".join(kept) + clause[at:], plainly


def _is_named(reader: Reader, first: int) -> bool:
    """Whether what RETURNING gives from token `first` on is `table.column` or has AS, and no subquery."""
    if reader[first + 3].key in (",", ";") or reader[first + 3].kind is Kind.END:
        return True
    named, number, depth = False, first, 0
    while reader[number].kind is not Kind.END and reader[number].key != ";":
        key = reader[number].key
        depth += {"(": 1, ")": -1}.get(key, 0)
        if key == "SELECT":
            return False
        if depth == 0 and key == ",":
            break
        named = named or (depth == 0 and key == "AS")
        number += 1
    return named


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
            number = whole_number(token.text[1:])
        else:
            number = names.setdefault(token.text, highest + 1)
        highest = max(highest, number)
        yield token.start, len(token.text), number
