"""The clauses of each kind of statement that others splice: what `statement.parse` finds behind the verb.

What every program imports is made of named tuples: dataclasses take as long to import as all of the driver.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from colonnade.sql.tokens import Kind, Reader, Token, whole_number

_SHORT_CHARACTERS = 2_000  # an INSERT's VALUES of at most this length are read token by token


class Target(NamedTuple):
    """A possibly qualified name in the text: text[start:stop] is all of `schema.name`."""

    schema: str | None
    name: str
    start: int
    stop: int


class Insert(NamedTuple):
    """An INSERT or REPLACE.

    conflict     what stands behind OR ("REPLACE" for a REPLACE), or None
    source       "VALUES", "SELECT" or "DEFAULT"
    source_text  VALUES … or SELECT …, to be run alone with the statement's own parameters; without upsert
                 and RETURNING; a WITH clause before INSERT is in front of it. May end in a comment: put a
                 newline behind it before any other text
    span         where the source is in the text: text[start:stop], its WITH clause before INSERT left out
    row_params   VALUES with exactly one row of parameters only, all numbered or all named
    params       for row_params: for each value the 0-based position, or the name without its prefix
    upsert       there is an ON CONFLICT clause
    plain        no OR clause, no REPLACE, no upsert, no RETURNING
    """

    target: Target
    alias: str | None
    columns: tuple[str, ...] | None
    conflict: str | None
    source: str
    source_text: str
    span: tuple[int, int]
    row_params: bool
    params: tuple[int | str, ...]
    upsert: bool
    plain: bool


class Change(NamedTuple):
    """The clauses of an UPDATE or DELETE, as offsets in the text; None: the clause is not there.

    verb      offset of the word UPDATE or DELETE; all before it is the WITH clause
    conflict  what stands behind UPDATE OR
    alias     the alias of the target
    assigned  the columns that SET assigns, without quotes
    head      offset behind the target, its alias and INDEXED BY
    set, from_, where, returning, order    where the clause's first word starts (order: ORDER or LIMIT)
    stop      behind the statement's last token, a semicolon not counted
    """

    verb: int
    conflict: str | None
    alias: str | None
    assigned: tuple[str, ...]
    head: int
    set: int | None
    from_: int | None
    where: int | None
    returning: int | None
    order: int | None
    stop: int


class Pragma(NamedTuple):
    """PRAGMA [schema.]name [= value] or (value); the value without quotes."""

    schema: str | None
    name: str
    value: str | None


class Parts:
    """A place in the tokens, moving on as the clauses are read."""

    def __init__(self, reader: Reader, at: int, text: str, with_span: tuple[int, int] | None) -> None:
        self.reader = reader
        self.at = at
        self.text = text
        self.with_span = with_span

    @property
    def token(self) -> Token:
        return self.reader[self.at]

    def take(self, *keys: str) -> bool:
        """Moves over these words if they come next."""
        if all(self.reader[self.at + n].key == key for n, key in enumerate(keys)):
            self.at += len(keys)
            return True
        return False

    def target(self) -> Target | None:
        """Moves over a possibly qualified name."""
        first = self.token
        if not first.is_name:
            return None
        self.at += 1
        if self.token.key == "." and self.reader[self.at + 1].is_name:
            second = self.reader[self.at + 1]
            self.at += 2
            return Target(first.name, second.name, first.start, second.stop)
        return Target(None, first.name, first.start, first.stop)

    def name(self) -> str | None:
        if not self.token.is_name:
            return None
        self.at += 1
        return self.reader[self.at - 1].name


class Facts(NamedTuple):
    """What a reader found; the fields are those of Statement."""

    subject: str = ""
    object: Target | None = None
    target: Target | None = None
    insert: Insert | None = None
    change: Change | None = None
    pragma: Pragma | None = None
    returning: bool = False


NOTHING = Facts()


def _read_insert(parts: Parts) -> Facts:
    conflict = "REPLACE" if parts.token.key == "REPLACE" else None
    parts.at += 1
    if parts.take("OR"):
        conflict = parts.token.key
        parts.at += 1
    if not parts.take("INTO"):
        return NOTHING
    target = parts.target()
    if target is None:
        return NOTHING
    alias = parts.name() if parts.take("AS") else None
    columns = _column_list(parts) if parts.token.key == "(" else None
    if columns == ():
        return NOTHING
    head = parts.token
    if head.key == "DEFAULT":
        source, source_text = "DEFAULT", "DEFAULT VALUES"
        stop, extras, returning = _late_clauses(parts)
        params = None
    else:
        source = "VALUES" if head.key == "VALUES" else "SELECT"
        params = _row_params(parts.text, head.start) if source == "VALUES" and not parts.with_span else None
        stop, extras, returning = _source_stop(parts, params is not None)
        source_text = _with_source(parts, head, stop)
    insert = Insert(
        target=target,
        alias=alias,
        columns=columns,
        conflict=conflict,
        source=source,
        source_text=source_text,
        span=(head.start, stop),
        row_params=params is not None and not extras and not returning,
        params=params or (),
        upsert=extras,
        plain=conflict is None and not extras and not returning,
    )
    return Facts(target=target, insert=insert, returning=returning)


def _column_list(parts: Parts) -> tuple[str, ...]:
    """The names between parentheses; none where SQLite finds an error in them."""
    stop = parts.reader.skip_parentheses(parts.at)
    tokens = [parts.reader[number] for number in range(parts.at + 1, stop - 1)]
    parts.at = stop
    names = tuple(token.name for token in tokens[::2] if token.is_name)
    separated = all(token.key == "," for token in tokens[1::2])
    return names if separated and 2 * len(names) == len(tokens) + 1 else ()


_VARIABLE = r"(?:\?\d*|[:@$][A-Za-z0-9_$]+)"
_ONE_ROW = re.compile(
    rf"VALUES\s*\(\s*({_VARIABLE}(?:\s*,\s*{_VARIABLE})*)\s*\)\s*(?=;|\Z|RETURNING\b|ON\b)", re.I
)
# That SQLite takes where it is not built for more (sqlite.org/limits.html, section 9).
_MOST_PARAMETERS = 32766
_ONE_ROW_END = re.compile(r"\s*(?:;|\Z)")


def _row_params(text: str, start: int) -> tuple[int | str, ...] | None:
    """The parameters of a VALUES with one row of nothing else, or None."""
    match = _ONE_ROW.match(text, start)
    if match is None:
        return None
    params: list[int | str] = []
    highest = 0
    for word in match[1].split(","):
        variable = word.strip()
        if variable[0] != "?":
            params.append(variable[1:])
            continue
        number = whole_number(variable[1:]) if len(variable) > 1 else highest + 1
        if not 0 < number <= _MOST_PARAMETERS:
            return None  # SQLite says what is wrong with it
        highest = max(highest, number)
        params.append(number - 1)
    return tuple(params) if len({type(param) for param in params}) == 1 else None


def _source_stop(parts: Parts, one_row: bool) -> tuple[int, bool, bool]:
    """Where the VALUES or SELECT ends, and whether an upsert and a RETURNING follow."""
    text, start = parts.text, parts.token.start
    if one_row:
        match = _ONE_ROW.match(text, start)
        if match and _ONE_ROW_END.match(text, match.end()):
            return match.end(), False, False
    elif parts.token.key == "VALUES" and len(text) - start > _SHORT_CHARACTERS:
        folded = text.lower()
        if "returning" not in folded and "conflict" not in folded:
            return _end_of_source(text, start), False, False
    return _late_clauses(parts)


def _late_clauses(parts: Parts) -> tuple[int, bool, bool]:
    """Where the source ends, token by token. `ON conflict` of a join never goes on with `(` or DO, unless
    there is a function of that name: then the statement counts as an upsert, which SQLite runs natively."""
    reader, stop = parts.reader, parts.token.start
    upsert = returning = False
    end = None
    for number, token in reader.outside(parts.at):
        if (
            token.key == "ON"
            and reader[number + 1].key == "CONFLICT"
            and reader[number + 2].key in ("(", "DO")
        ):
            upsert = True
            end = stop if end is None else end
        elif token.key == "RETURNING":
            returning = True
            end = stop if end is None else end
            break
        stop = _stop_with_parentheses(reader, number)
    return stop if end is None else end, upsert, returning


def _stop_with_parentheses(reader: Reader, number: int) -> int:
    """The offset behind token `number` and any parentheses that follow it."""
    while reader[number + 1].key == "(":
        number = reader.skip_parentheses(number + 1) - 1
    return reader[number].stop


def _with_source(parts: Parts, head: Token, stop: int) -> str:
    source = parts.text[head.start : stop]
    if parts.with_span is None:
        return source
    clause = parts.text[slice(*parts.with_span)]
    return f"{clause} SELECT * FROM ({source}\n)" if head.key == "WITH" else f"{clause} {source}"


def _read_change(parts: Parts) -> Facts:
    verb = parts.token
    parts.at += 1
    conflict = None
    if verb.key == "DELETE":
        parts.take("FROM")
    elif parts.take("OR"):
        conflict = parts.token.key
        parts.at += 1
    target = parts.target()
    if target is None:
        return NOTHING
    alias = parts.name() if parts.take("AS") else None
    if parts.take("INDEXED", "BY"):
        parts.at += 1
    else:
        parts.take("NOT", "INDEXED")
    head = parts.reader[parts.at - 1].stop
    found: dict[str, int] = {}
    assigned: list[str] = []
    stop, before = head, ""
    for number, token in parts.reader.outside(parts.at):
        clause = _CLAUSES.get(token.key)
        if clause and not (token.key == "FROM" and before == "DISTINCT"):
            found.setdefault(clause, token.start)
        if token.key in ("SET", ",") and list(found) == ["set"]:
            assigned += _assigned(parts.reader, number + 1)
        before = token.key
        stop = _stop_with_parentheses(parts.reader, number)
    change = Change(
        verb=verb.start,
        conflict=conflict,
        alias=alias,
        assigned=tuple(assigned),
        head=head,
        set=found.get("set"),
        from_=found.get("from"),
        where=found.get("where"),
        returning=found.get("returning"),
        order=found.get("order"),
        stop=stop,
    )
    return Facts(target=target, change=change, returning="returning" in found)


def _assigned(reader: Reader, number: int) -> list[str]:
    """The columns left of the equals sign of the assignment that starts at token `number`."""
    if reader[number].key != "(":
        return [reader[number].name]
    names = range(number + 1, reader.skip_parentheses(number) - 1)
    return [reader[n].name for n in names if reader[n].is_name]


_CLAUSES = {
    "SET": "set",
    "FROM": "from",
    "WHERE": "where",
    "RETURNING": "returning",
    "ORDER": "order",
    "LIMIT": "order",
}


def _read_pragma(parts: Parts) -> Facts:
    parts.at += 1
    target = parts.target()
    if target is None:
        return NOTHING
    value = None
    if parts.token.key in ("=", "("):
        sign = parts.reader[parts.at + 1].key
        token = parts.reader[parts.at + 1 + (sign in ("+", "-"))]
        if token.key not in (")", ";") and token.kind is not Kind.END:
            value = ("-" if sign == "-" else "") + token.name
    return Facts(pragma=Pragma(target.schema, target.name.lower(), value))


def _read_create(parts: Parts) -> Facts:
    parts.at += 1
    temporary = parts.token.key in ("TEMP", "TEMPORARY")
    while parts.token.key in ("TEMP", "TEMPORARY", "UNIQUE"):
        parts.at += 1
    subject = parts.token.key
    parts.at += 1
    if subject == "VIRTUAL":
        subject = "VIRTUAL TABLE"
        parts.at += 1
    parts.take("IF", "NOT", "EXISTS")
    made = parts.target()
    if made is not None and temporary:
        made = Target("temp", made.name, made.start, made.stop)
    target = made
    if made is not None and subject in ("INDEX", "TRIGGER"):
        target = _table_behind_on(parts, None if temporary else made.schema)
    return Facts(subject=subject, object=made, target=target)


def _table_behind_on(parts: Parts, schema: str | None) -> Target | None:
    """The table of a CREATE INDEX or CREATE TRIGGER, in the schema of the index or trigger."""
    for number, token in parts.reader.outside(parts.at):
        if token.key == "BEGIN":
            return None
        if token.key == "ON":
            parts.at = number + 1
            target = parts.target()
            if target is not None and target.schema is None:
                return Target(schema, target.name, target.start, target.stop)
            return target
    return None


def _read_drop(parts: Parts) -> Facts:
    subject = parts.reader[parts.at + 1].key
    parts.at += 2
    parts.take("IF", "EXISTS")
    target = parts.target()
    return Facts(subject=subject, object=target, target=target)


def _read_one_name(parts: Parts) -> Facts:
    parts.at += 1
    return Facts(target=parts.target())


READERS = {
    "INSERT": _read_insert,
    "REPLACE": _read_insert,
    "UPDATE": _read_change,
    "DELETE": _read_change,
    "PRAGMA": _read_pragma,
    "CREATE": _read_create,
    "DROP": _read_drop,
    "ALTER": _read_drop,
    "ANALYZE": _read_one_name,
    "REINDEX": _read_one_name,
}


_TO_SEMICOLON = re.compile(
    r"(?:[^;'\"`\[/-]++|'[^']*+(?:'|\Z)|\"[^\"]*+(?:\"|\Z)|`[^`]*+(?:`|\Z)|\[[^\]]*+(?:\]|\Z)"
    r"|--[^\n]*+|/\*(?s:.*?)(?:\*/|\Z)|[/-])*+;?"
)


def _end_of_source(text: str, start: int) -> int:
    """Where a statement ends, from `start` inside it: its semicolon and the blanks before it cut off."""
    stop = text.find(";", start)
    if stop < 0:
        stop = len(text)
    elif text[stop + 1 :].strip():  # it may be in quotes
        stop = behind_semicolon(text, start)
        stop -= text[stop - 1] == ";"
    while text[stop - 1].isspace():
        stop -= 1
    return stop


def behind_semicolon(text: str, start: int) -> int:
    match = _TO_SEMICOLON.match(text, start)
    return match.end() if match else len(text)
