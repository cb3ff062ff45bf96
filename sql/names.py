"""Shadow names out, the user's names in, where a statement reads the schema."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.sql.shown import CHECKS, PRAGMAS, PREFIX, TABLES, register_schema_module
from colonnade.sql.statement import Pragma, Statement
from colonnade.sql.tokens import Kind, Reader, Token, quote
from colonnade.store.database import Store

__all__ = ["Rewrite", "introspection", "register_schema_module"]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What to run instead of the user's text: the same parameters, and rows of the same columns."""

    sql: str


_STANDS_FOR = {
    "sqlite_master": PREFIX + "schema",
    "sqlite_schema": PREFIX + "schema",
    "sqlite_sequence": PREFIX + "sequence",
} | {f"pragma_{name}": PREFIX + name for name in (*PRAGMAS, *CHECKS)}
_READ_BY = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})
_BEFORE_A_TABLE = frozenset({"FROM", "JOIN", ",", "("})
# Keywords that can stand behind a table in FROM, where else a name would be its alias.
_NO_ALIAS = frozenset(
    {
        *("CROSS", "FULL", "INNER", "JOIN", "LEFT", "NATURAL", "ON", "OUTER", "RIGHT", "USING"),
        *("GROUP", "HAVING", "INDEXED", "LIMIT", "NOT", "ORDER", "RETURNING", "SET", "WHERE", "WINDOW"),
        *("EXCEPT", "INTERSECT", "UNION"),
    }
)


def introspection(statement: Statement, store: Store) -> Rewrite | None:
    """The statement to run where the user's text reads the schema; None: it does not, run the text.

    Rewritten are the PRAGMAs of `shown.PRAGMAS` with an argument (table_list also without), their pragma_
    functions, and sqlite_master, sqlite_schema and sqlite_sequence where a table is read; main's and those of
    attached databases, as temp has no table in column format.
    The answer depends on the text, on whether there is any table in column format, and on which
    databases are attached; it may be cached by these. Views and triggers that read the schema are left
    alone.
    """
    if statement.pragma is not None and statement.verb == "PRAGMA":
        return _of_pragma(statement.pragma, store)
    if statement.verb == "EXPLAIN":  # SQLite plans a query of its own schema as any other
        return None
    reads = statement.inner in _READ_BY or (statement.verb == "CREATE" and statement.subject == "TABLE")
    if not reads or not statement.mentions(*_STANDS_FOR) or not store.has_column_tables():
        return None
    sql = _spliced(statement, {name.lower() for name in store.db.db_names()} - {"temp"})
    return None if sql == statement.text else Rewrite(sql)


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


def _spliced(statement: Statement, schemas: set[str]) -> str:
    text, reader = statement.text, Reader(statement.text)
    target = statement.target.start if statement.target else -1
    pieces: list[str] = []
    ctes = _cte_names(statement)
    done = number = 0
    before = ""
    while reader[number].kind is not Kind.END and reader[number].start < statement.stop:
        token = reader[number]
        last = _last_of_name(reader, number)
        name = reader[last]
        function = _STANDS_FOR.get(name.name.lower()) if name.is_name else None
        qualified = last != number
        schema = token.name if qualified else "main"
        if (
            function
            and token.start != target
            and schema.lower() in schemas
            and _is_table(before, name)
            and (qualified or name.name.lower() not in ctes)
            and not _is_wrong(reader, last, function)
        ):
            stop, alias = _behind_table(reader, last)
            if reader[last + 1].key == "(":
                call = function + text[name.stop : stop]
            elif function.removeprefix(PREFIX) in TABLES:
                call = f"{function}({_literal(schema)})"
            else:
                call = function
            pieces += [text[done : token.start], call, "" if alias else f" AS {name.text}"]
            done = stop
            unindexed = _not_indexed(reader, stop)
            if unindexed is not None:
                pieces.append(text[stop : unindexed[0]])
                done = unindexed[1]
        before = reader[last].key
        number = last + 1
    return "".join(pieces) + text[done:]


def _last_of_name(reader: Reader, number: int) -> int:
    """The number of the last token of a possibly qualified name; `number` where no dot follows."""
    qualified = reader[number].is_name and reader[number + 1].key == "." and reader[number + 2].is_name
    last = number + 2 if qualified else number
    while reader[last + 1].key == "." and reader[last].is_name:  # schema.table.column
        last += 2
    return last


def _cte_names(statement: Statement) -> set[str]:
    """The names that common table expressions of the text take from SQLite's own tables."""
    if "with" not in statement.identifiers:
        return set()
    reader, found, number = Reader(statement.text), set(), 0
    while reader[number].kind is not Kind.END:
        name = reader[number]
        number += 1
        if name.is_name and name.name.lower() in _STANDS_FOR:
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
