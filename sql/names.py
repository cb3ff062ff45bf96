"""Shadow names out, the user's names in, where a statement reads the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colonnade.sql.schemaviews import SchemaView
from colonnade.sql.shown import CHECKS, PRAGMAS, PREFIX, TABLES, UserNames, home_of, register_schema_module
from colonnade.sql.statement import Pragma, Statement, parse
from colonnade.sql.tokens import Kind, Reader, Token, quote
from colonnade.store.database import Store

__all__ = ["Rewrite", "introspection", "register_schema_module"]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What to run instead of the user's text: the same parameters, and rows of the same columns."""

    sql: str


NO_VIEWS: Mapping[str, SchemaView] = {}
_STANDS_FOR = {
    "sqlite_master": PREFIX + "schema",
    "sqlite_schema": PREFIX + "schema",
    "sqlite_sequence": PREFIX + "sequence",
    "dbstat": PREFIX + "dbstat",
} | {f"pragma_{name}": PREFIX + name for name in (*PRAGMAS, *CHECKS)}
_READ_BY = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})
_ENDS_FROM = frozenset(
    {
        *("SELECT", "WHERE", "ON", "USING", "GROUP", "ORDER", "HAVING", "LIMIT", "WINDOW", "SET", "VALUES"),
        *("UNION", "EXCEPT", "INTERSECT", "RETURNING"),
    }
)
_BEFORE_A_TABLE = frozenset({"FROM", "JOIN", ",", "("})
# Keywords that can stand behind a table in FROM, where else a name would be its alias.
_NO_ALIAS = frozenset(
    {
        *("CROSS", "FULL", "INNER", "JOIN", "LEFT", "NATURAL", "ON", "OUTER", "RIGHT", "USING"),
        *("GROUP", "HAVING", "INDEXED", "LIMIT", "NOT", "ORDER", "RETURNING", "SET", "WHERE", "WINDOW"),
        *("EXCEPT", "INTERSECT", "UNION"),
    }
)


def introspection(
    statement: Statement, store: Store, views: Mapping[str, SchemaView] = NO_VIEWS
) -> Rewrite | None:
    """The statement to run where the user's text reads the schema; None: it does not, run the text.

    Rewritten are the PRAGMAs of `shown.PRAGMAS` with an argument (table_list also without), their pragma_
    functions, dbstat, and sqlite_master, sqlite_schema and sqlite_sequence where a table is read; main's and those
    of attached databases, as temp has no table in column format. INDEXED BY goes where the index is one of a table
    in column format.
    The answer depends on the text, on the schemas, on whether there is any table in column format, on which databases
    are attached and on `views`, those that read the schema; it may be cached by these. Triggers are left alone.
    """
    if statement.pragma is not None and statement.verb == "PRAGMA":
        return _of_pragma(statement.pragma, store)
    if statement.verb == "EXPLAIN":  # SQLite plans a query of its own schema as any other
        return None
    reads = statement.inner in _READ_BY or (statement.verb == "CREATE" and statement.subject == "TABLE")
    if not reads or not statement.mentions(*_STANDS_FOR, *views, "indexed") or not store.has_column_tables():
        return None
    sql = _Splicer(statement, store, views).text()
    return None if sql == statement.text else Rewrite(sql)


def with_columns(text: str, columns: Sequence[str]) -> str:
    """A CREATE TABLE AS that names its columns: SQLite itself would name one after a virtual table's rowid."""
    behind = next((token.stop for _, token in Reader(text).outside(0) if token.key == "AS"), None)
    if behind is None:
        return text
    names = ", ".join(map(quote, columns))
    query = text[behind:].rstrip().rstrip(";")
    return f'{text[:behind]} WITH "colonnade table"({names}) AS ({query}\n) SELECT * FROM "colonnade table"'


def _of_pragma(pragma: Pragma, store: Store) -> Rewrite | None:
    function = PRAGMAS.get(pragma.name)
    if function is None or (pragma.value is None and pragma.name != "table_list"):
        return None
    if pragma.schema is not None and pragma.schema.lower() not in map(str.lower, store.db.db_names()):
        return None
    if not store.has_column_tables():
        return None
    place = pragma.schema and _literal(pragma.schema)
    arguments, where = _literal(pragma.value), ""
    if place and "schema" in function.columns:
        where = f" WHERE schema = {place} COLLATE NOCASE"
    elif place:
        arguments += f", {place}"
    columns = ", ".join(map(quote, function.columns))
    return Rewrite(f"SELECT {columns} FROM {PREFIX}{pragma.name}({arguments}){where}")


def _literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


