"""CREATE TABLE … AS SELECT in parts: the query by itself, and the statement that makes the table without its rows.

What the table's columns are called, and their types, follow from the result columns of the query alone
(sqlite.org/lang_createtable.html, section 2.1), so that a LIMIT behind it changes nothing of them.
"""

from __future__ import annotations

from typing import NamedTuple

from colonnade.sql.statement import Statement
from colonnade.sql.tokens import Kind, Reader, quote


class Made(NamedTuple):
    """A table made of a query's rows.

    source   SELECT, WITH or VALUES, with the parameters of the whole statement
    empty    the statement with LIMIT 0; of its parameters those behind the last one in it are left out
    schema   of the table; "main" where none is given
    insert   INSERT … SELECT of the same rows into the table
    """

    source: str
    empty: str
    schema: str
    name: str
    insert: str


def made_table(statement: Statement) -> Made | None:
    """The parts of a CREATE TABLE … AS, also where it is only explained; None for any other statement."""
    made = statement.object
    if statement.inner != "CREATE" or statement.subject != "TABLE" or made is None:
        return None
    text = statement.text
    reader = Reader(text, made.stop)
    if reader[0].key != "AS":
        return None
    start = reader[0].stop
    stop = limit = None
    number = 1
    while (token := reader[number]).kind is not Kind.END and token.key != ";":
        if token.key == "(":
            number = reader.skip_parentheses(number) - 1
        elif token.key == "LIMIT":
            limit = token.start
        stop = reader[number].stop
        number += 1
    if stop is None:
        return None
    schema, source = made.schema or "main", text[start:stop]
    empty = f"{text[: stop if limit is None else limit]}\nLIMIT 0"
    insert = f"INSERT INTO {quote(schema)}.{quote(made.name)} {source}"
    return Made(source, empty, schema, made.name, insert)