class _Splicer:
    """One statement, and what is to be put where it names SQLite's own tables, functions, or views that read them."""

    def __init__(self, statement: Statement, store: Store, views: Mapping[str, SchemaView]) -> None:
        self._statement, self._store, self._views = statement, store, views
        self._schemas = {name.lower() for name in store.db.db_names()} - {"temp"}
        self._target = statement.target.start if statement.target else -1
        self._ctes = _cte_names(statement, views)
        self._indexes = _hidden_indexes(store) if statement.mentions("indexed") else set()

    def text(self) -> str:
        text, reader = self._statement.text, Reader(self._statement.text)
        pieces: list[str] = []
        done = number = 0
        before, depths, tables = "", [False], False
        while reader[number].kind is not Kind.END and reader[number].start < self._statement.stop:
            token = reader[number]
            last = _last_of_name(reader, number)
            tables = _in_from(token.key, depths)
            if token.key == "INDEXED" and reader[number + 2].name.lower() in self._indexes:
                pieces.append(text[done : token.start])
                done = reader[number + 2].stop
            call = self._call(reader, number, last, before, tables=tables)
            if call is not None:
                stop, alias = _behind_table(reader, last)
                pieces += [text[done : token.start], call, "" if alias else f" AS {reader[last].text}"]
                done = stop
                unindexed = _not_indexed(reader, stop)
                if unindexed is not None:
                    pieces.append(text[stop : unindexed[0]])
                    done = unindexed[1]
            before = reader[last].key
            number = last + 1
        return "".join(pieces) + text[done:]

    def _call(self, reader: Reader, number: int, last: int, before: str, *, tables: bool) -> str | None:
        """What to put for the name that ends with token `last`; None: it stays."""
        token, name = reader[number], reader[last]
        if not name.is_name or token.start == self._target or not _is_table(before, name):
            return None
        folded, qualified = name.name.lower(), last != number
        if not qualified and folded in self._ctes:
            return None
        view = self._views.get(folded)
        if view is not None and tables and reader[last + 1].key != "(":
            return self._inlined(view) if not qualified or token.name.lower() == view.schema else None
        function = _STANDS_FOR.get(folded)
        schema = token.name if qualified else self._home(folded)
        if function is None or schema.lower() not in self._schemas or _is_wrong(reader, last, function):
            return None
        if reader[last + 1].key == "(":
            return function + reader.text[name.stop : _behind_table(reader, last)[0]]
        return f"{function}({_literal(schema)})" if function.removeprefix(PREFIX) in TABLES else function

    def _home(self, folded: str) -> str:
        """The schema of a name without one: each schema can have a sqlite_sequence, and need not."""
        if folded != "sqlite_sequence":
            return "main"
        return home_of(self._store.db, folded) or ""

    def _inlined(self, view: SchemaView) -> str:
        others = {name: other for name, other in self._views.items() if other is not view}
        select = _Splicer(parse(view.select), self._store, others).text()
        columns = ", ".join(map(quote, view.columns))
        return f'(WITH "colonnade view"({columns}) AS ({select}\n) SELECT * FROM "colonnade view")'


def _in_from(key: str, depths: list[bool]) -> bool:
    """Whether a table may be named here: behind FROM or JOIN. depths: the same for each open parenthesis."""
    if key == "(":
        depths.append(depths[-1])
    elif key == ")" and len(depths) > 1:
        depths.pop()
    elif key in ("FROM", "JOIN"):
        depths[-1] = True
    elif key in _ENDS_FROM:
        depths[-1] = False
    return depths[-1]


def _hidden_indexes(store: Store) -> set[str]:
    """The indexes of tables in column format, in lower case: INDEXED BY cannot name them in a query."""
    found = set()
    for schema in store.db.db_names():
        names = UserNames(store.db, schema)
        for table in names.tables.values():
            stored = names.stored(table)
            listed: list[Any] = store.db.execute(
                f"PRAGMA {quote(schema)}.index_list({quote(stored)})"
            ).fetchall()
            found |= {names.index(row[1], stored).lower() for row in listed if not names.is_pin(row[1])}
    return found


def _last_of_name(reader: Reader, number: int) -> int:
    """The number of the last token of a possibly qualified name; `number` where no dot follows."""
    qualified = reader[number].is_name and reader[number + 1].key == "." and reader[number + 2].is_name
    last = number + 2 if qualified else number
    while reader[last + 1].key == "." and reader[last].is_name:  # schema.table.column
        last += 2
    return last


def _cte_names(statement: Statement, views: Mapping[str, SchemaView]) -> set[str]:
    """The names that common table expressions of the text take from SQLite's own tables and from views."""
    if "with" not in statement.identifiers:
        return set()
    reader, found, number = Reader(statement.text), set(), 0
    while reader[number].kind is not Kind.END:
        name = reader[number]
        number += 1
        if name.is_name and (name.name.lower() in _STANDS_FOR or name.name.lower() in views):
            at = reader.skip_parentheses(number) if reader[number].key == "(" else number
            if reader[at].key == "AS" and reader[at + 1].key in ("(", "NOT", "MATERIALIZED"):
                found.add(name.name.lower())
    return found


def _is_wrong(reader: Reader, last: int, function: str) -> bool:
    """Whether SQLite has an error to tell: sqlite_master is no function, and has no index."""
    follows = reader[last + 1].key
    return follows == "INDEXED" or (follows == "(" and function.removeprefix(PREFIX) in TABLES)


def _not_indexed(reader: Reader, stop: int) -> tuple[int, int] | None:
    """Where NOT INDEXED stands behind a table and its alias: functions cannot have it, and need not."""
    rest = Reader(reader.text, stop)
    at = 2 if rest[0].key == "AS" else int(rest[0].is_name and rest[0].key != "NOT")
    if (rest[at].key, rest[at + 1].key) != ("NOT", "INDEXED"):
        return None
    return rest[at].start, rest[at + 1].stop


def _is_table(before: str, name: Token) -> bool:
    """Whether a name stands where FROM wants a table; a quoted one may be a text elsewhere."""
    return before in ("FROM", "JOIN") or (name.kind is Kind.WORD and before in _BEFORE_A_TABLE)


def _behind_table(reader: Reader, last: int) -> tuple[int, bool]:
    """The offset behind a table's name and its arguments, and whether the user gave it an alias."""
    stop = reader[last].stop
    if reader[last + 1].key == "(":
        behind = reader.skip_parentheses(last + 1)
        last, stop = behind - 1, reader[behind - 1].stop
    follows = reader[last + 1]
    return stop, follows.key == "AS" or (follows.is_name and follows.key not in _NO_ALIAS)
